//! Spares a provider that fails: after too many failures nothing is asked of it but one probe now and then.
//!
//! Pure arithmetic on a clock that is handed in, like the pace of a line.
use crate::domain::time::{Span, Timestamp};
use std::collections::VecDeque;

/// Half of at least so many calls failing within the window opens it (QUALITY, bounds).
const CALLS: u32 = 20;
const WINDOW_SECONDS: i64 = 30;
/// While it is open one call goes in this time.
const PROBE_EVERY: Span = Span::seconds(10);

/// For one provider and line.
#[derive(Default)]
pub struct Breaker {
    /// Calls that ended in each second of the window: (second, all, failed).
    ended: VecDeque<(i64, u32, u32)>,
    /// Open, and when the next probe may go.
    next_probe: Option<Timestamp>,
}

impl Breaker {
    /// `Err` names the time of the next probe. Asking changes nothing.
    pub fn may_go(&self, now: Timestamp) -> Result<(), Timestamp> {
        match self.next_probe {
            Some(at) if now < at => Err(at),
            Some(_) | None => Ok(()),
        }
    }

    /// A call begins: on an open breaker it is the probe, and the others wait for the next.
    pub fn begins(&mut self, now: Timestamp) {
        if let Some(at) = &mut self.next_probe {
            *at = now + PROBE_EVERY;
        }
    }

    /// A call ended, well or not: a refusal that makes sense is an answer, too.
    pub fn ended(&mut self, well: bool, now: Timestamp) {
        if self.next_probe.is_some() {
            if well {
                *self = Breaker::default();
            }
            return;
        }
        self.count(well, now.0.div_euclid(1_000));
        let (all, failed) = self.ended.iter().fold((0, 0), |(all, failed), (_, a, f)| (all + a, failed + f));
        if all >= CALLS && failed * 2 >= all {
            self.next_probe = Some(now + PROBE_EVERY);
        }
    }

    pub fn is_open(&self) -> bool {
        self.next_probe.is_some()
    }

    fn count(&mut self, well: bool, second: i64) {
        // A clock that went back leaves seconds of the future behind, which are as stale as those of the past.
        self.ended.retain(|(at, ..)| (second - WINDOW_SECONDS + 1..=second).contains(at));
        match self.ended.back_mut() {
            Some((at, all, failed)) if *at == second => {
                *all += 1;
                *failed += u32::from(!well);
            }
            Some(_) | None => self.ended.push_back((second, 1, u32::from(!well))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: Timestamp = Timestamp(1_800_000_000_000);

    fn after(seconds: i64) -> Timestamp {
        NOON + Span::seconds(seconds)
    }

    #[test]
    fn half_of_twenty_failures_open_it_and_nineteen_calls_do_not() {
        let mut breaker = Breaker::default();
        (0..19).for_each(|n| breaker.ended(false, after(n)));
        assert!(!breaker.is_open());
        breaker.ended(true, after(19));
        assert!(!breaker.is_open() || breaker.may_go(after(19)).is_err());
        let mut half = Breaker::default();
        (0..9).for_each(|_| half.ended(false, NOON));
        (0..11).for_each(|_| half.ended(true, NOON));
        assert!(!half.is_open(), "9 of 20");
        half.ended(false, NOON);
        half.ended(false, NOON);
        assert_eq!(half.may_go(NOON), Err(NOON + PROBE_EVERY), "11 of 22");
    }

    #[test]
    fn what_failed_longer_ago_than_the_window_does_not_count() {
        let mut breaker = Breaker::default();
        (0..100).for_each(|n| breaker.ended(false, after(2 * n)));
        assert!(!breaker.is_open(), "15 calls in 30 s");
        assert!(breaker.ended.len() <= 30);
    }

    #[test]
    fn one_probe_goes_every_ten_seconds_until_one_ends_well() {
        let mut breaker = Breaker::default();
        (0..20).for_each(|_| breaker.ended(false, NOON));
        assert_eq!(breaker.may_go(after(9)), Err(after(10)));
        assert_eq!(breaker.may_go(after(10)), Ok(()));
        breaker.begins(after(10));
        assert_eq!(breaker.may_go(after(11)), Err(after(20)));
        breaker.ended(false, after(12));
        assert_eq!(breaker.may_go(after(20)), Ok(()));
        breaker.begins(after(20));
        breaker.ended(true, after(21));
        assert_eq!((breaker.may_go(after(21)), breaker.is_open()), (Ok(()), false));
        breaker.ended(false, after(22));
        assert!(!breaker.is_open(), "it starts to count anew");
    }
}
