// Run in a tab that has no hook yet: would the person lose something if it were loaded again?
(() => {
  const written = (element) =>
    element.isContentEditable ? element.textContent.trim() !== "" : element.value !== element.defaultValue;
  const places = "textarea, [contenteditable], input:not([type=checkbox], [type=radio], [type=button], [type=submit], [type=hidden])";
  return [...document.querySelectorAll(places)].some(written);
})();
