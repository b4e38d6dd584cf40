// SPDX-License-Identifier: Apache-2.0
// DOM elements, number formats and the tooltip. Text from the stream is inserted as text, never as markup.
"use strict";
const content = JSON.parse(document.getElementById("content").textContent);
const byId = (id) => document.getElementById(id);

function make(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (key === "style") node.style.cssText = value;
    else if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else node.setAttribute(key, value === true ? "" : value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined).map((child) => child.nodeType ? child : String(child)));
  return node;
}

function svg(tag, attributes = {}, ...children) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else node.setAttribute(key, value);
  }
  node.append(...children.map((child) => child.nodeType ? child : String(child)));
  return node;
}

const whole = (number) => Math.round(number).toLocaleString("en");
const fixed = (number, digits = 3) => number === null || number === undefined ? "" : number.toFixed(digits);
const percent = (share) => `${(100 * share).toFixed(1)} %`;
function bytes(n) {
  for (const unit of ["B", "kB", "MB", "GB"]) {
    if (n < 1000) return `${n >= 100 || unit === "B" ? Math.round(n) : n.toFixed(1)} ${unit}`;
    n /= 1000;
  }
  return `${n.toFixed(1)} TB`;
}

// One colour per payload element, the same in all charts.
const palette = new Map();
content.payload.filter(([name]) => !name.includes(" ")).forEach(([name], index) => palette.set(name, `var(--c${Math.min(index, 8)})`));
const colorOf = (name) => palette.get(name) || "var(--c9)";

const tip = byId("tip");
function explain(node, text) {
  if (!text) return node;
  node.addEventListener("mousemove", (event) => {
    tip.textContent = text;
    tip.hidden = false;
    tip.style.left = `${Math.min(event.clientX + 14, innerWidth - tip.offsetWidth - 8)}px`;
    tip.style.top = `${Math.min(event.clientY + 16, innerHeight - tip.offsetHeight - 8)}px`;
  });
  node.addEventListener("mouseleave", () => { tip.hidden = true; });
  return node;
}

const theme = (name) => { document.documentElement.dataset.theme = name; };
theme(matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
byId("theme").addEventListener("click", () => theme(document.documentElement.dataset.theme === "dark" ? "light" : "dark"));
