//! A group's picture from the vault over the wire: what leaves, what is refused where, and what the webhooks tell.
use super::emulator::{ANN, Stage};
use super::*;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderMap;
use liaison::adapters::store::KeyRing;
use liaison::adapters::vault::Vault;
use liaison::domain::event::{Fact, GroupNews};
use liaison::domain::ids::{ChatMessageId, ContactId, MediaId, StreamId};
use liaison::domain::media::{FILE_MAX, Kind, Media, MediaState, Source};
use serde_json::{Value, json};

/// A JPEG as far as anybody looks who does not paint it: an application's words, then the frame, then bytes of any kind.
pub fn jpeg(width: u16, height: u16, size: usize) -> Vec<u8> {
    let [[w1, w2], [h1, h2]] = [width, height].map(u16::to_be_bytes);
    let frame = [0xFF, 0xC0, 0, 17, 8, h1, h2, w1, w2, 3, 1, 0x22, 0, 2, 0x11, 1, 3, 0x11, 1];
    let before = b"\xFF\xD8\xFF\xE0\x00\x10JFIF\0\x01\x01\0\0\x01\0\x01\0\0\xFF\xE1\x00\x08Exif\0\0";
    let rest = (0..).map(|n: u32| (n % 251) as u8);
    before.iter().copied().chain(frame).chain(*b"\xFF\xDA\x00\x02").chain(rest).take(size.max(64)).collect()
}

/// What an advisor attached, kept as the program keeps it.
pub struct Album {
    vault: Vault,
    _folder: tempfile::TempDir,
}

impl Album {
    pub fn new() -> Album {
        let folder = tempfile::tempdir().unwrap();
        let keys = Arc::new(KeyRing::open(&folder.path().join("keys"), true).unwrap());
        Album { vault: Vault::open(folder.path(), keys).unwrap(), _folder: folder }
    }

    pub async fn holds(&self, name: &str, bytes: &[u8]) -> Media {
        let stream = StreamId::new("stream-1");
        let media = Media {
            id: MediaId::new("f-1A2B3C4D"),
            contact: ContactId::new("c-1A2B3C4D"),
            kind: Kind::Picture,
            mime: "image/jpeg".to_owned(),
            name: name.to_owned(),
            size: None,
            sha256: None,
            source: Source::Chat { stream, message: ChatMessageId::new("chat-1"), file: "internal_1".to_owned() },
            state: MediaState::Kept,
            uploaded: None,
        };
        let mut taking = self.vault.take(&media, FILE_MAX);
        assert!(taking.push(Bytes::copy_from_slice(bytes)).await);
        taking.finish().await.unwrap();
        media
    }

    pub async fn gives(&self, whatsapp: &WhatsApp, group: &GroupId, bytes: &[u8]) -> Attempt {
        let media = self.holds("family.jpg", bytes).await;
        whatsapp.picture(&LineId::new(LINE), group, &media, &self.vault).await
    }
}

type Asked = Arc<Mutex<Vec<(String, String, Vec<u8>)>>>;

async fn stub(answer: Value) -> (WhatsApp, Asked) {
    let asked = Asked::default();
    let keep = async move |State(asked): State<Asked>, uri: axum::http::Uri, headers: HeaderMap, body: Bytes| {
        let kind = headers["content-type"].to_str().unwrap().to_owned();
        asked.lock().unwrap().push((uri.path().to_owned(), kind, body.to_vec()));
        axum::Json(answer)
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let app = Router::new().fallback(keep).with_state(asked.clone());
    tokio::spawn(async move { axum::serve(listener, app).await });
    (adapter(&url, &Arc::new(AtomicI64::new(NOON))), asked)
}

#[tokio::test]
async fn the_picture_leaves_as_metas_form_and_the_request_is_known_if_it_has_a_name() {
    for (answer, request) in [(json!({"request_id": "784D"}), Some("784D")), (json!({"success": true}), None)] {
        let ((whatsapp, asked), album, bytes) = (stub(answer).await, Album::new(), jpeg(640, 640, 200_000));
        assert_eq!(done(album.gives(&whatsapp, &GroupId::new("G1"), &bytes).await).as_deref(), request);
        let (path, kind, body) = asked.lock().unwrap().remove(0);
        assert_eq!(path, "/v25.0/G1");
        assert!(kind.starts_with("multipart/form-data"), "{kind}");
        let has = |part: &[u8]| body.windows(part.len()).any(|window| window == part);
        assert!(has(b"name=\"messaging_product\"\r\n\r\nwhatsapp\r\n") && has(b"name=\"file\"; filename=\"family.jpg\""));
        assert!(has(b"Content-Type: image/jpeg") && has(&bytes), "the bytes as they are");
        assert_eq!(body.windows(5).filter(|window| window == b"name=").count(), 3, "no other field, and one file name");
    }
}

#[tokio::test]
async fn what_cannot_be_a_groups_picture_is_known_before_anything_is_called() {
    let ((whatsapp, asked), album, group) = (stub(json!({})).await, Album::new(), GroupId::new("G1"));
    for (width, height, expected) in [(640, 480, "not-square"), (191, 191, "too-small"), (191, 640, "not-square")] {
        let attempt = album.gives(&whatsapp, &group, &jpeg(width, height, 9_000)).await;
        let Attempt::Ended(Outcome::Failed { code, detail }) = attempt else { panic!("{attempt:?}") };
        assert_eq!((code.as_str(), detail), (expected, format!("{width} × {height} pixels")));
    }
    let square = jpeg(192, 192, 9_000);
    assert_eq!(code(album.gives(&whatsapp, &GroupId::new("../1"), &square).await), "no-such-group");
    let lost = Media { id: MediaId::new("f-LOST"), ..album.holds("a.jpg", &square).await };
    assert_eq!(code(whatsapp.picture(&LineId::new(LINE), &group, &lost, &album.vault).await), "attachment");
    assert!(asked.lock().unwrap().is_empty());
    assert_eq!(done(album.gives(&whatsapp, &group, b"\xFF\xD8\xFF\xDA which tells nothing of its size").await), None);
    assert_eq!(asked.lock().unwrap().len(), 1, "where the bytes do not tell WhatsApp has the word");
}

#[tokio::test]
async fn a_picture_is_on_the_phones_as_soon_as_it_is_told() {
    let (stage, album) = (Stage::new().await, Album::new());
    let (group, link) = stage.group("Lee family").await;
    stage.joins(ANN, &group, &link).await;
    assert!(stage.meta.groups_of(ANN)[0].picture.is_none());
    // Larger than any JSON that the emulator takes.
    let bytes = jpeg(640, 640, 3 << 20);
    let request = done(album.gives(&stage.whatsapp, &group, &bytes).await).unwrap();
    let changed = GroupNews::PictureChanged { request };
    stage.told("the picture", |told| (told.news == changed && told.group == group).then_some(())).await;
    let shown = stage.meta.groups_of(ANN)[0].picture.clone().unwrap();
    assert_eq!((shown.mime.as_str(), shown.bytes), ("image/jpeg", bytes.len()));
    assert!(stage.meta.file(&shown.id).is_some_and(|(_, there)| there == bytes), "the same bytes");

    assert!(done(album.gives(&stage.whatsapp, &group, &jpeg(192, 192, 500)).await).is_some());
    assert_ne!(stage.meta.groups_of(ANN)[0].picture.as_ref().unwrap().id, shown.id);
    assert!(stage.meta.file(&shown.id).is_none(), "the one before is gone");
}

#[tokio::test]
async fn what_whatsapp_does_not_do_with_a_picture_is_told_with_its_code() {
    let (stage, album) = (Stage::new().await, Album::new());
    let (group, link) = stage.group("Lee family").await;
    stage.joins(ANN, &group, &link).await;
    let square = jpeg(300, 300, 2_000);
    stage.meta.trouble("group-fails", 1).unwrap();
    let request = done(album.gives(&stage.whatsapp, &group, &square).await).unwrap();
    let why = stage.told("the failure", |told| match &told.news {
        GroupNews::PictureNotChanged { request: of, code, .. } if *of == request => Some(code.clone()),
        _ => None,
    });
    assert_eq!(why.await, "131000");
    for refused in ["131209", "131210", "131207"] {
        stage.meta.trouble(refused, 1).unwrap();
        assert_eq!(code(album.gives(&stage.whatsapp, &group, &square).await), refused);
    }
    stage.meta.trouble("group-lost-answer", 1).unwrap();
    assert!(is_unknown(&album.gives(&stage.whatsapp, &group, &square).await));
    assert_eq!(code(album.gives(&stage.whatsapp, &GroupId::new("nobody"), &square).await), "131041");
    let not_changed = |fact: &Fact| matches!(fact, Fact::GroupTold(told) if matches!(told.news, GroupNews::NotChanged { .. }));
    assert!(!stage.heard().iter().any(not_changed), "its name is as it was");
}

/// By somebody's own client: the bot itself sends nothing that the emulator has to refuse.
#[tokio::test]
async fn the_emulator_refuses_what_meta_refuses() {
    let stage = Stage::new().await;
    let (group, _) = stage.group("Lee family").await;
    let form = |mime: &str, bytes: Vec<u8>| {
        let part = reqwest::multipart::Part::bytes(bytes).file_name("a.jpg").mime_str(mime).unwrap();
        reqwest::multipart::Form::new().text("messaging_product", "whatsapp").part("file", part)
    };
    let alone = || reqwest::multipart::Form::new().text("messaging_product", "whatsapp");
    let nameless = reqwest::multipart::Form::new().part("file", reqwest::multipart::Part::bytes(jpeg(192, 192, 99)));
    let table = [
        (form("image/jpeg", jpeg(640, 480, 900)), 131209),
        (form("image/jpeg", jpeg(100, 100, 900)), 131210),
        (form("image/jpeg", jpeg(640, 640, (5 << 20) + 1)), 131053),
        (form("image/png", b"\x89PNG\r\n\x1a\n".to_vec()), 100),
        (form("image/jpeg", b"no picture".to_vec()), 100),
        (alone(), 100),
        (nameless, 100),
    ];
    let http = reqwest::Client::new();
    for (form, code) in table {
        let asked = http.post(format!("{}/v25.0/{group}", stage.url)).bearer_auth("sandbox-token").multipart(form);
        let answer = asked.send().await.unwrap();
        let (status, said): (u16, Value) = (answer.status().as_u16(), answer.json().await.unwrap());
        assert_eq!((status, &said["error"]["code"]), (400, &json!(code)), "{said}");
    }
}
