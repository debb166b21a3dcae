// Modal dialogs, in the container index.html has for them.
import { button, h } from "./dom.js";

/** Shows `content(close)` until it closes itself; resolves to what it closed with, null for Escape. */
export function showDialog(className, title, content) {
    return new Promise((resolve) => {
        const close = (value) => {
            dialog.remove();
            resolve(value);
        };
        const dialog = h(
            "div.mx_Dialog_wrapper",
            { onkeydown: (event) => event.key === "Escape" && close(null) },
            h(
                `div.mx_Dialog.${className}`,
                { "role": "dialog", "aria-label": title },
                h("h1.mx_Dialog_title", {}, title),
                ...content(close),
            ),
        );
        document.getElementById("mx_Dialog_Container").append(dialog);
        dialog.querySelector("input, button")?.focus();
    });
}

function ask(className, title, formClass, field, check) {
    return showDialog(className, title, (close) => {
        const error = h("div.mx_Dialog_error");
        const onsubmit = async (event) => {
            event.preventDefault();
            if (await check(field.value)) close(field.value);
            else error.textContent = "That was not right.";
        };
        const buttons = h(
            "div.mx_Dialog_buttons",
            {},
            button(".mx_Dialog_cancel", "Cancel", () => close(null)),
            h("button.mx_Dialog_primary", { type: "submit" }, "Continue"),
        );
        return [h(`form.${formClass}`, { onsubmit }, field, error, buttons)];
    });
}

/** Asks for the recovery key or passphrase until `check` accepts it; null when cancelled. */
export const askForRecoveryKey = (check) =>
    ask(
        "mx_AccessSecretStorageDialog",
        "Enter your recovery key",
        "mx_AccessSecretStorageDialog_primaryContainer",
        h("input#mx_securityKey", { type: "password", autocomplete: "off" }),
        check,
    );

/** Asks for the account's password; null when cancelled. */
export const askForPassword = () =>
    ask(
        "mx_InteractiveAuthDialog",
        "Confirm your identity by entering your account password below.",
        "mx_InteractiveAuthEntryComponents_passwordSection",
        h("input", { type: "password", name: "passwordField" }),
        async (value) => value !== "",
    );
