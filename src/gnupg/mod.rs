//! GnuPG on the person's own machine, through the native messaging host `gpgme-json`.
//!
//! Threat: a secret key that enters the browser. It does not: GnuPG opens the message, or signs, and asks for the PIN in a
//! window of its own; a smartcard works because GnuPG works with it. What comes back is no proof of anything: whoever
//! sealed a message is found out elsewhere, and a signature is believed when [`crate::openpgp::verify_detached`] has
//! checked it. Against a homeserver that puts something else in a sealed recovery's place, only messages that are encrypted
//! to a certificate are handed over, and replies are bounded.
//!
//! The protocol is that of gpgme-json 1.18 to 2.1, as its `help` operation describes it and as it was observed
//! (`tests/vectors/gnupg`). One message out, one message in; a reply larger than the size that was asked for comes in
//! parts.

mod disconnect;
mod error;
mod json_text;
mod reply;
mod request;

pub use self::{
    disconnect::why_disconnected,
    error::GnupgError,
    reply::{MAX_REPLY, Versions},
};

use self::{
    reply::{ListedKey, Parts, Reply},
    request::Request,
};
use crate::{
    effect::{Answer, Effect, Io, NativeCommand},
    ident::Fingerprint,
    openpgp,
    secret::SecretText,
};

/// The name under which `keystead native-host install` registers gpgme-json with browsers. Not `gpgmejson`, which
/// distributions and other programs register for extensions of their own: a person's file of that name would hide theirs.
pub const HOST_NAME: &str = "com.keystead.gpgme";

/// Has GnuPG decrypt an armored message; it may ask the person for a PIN.
///
/// # Errors
/// [`GnupgError`]; [`GnupgError::Message`] at once, with nobody asked, where it is not encrypted to a certificate.
pub async fn decrypt(io: &Io, armored: &str) -> Result<SecretText, GnupgError> {
    let recipients = openpgp::encrypted_to(armored).map_err(|_| GnupgError::Message)?;
    let host = Host { io };
    let opened = host.decrypt(armored, &recipients).await;
    host.close().await;
    opened
}

/// Has GnuPG sign a text with the secret key of this certificate, detached and armored; it may ask the person for a PIN.
///
/// The signature names a key of that certificate as its maker; that it is one, the caller must check against the
/// certificate itself.
///
/// # Errors
/// [`GnupgError`]; no other key ever signs.
pub async fn sign(io: &Io, text: &str, signer: &Fingerprint) -> Result<String, GnupgError> {
    let host = Host { io };
    let signed = host.sign(text, signer).await;
    host.close().await;
    signed
}

/// Does GnuPG have the secret key of this certificate, or know the smartcard that has it? Nobody is asked anything.
///
/// # Errors
/// [`GnupgError`].
pub async fn has_secret_key(io: &Io, fingerprint: &Fingerprint) -> Result<bool, GnupgError> {
    let host = Host { io };
    let key = host.secret_key(fingerprint).await;
    host.close().await;
    Ok(key?.is_some())
}

/// The versions of what answers. Nobody is asked anything.
///
/// # Errors
/// [`GnupgError`].
pub async fn versions(io: &Io) -> Result<Versions, GnupgError> {
    let host = Host { io };
    let versions = host.versions().await;
    host.close().await;
    versions
}

/// The native messaging host.
struct Host<'a> {
    io: &'a Io,
}

impl Host<'_> {
    async fn ask(&self, request: &Request) -> Result<Reply, GnupgError> {
        let mut parts = Parts::default();
        let mut message = request.to_native();
        loop {
            let Answer::Native(answer) = self.io.ask(Effect::Native(NativeCommand::Exchange(message))).await else {
                return Err(GnupgError::Answer);
            };
            if parts.push(&answer?)? {
                return parts.whole();
            }
            message = Request::more().to_native();
        }
    }

    /// Nobody waits minutes for a person's PIN where nobody asks for one.
    async fn hello(&self) -> Result<(), GnupgError> {
        self.ask(&Request::hello()).await?.is_help()
    }

    /// A host that ran on could still hold what it decrypted.
    async fn close(&self) {
        self.io.ask(Effect::Native(NativeCommand::Close)).await;
    }

    async fn versions(&self) -> Result<Versions, GnupgError> {
        self.hello().await?;
        self.ask(&Request::version()).await?.versions()
    }

    async fn secret_key(&self, fingerprint: &Fingerprint) -> Result<Option<ListedKey>, GnupgError> {
        self.hello().await?;
        let keys = self.ask(&Request::secret_key(fingerprint)).await?.keys()?;
        Ok(keys.into_iter().find(|key| key.is_secret(fingerprint)))
    }

    async fn decrypt(&self, armored: &str, recipients: &[String]) -> Result<SecretText, GnupgError> {
        self.hello().await?;
        match self.ask(&Request::decrypt(armored)).await {
            Ok(reply) => reply.plaintext(),
            Err(GnupgError::NoSecretKey) => Err(self.what_is_missing(recipients).await),
            Err(error) => Err(error),
        }
    }

    async fn sign(&self, text: &str, signer: &Fingerprint) -> Result<String, GnupgError> {
        let Some(key) = self.secret_key(signer).await? else {
            return Err(self.what_is_missing(&[signer.as_str().to_owned()]).await);
        };
        if !key.signs() {
            return Err(GnupgError::UnusableKey);
        }
        let signature = self.ask(&Request::sign(text, signer)).await?.signature()?;
        let issuers = openpgp::issuers(&signature).map_err(|_| GnupgError::Answer)?;
        if issuers.is_empty() || !issuers.iter().all(|issuer| key.has(issuer)) {
            return Err(GnupgError::WrongKey);
        }
        Ok(signature)
    }

    /// Why is a secret key not found that belongs to one of these certificates?
    async fn what_is_missing(&self, certificates: &[String]) -> GnupgError {
        match self.ask(&Request::secret_keys()).await.and_then(|reply| reply.keys()) {
            Ok(keys) if keys.is_empty() => (),
            Ok(_) => return GnupgError::WrongKey,
            Err(error) => return error,
        }
        match self.ask(&Request::agent(certificates)).await.err() {
            Some(GnupgError::Agent) => GnupgError::Agent,
            _ => GnupgError::NoSecretKey,
        }
    }
}
