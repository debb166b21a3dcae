//! After a compromise: a key backup with a new key, and a word to the person.
//!
//! Threat: whoever opened the old sealed recovery has the key of the backup, and with the server's help reads every room key
//! that is put there later. Only another backup ends that. The seeds of the identity cannot be taken back so: whether they
//! are to be replaced is for the person to say, who is told what they are good for.

use super::record::Compromised;
use crate::{
    bootstrap::{
        End, Scene,
        prove::{self, Published},
        record::AccountRecord,
        switch,
    },
    effect::{Io, PageCommand},
    error::Code,
    events::{self, Event},
    ident::{Origin, UserId},
    matrix::homeserver::Stop,
};

/// Has the client make another key backup, unless that was done, and proves that its key is in secret storage.
pub(super) async fn renew_backup(
    scene: &Scene<'_>,
    record: &mut AccountRecord,
    published: &Published,
) -> Result<(), End> {
    let Some(Compromised { backup: Some(old), .. }) = record.rotation.compromised.clone() else { return Ok(()) };
    let Some(current) = record.current().cloned() else { return Ok(()) };
    if published.backup.version() == old {
        switch::page(scene, PageCommand::RenewBackup).await?;
    }
    let published = prove::read_published(&scene.homeserver, &scene.setup.user_id).await?;
    if published.backup.version() == old {
        return Err(End::Stop(Stop { code: Code::RecPage, not_before: None }));
    }
    let _proven = prove::secrets(scene, &current, &published).await?;
    let done = |record: &mut AccountRecord| {
        if let Some(compromised) = &mut record.rotation.compromised {
            compromised.backup = None;
        }
    };
    record.change(scene.io, &scene.setup.origin, done).await?;
    Ok(events::note(scene.io, &scene.setup.origin, &scene.setup.user_id, Event::BackupRenewed).await?)
}

/// The person has read what a compromise means. Until the backup is renewed it is said all the same.
///
/// # Errors
/// [`Stop`] where the store fails.
pub async fn read_by_person(io: Io, origin: &Origin, user_id: &UserId) -> Result<(), Stop> {
    let mut record = AccountRecord::load(&io, origin, user_id).await?;
    let read = |record: &mut AccountRecord| {
        if let Some(one) = record.rotation.compromised.as_mut().filter(|one| one.backup.is_none()) {
            one.read = true;
        }
    };
    Ok(record.change(&io, origin, read).await?)
}
