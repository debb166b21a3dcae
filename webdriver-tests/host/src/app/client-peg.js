// Holds the one Matrix client: `window.mxMatrixClientPeg`.
import { IndexedDBStore, PendingEventOrdering, createClient, decodeBase64 } from "host:matrix-js-sdk";
import { initialiseDehydrationIfEnabled } from "./dehydration.js";
import { startClientActions, stopClientActions } from "./client-actions.js";
import { secretStorageCallbacks } from "./secret-storage-access.js";
import { slidingSyncFor } from "./sliding-sync.js";

/** A client with the persistent sync store, run by the dedicated worker. */
export function createStoredClient(options) {
    const store = new IndexedDBStore({
        indexedDB,
        dbName: "riot-web-sync",
        localStorage,
        workerFactory: () => new Worker(new URL("indexeddb.worker.js", hostAssets.publicPath)),
    });
    return createClient({ store, useAuthorizationHeader: true, ...options });
}

class MatrixClientPeg {
    #client = null;
    #cryptoKey;

    get() {
        return this.#client;
    }

    safeGet() {
        if (!this.#client) throw new Error("User is not logged in");
        return this.#client;
    }

    unset() {
        this.#client = null;
        stopClientActions();
    }

    replaceUsingCreds({ homeserverUrl, accessToken, userId, deviceId, pickleKey, guest }) {
        this.#cryptoKey = pickleKey ? decodeBase64(pickleKey) : undefined;
        this.#client = createStoredClient({
            baseUrl: homeserverUrl,
            accessToken,
            userId,
            deviceId,
            pickleKey,
            timelineSupport: true,
            cryptoCallbacks: { ...secretStorageCallbacks },
        });
        this.#client.setGuest(Boolean(guest));
    }

    /** Prepares store and crypto, without syncing. */
    async assign() {
        const client = this.safeGet();
        await client.store.startup();
        await client.initRustCrypto({ storageKey: this.#cryptoKey });
        this.#cryptoKey?.fill(0);
        localStorage.setItem("mx_crypto_initialised", "true");
        await initialiseDehydrationIfEnabled(client, { onlyIfKeyCached: true, rehydrate: false }).catch(() => {});
        startClientActions(client);
    }

    async start() {
        await this.assign();
        await this.safeGet().startClient({
            initialSyncLimit: 20,
            pendingEventOrdering: PendingEventOrdering.Detached,
            lazyLoadMembers: true,
            clientWellKnownPollPeriod: 2 * 60 * 60,
            threadSupport: true,
            slidingSync: slidingSyncFor(this.safeGet()),
        });
    }
}

export const clientPeg = new MatrixClientPeg();
window.mxMatrixClientPeg = clientPeg;
