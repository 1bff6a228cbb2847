// Writing with formatting. The editor is fetched only here; without it, or by choice, the letter is a text area.
//
// The form's `html` field holds what is written: pictures are named by Content-ID, those that the server does not have yet
// go along as files. So a picture is sent once, and a draft that was refused sends it again.
/* global htmx */

import { ask, toast } from "../js/page.mjs";

const MAX_PICTURE_MB = 25;
// Of what is pasted: nothing is fetched from elsewhere, nothing but words and their form comes in.
const UNWANTED = "img, script, style, svg, math, iframe, object, embed, video, audio, link, meta, base, form, input, template";
const KEPT = new Set(["href", "start", "colspan", "rowspan"]);
const CHOICE = "compose-form";
const form = () => document.getElementById("compose");
const pictures = new Map(); // Content-ID -> { url: data:, file, isSaved }
let tiptap = null;
let editor = null;

export const isRich = () => editor !== null;
/** What the person wrote, without the quoted original. */
export const written = () => (editor ? editor.getText({ blockSeparator: "\n" }) : document.getElementById("text").value);

// ---------------------------------------------------------------- between the editor and the form

/** In a document of its own that runs and fetches nothing. */
function parsed(html) {
  const body = document.createElement("template").content.ownerDocument.createElement("div");
  body.innerHTML = html;
  return body;
}

function serialised() {
  const body = parsed(editor.getHTML());
  for (const image of body.querySelectorAll("img")) {
    image.setAttribute("src", `cid:${image.dataset.cid}`);
    delete image.dataset.cid;
  }
  return body.innerHTML;
}

/** With the pictures' contents in place of their names; one that is nowhere goes. */
async function shown(html) {
  const body = parsed(html);
  for (const image of body.querySelectorAll("img")) {
    const id = (image.getAttribute("src") ?? "").replace(/^cid:/, "");
    const known = pictures.get(id) ?? (await fetched(id));
    if (!known) {
      image.remove();
      continue;
    }
    image.setAttribute("src", known.url);
    image.dataset.cid = id;
  }
  return body.innerHTML;
}

async function fetched(id) {
  const place = [...form().querySelectorAll("[data-picture]")].find((one) => one.dataset.picture === id);
  if (!place) return null;
  const answer = await fetch(place.dataset.url);
  if (!answer.ok) return null;
  const file = await answer.blob();
  pictures.set(id, { url: await dataUrl(file), file, isSaved: true });
  return pictures.get(id);
}

const dataUrl = (file) => new Promise((resolve, reject) => {
  const reader = new FileReader();
  reader.onload = () => resolve(reader.result);
  reader.onerror = reject;
  reader.readAsDataURL(file);
});

document.addEventListener("formdata", (event) => {
  if (event.target !== form() || !editor) return;
  const html = serialised();
  event.formData.set("html", html);
  for (const [id, { file, isSaved }] of pictures) {
    if (!isSaved && html.includes(`"cid:${id}"`)) event.formData.append("picture", file, `${id}.${file.type.split("/")[1]}`);
  }
});

document.addEventListener("htmx:beforeRequest", (event) => {
  if (event.target.id === "autosave") for (const one of pictures.values()) one.isSent = true;
});
document.addEventListener("htmx:afterRequest", (event) => {
  if (event.target.id !== "autosave") return;
  for (const one of pictures.values()) {
    if (event.detail.xhr.status === 200 && one.isSent) one.isSaved = true;
    if (event.detail.xhr.status === 409) one.isSaved = false; // the draft that held it is gone
    one.isSent = false;
  }
});

// ---------------------------------------------------------------- the editor

function mailQuote(place) {
  return tiptap.Node.create({
    name: "mailQuote",
    group: "block",
    atom: true,
    parseHTML: () => [{ tag: "div[data-mail-quote]" }],
    renderHTML: () => ["div", { "data-mail-quote": "1" }],
    addNodeView: () => ({ editor: its, getPos }) => {
      const dom = Object.assign(document.createElement("figure"), { className: "quote-box", contentEditable: "false" });
      const head = Object.assign(document.createElement("figcaption"), { textContent: place.dataset.quoteLabel });
      const remove = Object.assign(document.createElement("button"), {
        type: "button", className: "button button-small", textContent: place.dataset.quoteRemove,
      });
      remove.addEventListener("click", () => its.chain().focus().deleteRange({ from: getPos(), to: getPos() + 1 }).run());
      head.append(remove);
      const frame = document.createElement("iframe");
      frame.setAttribute("sandbox", "allow-same-origin allow-popups allow-popups-to-escape-sandbox");
      frame.title = place.dataset.quoteLabel;
      frame.src = form().dataset.quoteFrame;
      dom.append(head, frame);
      return { dom, ignoreMutation: () => true };
    },
  });
}

function extensions(place) {
  const t = tiptap;
  const picture = t.Image.extend({
    inline: true,
    group: "inline",
    addAttributes() {
      return {
        src: { default: null },
        alt: { default: null },
        cid: {
          default: null,
          parseHTML: (element) => element.dataset.cid ?? null,
          renderHTML: ({ cid }) => (cid ? { "data-cid": cid } : {}),
        },
      };
    },
    parseHTML: () => [{ tag: "img[data-cid]" }],
  }).configure({ inline: true, allowBase64: true });
  return [
    t.Document, t.Paragraph, t.Text, t.HardBreak, t.Bold, t.Italic, t.Underline, t.Strike, t.Blockquote, t.BulletList,
    t.OrderedList, t.ListItem, t.HorizontalRule, t.Code, t.CodeBlock, t.Dropcursor, t.Gapcursor,
    t.Heading.configure({ levels: [1, 2, 3] }),
    t.Link.configure({ openOnClick: false }),
    t.UndoRedo,
    t.Placeholder.configure({ placeholder: place.dataset.placeholder }),
    picture,
    mailQuote(place),
  ];
}

async function begin(html, focus) {
  const place = document.getElementById("rich");
  tiptap ??= await import(form().dataset.editor);
  const content = await shown(html);
  editor = new tiptap.Editor({
    element: place,
    injectCSS: false,
    extensions: extensions(place),
    content,
    editorProps: {
      attributes: { role: "textbox", "aria-multiline": "true", "aria-label": place.dataset.label, spellcheck: "true" },
      handlePaste: (_view, event) => takeFiles(event.clipboardData?.files),
      handleDrop: (_view, event) => takeFiles(event.dataTransfer?.files),
      transformPastedHTML: (pasted) => {
        const body = parsed(pasted);
        for (const one of body.querySelectorAll(UNWANTED)) one.remove();
        for (const one of body.querySelectorAll("*")) {
          for (const { name } of [...one.attributes]) if (!KEPT.has(name)) one.removeAttribute(name);
        }
        return body.innerHTML;
      },
    },
    onUpdate: () => document.getElementById("html").dispatchEvent(new Event("input", { bubbles: true })),
    onTransaction: showState,
  });
  show(true);
  showState();
  if (focus) editor.commands.focus("start");
}

function end() {
  editor.destroy();
  editor = null;
  document.getElementById("rich").replaceChildren();
  show(false);
}

function show(isOn) {
  document.getElementById("editor-bar").hidden = !isOn;
  document.getElementById("rich").hidden = !isOn;
  document.getElementById("text").hidden = isOn;
  document.getElementById("html").disabled = !isOn;
  const button = document.getElementById("switch-form");
  button.hidden = false;
  button.querySelector("span").textContent = isOn ? button.dataset.plain : button.dataset.rich;
}

// ---------------------------------------------------------------- the bar

const ACTS = {
  bold: (c) => c.toggleBold(),
  italic: (c) => c.toggleItalic(),
  underline: (c) => c.toggleUnderline(),
  strike: (c) => c.toggleStrike(),
  heading: (c) => c.toggleHeading({ level: 2 }),
  bulletList: (c) => c.toggleBulletList(),
  orderedList: (c) => c.toggleOrderedList(),
  blockquote: (c) => c.toggleBlockquote(),
  clear: (c) => c.unsetAllMarks().clearNodes(),
};

function act(name) {
  if (name === "link") askForLink();
  else if (name === "picture") document.getElementById("picture-input").click();
  else ACTS[name](editor.chain().focus()).run();
}

function showState() {
  if (!editor) return;
  for (const button of document.querySelectorAll("#editor-bar [aria-pressed]")) {
    button.setAttribute("aria-pressed", String(editor.isActive(button.dataset.do)));
  }
}

function askForLink() {
  const dialog = document.getElementById("link-dialog");
  const address = document.getElementById("link-address");
  address.value = editor.getAttributes("link").href ?? "";
  dialog.returnValue = "";
  dialog.showModal();
  dialog.addEventListener("close", () => {
    const chain = editor.chain().focus().extendMarkRange("link");
    const href = full(address.value.trim());
    if (dialog.returnValue === "remove" || (dialog.returnValue === "set" && !href)) chain.unsetLink().run();
    else if (dialog.returnValue === "set" && editor.state.selection.empty && !editor.isActive("link")) {
      chain.insertContent({ type: "text", text: href, marks: [{ type: "link", attrs: { href } }] }).run();
    } else if (dialog.returnValue === "set") chain.setLink({ href }).run();
    else editor.commands.focus();
  }, { once: true });
}

function full(address) {
  if (/^(?:https?:\/\/|mailto:|tel:)/i.test(address)) return address;
  if (/^[^\s@/]+@[^\s@/]+$/.test(address)) return `mailto:${address}`;
  return /^[a-z][a-z0-9+.-]*:/i.test(address) || !address ? "" : `https://${address}`;
}

/** Whether there were pictures among the files: they go into the text, anything else is attached as ever. */
function takeFiles(files) {
  const images = [...(files ?? [])].filter((file) => /^image\/(?:png|jpeg|gif|webp)$/.test(file.type));
  if (!images.length) return false;
  const used = [...pictures.values()].reduce((sum, one) => sum + one.file.size, 0);
  if (images.reduce((sum, file) => sum + file.size, used) > Number(form().dataset.limitMb ?? MAX_PICTURE_MB) * 1024 * 1024) {
    toast(document.getElementById("rich").dataset.tooLarge, "error");
    return true;
  }
  for (const file of images) insert(file);
  return true;
}

async function insert(file) {
  const cid = `${crypto.randomUUID?.() ?? Math.random().toString(36).slice(2)}@postroom`;
  pictures.set(cid, { url: await dataUrl(file), file, isSaved: false });
  const alt = file.name.replace(/\.\w+$/, "");
  editor.chain().focus().insertContent({ type: "image", attrs: { src: pictures.get(cid).url, alt, cid } }).run();
}

// ---------------------------------------------------------------- one form and the other

async function converted() {
  const answer = await fetch(form().dataset.convert, { method: "POST", body: new FormData(form()) });
  if (!answer.ok) throw new Error(String(answer.status));
  return answer.json();
}

async function change() {
  const place = document.getElementById("rich");
  const text = document.getElementById("text");
  if (editor) {
    const isFormatted = /<(?!\/?(?:p|br)\b|div data-mail-quote)/.test(serialised());
    if (isFormatted && !(await ask(place.dataset.lost, place.dataset.lostGo))) return;
    text.value = (await converted()).text;
    end();
    text.focus();
    text.setSelectionRange(0, 0);
  } else await begin((await converted()).html, true);
  localStorage.setItem(CHOICE, editor ? "rich" : "plain");
  text.dispatchEvent(new Event("input", { bubbles: true }));
}

/** Put text where the cursor is. */
export function insertText(text) {
  const lines = text.split("\n").map((line) => ({ type: "paragraph", content: line ? [{ type: "text", text: line }] : [] }));
  editor.chain().focus().insertContent(lines.length > 1 ? lines : text).run();
}

/** The signature of another identity in the place of this one's; without one, at the end. */
export function changeSignature(before, after) {
  const html = (signature) => signature.trim().split("\n").map((line) => `<p>${escaped(line)}</p>`).join("");
  const now = serialised();
  const old = before ? html(before) : "";
  const next = after ? html(after) : "";
  const at = old ? now.indexOf(old) : -1;
  const changed = at >= 0 ? now.slice(0, at) + next + now.slice(at + old.length) : now + next;
  shown(changed).then((content) => editor.commands.setContent(content, { emitUpdate: true }));
}

function escaped(text) {
  return Object.assign(document.createElement("p"), { textContent: text }).innerHTML;
}

/** What had been kept in this browser. */
export async function restoreHtml(html) {
  if (editor) editor.commands.setContent(await shown(html), { emitUpdate: true });
  else await begin(html, true);
}

export const currentHtml = () => (editor ? serialised() : "");

async function start() {
  if (!form()) return;
  editor = null;
  const chosen = form().dataset.form || localStorage.getItem(CHOICE) || "rich";
  const hasFocus = document.activeElement === document.getElementById("text");
  show(false);
  if (chosen !== "rich") return;
  try {
    await begin(document.getElementById("html").value, hasFocus);
  } catch (error) {
    show(false); // the text area is there
    throw error;
  }
}

document.addEventListener("mousedown", (event) => {
  if (event.target.closest("#editor-bar [data-do]")) event.preventDefault(); // the editor keeps the focus
});
document.addEventListener("click", (event) => {
  const button = event.target.closest("#editor-bar [data-do]");
  if (button) act(button.dataset.do);
  else if (event.target.closest("#switch-form")) change();
});
document.addEventListener("change", (event) => {
  if (event.target.id !== "picture-input") return;
  event.stopPropagation();
  takeFiles(event.target.files);
  event.target.value = "";
});
document.addEventListener("keydown", (event) => {
  if (editor?.isFocused && event.key.toLowerCase() === "k" && (event.ctrlKey || event.metaKey)) {
    event.preventDefault();
    askForLink();
  }
});
document.addEventListener("htmx:afterSwap", (event) => {
  if (event.target.id === "compose" || event.detail.elt?.id === "compose") start();
});
start();
