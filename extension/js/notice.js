// ISOLATED world. Says in the room, after its header, whose keys are not as they were, and takes the person's answer. What
// it says comes from the background; a page can hide it, so the extension's own popup says the same.
(() => {
  const api = globalThis.browser ?? chrome;
  const getMessage = (name, ...values) => api.i18n.getMessage(name.replaceAll("-", "_"), values);
  let host;
  let root;
  let current = { people: [], stopped: false, waits: false };
  let [drawn, decide] = ["", () => {}];
  // Read while the extension is there to be asked.
  const STOPPED = [getMessage("pins_stopped"), getMessage("pins_stopped_do")];
  const WAITS = [getMessage("pins_waits"), getMessage("pins_waits_do")];
  const RELOAD = getMessage("pins_reload");

  const el = (name, text, ...children) => {
    const element = document.createElement(name);
    if (text) element.textContent = text;
    element.append(...children);
    return element;
  };
  const classed = (element, name) => Object.assign(element, { className: name });
  const button = (text, press) => {
    const made = el("button", text);
    made.type = "button";
    // Nobody but the person presses it.
    made.addEventListener("click", (event) => event.isTrusted && press());
    return made;
  };
  const moment = (at) => new Date(at).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });

  // The security codes, as far as there are any.
  const codes = ({ old_code: old, new_code: fresh }) => {
    const rows = [["pins_old_code", old, "old"], [old ? "pins_new_code" : "pins_code", fresh, "new"]].filter(([, code]) => code);
    const row = ([name, code, kind]) => [el("dt", getMessage(name)), classed(el("dd", code), kind)];
    return rows.length > 0 ? [el("dl", "", ...rows.flatMap(row))] : [];
  };

  // What is asked about where it is no identity: devices, each with the key that it signs with.
  const devices = ({ shown }) => {
    if (shown.identity) return [];
    const rows = Object.entries(shown.devices).map(([id, key]) => [el("dt", id), el("dd", key.match(/.{1,4}/g).join(" "))]);
    return rows.length > 0 ? [classed(el("p", getMessage("pins_devices")), "muted"), el("dl", "", ...rows.flat())] : [];
  };

  // What comes of it, for what is sent now.
  const effect = ({ held, acceptable, shown, severity }) => {
    if (severity === "notice") return getMessage("pins_newcomer");
    if (!held) return getMessage("pins_not_held");
    return getMessage(acceptable ? (shown.identity ? "pins_held_person" : "pins_held_device") : "pins_held_invalid");
  };

  const history = ({ history: lines }) => {
    const line = ({ at, what }) => el("li", "", el("time", moment(at)), getMessage(what.seen ?? `pins_event_${what}`));
    return el("details", "", el("summary", getMessage("pins_history")), el("ol", "", ...lines.map(line)));
  };

  const plain = ([title, text], kind, ...more) => classed(el("section", "", el("h2", title), el("p", text), ...more), kind);

  const notice = (person) => {
    const { user_id, code, since, acceptable, severity, shown } = person;
    const say = (decision) => decide({ tell: "decide", user_id, decision });
    const accept = (compared) => say({ decision: "accept", shown, compared });
    const who = classed(el("p", `${user_id} · ${getMessage("pins_since", moment(since))}`), "muted who");
    const why = classed(el("p", getMessage(`${code}_do`)), "muted");
    const menu = el("menu");
    const problem = person.roster ? [classed(el("p", `${getMessage("pins_roster_problem")} ${getMessage(person.roster)}`), "muted")] : [];
    const section = el("section", "", who, el("h2", getMessage(code)), el("p", effect(person)), why, ...problem);
    section.className = severity;
    section.append(...codes(person), ...devices(person), history(person), menu);
    if (acceptable && person.new_code) {
      const compare = button(getMessage("pins_compare"), () => {
        section.classList.add("comparing");
        section.insertBefore(el("p", getMessage("pins_compare_help")), section.querySelector("dl"));
        const same = classed(button(getMessage("pins_compared"), () => accept(true)), "first");
        compare.replaceWith(same);
        same.focus();
      });
      menu.append(classed(compare, "first"));
    }
    if (current.ask_it) {
      const ask = el("a", getMessage("pins_ask_it"));
      [ask.href, ask.target, ask.rel] = [current.ask_it, "_blank", "noreferrer noopener"];
      menu.append(ask);
    }
    if (severity === "notice") {
      menu.append(button(getMessage("pins_ok"), () => accept(false)));
      return section;
    }
    if (acceptable) menu.append(button(getMessage("pins_accept"), () => accept(false)));
    menu.append(button(getMessage("pins_keep"), () => say({ decision: "keep_holding" })));
    return section;
  };

  // Several newcomers are one notice, which names them; the popup has each with its security code.
  const newcomers = (people) => {
    if (people.length < 2) return people.map(notice);
    const ok = () => people.forEach(({ user_id }) => decide({ tell: "decide", user_id, decision: { decision: "keep_holding" } }));
    const who = classed(el("p", people.map(({ user_id }) => user_id).join(", ")), "who");
    const said = [el("p", getMessage("pins_newcomer")), classed(el("p", getMessage("KS_PIN_NEWCOMER_do")), "muted")];
    const menu = el("menu", "", button(getMessage("pins_ok"), ok));
    return [classed(el("section", "", el("h2", getMessage("KS_PIN_NEWCOMER")), who, ...said, menu), "notice")];
  };

  const draw = () => {
    const text = JSON.stringify(current);
    if (text === drawn) return;
    drawn = text;
    const reload = el("menu", "", classed(button(RELOAD, () => location.reload()), "first"));
    const sections = current.waits ? [plain(WAITS, "notice")] : [];
    if (current.stopped) sections.splice(0, 1, plain(STOPPED, "critical", reload));
    else {
      const isNew = ({ severity }) => severity === "notice";
      sections.push(...current.people.filter((one) => !isNew(one)).map(notice), ...newcomers(current.people.filter(isNew)));
    }
    const box = el("div", "", ...sections);
    box.setAttribute("role", "status");
    // As Element draws itself, where it says so.
    host.style.colorScheme = ["light", "dark"].find((scheme) => document.querySelector(`.cpd-theme-${scheme}`)) ?? "";
    root.replaceChildren(el("style", keysteadNoticeStyle), box);
  };

  // Element draws the room anew when another one is opened.
  const place = () => {
    const header = document.querySelector("header.mx_RoomHeader");
    if (header && header.nextElementSibling !== host) header.after(host);
  };
  const observer = new MutationObserver(place);

  globalThis.keysteadNotice = (change, send) => {
    current = { ...current, ...change };
    decide = send ?? decide;
    if (current.people.length === 0 && !current.stopped && !current.waits) {
      observer.disconnect();
      host?.remove();
      drawn = "";
      return;
    }
    if (!host) {
      host = document.createElement("keystead-notice");
      root = host.attachShadow({ mode: "closed" });
    }
    draw();
    place();
    observer.observe(document.documentElement, { childList: true, subtree: true });
  };
})();
