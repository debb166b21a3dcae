// Runs the probe on a built web client: `node run-probe.mjs --page DIR --homeserver URL --registration-secret SECRET
// [--browser chromium|firefox] [--against FIXTURE] [--out FILE] [--name TEXT] [--screenshot FILE, of a failure]`. Each run makes a new account.
// With --out it writes the answers; a file that has the same ones already only gets this browser added.
// With --against it prints each difference and exits with 1 if one is not explained in probe/known-differences.json.
import { readFile, writeFile } from "node:fs/promises";
import { isDeepStrictEqual, parseArgs } from "node:util";
import { newPerson, register } from "./probe/account.mjs";
import { differences } from "./probe/compare.mjs";
import { settings } from "./probe/settings-steps.mjs";
import { firstLogin, logOut, restoration, secondLogin } from "./probe/steps.mjs";
import { serve } from "./serve.mjs";
import { openBrowser } from "./webdriver.mjs";

const text = { type: "string" };
const { values: options } = parseArgs({
    options: {
        "page": text,
        "homeserver": text,
        "registration-secret": text,
        "browser": { ...text, default: "chromium" },
        "against": text,
        "out": text,
        "name": { ...text, default: "host page" },
        "screenshot": text,
    },
});

let browserVersion;

async function withBrowser(use) {
    const browser = await openBrowser(options.browser);
    browserVersion = `${options.browser} ${browser.version}`;
    try {
        return await use(browser);
    } catch (error) {
        if (options.screenshot) await browser.screenshot(options.screenshot).catch(() => {});
        throw error;
    } finally {
        await browser.close();
    }
}

async function probe() {
    const { homeserver } = options;
    const person = newPerson();
    await register(homeserver, options["registration-secret"], person.user, person.password);
    const client = await serve(options.page, {
        default_server_config: { "m.homeserver": { base_url: homeserver, server_name: "localhost" } },
        disable_guests: true,
    });
    try {
        const answers = {};
        const recoveryKey = await withBrowser(async (browser) => {
            const first = await firstLogin(browser, client.url, person, homeserver);
            answers.firstLogin = first.answer;
            answers.restoration = await restoration(browser);
            return first.recoveryKey;
        });
        await withBrowser(async (browser) => {
            answers.secondLogin = await secondLogin(browser, client.url, person, recoveryKey);
            answers.settings = await settings(browser, person, homeserver);
            answers.logOut = await logOut(browser);
        });
        return answers;
    } finally {
        client.close();
    }
}

const answers = await probe();
if (options.out) {
    const old = await readFile(options.out, "utf8").then(JSON.parse, () => null);
    const browsers = isDeepStrictEqual(old?.answers, answers) ? old.browsers : [];
    const record = { version: 1, client: options.name, browsers: [...new Set([...browsers, browserVersion])], answers };
    await writeFile(options.out, `${JSON.stringify(record, null, 4)}\n`);
}
if (options.against) {
    const expected = JSON.parse(await readFile(options.against, "utf8"));
    const found = await differences(expected.answers, answers);
    for (const { reason, ...difference } of found) console.log(reason ? "known" : "NEW", JSON.stringify(difference));
    console.log(`${found.length} differences, ${found.filter(({ reason }) => !reason).length} of them new`);
    process.exitCode = found.every(({ reason }) => reason) ? 0 : 1;
}
