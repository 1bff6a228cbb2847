// Keeping the page in step: the socket says "look", the page asks what has changed since it last asked.
/* global htmx */

import { openSocket } from "../js/socket.mjs";
import { pane, reload, removeRows, takeRows } from "./list.mjs";
import { notify } from "./notify.mjs";
import { takeNews, watchTracker } from "./tracker.mjs";

const POLL_MS = 20_000;
const WAIT_MS = 120;
const OFFLINE_MS = 3000;

const folders = document.getElementById("folders");
const state = document.getElementById("live-state");
const plainTitle = () => document.title.replace(/^\(\d+\) /, "");

function showUnread() {
  const unread = Number(folders?.firstElementChild?.dataset.unread ?? 0);
  const title = (unread ? `(${unread}) ` : "") + plainTitle();
  if (document.title !== title) document.title = title;
}

// ---------------------------------------------------------------- asking

let isAsking = false;
let askAgain = false;

async function ask() {
  if (isAsking) {
    askAgain = true;
    return;
  }
  isAsking = true;
  try {
    await (pane?.dataset.changes ? takeChanges() : takeFolders());
    showUnread();
  } catch {
    // No connection, or signed out: the next hint or poll tries again.
  } finally {
    isAsking = false;
    if (askAgain) {
      askAgain = false;
      ask();
    }
  }
}

async function takeChanges() {
  const { changes, modseq, show } = pane.dataset;
  const response = await fetch(`${changes}?since=${modseq}${show ? `&show=${show}` : ""}`, { redirect: "error" });
  if (response.status === 404) return location.assign("/"); // the folder is gone
  if (!response.ok) return;
  const answer = await response.json();
  pane.dataset.modseq = answer.modseq;
  drawFolders(answer.folders);
  if (answer.reset) return reload();
  const arrived = answer.rows ? takeRows(answer.rows) : 0;
  if (answer.gone.length) removeRows(answer.gone);
  if (!arrived) return;
  const words = `${arrived} new message${arrived === 1 ? "" : "s"}`;
  document.getElementById("announce").textContent = words;
  const newest = document.querySelector("#rows .row.is-unread");
  notify(words, arrived === 1 ? (newest?.querySelector(".row-subject")?.textContent ?? "") : "");
}

async function takeFolders() {
  const response = await fetch(folders.dataset.url, { redirect: "error" });
  if (response.ok) drawFolders(await response.text());
}

function drawFolders(html) {
  if (folders.innerHTML === html) return;
  folders.innerHTML = html;
  htmx.process(folders);
}

// ---------------------------------------------------------------- being told

let timer = null;
let offlineTimer = null;

/** A connection that comes back at once is not worth a word. */
function showOffline(isOpen) {
  const banner = document.getElementById("offline");
  clearTimeout(offlineTimer);
  if (isOpen) banner.hidden = true;
  else offlineTimer = setTimeout(() => (banner.hidden = false), OFFLINE_MS);
}

function look() {
  clearTimeout(timer);
  timer = setTimeout(ask, WAIT_MS);
}

export function startLive() {
  if (!folders) return;
  showUnread();
  new MutationObserver(showUnread).observe(document.querySelector("title"), { childList: true });
  document.addEventListener("mail-changed", look);
  const socket = openSocket("/live/mail/", {
    onMessage: (value) => takeNews(value) || look(),
    onState(isOpen) {
      const words = isOpen ? "New mail appears at once" : "Not connected: looking for new mail every 20 seconds";
      state.title = words;
      state.lastElementChild.textContent = words;
      state.firstElementChild.classList.toggle("is-live", isOpen);
      showOffline(isOpen);
      if (!isOpen) return;
      look(); // whatever happened meanwhile
      watchTracker(socket, true);
    },
  });
  document.addEventListener("htmx:afterSettle", () => watchTracker(socket));
  setInterval(() => !socket.isOpen() && document.visibilityState === "visible" && ask(), POLL_MS);
}
