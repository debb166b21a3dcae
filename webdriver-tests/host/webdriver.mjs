// A browser under WebDriver, spoken directly over HTTP: just what the probe needs.
import { spawn } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { until } from "./until.mjs";

const START_TIMEOUT_MS = 20_000;

const freePort = () =>
    new Promise((resolve, reject) => {
        const server = createServer().on("error", reject);
        server.listen(0, "127.0.0.1", () => {
            const { port } = server.address();
            server.close(() => resolve(port));
        });
    });

const CHROMIUM_ARGS = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1280,900",
];

function capabilities(browser, profile) {
    const alwaysMatch =
        browser === "firefox"
            ? {
                  "browserName": "firefox",
                  "moz:firefoxOptions": { args: ["-headless", "-width", "1280", "-height", "900"] },
              }
            : { "goog:chromeOptions": { args: [...CHROMIUM_ARGS, `--user-data-dir=${profile}`] } };
    return { capabilities: { alwaysMatch } };
}

/** Opens a browser with a clean profile. */
export async function openBrowser(browser = "chromium") {
    const port = await freePort();
    const profile = await mkdtemp(join(tmpdir(), "keystead-host-"));
    const command = browser === "firefox" ? "geckodriver" : "chromedriver";
    const driver = spawn(command, [`--port=${port}`], { stdio: "ignore" });
    const base = `http://127.0.0.1:${port}`;

    async function call(method, path, body) {
        const answer = await fetch(`${base}${path}`, {
            method,
            headers: { "content-type": "application/json" },
            body: body === undefined ? undefined : JSON.stringify(body),
        });
        const { value } = await answer.json();
        if (!answer.ok) throw new Error(`${value.error}: ${value.message}`);
        return value;
    }

    await until(command, START_TIMEOUT_MS, () => call("GET", "/status").catch(() => false));
    const { sessionId, capabilities: granted } = await call("POST", "/session", capabilities(browser, profile));
    const session = `/session/${sessionId}`;
    await call("POST", `${session}/timeouts`, { script: 60_000, pageLoad: 60_000 });

    return {
        version: granted.browserVersion,
        go: (url) => call("POST", `${session}/url`, { url }),
        refresh: () => call("POST", `${session}/refresh`, {}),
        run: (script, ...args) => call("POST", `${session}/execute/sync`, { script, args }),
        runAsync: (script, ...args) => call("POST", `${session}/execute/async`, { script, args }),
        async screenshot(path) {
            await writeFile(path, Buffer.from(await call("GET", `${session}/screenshot`), "base64"));
        },
        async click(selector) {
            await call("POST", `${session}/element/${await find(selector)}/click`, {});
        },
        async type(selector, text) {
            await call("POST", `${session}/element/${await find(selector)}/value`, { text });
        },
        async close() {
            await call("DELETE", session).catch(() => {});
            driver.kill();
            await rm(profile, { recursive: true, force: true, maxRetries: 5 });
        },
    };

    async function find(selector) {
        const element = await call("POST", `${session}/element`, { using: "css selector", value: selector });
        return Object.values(element)[0];
    }
}
