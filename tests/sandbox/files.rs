//! Pictures and files both ways, through the real program, the real protocols and the disk.
use super::outside::*;
use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

/// As a picture begins; what follows is anything.
pub fn png(size: usize) -> Vec<u8> {
    let head = b"\x89PNG\r\n\x1a\n".iter().copied();
    head.chain((0..).map(|n: u32| (n % 251) as u8)).take(size).collect()
}

fn pdf() -> Vec<u8> {
    b"%PDF-1.7 the terms".to_vec()
}

pub fn file(name: &str, mime: &str, bytes: &[u8]) -> Value {
    json!({ "filename": name, "mime_type": mime, "base64": STANDARD.encode(bytes) })
}

impl Outside {
    pub async fn sends_picture(&self, number: &str, bytes: &[u8], caption: &str) {
        let mut picture = file("", "image/png", bytes);
        picture["caption"] = caption.into();
        self.post(&format!("/api/phones/{number}/messages"), json!({ "channel": "whatsapp", "image": picture })).await;
    }

    pub async fn says_with_files(&self, who: &str, room: &str, text: &str, files: Value) -> String {
        let body = json!({ "room": room, "text": text, "files": files });
        self.post(&format!("/api/users/{who}/messages"), body).await["id"].as_str().unwrap().to_owned()
    }

    pub async fn bytes(&self, path: &str) -> Vec<u8> {
        let answer = self.http.get(format!("{}{path}", self.address("page"))).send().await.unwrap();
        assert!(answer.status().is_success(), "{path}: {}", answer.status());
        answer.bytes().await.unwrap().to_vec()
    }

    pub async fn files_of(&self, who: &str, room: &str, line: &Line) -> Vec<Value> {
        let stream = self.rooms(who).await.into_iter().find(|listed| listed["name"] == room).unwrap();
        let path = format!("{}/api/rooms/{}/messages?user={who}", self.address("page"), stream["id"].as_str().unwrap());
        let messages: Vec<Value> = self.http.get(path).send().await.unwrap().json().await.unwrap();
        let message = messages.into_iter().find(|message| message["id"] == line.id.as_str()).unwrap();
        message["files"].as_array().cloned().unwrap_or_default()
    }

    fn kept(&self) -> Vec<PathBuf> {
        let folder = self.program.data.join("data").join("media");
        let folder = if folder.exists() { folder } else { find(&self.program.data, "media") };
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
    }
}

fn find(folder: &std::path::Path, name: &str) -> PathBuf {
    let mut stack = vec![folder.to_owned()];
    while let Some(here) = stack.pop() {
        for entry in std::fs::read_dir(here).unwrap().map(|entry| entry.unwrap().path()) {
            // The emulator keeps its files in a folder of that name, too.
            if entry.ends_with(name) && std::fs::metadata(&entry).unwrap().permissions().mode() & 0o077 == 0 {
                return entry;
            }
            if entry.is_dir() {
                stack.push(entry);
            }
        }
    }
    panic!("there is no folder {name}")
}

#[tokio::test]
async fn s4_3_a_clients_picture_stands_in_the_room_before_what_he_writes_next() {
    let world = own();
    let client = world.agreed("Pix").await;
    let bytes = png(3 << 20);
    world.sends_picture(&client.number, &bytes, "my <b>house</b>").await;
    world.write(&client.number, "do you like it?").await;
    world.line(JANE, &client.name, "the words", |line| line.text.ends_with("do you like it?")).await;
    let lines = world.lines(JANE, &client.name).await;
    let told: Vec<&Line> = lines.iter().filter(|line| line.is("client_message")).collect();
    assert!(told[0].text.contains("sent a picture") && told[0].text.ends_with("my <b>house</b>"), "{told:?}");
    assert!(told[1].text.ends_with("do you like it?"), "it did not overtake: {told:?}");
    let files = world.files_of(JANE, &client.name, told[0]).await;
    assert_eq!(files.len(), 1, "{files:?}");
    let path = format!("/api/rooms/files/{}/{}", told[0].id, files[0]["id"].as_str().unwrap());
    assert!(world.bytes(&path).await == bytes, "the same bytes");

    let kept = world.kept();
    assert_eq!(kept.len(), 1, "{kept:?}");
    let written = std::fs::read(&kept[0]).unwrap();
    assert!(written.len() > bytes.len() && !written.windows(64).any(|window| window == &bytes[1_000..1_064]), "sealed");
    assert_eq!(std::fs::metadata(&kept[0]).unwrap().permissions().mode() & 0o777, 0o600);
    let journal = world.journal(&[]);
    assert!(journal.iter().any(|entry| entry["kind"] == "media.kept"));
}

#[tokio::test]
async fn s4_3_an_advisors_files_arrive_in_order_with_the_text_under_the_first() {
    let world = shared();
    let client = world.agreed("Out").await;
    let files = json!([file("chart.png", "image/png", &png(200_000)), file("terms.pdf", "application/pdf", &pdf())]);
    world.says_with_files(JANE, &client.name, "your depot", files).await;
    world.say(JANE, &client.name, "any questions?").await;
    world.receives(&client.number, "any questions?").await;
    let received = world.received(&client.number).await;
    assert_eq!(received[received.len() - 3..], ["[image] your depot", "[document] terms.pdf", "any questions?"]);
    let phone = world.phone(&client.number).await;
    let files: Vec<&Value> = phone.iter().map(|message| &message["file"]).filter(|file| file.is_object()).collect();
    for (file, bytes) in files.iter().zip([png(200_000), pdf()]) {
        assert!(world.bytes(&format!("/api/phones/files/{}", file["id"].as_str().unwrap())).await == bytes, "{file}");
    }
    assert!(phone.iter().filter(|message| message["file"].is_object()).all(|message| message["callback_data"].is_string()));
}

#[tokio::test]
async fn s4_3_what_whatsapp_does_not_take_is_refused_and_nothing_goes() {
    let world = shared();
    let client = world.agreed("Ref").await;
    let before = world.received(&client.number).await.len();
    let files = json!([file("chart.png", "image/png", &png(500)), file("run.exe", "", b"MZ")]);
    let asked = world.says_with_files(JANE, &client.name, "look", files).await;
    let refusal = world.answer_to(JANE, &client.name, &asked).await;
    assert!(refusal.refuses("attachment") && refusal.text.contains("run.exe"), "{refusal:?}");
    let asked = world.says_with_files(JANE, &client.name, "look", json!([file("fake.pdf", "", b"no pdf at all")])).await;
    let refusal = world.answer_to(JANE, &client.name, &asked).await;
    assert!(refusal.refuses("attachment") && refusal.text.contains("fake.pdf"), "its bytes tell: {refusal:?}");
    let big = json!([file("big.png", "image/png", &png((5 << 20) + 1))]);
    let asked = world.says_with_files(JANE, &client.name, "look", big).await;
    let refusal = world.answer_to(JANE, &client.name, &asked).await;
    assert!(refusal.refuses("attachment") && refusal.text.contains("5.1 MB"), "{refusal:?}");
    assert_eq!(world.received(&client.number).await.len(), before);
}

#[tokio::test]
async fn s4_3_s4_27_held_files_outlive_a_restart_and_those_taken_back_never_go() {
    let folder = tempfile::tempdir().unwrap();
    let world = in_folder(folder.path());
    let client = world.agreed("Hld").await;
    world.advance("25h").await;
    let one = json!([file("chart.png", "image/png", &png(70_000))]);
    let asked = world.says_with_files(JANE, &client.name, "kept for you", one.clone()).await;
    let held = world.answer_to(JANE, &client.name, &asked).await;
    assert!(held.is("held") && held.reason == "window", "{held:?}");
    let asked = world.says_with_files(JANE, &client.name, "never mind", one).await;
    let held = world.answer_to(JANE, &client.name, &asked).await;
    let cancelled = world.command(JANE, &format!("/queue cancel {}", held.message)).await;
    assert!(cancelled.is("answer"), "{cancelled:?}");
    world.until("both are kept", async || (world.kept().len() == 2).then_some(())).await;
    world.program.end();
    drop(world);

    let world = in_folder(folder.path());
    world.write(&client.number, "hello again").await;
    world.receives(&client.number, "[image] kept for you").await;
    assert_eq!(world.counts(&client.number, "[image] never mind").await, 0);
    assert_eq!(world.counts(&client.number, "[image] kept for you").await, 1);
}

#[tokio::test]
async fn a_file_that_no_record_names_is_taken_away_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let world = in_folder(folder.path());
    let client = world.agreed("Swe").await;
    world.sends_picture(&client.number, &png(1_000), "kept").await;
    world.line(JANE, &client.name, "the picture", |line| line.text.ends_with("kept")).await;
    let kept = world.kept().pop().unwrap();
    let (orphan, fresh) = (kept.with_file_name("f-ORPHAN"), kept.with_file_name("f-FRESH"));
    std::fs::copy(&kept, &orphan).unwrap();
    std::fs::copy(&kept, &fresh).unwrap();
    let two_days_ago = std::time::SystemTime::now() - std::time::Duration::from_hours(48);
    for path in [&kept, &orphan] {
        std::fs::File::options().write(true).open(path).unwrap().set_modified(two_days_ago).unwrap();
    }
    world.program.end();
    let world = in_folder(folder.path());
    world.until("the file that nothing names is gone", async || (!orphan.exists()).then_some(())).await;
    assert!(kept.exists(), "a record names it, however old it is");
    assert!(fresh.exists(), "its record may be on its way");
    drop(world);
}
