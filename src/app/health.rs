//! Is it alive, is it ready, and if not, why: what operators and load balancers ask.
use crate::adapters::store::SledStore;
use crate::adapters::symphony::feed::FeedState;
use crate::adapters::symphony::login::SessionState;
use crate::adapters::whatsapp::LineHealth;
use crate::domain::commit::Key;
use crate::domain::health::{self, FeedHealth, QueueHealth, StoreHealth};
use crate::domain::ids::{Channel, LineId};
use crate::domain::time::Timestamp;
use crate::flow::held::Counted;
use crate::flow::lanes::Counts;
use crate::ports::Lines;
use crate::ports::disk::{DiskLevel, Level};
use crate::ports::{Clock, Later, Pulse, Store};
use crate::server::{Health, Reason};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// An operator confirms the clock: what is then to be done.
pub type ConfirmClock = Arc<dyn Fn() + Send + Sync>;

pub struct Vitals {
    pub store: Arc<dyn Store>,
    pub clock: Arc<dyn Clock>,
    pub session: watch::Receiver<SessionState>,
    pub feed: watch::Receiver<FeedState>,
    /// Everything was put together once.
    pub started: AtomicBool,
    pub draining: AtomicBool,
    pub confirm_clock: ConfirmClock,
    pub disk: Arc<DiskLevel>,
    pub lines: watch::Receiver<Lines>,
    pub whatsapp: Arc<LineHealth>,
    pub outbox: watch::Receiver<Counts>,
    pub held: Arc<Counted>,
    /// The store again, as one who knows its view.
    pub view: Arc<SledStore>,
    /// How the feed comes, and since when it is connected, or not, in milliseconds.
    pub transport: &'static str,
    pub feed_since: AtomicI64,
    /// The lines' numbers, by which operators know them.
    pub numbers: BTreeMap<LineId, String>,
}

impl Vitals {
    fn all_reasons(&self) -> Vec<Reason> {
        let mut reasons = Vec::new();
        let mut say = |code: &str, text: String| reasons.push(Reason { code: code.to_owned(), text });
        if self.draining.load(Ordering::Acquire) {
            say("draining", "It is ending: no new input is taken.".to_owned());
        }
        let session = self.session.borrow().clone();
        if session.generation == 0 || session.last_error.is_some() {
            let why = session.last_error.clone().unwrap_or_else(|| "the first login is under way".to_owned());
            say("login", format!("Not logged in to Symphony: {why}"));
        }
        if let Some(apart) = session.clock_apart {
            let seconds = apart.0 / 1_000;
            say(
                "clock",
                format!("This machine's clock is {seconds} s from Symphony's: set it by NTP, or logins will be refused."),
            );
        }
        let feed = self.feed.borrow().clone();
        if feed.superseded {
            say("superseded", "Another client reads this datafeed.".to_owned());
        } else if !feed.connected {
            let why = feed.last_error.unwrap_or_else(|| "it is being opened".to_owned());
            say("feed", format!("The datafeed is not read: {why}."));
        }
        if !self.started.load(Ordering::Acquire) {
            say("starting", "It is starting.".to_owned());
        }
        // Whoever writes the journal holds the other end as long as he can write.
        if self.store.durable().has_changed().is_err() {
            say("store", "The journal cannot be written; look at the log, mend the disk and start again.".to_owned());
        }
        match self.disk.get() {
            Level::Enough => {}
            Level::NoSends => say("disk", "The disk of the data folder is nearly full: no new sends to clients.".to_owned()),
            Level::StopsOnly => say("disk", "The disk of the data folder is full: only stops are taken in.".to_owned()),
        }
        for (line, trouble) in self.lines.borrow().iter() {
            if let Some(trouble) = trouble {
                let number = self.numbers.get(line).map_or(line.as_str(), String::as_str);
                let provider = match line.channel() {
                    Channel::WhatsApp => "WhatsApp",
                    Channel::Sms => "Twilio",
                };
                say(&format!("line:{number}"), format!("{provider} refuses this line with {}: {}", trouble.code, trouble.detail));
            }
        }
        if !self.clock.is_sane() {
            say(
                "clock",
                "Wall time has run ahead of the machine's own count; nothing is sent until it is back or POST /clock/confirm."
                    .to_owned(),
            );
        }
        reasons
    }
}

impl Vitals {
    /// Notes when the feed comes and goes, until `stop`.
    pub async fn watch_feed(self: Arc<Self>, stop: CancellationToken) {
        let mut feed = self.feed.clone();
        let mut connected = None;
        loop {
            let now = feed.borrow_and_update().connected;
            if connected.replace(now) != Some(now) {
                self.feed_since.store(self.clock.now().0, Ordering::Release);
            }
            if stop.run_until_cancelled(feed.changed()).await.is_none_or(|changed| changed.is_err()) {
                return;
            }
        }
    }

    fn lines_now(&self) -> BTreeMap<LineId, health::LineHealth> {
        let told = self.lines.borrow().clone();
        let of = |trouble| health::LineHealth { trouble, resting: false };
        let mut lines: BTreeMap<_, _> = told.into_iter().map(|(line, trouble)| (line, of(trouble))).collect();
        for line in self.whatsapp.resting() {
            lines.entry(line).or_default().resting = true;
        }
        lines
    }
}

impl Pulse for Vitals {
    fn health(&self) -> health::Health {
        let (feed, outbox) = (self.feed.borrow().clone(), *self.outbox.borrow());
        let durable = self.store.durable();
        let session = self.session.borrow().clone();
        let first = (session.generation == 0).then(|| "the first login is under way".to_owned());
        health::Health {
            feed: FeedHealth {
                transport: self.transport.to_owned(),
                connected: feed.connected,
                superseded: feed.superseded,
                since: Timestamp(self.feed_since.load(Ordering::Acquire)),
                last_error: feed.last_error,
            },
            store: StoreHealth {
                sequence: *durable.borrow(),
                behind: self.view.behind().unwrap_or_default(),
                free: self.disk.free(),
                writable: durable.has_changed().is_ok(),
            },
            queues: QueueHealth {
                due: outbox.waiting,
                in_flight: outbox.taken,
                in_doubt: outbox.doubtful,
                held: self.held.waiting(),
            },
            login: session.last_error.or(first),
            clock: self.clock.is_sane(),
            lines: self.lines_now(),
        }
    }
}

impl Health for Vitals {
    fn alive(&self) -> Later<'_, bool> {
        let store = Arc::clone(&self.store);
        Box::pin(async move {
            let read = tokio::task::spawn_blocking(move || store.get(&Key::new("meta", "pulse")).is_ok());
            matches!(tokio::time::timeout(Duration::from_secs(1), read).await, Ok(Ok(true)))
        })
    }
    fn reasons(&self) -> Vec<Reason> {
        self.all_reasons()
    }
    fn confirm_clock(&self) -> Later<'_, Result<(), String>> {
        (self.confirm_clock)();
        Box::pin(std::future::ready(Ok(())))
    }
}
