// One button opens or closes every folded code cell.
const button = document.getElementById("code");
button.addEventListener("click", () => {
  const cells = [...document.querySelectorAll("details.code")];
  const open = cells.some((cell) => !cell.open);
  cells.forEach((cell) => { cell.open = open; });
  button.textContent = open ? "hide all code" : "show all code";
});
