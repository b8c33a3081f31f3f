//! A scripted agent, and what holds over long polling only.
use super::world::*;
use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::response::Response;
use liaison::adapters::symphony::Pace;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::{Mutex, mpsc, oneshot};
use tokio::time::timeout;

/// The agent of a test: each call waits until the test answers it.
pub struct Agent {
    calls: Calls,
    /// Feeds that were opened before; they are listed for ever, as a careless agent does.
    opened: Vec<String>,
    pub reads: Arc<Reads>,
}

type Calls = Arc<Mutex<mpsc::Receiver<Call>>>;

#[derive(Default)]
pub struct Reads {
    now: AtomicUsize,
    most: AtomicUsize,
}

impl Reads {
    pub fn most_at_once(&self) -> usize {
        self.most.load(Ordering::SeqCst)
    }
}

pub struct Call {
    method: String,
    /// Below `/agent/v5/datafeeds`, with the query.
    path: String,
    body: Value,
    token: String,
    answer: oneshot::Sender<Answer>,
}

struct Answer {
    status: u16,
    retry_after: Option<String>,
    body: String,
}

impl Call {
    fn answer(self, status: u16, body: impl ToString) {
        let _ = self.answer.send(Answer { status, retry_after: None, body: body.to_string() });
    }

    fn ack(&self) -> String {
        self.body["ackId"].as_str().unwrap().to_owned()
    }
}

#[derive(Clone)]
struct Desk {
    calls: mpsc::Sender<Call>,
    oldest_good: Arc<AtomicU64>,
    reads: Arc<Reads>,
}

/// Counts a read while it is under way, however it ends.
struct UnderWay(Arc<Reads>);

impl UnderWay {
    fn new(reads: &Arc<Reads>) -> UnderWay {
        let now = reads.now.fetch_add(1, Ordering::SeqCst) + 1;
        reads.most.fetch_max(now, Ordering::SeqCst);
        UnderWay(Arc::clone(reads))
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.now.fetch_sub(1, Ordering::SeqCst);
    }
}

async fn taken(State(desk): State<Desk>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let token = parts.headers["sessionToken"].to_str().unwrap().to_owned();
    assert_eq!(parts.headers["keyManagerToken"], "km");
    if token.parse::<u64>().unwrap() < desk.oldest_good.load(Ordering::SeqCst) {
        return Response::builder().status(401).body(Body::from(r#"{"code":401,"message":"Invalid session"}"#)).unwrap();
    }
    let (method, path) = (parts.method.to_string(), parts.uri.to_string());
    let path = path.strip_prefix("/agent/v5/datafeeds").unwrap().to_owned();
    let _under_way = path.ends_with("/read").then(|| UnderWay::new(&desk.reads));
    let body = to_bytes(body, 1_000_000).await.unwrap();
    let body = serde_json::from_slice(&body).unwrap_or_default();
    let (answer, answered) = oneshot::channel();
    desk.calls.send(Call { method, path, body, token, answer }).await.ok();
    match answered.await {
        Ok(Answer { status, retry_after, body }) => {
            let response = Response::builder().status(status);
            let response = match retry_after {
                Some(wait) => response.header("Retry-After", wait),
                None => response,
            };
            response.body(Body::from(body)).unwrap()
        }
        Err(_) => {
            let broken = futures_util::stream::once(async { Err::<Bytes, _>(std::io::Error::other("cut")) });
            Response::new(Body::from_stream(broken))
        }
    }
}

impl Agent {
    pub fn new(oldest_good: Arc<AtomicU64>) -> (Agent, Router) {
        let (sender, calls) = mpsc::channel(64);
        let reads = Arc::new(Reads::default());
        let desk = Desk { calls: sender, oldest_good, reads: Arc::clone(&reads) };
        (Agent { calls: Arc::new(Mutex::new(calls)), opened: Vec::new(), reads }, Router::new().fallback(taken).with_state(desk))
    }

    pub async fn call(&mut self) -> Call {
        self.calls.lock().await.recv().await.unwrap()
    }

    async fn call_soon(&mut self) -> Call {
        timeout(SOON, self.call()).await.expect("a call in time")
    }

    /// As far as the first read of this feed. A feed that was opened before is not listed: the client must remember it.
    pub async fn opened(&mut self, feed: &str, created: bool) -> (Poll, Opening) {
        let known = self.opened.iter().any(|opened| opened == feed);
        loop {
            let call = self.call_soon().await;
            match (call.method.as_str(), call.path.as_str()) {
                ("DELETE", _) => call.answer(204, ""),
                ("GET", "?tag=liaison") if created => {
                    let listed: Vec<Value> = self.opened.iter().map(|id| json!({ "id": id })).collect();
                    call.answer(200, json!(listed));
                }
                ("GET", "?tag=liaison") if known => call.answer(200, "[]"),
                ("GET", "?tag=liaison") => call.answer(200, json!([{ "id": feed, "type": "fanout" }])),
                ("POST", "") => {
                    assert!(created, "a feed is made although there is one");
                    assert_eq!(call.body, json!({ "tag": "liaison" }));
                    call.answer(201, json!({ "id": feed, "type": "fanout" }));
                }
                ("POST", path) if path == format!("/{feed}/read") => {
                    let opening = Opening { feed: known.then(|| feed.to_owned()), ack: call.ack(), token: call.token.clone() };
                    self.opened.push(feed.to_owned());
                    let poll = Poll { calls: Arc::clone(&self.calls), feed: feed.to_owned(), ack: call.ack(), read: Some(call) };
                    return (poll, opening);
                }
                (method, path) => panic!("{method} {path} was not expected"),
            }
        }
    }
}

/// The reads of one feed.
pub struct Poll {
    calls: Calls,
    feed: String,
    ack: String,
    read: Option<Call>,
}

impl Poll {
    /// The read that waits for its answer.
    async fn read(&mut self) -> Call {
        match self.read.take() {
            Some(read) => read,
            None => self.next().await,
        }
    }

    async fn next(&mut self) -> Call {
        let call = timeout(SOON, async { self.calls.lock().await.recv().await.unwrap() }).await.expect("a read in time");
        assert_eq!((call.method.as_str(), call.path.as_str()), ("POST", format!("/{}/read", self.feed).as_str()));
        call
    }

    pub async fn answer(&mut self, status: u16, body: impl ToString) {
        self.read().await.answer(status, body);
    }

    pub async fn acked(&mut self) -> String {
        let read = self.read().await;
        self.ack = read.ack();
        self.read = Some(read);
        self.ack.clone()
    }

    pub async fn acks_nothing(&mut self) {
        let calls = Arc::clone(&self.calls);
        if let Ok(call) = timeout(A_WHILE, async { calls.lock().await.recv().await.unwrap() }).await {
            assert!(self.read.is_none(), "two reads at once");
            assert_eq!(call.ack(), self.ack, "nothing new is durable");
            self.read = Some(call);
        }
    }

    pub async fn ends(mut self, fault: Fault) {
        let read = self.read().await;
        match fault {
            Fault::Gone => {
                let had_ack = !read.ack().is_empty();
                let gone = json!({ "code": 400, "message": "Could not find a datafeed with the id" });
                read.answer(400, &gone);
                if had_ack {
                    let again = self.read().await;
                    assert_eq!(again.ack(), "", "the ackId may have been the trouble");
                    again.answer(400, gone);
                }
            }
            Fault::Unauthorised => read.answer(401, json!({ "code": 401, "message": "Invalid session" })),
            Fault::TooMany => read.answer(403, json!({ "code": 403, "message": "Too many feeds created" })),
            Fault::TooFast(seconds) => {
                let _ = read.answer.send(Answer { status: 429, retry_after: Some(seconds.to_string()), body: String::new() });
            }
            Fault::Restart => read.answer(503, "<html>restarting</html>"),
        }
    }

    pub async fn breaks(mut self) {
        drop(self.read().await);
    }

    /// A read that waits is let go, and none follows.
    pub async fn sees_the_client_leave(&mut self) {
        if let Some(mut read) = self.read.take() {
            timeout(SOON, read.answer.closed()).await.expect("the read is given up");
        }
        let calls = Arc::clone(&self.calls);
        let more = timeout(A_WHILE, async { calls.lock().await.recv().await }).await;
        assert!(!matches!(more, Ok(Some(_))), "another call");
    }
}

fn agent(world: &mut World) -> &mut Agent {
    match &mut world.server {
        Server::Agent(agent) => agent,
        Server::Gateway(_) => unreachable!("these tests are over long polling"),
    }
}

async fn world() -> World {
    World::new(Over::LongPolls).await
}

async fn opened(world: &mut World) -> Poll {
    agent(world).opened("f1_f", false).await.0
}

// ---- What must hold

#[tokio::test]
async fn the_feed_is_found_by_its_tag_and_only_one_of_real_time_events() {
    let mut world = world().await;
    let call = agent(&mut world).call_soon().await;
    assert_eq!((call.method.as_str(), call.path.as_str()), ("GET", "?tag=liaison"));
    call.answer(
        200,
        json!([{ "id": "9_p_1", "type": "datahose" }, { "id": "new_f", "createdAt": 9 }, { "id": "old_f_f8001", "createdAt": 3 }]),
    );
    let call = agent(&mut world).call_soon().await;
    assert_eq!((call.path.as_str(), call.body), ("/old_f_f8001/read", json!({ "ackId": "" })));
    world.until(|s| s.connected && s.feeds_created == 0).await;
}

#[tokio::test]
async fn without_one_a_feed_is_made_with_the_tag() {
    let mut world = world().await;
    let (_poll, opening) = agent(&mut world).opened("f1_f", true).await;
    assert_eq!((opening.feed, opening.ack.as_str()), (None, ""));
    world.until(|s| s.connected && s.feeds_created == 1).await;
}

#[tokio::test]
async fn an_ack_id_that_the_agent_does_not_know_does_not_cost_the_feed() {
    let mut world = world().await;
    let mut poll = opened(&mut world).await;
    poll.answer(200, json!({ "events": [message("m1", "s1", 1)], "ackId": "a1" })).await;
    assert_eq!(poll.acked().await, "a1");
    poll.answer(400, json!({ "code": 400, "message": "Invalid ackId" })).await;
    let again = poll.next().await;
    assert_eq!(again.ack(), "");
    again.answer(200, json!({ "events": [message("m2", "s1", 2)], "ackId": "a2" }));
    assert_eq!(poll.acked().await, "a2");
    let state = world.state.borrow().clone();
    assert!(state.connected && state.feeds_created == 0 && state.reconnects.is_empty(), "{state:?}");
}

#[tokio::test]
async fn whatever_the_agent_says_to_the_deletion_a_new_feed_is_made() {
    for (status, body) in [(204, ""), (200, "{\"message\":\"ok\"}"), (400, "{\"code\":400}"), (500, "<html>"), (200, "")] {
        let mut world = world().await;
        opened(&mut world).await.answer(400, json!({ "code": 400 })).await;
        let call = agent(&mut world).call_soon().await;
        assert_eq!((call.method.as_str(), call.path.as_str()), ("DELETE", "/f1_f"));
        call.answer(status, body);
        // The agent still lists the dead one.
        let call = agent(&mut world).call_soon().await;
        call.answer(200, json!([{ "id": "f1_f" }]));
        let call = agent(&mut world).call_soon().await;
        assert_eq!((call.method.as_str(), call.path.as_str()), ("POST", ""), "{status} {body}");
        call.answer(201, json!({ "id": "f2_f" }));
        assert_eq!(agent(&mut world).call_soon().await.path, "/f2_f/read");
        world.until(|s| s.connected && s.feeds_created == 1).await;
    }
}

#[tokio::test]
async fn nothing_is_read_while_a_batch_is_kept_and_never_twice_at_once() {
    let mut world = world().await;
    world.inbox.close();
    let mut poll = opened(&mut world).await;
    poll.answer(200, json!({ "events": [message("m1", "s1", 1)], "ackId": "a1" })).await;
    poll.acks_nothing().await;
    assert!(poll.read.is_none(), "a read without the ack would hold the ack up");
    world.inbox.permit(10);
    assert_eq!(poll.acked().await, "a1");
    assert_eq!(agent(&mut world).reads.most_at_once(), 1);
}

#[tokio::test]
async fn broken_answers_to_a_read_cost_neither_feed_nor_ack() {
    let mut world = world().await;
    let mut poll = opened(&mut world).await;
    poll.answer(200, json!({ "events": [message("m1", "s1", 1)], "ackId": "a1" })).await;
    assert_eq!(poll.acked().await, "a1");
    let broken = [
        (500, "{\"code\":500,\"message\":\"oops\"}"),
        (502, "<html><h1>502 Bad Gateway</h1></html>"),
        (200, ""),
        (200, "<html>login please</html>"),
        (200, "{\"events\":5,\"ackId\":\"a2\"}"),
        (200, "[]"),
        (404, "nothing here"),
        (302, ""),
    ];
    for (status, body) in broken {
        poll.answer(status, body).await;
        let (again, opening) = agent(&mut world).opened("f1_f", false).await;
        assert_eq!((opening.feed.as_deref(), opening.ack.as_str()), (Some("f1_f"), "a1"), "after {status} {body}");
        poll = again;
    }
    world.until(|s| !s.connected && s.feeds_created == 0).await;
    poll.answer(200, json!({ "ackId": "a2" })).await;
    assert_eq!(poll.acked().await, "a2", "no events are none");
    world.until(|s| s.connected && s.last_error.is_none()).await;
}

#[tokio::test]
async fn a_feed_that_does_not_answer_its_reads_is_not_called_well() {
    let mut world = world().await;
    let mut poll = opened(&mut world).await;
    world.until(|s| s.connected).await;
    for _ in 0..3 {
        poll.answer(500, json!({ "code": 500, "message": "the queue is away" })).await;
        poll = opened(&mut world).await;
    }
    let state = world.state.borrow().clone();
    assert!(!state.connected, "only the list was answered: {state:?}");
    let told = state.last_error.unwrap();
    assert!(told.starts_with("the agent answered 500: the queue is away; next try in "), "{told}");
}

#[tokio::test]
async fn the_operator_reads_what_the_agent_said_of_too_many_feeds() {
    let mut world = world().await;
    agent(&mut world).call_soon().await.answer(200, "[]");
    let create = agent(&mut world).call_soon().await;
    create.answer(403, json!({ "code": 403, "message": "Too many feeds created: the limit is 20" }));
    world.until(|s| s.last_error.is_some()).await;
    let told = world.state.borrow().last_error.clone();
    assert_eq!(told.as_deref(), Some("the agent answered 403: Too many feeds created: the limit is 20; next try in 1 s"));
    assert!(timeout(A_WHILE, agent(&mut world).call()).await.is_err(), "slowly");
    agent(&mut world).opened("f1_f", true).await;
}

#[tokio::test]
async fn a_feed_whose_making_was_never_heard_of_is_found_and_counts_as_new() {
    let mut world = world().await;
    agent(&mut world).call_soon().await.answer(200, "[]");
    let create = agent(&mut world).call_soon().await;
    assert_eq!((create.method.as_str(), create.path.as_str()), ("POST", ""));
    drop(create);
    agent(&mut world).call_soon().await.answer(200, json!([{ "id": "f1_f" }]));
    assert_eq!(agent(&mut world).call_soon().await.path, "/f1_f/read");
    world.until(|s| s.connected && s.feeds_created == 1).await;
}

#[tokio::test]
async fn each_read_takes_the_tokens_of_its_hour() {
    let mut world = world().await;
    let mut poll = opened(&mut world).await;
    world.session.renew(1).await.unwrap();
    poll.answer(200, json!({ "events": [], "ackId": "a1" })).await;
    assert_eq!(poll.next().await.token, "2");
}

#[tokio::test]
async fn a_half_open_connection_is_noticed_and_then_the_whole_feed_given_up() {
    let pace = Pace { read_wait: Duration::from_millis(150), watchdog: Duration::from_millis(400), ..PACE };
    let mut world = World::with(Over::LongPolls, pace).await;
    let mut poll = opened(&mut world).await;
    poll.answer(200, json!({ "events": [], "ackId": "a1" })).await;
    // From now on the agent answers everything but the reads of this feed.
    let (mut hanging, mut deleted) = (Vec::new(), 0);
    let began = Instant::now();
    loop {
        let call = agent(&mut world).call_soon().await;
        match (call.method.as_str(), call.path.as_str()) {
            ("GET", _) => call.answer(200, json!([{ "id": "f1_f" }])),
            ("POST", "") => call.answer(201, json!({ "id": "f2_f" })),
            ("DELETE", "/f1_f") => {
                deleted += 1;
                call.answer(204, "");
            }
            ("POST", "/f2_f/read") => break call.answer(200, json!({ "events": [], "ackId": "b1" })),
            ("POST", "/f1_f/read") => hanging.push(call),
            (method, path) => panic!("{method} {path}"),
        }
    }
    assert_eq!(deleted, 1);
    assert!(hanging.len() >= 4 && began.elapsed() >= pace.watchdog * 2, "{} reads", hanging.len());
    world.until(|s| s.connected && s.feeds_created == 1 && s.feed_id.as_deref() == Some("f2_f")).await;
    assert_eq!(world.state.borrow().reconnects.get("silent"), Some(&2), "first all but the feed, then the feed");
}

#[tokio::test]
async fn while_nobody_answers_at_all_the_feed_is_not_given_up() {
    let pace = Pace { read_wait: Duration::from_millis(100), watchdog: Duration::from_millis(150), ..PACE };
    let mut world = World::with(Over::LongPolls, pace).await;
    drop(opened(&mut world).await);
    let until = Instant::now() + pace.watchdog * 6;
    while Instant::now() < until {
        agent(&mut world).call_soon().await.answer(503, "<html>");
    }
    let (_poll, opening) = agent(&mut world).opened("f1_f", false).await;
    assert_eq!(opening.feed.as_deref(), Some("f1_f"));
    assert_eq!(world.state.borrow().feeds_created, 0);
}

#[tokio::test]
async fn an_agent_that_always_answers_at_once_is_asked_in_peace() {
    let pace = Pace { first: Duration::from_millis(100), ..PACE };
    for events in [json!([]), json!([message("m1", "s1", 1)])] {
        let mut world = World::with(Over::LongPolls, pace).await;
        let mut poll = opened(&mut world).await;
        let (began, mut reads) = (Instant::now(), 0);
        while began.elapsed() < Duration::from_secs(1) {
            poll.answer(200, json!({ "events": events, "ackId": "a" })).await;
            reads += 1;
            poll.acked().await;
        }
        assert!((3..=14).contains(&reads), "{reads} reads in a second");
    }
}

#[tokio::test]
async fn news_are_fetched_without_a_pause() {
    let pace = Pace { first: SOON, ..PACE };
    let mut world = World::with(Over::LongPolls, pace).await;
    let mut poll = opened(&mut world).await;
    for nth in 0..20 {
        poll.answer(200, json!({ "events": [message(&format!("m{nth}"), "s1", nth)], "ackId": format!("a{nth}") })).await;
        assert_eq!(poll.acked().await, format!("a{nth}"));
    }
}
