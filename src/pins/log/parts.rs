//! How a log lies in the store: in parts of so many lines, so that an entry that is added rewrites the last part, and not
//! thousands of lines that stay as they are.
//!
//! The first part is under [`Log::store_key`], the others under that and their number. The first that is missing or empty
//! is the end: a part that was taken away takes those after it along, and the records of everybody in them show it.

use super::Log;
use crate::{
    bootstrap::record::RecordError,
    effect::{Answer, Effect, Io, StoreCommand},
    ident::{Origin, UserId},
};

/// How many lines a part has.
const LINES: usize = 256;
/// How many parts are read at a time: most logs are no longer.
const AT_A_TIME: usize = 4;

fn key(origin: &Origin, owner: &UserId, part: usize) -> String {
    let first = Log::store_key(origin, owner);
    if part == 0 { first } else { format!("{first}|{part}") }
}

/// The parts of a log, each with whole lines: all as they were at one moment, however many there are.
async fn read_parts(io: &Io, origin: &Origin, owner: &UserId) -> Result<Vec<String>, RecordError> {
    let mut many = AT_A_TIME;
    loop {
        let keys = (0..many).map(|part| key(origin, owner, part)).collect();
        let Answer::Records(read) = io.ask(Effect::Store(StoreCommand::GetAll(keys))).await else {
            return Err(RecordError::Store);
        };
        let there = |part: Option<String>| part.filter(|part| !part.is_empty());
        let parts: Vec<_> = read.into_iter().map_while(there).map(whole_lines).collect();
        if parts.len() < many {
            return Ok(parts);
        }
        many *= 2;
    }
}

fn whole_lines(mut part: String) -> String {
    if !part.ends_with('\n') {
        part.push('\n');
    }
    part
}

/// The text of a log.
pub(in crate::pins) async fn read(io: &Io, origin: &Origin, owner: &UserId) -> Result<String, RecordError> {
    Ok(read_parts(io, origin, owner).await?.concat())
}

impl Log {
    /// Reads a log from the store, as [`Self::parse`] does.
    pub(in crate::pins) async fn load(io: &Io, origin: &Origin, owner: &UserId) -> Result<Self, RecordError> {
        let parts = read_parts(io, origin, owner).await?;
        let mut log = Self::parse(&parts.concat());
        // A part that somebody made shorter or longer is written anew, and those after it; so is what an earlier version
        // wrote in one piece.
        let lines = |part: &String| part.lines().count();
        let whole = parts.iter().take_while(|part| lines(part) == LINES).count();
        let fits = match parts.get(whole..).unwrap_or_default() {
            [] => true,
            [last] => lines(last) < LINES,
            _ => false,
        };
        log.unchanged = if fits { log.lines.len() } else { whole * LINES };
        log.parts = parts.len();
        Ok(log)
    }

    /// What of it is to be written: the parts in which something is not as it was read or written last.
    pub(in crate::pins) fn unsaved(&self, origin: &Origin, owner: &UserId) -> Vec<(String, String)> {
        let all = self.lines.len().div_ceil(LINES);
        if self.unchanged == self.lines.len() && self.parts == all {
            return Vec::new();
        }
        // After the last there is an empty one: what somebody left behind there does not come back.
        let parts = self.unchanged / LINES..all.max(self.parts) + 1;
        let part = |part: usize| {
            let lines = self.lines.iter().skip(part * LINES).take(LINES);
            let text = lines.fold(String::new(), |text, line| text + &line.text + "\n");
            (key(origin, owner, part), text)
        };
        parts.map(part).collect()
    }

    /// It was written.
    pub(in crate::pins) fn is_saved(&mut self) {
        (self.parts, self.unchanged) = (self.lines.len().div_ceil(LINES), self.lines.len());
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::{
        effect::{Run, Step},
        pins::{log::What, verdict::Verdict},
        time::UnixMillis,
    };

    type Kept = BTreeMap<String, String>;

    fn who() -> (Origin, UserId) {
        (Origin::parse("https://chat.example.org").unwrap(), person("ann"))
    }

    fn person(name: &str) -> UserId {
        UserId::parse(&format!("@{name}:a")).unwrap()
    }

    fn load(kept: &Kept) -> Log {
        let (origin, owner) = who();
        let mut run = Run::start(UnixMillis(0), |io| async move { Log::load(&io, &origin, &owner).await.unwrap() });
        loop {
            match run.step() {
                Step::Done(log) => return log,
                Step::Do(Effect::Store(StoreCommand::GetAll(keys))) => {
                    let read = keys.iter().map(|key| kept.get(key).cloned()).collect();
                    run.answer(Answer::Records(read), UnixMillis(0));
                }
                Step::Do(other) => panic!("{other:?}"),
            }
        }
    }

    /// Saves; answers how many parts were written.
    fn save(log: &mut Log, kept: &mut Kept) -> usize {
        let (origin, owner) = who();
        let unsaved = log.unsaved(&origin, &owner);
        let written = unsaved.len();
        kept.extend(unsaved);
        log.is_saved();
        assert_eq!(load(kept).to_text(), log.to_text(), "what is read again");
        written
    }

    fn add(log: &mut Log, name: &str) -> u64 {
        log.add(UnixMillis(7), &person(name), What::Seen(Box::new(Verdict::StoreRolledBack))).unwrap()
    }

    #[test]
    fn only_what_changed_is_written() {
        let (mut log, mut kept) = (load(&Kept::new()), Kept::new());
        assert_eq!(save(&mut log, &mut kept), 0, "nothing");
        (0..LINES * 6 + 10).for_each(|n| assert!(add(&mut log, &format!("p{n}")) > 0));
        assert_eq!(save(&mut log, &mut kept), 7 + 1, "and an empty one");
        let mut log = load(&kept);
        assert_eq!(save(&mut log, &mut kept), 0, "nothing new");
        add(&mut log, "new");
        assert_eq!(save(&mut log, &mut kept), 1 + 1, "the last part");
        (0..LINES - 11).for_each(|n| assert!(add(&mut log, &format!("q{n}")) > 0));
        assert_eq!((save(&mut log, &mut kept), log.lines.len() % LINES), (1 + 1, 0), "which is full");
        add(&mut log, "another");
        assert_eq!(save(&mut log, &mut kept), 1 + 1, "the next");
    }

    #[test]
    fn what_goes_from_the_middle_is_written_from_there() {
        let (mut log, mut kept) = (Log::default(), Kept::new());
        (0..LINES).for_each(|n| assert!(add(&mut log, &format!("p{n}")) > 0));
        (0..super::super::MAX_OF_ONE).for_each(|_| assert!(add(&mut log, "much") > 0));
        (0..LINES).for_each(|n| assert!(add(&mut log, &format!("q{n}")) > 0));
        assert_eq!(save(&mut log, &mut kept), 3 + 1);
        let before = log.lines.len();
        add(&mut log, "much");
        assert!(log.lines.len() < before, "half of one person's went");
        assert_eq!((save(&mut log, &mut kept), log.lines.len().div_ceil(LINES)), (2 + 1, 3));
        let log = load(&kept);
        assert!((0..LINES).all(|n| log.agrees(&person(&format!("p{n}")), n as u64 + 1)));
    }

    #[test]
    fn a_part_that_is_gone_or_altered_shows_and_loses_nobody_else() {
        let (mut log, mut kept) = (Log::default(), Kept::new());
        let numbers: Vec<_> = (0..LINES * 4).map(|n| add(&mut log, &format!("p{n}"))).collect();
        save(&mut log, &mut kept);
        let (origin, owner) = who();
        let agrees = |log: &Log, n: usize| log.agrees(&person(&format!("p{n}")), numbers[n]);

        let mut gone = kept.clone();
        gone.remove(&key(&origin, &owner, 2));
        let log = load(&gone);
        assert!(
            agrees(&log, 0) && agrees(&log, LINES * 2 - 1) && !agrees(&log, LINES * 2) && !agrees(&log, LINES * 4 - 1)
        );

        let mut shorter = kept.clone();
        let part = shorter.get_mut(&key(&origin, &owner, 1)).unwrap();
        *part = part.lines().skip(1).map(|line| format!("{line}\n")).collect();
        let mut log = load(&shorter);
        assert!(!agrees(&log, LINES) && agrees(&log, LINES * 3), "one line less");
        add(&mut log, "new");
        assert_eq!(save(&mut log, &mut shorter), 4 - 1 + 1, "all from there");
    }

    #[test]
    fn what_an_earlier_version_wrote_in_one_piece_goes_on() {
        let (origin, owner) = who();
        for many in [LINES - 1, LINES, LINES + 44, LINES * 2 + 88] {
            let mut log = Log::default();
            (0..many).for_each(|n| assert!(add(&mut log, &format!("p{n}")) > 0));
            let mut kept = Kept::from([(key(&origin, &owner, 0), log.to_text())]);
            let mut log = load(&kept);
            let number = add(&mut log, "new");
            save(&mut log, &mut kept);
            let again = load(&kept);
            assert!(again.agrees(&person("new"), number) && again.lines.len() == many + 1, "{many}");
            assert!((0..many).all(|n| again.agrees(&person(&format!("p{n}")), n as u64 + 1)), "{many}");
        }
    }

    #[test]
    fn what_was_left_behind_does_not_come_back() {
        let (mut log, mut kept) = (Log::default(), Kept::new());
        (0..LINES * 4).for_each(|n| assert!(add(&mut log, &format!("p{n}")) > 0));
        save(&mut log, &mut kept);
        let (origin, owner) = who();
        kept.remove(&key(&origin, &owner, 2));
        let mut log = load(&kept);
        let number = add(&mut log, "p1000");
        save(&mut log, &mut kept);
        assert!(load(&kept).agrees(&person("p1000"), number));
    }
}
