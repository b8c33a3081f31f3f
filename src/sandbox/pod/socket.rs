//! The datafeed over websockets, `symphony-datafeed.v1`: the same feeds as the long poll, pushed.
use std::time::{Duration, Instant};

use axum::extract::State as Shared;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::http::HeaderMap;
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Pod;
use super::feed::Delivery;
use super::login::{AgentCaller, HANG, header};
use super::state::{Refused, State, random_hex};

const PROTOCOL: &str = "symphony-datafeed.v1";
/// Silence for 2.5 heartbeats is a dead connection.
const DEAD_AFTER_BEATS: f32 = 2.5;
/// A client that takes no bytes for so long is gone.
const SEND_WAIT: Duration = Duration::from_secs(50);
const MAX_FRAME_BYTES: usize = 16 * 1024 * 1024;
/// A client that sends more frames in a second is told to slow down.
const MAX_FRAMES_PER_SECOND: u32 = 200;
/// How long a connection may stay without `open`.
const OPEN_WITHIN: Duration = Duration::from_secs(60);
/// How long the client may take to move over after `disconnect`.
const GRACE: Duration = Duration::from_secs(10);

const GONE: u16 = 4400;
const AUTHENTICATE: u16 = 4401;
const TOO_MANY: u16 = 4403;
const TAKEN_OVER: u16 = 4409;
const TOO_FAST: u16 = 4429;
const RESTART: u16 = 1012;
const NORMAL: u16 = 1000;
const BAD_DATA: u16 = 1007;
const POLICY: u16 = 1008;

pub async fn upgrade(
    Shared(pod): Shared<Pod>,
    AgentCaller(user): AgentCaller,
    headers: HeaderMap,
    socket: WebSocketUpgrade,
) -> Result<Response, Refused> {
    let offered = socket.requested_protocols().any(|name| name == PROTOCOL);
    if !offered {
        return Err(Refused::bad(format!("The subprotocol {PROTOCOL} must be offered")));
    }
    let tokens = (header(&headers, "sessionToken").to_string(), header(&headers, "keyManagerToken").to_string());
    let socket = socket.protocols([PROTOCOL]).max_message_size(MAX_FRAME_BYTES).max_frame_size(MAX_FRAME_BYTES);
    Ok(socket.on_upgrade(move |socket| Connection::new(pod, user, tokens, socket).run()))
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "camelCase")]
enum ClientFrame {
    #[serde(rename_all = "camelCase")]
    Open {
        #[serde(default)]
        id: Value,
        #[serde(default)]
        tag: String,
        datafeed_id: Option<String>,
        #[serde(default)]
        ack_id: String,
    },
    #[serde(rename_all = "camelCase")]
    Ack { ack_id: String },
    #[serde(rename_all = "camelCase")]
    Auth {
        #[serde(default)]
        id: Value,
        session_token: String,
        key_manager_token: String,
    },
    #[serde(other)]
    Unknown,
}

/// Why a connection ends: the close code and its reason.
struct End(u16, String);

impl End {
    fn new(code: u16, reason: &str) -> End {
        End(code, reason.to_string())
    }
}

struct Connection {
    pod: Pod,
    user: u64,
    tokens: (String, String),
    socket: WebSocket,
    /// The feed and our turn on it; a later turn is another connection's.
    feed: Option<(String, u64)>,
    seq: u64,
    heard: Instant,
    dead_after: Duration,
    began: Instant,
    frames: (Instant, u32),
    /// Set once the client was asked to move over.
    leaves_at: Option<Instant>,
}

impl Connection {
    fn new(pod: Pod, user: u64, tokens: (String, String), socket: WebSocket) -> Connection {
        let now = Instant::now();
        let (dead_after, frames) = (SEND_WAIT, (now, 0));
        Connection { pod, user, tokens, socket, feed: None, seq: 0, heard: now, dead_after, began: now, frames, leaves_at: None }
    }

    async fn run(mut self) {
        let End(code, reason) = self.talk().await;
        let frame = CloseFrame { code, reason: reason.into() };
        // The peer may be gone already; then there is nobody to tell.
        let _ = self.socket.send(Message::Close(Some(frame))).await;
        let _ = tokio::time::timeout(Duration::from_secs(1), async { while let Some(Ok(_)) = self.socket.recv().await {} }).await;
    }

    async fn talk(&mut self) -> End {
        match self.turns().await {
            Err(end) => end,
            Ok(()) => End::new(NORMAL, ""),
        }
    }

    async fn turns(&mut self) -> Result<(), End> {
        let mut changes = self.pod.changes();
        let (visibility, beat) = self.pod.look(|state| (state.visibility.as_millis(), state.heartbeat));
        self.dead_after = beat.mul_f32(DEAD_AFTER_BEATS);
        let mut heartbeat = tokio::time::interval(beat);
        self.send(json!({"type": "hello", "connectionId": format!("c-{}", random_hex(4)), "heartbeatMs": beat.as_millis(),
            "visibilityMs": visibility, "maxFrameBytes": MAX_FRAME_BYTES}))
            .await?;
        loop {
            changes.mark_unchanged();
            let due = self.deliver().await?;
            tokio::select! {
                frame = self.socket.recv() => match frame {
                    Some(Ok(Message::Close(_)) | Err(_)) | None => return Ok(()),
                    Some(Ok(frame)) => self.hear(frame).await?,
                },
                _ = changes.changed() => {}
                () = tokio::time::sleep_until(due.into()) => {}
                _ = heartbeat.tick() => self.beat().await?,
            }
        }
    }

    /// Sends what is due; the time when to look again.
    async fn deliver(&mut self) -> Result<Instant, End> {
        loop {
            let (pod, now) = (self.pod.clone(), Instant::now());
            if pod.look(|state| state.is_service(self.user) && state.take_trouble("hang")) {
                // Neither pings nor pongs nor a close: half of a connection that nobody tore down.
                tokio::time::sleep(HANG).await;
            }
            pod.look(|state| self.may_go_on(state, now))?;
            self.ask_to_move().await?;
            let later = self.leaves_at.unwrap_or(now + OPEN_WITHIN);
            let Some((feed, _)) = &self.feed else { return Ok(later) };
            let asked = pod.act(|state| {
                let delivery = state.take_events(feed, true);
                Ok((delivery, state.feeds.get(feed).and_then(|feed| feed.next_due())))
            });
            let (delivery, due) = asked.map_err(|refused| End(RESTART, refused.message))?;
            let Some(Delivery { ack, events, redelivered }) = delivery else {
                return Ok(due.map_or(later, |due| due.min(later)));
            };
            self.seq += 1;
            let frame = json!({"type": "events", "seq": self.seq, "ackId": ack, "redelivered": redelivered, "events": events});
            self.send(frame).await?;
        }
    }

    /// Everything that ends a living connection from the server's side.
    fn may_go_on(&mut self, state: &mut State, now: Instant) -> Result<(), End> {
        if state.is_service(self.user) && state.take_trouble("expire-tokens") {
            state.forget_tokens();
        }
        if state.both_tokens(&self.tokens.0, &self.tokens.1).ok() != Some(self.user) {
            return Err(End::new(AUTHENTICATE, "authenticate again"));
        }
        if self.leaves_at.is_some_and(|at| at <= now) {
            return Err(End::new(NORMAL, "refresh"));
        }
        if state.is_service(self.user) && state.take_trouble("disconnect") {
            return Err(End::new(RESTART, "service restart"));
        }
        let Some((feed, turn)) = &self.feed else {
            let late = now.duration_since(self.began) > OPEN_WITHIN;
            return if late { Err(End::new(POLICY, "no open frame")) } else { Ok(()) };
        };
        if state.is_service(self.user) && state.take_trouble("feed-gone") {
            state.drop_feed(feed);
        }
        let (replaced, feed) = (self.leaves_at.is_some(), state.feed_of(feed, self.user));
        match feed {
            Ok(feed) if feed.taker == *turn => Ok(()),
            // A client that was asked to move over and did so is let go in peace.
            Ok(_) if replaced => Err(End::new(NORMAL, "refresh")),
            Ok(_) => Err(End::new(TAKEN_OVER, "another client took over")),
            Err(_) => Err(End::new(GONE, "the feed is gone")),
        }
    }

    async fn beat(&mut self) -> Result<(), End> {
        if self.heard.elapsed() > self.dead_after {
            return Err(End::new(POLICY, "no sign of life"));
        }
        self.push(Message::Ping(Vec::new().into())).await
    }

    /// An ordered refresh: the client may open its next connection before this one ends.
    async fn ask_to_move(&mut self) -> Result<(), End> {
        let ordered = self.pod.look(|state| state.is_service(self.user) && state.take_trouble("refresh"));
        if !ordered || self.leaves_at.is_some() {
            return Ok(());
        }
        self.leaves_at = Some(Instant::now() + GRACE);
        self.send(json!({"type": "disconnect", "reason": "refresh_requested", "graceMs": GRACE.as_millis()})).await
    }

    async fn hear(&mut self, frame: Message) -> Result<(), End> {
        self.heard = Instant::now();
        let Message::Text(text) = frame else { return Ok(()) };
        self.count_frame()?;
        match serde_json::from_str(&text) {
            Ok(ClientFrame::Open { id, tag, datafeed_id, ack_id }) => self.open(id, &tag, datafeed_id, &ack_id).await,
            Ok(ClientFrame::Ack { ack_id }) => self.ack(&ack_id),
            Ok(ClientFrame::Auth { id, session_token, key_manager_token }) => {
                self.renew(id, (session_token, key_manager_token)).await
            }
            Ok(ClientFrame::Unknown) => Ok(()),
            Err(_) => Err(End::new(BAD_DATA, "not a frame of this protocol")),
        }
    }

    fn count_frame(&mut self) -> Result<(), End> {
        let (since, count) = &mut self.frames;
        if since.elapsed() > Duration::from_secs(1) {
            (*since, *count) = (Instant::now(), 0);
        }
        *count += 1;
        if *count > MAX_FRAMES_PER_SECOND { Err(End::new(TOO_FAST, "retryAfter=1")) } else { Ok(()) }
    }

    async fn open(&mut self, id: Value, tag: &str, wanted: Option<String>, ack: &str) -> Result<(), End> {
        if self.feed.is_some() {
            return self.refuse(id, Refused::bad("A feed is open on this connection already"), GONE).await;
        }
        let user = self.user;
        let opened = self.pod.act(|state| state.open_for_push(user, tag, wanted.filter(|id| !id.is_empty()), ack));
        match opened {
            Ok((feed, turn, created)) => {
                self.feed = Some((feed.clone(), turn));
                self.send(json!({"type": "opened", "replyTo": id, "datafeedId": feed, "created": created})).await
            }
            Err(refused) if refused.status == 403 => self.refuse(id, refused, TOO_MANY).await,
            Err(refused) => self.refuse(id, refused, GONE).await,
        }
    }

    fn ack(&mut self, ack: &str) -> Result<(), End> {
        let Some((feed, turn)) = &self.feed else { return Ok(()) };
        let done = self.pod.act(|state| {
            // An ack that crosses a takeover is the older client's; the newer one gets the events again.
            if state.feeds.get(feed).is_some_and(|feed| feed.taker == *turn) {
                state.ack(feed, ack, false);
            }
            Ok(())
        });
        done.map_err(|refused| End(RESTART, refused.message))
    }

    async fn renew(&mut self, id: Value, tokens: (String, String)) -> Result<(), End> {
        let user = self.pod.look(|state| state.both_tokens(&tokens.0, &tokens.1).ok());
        if user != Some(self.user) {
            return self.refuse(id, Refused::unauthorized(), AUTHENTICATE).await;
        }
        self.tokens = tokens;
        self.send(json!({"type": "authOk", "replyTo": id})).await
    }

    async fn refuse(&mut self, id: Value, refused: Refused, close: u16) -> Result<(), End> {
        let Refused { status, message } = refused;
        self.send(json!({"type": "error", "replyTo": id, "code": status.as_u16(), "message": message})).await?;
        Err(End(close, "refused".to_string()))
    }

    async fn send(&mut self, frame: Value) -> Result<(), End> {
        self.push(Message::text(frame.to_string())).await
    }

    async fn push(&mut self, message: Message) -> Result<(), End> {
        let sent = tokio::time::timeout(SEND_WAIT, self.socket.send(message)).await;
        match sent {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(End::new(NORMAL, "")),
        }
    }
}

impl State {
    /// Opens the wanted feed, or the one with the tag, or a new one: its id, our turn on it, and whether it is new.
    fn open_for_push(&mut self, user: u64, tag: &str, wanted: Option<String>, ack: &str) -> Result<(String, u64, bool), Refused> {
        let found = wanted.or_else(|| self.feed_with_tag(user, tag));
        let created = found.is_none();
        let id = match found {
            Some(id) => id,
            None => self.create_feed(user, tag)?,
        };
        self.ack(&id, ack, true);
        self.requeue(&id);
        self.changed = true;
        let feed = self.feed_of(&id, user)?;
        feed.taker += 1;
        Ok((id, feed.taker, created))
    }
}
