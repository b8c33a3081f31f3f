//! The edges of the program's life: each mistake of an operator gives one clear message, nothing is lost, nothing leaks.
#![allow(clippy::unwrap_used)] // Clippy sees only the functions marked as tests, not what they share.
mod real;

use liaison::adapters::store::verify;
use real::{JANE, PATIENCE, Running, World, code, files_below, liaison, stderr, until};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs::File;
use std::net::TcpListener;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

const ANN: &str = "+4915112345001";
/// Longer than anything that the program waits for before it gives up starting.
const GIVES_UP_WITHIN: Duration = Duration::from_secs(30);

impl World {
    /// A start that must fail.
    async fn fails(&self) -> String {
        self.fails_with(self.run()).await
    }

    async fn fails_with(&self, mut running: Running) -> String {
        let status = running.ends(GIVES_UP_WITHIN).await;
        let told = running.told();
        assert_eq!(status.code(), Some(1), "{told}");
        assert!(!told.contains("panicked"), "{told}");
        told
    }

    fn sandbox(arguments: &[&str], last: &Path) -> Command {
        let mut command = liaison();
        command.arg("sandbox").args(arguments).arg(last);
        command
    }

    fn change_config(&self, old: &str, new: &str) {
        let text = std::fs::read_to_string(self.config()).unwrap();
        assert!(text.contains(old), "{old}");
        std::fs::write(self.config(), text.replacen(old, new, 1)).unwrap();
    }

    fn segment(&self) -> PathBuf {
        self.data().join("journal/000000000001.seg")
    }

    /// Ran once, with one client, and ended in order.
    async fn with_a_past() -> (World, String) {
        let world = World::new().await;
        let mut running = world.run();
        world.ready(&mut running).await;
        let room = world.onboard("Past", ANN).await;
        world.write(&room, "before the edge");
        until("the text arrives", PATIENCE, async || world.on_phone(ANN, "before the edge") == 1).await;
        until("all is told", PATIENCE, async || world.meta.pending_webhooks() == 0).await;
        running.stop().await;
        (world, room)
    }

    fn write(&self, room: &str, text: &str) {
        self.pod.post_as(self.user(JANE), room, text).unwrap();
    }

    /// It starts and works, and what was before is there once.
    async fn works_again(&self, room: &str) {
        let mut running = self.run();
        self.ready(&mut running).await;
        self.write(room, "after the edge");
        until("the bot works again", PATIENCE, async || self.on_phone(ANN, "after the edge") == 1).await;
        assert_eq!(self.on_phone(ANN, "before the edge"), 1);
        until("all is told", PATIENCE, async || self.meta.pending_webhooks() == 0).await;
        running.stop().await;
        verify(&self.data()).unwrap();
    }
}

/// The lines that are for the operator: one, whatever else was logged.
fn messages(told: &str) -> Vec<&str> {
    told.lines().filter(|line| line.starts_with("liaison: ")).collect()
}

/// One message, and all of these words in it.
fn says(told: &str, words: &[&str]) {
    let messages = messages(told);
    assert_eq!(messages.len(), 1, "one clear message: {told}");
    for word in words {
        assert!(messages[0].contains(word), "{word:?} is not in: {told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_instance_leaves_the_first_alone() {
    let world = World::new().await;
    let mut first = world.run();
    world.ready(&mut first).await;
    let (bot, ops) = (world.bot.to_string(), world.ops.to_string());
    let ports = real::free_ports(2);
    let elsewhere = [format!("127.0.0.1:{ports}"), format!("127.0.0.1:{}", ports + 1)];
    let second = world.run_with(&[("LIAISON__SERVER__LISTEN", &elsewhere[0]), ("LIAISON__SERVER__OPS_LISTEN", &elsewhere[1])]);
    says(&world.fails_with(second).await, &["Another Liaison runs on the folder", "Stop it first", "data_dir"]);

    let third = world.run();
    says(&world.fails_with(third).await, &[&bot, "server.listen", "Stop the program that listens there"]);
    let fourth = world.run_with(&[("LIAISON__SERVER__LISTEN", &elsewhere[0])]);
    says(&world.fails_with(fourth).await, &[&ops, "server.ops_listen", "choose another port"]);

    let room = world.onboard("Past", ANN).await;
    world.write(&room, "undisturbed");
    until("the first works on", PATIENCE, async || world.on_phone(ANN, "undisturbed") == 1).await;
    first.stop().await;
    verify(&world.data()).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_instance_changes_no_byte_before_it_has_the_lock() {
    let (world, room) = World::with_a_past().await;
    let lock = File::open(world.data().join("lock")).unwrap();
    lock.lock().unwrap();
    let before = files_below(&world.data());
    says(&world.fails().await, &["Another Liaison runs on the folder", "data_dir"]);
    let sandbox = World::sandbox(&["--listen", "127.0.0.1:0", "--data"], world.folder.path());
    says(&world.fails_with(world.start(sandbox)).await, &["Another Liaison runs on the folder", "--data"]);
    assert!(files_below(&world.data()) == before, "the folder is another one's");
    drop(lock);
    world.works_again(&room).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sandbox_that_does_not_start_leaves_no_folder_behind() {
    let world = World::new().await;
    let temporary = world.folder.path().join("tmp");
    std::fs::create_dir(&temporary).unwrap();
    let at = |page: &str| {
        let mut command = World::sandbox(&["--json", "--listen"], Path::new(page));
        command.env("TMPDIR", &temporary);
        world.start(command)
    };
    let first = real::free_ports(6);
    let busy = TcpListener::bind(("127.0.0.1", first + 3)).unwrap();
    let told = world.fails_with(at(&format!("127.0.0.1:{first}"))).await;
    says(&told, &["--listen", &(first + 3).to_string(), "choose another port"]);
    drop(busy);
    assert_eq!(files_below(&temporary), [], "no port");

    // Somebody gives up before it is ready.
    let mut early = at("127.0.0.1:0");
    until("it has begun", PATIENCE, async || !files_below(&temporary).is_empty()).await;
    early.terminate();
    let status = early.ends(GIVES_UP_WITHIN).await;
    assert_eq!((status.code(), early.told().contains("\"ready\"")), (Some(0), false), "{}", early.told());
    assert_eq!(std::fs::read_dir(&temporary).unwrap().count(), 0, "it ended early");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_none_is_named_with_its_file() {
    let world = World::new().await;
    let key = world.folder.path().join("bot.pem");
    for spoilt in ["", "no key at all", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"] {
        std::fs::write(&key, spoilt).unwrap();
        let told = world.fails().await;
        assert!(told.contains("bot.private_key") && told.contains("PEM"), "{told}");
        assert!(spoilt.is_empty() || !told.contains(spoilt), "the key's content is nobody's business: {told}");
        assert_eq!(told.trim().lines().count(), 1, "{told}");
    }
    std::fs::remove_file(&key).unwrap();
    let told = world.fails().await;
    assert!(told.contains("bot.private_key") && told.contains("bot.pem"), "{told}");
    assert!(!world.data().exists(), "nothing was begun");
}

#[tokio::test(flavor = "multi_thread")]
async fn mistakes_of_configuration_come_all_at_once() {
    let world = World::new().await;
    let check = || liaison().args(["check", "--config"]).arg(world.config()).output().unwrap();
    let good = check();
    assert_eq!(good.status.code(), Some(0), "{}", stderr(&good));
    assert!(String::from_utf8_lossy(&good.stdout).contains("in order"));

    world.change_config("firm = ", "frim = ");
    world.change_config("feed_tag = ", "feed_tga = ");
    world.change_config("held_max = 200", "held_max = \"many\"");
    world.change_config("private_key = \"bot.pem\"", "private_key = \"gone.pem\"");
    let bad = check();
    assert_eq!(bad.status.code(), Some(1));
    let told = stderr(&bad);
    for wrong in ["bot.frim", "symphony.feed_tga", "policy.held_max", "bot.private_key"] {
        let line = told.lines().find(|line| line.contains(wrong)).unwrap_or_else(|| panic!("{wrong} is not in: {told}"));
        assert!(line.contains("bot-config.toml"), "{line}");
    }
    let told = world.fails().await;
    assert!(told.contains("bot.frim") && told.contains("policy.held_max"), "{told}");
    assert!(!world.data().exists(), "nothing was begun");
}

#[test]
fn help_is_help_and_a_wrong_call_is_2() {
    let run = |arguments: &[&str]| -> Output { liaison().args(arguments).output().unwrap() };
    for arguments in [&["--help"][..], &["run", "--help"], &["journal", "--help"], &["sandbox", "--help"], &["check", "--help"]] {
        let output = run(arguments);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}");
        assert!(String::from_utf8_lossy(&output.stdout).contains("Usage: liaison"), "{arguments:?}");
    }
    assert_eq!(run(&["--version"]).status.code(), Some(0));
    for arguments in [&[][..], &["dance"], &["run", "--fast"], &["journal", "--since"], &["sandbox", "--listen", "here"]] {
        let output = run(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(!stderr(&output).is_empty(), "{arguments:?}");
    }
    let gone = run(&["check", "--config", "/nowhere/bot-config.toml"]);
    assert_eq!(gone.status.code(), Some(1));
    assert!(stderr(&gone).contains("/nowhere/bot-config.toml"), "{}", stderr(&gone));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_journal_finds_a_contact_by_whatever_names_him() {
    let (world, _) = World::with_a_past().await;
    let of = |typed: &str| {
        let output = liaison().args(["journal", "--json", "--contact", typed, "--config"]).arg(world.config()).output().unwrap();
        let lines = String::from_utf8(output.stdout.clone()).unwrap();
        let ids = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["contact"].as_str().unwrap().to_owned());
        (output.status.code(), ids.collect::<BTreeSet<String>>(), stderr(&output))
    };
    let mut again = world.run();
    world.ready(&mut again).await;
    world.tell_bot(JANE, "/contact add Bea Low phone=+19175550148 email=bea@example.com channel=whatsapp");
    world.tell_bot(JANE, "/contact add Bea Orr phone=+19175550149 email=orr@example.com channel=whatsapp");
    let noted = |last: &str| world.journal().into_iter().rev().find(|line| line["detail"]["last"] == *last);
    until("both are noted", PATIENCE, async || noted("Low").and(noted("Orr")).is_some()).await;
    again.stop().await;
    let id = |last: &str| noted(last).unwrap()["contact"].as_str().unwrap().to_owned();
    let (ann, bea) = (id("Past"), id("Low"));
    let by_ann = [ANN, "+49 151 12345001", "0049 (0)151/12345-001", "Ann Past", "ann past", "PAST", " Past@Example.com", &ann];
    let by_bea = ["(917) 555-0148", "917.555.0148", "Bea Low", "low", "mailto:bea@example.com", &bea.to_lowercase()];
    for (wanted, typed) in by_ann.iter().map(|typed| (&ann, typed)).chain(by_bea.iter().map(|typed| (&bea, typed))) {
        let (code, ids, told) = of(typed);
        assert_eq!((code, ids), (Some(0), BTreeSet::from([wanted.clone()])), "{typed}: {told}");
    }
    for typed in ["c-ZZZZZZZZ", "+4915112349999", "917 555 01", "nobody@example.com", "Nobody", ""] {
        let (code, ids, told) = of(typed);
        assert_eq!((code, ids.len()), (Some(1), 0), "{typed}");
        says(&told, &["No contact", "stands in the journal", "c-…"]);
    }
    let (code, ids, told) = of("Bea");
    assert_eq!((code, ids.len()), (Some(1), 0));
    says(&told, &["2 contacts", &bea, &id("Orr")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_journal_broken_in_its_middle_is_not_touched() {
    let (world, room) = World::with_a_past().await;
    // Without its checkpoint the whole journal is proved at the start.
    std::fs::remove_file(world.data().join("journal/checkpoint.json")).unwrap();
    let whole = std::fs::read(world.segment()).unwrap();
    let mut broken = whole.clone();
    let middle = broken.len() / 2;
    broken[middle] ^= 1;
    std::fs::write(world.segment(), &broken).unwrap();
    std::fs::remove_dir_all(world.data().join("view")).unwrap();
    says(&world.fails().await, &["damaged in its middle", "000000000001.seg", "Restore the journal folder"]);
    assert!(verify(&world.data()).is_err());
    let output = liaison().args(["journal", "--json", "--config"]).arg(world.config()).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "reading says so too");
    assert_eq!(std::fs::read(world.segment()).unwrap(), broken, "nothing was changed");
    std::fs::write(world.segment(), &whole).unwrap();
    world.works_again(&room).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_view_that_knows_more_than_the_journal_stops_the_start() {
    let (world, room) = World::with_a_past().await;
    let whole = std::fs::read(world.segment()).unwrap();
    // An older copy: everything from the last frame on is gone.
    let last = whole.windows(4).rposition(|bytes| bytes == b"LJF\x01").unwrap();
    assert!(last > 0);
    std::fs::write(world.segment(), &whole[..last]).unwrap();
    for with_checkpoint in [true, false] {
        if !with_checkpoint {
            std::fs::remove_file(world.data().join("journal/checkpoint.json")).unwrap();
        }
        says(&world.fails().await, &["acknowledged is gone", "Restore the whole data folder"]);
        assert_eq!(std::fs::read(world.segment()).unwrap(), whole[..last], "nothing was changed");
    }
    std::fs::write(world.segment(), &whole).unwrap();
    world.works_again(&room).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frame_that_was_never_finished_is_cut_off() {
    let (world, room) = World::with_a_past().await;
    let whole = std::fs::read(world.segment()).unwrap();
    let torn = [&whole[..], b"LJF\x01\0\0\x10\0 and then the power went"].concat();
    std::fs::write(world.segment(), torn).unwrap();
    let before = world.journal();
    world.works_again(&room).await;
    assert!(world.journal().starts_with(&before), "what was whole is there");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_in_place_of_the_data_folder_is_named() {
    let world = World::new().await;
    std::fs::write(world.data(), "in the way").unwrap();
    let told = world.fails().await;
    assert_eq!(messages(&told).len(), 1, "{told}");
    let path = world.data().display().to_string();
    assert!(told.contains(&path) && told.contains("rights on the folder"), "{told}");
    assert_eq!(std::fs::read_to_string(world.data()).unwrap(), "in the way");
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_drains_while_traffic_flows() {
    let world = World::new().await;
    let mut running = world.run();
    world.ready(&mut running).await;
    let room = world.onboard("Past", ANN).await;
    for n in 0..12 {
        world.write(&room, &format!("drain {n}"));
        world.meta.send_text(ANN, None, &format!("from the client {n}"), None).unwrap();
    }
    tokio::time::sleep(Duration::from_millis(150)).await;
    running.terminate();
    let status = running.ends(Duration::from_secs(25)).await;
    assert_eq!(status.code(), Some(0), "{}", running.told());
    assert!(!running.told().contains("not everything ended in time"), "{}", running.told());
    assert!(world.journal().iter().all(|line| line["kind"] != "message.in_doubt"), "nothing hung, so nothing is in doubt");

    let mut again = world.run();
    world.ready(&mut again).await;
    until("the rest goes out", PATIENCE, async || (0..12).all(|n| world.on_phone(ANN, &format!("drain {n}")) == 1)).await;
    let relayed = |n: usize| {
        let wanted = format!("from the client {n}");
        world.bot_lines(&room).iter().filter(|line| line.text.lines().any(|text| text == wanted)).count()
    };
    until("what the client wrote is in the room", PATIENCE, async || (0..12).all(|n| relayed(n) == 1)).await;
    again.stop().await;
    let journal = world.journal();
    assert!(journal.iter().all(|line| line["kind"] != "message.in_doubt"), "nothing was in doubt after the restart");
    let on_phone: Vec<String> = world.meta.messages(ANN).into_iter().filter(|m| m.direction == "in").map(|m| m.text).collect();
    let drained: Vec<&String> = on_phone.iter().filter(|text| text.starts_with("drain ")).collect();
    assert_eq!(drained, (0..12).map(|n| format!("drain {n}")).collect::<Vec<_>>().iter().collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hanging_provider_does_not_keep_it_from_ending() {
    let world = World::new().await;
    let mut running = world.run();
    world.ready(&mut running).await;
    let room = world.onboard("Past", ANN).await;
    until("the welcome went out", PATIENCE, async || {
        world.meta.messages(ANN).iter().filter(|m| m.direction == "in").count() >= 2
    })
    .await;
    world.meta.trouble("hang", 1).unwrap();
    world.write(&room, "this one hangs");
    until("it was taken", PATIENCE, async || {
        world
            .journal()
            .iter()
            .any(|line| line["kind"] == "message.taken" && line["detail"].to_string().contains("this one hangs"))
    })
    .await;
    running.terminate();
    let status = running.ends(Duration::from_secs(29)).await;
    assert_eq!(status.code(), Some(0), "{}", running.told());
    let mut again = world.run();
    world.ready(&mut again).await;
    let unconfirmed = async || world.bot_lines(&room).iter().any(|line| code(line) == "unconfirmed");
    until("the author reads that it is unknown", Duration::from_secs(100), unconfirmed).await;
    assert!(world.on_phone(ANN, "this one hangs") <= 1);
    again.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_signature_leaves_no_trace() {
    let world = World::new().await;
    let mut running = world.run();
    world.ready(&mut running).await;
    let before = world.journal().len();
    let message =
        r#"{"from":"4915112345001","id":"wamid.FORGED","timestamp":"1800000000","type":"text","text":{"body":"forged"}}"#;
    let value = format!(
        r#"{{"messaging_product":"whatsapp","metadata":{{"phone_number_id":"100000000000001"}},"messages":[{message}]}}"#
    );
    let body = format!(
        r#"{{"object":"whatsapp_business_account","entry":[{{"id":"1","changes":[{{"field":"messages","value":{value}}}]}}]}}"#
    );
    assert_eq!(world.webhook(&body, "another-secret").await, 401);
    assert_eq!(world.journal().len(), before, "nothing of it in the journal");
    assert_eq!(world.webhook(&body, "sandbox-secret").await, 200, "the same with the right one");
    until("that one is noted", PATIENCE, async || world.journal().len() > before).await;
    let metrics = world.http.get(format!("http://{}/metrics", world.ops)).send().await.unwrap().text().await.unwrap();
    assert!(metrics.contains("liaison_signature_failures_total{provider=\"whatsapp\"} 1"), "{metrics}");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_words_no_numbers_no_secrets_in_logs_or_files() {
    let world = World::new().await;
    let mut running = world.run_with(&[("RUST_LOG", "debug")]);
    world.ready(&mut running).await;
    let room = world.onboard("Quillfeather", ANN).await;
    let seen = |text: &str| world.all_lines().iter().any(|(_, line)| line.from.id == world.bot_id && line.text.contains(text));
    world.write(&room, "canary-from-the-advisor");
    until("the advisor's words are on the phone", PATIENCE, async || world.on_phone(ANN, "canary-from-the-advisor") == 1).await;
    world.meta.send_text(ANN, None, "canary-from-the-client", None).unwrap();
    until("the client's words are in the room", PATIENCE, async || seen("canary-from-the-client")).await;
    // Each of the troubles makes somebody write a line about it.
    world.meta.trouble("500", 1).unwrap();
    world.write(&room, "canary-after-500");
    until("what the provider could not take is repeated", PATIENCE, async || world.on_phone(ANN, "canary-after-500") == 1).await;
    world.meta.trouble("131026", 1).unwrap();
    world.write(&room, "canary-refused");
    until("the refused one is told", PATIENCE, async || seen("canary-refused")).await;
    world.pod.trouble("500", 2);
    world.meta.add_phone("+4915112345002", "Canarina Strange", true).unwrap();
    world.meta.send_text("+4915112345002", None, "canary-of-a-stranger", None).unwrap();
    until("the stranger's words are in a room", PATIENCE, async || seen("canary-of-a-stranger")).await;
    world.tell_bot(JANE, "/contact add Canarina Two phone=+4915112345003 email=canarina@example.com channel=whatsapp");
    world.tell_bot(JANE, "/contact show +4915112345003");
    world.tell_bot(JANE, "/canary-command nonsense");
    for mistyped in [
        "/contct add Canarina Four phone=+4915112345004 email=canarina4@example.com channel=whatsapp",
        "/contact add Canarina Five phone=+491511234 email=canarina5@example.com channel=whatsapp",
        "/contact add Canarina Five canary-extra phone=+4915112345005 email=canarina5@example.com channel=whatsapp",
        "/contact show canarina6@example.com",
        "/contact show +4915112345006",
        "/contact show Canarina",
        "/template send follow_up topic=canary-topic to=+4915112345006",
        "canary-without-a-command",
    ] {
        world.tell_bot(JANE, mistyped);
    }
    until("the commands are answered", PATIENCE, async || seen("Added Canarina Two")).await;
    world.meta.send_text(ANN, None, "STOP", None).unwrap();
    until("all is told", PATIENCE, async || world.meta.pending_webhooks() == 0).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    // A second life reads everything again.
    running.stop().await;
    let mut again = world.run_with(&[("RUST_LOG", "debug")]);
    world.ready(&mut again).await;
    again.kill_9();

    let key = std::fs::read_to_string(world.folder.path().join("bot.pem")).unwrap();
    let key_line = key.lines().nth(3).unwrap();
    let personal = [
        "canary-",
        "4915112345001",
        "4915112345002",
        "4915112345003",
        "4915112345004",
        "4915112345005",
        "4915112345006",
        "491511234 ",
        "Quillfeather",
        "quillfeather",
        "anarina",
    ];
    let secrets = ["sandbox-token", "sandbox-secret", "sandbox-verify", key_line, "eyJhbGciOi", "eyJ0eXAiOi"];
    let mut leaks = Vec::new();
    for (path, bytes) in files_below(world.folder.path()) {
        let is_log = path.extension().is_some_and(|end| end == "log");
        if !is_log && !path.starts_with(world.data()) {
            continue;
        }
        for word in personal.iter().chain(&secrets) {
            leaks.extend(found(&bytes, word).map(|around| format!("{}: {word:?} in …{around}…", path.display())));
        }
    }
    assert!(leaks.is_empty(), "{} leaks:\n{}", leaks.len(), leaks.join("\n"));
}

/// The surroundings of the first find.
fn found(bytes: &[u8], word: &str) -> Option<String> {
    let at = bytes.windows(word.len()).position(|window| window == word.as_bytes())?;
    let around = &bytes[at.saturating_sub(160)..(at + 120).min(bytes.len())];
    Some(String::from_utf8_lossy(around).escape_debug().to_string())
}

// ---- a full disk

/// A small file system of its own, where the system lets us have one.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(at: &Path) -> Option<SmallDisk> {
        std::fs::create_dir_all(at).unwrap();
        mount(&["-t", "tmpfs", "-o", "size=4m", "tmpfs"], at).then(|| SmallDisk(at.to_owned()))
    }
    fn grow(&self) {
        assert!(mount(&["-o", "remount,size=64m"], &self.0));
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _it_goes_with_the_machine = Command::new("umount").arg("-l").arg(&self.0).output();
    }
}

fn mount(options: &[&str], at: &Path) -> bool {
    Command::new("mount").args(options).arg(at).output().is_ok_and(|output| output.status.success())
}

/// Writes to the bot until it ends for want of room; returns what it said and which texts had been acknowledged.
async fn until_it_is_full(world: &World, room: &str, running: &mut Running) -> (String, Vec<String>) {
    let begun = std::time::Instant::now();
    let end = begun + Duration::from_secs(240);
    let mut taken = Vec::new();
    for n in 0.. {
        assert!(std::time::Instant::now() < end, "it never gets full: {}", running.told());
        if let Some(status) = running.child.try_wait().unwrap() {
            assert_eq!(status.code(), Some(1), "{}", running.told());
            eprintln!("full after {n} messages and {:?}", begun.elapsed());
            return (running.told(), taken);
        }
        if running.told().contains("StopsOnly") {
            // The bot spares what is left for stops; somebody else takes it, and then a stop finds no room.
            fill_up(&world.data());
            let number = format!("+49151990{n:05}");
            world.meta.add_phone(&number, "Stop", true).unwrap();
            world.meta.send_text(&number, None, "STOP", None).unwrap();
            tokio::time::sleep(Duration::from_millis(500)).await;
            continue;
        }
        let text = format!("full {n} {}", "long words ".repeat(300));
        world.meta.send_text(ANN, None, &text, None).unwrap();
        taken.push(text);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    unreachable!("{room}")
}

/// Takes whatever room is left.
fn fill_up(folder: &Path) {
    let ballast = std::fs::OpenOptions::new().create(true).append(true).open(folder.join("ballast"));
    let Ok(mut ballast) = ballast else { return };
    for block in [64 * 1024, 4096, 512, 1] {
        while std::io::Write::write_all(&mut ballast, &vec![0; block]).is_ok() {}
    }
}

/// Everything that the clients' provider was told to be kept is in the room, once.
async fn all_is_there(world: &World, room: &str, texts: &[String]) {
    let heads: Vec<String> = texts.iter().map(|text| format!("{} long", text.split(" long").next().unwrap())).collect();
    let all_once = || {
        let lines: Vec<String> = world.bot_lines(room).into_iter().map(|line| line.text.chars().take(100).collect()).collect();
        heads.iter().all(|head| lines.iter().filter(|line| line.contains(head)).count() == 1)
    };
    until("everything acknowledged is in the room", Duration::from_secs(240), async || all_once()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_ends_it_with_a_message_and_loses_nothing() {
    let world = World::new().await;
    let Some(disk) = SmallDisk::mount(&world.data()) else {
        eprintln!("no file system can be mounted here; the limit on file sizes is tried by the other test");
        return;
    };
    let mut running = world.run();
    world.ready(&mut running).await;
    let room = world.onboard("Past", ANN).await;
    let (told, taken) = until_it_is_full(&world, &room, &mut running).await;
    says(&told, &["No space left", "free space"]);
    assert!(!told.contains("panicked"), "{told}");
    disk.grow();
    let mut again = world.run();
    world.ready(&mut again).await;
    all_is_there(&world, &room, &taken).await;
    again.stop().await;
    verify(&world.data()).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_may_not_grow_ends_it_with_a_message_and_loses_nothing() {
    let (world, room) = World::with_a_past().await;
    let length = std::fs::metadata(world.segment()).unwrap().len();
    // Blocks of 512 bytes; the log of the child falls under the same limit.
    let limit = (length + 300_000) / 512;
    let script = world.folder.path().join("small.sh");
    let text = format!("trap '' XFSZ\nulimit -f {limit}\nexec \"$@\"\n");
    let mut file = std::fs::OpenOptions::new().create(true).write(true).truncate(true).mode(0o700).open(&script).unwrap();
    std::io::Write::write_all(&mut file, text.as_bytes()).unwrap();
    let mut command = Command::new("sh");
    command.arg(&script).arg(env!("CARGO_BIN_EXE_liaison")).args(["run", "--config"]).arg(world.config());
    let mut running = world.start(command);
    world.ready(&mut running).await;
    let (told, taken) = until_it_is_full(&world, &room, &mut running).await;
    says(&told, &["free space"]);
    assert!(!told.contains("panicked"), "{told}");
    let mut again = world.run();
    world.ready(&mut again).await;
    all_is_there(&world, &room, &taken).await;
    again.stop().await;
    verify(&world.data()).unwrap();
}
