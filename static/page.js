// Starts the pages' WebAssembly module. Everything else is Rust: extension/pages.

import init from "./keystead-pages.js";

const name = location.hash.slice(1).split("?")[0] || "popup";
document.body.dataset.view = name;

// Every view starts afresh: nothing of one is left in another.
addEventListener("hashchange", () => location.reload());

try {
  await init({ module_or_path: "keystead-pages_bg.wasm" });
} catch (error) {
  document.getElementById("view").textContent = chrome.i18n.getMessage("page_broken");
  throw error;
}
