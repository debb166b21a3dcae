// Elements without ceremony.

/** Makes an element: `h("button.mx_Login_submit#id", {onclick}, "Sign in")`. */
export function h(selector, attributes = {}, ...children) {
    const [, tag, rest] = /^([a-z0-9]+)(.*)$/.exec(selector);
    const element = document.createElement(tag);
    for (const [, mark, name] of rest.matchAll(/([.#])([^.#]+)/g)) {
        if (mark === ".") element.classList.add(name);
        else element.id = name;
    }
    for (const [name, value] of Object.entries(attributes)) {
        if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
        else if (value === true) element.setAttribute(name, "");
        else if (value !== false && value !== undefined && value !== null) element.setAttribute(name, value);
    }
    element.append(...children.filter((child) => child !== null && child !== undefined));
    return element;
}

/** A button of Element's kind: a focusable element with the role. */
export const button = (selector, label, onclick, attributes = {}) =>
    h(`button${selector}`, { type: "button", onclick, ...attributes }, label);

/** The text for `key`. */
export const text = (key) => window.hostTexts?.[key] ?? key;
