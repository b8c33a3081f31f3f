//! Simplified key delivery: no key manager is asked where token and agent both say that none is needed.
use super::lab::{Lab, settings, symphony};
use axum::Router;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use liaison::adapters::symphony::{FeedState, Transport};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;

const AUTHENTICATE: &str = "/relay/pubkey/authenticate";

#[tokio::test]
async fn where_the_platform_delivers_the_keys_no_key_manager_is_asked() {
    let lab = Lab::new().await;
    lab.pod.deliver_keys();
    let symphony = symphony(lab.settings());
    assert!(symphony.session().tokens().await.unwrap().keys_are_delivered());
    assert!(symphony.me().await.is_ok() && symphony.agent_info().await.is_ok());
    lab.is_read(&symphony, Transport::LongPoll).await;
    let url = format!("ws://{}/agent/v5/datafeeds/ws", lab.at);
    lab.is_read(&symphony, Transport::WebSocket { url }).await;
    assert_eq!(lab.called(AUTHENTICATE), 0);
}

#[tokio::test]
async fn a_living_websocket_is_told_renewed_tokens_with_an_empty_key() {
    let lab = Lab::new().await;
    lab.pod.deliver_keys();
    let symphony = symphony(lab.settings());
    let url = format!("ws://{}/agent/v5/datafeeds/ws", lab.at);
    let reader = super::lab::Reader::start(symphony.session(), Transport::WebSocket { url });
    reader.connected().await;
    // The pod would close with 4401 if it did not take the frame; the old token dies only afterwards.
    let tokens = symphony.session().tokens().await.unwrap();
    let renewed = symphony.session().renew(tokens.generation).await.unwrap();
    assert!(renewed.keys_are_delivered() && renewed.session != tokens.session);
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    let is_calm = |state: &FeedState| state.connected && state.reconnects.is_empty();
    assert!(is_calm(&reader.state.borrow()), "{:?}", reader.state.borrow());
    lab.pod.expire_tokens();
    reader.until(|state| state.reconnects.contains_key("unauthorised")).await;
    reader.until(|state| state.connected).await;
    assert_eq!(lab.called(AUTHENTICATE), 0);
    reader.cancel.cancel();
}

#[tokio::test]
async fn without_it_the_key_manager_is_asked_as_ever() {
    let lab = Lab::new().await;
    let symphony = symphony(lab.settings());
    assert!(!symphony.session().tokens().await.unwrap().keys_are_delivered());
    assert!(symphony.agent_info().await.is_ok());
    assert_eq!(lab.called(AUTHENTICATE), 1);
}

/// A session token, what the agent says of itself, and whether the key manager is asked.
struct Case {
    token: String,
    info: (u16, Value),
    asked: bool,
}

fn jwt(claims: &str) -> String {
    let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
    format!("{}.{}.c2ln", part(r#"{"alg":"RS512"}"#), part(claims))
}

#[tokio::test]
async fn whatever_is_unclear_leads_to_the_key_manager() {
    let yes = || jwt(r#"{"sub":"1","canUseSimplifiedKeyDelivery":true}"#);
    let agent = |version: &str| (200, json!({ "version": version }));
    let case = |token: String, info, asked| Case { token, info, asked };
    let table = [
        case(yes(), agent("Agent-24.12"), false),
        case(yes(), agent("Agent-24.12.3-Linux-x"), false),
        case(yes(), agent("Agent-26.1.0"), false),
        case(yes(), agent("Agent-24.11.9"), true),
        case(yes(), agent("25.1"), true),
        case(yes(), (200, json!({})), true),
        case(yes(), (200, json!("no json")), true),
        case(yes(), (404, agent("Agent-26.1").1), true),
        case(yes(), (500, json!({})), true),
        case(jwt(r#"{"canUseSimplifiedKeyDelivery":false}"#), agent("Agent-26.1"), true),
        case(jwt(r#"{"canUseSimplifiedKeyDelivery":"true"}"#), agent("Agent-26.1"), true),
        case(jwt("{}"), agent("Agent-26.1"), true),
        case(jwt("no json"), agent("Agent-26.1"), true),
        case("opaque".to_owned(), agent("Agent-26.1"), true),
        case("two.dots.only".to_owned(), agent("Agent-26.1"), true),
    ];
    for Case { token, info, asked } in table {
        let told = format!("{token} {info:?}");
        let (url, calls) = scripted(token, info).await;
        let symphony = symphony(settings(&url));
        let tokens = symphony.session().tokens().await.unwrap();
        symphony.members(&liaison::domain::ids::StreamId::new("s")).await.unwrap();
        let _known = symphony.agent_info().await;
        assert_eq!(tokens.keys_are_delivered(), !asked, "{told}");
        let calls = calls.lock().unwrap();
        assert_eq!(calls.iter().filter(|(path, _)| path == AUTHENTICATE).count(), usize::from(asked), "{told}");
        let last = calls.iter().rfind(|(path, _)| path == "/agent/v1/info").unwrap();
        assert_eq!(last.1.as_deref(), Some(if asked { "km" } else { "" }), "the header is sent, even empty: {told}");
    }
}

type Calls = Arc<Mutex<Vec<(String, Option<String>)>>>;

/// A platform that gives this session token, and the calls that it got with their key manager tokens.
async fn scripted(token: String, info: (u16, Value)) -> (String, Calls) {
    let calls: Calls = Arc::default();
    let noted = calls.clone();
    let handler = move |_: Method, uri: Uri, headers: HeaderMap| {
        let key = headers.get("keyManagerToken").map(|key| key.to_str().unwrap().to_owned());
        noted.lock().unwrap().push((uri.path().to_owned(), key));
        let (status, body) = match uri.path() {
            AUTHENTICATE => (200, json!({"name": "keyManagerToken", "token": "km"})),
            "/login/pubkey/authenticate" => (200, json!({"name": "sessionToken", "token": token})),
            "/agent/v1/info" => info.clone(),
            _ => (200, json!([])),
        };
        async move { (StatusCode::from_u16(status).unwrap(), body.to_string()) }
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(handler)).await.unwrap() });
    (url, calls)
}
