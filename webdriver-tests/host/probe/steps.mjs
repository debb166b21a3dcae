// The way through the client: first login on a new account, a room, recovery, restoration, a second device, settings.
import { readFile } from "node:fs/promises";
import { until } from "../until.mjs";
import { accountData } from "./account.mjs";
import * as page from "./in-page.mjs";

const TIMEOUT_MS = 60_000;
const probe = await readFile(new URL("../probe.js", import.meta.url), "utf8");
const contract = JSON.parse(await readFile(new URL("contract.json", import.meta.url), "utf8"));

export const wait = (browser, what, script) => until(what, TIMEOUT_MS, () => browser.run(script));
const stage = (browser, name) => browser.run("window.keysteadProbe.stage(arguments[0])", name);
const report = (browser) => browser.runAsync("window.keysteadProbe.report().then(arguments[arguments.length - 1])");

async function inPage(browser, script, ...args) {
    const { value, error } = await browser.runAsync(script, ...args);
    if (error) throw new Error(error);
    return value;
}

async function logIn(browser, url, { user, password }) {
    await browser.go(`${url}#/login`);
    await wait(browser, "the login form", page.has(".mx_Login_submit:not([disabled])"));
    await browser.run(probe, contract);
    await stage(browser, "login");
    await browser.type("#mx_LoginForm_username", user);
    await browser.type("#mx_LoginForm_password", password);
    await browser.click(".mx_Login_submit");
}

async function visitRoom(browser) {
    await inPage(browser, page.makeEncryptedRoom);
    await wait(browser, "the composer", page.has(".mx_BasicMessageComposer_input"));
    await wait(browser, "the prompt for recovery", page.setupPromptIs("Set up recovery"));
    await stage(browser, "room");
    await browser.click(".mx_BasicMessageComposer_input");
    await browser.type(".mx_BasicMessageComposer_input", "Hello\uE007");
    await wait(browser, "the message", page.has("li.mx_EventTile[data-event-id^='$'] .mx_EventTile_body"));
    await stage(browser, "message");
    await wait(browser, "the backup of its key", page.requested("PUT room_keys/keys")); // the SDK waits up to 10 s
    await browser.run("document.querySelector('.mx_RoomHeader_members, .mx_RoomHeader .mx_FacePile').click()");
    await wait(browser, "the members", page.has(".mx_MemberListView .mx_MemberTileView"));
    await stage(browser, "members");
    await browser.run("document.querySelector('.mx_MemberListView .mx_MemberTileView').click()");
    await wait(browser, "a member", page.has(".mx_UserInfo_profile_mxid"));
    await stage(browser, "member");
}

/** A new account's first login, up to a message in a room and recovery set up through the client's handles. */
export async function firstLogin(browser, url, person, homeserver) {
    const account = async () => accountData(homeserver, await browser.run(page.accessToken), person.user);
    await logIn(browser, url, person);
    await wait(browser, "the home page", page.has(".mx_HomePage"));
    await stage(browser, "home");
    const afterLogin = await account();
    await visitRoom(browser);
    const recoveryKey = await inPage(browser, page.setUpRecovery);
    await wait(browser, "no prompt", page.setupPromptIs(null));
    await stage(browser, "recovery");
    return { recoveryKey, answer: { ...(await report(browser)), account: { afterLogin, afterRecovery: await account() } } };
}

/** The same tab after a reload. */
export async function restoration(browser) {
    await browser.refresh();
    await wait(browser, "the room again", page.has("ol.mx_RoomView_MessageList li.mx_EventTile .mx_EventTile_body"));
    await wait(browser, "no prompt", page.setupPromptIs(null));
    await browser.run(probe, contract);
    await stage(browser, "restored");
    const { stages, ready, globals } = await report(browser);
    return { stages, ready, globals };
}

/** A clean second profile: view 6, restored through the client's handles, `done()`. */
export async function secondLogin(browser, url, person, recoveryKey) {
    await logIn(browser, url, person);
    await wait(browser, "the prompt to confirm", page.has(".mx_SetupEncryptionBody"));
    await wait(browser, "the toast behind it", page.setupPromptIs("Verify this session"));
    await stage(browser, "complete-security");
    const backupFound = await inPage(browser, page.restore, recoveryKey);
    await wait(browser, "phase 3", "return window.mxSetupEncryptionStore.phase === 3");
    await stage(browser, "verified");
    await browser.run("window.mxSetupEncryptionStore.done()");
    await wait(browser, "the shell", page.has(".mx_LeftPanel_outerWrapper"));
    await wait(browser, "the home page", page.has(".mx_HomePage"));
    await wait(browser, "no prompt", page.setupPromptIs(null));
    await stage(browser, "home");
    return { backupFound, ...(await report(browser)) };
}

/** What logging out leaves. */
export async function logOut(browser) {
    await browser.run(page.logout);
    await wait(browser, "the login form", page.has("#mx_LoginForm_username"));
    await wait(browser, "no stored session", "return localStorage.getItem('mx_user_id') === null");
    await until("no sync store", TIMEOUT_MS, async () => (await browser.runAsync(page.leftBehind)).databases.length < 2);
    return { view: await browser.run("return window.matrixChat.state.view"), ...(await browser.runAsync(page.leftBehind)) };
}
