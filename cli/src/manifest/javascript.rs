//! What a JavaScript file says of itself and of others, as bundlers write it.
//!
//! This is no parser: it looks for the few forms in which webpack, Vite and Emscripten name modules, workers and worklets.
//! A wrong guess gives a file another kind of JavaScript; it is listed by its hashes all the same.

use std::collections::BTreeSet;

use memchr::memmem;

/// How far behind `new Worker(` its file's name may stand.
const REACH: usize = 64;

/// What one file says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Facts {
    /// It imports or exports as modules do.
    pub(super) is_module: bool,
    /// It registers an audio worklet's processor.
    pub(super) is_worklet: bool,
    /// Files that it starts as workers, as it names them.
    pub(super) workers: Vec<String>,
    /// Files that it registers as service workers.
    pub(super) service_workers: Vec<String>,
    /// Files that it adds as worklets.
    pub(super) worklets: Vec<String>,
    /// What it imports by `importScripts`; `None` where it does not.
    pub(super) imports: Option<Imports>,
}

/// What is imported by `importScripts`.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Imports {
    /// Files, as they are named.
    pub(super) files: Vec<String>,
    /// Chunks of webpack, each by the names that it may have: its own, and its number.
    pub(super) chunks: Vec<Vec<String>>,
}

/// Looks for them.
pub(super) fn facts(text: &[u8]) -> Facts {
    let has = |needle: &str| memmem::find(text, needle.as_bytes()).is_some();
    let named =
        |call: &str| -> Vec<String> { behind(text, call).filter_map(|rest| script_name(rest, REACH)).collect() };
    Facts {
        is_module: is_module(text),
        // A chunk of webpack has the text of one that it starts as a blob.
        is_worklet: has("registerProcessor(") && !has("webpackChunk"),
        workers: [named("new Worker("), named("new SharedWorker(")].concat(),
        service_workers: named("serviceWorker.register("),
        worklets: named("addModule("),
        imports: has("importScripts(").then(|| imports(text)),
    }
}

/// What stands behind each occurrence of `call`.
fn behind<'a>(text: &'a [u8], call: &'a str) -> impl Iterator<Item = &'a [u8]> {
    memmem::find_iter(text, call.as_bytes()).map(|at| &text[at + call.len()..])
}

/// The first quoted text among a call's arguments, and within reach, if it names a JavaScript file.
fn script_name(text: &[u8], reach: usize) -> Option<String> {
    let mut rest = arguments(&text[..text.len().min(reach + 512)]);
    let mut passed = 0;
    loop {
        let start = rest.iter().position(|byte| matches!(byte, b'"' | b'\'' | b'`'))?;
        let quote = rest[start];
        let length = rest[start + 1..].iter().position(|byte| *byte == quote)?;
        let name = std::str::from_utf8(&rest[start + 1..start + 1 + length]).ok()?;
        passed += start;
        if passed > reach || !name.is_empty() && !is_script_name(name) {
            return None;
        }
        // Vite writes ""+new URL("name.js", import.meta.url).
        if !name.is_empty() {
            return Some(name.to_owned());
        }
        rest = &rest[start + 2 + length..];
    }
}

/// What stands before the parenthesis that ends the call.
fn arguments(text: &[u8]) -> &[u8] {
    let mut open = 0;
    let end = text.iter().position(|byte| match byte {
        b'(' => {
            open += 1;
            false
        }
        b')' => {
            open -= 1;
            open < 0
        }
        _ => false,
    });
    &text[..end.unwrap_or(text.len())]
}

fn is_script_name(name: &str) -> bool {
    (name.ends_with(".js") || name.ends_with(".mjs")) && !name.contains(char::is_whitespace)
}

fn is_module(text: &[u8]) -> bool {
    if memmem::find(text, b"import.meta").is_some() {
        return true;
    }
    let exports = |rest: &[u8]| {
        ["{", "*", " {", " *", " default ", " const ", " let ", " var ", " function", " class ", " async "]
            .iter()
            .any(|form| rest.starts_with(form.as_bytes()))
    };
    let imports = |rest: &[u8]| {
        let rest = rest.trim_ascii_start();
        let quoted = rest.first().is_some_and(|byte| matches!(byte, b'"' | b'\''));
        let near = &rest[..rest.len().min(4096)];
        let from = memmem::find_iter(near, b"from")
            .any(|at| near[at + 4..].trim_ascii_start().first().is_some_and(|byte| matches!(byte, b'"' | b'\'')));
        let named = rest.first().is_some_and(|byte| matches!(byte, b'{' | b'*') || byte.is_ascii_alphabetic());
        quoted || (named && from)
    };
    statements(text, b"export").any(exports) || statements(text, b"import").any(imports)
}

/// What stands behind a word where a statement may begin.
fn statements<'a>(text: &'a [u8], word: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
    memmem::find_iter(text, word).filter_map(move |at| {
        let begins = match text[..at].last() {
            None => true,
            Some(byte) => matches!(byte, b';' | b'}' | b'\n' | b'/'),
        };
        begins.then(|| &text[at + word.len()..])
    })
}

fn imports(text: &[u8]) -> Imports {
    let files = behind(text, "importScripts(").filter_map(|rest| script_name(rest, 0)).collect();
    let mut numbers = Vec::new();
    // [1,2].map(n.e), and n.e(1) for a single one.
    for at in memmem::find_iter(text, b"].map(") {
        let start = text[..at].iter().rposition(|byte| *byte == b'[').map_or(at, |start| start + 1);
        let list: Option<Vec<&str>> =
            std::str::from_utf8(&text[start..at]).ok().map(|list| list.split(',').map(str::trim).collect());
        numbers.extend(list.into_iter().flatten().filter(|number| is_number(number)).map(str::to_owned));
    }
    for rest in behind(text, ".e(") {
        let length = rest.iter().position(|byte| *byte == b')').unwrap_or_default();
        let number = std::str::from_utf8(&rest[..length]).unwrap_or_default();
        numbers.extend(Some(number).filter(|number| is_number(number)).map(str::to_owned));
    }
    let mut seen = BTreeSet::new();
    numbers.retain(|number| seen.insert(number.clone()));
    let chunks = numbers.into_iter().map(|number| {
        let mut names = chunk_names(text, &number);
        names.push(number);
        names
    });
    Imports { files, chunks: chunks.collect() }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.len() <= 9 && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// The names of a chunk: `1040===e?"name"` and `1040:"name"`.
fn chunk_names(text: &[u8], number: &str) -> Vec<String> {
    let quoted = |rest: &[u8]| {
        let rest = rest.strip_prefix(b"\"")?;
        let length = rest.iter().position(|byte| *byte == b'"')?;
        String::from_utf8(rest[..length].to_vec()).ok()
    };
    let compared = behind(text, number).filter_map(|rest| {
        let rest = rest.strip_prefix(b"===")?;
        let question = rest.iter().take(8).position(|byte| *byte == b'?')?;
        quoted(&rest[question + 1..])
    });
    let mapped = behind(text, number).filter_map(|rest| quoted(rest.strip_prefix(b":")?));
    compared.chain(mapped).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_are_told_from_scripts() {
        for module in [
            "import{a as b}from\"./x.js\";b()",
            "/* licence */\nimport \"./x.js\";",
            "const a=1;export{a};",
            "export default function(){}",
            "new URL('x', import.meta.url)",
            "import * as a from './a.js'",
        ] {
            assert!(facts(module.as_bytes()).is_module, "{module}");
        }
        for script in [
            "(()=>{const a=()=>import(\"./x.js\")})()",
            "var exports={};exports.a=1",
            "a.export={};b.import={}",
            "// imports nothing\nimportant()",
            "!function(){}()",
        ] {
            assert!(!facts(script.as_bytes()).is_module, "{script}");
        }
    }

    #[test]
    fn workers_are_named_by_who_starts_them() {
        let text = "new Worker(\"\"+new URL(\"Db-1a.js\",import.meta.url),{type:\"module\"});new Worker(new URL(s.p+s.u(3304)));\
                    new SharedWorker('a.js');navigator.serviceWorker.register(\"sw.js\");c.addModule(`r.worklet.js`)";
        let found = facts(text.as_bytes());
        assert_eq!(found.workers, ["Db-1a.js", "a.js"]);
        assert_eq!(found.service_workers, ["sw.js"]);
        assert_eq!(found.worklets, ["r.worklet.js"]);
        assert_eq!(found.imports, None);
    }

    #[test]
    fn chunks_that_a_worker_imports() {
        let webpack = "n.O(void 0,[1040,5050],()=>n(1));n.u=e=>\"b/\"+n.h()+\"/\"+(1040===e?\"unhomoglyph_data\":e)+\".js\";\
                       importScripts(n.p+n.u(r));Promise.all([1040,5050].map(n.e,n))";
        let chunks = |text: &str| facts(text.as_bytes()).imports.unwrap().chunks;
        let expected = [vec!["unhomoglyph_data".to_owned(), "1040".to_owned()], vec!["5050".to_owned()]];
        assert_eq!(chunks(webpack), expected);
        let mapped =
            "n.u=e=>({7:\"data\"}[e]||e)+\".\"+{7:\"0abc\"}[e]+\".js\";importScripts(n.p+n.u(r));n.e(7).then(r)";
        assert_eq!(chunks(mapped), [["data", "0abc", "7"].map(str::to_owned)]);
        let literal = facts(b"importScripts('a.js');importScripts(x)").imports.unwrap();
        assert_eq!(literal, Imports { files: vec!["a.js".into()], chunks: Vec::new() });
        assert_eq!(facts(b"\"function\"==typeof importScripts").imports, None);
    }
}
