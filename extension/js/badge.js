// ISOLATED world. Marks those in Element's list of members and on a person's own panel whose room keys are held back.
(() => {
  const api = globalThis.browser ?? chrome;
  const getMessage = (name) => api.i18n.getMessage(name.replaceAll("-", "_"));
  const NAME = "keystead-badge";
  const STYLE = `
    :host { all: initial; color-scheme: light dark; }
    span { display: inline-block; margin: 0 4px; padding: 1px 7px; border-radius: 8px; white-space: nowrap;
      font: 500 12px/1.5 Inter, system-ui, sans-serif; color: light-dark(#8f3f09, #f7b98a); background: light-dark(#fdeadb, #44301f); }
    span.critical { color: light-dark(#a31515, #ffb4ab); background: light-dark(#fde4e1, #4b2224); }`;

  let held = new Map();
  let due = false;

  const badge = ({ code, severity }) => {
    const host = document.createElement(NAME);
    const text = document.createElement("span");
    text.textContent = getMessage("pins_badge");
    text.title = getMessage(code);
    text.className = severity;
    const style = document.createElement("style");
    style.textContent = STYLE;
    host.attachShadow({ mode: "closed" }).append(style, text);
    host.dataset.of = JSON.stringify([code, severity]);
    return host;
  };

  // The badge of a person in a place of Element's, as it is to be now.
  const mark = (place, user) => {
    const person = held.get(user);
    const there = place.querySelector(`:scope > ${NAME}`);
    const same = there?.dataset.of === (person && JSON.stringify([person.code, person.severity]));
    if (same) return;
    there?.remove();
    if (person) place.append(badge(person));
  };

  const draw = () => {
    due = false;
    for (const tile of document.querySelectorAll(".mx_MemberTileView")) {
      // The ID alone, or behind a name, which may look like one.
      const title = tile.querySelector(".mx_DisambiguatedProfile[title]")?.title ?? "";
      const user = [...held.keys()].find((id) => title === id || title.endsWith(`(${id})`));
      mark(tile.querySelector(".mx_MemberTileView_right") ?? tile, user);
    }
    for (const id of document.querySelectorAll(".mx_UserInfo_profile_mxid")) {
      const user = [...id.childNodes].find((node) => node.nodeType === Node.TEXT_NODE)?.data.trim() ?? "";
      mark(id, user);
    }
  };
  const soon = () => {
    if (!due) requestAnimationFrame(draw);
    due = true;
  };
  const observer = new MutationObserver(soon);

  globalThis.keysteadBadges = (people) => {
    held = new Map(people.map((person) => [person.user_id, person]));
    observer.disconnect();
    if (held.size > 0) observer.observe(document.documentElement, { childList: true, subtree: true, characterData: true });
    draw();
  };
})();
