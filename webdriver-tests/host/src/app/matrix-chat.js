// The top of the app: which view is shown when. `window.matrixChat`.
import { clientPeg } from "./client-peg.js";
import { dispatcher } from "./dispatcher.js";
import { initialCryptoStore } from "./initial-crypto.js";
import * as lifecycle from "./lifecycle.js";
import { onNewScreen } from "./routing.js";
import { AUTH_SCREENS, showScreen, showScreenAfterLogin } from "./screens.js";
import { sessionLockIsFree, takeSessionLock } from "./session-lock.js";
import { watchSession } from "./session-events.js";
import { attemptTokenLogin, registerAsGuest } from "./token-login.js";
import { onShellAction } from "./ui/logged-in.js";
import { render } from "./ui/render.js";
import { BEFORE_THE_APP, Views } from "./views.js";

export class MatrixChat {
    state = { view: Views.LOADING, ready: false, page_type: undefined, currentRoomId: null, pendingInitialSync: false };
    showScreen = showScreen;
    #screenAfterLogin;
    #isTokenLogin = false;
    #firstSync = Promise.withResolvers();

    constructor(config, screen) {
        this.config = config;
        this.#screenAfterLogin = screen;
        dispatcher.register((payload) => this.#onAction(payload));
    }

    start() {
        if (sessionLockIsFree()) void this.initSession();
        else this.setState({ view: Views.CONFIRM_LOCK_THEFT });
    }

    setState(change) {
        this.state = { ...this.state, ...change };
        render(this);
    }

    get homeserverUrl() {
        return this.config.default_server_config["m.homeserver"].base_url;
    }

    /** Token login, else the stored session, else a guest's, else the login form. */
    async initSession() {
        if (!(await takeSessionLock(() => this.#onLockStolen()))) return;
        if (!lifecycle.isSoftLogout()) {
            const credentials = await attemptTokenLogin();
            this.#isTokenLogin = Boolean(credentials);
            if (credentials) return this.onCompletedLogin(credentials);
        }
        if (await lifecycle.restoreSession()) return;
        if (!this.config.disable_guests && (await registerAsGuest(this.homeserverUrl))) return;
        dispatcher.dispatch({ action: "view_welcome_page" });
        if (AUTH_SCREENS.includes(this.#screenAfterLogin)) this.#afterLogin();
    }

    /** After the login form: the client is started, then the account is set up or the device verified. */
    async onCompletedLogin(credentials) {
        await lifecycle.setLoggedIn(credentials);
        const client = clientPeg.safeGet();
        this.setState({ pendingInitialSync: true });
        const [isSetUp] = await Promise.all([client.getCrypto().userHasCrossSigningKeys(), this.#firstSync.promise]);
        if (isSetUp) this.setState({ view: Views.COMPLETE_SECURITY });
        else if (await client.doesServerSupportUnstableFeature("org.matrix.e2e_cross_signing")) {
            this.startInitialSetup();
            this.setState({ view: Views.E2E_SETUP });
        } else this.onSetupFinished();
        this.setState({ pendingInitialSync: false });
    }

    /** After the form that a soft logout shows. */
    async onRenewedLogin(credentials) {
        await lifecycle.hydrateSession(credentials);
        this.onSetupFinished();
    }

    /** Starts to set up a new account, or starts again. */
    startInitialSetup() {
        void initialCryptoStore().start(clientPeg.safeGet(), () => this.onSetupFinished());
    }

    onSetupFinished() {
        this.setState({ view: Views.LOGGED_IN });
        this.#afterLogin();
    }

    #afterLogin() {
        const screen = this.#screenAfterLogin;
        this.#screenAfterLogin = undefined;
        showScreenAfterLogin(screen);
    }

    #onAction(payload) {
        if (this.state.view === Views.LOCK_STOLEN) return;
        switch (payload.action) {
            case "view_welcome_page":
                this.setState({ view: Views.WELCOME });
                return onNewScreen("welcome");
            case "start_login":
                if (lifecycle.isSoftLogout()) return this.#onSoftLogout();
                this.setState({ view: Views.LOGIN });
                return onNewScreen("login");
            case "on_logged_in":
                return this.#onLoggedIn();
            case "will_start_client":
                this.setState({ ready: false });
                this.#firstSync = Promise.withResolvers();
                return watchSession(clientPeg.safeGet(), this.#firstSync.resolve);
            case "client_started":
                return this.setState({ ready: true });
            case "view_home_page":
                this.setState({ view: Views.LOGGED_IN, page_type: "home_page", currentRoomId: null });
                return onNewScreen("home");
            case "view_room":
                return void this.#viewRoom(payload.room_id);
            case "logout":
                return void lifecycle.logout();
            case "on_client_not_viable":
                return this.#onSoftLogout();
            case "on_logged_out":
                this.setState({ view: Views.LOGIN, ready: false, currentRoomId: null, page_type: undefined });
                return onNewScreen("login");
            default:
                if (this.state.view === Views.LOGGED_IN && clientPeg.get()) onShellAction(clientPeg.get(), payload);
        }
    }

    /** A restored session goes straight in; a login has its own way there. */
    #onLoggedIn() {
        const hasOwnWay = this.#isTokenLogin || lifecycle.isSoftLogout() || BEFORE_THE_APP.includes(this.state.view);
        if (!hasOwnWay) this.onSetupFinished();
    }

    async #viewRoom(roomId) {
        await this.#firstSync.promise;
        localStorage.setItem("mx_last_room_id", roomId);
        this.setState({ view: Views.LOGGED_IN, page_type: "room_view", currentRoomId: roomId });
        onNewScreen(`room/${roomId}`);
    }

    #onSoftLogout() {
        this.setState({ view: Views.SOFT_LOGOUT, ready: false, currentRoomId: null });
        onNewScreen("soft_logout");
    }

    async #onLockStolen() {
        this.setState({ view: Views.LOCK_STOLEN });
        lifecycle.stopClient();
    }
}
