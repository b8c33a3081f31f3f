//! Is it alive, is it ready, and if not, why: what operators and load balancers ask.
use crate::adapters::symphony::feed::FeedState;
use crate::adapters::symphony::login::SessionState;
use crate::domain::commit::Key;
use crate::domain::ids::LineId;
use crate::ports::Lines;
use crate::ports::disk::{DiskLevel, Level};
use crate::ports::{Clock, Later, Store};
use crate::server::{Health, Reason};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::watch;

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
            let why = session.last_error.unwrap_or_else(|| "the first login is under way".to_owned());
            say("login", format!("Not logged in to Symphony: {why}"));
        }
        let feed = self.feed.borrow().clone();
        if feed.superseded {
            say("superseded", "Another client reads this datafeed.".to_owned());
        } else if !feed.connected {
            say("feed", feed.last_error.unwrap_or_else(|| "The datafeed is not open yet.".to_owned()));
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
                say(&format!("line:{number}"), format!("WhatsApp refuses this line with {}: {}", trouble.code, trouble.detail));
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
