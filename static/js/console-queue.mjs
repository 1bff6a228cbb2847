// The queue: one box chooses all rows of the page.

const all = document.getElementById("choose-all");
const boxes = [...document.querySelectorAll('#queue input[name="id"]')];

all?.addEventListener("change", () => {
  for (const box of boxes) box.checked = all.checked;
});

document.getElementById("queue")?.addEventListener("change", () => {
  const chosen = boxes.filter((box) => box.checked).length;
  all.checked = chosen === boxes.length;
  all.indeterminate = chosen > 0 && chosen < boxes.length;
});
