// The one prompt about the account's encryption, in its five kinds.
import { deviceListener } from "./device-listener.js";
import { dispatcher } from "./dispatcher.js";
import { accessSecretStorage } from "./secret-storage-access.js";
import { toastStore } from "./toasts.js";

const KEY = "setupencryption";

const openSettings = () => dispatcher.dispatch({ action: "view_user_settings", initialTabId: "USER_ENCRYPTION_TAB" });

async function enterRecoveryKey() {
    try {
        await accessSecretStorage();
    } catch (error) {
        console.error(error);
        openSettings();
    }
}

const dismissAfter = (record) => async () => {
    await record?.();
    deviceListener().dismissEncryptionSetup();
};

const KINDS = {
    set_up_recovery: {
        title: "Set up recovery",
        primary: ["Continue", openSettings],
        secondary: ["Dismiss", dismissAfter(() => deviceListener().recordRecoveryDisabled())],
    },
    verify_this_session: {
        title: "Verify this session",
        primary: ["Verify", () => dispatcher.dispatch({ action: "host_verify_session" })],
        secondary: ["Later", dismissAfter()],
    },
    key_storage_out_of_sync: {
        title: "Your key storage is out of sync.",
        primary: ["Enter recovery key", enterRecoveryKey],
        secondary: ["Forgot recovery key?", openSettings],
    },
    key_storage_out_of_sync_store: {
        title: "Your key storage is out of sync.",
        primary: ["Enter recovery key", enterRecoveryKey],
        secondary: ["Forgot recovery key?", openSettings],
    },
    turn_on_key_storage: {
        title: "Turn on key storage",
        primary: ["Continue", openSettings],
        secondary: ["Dismiss", dismissAfter(() => deviceListener().recordKeyBackupDisabled())],
    },
};

/** Shows the prompt; `kind` is one of Element's names for them. */
export function showSetupToast(kind) {
    const { title, primary, secondary } = KINDS[kind];
    toastStore().addOrReplaceToast({
        key: KEY,
        kind,
        title,
        priority: kind === "verify_this_session" ? 95 : 40,
        props: {
            primaryLabel: primary[0],
            onPrimaryClick: primary[1],
            secondaryLabel: secondary[0],
            onSecondaryClick: secondary[1],
        },
    });
}

/** Takes it away. */
export const hideSetupToast = () => toastStore().dismissToast(KEY);
