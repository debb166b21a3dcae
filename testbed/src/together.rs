//! All services at once.

use std::path::PathBuf;

use anyhow::Result;

use crate::{Gpg, HostPage, HostPageOptions, Sks, Synapse, SynapseOptions};

/// What a test wants of its services beyond the defaults.
#[derive(Clone, Debug, Default)]
pub struct TestbedOptions {
    /// The homeserver's settings.
    pub synapse: SynapseOptions,
    /// The directory of the host page or of an Element Web build; none, no host page.
    pub host: Option<PathBuf>,
    /// The host page's settings.
    pub host_options: HostPageOptions,
}

/// A homeserver, a key server, a key ring and a host page.
#[derive(Debug)]
pub struct Testbed {
    /// The homeserver.
    pub synapse: Synapse,
    /// The key server.
    pub sks: Sks,
    /// A key ring.
    pub gpg: Gpg,
    /// The host page, if a directory for it was given.
    pub host: Option<HostPage>,
}

impl Testbed {
    /// Starts all services side by side.
    ///
    /// # Errors
    /// If one of them is not installed or does not come up; the others end then.
    pub async fn start(options: TestbedOptions) -> Result<Self> {
        let (synapse, sks) = tokio::try_join!(Synapse::start(options.synapse), Sks::start())?;
        let gpg = Gpg::new()?;
        let host = match options.host {
            Some(dir) => Some(HostPage::start(&dir, synapse.url(), synapse.server_name(), options.host_options)?),
            None => None,
        };
        Ok(Self { synapse, sks, gpg, host })
    }
}
