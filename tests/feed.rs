//! The datafeed client against a small server that says what it wants, frame by frame (INTERFACES §4).
#![allow(clippy::unwrap_used)]
use axum::routing::post;
use axum::{Json, Router};
use base64::Engine;
use futures_util::{SinkExt, StreamExt};
use liaison::adapters::symphony::{FeedSettings, FeedState, Pace, Session, SymphonySettings, Translator, Transport, feed};
use liaison::domain::event::{Event, Fact};
use liaison::domain::ids::UserId;
use liaison::ports::{Inbox, Later, Receipt};
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_util::sync::CancellationToken;

const SOON: Duration = Duration::from_secs(5);
const A_WHILE: Duration = Duration::from_millis(250);

// ---- The world of a test ----

struct World {
    connections: mpsc::Receiver<Peer>,
    inbox: Arc<FakeInbox>,
    session: Arc<Session>,
    logins: Arc<AtomicU64>,
    /// Session tokens below this number are refused at the upgrade.
    oldest_good: Arc<AtomicU64>,
    state: watch::Receiver<FeedState>,
    cancel: CancellationToken,
    task: tokio::task::JoinHandle<()>,
}

/// The server's end of one connection.
struct Peer {
    socket: WebSocketStream<TcpStream>,
    token: String,
}

struct FakeInbox {
    seen: Mutex<Vec<Event>>,
    answers: Mutex<VecDeque<Receipt>>,
    /// Deliveries end only as permits are there.
    permits: Arc<Semaphore>,
}

impl Inbox for FakeInbox {
    fn deliver(&self, event: Event) -> Later<'static, Receipt> {
        self.seen.lock().unwrap().push(event);
        let receipt = self.answers.lock().unwrap().pop_front().unwrap_or(Receipt::Kept);
        let permits = self.permits.clone();
        Box::pin(async move {
            permits.acquire().await.unwrap().forget();
            receipt
        })
    }
}

impl FakeInbox {
    fn ids(&self) -> Vec<String> {
        self.seen.lock().unwrap().iter().map(|event| event.id.to_string()).collect()
    }
}

fn new_key() -> String {
    use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
    let pair = aws_lc_rs::rsa::KeyPair::generate(aws_lc_rs::rsa::KeySize::Rsa2048).unwrap();
    let der: Pkcs8V1Der = pair.as_der().unwrap();
    let body = base64::engine::general_purpose::STANDARD.encode(der.as_ref());
    let lines: Vec<&str> = body.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", lines.join("\n"))
}

async fn login_server(logins: Arc<AtomicU64>) -> String {
    let session = move || async move {
        Json(json!({"name": "sessionToken", "token": (logins.fetch_add(1, Ordering::SeqCst) + 1).to_string()}))
    };
    let key_manager = || async { Json(json!({"name": "keyManagerToken", "token": "km"})) };
    let router =
        Router::new().route("/login/pubkey/authenticate", post(session)).route("/relay/pubkey/authenticate", post(key_manager));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    format!("http://{address}")
}

async fn feed_server(oldest_good: Arc<AtomicU64>) -> (String, mpsc::Receiver<Peer>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/agent/v5/datafeeds/ws", listener.local_addr().unwrap());
    let (found, connections) = mpsc::channel(8);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            if let Some(peer) = upgraded(stream, &oldest_good).await {
                found.send(peer).await.ok();
            }
        }
    });
    (url, connections)
}

#[allow(clippy::result_large_err)]
async fn upgraded(stream: TcpStream, oldest_good: &AtomicU64) -> Option<Peer> {
    let mut token = String::new();
    let check = |request: &Request, mut response: Response| {
        assert_eq!(request.headers()["sec-websocket-protocol"], "symphony-datafeed.v1");
        assert_eq!(request.headers()["keyManagerToken"], "km");
        token = request.headers()["sessionToken"].to_str().unwrap().to_owned();
        if token.parse::<u64>().unwrap() < oldest_good.load(Ordering::SeqCst) {
            return Err(ErrorResponse::new(None).map_status(401));
        }
        response.headers_mut().insert("sec-websocket-protocol", "symphony-datafeed.v1".parse().unwrap());
        Ok(response)
    };
    let socket = tokio_tungstenite::accept_hdr_async(stream, check).await.ok()?;
    Some(Peer { socket, token })
}

trait MapStatus {
    fn map_status(self, status: u16) -> Self;
}
impl MapStatus for ErrorResponse {
    fn map_status(mut self, status: u16) -> Self {
        *self.status_mut() = status.try_into().unwrap();
        self
    }
}

async fn world() -> World {
    let (logins, oldest_good) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let pod = login_server(logins.clone()).await;
    let (url, connections) = feed_server(oldest_good.clone()).await;
    let settings = SymphonySettings {
        pod_url: pod.clone(),
        agent_url: pod.clone(),
        key_manager_url: pod,
        username: "liaison".to_owned(),
        private_key_pem: new_key(),
        ca_file: None,
        proxy: None,
    };
    let session = Arc::new(Session::new(settings).unwrap());
    let permits = Arc::new(Semaphore::new(1_000));
    let inbox = Arc::new(FakeInbox { seen: Mutex::default(), answers: Mutex::default(), permits });
    let (state_in, state) = watch::channel(FeedState::default());
    let pace = Pace {
        first: Duration::from_millis(20),
        longest: Duration::from_millis(100),
        slow: Duration::from_millis(300),
        steady: SOON,
    };
    let feed_settings = FeedSettings { transport: Transport::WebSocket { url }, tag: "liaison".to_owned(), pace };
    let cancel = CancellationToken::new();
    let translator = Translator::new(UserId(1), []);
    let task = tokio::spawn(feed::run(session.clone(), feed_settings, inbox.clone(), translator, state_in, cancel.clone()));
    World { connections, inbox, session, logins, oldest_good, state, cancel, task }
}

impl World {
    async fn connection(&mut self) -> Peer {
        timeout(SOON, self.connections.recv()).await.expect("a connection in time").unwrap()
    }

    /// A connection as far as `opened`; returns what the client said in its `open`.
    async fn opened(&mut self) -> (Peer, Value) {
        self.opened_as("f1_f", 20_000).await
    }

    async fn opened_as(&mut self, feed: &str, heartbeat_ms: u64) -> (Peer, Value) {
        let mut peer = self.connection().await;
        peer.say(json!({"type": "hello", "connectionId": "c", "heartbeatMs": heartbeat_ms, "visibilityMs": 30000, "maxFrameBytes": 16777216})).await;
        let open = peer.hear().await;
        assert_eq!((&open["type"], &open["tag"]), (&json!("open"), &json!("liaison")));
        peer.say(json!({"type": "opened", "replyTo": open["id"], "datafeedId": feed, "created": false})).await;
        (peer, open)
    }

    async fn until(&mut self, what: impl FnMut(&FeedState) -> bool) {
        timeout(SOON, self.state.wait_for(what)).await.expect("the state in time").unwrap();
    }
}

impl Peer {
    async fn say(&mut self, frame: Value) {
        self.socket.send(Message::text(frame.to_string())).await.unwrap();
    }

    /// The next text frame.
    async fn hear(&mut self) -> Value {
        timeout(SOON, self.next_text()).await.expect("a frame in time").expect("the connection lives")
    }

    async fn next_text(&mut self) -> Option<Value> {
        while let Some(Ok(message)) = self.socket.next().await {
            if let Message::Text(text) = message {
                return Some(serde_json::from_str(&text).unwrap());
            }
        }
        None
    }

    async fn hears_nothing(&mut self) {
        let heard = timeout(A_WHILE, self.next_text()).await;
        assert!(heard.is_err(), "{heard:?}");
    }

    async fn send_events(&mut self, ack_id: &str, events: Value) {
        self.say(json!({"type": "events", "seq": 1, "ackId": ack_id, "redelivered": false, "events": events})).await;
    }

    async fn close(mut self, code: u16, reason: &str) {
        let frame = CloseFrame { code: code.into(), reason: reason.to_owned().into() };
        self.socket.close(Some(frame)).await.ok();
        while let Some(Ok(_)) = self.socket.next().await {}
    }
}

fn message(id: &str, stream: &str, at: i64) -> Value {
    json!({"id": id, "messageId": id, "timestamp": at, "type": "MESSAGESENT",
        "initiator": {"user": {"userId": 7, "displayName": "Jane Doe"}},
        "payload": {"messageSent": {"message": {"messageId": id, "timestamp": at, "message": "<div>hi</div>",
            "stream": {"streamId": stream, "streamType": "ROOM"}}}}})
}

// ---- What must hold ----

#[tokio::test]
async fn a_batch_is_acknowledged_only_when_all_of_it_is_kept() {
    let mut world = world().await;
    world.inbox.permits.forget_permits(1_000);
    let (mut peer, open) = world.opened().await;
    assert_eq!((open.get("datafeedId"), &open["ackId"]), (None, &json!("")));
    peer.send_events("a1", json!([message("m1", "s1", 1), message("m2", "s2", 2)])).await;
    world.inbox.permits.add_permits(1);
    peer.hears_nothing().await;
    world.inbox.permits.add_permits(1);
    assert_eq!(peer.hear().await, json!({"type": "ack", "ackId": "a1"}));
}

#[tokio::test]
async fn after_a_restart_the_feed_is_resumed_with_what_is_durable() {
    let mut world = world().await;
    let (mut peer, _) = world.opened().await;
    peer.send_events("a1", json!([message("m1", "s1", 1)])).await;
    assert_eq!(peer.hear().await["ackId"], "a1");
    peer.close(1012, "").await;
    let (_peer, open) = world.opened().await;
    assert_eq!((&open["datafeedId"], &open["ackId"]), (&json!("f1_f"), &json!("a1")));
    world.until(|s| s.connected && s.reconnects.get("restart") == Some(&1)).await;
}

#[tokio::test]
async fn what_ended_while_nobody_was_connected_counts_in_the_next_open() {
    let mut world = world().await;
    world.inbox.permits.forget_permits(1_000);
    let (mut peer, _) = world.opened().await;
    peer.send_events("a1", json!([message("m1", "s1", 1)])).await;
    peer.hears_nothing().await;
    drop(peer);
    world.until(|s| !s.connected).await;
    world.inbox.permits.add_permits(1);
    // The client may have dialled before the batch ended: then the ack comes on the new connection.
    let (mut peer, open) = world.opened().await;
    if open["ackId"] != "a1" {
        assert_eq!(peer.hear().await, json!({"type": "ack", "ackId": "a1"}));
    }
}

#[tokio::test]
async fn what_cannot_be_kept_now_is_not_acknowledged_and_comes_again() {
    let mut world = world().await;
    world.inbox.answers.lock().unwrap().push_back(Receipt::NotNow);
    let (mut peer, _) = world.opened().await;
    let events = json!([message("m1", "s1", 1), message("m2", "s1", 2)]);
    peer.send_events("a1", events.clone()).await;
    peer.hears_nothing().await;
    assert_eq!(world.inbox.ids(), ["sym:msg:m1"], "nothing overtakes what could not be kept");
    peer.send_events("a2", events).await;
    assert_eq!(peer.hear().await, json!({"type": "ack", "ackId": "a2"}));
    assert_eq!(world.inbox.ids(), ["sym:msg:m1", "sym:msg:m1", "sym:msg:m2"]);
}

#[tokio::test]
async fn a_batch_that_comes_again_while_it_is_delivered_is_acknowledged_once_by_its_newest_id() {
    let mut world = world().await;
    world.inbox.permits.forget_permits(1_000);
    let (mut peer, _) = world.opened().await;
    let events = json!([message("m1", "s1", 1)]);
    peer.send_events("a1", events.clone()).await;
    peer.hears_nothing().await;
    peer.send_events("a2", events).await;
    peer.hears_nothing().await;
    world.inbox.permits.add_permits(10);
    assert_eq!(peer.hear().await, json!({"type": "ack", "ackId": "a2"}));
    peer.hears_nothing().await;
    assert_eq!(world.inbox.ids(), ["sym:msg:m1"]);
}

#[tokio::test]
async fn a_feed_that_is_gone_is_opened_anew() {
    let mut world = world().await;
    let (mut peer, _) = world.opened().await;
    peer.send_events("a1", json!([message("m1", "s1", 1)])).await;
    peer.hear().await;
    peer.close(4400, "").await;
    let mut peer = world.connection().await;
    peer.say(json!({"type": "hello"})).await;
    let open = peer.hear().await;
    assert_eq!((open.get("datafeedId"), &open["ackId"]), (None, &json!("")));
    peer.say(json!({"type": "opened", "replyTo": open["id"], "datafeedId": "f2_f", "created": true})).await;
    world.until(|s| s.connected && s.feeds_created == 1 && s.feed_id.as_deref() == Some("f2_f")).await;
}

#[tokio::test]
async fn an_error_to_open_counts_like_its_close_code() {
    let mut world = world().await;
    let (peer, _) = world.opened().await;
    peer.close(1013, "").await;
    let mut peer = world.connection().await;
    peer.say(json!({"type": "hello"})).await;
    let open = peer.hear().await;
    assert_eq!(open["datafeedId"], "f1_f");
    peer.say(json!({"type": "error", "replyTo": open["id"], "code": 400, "message": "no such feed"})).await;
    let (_peer, open) = world.opened().await;
    assert_eq!(open.get("datafeedId"), None);
}

#[tokio::test]
async fn tokens_are_renewed_when_the_socket_or_the_upgrade_refuses_them() {
    let mut world = world().await;
    let (peer, _) = world.opened().await;
    assert_eq!(peer.token, "1");
    peer.close(4401, "").await;
    let (peer, open) = world.opened().await;
    assert_eq!((peer.token.as_str(), &open["datafeedId"]), ("2", &json!("f1_f")));
    world.oldest_good.store(3, Ordering::SeqCst);
    peer.close(1012, "").await;
    assert_eq!(world.opened().await.0.token, "3");
    assert_eq!(world.logins.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn a_renewal_elsewhere_is_told_on_the_living_connection() {
    let mut world = world().await;
    let (mut peer, _) = world.opened().await;
    world.until(|s| s.connected).await;
    let renewals = (0..5).map(|_| world.session.renew(1));
    for tokens in futures_util::future::join_all(renewals).await {
        assert_eq!(tokens.unwrap().session, "2", "all who wait share one renewal");
    }
    let auth = peer.hear().await;
    assert_eq!((&auth["type"], &auth["sessionToken"], &auth["keyManagerToken"]), (&json!("auth"), &json!("2"), &json!("km")));
    peer.say(json!({"type": "authOk", "replyTo": auth["id"]})).await;
    peer.hears_nothing().await;
}

#[tokio::test]
async fn silence_is_death() {
    let mut world = world().await;
    // Nobody reads this end, so the client's pings stay unanswered.
    let (_deaf, _) = world.opened_as("f1_f", 100).await;
    let (_peer, open) = world.opened().await;
    assert_eq!(open["datafeedId"], "f1_f");
    world.until(|s| s.connected && s.reconnects.get("silence") == Some(&1)).await;
}

#[tokio::test]
async fn pings_keep_a_quiet_connection_alive() {
    let mut world = world().await;
    let (mut peer, _) = world.opened_as("f1_f", 100).await;
    timeout(Duration::from_secs(1), peer.next_text()).await.unwrap_err();
    assert!(world.state.borrow_and_update().connected);
    assert!(world.state.borrow().reconnects.is_empty());
}

#[tokio::test]
async fn a_broken_element_harms_no_other() {
    let mut world = world().await;
    let (mut peer, _) = world.opened().await;
    peer.send_events("a1", json!([{"type": 7}, message("m1", "s1", 1), {"id": "n", "type": "NEWTHING", "payload": 3}])).await;
    assert_eq!(peer.hear().await["ackId"], "a1");
    let seen = world.inbox.seen.lock().unwrap().clone();
    assert_eq!(seen.len(), 3);
    let broken = seen.iter().find(|e| matches!(e.fact, Fact::Unreadable { .. })).unwrap();
    assert_eq!(broken.raw.as_deref(), Some(&br#"{"type":7}"#[..]));
    assert!(seen.iter().any(|e| e.id.as_str() == "sym:msg:m1"));
}

#[tokio::test]
async fn a_stream_is_read_in_the_order_of_its_clock() {
    let mut world = world().await;
    let (mut peer, _) = world.opened().await;
    let events = json!([message("m3", "s1", 3), message("n1", "s2", 9), message("m1", "s1", 1), message("m2", "s1", 2)]);
    peer.send_events("a1", events).await;
    peer.hear().await;
    let of_first: Vec<String> = world.inbox.ids().into_iter().filter(|id| id.starts_with("sym:msg:m")).collect();
    assert_eq!(of_first, ["sym:msg:m1", "sym:msg:m2", "sym:msg:m3"]);
}

#[tokio::test]
async fn who_is_superseded_stays_up_and_says_so() {
    let mut world = world().await;
    let (peer, _) = world.opened().await;
    peer.close(4409, "").await;
    world.until(|s| s.superseded && !s.connected).await;
    let (_peer, _) = world.opened().await;
    world.until(|s| s.connected && !s.superseded).await;
}

#[tokio::test]
async fn a_planned_change_opens_the_next_connection_before_the_old_one_ends() {
    let mut world = world().await;
    let (mut old, _) = world.opened().await;
    old.say(json!({"type": "disconnect", "reason": "refresh_requested", "graceMs": 10000})).await;
    let mut new = world.connection().await;
    // The old connection still works; then the server ends it as taken over, which is our own doing.
    old.send_events("a1", json!([message("m1", "s1", 1)])).await;
    assert_eq!(old.hear().await["ackId"], "a1");
    let closing = tokio::spawn(old.close(4409, "superseded"));
    new.say(json!({"type": "hello"})).await;
    let open = new.hear().await;
    assert_eq!(open["datafeedId"], "f1_f");
    new.say(json!({"type": "opened", "replyTo": open["id"], "datafeedId": "f1_f", "created": false})).await;
    new.send_events("a2", json!([message("m2", "s1", 2)])).await;
    assert_eq!(new.hear().await["ackId"], "a2");
    closing.await.unwrap();
    let state = world.state.borrow().clone();
    assert!(state.connected && !state.superseded, "{state:?}");
    assert_eq!(state.reconnects.get("replaced"), Some(&1));
}

#[tokio::test]
async fn unknown_and_broken_frames_are_passed_by() {
    let mut world = world().await;
    let (mut peer, _) = world.opened().await;
    peer.say(json!({"type": "weather", "of": "tomorrow"})).await;
    peer.say(json!({"type": "events", "ackId": "a0", "events": 5})).await;
    peer.socket.send(Message::text("no json")).await.unwrap();
    peer.send_events("a1", json!([])).await;
    assert_eq!(peer.hear().await["ackId"], "a1");
}

#[tokio::test]
async fn the_end_lets_a_batch_finish_and_says_goodbye() {
    let mut world = world().await;
    world.inbox.permits.forget_permits(1_000);
    let (mut peer, _) = world.opened().await;
    peer.send_events("a1", json!([message("m1", "s1", 1)])).await;
    peer.hears_nothing().await;
    world.cancel.cancel();
    world.inbox.permits.add_permits(1);
    assert_eq!(peer.hear().await, json!({"type": "ack", "ackId": "a1"}));
    assert_eq!(timeout(SOON, peer.next_text()).await.unwrap(), None);
    timeout(SOON, world.task).await.unwrap().unwrap();
}

#[tokio::test]
async fn too_many_feeds_and_too_fast_are_retried_slowly() {
    let mut world = world().await;
    for (code, reason, told) in [(4403, "", "too-many-feeds"), (4429, "retryAfter=1", "too-fast")] {
        let (peer, _) = world.opened().await;
        peer.close(code, reason).await;
        assert!(timeout(A_WHILE, world.connections.recv()).await.is_err(), "{code}");
        world.until(|s| s.reconnects.get(told) == Some(&1)).await;
    }
    world.opened().await;
}

#[tokio::test]
async fn a_server_that_always_wants_a_change_is_not_spun_with() {
    let mut world = world().await;
    let began = std::time::Instant::now();
    for _ in 0..12 {
        let (mut peer, _) = world.opened().await;
        peer.say(json!({"type": "disconnect", "reason": "refresh_requested", "graceMs": 10000})).await;
        tokio::spawn(async move { while peer.next_text().await.is_some() {} });
    }
    assert!(began.elapsed() > Duration::from_millis(100));
}
