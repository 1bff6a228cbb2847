// The open message: which row is current, how tall its frame is, the way back.

import { markLinks } from "./links.mjs";
import { allRows, pane, removeRows } from "./list.mjs";

const reader = document.getElementById("reader");

export const openItem = () => reader?.querySelector(".message")?.dataset.item;

function showCurrent() {
  const item = openItem();
  for (const row of allRows()) {
    const isCurrent = row.dataset.item === item;
    row.classList.toggle("is-current", isCurrent);
    const link = row.querySelector(".row-link");
    if (isCurrent) link.setAttribute("aria-current", "true");
    else link.removeAttribute("aria-current");
  }
}

export function closeReader() {
  if (!reader?.querySelector(".message")) return;
  const item = openItem();
  const empty = document.getElementById("nothing-open").content.cloneNode(true);
  reader.replaceChildren(empty);
  history.pushState({ htmx: true }, "", pane.dataset.here);
  document.title = `${pane.getAttribute("aria-label")} – Postroom`;
  showCurrent();
  document.querySelector(`#m-${item} .row-link`)?.focus({ preventScroll: true });
}

document.addEventListener("click", (event) => {
  const back = event.target.closest("[data-back]");
  if (back && pane && !event.ctrlKey && !event.metaKey) {
    event.preventDefault();
    closeReader();
  }
  if (event.target.closest("[data-print]")) print();
});

document.addEventListener("htmx:afterSwap", (event) => {
  if (event.target !== reader) return;
  reader.scrollTop = 0;
  for (const text of reader.querySelectorAll(".message-text")) markLinks(text);
  reader.querySelector(".message")?.focus({ preventScroll: true });
  showCurrent();
});
document.addEventListener("htmx:historyRestore", showCurrent);
document.addEventListener("htmx:afterSettle", showCurrent);

// What has been moved or deleted from here is no longer open.
document.addEventListener("mail-changed", (event) => {
  const { left = [] } = event.detail;
  if (left.includes(openItem())) closeReader();
  removeRows(left);
});

// ---------------------------------------------------------------- frames

function fit(frame) {
  const page = frame.contentDocument;
  if (!page?.body || page.URL === "about:blank") return;
  const measure = () => {
    frame.style.height = `${Math.max(40, page.documentElement.offsetHeight, page.body.scrollHeight)}px`;
  };
  measure();
  new ResizeObserver(measure).observe(page.body);
  const notice = document.querySelector(`[data-images-for="${frame.id}"]`);
  if (notice) notice.hidden = !Number(page.body.dataset.blockedImages);
  markLinks(page.body);
  page.addEventListener("keydown", (event) => {
    if (!event.defaultPrevented) document.dispatchEvent(new KeyboardEvent("keydown", event));
  });
}

document.addEventListener("load", (event) => event.target.matches?.(".message-frame") && fit(event.target), true);
for (const frame of document.querySelectorAll(".message-frame")) fit(frame);
for (const text of document.querySelectorAll(".message-text")) markLinks(text);
showCurrent();
