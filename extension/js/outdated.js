// ISOLATED world, in a tab whose page was there before something that it must be loaded again for. Says so, and has the page
// loaded again as soon as the person loses nothing by it and had the time to read why. The script after this one knows the
// words and the reason, and whether it is over.
globalThis.keysteadSayOutdated = ({ words, detail, reason, isOver }) => {
  if (globalThis.keysteadOutdated) return;
  globalThis.keysteadOutdated = true;
  const api = globalThis.browser ?? chrome;
  const getMessage = (name) => api.i18n.getMessage(name);
  const READ_WITHIN = 6000;
  const LOOK_EVERY = 500;

  const el = (name, text, ...children) => {
    const element = document.createElement(name);
    element.textContent = text;
    element.append(...children);
    return element;
  };
  const host = el("keystead-update", "");
  const reload = el("button", getMessage("pins_reload"));
  [reload.type, reload.className] = ["button", "first"];
  // Nobody but the person presses it.
  reload.addEventListener("click", (event) => event.isTrusted && location.reload());
  const section = el("section", "", el("h2", words), el("p", detail), el("menu", "", reload));
  section.className = "critical";
  section.setAttribute("role", "status");
  host.attachShadow({ mode: "closed" }).append(el("style", keysteadNoticeStyle), section);

  // What other versions left, or say later, says less. It is hidden before it is seen; what is put where is seen to by the
  // clock, or two of them could put themselves in each other's place for ever.
  const hide = () => {
    for (const left of document.querySelectorAll("keystead-notice, keystead-update")) {
      if (left !== host) left.style.display = "none";
    }
  };
  const hiding = new MutationObserver(hide);
  hiding.observe(document.documentElement, { childList: true, subtree: true });

  // After the room's header; where no room is shown, at the top of the window.
  const place = () => {
    hide();
    const header = document.querySelector("header.mx_RoomHeader");
    const left = header?.nextElementSibling;
    const before = left?.localName === "keystead-notice" ? left : header;
    host.style.cssText = before ? "" : "position: fixed; inset: 0 0 auto; z-index: 2147483647;";
    host.style.colorScheme = ["light", "dark"].find((scheme) => document.querySelector(`.cpd-theme-${scheme}`)) ?? "";
    if (before && before.nextElementSibling !== host) before.after(host);
    else if (!before && host.parentNode !== document.body) document.body.append(host);
  };

  // Since when nothing is under way that the person did, or has the page do.
  let since = performance.now();
  const wait = () => (since = performance.now());
  for (const kind of ["keydown", "pointerdown", "input"]) {
    window.addEventListener(kind, ({ isTrusted }) => isTrusted && wait(), true);
  }
  let asking = false;
  const look = async () => {
    place();
    if (keysteadBusy()) wait();
    if (asking || performance.now() - since < READ_WITHIN) return;
    asking = true;
    if (await isOver().catch(() => false)) {
      clearInterval(looking);
      hiding.disconnect();
      host.remove();
      globalThis.keysteadOutdated = false;
      return;
    }
    // A tab is loaded again by itself once: a page that is outdated for ever stays as it is, and says so.
    const answer = await api.runtime.sendMessage({ outdated: reason }).catch(() => "later");
    if (answer === "now") return location.reload();
    if (answer !== "later") return;
    wait();
    asking = false;
  };
  place();
  const looking = setInterval(() => look().catch(() => {}), LOOK_EVERY);
};
