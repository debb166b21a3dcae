// Views before the app proper: welcome, login, complete security, end-to-end set-up.
import { createClient } from "host:matrix-js-sdk";
import { sendLoginRequest } from "../lifecycle.js";
import { initialCryptoStore } from "../initial-crypto.js";
import { button, h, text } from "./dom.js";

const authPage = (...children) =>
    h(
        "div.mx_AuthPage",
        {},
        h("div.mx_AuthPage_modal", {}, h("div.mx_AuthPage_modalContent", {}, ...children)),
        h("footer.mx_AuthFooter", {}, h("a", { href: "https://matrix.org" }, "Powered by Matrix")),
    );

/** The first page of somebody without a session. */
export function welcomeView() {
    return authPage(
        h(
            "div.mx_Welcome",
            {},
            h("div.mx_WelcomePage", {}, h("a.mx_ButtonSignIn", { href: "#/login" }, text("sign_in"))),
        ),
    );
}

/** The login form; `onLoggedIn` gets the credentials of the new session. */
export function loginView({ homeserverUrl, serverName, deviceName, deviceId, onLoggedIn }) {
    const error = h("div");
    const loader = h("div.mx_Login_loader", {}, "…");
    const username = h("input#mx_LoginForm_username", { name: "username", type: "text", autocomplete: "username" });
    const password = h("input#mx_LoginForm_password", { name: "password", type: "password" });
    const submit = h("input.mx_Login_submit", { type: "submit", value: text("sign_in"), disabled: true });
    const field = (input, label) =>
        h("div.mx_Field.mx_Field_input", {}, input, h("label", { for: input.id }, text(label)));
    const footer = h("span.mx_AuthBody_changeFlow", {}, h("a", { href: "#/register" }, text("create_account")));

    async function onsubmit(event) {
        event.preventDefault();
        submit.disabled = true;
        error.className = "";
        error.textContent = "";
        try {
            const credentials = await sendLoginRequest(homeserverUrl, {
                type: "m.login.password",
                password: password.value,
                identifier: identifierOf(username.value.trim()),
                initial_device_display_name: deviceName,
                device_id: deviceId,
            });
            footer.textContent = text("syncing");
            await onLoggedIn(credentials);
        } catch (failure) {
            console.error(failure);
            error.className = "mx_Login_error";
            error.textContent = text(failure.httpStatus === 403 ? "wrong_password" : "login_failed");
            submit.disabled = false;
        }
    }

    const form = h("form", { onsubmit }, field(username, "username"), field(password, "password"), submit);
    void offerFlows(homeserverUrl, form, submit, loader, error);
    return authPage(
        h("div.mx_AuthHeader", {}, h("div.mx_AuthHeaderLogo", {}, "Element")),
        h(
            "main.mx_AuthBody",
            {},
            h("h1", {}, text("sign_in"), loader),
            error,
            h("div.mx_ServerPicker", {}, h("div.mx_ServerPicker_server", {}, serverName)),
            form,
            footer,
        ),
    );
}

function identifierOf(name) {
    if (name.indexOf("@") > 0) return { type: "m.id.thirdparty", medium: "email", address: name };
    return { type: "m.id.user", user: name };
}

/** Asks which login flows there are: enables the form, and adds a button for single sign-on. */
async function offerFlows(homeserverUrl, form, submit, loader, error) {
    const client = createClient({ baseUrl: homeserverUrl });
    try {
        const { flows } = await client.loginFlows();
        const sso = flows.find(({ type }) => type === "m.login.sso");
        form.hidden = !flows.some(({ type }) => type === "m.login.password");
        submit.disabled = false;
        if (sso) form.after(button(".mx_SSOButton", text("sso"), () => startSingleSignOn(client)));
    } catch (failure) {
        console.error(failure);
        error.className = "mx_Login_error";
        error.textContent = text("no_server");
    }
    loader.remove();
}

function startSingleSignOn(client) {
    localStorage.setItem("mx_sso_hs_url", client.getHomeserverUrl());
    const back = new URL(window.location.href);
    back.hash = "";
    window.location.href = client.getSsoLoginUrl(back.href, "sso");
}

/** View 7: shown while the new account is set up. */
export function e2eSetupView({ onRetry }) {
    const store = initialCryptoStore();
    const body = h("div");
    const show = () => {
        if (store.status === "error") {
            body.replaceChildren(h("p", {}, text("setup_failed")), button(".mx_Dialog_primary", "Retry", onRetry));
        } else body.replaceChildren(h("div.mx_Spinner", {}, "…"));
    };
    show();
    store.on("update", show);
    const view = authPage(h("div.mx_CompleteSecurityBody", {}, h("div.mx_InitialCryptoSetupDialog", {}, body)));
    view.dispose = () => store.off("update", show);
    return view;
}
