//! The deployment's own part: its settings, and the files it puts beside the release's or in their place.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{
    FilePath, Listing,
    listing::{field, list, nothing_left},
};
use crate::ident::NotAnIdentifier;

/// The folder of the origin that Element Web is served from: `/`, or such as `/element/`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct BasePath(String);

impl BasePath {
    /// Reads a base path: it begins and ends with `/`.
    ///
    /// # Errors
    /// [`NotAnIdentifier`] where the text is none.
    pub fn parse(text: &str) -> Result<Self, NotAnIdentifier> {
        let inner = text.strip_prefix('/').and_then(|rest| rest.strip_suffix('/'));
        let good = text == "/" || inner.is_some_and(|inner| FilePath::parse(inner).is_ok());
        if good { Ok(Self(text.to_owned())) } else { Err(NotAnIdentifier("base path such as / or /element/")) }
    }

    /// The text of it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The file that the path of a URL names, without its query; `index.html` of a folder. `None` where the URL is not under
    /// this folder, or writes a path in a way that a server may read as another.
    #[must_use]
    pub fn file(&self, url_path: &str) -> Option<FilePath> {
        let encoded = url_path.strip_prefix(self.as_str())?;
        let lower = encoded.to_ascii_lowercase();
        if lower.contains("%2f") || lower.contains("%5c") {
            return None;
        }
        let mut path = percent_encoding::percent_decode_str(encoded).decode_utf8().ok()?.into_owned();
        if path.is_empty() || path.ends_with('/') {
            path.push_str("index.html");
        }
        FilePath::parse(&path).ok()
    }
}

impl TryFrom<String> for BasePath {
    type Error = NotAnIdentifier;

    fn try_from(text: String) -> Result<Self, NotAnIdentifier> {
        Self::parse(&text)
    }
}

impl From<BasePath> for String {
    fn from(base: BasePath) -> Self {
        base.0
    }
}

/// A file of settings, `config.json` or `config.HOST.json`. What is served must have exactly these values, however it is
/// written: its `modules` are code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConfigFile {
    /// Which file it is.
    pub path: FilePath,
    /// Everything in it.
    pub values: Map<String, Value>,
}

impl ConfigFile {
    /// Is this the name of a file of settings?
    #[must_use]
    pub fn is_named(path: &FilePath) -> bool {
        let host = path.as_str().strip_prefix("config").and_then(|rest| rest.strip_suffix(".json"));
        host.is_some_and(|host| host.is_empty() || (host.starts_with('.') && !host.contains('/')))
    }
}

/// The deployment's own part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Site {
    base: BasePath,
    config: Vec<ConfigFile>,
    #[serde(flatten)]
    listing: Listing,
}

impl Site {
    /// Makes a site of settings in any order; their values are written in the order of their names.
    ///
    /// # Errors
    /// The field that is wrong, such as `config[1].path`.
    pub fn new(base: BasePath, mut config: Vec<ConfigFile>, listing: Listing) -> Result<Self, String> {
        config.sort_by(|a, b| a.path.cmp(&b.path));
        for (index, file) in config.iter_mut().enumerate() {
            file.values.values_mut().for_each(Value::sort_all_objects);
            file.values.sort_keys();
            if !ConfigFile::is_named(&file.path) || listing.file(&file.path).is_some() {
                return Err(format!("config[{index}].path"));
            }
        }
        if let Some(index) = config.windows(2).position(|two| two[0].path == two[1].path) {
            return Err(format!("config[{}].path", index + 1));
        }
        Ok(Self { base, config, listing })
    }

    /// Reads a site.
    pub(super) fn read(mut fields: Map<String, Value>) -> Result<Self, String> {
        let base = field(&mut fields, "base")?;
        let config = list(&mut fields, "config")?;
        let listing = Listing::take(&mut fields)?;
        nothing_left(&fields)?;
        Self::new(base, config, listing)
    }

    /// Where Element Web is served from.
    #[must_use]
    pub fn base(&self) -> &BasePath {
        &self.base
    }

    /// The settings.
    #[must_use]
    pub fn config(&self) -> &[ConfigFile] {
        &self.config
    }

    /// The deployment's own files; one with the path of a release's file stands in its place.
    #[must_use]
    pub fn listing(&self) -> &Listing {
        &self.listing
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_of_a_url_names_one_file() {
        let file = |base: &str, path: &str| BasePath::parse(base).unwrap().file(path).map(String::from);
        for (base, path, expected) in [
            ("/", "/", Some("index.html")),
            ("/", "/usercontent/", Some("usercontent/index.html")),
            ("/", "/a%20b.js", Some("a b.js")),
            ("/element/", "/element/", Some("index.html")),
            ("/element/", "/element/x.js", Some("x.js")),
            ("/element/", "/x.js", None),
            ("/element/", "/element", None),
            ("/", "/a%2fb.js", None),
            ("/", "/a%2Fb.js", None),
            ("/", "/a%5Cb.js", None),
            ("/", "/%2e%2e/b.js", None),
            ("/", "//b.js", None),
            ("/", "/a%252fb.js", None),
            ("/", "/a%ff.js", None),
            ("/", "/a%00.js", None),
        ] {
            assert_eq!(file(base, path).as_deref(), expected, "{path} under {base}");
        }
        for bad in ["", "element", "/element", "element/", "//", "/a//b/", "/../", "/a?/"] {
            assert!(BasePath::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn files_of_settings_are_known_by_name() {
        let is_named = |text: &str| ConfigFile::is_named(&FilePath::parse(text).unwrap());
        assert!(is_named("config.json") && is_named("config.chat.example.org.json"));
        assert!(!is_named("configs.json") && !is_named("widgets/config.json") && !is_named("config./x.json"));
    }
}
