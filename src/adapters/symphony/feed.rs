//! The datafeed: one task that never ends on its own, brings every event to the inbox, and acknowledges what is durable.
//!
//! connect --hello--> open --opened--> read --any end--> wait --> connect; a `disconnect` opens the next connection first.
mod ended;
mod socket;

use super::events::{Translated, Translator};
use super::login::{self, Session, SessionState};
use crate::ports::{Inbox, Receipt};
use ended::{Ended, backoff, wait_after};
use futures_util::future::{BoxFuture, OptionFuture};
use futures_util::{FutureExt, StreamExt};
use serde_json::value::RawValue;
use socket::{Batch, Connection, Dialler, Frame, Memory, in_time, read_frame};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};
use tokio_tungstenite::tungstenite::Message;
use tokio_util::sync::CancellationToken;

/// How long a batch may go on after the end was asked for.
const LAST_BATCH_WAIT: Duration = Duration::from_secs(5);
/// Streams of one batch that are delivered at the same time.
const STREAMS_AT_ONCE: usize = 64;
/// A pause before a batch is tried again that could not be kept.
const NOT_KEPT_PAUSE: Duration = Duration::from_millis(500);

/// How the events come. A long-poll twin stands here one day.
#[derive(Clone, Debug)]
pub enum Transport {
    /// `ws://` or `wss://`.
    WebSocket { url: String },
}

#[derive(Clone, Debug)]
pub struct FeedSettings {
    pub transport: Transport,
    /// The feed is found again by it.
    pub tag: String,
    pub pace: Pace,
}

/// How patient reconnecting is (INTERFACES §4).
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// The span from which the first wait is drawn; it doubles with each failure.
    pub first: Duration,
    /// No wait is longer.
    pub longest: Duration,
    /// When another client took over, or there are too many feeds.
    pub slow: Duration,
    /// A connection that lived so long counts as a success.
    pub steady: Duration,
}

impl Default for Pace {
    fn default() -> Pace {
        let (first, longest) = (Duration::from_millis(500), Duration::from_secs(60));
        Pace { first, longest, slow: longest, steady: Duration::from_secs(10) }
    }
}

/// What readiness and the catching-up after a gap want to know.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FeedState {
    /// A feed is open and its events are being read.
    pub connected: bool,
    /// Another client holds the feed.
    pub superseded: bool,
    pub last_error: Option<String>,
    pub feed_id: Option<String>,
    /// Grows each time the server had to make a new feed: what came before it must be read back from the history.
    pub feeds_created: u64,
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
    let http = match upgrade_client(&session) {
        Ok(http) => http,
        Err(why) => {
            // The session was built from the same settings, so this cannot be cured by waiting.
            state.send_modify(|s| s.last_error = Some(why));
            return cancel.cancelled().await;
        }
    };
    let line = Dialler { http, session: session.clone(), settings };
    let mut feed = Feed {
        line,
        inbox,
        translator: Arc::new(translator),
        state,
        cancel,
        memory: Memory::default(),
        busy: None,
        waiting: None,
        not_kept: false,
        hasty: 0,
    };
    feed.live().await;
}

/// Whether the datafeed answers: the upgrade and the hello. Nothing is opened, so a running bot keeps its feed.
pub async fn greet(session: Arc<Session>, settings: FeedSettings) -> Result<(), String> {
    let http = upgrade_client(&session)?;
    let tokens = session.tokens().await.map_err(|error| error.to_string())?;
    let line = Dialler { http, session, settings };
    let told = |ended: Ended| ended.told();
    let socket = in_time(line.upgrade(&tokens)).await.map_err(told)?;
    let mut connection = Connection::new(socket, tokens.generation);
    let hello = in_time(connection.hello()).await.map(drop).map_err(told);
    connection.say_goodbye().await;
    hello
}

/// One HTTP/1.1 client for the upgrade, so that proxy and certificates are those of every other call.
fn upgrade_client(session: &Session) -> Result<reqwest::Client, String> {
    let builder = login::client(session.settings()).map_err(|e| e.to_string())?;
    builder.http1_only().build().map_err(|e| login::unusable_client(&e).to_string())
}

struct Feed {
    line: Dialler,
    inbox: Arc<dyn Inbox>,
    translator: Arc<Translator>,
    state: watch::Sender<FeedState>,
    cancel: CancellationToken,
    memory: Memory,
    /// The batch that is being delivered; it goes on while connections come and go.
    busy: Option<Busy>,
    /// A batch that came while another was being delivered.
    waiting: Option<Batch>,
    not_kept: bool,
    /// Changes of connection that the server asked for in quick succession.
    hasty: u32,
}

struct Busy {
    events: String,
    /// The newest one under which this batch came.
    ack_id: String,
    delivered: JoinHandle<Receipt>,
}

/// How a connection was left.
enum Next {
    /// The server's wish: the next one is open already.
    Replaced(Box<Connection>),
    Ended(Ended),
}

impl Feed {
    async fn live(&mut self) {
        let mut failures = 0;
        loop {
            let began = Instant::now();
            let ended = self.one_life().await;
            self.state.send_modify(|s| s.connected = false);
            if ended == Ended::Cancelled {
                return;
            }
            failures = if began.elapsed() >= self.line.settings.pace.steady { 1 } else { failures + 1 };
            self.note(&ended);
            self.mend(&ended).await;
            let cancel = self.cancel.clone();
            tokio::select! {
                () = cancel.cancelled() => return self.finish_batch().await,
                () = sleep(wait_after(&ended, failures, &self.line.settings.pace)) => {}
            }
        }
    }

    /// From the first byte to the last, over all connections that replace each other.
    async fn one_life(&mut self) -> Ended {
        self.collect_finished().await;
        let cancel = self.cancel.clone();
        let dialled = tokio::select! {
            () = cancel.cancelled() => Err(Ended::Cancelled),
            dialled = self.line.clone().dial(self.memory.clone()) => dialled,
        };
        let mut connection = match dialled {
            Ok(connection) => connection,
            Err(ended) => return ended,
        };
        loop {
            self.opened(&connection);
            match self.read(&mut connection).await {
                Next::Ended(ended) => return ended,
                Next::Replaced(next) => {
                    connection.say_goodbye().await;
                    self.count("replaced");
                    connection = *next;
                }
            }
        }
    }

    fn opened(&mut self, connection: &Connection) {
        let id = Some(connection.feed_id.clone());
        if self.memory.feed_id != id {
            self.forget_feed();
            self.memory.feed_id = id.clone();
        }
        let created = u64::from(connection.created);
        self.state.send_modify(|s| {
            (s.connected, s.superseded, s.last_error, s.feed_id) = (true, false, None, id);
            s.feeds_created += created;
        });
    }

    /// An ackId counts on its own feed only: what is under way is still delivered, but no longer acknowledged.
    fn forget_feed(&mut self) {
        self.memory = Memory::default();
        self.waiting = None;
        if let Some(busy) = &mut self.busy {
            busy.ack_id.clear();
        }
    }

    async fn read(&mut self, line: &mut Connection) -> Next {
        let mut renewals = self.line.session.watch();
        // One that came between the tokens' way into the connection and this line is told as well.
        renewals.mark_changed();
        let mut beat = tokio::time::interval(line.heartbeat);
        beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut next: Option<BoxFuture<'static, Result<Connection, Ended>>> = None;
        let cancel = self.cancel.clone();
        loop {
            let dead_at = line.heard + line.heartbeat.mul_f32(2.5);
            let step = tokio::select! {
                () = cancel.cancelled() => Ok(self.leave(line).await),
                frame = line.socket.next() => self.heard(line, frame, &mut next).await,
                _ = beat.tick() => line.send(Message::Ping(Default::default())).await.map(|()| None),
                () = tokio::time::sleep_until(dead_at) => Err(Ended::Silent),
                changed = renewals.changed() => self.told_of_renewal(line, changed.is_ok(), &renewals).await,
                Some(receipt) = OptionFuture::from(self.busy.as_mut().map(|busy| &mut busy.delivered)) => {
                    self.delivered(line, receipt.unwrap_or(Receipt::NotNow)).await
                }
                Some(dialled) = OptionFuture::from(next.as_mut()) => {
                    next = None;
                    Ok(dialled.map_err(|e| self.note(&e)).ok().map(|c| Next::Replaced(Box::new(c))))
                }
            };
            match (step, next.take()) {
                (Ok(Some(left)), _) => return left,
                (Ok(None), under_way) => next = under_way,
                (Err(ended), None) => return Next::Ended(ended),
                // However the old connection ends, we replaced it ourselves.
                (Err(ended), Some(under_way)) => {
                    let opened = cancel.run_until_cancelled(under_way).await.unwrap_or(Err(Ended::Cancelled));
                    return opened.map_or(Next::Ended(ended), |connection| Next::Replaced(Box::new(connection)));
                }
            }
        }
    }

    async fn leave(&mut self, line: &mut Connection) -> Option<Next> {
        let before = self.memory.durable.clone();
        self.finish_batch().await;
        if self.memory.durable != before {
            // A lost ack costs a redelivery, no more.
            let _ = line.acknowledge(&self.memory.durable).await;
        }
        line.say_goodbye().await;
        Some(Next::Ended(Ended::Cancelled))
    }

    async fn heard(
        &mut self,
        line: &mut Connection,
        frame: Option<Result<Message, tokio_tungstenite::tungstenite::Error>>,
        next: &mut Option<BoxFuture<'static, Result<Connection, Ended>>>,
    ) -> Result<Option<Next>, Ended> {
        let text = match line.text_of(frame)? {
            Some(text) => text,
            None => return Ok(None),
        };
        match read_frame(&text) {
            Frame::Events(batch) => self.take(batch),
            Frame::Disconnect { reason } if next.is_none() => {
                tracing::info!(reason, "the datafeed asks for a new connection");
                let (pause, dialling) = (self.pause_before_replacing(line), self.line.clone().dial(self.memory.clone()));
                *next = Some(sleep(pause).then(|()| dialling).boxed());
            }
            Frame::Error { code, message, .. } => tracing::warn!(code, message, "the datafeed complains"),
            Frame::Unreadable(why) => self.complain(&why),
            Frame::Disconnect { .. } | Frame::Hello(_) | Frame::Opened { .. } | Frame::Other => {}
        }
        Ok(None)
    }

    /// A server that wants a change all the time gets it more and more slowly.
    fn pause_before_replacing(&mut self, line: &Connection) -> Duration {
        let hasty = line.began.elapsed() < self.line.settings.pace.steady;
        self.hasty = if hasty { self.hasty + 1 } else { 0 };
        if hasty { backoff(self.hasty, &self.line.settings.pace) } else { Duration::ZERO }
    }

    fn complain(&self, why: &str) {
        metrics::counter!("liaison_feed_unreadable_frames_total").increment(1);
        tracing::error!(why, "a frame of the datafeed cannot be read; it is not acknowledged");
    }

    async fn told_of_renewal(
        &self,
        line: &mut Connection,
        alive: bool,
        renewals: &watch::Receiver<SessionState>,
    ) -> Result<Option<Next>, Ended> {
        let newer = renewals.borrow().generation > line.generation;
        if !alive || !newer {
            return Ok(None);
        }
        let tokens = self.line.session.tokens().await.map_err(|e| Ended::Login(e.to_string()))?;
        line.authenticate(&tokens).await.map(|()| None)
    }

    /// Starts a batch, or notes that the one under way came again.
    fn take(&mut self, batch: Batch) {
        match &mut self.busy {
            Some(busy) if busy.events == batch.events => busy.ack_id = batch.ack_id,
            Some(_) => self.waiting = Some(batch),
            None => self.start(batch),
        }
    }

    fn start(&mut self, batch: Batch) {
        let pause = if std::mem::take(&mut self.not_kept) { NOT_KEPT_PAUSE } else { Duration::ZERO };
        let work = deliver(batch.events.clone(), self.translator.clone(), self.inbox.clone());
        let delivered = tokio::spawn(async move {
            sleep(pause).await;
            work.await
        });
        self.busy = Some(Busy { events: batch.events, ack_id: batch.ack_id, delivered });
    }

    /// Notes how a batch went; says which ackId may go out now.
    fn settle(&mut self, receipt: Receipt) -> Option<String> {
        let busy = self.busy.take()?;
        match receipt {
            Receipt::Kept if busy.ack_id.is_empty() => None,
            Receipt::Kept => {
                self.memory.durable = busy.ack_id.clone();
                Some(busy.ack_id)
            }
            Receipt::NotNow => {
                self.not_kept = true;
                metrics::counter!("liaison_feed_batches_not_kept_total").increment(1);
                None
            }
        }
    }

    async fn delivered(&mut self, line: &mut Connection, receipt: Receipt) -> Result<Option<Next>, Ended> {
        let ack = self.settle(receipt);
        if let Some(next) = self.waiting.take() {
            self.start(next);
        }
        match ack {
            Some(ack_id) => line.acknowledge(&ack_id).await.map(|()| None),
            None => Ok(None),
        }
    }

    /// A batch that ended while nobody was connected counts in the next `open`.
    async fn collect_finished(&mut self) {
        if self.busy.as_ref().is_some_and(|busy| busy.delivered.is_finished()) {
            self.finish_batch().await;
        }
    }

    async fn finish_batch(&mut self) {
        let Some(busy) = &mut self.busy else { return };
        if let Ok(receipt) = timeout(LAST_BATCH_WAIT, &mut busy.delivered).await {
            self.settle(receipt.unwrap_or(Receipt::NotNow));
        }
    }

    /// Sets right what the end has put wrong, before the next connection.
    async fn mend(&mut self, ended: &Ended) {
        match ended {
            Ended::Gone => self.forget_feed(),
            Ended::Unauthorised { generation } => {
                if let Err(error) = self.line.session.renew(*generation).await {
                    self.state.send_modify(|s| s.last_error = Some(error.to_string()));
                }
            }
            Ended::Cancelled | Ended::TooMany | Ended::Superseded | Ended::TooFast(_) | Ended::Restarting => {}
            Ended::Silent | Ended::Closed(_) | Ended::Login(_) | Ended::Unreachable(_) | Ended::Broken(_) => {}
        }
    }

    fn note(&self, ended: &Ended) {
        let (reason, why) = (ended.reason(), ended.told());
        match ended {
            Ended::TooMany | Ended::Superseded => tracing::warn!(reason, why, "the datafeed is not read"),
            _ => tracing::info!(reason, why, "the datafeed is connected anew"),
        }
        self.count(reason);
        self.state.send_modify(|s| {
            s.superseded = *ended == Ended::Superseded || (s.superseded && !s.connected);
            s.last_error = Some(why);
        });
    }

    fn count(&self, reason: &'static str) {
        metrics::counter!("liaison_feed_reconnects_total", "reason" => reason).increment(1);
        self.state.send_modify(|s| *s.reconnects.entry(reason).or_default() += 1);
    }
}

/// Brings all elements to the inbox: streams side by side, each stream in the order of its clock. One that cannot be kept
/// stops its own stream only, so that nothing overtakes it.
async fn deliver(events: String, translator: Arc<Translator>, inbox: Arc<dyn Inbox>) -> Receipt {
    let elements: Vec<&RawValue> = match serde_json::from_str(&events) {
        Ok(elements) => elements,
        Err(_) => return Receipt::NotNow,
    };
    let groups = by_stream(elements.into_iter().map(|raw| translator.event(raw)));
    let receipts =
        futures_util::stream::iter(groups).map(|group| deliver_in_order(group, inbox.clone())).buffer_unordered(STREAMS_AT_ONCE);
    let all_kept = receipts.fold(true, async |kept, receipt| kept && receipt == Receipt::Kept).await;
    if all_kept { Receipt::Kept } else { Receipt::NotNow }
}

fn by_stream(events: impl Iterator<Item = Translated>) -> Vec<Vec<Translated>> {
    let mut groups: BTreeMap<_, Vec<Translated>> = BTreeMap::new();
    for event in events {
        groups.entry(event.stream.clone()).or_default().push(event);
    }
    let mut groups: Vec<_> = groups.into_values().collect();
    groups.iter_mut().for_each(|group| group.sort_by_key(|t| t.event.at));
    groups
}

async fn deliver_in_order(group: Vec<Translated>, inbox: Arc<dyn Inbox>) -> Receipt {
    for translated in group {
        if inbox.deliver(translated.event).await == Receipt::NotNow {
            return Receipt::NotNow;
        }
    }
    Receipt::Kept
}
