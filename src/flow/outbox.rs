//! The outbox: takes the head of each lane, asks once more whether it may go, performs it, and reports how it ended.
use super::desk::News;
use super::lanes::{Counts, Head, Lanes};
use crate::domain::case::Record;
use crate::domain::commit::Key;
use crate::domain::effect::{Attempt, Effect, LookUp, Outcome};
use crate::domain::event::{Event, Fact};
use crate::domain::ids::EventId;
use crate::domain::lane::{Due, DueState};
use crate::domain::time::{Span, Timestamp};
use crate::ports::{Clock, Inbox, Pacing, Performer, Receipt, Store, StoreError};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Effects performed at the same time: enough to keep every lane of a busy line moving, few enough for any provider.
const AT_ONCE: usize = 128;
/// The request starts within this time of the commit that took it, or is taken again (ARCHITECTURE, The straight line).
const STARTS_WITHIN: Span = Span::seconds(2);
/// Back-off between tries, full jitter (QUALITY, bounds).
const BACK_OFF_FIRST: Span = Span(500);
const BACK_OFF_MOST: Span = Span::minutes(5);
/// How long the outbox sleeps at most before it looks at the clock again: a clock that can be moved needs looking at.
const LOOK_AT_THE_CLOCK: Duration = Duration::from_millis(50);
/// A report that cannot be kept now is brought again after this time; it is never dropped.
const REPORT_AGAIN: Duration = Duration::from_millis(200);
/// A record of the outbox is read this many at a time at start.
const READ_AT_START: usize = 1_000;

pub struct Outbox {
    pub store: Arc<dyn Store>,
    pub inbox: Arc<dyn Inbox>,
    pub performer: Arc<dyn Performer>,
    pub pacing: Arc<dyn Pacing>,
    pub clock: Arc<dyn Clock>,
}

/// How a head's turn ended: its lane may go on, or pauses until then.
type Turn = (Head, Option<Timestamp>);

impl Outbox {
    /// Runs until `stop`; then lets what is being performed finish, for `drain` at most.
    pub async fn run(
        self,
        mut news: mpsc::UnboundedReceiver<News>,
        stop: CancellationToken,
        drain: Duration,
    ) -> Result<(), StoreError> {
        let mut lanes = Lanes::default();
        let in_doubt = self.read_at_start(&mut lanes)?;
        let outbox = Arc::new(self);
        for due in in_doubt {
            outbox
                .report(&due, "restart", ended(&due, Outcome::Unknown { why: "the program ended while it was performed".into() }))
                .await;
        }
        let durable = outbox.store.durable();
        let (done, mut turns) = mpsc::unbounded_channel::<Turn>();
        let slots = Arc::new(Semaphore::new(AT_ONCE));
        let tasks = TaskTracker::new();
        loop {
            outbox.start_heads(&mut lanes, &slots, &tasks, &done, &stop);
            show(lanes.counts());
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                Some((head, pause)) = turns.recv() => lanes.finished(&head, pause),
                Some(heard) = news.recv() => learn(&mut lanes, heard, &durable).await,
                () = tokio::time::sleep(outbox.nap(&lanes)) => {}
            }
            while let Ok(heard) = news.try_recv() {
                learn(&mut lanes, heard, &durable).await;
            }
            while let Ok((head, pause)) = turns.try_recv() {
                lanes.finished(&head, pause);
            }
        }
        tasks.close();
        if tokio::time::timeout(drain, tasks.wait()).await.is_err() {
            tracing::warn!("some effects did not end in time; they are looked up at the next start");
        }
        Ok(())
    }

    fn nap(&self, lanes: &Lanes) -> Duration {
        let until = lanes.next_at().map(|at| (at - self.clock.now()).0.max(1));
        until.map_or(LOOK_AT_THE_CLOCK, |ms| Duration::from_millis(ms.unsigned_abs()).min(LOOK_AT_THE_CLOCK))
    }

    /// What was due is due; what was being performed when the program ended is in doubt.
    fn read_at_start(&self, lanes: &mut Lanes) -> Result<Vec<Due>, StoreError> {
        let (mut in_doubt, mut after) = (Vec::new(), None::<String>);
        loop {
            let page = self.store.scan(Due::PREFIX, after.as_deref(), READ_AT_START)?;
            let Some((last, _)) = page.last() else { return Ok(in_doubt) };
            after = Some(last.as_str().to_owned());
            for (key, stored) in &page {
                let Ok(due) = serde_json::from_slice::<Due>(&stored.value) else { continue };
                if matches!(due.state, DueState::Taken { .. }) {
                    in_doubt.push(due.clone());
                }
                lanes.learn(key, Some(&due));
            }
        }
    }

    fn start_heads(
        self: &Arc<Self>,
        lanes: &mut Lanes,
        slots: &Arc<Semaphore>,
        tasks: &TaskTracker,
        done: &mpsc::UnboundedSender<Turn>,
        stop: &CancellationToken,
    ) {
        // A clock that ran away must not send anything (RULES, Identity and time).
        while self.clock.is_sane() && !stop.is_cancelled() && slots.available_permits() > 0 {
            let Some(head) = lanes.take(self.clock.now()) else { return };
            let Ok(permit) = Arc::clone(slots).try_acquire_owned() else { return };
            let (outbox, done) = (Arc::clone(self), done.clone());
            tasks.spawn(async move {
                let pause = outbox.turn(&head).await;
                drop(permit);
                // The loop that listens ends last; after it nobody needs the turn.
                let _ended = done.send((head, pause));
            });
        }
    }

    /// One turn of a head: taken, performed and reported; or looked up.
    async fn turn(&self, head: &Head) -> Option<Timestamp> {
        let due = match self.fresh(&head.key) {
            Some(due) => due,
            None => return None,
        };
        match due.state {
            DueState::Waiting { .. } => self.try_to_perform(due).await,
            DueState::Doubtful { .. } => self.resolve_doubt(due).await,
            DueState::Taken { .. } => None,
        }
    }

    fn fresh(&self, key: &Key) -> Option<Due> {
        let stored = self.store.get(key).ok()??;
        serde_json::from_slice(&stored.value).ok()
    }

    async fn try_to_perform(&self, due: Due) -> Option<Timestamp> {
        let now = self.clock.now();
        if let Err(until) = self.pacing.may_go(&due.effect, now) {
            return Some(until);
        }
        let prepared = self.performer.prepare(&due.id, &due.effect);
        let text = prepared.as_ref().ok().and_then(|prepared| prepared.client_text()).map(str::to_owned);
        let key = due.key();
        self.report(&due, "wanted", Fact::EffectWanted { key: key.clone(), attempt: due.attempt, text }).await;
        let taken = self.fresh(&key).filter(|fresh| fresh.attempt == due.attempt + 1);
        let Some((taken, DueState::Taken { at })) = taken.map(|taken| (taken.clone(), taken.state)) else { return None };
        if self.clock.now() - at > STARTS_WITHIN {
            let why = "the request could not start in time".to_owned();
            let not_before = self.clock.now();
            self.report(&taken, "late", Fact::EffectPutOff { key, attempt: taken.attempt, why, not_before }).await;
            return None;
        }
        let begun = std::time::Instant::now();
        let attempt = match prepared {
            Ok(prepared) => self.performer.perform(&taken.id, &taken.effect, &prepared).await,
            Err(mistake) => Attempt::Ended(Outcome::Failed { code: "wording".to_owned(), detail: mistake }),
        };
        let (provider, operation) = names_of(&taken.effect);
        metrics::histogram!("liaison_effect_seconds", "provider" => provider, "operation" => operation)
            .record(begun.elapsed().as_secs_f64());
        self.report_attempt(&taken, attempt).await;
        None
    }

    async fn report_attempt(&self, taken: &Due, attempt: Attempt) {
        match attempt {
            Attempt::Ended(outcome) => self.report(taken, "ended", ended(taken, outcome)).await,
            Attempt::NotYet { why, not_before } => {
                let not_before = not_before.max(self.clock.now() + back_off(taken.attempt));
                tracing::info!(effect = %taken.id, why, "put off");
                let fact = Fact::EffectPutOff { key: taken.key(), attempt: taken.attempt, why, not_before };
                self.report(taken, "put-off", fact).await;
            }
        }
    }

    async fn resolve_doubt(&self, due: Due) -> Option<Timestamp> {
        if let Effect::Send(_) = due.effect {
            self.report(&due, "old", Fact::DoubtIsOld { key: due.key() }).await;
            return None;
        }
        match self.performer.look_up(&due.id, &due.effect).await {
            LookUp::Found { external_id } => {
                self.report(&due, "found", ended(&due, Outcome::Done { external_id })).await;
                None
            }
            LookUp::Absent => {
                let fact = Fact::EffectPutOff {
                    key: due.key(),
                    attempt: due.attempt,
                    why: "looked up and not found".to_owned(),
                    not_before: self.clock.now(),
                };
                self.report(&due, "absent", fact).await;
                None
            }
            LookUp::Unclear => Some(self.clock.now() + back_off(due.attempt.max(2))),
        }
    }

    /// Brings a fact of our own to the desk until it is kept: how an effect ended must not be lost.
    async fn report(&self, due: &Due, what: &str, fact: Fact) {
        let id = EventId(format!("fx:{}:{}:{what}", due.id, due.attempt));
        loop {
            let event = Event { id: id.clone(), at: self.clock.now(), fact: fact.clone(), raw: None };
            if self.inbox.deliver(event).await == Receipt::Kept {
                return;
            }
            tokio::time::sleep(REPORT_AGAIN).await;
        }
    }
}

fn show(counts: Counts) {
    for (state, count) in [("waiting", counts.waiting), ("taken", counts.taken), ("doubtful", counts.doubtful)] {
        metrics::gauge!("liaison_outbox_messages", "state" => state).set(count as f64);
    }
}

async fn learn(lanes: &mut Lanes, heard: News, durable: &watch::Receiver<u64>) {
    // Nothing leaves that was not committed for good.
    let mut durable = durable.clone();
    if durable.wait_for(|reached| *reached >= heard.sequence).await.is_err() {
        return;
    }
    for (key, due) in &heard.changes {
        lanes.learn(key, due.as_ref());
    }
}

fn ended(due: &Due, outcome: Outcome) -> Fact {
    Fact::EffectEnded { key: due.key(), attempt: due.attempt, outcome }
}

/// Half a second, doubled by each try, five minutes at most, with full jitter.
fn back_off(attempt: u32) -> Span {
    let most = (BACK_OFF_FIRST.0 << attempt.min(10)).min(BACK_OFF_MOST.0);
    Span(fastrand::i64(most / 4..=most))
}

fn names_of(effect: &Effect) -> (&'static str, &'static str) {
    match effect {
        Effect::Post { .. } => ("symphony", "post"),
        Effect::Send(_) => ("whatsapp", "send"),
        Effect::OpenRoom(_) => ("symphony", "open_room"),
        Effect::AddMember { .. } => ("symphony", "add_member"),
        Effect::RemoveMember { .. } => ("symphony", "remove_member"),
        Effect::DeactivateRoom { .. } => ("symphony", "deactivate_room"),
        Effect::AcceptConnection { .. } => ("symphony", "accept_connection"),
        Effect::FindUser { .. } => ("symphony", "find_user"),
    }
}
