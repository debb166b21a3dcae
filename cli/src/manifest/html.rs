//! HTML documents into templates: the document with its scripts taken out of their places.
//!
//! The tokens of a conforming tokenizer are written down again, so the template means to every browser what it means here.

use std::cell::RefCell;

use html5ever::tokenizer::{
    BufferQueue, Doctype, Tag, TagKind, Token, TokenSink, TokenSinkResult, Tokenizer, TokenizerOpts, states::RawKind,
};
use keystead_core::integrity::{BasePath, Document, FilePath, Script, ScriptSource, ScriptType, Sha256Digest};
use sha2::{Digest as _, Sha256};
use url::Url;

/// An origin that nothing has: what a document names there lies beside it.
const HERE: &str = "https://release.invalid/";

/// A document, and what about it an administrator should know.
pub(super) struct Read {
    pub(super) document: Document,
    pub(super) notes: Vec<String>,
}

/// Reads a document.
///
/// # Errors
/// A sentence about what no template can be made of.
pub(super) fn read(path: &FilePath, text: &[u8]) -> Result<Read, String> {
    let text = std::str::from_utf8(text).map_err(|_| "it is not UTF-8")?;
    let here = Url::parse(HERE).and_then(|url| url.join(path.as_str())).map_err(|_| "it has no URL")?;
    let sink = Sink(RefCell::new(Writer::new(here)));
    let tokenizer = Tokenizer::new(sink, TokenizerOpts::default());
    let input = BufferQueue::default();
    input.push_back(text.into());
    let _ = tokenizer.feed(&input);
    tokenizer.end();
    let writer = tokenizer.sink.0.into_inner();
    if let Some(why) = writer.refused {
        return Err(why);
    }
    if writer.script.is_some() {
        return Err("a script has no end".into());
    }
    let mut notes = Vec::new();
    let external = writer.scripts.iter().filter(|script| matches!(script.source, ScriptSource::External(_))).count();
    for (count, what) in [
        (external, "scripts from elsewhere, which will not run"),
        (writer.handlers, "event handlers in attributes, which will not run"),
        (writer.bases, "base elements, which have no effect"),
    ] {
        if count > 0 {
            notes.push(format!("{}: {count} {what}", path.as_str()));
        }
    }
    let document = Document { path: path.clone(), template: writer.text, scripts: writer.scripts };
    Ok(Read { document, notes })
}

struct Sink(RefCell<Writer>);

struct Writer {
    here: Url,
    text: String,
    scripts: Vec<Script>,
    /// The script that is being read: its tag and its text.
    script: Option<(Tag, String)>,
    /// The element in which nothing but its own end means anything.
    raw: Option<String>,
    /// How many `svg` or `math`, and how many `noscript`, are open.
    foreign: usize,
    noscript: usize,
    handlers: usize,
    bases: usize,
    refused: Option<String>,
}

impl TokenSink for Sink {
    type Handle = ();

    fn process_token(&self, token: Token, _line: u64) -> TokenSinkResult<()> {
        let mut writer = self.0.borrow_mut();
        match token {
            Token::DoctypeToken(doctype) => writer.doctype(&doctype),
            Token::TagToken(tag) => return writer.tag(tag),
            Token::CharacterTokens(text) => writer.characters(&text),
            Token::NullCharacterToken => writer.characters("\u{fffd}"),
            Token::CommentToken(_) | Token::EOFToken | Token::ParseError(_) => {}
        }
        TokenSinkResult::Continue
    }
}

impl Writer {
    fn new(here: Url) -> Self {
        let (text, scripts, script, raw, refused) = (String::new(), Vec::new(), None, None, None);
        Self { here, text, scripts, script, raw, foreign: 0, noscript: 0, handlers: 0, bases: 0, refused }
    }

    fn doctype(&mut self, doctype: &Doctype) {
        self.text.push_str("<!DOCTYPE");
        if let Some(name) = &doctype.name {
            self.text.push_str(&format!(" {name}"));
        }
        match (&doctype.public_id, &doctype.system_id) {
            (Some(public), Some(system)) => self.text.push_str(&format!(" PUBLIC \"{public}\" \"{system}\"")),
            (Some(public), None) => self.text.push_str(&format!(" PUBLIC \"{public}\"")),
            (None, Some(system)) => self.text.push_str(&format!(" SYSTEM \"{system}\"")),
            (None, None) => {}
        }
        self.text.push('>');
    }

    fn tag(&mut self, tag: Tag) -> TokenSinkResult<()> {
        match tag.kind {
            TagKind::StartTag => self.start(tag),
            TagKind::EndTag => {
                self.end(&tag);
                TokenSinkResult::Continue
            }
        }
    }

    fn start(&mut self, tag: Tag) -> TokenSinkResult<()> {
        let name = tag.name.to_string();
        self.handlers += tag.attrs.iter().filter(|attribute| attribute.name.local.starts_with("on")).count();
        let foreign = self.foreign > 0;
        let raw = match name.as_str() {
            "script" if foreign => {
                self.refused = Some("it has a script inside SVG or MathML".into());
                None
            }
            "script" => {
                self.script = Some((tag, String::new()));
                return TokenSinkResult::RawData(RawKind::ScriptData);
            }
            "plaintext" => {
                self.refused = Some("it has a plaintext element".into());
                None
            }
            "svg" | "math" if !tag.self_closing => {
                self.foreign += 1;
                None
            }
            "base" => {
                self.bases += 1;
                None
            }
            "noscript" => {
                self.noscript += 1;
                None
            }
            "textarea" | "title" if !foreign => Some(RawKind::Rcdata),
            "style" | "xmp" | "iframe" | "noembed" | "noframes" if !foreign => Some(RawKind::Rawtext),
            _ => None,
        };
        self.write_start(&tag);
        match raw {
            Some(kind) => {
                // In a title, references are read as elsewhere, so they are written as elsewhere.
                self.raw = (kind == RawKind::Rawtext).then_some(name);
                TokenSinkResult::RawData(kind)
            }
            None => TokenSinkResult::Continue,
        }
    }

    fn end(&mut self, tag: &Tag) {
        let name = &*tag.name;
        if self.raw.as_deref() == Some(name) {
            self.raw = None;
        }
        match name {
            "script" => {
                if let Some((tag, text)) = self.script.take() {
                    self.end_script(&tag, text);
                }
                return;
            }
            "svg" | "math" => self.foreign = self.foreign.saturating_sub(1),
            "noscript" => self.noscript = self.noscript.saturating_sub(1),
            _ => {}
        }
        self.text.push_str(&format!("</{name}>"));
    }

    fn write_start(&mut self, tag: &Tag) {
        self.text.push_str(&format!("<{}", tag.name));
        for attribute in &tag.attrs {
            let value = attribute.value.replace('&', "&amp;").replace('"', "&quot;");
            self.text.push_str(&format!(" {}=\"{value}\"", attribute.name.local));
        }
        self.text.push_str(if tag.self_closing { "/>" } else { ">" });
    }

    fn characters(&mut self, text: &str) {
        match (&mut self.script, &self.raw) {
            (Some((_, script)), _) => script.push_str(text),
            (None, Some(_)) => self.text.push_str(text),
            (None, None) => {
                self.text.push_str(&text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;"));
            }
        }
    }

    fn end_script(&mut self, tag: &Tag, text: String) {
        let get = |name: &str| tag.attrs.iter().find(|found| &*found.name.local == name).map(|found| &*found.value);
        let named = get("type").unwrap_or_default().trim().to_ascii_lowercase();
        let script_type = match named.as_str() {
            "" => ScriptType::Classic,
            "module" => ScriptType::Module,
            "importmap" => ScriptType::Importmap,
            name if name.ends_with("javascript") || name.ends_with("ecmascript") || name.ends_with("jscript") => {
                ScriptType::Classic
            }
            // Data, which does not run.
            _ => {
                self.write_start(tag);
                self.text.push_str(&text);
                self.text.push_str("</script>");
                return;
            }
        };
        // Where scripts run, nobody sees what is in there.
        if self.noscript > 0 {
            return;
        }
        let source = match get("src") {
            Some(src) => self.file(src),
            None => ScriptSource::Inline { sha256: Sha256Digest::new(Sha256::digest(&text).into()), text },
        };
        self.text.push_str(&Document::place(self.scripts.len()));
        self.scripts.push(Script {
            source,
            script_type,
            is_async: get("async").is_some(),
            is_deferred: get("defer").is_some(),
            is_nomodule: get("nomodule").is_some(),
            crossorigin: get("crossorigin").map(str::to_owned),
        });
    }

    /// The file that a URL in the document names.
    fn file(&self, src: &str) -> ScriptSource {
        let url = self.here.join(src).ok().filter(|url| url.origin() == self.here.origin());
        let path = url.and_then(|url| BasePath::parse("/").ok()?.file(url.path()));
        path.map_or_else(|| ScriptSource::External(src.to_owned()), ScriptSource::File)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn template(text: &str) -> Document {
        read(&FilePath::parse("a/index.html").unwrap(), text.as_bytes()).unwrap_or_else(|why| panic!("{why}")).document
    }

    #[test]
    fn scripts_leave_their_places() {
        let document = template(
            "<!doctype html><html><head><!-- note --><script defer src=\"../b/c.js?v=1\"></script>\n<title>A &amp; <b></title>\
             <style>a>b{}</style></head><body><script>let a = 1 < 2;</script><p title='\"&lt;'>x &lt; y</p>\
             <script type=module crossorigin src=./m.js></script><script src=//evil.example/x.js></script></body></html>",
        );
        assert_eq!(
            document.template,
            "<!DOCTYPE html><html><head><script data-place=\"0\"></script>\n<title>A &amp; &lt;b&gt;</title>\
             <style>a>b{}</style></head><body><script data-place=\"1\"></script><p title=\"&quot;<\">x &lt; y</p>\
             <script data-place=\"2\"></script><script data-place=\"3\"></script></body></html>"
        );
        let file = |path: &str| ScriptSource::File(FilePath::parse(path).unwrap());
        let [first, inline, module, external] = &document.scripts[..] else { panic!("{:?}", document.scripts) };
        assert_eq!((&first.source, first.is_deferred), (&file("b/c.js"), true));
        assert!(matches!(&inline.source, ScriptSource::Inline { text, .. } if text == "let a = 1 < 2;"));
        assert_eq!((&module.source, module.script_type), (&file("a/m.js"), ScriptType::Module));
        assert_eq!(module.crossorigin.as_deref(), Some(""));
        assert_eq!(external.source, ScriptSource::External("//evil.example/x.js".into()));
    }

    #[test]
    fn what_is_no_script_of_the_page_stays_or_goes() {
        let document = template(
            "<noscript>Please <script>no()</script></noscript><script type=\"application/json\">{\"a\":\"<b>\"}</script>",
        );
        assert_eq!(
            document.template,
            "<noscript>Please </noscript><script type=\"application/json\">{\"a\":\"<b>\"}</script>"
        );
        assert!(document.scripts.is_empty());
    }

    #[test]
    fn a_template_is_its_own_template() {
        let document =
            template("<!DOCTYPE html PUBLIC \"a\" \"b\"><p a=b c>&nbsp;&amp;amp;<svg><path d='M0'/></svg><br/>");
        assert_eq!(template(&document.template).template, document.template);
    }

    #[test]
    fn documents_of_which_no_template_can_be_made() {
        let why = |text: &[u8]| read(&FilePath::parse("a.html").unwrap(), text).err();
        assert_eq!(why(b"<p>\xff").as_deref(), Some("it is not UTF-8"));
        assert_eq!(why(b"<script>let a").as_deref(), Some("a script has no end"));
        assert_eq!(why(b"<svg><script>x()</script></svg>").as_deref(), Some("it has a script inside SVG or MathML"));
        assert_eq!(why(b"<plaintext>").as_deref(), Some("it has a plaintext element"));
    }
}
