//! Secret storage that somebody else set up, on a session that lacks what is in it: the person is asked for the recovery
//! key or the passphrase that was made there, once.
//!
//! Threat: a homeserver that keeps the machine busy with a passphrase of a thousand million iterations, or that has a
//! person enter the one text that opens everything again and again. The number of iterations is bounded
//! ([`crate::recovery::MAX_ITERATIONS`]); what is given is checked against the key description before anything is done with
//! it; *not now* holds for a week. What it opens is proven and believed as after every restore, and the key is only lent:
//! it encrypts nothing, and goes when ours is in its place.

use std::time::Duration;

use super::open::GivenError;
use crate::{
    bootstrap::{
        End, Scene,
        look::published_description,
        record::{AccountRecord, RecordError},
    },
    effect::{Answer, Effect, Io, VaultCommand},
    error::Code,
    ident::{KeyId, Origin, UserId},
    recovery::{
        DescriptionError, KeyDescription, Passphrase, RecoveryKey, RecoveryKeyError, VaultError, find_typo,
        read_in_any_case, sealed::SealedError,
    },
    secret::SecretText,
    status::{Progress, Question, State},
};

/// How long *not now* holds.
pub const NOT_NOW: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// The person does not want to be asked, for now. Returns what to show.
///
/// # Errors
/// [`RecordError`].
pub async fn put_off(io: Io, origin: &Origin, user_id: &UserId) -> Result<Progress, RecordError> {
    let mut record = AccountRecord::load(&io, origin, user_id).await?;
    let now = io.now();
    record.change(&io, origin, |record| record.not_now = Some(now)).await?;
    Ok(Progress { state: State::Foreign, problem: Some((Code::RecForeign, now)), ..Progress::default() })
}

/// How a run ends that found somebody else's default key: with the question, unless the person put that off.
pub(crate) async fn ask(scene: &Scene<'_>, record: &AccountRecord, default_key: &str) -> Result<End, End> {
    let leave = || End::Leave(State::Foreign, Some(Code::RecForeign));
    let id = KeyId::parse(default_key).map_err(|_| leave())?;
    // Read only where there is something to ask: one that nobody can check a key by is left alone.
    let description = published_description(scene, &id).await?.ok_or_else(leave)?;
    Ok(question(scene, record, &description))
}

/// The same, where the description was read.
pub(super) fn question(scene: &Scene<'_>, record: &AccountRecord, description: &KeyDescription) -> End {
    let now = scene.io.now();
    let put_off = record.not_now.is_some_and(|at| at <= now && now.since(at) < NOT_NOW);
    if put_off && !scene.setup.asked {
        return End::Leave(State::Foreign, Some(Code::RecForeign));
    }
    again(scene, description, Code::RecForeign, None)
}

/// The question, with what was wrong with the answer.
pub(super) fn again(scene: &Scene<'_>, description: &KeyDescription, code: Code, group: Option<usize>) -> End {
    let passphrase = matches!(description.passphrase(), Ok(Some(_)));
    End::Ask(code, Box::new(Question::Adopt { account: scene.setup.user_id.clone(), passphrase, group }))
}

/// The recovery key that the person gave, or that is made of the passphrase, if it fits the key description.
pub(super) async fn fitting(
    scene: &Scene<'_>,
    description: &KeyDescription,
    text: &SecretText,
) -> Result<Result<RecoveryKey, GivenError>, End> {
    let fits = |key: &RecoveryKey| description.verify(&key.derive_keys("")).is_ok();
    let typed = text.expose("to read the recovery key or the passphrase in it");
    if let Some(key) = read_in_any_case(typed, fits) {
        return Ok(Ok(key));
    }
    let why_not = match RecoveryKey::parse(typed) {
        Ok(_) => GivenError::Unfit,
        Err(error) => GivenError::Text(SealedError::Key(error)),
    };
    if matches!(why_not, GivenError::Text(SealedError::Key(RecoveryKeyError::Empty))) {
        return Ok(Err(why_not));
    }
    match description.passphrase() {
        Ok(Some(passphrase)) => {
            let key = stretch(scene, passphrase, typed.trim_end_matches(['\r', '\n'])).await?;
            // Whatever is no recovery key can be a passphrase; one with a single mistake in it hardly is.
            let mistyped = matches!(why_not, GivenError::Text(SealedError::Key(RecoveryKeyError::Checksum)))
                || find_typo(typed, fits).is_some();
            Ok(if fits(&key) { Ok(key) } else { Err(if mistyped { why_not } else { GivenError::Unfit }) })
        }
        Err(DescriptionError::Passphrase) if !matches!(why_not, GivenError::Unfit) => Ok(Err(GivenError::Passphrase)),
        Ok(None) | Err(_) => Ok(Err(why_not)),
    }
}

/// Has the vault make the recovery key of a passphrase.
async fn stretch(scene: &Scene<'_>, passphrase: Passphrase, typed: &str) -> Result<RecoveryKey, End> {
    let command = VaultCommand::Stretch { passphrase, typed: SecretText::new(typed.to_owned()) };
    match scene.io.ask(Effect::Vault(command)).await {
        Answer::Stretched(key) => Ok(key),
        _ => Err(VaultError::Failed.into()),
    }
}
