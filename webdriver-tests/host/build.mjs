// Builds the host page into dist/, in the shape a production Element Web has: two parser scripts in index.html,
// chunks fetched through script elements, a worker that uses importScripts, a service worker, the crypto WASM as a file.
import { createHash } from "node:crypto";
import { copyFile, cp, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const here = dirname(fileURLToPath(import.meta.url));
const source = (...parts) => join(here, "src", ...parts);
const dist = join(here, "dist");
const wasm = join(
    dirname(createRequire(import.meta.url).resolve("@matrix-org/matrix-sdk-crypto-wasm")),
    "pkg/matrix_sdk_crypto_wasm_bg.wasm",
);

/** Modules that live in a chunk of their own: every other bundle asks the chunk runtime for them. */
const chunkOf = { "matrix-js-sdk": "vendors", "unhomoglyph/data": "unhomoglyph_data", "store-worker": "store-worker" };

const chunkImports = (own) => ({
    name: "chunk-imports",
    setup({ onResolve, onLoad }) {
        const external = (name) => (own === name ? undefined : { path: name, external: true });
        onResolve({ filter: /^host:/ }, ({ path }) => external(chunkOf[path.slice(5)]));
        onResolve({ filter: /data\.json$/ }, ({ path, importer }) =>
            /unhomoglyph/.test(importer) ? external("unhomoglyph_data") : undefined,
        );
        // webpack rewrites asset URLs of this form; here the runtime's public path takes that part.
        onLoad({ filter: /matrix-sdk-crypto-wasm[\\/]index\.mjs$/ }, async ({ path }) => ({
            contents: (await readFile(path, "utf8")).replace(
                'new URL("./pkg/matrix_sdk_crypto_wasm_bg.wasm", import.meta.url)',
                "new URL(globalThis.hostAssets.cryptoWasm)",
            ),
        }));
    },
});

async function bundle(entry, name, format) {
    const { outputFiles } = await build({
        entryPoints: [entry],
        bundle: true,
        write: false,
        format,
        platform: "browser",
        target: "es2022",
        minify: true,
        charset: "utf8",
        loader: { ".json": "json" },
        define: {
            "process.env.NODE_ENV": '"production"',
            "global": "globalThis",
            "CRYPTO_WASM": JSON.stringify(wasmName),
            "LANGUAGES": JSON.stringify(languagesName),
        },
        plugins: [chunkImports(name)],
        logLevel: "warning",
    });
    return outputFiles[0].text;
}

/** The shape of a chunk file: it pushes [[chunk], {module: factory}] on one global array. */
const asChunk = (name, text) =>
    `(self.webpackChunkkeystead_host=self.webpackChunkkeystead_host||[]).push([["${name}"],` +
    `{"${name}":(module,exports,require)=>{${text}\n}}]);\n`;

const hashOf = (...parts) => {
    const hash = createHash("sha256");
    parts.forEach((part) => hash.update(part));
    return hash.digest("hex").slice(0, 20);
};

const wasmBytes = await readFile(wasm);
const wasmName = `${hashOf(wasmBytes)}.wasm`;
const language = await readFile(source("en_EN.json"));
const languageName = `en_EN.${hashOf(language).slice(0, 7)}.json`;
const languages = JSON.stringify({ en: languageName });
const languagesName = `languages.${hashOf(languages).slice(0, 7)}.json`;

const chunks = {
    "unhomoglyph_data": join(here, "node_modules/unhomoglyph/data.json"),
    "init": source("init.js"),
    "vendors": source("vendors.js"),
    "element-web-app": source("app/index.js"),
    "store-worker": source("worker/store.js"),
};
const files = { "bundle.js": await bundle(source("bundle.js"), "bundle", "iife") };
for (const [name, entry] of Object.entries(chunks)) {
    files[`${name}.js`] = asChunk(name, await bundle(entry, name, "cjs"));
}
files["indexeddb.worker.js"] = await bundle(source("worker/indexeddb.worker.js"), "worker", "iife");
files["bundle.css"] = await readFile(source("bundle.css"));
files["theme-light.css"] = await readFile(source("theme-light.css"));

const hash = hashOf(...Object.values(files));
const bundles = join(dist, "bundles", hash);

await rm(dist, { recursive: true, force: true });
await mkdir(bundles, { recursive: true });
for (const [name, contents] of Object.entries(files)) await writeFile(join(bundles, name), contents);
await copyFile(wasm, join(bundles, wasmName));
await writeFile(join(dist, "sw.js"), await bundle(source("worker/sw.js"), "sw", "iife"));
await mkdir(join(dist, "i18n"));
await writeFile(join(dist, "i18n", languageName), language);
await writeFile(join(dist, "i18n", languagesName), languages);
await cp(source("static"), dist, { recursive: true });
const html = await readFile(source("index.html"), "utf8");
await writeFile(join(dist, "index.html"), html.replaceAll("%bundles%", `bundles/${hash}`));
await copyFile(join(here, "config.sample.json"), join(dist, "config.json"));
console.log(`dist/bundles/${hash}: ${Object.keys(files).length + 1} files`);
