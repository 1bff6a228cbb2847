// What has been typed and not yet been saved, kept in this browser until it is: a crash, a lost connection or a session
// that ended loses nothing. One letter of each user; the server's draft is the copy that counts.

import { currentHtml, restoreHtml } from "./rich.mjs";

const keyOf = (form) => `unsaved-letter:${form.dataset.owner}`;
const FIELDS = ["sender", "to", "cc", "bcc", "subject", "text", "origin", "draft"];

export function keep(form) {
  const data = new FormData(form);
  const fields = Object.fromEntries(FIELDS.map((name) => [name, data.get(name) ?? ""]));
  const files = [...form.querySelectorAll(".file-chip")].map((chip) => [
    chip.querySelector("input").value,
    chip.querySelector(".truncate").textContent,
  ]);
  try {
    localStorage.setItem(keyOf(form), JSON.stringify({ fields, files, html: currentHtml(), at: Date.now() }));
  } catch {
    // Storage is full or forbidden: the draft on the server is all there is.
  }
}

export function drop(form) {
  localStorage.removeItem(keyOf(form));
}

function stored(form) {
  try {
    return JSON.parse(localStorage.getItem(keyOf(form)));
  } catch {
    return null;
  }
}

/** Offer what was left behind, if anything was. */
export function offer(form) {
  const notice = form.querySelector("#unsaved");
  const left = stored(form);
  if (!left?.fields || !notice) return;
  notice.querySelector("time").textContent = new Date(left.at).toLocaleString();
  notice.hidden = false;
  notice.addEventListener("click", (event) => {
    const answer = event.target.closest("[data-unsaved]")?.dataset.unsaved;
    if (!answer) return;
    notice.hidden = true;
    if (answer === "restore") restore(form, left);
    else drop(form);
    document.getElementById("text").focus();
  });
}

function restore(form, { fields, files, html }) {
  if (html) restoreHtml(html);
  for (const name of ["subject", "text", "origin", "draft"]) form.querySelector(`[name=${name}]`).value = fields[name];
  const sender = form.querySelector("[name=sender]");
  if ([...(sender.options ?? [])].some((option) => option.value === fields.sender)) sender.value = fields.sender;
  for (const name of ["to", "cc", "bcc"]) {
    const input = document.getElementById(name);
    const remove = () => input.closest("[data-recipients]").querySelector(".chip-remove");
    while (remove()) remove().click();
    input.value = fields[name];
    input.dispatchEvent(new Event("blur"));
    if (fields[name]) input.closest("details")?.setAttribute("open", "");
  }
  form.querySelector(".file-chips").replaceChildren(...files.map(([value, name]) => chip(value, name)));
  document.getElementById("text").dispatchEvent(new Event("input", { bubbles: true }));
}

function chip(value, name) {
  const item = Object.assign(document.createElement("li"), { className: "file-chip" });
  const button = Object.assign(document.createElement("button"), { type: "button", className: "icon-button icon-button-small", textContent: "×" });
  button.dataset.removeFile = "";
  button.setAttribute("aria-label", `Remove ${name}`);
  item.append(
    Object.assign(document.createElement("input"), { type: "hidden", name: "file", value }),
    Object.assign(document.createElement("span"), { className: "truncate", textContent: name }),
    button,
  );
  return item;
}
