// Hash routes: `#/login`, `#/home`, `#/room/!id`.

let lastSet = null;

/** The screen that the address names, or undefined. */
export function screenFromLocation() {
    const [path] = decodeURIComponent(window.location.hash).slice(1).split("?");
    return path.replace(/^\//, "") || undefined;
}

/** Puts the screen that is shown into the address. */
export function onNewScreen(screen) {
    lastSet = `#/${screen}`;
    window.location.assign(lastSet);
}

/** Calls `show` whenever the person (or a link) changes the hash. */
export function watchHash(show) {
    window.addEventListener("hashchange", () => {
        if (decodeURIComponent(window.location.hash) === lastSet) return;
        lastSet = null;
        show(screenFromLocation() ?? "welcome");
    });
}
