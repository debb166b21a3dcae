//! Writing the store: the chunks that lack something, then the head that lists them.
//!
//! Account data has no transactions. So a writer that dies between the two leaves chunks that are newer than the head says,
//! which is no trouble for a reader and put right by the next writer; and two that write at the same time find out by
//! reading back, and write again what the other does not have.

use serde_json::Value;

use super::{
    key::{Part, Sealed},
    local::{self, Known, Local, Newest, Trouble},
    merge::Merged,
    read::{AT_A_TIME, HeadContent, Listed},
};
use crate::{
    bootstrap::make,
    effect::{HttpResponse, Io},
    ident::UserId,
    matrix::{
        account_data,
        homeserver::{Homeserver, Stop},
    },
    recovery::VaultError,
    sorted::SortedMap,
};

/// So often in a row a write may come to nothing before that is told: another browser may have been faster.
const DROPPED: u32 = 3;

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shared {
    /// The store and this browser say the same.
    Same,
    /// Another browser wrote at the same time: it is to be done again, soon.
    Again,
}

/// Writes what the store lacks, and keeps what was seen of it.
///
/// # Errors
/// [`Stop`]; then it is to be tried again later.
pub async fn write(io: Io, merged: Merged) -> Result<Shared, Stop> {
    let io = &io;
    if merged.full {
        local::tell(io, &merged.read.origin, &merged.read.owner, Trouble::Full).await?;
    }
    match &merged.read.head {
        Some(head) if merged.is_known() && merged.trouble().is_none() => {
            let newest = Newest {
                id: merged.read.key.id(),
                counter: head.counter,
                writer: head.content.writer.clone(),
                hash: head.hash.clone(),
            };
            keep(io, &merged, &newest, &merged.known, true).await?;
            Ok(Shared::Same)
        }
        Some(_) | None => write_parts(io, &merged).await,
    }
}

async fn write_parts(io: &Io, merged: &Merged) -> Result<Shared, Stop> {
    let (read, of) = (&merged.read, merged.of);
    let (origin, owner) = (&read.origin, &read.owner);
    let counter = next_counter(merged);
    let name = make::make_letters(16)?;
    // On the disk before anything is written: one browser uses no number twice.
    let begin = |local: &mut Local| {
        local.begun = local.begun.max(counter);
        local.writer.get_or_insert_with(|| name.clone());
    };
    let writer = Local::change(io, origin, owner, begin).await?.writer.unwrap_or_default();

    let seal = |part, content: &[u8]| {
        read.key.seal(owner, part, (counter, of), content).map_err(|_| Stop::from(VaultError::Failed))
    };
    let mut known = merged.known.clone();
    let mut parts: Vec<(Part, Sealed)> = Vec::new();
    for wanted in &merged.writes {
        let sealed = seal(Part::Chunk(wanted.index), wanted.text.as_bytes())?;
        known.insert(wanted.index, Known { counter, hash: sealed.hash(), content: wanted.content.clone() });
        parts.push((Part::Chunk(wanted.index), sealed));
    }
    let listed = |known: &Known| Listed { counter: known.counter, hash: known.hash.clone() };
    let content = HeadContent { writer: writer.clone(), chunks: known.values().map(listed).collect() };
    let head = seal(Part::Head, &serde_json::to_vec(&content).unwrap_or_default())?;
    let newest = Newest { id: read.key.id(), counter, writer, hash: head.hash() };

    let homeserver = Homeserver::new(io);
    for batch in parts.chunks(AT_A_TIME) {
        put(&homeserver, owner, batch).await?;
    }
    put(&homeserver, owner, &[(Part::Head, head.clone())]).await?;

    if let Some(there) = instead(&homeserver, owner, Part::Head, &head).await? {
        // A head of another browser's is as new as this one; an older one is none of anybody's now.
        if there.is_none_or(|there| there.counter < counter) {
            let local =
                Local::change(io, origin, owner, |local| local.dropped = local.dropped.saturating_add(1)).await?;
            if local.dropped >= DROPPED {
                local::tell(io, origin, owner, Trouble::Older).await?;
            }
        }
        return Ok(Shared::Again);
    }
    let mut same = true;
    for batch in parts.chunks(AT_A_TIME) {
        for (part, _) in lost(&homeserver, owner, batch).await? {
            same = false;
            // What lies there now is to be read the next time.
            if let Part::Chunk(index) = part
                && let Some(known) = known.get_mut(index)
            {
                known.hash.clear();
            }
        }
    }
    keep(io, merged, &newest, &known, same).await?;
    Ok(if same { Shared::Same } else { Shared::Again })
}

/// Above every number that this browser knows of, whichever store had it.
fn next_counter(merged: &Merged) -> u64 {
    let Merged { read, .. } = merged;
    let head = read.head.as_ref().map(|head| head.counter);
    let chunks = read.chunks.values().map(|chunk| chunk.counter);
    let newest = read.local.newest.as_ref().map(|newest| newest.counter);
    chunks.chain(head).chain(newest).chain([read.local.begun]).max().unwrap_or_default().saturating_add(1)
}

async fn put(homeserver: &Homeserver<'_>, owner: &UserId, parts: &[(Part, Sealed)]) -> Result<(), Stop> {
    let write = |(part, sealed): &(Part, Sealed)| {
        account_data::put(owner, &part.kind(), &serde_json::to_value(sealed).unwrap_or(Value::Null))
    };
    for response in homeserver.send_all(parts.iter().map(write).collect()).await? {
        account_data::read_put(&response)?;
    }
    Ok(())
}

/// What is there in place of a part that was written; `None` where that is there.
async fn instead(
    homeserver: &Homeserver<'_>,
    owner: &UserId,
    part: Part,
    written: &Sealed,
) -> Result<Option<Option<Sealed>>, Stop> {
    let there = homeserver.send(account_data::get(owner, &part.kind())).await?;
    let there = read_sealed(&there)?;
    Ok((there.as_ref() != Some(written)).then_some(there))
}

fn read_sealed(response: &HttpResponse) -> Result<Option<Sealed>, Stop> {
    let there: Option<Value> = account_data::read_get(response)?;
    Ok(there.and_then(|content| serde_json::from_value(content).ok()))
}

/// Those of these parts that are not there as they were written.
async fn lost<'p>(
    homeserver: &Homeserver<'_>,
    owner: &UserId,
    parts: &'p [(Part, Sealed)],
) -> Result<Vec<&'p (Part, Sealed)>, Stop> {
    let requests = parts.iter().map(|(part, _)| account_data::get(owner, &part.kind())).collect();
    let responses = homeserver.send_all(requests).await?;
    let mut lost = Vec::new();
    for (part, response) in parts.iter().zip(&responses) {
        if read_sealed(response)?.as_ref() != Some(&part.1) {
            lost.push(part);
        }
    }
    Ok(lost)
}

/// Keeps what was seen; `whole` where the store has heard of all that this browser knows.
async fn keep(
    io: &Io,
    merged: &Merged,
    newest: &Newest,
    known: &SortedMap<usize, Known>,
    whole: bool,
) -> Result<(), Stop> {
    let Merged { read, heard, .. } = merged;
    let chunks: Vec<Known> = known.values().cloned().collect();
    let looked_at = if read.all || read.head.is_none() { Some(io.now()) } else { read.local.looked_at };
    let heard = if whole { *heard } else { read.local.heard.min(*heard) };
    let local = &read.local;
    if local.newest.as_ref() == Some(newest)
        && (local.heard, local.looked_at) == (heard, looked_at)
        && local.chunks == chunks
        && local.dropped == 0
    {
        return Ok(());
    }
    let change = |local: &mut Local| {
        local.newest = Some(newest.clone());
        local.chunks.clone_from(&chunks);
        (local.heard, local.looked_at, local.dropped) = (heard, looked_at, 0);
    };
    Ok(Local::change(io, &read.origin, &read.owner, change).await.map(drop)?)
}
