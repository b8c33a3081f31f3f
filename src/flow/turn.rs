//! One turn of a lane's head, step by step and without waiting: the outbox walks it with tasks, the simulated world by hand.
use super::lanes::{Head, Lanes};
use crate::domain::case::Record;
use crate::domain::commit::Key;
use crate::domain::effect::{Attempt, Effect, LookUp, Outcome, Prepared, Send};
use crate::domain::event::{Event, Fact};
use crate::domain::ids::{Channel, EventId};
use crate::domain::lane::{Due, DueState};
use crate::domain::time::{Span, Timestamp};
use crate::fault;
use crate::ports::{Clock, Pacing, Performer, Store, StoreError};

/// The request starts within this time of the commit that took it, or is taken again (ARCHITECTURE, The straight line).
const STARTS_WITHIN: Span = Span::seconds(2);
/// Back-off between tries, full jitter (QUALITY, bounds).
const BACK_OFF_FIRST: Span = Span(500);
const BACK_OFF_MOST: Span = Span::minutes(5);
/// A lane that is behind the store waits this long before it is looked at again: a few writes to disk.
const BEHIND: Span = Span(20);
/// A record of the outbox is read this many at a time at start.
const READ_AT_START: usize = 1_000;

/// What a turn looks at.
#[derive(Clone, Copy)]
pub struct Means<'m> {
    pub store: &'m dyn Store,
    pub performer: &'m dyn Performer,
    pub pacing: &'m dyn Pacing,
    pub clock: &'m dyn Clock,
}

/// What is to be done before the turn can go on.
#[derive(Debug)]
pub enum Next {
    /// Bring this to the desk until it is kept, then call `kept`: how an effect ended must not be lost.
    Report(Box<Event>),
    /// Perform it, then call `performed`.
    Perform(Box<Due>, Prepared),
    /// Ask whether it happened, then call `looked_up`.
    LookUp(Box<Due>),
    /// The lane may go on, or pauses until then.
    Over(Option<Timestamp>),
}

pub struct Turn {
    key: Key,
    /// The head's attempt and its words, while it is being taken.
    wanted: Option<(u32, Result<Prepared, String>)>,
    /// It is a line with files.
    bears_files: bool,
}

/// The next head that may be tried. A clock that ran away must not send anything (RULES, Identity and time).
pub fn next_head(lanes: &mut Lanes, clock: &dyn Clock) -> Option<Head> {
    if clock.is_sane() || fault::planted("runaway-clock-sends") { lanes.take(clock.now()) } else { None }
}

/// What was due is due; what was being performed when the program ended is in doubt, and the facts that say so come back.
pub fn read_at_start(store: &dyn Store, clock: &dyn Clock, lanes: &mut Lanes) -> Result<Vec<Event>, StoreError> {
    let (mut in_doubt, mut after) = (Vec::new(), None::<String>);
    loop {
        let page = store.scan(Due::PREFIX, after.as_deref(), READ_AT_START)?;
        let Some((last, _)) = page.last() else { return Ok(in_doubt) };
        after = Some(last.as_str().to_owned());
        for (key, stored) in &page {
            let Ok(due) = serde_json::from_slice::<Due>(&stored.value) else { continue };
            if matches!(due.state, DueState::Taken { .. }) {
                in_doubt.push(report(&due, "restart", cut_short(&due, clock.now()), clock.now()));
            }
            lanes.learn(key, Some(&due));
        }
    }
}

fn cut_short(due: &Due, now: Timestamp) -> Fact {
    let why = "the program ended while it was performed".to_owned();
    if fault::planted("restart-sends-again") {
        return Fact::EffectPutOff { key: due.key(), attempt: due.attempt, why, not_before: now };
    }
    ended(due, Outcome::Unknown { why })
}

impl Turn {
    pub fn begin(head: &Head, with: Means) -> (Turn, Next) {
        let mut turn = Turn { key: head.key.clone(), wanted: None, bears_files: false };
        let next = match turn.fresh(with) {
            Some(due) if matches!(due.state, DueState::Waiting { .. }) => turn.want(due, with),
            Some(due) if matches!(due.state, DueState::Doubtful { .. }) => doubted(due, with),
            // A commit that is not durable yet has changed it: the lane will learn of it. Without a pause it would be
            // begun again and again until then.
            Some(_) | None => Next::Over(Some(with.clock.now() + BEHIND)),
        };
        (turn, next)
    }

    fn fresh(&self, with: Means) -> Option<Due> {
        let stored = with.store.get(&self.key).ok()??;
        serde_json::from_slice(&stored.value).ok()
    }

    fn want(&mut self, due: Due, with: Means) -> Next {
        let now = with.clock.now();
        if let Err(until) = with.pacing.may_go(&due.effect, now) {
            return Next::Over(Some(until));
        }
        self.bears_files = matches!(&due.effect, Effect::Post { reply, .. } if !reply.files.is_empty());
        let prepared = with.performer.prepare(&due.id, &due.effect);
        let text = prepared.as_ref().ok().and_then(|prepared| prepared.client_text()).map(str::to_owned);
        self.wanted = Some((due.attempt, prepared));
        told(&due, "wanted", Fact::EffectWanted { key: self.key.clone(), attempt: due.attempt, text }, now)
    }

    /// The fact is durable: an effect that was taken starts now or is put off, anything else ends the turn.
    pub fn kept(&mut self, with: Means) -> Next {
        let Some((attempt, prepared)) = self.wanted.take() else { return Next::Over(None) };
        let fresh = self.fresh(with);
        // Another one stands before it, of which the lane has not heard yet.
        if fresh.as_ref().is_some_and(|due| due.attempt == attempt && matches!(due.state, DueState::Waiting { .. })) {
            return Next::Over(Some(with.clock.now() + BEHIND));
        }
        let Some(taken) = fresh.filter(|fresh| fresh.attempt == attempt + 1) else { return Next::Over(None) };
        let DueState::Taken { at } = taken.state else { return Next::Over(None) };
        let now = with.clock.now();
        if now - at > STARTS_WITHIN {
            let why = "the request could not start in time".to_owned();
            let fact = Fact::EffectPutOff { key: taken.key(), attempt: taken.attempt, why, not_before: now };
            return told(&taken, "late", fact, now);
        }
        // What becomes of a file shows only when the line is taken, and its words tell of it.
        let prepared = if self.bears_files { with.performer.prepare(&taken.id, &taken.effect) } else { prepared };
        match prepared {
            Ok(prepared) => Next::Perform(Box::new(taken), prepared),
            Err(mistake) => {
                let outcome = Outcome::Failed { code: "wording".to_owned(), detail: mistake };
                told(&taken, "ended", ended(&taken, outcome), now)
            }
        }
    }

    pub fn performed(&self, taken: &Due, attempt: Attempt, now: Timestamp) -> Next {
        match attempt {
            Attempt::Ended(outcome) => told(taken, "ended", ended(taken, outcome), now),
            Attempt::NotYet { why, not_before } => {
                let not_before = not_before.max(now + back_off(taken.attempt));
                tracing::info!(effect = %taken.id, why, "put off");
                let fact = Fact::EffectPutOff { key: taken.key(), attempt: taken.attempt, why, not_before };
                told(taken, "put-off", fact, now)
            }
        }
    }

    pub fn looked_up(&self, due: &Due, found: LookUp, now: Timestamp) -> Next {
        match found {
            LookUp::Found { external_id } => told(due, "found", ended(due, Outcome::Done { external_id }), now),
            LookUp::Absent => {
                let why = "looked up and not found".to_owned();
                let fact = Fact::EffectPutOff { key: due.key(), attempt: due.attempt, why, not_before: now };
                told(due, "absent", fact, now)
            }
            // Whether a message went must not hold up the conversation for longer; a status may still tell.
            LookUp::Unclear if matches!(due.effect, Effect::Send(_)) => {
                told(due, "old", Fact::DoubtIsOld { key: due.key() }, now)
            }
            LookUp::Unclear => Next::Over(Some(now + back_off(due.attempt.max(2)))),
        }
    }
}

fn doubted(due: Due, with: Means) -> Next {
    let now = with.clock.now();
    match due.effect {
        // Nobody lists what was sent by WhatsApp; a status that carries our id tells, or nobody does.
        Effect::Send(Send { channel: Channel::WhatsApp, .. }) => told(&due, "old", Fact::DoubtIsOld { key: due.key() }, now),
        Effect::OpenRoom(_) if fault::planted("room-not-looked-up") => {
            let why = "nobody looked".to_owned();
            let fact = Fact::EffectPutOff { key: due.key(), attempt: due.attempt, why, not_before: now };
            told(&due, "absent", fact, now)
        }
        _ => Next::LookUp(Box::new(due)),
    }
}

fn ended(due: &Due, outcome: Outcome) -> Fact {
    Fact::EffectEnded { key: due.key(), attempt: due.attempt, outcome }
}

fn told(due: &Due, what: &str, fact: Fact, at: Timestamp) -> Next {
    Next::Report(Box::new(report(due, what, fact, at)))
}

fn report(due: &Due, what: &str, fact: Fact, at: Timestamp) -> Event {
    Event { id: EventId(format!("fx:{}:{}:{what}", due.id, due.attempt)), at, fact, raw: None }
}

/// Half a second, doubled by each try, five minutes at most, with full jitter.
fn back_off(attempt: u32) -> Span {
    let most = (BACK_OFF_FIRST.0 << attempt.min(10)).min(BACK_OFF_MOST.0);
    Span(fastrand::i64(most / 4..=most))
}
