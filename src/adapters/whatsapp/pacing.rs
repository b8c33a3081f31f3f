//! How fast a line may send, and how fast to one contact: pure arithmetic on a clock that is handed in.
//!
//! Both are the generic cell rate algorithm: each message books the next free place on a time line, and may go while the
//! booked time runs ahead of the clock by no more than the burst.
use crate::domain::effect::Send;
use crate::domain::ids::{GroupId, RoomKey};
use crate::domain::time::{Span, Timestamp};
use std::collections::HashMap;

/// 80 messages a second for one number (Meta, throughput).
const LINE_INTERVAL: i64 = MICROS_PER_SECOND / 80;
/// A tenth of a second's worth at once, so that no second ever sees much more than 80.
const LINE_BURST: i64 = 8;
/// One message in 6 s to one user (Meta, pair rate) …
const PAIR_INTERVAL: i64 = 6 * MICROS_PER_SECOND;
/// … of which 45 may be borrowed from the future.
const PAIR_BURST: i64 = 45;
/// After a refusal for the pair rate: 4^n seconds (Meta), up to 4^5 = 17 minutes.
const LONGEST_BACKOFF: u32 = 5;
/// A pair that has been quiet this long after a refusal starts anew.
const REFUSALS_ARE_FORGOTTEN: Span = Span::hours(1);
/// A line at full speed keeps 80 × 6 × 45 pairs busy at most; beyond this a new pair waits for a place.
const MAX_PAIRS: usize = 65_536;
/// Lines come from the configuration; this only keeps a mistake from growing without end.
const MAX_LINES: usize = 1_024;
const SWEEP_FROM: usize = 1_024;
const NO_PLACE: Span = Span::seconds(1);
const MICROS_PER_SECOND: i64 = 1_000_000;

#[derive(Default)]
pub struct Pace {
    lines: HashMap<String, Line>,
}

#[derive(Default)]
struct Line {
    /// The time up to which places are booked, in microseconds.
    booked: i64,
    not_before: Timestamp,
    pairs: HashMap<String, Pair>,
    /// Idle pairs are swept out when there are this many.
    sweep_at: usize,
}

#[derive(Default)]
struct Pair {
    booked: i64,
    not_before: Timestamp,
    refusals: u32,
}

impl Pace {
    pub fn new() -> Pace {
        Pace::default()
    }

    /// Books a place for one message on this line to this contact, or says when to ask again. Nothing is booked then.
    pub fn may_go(&mut self, line: &str, contact: &str, now: Timestamp) -> Result<(), Timestamp> {
        let line = self.line(line, now)?;
        let pair = line.pairs.get(contact);
        let (pair_booked, pair_rest) = pair.map_or((0, Timestamp(0)), |pair| (pair.booked, pair.not_before));
        let rest = line.not_before.max(pair_rest);
        if now < rest {
            return Err(rest);
        }
        let line_next = next(line.booked, LINE_INTERVAL, LINE_BURST, now);
        let pair_next = next(pair_booked, PAIR_INTERVAL, PAIR_BURST, now);
        let (line_next, pair_next) = both(line_next, pair_next)?;
        line.pair(contact, now)?.booked = pair_next;
        line.booked = line_next;
        Ok(())
    }

    /// WhatsApp has refused a message for the pair rate: nothing to this contact for 4^n seconds, n counting such refusals.
    pub fn pair_refused(&mut self, line: &str, contact: &str, now: Timestamp) -> Timestamp {
        let Ok(pair) = self.line(line, now).and_then(|line| line.pair(contact, now)) else { return now + NO_PLACE };
        pair.not_before = now + Span::seconds(4_i64.pow(pair.refusals.min(LONGEST_BACKOFF)));
        pair.refusals += 1;
        pair.not_before
    }

    /// WhatsApp has taken a message to this contact: the next refusal is the first again.
    pub fn accepted(&mut self, line: &str, contact: &str) {
        if let Some(pair) = self.lines.get_mut(line).and_then(|line| line.pairs.get_mut(contact)) {
            pair.refusals = 0;
        }
    }

    /// WhatsApp has refused a message for the speed of the line: nothing on it before this time.
    pub fn line_refused(&mut self, line: &str, not_before: Timestamp, now: Timestamp) {
        if let Ok(line) = self.line(line, now) {
            line.not_before = line.not_before.max(not_before);
        }
    }

    fn line(&mut self, line: &str, now: Timestamp) -> Result<&mut Line, Timestamp> {
        if !self.lines.contains_key(line) {
            if self.lines.len() >= MAX_LINES {
                return Err(now + NO_PLACE);
            }
            self.lines.insert(line.to_owned(), Line { sweep_at: SWEEP_FROM, ..Line::default() });
        }
        Ok(self.lines.get_mut(line).expect("the line was put in just above"))
    }
}

/// Whose pace a message counts for: a group is one of its own, whoever is in it.
pub fn pair_of(send: &Send) -> &str {
    let group = send.room.as_ref().map(RoomKey::as_str).or(send.to.group.as_ref().map(GroupId::as_str));
    group.unwrap_or(send.contact.as_str())
}

impl Line {
    fn pair(&mut self, contact: &str, now: Timestamp) -> Result<&mut Pair, Timestamp> {
        if !self.pairs.contains_key(contact) {
            self.make_room(now)?;
            self.pairs.insert(contact.to_owned(), Pair::default());
        }
        Ok(self.pairs.get_mut(contact).expect("the pair was put in just above"))
    }

    /// An idle pair is as good as none. Sweeping at twice the number that stayed keeps the cost of one message constant.
    fn make_room(&mut self, now: Timestamp) -> Result<(), Timestamp> {
        if self.pairs.len() < self.sweep_at {
            return Ok(());
        }
        self.pairs.retain(|_, pair| !pair.is_idle(now));
        self.sweep_at = (2 * self.pairs.len()).clamp(SWEEP_FROM, MAX_PAIRS);
        if self.pairs.len() < MAX_PAIRS { Ok(()) } else { Err(now + NO_PLACE) }
    }
}

impl Pair {
    fn is_idle(&self, now: Timestamp) -> bool {
        let remembered = if self.refusals > 0 { self.not_before + REFUSALS_ARE_FORGOTTEN } else { self.not_before };
        self.booked <= micros(now) && remembered <= now
    }
}

/// The time line after one more message, or when there will be a place.
fn next(booked: i64, interval: i64, burst: i64, now: Timestamp) -> Result<i64, Timestamp> {
    let now = micros(now);
    let ahead = (burst - 1) * interval;
    match booked - now > ahead {
        true => Err(Timestamp((booked - ahead + 999).div_euclid(1_000))),
        false => Ok(booked.max(now) + interval),
    }
}

/// Both places, or the later of the times to wait for.
fn both(line: Result<i64, Timestamp>, pair: Result<i64, Timestamp>) -> Result<(i64, i64), Timestamp> {
    match (line, pair) {
        (Ok(line), Ok(pair)) => Ok((line, pair)),
        (Err(line), Err(pair)) => Err(line.max(pair)),
        (Err(at), Ok(_)) | (Ok(_), Err(at)) => Err(at),
    }
}

fn micros(at: Timestamp) -> i64 {
    at.0.saturating_mul(1_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: Timestamp = Timestamp(1_800_000_000_000);

    /// How many of `n` wishes at once are granted.
    fn granted(pace: &mut Pace, n: usize, now: Timestamp) -> usize {
        (0..n).filter(|_| pace.may_go("line", "ann", now).is_ok()).count()
    }

    #[test]
    fn a_pair_may_burst_45_and_then_one_in_six_seconds() {
        let mut pace = Pace::new();
        let mut now = NOON;
        let mut sent = 0;
        for _ in 0..1_000 {
            sent += granted(&mut pace, 10, now);
            now = now + Span(1);
        }
        assert_eq!(sent, 45);
        let not_before = pace.may_go("line", "ann", now).unwrap_err();
        assert_eq!(not_before, NOON + Span::seconds(6));
        assert_eq!(pace.may_go("line", "ann", not_before), Ok(()));
        assert_eq!(pace.may_go("line", "ann", not_before), Err(not_before + Span::seconds(6)));
        assert_eq!(pace.may_go("line", "bob", not_before), Ok(()), "others go on");
    }

    #[test]
    fn a_line_never_passes_much_more_than_80_in_a_second() {
        let mut pace = Pace::new();
        let mut sent = 0;
        for millisecond in 0..1_000 {
            for contact in 0..5 {
                sent += usize::from(pace.may_go("line", &format!("c-{millisecond}-{contact}"), NOON + Span(millisecond)).is_ok());
            }
        }
        assert!((80..=88).contains(&sent), "{sent}");
        assert_eq!(pace.may_go("other", "x", NOON + Span(999)), Ok(()), "each line has its own pace");
    }

    #[test]
    fn the_time_to_wait_for_is_the_time_at_which_it_goes() {
        let mut pace = Pace::new();
        let mut now = NOON;
        for _ in 0..500 {
            if let Err(not_before) = pace.may_go("line", "ann", now) {
                assert!(not_before > now);
                now = not_before;
                assert_eq!(pace.may_go("line", "ann", now), Ok(()));
            }
        }
    }

    #[test]
    fn a_pair_that_was_refused_waits_four_times_as_long_each_time() {
        let mut pace = Pace::new();
        let waits: Vec<i64> = (0..7).map(|_| (pace.pair_refused("line", "ann", NOON) - NOON).0 / 1_000).collect();
        assert_eq!(waits, [1, 4, 16, 64, 256, 1_024, 1_024]);
        assert_eq!(pace.may_go("line", "ann", NOON), Err(NOON + Span::seconds(1_024)));
        pace.accepted("line", "ann");
        assert_eq!(pace.pair_refused("line", "ann", NOON), NOON + Span::seconds(1));
    }

    #[test]
    fn a_line_that_was_refused_rests() {
        let mut pace = Pace::new();
        pace.line_refused("line", NOON + Span::seconds(10), NOON);
        assert_eq!(pace.may_go("line", "ann", NOON), Err(NOON + Span::seconds(10)));
        assert_eq!(pace.may_go("line", "ann", NOON + Span::seconds(10)), Ok(()));
    }

    #[test]
    fn memory_is_bounded_by_what_is_busy() {
        let mut pace = Pace::new();
        for n in 0..20_000 {
            let now = NOON + Span(n * 13);
            assert_eq!(pace.may_go("line", &format!("c-{n}"), now), Ok(()));
        }
        assert!(pace.lines["line"].pairs.len() <= 2 * SWEEP_FROM, "{}", pace.lines["line"].pairs.len());
    }
}
