// New accounts: cross-signing keys and a key backup, made silently: `window.mxInitialCryptoStore`.
import { TypedEventEmitter } from "host:matrix-js-sdk";
import { interactiveAuth } from "./interactive-auth.js";

class InitialCryptoStore extends TypedEventEmitter {
    status = undefined;

    getStatus() {
        return this.status;
    }

    /** Sets the account up, then calls `onFinished`. */
    async start(client, onFinished) {
        const crypto = client.getCrypto();
        this.#tell("in_progress");
        try {
            await crypto.bootstrapCrossSigning({
                authUploadDeviceSigningKeys: (makeRequest) => interactiveAuth(client, makeRequest),
            });
            if ((await crypto.checkKeyBackupAndEnable()) === null) await crypto.resetKeyBackup();
            this.#tell("complete");
            onFinished();
        } catch (error) {
            console.error("Error bootstrapping cross-signing", error);
            this.#tell("error");
        }
    }

    #tell(status) {
        this.status = status;
        this.emit("update");
    }
}

/** The one store; it appears on the window when it is first asked for, as Element's does. */
export const initialCryptoStore = () => (window.mxInitialCryptoStore ??= new InitialCryptoStore());
