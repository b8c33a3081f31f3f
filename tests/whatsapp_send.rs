//! What leaves for the Cloud API, and what each kind of answer says for certain.
#![allow(clippy::unwrap_used)] // Test helpers fail loudly.
use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use liaison::adapters::whatsapp::templates::NoAnswer;
use liaison::adapters::whatsapp::{Pace, Settings, WhatsApp};
use liaison::domain::effect::{Address, Attempt, Body, Outcome, Prepared, Send};
use liaison::domain::ids::{Channel, ContactId, LineId, MessageId, Phone};
use liaison::domain::time::{Span, Timestamp};
use liaison::ports::Clock;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

const NOW: Timestamp = Timestamp(1_800_000_000_000);
const ACCEPTED: &str =
    r#"{"messaging_product":"whatsapp","contacts":[{"input":"+49","wa_id":"49"}],"messages":[{"id":"wamid.1"}]}"#;

struct Noon;
impl Clock for Noon {
    fn now(&self) -> Timestamp {
        NOW
    }
}

/// What the stub answers, and what it was asked.
struct Stub {
    answer: (u16, Vec<(&'static str, String)>, String),
    asked: Mutex<Vec<(Uri, HeaderMap, Value)>>,
}

async fn message(State(stub): State<Arc<Stub>>, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    stub.asked.lock().unwrap().push((uri, headers, serde_json::from_slice(&body).unwrap()));
    let (status, headers, body) = stub.answer.clone();
    let mut response = (StatusCode::from_u16(status).unwrap(), body).into_response();
    for (name, value) in headers {
        response.headers_mut().insert(name, value.parse().unwrap());
    }
    response
}

async fn listen(router: Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    url
}

fn client(url: &str, answer_within: Duration) -> (WhatsApp, Arc<Mutex<Pace>>) {
    let settings = Settings {
        graph_url: url.to_owned(),
        api_version: "v23.0".to_owned(),
        business_account_id: "999".to_owned(),
        access_token: "a-token".to_owned(),
        ca: None,
        proxy: None,
        answer_within,
    };
    let pace = Arc::new(Mutex::new(Pace::new()));
    (WhatsApp::new(settings, Arc::new(Noon), pace.clone()).unwrap(), pace)
}

fn to_ann() -> Send {
    Send {
        message: MessageId::new("m-1A2B3C4D"),
        contact: ContactId::new("c-1A2B3C4D"),
        channel: Channel::WhatsApp,
        line: LineId::new("777"),
        to: Address { phone: Phone::from_e164("+4915112345678"), user_id: Some("DE.1".to_owned()), group: None },
        room: None,
        body: Body::Text("Good morning".to_owned()),
    }
}

fn good_morning() -> Prepared {
    Prepared::Text { text: "Good morning".to_owned() }
}

/// Sends against a stub with this answer; how it ended, and what the stub was asked.
async fn tried(
    send: &Send,
    prepared: &Prepared,
    status: u16,
    headers: &[(&'static str, &str)],
    body: &str,
) -> (Attempt, Arc<Stub>, Arc<Mutex<Pace>>) {
    let headers = headers.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
    let stub = Arc::new(Stub { answer: (status, headers, body.to_owned()), asked: Mutex::default() });
    let url = listen(Router::new().route("/v23.0/777/messages", post(message)).with_state(stub.clone())).await;
    let (whatsapp, pace) = client(&url, Duration::from_secs(5));
    (whatsapp.send(send, prepared).await, stub, pace)
}

async fn body_of(send: &Send, prepared: &Prepared) -> Value {
    let (attempt, stub, _) = tried(send, prepared, 200, &[], ACCEPTED).await;
    assert_eq!(attempt, Attempt::Ended(Outcome::Done { external_id: Some("wamid.1".to_owned()) }));
    let asked = stub.asked.lock().unwrap();
    let (_, headers, body) = asked.first().unwrap();
    assert_eq!(headers["authorization"], "Bearer a-token");
    assert_eq!(headers["content-type"], "application/json");
    body.clone()
}

async fn answered(status: u16, body: &str) -> Attempt {
    tried(&to_ann(), &good_morning(), status, &[], body).await.0
}

fn graph(code: i64) -> String {
    json!({ "error": { "message": format!("(#{code}) Title"), "type": "OAuthException", "code": code,
        "error_data": { "messaging_product": "whatsapp", "details": "What is wrong." }, "fbtrace_id": "x" } })
    .to_string()
}

fn wait(attempt: Attempt) -> Span {
    let Attempt::NotYet { not_before, .. } = attempt else { panic!("{attempt:?}") };
    not_before - NOW
}

fn is_unknown(attempt: &Attempt) -> bool {
    matches!(attempt, Attempt::Ended(Outcome::Unknown { .. }))
}

#[tokio::test]
async fn a_text_goes_to_the_whole_number_with_our_id_beside_it() {
    let expected = json!({
        "messaging_product": "whatsapp", "recipient_type": "individual", "to": "+4915112345678", "type": "text",
        "text": { "body": "Good morning", "preview_url": false }, "biz_opaque_callback_data": "m-1A2B3C4D",
    });
    assert_eq!(body_of(&to_ann(), &good_morning()).await, expected);
}

#[tokio::test]
async fn a_client_without_a_number_is_written_to_by_his_user_id() {
    let mut send = to_ann();
    send.to.phone = None;
    let body = body_of(&send, &good_morning()).await;
    assert_eq!((&body["recipient"], body.get("to")), (&json!("DE.1"), None));
}

#[tokio::test]
async fn a_template_goes_with_its_language_and_components() {
    let components = json!([{ "type": "body", "parameters": [{ "type": "text", "text": "Ann" }] }]);
    let template = |components| Prepared::Template {
        name: "liaison_invitation".to_owned(),
        language: "en_US".to_owned(),
        components,
        text: "Hello Ann".to_owned(),
    };
    let body = body_of(&to_ann(), &template(components.clone())).await;
    assert_eq!(body["type"], "template");
    assert_eq!(
        body["template"],
        json!({ "name": "liaison_invitation", "language": { "code": "en_US" }, "components": components })
    );
    let body = body_of(&to_ann(), &template(json!([]))).await;
    assert_eq!(body["template"], json!({ "name": "liaison_invitation", "language": { "code": "en_US" } }));
}

#[tokio::test]
async fn a_question_goes_with_reply_buttons() {
    let buttons = vec![("consent:yes".to_owned(), "Yes".to_owned()), ("consent:stop".to_owned(), "No".to_owned())];
    let body = body_of(&to_ann(), &Prepared::Buttons { text: "May we?".to_owned(), buttons }).await;
    let expected = json!({ "type": "button", "body": { "text": "May we?" }, "action": { "buttons": [
        { "type": "reply", "reply": { "id": "consent:yes", "title": "Yes" } },
        { "type": "reply", "reply": { "id": "consent:stop", "title": "No" } },
    ] } });
    assert_eq!((&body["type"], &body["interactive"]), (&json!("interactive"), &expected));
}

#[tokio::test]
async fn nobody_to_send_to_and_nothing_to_say_never_leave() {
    let mut send = to_ann();
    send.to = Address::default();
    for (send, prepared) in [(send, good_morning()), (to_ann(), Prepared::Plain)] {
        let (attempt, stub, _) = tried(&send, &prepared, 200, &[], ACCEPTED).await;
        assert!(matches!(attempt, Attempt::Ended(Outcome::Failed { .. })));
        assert!(stub.asked.lock().unwrap().is_empty());
    }
}

#[tokio::test]
async fn a_complaint_about_the_message_ends_it_with_its_code() {
    for code in [131026, 131047, 132001, 132000, 100, 131030, 999_999] {
        let expected = Outcome::Failed { code: code.to_string(), detail: "What is wrong.".to_owned() };
        assert_eq!(answered(400, &graph(code)).await, Attempt::Ended(expected), "{code}");
    }
    assert!(matches!(answered(200, &graph(131026)).await, Attempt::Ended(Outcome::Failed { .. })), "only the code counts");
    assert!(matches!(answered(500, &graph(131026)).await, Attempt::Ended(Outcome::Failed { .. })), "only the code counts");
}

#[tokio::test]
async fn a_complaint_about_the_line_stops_the_line_and_keeps_the_message() {
    for code in [0, 3, 10, 33, 190, 200, 299, 368, 131005, 131031, 131037, 131042, 131045, 133010] {
        assert_eq!(wait(answered(401, &graph(code)).await), Span::minutes(1), "{code}");
    }
}

#[tokio::test]
async fn a_line_that_is_restricted_for_its_quality_rests_an_hour_and_is_told() {
    let stub = Arc::new(Stub { answer: (400, Vec::new(), graph(131048)), asked: Mutex::default() });
    let url = listen(Router::new().route("/v23.0/777/messages", post(message)).with_state(stub)).await;
    let (whatsapp, _) = client(&url, Duration::from_secs(5));
    assert_eq!(wait(whatsapp.send(&to_ann(), &good_morning()).await), Span::hours(1));
    let line = LineId::new("777");
    assert_eq!(whatsapp.health().may_go(&line, NOW + Span::minutes(59)), Err(NOW + Span::hours(1)));
    assert_eq!(whatsapp.health().watch().borrow()[&line].as_ref().unwrap().code, "131048", "readiness and admins go by this");
}

#[tokio::test]
async fn the_id_that_whatsapp_has_for_the_client_comes_back_where_it_is_not_his_number() {
    let rows = [
        (json!([{ "input": "+55 11 98765-4321", "wa_id": "551187654321" }]), "wamid.1\n551187654321"),
        (json!([{ "input": "+5511987654321", "wa_id": "5511987654321" }]), "wamid.1"),
        (json!([{ "input": "BR.1", "user_id": "BR.1" }]), "wamid.1"),
        (json!([]), "wamid.1"),
    ];
    for (contacts, expected) in rows {
        let body = json!({ "contacts": contacts, "messages": [{ "id": "wamid.1" }] }).to_string();
        let expected = Outcome::Done { external_id: Some(expected.to_owned()) };
        assert_eq!(answered(200, &body).await, Attempt::Ended(expected), "{body}");
    }
}

#[tokio::test]
async fn what_the_graph_refuses_for_now_may_be_tried_later() {
    for (code, seconds) in
        [(130429, 5), (4, 60), (80007, 60), (131048, 3_600), (131057, 60), (1, 5), (2, 5), (131000, 5), (131016, 5)]
    {
        assert_eq!(wait(answered(500, &graph(code)).await), Span::seconds(seconds), "{code}");
    }
    let transient = r#"{"error":{"code":777777,"message":"later","is_transient":true}}"#;
    assert_eq!(wait(answered(500, transient).await), Span::seconds(5));
}

#[tokio::test]
async fn retry_after_is_obeyed_within_reason() {
    // 2027-01-15 08:00:00 UTC is NOW.
    for (value, expected) in
        [("7", Span::seconds(7)), ("Fri, 15 Jan 2027 08:01:00 GMT", Span::minutes(1)), ("999999", Span::hours(1))]
    {
        for body in ["slow down", &graph(130429)] {
            let attempt = tried(&to_ann(), &good_morning(), 429, &[("retry-after", value)], body).await.0;
            assert_eq!(wait(attempt), expected, "{value} {body}");
        }
    }
    assert_eq!(wait(answered(429, "<html>").await), Span::seconds(5));
}

#[tokio::test]
async fn a_refusal_for_speed_makes_the_line_or_the_pair_rest() {
    let (attempt, _, pace) = tried(&to_ann(), &good_morning(), 429, &[], &graph(130429)).await;
    assert_eq!(wait(attempt), Span::seconds(5));
    assert_eq!(pace.lock().unwrap().may_go("777", "c-other", NOW), Err(NOW + Span::seconds(5)));
    let (attempt, _, pace) = tried(&to_ann(), &good_morning(), 400, &[], &graph(131056)).await;
    assert_eq!(wait(attempt), Span::seconds(1));
    assert_eq!(pace.lock().unwrap().may_go("777", "c-1A2B3C4D", NOW), Err(NOW + Span::seconds(1)));
    assert_eq!(pace.lock().unwrap().may_go("777", "c-other", NOW), Ok(()), "others go on");
    assert_eq!(pace.lock().unwrap().pair_refused("777", "c-1A2B3C4D", NOW), NOW + Span::seconds(4));
}

#[tokio::test]
async fn an_answer_that_is_not_the_graphs_leaves_the_end_unknown() {
    for status in [200, 201, 302, 400, 401, 404, 413, 500, 502, 503] {
        for body in ["", "<html>Bad gateway</html>", "{}", r#"{"error":"text"}"#, r#"{"messages":[]}"#] {
            let attempt = answered(status, body).await;
            assert!(is_unknown(&attempt), "{status} {body}: {attempt:?}");
        }
    }
}

#[tokio::test]
async fn a_port_that_refuses_and_a_name_that_is_not_there_leave_nothing_in_doubt() {
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    for url in [format!("http://127.0.0.1:{port}"), "http://liaison.invalid".to_owned()] {
        let attempt = client(&url, Duration::from_secs(5)).0.send(&to_ann(), &good_morning()).await;
        assert_eq!(wait(attempt), Span::seconds(1), "{url}");
    }
}

/// Accepts each connection and hands it over.
async fn raw<F, R>(serve: F) -> String
where
    F: Fn(tokio::net::TcpStream) -> R + std::marker::Send + 'static,
    R: Future<Output = ()> + std::marker::Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            tokio::spawn(serve(tcp));
        }
    });
    format!("127.0.0.1:{port}")
}

async fn read_some(tcp: &mut tokio::net::TcpStream) {
    let mut buffer = [0; 4_096];
    let _ = tokio::io::AsyncReadExt::read(tcp, &mut buffer).await;
}

#[tokio::test]
async fn a_failed_tls_handshake_leaves_nothing_in_doubt() {
    let address = raw(|mut tcp| async move {
        read_some(&mut tcp).await;
        let _ = tcp.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
    })
    .await;
    let attempt = client(&format!("https://{address}"), Duration::from_secs(5)).0.send(&to_ann(), &good_morning()).await;
    assert!(matches!(attempt, Attempt::NotYet { .. }), "{attempt:?}");
}

#[tokio::test]
async fn a_handshake_that_hangs_leaves_nothing_in_doubt() {
    let address = raw(|tcp| async move {
        tokio::time::sleep(Duration::from_secs(30)).await;
        drop(tcp);
    })
    .await;
    let attempt = client(&format!("https://{address}"), Duration::from_millis(400)).0.send(&to_ann(), &good_morning()).await;
    assert!(matches!(attempt, Attempt::NotYet { .. }), "{attempt:?}");
}

#[tokio::test]
async fn a_hang_a_reset_and_a_torn_answer_leave_the_end_unknown() {
    let hang = raw(|mut tcp| async move {
        read_some(&mut tcp).await;
        tokio::time::sleep(Duration::from_secs(30)).await;
    });
    let reset = raw(|mut tcp| async move { read_some(&mut tcp).await });
    let torn = raw(|mut tcp| async move {
        read_some(&mut tcp).await;
        let _ = tcp.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{\"messages\":[{\"id\":\"wamid").await;
    });
    for address in [hang.await, reset.await, torn.await] {
        let attempt = client(&format!("http://{address}"), Duration::from_millis(400)).0.send(&to_ann(), &good_morning()).await;
        assert!(is_unknown(&attempt), "{attempt:?}");
    }
}

async fn templates(Query(query): Query<HashMap<String, String>>) -> Json<Value> {
    let listed = |name: &str| json!({ "name": name, "language": "en_US", "status": "APPROVED", "category": "UTILITY", "components": [], "id": "1" });
    Json(match query.get("after").map(String::as_str) {
        None => {
            json!({ "data": [listed("a"), listed("b")], "paging": { "cursors": { "after": "X" }, "next": "http://elsewhere" } })
        }
        Some("X") => json!({ "data": [listed("c")], "paging": { "cursors": { "after": "Y" } } }),
        Some(other) => panic!("{other}"),
    })
}

async fn line(Path(line): Path<String>) -> Response {
    match line.as_str() {
        "777" => Json(json!({ "display_phone_number": "+1 555", "verified_name": "Acme", "status": "CONNECTED", "id": "777" }))
            .into_response(),
        _ => (StatusCode::BAD_REQUEST, graph(190)).into_response(),
    }
}

#[tokio::test]
async fn the_account_tells_its_templates_and_lines() {
    let router = Router::new().route("/v23.0/999/message_templates", get(templates)).route("/v23.0/{line}", get(line));
    let (whatsapp, _) = client(&listen(router).await, Duration::from_secs(5));
    let names: Vec<String> = whatsapp.message_templates().await.unwrap().into_iter().map(|listed| listed.name).collect();
    assert_eq!(names, ["a", "b", "c"]);
    assert_eq!(whatsapp.line_status("777").await.unwrap().verified_name.as_deref(), Some("Acme"));
    let refused = NoAnswer::Refused { code: 190, detail: "What is wrong.".to_owned() };
    assert_eq!(whatsapp.line_status("778").await, Err(refused));
}

#[test]
fn an_address_that_is_none_is_told_with_its_key() {
    let settings = Settings {
        graph_url: "graph.facebook.com".to_owned(),
        api_version: "v23.0".to_owned(),
        business_account_id: String::new(),
        access_token: String::new(),
        ca: None,
        proxy: None,
        answer_within: Duration::from_secs(1),
    };
    let error = WhatsApp::new(settings, Arc::new(Noon), Arc::default()).err().unwrap().to_string();
    assert!(error.contains("`graph_url`"), "{error}");
}
