// What a person can do to recovery, key storage and identity: the SDK calls Element makes, in the same order.
import { initialiseDehydrationIfEnabled } from "./dehydration.js";
import { BACKUP_DISABLED, RECOVERY, deviceListener } from "./device-listener.js";
import { interactiveAuth } from "./interactive-auth.js";
import { withSecretStorageKey } from "./secret-storage-access.js";

/** Makes `recoveryKey` (from `createRecoveryKeyFromPassphrase`) the account's. */
export async function setRecoveryKey(client, recoveryKey) {
    await withSecretStorageKey(async () => {
        await client.getCrypto().bootstrapSecretStorage({
            setupNewSecretStorage: true,
            createSecretStorageKey: async () => recoveryKey,
        });
        await initialiseDehydrationIfEnabled(client, { createNewKey: true });
    });
    await client.setAccountData(RECOVERY, { enabled: true });
}

/** Deletes the key backup and secret storage, and notes that the person wants none. */
export const deleteKeyStorage = (client) =>
    withoutPrompts(client, async (crypto) => {
        await crypto.disableKeyStorage();
        await client.setAccountData(BACKUP_DISABLED, { disabled: true });
    });

/** Turns the key backup on again. */
export const allowKeyStorage = (client) =>
    withoutPrompts(client, async (crypto) => {
        const backup = await crypto.checkKeyBackupAndEnable();
        if (!backup?.trustInfo.trusted && !backup?.trustInfo.matchesDecryptionKey) {
            await crypto.resetKeyBackup();
            await crypto.checkKeyBackupAndEnable();
        }
        await client.setAccountData(BACKUP_DISABLED, { disabled: false });
    });

/** Makes a new identity; the person confirms with the password. */
export const resetIdentity = (client) =>
    client.getCrypto().resetEncryption((makeRequest) => interactiveAuth(client, makeRequest));

async function withoutPrompts(client, operation) {
    deviceListener().stop();
    try {
        await operation(client.getCrypto());
    } finally {
        deviceListener().start(client);
    }
}
