// The switch for notifications on the settings page.

import { canNotify, isNotifying, setNotifying } from "./notify.mjs";

const box = document.getElementById("notify-on");
const state = document.getElementById("notify-state");

function show() {
  box.checked = isNotifying();
  box.disabled = !canNotify() || Notification.permission === "denied";
  if (!canNotify()) state.textContent = "This browser shows no notifications here.";
  else if (Notification.permission === "denied") state.textContent = "Notifications of this site are blocked in the browser’s own settings.";
  else state.textContent = box.checked ? "On in this browser." : "";
}

box.addEventListener("change", async () => {
  await setNotifying(box.checked);
  show();
});
show();
