// ISOLATED world, document_start, after hook.js. Gives the hook a private port, and carries what goes over it to the
// background and back. It reads nothing of it, with one exception: the name the person types at login is taken here,
// from trusted input events, because what the page's own scripts say of it proves nothing.
(() => {
  const api = globalThis.browser ?? chrome;
  const { port1, port2 } = new MessageChannel();
  const offer = new MessageEvent("keystead:port", { ports: [port2], cancelable: true });
  // The hook takes the first offer of a document and says so by cancelling it; nobody else has run yet.
  if (document.dispatchEvent(offer)) return;

  // By this name the background knows this document, and no other; the page never sees it.
  const documentName = (globalThis.keysteadDocument ??= crypto.randomUUID());
  const FIRST_PAUSE = 1000;
  const LONGEST_PAUSE = 60_000;
  const TRIES = 3;
  // What it has loaded is known of a document whose first connection this is, and before anything of it has run: no other can
  // become a verified one.
  let age = document.readyState === "loading" ? "first" : "later";
  let background;
  let running = false;
  let pause = FIRST_PAUSE;
  let unheard = 0;
  let typed;
  // What goes to devices waits for the background here, as it last said itself: one that says nothing changes nothing.
  let gated = false;
  const GATED = `gated ${location.origin}`;
  const kept = api.storage.local.get(GATED).then(({ [GATED]: before }) => (gated ||= before === true));
  const gate = async (on) => {
    await kept.catch(() => {});
    if (on !== gated) await ((gated = on) ? api.storage.local.set({ [GATED]: true }) : api.storage.local.remove(GATED));
  };

  const hook = (message) => port1.postMessage(message);
  const wait = ({ on }) => ([running, pause] = [on, on ? pause : FIRST_PAUSE]);

  // Nobody answers any more: the extension was updated or removed, or its background cannot start.
  let isStopped = false;
  const showStopped = (on) => {
    if (on !== isStopped) globalThis.keysteadNotice?.({ stopped: (isStopped = on) });
  };
  const stopped = () => {
    clearInterval(looking);
    hook({ do: "orphaned", gated });
    showStopped(gated);
  };
  // A background that was idle when the extension went has no port that could end.
  const looking = setInterval(() => api.runtime?.id || stopped(), 3000);
  const broken = () => (gated ? stopped() : hook({ do: "off" }));

  const connect = () => {
    if (background) return;
    if (!api.runtime?.id) return stopped();
    const port = api.runtime.connect({ name: `page ${documentName} ${age}` });
    age = "later";
    let heard = false;
    background = port;
    port.onMessage.addListener((message) => {
      heard = true;
      unheard = 0;
      if (message.do === "wait") wait(message);
      else if (message.do === "known") typed = undefined;
      else if (message.do === "cover") globalThis.keysteadCover?.(message.on);
      else if (message.do === "broken") broken();
      else if (message.do === "notice") {
        globalThis.keysteadNotice?.({ people: message.people, ask_it: message.ask_it }, send);
        globalThis.keysteadBadges?.(message.held);
      }
      else {
        if (message.do === "serve" || message.do === "off") gate(message.gated === true).catch(() => {});
        showStopped(false);
        hook(message);
      }
    });
    port.onDisconnect.addListener(() => {
      void api.runtime.lastError;
      background = undefined;
      if (!api.runtime?.id) return stopped();
      // A background that does not say a word cannot start: Element goes on without it, but for what was to wait for it.
      const silent = !heard && (unheard += 1) >= TRIES;
      if (silent) broken();
      else hook({ do: "lost" });
      if (silent && !gated) return;
      if (heard && !running) return;
      // The browser stopped it while something was under way: it is started again, ever more patiently.
      setTimeout(() => send(), pause);
      pause = Math.min(pause * 2, LONGEST_PAUSE);
    });
    // A background that is started anew has forgotten it; one that knows whose login it was says so.
    if (typed) port.postMessage(typed);
  };

  const send = (message) => {
    try {
      connect();
      // It says how it stands; one that is stopped before it does has not heard.
      if (message?.tell === "session") running = true;
      if (message) background?.postMessage(message);
    } catch {
      if (!api.runtime?.id) return stopped();
      // A port that has ended while the page was kept aside, or a message that is too long: neither stops anybody.
      background = undefined;
      hook({ do: "lost" });
      setTimeout(() => send(), pause);
    }
  };

  port1.onmessage = ({ data }) => {
    // A list would be read as what its parts are.
    if (typeof data !== "object" || data === null || Array.isArray(data)) return;
    if (data.tell === "signed_out") typed = undefined;
    if (data.tell === "wake") send();
    else if (data.tell === "waits") globalThis.keysteadNotice?.({ waits: data.on === true && gated });
    // What a person types or decides is taken here, and is never the page's to say.
    else if (!["typed", "decide"].includes(String(data.tell))) send(data);
  };
  // The background has something to do and lost its ports when it was stopped; or asks whether there is a hook.
  api.runtime.onMessage.addListener((_message, _sender, reply) => {
    send();
    reply(api.runtime.getManifest().version);
  });
  send();

  // What the person types is heard before any script of the page hears of it. A script that puts another value into the
  // field makes it nobody's, until the person has emptied it.
  let field;
  let value = "";
  let edited = false;
  let spoilt = false;
  const say = (name) => {
    if (name === (typed?.name ?? "")) return;
    typed = { tell: "typed", name: name.slice(0, 255), at: Date.now() };
    send(typed);
  };
  const check = ({ isTrusted, type, target }) => {
    if (isTrusted && target?.id === "mx_LoginForm_username" && target !== field) {
      [field, value, spoilt] = [target, "", false];
    }
    if (!isTrusted || !field || type === "input") return;
    edited = type === "beforeinput" && target === field;
    if (field.isConnected && field.value !== value) {
      spoilt = true;
      say("");
    }
  };
  const type = ({ isTrusted, target, data }) => {
    if (!isTrusted || target !== field) return;
    value = String(field.value);
    // What a browser fills in, in one piece, comes without an edit before it.
    if (value === "" || value === data || !edited) spoilt = false;
    edited = false;
    say(spoilt ? "" : value);
  };
  for (const kind of ["beforeinput", "input", "keydown", "pointerdown", "click", "submit"]) {
    window.addEventListener(kind, check, true);
  }
  window.addEventListener("input", type, true);
})();
