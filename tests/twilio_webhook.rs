//! The webhooks as Twilio sees them, over real sockets: INTERFACES §3, with bodies like Twilio's own.
#![allow(clippy::unwrap_used)] // Test helpers fail loudly.
use aws_lc_rs::hmac;
use axum::extract::Path as Segments;
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use liaison::adapters::store::{KeyRing, MemoryStore};
use liaison::adapters::twilio::links::Links;
use liaison::adapters::twilio::twiml::Spoken;
use liaison::adapters::twilio::{Settings, Twilio, errors};
use liaison::adapters::vault::Vault;
use liaison::domain::commit::{Commit, Put};
use liaison::domain::event::{
    CallStage, ClientCalled, ClientKeys, ClientMessage, Content, Delivery, DeliveryReported, Event, Fact,
};
use liaison::domain::ids::*;
use liaison::domain::media::{FILE_MAX, Kind, Media, MediaState, Source};
use liaison::domain::time::{Span, Timestamp};
use liaison::ports::{Clock, Inbox, Later, Receipt, Store};
use liaison::server::{TwilioHooks, bind, public_router, serve};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

const ACCOUNT: &str = "AC00000000000000000000000000000001";
const TOKEN: &str = "new-token";
const OLD: &str = "old-token";
/// Not where the test's server listens: a proxy stands between, and under a path of its own.
const PUBLIC: &str = "https://bot.example.com/liaison";
const NOW: Timestamp = Timestamp(1_800_000_000_000);
const LINE: &str = "+12025550143";
const FORWARDED: &str = "+12025550144";
const ANN: &str = "+14155550123";
const SM: &str = "SM11111111111111111111111111111111";
const CA: &str = "CA22222222222222222222222222222222";
const RE: &str = "RE33333333333333333333333333333333";
const EMPTY: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Response/>";

struct Noon;
impl Clock for Noon {
    fn now(&self) -> Timestamp {
        NOW
    }
}

/// Keeps everything, unless it is told not to.
#[derive(Default)]
struct Book {
    kept: Arc<Mutex<Vec<Event>>>,
    full: AtomicBool,
}

impl Inbox for Book {
    fn deliver(&self, event: Event) -> Later<'static, Receipt> {
        let full = self.full.load(Ordering::Acquire);
        if !full {
            self.kept.lock().unwrap().push(event);
        }
        Box::pin(std::future::ready(if full { Receipt::NotNow } else { Receipt::Kept }))
    }
}

struct World {
    url: String,
    twilio: Arc<Twilio>,
    store: Arc<MemoryStore>,
    vault: Arc<Vault>,
    _folder: tempfile::TempDir,
    book: Arc<Book>,
    http: reqwest::Client,
    stop: CancellationToken,
}

impl Drop for World {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// The one call that the API knows: Ann's, to the first line.
async fn api() -> String {
    let call = async |Segments((_, call)): Segments<(String, String)>| match call == format!("{CA}.json") {
        true => (StatusCode::OK, Json(json!({ "sid": CA, "from": ANN, "to": LINE }))),
        false => (StatusCode::NOT_FOUND, Json(json!({ "code": 20404, "message": "not found", "status": 404 }))),
    };
    let router = Router::new().route("/2010-04-01/Accounts/{account}/Calls/{call}", get(call));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    url
}

async fn twilio() -> Arc<Twilio> {
    let settings = Settings {
        api_url: api().await,
        account_sid: ACCOUNT.to_owned(),
        user: ACCOUNT.to_owned(),
        password: TOKEN.to_owned(),
        public_url: PUBLIC.to_owned(),
        auth_tokens: vec![TOKEN.to_owned()],
        ca: None,
        proxy: None,
        answer_within: Duration::from_secs(5),
    };
    Arc::new(Twilio::new(settings, Arc::new(Noon), Arc::default()).unwrap())
}

impl World {
    async fn new() -> World {
        World::with_shared_key(None).await
    }

    async fn with_shared_key(shared_key: Option<&str>) -> World {
        let phone = |number: &str| Phone::from_e164(number).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let keys = Arc::new(KeyRing::open(&folder.path().join("keys"), true).unwrap());
        let vault = Arc::new(Vault::open(folder.path(), keys).unwrap());
        let (twilio, store) = (twilio().await, Arc::new(MemoryStore::new()));
        let hooks = TwilioHooks {
            account_sid: ACCOUNT.to_owned(),
            auth_tokens: vec![TOKEN.to_owned(), OLD.to_owned()],
            shared_key: shared_key.map(str::to_owned),
            public_url: format!("{PUBLIC}/"),
            lines: vec![(phone(LINE), None), (phone(FORWARDED), Some(phone("+12025550199")))],
            spoken: Spoken { greeting: "Acme & Co".to_owned(), voicemail: "After the tone".to_owned() },
            twilio: twilio.clone(),
            store: store.clone(),
            vault: vault.clone(),
        };
        let (book, stop) = (Arc::new(Book::default()), CancellationToken::new());
        let listener = bind("127.0.0.1:0", "server.listen").await.unwrap();
        let url = format!("http://{}", listener.address().unwrap());
        let router = public_router(None, Some(hooks), book.clone(), Arc::new(Noon));
        tokio::spawn(serve(listener, router, stop.clone()));
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        World { url, twilio, store, vault, _folder: folder, book, http, stop }
    }

    async fn send(&self, path: &str, form: &[(&str, &str)], signatures: &[String]) -> (u16, String) {
        let mut request = self.http.post(format!("{}{path}", self.url)).form(form);
        for signature in signatures {
            request = request.header("X-Twilio-Signature", signature);
        }
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        if status == 200 {
            assert_eq!(response.headers()["content-type"], "text/xml; charset=utf-8");
        }
        (status, response.text().await.unwrap())
    }

    async fn post(&self, path: &str, form: &[(&str, &str)]) -> (u16, String) {
        let form = with_account(form);
        self.send(path, &form, &[sign(TOKEN, &format!("{PUBLIC}{path}"), &form)]).await
    }

    /// What is told by it, which must be taken.
    async fn told(&self, path: &str, form: &[(&str, &str)]) -> (Vec<Event>, String) {
        let (status, answer) = self.post(path, form).await;
        assert_eq!(status, 200, "{answer}");
        (std::mem::take(&mut *self.book.kept.lock().unwrap()), answer)
    }

    fn kept(&self) -> usize {
        self.book.kept.lock().unwrap().len()
    }
}

fn with_account<'f>(form: &[(&'f str, &'f str)]) -> Vec<(&'f str, &'f str)> {
    form.iter().copied().chain([("AccountSid", ACCOUNT), ("ApiVersion", "2010-04-01")]).collect()
}

/// Another writing of the same rule than the bot's own.
fn sign(token: &str, url: &str, form: &[(&str, &str)]) -> String {
    let sorted: BTreeMap<&str, &str> = form.iter().copied().collect();
    let text: String = sorted.iter().map(|(name, value)| format!("{name}{value}")).collect();
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, token.as_bytes());
    STANDARD.encode(hmac::sign(&key, format!("{url}{text}").as_bytes()))
}

fn sms<'f>(body: &'f str, more: &[(&'f str, &'f str)]) -> Vec<(&'f str, &'f str)> {
    let plain = [
        ("ToCountry", "US"),
        ("SmsMessageSid", SM),
        ("NumMedia", "0"),
        ("ToCity", ""),
        ("SmsStatus", "received"),
        ("Body", body),
        ("To", LINE),
        ("NumSegments", "1"),
        ("MessageSid", SM),
        ("From", ANN),
    ];
    let rest = plain.into_iter().filter(|(name, _)| !more.iter().any(|(given, _)| given == name));
    rest.chain(more.iter().copied()).collect()
}

fn ann() -> ClientKeys {
    ClientKeys { phone: Phone::from_e164(ANN), ..ClientKeys::default() }
}

fn said(from: ClientKeys, content: Content) -> Fact {
    let (channel, line, id) = (Channel::Sms, LineId::new(LINE), Wamid::new(SM));
    Fact::ClientMessage(ClientMessage { channel, line, id, from, content, quoted: None, group: None })
}

fn only(events: Vec<Event>) -> (String, Fact) {
    assert_eq!(events.len(), 1, "{events:#?}");
    let event = events.into_iter().next().unwrap();
    (event.id.to_string(), event.fact)
}

const SMS: &str = "/webhooks/twilio/sms";
const STATUS: &str = "/webhooks/twilio/status";
const VOICE: &str = "/webhooks/twilio/voice";

// ---- who may tell us anything

#[tokio::test]
async fn a_message_is_kept_before_the_answer_and_nothing_is_said_in_it() {
    let world = World::new().await;
    let (events, answer) = world.told(SMS, &sms("Hello & welcome = 50% + more 👋", &[])).await;
    assert_eq!(answer, EMPTY);
    let raw = String::from_utf8(events[0].raw.as_ref().unwrap().to_vec()).unwrap();
    assert!(raw.contains("Body=Hello+%26+welcome") && events[0].at == NOW, "{raw}");
    let text = Content::Text("Hello & welcome = 50% + more 👋".to_owned());
    assert_eq!(only(events), (format!("sms:{SM}"), said(ann(), text)));
    world.book.full.store(true, Ordering::Release);
    assert_eq!(world.post(SMS, &sms("again", &[])).await, (503, String::new()));
}

#[tokio::test]
async fn either_token_signs_the_public_address_and_nothing_else_does() {
    let world = World::new().await;
    let form = with_account(&sms("hi", &[]));
    let url = format!("{PUBLIC}{SMS}");
    for token in [TOKEN, OLD] {
        assert_eq!(world.send(SMS, &form, &[sign(token, &url, &form)]).await.0, 200);
    }
    let without_a_name: Vec<_> = form.iter().copied().filter(|(name, _)| *name != "ToCity").collect();
    let good = sign(TOKEN, &url, &form);
    let bad = [
        vec![],
        vec![String::new()],
        vec![sign("another", &url, &form)],
        vec![sign(TOKEN, &format!("{}{SMS}", world.url), &form)],
        vec![sign(TOKEN, &format!("{url}?m=1"), &form)],
        vec![sign(TOKEN, &url, &without_a_name)],
        vec![good.clone(), good.clone()],
        vec![format!("{good}, {good}")],
    ];
    for signatures in bad {
        assert_eq!(world.send(SMS, &form, &signatures).await, (403, String::new()), "{signatures:?}");
    }
    assert_eq!(world.kept(), 2);
}

#[tokio::test]
async fn with_a_shared_key_the_token_signs_no_more() {
    let world = World::with_shared_key(Some("shared")).await;
    assert_eq!(world.post(SMS, &sms("hi", &[])).await.0, 403);
    let text: String = format!("{PUBLIC}{SMS}AccountSid{ACCOUNT}BodyhiMessageSid{SM}");
    let signature = STANDARD.encode(hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, b"shared"), text.as_bytes()));
    let form = [("MessageSid", SM), ("Body", "hi"), ("AccountSid", ACCOUNT)];
    let signed = || world.http.post(format!("{}{SMS}", world.url)).form(&form).header("X-Twilio-Signature", &signature);
    const SETTINGS: &str = "X-Twilio-Webhooks-Signature-Settings";
    let good = "key=webhooks_sharedkey_1,algorithm=HMAC_SHA256";
    assert_eq!(signed().header(SETTINGS, good).send().await.unwrap().status(), 200);
    assert_eq!(signed().send().await.unwrap().status(), 403);
    assert_eq!(signed().header(SETTINGS, good).header(SETTINGS, good).send().await.unwrap().status(), 403, "which would count?");
}

#[tokio::test]
async fn what_is_signed_but_none_of_ours_or_no_webhook_is_refused() {
    let world = World::new().await;
    let url = format!("{PUBLIC}{SMS}");
    let foreign = [("MessageSid", SM), ("Body", "hi"), ("AccountSid", "AC99")];
    assert_eq!(world.send(SMS, &foreign, &[sign(TOKEN, &url, &foreign)]).await.0, 403);
    assert_eq!(world.post(SMS, &[("Body", "hi")]).await.0, 400);
    assert_eq!(world.post(SMS, &[("Body", "hi"), ("MessageSid", "../x")]).await.0, 400);
    assert_eq!(world.post(STATUS, &[("MessageStatus", "sent")]).await.0, 400);
    assert_eq!(world.post(STATUS, &[("MessageSid", SM)]).await.0, 400);
    assert_eq!(world.post(VOICE, &[("From", ANN)]).await.0, 400);
    assert_eq!(world.post(&format!("{VOICE}?step=else"), &[("CallSid", CA)]).await.0, 400);
    let long = "x".repeat(70_000);
    assert_eq!(world.post(SMS, &sms(&long, &[])).await.0, 413, "size before signature");
    let unannounced = reqwest::Body::wrap_stream(futures_util::stream::iter([Ok::<_, std::io::Error>(long)]));
    let form = "application/x-www-form-urlencoded";
    let request = world.http.post(format!("{}{SMS}", world.url)).header("Content-Type", form).body(unannounced);
    assert_eq!(request.send().await.unwrap().status(), 413);
    assert_eq!(world.http.get(format!("{}{SMS}", world.url)).send().await.unwrap().status(), 405);
    assert_eq!(world.kept(), 0);
}

// ---- messages

#[tokio::test]
async fn a_text_and_its_files_are_an_event_each() {
    let world = World::new().await;
    let base = format!("https://api.twilio.com/2010-04-01/Accounts/{ACCOUNT}/Messages/{SM}/Media");
    let (picture, card) = (format!("{base}/ME1"), format!("{base}/ME2?x=/ME9"));
    let more = [
        ("NumMedia", "3"),
        ("MediaUrl0", picture.as_str()),
        ("MediaContentType0", "image/jpeg"),
        ("MediaUrl1", card.as_str()),
        ("MediaContentType1", "text/vcard; charset=utf-8"),
        ("MediaUrl2", "https://evil.example/.."),
        ("MediaContentType2", "video/mp4"),
    ];
    let (events, _) = world.told(SMS, &sms("look", &more)).await;
    let seen: Vec<(String, Content)> = events.into_iter().map(|event| (event.id.to_string(), content(event.fact))).collect();
    assert_eq!(seen[0], (format!("sms:{SM}"), Content::Text("look".to_owned())));
    let file = |seen: &(String, Content)| match &seen.1 {
        Content::Media(file) => (seen.0.clone(), file.kind, file.id.clone(), file.mime.clone().unwrap()),
        other => panic!("{other:?}"),
    };
    assert_eq!(file(&seen[1]), (format!("sms:{SM}/0"), Kind::Picture, format!("{SM}/ME1"), "image/jpeg".to_owned()));
    assert_eq!(
        file(&seen[2]),
        (format!("sms:{SM}/1"), Kind::Document, format!("{SM}/ME2"), "text/vcard; charset=utf-8".to_owned())
    );
    assert_eq!(seen[3].1, Content::Other { kind: "video".to_owned(), id: None, caption: None }, "told, but never fetched");
    assert_eq!(seen.len(), 4);
    let (events, _) = world.told(SMS, &sms("", &more[..3])).await;
    assert_eq!(events.len(), 3, "without a text there is no event for one");
}

fn content(fact: Fact) -> Content {
    match fact {
        Fact::ClientMessage(said) => said.content,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn what_the_provider_made_of_the_words_comes_with_them() {
    let world = World::new().await;
    let table = [
        ("STOP", Content::Button { payload: "consent:stop".into(), text: "halt".into() }),
        ("START", Content::Button { payload: "consent:yes".into(), text: "halt".into() }),
        ("HELP", Content::Text("halt".into())),
        ("", Content::Text("halt".into())),
    ];
    for (opt_out, expected) in table {
        let (events, _) = world.told(SMS, &sms("halt", &[("OptOutType", opt_out)])).await;
        assert_eq!(only(events).1, said(ann(), expected), "{opt_out}");
    }
    let (events, _) = world.told(SMS, &sms("", &[])).await;
    assert!(matches!(content(only(events).1), Content::Other { .. }), "an empty message is a message");
}

#[tokio::test]
async fn who_cannot_be_answered_is_nobody_and_a_foreign_line_is_told_all_the_same() {
    let world = World::new().await;
    for name in ["72345", "ACME", "whatsapp:+14155550123", "+1"] {
        let (events, _) = world.told(SMS, &sms("hi", &[("From", name)])).await;
        let from = ClientKeys { profile_name: Some(name.to_owned()), ..ClientKeys::default() };
        assert_eq!(only(events).1, said(from, Content::Text("hi".into())));
    }
    let (events, _) = world.told(SMS, &sms("hi", &[("To", "+19995550000")])).await;
    let Fact::ClientMessage(message) = only(events).1 else { panic!() };
    assert_eq!(message.line, LineId::new("+19995550000"));
}

// ---- what became of ours

#[tokio::test]
async fn a_status_bears_our_own_id_and_the_providers_code() {
    let world = World::new().await;
    let status = async |name: &str, path: &str, more: &[(&'static str, &'static str)]| {
        let name = name.to_owned();
        let form: Vec<(&str, &str)> = [("MessageSid", SM), ("MessageStatus", &name), ("From", LINE), ("To", ANN)]
            .into_iter()
            .chain(more.iter().copied())
            .collect();
        let (events, answer) = world.told(path, &form).await;
        assert_eq!(answer, EMPTY);
        only(events)
    };
    let report = |ours: Option<&str>, status: Delivery| {
        Fact::DeliveryReported(DeliveryReported {
            channel: Channel::Sms,
            line: LineId::new(LINE),
            id: Wamid::new(SM),
            ours: ours.map(MessageId::new),
            status,
            recipient: ann(),
            participant: None,
            price_category: None,
            price_type: None,
        })
    };
    let failed = |code: &str, detail: &str| Delivery::Failed { code: code.to_owned(), detail: detail.to_owned(), of_line: false };
    let with_id = format!("{STATUS}?m=m-1A2B3C4D");
    let table = [
        ("sent", with_id.as_str(), report(Some("m-1A2B3C4D"), Delivery::Sent)),
        ("delivered", STATUS, report(None, Delivery::Delivered)),
        ("read", &format!("{STATUS}?m=x%20y"), report(None, Delivery::Read)),
        ("undelivered", &with_id, report(Some("m-1A2B3C4D"), failed("undelivered", ""))),
        ("canceled", &with_id, report(Some("m-1A2B3C4D"), failed("canceled", ""))),
    ];
    for (name, path, expected) in table {
        assert_eq!(status(name, path, &[]).await, (format!("status:{SM}/{name}"), expected));
    }
    let told = status("failed", &with_id, &[("ErrorCode", "21610"), ("ErrorMessage", "Unsubscribed")]).await;
    assert_eq!(told.1, report(Some("m-1A2B3C4D"), failed("21610", "Unsubscribed")));
    let nothing = status("failed", &with_id, &[("ErrorCode", "0")]).await;
    assert_eq!(nothing.1, report(Some("m-1A2B3C4D"), failed("failed", "")), "0 is no code");
    for name in ["queued", "accepted", "sending", "scheduled", "tomorrows"] {
        let (id, fact) = status(name, &with_id, &[]).await;
        assert!(matches!(fact, Fact::OfNoConcern { .. }) && id == format!("status:{SM}/{name}"), "{name}: {fact:?}");
    }
}

#[test]
fn every_code_of_the_table_has_an_advice_and_no_other_channel_has_it() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let advice = errors::advice(&root.join("templates")).unwrap();
    let contract =
        std::fs::read(root.join("../shared/contracts/twilio/error-codes.json")).expect("the contract lies in ../shared");
    let contract: Value = serde_json::from_slice(&contract).unwrap();
    let known: Vec<i64> = contract["errors"].as_array().unwrap().iter().map(|error| error["code"].as_i64().unwrap()).collect();
    let of_the_notes = [
        20003, 20404, 20429, 20500, 21211, 21408, 21606, 21610, 21611, 21612, 21614, 21617, 21602, 21620, 30001, 30002, 30003,
        30004, 30005, 30006, 30007, 30008, 30022, 30023, 30027, 30032, 30034, 30035, 30410, 30450,
    ];
    for code in of_the_notes {
        assert!(known.contains(&code), "{code} is in the provider's dictionary");
        let advice = advice.get(&code.to_string()).unwrap_or_else(|| panic!("{code} has no advice"));
        assert!(advice.ends_with('.') && !advice.contains("  "), "{code}: {advice}");
    }
    assert!(advice.keys().filter(|key| *key != "other").all(|code| errors::is_twilios(code)));
    assert!(!errors::is_twilios("131026") && !errors::is_twilios("190") && !errors::is_twilios("unsendable"));
    assert_eq!(errors::advice_for(&advice, "99999"), advice.get("other").map(String::as_str));
}

// ---- calls

fn call<'f>(to: &'f str, from: &'f str, more: &[(&'f str, &'f str)]) -> Vec<(&'f str, &'f str)> {
    let plain = [("CallSid", CA), ("To", to), ("Called", to), ("From", from), ("Caller", from), ("Direction", "inbound")];
    let status = [("CallStatus", "ringing")].into_iter().filter(|_| !more.iter().any(|(name, _)| *name == "CallStatus"));
    plain.into_iter().chain(status).chain(more.iter().copied()).collect()
}

fn called(to: &str, from: ClientKeys, stage: CallStage) -> Fact {
    Fact::ClientCalled(ClientCalled { channel: Channel::Sms, line: LineId::new(to), id: CA.to_owned(), from, stage })
}

#[tokio::test]
async fn s2_18_a_call_is_told_while_it_rings_and_the_caller_hears_the_notice_before_anything_is_recorded() {
    let world = World::new().await;
    let (events, answer) = world.told(VOICE, &call(LINE, ANN, &[])).await;
    let rings = CallStage::Ringing { may_be_answered: false };
    assert_eq!(only(events), (format!("call:{CA}/ringing"), called(LINE, ann(), rings)));
    let said = "<Say language=\"en-US\">Acme &amp; Co</Say><Say language=\"en-US\">After the tone</Say><Record maxLength=\"120\" \
                playBeep=\"true\" action=\"https://bot.example.com/liaison/webhooks/twilio/voice?step=recorded\" \
                recordingStatusCallback=\"https://bot.example.com/liaison/webhooks/twilio/voice?step=recording\"/><Hangup/>";
    assert!(answer.contains(&format!("<Response>{said}</Response>")), "{answer}");
    world.book.full.store(true, Ordering::Release);
    assert_eq!(world.post(VOICE, &call(LINE, ANN, &[])).await.0, 503, "no call that is told to nobody");
}

#[tokio::test]
async fn a_call_is_put_through_where_the_line_says_so_and_goes_to_voice_mail_where_nobody_answers() {
    let world = World::new().await;
    let (events, answer) = world.told(VOICE, &call(FORWARDED, ANN, &[])).await;
    assert_eq!(only(events).1, called(FORWARDED, ann(), CallStage::Ringing { may_be_answered: true }));
    assert!(answer.contains("Co</Say><Dial answerOnBridge=\"true\" timeout=\"20\" action=\""), "{answer}");
    assert!(answer.contains("?step=dial\"><Number>+12025550199</Number></Dial>") && !answer.contains("Record"), "{answer}");

    let dial = format!("{VOICE}?step=dial");
    let answered = call(FORWARDED, ANN, &[("DialCallStatus", "completed"), ("DialCallDuration", "61")]);
    let (events, answer) = world.told(&dial, &answered).await;
    let over = CallStage::Over { answered: true, seconds: Some(61) };
    assert_eq!(only(events), (format!("call:{CA}/dial"), called(FORWARDED, ann(), over)));
    assert!(answer.contains("<Response><Hangup/></Response>"), "{answer}");

    for status in ["no-answer", "busy", "failed", "canceled"] {
        let (events, answer) = world.told(&dial, &call(FORWARDED, ANN, &[("DialCallStatus", status)])).await;
        let over = CallStage::Over { answered: false, seconds: None };
        assert_eq!(only(events).1, called(FORWARDED, ann(), over), "{status}: told now, not when some callback comes");
        assert!(answer.contains("<Response><Say language=\"en-US\">After the tone</Say><Record "), "{status}: {answer}");
    }
}

#[tokio::test]
async fn a_call_to_a_foreign_number_is_told_and_rejected() {
    let world = World::new().await;
    let (events, answer) = world.told(VOICE, &call("+19995550000", ANN, &[])).await;
    assert_eq!(only(events).1, called("+19995550000", ann(), CallStage::Ringing { may_be_answered: false }));
    assert!(answer.contains("<Reject/>"), "{answer}");
}

#[tokio::test]
async fn a_withheld_number_is_nobodys_and_the_advisors_phone_shows_the_line() {
    let world = World::new().await;
    for from in ["anonymous", "Anonymous", "+266696687", "+7378742833", "+2562533", "+8656696", "+86282452253", "Restricted", ""]
    {
        let (events, answer) = world.told(VOICE, &call(FORWARDED, from, &[])).await;
        assert_eq!(
            only(events).1,
            called(FORWARDED, ClientKeys::default(), CallStage::Ringing { may_be_answered: true }),
            "{from}"
        );
        assert!(answer.contains(&format!(" callerId=\"{FORWARDED}\"")), "{from}: {answer}");
    }
    let (events, _) = world.told(VOICE, &call(FORWARDED, "sip:bob@example.com", &[])).await;
    let from = ClientKeys { profile_name: Some("sip:bob@example.com".into()), ..ClientKeys::default() };
    assert_eq!(only(events).1, called(FORWARDED, from, CallStage::Ringing { may_be_answered: true }));
}

#[tokio::test]
async fn the_end_of_a_call_is_told_on_either_path_and_counted_by_its_number() {
    let world = World::new().await;
    for path in [VOICE, STATUS] {
        for status in ["completed", "no-answer", "busy", "canceled", "failed"] {
            let more = [("CallStatus", status), ("CallDuration", "33"), ("SequenceNumber", "2")];
            let (events, answer) = world.told(path, &call(LINE, ANN, &more)).await;
            let over = CallStage::Over { answered: false, seconds: Some(33) };
            assert_eq!(only(events), (format!("call:{CA}/{status}/2"), called(LINE, ann(), over)));
            assert_eq!(answer, EMPTY);
        }
    }
}

#[tokio::test]
async fn a_message_to_voice_mail_comes_as_a_file_whichever_step_tells_of_it_first() {
    let world = World::new().await;
    let recorded = [("RecordingSid", RE), ("RecordingUrl", "https://evil.example/RE"), ("RecordingDuration", "23")];
    let (mut events, answer) = world.told(&format!("{VOICE}?step=recorded"), &call(LINE, ANN, &recorded)).await;
    assert!(answer.contains("<Response><Hangup/></Response>"), "{answer}");
    let (first, step) = (events.pop().unwrap(), events.pop().unwrap());
    assert_eq!((step.id.as_str(), events.len()), (format!("call:{CA}/recorded").as_str(), 0));
    let Fact::ClientMessage(said) = &first.fact else { panic!("{first:?}") };
    assert_eq!((&said.line, &said.from, &said.id), (&LineId::new(LINE), &ann(), &Wamid::new(RE)));
    let Content::Media(file) = &said.content else { panic!("{first:?}") };
    assert_eq!((file.kind, file.id.as_str()), (Kind::Voice, format!("recording/{RE}").as_str()));
    assert_eq!((file.mime.as_deref(), file.caption.as_deref()), (Some("audio/mpeg"), Some("Voicemail, 23 s")));

    // Twilio's own callback names neither side of the call.
    let callback = [("CallSid", CA), recorded[0], recorded[1], recorded[2], ("RecordingStatus", "completed")];
    let (events, answer) = world.told(&format!("{VOICE}?step=recording"), &callback).await;
    assert_eq!(answer, EMPTY);
    assert_eq!((&events[1].id, &events[1].fact), (&first.id, &first.fact), "the same event");
    assert_eq!(first.id.as_str(), format!("sms:{RE}"));
}

#[tokio::test]
async fn where_nothing_was_recorded_there_is_no_message_and_where_nobody_knows_whose_it_was_it_is_asked_again() {
    let world = World::new().await;
    let nothing = [("RecordingSid", RE), ("RecordingStatus", "absent")];
    let empty = [("RecordingSid", RE), ("RecordingDuration", "0")];
    for more in [&nothing[..], &empty[..], &[]] {
        let (events, _) = world.told(&format!("{VOICE}?step=recording"), &call(LINE, ANN, more)).await;
        assert!(matches!(only(events).1, Fact::OfNoConcern { .. }));
    }
    let unknown = [("CallSid", "CA9"), ("RecordingSid", RE), ("RecordingDuration", "5")];
    assert_eq!(world.post(&format!("{VOICE}?step=recording"), &unknown).await.0, 503);
    assert_eq!(world.kept(), 0);
}

// ---- the firm's files

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n and more of it";

impl World {
    /// A picture of an advisor, as it lies before its message goes.
    async fn keeps_a_picture(&self, id: &str, state: MediaState) {
        let media = Media {
            id: MediaId::new(id),
            contact: ContactId::new("c-1A2B3C4D"),
            kind: Kind::Picture,
            mime: "image/png".to_owned(),
            name: "chart.png".to_owned(),
            size: Some(PNG.len() as u64),
            sha256: None,
            source: Source::Chat { stream: StreamId::new("s"), message: ChatMessageId::new("m"), file: "f".to_owned() },
            state,
            uploaded: None,
        };
        let mut taking = self.vault.take(&media, FILE_MAX);
        assert!(taking.push(bytes::Bytes::from_static(PNG)).await);
        taking.finish().await.unwrap();
        let put = Put { key: Media::key_of(&media.id), value: Some(serde_json::to_vec(&media).unwrap()), sealed_for: None };
        let commit = Commit { cause: EventId::new(id), at: NOW, read: vec![], puts: vec![put], entries: vec![], raw: None };
        self.store.commit(commit).unwrap();
    }

    async fn comes_for(&self, address: &str) -> reqwest::Response {
        let path = address.strip_prefix(PUBLIC).unwrap();
        self.http.get(format!("{}{path}", self.url)).send().await.unwrap()
    }
}

#[tokio::test]
async fn a_picture_is_given_to_whoever_has_its_address_while_that_lasts() {
    let world = World::new().await;
    world.keeps_a_picture("f-1A2B3C4D", MediaState::Kept).await;
    world.keeps_a_picture("f-5E6F7G8H", MediaState::Wanted).await;
    let links = Links::new(PUBLIC, &[TOKEN.to_owned()]);
    let address = |file: &str, at: Timestamp| links.address(&MediaId::new(file), at).unwrap();
    let good = address("f-1A2B3C4D", NOW);
    let response = world.comes_for(&good).await;
    let header = |name: &str| response.headers()[name].to_str().unwrap().to_owned();
    assert_eq!(
        (response.status().as_u16(), header("content-type"), header("content-length")),
        (200, "image/png".into(), "23".into())
    );
    assert_eq!((header("cache-control"), header("x-content-type-options")), ("private, no-store".into(), "nosniff".into()));
    assert_eq!(response.bytes().await.unwrap(), PNG);
    let (way, key) = good.split_once('?').unwrap();
    let refused = [
        way.to_owned(),
        format!("{way}?key="),
        format!("{way}?{}0", &key[..key.len() - 1]),
        good.replace("f-1A2B3C4D", "f-5E6F7G8H"),
        good.replace("f-1A2B3C4D", "..%2Ff-1A2B3C4D"),
        address("f-1A2B3C4D", NOW - Span::hours(12)),
        address("f-5E6F7G8H", NOW),
        address("f-9J0K1L2M", NOW),
    ];
    for address in refused {
        let response = world.comes_for(&address).await;
        assert_eq!((response.status().as_u16(), response.text().await.unwrap()), (404, String::new()), "{address}");
    }
    assert!(world.twilio.opens("f-1A2B3C4D", key.strip_prefix("key=").unwrap()));
}
