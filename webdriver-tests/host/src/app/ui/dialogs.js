// Modal dialogs, in the container index.html has for them.
import { button, h } from "./dom.js";

/** Shows `content(close)` until it closes itself; resolves to what it closed with, null for Escape. */
export function showDialog(className, title, content) {
    return new Promise((resolve) => {
        const container = document.getElementById("mx_Dialog_Container");
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
        container.append(dialog);
        dialog.querySelector("input, textarea, button")?.focus();
    });
}

function ask(className, title, field, check) {
    return showDialog(className, title, (close) => {
        const error = h("div.mx_Dialog_error");
        const submit = async (event) => {
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
        return [h("form", { onsubmit: submit }, field, error, buttons)];
    });
}

/** Asks for the recovery key or passphrase until `check` accepts it; null when cancelled. */
export const askForRecoveryKey = (check) =>
    ask(
        "mx_AccessSecretStorageDialog",
        "Enter your recovery key",
        h("input#mx_recoveryKeyInput", { type: "password", autocomplete: "off" }),
        check,
    );

/** Asks for the account's password; null when cancelled. */
export const askForPassword = () =>
    ask(
        "mx_InteractiveAuthDialog",
        "Confirm your identity by entering your account password below.",
        h("input#mx_InteractiveAuth_password", { type: "password", name: "passwordField" }),
        async (value) => value !== "",
    );
