//! The datafeed: one task that never ends on its own, brings every event to the inbox, and acknowledges what is durable.
//!
//! open --opened--> read --any end--> mend, wait --> open. What brings the events is a `Transport`; all else stands here once.
mod ended;
mod keeping;
mod poll;
mod socket;

use super::events::Translator;
use super::login::{self, Session};
use crate::ports::{Inbox, Receipt};
use ended::{Ended, wait_after};
use keeping::Keeping;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

/// How long the agent holds a read that finds no events, and how long a batch that nobody acknowledges stays out of sight.
/// Both are what its own client libraries reckon with.
const LONGEST_HOLD: Duration = Duration::from_secs(30);
const VISIBILITY: Duration = Duration::from_secs(30);
/// Longer than the hold by half, for an agent under load and a large answer: who is silent for longer is not holding, but gone.
const READ_WAIT: Duration = Duration::from_secs(45);
/// Three reads could have been answered, and a batch could have come again: by then it is not the hour that is quiet.
const WATCHDOG: Duration = Duration::from_secs(3 * LONGEST_HOLD.as_secs() + VISIBILITY.as_secs());
/// Feeds that were given up and are not taken up again; an account cannot have more at a time.
const GIVEN_UP_MAX: usize = poll::FEEDS_MAX;

/// How the events come.
#[derive(Clone, Debug)]
pub enum Transport {
    /// `ws://` or `wss://`.
    WebSocket { url: String },
    /// The platform's own calls at the agent's address.
    LongPoll,
}

#[derive(Clone, Debug)]
pub struct FeedSettings {
    pub transport: Transport,
    /// The feed is found again by it.
    pub tag: String,
    pub pace: Pace,
}

/// How patient reading and reconnecting are (INTERFACES §4).
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// The span from which the first wait is drawn; it doubles with each failure. Reads that bring nothing new begin no
    /// faster one after another than this.
    pub first: Duration,
    /// No wait is longer.
    pub longest: Duration,
    /// When another client took over, or there are too many feeds.
    pub slow: Duration,
    /// A connection that lived so long counts as a success.
    pub steady: Duration,
    /// A long poll that is not answered within this time has no living peer.
    pub read_wait: Duration,
    /// When no long poll has succeeded for so long, everything is built anew.
    pub watchdog: Duration,
}

impl Default for Pace {
    fn default() -> Pace {
        let (first, longest) = (Duration::from_millis(500), Duration::from_secs(60));
        let steady = Duration::from_secs(10);
        Pace { first, longest, slow: longest, steady, read_wait: READ_WAIT, watchdog: WATCHDOG }
    }
}

/// What readiness and the catching-up after a gap want to know.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FeedState {
    /// A feed is open and its events are being read.
    pub connected: bool,
    /// Another client holds the feed.
    pub superseded: bool,
    /// Why the feed is not read, and when it is tried again.
    pub last_error: Option<String>,
    pub feed_id: Option<String>,
    /// Grows each time the server made, or may have made, a new feed: what came before must be read back from the history.
    pub feeds_created: u64,
    /// When the feed that was lost last was last certain to live. It is kept while nobody can tell.
    pub alive_at: Option<Instant>,
    /// Connections that ended, by reason.
    pub reconnects: BTreeMap<&'static str, u64>,
}

/// Reads the datafeed until `cancel`, through every failure.
pub async fn run(
    session: Arc<Session>,
    settings: FeedSettings,
    inbox: Arc<dyn Inbox>,
    translator: Translator,
    state: watch::Sender<FeedState>,
    cancel: CancellationToken,
) {
    let keeping = Keeping::new(inbox, translator);
    let pace = settings.pace;
    let unusable = match &settings.transport {
        Transport::WebSocket { .. } => match socket::Sockets::new(session.clone(), settings) {
            Ok(sockets) => return Feed::new(sockets, session, pace, keeping, &state, &cancel).live().await,
            Err(why) => why,
        },
        Transport::LongPoll => match poll::Agent::new(session.clone(), settings) {
            Ok(agent) => return Feed::new(agent, session, pace, keeping, &state, &cancel).live().await,
            Err(why) => why,
        },
    };
    // The session was built from the same settings, so this cannot be cured by waiting.
    state.send_modify(|s| s.last_error = Some(unusable));
    cancel.cancelled().await;
}

/// Whether the datafeed answers, in a sentence. Nothing is opened or read, so a running bot keeps its feed.
pub async fn look(session: Arc<Session>, settings: FeedSettings) -> Result<String, String> {
    match &settings.transport {
        Transport::WebSocket { .. } => socket::Sockets::new(session, settings)?.greet().await,
        Transport::LongPoll => poll::Agent::new(session, settings)?.count().await,
    }
}

/// A client of the feed's own: no limit of time stands on it, since each exchange has its own.
fn feed_client(session: &Session) -> Result<reqwest::Client, String> {
    let builder = login::client(session.settings()).map_err(|e| e.to_string())?;
    // The upgrade to a websocket is one of HTTP/1.1, and a read that hangs must not hang others on the same connection.
    builder.http1_only().build().map_err(|e| login::unusable_client(&e).to_string())
}

// ---- what a transport is

/// What brings the events. It survives every failure of what it opens.
trait Opens {
    /// As the configuration has it.
    const NAME: &'static str;
    type Line: Line;
    /// Finds the feed of this memory or by its tag, else has one made.
    async fn open(&mut self, memory: &mut Memory) -> Result<(Self::Line, Opened), NotOpened>;
    /// How long nothing may come before something must be wrong; `None` where the line watches over itself.
    fn longest_silence(&self) -> Option<Duration>;
    /// Forgets every connection that may be there.
    fn start_afresh(&mut self);
}

/// An open feed.
trait Line {
    /// What comes next. It may be dropped and asked again at any time without a loss.
    async fn next(&mut self) -> Result<News, Ended>;
    /// When it was last certain that this very feed lives; `None` before the first sign.
    fn heard(&self) -> Option<Instant>;
    /// How the batch went that came last: what may be acknowledged, or `None` where it must come again.
    async fn settled(&mut self, ack_id: Option<&str>) -> Result<(), Ended>;
    /// Somebody has signed in anew.
    async fn renewed(&mut self) -> Result<(), Ended>;
    async fn close(&mut self);
}

enum News {
    Batch(Batch),
    /// A new connection has taken the place of the old one, as the server wished.
    Reopened(Opened),
    /// It should have, but could not be made; the old one still lives.
    NotReopened(Ended),
}

struct Batch {
    /// The elements as they came, to know a redelivery by.
    events: String,
    ack_id: String,
}

#[derive(Clone)]
struct Opened {
    feed_id: String,
    created: bool,
}

/// An `open` that failed.
struct NotOpened {
    ended: Ended,
    /// The server may have made a feed, of which only its answer would have told.
    maybe_made: bool,
}

impl From<Ended> for NotOpened {
    fn from(ended: Ended) -> NotOpened {
        NotOpened { ended, maybe_made: false }
    }
}

/// What outlives a connection.
#[derive(Clone, Default)]
struct Memory {
    feed_id: Option<String>,
    /// The last ackId whose events are durable here.
    durable: String,
    /// Feeds that are gone or of no use, the newest last: they may still be listed.
    given_up: VecDeque<String>,
    /// The one of them that the server was not asked to delete yet.
    to_delete: Option<String>,
    /// A feed may have been made for us, so that the next one that we find counts as new.
    maybe_made: bool,
}

impl Memory {
    fn give_up_feed(&mut self) {
        self.durable.clear();
        let Some(id) = self.feed_id.take() else { return };
        self.to_delete = Some(id.clone());
        self.given_up.push_back(id);
        if self.given_up.len() > GIVEN_UP_MAX {
            self.given_up.pop_front();
        }
    }
}

// ---- the loop

struct Feed<'r, T: Opens> {
    transport: T,
    session: Arc<Session>,
    pace: Pace,
    keeping: Keeping,
    state: &'r watch::Sender<FeedState>,
    cancel: &'r CancellationToken,
    memory: Memory,
    opened_at: Option<Instant>,
    /// The last feed that was opened gave no sign of life, so that an opening proves nothing for now.
    doubted: bool,
    watch: Watch,
}

/// Over the reads: since when none has succeeded, and what was done about it.
struct Watch {
    silent_since: Instant,
    /// The transport has started afresh since.
    afresh: bool,
    /// A feed could be opened since, so that the agent is there and only the reads fail.
    opened: bool,
}

impl Watch {
    fn begin() -> Watch {
        Watch { silent_since: Instant::now(), afresh: false, opened: false }
    }
}

impl<'r, T: Opens> Feed<'r, T> {
    fn new(
        transport: T,
        session: Arc<Session>,
        pace: Pace,
        keeping: Keeping,
        state: &'r watch::Sender<FeedState>,
        cancel: &'r CancellationToken,
    ) -> Feed<'r, T> {
        let (memory, watch) = (Memory::default(), Watch::begin());
        Feed { transport, session, pace, keeping, state, cancel, memory, opened_at: None, doubted: false, watch }
    }

    async fn live(&mut self) {
        let (mut failures, cancel) = (0, self.cancel);
        loop {
            let ended = self.one_life().await;
            let lived = self.opened_at.take().map_or(Duration::ZERO, |at| at.elapsed());
            self.state.send_modify(|s| s.connected = false);
            if ended == Ended::Cancelled {
                return self.finish_batch().await;
            }
            failures = if lived >= self.pace.steady { 1 } else { failures + 1 };
            let ended = self.watched(ended);
            let wait = wait_after(&ended, failures, &self.pace);
            self.note(&ended, wait);
            let mended = cancel.run_until_cancelled(async {
                self.mend(&ended).await;
                sleep(wait).await;
            });
            if mended.await.is_none() {
                return self.finish_batch().await;
            }
        }
    }

    /// From the first byte to the end, over all connections that replace each other.
    async fn one_life(&mut self) -> Ended {
        self.collect_finished().await;
        let cancel = self.cancel;
        let opening = cancel.run_until_cancelled(self.transport.open(&mut self.memory));
        let (mut line, opened) = match opening.await {
            None => return Ended::Cancelled,
            Some(Ok(open)) => open,
            Some(Err(failed)) => {
                self.memory.maybe_made |= failed.maybe_made;
                return failed.ended;
            }
        };
        self.opened(opened, line.heard().is_some());
        let ended = self.read(&mut line).await;
        self.doubted = line.heard().is_none();
        if let Some(heard) = line.heard() {
            self.state.send_modify(|s| s.alive_at = Some(heard));
        }
        ended
    }

    fn opened(&mut self, opened: Opened, proven: bool) {
        let Opened { feed_id, created } = opened;
        if self.memory.feed_id.as_ref() != Some(&feed_id) {
            // An ackId counts on its own feed only: what is under way is still delivered, but no longer acknowledged.
            self.memory.durable.clear();
            self.keeping.forget_acks();
            self.memory.feed_id = Some(feed_id.clone());
        }
        tracing::info!(feed = feed_id, created, transport = T::NAME, "the datafeed is open");
        let created = u64::from(created | std::mem::take(&mut self.memory.maybe_made));
        self.opened_at = Some(Instant::now());
        self.watch.opened = true;
        self.state.send_modify(|s| {
            s.feed_id = Some(feed_id);
            s.feeds_created += created;
        });
        if proven || !self.doubted {
            self.is_read();
        }
    }

    fn is_read(&self) {
        self.state.send_if_modified(|s| {
            let was = std::mem::replace(&mut s.connected, true);
            (s.superseded, s.last_error) = (false, None);
            !was
        });
    }

    async fn read(&mut self, line: &mut T::Line) -> Ended {
        let mut renewals = self.session.watch();
        // One that came between the tokens' way into the connection and this line is told as well.
        renewals.mark_changed();
        let cancel = self.cancel;
        loop {
            let step = tokio::select! {
                () = cancel.cancelled() => {
                    self.leave(line).await;
                    return Ended::Cancelled;
                }
                news = line.next() => news.map(|news| self.take_in(news)),
                Ok(()) = renewals.changed() => line.renewed().await,
                receipt = self.keeping.finished() => self.kept(line, receipt).await,
            };
            if let Err(ended) = step {
                return ended;
            }
        }
    }

    fn take_in(&mut self, news: News) {
        self.watch = Watch::begin();
        self.is_read();
        match news {
            News::Batch(batch) => self.keeping.take(batch),
            News::Reopened(opened) => {
                self.opened(opened, true);
                self.count("replaced");
            }
            News::NotReopened(ended) => {
                tracing::info!(reason = ended.reason(), why = ended.told(), "the next connection of the datafeed was not made");
                self.count(ended.reason());
            }
        }
    }

    async fn kept(&mut self, line: &mut T::Line, receipt: Receipt) -> Result<(), Ended> {
        // What took its time was our own keeping.
        self.watch = Watch::begin();
        let ack_id = self.keeping.settle(receipt);
        if let Some(ack_id) = &ack_id {
            self.memory.durable = ack_id.clone();
        }
        self.keeping.start_waiting();
        line.settled(ack_id.as_deref()).await
    }

    async fn leave(&mut self, line: &mut T::Line) {
        let before = self.memory.durable.clone();
        self.finish_batch().await;
        if self.memory.durable != before {
            // A lost ack costs a redelivery, no more.
            let _ = line.settled(Some(&self.memory.durable)).await;
        }
        line.close().await;
    }

    /// A batch that ended while nobody was connected counts in the next opening.
    async fn collect_finished(&mut self) {
        self.keeping.forget_waiting();
        if self.keeping.is_finished() {
            self.finish_batch().await;
        }
    }

    async fn finish_batch(&mut self) {
        if let Some(ack_id) = self.keeping.finish().await {
            self.memory.durable = ack_id;
        }
    }

    /// When reads have failed for too long: first everything but the feed is made anew, then the feed too, if the agent
    /// answers all but its reads. While nobody answers at all, the feed may live on and is not given up.
    fn watched(&mut self, ended: Ended) -> Ended {
        if ended.is_refusal() {
            // Who says no in so many words is neither silent nor broken.
            self.watch = Watch::begin();
            return ended;
        }
        let silence = self.watch.silent_since.elapsed();
        if self.transport.longest_silence().is_none_or(|longest| silence < longest) {
            return ended;
        }
        self.transport.start_afresh();
        if self.watch.afresh && self.watch.opened {
            self.keeping.forget_acks();
            self.memory.give_up_feed();
            self.watch = Watch::begin();
        } else {
            self.watch = Watch { afresh: true, ..Watch::begin() };
        }
        Ended::Silent(format!("no read has succeeded for {} s; the last one: {}", silence.as_secs(), ended.told()))
    }

    /// Sets right what the end has put wrong, before the next connection.
    async fn mend(&mut self, ended: &Ended) {
        match ended {
            Ended::Gone => {
                self.keeping.forget_acks();
                self.memory.give_up_feed();
            }
            Ended::Unauthorised { generation } => {
                if let Err(error) = self.session.renew(*generation).await {
                    self.state.send_modify(|s| s.last_error = Some(error.to_string()));
                }
            }
            Ended::Cancelled | Ended::TooMany(_) | Ended::Superseded | Ended::TooFast(_) | Ended::Restarting => {}
            Ended::Silent(_) | Ended::Closed(_) | Ended::Login(_) | Ended::Unreachable(_) | Ended::Broken(_) => {}
        }
    }

    fn note(&self, ended: &Ended, wait: Duration) {
        let (reason, why) = (ended.reason(), ended.told());
        let wait = wait.as_secs_f64().ceil();
        match ended {
            Ended::TooMany(_) | Ended::Superseded => tracing::warn!(reason, why, wait, "the datafeed is not read"),
            _ => tracing::info!(reason, why, wait, "the datafeed is connected anew"),
        }
        self.count(reason);
        self.state.send_modify(|s| {
            s.superseded = *ended == Ended::Superseded || (s.superseded && !s.connected);
            s.last_error = Some(format!("{why}; next try in {wait} s"));
        });
    }

    fn count(&self, reason: &'static str) {
        metrics::counter!("liaison_feed_reconnects_total", "reason" => reason).increment(1);
        self.state.send_modify(|s| *s.reconnects.entry(reason).or_default() += 1);
    }
}
