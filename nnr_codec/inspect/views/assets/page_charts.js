// SPDX-License-Identifier: Apache-2.0
// The overview, and charts that are given their numbers.
byId("name").textContent = content.name;
document.title = `${content.name} · NNR stream`;

function overview() {
  const verdict = byId("verdict");
  verdict.textContent = (content.faults.length ? "✗ " : "✓ ") + content.verdict;
  verdict.className = content.faults.length ? "bad" : "";
  const levels = content.levels;
  const figures = [
    [bytes(content.size), `${whole(content.size)} bytes, profile ${content.profile ?? "?"}`],
    [whole(Object.values(content.counts).reduce((a, b) => a + b, 0)), Object.entries(content.counts).map(([type, n]) => `${n} ${type.replace("NNR_", "")}`).join(", ") || "no units"],
    [whole(content.tensors.length + content.hidden.tensors), `tensors, ${whole(content.weights)} weights`],
    [content.weights ? fixed(8 * content.size / content.weights) : "–", "bits per weight, everything included"],
    levels.n ? [fixed(levels.bits / levels.n), `bits per level; empirical entropy ${fixed(levels.entropy / levels.n)}`] : null,
  ];
  byId("figures").append(...figures.filter(Boolean).map(([number, label]) => make("div", { class: "figure" }, make("b", {}, number), make("span", {}, label))));
  for (const fault of content.faults) {
    const details = [fault.path, fault.expected && `expected ${fault.expected}`, fault.found && `found ${fault.found}`, fault.guess && "a guess of the inspector’s"].filter(Boolean).join(" · ");
    const place = fault.bit === null ? "" : ` at bit ${whole(fault.bit)}`;
    byId("faults").append(make("button", { type: "button", class: "fault", onclick: () => showBit(fault.bit) }, make("b", {}, fault.kind), `${place}: ${fault.message}${fault.clause ? ` [${fault.clause}]` : ""}`, make("small", {}, details)));
  }
  for (const note of content.notes) byId("faults").append(make("div", { class: "fault note" }, note));
  const total = 8 * content.size || 1;
  const shades = ["var(--c0)", "var(--accent)", "var(--c8)", "var(--c1)", "var(--bad)"];
  const stack = make("div", { class: "stack", role: "img", "aria-label": content.classes.map(([name, bits]) => `${name} ${percent(bits / total)}`).join(", ") });
  const legend = make("ul", { class: "legend" });
  content.classes.forEach(([name, bits, meaning], index) => {
    if (bits) stack.append(explain(make("i", { style: `flex:${bits} 0 0; background:${shades[index]}` }), `${name}: ${meaning}`));
    legend.append(explain(make("li", {}, make("i", { style: `background:${shades[index]}` }), name, " ", make("span", {}, `${bytes(bits / 8)} · ${percent(bits / total)}`)), meaning));
  });
  legend.append(make("li", {}, make("span", {}, content.exact ? `= ${whole(content.size)} bytes exactly` : "does not add up: a bug of the inspector")));
  byId("classes").append(stack, legend);
  bars(byId("payload"), content.payload.map(([name, bits, , meaning]) => [name, bits, meaning]), colorOf);
  bars(byId("headers"), content.headers.slice(0, 12).map(([name, bits, meaning]) => [name, bits, meaning]), () => "var(--c0)");
  if (!content.payload.length) byId("payload").append(make("p", { class: "hint" }, "Payloads were not decoded."));
}

function bars(into, rows, color) {
  const total = rows.reduce((sum, [, bits]) => sum + bits, 0) || 1;
  const most = Math.max(...rows.map(([, bits]) => bits), 1);
  for (const [name, bits, meaning] of rows) {
    const fill = make("i", { style: `width:${100 * bits / most}%; background:${color(name)}` });
    into.append(explain(make("div", { class: "bar" }, make("code", {}, name), make("em", {}, `${bytes(bits / 8)} · ${percent(bits / total)}`), make("div", {}, fill)), meaning));
  }
}

// Squarified treemap: rectangles for values in falling order, as near to squares as can be.
function squarify(values, x, y, width, height) {
  const rectangles = [];
  let remaining = values.reduce((a, b) => a + b, 0);
  let start = 0;
  while (start < values.length && remaining > 0) {
    const side = Math.min(width, height), scale = width * height / remaining;
    let row = [], area = 0, worst = Infinity;
    for (let i = start; i < values.length; i++) {
      const sum = area + values[i] * scale, candidates = [...row, values[i] * scale];
      const ratio = Math.max(...[candidates[0], candidates[candidates.length - 1]].map((one) => Math.max(side * side * one / (sum * sum), sum * sum / (side * side * one))));
      if (ratio > worst && row.length) break;
      row = candidates; area = sum; worst = ratio;
    }
    const depth = area / side;
    let along = 0;
    for (const one of row) {
      const length = one / depth;
      rectangles.push(width >= height ? [x, y + along, depth, length] : [x + along, y, length, depth]);
      along += length;
    }
    if (width >= height) { x += depth; width -= depth; } else { y += depth; height -= depth; }
    for (let i = 0; i < row.length; i++) remaining -= values[start + i];
    start += row.length;
  }
  return rectangles;
}

function histogram(tensor) {
  const counts = tensor.histogram, middle = (counts.length - 1) / 2, per = tensor.width;
  let first = counts.findIndex((n) => n), last = counts.length - 1;
  while (last > 0 && !counts[last]) last--;
  const spread = Math.max(4, middle - first, last - middle);
  first = middle - spread; last = middle + spread;
  const width = 480, height = 150, step = width / (last - first + 1), most = Math.max(...counts);
  const chart = svg("svg", { viewBox: `0 -6 ${width} ${height + 28}`, role: "img", "aria-label": `Histogram of levels from ${tensor.min} to ${tensor.max}` });
  const signed = (level) => String(level).replace("-", "−");
  for (let i = first; i <= last; i++) {
    const size = counts[i] ? Math.max(1.5, height * Math.sqrt(counts[i] / most)) : 0;
    const from = (i - middle) * per - Math.floor(per / 2);
    const label = per === 1 ? `level ${signed(from)}` : `levels ${signed(from)} to ${signed(from + per - 1)}`;
    chart.append(explain(svg("rect", { x: (i - first) * step + 0.5, y: height - size, width: Math.max(1, step - 1), height: size, rx: Math.min(2, step / 4), fill: i === middle ? "var(--accent)" : "var(--c0)" }), `${label}: ${whole(counts[i])} (${percent(counts[i] / tensor.n)})`));
    const tick = last - first > 24 ? 5 : last - first > 12 ? 2 : 1;
    if ((i - middle) % tick === 0) chart.append(svg("text", { x: (i - first + 0.5) * step, y: height + 15, "text-anchor": "middle" }, signed((i - middle) * per)));
  }
  chart.append(svg("line", { x1: 0, x2: width, y1: height + 0.5, y2: height + 0.5, stroke: "var(--line)" }));
  return chart;
}

// The value below which a share of the weight lies.
function weightedQuantile(pairs, share) {
  const sorted = [...pairs].sort(([a], [b]) => a - b);
  let left = share * sorted.reduce((sum, [, weight]) => sum + weight, 0);
  for (const [value, weight] of sorted) { left -= weight; if (left <= 0) return value; }
  return sorted.length ? sorted[sorted.length - 1][0] : 0;
}

function scatter(into, tensors, choose) {
  const known = tensors.map((tensor, index) => [tensor, index]).filter(([tensor]) => tensor.entropy !== null && tensor.n > 0);
  if (!known.length) { into.append(make("p", { class: "hint" }, "No levels were decoded.")); return; }
  const size = 480, height = 330, left = 40, bottom = 34;
  // Tiny tensors can cost far more per weight than the rest: they stand at the rim.
  const extent = known.map(([tensor]) => [Math.max(tensor.entropy, tensor.bits / tensor.n), tensor.n]);
  const top = Math.max(0.5, Math.min(Math.max(...extent.map(([value]) => value)), 1.3 * weightedQuantile(extent, 0.98))) * 1.05;
  let beyond = 0;
  const x = (value) => left + (size - left - 8) * Math.min(value, top) / top;
  const y = (value) => height - bottom - (height - bottom - 8) * Math.min(value, top) / top;
  const chart = svg("svg", { viewBox: `0 0 ${size} ${height}`, role: "img", "aria-label": "Bits per weight against empirical entropy, a dot for each tensor" });
  const unit = [0.1, 0.2, 0.5, 1, 2, 5, 10].find((one) => top / one <= 6) || 20;
  for (let value = 0; value <= top; value += unit) {
    chart.append(svg("line", { x1: left, x2: size - 8, y1: y(value), y2: y(value), stroke: "var(--line)" }), svg("text", { x: left - 7, y: y(value) + 4, "text-anchor": "end" }, +value.toFixed(2)), svg("text", { x: x(value), y: height - bottom + 17, "text-anchor": "middle" }, +value.toFixed(2)));
  }
  chart.append(svg("line", { x1: x(0), y1: y(0), x2: x(top), y2: y(top), stroke: "var(--soft)", "stroke-dasharray": "4 4" }));
  chart.append(svg("text", { x: size - 8, y: height - 2, "text-anchor": "end" }, "entropy of the levels, bits per weight"), svg("text", { x: left - 32, y: 0, "text-anchor": "start" }, "bits per weight in the stream"));
  const most = Math.max(...known.map(([tensor]) => tensor.n));
  for (const [tensor, index] of known) {
    const rate = tensor.bits / tensor.n, outside = rate > top || tensor.entropy > top;
    beyond += outside;
    const dot = svg("circle", { class: "dot", "data-tensor": index, cx: x(tensor.entropy), cy: y(rate), r: 3 + 9 * Math.sqrt(tensor.n / most), fill: outside ? "var(--c1)" : "var(--accent)", "fill-opacity": outside ? 0.35 : 0.55, onclick: () => choose(index) });
    chart.append(explain(dot, `${tensor.name}: ${fixed(rate)} bits per weight, entropy ${fixed(tensor.entropy)}`));
  }
  into.append(chart);
  if (beyond) into.append(make("p", { class: "hint" }, beyond === 1 ? "One tensor lies beyond the rim and is drawn on it." : `${beyond} tensors, mostly small ones, lie beyond the rim and are drawn on it.`));
}
