// The app's own IndexedDB database, with the names Element uses: `pickleKey` and `account`.

let database;

function open() {
    database ??= new Promise((resolve, reject) => {
        const request = indexedDB.open("matrix-react-sdk", 1);
        request.onerror = () => reject(request.error);
        request.onsuccess = () => resolve(request.result);
        request.onupgradeneeded = () => {
            request.result.createObjectStore("pickleKey");
            request.result.createObjectStore("account");
        };
    });
    return database;
}

async function run(table, mode, operation) {
    const store = (await open()).transaction([table], mode).objectStore(table);
    return new Promise((resolve, reject) => {
        const request = operation(store);
        request.onerror = () => reject(request.error);
        request.onsuccess = () => resolve(request.result);
    });
}

export const idbLoad = (table, key) => run(table, "readonly", (store) => store.get(key));
export const idbSave = (table, key, value) => run(table, "readwrite", (store) => store.put(value, key));
export const idbDelete = (table, key) => run(table, "readwrite", (store) => store.delete(key));
export const idbClear = (table) => run(table, "readwrite", (store) => store.clear());
