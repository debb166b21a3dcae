//! Everything a page can make code of, in a page of its own that is listed: what is not as listed does not run there
//! either, whatever asks for it; what is, does.

use anyhow::Result;
use keystead_testbed::{Action, Answer};
use keystead_webdriver_tests::rows::Rows;
use keystead_webdriver_tests::{BrowserKind, Company, Guarded, Site};

use crate::scene::{Attack, CHANGED, Cache, Then, UNLISTED, altered, at, guarded_with, in_turn, withstand};

const JS: &str = "text/javascript";
const HTML: &str = "text/html";
const PAGE: &str = r#"<!DOCTYPE html>
<html><head><meta charset="utf-8"><title>lab</title></head>
<body><p>lab</p><script src="lab.js"></script><script type="module" src="part.mjs"></script></body></html>
"#;
/// Does what the page's query says, and says in the title what came of it.
const LAB: &str = r#"
const say = (what) => (document.title = what);
const framed = (set) => {
  const frame = document.createElement("iframe");
  set(frame);
  document.body.append(frame);
  return new Promise((done) => frame.addEventListener("load", () => done("framed")));
};
const all = {
  worker: () => new Promise((done, fail) => {
    const worker = new Worker("part.worker.js");
    [worker.onmessage, worker.onerror] = [({ data }) => done(data), () => fail("worker")];
  }),
  async worklet() {
    const audio = new AudioContext();
    await audio.audioWorklet.addModule("tone.worklet.js");
    new AudioWorkletNode(audio, "tone");
    return "worklet";
  },
  async service() {
    const registration = await navigator.serviceWorker.register("sw.js");
    return registration.installing || registration.active || registration.waiting ? "service worker" : "no service worker";
  },
  wasm: async () => (await WebAssembly.instantiateStreaming(fetch("lab.wasm")), "wasm"),
  module: async () => (await import("./part.mjs")).name,
  frame: () => framed((frame) => (frame.src = "../")),
  own: () => framed((frame) => (frame.src = "./")),
  listen() {
    let heard = 0;
    for (const name of ["keystead:port", "keystead:hold"]) document.addEventListener(name, () => (heard += 1), true);
    addEventListener("message", () => (heard += 1));
    return new Promise((done) => setTimeout(() => done(`listened ${heard}`), 1000));
  },
};
const [what, argument] = location.search.slice(1).split("=").map(decodeURIComponent);
const made = {
  script: (src) => new Promise((done, fail) => {
    const script = document.createElement("script");
    [script.src, script.onload, script.onerror] = [src, () => done("script"), () => fail("script")];
    document.head.append(script);
  }),
  srcdoc: (html) => framed((frame) => (frame.srcdoc = html)),
  blob: (html) => framed((frame) => (frame.src = URL.createObjectURL(new Blob([html], { type: "text/html" })))),
  javascript: (code) => framed((frame) => (frame.src = `javascript:${code}`)),
  work: (code) => new Promise((done, fail) => {
    const worker = new Worker(URL.createObjectURL(new Blob([code], { type: "text/javascript" })));
    [worker.onmessage, worker.onerror] = [({ data }) => done(data), () => fail("worker")];
  }),
  eval: async (code) => (0, eval)(code),
  import: async (url) => (await import(url)).name ?? "imported",
};
Promise.resolve(all[what]?.() ?? made[what]?.(argument) ?? "nothing").then(say, (error) => say(`failed ${error}`));
"#;
const WORKER: &str = "importScripts(\"part.js\");\nself.postMessage(`worker ${part}`);\n";
const WASM: [u8; 8] = [0, b'a', b's', b'm', 1, 0, 0, 0];

/// The files of the page.
pub(crate) fn files() -> Vec<(String, &'static str, Vec<u8>)> {
    let file = |name: &str, content_type, text: &str| (format!("lab/{name}"), content_type, text.as_bytes().to_vec());
    vec![
        file("index.html", HTML, PAGE),
        file("lab.js", JS, LAB),
        file("part.worker.js", JS, WORKER),
        file("part.js", JS, "self.part = 1;\n"),
        file("part.mjs", JS, "export const name = \"module\";\n"),
        file("tone.worklet.js", JS, "registerProcessor(\"tone\", class extends AudioWorkletProcessor {});\n"),
        file("sw.js", JS, "self.addEventListener(\"install\", () => self.skipWaiting());\n"),
        ("lab/lab.wasm".into(), "application/wasm", WASM.to_vec()),
    ]
}

pub(crate) fn add<'c>(company: &'c Company, kind: BrowserKind, rows: &mut Rows<'c>) {
    rows.add(kind, "nothing that code can be made of runs unless it is as listed", tampered(company, kind));
}

async fn tampered(company: &Company, kind: BrowserKind) -> Result<()> {
    let site = Site { files: files(), ..Site::default() };
    let (guarded, browser) = guarded_with(company, kind, site).await?;
    for cache in [Cache::Empty, Cache::Left] {
        withstand(&browser, &guarded, cache, in_turn(attacks(&guarded, kind), kind, cache)).await?;
    }
    browser.quit().await
}

fn attacks(guarded: &Guarded, kind: BrowserKind) -> Vec<Attack> {
    let js = |name: &str| Action::Answer(Answer::new(200, JS, guarded.payload(name)));
    let attack = |name, path: &'static str, rules, then| Attack { name, rules, path: path.into(), then };
    let with = |name: &'static str, query: &str, text: String, then| {
        let encoded = percent_encoding::utf8_percent_encode(&text, percent_encoding::NON_ALPHANUMERIC);
        Attack { name, rules: Vec::new(), path: format!("lab/?{query}={encoded}"), then }
    };
    let script = |name: &str| format!("<script>{}</script>", guarded.payload(name).trim());
    // What a worklet can do is little: that it is parsed shows in what it imports. As a script it can do more.
    let tone = format!("import \"{}/ran/worklet\";\n", guarded.host.url());
    let (service, service_then) = match kind {
        // It is as if the browser had none.
        BrowserKind::Chromium => ("no service worker", Then::Says("no service worker")),
        BrowserKind::Firefox => ("service worker", CHANGED),
    };
    let evil = || vec![at("/evil.js", js("unlisted"))];
    let index = Action::Answer(Answer::new(200, HTML, format!("<script src=lab/lab.js></script>{}", script("frame"))));
    let framed = |name, end, payload: &str| {
        let text = guarded.payload(payload);
        attack(name, "lab/?frame", vec![altered(guarded, end, |bytes| drop(bytes.splice(0..0, text.bytes())))], CHANGED)
    };
    let copy = attack(
        "a listed file under another path",
        "lab/?script=copy.js",
        vec![at("/lab/copy.js", js("copy"))],
        UNLISTED,
    );
    let same = Action::Answer(Answer::new(200, JS, "self.part = 1;\n"));
    vec![
        attack("a worker as listed", "lab/?worker", Vec::new(), Then::Says("worker 1")),
        attack("a worker", "lab/?worker", vec![at("/part.worker.js", js("worker"))], CHANGED),
        attack("what a worker imports", "lab/?worker", vec![at("/part.js", js("import"))], CHANGED),
        attack("a worklet as listed", "lab/?worklet", Vec::new(), Then::Says("worklet")),
        attack(
            "a worklet",
            "lab/?worklet",
            vec![at("/tone.worklet.js", Action::Answer(Answer::new(200, JS, tone)))],
            CHANGED,
        ),
        attack("a worklet that reports home", "lab/?worklet", vec![at("/tone.worklet.js", js("tone"))], CHANGED),
        attack("a service worker as listed", "lab/?service", Vec::new(), Then::Says(service)),
        attack("a service worker", "lab/?service", vec![at("/lab/sw.js", js("service"))], service_then),
        attack("WebAssembly as listed", "lab/?wasm", Vec::new(), Then::Says("wasm")),
        attack(
            "WebAssembly",
            "lab/?wasm",
            vec![at(
                "/lab.wasm",
                Action::Answer(Answer::new(200, "application/wasm", [&WASM[..], &[0, 2, 1, b'x']].concat())),
            )],
            CHANGED,
        ),
        attack("a module as listed", "lab/?module", Vec::new(), Then::Says("module")),
        attack("a module", "lab/?module", vec![at("/part.mjs", js("module"))], CHANGED),
        attack("an unlisted script", "lab/?script=%2Fevil.js", evil(), UNLISTED),
        attack("an unlisted module", "lab/?import=%2Fevil.js", evil(), Then::Refuses("failed")),
        copy,
        attack("listed bytes under another path", "lab/?script=copy.js", vec![at("/lab/copy.js", same)], UNLISTED),
        attack("a listed file with a query", "lab/?script=part.js%3F1", Vec::new(), Then::Says("script")),
        attack("data as a script", "lab/?script=..%2Fconfig.json", Vec::new(), Then::Refuses("failed")),
        attack("a frame of Element", "lab/?frame", Vec::new(), Then::Says("framed")),
        framed("a parser-inserted script in a frame", "/bundle.js", "frame-bundle"),
        framed("a chunk in a frame", "/init.js", "frame-chunk"),
        attack("the document of a frame", "lab/?own", vec![at("/lab/", index).skip(1)], CHANGED),
        with("a frame with srcdoc", "srcdoc", script("srcdoc"), Then::Says("framed")),
        with("a frame with blob:", "blob", script("blob"), Then::Says("framed")),
        with("a frame with javascript:", "javascript", guarded.payload("javascript"), Then::Unrun),
        with("eval", "eval", guarded.payload("eval"), Then::Refuses("failed")),
        with("a script with data:", "script", format!("data:text/javascript,{}", guarded.payload("data")), Then::Unrun),
    ]
}
