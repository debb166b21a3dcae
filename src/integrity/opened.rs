//! A way past a refusal, where the policy leaves one (`integrity.override`).
//!
//! Threat: a person is talked into running what the host slips in, again and again, and for everything. So what is opened
//! is exactly what they were shown, byte for byte, in one tab, until that shows another document; it is logged before it
//! is opened, and a document that anything was opened for gets no keys.

use serde::{Deserialize, Serialize};

use super::{RefusalView, Sha256Digest};
use crate::{error::Code, policy::Override};

/// Proof that the policy lets a person open what was refused.
#[derive(Debug)]
pub struct OverrideAllowed(());

impl OverrideAllowed {
    /// What this choice of the policy proves: nothing where it is `never`.
    #[must_use]
    pub const fn of(choice: Override) -> Option<Self> {
        match choice {
            Override::Never => None,
            Override::Once => Some(Self(())),
        }
    }
}

impl RefusalView {
    /// Can a person be asked about it? It has bytes that IT can look at later, and IT did not take just these back.
    #[must_use]
    pub const fn may_be_opened(&self) -> bool {
        let by_bytes = matches!(
            self.code,
            Code::IntChanged | Code::IntUnlisted | Code::IntMixed | Code::IntKind | Code::IntConfig
        );
        by_bytes && self.found.is_some()
    }
}

/// What a person opens all the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opened(Vec<RefusalView>);

impl Opened {
    /// What can be opened of all that was refused; `None` where that is nothing.
    #[must_use]
    pub fn of(refused: &[RefusalView], _: &OverrideAllowed) -> Option<Self> {
        let these: Vec<_> = refused.iter().filter(|refused| refused.may_be_opened()).cloned().collect();
        (!these.is_empty()).then_some(Self(these))
    }

    /// Each of it.
    #[must_use]
    pub fn each(&self) -> &[RefusalView] {
        &self.0
    }

    /// Is this the same again, for the same reason?
    #[must_use]
    pub fn lets(&self, again: &RefusalView, _: &OverrideAllowed) -> bool {
        again.may_be_opened()
            && self.0.iter().any(|one| one.is_of(&again.url) && one.code == again.code && one.found == again.found)
    }

    /// The paths of the URLs of it, with the hashes that are let through there.
    pub fn files(&self) -> impl Iterator<Item = (String, Sha256Digest)> {
        self.0.iter().filter_map(|one| Some((url::Url::parse(&one.url).ok()?.path().to_owned(), one.found?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::UnixMillis;

    fn refused(url: &str, code: Code, bytes: Option<&[u8]>) -> RefusalView {
        let found = bytes.map(Sha256Digest::of);
        RefusalView { found, ..RefusalView::without_bytes(url, code, UnixMillis(1)) }
    }

    #[test]
    fn only_what_was_shown_is_opened() {
        let allowed = OverrideAllowed::of(Override::Once).unwrap();
        assert!(OverrideAllowed::of(Override::Never).is_none());
        let shown = refused("https://chat.example.org/a.js", Code::IntChanged, Some(b"x"));
        let opened = Opened::of(std::slice::from_ref(&shown), &allowed).unwrap();
        assert!(opened.lets(&shown, &allowed));
        assert!(opened.lets(&RefusalView { url: format!("{}?1", shown.url), ..shown.clone() }, &allowed));
        for other in [
            refused("https://chat.example.org/a.js", Code::IntChanged, Some(b"y")),
            refused("https://chat.example.org/b.js", Code::IntChanged, Some(b"x")),
            refused("https://chat.example.org/a.js", Code::IntKind, Some(b"x")),
            refused("https://chat.example.org/a.js", Code::IntChanged, None),
        ] {
            assert!(!opened.lets(&other, &allowed), "{other:?}");
        }
        assert_eq!(opened.files().collect::<Vec<_>>(), [("/a.js".to_owned(), Sha256Digest::of(b"x"))]);
    }

    #[test]
    fn what_it_took_back_is_not_opened() {
        let allowed = OverrideAllowed::of(Override::Once).unwrap();
        for (code, bytes) in [
            (Code::IntRevoked, Some(&b"x"[..])),
            (Code::SgnExpired, Some(b"x")),
            (Code::IntNoManifest, None),
            (Code::IntUnlisted, None),
        ] {
            let shown = refused("https://chat.example.org/a.js", code, bytes);
            assert!(Opened::of(&[shown], &allowed).is_none(), "{code:?}");
        }
    }
}
