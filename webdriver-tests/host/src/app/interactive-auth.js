// User-interactive authentication: the request is made without it first; only if the server asks, a dialog does.
import { MatrixError } from "host:matrix-js-sdk";
import { askForPassword } from "./ui/dialogs.js";

/** Makes a request that may need the account's password. */
export async function interactiveAuth(client, makeRequest) {
    try {
        return await makeRequest(null);
    } catch (error) {
        if (!(error instanceof MatrixError) || !error.data?.flows) throw error;
        const password = await askForPassword();
        if (password === null) throw new Error("Cross-signing key upload auth canceled");
        return makeRequest({
            type: "m.login.password",
            identifier: { type: "m.id.user", user: client.getSafeUserId() },
            password,
            session: error.data.session,
        });
    }
}
