// What a person can do in Settings → Encryption: what goes through secret storage, and what the server holds afterwards.
import { readState } from "../client/state.mjs";
import { until } from "../until.mjs";
import { summary } from "./account.mjs";
import * as page from "./in-page.mjs";
import { wait } from "./steps.mjs";

const TIMEOUT_MS = 30_000;
const BACKUP_DISABLED = "m.org.matrix.custom.backup_disabled";

const press = async (browser, label) => {
    await wait(browser, `"${label}"`, page.hasButton(label));
    await browser.run(page.clickButton(label));
};

async function saveKey(browser, finish) {
    await wait(browser, "the new key", page.has(".mx_KeyPanel_key"));
    const key = await browser.run(page.shownKey);
    await press(browser, "Continue");
    await wait(browser, "the field for it", page.has("input[name=recoveryKey]"));
    await browser.type("input[name=recoveryKey]", key);
    await press(browser, finish);
    await wait(browser, "the end", page.hasButton("Change recovery key"));
}

async function changeRecoveryKey(browser) {
    await press(browser, "Change recovery key");
    await saveKey(browser, "Confirm new recovery key");
}

async function setUpRecovery(browser) {
    await press(browser, "Set up recovery");
    await press(browser, "Continue");
    await saveKey(browser, "Finish set up");
}

async function deleteKeyStorage(browser) {
    await browser.run(page.clickKeyStorage);
    await press(browser, "Delete key storage");
    await wait(browser, "no key storage", page.keyStorageIs(false));
}

async function allowKeyStorage(browser) {
    await browser.run(page.clickKeyStorage);
    await wait(browser, "key storage", page.keyStorageIs(true));
    await wait(browser, "the end", page.hasButton("Set up recovery"));
}

async function resetIdentity(browser, password) {
    await press(browser, "Reset cryptographic identity");
    await press(browser, "Continue");
    await wait(browser, "the question for the password", page.has("input[name=passwordField]"));
    await browser.type("input[name=passwordField]", password);
    await browser.run("document.querySelector('.mx_InteractiveAuthEntryComponents_passwordSection .mx_Dialog_primary').click()");
    await wait(browser, "the end", page.hasButton("Reset cryptographic identity"));
}

const masterKey = ({ identity }) => Object.values(identity.master.keys)[0];

/** Each with what the homeserver holds once it is over. */
const ACTIONS = [
    [changeRecoveryKey, (now) => now.accountData["io.element.recovery"]?.enabled === true],
    [resetIdentity, (now, before) => masterKey(now) !== masterKey(before) && now.backup !== null],
    [setUpRecovery, (now) => Boolean(now.accountData["m.megolm_backup.v1"]?.encrypted)],
    [deleteKeyStorage, (now) => now.accountData[BACKUP_DISABLED]?.disabled === true],
    [allowKeyStorage, (now) => now.accountData[BACKUP_DISABLED]?.disabled === false],
];

/** Goes through all of it, in this order. */
export async function settings(browser, { user, password }, homeserver) {
    const accessToken = await browser.run(page.accessToken);
    const state = () => readState({ homeserver, user, accessToken });
    await browser.run(page.openSettings);
    await wait(browser, "the settings", page.keyStorageIs(true));
    const answers = {};
    let before = await state();
    for (const [action, isOver] of ACTIONS) {
        await browser.run("window.keysteadProbe.since()");
        await action(browser, password);
        before = await until(`the end of ${action.name}`, TIMEOUT_MS, async () => {
            const now = await state();
            return isOver(now, before) && now;
        });
        answers[action.name] = { ...(await browser.run("return window.keysteadProbe.since()")), account: summary(before) };
    }
    return answers;
}
