//! Lets two flows at the homeserver by turns, in an order that is the same each time.

use std::cell::{Cell, RefCell};

use tokio::sync::Notify;

/// Two seats, 0 and 1, and whose turn it is.
pub(crate) struct Turns {
    /// How many turns a seat has before the other one is next; when they are used up, by turns.
    runs: RefCell<Vec<usize>>,
    left: Cell<usize>,
    seat: Cell<usize>,
    gone: [Cell<bool>; 2],
    changed: Notify,
}

impl Turns {
    /// The first seat has the first of `runs` turns, then the second seat the second, and so on.
    pub(crate) fn new(runs: &[usize]) -> Self {
        let mut runs: Vec<_> = runs.iter().rev().copied().collect();
        let left = runs.pop().unwrap_or(1);
        let turns = Self {
            runs: RefCell::new(runs),
            left: Cell::new(left),
            seat: Cell::new(0),
            gone: Default::default(),
            changed: Notify::new(),
        };
        turns.pass();
        turns
    }

    /// Waits for a seat's turn.
    pub(crate) async fn take(&self, seat: usize) {
        while self.seat.get() != seat && !self.gone[1 - seat].get() {
            self.changed.notified().await;
        }
    }

    /// The turn is over.
    pub(crate) fn give(&self, seat: usize) {
        if self.seat.get() == seat {
            self.left.set(self.left.get().saturating_sub(1));
            self.pass();
        }
        self.changed.notify_waiters();
    }

    /// This seat takes no more turns.
    pub(crate) fn leave(&self, seat: usize) {
        self.gone[seat].set(true);
        self.changed.notify_waiters();
    }

    fn pass(&self) {
        while self.left.get() == 0 {
            self.left.set(self.runs.borrow_mut().pop().unwrap_or(1));
            self.seat.set(1 - self.seat.get());
        }
    }
}
