// The queue: one box chooses all rows of the page, and it is said how many are chosen.

const all = document.getElementById("choose-all");
const boxes = [...document.querySelectorAll('#queue input[name="id"]')];
const count = document.getElementById("chosen-count");

all?.addEventListener("change", () => {
  for (const box of boxes) box.checked = all.checked;
});

document.getElementById("queue")?.addEventListener("change", () => {
  const chosen = boxes.filter((box) => box.checked).length;
  all.checked = chosen === boxes.length;
  all.indeterminate = chosen > 0 && chosen < boxes.length;
  count.textContent = chosen ? `${chosen} chosen` : "";
});

// Enter in the host's field means its own button, not the form's first one.
document.getElementById("target")?.addEventListener("keydown", (event) => {
  if (event.key !== "Enter") return;
  event.preventDefault();
  event.target.closest(".menu-panel").querySelector("button").click();
});
