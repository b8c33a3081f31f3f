//! Every call about groups, led through a proxy that holds it and its answer against Meta's own document: `make contract-test`.
use super::*;
use liaison::domain::effect::{Body, Prepared, Send};
use liaison::domain::ids::{Channel, ContactId, MessageId};
use serde_json::{Value, json};
use std::collections::BTreeMap;

const ANN: &str = "+4915110770001";
const BOB: &str = "+12025550177";

/// What `run.py` tells about the proxy and the sandbox.
fn told(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set; `make contract-test` starts the proxy and sets it"))
}

struct Proxied {
    whatsapp: WhatsApp,
    graph: String,
    page: String,
    http: reqwest::Client,
}

impl Proxied {
    fn new() -> Proxied {
        let graph = told("CONTRACT_GRAPH_URL");
        let now = jiff::Timestamp::now().as_millisecond();
        let whatsapp = adapter(&graph, &Arc::new(AtomicI64::new(now)));
        Proxied { whatsapp, graph, page: told("CONTRACT_PAGE_URL"), http: reqwest::Client::new() }
    }

    fn past_the_proxy(&self) -> WhatsApp {
        adapter(&told("CONTRACT_WHATSAPP_URL"), &Arc::new(AtomicI64::new(jiff::Timestamp::now().as_millisecond())))
    }

    async fn call(&self, call: GroupCall) -> Attempt {
        self.whatsapp.group(&act(call)).await
    }

    async fn by_hand(&self, path: &str, body: Value) -> Value {
        let answer = self.http.post(format!("{}{path}", self.page)).json(&body).send().await.unwrap();
        let (status, said) = (answer.status(), answer.text().await.unwrap());
        assert!(status.is_success(), "{path}: {said}");
        serde_json::from_str(&said).unwrap()
    }

    async fn has_phone(&self, number: &str) {
        self.by_hand("/api/phones", json!({ "number": number, "name": "Ann Day" })).await;
    }

    /// What the bot itself never asks for.
    async fn reads(&self, path: &str) -> Value {
        let url = format!("{}/v25.0/{path}", self.graph);
        let asked = self.http.get(url).bearer_auth("sandbox-token").header("User-Agent", "liaison/0.1.0");
        asked.send().await.unwrap().json().await.unwrap()
    }

    async fn asks(&self, number: &str, group: &GroupId, link: &str) -> String {
        self.by_hand(&format!("/api/phones/{number}/groups/join"), json!({ "link": link })).await;
        let requests = self.reads(&format!("{group}/join_requests")).await;
        let asked = requests["data"].as_array().unwrap().iter().find(|one| one["wa_id"] == number[1..]);
        asked.unwrap()["join_request_id"].as_str().unwrap().to_owned()
    }

    async fn send(&self, group: &GroupId, prepared: Prepared) -> Attempt {
        let (message, contact, line) = (MessageId::new("m-1A2B3C4D"), ContactId::new("c-1A2B3C4D"), LineId::new(LINE));
        let to = Address { group: Some(group.clone()), ..Address::default() };
        let body = match &prepared {
            Prepared::Template { name, language, .. } => {
                Body::Template { name: name.clone(), language: language.clone(), vars: BTreeMap::new() }
            }
            _ => Body::Text(String::new()),
        };
        let send = Send { message, contact, channel: Channel::WhatsApp, line, to, body, room: None };
        self.whatsapp.send(&send, &prepared).await
    }
}

#[tokio::test]
#[ignore = "tests/whatsapp_contract/run.py starts what it needs"]
async fn a_groups_life_is_as_metas_document_has_it() {
    let world = Proxied::new();
    world.has_phone(ANN).await;
    world.has_phone(BOB).await;
    let before = jiff::Timestamp::now().as_millisecond() - 60_000;
    assert!(done(world.call(create("Day family")).await).is_some());
    let group = GroupId::new(done(world.call(find("Day family", before)).await).unwrap());
    let void = done(world.call(link(&group, false)).await).unwrap();
    let link = done(world.call(link(&group, true)).await).unwrap();
    assert_ne!(void, link);
    let text = || Prepared::Text { text: "Good morning <all> & \"you\" 😀".to_owned() };
    assert_eq!(code(world.send(&group, text()).await), "131020");

    let ann = world.asks(ANN, &group, &link).await;
    assert_eq!(done(world.call(answer(&group, &ann, true)).await), None);
    let bob = world.asks(BOB, &group, &link).await;
    assert_eq!(done(world.call(answer(&group, &bob, false)).await), None);
    assert_eq!(code(world.call(answer(&group, &bob, true)).await), "131213");
    let bob = world.asks(BOB, &group, &link).await;
    assert_eq!(done(world.call(answer(&group, &bob, true)).await), None);

    let change =
        GroupCall::Change { group: group.clone(), subject: Some("The Days".to_owned()), description: Some("Jane".to_owned()) };
    assert!(!is_unknown(&world.call(change).await));
    let (album, small) = (super::picture::Album::new(), super::picture::jpeg(192, 192, 20_000));
    // Prism finds the form as the document has it, and hands it on as text, which spoils every picture …
    assert_eq!(code(album.gives(&world.whatsapp, &group, &small).await), "100");
    // … so the picture itself passes it by; what WhatsApp tells of it does not.
    assert!(done(album.gives(&world.past_the_proxy(), &group, &small).await).is_some());
    assert_eq!(code(world.send(&group, text()).await), "131047");
    let parameter = |name: &str, text: &str| json!({"type": "text", "parameter_name": name, "text": text});
    let components = json!([{"type": "body", "parameters": [parameter("firm", "Acme Wealth"), parameter("change", "added")]}]);
    let (name, language) = ("liaison_group_changed".to_owned(), "en_US".to_owned());
    let template = Prepared::Template { name, language, components, text: String::new() };
    assert!(done(world.send(&group, template).await).is_some());
    world.by_hand(&format!("/api/phones/{ANN}/messages"), json!({ "group": group, "text": "Hello all" })).await;
    assert!(done(world.send(&group, text()).await).is_some());

    let seen = world.reads(&format!("{group}?fields=subject,description,participants,join_approval_mode,suspended,creation_timestamp,total_participant_count")).await;
    assert_eq!((&seen["subject"], &seen["total_participant_count"]), (&json!("The Days"), &json!(2)));
    assert_eq!(done(world.call(remove(&group, ANN)).await), None);
    assert_eq!(code(world.call(remove(&group, ANN)).await), "131212");
    world.by_hand(&format!("/api/phones/{BOB}/groups/{group}/leave"), json!({})).await;
    assert_eq!(done(world.call(GroupCall::Delete { group: group.clone() }).await), None);
    assert_eq!(code(world.call(find("The Days", before)).await), "not-there");
}
