//! Which lines work: a line whose token, permission, account or number is refused stops, and is tried again now and then.
use super::errors::{Class, class};
use crate::adapters::breaker::Breaker;
use crate::domain::event::LineTrouble;
use crate::domain::ids::LineId;
use crate::domain::time::{Span, Timestamp};
use crate::ports::Lines;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// How often a line that stopped is looked at again, with one of its messages.
pub const LOOK_AGAIN: Span = Span::minutes(1);
/// Lines come from the configuration; this only keeps a mistake from growing without end.
const MAX_LINES: usize = 1_024;

/// Shared by whoever sends, whoever asks whether something may leave, and whoever tells people.
#[derive(Default)]
pub struct LineHealth {
    watched: Mutex<BTreeMap<LineId, Watched>>,
    lines: watch::Sender<Lines>,
}

#[derive(Default)]
struct Watched {
    /// The line stopped, and this is when it is tried next, and how often after that.
    next_try: Option<(Timestamp, Span)>,
    /// It was a status that told so: a message that is taken proves nothing, only its end does.
    by_status: bool,
    breaker: Breaker,
}

/// How often a line is tried that was refused with this code.
fn every(code: &str) -> Span {
    match code.parse().ok().and_then(class) {
        Some(Class::Restricted { wait }) => wait,
        Some(_) | None => LOOK_AGAIN,
    }
}

impl LineHealth {
    pub fn watch(&self) -> watch::Receiver<Lines> {
        self.lines.subscribe()
    }

    /// Lines on which so many calls fail that only a probe goes now and then.
    pub fn resting(&self) -> BTreeSet<LineId> {
        self.watched().iter().filter(|(_, watched)| watched.breaker.is_open()).map(|(line, _)| line.clone()).collect()
    }

    /// `Err` names the time of the next try. Asking changes nothing.
    pub fn may_go(&self, line: &LineId, now: Timestamp) -> Result<(), Timestamp> {
        let watched = self.watched();
        let Some(watched) = watched.get(line) else { return Ok(()) };
        let next_try = watched.next_try.map(|(at, _)| at).filter(|at| now < *at);
        next_try.map_or_else(|| watched.breaker.may_go(now), Err)
    }

    /// A call begins: on a line that stopped it is the one that tries.
    pub fn begins(&self, line: &LineId, now: Timestamp) {
        self.with(line, |watched| {
            watched.breaker.begins(now);
            if let Some((at, every)) = &mut watched.next_try {
                *at = now + *every;
            }
        });
    }

    /// The provider says that nothing can leave on this line, with its code and words. Returns when it is tried again.
    pub fn troubled(&self, line: &LineId, (code, detail): (&str, &str), every: Span, now: Timestamp) -> Timestamp {
        let next_try = now + every;
        self.with(line, |watched| watched.next_try = Some((next_try, every)));
        let trouble = LineTrouble { code: code.to_owned(), detail: detail.to_owned(), since: now, by_status: false };
        self.learn(line, trouble);
        next_try
    }

    /// What the records say of a line, wherever they have it from: with a status that refused it, it rests as with an answer
    /// that did; what an answer tells is known here before.
    pub fn heed(&self, line: &LineId, trouble: Option<&LineTrouble>, now: Timestamp) {
        match trouble {
            Some(trouble) if trouble.by_status => {
                let every = every(&trouble.code);
                self.with(line, |watched| {
                    watched.by_status = true;
                    watched.next_try.get_or_insert((now + every, every));
                });
                self.learn(line, trouble.clone());
            }
            Some(_) => self.with(line, |watched| watched.by_status = false),
            None => {
                let mut over = false;
                self.with(line, |watched| over = std::mem::take(&mut watched.by_status));
                if over {
                    self.accepted(line);
                }
            }
        }
    }

    fn learn(&self, line: &LineId, trouble: LineTrouble) {
        self.note(line, |known| match known {
            // The words may differ from time to time; the trouble is the same.
            Some(Some(before)) if before.code == trouble.code => false,
            Some(_) | None => {
                *known = Some(Some(trouble));
                true
            }
        });
    }

    /// What an earlier run of the program knew: the line is tried at once, and is troubled until that ends well.
    pub fn remember(&self, line: &LineId, trouble: LineTrouble) {
        let every = every(&trouble.code);
        self.with(line, |watched| {
            watched.next_try = Some((Timestamp(i64::MIN), every));
            watched.by_status = trouble.by_status;
        });
        self.note(line, |known| {
            *known = Some(Some(trouble));
            true
        });
    }

    /// The provider took a message on this line.
    pub fn accepted(&self, line: &LineId) {
        let mut waits_for_its_end = false;
        self.with(line, |watched| {
            waits_for_its_end = watched.by_status;
            if !watched.by_status {
                watched.next_try = None;
            }
        });
        if waits_for_its_end {
            return;
        }
        self.note(line, |known| !matches!(known.replace(None), Some(None)));
    }

    /// Whether the provider answered like somebody who works, for the breaker of the line.
    pub fn ended(&self, line: &LineId, well: bool, now: Timestamp) {
        self.with(line, |watched| watched.breaker.ended(well, now));
    }

    fn with(&self, line: &LineId, change: impl FnOnce(&mut Watched)) {
        let mut watched = self.watched();
        if let Some(one) = watched.get_mut(line) {
            return change(one);
        }
        if watched.len() < MAX_LINES {
            change(watched.entry(line.clone()).or_default());
        }
    }

    fn note(&self, line: &LineId, change: impl FnOnce(&mut Option<Option<LineTrouble>>) -> bool) {
        self.lines.send_if_modified(|lines| {
            if lines.len() >= MAX_LINES && !lines.contains_key(line) {
                return false;
            }
            let mut known = lines.remove(line);
            let changed = change(&mut known);
            lines.extend(known.map(|known| (line.clone(), known)));
            changed
        });
    }

    fn watched(&self) -> MutexGuard<'_, BTreeMap<LineId, Watched>> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: Timestamp = Timestamp(1_800_000_000_000);

    fn line() -> LineId {
        LineId::new("777")
    }

    fn told(code: &str, by_status: bool) -> LineTrouble {
        LineTrouble { code: code.into(), detail: "no more".into(), since: NOON, by_status }
    }

    #[test]
    fn a_line_that_a_status_refused_rests_until_a_message_has_a_better_end() {
        for (code, wait) in [("131048", Span::hours(1)), ("368", LOOK_AGAIN), ("190", LOOK_AGAIN)] {
            let health = LineHealth::default();
            health.heed(&line(), Some(&told(code, true)), NOON);
            let tried = NOON + wait;
            assert_eq!(health.may_go(&line(), NOON), Err(tried), "{code}");
            assert_eq!(health.watch().borrow()[&line()].as_ref().map(|trouble| trouble.code.clone()), Some(code.to_owned()));
            // Of the many messages that were on their way each has a status of its own.
            health.heed(&line(), Some(&told(code, true)), NOON + Span::seconds(30));
            assert_eq!(health.may_go(&line(), tried), Ok(()));
            health.begins(&line(), tried);
            health.accepted(&line());
            assert_eq!(health.may_go(&line(), tried), Err(tried + wait), "{code}: taken, and nobody knows yet how it ends");
            health.heed(&line(), None, tried);
            assert_eq!(health.may_go(&line(), tried), Ok(()));
            assert_eq!(*health.watch().borrow(), Lines::from([(line(), None)]));
        }
    }

    #[test]
    fn what_an_answer_told_is_over_when_a_message_is_taken_and_not_before() {
        let health = LineHealth::default();
        health.troubled(&line(), ("190", "expired"), LOOK_AGAIN, NOON);
        health.heed(&line(), Some(&told("190", false)), NOON);
        health.heed(&line(), None, NOON);
        assert_eq!(health.may_go(&line(), NOON), Err(NOON + LOOK_AGAIN), "news of an earlier end change nothing");
        health.accepted(&line());
        assert_eq!(health.may_go(&line(), NOON), Ok(()));
    }

    #[test]
    fn what_a_status_told_an_earlier_run_is_tried_at_once_and_then_as_seldom() {
        let health = LineHealth::default();
        health.remember(&line(), told("131048", true));
        assert_eq!(health.may_go(&line(), NOON), Ok(()));
        health.begins(&line(), NOON);
        health.accepted(&line());
        assert_eq!(health.may_go(&line(), NOON), Err(NOON + Span::hours(1)));
    }

    #[test]
    fn a_line_that_stopped_is_tried_once_a_minute_and_works_again_after_one_success() {
        let health = LineHealth::default();
        assert_eq!(health.may_go(&line(), NOON), Ok(()));
        assert_eq!(health.troubled(&line(), ("190", "expired"), LOOK_AGAIN, NOON), NOON + LOOK_AGAIN);
        let tried = NOON + LOOK_AGAIN;
        assert_eq!(health.may_go(&line(), tried - Span(1)), Err(tried));
        assert_eq!(health.may_go(&line(), tried), Ok(()));
        health.begins(&line(), tried);
        assert_eq!(health.may_go(&line(), tried), Err(tried + LOOK_AGAIN), "one message tries, the others wait");
        assert_eq!(health.may_go(&LineId::new("other"), NOON), Ok(()), "other lines go on");
        health.accepted(&line());
        assert_eq!(health.may_go(&line(), tried), Ok(()));
        assert_eq!(*health.watch().borrow(), Lines::from([(line(), None)]));
    }

    #[test]
    fn a_restricted_line_is_tried_once_an_hour() {
        let health = LineHealth::default();
        let hour = Span::hours(1);
        assert_eq!(health.troubled(&line(), ("131048", "spam"), hour, NOON), NOON + hour);
        assert_eq!(health.may_go(&line(), NOON + Span::minutes(59)), Err(NOON + hour));
        health.begins(&line(), NOON + hour);
        assert_eq!(health.may_go(&line(), NOON + hour), Err(NOON + hour + hour));
    }

    #[test]
    fn the_same_trouble_is_news_once() {
        let health = LineHealth::default();
        let mut lines = health.watch();
        health.troubled(&line(), ("190", "expired"), LOOK_AGAIN, NOON);
        assert!(lines.has_changed().unwrap());
        let known = lines.borrow_and_update()[&line()].clone().unwrap();
        assert_eq!((known.code.as_str(), known.since), ("190", NOON));
        health.troubled(&line(), ("190", "expired on another day"), LOOK_AGAIN, NOON + LOOK_AGAIN);
        assert!(!lines.has_changed().unwrap());
        health.troubled(&line(), ("131042", "unpaid"), LOOK_AGAIN, NOON + LOOK_AGAIN);
        assert!(lines.has_changed().unwrap());
        lines.mark_unchanged();
        health.accepted(&line());
        assert!(lines.has_changed().unwrap());
        lines.mark_unchanged();
        health.accepted(&line());
        assert!(!lines.has_changed().unwrap());
    }

    #[test]
    fn what_an_earlier_run_knew_is_tried_at_once() {
        let health = LineHealth::default();
        health.remember(&line(), told("190", false));
        assert_eq!(health.may_go(&line(), NOON), Ok(()));
        assert!(health.watch().borrow()[&line()].is_some());
    }

    #[test]
    fn a_line_on_which_half_of_the_calls_fail_rests_between_probes() {
        let health = LineHealth::default();
        (0..20).for_each(|_| health.ended(&line(), false, NOON));
        assert_eq!(health.may_go(&line(), NOON), Err(NOON + Span::seconds(10)));
        assert_eq!(health.resting(), BTreeSet::from([line()]));
        assert!(health.watch().borrow().is_empty(), "that is the provider's trouble, not the line's");
    }
}
