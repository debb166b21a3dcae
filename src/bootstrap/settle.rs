//! A second look after a switch.
//!
//! Threat: account data has no compare-and-swap. Another browser that was about to write when this one read everything back
//! puts an old document over ours, and only then. So an account is looked at once more a minute later, and again until a
//! look finds nothing to do; that it is due is noted before the switch, so that no crash takes it away.

use std::time::Duration;

use super::{
    Scene,
    record::{AccountRecord, RecordError},
};
use crate::time::UnixMillis;

/// How long after a switch, or after a look that changed something, the account is looked at again.
const AFTER: Duration = Duration::from_secs(60);

/// Notes, before a switch, that the account is to be looked at again.
pub(crate) async fn expect(scene: &Scene<'_>, record: &mut AccountRecord) -> Result<(), RecordError> {
    let at = scene.io.now().plus(AFTER);
    record.change(scene.io, &scene.setup.origin, |record| record.settle_at = Some(at)).await
}

/// When the account is to be looked at again, after a run that found everything in place; `changed` where it had to see to
/// that. A time that is further away than it can be was noted by a clock that has been set since.
pub(super) fn next(due: Option<UnixMillis>, changed: bool, now: UnixMillis) -> Option<UnixMillis> {
    let at = now.plus(AFTER);
    if changed { Some(at) } else { due.filter(|due| *due > now).map(|due| due.min(at)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_looked_at_until_nothing_changes_any_more() {
        let now = UnixMillis(1_000_000);
        let soon = now.plus(AFTER);
        assert_eq!(next(None, false, now), None);
        assert_eq!(next(None, true, now), Some(soon));
        assert_eq!(next(Some(now), false, now), None, "that was this look");
        assert_eq!(next(Some(now), true, now), Some(soon));
        assert_eq!(
            next(Some(UnixMillis(1_000_001)), false, now),
            Some(UnixMillis(1_000_001)),
            "a run before it was due"
        );
        assert_eq!(next(Some(UnixMillis(u64::MAX)), false, now), Some(soon));
    }
}
