// The message list: choosing rows, stars, and taking in what has changed on the server.
/* global htmx */

export const pane = document.querySelector(".list-pane");
export const rows = document.getElementById("rows");
const ACT = "/mail/act/";

export const allRows = () => [...(rows?.querySelectorAll(".row") ?? [])];
export const rowOf = (item) => document.getElementById(`m-${item}`);

// ---------------------------------------------------------------- choosing

const selectAll = document.getElementById("select-all");
const count = document.getElementById("selection-count");
let lastChosen = null;

const boxes = () => [...(rows?.querySelectorAll(".row-check input") ?? [])];

export function showSelection() {
  if (!pane) return;
  const all = boxes();
  const chosen = all.filter((box) => box.checked).length;
  pane.classList.toggle("has-selection", chosen > 0);
  count.textContent = chosen ? `${chosen} selected` : "";
  selectAll.checked = chosen > 0 && chosen === all.length;
  selectAll.indeterminate = chosen > 0 && chosen < all.length;
}

rows?.addEventListener("click", (event) => {
  const box = event.target.closest(".row-check input");
  if (!box) return;
  if (event.shiftKey && lastChosen?.isConnected) {
    const all = boxes();
    const [from, to] = [all.indexOf(lastChosen), all.indexOf(box)].sort((a, b) => a - b);
    for (const one of all.slice(from, to + 1)) one.checked = box.checked;
  }
  lastChosen = box;
  showSelection();
});

selectAll?.addEventListener("change", () => {
  for (const box of boxes()) box.checked = selectAll.checked;
  showSelection();
});

// ---------------------------------------------------------------- acting

/** Do something to messages ("mailbox-uid" each) as the forms do. */
export function act(action, items) {
  return htmx.ajax("POST", ACT, { source: document.body, swap: "none", values: { action, item: items } });
}

document.addEventListener("click", (event) => {
  const star = event.target.closest("[data-star]");
  if (!star) return;
  const isOn = star.getAttribute("aria-pressed") === "true";
  showStar(star.dataset.star, !isOn);
  act(isOn ? "unstar" : "star", [star.dataset.star]);
});

function showStar(item, isOn) {
  for (const star of document.querySelectorAll(`[data-star="${item}"]`)) star.setAttribute("aria-pressed", String(isOn));
}

export function removeRows(items) {
  for (const item of items) rowOf(item)?.remove();
  showSelection();
  const more = rows?.querySelector(".row-more");
  if (rows && !allRows().length) (more ? more.click() : reload());
}

// ---------------------------------------------------------------- what has changed

const keyOf = (row) => row.dataset.key.split("-").map(BigInt);
const isBefore = (a, b) => a[0] > b[0] || (a[0] === b[0] && a[1] > b[1]);

/** Rows (HTML) that are new or have changed; returns how many unread ones are new. */
export function takeRows(html) {
  const template = document.createElement("template");
  template.innerHTML = html;
  let arrived = 0;
  for (const row of [...template.content.querySelectorAll(".row")].reverse()) {
    const shown = document.getElementById(row.id);
    if (shown) {
      row.querySelector(".row-check input").checked = shown.querySelector(".row-check input").checked;
      row.classList.toggle("is-current", shown.classList.contains("is-current"));
      shown.replaceWith(row);
      showStar(row.dataset.item, row.classList.contains("is-starred"));
    } else if (!row.classList.contains("does-not-fit") && insert(row)) {
      arrived += row.classList.contains("is-unread") ? 1 : 0;
    } else continue;
    htmx.process(row);
  }
  return arrived;
}

function insert(row) {
  rows.querySelector(".row-none")?.remove();
  const key = keyOf(row);
  const next = allRows().find((other) => isBefore(key, keyOf(other)));
  const more = rows.querySelector(".row-more");
  if (next) next.before(row);
  else if (more) return false; // it belongs to a page that has not been asked for
  else rows.append(row);
  return true;
}

/** Draw the list anew. */
export function reload() {
  if (!pane?.dataset.rows) return Promise.resolve();
  const show = pane.dataset.show ? `?show=${pane.dataset.show}` : "";
  return htmx.ajax("GET", pane.dataset.rows + show, { target: "#rows", swap: "innerHTML" });
}
