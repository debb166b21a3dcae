// Before the page hook, in the page's own world: keeps what messages the page gets, and which memories its WASM has.
(() => {
    const messages = [];
    const memories = [];
    const write = (value) => {
        try {
            return typeof value === "string" ? value : JSON.stringify(value);
        } catch {
            return String(value);
        }
    };
    const keep = (event) => messages.push(write(event.data));
    addEventListener("message", keep, true);
    for (const type of [MessagePort, Worker, BroadcastChannel]) {
        const { set, get } = Object.getOwnPropertyDescriptor(type.prototype, "onmessage");
        Object.defineProperty(type.prototype, "onmessage", {
            configurable: true,
            enumerable: true,
            get,
            set(handler) {
                this.addEventListener("message", keep);
                set.call(this, handler);
            },
        });
    }
    const watched = (instantiate) =>
        async function (...args) {
            const result = await instantiate.apply(this, args);
            const { exports } = result.instance ?? result;
            for (const value of Object.values(exports)) if (value instanceof WebAssembly.Memory) memories.push(value);
            return result;
        };
    WebAssembly.instantiate = watched(WebAssembly.instantiate);
    WebAssembly.instantiateStreaming = watched(WebAssembly.instantiateStreaming);

    globalThis.keysteadMessages = () => messages.join("\n");
    // The memory as Latin-1 in base64, in parts that a WebDriver answer can hold.
    globalThis.keysteadMemory = (memory, from, length) => {
        const bytes = new Uint8Array(memories[memory].buffer).subarray(from, from + length);
        let text = "";
        for (let at = 0; at < bytes.length; at += 8192) text += String.fromCharCode(...bytes.subarray(at, at + 8192));
        return btoa(text);
    };
    globalThis.keysteadMemories = () => memories.map((memory) => memory.buffer.byteLength);
    globalThis.keysteadPlantInMemory = (bytes) => {
        for (const memory of memories) {
            const at = memory.buffer.byteLength;
            memory.grow(1);
            new Uint8Array(memory.buffer).set(bytes, at);
        }
        return memories.length;
    };
    globalThis.keysteadPlantMessage = (text) => {
        const { port1, port2 } = new MessageChannel();
        return new Promise((resolve) => {
            port1.onmessage = () => resolve(true);
            port2.postMessage({ text });
        });
    };
})();
