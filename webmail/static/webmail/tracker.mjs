// What became of a sent message: drawn by the server, and drawn anew when it says that something has happened.
/* global htmx */

const tracker = () => document.getElementById("tracker");
const WAIT_MS = 150;
const underWay = new Map(); // trace and address -> the last that was told of an attempt
let watched = "";
let timer = null;

/** Tell the server which message's tracker is on the page, if that has changed or the socket is new. */
export function watchTracker(socket, isNew = false) {
  const item = tracker()?.dataset.item ?? "";
  if (item === watched && !(isNew && item)) return;
  if (socket.send({ track: item }) !== false) watched = item;
}

/** A message of the socket; true when it was about the tracker. */
export function takeNews(value) {
  if ("trying" in value) {
    underWay.set(`${value.trace} ${value.trying.toLowerCase()}`, value);
    showTrying(value);
  } else if (!("track" in value)) return false;
  else if (value.track === tracker()?.dataset.item) drawSoon();
  return true;
}

function showAllTrying() {
  for (const line of tracker()?.querySelectorAll(".tracked-line") ?? []) {
    const key = `${line.dataset.trace} ${line.dataset.address}`;
    if (!line.classList.contains("stage-trying")) underWay.delete(key);
    else if (underWay.has(key)) showTrying(underWay.get(key));
  }
}

function showTrying({ trying, trace, host, tls }) {
  const line = [...(tracker()?.querySelectorAll(".tracked-line") ?? [])].find(
    ({ dataset }) => dataset.address === trying.toLowerCase() && dataset.trace === trace,
  );
  if (!line) return;
  line.className = "tracked-line stage-trying";
  line.querySelector(".tracked-state").textContent = tls ? `Sending to ${host} over ${tls}` : `Trying ${host}`;
}

function drawSoon() {
  clearTimeout(timer);
  timer = setTimeout(draw, WAIT_MS);
}

/** Not while somebody types an address there or has a button in focus: then it waits. */
function draw() {
  const shown = tracker();
  if (!shown) return;
  if (shown.contains(document.activeElement)) {
    shown.addEventListener("focusout", drawSoon, { once: true });
    return;
  }
  htmx.ajax("GET", shown.dataset.url, { target: "#tracker", swap: "outerHTML" }).then(showAllTrying);
}
