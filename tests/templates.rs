//! `liaison templates` against an account, and a running bot whose templates are paused, edited and not there yet.
#![allow(clippy::unwrap_used)] // Test helpers fail loudly.
mod real;

use liaison::adapters::clock::SystemClock;
use liaison::adapters::whatsapp::{Pace, Settings, WhatsApp};
use liaison::adapters::wording::load_all;
use liaison::app::templates::watch;
use liaison::domain::event::{Event, Fact};
use liaison::ports::{Clock, Inbox, Later, Receipt};
use real::{JANE, PATIENCE, World, code, liaison, part, until};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

const ANN: &str = "+4915112346001";
const HELLO: &str = r#"meta_language = "LANGUAGE"
category = "UTILITY"
parameter_format = "named"

[[components]]
type = "BODY"
text = "Hello {{contact_first}}, here is {{firm}}."
example.body_text_named_params = [
  { param_name = "contact_first", example = "Ann" },
  { param_name = "firm", example = "Acme" },
]
"#;

/// A copy of the templates' folder that a test may change.
struct Files(PathBuf);

impl Files {
    fn of(world: &World) -> Files {
        let to = world.folder.path().join("templates");
        copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("templates"), &to);
        Files(to)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join("whatsapp").join(name)
    }

    /// A template of advisors that the account does not have yet.
    fn with_hello(self) -> Files {
        for (file, language) in [("hello.en.toml", "en_US"), ("hello.de.toml", "de")] {
            std::fs::write(self.path(file), HELLO.replace("LANGUAGE", language)).unwrap();
        }
        self
    }

    fn environment(&self) -> [(&str, &str); 1] {
        [("LIAISON__BOT__TEMPLATES_DIR", self.0.to_str().unwrap())]
    }

    /// How `liaison templates …` ended, and its lines.
    fn templates(&self, world: &World, arguments: &[&str]) -> (i32, Vec<Value>) {
        let mut command = liaison();
        command.arg("templates").args(arguments).args(["--json", "--config"]).arg(world.config()).envs(self.environment());
        let output = command.output().unwrap();
        let lines = String::from_utf8(output.stdout).unwrap();
        (output.status.code().unwrap(), lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
    }
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let to = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &to);
        } else {
            std::fs::copy(&path, &to).unwrap();
        }
    }
}

fn states<'l>(lines: &'l [Value], name: &str) -> Vec<&'l str> {
    lines.iter().filter(|line| line["name"] == name).map(|line| line["state"].as_str().unwrap()).collect()
}

fn body(text: &str) -> Value {
    json!([{ "type": "BODY", "text": text }])
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_missing_is_submitted_once_and_nothing_else_is_touched() {
    let world = World::new().await;
    let files = Files::of(&world).with_hello();
    let (code, lines) = files.templates(&world, &["list"]);
    assert_eq!((code, states(&lines, "follow_up")), (0, vec!["APPROVED", "APPROVED"]));
    let follow_up = lines.iter().find(|line| line["name"] == "follow_up").unwrap();
    assert_eq!((&follow_up["category"], &follow_up["quality"]), (&json!("UTILITY"), &json!("GREEN")));
    assert_eq!(states(&lines, "hello"), [""; 0]);

    let (code, lines) = files.templates(&world, &["diff"]);
    assert_eq!((code, states(&lines, "hello")), (1, vec!["missing", "missing"]));
    assert_eq!(states(&lines, "follow_up"), ["same", "same"]);

    world.meta.register_template("follow_up", "en_US", "UTILITY", body("Other words of {{firm}} here.")).unwrap();
    world.meta.review_takes(Duration::from_secs(3_600));
    let (code, lines) = files.templates(&world, &["submit"]);
    assert_eq!(
        states(&lines, "hello"),
        ["will be submitted", "will be submitted", "submitted", "submitted"],
        "first told, then done"
    );
    assert_eq!(states(&lines, "follow_up"), ["approved", "left as it is"], "what is there is never edited");
    assert_eq!(code, 1, "something needs a person");

    let (code, lines) = files.templates(&world, &["diff"]);
    assert_eq!((code, states(&lines, "hello")), (1, vec!["pending", "pending"]));
    assert_eq!(states(&lines, "follow_up"), ["same", "differs"]);
    let differs = lines.iter().find(|line| line["state"] == "differs").unwrap();
    assert!(differs["what"].as_str().unwrap().contains("“Other words of {{firm}} here.” in the account"), "{differs}");
    let (_, lines) = files.templates(&world, &["submit"]);
    assert_eq!(states(&lines, "hello"), ["pending", "pending"], "not a second time");

    world.meta.template_becomes("hello", "de", "REJECTED", "The words are unclear.").unwrap();
    let (_, lines) = files.templates(&world, &["diff"]);
    assert_eq!(states(&lines, "hello"), ["rejected", "pending"]);
    let rejected = lines.iter().find(|line| line["state"] == "rejected").unwrap();
    assert!(rejected["what"].as_str().unwrap().contains("The words are unclear."), "{rejected}");
    assert!(!rejected["remedy"].as_str().unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_only_the_account_has_becomes_a_file_when_asked() {
    let world = World::new().await;
    let files = Files::of(&world);
    for language in ["en_US", "de"] {
        world.meta.register_template("parcel", language, "UTILITY", body("Hello {{1}}, your parcel is there.")).unwrap();
    }
    let picture = json!([{ "type": "HEADER", "format": "IMAGE" }, { "type": "BODY", "text": "Look." }]);
    world.meta.register_template("look", "en_US", "MARKETING", picture).unwrap();
    let (code, lines) = files.templates(&world, &["sync"]);
    assert_eq!((code, states(&lines, "parcel")), (0, vec!["only in the account"; 2]));
    assert!(!files.path("parcel.en.toml").exists(), "nothing is written without --write");
    let look = lines.iter().find(|line| line["name"] == "look").unwrap();
    assert!(look["what"].as_str().unwrap().contains("Only headers of text"), "{look}");

    let (code, lines) = files.templates(&world, &["sync", "--write"]);
    assert_eq!((code, states(&lines, "parcel")), (0, vec!["written"; 2]));
    let (code, lines) = files.templates(&world, &["diff"]);
    assert_eq!((code, states(&lines, "parcel")), (0, vec!["same"; 2]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_call_is_2_and_an_account_that_does_not_answer_is_1() {
    let world = World::new().await;
    let files = Files::of(&world);
    for wrong in [vec!["burn"], vec!["list", "--write"], vec![]] {
        let output = liaison().arg("templates").args(&wrong).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{wrong:?}");
    }
    let mut command = liaison();
    command.args(["templates", "list", "--config"]).arg(world.config()).envs(files.environment());
    let output = command.env("LIAISON__WHATSAPP__ACCESS_TOKEN", "wrong").output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("WhatsApp refused with 190"));
}

// ---- the look at the account

/// What a desk was told, one after the other.
#[derive(Default)]
struct Desk(Arc<Mutex<Vec<Fact>>>);

impl Inbox for Desk {
    fn deliver(&self, event: Event) -> Later<'static, Receipt> {
        self.0.lock().unwrap().push(event.fact);
        Box::pin(std::future::ready(Receipt::Kept))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_may_not_see_templates_is_a_reason_and_no_silence() {
    let world = World::new().await;
    let environment = [("LIAISON__WHATSAPP__ACCESS_TOKEN".to_owned(), "wrong".to_owned())].into();
    let (config, wording) = load_all(&world.config(), &environment).unwrap_or_else(|told| panic!("{told:#?}"));
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let settings = Settings {
        graph_url: config.whatsapp.graph_url.as_str().trim_end_matches('/').to_owned(),
        api_version: config.whatsapp.api_version.clone(),
        business_account_id: config.whatsapp.business_account_id.clone(),
        access_token: config.whatsapp.access_token.expose().to_owned(),
        ca: None,
        proxy: None,
        answer_within: Duration::from_secs(5),
    };
    let client = Arc::new(WhatsApp::new(settings, Arc::clone(&clock), Arc::new(Mutex::new(Pace::new()))).unwrap());
    let (desk, stop) = (Arc::new(Desk::default()), CancellationToken::new());
    let files = wording.templates().count();
    let looking = watch(Arc::clone(&client), Arc::new(wording), Arc::clone(&desk) as _, clock, stop.clone());
    let looking = tokio::spawn(looking);
    until("the look has failed", PATIENCE, async || client.templates_are_known()).await;
    stop.cancel();
    looking.await.unwrap();
    let Some(Fact::TemplatesListed(seen)) = desk.0.lock().unwrap().pop() else { panic!("the desk is told") };
    assert_eq!(seen.len(), files);
    assert!(seen.iter().all(|seen| seen.status == "UNKNOWN" && seen.reason.as_deref().unwrap().contains("190")), "{seen:?}");
}

// ---- a running bot

fn refusals(world: &World) -> Vec<String> {
    let im = world.pod.im(world.user(JANE), world.bot_id);
    world.bot_lines(&im).iter().filter(|line| code(line) == "refusal").map(|line| part(line, "reason").to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_bot_heeds_what_webhooks_tell_of_its_templates() {
    let world = World::new().await;
    let mut running = world.run();
    world.ready(&mut running).await;
    let room = world.onboard("Pause", ANN).await;
    world.meta.template_becomes("follow_up", "en_US", "PAUSED", "Too many blocked it.").unwrap();
    until("the webhook is taken", PATIENCE, async || world.meta.pending_webhooks() == 0).await;
    world.tell_bot(JANE, &format!("/template send follow_up to={ANN}"));
    until("it is refused", PATIENCE, async || refusals(&world) == ["not-approved"]).await;

    // The invitation is paused too: the next client is not asked before it may be sent again.
    world.meta.template_becomes("liaison_invitation", "en_US", "PAUSED", "Too many blocked it.").unwrap();
    until("the webhook is taken", PATIENCE, async || world.meta.pending_webhooks() == 0).await;
    let ben = "+4915112346002";
    world.meta.add_phone(ben, "Ben", true).unwrap();
    world.tell_bot(JANE, &format!("/contact add Ben Held phone={ben} email=ben@example.com channel=whatsapp --room"));
    until("the room reads why he was not asked", PATIENCE, async || {
        let room = world.room_named("Ben Held");
        room.is_some_and(|room| world.bot_lines(&room).iter().any(|line| part(line, "reason") == "template"))
    })
    .await;
    assert!(!world.is_invited(ben));
    world.pod.post_as(world.user(JANE), &room, "others go on").unwrap();
    until("others go on", PATIENCE, async || world.on_phone(ANN, "others go on") == 1).await;
    world.meta.template_becomes("liaison_invitation", "en_US", "APPROVED", "NONE").unwrap();
    until("he is asked", PATIENCE, async || world.is_invited(ben)).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_differs_is_not_sent_even_once() {
    let world = World::new().await;
    let files = Files::of(&world);
    let invitation = files.path("liaison_invitation.en.toml");
    let text = std::fs::read_to_string(&invitation).unwrap();
    std::fs::write(&invitation, text.replace("would like to keep in touch", "wants to keep in touch")).unwrap();
    let mut running = world.run_with(&files.environment());
    world.ready(&mut running).await;
    world.meta.add_phone(ANN, "Ann", true).unwrap();
    world.tell_bot(JANE, &format!("/contact add Ann Lee phone={ANN} email=ann@example.com channel=whatsapp --room"));
    until("the room reads why she was not asked", PATIENCE, async || {
        let room = world.room_named("Ann Lee");
        room.is_some_and(|room| world.bot_lines(&room).iter().any(|line| part(line, "reason") == "template"))
    })
    .await;
    assert!(!world.is_invited(ANN));
    let told: Vec<Value> = world.journal().into_iter().filter(|line| line["kind"] == "template.seen").collect();
    assert!(told.iter().any(|line| line["detail"].to_string().contains("reads otherwise")));
    running.stop().await;
}
