//! What every test of the datafeed begins with: an inbox, a login, and a server that does what the test says, on either transport.
use super::polls::{Agent, Poll};
use super::sockets::{Gateway, Socket};
use axum::routing::post;
use axum::{Json, Router};
use liaison::adapters::symphony::{FeedSettings, FeedState, Pace, Session, SymphonySettings, Translator, Transport, feed};
use liaison::domain::event::Event;
use liaison::domain::ids::UserId;
use liaison::ports::{Inbox, Later, Receipt};
use liaison::sandbox::keys::new_key_pair;
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

pub const SOON: Duration = Duration::from_secs(5);
pub const A_WHILE: Duration = Duration::from_millis(250);

/// Patient enough for a busy machine, quick enough for a test.
pub const PACE: Pace = Pace {
    first: Duration::from_millis(20),
    longest: Duration::from_millis(100),
    slow: Duration::from_secs(1),
    steady: SOON,
    read_wait: SOON,
    watchdog: Duration::from_secs(60),
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Over {
    WebSockets,
    LongPolls,
}

pub struct World {
    pub server: Server,
    pub inbox: Arc<FakeInbox>,
    pub session: Arc<Session>,
    pub logins: Arc<AtomicU64>,
    /// Session tokens below this number are refused.
    pub oldest_good: Arc<AtomicU64>,
    pub state: watch::Receiver<FeedState>,
    pub cancel: CancellationToken,
    pub task: tokio::task::JoinHandle<()>,
}

pub enum Server {
    Gateway(Gateway),
    Agent(Agent),
}

/// The server's end of an open feed.
pub enum Peer {
    Socket(Box<Socket>),
    Poll(Box<Poll>),
}

/// With what the client opened.
#[derive(Debug)]
pub struct Opening {
    /// The feed that it remembers.
    pub feed: Option<String>,
    /// What it says is durable.
    pub ack: String,
    pub token: String,
}

/// How the server ends a feed's connection, in the words of both.
#[derive(Clone, Copy, Debug)]
pub enum Fault {
    Gone,
    Unauthorised,
    TooMany,
    TooFast(u32),
    Restart,
}

pub struct FakeInbox {
    pub seen: Mutex<Vec<Event>>,
    pub answers: Mutex<VecDeque<Receipt>>,
    /// Deliveries end only as permits are there.
    pub permits: Arc<Semaphore>,
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
    pub fn ids(&self) -> Vec<String> {
        self.seen.lock().unwrap().iter().map(|event| event.id.to_string()).collect()
    }
    /// From now on deliveries wait for permits.
    pub fn close(&self) {
        self.permits.forget_permits(1_000);
    }
    pub fn permit(&self, count: usize) {
        self.permits.add_permits(count);
    }
}

/// One key for all tests of this file: making it takes longer than most of them.
pub fn keys() -> &'static (String, String) {
    static KEYS: OnceLock<(String, String)> = OnceLock::new();
    KEYS.get_or_init(new_key_pair)
}

pub fn settings(pod: String) -> SymphonySettings {
    SymphonySettings {
        pod_url: pod.clone(),
        agent_url: pod.clone(),
        key_manager_url: pod,
        username: "liaison".to_owned(),
        private_key_pem: keys().0.clone(),
        ca_file: None,
        proxy: None,
    }
}

fn login_calls(logins: Arc<AtomicU64>) -> Router {
    let session = move || async move {
        Json(json!({"name": "sessionToken", "token": (logins.fetch_add(1, Ordering::SeqCst) + 1).to_string()}))
    };
    let key_manager = || async { Json(json!({"name": "keyManagerToken", "token": "km"})) };
    Router::new().route("/login/pubkey/authenticate", post(session)).route("/relay/pubkey/authenticate", post(key_manager))
}

pub async fn serve(router: Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    format!("http://{address}")
}

impl World {
    pub async fn new(over: Over) -> World {
        World::with(over, PACE).await
    }

    pub async fn with(over: Over, pace: Pace) -> World {
        let (logins, oldest_good) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let (agent, agent_calls) = Agent::new(oldest_good.clone());
        let pod = serve(login_calls(logins.clone()).merge(agent_calls)).await;
        let (server, transport) = match over {
            Over::WebSockets => {
                let (gateway, url) = Gateway::listen(oldest_good.clone()).await;
                (Server::Gateway(gateway), Transport::WebSocket { url })
            }
            Over::LongPolls => (Server::Agent(agent), Transport::LongPoll),
        };
        let session = Arc::new(Session::new(settings(pod)).unwrap());
        let permits = Arc::new(Semaphore::new(1_000));
        let inbox = Arc::new(FakeInbox { seen: Mutex::default(), answers: Mutex::default(), permits });
        let (state_in, state) = watch::channel(FeedState::default());
        let feed_settings = FeedSettings { transport, tag: "liaison".to_owned(), pace };
        let cancel = CancellationToken::new();
        let translator = Translator::new(UserId(1), []);
        let task = tokio::spawn(feed::run(session.clone(), feed_settings, inbox.clone(), translator, state_in, cancel.clone()));
        World { server, inbox, session, logins, oldest_good, state, cancel, task }
    }

    /// The client's next opening; the server has the feed f1_f for it.
    pub async fn opened(&mut self) -> (Peer, Opening) {
        self.opened_as("f1_f", false).await
    }

    /// The same with this feed, made for it or not.
    pub async fn opened_as(&mut self, feed: &str, created: bool) -> (Peer, Opening) {
        match &mut self.server {
            Server::Gateway(gateway) => {
                let (socket, opening) = gateway.opened(feed, created, 20_000).await;
                (Peer::Socket(Box::new(socket)), opening)
            }
            Server::Agent(agent) => {
                let (poll, opening) = agent.opened(feed, created).await;
                (Peer::Poll(Box::new(poll)), opening)
            }
        }
    }

    /// Nobody tries to open a feed for a while.
    pub async fn stays_away(&mut self, span: Duration) {
        let came = match &mut self.server {
            Server::Gateway(gateway) => timeout(span, gateway.connections.recv()).await.is_ok(),
            Server::Agent(agent) => timeout(span, agent.call()).await.is_ok(),
        };
        assert!(!came, "the client came back too early");
    }

    pub async fn until(&mut self, what: impl FnMut(&FeedState) -> bool) {
        let held = timeout(SOON, self.state.wait_for(what)).await.map(drop);
        assert!(held.is_ok(), "not in time: {:?}", self.state.borrow());
    }
}

impl Peer {
    pub async fn send_events(&mut self, ack: &str, events: Value) {
        match self {
            Peer::Socket(socket) => socket.send_events(ack, events).await,
            Peer::Poll(poll) => poll.answer(200, json!({ "events": events, "ackId": ack })).await,
        }
    }

    /// The next ackId that the client sends.
    pub async fn acked(&mut self) -> String {
        match self {
            Peer::Socket(socket) => socket.acked().await,
            Peer::Poll(poll) => poll.acked().await,
        }
    }

    /// Nothing new is acknowledged for a while.
    pub async fn acks_nothing(&mut self) {
        match self {
            Peer::Socket(socket) => socket.hears_nothing().await,
            Peer::Poll(poll) => poll.acks_nothing().await,
        }
    }

    pub async fn ends(self, fault: Fault) {
        match self {
            Peer::Socket(socket) => socket.ends(fault).await,
            Peer::Poll(poll) => poll.ends(fault).await,
        }
    }

    /// The connection breaks without a word.
    pub async fn breaks(self) {
        match self {
            Peer::Socket(socket) => drop(socket),
            Peer::Poll(poll) => poll.breaks().await,
        }
    }

    /// The client ends, politely.
    pub async fn sees_the_client_leave(self) {
        match self {
            Peer::Socket(mut socket) => assert_eq!(timeout(SOON, socket.next_text()).await.unwrap(), None),
            Peer::Poll(mut poll) => poll.sees_the_client_leave().await,
        }
    }
}

pub fn message(id: &str, stream: &str, at: i64) -> Value {
    json!({"id": id, "messageId": id, "timestamp": at, "type": "MESSAGESENT",
        "initiator": {"user": {"userId": 7, "displayName": "Jane Doe"}},
        "payload": {"messageSent": {"message": {"messageId": id, "timestamp": at, "message": "<div>hi</div>",
            "stream": {"streamId": stream, "streamType": "ROOM"}}}}})
}
