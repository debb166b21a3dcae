// ISOLATED world. Covers what Element shows while it waits for the person to confirm the identity, for as long as Keystead
// does that itself. Whatever goes wrong, the cover is gone after a while: behind it is the person's own way in.
(() => {
  const LONGEST = 20_000;
  const api = globalThis.browser ?? chrome;
  let shown;

  const draw = () => {
    const host = document.createElement("keystead-cover");
    const root = host.attachShadow({ mode: "closed" });
    const style = document.createElement("style");
    style.textContent = `
      :host { all: initial; position: fixed; inset: 0; z-index: 2147483647; color-scheme: light dark; }
      div { position: absolute; inset: 0; display: grid; place-content: center; justify-items: center; gap: 20px;
        background: light-dark(#fff, #15191e); color: light-dark(#1b1d22, #ebeef2); font: 16px/1.5 system-ui, sans-serif; }
      span { width: 28px; height: 28px; border-radius: 50%; border: 3px solid light-dark(#d7dce3, #39414b);
        border-top-color: light-dark(#1f6f5c, #6fd0b8); animation: turn 0.9s linear infinite; }
      p { margin: 0; max-width: 30em; padding: 0 24px; text-align: center; }
      @keyframes turn { to { transform: rotate(1turn); } }
      @media (prefers-reduced-motion: reduce) { span { animation: none; } }`;
    const box = document.createElement("div");
    const text = document.createElement("p");
    text.setAttribute("role", "status");
    text.textContent = api.i18n.getMessage("cover");
    box.append(document.createElement("span"), text);
    root.append(style, box);
    return host;
  };

  globalThis.keysteadCover = (on) => {
    if (shown) {
      clearTimeout(shown.timer);
      shown.host.remove();
      shown = undefined;
    }
    if (!on) return;
    const host = draw();
    document.documentElement.append(host);
    shown = { host, timer: setTimeout(() => globalThis.keysteadCover(false), LONGEST) };
  };
})();
