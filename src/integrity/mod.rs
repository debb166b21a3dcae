//! Page integrity: which code of Element Web may run, by the organisation's word.
//!
//! Threat: the web host is hostile and serves other code than Element's, or other settings than the organisation's. So the
//! organisation signs a *release manifest* ([`ReleaseManifest`]): every file of the releases that it allows, with its kind
//! and hashes, a template of each HTML document, and the deployment's own files and settings. A *revocation*
//! ([`Revocation`]) takes releases back. [`refresh`] gets both by the rules of signed documents and makes a [`ManifestSet`],
//! the only thing that anything is enforced from: it holds a [`ReleaseSignatureValid`], which nothing else makes.
//!
//! The core only reads manifests; the command builds them. Form: `docs/release-manifest.md`.

mod digest;
mod document;
mod evidence;
mod file;
mod listing;
mod log;
mod manifest;
mod opened;
mod page;
mod rebuild;
mod refresh;
mod release;
mod revocation;
mod set;
mod site;
mod verdict;
mod view;

pub use digest::{Digest, Sha256Digest, Sha384Digest};
pub use document::{Document, Script, ScriptSource, ScriptType};
pub use evidence::{Header, Seen, ServedAnswer, evidence};
pub use file::{FileKind, FilePath, ListedFile};
pub use listing::{Listing, ListingError, Worker};
pub use log::{Happened, IntegrityEntry, MAX_ENTRIES, log_key, log_lines, note, tell_it};
pub use manifest::{MAX_RELEASES, ReleaseManifest};
pub use opened::{Opened, OverrideAllowed};
pub use page::{DocumentId, PageVerified, SavedPage};
pub use rebuild::{PageRecord, ScriptRecord};
pub use refresh::{Refreshed, Sources, refresh, revocation_url, revoked_key};
pub use release::{ExtensionVersion, Release, ReleaseId, ReleaseVersion};
pub use revocation::{Revocation, RevokedRelease};
pub use set::{EXPIRY_WARNING, ManifestSet, ReleaseSignatureValid};
pub use site::{BasePath, ConfigFile, Site};
pub use verdict::{Allowed, Destination, Refused, Served, SettingsRefused};
pub use view::{IntegrityRequest, IntegrityState, IntegrityView, RefusalView, Standing};
