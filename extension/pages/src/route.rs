//! Which view is wanted: `#popup` (also without a hash), `#options`, `#confirm?origin=…`, `#keep?origin=…`,
//! `#recover?origin=…`, `#phone?origin=…`, `#drill?origin=…`, `#refused?origin=…`.

use keystead_core::ident::Origin;

/// A view of the page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Route {
    /// Where every account stands.
    Popup,
    /// The person's own policy.
    Options,
    /// Is this certificate yours?
    Confirm(Origin),
    /// Keep this recovery key.
    Keep(Origin),
    /// Open the account's history on this browser.
    Recover(Origin),
    /// Bring in a phone, or another app.
    Phone(Origin),
    /// Test the backup.
    Drill(Origin),
    /// What was served is not to run.
    Refused(Origin),
}

impl Route {
    /// Reads the location's hash; whatever is not understood is the popup, which asks nothing and changes nothing.
    pub(crate) fn parse(hash: &str) -> Self {
        let hash = hash.trim_start_matches('#');
        let (name, query) = hash.split_once('?').unwrap_or((hash, ""));
        let origin = || {
            let mut pairs = url::form_urlencoded::parse(query.as_bytes());
            pairs.find(|(key, _)| key == "origin").and_then(|(_, value)| Origin::parse(&value).ok())
        };
        match (name, origin()) {
            ("options", _) => Self::Options,
            ("confirm", Some(origin)) => Self::Confirm(origin),
            ("keep", Some(origin)) => Self::Keep(origin),
            ("recover", Some(origin)) => Self::Recover(origin),
            ("phone", Some(origin)) => Self::Phone(origin),
            ("drill", Some(origin)) => Self::Drill(origin),
            ("refused", Some(origin)) => Self::Refused(origin),
            _ => Self::Popup,
        }
    }

    /// The hash that leads to this view, with its `#`.
    pub(crate) fn hash(&self) -> String {
        let about = |name: &str, origin: &Origin| {
            let query: String =
                url::form_urlencoded::Serializer::new(String::new()).append_pair("origin", origin.as_str()).finish();
            format!("#{name}?{query}")
        };
        match self {
            Self::Popup => "#popup".to_owned(),
            Self::Options => "#options".to_owned(),
            Self::Confirm(origin) => about("confirm", origin),
            Self::Keep(origin) => about("keep", origin),
            Self::Recover(origin) => about("recover", origin),
            Self::Phone(origin) => about("phone", origin),
            Self::Drill(origin) => about("drill", origin),
            Self::Refused(origin) => about("refused", origin),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_view_has_a_hash_that_leads_to_it() {
        let origin = Origin::parse("http://localhost:8080").unwrap();
        let about = [Route::Confirm, Route::Keep, Route::Recover, Route::Phone, Route::Drill, Route::Refused]
            .map(|view| view(origin.clone()));
        for route in [Route::Popup, Route::Options].into_iter().chain(about) {
            assert_eq!(Route::parse(&route.hash()), route);
        }
    }

    #[test]
    fn a_question_about_no_valid_origin_is_not_asked() {
        for hash in
            ["#confirm", "#confirm?origin=", "#keep?origin=javascript:alert(1)", "#keep?origin=http://evil.example"]
        {
            assert_eq!(Route::parse(hash), Route::Popup, "{hash}");
        }
    }
}
