// What every page needs: menus that close, toasts that go, questions before harm, and clear words on failure.
/* global htmx */

const TOAST_MS = 10_000;

// ---------------------------------------------------------------- menus (<details class="menu">)

document.addEventListener("click", (event) => {
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    const inPanel = event.target.closest(".menu-panel");
    if (!menu.contains(event.target) || (inPanel && event.target.closest("button, a"))) menu.open = false;
  }
});

document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  const menu = document.querySelector("details.menu[open]");
  if (menu) {
    menu.open = false;
    menu.querySelector("summary").focus();
  }
});

// ---------------------------------------------------------------- toasts

function arm(toast) {
  let timer;
  const seconds = Number(toast.dataset.seconds ?? 0);
  if (seconds) toast.style.setProperty("--toast-time", `${seconds}s`);
  const start = () => (timer = setTimeout(() => toast.remove(), seconds * 1000 || TOAST_MS));
  const stop = () => clearTimeout(timer);
  if (!seconds) {
    // The time to undo goes on, whatever the pointer does.
    toast.addEventListener("pointerenter", stop);
    toast.addEventListener("pointerleave", start);
    toast.addEventListener("focusin", stop);
    toast.addEventListener("focusout", start);
  }
  toast.addEventListener("click", (event) => {
    if (event.target.closest("[data-dismiss]")) toast.remove();
  });
  start();
}

const toasts = document.getElementById("toasts");
if (toasts) {
  for (const toast of toasts.children) arm(toast);
  new MutationObserver((records) => {
    for (const record of records) for (const node of record.addedNodes) if (node.nodeType === 1) arm(node);
    while (toasts.children.length > 3) toasts.firstElementChild.remove();
  }).observe(toasts, { childList: true });
}

/** Show a short text; level "error" is red and announced at once. */
export function toast(text, level = "info") {
  const template = document.getElementById("toast-template");
  const node = template.content.firstElementChild.cloneNode(true);
  node.querySelector("p").textContent = text;
  if (level === "error") node.classList.add("toast-error");
  toasts.append(node);
}

// ---------------------------------------------------------------- questions: data-confirm on a form or button, hx-confirm

let answered = null;

/** Ask in a dialog; whether the answer was yes. */
export function ask(question, verb) {
  const dialog = document.getElementById("confirm");
  dialog.querySelector("p").textContent = question;
  dialog.querySelector("[value=yes]").textContent = verb || "Continue";
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true });
  });
}

document.addEventListener("submit", async (event) => {
  const source = event.submitter?.dataset.confirm ? event.submitter : event.target;
  const question = source.dataset.confirm;
  if (!question || answered === source) return;
  event.preventDefault();
  event.stopImmediatePropagation();
  const { target: form, submitter } = event;
  if (await ask(question, source.dataset.confirmVerb)) {
    answered = source;
    if (submitter?.name) {
      // The button's value as a field: the focus has moved, and htmx only knows the button that has it.
      const field = Object.assign(document.createElement("input"), { type: "hidden", name: submitter.name, value: submitter.value });
      form.append(field);
      form.requestSubmit();
      setTimeout(() => field.remove());
    } else form.requestSubmit(submitter);
    answered = null;
  }
}, true);

document.addEventListener("htmx:confirm", async (event) => {
  const { question, elt, issueRequest } = event.detail;
  if (!question) return;
  event.preventDefault();
  if (await ask(question, elt.dataset.confirmVerb)) issueRequest(true);
});

// ---------------------------------------------------------------- htmx: progress, failures, sessions that ended

const progress = document.getElementById("progress");
let waiting = 0;
const busy = (step) => {
  waiting = Math.max(0, waiting + step);
  progress?.classList.toggle("is-busy", waiting > 0);
};
document.addEventListener("htmx:beforeRequest", () => busy(1));
document.addEventListener("htmx:afterRequest", (event) => {
  busy(-1);
  event.target.closest?.(".toast")?.remove(); // its Undo has been done
});

document.addEventListener("htmx:beforeSwap", (event) => {
  const { xhr } = event.detail;
  if (new URL(xhr.responseURL || location.href, location.href).pathname.startsWith("/sign-in/")) {
    event.detail.shouldSwap = false;
    location.assign(`/sign-in/?next=${encodeURIComponent(location.pathname + location.search)}`);
  }
});

document.addEventListener("htmx:responseError", (event) => {
  const { status } = event.detail.xhr;
  if (status === 409 || status === 422) return; // the answer says what to do
  const words = {
    403: "That was refused. Reload the page and try again.",
    404: "That is no longer there.",
    413: "That is too large.",
    503: "The mail store is busy. Please try again.",
  };
  toast(words[status] || "Something went wrong on the server. Please try again.", "error");
});

document.addEventListener("htmx:sendError", () => toast("No connection to the server.", "error"));
document.addEventListener("htmx:timeout", () => toast("The server took too long to answer.", "error"));

// ---------------------------------------------------------------- small things

const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
if (zone) document.cookie = `tz=${zone};path=/;max-age=31536000;samesite=lax`;

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-reveals]");
  if (!button) return;
  const input = document.getElementById(button.dataset.reveals);
  const shown = input.type === "text";
  input.type = shown ? "password" : "text";
  button.setAttribute("aria-pressed", String(!shown));
});

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copies]");
  if (!button) return;
  await navigator.clipboard.writeText(document.getElementById(button.dataset.copies).textContent.trim());
  toast("Copied.");
});
