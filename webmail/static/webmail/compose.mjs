// Compose: attachments by choosing or dropping, nothing lost on leaving, Ctrl+Enter sends.
/* global htmx */

import { ask, toast } from "../js/page.mjs";
import "./recipients.mjs";
import { changeSignature, insertText, isRich, written } from "./rich.mjs";
import { drop, keep, offer } from "./unsaved.mjs";

const form = () => document.getElementById("compose");
const KEEP_MS = 250;
let isDirty = false;
const forget = () => {
  clearTimeout(keeping);
  if (form()) drop(form());
};

let keeping = 0;

document.addEventListener("input", (event) => {
  if (event.target.form !== form()) return;
  isDirty = true;
  clearTimeout(keeping);
  keeping = setTimeout(() => keep(form()), KEEP_MS);
});

/** The server has the letter, or it is gone on purpose; not when the answer is the sign-in page. */
const isDone = (xhr) => xhr.status === 200 && new URL(xhr.responseURL, location.href).pathname.startsWith("/mail/compose/");

document.addEventListener("htmx:beforeRequest", (event) => {
  if (event.target.id === "autosave") isDirty = false;
});

document.addEventListener("htmx:afterRequest", (event) => {
  if (event.target.id !== "autosave") return;
  const { xhr } = event.detail;
  if (isDone(xhr)) {
    document.getElementById("upload").value = "";
    if (!isDirty) forget();
  } else if (xhr.status !== 409) isDirty = true;
});

document.addEventListener("htmx:beforeSwap", (event) => {
  const { xhr } = event.detail;
  const isLeaving = event.target.id === "compose" && isDone(xhr);
  if (!isLeaving) return;
  isDirty = false;
  forget();
});

document.addEventListener("submit", (event) => {
  if (event.target === form()) isDirty = false;
});

addEventListener("beforeunload", (event) => {
  if (isDirty) event.preventDefault();
});

document.addEventListener("visibilitychange", () => {
  if (document.visibilityState === "hidden" && isDirty) htmx.trigger(form(), "save-now");
});

document.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form().querySelector(".send-button").click();
});

// ---------------------------------------------------------------- attachments

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-remove-file]");
  if (!button) return;
  button.closest("li").remove();
  htmx.trigger(form(), "save-now");
});

document.addEventListener("change", (event) => {
  if (event.target.id !== "upload") return;
  const limit = Number(form().dataset.limitMb);
  const octets = [...event.target.files].reduce((sum, file) => sum + file.size, 0);
  if (octets > limit * 1024 * 1024) {
    event.stopImmediatePropagation();
    event.target.value = "";
    toast(`Attachments may be ${limit} MB together.`, "error");
  }
}, true);

document.addEventListener("htmx:xhr:progress", (event) => {
  const bar = document.getElementById("upload-progress");
  const { loaded, total, lengthComputable } = event.detail;
  if (event.target.id !== "autosave" || !bar || !document.getElementById("upload").files.length) return;
  bar.hidden = !lengthComputable || loaded >= total;
  bar.value = lengthComputable ? Math.round((100 * loaded) / total) : 0;
});
document.addEventListener("htmx:afterRequest", () => {
  const bar = document.getElementById("upload-progress");
  if (bar) bar.hidden = true;
});

// A word about an attachment in what was written, not in what is quoted, and none there.
const MENTIONS = /\b(?:attach(?:ed|ment|ments|ing)?|enclosed|anhang|angehängt|anbei|beigefügt|ci-joint|pièces? jointes?|adjunt[oa]s?|allegat[oi])\b/iu;

function forgets() {
  const above = written().split(/^(?:--\s?|-{10} Forwarded message -{10})$/m)[0];
  const own = above.split("\n").filter((line) => !line.startsWith(">")).join("\n");
  return MENTIONS.test(`${document.getElementById("subject").value.replace(/^(?:re|fwd?):.*/i, "")}\n${own}`);
}

document.addEventListener("htmx:confirm", async (event) => {
  if (event.target !== form() || event.detail.question) return;
  const hasFiles = document.getElementById("upload").files.length || document.querySelector(".file-chip");
  if (hasFiles || !forgets()) return;
  event.preventDefault();
  if (await ask("You mention an attachment, but none is here. Send anyway?", "Send")) event.detail.issueRequest(true);
});

const holdsFiles = (event) => event.dataTransfer?.types.includes("Files");

document.addEventListener("dragover", (event) => {
  if (!holdsFiles(event)) return;
  event.preventDefault();
  form().classList.add("is-dropping");
});
document.addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) form().classList.remove("is-dropping");
});
document.addEventListener("drop", (event) => {
  if (!holdsFiles(event)) return;
  event.preventDefault();
  form().classList.remove("is-dropping");
  const upload = document.getElementById("upload");
  upload.files = event.dataTransfer.files;
  upload.dispatchEvent(new Event("change", { bubbles: true }));
});

// ---------------------------------------------------------------- templates and signatures

function edited(area) {
  area.dispatchEvent(new Event("input", { bubbles: true }));
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-template]");
  if (!button) return;
  if (isRich()) {
    insertText(button.dataset.template);
    return;
  }
  const area = document.getElementById("text");
  area.focus();
  area.setRangeText(button.dataset.template, area.selectionStart, area.selectionEnd, "end");
  edited(area);
});

const block = (signature) => (signature ? `\n\n-- \n${signature}\n` : "");
const signatureOf = (select) => block(select.selectedOptions[0]?.dataset.signature);
let signature = "";

document.addEventListener("focusin", (event) => {
  if (event.target.id === "sender" && event.target.selectedOptions) signature = signatureOf(event.target);
});
document.addEventListener("change", (event) => {
  if (event.target.id !== "sender") return;
  const area = document.getElementById("text");
  const next = signatureOf(event.target);
  if (isRich()) {
    changeSignature(signature, next);
    signature = next;
    return;
  }
  if (signature && area.value.includes(signature)) area.value = area.value.replace(signature, () => next);
  else if (next) area.setRangeText(next, area.value.length, area.value.length, "preserve");
  signature = next;
  edited(area);
});

// ---------------------------------------------------------------- where to begin

const text = document.getElementById("text");
if (document.activeElement === text) text.setSelectionRange(0, 0);
offer(form());
