//! Tells the time: the machine's, watched for jumps, and the sandbox's, which can be moved forward.
use crate::domain::time::{Span, Timestamp};
use crate::ports::Clock;
use rustix::time::{ClockId, clock_gettime};
use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// How far wall time may run ahead of the machine's own count before sends wait (RULES, Identity and time).
pub const LARGEST_GAIN: Span = Span::seconds(120);

/// The two counts of a machine, in milliseconds: one that people can set, and one that nobody can.
pub trait Counts: Send + Sync {
    fn wall(&self) -> i64;
    /// Since some fixed moment; goes on while the machine sleeps, where the system can tell.
    fn boot(&self) -> i64;
}

/// The standard library's `Instant` leaves the machine's sleep out on Linux.
#[cfg(target_os = "linux")]
const SLEEP_INCLUDED: ClockId = ClockId::Boottime;
#[cfg(not(target_os = "linux"))]
const SLEEP_INCLUDED: ClockId = ClockId::Monotonic;

/// The counts of the machine that we run on.
#[derive(Default)]
pub struct Machine;

impl Counts for Machine {
    fn wall(&self) -> i64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        // A clock before 1970 is broken in a way that counts as "very early", not as a reason to stop.
        since.map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }
    fn boot(&self) -> i64 {
        let since = clock_gettime(SLEEP_INCLUDED);
        since.tv_sec.saturating_mul(1000) + since.tv_nsec / 1_000_000
    }
}

/// Wall time, and whether it can be believed.
pub struct SystemClock<C: Counts = Machine> {
    counts: C,
    /// Wall minus boot when wall time was last known to be right.
    agreed: Mutex<i64>,
}

impl SystemClock<Machine> {
    pub fn new() -> SystemClock<Machine> {
        SystemClock::with(Machine)
    }
}

impl Default for SystemClock<Machine> {
    fn default() -> SystemClock<Machine> {
        SystemClock::new()
    }
}

impl<C: Counts> SystemClock<C> {
    pub fn with(counts: C) -> SystemClock<C> {
        let agreed = Mutex::new(counts.wall().saturating_sub(counts.boot()));
        SystemClock { counts, agreed }
    }

    /// What wall time has gained on the machine's own count; negative when it was set back.
    pub fn gain(&self) -> Span {
        let apart = self.counts.wall().saturating_sub(self.counts.boot());
        Span(apart.saturating_sub(*self.agreed.lock().expect("nobody panics while holding this lock")))
    }

    /// An operator says that wall time is right as it is now.
    pub fn confirm(&self) {
        let apart = self.counts.wall().saturating_sub(self.counts.boot());
        *self.agreed.lock().expect("nobody panics while holding this lock") = apart;
    }
}

impl<C: Counts> Clock for SystemClock<C> {
    /// Wall time; while that has run away, the machine's own count. A commit stamped with a runaway time would hold
    /// everything back until that time has really come, because `now` never goes below the last commit's.
    fn now(&self) -> Timestamp {
        let gain = self.gain();
        let run_away = if gain > LARGEST_GAIN { gain } else { Span(0) };
        Timestamp(self.counts.wall()) - run_away
    }
    fn is_sane(&self) -> bool {
        self.gain() <= LARGEST_GAIN
    }
}

/// The sandbox's time: the machine's, moved forward as often as somebody wishes. There time passes, so it is always sane.
pub struct SandboxClock<C: Counts = Machine> {
    counts: C,
    offset: AtomicI64,
}

impl SandboxClock<Machine> {
    /// `offset_ms` is what `offset` said when the sandbox was last stopped, or 0.
    pub fn new(offset_ms: i64) -> SandboxClock<Machine> {
        SandboxClock::with(Machine, offset_ms)
    }
}

impl<C: Counts> SandboxClock<C> {
    pub fn with(counts: C, offset_ms: i64) -> SandboxClock<C> {
        SandboxClock { counts, offset: AtomicI64::new(offset_ms.max(0)) }
    }

    /// Moves forward and returns the new time. Back is not possible: a negative length moves nothing.
    pub fn advance(&self, ms: i64) -> Timestamp {
        let moved = |offset: i64| Some(offset.saturating_add(ms.max(0)));
        self.offset.fetch_update(Ordering::SeqCst, Ordering::SeqCst, moved).expect("the update always gives a value");
        self.now()
    }

    /// How far this clock is ahead of the machine's, in milliseconds.
    pub fn offset(&self) -> i64 {
        self.offset.load(Ordering::SeqCst)
    }
}

impl<C: Counts> Clock for SandboxClock<C> {
    fn now(&self) -> Timestamp {
        Timestamp(self.counts.wall().saturating_add(self.offset()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    /// Counts that a test moves by hand.
    #[derive(Clone, Default)]
    struct ByHand(Arc<(AtomicI64, AtomicI64)>);

    impl ByHand {
        fn at(wall: i64, boot: i64) -> ByHand {
            ByHand(Arc::new((AtomicI64::new(wall), AtomicI64::new(boot))))
        }
        fn pass(&self, ms: i64) {
            self.0.0.fetch_add(ms, Ordering::SeqCst);
            self.0.1.fetch_add(ms, Ordering::SeqCst);
        }
        fn set_wall_by(&self, ms: i64) {
            self.0.0.fetch_add(ms, Ordering::SeqCst);
        }
    }
    impl Counts for ByHand {
        fn wall(&self) -> i64 {
            self.0.0.load(Ordering::SeqCst)
        }
        fn boot(&self) -> i64 {
            self.0.1.load(Ordering::SeqCst)
        }
    }

    #[test]
    fn time_that_passes_is_sane_however_much_it_is() {
        let counts = ByHand::at(1_000_000, 50);
        let clock = SystemClock::with(counts.clone());
        counts.pass(Span::days(40).0);
        assert!(clock.is_sane());
        assert_eq!(clock.now(), Timestamp(1_000_000 + Span::days(40).0));
    }

    #[test]
    fn a_gain_of_more_than_120_s_is_insane_until_it_is_back() {
        let counts = ByHand::at(0, 0);
        let clock = SystemClock::with(counts.clone());
        counts.set_wall_by(120_000);
        assert!(clock.is_sane());
        counts.set_wall_by(1);
        assert!(!clock.is_sane());
        counts.pass(3_600_000);
        assert!(!clock.is_sane());
        assert_eq!(clock.now(), Timestamp(3_600_000), "nothing is stamped with a time that has not come");
        counts.set_wall_by(-1);
        assert!(clock.is_sane());
    }

    #[test]
    fn a_gain_is_sane_once_an_operator_has_confirmed_it() {
        let counts = ByHand::at(0, 0);
        let clock = SystemClock::with(counts.clone());
        counts.set_wall_by(3_600_000);
        assert!(!clock.is_sane());
        clock.confirm();
        assert!(clock.is_sane());
        counts.set_wall_by(120_001);
        assert!(!clock.is_sane());
    }

    #[test]
    fn a_clock_set_back_is_sane_because_nothing_fires_early() {
        let counts = ByHand::at(10_000_000, 0);
        let clock = SystemClock::with(counts.clone());
        counts.set_wall_by(-5_000_000);
        assert!(clock.is_sane());
        counts.set_wall_by(5_000_000);
        assert!(clock.is_sane());
    }

    #[test]
    fn the_sandbox_moves_forward_only_and_keeps_its_offset() {
        let counts = ByHand::at(1_000, 0);
        let clock = SandboxClock::with(counts.clone(), 500);
        assert_eq!(clock.now(), Timestamp(1_500));
        assert_eq!(clock.advance(86_400_000), Timestamp(86_401_500));
        assert_eq!(clock.advance(-5), Timestamp(86_401_500));
        counts.pass(10);
        assert_eq!((clock.now(), clock.offset(), clock.is_sane()), (Timestamp(86_401_510), 86_400_500, true));
    }

    #[test]
    fn the_machine_counts_forward() {
        let clock = SystemClock::new();
        assert!(clock.now() > Timestamp(1_700_000_000_000));
        assert!(clock.is_sane());
        let machine = Machine;
        assert!(machine.boot() <= machine.boot());
    }
}
