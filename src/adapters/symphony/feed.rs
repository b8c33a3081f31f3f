//! The datafeed: one task that never ends on its own, brings every event to the inbox, and acknowledges what is durable.
//!
//! connect --hello--> open --opened--> read --any end--> wait --> connect; a `disconnect` opens the next connection first.
use super::events::{Translated, Translator};
use super::login::{self, Session, SessionState, Tokens};
use crate::ports::{Inbox, Receipt};
use futures_util::future::{BoxFuture, OptionFuture};
use futures_util::{FutureExt, SinkExt, StreamExt};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::{client::generate_key, derive_accept_key};
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig, frame::coding::CloseCode};
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};
use tokio_util::sync::CancellationToken;

const PROTOCOL: &str = "symphony-datafeed.v1";
/// The largest frame that we take, whatever the server's hello allows.
const MAX_FRAME_BYTES: usize = 16 * 1024 * 1024;
/// For the upgrade, and for each of `hello` and `opened`.
const ANSWER_WAIT: Duration = Duration::from_secs(10);
/// A peer that takes no bytes for so long is gone.
const SEND_WAIT: Duration = Duration::from_secs(10);
/// How long a batch may go on after the end was asked for.
const LAST_BATCH_WAIT: Duration = Duration::from_secs(5);
/// Streams of one batch that are delivered at the same time.
const STREAMS_AT_ONCE: usize = 64;
/// A pause before a batch is tried again that could not be kept.
const NOT_KEPT_PAUSE: Duration = Duration::from_millis(500);
/// What a server may ask for as its heartbeat.
const HEARTBEAT_MS: std::ops::RangeInclusive<u64> = 50..=120_000;
const DEFAULT_HEARTBEAT_MS: u64 = 20_000;
/// `retryAfter` of a close reason: without one, and at most.
const RETRY_AFTER: Duration = Duration::from_secs(5);
const RETRY_AFTER_MAX: Duration = Duration::from_secs(600);

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

/// Why a connection ended, or never came about.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Ended {
    /// We were asked to stop.
    Cancelled,
    /// 4400: the feed is gone.
    Gone,
    /// 4401, or 401 at the upgrade: tokens of this generation are no longer good.
    Unauthorised {
        generation: u64,
    },
    /// 4403: too many feeds.
    TooMany,
    /// 4409: another client took over.
    Superseded,
    /// 4429.
    TooFast(Duration),
    /// 1012, 1013.
    Restarting,
    /// Nothing was heard for 2.5 heartbeats.
    Silent,
    /// The server ended the connection, with this code if it gave one.
    Closed(Option<u16>),
    Login(String),
    Unreachable(String),
    Broken(String),
}

impl Ended {
    fn reason(&self) -> &'static str {
        match self {
            Ended::Cancelled => "cancelled",
            Ended::Gone => "feed-gone",
            Ended::Unauthorised { .. } => "unauthorised",
            Ended::TooMany => "too-many-feeds",
            Ended::Superseded => "superseded",
            Ended::TooFast(_) => "too-fast",
            Ended::Restarting => "restart",
            Ended::Silent => "silence",
            Ended::Closed(_) => "closed",
            Ended::Login(_) => "login",
            Ended::Unreachable(_) => "unreachable",
            Ended::Broken(_) => "broken",
        }
    }

    fn told(&self) -> String {
        match self {
            Ended::Closed(Some(code)) => format!("the server closed the connection with {code}"),
            Ended::Closed(None) => "the connection ended without a word".to_owned(),
            Ended::Login(why) | Ended::Unreachable(why) | Ended::Broken(why) => why.clone(),
            Ended::TooMany => "the account has too many datafeeds; delete some".to_owned(),
            Ended::Superseded => "another client took over this feed; see that only one instance runs".to_owned(),
            other => other.reason().to_owned(),
        }
    }

    fn of_close(frame: Option<CloseFrame>, generation: u64) -> Ended {
        let Some(frame) = frame else { return Ended::Closed(None) };
        Ended::of_code(frame.code.into(), &frame.reason, generation)
    }

    fn of_code(code: u16, reason: &str, generation: u64) -> Ended {
        match code {
            4400 => Ended::Gone,
            4401 => Ended::Unauthorised { generation },
            4403 => Ended::TooMany,
            4409 => Ended::Superseded,
            4429 => Ended::TooFast(retry_after(reason)),
            1012 | 1013 => Ended::Restarting,
            other => Ended::Closed(Some(other)),
        }
    }
}

fn retry_after(reason: &str) -> Duration {
    let digits =
        reason.split("retryAfter=").nth(1).map(|rest| rest.split(|c: char| !c.is_ascii_digit()).next().unwrap_or_default());
    digits.and_then(|d| d.parse().ok()).map_or(RETRY_AFTER, |seconds| Duration::from_secs(seconds).min(RETRY_AFTER_MAX))
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

/// One HTTP/1.1 client for the upgrade, so that proxy and certificates are those of every other call.
fn upgrade_client(session: &Session) -> Result<reqwest::Client, String> {
    let builder = login::client(session.settings()).map_err(|e| e.to_string())?;
    builder.http1_only().build().map_err(|e| login::unusable_client(&e).to_string())
}

/// What outlives a connection.
#[derive(Clone, Default)]
struct Memory {
    feed_id: Option<String>,
    /// The last ackId whose events are durable here.
    durable: String,
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

struct Batch {
    /// The elements as they came, to know a redelivery by.
    events: String,
    ack_id: String,
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

fn wait_after(ended: &Ended, failures: u32, pace: &Pace) -> Duration {
    match ended {
        Ended::TooMany | Ended::Superseded => pace.slow,
        // A little chance on top, so that many clients do not come back in one instant.
        Ended::TooFast(wait) => *wait + jitter(pace.first),
        Ended::Cancelled | Ended::Gone | Ended::Unauthorised { .. } | Ended::Restarting | Ended::Silent => {
            backoff(failures, pace)
        }
        Ended::Closed(_) | Ended::Login(_) | Ended::Unreachable(_) | Ended::Broken(_) => backoff(failures, pace),
    }
}

/// Full jitter: anything from nothing to a span that doubles with each failure.
fn backoff(failures: u32, pace: &Pace) -> Duration {
    let doubled = pace.first.saturating_mul(1 << failures.saturating_sub(1).min(16));
    jitter(doubled.min(pace.longest))
}

fn jitter(span: Duration) -> Duration {
    span.mul_f64(fastrand::f64())
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

/// Makes connections.
#[derive(Clone)]
struct Dialler {
    http: reqwest::Client,
    session: Arc<Session>,
    settings: FeedSettings,
}

impl Dialler {
    /// Connects, hears the hello and opens the feed.
    async fn dial(self, memory: Memory) -> Result<Connection, Ended> {
        let tokens = self.session.tokens().await.map_err(|e| Ended::Login(e.to_string()))?;
        let socket = in_time(self.upgrade(&tokens)).await?;
        let mut line = Connection::new(socket, tokens.generation);
        let hello = in_time(line.hello()).await?;
        line.heartbeat = Duration::from_millis(hello.heartbeat_ms.clamp(*HEARTBEAT_MS.start(), *HEARTBEAT_MS.end()));
        line.max_frame = hello.max_frame_bytes.min(MAX_FRAME_BYTES);
        in_time(line.open(&self.settings.tag, &memory)).await?;
        Ok(line)
    }

    async fn upgrade(&self, tokens: &Tokens) -> Result<WebSocketStream<reqwest::Upgraded>, Ended> {
        let Transport::WebSocket { url } = &self.settings.transport;
        let url = url.strip_prefix("ws").map_or_else(|| url.clone(), |rest| format!("http{rest}"));
        let key = generate_key();
        let request = self.http.get(url).header("Connection", "Upgrade").header("Upgrade", "websocket");
        let request = request.header("Sec-WebSocket-Version", "13").header("Sec-WebSocket-Key", &key);
        let request = request.header("Sec-WebSocket-Protocol", PROTOCOL);
        let request = request.header("sessionToken", &tokens.session).header("keyManagerToken", &tokens.key_manager);
        let answer = request.send().await.map_err(|e| Ended::Unreachable(login::told(&e)))?;
        the_upgrade_is_granted(&answer, &key, tokens.generation)?;
        let upgraded = answer.upgrade().await.map_err(|e| Ended::Unreachable(login::told(&e)))?;
        let limits = WebSocketConfig::default().max_message_size(Some(MAX_FRAME_BYTES)).max_frame_size(Some(MAX_FRAME_BYTES));
        Ok(WebSocketStream::from_raw_socket(upgraded, Role::Client, Some(limits)).await)
    }
}

fn the_upgrade_is_granted(answer: &reqwest::Response, key: &str, generation: u64) -> Result<(), Ended> {
    let header = |name: &str| answer.headers().get(name).and_then(|v| v.to_str().ok()).unwrap_or_default();
    match answer.status().as_u16() {
        101 if header("sec-websocket-accept") != derive_accept_key(key.as_bytes()) => {
            Err(Ended::Unreachable("the server's answer to the upgrade belongs to another request".to_owned()))
        }
        101 if header("sec-websocket-protocol") != PROTOCOL => {
            Err(Ended::Unreachable(format!("the server does not speak {PROTOCOL}")))
        }
        101 => Ok(()),
        401 => Err(Ended::Unauthorised { generation }),
        429 => Err(Ended::TooFast(
            header("retry-after").parse().map_or(RETRY_AFTER, |s| Duration::from_secs(s).min(RETRY_AFTER_MAX)),
        )),
        status => Err(Ended::Unreachable(format!("the upgrade was answered with status {status}"))),
    }
}

async fn in_time<T>(work: impl Future<Output = Result<T, Ended>>) -> Result<T, Ended> {
    timeout(ANSWER_WAIT, work).await.unwrap_or_else(|_| Err(Ended::Unreachable("no answer in time".to_owned())))
}

/// An open websocket and what was agreed on it.
struct Connection {
    socket: WebSocketStream<reqwest::Upgraded>,
    /// Of the tokens that the server knows.
    generation: u64,
    began: Instant,
    heard: Instant,
    heartbeat: Duration,
    max_frame: usize,
    feed_id: String,
    created: bool,
    next_id: u64,
}

impl Connection {
    fn new(socket: WebSocketStream<reqwest::Upgraded>, generation: u64) -> Connection {
        let heartbeat = Duration::from_millis(DEFAULT_HEARTBEAT_MS);
        let (feed_id, began) = (String::new(), Instant::now());
        Connection {
            socket,
            generation,
            began,
            heard: began,
            heartbeat,
            max_frame: MAX_FRAME_BYTES,
            feed_id,
            created: false,
            next_id: 1,
        }
    }

    /// The text of a frame, if it has one. Any frame is a sign of life.
    fn text_of(
        &mut self,
        frame: Option<Result<Message, tokio_tungstenite::tungstenite::Error>>,
    ) -> Result<Option<Utf8Bytes>, Ended> {
        self.heard = Instant::now();
        match frame {
            None => Err(Ended::Closed(None)),
            Some(Err(error)) => Err(Ended::Broken(error.to_string())),
            Some(Ok(Message::Close(frame))) => Err(Ended::of_close(frame, self.generation)),
            Some(Ok(Message::Text(text))) if text.len() > self.max_frame => {
                Err(Ended::Broken("a frame is larger than agreed".to_owned()))
            }
            Some(Ok(Message::Text(text))) => Ok(Some(text)),
            // Pings are answered by the websocket layer itself.
            Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Binary(_) | Message::Frame(_))) => Ok(None),
        }
    }

    async fn frame(&mut self) -> Result<Frame, Ended> {
        loop {
            let frame = self.socket.next().await;
            if let Some(text) = self.text_of(frame)? {
                return Ok(read_frame(&text));
            }
        }
    }

    async fn hello(&mut self) -> Result<Hello, Ended> {
        loop {
            match self.frame().await? {
                Frame::Hello(hello) => return Ok(hello),
                Frame::Error { code, message, .. } => return Err(self.complaint(code, &message)),
                Frame::Opened { .. } | Frame::Events(_) | Frame::Disconnect { .. } | Frame::Unreadable(_) | Frame::Other => {}
            }
        }
    }

    async fn open(&mut self, tag: &str, memory: &Memory) -> Result<(), Ended> {
        let id = self.id();
        let mut open = json!({"type": "open", "id": id, "tag": tag, "ackId": memory.durable});
        if let Some(feed_id) = &memory.feed_id {
            open["datafeedId"] = json!(feed_id);
        }
        self.send(Message::text(open.to_string())).await?;
        loop {
            match self.frame().await? {
                Frame::Opened { feed_id, created } => {
                    (self.feed_id, self.created) = (feed_id, created);
                    return Ok(());
                }
                Frame::Error { reply_to, code, message } if reply_to.is_none_or(|to| to == id) => {
                    return Err(self.complaint(code, &message));
                }
                Frame::Hello(_)
                | Frame::Events(_)
                | Frame::Error { .. }
                | Frame::Disconnect { .. }
                | Frame::Unreadable(_)
                | Frame::Other => {}
            }
        }
    }

    /// An `error` frame says in HTTP's numbers what the close code says after it.
    fn complaint(&self, code: u16, message: &str) -> Ended {
        match Ended::of_code(code.saturating_add(4000), message, self.generation) {
            Ended::Closed(_) => Ended::Broken(format!("the feed was not opened: {code} {message}")),
            known => known,
        }
    }

    fn id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id - 1
    }

    async fn acknowledge(&mut self, ack_id: &str) -> Result<(), Ended> {
        self.send(Message::text(json!({"type": "ack", "ackId": ack_id}).to_string())).await
    }

    async fn authenticate(&mut self, tokens: &Tokens) -> Result<(), Ended> {
        let id = self.id();
        let frame = json!({"type": "auth", "id": id, "sessionToken": tokens.session, "keyManagerToken": tokens.key_manager});
        self.generation = tokens.generation;
        self.send(Message::text(frame.to_string())).await
    }

    async fn send(&mut self, message: Message) -> Result<(), Ended> {
        match timeout(SEND_WAIT, self.socket.send(message)).await {
            Ok(Ok(())) => Ok(()),
            // The reason of a close is read, not guessed from a failed write.
            Ok(Err(error)) => self.last_words().await.map_or(Err(Ended::Broken(error.to_string())), Err),
            Err(_) => Err(Ended::Silent),
        }
    }

    /// A close frame that came before our write failed.
    async fn last_words(&mut self) -> Option<Ended> {
        while let Ok(Some(Ok(message))) = timeout(Duration::from_millis(100), self.socket.next()).await {
            if let Message::Close(frame) = message {
                return Some(Ended::of_close(frame, self.generation));
            }
        }
        None
    }

    async fn say_goodbye(&mut self) {
        let frame = CloseFrame { code: CloseCode::Normal, reason: Utf8Bytes::default() };
        // Politeness only: whoever does not listen is left anyway.
        let _ = timeout(Duration::from_secs(1), self.socket.close(Some(frame))).await;
    }
}

/// What the server says.
enum Frame {
    Hello(Hello),
    Opened { feed_id: String, created: bool },
    Events(Batch),
    Disconnect { reason: String },
    Error { reply_to: Option<u64>, code: u16, message: String },
    Other,
    Unreadable(String),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Hello {
    heartbeat_ms: u64,
    max_frame_bytes: usize,
}

impl Default for Hello {
    fn default() -> Hello {
        Hello { heartbeat_ms: DEFAULT_HEARTBEAT_MS, max_frame_bytes: MAX_FRAME_BYTES }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireEvents<'a> {
    ack_id: String,
    #[serde(borrow)]
    events: &'a RawValue,
}

fn read_frame(text: &str) -> Frame {
    #[derive(Deserialize)]
    struct Kind {
        #[serde(rename = "type", default)]
        kind: String,
    }
    let kind = match serde_json::from_str::<Kind>(text) {
        Ok(Kind { kind }) => kind,
        Err(why) => return Frame::Unreadable(why.to_string()),
    };
    match kind.as_str() {
        "events" => read_events(text),
        "hello" => serde_json::from_str(text).map_or_else(|e| Frame::Unreadable(e.to_string()), Frame::Hello),
        "opened" | "disconnect" | "error" => read_small(&kind, &serde_json::from_str(text).unwrap_or_default()),
        _ => Frame::Other,
    }
}

fn read_events(text: &str) -> Frame {
    let read = serde_json::from_str::<WireEvents>(text).map_err(|e| e.to_string());
    let batch = read.and_then(|wire| match wire.events.get().starts_with('[') {
        true => Ok(Batch { events: wire.events.get().to_owned(), ack_id: wire.ack_id }),
        false => Err("its events are no list".to_owned()),
    });
    batch.map_or_else(Frame::Unreadable, Frame::Events)
}

fn read_small(kind: &str, value: &Value) -> Frame {
    let text = |key: &str| value[key].as_str().unwrap_or_default().to_owned();
    match kind {
        "opened" if text("datafeedId").is_empty() => Frame::Unreadable("it names no datafeed".to_owned()),
        "opened" => Frame::Opened { feed_id: text("datafeedId"), created: value["created"].as_bool().unwrap_or_default() },
        "disconnect" => Frame::Disconnect { reason: text("reason") },
        _ => {
            let code = value["code"].as_u64().and_then(|c| u16::try_from(c).ok()).unwrap_or_default();
            Frame::Error { reply_to: value["replyTo"].as_u64(), code, message: text("message") }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn close_codes_mean_what_the_interface_says() {
        let table = [
            (4400, "", Ended::Gone),
            (4401, "", Ended::Unauthorised { generation: 3 }),
            (4403, "", Ended::TooMany),
            (4409, "", Ended::Superseded),
            (4429, "retryAfter=7", Ended::TooFast(Duration::from_secs(7))),
            (4429, "slow down; retryAfter=12 please", Ended::TooFast(Duration::from_secs(12))),
            (4429, "", Ended::TooFast(RETRY_AFTER)),
            (4429, "retryAfter=99999999", Ended::TooFast(RETRY_AFTER_MAX)),
            (1012, "", Ended::Restarting),
            (1013, "", Ended::Restarting),
            (1000, "", Ended::Closed(Some(1000))),
            (1009, "", Ended::Closed(Some(1009))),
        ];
        for (code, reason, expected) in table {
            assert_eq!(Ended::of_code(code, reason, 3), expected, "{code} {reason}");
        }
    }

    #[test]
    fn waits_grow_to_their_limit_and_are_never_longer() {
        let pace = Pace::default();
        for failures in [0, 1, 2, 8, 40, u32::MAX] {
            let longest = pace.first.saturating_mul(1 << failures.saturating_sub(1).min(16)).min(pace.longest);
            for _ in 0..200 {
                assert!(backoff(failures, &pace) <= longest);
            }
        }
        assert_eq!(wait_after(&Ended::Superseded, 1, &pace), Duration::from_secs(60));
    }
}
