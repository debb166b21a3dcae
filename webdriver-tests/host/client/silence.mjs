// The SDK, and the crypto WASM below it, write to the console: stdout is for the answer alone.

/** Lets nothing of it through. */
export function silence() {
    for (const method of ["debug", "error", "group", "groupCollapsed", "info", "log", "trace", "warn"]) {
        console[method] = () => {};
    }
    process.removeAllListeners("warning");
}
