// Everything that this origin has stored, a text for each kind of store; bytes are written in hexadecimal.
const keysteadStored = async () => {
    const seen = new Set();
    const hex = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
    const write = (value) => {
        if (typeof value === "string") return value;
        if (value === null || typeof value !== "object") return String(value);
        if (value instanceof ArrayBuffer) return hex(new Uint8Array(value));
        if (ArrayBuffer.isView(value)) return hex(new Uint8Array(value.buffer, value.byteOffset, value.byteLength));
        if (value instanceof CryptoKey) return `CryptoKey ${value.algorithm.name} extractable ${value.extractable}`;
        if (seen.has(value)) return "again";
        seen.add(value);
        if (value instanceof Map || value instanceof Set) return [...value].map(write).join("\n");
        return Object.entries(value).flatMap(([key, inner]) => [key, write(inner)]).join("\n");
    };
    const settled = (request) =>
        new Promise((resolve, reject) => {
            request.onsuccess = () => resolve(request.result);
            request.onerror = () => reject(request.error);
        });
    const places = { cookies: globalThis.document?.cookie ?? "" };
    for (const name of ["localStorage", "sessionStorage"]) {
        if (globalThis[name]) places[name] = write({ ...globalThis[name] });
    }
    const databases = [];
    for (const { name } of await indexedDB.databases()) {
        const database = await settled(indexedDB.open(name));
        for (const store of database.objectStoreNames) {
            const objects = database.transaction(store).objectStore(store);
            databases.push(`${name} ${store}`, write(await settled(objects.getAllKeys())), write(await settled(objects.getAll())));
        }
        database.close();
    }
    places.indexedDB = databases.join("\n");
    const cached = [];
    for (const name of (await globalThis.caches?.keys()) ?? []) {
        const cache = await caches.open(name);
        for (const response of await cache.matchAll()) cached.push(await response.text());
    }
    places.caches = cached.join("\n");
    const api = globalThis.browser ?? globalThis.chrome;
    for (const area of ["local", "session", "managed", "sync"]) {
        const stored = await api?.storage?.[area]?.get(null).catch(() => null);
        if (stored) places[`storage.${area}`] = write(stored);
    }
    return places;
};
// As JSON, and as one text.
globalThis.keysteadPlaces = async () => JSON.stringify(await keysteadStored());
globalThis.keysteadStorages = async () => Object.values(await keysteadStored()).join("\n");

// Plants a control of the same kinds: texts, and raw bytes in a database.
globalThis.keysteadPlant = async (texts, bytes) => {
    for (const name of ["localStorage", "sessionStorage"]) globalThis[name]?.setItem("keystead-control", texts.join(" "));
    const api = globalThis.browser ?? globalThis.chrome;
    for (const area of ["local", "session"]) await api?.storage?.[area]?.set({ "keystead-control": texts.join(" ") });
    const opening = indexedDB.open("keystead-control", 1);
    opening.onupgradeneeded = () => opening.result.createObjectStore("control");
    const database = await new Promise((resolve, reject) => {
        opening.onsuccess = () => resolve(opening.result);
        opening.onerror = () => reject(opening.error);
    });
    const transaction = database.transaction("control", "readwrite", { durability: "strict" });
    transaction.objectStore("control").put(Uint8Array.from(bytes), "bytes");
    transaction.objectStore("control").put(texts.join(" "), "texts");
    await new Promise((resolve, reject) => {
        transaction.oncomplete = resolve;
        transaction.onerror = reject;
    });
    database.close();
    return true;
};
