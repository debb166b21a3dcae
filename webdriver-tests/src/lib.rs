//! Keystead in real browsers: what the tests, the demo and the benches drive them with.
//!
//! A [`Company`] has the services, a certifier and people; each run has a [`Desk`] (an Element Web and a way to the
//! services that can be made to misbehave) and a [`Browser`] with the extension and the organisation's policy.

pub mod browser;
pub mod client;
mod company;
pub mod element;
pub mod fit;
mod guarded;
pub mod rows;
pub mod search;
mod status;
mod until;

pub use browser::{Browser, BrowserKind, BrowserOptions, Extension, Profile};
pub use company::{Company, Desk, Employee};
pub use guarded::{Guarded, Site, Term};
pub use status::{Deployment, Progress, State, Status};
pub use until::{PATIENCE, until};
