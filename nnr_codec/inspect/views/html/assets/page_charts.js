// SPDX-License-Identifier: Apache-2.0
// Summary section, and the charts.
byId("name").textContent = content.name;
document.title = `${content.name} · NNR stream`;

function summary() {
  const verdict = byId("verdict");
  verdict.textContent = (content.faults.length ? "✗ " : "✓ ") + content.verdict;
  verdict.className = content.faults.length ? "bad" : "";
  const levels = content.levels;
  const figures = [
    [bytes(content.size), `${whole(content.size)} bytes, profile ${content.profile ?? "?"}`],
    [whole(Object.values(content.counts).reduce((a, b) => a + b, 0)), Object.entries(content.counts).map(([type, n]) => `${n} ${type.replace("NNR_", "")}`).join(", ") || "no units"],
    [whole(content.tensors.length + content.hidden.tensors), `tensors, ${whole(content.weights)} weights`],
    [content.weights ? fixed(8 * content.size / content.weights) : "–", "bits per weight of the whole file"],
    levels.n ? [fixed(levels.bits / levels.n), `bits per level; entropy ${fixed(levels.entropy / levels.n)}`] : null,
  ];
  byId("figures").append(...figures.filter(Boolean).map(([number, label]) => make("div", { class: "figure" }, make("b", {}, number), make("span", {}, label))));
  for (const fault of content.faults) {
    const details = [fault.path, fault.expected && `expected ${fault.expected}`, fault.actual && `found ${fault.actual}`, fault.guess && "inferred by the inspector"].filter(Boolean).join(" · ");
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
  legend.append(make("li", {}, make("span", {}, content.exact ? `= ${whole(content.size)} bytes exactly` : "does not add up to the file: a bug of nnr dump")));
  byId("classes").append(stack, legend);
  bars(byId("payload"), content.payload.map(([name, bits, , meaning]) => [name, bits, meaning]), colorOf);
  bars(byId("headers"), largest(content.headers, Math.max(8, content.payload.length)), () => "var(--c0)");
  if (!content.payload.length) byId("payload").append(make("p", { class: "hint" }, "Payloads were not decoded."));
}

// The first rows of a descending list; the remaining ones as one row, so that the sum stays.
function largest(rows, count) {
  if (rows.length <= count) return rows;
  const others = rows.slice(count - 1);
  return [...rows.slice(0, count - 1), [`${others.length} others`, others.reduce((sum, [, bits]) => sum + bits, 0), others.map(([name]) => name).join(", ")]];
}

function bars(into, rows, color) {
  const total = rows.reduce((sum, [, bits]) => sum + bits, 0) || 1;
  const most = Math.max(...rows.map(([, bits]) => bits), 1);
  for (const [name, bits, meaning] of rows) {
    const fill = make("i", { style: `width:${100 * bits / most}%; background:${color(name)}` });
    into.append(explain(make("div", { class: "bar" }, make("code", {}, name), make("em", {}, `${bytes(bits / 8)} · ${percent(bits / total)}`), make("div", {}, fill)), meaning));
  }
}

// Squarified treemap: rectangles for values in descending order, with aspect ratios near 1.
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

// Weighted quantile of [value, weight] pairs.
function weightedQuantile(pairs, share) {
  const sorted = [...pairs].sort(([a], [b]) => a - b);
  let remaining = share * sorted.reduce((sum, [, weight]) => sum + weight, 0);
  for (const [value, weight] of sorted) { remaining -= weight; if (remaining <= 0) return value; }
  return sorted.length ? sorted[sorted.length - 1][0] : 0;
}

function scatter(into, tensors, choose) {
  const known = tensors.map((tensor, index) => [tensor, index]).filter(([tensor]) => tensor.entropy !== null && tensor.n > 0);
  if (!known.length) { into.append(make("p", { class: "hint" }, "No levels were decoded.")); return; }
  const size = 480, height = 340, leftMargin = 40, rightMargin = 14, topMargin = 16, bottom = 34;
  // Both axes are logarithmic: equal distances from the line are equal ratios. Tensors outside are drawn at the rim.
  const rates = known.map(([tensor]) => [tensor.bits / tensor.n, tensor.n]);
  const entropies = known.map(([tensor]) => [tensor.entropy, tensor.n]).filter(([entropy]) => entropy > 0);
  const high = Math.ceil(Math.log2(Math.max(1, Math.min(Math.max(...rates.map(([rate]) => rate)), 4 * weightedQuantile(rates, 0.98)))));
  const low = Math.min(high - 2, Math.max(-4, Math.floor(Math.log2(Math.min(...entropies.map(([entropy]) => entropy), 2 ** (high - 2))))));
  const share = (value) => Math.min(1, Math.max(0, (Math.log2(Math.max(value, 1e-9)) - low) / (high - low)));
  const x = (value) => leftMargin + (size - leftMargin - rightMargin) * share(value);
  const y = (value) => height - bottom - (height - bottom - topMargin) * share(value);
  const isOutside = (value) => value < 2 ** low || value > 2 ** high;
  let beyond = 0;
  const chart = svg("svg", { viewBox: `0 0 ${size} ${height}`, role: "img", "aria-label": "Bits per weight against entropy, one dot per tensor" });
  for (let power = low; power <= high; power++) {
    const value = 2 ** power;
    chart.append(svg("line", { x1: leftMargin, x2: size - rightMargin, y1: y(value), y2: y(value), stroke: "var(--line)" }), svg("text", { x: leftMargin - 7, y: y(value) + 4, "text-anchor": "end" }, value), svg("text", { x: x(value), y: height - bottom + 17, "text-anchor": "middle" }, value));
  }
  chart.append(svg("line", { x1: x(2 ** low), y1: y(2 ** low), x2: x(2 ** high), y2: y(2 ** high), stroke: "var(--soft)", "stroke-dasharray": "4 4" }));
  chart.append(svg("text", { x: size - rightMargin, y: height - 2, "text-anchor": "end" }, "entropy, bits per weight"), svg("text", { x: 0, y: 5, "text-anchor": "start" }, "bits per weight in the stream"));
  const most = Math.max(...known.map(([tensor]) => tensor.n));
  for (const [tensor, index] of known) {
    const rate = tensor.bits / tensor.n, outside = isOutside(rate) || isOutside(tensor.entropy);
    beyond += outside;
    const dot = svg("circle", { class: "dot", "data-tensor": index, cx: x(tensor.entropy), cy: y(rate), r: 3 + 9 * Math.sqrt(tensor.n / most), fill: outside ? "var(--c1)" : "var(--accent)", "fill-opacity": outside ? 0.35 : 0.55, onclick: () => choose(index) });
    chart.append(explain(dot, `${tensor.name}: ${fixed(rate)} bits per weight, entropy ${fixed(tensor.entropy)}`));
  }
  into.append(chart);
  if (beyond) into.append(make("p", { class: "hint" }, beyond === 1 ? "One tensor lies outside the chart and is drawn at its rim." : `${beyond} tensors lie outside the chart and are drawn at its rim.`));
}
