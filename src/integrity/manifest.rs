//! The release manifest: the releases that may run, and the deployment's own part.

use serde::Serialize;
use serde_json::{Map, Value};

use super::{Release, Site, listing::nothing_left};
use crate::signed::{Body, Kind};

/// The most releases of one manifest.
pub const MAX_RELEASES: usize = 16;

/// What a manifest holds: one or more releases, any of which may run, and the site.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReleaseManifest {
    site: Site,
    releases: Vec<Release>,
}

impl Body for ReleaseManifest {
    const KIND: Kind = Kind::ReleaseManifest;
    const VERSION: u32 = 1;

    fn read(mut fields: Map<String, Value>) -> Result<Self, String> {
        let inside = |name: String| move |field| format!("{name}.{field}");
        let Some(Value::Object(site)) = fields.shift_remove("site") else { return Err("site".into()) };
        let site = Site::read(site).map_err(inside("site".into()))?;
        let Some(Value::Array(items)) = fields.shift_remove("releases") else { return Err("releases".into()) };
        nothing_left(&fields)?;
        if items.len() > MAX_RELEASES {
            return Err("releases".into());
        }
        let mut releases = Vec::new();
        for (index, item) in items.into_iter().enumerate() {
            let name = format!("releases[{index}]");
            let Value::Object(release) = item else { return Err(name) };
            releases.push(Release::read(release).map_err(inside(name))?);
        }
        Self::new(site, releases)
    }
}

impl ReleaseManifest {
    /// Makes a manifest of releases in any order.
    ///
    /// # Errors
    /// The field that is wrong: `releases` where there is none, there are too many, or two have the same files; else the
    /// document or worker with a script that is not listed.
    pub fn new(site: Site, mut releases: Vec<Release>) -> Result<Self, String> {
        releases.sort_by(|a, b| (a.version(), a.id()).cmp(&(b.version(), b.id())));
        let twice = releases.iter().enumerate().any(|(index, a)| releases[..index].iter().any(|b| a.id() == b.id()));
        if !(1..=MAX_RELEASES).contains(&releases.len()) || twice {
            return Err("releases".into());
        }
        for (index, release) in releases.iter().enumerate() {
            if let Some(field) = release.listing().unlisted_script(&[site.listing()]) {
                return Err(format!("releases[{index}].{field}"));
            }
            if let Some(field) = site.listing().unlisted_script(&[release.listing()]) {
                return Err(format!("site.{field}"));
            }
        }
        Ok(Self { site, releases })
    }

    /// The deployment's own part.
    #[must_use]
    pub fn site(&self) -> &Site {
        &self.site
    }

    /// The releases, sorted by version and id.
    #[must_use]
    pub fn releases(&self) -> &[Release] {
        &self.releases
    }
}
