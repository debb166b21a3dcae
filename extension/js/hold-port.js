// ISOLATED world, document_start, after hold.js. Gives it a private port, and carries what goes over it to the background.
(() => {
  const api = globalThis.browser ?? chrome;
  const { port1, port2 } = new MessageChannel();
  const offer = new MessageEvent("keystead:hold", { ports: [port2], cancelable: true });
  // Without it nothing keeps the host's scripts from running.
  if (document.dispatchEvent(offer)) {
    window.stop();
    document.documentElement?.remove();
    return;
  }
  const name = (globalThis.keysteadDocument ??= crypto.randomUUID());
  port1.onmessage = async ({ data: { id, ...message } }) => {
    let answer = {};
    try {
      answer = (await api.runtime.sendMessage({ hold: { ...message, document: name } })) ?? {};
    } catch {
      // Nothing is let through by a background that does not answer.
    }
    if (id !== undefined) port1.postMessage({ id, answer });
  };
})();
