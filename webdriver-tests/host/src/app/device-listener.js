// Watches whether the account's encryption is in order, and prompts if not: `window.mxDeviceListener`.
import { ClientEvent, CryptoEvent, RoomStateEvent } from "host:matrix-js-sdk";
import { hideSetupToast, showSetupToast } from "./setup-toast.js";
import { isSecretStorageBeingAccessed } from "./secret-storage-access.js";

/** Account data of Element X: no key backup wanted. */
export const BACKUP_DISABLED = "m.org.matrix.custom.backup_disabled";
/** Account data: recovery wanted or not. */
export const RECOVERY = "io.element.recovery";

const WATCHED = /^(m\.secret_storage\.|m\.cross_signing\.|m\.megolm_backup\.v1$|m\.org\.matrix\.custom\.backup_disabled$|io\.element\.recovery$)/;

class DeviceListener {
    #client = null;
    #dismissed = false;
    #again = false;
    #checking = false;
    #listeners = [];

    start(client) {
        const recheck = () => void this.recheck();
        const ownTrust = (userId) => userId === client.getSafeUserId() && recheck();
        this.#client = client;
        this.#listeners = [
            [CryptoEvent.DevicesUpdated, recheck],
            [CryptoEvent.UserTrustStatusChanged, ownTrust],
            [CryptoEvent.KeysChanged, recheck],
            [CryptoEvent.KeyBackupStatus, recheck],
            [ClientEvent.AccountData, (event) => WATCHED.test(event.getType()) && recheck()],
            [ClientEvent.Sync, (state, previous) => state === "PREPARED" && previous === null && recheck()],
            [RoomStateEvent.Events, (event) => event.getType() === "m.room.encryption" && recheck()],
        ];
        for (const [name, listener] of this.#listeners) client.on(name, listener);
        recheck();
    }

    stop() {
        for (const [name, listener] of this.#listeners) this.#client?.off(name, listener);
        this.#client = null;
        this.#dismissed = false;
        this.#listeners = [];
    }

    dismissEncryptionSetup() {
        this.#dismissed = true;
        void this.recheck();
    }

    recordKeyBackupDisabled() {
        return this.#client?.setAccountData(BACKUP_DISABLED, { disabled: true });
    }

    recordRecoveryDisabled() {
        return this.#client?.setAccountData(RECOVERY, { enabled: false });
    }

    /** Checks again; calls while a check runs become one more check after it. */
    async recheck() {
        this.#again = true;
        if (this.#checking) return;
        this.#checking = true;
        while (this.#again) {
            this.#again = false;
            await this.#check().catch((error) => console.error("Error during `DeviceListener.recheck`", error));
        }
        this.#checking = false;
    }

    async #check() {
        const client = this.#client;
        const crypto = client?.getCrypto();
        if (!crypto || !client.isInitialSyncComplete()) return;

        const [recovery, backup] = [
            await client.getAccountDataFromServer(RECOVERY),
            await client.getAccountDataFromServer(BACKUP_DISABLED),
        ];
        const crossSigningReady = await crypto.isCrossSigningReady();
        const own = await crypto.getDeviceVerificationStatus(client.getSafeUserId(), client.getDeviceId());
        const cached = (await crypto.getCrossSigningStatus()).privateKeysCachedLocally;
        const trusted = crossSigningReady && Boolean(own?.crossSigningVerified);
        const secretsCached = cached.masterKey && cached.selfSigningKey && cached.userSigningKey;
        const uploading = (await crypto.getActiveSessionBackupVersion()) !== null;
        const recoveryOff = recovery?.enabled === false;
        const recoveryOk = (await crypto.isSecretStorageReady()) || recoveryOff;
        const backupOk = uploading || Boolean(backup?.disabled);
        if (client !== this.#client) return;

        if (this.#dismissed || (trusted && secretsCached && backupOk && recoveryOk)) return hideSetupToast();
        if (isSecretStorageBeingAccessed() || !(await isInEncryptedRoom(client))) return;

        if (!trusted) showSetupToast("verify_this_session");
        else if (!secretsCached) showSetupToast("key_storage_out_of_sync");
        else if (!backupOk) showSetupToast("turn_on_key_storage");
        else if ((await client.secretStorage.getDefaultKeyId()) !== null) showSetupToast("key_storage_out_of_sync_store");
        else if (uploading && !recoveryOff) showSetupToast("set_up_recovery");
        else hideSetupToast();
    }
}

async function isInEncryptedRoom(client) {
    for (const { roomId } of client.getRooms()) {
        if (await client.getCrypto().isEncryptionEnabledInRoom(roomId)) return true;
    }
    return false;
}

/** The one listener. */
export const deviceListener = () => (window.mxDeviceListener ??= new DeviceListener());
