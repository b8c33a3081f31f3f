//! Time as a value: what it is, and what the machine's clock shows.
use liaison::adapters::clock::{Counts, SystemClock};
use liaison::domain::time::Timestamp;
use liaison::ports::Clock;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};

pub const SECOND: i64 = 1_000;
pub const MINUTE: i64 = 60 * SECOND;
pub const HOUR: i64 = 60 * MINUTE;
pub const DAY: i64 = 24 * HOUR;
/// A Tuesday in 2026.
pub const START: i64 = 1_788_000_000_000;

#[derive(Clone, Default)]
struct Hands {
    truth: Arc<AtomicI64>,
    offset: Arc<AtomicI64>,
}

impl Counts for Hands {
    fn wall(&self) -> i64 {
        self.truth.load(Relaxed) + self.offset.load(Relaxed)
    }
    fn boot(&self) -> i64 {
        self.truth.load(Relaxed) - START
    }
}

/// The product's own clock on a machine whose counts the voyage moves.
pub struct TestClock {
    hands: Hands,
    clock: SystemClock<Hands>,
}

impl TestClock {
    pub fn new() -> TestClock {
        let hands = Hands::default();
        hands.truth.store(START, Relaxed);
        TestClock { clock: SystemClock::with(hands.clone()), hands }
    }
    pub fn truth(&self) -> i64 {
        self.hands.truth.load(Relaxed)
    }
    pub fn set_truth(&self, at: i64) {
        self.hands.truth.store(at.max(self.truth()), Relaxed);
    }
    pub fn offset(&self) -> i64 {
        self.hands.offset.load(Relaxed)
    }
    pub fn set_offset(&self, ms: i64) {
        self.hands.offset.store(ms, Relaxed);
    }
    /// What the bot takes for now.
    pub fn wall(&self) -> i64 {
        self.clock.now().0
    }
    /// Wall time is further ahead than any machine's would be.
    pub fn ran_away(&self) -> bool {
        self.offset() > 120 * SECOND
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        self.clock.now()
    }
    fn is_sane(&self) -> bool {
        self.clock.is_sane()
    }
}
