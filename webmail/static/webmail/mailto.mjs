// Let the browser open mailto: links here, when it can and the user says so.

import { toast } from "../js/page.mjs";

const card = document.getElementById("mailto");
if (card && navigator.registerProtocolHandler) {
  card.hidden = false;
  card.querySelector("button").addEventListener("click", () => {
    try {
      navigator.registerProtocolHandler("mailto", `${new URL(card.dataset.compose, location.href)}?mailto=%s`);
      toast("Your browser asks whether it may, or has already let it.");
    } catch {
      toast("This browser allows it only on a secure page.", "error");
    }
  });
}
