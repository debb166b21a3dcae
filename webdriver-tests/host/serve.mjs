// Serves a built web client on a free loopback port, with a configuration of ours in place of its config.json.
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { extname, join, normalize } from "node:path";

const TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".json": "application/json",
    ".wasm": "application/wasm",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".woff2": "font/woff2",
};

/** Serves `directory`; resolves to `{url, close}`. */
export async function serve(directory, config) {
    const server = createServer(async ({ url }, answer) => {
        const path = normalize(decodeURIComponent(new URL(url, "http://x").pathname));
        try {
            const name = path.endsWith("/") ? `${path}index.html` : path;
            const body = path === "/config.json" ? JSON.stringify(config) : await readFile(join(directory, name));
            answer.writeHead(200, { "content-type": TYPES[extname(name)] ?? "application/octet-stream" }).end(body);
        } catch {
            answer.writeHead(404, { "content-type": "text/plain" }).end("not found");
        }
    });
    await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
    return { url: `http://127.0.0.1:${server.address().port}/`, close: () => server.close() };
}
