//! The outbox: takes the head of each lane, asks once more whether it may go, performs it, and reports how it ended.
use super::desk::News;
use super::door::Crowd;
use super::lanes::{Counts, Head, Lanes};
use super::turn::{self, Means, Next, Turn};
use crate::domain::effect::{Attempt, Effect, Prepared};
use crate::domain::event::Event;
use crate::domain::ids::Channel;
use crate::domain::lane::Due;
use crate::domain::media::Source;
use crate::domain::time::Timestamp;
use crate::ports::{Clock, Inbox, Pacing, Performer, Receipt, Store, StoreError};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Effects performed at the same time: enough to keep every lane of a busy line moving, few enough for any provider.
const AT_ONCE: usize = 128;
/// While the world crowds the desks: a few lines still go out between what comes in.
const AT_ONCE_IN_A_CROWD: usize = 16;
/// How long the outbox sleeps at most before it looks at the clock again: a clock that can be moved needs looking at.
const LOOK_AT_THE_CLOCK: Duration = Duration::from_millis(50);
/// A report that cannot be kept now is brought again after this time; it is never dropped.
const REPORT_AGAIN: Duration = Duration::from_millis(200);

pub struct Outbox {
    pub store: Arc<dyn Store>,
    pub inbox: Arc<dyn Inbox>,
    pub performer: Arc<dyn Performer>,
    pub pacing: Arc<dyn Pacing>,
    pub clock: Arc<dyn Clock>,
    pub crowd: Crowd,
    /// Whoever wants to know how many effects there are, by state.
    pub counts: watch::Sender<Counts>,
}

/// How a head's turn ended: its lane may go on, or pauses until then.
type Ended = (Head, Option<Timestamp>);

impl Outbox {
    /// Runs until `stop`; then lets what is being performed finish, for `drain` at most.
    pub async fn run(
        self,
        mut news: mpsc::UnboundedReceiver<News>,
        stop: CancellationToken,
        drain: Duration,
    ) -> Result<(), StoreError> {
        let mut lanes = Lanes::default();
        let in_doubt = turn::read_at_start(&*self.store, &*self.clock, &mut lanes)?;
        let outbox = Arc::new(self);
        for fact in in_doubt {
            outbox.report(fact).await;
        }
        let durable = outbox.store.durable();
        let (done, mut turns) = mpsc::unbounded_channel::<Ended>();
        let slots = Arc::new(Semaphore::new(AT_ONCE));
        let tasks = TaskTracker::new();
        loop {
            outbox.start_heads(&mut lanes, &slots, &tasks, &done, &stop);
            show(lanes.counts());
            outbox.counts.send_replace(lanes.counts());
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

    fn start_heads(
        self: &Arc<Self>,
        lanes: &mut Lanes,
        slots: &Arc<Semaphore>,
        tasks: &TaskTracker,
        done: &mpsc::UnboundedSender<Ended>,
        stop: &CancellationToken,
    ) {
        let most = if self.crowd.is_there() { AT_ONCE_IN_A_CROWD } else { AT_ONCE };
        while !stop.is_cancelled() && AT_ONCE - slots.available_permits() < most {
            let Some(head) = turn::next_head(lanes, &*self.clock) else { return };
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

    async fn turn(&self, head: &Head) -> Option<Timestamp> {
        let (mut turn, mut next) = Turn::begin(head, self.means());
        loop {
            next = match next {
                Next::Report(event) => {
                    self.report(*event).await;
                    turn.kept(self.means())
                }
                Next::Perform(taken, prepared) => {
                    let attempt = self.perform(&taken, &prepared).await;
                    turn.performed(&taken, attempt, self.clock.now())
                }
                Next::LookUp(due) => {
                    let found = self.performer.look_up(&due).await;
                    turn.looked_up(&due, found, self.clock.now())
                }
                Next::Over(pause) => return pause,
            }
        }
    }

    fn means(&self) -> Means<'_> {
        Means { store: &*self.store, performer: &*self.performer, pacing: &*self.pacing, clock: &*self.clock }
    }

    async fn perform(&self, taken: &Due, prepared: &Prepared) -> Attempt {
        let begun = std::time::Instant::now();
        let attempt = self.performer.perform(&taken.id, &taken.effect, prepared).await;
        let (provider, operation) = names_of(&taken.effect);
        metrics::histogram!("liaison_effect_seconds", "provider" => provider, "operation" => operation)
            .record(begun.elapsed().as_secs_f64());
        attempt
    }

    /// Brings a fact of our own to the desk until it is kept: how an effect ended must not be lost.
    async fn report(&self, event: Event) {
        while self.inbox.deliver(event.clone()).await != Receipt::Kept {
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

fn provider(channel: Channel) -> &'static str {
    match channel {
        Channel::WhatsApp => "whatsapp",
        Channel::Sms => "twilio",
    }
}

fn names_of(effect: &Effect) -> (&'static str, &'static str) {
    match effect {
        Effect::Post { .. } => ("symphony", "post"),
        Effect::Send(send) => (provider(send.channel), "send"),
        Effect::OpenRoom(_) => ("symphony", "open_room"),
        Effect::AddMember { .. } => ("symphony", "add_member"),
        Effect::RemoveMember { .. } => ("symphony", "remove_member"),
        Effect::DemoteMember { .. } => ("symphony", "demote_member"),
        Effect::RenameRoom(_) => ("symphony", "rename_room"),
        Effect::DeactivateRoom { .. } => ("symphony", "deactivate_room"),
        Effect::AcceptConnection { .. } => ("symphony", "accept_connection"),
        Effect::Fetch(fetch) => match &fetch.media.source {
            Source::Client { line, .. } => (provider(line.channel()), "fetch"),
            Source::Chat { .. } => ("symphony", "fetch"),
        },
        Effect::Upload(upload) => (provider(upload.channel), "upload"),
        Effect::FindUser { .. } => ("symphony", "find_user"),
        Effect::Group(_) => ("whatsapp", "group"),
    }
}
