// ISOLATED world, document_start, where a deployment's files are only compared and the browser hands over no bodies
// (Chromium). Says what a document is and what it has loaded: the background reads that again, and compares.
(() => {
  const api = globalThis.browser ?? chrome;
  // Reading everything again while the page still loads would make it wait.
  const LATER = 2000;
  const isOwn = ({ name }) => name.startsWith(`${location.origin}/`);
  let files = [];
  let timer;
  const send = (loaded) => api.runtime.sendMessage({ hold: { what: "loaded", files: loaded } }).catch(() => {});
  const tell = () => {
    clearTimeout(timer);
    timer = undefined;
    if (files.length > 0) send(files);
    files = [];
  };
  const loaded = (list) => {
    files.push(...list.getEntries().filter(isOwn).map(({ name, initiatorType }) => [name, initiatorType]));
    timer ??= setTimeout(tell, LATER);
  };
  send([[location.href, "document"]]);
  new PerformanceObserver(loaded).observe({ type: "resource", buffered: true });
  window.addEventListener("pagehide", tell);
})();
