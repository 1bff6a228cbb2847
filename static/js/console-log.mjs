// The live delivery log: new events on top, a pause button, and words for those who do not see the list.

import { openSocket } from "./socket.mjs";

const MAX_ROWS = 500; // in the page
const MAX_HELD = 500; // while paused
const SAY_EVERY_MS = 5000;

const list = document.getElementById("events");
const template = document.getElementById("event-template");
const pause = document.getElementById("pause");
const dropped = document.getElementById("log-dropped");
const { address, outcome, traceUrl } = list.dataset;

let newest = Number(list.dataset.newest);
let isPaused = false;
let held = [];
let lost = 0;
let unsaid = 0;

const OUTCOME_BADGES = { temporary: "badge-warn", permanent: "badge-danger" };
const STEP_BADGES = { filed: "badge-ok", sent: "badge-ok" };

function makeRow(event) {
  const row = template.content.querySelector("li").cloneNode(true);
  row.id = `event-${event.id}`;
  row.dataset.outcome = event.outcome;
  row.dataset.step = event.step;
  const time = row.querySelector(".event-time");
  time.dateTime = event.at;
  time.title = event.at;
  time.textContent = event.time;
  const badge = row.querySelector(".event-badge");
  badge.textContent = event.label;
  const kind = OUTCOME_BADGES[event.outcome] || STEP_BADGES[event.step];
  if (kind) badge.classList.add(kind);
  row.querySelector(".event-sentence").textContent = event.sentence;
  row.querySelector(".event-detail").textContent = event.detail;
  if (event.subject) {
    const subject = document.createElement("span");
    subject.className = "event-subject";
    subject.textContent = event.subject;
    row.querySelector(".event-sentence").after(" ", subject);
  }
  row.querySelector(".event-link").href = traceUrl.replace("TRACE", encodeURIComponent(event.trace_id));
  row.classList.add("is-new");
  return row;
}

function show(events) {
  for (const event of events) {
    if (document.getElementById(`event-${event.id}`)) continue;
    list.prepend(makeRow(event));
    unsaid += 1;
  }
  while (list.children.length > MAX_ROWS) list.lastElementChild.remove();
  document.getElementById("log-empty").hidden = list.children.length > 0;
}

function tellLost(count) {
  if (!count) return;
  lost += count;
  dropped.hidden = false;
  dropped.querySelector("span").textContent =
    `${lost} events came faster than they could be shown and are left out here. Reload to see them.`;
}

function receive({ type, events, dropped: missing }) {
  if (type !== "events") return;
  tellLost(missing);
  for (const event of events) newest = Math.max(newest, event.id);
  if (!isPaused) {
    show(events);
    return;
  }
  held.push(...events);
  if (held.length > MAX_HELD) tellLost(held.splice(0, held.length - MAX_HELD).length);
  label();
}

function label() {
  pause.textContent = isPaused ? `Continue${held.length ? ` (${held.length} new)` : ""}` : "Pause";
}

pause.addEventListener("click", () => {
  isPaused = !isPaused;
  pause.setAttribute("aria-pressed", String(isPaused));
  document.getElementById("live").classList.toggle("is-paused", isPaused);
  if (!isPaused) show(held.splice(0));
  label();
});

setInterval(() => {
  if (!unsaid) return;
  document.getElementById("log-status").textContent = `${unsaid} new event${unsaid === 1 ? "" : "s"}`;
  unsaid = 0;
}, SAY_EVERY_MS);

const socket = openSocket("/live/console/", {
  onMessage: receive,
  onState(isOpen) {
    document.querySelector("#live .live-dot").classList.toggle("is-live", isOpen);
    document.getElementById("live-words").textContent = isOpen ? "Live" : "Not connected; trying again";
    pause.hidden = false;
    if (isOpen) socket.send({ type: "watch", address, outcome, last: newest });
  },
});
