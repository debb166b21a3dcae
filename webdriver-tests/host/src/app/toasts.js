// Prompts in the corner: `window.mxToastStore`.
import { TypedEventEmitter } from "host:matrix-js-sdk";

class ToastStore extends TypedEventEmitter {
    #toasts = [];
    #countSeen = 0;

    reset() {
        this.#toasts = [];
        this.#countSeen = 0;
    }

    /** Adds `{key, title, priority, props}`; one with the same key is replaced. */
    addOrReplaceToast(toast) {
        const index = this.#toasts.findIndex(({ key }) => key === toast.key);
        if (index >= 0) this.#toasts[index] = toast;
        else {
            const lower = this.#toasts.findIndex(({ priority }) => priority < toast.priority);
            this.#toasts.splice(lower < 0 ? this.#toasts.length : lower, 0, toast);
        }
        this.emit("update");
    }

    dismissToast(key) {
        const before = this.#toasts.length;
        if (this.#toasts[0]?.key === key) this.#countSeen++;
        this.#toasts = this.#toasts.filter((toast) => toast.key !== key);
        if (this.#toasts.length === before) return;
        if (this.#toasts.length === 0) this.#countSeen = 0;
        this.emit("update");
    }

    getToasts() {
        return this.#toasts;
    }

    getCountSeen() {
        return this.#countSeen;
    }
}

/** The one store. */
export const toastStore = () => (window.mxToastStore ??= new ToastStore());
