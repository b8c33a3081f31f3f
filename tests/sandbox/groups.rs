//! WhatsApp groups by the phones' control calls, made by somebody's own client of the WhatsApp API.
use super::outside::*;
use serde_json::{Value, json};

impl Outside {
    async fn graph(&self, method: reqwest::Method, path: &str, body: Value) -> Value {
        let url = format!("{}/v25.0/{path}", self.address("whatsapp"));
        let asked = self.http.request(method, url).bearer_auth("sandbox-token");
        let asked = if body.is_null() { asked } else { asked.json(&body) };
        asked.send().await.unwrap().json().await.unwrap()
    }

    async fn groups(&self, number: &str) -> Vec<Value> {
        let url = format!("{}/api/phones/{number}/groups", self.address("page"));
        self.http.get(url).send().await.unwrap().json().await.unwrap()
    }

    async fn refused(&self, path: &str, body: Value) -> Value {
        let answer = self.http.post(format!("{}{path}", self.address("page"))).json(&body).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), 400, "{path}");
        answer.json().await.unwrap()
    }
}

#[tokio::test]
async fn a_phone_asks_to_join_writes_and_leaves_by_control_calls() {
    let world = own();
    let (ann, bob) = (client("Ann"), client("Bob"));
    world.has_phone(&ann).await;
    world.has_phone(&bob).await;
    let whatsapp = |more: Value| {
        let mut body = json!({ "messaging_product": "whatsapp" });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    let create =
        whatsapp(json!({ "subject": "Lee family", "description": "With Jane", "join_approval_mode": "approval_required" }));
    assert!(world.graph(reqwest::Method::POST, &format!("{LINE_ID}/groups"), create).await["request_id"].is_string());
    let listed = world.graph(reqwest::Method::GET, &format!("{LINE_ID}/groups"), Value::Null).await;
    let group = listed["data"]["groups"][0]["id"].as_str().unwrap().to_owned();
    let link = world.graph(reqwest::Method::GET, &format!("{group}/invite_link"), Value::Null).await["invite_link"].clone();

    let phone = |number: &str, what: &str| format!("/api/phones/{number}/{what}");
    let asked = world.post(&phone(&ann.number, "groups/join"), json!({ "link": link })).await;
    assert_eq!((&asked["standing"], &asked["name"], &asked["members"]), (&json!("asked"), &json!("Lee family"), &json!([])));
    let into = |text: &str| json!({ "group": group, "text": text });
    world.refused(&phone(&ann.number, "messages"), into("Too early")).await;

    let requests = world.graph(reqwest::Method::GET, &format!("{group}/join_requests"), Value::Null).await;
    let request = whatsapp(json!({ "join_requests": [requests["data"][0]["join_request_id"]] }));
    let approved = world.graph(reqwest::Method::POST, &format!("{group}/join_requests"), request).await;
    assert_eq!(approved["approved_join_requests"].as_array().map(Vec::len), Some(1), "{approved}");
    let written = world.post(&phone(&ann.number, "messages"), into("Hello all")).await;
    assert_eq!(
        (&written["channel"], &written["direction"], &written["text"]),
        (&json!("whatsapp"), &json!("out"), &json!("Hello all"))
    );
    let picture = json!({ "base64": "cG5n", "mime_type": "image/png", "filename": "a.png", "caption": "look" });
    let sent = world.post(&phone(&ann.number, "messages"), json!({ "group": group, "image": picture })).await;
    assert_eq!((&sent["file"]["mime"], &sent["text"]), (&json!("image/png"), &json!("[image] look")));
    let seen = world.groups(&ann.number).await;
    assert_eq!((&seen[0]["standing"], &seen[0]["description"]), (&json!("in"), &json!("With Jane")));
    assert_eq!((&seen[0]["messages"][0]["text"], &seen[0]["members"][0]["number"]), (&json!("Hello all"), &json!(ann.number)));
    assert_eq!(world.groups(&bob.number).await.len(), 0);

    let left = world.post(&phone(&ann.number, &format!("groups/{group}/leave")), json!({})).await;
    assert_eq!(left["standing"], "left");
    let why = world.refused(&phone(&ann.number, "messages"), into("Too late")).await;
    assert_eq!(why["error"], "You are not in this group.");
    world.refused(&phone(&bob.number, "groups/join"), json!({ "link": "https://chat.whatsapp.com/nothing" })).await;
    world.trouble("whatsapp", "131215", 1).await;
    let refused = world.graph(reqwest::Method::GET, &format!("{LINE_ID}/groups"), Value::Null).await;
    assert_eq!(refused["error"]["code"], 131215);
}
