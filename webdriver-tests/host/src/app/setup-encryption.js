// Accounts with cross-signing keys, on a new device: `window.mxSetupEncryptionStore`.
import { CryptoEvent, TypedEventEmitter } from "host:matrix-js-sdk";
import { clientPeg } from "./client-peg.js";
import { initialiseDehydrationIfEnabled } from "./dehydration.js";
import { accessSecretStorage } from "./secret-storage-access.js";

/** What the view shows; the numbers are Element's. */
export const Phase = { Loading: 0, Intro: 1, Busy: 2, Done: 3, ConfirmSkip: 4, Finished: 5 };

class SetupEncryptionStore extends TypedEventEmitter {
    phase = undefined;
    keyId = null;
    keyInfo = null;
    hasDevicesToVerifyAgainst = undefined;
    #started = false;

    start() {
        if (this.#started) return;
        this.#started = true;
        this.phase = Phase.Loading;
        clientPeg.safeGet().on(CryptoEvent.UserTrustStatusChanged, this.#onTrust);
        void this.fetchKeyInfo();
    }

    stop() {
        this.#started = false;
        clientPeg.get()?.off(CryptoEvent.UserTrustStatusChanged, this.#onTrust);
    }

    async fetchKeyInfo() {
        const client = clientPeg.safeGet();
        const keys = (await client.secretStorage.isStored("m.cross_signing.master")) ?? {};
        [this.keyId = null] = Object.keys(keys);
        this.keyInfo = this.keyId ? keys[this.keyId] : null;

        const userId = client.getSafeUserId();
        const devices = (await client.getCrypto().getUserDeviceInfo([userId])).get(userId)?.values() ?? [];
        this.hasDevicesToVerifyAgainst = false;
        for (const device of devices) {
            if (device.dehydrated || !device.getIdentityKey()) continue;
            const status = await client.getCrypto().getDeviceVerificationStatus(userId, device.deviceId);
            this.hasDevicesToVerifyAgainst ||= Boolean(status?.signedByOwner);
        }
        this.#show(Phase.Intro);
    }

    async usePassPhrase() {
        this.#show(Phase.Busy);
        const client = clientPeg.safeGet();
        const crypto = client.getCrypto();
        try {
            const backup = await crypto.getKeyBackupInfo();
            await accessSecretStorage(async () => {
                await initialiseDehydrationIfEnabled(client);
                if (!backup) return;
                await crypto.loadSessionBackupPrivateKeyFromSecretStorage();
                await crypto.restoreKeyBackup();
            });
            if (await crypto.getCrossSigningKeyId()) this.#show(Phase.Done);
        } catch (error) {
            console.error("SetupEncryptionStore.usePassphrase:", error);
            this.#show(Phase.Intro);
        }
    }

    skip() {
        this.#show(Phase.ConfirmSkip);
    }

    returnAfterSkip() {
        this.#show(Phase.Intro);
    }

    skipConfirm() {
        this.#show(Phase.Finished);
    }

    done() {
        this.#show(Phase.Finished);
    }

    #onTrust = async (userId) => {
        const client = clientPeg.safeGet();
        if (userId !== client.getSafeUserId()) return;
        if (await client.getCrypto().getCrossSigningKeyId()) this.#show(Phase.Done);
    };

    #show(phase) {
        this.phase = phase;
        this.emit("update");
    }
}

/** The one store; it appears on the window when it is first asked for. */
export const setupEncryptionStore = () => (window.mxSetupEncryptionStore ??= new SetupEncryptionStore());
