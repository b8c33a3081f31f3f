//! One connection of `symphony-datafeed.v1`: the upgrade, the opening, and the frames both ways (INTERFACES §4).
use super::ended::{Ended, RETRY_AFTER, RETRY_AFTER_MAX};
use super::{FeedSettings, Transport};
use crate::adapters::symphony::login::{self, Session, Tokens};
use futures_util::{SinkExt, StreamExt};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, timeout};
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

/// What outlives a connection.
#[derive(Clone, Default)]
pub(super) struct Memory {
    pub(super) feed_id: Option<String>,
    /// The last ackId whose events are durable here.
    pub(super) durable: String,
}

pub(super) struct Batch {
    /// The elements as they came, to know a redelivery by.
    pub(super) events: String,
    pub(super) ack_id: String,
}

/// Makes connections.
#[derive(Clone)]
pub(super) struct Dialler {
    pub(super) http: reqwest::Client,
    pub(super) session: Arc<Session>,
    pub(super) settings: FeedSettings,
}

impl Dialler {
    /// Connects, hears the hello and opens the feed.
    pub(super) async fn dial(self, memory: Memory) -> Result<Connection, Ended> {
        let tokens = self.session.tokens().await.map_err(|e| Ended::Login(e.to_string()))?;
        let socket = in_time(self.upgrade(&tokens)).await?;
        let mut line = Connection::new(socket, tokens.generation);
        let hello = in_time(line.hello()).await?;
        line.heartbeat = Duration::from_millis(hello.heartbeat_ms.clamp(*HEARTBEAT_MS.start(), *HEARTBEAT_MS.end()));
        line.max_frame = hello.max_frame_bytes.min(MAX_FRAME_BYTES);
        in_time(line.open(&self.settings.tag, &memory)).await?;
        Ok(line)
    }

    pub(super) async fn upgrade(&self, tokens: &Tokens) -> Result<WebSocketStream<reqwest::Upgraded>, Ended> {
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

pub(super) fn the_upgrade_is_granted(answer: &reqwest::Response, key: &str, generation: u64) -> Result<(), Ended> {
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

pub(super) async fn in_time<T>(work: impl Future<Output = Result<T, Ended>>) -> Result<T, Ended> {
    timeout(ANSWER_WAIT, work).await.unwrap_or_else(|_| Err(Ended::Unreachable("no answer in time".to_owned())))
}

/// An open websocket and what was agreed on it.
pub(super) struct Connection {
    pub(super) socket: WebSocketStream<reqwest::Upgraded>,
    /// Of the tokens that the server knows.
    pub(super) generation: u64,
    pub(super) began: Instant,
    pub(super) heard: Instant,
    pub(super) heartbeat: Duration,
    max_frame: usize,
    pub(super) feed_id: String,
    pub(super) created: bool,
    next_id: u64,
}

impl Connection {
    pub(super) fn new(socket: WebSocketStream<reqwest::Upgraded>, generation: u64) -> Connection {
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
    pub(super) fn text_of(
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

    pub(super) async fn frame(&mut self) -> Result<Frame, Ended> {
        loop {
            let frame = self.socket.next().await;
            if let Some(text) = self.text_of(frame)? {
                return Ok(read_frame(&text));
            }
        }
    }

    pub(super) async fn hello(&mut self) -> Result<Hello, Ended> {
        loop {
            match self.frame().await? {
                Frame::Hello(hello) => return Ok(hello),
                Frame::Error { code, message, .. } => return Err(self.complaint(code, &message)),
                Frame::Opened { .. } | Frame::Events(_) | Frame::Disconnect { .. } | Frame::Unreadable(_) | Frame::Other => {}
            }
        }
    }

    pub(super) async fn open(&mut self, tag: &str, memory: &Memory) -> Result<(), Ended> {
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
    pub(super) fn complaint(&self, code: u16, message: &str) -> Ended {
        match Ended::of_code(code.saturating_add(4000), message, self.generation) {
            Ended::Closed(_) => Ended::Broken(format!("the feed was not opened: {code} {message}")),
            known => known,
        }
    }

    pub(super) fn id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id - 1
    }

    pub(super) async fn acknowledge(&mut self, ack_id: &str) -> Result<(), Ended> {
        self.send(Message::text(json!({"type": "ack", "ackId": ack_id}).to_string())).await
    }

    pub(super) async fn authenticate(&mut self, tokens: &Tokens) -> Result<(), Ended> {
        let id = self.id();
        let frame = json!({"type": "auth", "id": id, "sessionToken": tokens.session, "keyManagerToken": tokens.key_manager});
        self.generation = tokens.generation;
        self.send(Message::text(frame.to_string())).await
    }

    pub(super) async fn send(&mut self, message: Message) -> Result<(), Ended> {
        match timeout(SEND_WAIT, self.socket.send(message)).await {
            Ok(Ok(())) => Ok(()),
            // The reason of a close is read, not guessed from a failed write.
            Ok(Err(error)) => self.last_words().await.map_or(Err(Ended::Broken(error.to_string())), Err),
            Err(_) => Err(Ended::Silent),
        }
    }

    /// A close frame that came before our write failed.
    pub(super) async fn last_words(&mut self) -> Option<Ended> {
        while let Ok(Some(Ok(message))) = timeout(Duration::from_millis(100), self.socket.next()).await {
            if let Message::Close(frame) = message {
                return Some(Ended::of_close(frame, self.generation));
            }
        }
        None
    }

    pub(super) async fn say_goodbye(&mut self) {
        let frame = CloseFrame { code: CloseCode::Normal, reason: Utf8Bytes::default() };
        // Politeness only: whoever does not listen is left anyway.
        let _ = timeout(Duration::from_secs(1), self.socket.close(Some(frame))).await;
    }
}

/// What the server says.
pub(super) enum Frame {
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
pub(super) struct Hello {
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
pub(super) struct WireEvents<'a> {
    ack_id: String,
    #[serde(borrow)]
    events: &'a RawValue,
}

pub(super) fn read_frame(text: &str) -> Frame {
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

pub(super) fn read_events(text: &str) -> Frame {
    let read = serde_json::from_str::<WireEvents>(text).map_err(|e| e.to_string());
    let batch = read.and_then(|wire| match wire.events.get().starts_with('[') {
        true => Ok(Batch { events: wire.events.get().to_owned(), ack_id: wire.ack_id }),
        false => Err("its events are no list".to_owned()),
    });
    batch.map_or_else(Frame::Unreadable, Frame::Events)
}

pub(super) fn read_small(kind: &str, value: &Value) -> Frame {
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
