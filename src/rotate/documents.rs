//! The account's data as a whole: which documents hold secrets, ours and others', and what is to be written into them.
//!
//! Threat: a document that nobody here has heard of, whose secret is lost with the key that is taken away. So documents are
//! found by their entries and not by name. One that the old key does not open is nobody's loss, and is left as it is.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::{
    bootstrap::{
        End, Scene, make,
        prove::{self, ProveError, Published},
        record::VaultKey,
    },
    bridge::Superseded,
    effect::HttpRequest,
    error::Code,
    ident::KeyId,
    matrix::{account_data, homeserver::Stop},
    pins::shared,
    recovery::{SecretDocument, secret_name},
    secret::SecretText,
    sorted::SortedMap,
};

/// All account data of an account, as it was at one moment.
pub(super) struct Documents(SortedMap<String, Map<String, Value>>);

impl Documents {
    /// Reads it.
    pub(super) async fn read(scene: &Scene<'_>) -> Result<Self, Stop> {
        let request = account_data::list(&make::make_letters(16)?);
        Ok(Self(account_data::read_list(&scene.homeserver.send(request).await?)?))
    }

    /// A document, if it is there and of this form.
    pub(super) fn get<T: DeserializeOwned>(&self, kind: &str) -> Option<T> {
        serde_json::from_value(Value::Object(self.0.get(kind)?.clone())).ok()
    }

    /// The default key's id, if there is one.
    pub(super) fn default_key(&self) -> Option<KeyId> {
        self.get(account_data::DEFAULT_KEY).map(|document: account_data::DefaultKey| document.key)
    }

    /// The documents that have an entry for a key.
    pub(super) fn under(&self, id: &KeyId) -> impl Iterator<Item = (&str, SecretDocument)> {
        let has = move |document: &SecretDocument| document.key_ids().any(|known| known == *id);
        self.0.keys().filter_map(move |kind| Some((kind.as_str(), self.get(kind).filter(has)?)))
    }

    /// What is to be written so that everything that the old key opens opens with the new one too; nothing where that is so.
    pub(super) async fn missing(
        &self,
        scene: &Scene<'_>,
        old: &VaultKey,
        new: &VaultKey,
        published: &Published,
    ) -> Result<Vec<HttpRequest>, End> {
        for name in secret_name::ALL {
            self.under(&old.id).find(|(kind, _)| *kind == name).ok_or(ProveError::Missing)?;
        }
        let mut writes = Vec::new();
        for (kind, document) in self.under(&old.id).filter(|(kind, _)| *kind != shared::KEY) {
            let ours = secret_name::ALL.contains(&kind);
            let Some(secret) = open(scene, old, kind, &document).await? else {
                if ours {
                    return Err(ProveError::Unopened.into());
                }
                continue;
            };
            if ours && !prove::fits(kind, &secret, published) {
                return Err(ProveError::Mismatch.into());
            }
            let there = open(scene, new, kind, &document).await?;
            let reason = "to compare the two entries of one secret";
            if there.is_some_and(|there| there.expose(reason) == secret.expose(reason)) {
                continue;
            }
            let derived = prove::derive(scene.io, new, kind).await?;
            let mut document = document;
            prove::enter(&mut document, &new.id, &derived, &secret)?;
            let content = serde_json::to_value(&document).unwrap_or(Value::Null);
            writes.push(account_data::put(&scene.setup.user_id, kind, &content));
        }
        writes.extend(self.pins_key(scene, old, new).await?);
        writes.extend(self.aside(scene, Some(old), new, &[]).await?);
        Ok(writes)
    }

    /// What is to be written so that the new key opens the key of the pins that it names; nothing where that is so. Which one
    /// that is was decided when it was made: after a compromise none that the old key opens.
    async fn pins_key(&self, scene: &Scene<'_>, old: &VaultKey, new: &VaultKey) -> Result<Option<HttpRequest>, End> {
        let Some(named) = &new.pins else { return Ok(None) };
        let mut document: SecretDocument = self.get(shared::KEY).unwrap_or_default();
        if open(scene, new, shared::KEY, &document).await?.is_some_and(|secret| named.is_of(&secret)) {
            return Ok(None);
        }
        if let Some(entry) = &named.entry {
            document.set_entry(&new.id, entry);
        } else {
            // Sealed is a name. Whose key is not there now would be a store that nobody opens.
            let secret = open(scene, old, shared::KEY, &document).await?.filter(|secret| named.is_of(secret));
            let secret = secret.ok_or(End::Stop(Stop { code: Code::PinShared, not_before: None }))?;
            let derived = prove::derive(scene.io, new, shared::KEY).await?;
            prove::enter(&mut document, &new.id, &derived, &secret)?;
        }
        let content = serde_json::to_value(&document).unwrap_or(Value::Null);
        Ok(Some(account_data::put(&scene.setup.user_id, shared::KEY, &content)))
    }

    /// What is to be written so that what was put aside opens with the new key, where the old one opens it, and has no entry
    /// of those that are gone.
    async fn aside(
        &self,
        scene: &Scene<'_>,
        old: Option<&VaultKey>,
        new: &VaultKey,
        gone: &[KeyId],
    ) -> Result<Option<HttpRequest>, End> {
        let Some(mut superseded) = self.get::<Superseded>(account_data::KEYSTEAD_SUPERSEDED) else { return Ok(None) };
        let mut changed = false;
        for aside in &mut superseded.secrets {
            let Ok(mut document) = serde_json::from_value::<SecretDocument>(aside.document.clone()) else { continue };
            let ids: Vec<_> = document.key_ids().collect();
            if let Some(old) = old
                && open(scene, new, &aside.name, &document).await?.is_none()
                && let Some(secret) = open(scene, old, &aside.name, &document).await?
            {
                let derived = prove::derive(scene.io, new, &aside.name).await?;
                prove::enter(&mut document, &new.id, &derived, &secret)?;
                changed = true;
            }
            for id in gone.iter().filter(|id| ids.contains(id)) {
                document.remove_entry(id);
                changed = true;
            }
            aside.document = serde_json::to_value(&document).unwrap_or(Value::Null);
        }
        let content = serde_json::to_value(&superseded).unwrap_or(Value::Null);
        Ok(changed.then(|| account_data::put(&scene.setup.user_id, account_data::KEYSTEAD_SUPERSEDED, &content)))
    }

    /// What is to be written so that a key opens what only an older one opens; nothing where that is so.
    pub(super) async fn uncovered(
        &self,
        scene: &Scene<'_>,
        old: &VaultKey,
        current: &VaultKey,
    ) -> Result<Vec<HttpRequest>, End> {
        let mut writes = Vec::new();
        for (kind, mut document) in self.under(&old.id) {
            // An entry of its own is newer than the old one.
            if open(scene, current, kind, &document).await?.is_some() {
                continue;
            }
            let Some(secret) = open(scene, old, kind, &document).await? else { continue };
            if kind == shared::KEY && current.pins.as_ref().is_none_or(|named| !named.is_of(&secret)) {
                continue;
            }
            let derived = prove::derive(scene.io, current, kind).await?;
            prove::enter(&mut document, &current.id, &derived, &secret)?;
            let content = serde_json::to_value(&document).unwrap_or(Value::Null);
            writes.push(account_data::put(&scene.setup.user_id, kind, &content));
        }
        Ok(writes)
    }

    /// What is to be written so that nothing has an entry for these keys any more, wherever the key in force has one that it
    /// opens.
    pub(super) async fn without(
        &self,
        scene: &Scene<'_>,
        gone: &[KeyId],
        current: &VaultKey,
    ) -> Result<Vec<HttpRequest>, End> {
        let mut kinds = SortedMap::new();
        for id in gone {
            kinds.extend(self.under(id));
        }
        let mut writes = Vec::new();
        for (kind, mut document) in kinds {
            if open(scene, current, kind, &document).await?.is_none() {
                continue;
            }
            gone.iter().for_each(|id| document.remove_entry(id));
            let content = serde_json::to_value(&document).unwrap_or(Value::Null);
            writes.push(account_data::put(&scene.setup.user_id, kind, &content));
        }
        writes.extend(self.aside(scene, None, current, gone).await?);
        Ok(writes)
    }
}

/// Opens the entry of a key; `None` where there is none, or it is not one that the key opens.
async fn open(
    scene: &Scene<'_>,
    key: &VaultKey,
    kind: &str,
    document: &SecretDocument,
) -> Result<Option<SecretText>, End> {
    let Some(entry) = document.entry(&key.id).ok().flatten() else { return Ok(None) };
    let derived = prove::derive(scene.io, key, kind).await?;
    Ok(entry.decrypt(&derived).ok())
}

/// Performs writes of account data, at the same time.
pub(super) async fn write(scene: &Scene<'_>, writes: Vec<HttpRequest>) -> Result<(), End> {
    if writes.is_empty() {
        return Ok(());
    }
    for response in scene.homeserver.send_all(writes).await? {
        account_data::read_put(&response)?;
    }
    Ok(())
}
