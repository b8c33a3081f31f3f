//! Webhooks as bad as they come, over real sockets into real desks: each element is handled or set aside by itself, once.
#![allow(clippy::unwrap_used)] // Test helpers fail loudly.
mod common;

use aws_lc_rs::hmac;
use common::world::{ANN, LINE, keys_of, person, policy};
use liaison::adapters::store::MemoryStore;
use liaison::domain::commit::{Commit, Committed, Entry, Key, Stored};
use liaison::domain::contact::{Contact, Pointer};
use liaison::domain::event::{Event, Fact};
use liaison::domain::ids::{Channel, EventId, LineId};
use liaison::domain::time::{Span, Timestamp};
use liaison::flow::desk::{Desks, News};
use liaison::ports::{Clock, Inbox, Receipt, Store, StoreError};
use liaison::server::{WhatsAppHooks, bind, public_router, serve};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

const NOW: Timestamp = Timestamp(1_800_000_000_000);
const SECRETS: [&str; 2] = ["new-secret", "old-secret"];
const MB3: usize = 3 * 1024 * 1024;

struct Noon;
impl Clock for Noon {
    fn now(&self) -> Timestamp {
        NOW
    }
}

/// A store whose journal can be read back: each entry beside the event that caused it.
struct Journal {
    store: MemoryStore,
    entries: Mutex<Vec<(EventId, Entry)>>,
}

impl Store for Journal {
    fn get(&self, key: &Key) -> Result<Option<Stored>, StoreError> {
        self.store.get(key)
    }
    fn scan(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<Vec<(Key, Stored)>, StoreError> {
        self.store.scan(prefix, after, limit)
    }
    fn commit(&self, commit: Commit) -> Result<Committed, StoreError> {
        let entries: Vec<_> = commit.entries.iter().map(|entry| (commit.cause.clone(), entry.clone())).collect();
        let committed = self.store.commit(commit)?;
        if matches!(committed, Committed::Now(_)) {
            self.entries.lock().unwrap().extend(entries);
        }
        Ok(committed)
    }
    fn durable(&self) -> watch::Receiver<u64> {
        self.store.durable()
    }
    fn last_time(&self) -> Timestamp {
        self.store.last_time()
    }
}

struct World {
    journal: Arc<Journal>,
    address: SocketAddr,
    http: reqwest::Client,
    stop: CancellationToken,
    desks: Desks,
    _news: mpsc::UnboundedReceiver<News>,
}

impl Drop for World {
    fn drop(&mut self) {
        self.stop.cancel();
        self.desks.close();
    }
}

impl World {
    async fn new() -> World {
        let journal = Arc::new(Journal { store: MemoryStore::new(), entries: Mutex::default() });
        let policy = liaison::domain::policy::Policy { onboarding_per_hour: 100_000, onboarding_per_prefix: 100_000, ..policy() };
        let (desks, news) = Desks::start(Arc::clone(&journal) as Arc<dyn Store>, policy, Arc::new(Noon));
        desks.open_to_clients();
        let jane = Event { id: EventId::new("jane"), at: NOW, fact: Fact::UserFound { user: person("jane") }, raw: None };
        assert_eq!(desks.deliver(jane).await, Receipt::Kept);
        let hooks = WhatsAppHooks { verify_token: "tell-me".to_owned(), app_secrets: SECRETS.map(str::to_owned).to_vec() };
        let stop = CancellationToken::new();
        let listener = bind("127.0.0.1:0", "server.listen").await.unwrap();
        let address = listener.address().unwrap();
        let router = public_router(Some(hooks), None, Arc::new(desks.clone()), Arc::new(Noon));
        tokio::spawn(serve(listener, router, stop.clone()));
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        World { journal, address, http, stop, desks, _news: news }
    }

    async fn post(&self, body: &str, secret: &str) -> u16 {
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()), body.as_bytes());
        let url = format!("http://{}/webhooks/whatsapp", self.address);
        let request = self.http.post(url).header("X-Hub-Signature-256", format!("sha256={}", hex::encode(tag)));
        request.body(body.to_owned()).send().await.unwrap().status().as_u16()
    }

    fn count(&self, kind: &str) -> usize {
        self.journal.entries.lock().unwrap().iter().filter(|(_, entry)| entry.kind == kind).count()
    }

    fn contact(&self, number: &str) -> Option<Contact> {
        let pointer = self.journal.get(&Key::new("phone", number)).unwrap()?;
        let pointer: Pointer = serde_json::from_slice(&pointer.value).unwrap();
        let contact = self.journal.get(&Key::new("contact", pointer.to)).unwrap()?;
        Some(serde_json::from_slice(&contact.value).unwrap())
    }

    fn set_aside(&self) -> usize {
        self.journal.scan("quarantine/", None, 10_000).unwrap().len()
    }
}

fn seconds(at: Timestamp) -> String {
    (at.0 / 1_000).to_string()
}

fn text(from: &str, id: &str, at: Timestamp, body: &str) -> Value {
    json!({ "from": from, "id": id, "timestamp": seconds(at), "type": "text", "text": { "body": body } })
}

fn value(messages: &[Value], statuses: &[Value]) -> Value {
    json!({ "messaging_product": "whatsapp", "metadata": { "phone_number_id": LINE, "display_phone_number": "1" },
        "messages": messages, "statuses": statuses })
}

fn change(value: &Value) -> Value {
    json!({ "field": "messages", "value": value })
}

fn webhook(entries: &[Value]) -> String {
    json!({ "object": "whatsapp_business_account", "entry": entries }).to_string()
}

fn one(messages: &[Value]) -> String {
    webhook(&[json!({ "id": "1", "changes": [change(&value(messages, &[]))] })])
}

/// Shapes that no element has.
fn broken(nth: usize) -> Value {
    let at = seconds(NOW);
    [
        json!(7),
        json!("text"),
        json!([[]]),
        json!({}),
        json!({ "id": nth }),
        json!({ "id": format!("b{nth}"), "timestamp": "noon" }),
        json!({ "id": format!("c{nth}"), "timestamp": at, "type": "text", "text": "no object" }),
        json!({ "id": format!("d{nth}"), "timestamp": at, "from": { "a": 1 } }),
        json!({ "id": { "$": nth } }),
        json!({ "type": "text", "text": { "body": format!("no id {nth}") } }),
    ][nth % 10]
        .clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_of_1000_over_all_levels_loses_nothing_to_its_broken_elements() {
    let world = World::new().await;
    let long = "ä".repeat(1_900);
    let (mut entries, mut nth, mut bad) = (Vec::new(), 0, std::collections::BTreeSet::new());
    for entry in 0..10 {
        let mut changes = Vec::new();
        for _ in 0..10 {
            let mut messages = Vec::new();
            for _ in 0..10 {
                // Every seventh is broken; 50 people write the others.
                if nth % 7 == 6 {
                    let element = broken(nth);
                    bad.insert(element.to_string());
                    messages.push(element);
                } else {
                    let from = format!("491511{:06}", nth % 50);
                    messages.push(text(
                        &from,
                        &format!("w{nth}"),
                        NOW,
                        &format!("{nth} {}", if nth % 2 == 0 { &long } else { "short" }),
                    ));
                }
                nth += 1;
            }
            changes.push(change(&value(&messages, &[])));
        }
        entries.push(json!({ "id": entry.to_string(), "changes": changes }));
    }
    let body = webhook(&entries);
    assert!((MB3 / 2..MB3).contains(&body.len()), "{}", body.len());
    assert_eq!(world.post(&body, SECRETS[0]).await, 200);
    let good = (0..1_000).filter(|nth| nth % 7 != 6).count();
    assert_eq!(world.count("client.wrote"), good);
    assert_eq!(world.count("quarantined"), bad.len(), "the same bytes are the same element");
    assert_eq!(world.set_aside(), bad.len());
    let contact = world.contact("+491511000000").unwrap();
    assert_eq!(contact.on(Channel::WhatsApp).window(&LineId::new(LINE)).last_message, Some(NOW));
    // Meta sends it again, since it may have missed our answer.
    assert_eq!(world.post(&body, SECRETS[0]).await, 200);
    assert_eq!((world.count("client.wrote"), world.count("quarantined")), (good, bad.len()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_level_spoils_no_other() {
    let world = World::new().await;
    let good =
        |id: &str| json!({ "id": "1", "time": "never", "changes": [change(&value(&[text("4915112340000", id, NOW, id)], &[]))] });
    let entries = [
        good("w1"),
        json!(null),
        json!(5),
        json!({ "changes": { "field": "messages" } }),
        json!({ "changes": [7, { "field": 7 }, { "field": "messages", "value": [] }, { "field": "messages", "value": { "metadata": 1 } }] }),
        json!({ "changes": [change(&json!({ "messages": [text("4915112340000", "lost", NOW, "of no line")] }))] }),
        json!({ "changes": [{ "field": "messages", "value": { "metadata": { "phone_number_id": LINE }, "messages": {}, "statuses": 3 } }] }),
        json!({ "changes": [{ "field": "new_things", "value": { "a": [1, 2] } }, { "field": "message_template_status_update", "value": [] }] }),
        good("w2"),
    ];
    assert_eq!(world.post(&webhook(&entries), SECRETS[0]).await, 200);
    assert_eq!(world.count("client.wrote"), 2);
    assert_eq!(world.count("webhook.not_used"), 1, "a field that nobody here knows");
    assert!(world.count("quarantined") >= 8, "{}", world.count("quarantined"));
    assert_eq!(world.set_aside(), world.count("quarantined"));
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_fields_and_types_are_carried_along() {
    let world = World::new().await;
    let mut message = text("4915112340001", "w1", NOW, "hello");
    message["weather"] = json!({ "deep": [{ "er": null }] });
    message["context"] = json!({ "id": "w0", "mood": 3 });
    let kinds = ["hologram", "unknown", "poll", "request_welcome"].map(|kind| {
        json!({ "from": "4915112340001", "id": format!("w-{kind}"), "timestamp": seconds(NOW), "type": kind, kind: { "x": 1 } })
    });
    let mut messages = vec![message];
    messages.extend(kinds);
    let mut all = value(&messages, &[json!({ "id": "w9", "status": "teleported", "timestamp": seconds(NOW) })]);
    all["stars"] = json!([1, 2, 3]);
    all["contacts"] = json!([7, { "profile": 1 }, { "wa_id": "4915112340001", "profile": { "name": "Ann", "badge": true } }]);
    let body =
        json!({ "object": "whatsapp_business_account", "planet": 3, "entry": [{ "id": 7, "x": {}, "changes": [change(&all)] }] });
    assert_eq!(world.post(&body.to_string(), SECRETS[0]).await, 200);
    assert_eq!(world.count("client.wrote"), 5, "what cannot be shown is named");
    assert_eq!(world.count("webhook.not_used"), 1, "a status that nobody here knows");
    assert_eq!(world.contact("+4915112340001").unwrap().profile_name.as_deref(), Some("Ann"));
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_copies_at_once_with_either_secret_count_once() {
    let world = Arc::new(World::new().await);
    let messages: Vec<Value> = (0..40).map(|n| text(&format!("49151122{:04}", n % 8), &format!("w{n}"), NOW, "hello")).collect();
    let body = Arc::new(one(&messages));
    let posts = (0..50).map(|n| {
        let (world, body) = (Arc::clone(&world), Arc::clone(&body));
        tokio::spawn(async move { world.post(&body, SECRETS[n % 2]).await })
    });
    for post in posts.collect::<Vec<_>>() {
        assert_eq!(post.await.unwrap(), 200);
    }
    assert_eq!(world.count("client.wrote"), 40);
    assert_eq!(world.count("contact.created"), 8);
    assert_eq!(world.post(&body, "a third secret").await, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn seven_days_in_any_order_end_as_in_the_right_one() {
    let mut dice = fastrand::Rng::with_seed(11);
    for _ in 0..3 {
        let world = World::new().await;
        let from = &ANN[1..];
        let at = |n: i64| NOW - Span::days(7) + Span::minutes(48 * n);
        let mut messages: Vec<Value> = (0..=210).map(|n| text(from, &format!("w{n}"), at(n), "hello")).collect();
        // He stops on the third day and is back on the fifth; what he meant last is what counts.
        messages[90] = text(from, "w90", at(90), "STOP");
        messages[150] = text(from, "w150", at(150), "START");
        dice.shuffle(&mut messages);
        // His stop comes before his start in one of the batches, or behind it.
        for batch in messages.chunks(25) {
            assert_eq!(world.post(&one(batch), SECRETS[0]).await, 200);
            assert_eq!(world.post(&one(batch), SECRETS[1]).await, 200);
        }
        assert_eq!(world.count("client.wrote"), 211);
        let contact = world.contact(ANN).unwrap();
        let on = contact.on(Channel::WhatsApp);
        assert_eq!(on.window(&LineId::new(LINE)).last_message, Some(at(210)), "late ones never move it back");
        assert!(on.consent.is_opted_in() || on.consent.is_opted_out());
        assert_eq!(contact.rooms.len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_older_than_14_days_is_kept_aside_and_not_applied() {
    let world = World::new().await;
    let old = NOW - Span::days(14) - Span::seconds(1);
    let preference = json!({ "field": "user_preferences", "value": { "metadata": { "phone_number_id": LINE },
        "user_preferences": [{ "wa_id": &ANN[1..], "category": "marketing_messages", "value": "stop", "timestamp": old.0 / 1_000 }] } });
    let status = json!({ "id": "w0", "status": "read", "timestamp": seconds(old), "recipient_id": &ANN[1..] });
    let template = json!({ "field": "message_template_status_update", "value": { "event": "PAUSED",
        "message_template_name": "follow_up", "message_template_language": "en_US" } });
    let messages = [text(&ANN[1..], "w1", old, "STOP")];
    let entry = json!({ "time": old.0 / 1_000, "changes": [change(&value(&messages, &[status])), preference, template] });
    assert_eq!(world.post(&webhook(&[entry]), SECRETS[0]).await, 200);
    assert_eq!((world.count("quarantined"), world.set_aside()), (4, 4));
    assert!(world.contact(ANN).is_none() && keys_of(ANN).phone.is_some());
    let young = [text(&ANN[1..], "w2", old + Span::seconds(2), "hello")];
    assert_eq!(world.post(&one(&young), SECRETS[0]).await, 200);
    assert!(world.contact(ANN).is_some(), "a second younger it counts");
}
