// SPDX-License-Identifier: Apache-2.0
// Explorer: units, elements and bytes, linked in both directions; and the start of the page.
const units = content.units;
let unitIndex = -1, rows = [];

function unitList() {
  const words = byId("unitfind").value.toLowerCase();
  const matching = units.map((unit, index) => [unit, index]).filter(([unit, index]) => `${index} ${unit.type} ${unit.what}`.toLowerCase().includes(words));
  byId("units").replaceChildren(...matching.map(([unit, index]) => make("li", { id: `unit-${index}`, role: "option", tabindex: index === unitIndex ? 0 : -1, "aria-selected": index === unitIndex, class: unit.faults.length ? "bad" : "", onclick: () => chooseUnit(index) },
    make("b", {}, (unit.faults.length ? "✗ " : "") + unit.type.replace("NNR_", "")), make("span", {}, unit.index === null ? "" : `[${unit.index}]`), make("small", {}, bytes(unit.size)), make("span", { class: "what" }, unit.what))));
  if (content.hidden.units) byId("units").append(make("li", { "aria-disabled": "true" }, `${whole(content.hidden.units)} more units`));
}

function chooseUnit(index, element = 0) {
  if (index < 0 || index >= units.length) return;
  unitIndex = index;
  const unit = units[index];
  for (const item of byId("units").children) {
    const on = item.id === `unit-${index}`;
    item.setAttribute("aria-selected", on);
    item.tabIndex = on ? 0 : -1;
    if (on) scrollInside(byId("units"), item);
  }
  byId("treehead").replaceChildren(make("b", {}, unit.index === null ? unit.type : `nnr_unit[${unit.index}] ${unit.type}`), make("span", {}, unit.guess ? "extent inferred by the inspector" : unit.elements ? `${unit.elements.length} elements` : "elements are not on this page"));
  rows = [];
  const items = [];
  let open = [];
  for (const [path, , descriptor, start, length, value, , status] of unit.elements || []) {
    const levels = path.split("."), name = levels.pop();
    levels.forEach((level, depth) => {
      if (open.slice(0, depth + 1).join(".") !== levels.slice(0, depth + 1).join(".")) items.push(make("li", { class: "group", role: "presentation", style: `padding-left:${8 + 14 * depth}px` }, level));
    });
    open = levels;
    items.push(row({ path, start, length, status }, `${8 + 14 * levels.length}px`, name, value, descriptor));
  }
  for (const [start, length] of unit.gaps || []) items.push(row({ gap: true, start, length }, "8px", "gap", `${length} bits of no element`, ""));
  byId("tree").replaceChildren(...items);
  bytesOf(unit);
  chooseElement(Math.max(0, element), false);
}

function row(field, indent, name, value, descriptor) {
  const place = rows.length;
  const node = make("li", { role: "option", tabindex: -1, "aria-selected": false, class: field.status ? "bad" : field.gap ? "gap" : "", style: `padding-left:${indent}`, onclick: () => chooseElement(place, true) }, make("span", {}, `${name} `, make("i", {}, value)), make("small", {}, descriptor));
  rows.push({ ...field, node });
  return node;
}

function bytesOf(unit) {
  const shown = unit.hex.length / 2, box = byId("hex");
  byId("hexhead").replaceChildren(make("b", {}, `0x${unit.offset.toString(16)}`), make("span", {}, `${whole(unit.size)} bytes${shown < unit.size ? `, the first ${whole(shown)} shown` : ""}`));
  const owner = new Array(shown).fill(-1);
  rows.forEach((field, place) => {
    const first = Math.floor(field.start / 8) - unit.offset, last = Math.ceil((field.start + field.length) / 8) - unit.offset;
    for (let i = Math.max(0, first); i < Math.min(last, shown); i++) if (owner[i] < 0) owner[i] = place;
  });
  const lines = [], across = box.clientWidth < 400 ? 8 : 16;
  for (let start = 0; start < shown; start += across) {
    const line = make("div", { class: "row" }, make("span", { class: "off" }, (unit.offset + start).toString(16).padStart(6, "0")));
    for (let i = start; i < Math.min(start + across, shown); i++) {
      const place = owner[i];
      line.append(make("s", { "data-byte": i, class: place < 0 ? "none" : place % 2 ? "alt" : "", onclick: () => byteChosen(i) }, unit.hex.slice(2 * i, 2 * i + 2)));
    }
    lines.push(line);
  }
  if (shown < unit.size) lines.push(make("div", { class: "more" }, `… ${whole(unit.size - shown)} bytes of content`));
  box.replaceChildren(...lines);
}

let chosen = 0;
function byteChosen(index) {
  const bit = 8 * (units[unitIndex].offset + index);
  const inside = rows.map((field, place) => [field, place]).filter(([field]) => field.start < bit + 8 && field.start + field.length > bit);
  if (!inside.length) return;
  // Selecting the same byte again cycles through the elements that share it.
  const here = inside.findIndex(([, place]) => place === chosen);
  chooseElement(inside[(here + 1) % inside.length][1], false);
}

function chooseElement(place, focus) {
  const detail = byId("detail");
  if (!rows.length) { detail.replaceChildren(...units[unitIndex].faults.map(faultText)); return; }
  chosen = Math.max(0, Math.min(place, rows.length - 1));
  rows.forEach((field, index) => { field.node.setAttribute("aria-selected", index === chosen); field.node.tabIndex = index === chosen ? 0 : -1; });
  const field = rows[chosen], unit = units[unitIndex];
  scrollInside(byId("tree"), field.node);
  if (focus) field.node.focus({ preventScroll: true });
  const first = Math.floor(field.start / 8) - unit.offset, last = Math.ceil((field.start + field.length) / 8) - unit.offset;
  let lit = null;
  for (const node of byId("hex").querySelectorAll("s")) {
    const on = Number(node.dataset.byte) >= first && Number(node.dataset.byte) < last;
    node.classList.toggle("on", on);
    if (on && !lit) lit = node;
  }
  if (lit) scrollInside(byId("hex"), lit);
  const entry = (unit.elements || []).find((one) => one[0] === field.path && one[3] === field.start);
  const parts = [make("code", {}, field.gap ? "gap" : field.path), make("p", {}, `${placeOf(field)}${entry ? ` · ${entry[2]} · ${entry[6]}` : ""}`)];
  if (entry) parts.push(make("p", { class: "value" }, entry[5]), content.meanings[entry[1]] ? make("p", {}, content.meanings[entry[1]]) : "");
  if (field.status) parts.push(make("p", { style: "color:var(--bad)" }, field.status));
  if (field.length && field.length <= 64) parts.push(bitsOf(unit, field, first, last));
  parts.push(...unit.faults.filter((fault) => !field.status && fault.path && fault.path.endsWith(field.path || "?")).map(faultText));
  detail.replaceChildren(...parts);
}

function placeOf(field) {
  if (field.length === 1) return `bit ${whole(field.start)}`;
  return `bits ${whole(field.start)} to ${whole(field.start + field.length - 1)} (${whole(field.length)} bits)`;
}

const faultText = (fault) => make("p", { style: "color:var(--bad)" }, `${fault.kind}: ${fault.message}`);

function bitsOf(unit, field, first, last) {
  let all = "";
  for (let i = first; i < last; i++) all += parseInt(unit.hex.slice(2 * i, 2 * i + 2) || "0", 16).toString(2).padStart(8, "0");
  const from = field.start - 8 * (unit.offset + first);
  return make("div", { class: "bits" }, make("span", {}, all.slice(0, from)), make("mark", {}, all.slice(from, from + field.length)), make("span", {}, all.slice(from + field.length)));
}

function showBit(bit) {
  if (bit === null) return;
  const index = units.findIndex((unit) => bit >= 8 * unit.offset && bit < 8 * (unit.offset + unit.size));
  chooseUnit(index < 0 ? units.length - 1 : index);
  const place = rows.findIndex((field) => bit >= field.start && bit < field.start + field.length);
  if (place >= 0) chooseElement(place, false);
  byId("explorer").scrollIntoView();
}

function scrollInside(box, node) {
  const top = node.offsetTop - box.offsetTop;
  if (top < box.scrollTop || top + node.offsetHeight > box.scrollTop + box.clientHeight) box.scrollTop = top - box.clientHeight / 3;
}

byId("tree").addEventListener("keydown", (event) => {
  const step = { ArrowDown: 1, ArrowUp: -1, PageDown: 12, PageUp: -12, Home: -1e9, End: 1e9 }[event.key];
  if (step) { event.preventDefault(); chooseElement(chosen + step, true); }
  if (event.key === "ArrowLeft") { event.preventDefault(); byId(`unit-${unitIndex}`)?.focus(); }
});
byId("units").addEventListener("keydown", (event) => {
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  const items = [...byId("units").querySelectorAll("[id]")], here = items.findIndex((item) => item.id === `unit-${unitIndex}`);
  const next = items[here + (step || 0)];
  if (step && next) { event.preventDefault(); chooseUnit(Number(next.id.slice(5))); next.focus({ preventScroll: true }); }
  if (event.key === "ArrowRight" || event.key === "Enter") { event.preventDefault(); rows[chosen]?.node.focus({ preventScroll: true }); }
});
byId("unitfind").addEventListener("input", unitList);
byId("find").addEventListener("input", tensorTable);

summary();
tensorTable();
contextTable();
if (tensors.length) {
  scatter(byId("scatter"), tensors, chooseTensor);
  treemap();
  chooseTensor(tensors.reduce((largest, tensor, index) => tensor.bits > tensors[largest].bits ? index : largest, 0));
} else byId("tensors").hidden = true;
unitList();
const faulty = units.findIndex((unit) => unit.faults.length);
chooseUnit(faulty >= 0 ? faulty : Math.max(0, units.findIndex((unit) => unit.type === "NNR_NDU")));
