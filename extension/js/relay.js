// ISOLATED world, document_start, after hook.js. Gives the hook a private port, and carries what goes over it to the
// background and back. It reads nothing of it, with one exception: the name the person types at login is taken here,
// from trusted input events, because what the page's own scripts say of it proves nothing.
(() => {
  const api = globalThis.browser ?? chrome;
  const { port1, port2 } = new MessageChannel();
  const offer = new MessageEvent("keystead:port", { ports: [port2], cancelable: true });
  // The hook takes the first offer of a document and says so by cancelling it; nobody else has run yet.
  if (document.dispatchEvent(offer)) return;

  let background;
  let waiting = true;
  let typed;

  const connect = () => {
    background = api.runtime.connect({ name: "page" });
    // A background that is started anew has forgotten it; one that knows whose login it was says so.
    if (typed) background.postMessage(typed);
    background.onMessage.addListener((message) => {
      if (message.do === "wait") waiting = message.on;
      else if (message.do === "cover") globalThis.keysteadCover?.(message.on);
      else if (message.do === "known") typed = undefined;
      else port1.postMessage(message);
    });
    background.onDisconnect.addListener(() => {
      void api.runtime.lastError;
      background = undefined;
      // What it was asked, nobody answers any more.
      port1.postMessage({ do: "lost" });
      // The browser stops idle backgrounds. Under way, we start it again; else the next message does.
      if (waiting) setTimeout(() => background ?? revive(), 1000);
    });
  };
  const revive = () => {
    if (!api.runtime?.id) return port1.postMessage({ do: "lost" });
    connect();
    port1.postMessage({ do: "introduce" });
  };
  const send = (message) => {
    try {
      if (!background) connect();
      background.postMessage(message);
    } catch {
      port1.postMessage({ do: "lost" });
    }
  };

  port1.onmessage = ({ data }) => {
    if (data?.tell === "signed_out") typed = undefined;
    if (data?.tell !== "typed") send(data);
  };
  // The background lost its ports when it was stopped, and has something to do again.
  api.runtime.onMessage.addListener(() => {
    if (!background) revive();
  });

  const type = (event) => {
    if (event.isTrusted && event.target?.id === "mx_LoginForm_username") {
      typed = { tell: "typed", name: String(event.target.value).slice(0, 255), at: Date.now() };
      send(typed);
    }
  };
  for (const kind of ["change", "input"]) document.addEventListener(kind, type, true);
})();
