// SPDX-License-Identifier: Apache-2.0
// Tensors: treemap, one tensor's card, the sortable table; and the table of context models.
const tensors = content.tensors;
const rates = tensors.filter((tensor) => tensor.n > 0).map((tensor) => [tensor.bits / tensor.n, tensor.bits]);
const low = weightedQuantile(rates, 0.03), high = weightedQuantile(rates, 0.97);
const stops = [[28, 72, 110], [32, 120, 118], [176, 122, 36], [168, 62, 54]];
function heat(share) {
  const place = share * (stops.length - 1), index = Math.min(stops.length - 2, Math.floor(place)), part = place - index;
  return `rgb(${stops[index].map((from, i) => Math.round(from + part * (stops[index + 1][i] - from))).join(" ")})`;
}
function heatOf(tensor) {
  const rate = tensor.n ? tensor.bits / tensor.n : 0;
  return heat(high > low ? Math.min(1, Math.max(0, (rate - low) / (high - low))) : 0.2);
}

let chosenTensor = -1;
function chooseTensor(index) {
  chosenTensor = index;
  for (const node of document.querySelectorAll("[data-tensor]")) {
    const on = Number(node.dataset.tensor) === index;
    node.classList.toggle("on", on);
    if (node.tagName === "BUTTON") node.setAttribute("aria-pressed", on);
  }
  const tensor = tensors[index], card = byId("tensor");
  const facts = [["shape", tensor.shape], ["weights", whole(tensor.n)], ["in the stream", bytes(tensor.bits / 8)], ["bits per weight", tensor.n ? fixed(tensor.bits / tensor.n) : ""], ["entropy", fixed(tensor.entropy)],
    ["non-zero", tensor.nonzero === null || !tensor.n ? "" : percent(tensor.nonzero / tensor.n)], ["levels", tensor.min === null ? "" : `${tensor.min} … ${tensor.max}`.replaceAll("-", "−")], ["step", tensor.step === null ? "" : tensor.step.toPrecision(4)], ["QP", String(tensor.qp ?? "").replace("-", "−")],
    ["quantiser", tensor.type === "RAW_FLOAT" ? "none" : tensor.dq ? "dependent" : "uniform"], ["codebook", tensor.codebook || ""], ["scan order", tensor.scan || ""], ["skipped rows", tensor.skipped || ""], ["role", tensor.role === "weight" ? "" : tensor.role]];
  const list = make("dl", { class: "facts" }, ...facts.filter(([, value]) => value !== "").map(([name, value]) => make("div", {}, make("dt", {}, name), make("dd", {}, value))));
  card.replaceChildren(make("h3", { class: "tensorname" }, tensor.name), list);
  if (tensor.histogram && tensor.n) card.append(make("h3", {}, "Levels, counts on a square-root scale"), histogram(tensor));
  if (tensor.elements.length) {
    const box = make("div", { class: "bars", style: "margin-top:14px" });
    bars(box, tensor.elements, colorOf);
    card.append(make("h3", { style: "margin-top:14px" }, "Bits by element"), box);
  }
  const unit = content.units.findIndex((one) => one.index === tensor.unit);
  if (unit >= 0) card.append(make("p", { class: "hint" }, make("a", { href: "#explorer", onclick: () => chooseUnit(unit), style: "color:var(--accent)" }, `nnr_unit[${tensor.unit}]`), " carries the tensor"));
}

function treemap() {
  const box = byId("treemap");
  const order = tensors.map((_, index) => index).filter((index) => tensors[index].bits > 0).sort((a, b) => tensors[b].bits - tensors[a].bits);
  const draw = () => {
    const width = box.clientWidth, height = box.clientHeight;
    const total = order.reduce((sum, index) => sum + tensors[index].bits, 0);
    // Tensors too small to click share one box.
    const shown = order.filter((index, place) => place < 400 && tensors[index].bits / total * width * height > 60);
    const rest = order.length - shown.length, restBits = total - shown.reduce((sum, index) => sum + tensors[index].bits, 0);
    const values = shown.map((index) => tensors[index].bits);
    if (rest) values.push(Math.max(restBits, total * 0.004));
    const places = squarify(values, 0, 0, width, height);
    box.replaceChildren(...places.map(([x, y, w, h], place) => {
      const index = shown[place], tensor = tensors[index];
      const style = `left:${x}px; top:${y}px; width:${w}px; height:${h}px; background:${tensor ? heatOf(tensor) : "var(--soft)"}; ${w < 34 || h < 20 ? "font-size:0; padding:0;" : ""}`;
      if (!tensor) return make("button", { type: "button", style, "aria-label": `${rest} smaller tensors` }, make("span", {}, `${rest} more`));
      const rate = tensor.n ? `${fixed(tensor.bits / tensor.n, 2)} b/w` : "";
      const button = make("button", { type: "button", style, "data-tensor": index, "aria-pressed": index === chosenTensor, "aria-label": `${tensor.name}, ${bytes(tensor.bits / 8)}, ${rate}`, onclick: () => chooseTensor(index) }, make("span", {}, w < 130 ? tensor.name.split(".").slice(-2).join(".") : tensor.name), h > 38 ? make("span", {}, `${bytes(tensor.bits / 8)} · ${rate}`) : null);
      if (index === chosenTensor) button.classList.add("on");
      return explain(button, `${tensor.name} · ${tensor.shape} · ${bytes(tensor.bits / 8)} · ${rate}`);
    }));
  };
  draw();
  new ResizeObserver(draw).observe(box);
  byId("scale").append(`${fixed(low, 2)} bits per weight`, make("i", { style: `background:linear-gradient(90deg, ${[0, 0.25, 0.5, 0.75, 1].map(heat).join(", ")})` }), `${fixed(high, 2)} and more`);
}

const columns = [
  ["tensor", (t) => t.name, (t) => t.name, "left"], ["shape", (t) => t.n, (t) => t.shape, "wide"], ["weights", (t) => t.n, (t) => whole(t.n), "wide"], ["size", (t) => t.bits, (t) => bytes(t.bits / 8)],
  ["bits/weight", (t) => t.n ? t.bits / t.n : -1, (t) => t.n ? fixed(t.bits / t.n) : ""], ["entropy", (t) => t.entropy ?? -1, (t) => fixed(t.entropy)], ["non-zero", (t) => t.nonzero === null ? -1 : t.nonzero / t.n, (t) => t.nonzero === null || !t.n ? "" : percent(t.nonzero / t.n), "wide"],
  ["step", (t) => t.step ?? -1, (t) => t.step === null ? "" : t.step.toPrecision(3), "wide"], ["bits by element", (t) => t.bits, null, "wide"],
];
let sorting = [-1, 1];
function tensorTable() {
  const words = byId("find").value.toLowerCase();
  let rows = tensors.map((tensor, index) => [tensor, index]).filter(([tensor]) => tensor.name.toLowerCase().includes(words));
  const [column, direction] = sorting;
  if (column >= 0) {
    const key = columns[column][1];
    rows.sort(([a], [b]) => (key(a) > key(b) ? 1 : key(a) < key(b) ? -1 : 0) * direction);
  }
  byId("matches").textContent = words ? `${rows.length} of ${tensors.length}` : content.hidden.tensors ? `${whole(content.hidden.tensors)} more tensors are not on this page` : "";
  const head = make("tr", {}, ...columns.map(([name, , , style], index) => make("th", { class: style, scope: "col", "aria-sort": index === column ? (direction > 0 ? "ascending" : "descending") : null }, make("button", { type: "button", onclick: () => { sorting = [index, sorting[0] === index ? -sorting[1] : (index ? -1 : 1)]; tensorTable(); } }, name + (index === column ? (direction > 0 ? " ↑" : " ↓") : "")))));
  const body = rows.slice(0, 600).map(([tensor, index]) => make("tr", { "data-tensor": index, class: index === chosenTensor ? "on" : "", onclick: () => chooseTensor(index) }, ...columns.map(([, , show, style], place) => {
    if (place === 0) return make("td", { class: style }, make("button", { type: "button", title: tensor.name }, tensor.name));
    return make("td", { class: style }, show ? show(tensor) : mini(tensor));
  })));
  byId("table").replaceChildren(make("thead", {}, head), make("tbody", {}, ...body));
}

function mini(tensor) {
  return make("span", { class: "mini" }, ...tensor.elements.map(([name, bits]) => explain(make("i", { style: `flex:${bits} 0 0; background:${colorOf(name)}` }), `${name}: ${bytes(bits / 8)}`)));
}

function contextTable() {
  const titles = [["element", "left"], ["context", "left"], ["bins", "wide"], ["ones", "wide"], ["size", ""], ["bits per bin", "wide"], ["entropy", "wide"], ["vs entropy", ""]];
  const head = make("tr", {}, ...titles.map(([name, style]) => make("th", { class: style, scope: "col" }, make("span", {}, name))));
  const rows = content.contexts.map(([element, context, bins, ones, bits, entropy]) => make("tr", {}, make("td", { class: "left" }, element), make("td", { class: "left" }, context), make("td", { class: "wide" }, whole(bins)), make("td", { class: "wide" }, percent(ones)), make("td", {}, bytes(bits / 8)), make("td", { class: "wide" }, fixed(bits / bins)), make("td", { class: "wide" }, fixed(entropy)),
    make("td", {}, entropy ? `${bits / bins >= entropy ? "+" : "−"}${Math.abs(100 * (bits / bins / entropy - 1)).toFixed(1)} %` : "")));
  byId("contexttable").replaceChildren(make("thead", {}, head), make("tbody", {}, ...rows));
  if (!rows.length) byId("contexts").hidden = true;
}
