// Compose: attachments by choosing or dropping, nothing lost on leaving, Ctrl+Enter sends.
/* global htmx */

import { toast } from "../js/page.mjs";
import "./recipients.mjs";

const form = () => document.getElementById("compose");
let isDirty = false;

document.addEventListener("input", (event) => {
  if (event.target.form === form()) isDirty = true;
});

document.addEventListener("htmx:beforeRequest", (event) => {
  if (event.target.id === "autosave") isDirty = false;
});

document.addEventListener("htmx:afterRequest", (event) => {
  if (event.target.id !== "autosave") return;
  if (event.detail.successful) document.getElementById("upload").value = "";
  else if (event.detail.xhr.status !== 409) isDirty = true;
});

document.addEventListener("htmx:beforeSwap", (event) => {
  if (event.target.id === "compose" && event.detail.xhr.status === 200) isDirty = false;
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
  if (signature && area.value.includes(signature)) area.value = area.value.replace(signature, () => next);
  else if (next) area.setRangeText(next, area.value.length, area.value.length, "preserve");
  signature = next;
  edited(area);
});

// ---------------------------------------------------------------- where to begin

const text = document.getElementById("text");
if (document.activeElement === text) text.setSelectionRange(0, 0);
