// Single-key shortcuts, shown by "?". They can be switched off there (WCAG 2.1.4), which this browser remembers.

import { allRows, showSelection } from "./list.mjs";
import { closeReader, openItem } from "./reader.mjs";

const SWITCH = "postroom.keys";
const isOn = () => localStorage.getItem(SWITCH) !== "off";

function step(by) {
  const all = allRows();
  const at = all.findIndex((row) => row.dataset.item === openItem());
  const row = all[at < 0 ? (by > 0 ? 0 : all.length - 1) : at + by];
  if (!row) return;
  row.scrollIntoView({ block: "nearest" });
  row.querySelector(".row-link").click();
}

function press(key) {
  const control = document.querySelector(`.reader-pane [data-key="${CSS.escape(key)}"]`);
  control?.click();
  return Boolean(control);
}

const KEYS = {
  j: () => step(1),
  k: () => step(-1),
  c: () => document.querySelector(".compose-button")?.click(),
  "/": () => document.getElementById("search")?.focus(),
  Escape: closeReader,
  x() {
    const box = document.querySelector(`#m-${openItem()} .row-check input`);
    if (box) box.checked = !box.checked;
    showSelection();
  },
  z: () => document.querySelector(".toast form button, .reader-pane [data-key=z]")?.click(),
  "?": () => document.getElementById("shortcuts")?.showModal(),
};

document.addEventListener("keydown", (event) => {
  const { key, target } = event;
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || document.querySelector("dialog[open]")) return;
  if (target.closest?.("input:not([type=checkbox]), textarea, select, [contenteditable]")) return;
  if (!isOn() && key !== "?") return;
  if (Object.hasOwn(KEYS, key)) {
    if (key === "Escape" && document.querySelector("details.menu[open]")) return;
    event.preventDefault();
    KEYS[key]();
  } else if (press(key)) event.preventDefault();
});

const toggle = document.getElementById("keys-on");
if (toggle) {
  toggle.checked = isOn();
  toggle.addEventListener("change", () => localStorage.setItem(SWITCH, toggle.checked ? "on" : "off"));
}
