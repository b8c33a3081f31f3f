//! Files against small servers that lie, stop and lead astray; and what lies on the disk afterwards.
#![allow(clippy::unwrap_used)] // Test helpers fail loudly.
use aws_lc_rs::digest::{SHA256, digest};
use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use base64::{Engine, engine::general_purpose::STANDARD};
use liaison::adapters::store::KeyRing;
use liaison::adapters::symphony::{Symphony, SymphonySettings};
use liaison::adapters::vault::{NotKept, Unreadable, Vault};
use liaison::adapters::whatsapp::{Pace, Settings, WhatsApp};
use liaison::domain::effect::*;
use liaison::domain::ids::*;
use liaison::domain::media::*;
use liaison::domain::time::Timestamp;
use liaison::ports::Clock;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};
use tokio::net::TcpListener;

const NOW: Timestamp = Timestamp(1_800_000_000_000);
const PNG: &[u8] = b"\x89PNG\r\n\x1a\n and more of it";

struct Noon;
impl Clock for Noon {
    fn now(&self) -> Timestamp {
        NOW
    }
}

fn sha256(bytes: &[u8]) -> String {
    hex::encode(digest(&SHA256, bytes))
}

fn media(mime: &str, hash: Option<String>) -> Media {
    Media {
        id: MediaId::new("f-1A2B3C4D"),
        contact: ContactId::new("c-1A2B3C4D"),
        kind: Kind::Picture,
        mime: mime.to_owned(),
        name: "chart.png".to_owned(),
        size: None,
        sha256: hash,
        source: Source::Client { line: LineId::new("777"), id: "900".to_owned() },
        state: MediaState::Wanted,
        uploaded: None,
    }
}

// ---- a server that answers what a test tells it

struct Asked {
    path: String,
    token: bool,
    body: Vec<u8>,
}

struct Server {
    url: String,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Server {
    async fn new(answer: impl Fn(&str, &str, usize) -> Response + std::marker::Send + Sync + 'static) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked: Arc<Mutex<Vec<Asked>>> = Arc::default();
        let (base, log, answer) = (url.clone(), asked.clone(), Arc::new(answer));
        let handler = move |uri: Uri, headers: HeaderMap, body: Bytes| {
            let path = uri.path().to_owned();
            let before = log.lock().unwrap().iter().filter(|asked| asked.path == path).count();
            let response = answer(&base, &path, before);
            log.lock().unwrap().push(Asked { path, token: headers.contains_key("authorization"), body: body.to_vec() });
            async move { response }
        };
        tokio::spawn(async move { axum::serve(listener, Router::new().fallback(handler)).await.unwrap() });
        Server { url, asked }
    }

    fn paths(&self) -> Vec<String> {
        self.asked.lock().unwrap().iter().map(|asked| asked.path.clone()).collect()
    }
}

fn answer(status: u16, body: impl Into<Vec<u8>>) -> Response {
    (StatusCode::from_u16(status).unwrap(), body.into()).into_response()
}

fn described(url: &str, size: usize) -> Response {
    answer(200, json!({ "url": url, "mime_type": "image/png", "file_size": size, "id": "900" }).to_string())
}

struct Desk {
    vault: Vault,
    keys: Arc<KeyRing>,
    folder: tempfile::TempDir,
}

impl Desk {
    fn new() -> Desk {
        let folder = tempfile::TempDir::new().unwrap();
        let keys = Arc::new(KeyRing::open(&folder.path().join("keys"), true).unwrap());
        Desk { vault: Vault::open(folder.path(), Arc::clone(&keys)).unwrap(), keys, folder }
    }

    fn there(&self) -> Vec<PathBuf> {
        std::fs::read_dir(self.folder.path().join("media")).unwrap().map(|entry| entry.unwrap().path()).collect()
    }

    async fn keep(&self, media: &Media, bytes: &[u8]) -> Result<Found, NotKept> {
        let mut taking = self.vault.take(media, FILE_MAX);
        for piece in bytes.chunks(10_000) {
            taking.push(Bytes::copy_from_slice(piece)).await;
        }
        taking.finish().await
    }
}

fn whatsapp(url: &str) -> WhatsApp {
    let settings = Settings {
        graph_url: url.to_owned(),
        api_version: "v23.0".to_owned(),
        business_account_id: "999".to_owned(),
        access_token: "a-token".to_owned(),
        ca: None,
        proxy: None,
        answer_within: Duration::from_secs(5),
    };
    WhatsApp::new(settings, Arc::new(Noon), Arc::new(Mutex::new(Pace::new()))).unwrap()
}

async fn fetched(server: &Server, media: &Media, desk: &Desk) -> Attempt {
    whatsapp(&server.url).fetch(&LineId::new("777"), "900", media, &desk.vault).await
}

fn code_of(attempt: &Attempt) -> &str {
    match attempt {
        Attempt::Ended(Outcome::Failed { code, .. }) => code,
        Attempt::Ended(Outcome::Done { .. }) => "done",
        Attempt::Ended(Outcome::Unknown { .. }) => "unknown",
        Attempt::NotYet { .. } => "not yet",
    }
}

// ---- a client's file

#[tokio::test]
async fn s4_3_a_file_comes_in_two_steps_both_with_the_token() {
    let server = Server::new(|base, path, _| match path {
        "/v23.0/900" => described(&format!("{base}/file?x=1"), PNG.len()),
        _ => answer(200, PNG),
    })
    .await;
    let (desk, mut media) = (Desk::new(), media("image/png", Some(sha256(PNG))));
    let Attempt::Ended(Outcome::Done { external_id: Some(found) }) = fetched(&server, &media, &desk).await else { panic!() };
    let found: Found = serde_json::from_str(&found).unwrap();
    assert_eq!(found, Found { size: PNG.len() as u64, sha256: sha256(PNG) });
    assert!(server.asked.lock().unwrap().iter().all(|asked| asked.token));
    media.size = Some(found.size);
    assert_eq!(desk.vault.read(&media).await.unwrap().size, found.size);
}

#[tokio::test]
async fn s4_3_what_is_not_what_it_should_be_leaves_nothing_behind() {
    let table: [(&str, Option<String>, &[u8], &str); 4] = [
        ("image/png", Some(sha256(b"another")), PNG, "wrong-hash"),
        ("image/png", None, b"<html>no picture</html>", "wrong-type"),
        ("image/png", None, b"", "empty"),
        ("application/x-thing", None, b"\x7FELF", "wrong-type"),
    ];
    for (mime, hash, bytes, expected) in table {
        let server = Server::new(move |base, path, _| match path {
            "/v23.0/900" => described(&format!("{base}/file"), bytes.len()),
            _ => answer(200, bytes),
        })
        .await;
        let desk = Desk::new();
        assert_eq!(code_of(&fetched(&server, &media(mime, hash), &desk).await), expected);
        assert_eq!(desk.there(), Vec::<PathBuf>::new(), "{expected}");
    }
}

#[tokio::test]
async fn s4_3_what_is_too_large_is_not_even_asked_for() {
    let server = Server::new(|base, _, _| described(&format!("{base}/file"), 101 << 20)).await;
    assert_eq!(code_of(&fetched(&server, &media("image/png", None), &Desk::new()).await), "too-large");
    assert_eq!(server.paths(), ["/v23.0/900"]);
    // And one that lies about its size is cut off where the limit is.
    let desk = Desk::new();
    let mut taking = desk.vault.take(&media("image/png", None), 100);
    while taking.push(Bytes::from_static(PNG)).await {}
    assert!(matches!(taking.finish().await, Err(NotKept::TooLarge(100))));
    assert!(desk.there().is_empty());
}

#[tokio::test]
async fn s4_3_the_token_goes_nowhere_but_to_the_provider() {
    let elsewhere = Server::new(|_, _, _| answer(200, PNG)).await;
    let there = elsewhere.url.clone();
    let addresses = [
        format!("{there}/file"),
        "http://lookaside.fbsbx.com/file".to_owned(),
        "https://fbsbx.com.evil.example/file".to_owned(),
        "https://evilfbsbx.com/file".to_owned(),
        "https://lookaside.fbsbx.com:8443/file".to_owned(),
        "https://user@lookaside.fbsbx.com/file".to_owned(),
        "file:///etc/passwd".to_owned(),
    ];
    for address in addresses {
        let named = address.clone();
        let server = Server::new(move |_, _, _| described(&named, 9)).await;
        assert_eq!(code_of(&fetched(&server, &media("image/png", None), &Desk::new()).await), "wrong-host", "{address}");
    }
    let led_on = format!("{there}/file");
    let server = Server::new(move |base, path, _| match path {
        "/v23.0/900" => described(&format!("{base}/file"), 9),
        _ => (StatusCode::FOUND, [("location", led_on.clone())]).into_response(),
    })
    .await;
    assert_eq!(code_of(&fetched(&server, &media("image/png", None), &Desk::new()).await), "wrong-host");
    assert!(elsewhere.paths().is_empty(), "nobody else was asked anything");
    let (odd, line, desk) = (whatsapp(&server.url), LineId::new("777"), Desk::new());
    let odd = odd.fetch(&line, "../999/message_templates", &media("image/png", None), &desk.vault).await;
    assert_eq!(code_of(&odd), "no-such-file");
}

#[tokio::test]
async fn s4_3_an_address_that_has_ended_is_asked_for_anew() {
    let server = Server::new(|base, path, before| match path {
        "/v23.0/900" => described(&format!("{base}/file"), PNG.len()),
        _ if before == 0 => answer(404, "{}"),
        _ => answer(200, PNG),
    })
    .await;
    assert_eq!(code_of(&fetched(&server, &media("image/png", None), &Desk::new()).await), "done");
    assert_eq!(server.paths(), ["/v23.0/900", "/file", "/v23.0/900", "/file"]);
}

#[tokio::test]
async fn s4_3_trouble_that_passes_is_tried_again_and_a_refusal_is_not() {
    let complaint = |code: i64| json!({ "error": { "code": code, "message": "no" } }).to_string();
    let table: [(u16, String, &str); 5] = [
        (500, String::new(), "not yet"),
        (429, String::new(), "not yet"),
        (400, complaint(130429), "not yet"),
        (401, complaint(190), "not yet"),
        (400, complaint(100), "100"),
    ];
    for (status, body, expected) in table {
        let shown = body.clone();
        let server = Server::new(move |_, _, _| answer(status, body.clone())).await;
        let attempt = fetched(&server, &media("image/png", None), &Desk::new()).await;
        assert_eq!(code_of(&attempt), expected, "{status} {shown}");
    }
    let server = Server::new(|base, path, _| match path {
        "/v23.0/900" => described(&format!("{base}/file"), 9),
        _ => answer(503, ""),
    })
    .await;
    assert_eq!(code_of(&fetched(&server, &media("image/png", None), &Desk::new()).await), "not yet");
    let server = Server::new(|base, path, _| match path {
        "/v23.0/900" => described(&format!("{base}/file"), 900),
        _ => cut_off(),
    })
    .await;
    let desk = Desk::new();
    assert_eq!(code_of(&fetched(&server, &media("image/png", None), &desk).await), "not yet");
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(desk.there().is_empty(), "half a file is none");
}

/// The connection breaks in the middle of the bytes.
fn cut_off() -> Response {
    let pieces = [Ok(Bytes::from_static(PNG)), Err(std::io::Error::other("cut off on purpose"))];
    Response::new(axum::body::Body::from_stream(futures_util::stream::iter(pieces)))
}

// ---- ours to the provider

fn upload_of(media: Media) -> Upload {
    Upload { message: MessageId::new("m-1"), media: Box::new(media), channel: Channel::WhatsApp, line: LineId::new("777") }
}

#[tokio::test]
async fn s4_3_a_file_goes_up_as_it_is_and_its_copy_is_named() {
    let server = Server::new(|_, _, _| answer(200, r#"{"id":"4711"}"#)).await;
    let (desk, mut media) = (Desk::new(), media("image/png", None));
    let bytes: Vec<u8> = PNG.iter().copied().chain((0..200_000).map(|n| (n % 250) as u8)).collect();
    media.size = Some(desk.keep(&media, &bytes).await.unwrap().size);
    let attempt = whatsapp(&server.url).upload(&upload_of(media), &desk.vault).await;
    assert_eq!(attempt, Attempt::Ended(Outcome::Done { external_id: Some("4711".to_owned()) }));
    let asked = server.asked.lock().unwrap();
    let (path, body) = (&asked[0].path, &asked[0].body);
    assert_eq!(path, "/v23.0/777/media");
    assert!(body.windows(bytes.len()).any(|window| window == bytes), "whole and unchanged");
    let text = String::from_utf8_lossy(body);
    for part in ["name=\"messaging_product\"", "whatsapp", "name=\"file\"; filename=\"chart.png\"", "Content-Type: image/png"] {
        assert!(text.contains(part), "{part}");
    }
}

#[tokio::test]
async fn s4_3_an_upload_may_be_repeated_unless_it_is_refused() {
    let refused = json!({ "error": { "code": 131053, "message": "no", "error_data": { "details": "bad MIME" } } }).to_string();
    for (status, body, expected) in [(500, String::new(), "not yet"), (200, "{}".to_owned(), "not yet"), (400, refused, "131053")]
    {
        let server = Server::new(move |_, _, _| answer(status, body.clone())).await;
        let (desk, media) = (Desk::new(), media("image/png", None));
        desk.keep(&media, PNG).await.unwrap();
        assert_eq!(code_of(&whatsapp(&server.url).upload(&upload_of(media), &desk.vault).await), expected);
    }
    let (server, desk) = (Server::new(|_, _, _| answer(200, r#"{"id":"1"}"#)).await, Desk::new());
    let attempt = whatsapp(&server.url).upload(&upload_of(media("image/png", None)), &desk.vault).await;
    assert_eq!((code_of(&attempt), server.paths().len()), ("attachment", 0), "a file that is gone");
}

#[tokio::test]
async fn s4_3_the_message_names_the_copy_and_always_bears_our_id() {
    let caption = Some("your depot".to_owned());
    let table = [
        (Kind::Picture, json!({ "id": "4711", "caption": "your depot" }), "image"),
        (Kind::Document, json!({ "id": "4711", "caption": "your depot", "filename": "chart.png" }), "document"),
        (Kind::Video, json!({ "id": "4711", "caption": "your depot" }), "video"),
        (Kind::Audio, json!({ "id": "4711" }), "audio"),
    ];
    for (kind, content, name) in table {
        let server = Server::new(|_, _, _| answer(200, r#"{"messages":[{"id":"wamid.1"}]}"#)).await;
        let uploaded = Some(Uploaded { line: LineId::new("777"), id: "4711".to_owned(), at: NOW });
        let file = Box::new(Media { kind, uploaded, ..media("image/png", None) });
        let send = Send {
            message: MessageId::new("m-1A2B3C4D"),
            contact: ContactId::new("c-1A2B3C4D"),
            channel: Channel::WhatsApp,
            line: LineId::new("777"),
            to: Address { phone: Phone::from_e164("+4915112345678"), ..Address::default() },
            room: None,
            body: Body::Media { file, caption: caption.clone() },
        };
        let attempt = whatsapp(&server.url).send(&send, &Prepared::Media { caption: caption.clone() }).await;
        assert_eq!(code_of(&attempt), "done");
        let body: Value = serde_json::from_slice(&server.asked.lock().unwrap()[0].body).unwrap();
        assert_eq!((&body["type"], &body[name]), (&json!(name), &content));
        assert_eq!(body["biz_opaque_callback_data"], "m-1A2B3C4D");
    }
}

// ---- the chat

async fn symphony(server: &Server) -> Symphony {
    let (private_key_pem, _) = liaison::sandbox::keys::new_key_pair();
    let settings = SymphonySettings {
        pod_url: server.url.clone(),
        agent_url: server.url.clone(),
        key_manager_url: server.url.clone(),
        username: "liaison".to_owned(),
        private_key_pem,
        ca_file: None,
        proxy: None,
    };
    Symphony::new(settings, Arc::new(Noon)).unwrap()
}

fn chat(path: &str, content: impl Fn() -> Response) -> Response {
    if path.ends_with("authenticate") { answer(200, r#"{"name":"x","token":"t"}"#) } else { content() }
}

#[tokio::test]
async fn s4_3_an_attachment_is_base64_text_of_any_shape() {
    let long: Vec<u8> = PNG.iter().copied().chain((0..100_000).map(|n| (n % 250) as u8)).collect();
    let plain = STANDARD.encode(&long);
    let broken: String = plain.as_bytes().chunks(76).map(|line| format!("{}\r\n", String::from_utf8_lossy(line))).collect();
    let table = [
        (200, plain.clone(), "done"),
        (200, broken, "done"),
        (200, format!("\"{plain}\""), "done"),
        (200, plain[..plain.len() - 1].to_owned(), "not yet"),
        (200, "*** no Base64 ***".to_owned(), "not yet"),
        (400, r#"{"code":400,"message":"There is no such attachment"}"#.to_owned(), "symphony-400"),
        (500, String::new(), "not yet"),
    ];
    for (status, text, expected) in table {
        let server = Server::new(move |_, path, _| chat(path, || answer(status, text.clone()))).await;
        let (desk, media) = (Desk::new(), media("image/png", None));
        let stream = StreamId::new("s1");
        let attempt = symphony(&server).await.fetch(&stream, "m1", "internal_1", &media, &desk.vault).await;
        assert_eq!(code_of(&attempt), expected);
        if let Attempt::Ended(Outcome::Done { external_id: Some(found) }) = &attempt {
            assert_eq!(serde_json::from_str::<Found>(found).unwrap().sha256, sha256(&long));
        }
    }
}

#[tokio::test]
async fn s4_3_a_line_is_posted_with_its_file() {
    let server = Server::new(|_, path, _| chat(path, || answer(200, r#"{"messageId":"posted"}"#))).await;
    let (desk, media) = (Desk::new(), media("image/png", None));
    desk.keep(&media, PNG).await.unwrap();
    let files = [desk.vault.read(&media).await.unwrap()];
    let place = Place::Stream(StreamId::new("s1"));
    let attempt = symphony(&server).await.post_with(&EffectId::new("e/0"), &place, "<b>Ann</b>", &json!({}), &files).await;
    assert_eq!(attempt, Attempt::Ended(Outcome::Done { external_id: Some("posted".to_owned()) }));
    let asked = server.asked.lock().unwrap();
    let form = asked.iter().find(|asked| asked.path.ends_with("/message/create")).unwrap();
    assert!(form.body.windows(PNG.len()).any(|window| window == PNG));
    assert!(String::from_utf8_lossy(&form.body).contains("name=\"attachment\"; filename=\"chart.png\""));
}

// ---- on the disk

#[tokio::test]
async fn what_lies_on_the_disk_is_sealed_and_opens_only_whole_and_in_its_place() {
    let (desk, media) = (Desk::new(), media("image/png", None));
    let bytes: Vec<u8> = PNG.iter().copied().chain((0..300_000).map(|n| (n % 250) as u8)).collect();
    desk.keep(&media, &bytes).await.unwrap();
    let path = desk.there().pop().unwrap();
    let written = std::fs::read(&path).unwrap();
    assert!(!written.windows(32).any(|window| window == &bytes[..32]));
    assert_eq!(desk.vault.read(&media).await.unwrap().size, bytes.len() as u64);

    let mut changed = written.clone();
    changed[100_000] ^= 1;
    let piece = 4 + u32::from_be_bytes(written[..4].try_into().unwrap()) as usize;
    let swapped = [&written[piece..2 * piece], &written[..piece], &written[2 * piece..]].concat();
    for (what, bad) in [("changed", changed), ("cut", written[..piece].to_vec()), ("swapped", swapped), ("empty", Vec::new())] {
        std::fs::write(&path, bad).unwrap();
        assert!(matches!(desk.vault.read(&media).await, Err(Unreadable::Damaged(_))), "{what}");
    }
    let other = Media { id: MediaId::new("f-OTHER"), ..media.clone() };
    std::fs::write(path.with_file_name("f-OTHER"), &written).unwrap();
    assert!(matches!(desk.vault.read(&other).await, Err(Unreadable::Damaged(_))), "moved");
    std::fs::remove_file(&path).unwrap();
    assert!(matches!(desk.vault.read(&media).await, Err(Unreadable::Missing(..))));
}

#[tokio::test]
async fn with_the_contacts_key_his_files_are_gone_too() {
    let (desk, media) = (Desk::new(), media("image/png", None));
    desk.keep(&media, PNG).await.unwrap();
    assert!(desk.keys.erase(&media.contact).unwrap());
    assert!(matches!(desk.vault.read(&media).await, Err(Unreadable::Erased(_))));
}

#[tokio::test]
async fn what_a_killed_program_left_unfinished_is_swept_away() {
    let desk = Desk::new();
    let part = desk.folder.path().join("media").join("f-1.part");
    std::fs::write(&part, "half").unwrap();
    Vault::open(desk.folder.path(), Arc::clone(&desk.keys)).unwrap();
    assert!(!part.exists());
}

// ---- what nothing names

fn made_at(path: &std::path::Path, at: SystemTime) {
    std::fs::File::options().write(true).open(path).unwrap().set_modified(at).unwrap();
}

#[tokio::test]
async fn a_file_that_no_record_names_goes_after_a_day_and_no_other() {
    let desk = Desk::new();
    let of = |id: &str| Media { id: MediaId::new(id), ..media("image/png", None) };
    for id in ["f-NAMED", "f-ORPHAN", "f-FRESH"] {
        desk.keep(&of(id), PNG).await.unwrap();
    }
    let folder = desk.folder.path().join("media");
    std::fs::write(folder.join("notes of the operator"), "not ours").unwrap();
    std::fs::write(folder.join("f-COMING.part"), "on its way").unwrap();
    let (now, day) = (SystemTime::now(), Duration::from_hours(24));
    desk.there().iter().for_each(|path| made_at(path, now - day));
    made_at(&folder.join("f-FRESH"), now - day + Duration::from_secs(60));

    let unknown = desk.vault.sweep(now, |_| Err(std::io::Error::other("the store cannot be read")));
    assert!(unknown.is_err() && desk.there().len() == 5, "who cannot tell takes nothing away");
    let swept = desk.vault.sweep(now, |id| Ok(id.as_str() == "f-NAMED")).unwrap();
    assert_eq!((swept.kept, swept.gone), (2, 1));
    let mut left: Vec<String> = desk.there().iter().map(|path| path.file_name().unwrap().to_str().unwrap().to_owned()).collect();
    left.sort();
    assert_eq!(left, ["f-COMING.part", "f-FRESH", "f-NAMED", "notes of the operator"]);
    assert!(desk.vault.read(&of("f-NAMED")).await.is_ok());
    let set_back = desk.vault.sweep(now - 3 * day, |_| Ok(false)).unwrap();
    assert_eq!(set_back.gone, 0, "a clock that was set back makes nothing old");
}
