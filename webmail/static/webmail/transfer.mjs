// A file of mail of any size: sent in pieces, with progress; a lost piece is sent again.

const TRIES = 5;
const form = document.getElementById("import-form");

form?.addEventListener("submit", async (event) => {
  event.preventDefault();
  const file = form.querySelector("[type=file]").files[0];
  const button = form.querySelector("button");
  button.disabled = true;
  tell(form.dataset.sending);
  try {
    await upload(file);
    location.reload();
  } catch (error) {
    tell(error.message);
    button.disabled = false;
  }
});

async function upload(file) {
  const size = Number(form.dataset.piece);
  const { token } = await ask(form.dataset.begin, new URLSearchParams({
    name: file.name, size: file.size, folder: form.querySelector("[name=folder]").value.trim(),
  }));
  const address = form.dataset.begin.replace(/begin\/$/, `piece/${token}/`);
  for (let at = 0; at < file.size; at += size) {
    await ask(`${address}${at}/`, file.slice(at, at + size));
    document.querySelector("#upload progress").value = Math.min(1, (at + size) / file.size);
  }
}

async function ask(address, body) {
  const headers = { "X-CSRFToken": form.querySelector("[name=csrfmiddlewaretoken]").value };
  if (body instanceof Blob) headers["Content-Type"] = "application/octet-stream";
  for (let tries = 1; ; tries += 1) {
    let answer;
    try {
      answer = await fetch(address, { method: "POST", headers, body });
      const said = await answer.json();
      if (answer.ok) return said;
      if (answer.status < 500) throw new Refusal(said.reason);
    } catch (error) {
      if (error instanceof Refusal) throw error;
    }
    if (tries >= TRIES) throw new Refusal(form.dataset.lost);
    await new Promise((resolve) => { setTimeout(resolve, 500 * 2 ** tries); });
  }
}

class Refusal extends Error {}

function tell(text) {
  const place = document.getElementById("upload");
  place.hidden = false;
  place.querySelector("p").textContent = text;
}
