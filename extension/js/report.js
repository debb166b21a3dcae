// ISOLATED world, document_start, where a deployment's files are only compared and the browser hands over no bodies
// (Chromium). Says what a document is and what it has loaded: the background reads that again, and compares.
(() => {
  const api = globalThis.browser ?? chrome;
  const tell = (files) => api.runtime.sendMessage({ hold: { what: "loaded", files } }).catch(() => {});
  const isOwn = ({ name }) => name.startsWith(`${location.origin}/`);
  const loaded = (list) => {
    const files = list.getEntries().filter(isOwn).map(({ name, initiatorType }) => [name, initiatorType]);
    if (files.length > 0) tell(files);
  };
  tell([[location.href, "document"]]);
  new PerformanceObserver(loaded).observe({ type: "resource", buffered: true });
})();
