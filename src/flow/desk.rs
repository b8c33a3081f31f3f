//! The desk: one event, one decision, one commit. Events that concern the same chat, client or lane are handled in order.
use super::disk::has_room_for;
use super::door::{Crowd, Door};
use super::durable::Durable;
use crate::domain::case::Records;
use crate::domain::commit::{Commit, Committed, Entry, Key, Put, Raw, Stored};
use crate::domain::decide::{Decision, decide};
use crate::domain::event::{ClientCalled, ClientMessage, DeliveryReported, Event, Fact};
use crate::domain::health::Health;
use crate::domain::ids::*;
use crate::domain::lane::Due;
use crate::domain::policy::Policy;
use crate::domain::time::Timestamp;
use crate::fault;
use crate::ports::disk::DiskLevel;
use crate::ports::{Clock, Inbox, Later, Pulse, Receipt, Store, StoreError};
use serde_json::json;
use std::cell::RefCell;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, OnceLock, RwLock};
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot};

/// How often a decision is made anew when records change under it. Each time somebody else's commit went through, so the
/// system as a whole moves on.
const DECIDES_AT_MOST: usize = 100;
/// Events that may wait at all desks together (QUALITY, bounds); beyond it the sender is asked to come again.
const WAITING_EVENTS: usize = 10_000;
/// An event that rests on something under way is tried again after this time, this often.
pub const SOON: Duration = Duration::from_millis(100);
pub const SOON_TRIES: u32 = 20;

/// What became of an event.
#[derive(Debug)]
pub enum Handled {
    /// Kept under this number, with what it changed in the outbox.
    Kept {
        sequence: u64,
        outbox: Vec<(Key, Option<Due>)>,
    },
    /// Kept before, under this number at the latest.
    Before {
        sequence: u64,
    },
    /// Nothing to keep.
    Nothing,
    Soon,
    NotNow,
    Failed(StoreError),
}

/// When whoever brought an event may be answered, and what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// `Kept`, once this commit is durable.
    WhenDurable(u64),
    At(Receipt),
    /// Bring it again shortly.
    Soon,
}

impl Handled {
    /// Nothing is answered, and no effect leaves, before its commit is durable.
    pub fn answer(&self, fact: &Fact) -> Answer {
        let hasty = match fact {
            Fact::EffectWanted { .. } => fault::planted("taken-before-durable"),
            Fact::EffectEnded { .. } | Fact::EffectPutOff { .. } | Fact::DoubtIsOld { .. } | Fact::TimeCame { .. } => false,
            _ => fault::planted("answered-before-durable"),
        };
        match self {
            Handled::Kept { .. } if hasty => Answer::At(Receipt::Kept),
            Handled::Kept { sequence, .. } | Handled::Before { sequence } => Answer::WhenDurable(*sequence),
            Handled::Nothing => Answer::At(Receipt::Kept),
            Handled::Soon => Answer::Soon,
            Handled::NotNow | Handled::Failed(_) => Answer::At(Receipt::NotNow),
        }
    }
}

/// Records read through a store; remembers the first failure, because a record that cannot be read is not absent.
struct Reading<'s> {
    store: &'s dyn Store,
    pulse: Option<&'s dyn Pulse>,
    failed: RefCell<Option<StoreError>>,
}

impl Records for Reading<'_> {
    fn get(&self, key: &Key) -> Option<Stored> {
        self.store.get(key).unwrap_or_else(|error| {
            self.failed.borrow_mut().get_or_insert(error);
            None
        })
    }
    fn scan(&self, prefix: &str, after: Option<&str>, limit: usize) -> Vec<(Key, Stored)> {
        self.store.scan(prefix, after, limit).unwrap_or_else(|error| {
            self.failed.borrow_mut().get_or_insert(error);
            Vec::new()
        })
    }
    fn health(&self) -> Option<Health> {
        self.pulse.map(Pulse::health)
    }
}

/// Decides and commits, again if a record changed meanwhile. Blocks for reads, never for the disk.
pub fn handle(store: &dyn Store, policy: &Policy, clock: &dyn Clock, event: &Event, last_try: bool) -> Handled {
    handle_knowing(store, None, policy, clock, event, last_try)
}

fn handle_knowing(
    store: &dyn Store,
    pulse: Option<&dyn Pulse>,
    policy: &Policy,
    clock: &dyn Clock,
    event: &Event,
    last_try: bool,
) -> Handled {
    for _ in 0..DECIDES_AT_MOST {
        // Time never goes below the last commit's (RULES, Identity and time).
        let now = clock.now().max(store.last_time());
        let reading = Reading { store, pulse, failed: RefCell::new(None) };
        let decided = catch_unwind(AssertUnwindSafe(|| decide(&reading, policy, now, event, last_try)));
        if let Some(error) = reading.failed.into_inner() {
            return Handled::Failed(error);
        }
        let commit = match decided {
            Ok(Decision::Commit(commit)) => commit,
            Ok(Decision::Before) => return seen_before(store, event),
            Ok(Decision::Nothing) => return Handled::Nothing,
            Ok(Decision::Soon) => return Handled::Soon,
            Ok(Decision::NotNow) => return Handled::NotNow,
            Err(panic) => Box::new(quarantine(event, now, &words_of(&panic))),
        };
        let outbox = outbox_changes(&commit);
        let commit = if fault::planted("absent-keys-unchecked") { without_absent(*commit) } else { *commit };
        match store.commit(commit) {
            Ok(Committed::Now(sequence)) => return Handled::Kept { sequence, outbox },
            Ok(Committed::Outrun) => {}
            // It would come again for ever, and all that came with it.
            Err(error) if error.for_good => return set_aside(store, event, now, &error),
            Err(error) => return Handled::Failed(error),
        }
    }
    Handled::NotNow
}

fn set_aside(store: &dyn Store, event: &Event, now: Timestamp, why: &StoreError) -> Handled {
    match store.commit(quarantine(event, now, &why.to_string())) {
        Ok(Committed::Now(sequence)) => Handled::Kept { sequence, outbox: Vec::new() },
        Ok(Committed::Outrun) => Handled::NotNow,
        Err(error) => Handled::Failed(error),
    }
}

fn without_absent(mut commit: Commit) -> Commit {
    commit.read.retain(|(_, version)| *version != 0);
    commit
}

/// Durable only when the commit that saw it first is.
fn seen_before(store: &dyn Store, event: &Event) -> Handled {
    match store.get(&Key::new("seen", &event.id)) {
        Ok(seen) => Handled::Before { sequence: seen.map_or(0, |stored| stored.version) },
        Err(error) => Handled::Failed(error),
    }
}

fn outbox_changes(commit: &Commit) -> Vec<(Key, Option<Due>)> {
    let due = commit.puts.iter().filter(|put| put.key.as_str().starts_with(Due::PREFIX));
    due.map(|put| (put.key.clone(), put.value.as_deref().and_then(|bytes| serde_json::from_slice(bytes).ok()))).collect()
}

fn words_of(panic: &Box<dyn std::any::Any + Send>) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_else(|| "no words".to_owned())
}

/// A poison event: kept with its bytes and the reason, so that the rest goes on and nothing is lost in silence.
fn quarantine(event: &Event, now: Timestamp, why: &str) -> Commit {
    tracing::error!(event = %event.id, why, "an event broke an invariant and was put into quarantine");
    metrics::gauge!("liaison_quarantine_events").increment(1.0);
    let seen = Key::new("seen", &event.id);
    let kept = json!({ "why": why, "event": event.id, "at": now });
    let puts = vec![
        Put { key: seen.clone(), value: Some(json!({ "to": now.0.to_string() }).to_string().into_bytes()), sealed_for: None },
        Put {
            key: Key::new("quarantine", format_args!("{:016}/{}", now.0, hex::encode(&digest(event)[..8]))),
            value: Some(kept.to_string().into_bytes()),
            sealed_for: None,
        },
    ];
    Commit {
        cause: event.id.clone(),
        at: now,
        read: Vec::new(),
        puts,
        entries: vec![Entry::new("quarantined", "liaison").detail(json!({ "why": why }))],
        raw: event.raw.clone().map(|bytes| Raw { bytes, sealed_for: None }),
    }
}

fn digest(event: &Event) -> Vec<u8> {
    aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, event.id.as_str().as_bytes()).as_ref().to_vec()
}

// ---- the desks as threads

struct Job {
    event: Arc<Event>,
    last_try: bool,
    answer: oneshot::Sender<(Handled, Instant)>,
}

/// Hands events to desks and answers when they are durable.
#[derive(Clone)]
pub struct Desks {
    shared: Arc<Shared>,
}

struct Shared {
    store: Arc<dyn Store>,
    policy: RwLock<Arc<Policy>>,
    clock: Arc<dyn Clock>,
    doors: Vec<Door<Job>>,
    crowd: Crowd,
    durable: Durable,
    news: mpsc::UnboundedSender<News>,
    /// Client messages are taken only once the advisors are known (first start).
    open_to_clients: std::sync::atomic::AtomicBool,
    disk: Arc<DiskLevel>,
    /// Known once everything was put together.
    pulse: OnceLock<Arc<dyn Pulse>>,
}

/// What a commit changed in the outbox, to be acted on when it is durable. Bounded by the lanes of the outbox themselves.
pub struct News {
    pub sequence: u64,
    pub changes: Vec<(Key, Option<Due>)>,
}

impl Desks {
    pub fn start(store: Arc<dyn Store>, policy: Policy, clock: Arc<dyn Clock>) -> (Desks, mpsc::UnboundedReceiver<News>) {
        let (news, heard) = mpsc::unbounded_channel();
        let desks = std::thread::available_parallelism().map_or(2, usize::from).clamp(2, 8);
        let crowd = Crowd::default();
        let shared = Arc::new(Shared {
            durable: Durable::follow(store.durable()),
            store,
            policy: RwLock::new(Arc::new(policy)),
            clock,
            doors: (0..desks).map(|_| Door::new(WAITING_EVENTS / desks, crowd.clone())).collect(),
            crowd,
            news,
            open_to_clients: std::sync::atomic::AtomicBool::new(false),
            disk: Arc::default(),
            pulse: OnceLock::new(),
        });
        for number in 0..desks {
            let shared = Arc::clone(&shared);
            let thread = std::thread::Builder::new().name(format!("desk-{number}"));
            thread.spawn(move || work(&shared, number)).expect("the system lets us start a thread");
        }
        (Desks { shared }, heard)
    }

    /// The policy as it is known now; the bot's own user id comes with the first login.
    pub fn policy(&self) -> Arc<Policy> {
        Arc::clone(&self.shared.policy.read().expect("nobody panics with the policy in hand"))
    }
    pub fn set_policy(&self, policy: Policy) {
        *self.shared.policy.write().expect("nobody panics with the policy in hand") = Arc::new(policy);
    }
    /// Who is asked how the installation does; the first one stays.
    pub fn set_pulse(&self, pulse: Arc<dyn Pulse>) {
        self.shared.pulse.get_or_init(|| pulse);
    }
    pub fn open_to_clients(&self) {
        self.shared.open_to_clients.store(true, std::sync::atomic::Ordering::Release);
    }
    /// Whether more is brought than the desks take up at once.
    pub fn crowd(&self) -> Crowd {
        self.shared.crowd.clone()
    }
    /// How full the disk is: whoever looks at it says so here, and the desks heed it.
    pub fn disk(&self) -> Arc<DiskLevel> {
        Arc::clone(&self.shared.disk)
    }
    /// No new input: desks finish what they have and end.
    pub fn close(&self) {
        self.shared.doors.iter().for_each(Door::close);
    }

    /// What became of the event, and when the desk took it up; told when it may be answered.
    async fn bring(&self, event: Arc<Event>, last_try: bool) -> (Handled, Instant) {
        let (answer, answered) = oneshot::channel();
        let doors = &self.shared.doors;
        let Some(nth) = nth_desk(&event.fact, doors.len()) else { return (Handled::NotNow, Instant::now()) };
        let from_outside = event.fact.is_of_the_world();
        match doors[nth].bring(Job { event, last_try, answer }, from_outside) {
            // A store that broke meanwhile kept nothing for sure.
            true => answered.await.unwrap_or_else(|_| (Handled::NotNow, Instant::now())),
            false => (Handled::NotNow, Instant::now()),
        }
    }

    async fn settle(self, event: Event) -> Receipt {
        let event = Arc::new(event);
        let waits = matches!(event.fact, Fact::ClientMessage(_) | Fact::ClientCalled(_));
        if waits && !self.shared.open_to_clients.load(std::sync::atomic::Ordering::Acquire) {
            return Receipt::NotNow;
        }
        if !has_room_for(&self.shared.disk, &event, &self.policy()) {
            count(&event.fact, &Handled::NotNow);
            return Receipt::NotNow;
        }
        let mut tries = 0;
        loop {
            let (handled, begun) = self.bring(Arc::clone(&event), tries >= SOON_TRIES).await;
            let answer = handled.answer(&event.fact);
            if answer != Answer::Soon {
                count(&event.fact, &handled);
            }
            let kept_now = matches!(handled, Handled::Kept { .. });
            if let Handled::Failed(error) = handled {
                tracing::error!(%error, "an event could not be kept");
            }
            match answer {
                Answer::WhenDurable(_) => {
                    if kept_now {
                        metrics::histogram!("liaison_commit_seconds").record(begun.elapsed().as_secs_f64());
                    }
                    return Receipt::Kept;
                }
                Answer::At(receipt) => return receipt,
                Answer::Soon => tokio::time::sleep(SOON).await,
            }
            tries += 1;
        }
    }
}

impl Inbox for Desks {
    fn deliver(&self, event: Event) -> Later<'static, Receipt> {
        Box::pin(self.clone().settle(event))
    }
}

fn work(shared: &Shared, number: usize) {
    while let Some(job) = shared.doors[number].next() {
        let policy = Arc::clone(&shared.policy.read().expect("nobody panics with the policy in hand"));
        let begun = Instant::now();
        let pulse = shared.pulse.get().map(|pulse| &**pulse);
        let mut handled = handle_knowing(&*shared.store, pulse, &policy, &*shared.clock, &job.event, job.last_try);
        if let Handled::Kept { sequence, outbox } = &mut handled
            && !outbox.is_empty()
        {
            // A closed channel means that the outbox has ended; what is due stands in the store.
            let _ended = shared.news.send(News { sequence: *sequence, changes: std::mem::take(outbox) });
        }
        let when = handled.answer(&job.event.fact);
        // Who asked may have gone away (a closed connection); the event is kept all the same.
        let tell = move || drop(job.answer.send((handled, begun)));
        match when {
            Answer::WhenDurable(sequence) => shared.durable.when(sequence, tell),
            Answer::At(_) | Answer::Soon => tell(),
        }
    }
}

/// Events of one chat, one client, one lane go to one desk, in order.
fn nth_desk(fact: &Fact, desks: usize) -> Option<usize> {
    let mut hasher = DefaultHasher::new();
    match fact {
        Fact::RoomMessage(said) => said.stream.hash(&mut hasher),
        Fact::FormSent(sent) => sent.stream.hash(&mut hasher),
        Fact::MessageSuppressed { stream, .. }
        | Fact::MembersChanged { stream, .. }
        | Fact::RoomRenamed { stream, .. }
        | Fact::RoomActive { stream, .. } => stream.hash(&mut hasher),
        Fact::ClientMessage(said) => client_of(&said.from).hash(&mut hasher),
        Fact::ClientCalled(call) => client_of(&call.from).hash(&mut hasher),
        Fact::DeliveryReported(told) => client_of(&told.recipient).hash(&mut hasher),
        Fact::ConnectionRequested { by } => by.id.hash(&mut hasher),
        Fact::UserFound { user } => user.id.hash(&mut hasher),
        Fact::EffectWanted { key, .. }
        | Fact::EffectEnded { key, .. }
        | Fact::EffectPutOff { key, .. }
        | Fact::DoubtIsOld { key } => Due::lane_of(key).hash(&mut hasher),
        Fact::TimeCame { wake } => wake.hash(&mut hasher),
        Fact::LineTroubled { line, .. } | Fact::LineWorks { line } => line.hash(&mut hasher),
        Fact::TemplateTold(told) => told.name.hash(&mut hasher),
        Fact::MarketingChosen(told) => client_of(&told.from).hash(&mut hasher),
        Fact::GroupTold(told) => told.group.hash(&mut hasher),
        Fact::OfNoConcern { .. } | Fact::NotUsed { .. } | Fact::TemplatesListed(_) | Fact::Unreadable { .. } => {}
    }
    let hash = usize::try_from(hasher.finish() >> 33).unwrap_or_default();
    hash.checked_rem(desks)
}

fn client_of(keys: &crate::domain::event::ClientKeys) -> &str {
    keys.wa_id.as_deref().or(keys.phone.as_ref().map(Phone::digits)).or(keys.user_id.as_deref()).unwrap_or_default()
}

fn count(fact: &Fact, handled: &Handled) {
    let source = match fact {
        Fact::RoomMessage(_)
        | Fact::FormSent(_)
        | Fact::MessageSuppressed { .. }
        | Fact::MembersChanged { .. }
        | Fact::RoomRenamed { .. }
        | Fact::RoomActive { .. }
        | Fact::ConnectionRequested { .. }
        | Fact::UserFound { .. } => "symphony",
        Fact::ClientMessage(ClientMessage { channel: Channel::Sms, .. })
        | Fact::ClientCalled(ClientCalled { channel: Channel::Sms, .. })
        | Fact::DeliveryReported(DeliveryReported { channel: Channel::Sms, .. }) => "twilio",
        Fact::ClientMessage(_)
        | Fact::ClientCalled(_)
        | Fact::DeliveryReported(_)
        | Fact::TemplateTold(_)
        | Fact::MarketingChosen(_)
        | Fact::GroupTold(_)
        | Fact::NotUsed { .. } => "whatsapp",
        Fact::Unreadable { .. } => "unreadable",
        Fact::OfNoConcern { .. } => "of_no_concern",
        Fact::EffectWanted { .. }
        | Fact::EffectEnded { .. }
        | Fact::EffectPutOff { .. }
        | Fact::DoubtIsOld { .. }
        | Fact::TimeCame { .. }
        | Fact::LineTroubled { .. }
        | Fact::LineWorks { .. }
        | Fact::TemplatesListed(_) => return,
    };
    if let (Fact::Unreadable { .. }, Handled::Kept { .. }) = (fact, handled) {
        metrics::gauge!("liaison_quarantine_events").increment(1.0);
    }
    let result = match handled {
        Handled::Kept { .. } => "kept",
        Handled::Before { .. } => "duplicate",
        Handled::Nothing => "ignored",
        Handled::Soon | Handled::NotNow => "not_now",
        Handled::Failed(_) => "failed",
    };
    metrics::counter!("liaison_events_total", "source" => source, "result" => result).increment(1);
}
