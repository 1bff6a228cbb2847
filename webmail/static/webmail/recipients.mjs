// Recipient fields: chips for what has been typed, checked by the server; suggestions in a combobox (WAI-ARIA 1.2).
// The field's own value, all of it as text, stays in a hidden input: what is sent and saved never depends on chips.

const DELAY_MS = 120;
const KINDS = { person: "In your contacts", group: "Group", recent: "Written to before", colleague: "Colleague" };

/** Pieces between commas, semicolons and line ends, but not within quotes, angles or parentheses. */
export function pieces(text) {
  const found = [];
  let piece = "", quoted = false, depth = 0;
  for (let n = 0; n < text.length; n++) {
    const char = text[n];
    if (quoted && char === "\\") piece += char + (text[++n] ?? "");
    else {
      if (char === '"') quoted = !quoted;
      else if (!quoted && "<(".includes(char)) depth++;
      else if (!quoted && ">)".includes(char)) depth = Math.max(0, depth - 1);
      if (!quoted && !depth && ",;\n".includes(char)) {
        found.push(piece.trim());
        piece = "";
      } else piece += char;
    }
  }
  found.push(piece.trim());
  return found.filter(Boolean);
}

function enhance(field) {
  if (field.dataset.ready) return;
  field.dataset.ready = "yes";
  const input = field.querySelector("input.input");
  const [chips, list] = [field.querySelector(".recipient-chips"), field.querySelector(".completions")];
  const hint = field.querySelector(".recipient-hint");
  const value = Object.assign(document.createElement("input"), { type: "hidden", name: input.name, value: input.value });
  input.removeAttribute("name");
  input.before(value);
  let chosen = pieces(input.value), found = [], active = -1, timer = 0, asked = 0;
  for (const [name, text] of Object.entries({ role: "combobox", "aria-expanded": "false", "aria-autocomplete": "list", "aria-controls": list.id }))
    input.setAttribute(name, text);

  // ------------------------------------------------------------ chips

  const store = () => {
    value.value = [...chosen, input.value.trim()].filter(Boolean).join(", ");
  };
  const changed = () => {
    store();
    value.dispatchEvent(new Event("input", { bubbles: true }));
  };
  const remove = (at) => {
    chosen.splice(at, 1);
    draw();
    changed();
    input.focus();
  };

  function chip(text, at) {
    const item = document.createElement("li");
    item.className = "recipient-chip";
    const label = document.createElement("button");
    Object.assign(label, { type: "button", className: "chip-label truncate", textContent: text, title: `Change ${text}` });
    label.addEventListener("click", () => {
      commit();
      input.value = text;
      remove(at);
    });
    const close = document.createElement("button");
    Object.assign(close, { type: "button", className: "chip-remove", textContent: "×" });
    close.setAttribute("aria-label", `Remove ${text}`);
    close.addEventListener("click", () => remove(at));
    item.append(label, close);
    return item;
  }

  function draw() {
    chips.replaceChildren(...chosen.map(chip));
    chips.hidden = !chosen.length;
    hint.replaceChildren();
    if (chosen.length) check([...chosen]);
  }

  async function check(asking) {
    const body = new URLSearchParams(asking.map((text) => ["a", text]));
    const token = JSON.parse(document.body.getAttribute("hx-headers"))["X-CSRFToken"];
    const answer = await fetch(field.dataset.check, { method: "POST", body, headers: { "X-CSRFToken": token } }).catch(() => null);
    if (!answer?.ok || asking.join() !== chosen.join()) return;
    (await answer.json()).checked.forEach((one, at) => mark(chips.children[at], one, at));
  }

  function mark(item, one, at) {
    if (!item) return;
    item.querySelector(".chip-label").textContent = one.label;
    item.title = one.problem || one.title + (one.is_outside ? " (outside your organisation)" : "");
    item.classList.toggle("chip-outside", one.is_outside);
    item.classList.toggle("chip-wrong", Boolean(one.problem));
    item.classList.toggle("chip-odd", Boolean(one.hint));
    if (one.is_outside) item.querySelector(".chip-label").setAttribute("aria-description", "outside your organisation");
    if (one.problem) hint.append(one.problem, " ");
    if (!one.hint) return;
    const correct = Object.assign(document.createElement("button"), { type: "button", className: "link-button", textContent: one.hint });
    correct.setAttribute("aria-description", `Change ${one.title}`);
    correct.addEventListener("click", () => {
      chosen[at] = one.instead;
      draw();
      changed();
      input.focus();
    });
    hint.append(`${one.title}: `, correct, " ");
  }

  function commit() {
    const typed = pieces(input.value);
    input.value = "";
    hide();
    if (!typed.length) return;
    chosen.push(...typed);
    draw();
    changed();
  }

  // ------------------------------------------------------------ suggestions

  function hide() {
    clearTimeout(timer);
    asked++;
    list.hidden = true;
    active = -1;
    input.setAttribute("aria-expanded", "false");
    input.removeAttribute("aria-activedescendant");
  }

  function point(at) {
    active = (at + found.length) % found.length;
    [...list.children].forEach((option, n) => option.setAttribute("aria-selected", String(n === active)));
    input.setAttribute("aria-activedescendant", list.children[active].id);
    list.children[active].scrollIntoView({ block: "nearest" });
  }

  function show() {
    list.replaceChildren(...found.map((one, at) => {
      const option = Object.assign(document.createElement("li"), { id: `${list.id}-${at}`, className: "completion" });
      option.setAttribute("role", "option");
      option.setAttribute("aria-selected", "false");
      const name = Object.assign(document.createElement("strong"), { className: "truncate", textContent: one.name || one.detail });
      const words = one.name ? `${one.detail} · ${KINDS[one.kind]}` : KINDS[one.kind];
      option.append(name, Object.assign(document.createElement("span"), { className: "small muted truncate", textContent: words }));
      option.addEventListener("pointerdown", (event) => event.preventDefault());
      option.addEventListener("click", () => take(at));
      return option;
    }));
    list.hidden = !found.length;
    input.setAttribute("aria-expanded", String(found.length > 0));
    if (found.length) point(0);
  }

  function take(at) {
    input.value = found[at].value;
    commit();
    input.focus();
  }

  async function suggest() {
    const mine = ++asked;
    const answer = await fetch(`${field.dataset.complete}?${new URLSearchParams({ q: input.value })}`).catch(() => null);
    if (!answer?.ok || mine !== asked || !input.value.trim()) return;
    const all = (await answer.json()).found;
    if (mine !== asked) return;
    found = all.filter((one) => !chosen.includes(one.value));
    show();
  }

  // ------------------------------------------------------------ typing

  input.addEventListener("input", () => {
    store();
    clearTimeout(timer);
    if (pieces(`${input.value}x`).length > 1) return commit();
    if (!input.value.trim()) return hide();
    timer = setTimeout(suggest, DELAY_MS);
  });

  input.addEventListener("keydown", (event) => {
    const isOpen = !list.hidden;
    if (event.isComposing || event.ctrlKey || event.metaKey) return;
    if (isOpen && (event.key === "ArrowDown" || event.key === "ArrowUp")) point(active + (event.key === "ArrowDown" ? 1 : -1));
    else if (isOpen && event.key === "Escape") hide();
    else if (event.key === "Enter" || (event.key === "Tab" && isOpen && !event.shiftKey)) {
      if (isOpen && active >= 0) take(active);
      else commit();
    } else if (event.key === "Backspace" && !input.value && chosen.length) {
      input.value = chosen.at(-1);
      remove(chosen.length - 1);
    } else return;
    event.preventDefault();
  });

  input.addEventListener("blur", () => commit());
  input.value = "";
  store();
  draw();
}

const enhanceAll = () => document.querySelectorAll("[data-recipients]").forEach(enhance);
document.addEventListener("htmx:afterSettle", enhanceAll);
enhanceAll();
