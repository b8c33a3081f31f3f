//! The platform's calls and effects against a small pod that answers what a test tells it.
#![allow(clippy::unwrap_used)]
use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use base64::Engine;
use liaison::adapters::symphony::{LoginError, Symphony, SymphonySettings};
use liaison::domain::effect::{Attempt, LookUp, OpenRoom, Outcome, Place};
use liaison::domain::ids::{EffectId, RoomKey, StreamId, UserId};
use liaison::domain::time::Timestamp;
use liaison::ports::Clock;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;

const NOW: Timestamp = Timestamp(1_790_000_000_000);

struct Still;
impl Clock for Still {
    fn now(&self) -> Timestamp {
        NOW
    }
}

struct Asked {
    /// `POST /pod/v1/im/create`, without the query.
    call: String,
    query: String,
    body: String,
}

type Answer = (u16, Value);
type Script = Arc<dyn Fn(&Asked, usize) -> Answer + Send + Sync>;

struct Pod {
    symphony: Symphony,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Pod {
    /// `script` gets the call and how many calls of its kind came before.
    async fn new(script: impl Fn(&Asked, usize) -> Answer + Send + Sync + 'static) -> Pod {
        let asked: Arc<Mutex<Vec<Asked>>> = Arc::default();
        let url = serve(Arc::new(script), asked.clone()).await;
        Pod { symphony: Symphony::new(settings(&url), Arc::new(Still)).unwrap(), asked }
    }

    fn calls(&self) -> Vec<String> {
        self.asked.lock().unwrap().iter().map(|a| a.call.clone()).filter(|call| !call.ends_with("authenticate")).collect()
    }

    fn bodies(&self, call: &str) -> Vec<String> {
        self.asked.lock().unwrap().iter().filter(|a| a.call == call).map(|a| a.body.clone()).collect()
    }
}

async fn serve(script: Script, asked: Arc<Mutex<Vec<Asked>>>) -> String {
    let handler = move |method: Method, uri: Uri, headers: HeaderMap, body: Bytes| {
        let ask = Asked {
            call: format!("{method} {}", uri.path()),
            query: uri.query().unwrap_or_default().to_owned(),
            body: String::from_utf8_lossy(&body).into_owned(),
        };
        let (status, value) = answer(&script, &ask, &headers, &asked);
        asked.lock().unwrap().push(ask);
        let retry_after = (status == 429).then_some([("retry-after", "7")]);
        let body = if let Value::String(html) = &value { html.clone() } else { value.to_string() };
        async move { (StatusCode::from_u16(status).unwrap(), retry_after.unwrap_or([("x-none", "")]), body) }
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(handler)).await.unwrap() });
    url
}

fn answer(script: &Script, ask: &Asked, headers: &HeaderMap, asked: &Mutex<Vec<Asked>>) -> Answer {
    let before = asked.lock().unwrap().iter().filter(|a| a.call == ask.call).count();
    if ask.call.ends_with("authenticate") {
        return (200, json!({"name": "x", "token": format!("t{}", before + 1)}));
    }
    assert!(headers.contains_key("sessiontoken"));
    assert_eq!(headers.contains_key("keymanagertoken"), ask.call.contains("/agent/"));
    match ask.call.as_str() {
        "GET /pod/v2/sessioninfo" => (200, json!({"id": 1, "displayName": "Liaison", "novelty": []})),
        _ => script(ask, before),
    }
}

fn settings(url: &str) -> SymphonySettings {
    SymphonySettings {
        pod_url: format!("{url}/"),
        agent_url: url.to_owned(),
        key_manager_url: url.to_owned(),
        username: "liaison".to_owned(),
        private_key_pem: new_key(),
        ca_file: None,
        proxy: None,
    }
}

fn new_key() -> String {
    use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
    let pair = aws_lc_rs::rsa::KeyPair::generate(aws_lc_rs::rsa::KeySize::Rsa2048).unwrap();
    let der: Pkcs8V1Der = pair.as_der().unwrap();
    pem("PRIVATE KEY", der.as_ref())
}

fn pem(label: &str, der: &[u8]) -> String {
    let body = base64::engine::general_purpose::STANDARD.encode(der);
    let lines: Vec<&str> = body.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

fn room() -> Place {
    Place::Stream(StreamId::new("s1"))
}
fn id() -> EffectId {
    EffectId::new("sym:msg:x/0")
}
fn done(external_id: &str) -> Attempt {
    Attempt::Ended(Outcome::Done { external_id: Some(external_id.to_owned()) })
}
fn refusal(status: u16, message: &str) -> Answer {
    (status, json!({"code": status, "message": message}))
}
fn code_of(attempt: Attempt) -> String {
    match attempt {
        Attempt::Ended(Outcome::Failed { code, .. }) => code,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_line_is_posted_with_its_key() {
    let pod = Pod::new(|_, _| (200, json!({"messageId": "Mid+/=="}))).await;
    let data = json!({"liaison": {"type": "liaison.message", "version": "1", "code": "info"}});
    assert_eq!(pod.symphony.post(&id(), &room(), "hi", &data).await, done("Mid-_"));
    let sent = pod.bodies("POST /agent/v4/stream/s1/message/create").remove(0);
    assert!(sent.contains("name=\"message\"") && sent.contains("<messageML>hi</messageML>"), "{sent}");
    assert!(sent.contains(r#"{"liaison":{"type":"liaison.message","version":"1","code":"info","key":"sym:msg:x/0"}}"#), "{sent}");
}

#[tokio::test]
async fn what_a_post_came_to_is_told_as_it_is_certain() {
    let table = [
        (refusal(400, "bad"), "failed symphony-400"),
        (refusal(403, "not a member"), "failed symphony-403"),
        (refusal(404, "no stream"), "failed symphony-404"),
        ((403, json!("<html>somebody in between</html>")), "unknown"),
        ((413, json!("<html>too large</html>")), "failed symphony-413"),
        (refusal(500, "oh"), "unknown"),
        ((502, json!("<html></html>")), "unknown"),
        ((200, json!("no json")), "unknown"),
        ((200, json!({})), "unknown"),
        ((302, json!({})), "unknown"),
        (refusal(429, "slow down"), "not yet 7000"),
        (refusal(401, "never"), "not yet 1000"),
    ];
    for (answer, expected) in table {
        let told = answer.clone();
        let pod = Pod::new(move |_, _| answer.clone()).await;
        let attempt = pod.symphony.post(&id(), &room(), "hi", &json!({})).await;
        let short = match attempt {
            Attempt::Ended(Outcome::Failed { code, .. }) => format!("failed {code}"),
            Attempt::Ended(Outcome::Unknown { .. }) => "unknown".to_owned(),
            Attempt::NotYet { not_before, .. } => format!("not yet {}", (not_before - NOW).0),
            other => format!("{other:?}"),
        };
        assert_eq!(short, expected, "{told:?}");
    }
}

#[tokio::test]
async fn where_nobody_listens_nothing_was_sent() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let symphony = Symphony::new(settings(&url), Arc::new(Still)).unwrap();
    assert!(matches!(symphony.post(&id(), &room(), "hi", &json!({})).await, Attempt::NotYet { .. }));
    assert_eq!(symphony.find_posted(&room(), &id()).await, LookUp::Unclear);
}

#[tokio::test]
async fn a_401_renews_once_and_repeats_the_call() {
    let pod = Pod::new(|_, before| if before == 0 { refusal(401, "expired") } else { (200, json!({"messageId": "m"})) }).await;
    assert_eq!(pod.symphony.post(&id(), &room(), "hi", &json!({})).await, done("m"));
    assert_eq!(pod.bodies("POST /login/pubkey/authenticate").len(), 2);
    assert_eq!(pod.symphony.session().watch().borrow().renewals, 1);
}

#[tokio::test]
async fn a_private_line_goes_to_the_1_to_1_chat_which_is_asked_for_once() {
    let pod = Pod::new(|ask, _| match ask.call.as_str() {
        "GET /pod/v3/users" => {
            assert!(ask.query.contains("email=jane%40acme.com"), "{}", ask.query);
            (200, json!({"users": [{"id": 7, "emailAddress": "Jane@Acme.com"}]}))
        }
        "POST /pod/v1/im/create" => (200, json!({"id": "im/1=="})),
        _ => (200, json!({"messageId": "m"})),
    })
    .await;
    for _ in 0..2 {
        let place = Place::DirectByEmail("jane@ACME.com".to_owned());
        assert_eq!(pod.symphony.post(&id(), &place, "hi", &json!({})).await, done("m"));
    }
    let create = "POST /agent/v4/stream/im_1/message/create";
    assert_eq!(pod.calls(), ["GET /pod/v3/users", "POST /pod/v1/im/create", create, create]);
    assert_eq!(pod.bodies("POST /pod/v1/im/create"), ["[7]"]);
}

#[tokio::test]
async fn nobody_of_this_address_is_a_failure() {
    let pod = Pod::new(|_, _| (204, Value::String(String::new()))).await;
    let place = Place::DirectByEmail("x@y.z".to_owned());
    assert_eq!(code_of(pod.symphony.post(&id(), &place, "hi", &json!({})).await), "symphony-no-such-user");
}

#[tokio::test]
async fn one_whose_own_chat_takes_nothing_is_known_as_gone() {
    for (place_of_no, answer) in
        [("im", refusal(403, "no connection")), ("im", refusal(400, "disabled")), ("post", refusal(403, "no"))]
    {
        let pod = Pod::new(move |ask, _| match (ask.call.as_str(), place_of_no) {
            ("POST /pod/v1/im/create", "im") => answer.clone(),
            ("POST /pod/v1/im/create", _) => (200, json!({"id": "im/1=="})),
            _ => answer.clone(),
        })
        .await;
        let told = pod.symphony.post(&id(), &Place::Direct(UserId(7)), "hi", &json!({})).await;
        assert_eq!(code_of(told), "symphony-no-such-user");
    }
}

// ---- Rooms ----

fn open() -> OpenRoom {
    OpenRoom {
        contact: None,
        key: RoomKey::new("r-7F3KAAAA"),
        name: "Ann Lee".to_owned(),
        otherwise: Some("Ann Lee c-7F3K".to_owned()),
        description: "Ann Lee on WhatsApp".to_owned(),
        owners: vec![UserId(7)],
        members: vec![UserId(8)],
    }
}

fn found(id: &str, created: i64, by: u64, key: &str) -> Value {
    json!({"roomAttributes": {"name": "x", "keywords": [{"key": "liaison", "value": key}]},
        "roomSystemInfo": {"id": id, "creationDate": created, "createdByUserId": by, "active": true}})
}

const CREATE: &str = "POST /pod/v3/room/create";
const SEARCH: &str = "POST /pod/v3/room/search";

#[tokio::test]
async fn a_room_is_created_once_with_its_people() {
    let pod = Pod::new(|ask, _| match ask.call.as_str() {
        SEARCH => (200, json!({"count": 0, "rooms": []})),
        CREATE => (200, json!({"roomSystemInfo": {"id": "r/1=="}})),
        "GET /pod/v2/room/r_1/membership/list" => (200, json!([{"id": 1, "owner": true}])),
        _ => (200, json!({"format": "TEXT", "message": "done"})),
    })
    .await;
    assert_eq!(pod.symphony.open_room(&open()).await, done("r_1\nAnn Lee"));
    let sent: Value = serde_json::from_str(&pod.bodies(CREATE)[0]).unwrap();
    let expected = json!({"name": "Ann Lee", "description": "Ann Lee on WhatsApp", "keywords": [{"key": "liaison", "value": "r-7F3KAAAA"}],
        "membersCanInvite": false, "discoverable": false, "public": false, "crossPod": false, "viewHistory": true});
    assert_eq!(sent, expected);
    let list = "GET /pod/v2/room/r_1/membership/list";
    let (add, promote) = ("POST /pod/v1/room/r_1/membership/add", "POST /pod/v1/room/r_1/membership/promoteOwner");
    assert_eq!(pod.calls(), ["GET /pod/v2/sessioninfo", SEARCH, CREATE, list, add, promote, add]);
    assert_eq!(pod.bodies(add), [r#"{"id":7}"#, r#"{"id":8}"#]);
    // The platform's search may lag: what this process opened it does not open again.
    assert_eq!(pod.symphony.open_room(&open()).await, done("r_1\nAnn Lee"));
    assert_eq!(pod.bodies(CREATE).len(), 1);
}

#[tokio::test]
async fn the_oldest_room_of_ours_with_the_key_is_adopted() {
    let key = "r-7F3KAAAA";
    let pod = Pod::new(move |ask, _| match ask.call.as_str() {
        SEARCH => (200, json!({"rooms": [found("new", 3, 1, key), found("old", 2, 1, key), found("foreign", 1, 99, key), found("other", 0, 1, "r-2")]})),
        _ => (200, json!([{"id": 1, "owner": true}, {"id": 7, "owner": true}, {"id": 8, "owner": false}])),
    })
    .await;
    assert_eq!(pod.symphony.open_room(&open()).await, done("old\nx"), "under the name that it has there");
    assert!(pod.bodies(CREATE).is_empty());
    assert_eq!(pod.symphony.find_room(&open()).await, LookUp::Found { external_id: Some("old\nx".to_owned()) });
}

#[tokio::test]
async fn a_room_without_all_its_people_is_to_be_opened_again() {
    let pod = Pod::new(|ask, _| match ask.call.as_str() {
        SEARCH => (200, json!({"rooms": [found("old", 2, 1, "r-7F3KAAAA")]})),
        _ => (200, json!([{"id": 1, "owner": true}, {"id": 7, "owner": false}])),
    })
    .await;
    assert_eq!(pod.symphony.find_room(&open()).await, LookUp::Absent);
}

#[tokio::test]
async fn a_taken_name_leads_to_the_other_one_or_to_a_failure() {
    let taken = |ask: &Asked, before: usize| match ask.call.as_str() {
        SEARCH => (200, json!({})),
        CREATE if before == 0 || ask.body.contains("never") => refusal(400, "A room with this name already exists"),
        CREATE => (200, json!({"roomSystemInfo": {"id": "r1"}})),
        _ => (200, json!([{"id": 7, "owner": true}, {"id": 8}])),
    };
    let pod = Pod::new(taken).await;
    assert_eq!(pod.symphony.open_room(&open()).await, done("r1\nAnn Lee c-7F3K"), "the name that was used is told");
    assert!(pod.bodies(CREATE)[1].contains("Ann Lee c-7F3K"));
    assert_eq!(pod.symphony.open_room(&open()).await, done("r1\nAnn Lee c-7F3K"), "each time that it is asked for");
    let pod = Pod::new(taken).await;
    assert_eq!(code_of(pod.symphony.open_room(&OpenRoom { otherwise: None, ..open() }).await), "name-taken");
    let pod = Pod::new(taken).await;
    assert_eq!(code_of(pod.symphony.open_room(&OpenRoom { otherwise: Some("never".to_owned()), ..open() }).await), "name-taken");
}

#[tokio::test]
async fn an_unclear_creation_is_in_doubt_and_an_unclear_search_is_not() {
    let pod = Pod::new(|ask, _| if ask.call == SEARCH { (200, json!({})) } else { refusal(500, "oh") }).await;
    assert!(matches!(pod.symphony.open_room(&open()).await, Attempt::Ended(Outcome::Unknown { .. })));
    let pod = Pod::new(|_, _| refusal(503, "oh")).await;
    assert!(matches!(pod.symphony.open_room(&open()).await, Attempt::NotYet { .. }));
}

#[tokio::test]
async fn what_is_so_already_is_done() {
    let pod = Pod::new(|ask, _| match (ask.call.as_str(), ask.query.as_str()) {
        ("GET /pod/v2/room/s1/membership/list", _) => (200, json!([{"id": 7, "owner": false}])),
        ("GET /pod/v3/room/s1/info", _) => (200, json!({"roomSystemInfo": {"active": false}})),
        ("GET /pod/v1/connection/list", "status=ACCEPTED") => (200, json!([{"userId": 7, "status": "ACCEPTED"}])),
        _ => refusal(400, "already"),
    })
    .await;
    let (stream, nothing) = (StreamId::new("s1"), Attempt::Ended(Outcome::Done { external_id: None }));
    assert_eq!(pod.symphony.add_member(&stream, UserId(7), false).await, nothing);
    assert_eq!(pod.symphony.remove_member(&stream, UserId(9)).await, nothing);
    assert_eq!(pod.symphony.deactivate(&stream).await, nothing);
    assert_eq!(pod.symphony.accept_connection(UserId(7)).await, nothing);
    assert_eq!(code_of(pod.symphony.add_member(&stream, UserId(9), false).await), "symphony-400");
    assert_eq!(code_of(pod.symphony.remove_member(&stream, UserId(7)).await), "symphony-400");
}

#[tokio::test]
async fn s1_23_s1_24_an_owner_is_demoted_and_a_room_renamed() {
    const UPDATE: &str = "POST /pod/v3/room/s1/update";
    const DEMOTE: &str = "POST /pod/v1/room/s1/membership/demoteOwner";
    let (stream, nothing) = (StreamId::new("s1"), Attempt::Ended(Outcome::Done { external_id: None }));
    let pod = Pod::new(|ask, _| match ask.call.as_str() {
        UPDATE => (200, json!({"roomSystemInfo": {"id": "s1"}})),
        _ => (200, json!({"format": "TEXT", "message": "Member demoted to participant"})),
    })
    .await;
    assert_eq!(pod.symphony.rename_room(&stream, "Lee family").await, nothing);
    assert_eq!(pod.symphony.demote_member(&stream, UserId(7)).await, nothing);
    assert_eq!(pod.bodies(UPDATE), [r#"{"name":"Lee family"}"#], "nothing else of the room is touched");
    assert_eq!(pod.bodies(DEMOTE), [r#"{"id":7}"#]);
    let pod = Pod::new(|ask, _| match ask.call.as_str() {
        UPDATE => refusal(400, "The room name \"Lee\" is already taken"),
        "GET /pod/v2/room/s1/membership/list" => (200, json!([{"id": 7, "owner": false}, {"id": 8, "owner": true}])),
        _ => refusal(400, "no owner"),
    })
    .await;
    assert_eq!(code_of(pod.symphony.rename_room(&stream, "Lee").await), "name-taken");
    assert_eq!(pod.symphony.demote_member(&stream, UserId(7)).await, nothing, "he is none any more");
    assert_eq!(code_of(pod.symphony.demote_member(&stream, UserId(8)).await), "symphony-400");
    let pod = Pod::new(|_, _| refusal(500, "oh")).await;
    assert!(matches!(pod.symphony.rename_room(&stream, "Lee").await, Attempt::Ended(Outcome::Unknown { .. })));
}

// ---- Look-ups ----

fn posted(id: &str, by: u64, key: &str) -> Value {
    json!({"messageId": id, "user": {"userId": by}, "data": json!({"liaison": {"key": key}}).to_string()})
}

#[tokio::test]
async fn a_posted_line_is_found_by_its_key() {
    let pod = Pod::new(|ask, _| match ask.query.contains("skip=0") {
        true => (200, Value::Array((0..500).map(|n| posted(&format!("m{n}"), 1, "other/0")).collect())),
        false => (200, json!([posted("forged", 7, "sym:msg:x/0"), {"data": 7}, posted("mine", 1, "sym:msg:x/0")])),
    })
    .await;
    assert_eq!(pod.symphony.find_posted(&room(), &id()).await, LookUp::Found { external_id: Some("mine".to_owned()) });
}

#[tokio::test]
async fn only_two_looks_that_both_miss_make_a_line_absent() {
    let pod = Pod::new(|_, _| (204, Value::String(String::new()))).await;
    assert_eq!(pod.symphony.find_posted(&room(), &id()).await, LookUp::Absent);
    assert_eq!(pod.calls().iter().filter(|call| call.ends_with("/message")).count(), 2);
    let pod = Pod::new(|_, before| {
        if before == 0 { (204, Value::String(String::new())) } else { (200, json!([posted("late", 1, "sym:msg:x/0")])) }
    })
    .await;
    assert_eq!(pod.symphony.find_posted(&room(), &id()).await, LookUp::Found { external_id: Some("late".to_owned()) });
}

// ---- Keys ----

#[test]
fn both_forms_of_the_key_are_read() {
    let whole = new_key();
    let body: String = whole.lines().filter(|line| !line.starts_with("-----")).collect();
    let der = base64::engine::general_purpose::STANDARD.decode(body).unwrap();
    // PKCS#8 of a 2048-bit RSA key is a header of 26 bytes before the PKCS#1 structure.
    let inner = pem("RSA PRIVATE KEY", &der[26..]);
    for key in [whole.clone(), inner, whole.replace('\n', "\r\n")] {
        let settings = SymphonySettings { private_key_pem: key, ..settings("http://127.0.0.1:1") };
        assert!(Symphony::new(settings, Arc::new(Still)).is_ok());
    }
}

#[test]
fn a_key_that_cannot_be_used_is_explained() {
    let with = |key: String| SymphonySettings { private_key_pem: key, ..settings("http://127.0.0.1:1") };
    let table = [
        ("nonsense".to_owned(), "no RSA key in PEM"),
        (pem("PRIVATE KEY", b"junk"), "no RSA key in PEM"),
        (pem("RSA PRIVATE KEY", b"junk"), "private_key"),
        (pem("PUBLIC KEY", b"junk"), "the public half"),
        (pem("ENCRYPTED PRIVATE KEY", b"junk"), "passphrase"),
    ];
    for (key, expected) in table {
        let error = Symphony::new(with(key), Arc::new(Still)).err().unwrap();
        assert!(matches!(error, LoginError::Settings { .. }));
        let told = error.to_string();
        assert!(told.contains(expected) && told.contains("[bot] private_key") && told.contains("PKCS#8"), "{told}");
    }
}
