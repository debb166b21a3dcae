// The offer to turn desktop notifications on: one more toast that has nothing to do with encryption.
import { toastStore } from "./toasts.js";

const KEY = "desktopnotifications";

/** Offers it where the person was never asked. */
export function offerNotifications() {
    if (window.Notification?.permission !== "default") return;
    const dismiss = () => toastStore().dismissToast(KEY);
    const enable = () => void window.Notification.requestPermission().then(dismiss);
    toastStore().addOrReplaceToast({
        key: KEY,
        title: "Notifications",
        priority: 30,
        props: { primaryLabel: "Enable", onPrimaryClick: enable, secondaryLabel: "Dismiss", onSecondaryClick: dismiss },
    });
}
