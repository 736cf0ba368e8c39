// Browsers print a page without scripts too; this button is for those who look for one.
const button = document.getElementById("print");
if (button) {
  button.hidden = false;
  button.addEventListener("click", () => window.print());
}
