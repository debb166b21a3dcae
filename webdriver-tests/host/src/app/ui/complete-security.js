// View 6, "Confirm your identity": an account with cross-signing keys on a device it does not vouch for yet.
import { clientPeg } from "../client-peg.js";
import { dispatcher } from "../dispatcher.js";
import { interactiveAuth } from "../interactive-auth.js";
import { Phase, setupEncryptionStore } from "../setup-encryption.js";
import { showDialog } from "./dialogs.js";
import { button, h, text } from "./dom.js";

/** Header and body, drawn anew at each phase; `onFinished` is called once the phase is Finished. */
function setupEncryption(onFinished) {
    const store = setupEncryptionStore();
    const header = h("h1.mx_CompleteSecurity_header");
    const body = h("div.mx_CompleteSecurity_body");
    const show = () => {
        if (store.phase === Phase.Finished) return onFinished();
        header.replaceChildren(...titleOf(store));
        body.replaceChildren(...bodyOf(store));
    };
    store.start();
    store.on("update", show);
    show();
    const dispose = () => {
        store.off("update", show);
        store.stop();
    };
    return { elements: [header, body], dispose };
}

/** The view. */
export function completeSecurityView({ onFinished }) {
    const { elements, dispose } = setupEncryption(onFinished);
    const content = h("div.mx_AuthPage_modal", {}, h("div.mx_CompleteSecurityBody", {}, ...elements));
    return Object.assign(h("div.mx_AuthPage", {}, content), { dispose });
}

/** The same in a dialog, for a session that skipped it. */
export async function openSetupEncryption() {
    let dispose;
    await showDialog("mx_SetupEncryptionDialog", text("verify_session"), (close) => {
        const setup = setupEncryption(() => close(null));
        dispose = setup.dispose;
        return setup.elements;
    });
    dispose();
}

function titleOf(store) {
    if (store.phase === Phase.Intro) {
        return [button(".mx_CompleteSecurity_skip", "×", () => store.skip(), { "aria-label": "Skip verification for now" })];
    }
    return { [Phase.Done]: [text("device_verified")], [Phase.ConfirmSkip]: [text("are_you_sure")] }[store.phase] ?? [];
}

const actionRow = (...buttons) => h("div.mx_CompleteSecurity_actionRow", {}, ...buttons);

function bodyOf(store) {
    switch (store.phase) {
        case Phase.Intro:
            return [introCard(store)];
        case Phase.Done:
            return [
                h("div.mx_CompleteSecurity_heroIcon.mx_E2EIcon_verified"),
                h("p", {}, text("device_verified_text")),
                actionRow(button("", "Done", () => store.done())),
            ];
        case Phase.ConfirmSkip:
            return [
                h("p", {}, text("skip_warning")),
                actionRow(
                    button("", "I'll verify later", () => store.skipConfirm()),
                    button("", "Go back", () => store.returnAfterSkip()),
                ),
            ];
        default:
            return [h("div.mx_Spinner", {}, "…")];
    }
}

function introCard(store) {
    const useKey = button("", "Use recovery key", () => void store.usePassPhrase());
    return h(
        "div.mx_EncryptionCard.mx_EncryptionCard_noBorder.mx_SetupEncryptionBody",
        {},
        h("h2", {}, text("confirm_identity")),
        h("p", {}, text("confirm_identity_text")),
        store.keyInfo ? useKey : null,
        button("", "Can't confirm?", () => void reset(store)),
        button("", "Sign out", () => dispatcher.dispatch({ action: "logout" })),
    );
}

async function reset(store) {
    const client = clientPeg.safeGet();
    await client.getCrypto().resetEncryption((makeRequest) => interactiveAuth(client, makeRequest));
    store.done();
}
