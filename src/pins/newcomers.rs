//! Who is new in a room in use: the first identity that is seen of a person is believed, so whoever writes to a room is
//! told where somebody gets its keys of whom nothing was known when it was written to before.
//!
//! Threat: a homeserver that puts somebody of its own into a room, under a name that people know. Who is a member is its
//! word, and so is since when; that this browser wrote to the room before it knew the person is not. A room is in use from
//! the first message on that goes out from here; whoever is in it by then is no newcomer.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{book::Book, log::What, record::PeerRecord, verdict::Verdict};
use crate::{
    bootstrap::record::RecordError,
    effect::{Answer, Effect, Io, PageAnswer, PageCommand, StoreCommand},
    ident::{Origin, RoomId, UserId},
    policy::{FirstContact, Pins},
    value,
};

/// How many rooms are kept; those after them count as not in use.
const MAX_ROOMS: usize = 4096;

#[derive(Serialize, Deserialize)]
struct SavedRooms {
    version: u32,
    rooms: BTreeSet<RoomId>,
}

pub(super) fn store_key(origin: &Origin, owner: &UserId) -> String {
    format!("pin-rooms|{}|{}", origin.as_str(), owner.as_str())
}

/// The rooms that were kept; none where that cannot be read: they are in use again from the next message on.
pub(super) fn parse_rooms(text: Option<&str>) -> BTreeSet<RoomId> {
    let saved = text.and_then(value::read::<SavedRooms>);
    saved.filter(|saved| saved.version == 1).map(|saved| saved.rooms).unwrap_or_default()
}

impl Book {
    /// The client sent a message to an encrypted room.
    ///
    /// # Errors
    /// [`RecordError`]
    pub async fn use_room(&mut self, io: &Io, room: RoomId) -> Result<(), RecordError> {
        if self.rooms.len() >= MAX_ROOMS || !self.rooms.insert(room) {
            return Ok(());
        }
        let saved = SavedRooms { version: 1, rooms: self.rooms.clone() };
        let text = serde_json::to_string(&saved).map_err(|_| RecordError::Unreadable)?;
        let put = StoreCommand::PutAll(vec![(store_key(self.origin(), self.owner()), text)]);
        match io.ask(Effect::Store(put)).await {
            Answer::Done => Ok(()),
            _ => Err(RecordError::Store),
        }
    }

    /// Sees to it that the person is told of those of these people who are new in a room in use. Where keys are sent to
    /// them (`sending`), none of them is new anywhere from then on.
    pub(super) async fn greet(
        &mut self,
        io: &Io,
        pins: &Pins,
        mut users: Vec<UserId>,
        sending: bool,
    ) -> Result<(), RecordError> {
        let is_new = |record: &PeerRecord| record.unmet && record.identity.is_some() && record.change.is_none();
        users.retain(|user| user != self.owner() && self.records.get(user).is_some_and(is_new));
        let tells = pins.first_contact.unwrap_or_default() == FirstContact::Notice && !self.rooms.is_empty();
        if users.is_empty() || !(tells || sending) {
            return Ok(());
        }
        let mut here = BTreeSet::new();
        if tells {
            let command = PageCommand::WhoIsIn { users: users.clone(), rooms: self.rooms.iter().cloned().collect() };
            // A client that does not say is asked the next time.
            let Answer::Page(PageAnswer::In { users }) = io.ask(Effect::Page(command)).await else { return Ok(()) };
            here.extend(users);
        }
        let now = io.now();
        for user in users.iter().filter(|user| sending || here.contains(user)) {
            let Some(record) = self.records.get_mut(user) else { continue };
            record.unmet = false;
            if let Some(pinned) = record.identity.as_ref().filter(|_| here.contains(user)) {
                record.newcomer = Some(now);
                let verdict = Verdict::Newcomer { master: pinned.master };
                self.note(user, [What::Seen(Box::new(verdict))].into_iter(), now)?;
            }
            self.touch(user);
        }
        Ok(())
    }
}
