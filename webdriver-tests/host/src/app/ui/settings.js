// Settings, tab Encryption: what Element lets a person do to recovery, key storage and identity. Each button makes
// the SDK calls Element makes, in the same order.
import { BACKUP_DISABLED, RECOVERY, deviceListener } from "../device-listener.js";
import { interactiveAuth } from "../interactive-auth.js";
import { withSecretStorageKey } from "../secret-storage-access.js";
import { showDialog } from "./dialogs.js";
import { button, h } from "./dom.js";

/** Makes a new recovery key the account's; resolves to it in its written form. */
export async function changeRecoveryKey(client) {
    const crypto = client.getCrypto();
    const recoveryKey = await crypto.createRecoveryKeyFromPassphrase();
    await withSecretStorageKey(() =>
        crypto.bootstrapSecretStorage({ setupNewSecretStorage: true, createSecretStorageKey: async () => recoveryKey }),
    );
    await client.setAccountData(RECOVERY, { enabled: true });
    return recoveryKey.encodedPrivateKey;
}

async function withoutPrompts(client, operation) {
    deviceListener().stop();
    try {
        await operation(client.getCrypto());
    } finally {
        deviceListener().start(client);
    }
}

/** Deletes the key backup and secret storage. */
export const deleteKeyStorage = (client) =>
    withoutPrompts(client, async (crypto) => {
        await crypto.disableKeyStorage();
        await client.setAccountData(BACKUP_DISABLED, { disabled: true });
    });

/** Turns key storage on again. */
export const allowKeyStorage = (client) =>
    withoutPrompts(client, async (crypto) => {
        const backup = await crypto.checkKeyBackupAndEnable();
        const usable = backup && (backup.trustInfo.trusted || backup.trustInfo.matchesDecryptionKey);
        if (!usable) {
            await crypto.resetKeyBackup();
            await crypto.checkKeyBackupAndEnable();
        }
        await client.setAccountData(BACKUP_DISABLED, { disabled: false });
    });

/** Makes a new identity; the person confirms with the password. */
export const resetIdentity = (client) =>
    client.getCrypto().resetEncryption((makeRequest) => interactiveAuth(client, makeRequest));

/** Opens the dialog. */
export function openSettings(client) {
    return showDialog("mx_UserSettingsDialog", "Settings: Encryption", (close) => {
        const status = h("output.mx_EncryptionUserSettingsTab_status");
        const action = (name, label, run) =>
            button(`.mx_EncryptionUserSettingsTab_${name}`, label, async (event) => {
                event.target.disabled = true;
                status.textContent = "…";
                try {
                    status.textContent = (await run(client)) ?? "Done";
                    status.dataset.done = name;
                } catch (error) {
                    console.error(error);
                    status.textContent = `Failed: ${error.message}`;
                    status.dataset.failed = name;
                }
                event.target.disabled = false;
            });
        return [
            h(
                "div.mx_EncryptionUserSettingsTab",
                {},
                action("changeRecoveryKey", "Change recovery key", changeRecoveryKey),
                action("deleteKeyStorage", "Delete key storage", deleteKeyStorage),
                action("allowKeyStorage", "Allow key storage", allowKeyStorage),
                action("resetIdentity", "Reset cryptographic identity", resetIdentity),
                status,
            ),
            button(".mx_Dialog_cancelButton", "Close", () => close(null)),
        ];
    });
}
