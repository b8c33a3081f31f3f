//! A scripted websocket server, and what holds over websockets only.
use super::world::*;
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;

pub struct Gateway {
    pub connections: mpsc::Receiver<Socket>,
}

/// The server's end of one connection.
pub struct Socket {
    pub socket: WebSocketStream<TcpStream>,
    pub token: String,
}

impl Gateway {
    pub async fn listen(oldest_good: Arc<AtomicU64>) -> (Gateway, String) {
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
        (Gateway { connections }, url)
    }

    pub async fn connection(&mut self) -> Socket {
        timeout(SOON, self.connections.recv()).await.expect("a connection in time").unwrap()
    }

    /// A connection as far as `opened`.
    pub async fn opened(&mut self, feed: &str, created: bool, heartbeat_ms: u64) -> (Socket, Opening) {
        let mut peer = self.connection().await;
        peer.say(json!({"type": "hello", "connectionId": "c", "heartbeatMs": heartbeat_ms, "visibilityMs": 30000,
            "maxFrameBytes": 16777216}))
            .await;
        let open = peer.hear().await;
        assert_eq!((&open["type"], &open["tag"]), (&json!("open"), &json!("liaison")));
        peer.say(json!({"type": "opened", "replyTo": open["id"], "datafeedId": feed, "created": created})).await;
        let text = |key: &str| open[key].as_str().map(str::to_owned);
        let opening = Opening { feed: text("datafeedId"), ack: text("ackId").unwrap(), token: peer.token.clone() };
        (peer, opening)
    }
}

#[allow(clippy::result_large_err)]
async fn upgraded(stream: TcpStream, oldest_good: &AtomicU64) -> Option<Socket> {
    let mut token = String::new();
    let check = |request: &Request, mut response: Response| {
        assert_eq!(request.headers()["sec-websocket-protocol"], "symphony-datafeed.v1");
        assert_eq!(request.headers()["keyManagerToken"], "km");
        token = request.headers()["sessionToken"].to_str().unwrap().to_owned();
        if token.parse::<u64>().unwrap() < oldest_good.load(Ordering::SeqCst) {
            return Err(refusal(401));
        }
        response.headers_mut().insert("sec-websocket-protocol", "symphony-datafeed.v1".parse().unwrap());
        Ok(response)
    };
    let socket = tokio_tungstenite::accept_hdr_async(stream, check).await.ok()?;
    Some(Socket { socket, token })
}

fn refusal(status: u16) -> ErrorResponse {
    let mut response = ErrorResponse::new(None);
    *response.status_mut() = status.try_into().unwrap();
    response
}

impl Socket {
    pub async fn say(&mut self, frame: Value) {
        self.socket.send(Message::text(frame.to_string())).await.unwrap();
    }

    /// The next text frame.
    pub async fn hear(&mut self) -> Value {
        timeout(SOON, self.next_text()).await.expect("a frame in time").expect("the connection lives")
    }

    pub async fn next_text(&mut self) -> Option<Value> {
        while let Some(Ok(message)) = self.socket.next().await {
            if let Message::Text(text) = message {
                return Some(serde_json::from_str(&text).unwrap());
            }
        }
        None
    }

    pub async fn hears_nothing(&mut self) {
        let heard = timeout(A_WHILE, self.next_text()).await;
        assert!(heard.is_err(), "{heard:?}");
    }

    pub async fn send_events(&mut self, ack_id: &str, events: Value) {
        self.say(json!({"type": "events", "seq": 1, "ackId": ack_id, "redelivered": false, "events": events})).await;
    }

    pub async fn acked(&mut self) -> String {
        let ack = self.hear().await;
        assert_eq!(ack["type"], "ack", "{ack}");
        ack["ackId"].as_str().unwrap().to_owned()
    }

    pub async fn ends(self, fault: Fault) {
        match fault {
            Fault::Gone => self.close(4400, "").await,
            Fault::Unauthorised => self.close(4401, "").await,
            Fault::TooMany => self.close(4403, "").await,
            Fault::TooFast(seconds) => self.close(4429, &format!("retryAfter={seconds}")).await,
            Fault::Restart => self.close(1012, "").await,
        }
    }

    async fn close(mut self, code: u16, reason: &str) {
        let frame = CloseFrame { code: code.into(), reason: reason.to_owned().into() };
        self.socket.close(Some(frame)).await.ok();
        while let Some(Ok(_)) = self.socket.next().await {}
    }
}

/// A world over websockets, and its server.
async fn world() -> World {
    World::new(Over::WebSockets).await
}

fn gateway(world: &mut World) -> &mut Gateway {
    match &mut world.server {
        Server::Gateway(gateway) => gateway,
        Server::Agent(_) => unreachable!("these tests are over websockets"),
    }
}

async fn opened(world: &mut World) -> (Socket, Opening) {
    gateway(world).opened("f1_f", false, 20_000).await
}

// ---- What must hold

#[tokio::test]
async fn a_batch_that_comes_again_while_it_is_delivered_is_acknowledged_once_by_its_newest_id() {
    let mut world = world().await;
    world.inbox.close();
    let (mut peer, _) = opened(&mut world).await;
    let events = json!([message("m1", "s1", 1)]);
    peer.send_events("a1", events.clone()).await;
    peer.hears_nothing().await;
    peer.send_events("a2", events).await;
    peer.hears_nothing().await;
    world.inbox.permit(10);
    assert_eq!(peer.acked().await, "a2");
    peer.hears_nothing().await;
    assert_eq!(world.inbox.ids(), ["sym:msg:m1"]);
}

#[tokio::test]
async fn what_ended_while_nobody_was_connected_counts_in_the_next_open() {
    let mut world = world().await;
    world.inbox.close();
    let (mut peer, _) = opened(&mut world).await;
    peer.send_events("a1", json!([message("m1", "s1", 1)])).await;
    peer.hears_nothing().await;
    drop(peer);
    world.until(|s| !s.connected).await;
    world.inbox.permit(1);
    // The client may have dialled before the batch ended: then the ack comes on the new connection.
    let (mut peer, open) = opened(&mut world).await;
    if open.ack != "a1" {
        assert_eq!(peer.acked().await, "a1");
    }
}

#[tokio::test]
async fn an_error_to_open_counts_like_its_close_code() {
    let mut world = world().await;
    let (peer, _) = opened(&mut world).await;
    peer.close(1013, "").await;
    let mut peer = gateway(&mut world).connection().await;
    peer.say(json!({"type": "hello"})).await;
    let open = peer.hear().await;
    assert_eq!(open["datafeedId"], "f1_f");
    peer.say(json!({"type": "error", "replyTo": open["id"], "code": 400, "message": "no such feed"})).await;
    let (_peer, open) = opened(&mut world).await;
    assert_eq!(open.feed, None);
}

#[tokio::test]
async fn a_feed_whose_opened_was_never_heard_counts_as_new() {
    let mut world = world().await;
    let mut peer = gateway(&mut world).connection().await;
    peer.say(json!({"type": "hello"})).await;
    assert_eq!(peer.hear().await["type"], "open");
    drop(peer);
    let (_peer, _) = opened(&mut world).await;
    world.until(|s| s.connected && s.feeds_created == 1).await;
}

#[tokio::test]
async fn a_renewal_elsewhere_is_told_on_the_living_connection() {
    let mut world = world().await;
    let (mut peer, _) = opened(&mut world).await;
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
    let (_deaf, _) = gateway(&mut world).opened("f1_f", false, 100).await;
    let (_peer, open) = opened(&mut world).await;
    assert_eq!(open.feed.as_deref(), Some("f1_f"));
    world.until(|s| s.connected && s.reconnects.get("silent") == Some(&1)).await;
}

#[tokio::test]
async fn pings_keep_a_quiet_connection_alive() {
    let mut world = world().await;
    let (mut peer, _) = gateway(&mut world).opened("f1_f", false, 100).await;
    timeout(Duration::from_secs(1), peer.next_text()).await.unwrap_err();
    assert!(world.state.borrow_and_update().connected);
    assert!(world.state.borrow().reconnects.is_empty());
}

#[tokio::test]
async fn who_is_superseded_stays_up_and_says_so() {
    let mut world = world().await;
    let (peer, _) = opened(&mut world).await;
    peer.close(4409, "").await;
    world.until(|s| s.superseded && !s.connected).await;
    let (_peer, _) = opened(&mut world).await;
    world.until(|s| s.connected && !s.superseded).await;
}

#[tokio::test]
async fn a_planned_change_opens_the_next_connection_before_the_old_one_ends() {
    let mut world = world().await;
    let (mut old, _) = opened(&mut world).await;
    old.say(json!({"type": "disconnect", "reason": "refresh_requested", "graceMs": 10000})).await;
    let mut new = gateway(&mut world).connection().await;
    // The old connection still works; then the server ends it as taken over, which is our own doing.
    old.send_events("a1", json!([message("m1", "s1", 1)])).await;
    assert_eq!(old.acked().await, "a1");
    let closing = tokio::spawn(old.close(4409, "superseded"));
    new.say(json!({"type": "hello"})).await;
    let open = new.hear().await;
    assert_eq!(open["datafeedId"], "f1_f");
    new.say(json!({"type": "opened", "replyTo": open["id"], "datafeedId": "f1_f", "created": false})).await;
    new.send_events("a2", json!([message("m2", "s1", 2)])).await;
    assert_eq!(new.acked().await, "a2");
    closing.await.unwrap();
    let state = world.state.borrow().clone();
    assert!(state.connected && !state.superseded, "{state:?}");
    assert_eq!(state.reconnects.get("replaced"), Some(&1));
}

#[tokio::test]
async fn unknown_and_broken_frames_are_passed_by() {
    let mut world = world().await;
    let (mut peer, _) = opened(&mut world).await;
    peer.say(json!({"type": "weather", "of": "tomorrow"})).await;
    peer.say(json!({"type": "events", "ackId": "a0", "events": 5})).await;
    peer.socket.send(Message::text("no json")).await.unwrap();
    peer.send_events("a1", json!([])).await;
    assert_eq!(peer.acked().await, "a1");
}

#[tokio::test]
async fn a_server_that_always_wants_a_change_is_not_spun_with() {
    let mut world = world().await;
    let began = std::time::Instant::now();
    for _ in 0..12 {
        let (mut peer, _) = opened(&mut world).await;
        peer.say(json!({"type": "disconnect", "reason": "refresh_requested", "graceMs": 10000})).await;
        tokio::spawn(async move { while peer.next_text().await.is_some() {} });
    }
    assert!(began.elapsed() > Duration::from_millis(100));
}
