//! Starts the real services that Keystead is tested against: a homeserver, a key server, GnuPG and a host page.
//!
//! Every service stands on a free loopback port with its files in a temporary directory, counts as started only when it
//! answers, and is gone with its directory when its value is dropped, also if the test process dies first. Services that
//! must misbehave stand behind a [`Proxy`].
//!
//! ```no_run
//! # async fn run() -> anyhow::Result<()> {
//! use keystead_testbed::{Testbed, TestbedOptions};
//!
//! let testbed = Testbed::start(TestbedOptions::default()).await?;
//! let alice = testbed.synapse.register_user("alice", "correct horse").await?;
//! println!("{alice} can log in at {}", testbed.synapse.url());
//! # Ok(())
//! # }
//! ```

mod gpg;
mod host;
mod pinentry;
mod ports;
mod process;
mod proxy;
mod rules;
mod scratch;
mod server;
mod sks;
mod synapse;
mod synapse_api;
mod tls;
mod together;

pub use gpg::{Gpg, KeyKind, KeySpec};
pub use host::{HostPage, HostPageOptions};
pub use keystead_tools::gpgme_json;
pub use pinentry::Pinentry;
pub use ports::free_port;
pub use process::Service;
pub use proxy::{Asked, Proxy, Recorded};
pub use rules::{Action, Answer, Gate, Rule};
pub use scratch::scratch_dir;
pub use sks::Sks;
pub use synapse::{Synapse, SynapseOptions};
pub use synapse_api::{Answered, Session};
pub use together::{Testbed, TestbedOptions};
