// Before the background: names every effect that is over, and does not let the run know of it before the test says so.
// Requests of one moment are one effect; so is a write to the database, and an answer of the page. `WITNESS` is the test's.
(() => {
    const witness = "WITNESS";
    const fetchOwn = globalThis.fetch.bind(globalThis);
    const api = globalThis.browser ?? chrome;
    const over = (name) => fetchOwn(`${witness}/point?name=${encodeURIComponent(name)}`, { cache: "no-store" }).catch(() => {});

    let batch;
    globalThis.fetch = async (request, init) => {
        const url = new URL(request.url ?? request, location.href);
        if (!url.protocol.startsWith("http")) return fetchOwn(request, init);
        if (!batch) {
            const opened = { names: [], answers: [] };
            batch = opened;
            // All requests of an effect are made before the next task.
            opened.done = new Promise((resolve) => setTimeout(resolve))
                .then(() => (batch = undefined))
                .then(() => Promise.allSettled(opened.answers))
                .then(() => over([...new Set(opened.names)].join(" + ")));
        }
        const mine = batch;
        const path = url.pathname.replace(/^.*\/(user|client\/v3)\/(@|%40)[^/]+\//, "").replace(/\.key\.\w+$/, ".key.ID");
        mine.names.push(`${request.method ?? init?.method ?? "GET"} ${path}`);
        const answer = fetchOwn(request, init);
        mine.answers.push(answer);
        await mine.done;
        return answer;
    };

    const writes = new WeakMap();
    for (const method of ["put", "delete"]) {
        const own = IDBObjectStore.prototype[method];
        IDBObjectStore.prototype[method] = function (...args) {
            const key = String(method === "put" ? args[1] : args[0]).split("|")[0];
            writes.set(this.transaction, `${method} ${this.name}/${this.name === "records" ? key : "key"}`);
            return own.apply(this, args);
        };
    }
    const { get, set } = Object.getOwnPropertyDescriptor(IDBTransaction.prototype, "oncomplete");
    Object.defineProperty(IDBTransaction.prototype, "oncomplete", {
        configurable: true,
        enumerable: true,
        get,
        set(handler) {
            set.call(this, async (event) => {
                const name = writes.get(this);
                if (name) await over(name);
                handler?.call(this, event);
            });
        },
    });

    const listen = api.runtime.onConnect.addListener.bind(api.runtime.onConnect);
    const wrapped = (port) =>
        new Proxy(port, {
            get(target, name) {
                const value = target[name];
                if (name !== "onMessage") return typeof value === "function" ? value.bind(target) : value;
                const addListener = (listener) =>
                    target.onMessage.addListener(async (message) => {
                        if (message.tell === "done") await over(`page ${message.answer.page}`);
                        listener(message);
                    });
                return { addListener };
            },
        });
    globalThis.keysteadOnConnect = (listener) => listen((port) => listener(wrapped(port)));
})();
