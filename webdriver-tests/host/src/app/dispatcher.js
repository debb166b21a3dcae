// The action bus: `window.mxDispatcher` with Element's `register`, `unregister`, `dispatch`, `fire`.

class Dispatcher {
    #callbacks = new Map();
    #lastId = 1;
    #dispatching = false;

    register(callback) {
        const id = `ID_${this.#lastId++}`;
        this.#callbacks.set(id, callback);
        return id;
    }

    unregister(id) {
        this.#callbacks.delete(id);
    }

    /** Tells every callback; a moment later, unless `sync`. */
    dispatch(payload, sync = false) {
        if (sync) this.#deliver(payload);
        else setTimeout(() => this.#deliver(payload), 0);
    }

    fire(action, sync = false) {
        this.dispatch({ action }, sync);
    }

    isDispatching() {
        return this.#dispatching;
    }

    #deliver(payload) {
        if (this.#dispatching) throw new Error("Dispatch.dispatch(...): Cannot dispatch in the middle of a dispatch.");
        this.#dispatching = true;
        try {
            for (const [id, callback] of [...this.#callbacks]) {
                if (this.#callbacks.has(id)) callback(payload);
            }
        } finally {
            this.#dispatching = false;
        }
    }
}

export const dispatcher = new Dispatcher();
window.mxDispatcher = dispatcher;
