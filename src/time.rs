//! Time is a parameter: nothing in the core reads a clock.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Milliseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UnixMillis(pub u64);

impl UnixMillis {
    /// The end of time: the last moment that a JavaScript number, and so an alarm or a page, can say exactly.
    pub const MAX: Self = Self((1 << 53) - 1);

    /// This moment and `duration` more; [`Self::MAX`] where it would be later.
    #[must_use]
    pub const fn plus(self, duration: Duration) -> Self {
        let millis = duration.as_millis();
        let room = Self::MAX.0.saturating_sub(self.0);
        if millis >= room as u128 { Self::MAX } else { Self(self.0 + millis as u64) }
    }

    /// How long after `earlier` this is; zero if it is not after it.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }

    /// Whole seconds since 1970, as OpenPGP counts.
    #[must_use]
    pub const fn seconds(self) -> u64 {
        self.0 / 1000
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_time_is_later_than_the_end_of_time() {
        assert_eq!(UnixMillis(5).plus(Duration::from_millis(3)), UnixMillis(8));
        for late in [UnixMillis::MAX, UnixMillis(u64::MAX), UnixMillis(1)] {
            assert_eq!(late.plus(Duration::MAX), UnixMillis::MAX);
        }
    }
}
