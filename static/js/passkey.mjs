// Passkeys: a form with data-passkey="get" or "create" asks the browser for one and sends its answer.

function bytes(text) {
  const base64 = text.replace(/-/g, "+").replace(/_/g, "/");
  return Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
}

function text(buffer) {
  const letters = String.fromCharCode(...new Uint8Array(buffer));
  return btoa(letters).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
}

function withBytes(options) {
  const described = (list) => (list || []).map((one) => ({ ...one, id: bytes(one.id) }));
  const asked = { ...options, challenge: bytes(options.challenge) };
  if (options.user) asked.user = { ...options.user, id: bytes(options.user.id) };
  if (options.excludeCredentials) asked.excludeCredentials = described(options.excludeCredentials);
  if (options.allowCredentials) asked.allowCredentials = described(options.allowCredentials);
  return asked;
}

function asText(credential) {
  const response = {};
  const names = ["clientDataJSON", "attestationObject", "authenticatorData", "signature", "userHandle"];
  for (const name of names) {
    if (credential.response[name]) response[name] = text(credential.response[name]);
  }
  return JSON.stringify({
    id: credential.id,
    rawId: text(credential.rawId),
    type: credential.type,
    response,
    clientExtensionResults: credential.getClientExtensionResults(),
  });
}

async function answer(form) {
  const token = form.querySelector("[name=csrfmiddlewaretoken]").value;
  const reply = await fetch(form.dataset.options, { method: "POST", headers: { "X-CSRFToken": token } });
  if (!reply.ok) throw new Error(`the server answered ${reply.status}`);
  const publicKey = withBytes(await reply.json());
  return asText(await navigator.credentials[form.dataset.passkey]({ publicKey }));
}

for (const form of document.querySelectorAll("form[data-passkey]")) {
  if (!window.PublicKeyCredential) continue;
  form.hidden = false;
  const error = form.querySelector("[data-passkey-error]");
  form.addEventListener("submit", async (event) => {
    const field = form.querySelector("[name=answer]");
    if (field.value) return;
    event.preventDefault();
    error.hidden = true;
    try {
      field.value = await answer(form);
      form.submit();
    } catch (reason) {
      const words = reason.name === "NotAllowedError" ? "Cancelled, or no passkey was found." : reason.message;
      error.textContent = words;
      error.hidden = false;
    }
  });
}
