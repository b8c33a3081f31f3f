//! What leaves for each call, and what each kind of answer says for certain.
use super::*;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use liaison::domain::effect::{Body, Prepared, Send};
use liaison::domain::event::JoinRequest;
use liaison::domain::ids::{Channel, ContactId, MessageId};
use liaison::domain::time::Span;
use serde_json::{Value, json};
use std::collections::VecDeque;

const GROUP: &str = "Y2FwaV9ncm91cDoxNzA1NTU1MDEzOToxMjAzNjM0MDQ2OTQyMzM4MjAZD";

/// Answers in turn; the last answer is for all that follow.
struct Stub {
    answers: Mutex<VecDeque<(u16, String)>>,
    asked: Mutex<Vec<(Method, Uri, Value)>>,
}

async fn answered(State(stub): State<Arc<Stub>>, method: Method, uri: Uri, body: Bytes) -> Response {
    let body = if body.is_empty() { Value::Null } else { serde_json::from_slice(&body).unwrap() };
    stub.asked.lock().unwrap().push((method, uri, body));
    let mut answers = stub.answers.lock().unwrap();
    let (status, body) = if answers.len() > 1 { answers.pop_front().unwrap() } else { answers[0].clone() };
    (StatusCode::from_u16(status).unwrap(), body).into_response()
}

async fn stub(answers: &[(u16, Value)]) -> (WhatsApp, Arc<Stub>) {
    let answers = answers.iter().map(|(status, body)| (*status, body.to_string())).collect();
    let stub = Arc::new(Stub { answers: Mutex::new(answers), asked: Mutex::default() });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let app = Router::new().fallback(answered).with_state(stub.clone());
    tokio::spawn(async move { axum::serve(listener, app).await });
    (adapter(&url, &Arc::new(AtomicI64::new(NOON))), stub)
}

/// One call against one answer: how it ended, and what was asked for.
async fn tried(call: GroupCall, status: u16, body: Value) -> (Attempt, (Method, String, Value)) {
    let (whatsapp, stub) = stub(&[(status, body)]).await;
    let attempt = whatsapp.group(&act(call)).await;
    let (method, uri, body) = stub.asked.lock().unwrap().remove(0);
    (attempt, (method, uri.path().to_owned(), body))
}

fn group() -> GroupId {
    GroupId::new(GROUP)
}

fn refusal(code: i64) -> Value {
    json!({"error": {"message": format!("(#{code}) Title"), "type": "OAuthException", "code": code,
        "error_data": {"messaging_product": "whatsapp", "details": "What is wrong."}, "fbtrace_id": "x"}})
}

#[tokio::test]
async fn s4_29_a_group_is_asked_for_with_approval_of_each_request() {
    let answer = json!({"messaging_product": "whatsapp", "request_id": "784D"});
    let (attempt, (method, path, body)) = tried(create("  Lee family  "), 200, answer).await;
    assert_eq!(done(attempt).as_deref(), Some("784D"));
    assert_eq!((method, path.as_str()), (Method::POST, "/v25.0/100000000000001/groups"));
    let expected = json!({"messaging_product": "whatsapp", "subject": "Lee family", "description": "Your advisors: Jane Doe",
        "join_approval_mode": "approval_required"});
    assert_eq!(body, expected);
}

#[tokio::test]
async fn names_and_descriptions_are_never_longer_than_meta_takes() {
    let call = GroupCall::Create { subject: "ü".repeat(129), description: "d".repeat(2_100) };
    let (_, (_, _, body)) = tried(call, 200, json!({"request_id": "1"})).await;
    let length = |key: &str| body[key].as_str().unwrap().chars().count();
    assert_eq!((length("subject"), length("description")), (128, 2_048));
    let exact = GroupCall::Create { subject: "s".repeat(128), description: String::new() };
    let (_, (_, _, body)) = tried(exact, 200, json!({"request_id": "1"})).await;
    assert_eq!((body["subject"].as_str().unwrap(), &body["description"]), ("s".repeat(128).as_str(), &Value::Null));
}

#[tokio::test]
async fn each_call_is_metas() {
    let place = format!("/v25.0/{GROUP}");
    let change = |subject: Option<&str>, description: Option<&str>| GroupCall::Change {
        group: group(),
        subject: subject.map(str::to_owned),
        description: description.map(str::to_owned),
    };
    let by_id = Address { phone: None, user_id: Some("DE.1".to_owned()), group: None };
    let cases = [
        (change(Some("New"), None), Method::POST, "", json!({"subject": "New"})),
        (change(None, Some("Words")), Method::POST, "", json!({"description": "Words"})),
        (link(&group(), true), Method::POST, "/invite_link", json!({})),
        (answer(&group(), "R1", true), Method::POST, "/join_requests", json!({"join_requests": ["R1"]})),
        (answer(&group(), "R1", false), Method::DELETE, "/join_requests", json!({"join_requests": ["R1"]})),
        (
            remove(&group(), "+4915112345678"),
            Method::DELETE,
            "/participants",
            json!({"participants": [{"user": "+4915112345678"}]}),
        ),
        (
            GroupCall::Remove { group: group(), who: by_id },
            Method::DELETE,
            "/participants",
            json!({"participants": [{"user_id": "DE.1"}]}),
        ),
    ];
    for (call, method, path, mut body) in cases {
        body["messaging_product"] = json!("whatsapp");
        let (attempt, asked) =
            tried(call.clone(), 200, json!({"invite_link": "https://chat.whatsapp.com/L", "success": true})).await;
        let external = done(attempt);
        assert_eq!(external.is_some(), matches!(call, GroupCall::Link { .. }), "{call:?}");
        assert_eq!(asked, (method, format!("{place}{path}"), body), "{call:?}");
    }
    for (call, method, path) in
        [(link(&group(), false), Method::GET, "/invite_link"), (GroupCall::Delete { group: group() }, Method::DELETE, "")]
    {
        let (_, asked) = tried(call, 200, json!({"invite_link": "https://chat.whatsapp.com/L"})).await;
        assert_eq!(asked, (method, format!("{place}{path}"), Value::Null));
    }
}

#[tokio::test]
async fn an_id_that_is_none_becomes_no_path() {
    for id in ["", "../100000000000001", "a/b", "a?b", "a b"] {
        let (whatsapp, stub) = stub(&[(200, json!({}))]).await;
        let attempt = whatsapp.group(&act(GroupCall::Delete { group: GroupId::new(id) })).await;
        assert_eq!(code(attempt), "no-such-group", "{id}");
        assert!(stub.asked.lock().unwrap().is_empty(), "{id}");
    }
}

#[tokio::test]
async fn what_is_refused_for_good_fails_with_metas_code() {
    for refused in [131020, 131041, 131202, 131204, 131207, 131211, 131212, 131213, 131214, 131215, 100] {
        assert_eq!(code(tried(create("A"), 400, refusal(refused)).await.0), refused.to_string());
    }
}

#[tokio::test]
async fn a_missing_right_to_groups_stops_no_messages() {
    for right in [3, 10, 200, 131005] {
        let (whatsapp, _) = stub(&[(403, refusal(right))]).await;
        assert_eq!(code(whatsapp.group(&act(create("A"))).await), right.to_string());
        assert_eq!(whatsapp.health().may_go(&LineId::new(LINE), Timestamp(NOON)), Ok(()));
    }
    let (whatsapp, _) = stub(&[(401, refusal(190))]).await;
    assert!(matches!(whatsapp.group(&act(create("A"))).await, Attempt::NotYet { .. }));
    assert!(whatsapp.health().may_go(&LineId::new(LINE), Timestamp(NOON)).is_err(), "the token is that of the messages, too");
}

#[tokio::test]
async fn what_may_pass_is_put_off() {
    for (status, body) in
        [(429, refusal(131208)), (500, refusal(131000)), (400, refusal(130429)), (400, refusal(80007)), (429, json!({}))]
    {
        let (attempt, _) = tried(create("A"), status, body.clone()).await;
        let Attempt::NotYet { not_before, .. } = attempt else { panic!("{body}: {attempt:?}") };
        assert!(not_before >= Timestamp(NOON) + Span::seconds(5), "{body}");
    }
}

#[tokio::test]
async fn what_nobody_knows_is_unknown_and_what_never_left_is_not() {
    assert!(is_unknown(&tried(create("A"), 502, json!("<html>")).await.0));
    assert!(is_unknown(&tried(create("A"), 200, json!({"messaging_product": "whatsapp"})).await.0), "no request, no knowledge");
    let nobody = adapter("http://127.0.0.1:9", &Arc::new(AtomicI64::new(NOON)));
    assert!(matches!(nobody.group(&act(create("A"))).await, Attempt::NotYet { .. }));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((connection, _)) = listener.accept().await {
            drop(connection)
        }
    });
    assert!(is_unknown(&adapter(&url, &Arc::new(AtomicI64::new(NOON))).group(&act(create("A"))).await));
}

#[tokio::test]
async fn of_a_call_that_succeeded_in_part_the_part_counts() {
    let errors = |code: i64| json!([{"code": code, "title": "Title", "error_data": {"details": "Why."}}]);
    let failed_request = json!({"messaging_product": "whatsapp", "approved_join_requests": [],
        "failed_join_requests": [{"join_request_id": "R1", "errors": errors(131213)}], "errors": errors(131201)});
    let failed_person =
        json!({"request_id": "1", "failed_participants": [{"input": "+49", "errors": errors(131212)}], "errors": errors(131201)});
    let nameless = json!({"failed_join_requests": [{"join_request_id": "R1"}]});
    for status in [200, 206] {
        assert_eq!(code(tried(answer(&group(), "R1", true), status, failed_request.clone()).await.0), "131213");
        assert_eq!(code(tried(remove(&group(), "+4915112345678"), status, failed_person.clone()).await.0), "131212");
        assert_eq!(code(tried(answer(&group(), "R1", true), status, nameless.clone()).await.0), "131201");
    }
    let throttled =
        json!({"failed_join_requests": [{"join_request_id": "R1", "errors": errors(131208)}], "errors": errors(131201)});
    assert!(matches!(tried(answer(&group(), "R1", true), 206, throttled).await.0, Attempt::NotYet { .. }));
    let well = json!({"approved_join_requests": ["R1"], "failed_join_requests": [], "errors": []});
    assert_eq!(done(tried(answer(&group(), "R1", true), 200, well).await.0), None);
}

fn page(groups: Value, after: Option<&str>) -> (u16, Value) {
    let mut paging = json!({"cursors": {"before": "b", "after": after.unwrap_or("end")}});
    if after.is_some() {
        paging["next"] = json!("https://graph.facebook.com/next");
    }
    (200, json!({"data": {"groups": groups}, "paging": paging}))
}

#[tokio::test]
async fn s4_29_a_group_that_was_never_told_of_is_found_on_any_page() {
    let seconds = NOON / 1_000;
    let listed = |id: &str, subject: &str, at: Value| json!({"id": id, "subject": subject, "created_at": at});
    let first =
        json!([listed("old", "Lee", json!((seconds - 60).to_string())), listed("other", "Ray", json!(seconds.to_string()))]);
    let second = json!([
        listed("later", "Lee", json!(seconds + 90)),
        listed("his", "Lee", json!(seconds)),
        listed("timeless", "Lee", json!(null))
    ]);
    let (whatsapp, stub) = stub(&[page(first.clone(), Some("two")), page(second, None)]).await;
    // Meta counts whole seconds: a group of this very second is not older.
    assert_eq!(done(whatsapp.group(&act(find("Lee", NOON + 700))).await).as_deref(), Some("his"));
    let asked: Vec<String> = stub.asked.lock().unwrap().iter().map(|(_, uri, _)| uri.to_string()).collect();
    assert_eq!(asked, ["/v25.0/100000000000001/groups?limit=1024", "/v25.0/100000000000001/groups?limit=1024&after=two"]);

    let (attempt, _) = tried(find("Lee", NOON), 200, page(first, None).1).await;
    assert_eq!(code(attempt), "not-there");
    let date = json!([listed("dated", "Lee", json!("2027-01-15T08:00:01Z"))]);
    assert_eq!(done(tried(find("Lee", NOON), 200, page(date, None).1).await.0).as_deref(), Some("dated"));
    assert_eq!(code(tried(find("Lee", NOON), 200, json!({})).await.0), "not-there");
}

#[tokio::test]
async fn s1_16_who_asks_to_join_is_read_from_each_page_of_the_list() {
    let asking = |request: &str, who: Value| {
        let mut one = json!({"join_request_id": request, "creation_timestamp": 1_755_548_877});
        one.as_object_mut().unwrap().extend(who.as_object().unwrap().clone());
        one
    };
    let page = |data: Value, after: Option<&str>| {
        let mut paging = json!({"cursors": {"before": "b", "after": after.unwrap_or("end")}});
        if after.is_some() {
            paging["next"] = json!("https://graph.facebook.com/next");
        }
        (200, json!({"data": data, "paging": paging}))
    };
    let first = json!([asking("R1", json!({"wa_id": "4915112345678"})), asking("R2", json!({}))]);
    let second = json!([asking("R3", json!({"user_id": "DE.1"}))]);
    let (whatsapp, stub) = stub(&[page(first, Some("two")), page(second, None)]).await;
    let found = done(whatsapp.group(&act(GroupCall::Requests { group: group() })).await).unwrap();
    let found: Vec<JoinRequest> = serde_json::from_str(&found).unwrap();
    let named: Vec<(&str, Option<&str>, Option<&str>)> = found
        .iter()
        .map(|one| (one.request.as_str(), one.who.phone.as_ref().map(|phone| phone.e164()), one.who.user_id.as_deref()))
        .collect();
    assert_eq!(named, [("R1", Some("+4915112345678"), None), ("R3", None, Some("DE.1"))], "nobody without a name");
    let asked: Vec<(Method, String)> =
        stub.asked.lock().unwrap().iter().map(|(method, uri, _)| (method.clone(), uri.to_string())).collect();
    let place = format!("/v25.0/{GROUP}/join_requests");
    assert_eq!(asked, [(Method::GET, place.clone()), (Method::GET, format!("{place}?after=two"))]);

    let none = tried(GroupCall::Requests { group: group() }, 200, json!({})).await.0;
    assert_eq!(done(none).as_deref(), Some("[]"));
    assert_eq!(code(tried(GroupCall::Requests { group: group() }, 403, refusal(131207)).await.0), "131207");
    let flood: Vec<Value> = (0..200).map(|nth| asking(&format!("R{nth}"), json!({"user_id": format!("DE.{nth}")}))).collect();
    let (attempt, _) = tried(GroupCall::Requests { group: group() }, 200, page(json!(flood), Some("more")).1).await;
    let found: Vec<JoinRequest> = serde_json::from_str(&done(attempt).unwrap()).unwrap();
    assert_eq!(found.len(), 64, "no more than one answer holds");
}

#[tokio::test]
async fn a_list_in_a_circle_ends() {
    let (whatsapp, stub) = stub(&[page(json!([]), Some("again"))]).await;
    assert!(is_unknown(&whatsapp.group(&act(find("Lee", NOON))).await));
    assert!(stub.asked.lock().unwrap().len() <= 16);
    let circle = (200, json!({"data": [], "paging": {"cursors": {"after": "again"}, "next": "https://graph.facebook.com/next"}}));
    let (whatsapp, _) = self::stub(&[circle]).await;
    assert!(is_unknown(&whatsapp.group(&act(GroupCall::Requests { group: group() })).await));
}

#[tokio::test]
async fn a_message_to_a_group_goes_to_its_id_and_keeps_its_wamid_alone() {
    let accepted =
        json!({"messaging_product": "whatsapp", "contacts": [{"input": GROUP, "wa_id": GROUP}], "messages": [{"id": "wamid.1"}]});
    let (whatsapp, stub) = stub(&[(200, accepted)]).await;
    let send = Send {
        message: MessageId::new("m-1A2B3C4D"),
        contact: ContactId::new("c-1A2B3C4D"),
        channel: Channel::WhatsApp,
        line: LineId::new(LINE),
        to: Address { phone: Phone::from_e164("+4915112345678"), user_id: None, group: Some(group()) },
        body: Body::Text("Good morning".to_owned()),
        room: None,
    };
    let attempt = whatsapp.send(&send, &Prepared::Text { text: "Good morning".to_owned() }).await;
    assert_eq!(done(attempt).as_deref(), Some("wamid.1"));
    let expected = json!({"messaging_product": "whatsapp", "recipient_type": "group", "to": GROUP, "type": "text",
        "text": {"body": "Good morning", "preview_url": false}, "biz_opaque_callback_data": "m-1A2B3C4D"});
    assert_eq!(stub.asked.lock().unwrap()[0].2, expected);
}
