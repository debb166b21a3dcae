// Accounts for the probe, and what the homeserver holds for them afterwards.
import { createHmac, randomBytes } from "node:crypto";
import { readState } from "../client/state.mjs";

/** Makes an account by Synapse's shared-secret registration. */
export async function register(homeserver, secret, user, password) {
    const url = `${homeserver}/_synapse/admin/v1/register`;
    const { nonce } = await (await fetch(url)).json();
    const mac = createHmac("sha1", secret).update([nonce, user, password, "notadmin"].join("\0")).digest("hex");
    const body = JSON.stringify({ nonce, username: user, password, admin: false, mac });
    const answer = await fetch(url, { method: "POST", body });
    if (!answer.ok) throw new Error(`register ${user}: ${await answer.text()}`);
}

/** A name and a password nobody has yet. */
export const newPerson = () => ({
    user: `probe-${randomBytes(5).toString("hex")}`,
    password: randomBytes(12).toString("base64url"),
});

const KEY_ID = /^m\.secret_storage\.key\..*/;
const WATCHED = /^(m\.secret_storage|m\.cross_signing|m\.megolm_backup|m\.org\.matrix\.custom|io\.element\.recovery|m\.key_backup)/;

/** The account data that encryption is about, each with the names of its fields; and whether there is a backup. */
export async function accountData(homeserver, accessToken, user) {
    return summary(await readState({ homeserver, accessToken, user }));
}

/** The same of a state already read. */
export function summary({ accountData: data, backup, identity }) {
    const kept = Object.entries(data)
        .filter(([type]) => WATCHED.test(type))
        .map(([type, content]) => [type.replace(KEY_ID, "m.secret_storage.key.{keyId}"), Object.keys(content).sort()])
        .sort(([a], [b]) => a.localeCompare(b));
    return {
        types: Object.fromEntries(kept),
        keyDescriptions: Object.keys(data).filter((type) => KEY_ID.test(type)).length,
        backup: backup && { algorithm: backup.algorithm, authData: Object.keys(backup.auth_data).sort() },
        identity: Boolean(identity.master && identity.selfSigning && identity.userSigning),
    };
}
