//! One connection of `symphony-datafeed.v1`: the upgrade, the opening, and the frames both ways (INTERFACES §4).
use super::ended::{Ended, backoff, retry_after_of};
use super::{Batch, FeedSettings, Line, Memory, News, NotOpened, Opened, Opens, Pace, Transport, feed_client};
use crate::adapters::symphony::login::{self, Session, Tokens};
use futures_util::future::{BoxFuture, OptionFuture};
use futures_util::{FutureExt, SinkExt, StreamExt};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval, sleep, sleep_until, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::{client::generate_key, derive_accept_key};
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig, frame::coding::CloseCode};
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};

const PROTOCOL: &str = "symphony-datafeed.v1";
/// The largest frame that we take, whatever the server's hello allows.
const MAX_FRAME_BYTES: usize = 16 * 1024 * 1024;
/// For the upgrade, and for each of `hello` and `opened`.
const ANSWER_WAIT: Duration = Duration::from_secs(10);
/// A peer that takes no bytes for so long is gone.
const SEND_WAIT: Duration = Duration::from_secs(10);
/// What a server may ask for as its heartbeat.
const HEARTBEAT_MS: std::ops::RangeInclusive<u64> = 50..=120_000;
const DEFAULT_HEARTBEAT_MS: u64 = 20_000;
/// Silence for so many heartbeats is a dead connection.
const DEAD_AFTER_BEATS: f32 = 2.5;

/// Makes connections.
#[derive(Clone)]
pub(super) struct Sockets {
    http: reqwest::Client,
    session: Arc<Session>,
    url: String,
    tag: String,
    pace: Pace,
}

impl Sockets {
    pub(super) fn new(session: Arc<Session>, settings: FeedSettings) -> Result<Sockets, String> {
        let FeedSettings { transport, tag, pace } = settings;
        let url = match transport {
            Transport::WebSocket { url } => url,
            Transport::LongPoll => String::new(),
        };
        Ok(Sockets { http: feed_client(&session)?, session, url, tag, pace })
    }

    /// The upgrade and the hello, for the doctor.
    pub(super) async fn greet(self) -> Result<String, String> {
        let tokens = self.session.tokens().await.map_err(|error| error.to_string())?;
        let told = |ended: Ended| format!("{} does not answer as it should: {}.", self.url, ended.told());
        let socket = in_time(self.upgrade(&tokens)).await.map_err(told)?;
        let mut connection = Connection::new(socket, tokens.generation);
        let hello = in_time(connection.hello()).await.map(drop).map_err(told);
        connection.say_goodbye().await;
        hello.map(|()| format!("{} greets us; no feed was opened.", self.url))
    }

    /// Connects, hears the hello and opens the feed.
    async fn dial(self, feed_id: Option<String>, durable: String) -> Result<Connection, NotOpened> {
        let tokens = self.session.tokens().await.map_err(|e| Ended::Login(e.to_string()))?;
        let socket = in_time(self.upgrade(&tokens)).await?;
        let mut line = Connection::new(socket, tokens.generation);
        let hello = in_time(line.hello()).await?;
        line.heartbeat = Duration::from_millis(hello.heartbeat_ms.clamp(*HEARTBEAT_MS.start(), *HEARTBEAT_MS.end()));
        line.max_frame = hello.max_frame_bytes.min(MAX_FRAME_BYTES);
        // Without its id, a feed may be made by this; only the answer would tell.
        let maybe_made = feed_id.is_none();
        let opened = in_time(line.open(&self.tag, feed_id, durable)).await;
        opened.map_err(|ended| NotOpened { maybe_made: maybe_made && !ended.is_refusal(), ended })?;
        Ok(line)
    }

    async fn upgrade(&self, tokens: &Tokens) -> Result<WebSocketStream<reqwest::Upgraded>, Ended> {
        let url = self.url.strip_prefix("ws").map_or_else(|| self.url.clone(), |rest| format!("http{rest}"));
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
        407 => Err(Ended::Unreachable(login::PROXY_REFUSES.to_owned())),
        429 => Err(Ended::TooFast(retry_after_of(answer.headers()))),
        status => Err(Ended::Unreachable(format!("the upgrade was answered with status {status}"))),
    }
}

async fn in_time<T>(work: impl Future<Output = Result<T, Ended>>) -> Result<T, Ended> {
    timeout(ANSWER_WAIT, work).await.unwrap_or_else(|_| Err(Ended::Unreachable("no answer in time".to_owned())))
}

impl Opens for Sockets {
    const NAME: &'static str = "websocket";
    type Line = Socket;

    async fn open(&mut self, memory: &mut Memory) -> Result<(Socket, Opened), NotOpened> {
        let connection = self.clone().dial(memory.feed_id.clone(), memory.durable.clone()).await?;
        let opened = connection.opened();
        let (beat, durable) = (connection.beat(), memory.durable.clone());
        let sockets = self.clone();
        Ok((Socket { sockets, connection, beat, next: None, over: None, durable, hasty: 0 }, opened))
    }

    /// Pings tell in time.
    fn longest_silence(&self) -> Option<Duration> {
        None
    }

    /// Each connection is a new one anyway.
    fn start_afresh(&mut self) {}
}

/// The feed on one connection after the other, for as long as the server only wishes to change them.
pub(super) struct Socket {
    sockets: Sockets,
    connection: Connection,
    beat: Interval,
    next: Option<BoxFuture<'static, Result<Connection, NotOpened>>>,
    /// How the connection ended, while the next one is on its way.
    over: Option<Ended>,
    durable: String,
    /// Changes of connection that the server asked for in quick succession.
    hasty: u32,
}

impl Line for Socket {
    async fn next(&mut self) -> Result<News, Ended> {
        loop {
            let (alive, dead_at) = (self.over.is_none(), self.connection.dead_at());
            let step = tokio::select! {
                frame = self.connection.socket.next(), if alive => self.heard(frame),
                _ = self.beat.tick(), if alive => self.connection.send(Message::Ping(Default::default())).await.map(|()| None),
                () = sleep_until(dead_at), if alive => Err(Ended::Silent("nothing was heard for too long".to_owned())),
                Some(dialled) = OptionFuture::from(self.next.as_mut()) => self.replaced(dialled).map(Some),
            };
            match step {
                Ok(Some(news)) => return Ok(news),
                Ok(None) => {}
                // However the old connection ends, we replace it ourselves.
                Err(ended) if self.next.is_some() => self.over = Some(ended),
                Err(ended) => return Err(ended),
            }
        }
    }

    /// The server has opened it, and its pongs count.
    fn heard(&self) -> Option<Instant> {
        Some(self.connection.heard)
    }

    async fn settled(&mut self, ack_id: Option<&str>) -> Result<(), Ended> {
        let Some(ack_id) = ack_id else { return Ok(()) };
        self.durable = ack_id.to_owned();
        self.connection.acknowledge(ack_id).await
    }

    async fn renewed(&mut self) -> Result<(), Ended> {
        let tokens = self.sockets.session.tokens().await.map_err(|e| Ended::Login(e.to_string()))?;
        if tokens.generation <= self.connection.generation {
            return Ok(());
        }
        self.connection.authenticate(&tokens).await
    }

    async fn close(&mut self) {
        self.connection.say_goodbye().await;
    }
}

impl Socket {
    fn heard(&mut self, frame: Option<Result<Message, tokio_tungstenite::tungstenite::Error>>) -> Result<Option<News>, Ended> {
        let Some(text) = self.connection.text_of(frame)? else { return Ok(None) };
        match read_frame(&text) {
            Frame::Events(batch) => return Ok(Some(News::Batch(batch))),
            Frame::Disconnect { reason } if self.next.is_none() => {
                tracing::info!(reason, "the datafeed asks for a new connection");
                self.dial_next();
            }
            Frame::Error { code, message, .. } => tracing::warn!(code, message, "the datafeed complains"),
            Frame::Unreadable(why) => {
                metrics::counter!("liaison_feed_unreadable_frames_total").increment(1);
                tracing::error!(why, "a frame of the datafeed cannot be read; it is not acknowledged");
            }
            Frame::Disconnect { .. } | Frame::Hello(_) | Frame::Opened { .. } | Frame::Other => {}
        }
        Ok(None)
    }

    /// A server that wants a change all the time gets it more and more slowly.
    fn dial_next(&mut self) {
        let pace = &self.sockets.pace;
        let hasty = self.connection.began.elapsed() < pace.steady;
        self.hasty = if hasty { self.hasty + 1 } else { 0 };
        let pause = if hasty { backoff(self.hasty, pace) } else { Duration::ZERO };
        let dialling = self.sockets.clone().dial(Some(self.connection.feed_id.clone()), self.durable.clone());
        self.next = Some(sleep(pause).then(|()| dialling).boxed());
    }

    fn replaced(&mut self, dialled: Result<Connection, NotOpened>) -> Result<News, Ended> {
        self.next = None;
        let over = self.over.take();
        let connection = match (dialled, over) {
            (Ok(connection), _) => connection,
            (Err(_), Some(over)) => return Err(over),
            (Err(failed), None) => return Ok(News::NotReopened(failed.ended)),
        };
        let (opened, beat) = (connection.opened(), connection.beat());
        let mut old = std::mem::replace(&mut self.connection, connection);
        self.beat = beat;
        tokio::spawn(async move { old.say_goodbye().await });
        Ok(News::Reopened(opened))
    }
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

    fn opened(&self) -> Opened {
        Opened { feed_id: self.feed_id.clone(), created: self.created }
    }

    fn beat(&self) -> Interval {
        let mut beat = interval(self.heartbeat);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        beat
    }

    fn dead_at(&self) -> Instant {
        self.heard + self.heartbeat.mul_f32(DEAD_AFTER_BEATS)
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

    async fn open(&mut self, tag: &str, feed_id: Option<String>, durable: String) -> Result<(), Ended> {
        let id = self.id();
        let mut open = json!({"type": "open", "id": id, "tag": tag, "ackId": durable});
        if let Some(feed_id) = feed_id {
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
            Err(_) => Err(Ended::Silent("the server takes no bytes".to_owned())),
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
