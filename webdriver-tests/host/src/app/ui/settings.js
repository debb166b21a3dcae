// The settings dialog, tab Encryption: states, names and texts as Element has them.
import { CryptoEvent } from "host:matrix-js-sdk";
import { allowKeyStorage, deleteKeyStorage, resetIdentity, setRecoveryKey } from "../encryption-settings.js";
import { showDialog } from "./dialogs.js";
import { button, h } from "./dom.js";

/** Opens the dialog. */
export function openSettings(client) {
    const tab = h("div.mx_EncryptionUserSettingsTab");
    const show = (state) => void draw[state](client, show, tab);
    const reload = () => tab.querySelector(".mx_KeyStoragePanel_toggleRow") && show("main");
    client.on(CryptoEvent.KeyBackupStatus, reload);
    show("main");
    return showDialog("mx_UserSettingsDialog", "Settings: Encryption", (close) => [
        button(".mx_Dialog_cancelButton", "×", () => close(null), { "aria-label": "Close dialog" }),
        tab,
    ]).finally(() => client.off(CryptoEvent.KeyBackupStatus, reload));
}

const card = (title, ...children) => h("div.mx_EncryptionCard", {}, h("h2", {}, title), ...children);

/** A button that runs `operation`, then shows the main state; what fails is shown beside it. */
function doing(label, show, operation) {
    return button("", label, async ({ target }) => {
        target.disabled = true;
        try {
            await operation();
            show("main");
        } catch (error) {
            console.error(error);
            target.after(h("div.mx_Dialog_error", {}, error.message));
        }
    });
}

const draw = {
    async main(client, show, tab) {
        const hasBackup = (await client.getCrypto().getActiveSessionBackupVersion()) !== null;
        const hasKey = Boolean(await client.secretStorage.getDefaultKeyId());
        const onchange = async ({ target }) => {
            if (!target.checked) return show("key_storage_delete");
            await allowKeyStorage(client);
            show("main");
        };
        const toggle = h("input", { name: "keyStorage", type: "checkbox", onchange, checked: hasBackup });
        const change = button("", hasKey ? "Change recovery key" : "Set up recovery", () => show("recovery_key"));
        tab.replaceChildren(
            h("div.mx_KeyStoragePanel_toggleRow", {}, h("label", {}, toggle, "Allow key storage")),
            ...(hasBackup ? [change] : []),
            button("", "Reset cryptographic identity", () => show("reset_identity")),
        );
    },

    async recovery_key(client, show, tab) {
        const hasKey = Boolean(await client.secretStorage.getDefaultKeyId());
        const recoveryKey = await client.getCrypto().createRecoveryKeyFromPassphrase();
        const cancel = () => button("", "Cancel", () => show("main"));
        const showKey = () =>
            tab.replaceChildren(
                card(
                    hasKey ? "Change recovery key?" : "Save your recovery key somewhere safe",
                    h("div.mx_KeyPanel", {}, h("span.mx_KeyPanel_key", {}, recoveryKey.encodedPrivateKey)),
                    button("", "Continue", confirm),
                    cancel(),
                ),
            );
        const confirm = () => {
            const finish = doing(hasKey ? "Confirm new recovery key" : "Finish set up", show, () =>
                setRecoveryKey(client, recoveryKey),
            );
            finish.disabled = true;
            const oninput = ({ target }) => (finish.disabled = target.value.trim() !== recoveryKey.encodedPrivateKey);
            const input = h("input.mx_KeyForm_password", { name: "recoveryKey", type: "password", oninput });
            tab.replaceChildren(card("Enter your recovery key to confirm", input, finish, cancel()));
        };
        if (hasKey) showKey();
        else tab.replaceChildren(card("Set up recovery", button("", "Continue", showKey), cancel()));
    },

    key_storage_delete(client, show, tab) {
        tab.replaceChildren(
            card(
                "Are you sure you want to turn off key storage and delete it?",
                doing("Delete key storage", show, () => deleteKeyStorage(client)),
                button("", "Cancel", () => show("main")),
            ),
        );
    },

    reset_identity(client, show, tab) {
        tab.replaceChildren(
            card(
                "Are you sure you want to reset your identity?",
                doing("Continue", show, () => resetIdentity(client)),
                button("", "Cancel", () => show("main")),
            ),
        );
    },
};
