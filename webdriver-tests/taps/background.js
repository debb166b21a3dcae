// Before the background: tells the test what the extension logs. `WITNESS` is the test's own server.
const tapConsole = (witness) => {
    for (const level of ["debug", "error", "info", "log", "trace", "warn"]) {
        const own = console[level].bind(console);
        console[level] = (...words) => {
            own(...words);
            const text = words.map((word) => (typeof word === "string" ? word : (JSON.stringify(word) ?? String(word)))).join(" ");
            void fetch(`${witness}/console`, { method: "POST", body: text });
        };
    }
    (globalThis.browser ?? chrome).runtime.onMessage.addListener((message) => {
        if (typeof message?.plant_in_log === "string") console.log(message.plant_in_log);
    });
};
tapConsole("WITNESS");
