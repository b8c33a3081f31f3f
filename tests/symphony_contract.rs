//! The bot itself, led through proxies that hold every call of its against Symphony's own documents: `make contract-test`.
#![allow(clippy::unwrap_used)] // Clippy sees only the functions marked as tests, not what they share.
mod real;

use liaison::sandbox::views::MessageView;
use real::{JANE, PATIENCE, SAM, World, code, liaison, until};
use serde_json::{Value, json};

const ANN: &str = "+4915112345678";
const ROOM: &str = "Ann Lee";

/// What `run.py` tells about the proxies.
fn told(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set; `make contract-test` starts the proxies and sets it"))
}

/// The pod where the proxies look for it, besides its usual place where the websocket feed is.
async fn world() -> World {
    let world = World::new().await;
    let listener = tokio::net::TcpListener::bind(told("CONTRACT_POD_LISTEN")).await.unwrap();
    let router = world.pod.router();
    tokio::spawn(async move { axum::serve(listener, router).await });
    world
}

/// Everything that is HTTP goes through the proxies; they cannot pass a websocket on. With `CONTRACT_FEED=long-poll` the feed is
/// HTTP as well.
fn through_the_proxies() -> Vec<(&'static str, String)> {
    vec![
        ("LIAISON__SYMPHONY__POD_URL", told("CONTRACT_POD_URL")),
        ("LIAISON__SYMPHONY__AGENT_URL", told("CONTRACT_AGENT_URL")),
        ("LIAISON__SYMPHONY__KEY_MANAGER_URL", told("CONTRACT_POD_URL")),
        ("LIAISON__SYMPHONY__FEED", std::env::var("CONTRACT_FEED").unwrap_or_else(|_| "websocket".to_owned())),
    ]
}

/// What Jane does and sees.
struct Jane<'w>(&'w World);

impl Jane<'_> {
    fn id(&self) -> u64 {
        self.0.user(JANE)
    }
    fn chat(&self) -> String {
        self.0.pod.im(self.id(), self.0.bot_id)
    }
    fn room(&self) -> String {
        self.0.room_named(ROOM).unwrap()
    }
    fn writes(&self, stream: &str, text: &str) {
        self.0.pod.post_as(self.id(), stream, text).unwrap();
    }
    fn presses(&self, stream: &str, line: &MessageView, form: &str, values: Value) {
        let values = values.as_object().unwrap().clone();
        self.0.pod.submit_form(self.id(), stream, &line.id, form, values).unwrap();
    }
    /// The newest line of the bot with this code and text.
    async fn reads(&self, stream: &str, what: &str, text: &str) -> MessageView {
        let found =
            || self.0.bot_lines(stream).into_iter().rev().find(|line| code(line) == what && line.presentation.contains(text));
        until(&format!("{what} with {text:?}"), PATIENCE, async || found().is_some()).await;
        found().unwrap()
    }
}

/// With several advisors in a room the client reads their names before their words.
async fn arrives(world: &World, text: &str) {
    let is_there = || world.meta.messages(ANN).iter().filter(|m| m.direction == "in" && m.text.ends_with(text)).count() == 1;
    until(&format!("{text:?} on the phone"), PATIENCE, async || is_there()).await;
}

#[tokio::test]
#[ignore = "`make contract-test` starts the proxies that it needs"]
async fn a_whole_onboarding_within_symphonys_documents() {
    let world = world().await;
    world.meta.add_phone(ANN, ROOM, true).unwrap();
    let proxies = through_the_proxies();
    let environment: Vec<(&str, &str)> = proxies.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let mut bot = world.run_with(&environment);
    world.ready(&mut bot).await;
    let jane = Jane(&world);
    onboarding(&world, &jane).await;
    conversation(&world, &jane).await;
    rooms(&world, &jane).await;
    owners(&world, &jane).await;
    lost_feed(&world, &jane).await;
    // What happened while it was away is looked up at the next start, and its tokens are old by then.
    bot.stop().await;
    doctor(&world, &environment).await;
    jane.writes(&jane.room(), "While you were away.");
    world.pod.expire_tokens();
    let mut bot = world.run_with(&environment);
    world.ready(&mut bot).await;
    arrives(&world, "While you were away.").await;
    // Tokens that die under it are a 401, after which it logs in again.
    world.pod.expire_tokens();
    jane.writes(&jane.room(), "And with new tokens.");
    arrives(&world, "And with new tokens.").await;
    bot.stop().await;
}

/// By form; what Jane writes before the yes is held and then goes out.
async fn onboarding(world: &World, jane: &Jane<'_>) {
    world.pod.connect_as(jane.id(), world.bot_id).unwrap();
    let chat = jane.chat();
    jane.writes(&chat, "/contact add");
    let form = jane.reads(&chat, "form", "contact-add").await;
    let values = json!({"first": "Ann", "last": "Lee", "phone": ANN, "email": "ann@lee.de", "channel": "whatsapp", "room": "on",
        "action": "submit"});
    jane.presses(&chat, &form, "contact-add", values);
    jane.reads(&chat, "answer", ROOM).await;
    until("the invitation", PATIENCE, async || world.is_invited(ANN)).await;
    let room = jane.room();
    jane.writes(&room, "Good morning <Ann> & \"all\" 😀");
    jane.reads(&room, "held", "").await;
    world.meta.tap(ANN, "consent:yes").unwrap();
    jane.reads(&room, "consent_yes", "").await;
    arrives(world, "Good morning <Ann> & \"all\" 😀").await;
}

async fn conversation(world: &World, jane: &Jane<'_>) {
    world.meta.send_text(ANN, None, "Hello <Jane> & co ${x}", None).unwrap();
    jane.reads(&jane.room(), "client_message", "Hello").await;
    jane.writes(&jane.room(), "How are you?");
    arrives(world, "How are you?").await;
}

/// A feed that is gone is replaced, and what it held is read from the histories.
async fn lost_feed(world: &World, jane: &Jane<'_>) {
    world.pod.trouble("feed-gone", 1);
    jane.writes(&jane.room(), "In the gap.");
    arrives(world, "In the gap.").await;
}

async fn doctor(world: &World, environment: &[(&str, &str)]) {
    let mut command = liaison();
    command.arg("doctor").arg("--config").arg(world.config()).envs(environment.iter().copied());
    let mut doctor = world.start(command);
    let status = doctor.ends(PATIENCE).await;
    assert_eq!(status.code(), Some(0), "{}", doctor.told());
}

/// A command in the room, a colleague who comes, and a word of his; one who may not see the client's words is shown out.
async fn rooms(world: &World, jane: &Jane<'_>) {
    let room = jane.room();
    jane.writes(&room, "/why");
    jane.reads(&room, "answer", "").await;
    let sam = world.user(SAM);
    world.pod.add_member_as(jane.id(), &room, sam).unwrap();
    world.pod.post_as(sam, &room, "Sam here.").unwrap();
    arrives(world, "Sam here.").await;
    let carl = world.user("carl.ito@acme.com");
    world.pod.add_member_as(jane.id(), &room, carl).unwrap();
    let is_out = || world.pod.room(&room).unwrap().members.iter().all(|member| member.id != carl);
    jane.reads(&jane.chat(), "notice", "Carl Ito").await;
    until("Carl is out", PATIENCE, async || is_out()).await;
}

/// What an owner commands: ownership, the name, a colleague out and in again; and a second room that is closed for good.
async fn owners(world: &World, jane: &Jane<'_>) {
    let room = jane.room();
    jane.writes(&room, "/room promote @sam.lee@acme.com");
    jane.reads(&room, "answer", "is an owner").await;
    jane.writes(&room, "/room demote @sam.lee@acme.com");
    jane.reads(&room, "answer", "is a plain member").await;
    jane.writes(&room, "/room rename \"Lee family\"");
    jane.reads(&room, "answer", "Lee family").await;
    until("the new name", PATIENCE, async || world.room_named("Lee family").is_some()).await;
    jane.writes(&room, &format!("/room rename \"{ROOM}\""));
    until("the old name", PATIENCE, async || world.room_named(ROOM).is_some()).await;
    jane.writes(&room, "/room remove @sam.lee@acme.com");
    let card = jane.reads(&room, "confirm", "").await;
    jane.presses(&room, &card, "confirm", json!({"action": "confirm"}));
    let sam = world.user(SAM);
    let is_in = || world.pod.room(&room).unwrap().members.iter().any(|member| member.id == sam);
    until("Sam is out", PATIENCE, async || !is_in()).await;
    jane.writes(&room, "/room add @sam.lee@acme.com");
    until("Sam is in", PATIENCE, async || is_in()).await;
    jane.writes(&jane.chat(), &format!("/room create \"For a day\" {ANN}"));
    let card = jane.reads(&jane.chat(), "confirm", "").await;
    jane.presses(&jane.chat(), &card, "confirm", json!({"action": "new-room"}));
    until("a second room", PATIENCE, async || world.room_named("For a day").is_some()).await;
    let second = world.room_named("For a day").unwrap();
    jane.reads(&second, "room_opened", "").await;
    jane.writes(&second, "/room deactivate");
    let card = jane.reads(&second, "confirm", "").await;
    jane.presses(&second, &card, "confirm", json!({"action": "confirm"}));
    until("it is closed", PATIENCE, async || !world.pod.room(&second).unwrap().active).await;
}
