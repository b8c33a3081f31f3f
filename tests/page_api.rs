//! The page's control calls over real sockets, against a world that is made up.
#![allow(clippy::unwrap_used, reason = "a helper of a test fails by panicking, as the test does")]
#[path = "page/fake_world.rs"]
mod fake_world;

use std::net::SocketAddr;
use std::sync::Arc;

use fake_world::FakeWorld;
use futures_util::StreamExt;
use liaison::sandbox::page::router;
use reqwest::header::{HOST, ORIGIN};
use reqwest::{Client, Response, StatusCode};
use serde_json::{Value, json};

struct Page {
    base: String,
    world: Arc<FakeWorld>,
    client: Client,
}

impl Page {
    async fn open() -> Page {
        Page::listen(([127, 0, 0, 1], 0).into(), false).await.0
    }

    async fn listen(address: SocketAddr, expose: bool) -> (Page, tokio::task::JoinHandle<()>) {
        let world = Arc::new(FakeWorld::new());
        let listener = tokio::net::TcpListener::bind(address).await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let app = router(world.clone(), expose);
        let served = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        (Page { base, world, client: Client::builder().no_proxy().build().unwrap() }, served)
    }

    async fn get(&self, path: &str) -> Value {
        let response = self.client.get(format!("{}{path}", self.base)).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        response.json().await.unwrap()
    }

    async fn post(&self, path: &str, body: Value) -> Response {
        self.client.post(format!("{}{path}", self.base)).json(&body).send().await.unwrap()
    }

    async fn done(&self, path: &str, body: Value) -> Value {
        let response = self.post(path, body).await;
        let status = response.status();
        let answer: Value = response.json().await.unwrap();
        assert_eq!(status, StatusCode::OK, "{path}: {answer}");
        answer
    }

    async fn refused(&self, path: &str, body: Value) -> (u16, Value) {
        let response = self.post(path, body).await;
        let status = response.status().as_u16();
        let answer: Value = response.json().await.unwrap();
        for part in ["error", "where", "mend"] {
            assert!(answer[part].as_str().is_some_and(|words| !words.is_empty()), "{path}: {answer}");
        }
        (status, answer)
    }
}

const JANE: &str = "/api/users/jane.doe@acme.com";
const ANN: &str = "/api/phones/+4915112345678";

#[tokio::test]
async fn the_clock_moves_by_what_was_asked() {
    let page = Page::open().await;
    for (span, ms) in [("24h", 86_400_000), ("90m", 5_400_000), ("30s", 30_000), ("2d", 172_800_000)] {
        let before = page.get("/api/clock").await["ms"].as_i64().unwrap();
        let answer = page.done("/api/clock", json!({ "advance": span })).await;
        let moved = answer["ms"].as_i64().unwrap() - before;
        assert!((ms..ms + 20_000).contains(&moved), "{span} moved {moved}");
        let said: jiff::Timestamp = answer["now"].as_str().unwrap().parse().unwrap();
        assert_eq!(said.as_millisecond(), answer["ms"].as_i64().unwrap());
    }
    for bad in [
        json!({ "advance": "-1h" }),
        json!({ "advance": "soon" }),
        json!({ "advance": "999d" }),
        json!({ "forward": "1h" }),
        json!([]),
    ] {
        assert_eq!(page.refused("/api/clock", bad).await.0, 400);
    }
}

#[tokio::test]
async fn the_first_conversation_goes_through_the_control_calls() {
    let page = Page::open().await;
    let add = "/contact add Ann Lee phone=+4915112345678 email=ann@lee.de channel=whatsapp --room";
    let typed = page.done(&format!("{JANE}/messages"), json!({ "text": add })).await;
    assert_eq!(typed["text"], add);
    assert_eq!(typed["from"]["email"], "jane.doe@acme.com");

    let rooms = page.get("/api/rooms?user=jane.doe@acme.com").await;
    let room = rooms.as_array().unwrap().iter().find(|room| room["name"] == "Ann Lee").unwrap();
    assert_eq!(room["last_line"], "Room for Ann Lee is open. You can write now; messages wait for the answer.");
    let id = room["id"].as_str().unwrap();
    page.done(&format!("{JANE}/messages"), json!({ "room": "ann lee", "text": "Good morning Ann." })).await;
    page.done(&format!("{ANN}/messages"), json!({ "payload": "consent:yes" })).await;
    page.done("/api/phones/4915112345678/messages", json!({ "channel": "whatsapp", "text": "Hello Jane" })).await;

    let on_phone = page.get("/api/phones/%2B4915112345678/messages").await;
    let texts: Vec<_> = on_phone.as_array().unwrap().iter().map(|message| message["text"].as_str().unwrap()).collect();
    assert_eq!(texts[1], "Yes, please");
    assert_eq!(texts[3..], ["Good morning Ann.", "Hello Jane"]);
    let lines = page.get(&format!("/api/rooms/{id}/messages?user=jane.doe@acme.com")).await;
    let codes: Vec<_> = lines.as_array().unwrap().iter().filter_map(|line| line["data"]["liaison"]["code"].as_str()).collect();
    assert_eq!(codes, ["room_opened", "held", "consent_yes", "released", "client_message"]);
    assert!(page.get("/api/journal?after=1&limit=1").await[0]["sequence"] == 2);
}

#[tokio::test]
async fn a_form_reaches_the_world_with_its_values() {
    let page = Page::open().await;
    page.done(&format!("{JANE}/messages"), json!({ "room": "liaison", "text": "/contact add" })).await;
    let room = page.done(&format!("{JANE}/ims"), json!({ "with": "bot" })).await["id"].as_str().unwrap().to_owned();
    let lines = page.get(&format!("/api/rooms/{room}/messages?user=jane.doe@acme.com")).await;
    let form = json!({ "room": room, "message": lines[1]["id"], "form": "contact-add", "values": { "action": "cancel", "for": [7002] } });
    page.done(&format!("{JANE}/forms"), form.clone()).await;
    assert_eq!(Value::Object(page.world.submitted_values()[0].clone()), form["values"]);
    let after = page.get(&format!("/api/rooms/{room}/messages?user=jane.doe@acme.com")).await;
    assert_eq!(after[1]["submitted"], json!(["contact-add"]));
    let elsewhere = json!({ "room": room, "message": "nothing", "form": "confirm", "values": {} });
    assert_eq!(page.refused(&format!("{JANE}/forms"), elsewhere).await.0, 400);
}

#[tokio::test]
async fn who_names_no_user_reads_every_room() {
    let page = Page::open().await;
    let room =
        page.done(&format!("{JANE}/ims"), json!({ "with": "bob.martin@acme.com" })).await["id"].as_str().unwrap().to_owned();
    page.done(&format!("{JANE}/messages"), json!({ "room": room, "text": "between us" })).await;
    let texts = async |path: String| -> Vec<Value> {
        page.get(&path).await.as_array().unwrap().iter().map(|line| line["text"].clone()).collect()
    };
    assert_eq!(texts(format!("/api/rooms/{room}/messages")).await, ["between us"], "the bot is not in this room");
    assert_eq!(texts(format!("/api/rooms/{room}/messages?user=jane.doe@acme.com")).await, ["between us"]);
    let rooms = page.get("/api/rooms").await;
    let listed = rooms.as_array().unwrap().iter().find(|listed| listed["id"] == *room).unwrap();
    assert_eq!(listed["last_line"], "between us");
    let nowhere = page.client.get(format!("{}/api/rooms/nowhere/messages", page.base)).send().await.unwrap();
    assert_eq!(nowhere.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn anybody_may_write_first_a_new_number_becomes_a_phone() {
    let page = Page::open().await;
    page.done("/api/phones/+19995550000/messages", json!({ "text": "hello" })).await;
    let phones = page.get("/api/phones").await;
    let there = phones.as_array().expect("a list").iter().any(|phone| phone["number"] == "+19995550000");
    assert!(there, "{phones}");
}

#[tokio::test]
async fn what_is_not_there_is_404_and_what_is_wrong_is_400() {
    let page = Page::open().await;
    let text = json!({ "text": "hello" });
    for missing in ["/api/users/nobody@acme.com/messages", "/api/phones/ann/messages", "/api/phones/ann/calls", "/api/nothing"] {
        assert_eq!(page.refused(missing, text.clone()).await.0, 404, "{missing}");
    }
    assert_eq!(page.refused(&format!("{JANE}/messages"), json!({ "room": "Nowhere", "text": "x" })).await.0, 404);
    assert_eq!(page.refused(&format!("{JANE}/messages"), json!({ "text": "  " })).await.0, 400);
    for wrong in
        [json!({}), json!({ "text": "a", "payload": "b" }), json!({ "text": "a", "channel": "pigeon" }), json!({ "text": "" })]
    {
        assert_eq!(page.refused(&format!("{ANN}/messages"), wrong).await.0, 400);
    }
    assert_eq!(page.refused(&format!("{ANN}/messages"), json!({ "payload": "consent:maybe" })).await.0, 400);
    assert_eq!(page.refused(&format!("{ANN}/calls"), json!({})).await.1["error"], "Calls come with SMS.");
    assert_eq!(page.refused("/api/trouble", json!({ "provider": "weather", "code": "rain", "times": 1 })).await.0, 400);
    assert_eq!(page.done("/api/trouble", json!({ "provider": "whatsapp", "code": 500 })).await["code"], "500");
    let unheard = page.client.get(format!("{}/api/journal?after=x", page.base)).send().await.unwrap();
    assert_eq!(unheard.status(), 400);
    assert!(unheard.json::<Value>().await.unwrap()["mend"].is_string());
}

#[tokio::test]
async fn a_phone_can_be_added_once() {
    let page = Page::open().await;
    let phone = json!({ "number": "+44 20 7946 0958", "name": "Una Ray" });
    assert_eq!(page.done("/api/phones", phone.clone()).await["number"], "+442079460958");
    assert_eq!(page.refused("/api/phones", phone).await.0, 400);
    assert_eq!(page.refused("/api/phones", json!({ "number": "seven" })).await.0, 400);
    assert_eq!(page.get("/api/phones/442079460958/messages").await, json!([]));
}

#[tokio::test]
async fn a_body_above_a_megabyte_is_refused_where_no_files_come() {
    let page = Page::open().await;
    let huge = json!({ "advance": "x".repeat(1024 * 1024) });
    assert_eq!(page.refused("/api/clock", huge).await.0, 413);
}

#[tokio::test]
async fn only_loopback_hosts_and_the_own_page_are_answered() {
    let page = Page::open().await;
    let clock = format!("{}/api/clock", page.base);
    let foreign = page.client.get(&clock).header(HOST, "sandbox.evil.example").send().await.unwrap();
    assert_eq!(foreign.status(), StatusCode::FORBIDDEN);
    let from_elsewhere =
        page.client.post(&clock).header(ORIGIN, "https://evil.example").body(r#"{"advance":"1h"}"#).send().await.unwrap();
    assert_eq!(from_elsewhere.status(), StatusCode::FORBIDDEN);
    let own = page.client.post(&clock).header(ORIGIN, &page.base).body(r#"{"advance":"1h"}"#).send().await.unwrap();
    assert_eq!(own.status(), StatusCode::OK);

    let (exposed, _served) = Page::listen(([127, 0, 0, 1], 0).into(), true).await;
    let by_name =
        exposed.client.get(format!("{}/api/clock", exposed.base)).header(HOST, "demo.acme.example").send().await.unwrap();
    assert_eq!(by_name.status(), StatusCode::OK);
}

#[tokio::test]
async fn each_file_of_the_page_is_served_with_a_strict_policy() {
    let page = Page::open().await;
    for path in ["/", "/page/page.css", "/page/page.js", "/page/markup.js", "/page/icon.svg"] {
        let response = page.client.get(format!("{}{path}", page.base)).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        let policy = response.headers()["content-security-policy"].to_str().unwrap();
        assert!(policy.starts_with("default-src 'self';"), "{policy}");
        assert_eq!(response.headers()["x-content-type-options"], "nosniff");
    }
}

#[tokio::test]
async fn an_open_page_hears_of_each_change() {
    let page = Page::open().await;
    let response = page.client.get(format!("{}/api/events", page.base)).send().await.unwrap();
    let mut stream = response.bytes_stream();
    let first = stream.next().await.unwrap().unwrap();
    assert!(first.starts_with(b"event: change"), "{first:?}");
    page.done("/api/clock", json!({ "advance": "1h" })).await;
    let second = tokio::time::timeout(std::time::Duration::from_secs(5), stream.next()).await.unwrap().unwrap().unwrap();
    assert!(second.starts_with(b"event: change"), "{second:?}");
}

/// `PAGE_LISTEN=127.0.0.1:8099 cargo test --test page_api serve -- --ignored` shows the page without the real world.
#[tokio::test]
#[ignore = "serves until it is stopped"]
async fn serve_the_made_up_world() {
    let address = std::env::var("PAGE_LISTEN").unwrap_or_else(|_| "127.0.0.1:8099".into());
    let (_page, served) = Page::listen(address.parse().unwrap(), false).await;
    served.await.unwrap();
}
