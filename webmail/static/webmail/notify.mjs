// Notifications of new mail: asked for on the settings page, kept in this browser only.

const KEY = "notify";

export const canNotify = () => "Notification" in window && isSecureContext;

export function isNotifying() {
  try {
    return canNotify() && Notification.permission === "granted" && localStorage.getItem(KEY) === "on";
  } catch {
    return false; // storage is closed to this page
  }
}

/** Returns whether they are on now: the browser may refuse. */
export async function setNotifying(isOn) {
  if (isOn && (await Notification.requestPermission()) !== "granted") isOn = false;
  localStorage.setItem(KEY, isOn ? "on" : "off");
  return isOn;
}

/** Only while nobody looks at the page; the newest replaces the one before. */
export function notify(title, body) {
  if (document.visibilityState === "visible" || !isNotifying()) return;
  const shown = new Notification(title, { body, tag: "new-mail" });
  shown.onclick = () => {
    window.focus();
    shown.close();
  };
}
