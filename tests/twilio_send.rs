//! What leaves for Twilio's REST API, what each kind of answer says for certain, and what its lists show.
#![allow(clippy::unwrap_used)] // Test helpers fail loudly.
use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use liaison::adapters::store::{KeyRing, MemoryStore};
use liaison::adapters::twilio::list::NoAnswer;
use liaison::adapters::twilio::poll::Cut;
use liaison::adapters::twilio::{Poll, Settings, Twilio};
use liaison::adapters::vault::Vault;
use liaison::adapters::whatsapp::LineHealth;
use liaison::domain::case::Record;
use liaison::domain::commit::{Commit, Put};
use liaison::domain::effect::{Address, Attempt, Body, Effect, LookUp, Outcome, Prepared, Send};
use liaison::domain::event::{Content, Delivery, Event, Fact};
use liaison::domain::ids::*;
use liaison::domain::lane::{Due, DueState};
use liaison::domain::media::{Kind, Media, MediaState, Source};
use liaison::domain::time::{Span, Timestamp};
use liaison::flow::lanes::Head;
use liaison::flow::turn::{Means, Next, Turn};
use liaison::ports::{Clock, Inbox, Later, Pacing, Performer, Receipt, Store};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

const NOW: Timestamp = Timestamp(1_800_000_000_000);
const ACCOUNT: &str = "AC00000000000000000000000000000001";
const LINE: &str = "+12025550143";
const ANN: &str = "+14155550123";
const SM: &str = "SM11111111111111111111111111111111";

struct Noon;
impl Clock for Noon {
    fn now(&self) -> Timestamp {
        NOW
    }
}

// ---- a server that answers what a test tells it

#[derive(Clone, Debug)]
struct Asked {
    method: Method,
    path: String,
    query: Vec<(String, String)>,
    authorization: Option<String>,
    form: Vec<(String, String)>,
}

struct Server {
    url: String,
    asked: Arc<Mutex<Vec<Asked>>>,
}

fn pairs(text: &[u8]) -> Vec<(String, String)> {
    url::form_urlencoded::parse(text).into_owned().collect()
}

impl Server {
    /// `answer` gets its own address, what was asked, and how often that path was asked before.
    async fn new(answer: impl Fn(&str, &Asked, usize) -> Response + std::marker::Send + Sync + 'static) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked: Arc<Mutex<Vec<Asked>>> = Arc::default();
        let (base, log, answer) = (url.clone(), asked.clone(), Arc::new(answer));
        let handler = move |method: Method, uri: Uri, headers: HeaderMap, body: Bytes| {
            let asked = Asked {
                method,
                path: uri.path().to_owned(),
                query: pairs(uri.query().unwrap_or_default().as_bytes()),
                authorization: headers.get("authorization").map(|value| value.to_str().unwrap().to_owned()),
                form: pairs(&body),
            };
            let before = log.lock().unwrap().iter().filter(|earlier| earlier.path == asked.path).count();
            let response = answer(&base, &asked, before);
            log.lock().unwrap().push(asked);
            async move { response }
        };
        tokio::spawn(async move { axum::serve(listener, Router::new().fallback(handler)).await.unwrap() });
        Server { url, asked }
    }

    fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

fn answer(status: u16, body: impl Into<String>) -> Response {
    (StatusCode::from_u16(status).unwrap(), body.into()).into_response()
}

fn complaint(status: u16, code: i64) -> Response {
    let body = json!({ "code": code, "message": "What is wrong", "more_info": "https://www.twilio.com/docs/errors/1", "status": status });
    answer(status, body.to_string())
}

fn client_of(url: &str, answer_within: Duration) -> Twilio {
    let settings = Settings {
        api_url: format!("{url}/"),
        account_sid: ACCOUNT.to_owned(),
        user: "SK1".to_owned(),
        password: "key-secret".to_owned(),
        public_url: "https://bot.example.com/".to_owned(),
        auth_tokens: vec!["token".to_owned()],
        ca: None,
        proxy: None,
        answer_within,
    };
    Twilio::new(settings, Arc::new(Noon), Arc::new(LineHealth::default())).unwrap()
}

fn client(url: &str) -> Twilio {
    client_of(url, Duration::from_secs(5))
}

fn to_ann(text: &str) -> (Send, Prepared) {
    let send = Send {
        message: MessageId::new("m-1A2B3C4D"),
        contact: ContactId::new("c-1A2B3C4D"),
        channel: Channel::Sms,
        line: LineId::new(LINE),
        to: Address { phone: Phone::from_e164(ANN), ..Address::default() },
        room: None,
        body: Body::Text(text.to_owned()),
    };
    (send, Prepared::Text { text: text.to_owned() })
}

async fn sent(response: impl Fn() -> Response + std::marker::Send + Sync + 'static) -> (Attempt, Twilio, Server) {
    let server = Server::new(move |_, _, _| response()).await;
    let client = client(&server.url);
    let (send, prepared) = to_ann("Good morning");
    (client.send(&send, &prepared).await, client, server)
}

fn not_before(attempt: Attempt) -> Span {
    match attempt {
        Attempt::NotYet { not_before, .. } => not_before - NOW,
        other => panic!("{other:?}"),
    }
}

// ---- one message

#[tokio::test]
async fn a_message_leaves_as_a_form_with_our_id_in_the_callback() {
    let (attempt, client, server) =
        sent(|| answer(201, json!({ "sid": SM, "status": "queued", "num_segments": "1" }).to_string())).await;
    assert_eq!(attempt, Attempt::Ended(Outcome::Done { external_id: Some(SM.to_owned()) }));
    let asked = server.asked();
    assert_eq!((asked.len(), asked[0].method.as_str()), (1, "POST"));
    assert_eq!(asked[0].path, format!("/2010-04-01/Accounts/{ACCOUNT}/Messages.json"));
    assert_eq!(asked[0].authorization.as_deref(), Some(format!("Basic {}", STANDARD.encode("SK1:key-secret")).as_str()));
    let text = |pair: &(String, String)| format!("{}={}", pair.0, pair.1);
    assert_eq!(
        asked[0].form.iter().map(text).collect::<Vec<_>>(),
        [
            format!("To={ANN}"),
            format!("From={LINE}"),
            "Body=Good morning".to_owned(),
            "StatusCallback=https://bot.example.com/webhooks/twilio/status?m=m-1A2B3C4D".to_owned(),
        ]
    );
    assert_eq!(client.health().watch().borrow().get(&LineId::new(LINE)), Some(&None), "the line works");
}

#[tokio::test]
async fn a_picture_leaves_by_an_address_of_ours_that_ends() {
    let server = Server::new(|_, _, _| answer(201, json!({ "sid": "MM1" }).to_string())).await;
    let client = client(&server.url);
    let (mut send, _) = to_ann("");
    send.body = Body::Media { file: Box::new(picture("image/png")), caption: Some("Look".to_owned()) };
    let attempt = client.send(&send, &Prepared::Media { caption: Some("Look".to_owned()) }).await;
    assert_eq!(attempt, Attempt::Ended(Outcome::Done { external_id: Some("MM1".to_owned()) }));
    let form = server.asked()[0].form.clone();
    let names: Vec<&str> = form.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!((names, form[2].1.as_str()), (vec!["To", "From", "Body", "MediaUrl", "StatusCallback"], "Look"));
    let key = form[3].1.strip_prefix("https://bot.example.com/media/f-1A2B3C4D?key=").unwrap();
    assert!(client.opens("f-1A2B3C4D", key) && !client.opens("f-1A2B3C4E", key));
    client.send(&send, &Prepared::Media { caption: None }).await;
    assert!(server.asked()[1].form.iter().all(|(name, _)| name != "Body"), "an empty body is none");
}

#[tokio::test]
async fn what_cannot_be_sent_is_not_tried() {
    let server = Server::new(|_, _, _| answer(201, "{}")).await;
    let client = client(&server.url);
    let (mut send, prepared) = to_ann("x");
    send.to.phone = None;
    let told = |attempt: Attempt| matches!(attempt, Attempt::Ended(Outcome::Failed { code, .. }) if code == "unsendable");
    assert!(told(client.send(&send, &prepared).await));
    let (send, _) = to_ann("x");
    assert!(told(client.send(&send, &Prepared::Plain).await) && server.asked().is_empty());
}

#[tokio::test]
async fn a_refusal_fails_with_its_code_whichever_form_it_has() {
    for code in [21211, 21408, 21606, 21610, 21612, 21614, 21617, 21620, 99999] {
        let (attempt, client, _) = sent(move || complaint(400, code)).await;
        let (code, detail) = (code.to_string(), "What is wrong".to_owned());
        assert_eq!(attempt, Attempt::Ended(Outcome::Failed { code, detail }));
        assert!(client.health().watch().borrow().is_empty(), "other messages go on");
    }
    let newer = json!({ "type": "about:blank", "title": "Bad", "status": 400, "code": "21610", "detail": "Unsubscribed" });
    let (attempt, ..) = sent(move || answer(400, newer.to_string())).await;
    assert_eq!(attempt, Attempt::Ended(Outcome::Failed { code: "21610".into(), detail: "Unsubscribed".into() }));
}

#[tokio::test]
async fn too_fast_is_certainly_not_sent_and_the_line_rests_as_long_as_it_is_told() {
    let line = LineId::new(LINE);
    let limited = |after: Option<&'static str>| {
        move || {
            let mut response = complaint(429, 20429);
            if let Some(after) = after {
                response.headers_mut().insert("retry-after", after.parse().unwrap());
            }
            response
        }
    };
    let (attempt, client, _) = sent(limited(Some("17"))).await;
    assert_eq!(not_before(attempt), Span::seconds(17));
    assert_eq!(client.may_go(&line, NOW), Err(NOW + Span::seconds(17)));
    assert_eq!(not_before(sent(limited(None)).await.0), Span::seconds(5));
    assert_eq!(not_before(sent(limited(Some("99999"))).await.0), Span::hours(1), "nobody is made to wait for ever");
    let (attempt, ..) = sent(|| answer(429, "a proxy's words")).await;
    assert_eq!(not_before(attempt), Span::seconds(5));
    assert_eq!(not_before(sent(|| complaint(400, 21611)).await.0), Span::minutes(1), "its queue is full");
}

#[tokio::test]
async fn refused_credentials_stop_the_line_and_keep_the_message() {
    let line = LineId::new(LINE);
    type Refused = fn() -> Response;
    let table: [(Refused, &str); 4] = [
        (|| complaint(401, 20003), "20003"),
        (|| answer(401, ""), "20003"),
        (|| complaint(403, 20005), "20005"),
        (|| complaint(404, 20404), "20404"),
    ];
    for (refused, code) in table {
        let (attempt, client, _) = sent(refused).await;
        assert_eq!(not_before(attempt), Span::minutes(1));
        assert_eq!(client.health().watch().borrow()[&line].as_ref().unwrap().code, code);
        assert_eq!(client.may_go(&line, NOW), Err(NOW + Span::minutes(1)));
    }
}

#[tokio::test]
async fn what_may_have_been_carried_out_is_unknown() {
    let unknown = |attempt: &Attempt| matches!(attempt, Attempt::Ended(Outcome::Unknown { .. }));
    for status in [500, 502, 503, 504, 302, 408] {
        let (attempt, ..) = sent(move || complaint(status, 20500)).await;
        assert!(unknown(&attempt), "{status}: {attempt:?}");
    }
    for (status, body) in [(201, "{}"), (201, "no json"), (200, r#"{"sid":"../x"}"#), (403, "<html>a proxy"), (404, "")] {
        let (attempt, ..) = sent(move || answer(status, body)).await;
        assert!(unknown(&attempt), "{status} {body}: {attempt:?}");
    }
}

#[tokio::test]
async fn a_refused_connection_is_certain_and_a_broken_or_silent_one_is_not() {
    let (send, prepared) = to_ann("x");
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    assert_eq!(not_before(client(&url).send(&send, &prepared).await), Span::seconds(1));

    let breaks = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", breaks.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut tcp, _)) = breaks.accept().await {
            let _gone = tcp.write_all(b"HTTP/1.1 201 Created\r\nContent-Length: 100\r\n\r\n{\"sid\"").await;
        }
    });
    let attempt = client(&url).send(&send, &prepared).await;
    assert!(matches!(attempt, Attempt::Ended(Outcome::Unknown { .. })), "{attempt:?}");

    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    let attempt = client_of(&url, Duration::from_millis(200)).send(&send, &prepared).await;
    assert_eq!(attempt, Attempt::Ended(Outcome::Unknown { why: "no answer in time: operation timed out".to_owned() }));
}

// ---- did it go?

fn date(at: Timestamp) -> String {
    jiff::fmt::rfc2822::to_string(&jiff::Timestamp::from_millisecond(at.0).unwrap().to_zoned(jiff::tz::TimeZone::UTC)).unwrap()
}

fn listed(sid: &str, body: &str, at: Timestamp) -> Value {
    json!({ "sid": sid, "direction": "outbound-api", "from": LINE, "to": ANN, "body": body, "status": "sent", "num_media": "0",
        "error_code": null, "error_message": null, "date_created": date(at), "date_sent": date(at) })
}

fn page(messages: &[Value]) -> Response {
    answer(200, json!({ "messages": messages, "next_page_uri": null, "page": 0 }).to_string())
}

async fn found(messages: Vec<Value>, taken: Timestamp) -> LookUp {
    let server = Server::new(move |_, _, _| page(&messages)).await;
    let (send, prepared) = to_ann("Good morning");
    let found = client(&server.url).look_up(&send, &prepared, taken).await;
    let asked = server.asked();
    assert_eq!((asked.len(), asked[0].method.as_str()), (1, "GET"));
    assert_eq!(asked[0].query[..2], [("To".to_owned(), ANN.to_owned()), ("From".to_owned(), LINE.to_owned())]);
    found
}

#[tokio::test]
async fn a_doubtful_message_is_found_by_its_words_and_its_time() {
    let taken = NOW - Span::seconds(30) - Span(400);
    let it = |at: Timestamp| listed("SM1", "Good morning", at);
    let is = |sid: &str| LookUp::Found { external_id: Some(sid.to_owned()) };
    assert_eq!(found(vec![it(taken)], taken).await, is("SM1"), "its whole second began before the taking");
    assert_eq!(
        found(vec![listed("SM2", "Good morning", NOW), it(taken + Span::seconds(1))], taken).await,
        is("SM1"),
        "the first"
    );
    assert_eq!(found(vec![], taken).await, LookUp::Absent);
    assert_eq!(found(vec![listed("SM1", "Good evening", taken)], taken).await, LookUp::Absent);
    assert_eq!(found(vec![it(taken - Span::minutes(2))], taken).await, LookUp::Absent, "that was an earlier one");
    assert_eq!(found(vec![it(taken - Span::seconds(10))], taken).await, LookUp::Unclear, "by which clock?");
    assert_eq!(found(vec![], NOW - Span::seconds(29)).await, LookUp::Unclear, "it may not be listed yet");
    let mut dateless = it(taken);
    dateless["date_created"] = Value::Null;
    assert_eq!(found(vec![dateless], taken).await, LookUp::Unclear);
    let mut theirs = it(taken);
    theirs["direction"] = "inbound".into();
    assert_eq!(found(vec![theirs], taken).await, LookUp::Absent, "the client's own words");
}

#[tokio::test]
async fn a_list_that_was_not_read_to_its_end_says_nothing_of_what_is_not_there() {
    let taken = NOW - Span::minutes(1);
    let (send, prepared) = to_ann("Good morning");
    for status in [500, 401, 429] {
        let server = Server::new(move |_, _, _| complaint(status, 20003)).await;
        assert_eq!(client(&server.url).look_up(&send, &prepared, taken).await, LookUp::Unclear, "{status}");
    }
    let endless = |next: String| {
        move |_: &str, _: &Asked, _: usize| {
            answer(200, json!({ "messages": [listed("SM9", "other", NOW)], "next_page_uri": next }).to_string())
        }
    };
    let next = "/2010-04-01/Accounts/AC00000000000000000000000000000001/Messages.json?PageSize=100&Page=1&PageToken=x";
    let server = Server::new(endless(next.to_owned())).await;
    assert_eq!(client(&server.url).look_up(&send, &prepared, taken).await, LookUp::Unclear);
    assert_eq!(server.asked().len(), 10);
    let elsewhere = Server::new(|_, _, _| page(&[])).await;
    let astray = Server::new(endless(format!("{}{next}", elsewhere.url))).await;
    assert_eq!(client(&astray.url).look_up(&send, &prepared, taken).await, LookUp::Unclear);
    assert!(elsewhere.asked().is_empty(), "the credentials go to no other host");
    let second = Server::new(move |_, _, before| {
        let messages =
            if before == 0 { json!([listed("SM9", "other", NOW)]) } else { json!([listed("SM1", "Good morning", taken)]) };
        answer(200, json!({ "messages": messages, "next_page_uri": if before == 0 { Some(next) } else { None } }).to_string())
    });
    let second = second.await;
    let found = client(&second.url).look_up(&send, &prepared, taken).await;
    assert_eq!(found, LookUp::Found { external_id: Some("SM1".to_owned()) });
    assert!(second.asked()[1].query.contains(&("PageToken".to_owned(), "x".to_owned())));
}

/// Nobody performs anything here.
struct Idle;
impl Performer for Idle {
    fn prepare(&self, _: &EffectId, _: &Effect) -> Result<Prepared, String> {
        Err("nothing is prepared".to_owned())
    }
    fn perform<'a>(&'a self, _: &'a EffectId, _: &'a Effect, _: &'a Prepared) -> Later<'a, Attempt> {
        unreachable!("nothing is performed")
    }
    fn look_up<'a>(&'a self, _: &'a Due) -> Later<'a, LookUp> {
        unreachable!("the test looks up")
    }
}
impl Pacing for Idle {
    fn may_go(&self, _: &Effect, _: Timestamp) -> Result<(), Timestamp> {
        Ok(())
    }
}

/// The turn of a message whose end nobody knows, and what is to be done first.
fn doubtful(channel: Channel) -> (Turn, Next, Due) {
    let (send, _) = to_ann("Good morning");
    let due = Due {
        id: EffectId::new("e/0"),
        lane: "to/x/c-1A2B3C4D".to_owned(),
        place_in_lane: 1,
        effect: Effect::Send(Send { channel, ..send }),
        state: DueState::Doubtful { since: NOW - Span::seconds(30) },
        attempt: 1,
        since: NOW - Span::minutes(1),
        tried_since: Some(NOW - Span::minutes(1)),
    };
    let store = MemoryStore::new();
    let put = Put { key: due.key(), value: Some(serde_json::to_vec(&due).unwrap()), sealed_for: None };
    let commit = Commit { cause: EventId::new("e"), at: NOW, read: vec![], puts: vec![put], entries: vec![], raw: None };
    store.commit(commit).unwrap();
    let head = Head { key: due.key(), lane: due.lane.clone(), attempt: 1, doubtful_since: Some(NOW) };
    let means = Means { store: &store, performer: &Idle, pacing: &Idle, clock: &Noon };
    let (turn, next) = Turn::begin(&head, means);
    (turn, next, due)
}

fn reported(next: Next) -> Fact {
    match next {
        Next::Report(event) => event.fact,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_doubtful_sms_is_looked_up_before_the_lane_goes_on_and_a_whatsapp_message_cannot_be() {
    let (turn, next, due) = doubtful(Channel::Sms);
    assert!(matches!(next, Next::LookUp(ref asked) if **asked == due), "{next:?}");
    let found = turn.looked_up(&due, LookUp::Found { external_id: Some("SM1".to_owned()) }, NOW);
    let done = Outcome::Done { external_id: Some("SM1".to_owned()) };
    assert_eq!(reported(found), Fact::EffectEnded { key: due.key(), attempt: 1, outcome: done });
    assert!(matches!(reported(turn.looked_up(&due, LookUp::Absent, NOW)), Fact::EffectPutOff { .. }));
    assert_eq!(reported(turn.looked_up(&due, LookUp::Unclear, NOW)), Fact::DoubtIsOld { key: due.key() });
    let (_, next, due) = doubtful(Channel::WhatsApp);
    assert_eq!(reported(next), Fact::DoubtIsOld { key: due.key() });
}

// ---- what webhooks did not tell

#[derive(Default)]
struct Book(Mutex<Vec<Event>>);

struct Kept(Arc<Book>, Receipt);
impl Inbox for Kept {
    fn deliver(&self, event: Event) -> Later<'static, Receipt> {
        self.0.0.lock().unwrap().push(event);
        Box::pin(std::future::ready(self.1))
    }
}

fn poll(server: &Server, receipt: Receipt) -> (Poll, Arc<Book>) {
    let book: Arc<Book> = Arc::default();
    let inbox = Arc::new(Kept(book.clone(), receipt));
    let lines = vec![LineId::new(LINE)];
    (Poll { twilio: Arc::new(client(&server.url)), lines, inbox, clock: Arc::new(Noon) }, book)
}

fn inbound(sid: &str, body: &str, media: usize, at: Timestamp) -> Value {
    json!({ "sid": sid, "direction": "inbound", "from": ANN, "to": LINE, "body": body, "status": "received",
        "num_media": media.to_string(), "date_created": date(at), "date_sent": date(at) })
}

fn outbound(sid: &str, status: &str, code: Value) -> Value {
    let mut message = listed(sid, "x", NOW);
    message["status"] = status.into();
    message["error_code"] = code;
    message
}

fn lists(_: &str, asked: &Asked, _: usize) -> Response {
    if asked.path.ends_with("/Messages/MM2/Media.json") {
        let media = json!({ "media_list": [{ "sid": "ME1", "content_type": "image/png" }, { "sid": "../x" }] });
        return answer(200, media.to_string());
    }
    let side = &asked.query[0];
    match side.0.as_str() {
        // Newest first, as they come.
        "To" => page(&[
            inbound("MM2", "look", 2, NOW - Span::seconds(10)),
            inbound("SM1", "Hello", 0, NOW - Span::minutes(1)),
            inbound("SM0", "long ago", 0, NOW - Span::hours(3)),
        ]),
        _ => page(&[
            outbound("SM8", "sending", Value::Null),
            outbound("SM7", "failed", json!(21610)),
            outbound("SM6", "delivered", Value::Null),
        ]),
    }
}

#[tokio::test]
async fn a_lost_webhook_is_found_in_the_list_and_becomes_the_same_event() {
    let server = Server::new(lists).await;
    let (poll, book) = poll(&server, Receipt::Kept);
    poll.look(&LineId::new(LINE), NOW - Span::hours(1)).await.unwrap();
    let events = std::mem::take(&mut *book.0.lock().unwrap());
    let ids: Vec<&str> = events.iter().map(|event| event.id.as_str()).collect();
    assert_eq!(ids, ["sms:SM1", "sms:MM2", "sms:MM2/0", "status:SM6/delivered", "status:SM7/failed"]);
    let Fact::ClientMessage(hello) = &events[0].fact else { panic!() };
    assert_eq!((&hello.content, hello.line.as_str()), (&Content::Text("Hello".to_owned()), LINE));
    assert_eq!(events[0].at, NOW - Span::minutes(1));
    let Fact::ClientMessage(look) = &events[2].fact else { panic!() };
    assert!(matches!(&look.content, Content::Media(file) if file.id == "MM2/ME1" && file.kind == Kind::Picture));
    let Fact::DeliveryReported(failed) = &events[4].fact else { panic!() };
    assert_eq!((failed.ours.as_ref(), failed.id.as_str()), (None, "SM7"));
    assert_eq!(failed.status, Delivery::Failed { code: "21610".to_owned(), detail: String::new(), of_line: false });
    let asked = server.asked();
    let since = ("DateSent>".to_owned(), "2027-01-15T07:00:00Z".to_owned());
    assert!(asked[0].query.contains(&since) && asked[0].query.contains(&("PageSize".to_owned(), "100".to_owned())), "{asked:?}");
}

#[tokio::test]
async fn a_look_that_was_cut_says_so() {
    let server = Server::new(lists).await;
    let (full, book) = poll(&server, Receipt::NotNow);
    let cut = full.look(&LineId::new(LINE), NOW - Span::hours(1)).await;
    assert!(matches!(cut, Err(Cut::NotNow)) && book.0.lock().unwrap().len() == 1, "what comes after must not overtake it");
    let refusing = Server::new(|_, _, _| complaint(401, 20003)).await;
    let (refused, _) = poll(&refusing, Receipt::Kept);
    let cut = refused.look(&LineId::new(LINE), NOW).await;
    assert!(matches!(cut, Err(Cut::NoAnswer(NoAnswer::Refused { code: 20003, .. }))));
}

// ---- a client's files

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n and more of it";

fn picture(mime: &str) -> Media {
    Media {
        id: MediaId::new("f-1A2B3C4D"),
        contact: ContactId::new("c-1A2B3C4D"),
        kind: Kind::Picture,
        mime: mime.to_owned(),
        name: "chart.png".to_owned(),
        size: None,
        sha256: None,
        source: Source::Client { line: LineId::new(LINE), id: "MM1/ME1".to_owned() },
        state: MediaState::Wanted,
        uploaded: None,
    }
}

fn vault() -> (tempfile::TempDir, Vault) {
    let folder = tempfile::tempdir().unwrap();
    let keys = Arc::new(KeyRing::open(&folder.path().join("keys"), true).unwrap());
    let vault = Vault::open(folder.path(), keys).unwrap();
    (folder, vault)
}

fn redirect(to: &str) -> Response {
    (StatusCode::TEMPORARY_REDIRECT, [("location", to.to_owned())]).into_response()
}

async fn fetched(server: &Server, id: &str, mime: &str) -> Attempt {
    let (_folder, vault) = vault();
    client(&server.url).fetch(id, &picture(mime), &vault).await
}

fn code_of(attempt: Attempt) -> String {
    match attempt {
        Attempt::Ended(Outcome::Failed { code, .. }) => code,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_file_is_fetched_with_our_credentials_and_its_redirect_is_followed_without_them() {
    let server = Server::new(|base, asked, _| match asked.path.as_str() {
        "/cdn/1" => answer_bytes(PNG),
        _ => redirect(&format!("{base}/cdn/1")),
    })
    .await;
    let attempt = fetched(&server, "MM1/ME1", "image/png").await;
    assert!(matches!(attempt, Attempt::Ended(Outcome::Done { external_id: Some(_) })), "{attempt:?}");
    let asked = server.asked();
    assert_eq!(asked[0].path, format!("/2010-04-01/Accounts/{ACCOUNT}/Messages/MM1/Media/ME1"));
    assert_eq!((asked[0].authorization.is_some(), asked[1].authorization.is_some()), (true, false));
}

fn answer_bytes(bytes: &'static [u8]) -> Response {
    (StatusCode::OK, bytes).into_response()
}

#[tokio::test]
async fn a_recording_is_fetched_as_mp3_and_the_bytes_must_bear_it_out() {
    let server =
        Server::new(|_, asked, _| answer_bytes(if asked.path.ends_with("RE1.mp3") { b"ID3\x04 sound" } else { b"<html>" })).await;
    let attempt = fetched(&server, "recording/RE1", "audio/mpeg").await;
    assert!(matches!(attempt, Attempt::Ended(Outcome::Done { .. })), "{attempt:?}");
    assert_eq!(server.asked()[0].path, format!("/2010-04-01/Accounts/{ACCOUNT}/Recordings/RE1.mp3"));
    assert_eq!(code_of(fetched(&server, "recording/RE2", "audio/mpeg").await), "wrong-type");
}

#[tokio::test]
async fn a_file_that_is_not_there_yet_is_asked_for_again() {
    let late = Server::new(|_, _, before| if before < 2 { complaint(404, 20404) } else { answer_bytes(PNG) }).await;
    let begun = std::time::Instant::now();
    let attempt = fetched(&late, "MM1/ME1", "image/png").await;
    assert!(matches!(attempt, Attempt::Ended(Outcome::Done { .. })), "{attempt:?}");
    assert!((Duration::from_millis(3_900)..Duration::from_secs(10)).contains(&begun.elapsed()));
    let never = Server::new(|_, _, _| complaint(404, 20404)).await;
    let (file, recording) = tokio::join!(fetched(&never, "MM1/ME1", "image/png"), fetched(&never, "recording/RE1", "audio/mpeg"));
    assert_eq!(code_of(file), "no-such-file");
    assert_eq!(not_before(recording), Span::seconds(20), "a recording is made ready in its own time");
    assert_eq!(never.asked().len(), 6);
}

#[tokio::test]
async fn a_redirect_leads_to_no_machine_of_ours_and_not_round_and_round() {
    for target in
        ["http://127.0.0.2:1/x", "https://127.0.0.1/x", "https://[::1]/x", "http://example.com/x", "ftp://example.com/x"]
    {
        let server = Server::new(move |_, _, _| redirect(target)).await;
        assert_eq!(code_of(fetched(&server, "MM1/ME1", "image/png").await), "wrong-host", "{target}");
    }
    let round = Server::new(|base, _, _| redirect(&format!("{base}/again"))).await;
    assert_eq!(code_of(fetched(&round, "MM1/ME1", "image/png").await), "wrong-host");
    assert_eq!(round.asked().len(), 4);
    let local = Server::new(|_, _, _| redirect("https://localhost:1/x")).await;
    assert_eq!(not_before(fetched(&local, "MM1/ME1", "image/png").await), Span::seconds(1), "a name of ours opens nothing");
    let nothing = Server::new(|_, _, _| answer_bytes(PNG)).await;
    assert_eq!(code_of(fetched(&nothing, "MM1/../ME1", "image/png").await), "no-such-file");
    assert!(nothing.asked().is_empty());
}

#[tokio::test]
async fn a_file_that_the_api_refuses_just_now_is_asked_for_later() {
    for status in [401, 403, 429, 500, 503] {
        let server = Server::new(move |_, _, _| complaint(status, 1)).await;
        assert_eq!(not_before(fetched(&server, "MM1/ME1", "image/png").await), Span::seconds(5), "{status}");
    }
    let gone = Server::new(|_, _, _| complaint(410, 1)).await;
    assert_eq!(code_of(fetched(&gone, "MM1/ME1", "image/png").await), "no-such-file");
}
