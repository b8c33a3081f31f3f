//! What no sound platform would send: each piece is answered or told, nothing is lost, and the batch goes on.
#![allow(clippy::unwrap_used, reason = "a helper of a test fails by panicking, as the test does")]
use liaison::app::sandbox::{self, Sandbox, SandboxOptions};
use serde_json::{Value, json};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(30);
const JANE: &str = "jane.doe@acme.com";
const ANN: &str = "+4915112345678";
/// Long enough that a second answer would have come.
const A_WHILE: Duration = Duration::from_millis(700);

struct World {
    sandbox: Sandbox,
    http: reqwest::Client,
    folder: tempfile::TempDir,
    jane: u64,
    bot: u64,
    im: String,
}

impl World {
    async fn open() -> World {
        // The one provider of cryptography of the process; a second call would only say that it is there.
        let _there = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let folder = tempfile::TempDir::new().unwrap();
        let data = Some(folder.path().to_owned());
        let listen = ([127, 0, 0, 1], 0).into();
        let options = SandboxOptions { listen, data, json: true, whatsapp_callback: None, twilio_callback: None, expose: false };
        let sandbox = sandbox::start(options).await.unwrap();
        let pod = sandbox.pod();
        let id = |email: &str| pod.user_by_email(email).unwrap().id;
        let (jane, bot) = (id(JANE), id("liaison@acme.com"));
        let im = pod.im(jane, bot);
        World { http: reqwest::Client::builder().no_proxy().build().unwrap(), sandbox, folder, jane, bot, im }
    }

    /// The bot's lines in a chat.
    fn said(&self, stream: &str) -> Vec<String> {
        let messages = self.sandbox.pod().messages(stream, self.jane);
        messages.into_iter().filter(|message| message.from.id == self.bot).map(|message| message.text).collect()
    }

    async fn until(&self, what: &str, holds: impl Fn(&World) -> bool) {
        let begun = std::time::Instant::now();
        while !holds(self) {
            assert!(begun.elapsed() < PATIENCE, "{what}; said {:.2000?}", self.said(&self.im));
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    fn feed(&self, elements: Vec<Value>) {
        self.sandbox.pod().feed_raw(self.bot, elements);
    }

    /// A sound command is answered, so all goes on; what the bot said before it.
    async fn goes_on(&self) {
        let word = format!("/onwards{}", fastrand::u32(..));
        self.sandbox.pod().post_as(self.jane, &self.im, &word).unwrap();
        self.until("a sound command is answered", |world| world.answers(&word) == 1).await;
    }

    /// Lines of the bot in Jane's 1:1 chat that name this word.
    fn answers(&self, word: &str) -> usize {
        self.said(&self.im)
            .iter()
            .filter(|text| text.split_whitespace().any(|w| w.trim_matches(['.', '“', '”', '`']) == word))
            .count()
    }

    async fn ready(&self) -> String {
        let url = format!("http://{}/readyz", self.sandbox.addresses.ops);
        self.http.get(url).send().await.unwrap().text().await.unwrap()
    }

    async fn journal(&self) -> Vec<Value> {
        let url = format!("http://{}/api/journal?after=0", self.sandbox.addresses.page);
        self.http.get(url).send().await.unwrap().json().await.unwrap()
    }

    async fn entries(&self, kind: &str) -> Vec<Value> {
        self.journal().await.into_iter().filter(|entry| entry["kind"] == kind).collect()
    }

    /// A room with a client; its stream.
    async fn client_room(&self) -> String {
        let command = format!("/contact add Ann Lee phone={ANN} email=ann@example.com channel=whatsapp --room");
        self.sandbox.pod().post_as(self.jane, &self.im, &command).unwrap();
        let room = |world: &World| world.sandbox.pod().rooms_of(world.jane).into_iter().find(|room| room.name == "Ann Lee");
        self.until("the client's room", |world| room(world).is_some()).await;
        let room = room(self).unwrap().id;
        // The pod has it a moment before the bot knows that it has.
        self.until("its first line", |world| !world.said(&room).is_empty()).await;
        room
    }

    fn jane_said(&self, id: &str, stream: &str, kind: &str, markup: Value) -> Value {
        let at = jiff::Timestamp::now().as_millisecond();
        let stream = json!({"streamId": stream, "streamType": kind});
        let message = json!({"messageId": id, "timestamp": at, "message": markup, "stream": stream});
        self.element(id, "MESSAGESENT", json!({ "messageSent": { "message": message } }))
    }

    fn element(&self, id: &str, kind: &str, payload: Value) -> Value {
        let user = json!({"userId": self.jane, "displayName": "Jane Doe", "email": JANE, "username": "jane.doe"});
        json!({"id": id, "messageId": id, "timestamp": jiff::Timestamp::now().as_millisecond(), "type": kind,
            "initiator": {"user": user}, "payload": payload})
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn broken_markup_is_read_as_far_as_it_goes_and_broken_elements_are_told() {
    let world = World::open().await;
    let im = world.im.clone();
    let readable = [
        ("m1", "<div data-format=\"PresentationML\"><p>/unclosed1 <b>and <i>on", "/unclosed1"),
        ("m2", "/bare2", "/bare2"),
        ("m3", "<div>/crossed3 <b><i></b></i></div></p></div></span>", "/crossed3"),
        ("m4", "<div>/entities4 &nosuch; &#xZZ; &#1114112; &amp</div>", "/entities4"),
        ("m5", "<div>/span5 <span class=\"entity\" data-entity-id=\"none\"></div>", "/span5"),
        ("m6", "<div>/control6 \u{0}\u{8}\u{1b}[31m \u{202e}</div>", "/control6"),
        ("m7", "<<<>>></div><div>/angles7 <![CDATA[x]]> <!-- <?php ?></div>", ""),
    ];
    let mut batch: Vec<Value> = readable.iter().map(|(id, markup, _)| world.jane_said(id, &im, "IM", json!(markup))).collect();
    let broken = [
        world.jane_said("b1", &im, "IM", json!(42)),
        world.jane_said("b2", &im, "TELEPATHY", json!("<div>/lost</div>")),
        world.jane_said("", &im, "IM", Value::Null),
        json!("no object at all"),
        json!({"id": "b4", "type": "MESSAGESENT", "timestamp": "late", "payload": []}),
        json!({"id": "b5", "type": 7}),
        Value::Null,
    ];
    let count = broken.len();
    for (at, element) in broken.into_iter().enumerate() {
        batch.insert(at * 2, element);
    }
    world.feed(batch);
    for (_, _, word) in readable.iter().filter(|(_, _, word)| !word.is_empty()) {
        world.until(word, |world| world.answers(word) == 1).await;
    }
    world.goes_on().await;
    tokio::time::sleep(A_WHILE).await;
    let quarantined = world.entries("quarantined").await;
    assert!(quarantined.len() >= count - 1, "{} of {count}: {quarantined:#?}", quarantined.len());
    for (_, _, word) in readable.iter().filter(|(_, _, word)| !word.is_empty()) {
        assert_eq!(world.answers(word), 1, "{word} once");
    }
    assert!(world.ready().await.contains("\"ready\":true"));
    world.sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_message_as_large_as_the_platform_takes_is_answered_in_few_words() {
    let world = World::open().await;
    let room = world.client_room().await;
    let large = format!("<div>{}</div>", "word ".repeat(300_000));
    let command = format!("<div>/large {}</div>", "x".repeat(1_500_000));
    world.feed(vec![
        world.jane_said("l1", &world.im, "IM", json!(large)),
        world.jane_said("l2", &room, "ROOM", json!(large)),
        world.jane_said("l3", &world.im, "IM", json!(command)),
        world.jane_said("l4", &world.im, "IM", json!("<div>/after</div>")),
    ]);
    world.until("what came after is answered", |world| world.answers("/after") == 1).await;
    world
        .until("the room is told", |world| world.said(&room).iter().any(|text| text.contains("4,096") || text.contains("4096")))
        .await;
    world.goes_on().await;
    let longest = world.said(&world.im).into_iter().chain(world.said(&room)).map(|text| text.len()).max();
    assert!(longest.unwrap() < 5_000, "{longest:?}");
    assert!(world.said(&world.im).iter().any(|text| text.contains("/large xxx") && text.contains("x…")), "shown back in part");
    assert!(world.said(&world.im).len() >= 5, "each is answered: {:?}", world.said(&world.im));
    let failed = world.journal().await.into_iter().filter(|entry| entry.to_string().contains("symphony-4")).count();
    assert_eq!(failed, 0, "no answer was too large to be posted");
    world.sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn five_hundred_events_in_one_batch_are_each_answered_once() {
    let world = World::open().await;
    world.sandbox.pod().set_batch_max(500);
    let words: Vec<String> = (0..500).map(|nth| format!("/many{nth}x")).collect();
    let said = |(nth, word): (usize, &String)| {
        world.jane_said(&format!("many{nth}"), &world.im, "IM", json!(format!("<div>{word}</div>")))
    };
    world.feed(words.iter().enumerate().map(said).collect());
    world.until("all are answered", |world| words.iter().all(|word| world.answers(word) > 0)).await;
    world.goes_on().await;
    assert!(words.iter().all(|word| world.answers(word) == 1), "each once");
    assert!(world.ready().await.contains("\"ready\":true"), "{}", world.ready().await);
    world.sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_event_is_known_by_its_type_and_id() {
    let world = World::open().await;
    let room = world.client_room().await;
    let stream = json!({"streamId": room, "streamType": "ROOM"});
    let renamed = |id: &str, name: &str| {
        let payload = json!({"stream": stream, "newRoomProperties": {"name": name}});
        world.element(id, "ROOMUPDATED", json!({ "roomUpdated": payload }))
    };
    let closed = world.element("same", "ROOMDEACTIVATED", json!({"roomDeactivated": {"stream": stream}}));
    // One id with two types is two events; the same of both is one, however it differs, and in another batch too.
    world.feed(vec![renamed("same", "First"), renamed("same", "Second"), closed.clone(), closed.clone()]);
    world.goes_on().await;
    world.feed(vec![closed, renamed("same", "Third"), renamed("other", "Fourth")]);
    world.goes_on().await;
    tokio::time::sleep(A_WHILE).await;
    let all = serde_json::to_string(&world.journal().await).unwrap();
    let count = |word: &str| all.matches(word).count();
    assert!(count("\"First\"") > 0 && count("\"Fourth\"") > 0, "{all}");
    assert_eq!((count("\"Second\""), count("\"Third\"")), (0, 0), "{all}");
    let kinds: Vec<String> = world.journal().await.iter().map(|entry| entry["kind"].to_string()).collect();
    assert_eq!(kinds.iter().filter(|kind| kind.contains("room.") && kind.contains("deactivated")).count(), 1, "{kinds:?}");
    world.sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn events_of_rooms_that_nobody_knows_change_nothing() {
    let world = World::open().await;
    let stream = json!({"streamId": "nobodyKnowsIt", "streamType": "ROOM", "roomName": "?"});
    let member = json!({"stream": stream, "affectedUser": {"userId": 99, "displayName": "Nobody"}});
    let form = json!({"stream": stream, "formMessageId": "f", "formId": "confirm", "formValues": {"action": "confirm"}});
    let payloads = [
        ("SYMPHONYELEMENTSACTION", json!({ "symphonyElementsAction": form })),
        ("USERJOINEDROOM", json!({ "userJoinedRoom": member })),
        ("USERLEFTROOM", json!({ "userLeftRoom": member })),
        ("ROOMMEMBERPROMOTEDTOOWNER", json!({ "roomMemberPromotedToOwner": member })),
        ("ROOMMEMBERDEMOTEDFROMOWNER", json!({ "roomMemberDemotedFromOwner": member })),
        ("ROOMUPDATED", json!({"roomUpdated": {"stream": stream, "newRoomProperties": {"name": "n"}}})),
        ("ROOMDEACTIVATED", json!({"roomDeactivated": {"stream": stream}})),
        ("ROOMREACTIVATED", json!({"roomReactivated": {"stream": stream}})),
        ("MESSAGESUPPRESSED", json!({"messageSuppressed": {"stream": stream, "messageId": "gone"}})),
        ("ANEWTYPE", json!({ "whatever": [1, 2, 3] })),
    ];
    let mut batch: Vec<Value> =
        payloads.into_iter().enumerate().map(|(nth, (kind, payload))| world.element(&format!("u{nth}"), kind, payload)).collect();
    batch.push(world.jane_said("u-text", "nobodyKnowsIt", "ROOM", json!("<div>hello</div>")));
    batch.push(world.jane_said("u-command", "nobodyKnowsIt", "ROOM", json!("<div>/rooms</div>")));
    world.feed(batch);
    world.goes_on().await;
    tokio::time::sleep(A_WHILE).await;
    assert!(world.entries("quarantined").await.is_empty(), "{:#?}", world.entries("quarantined").await);
    assert!(world.ready().await.contains("\"ready\":true"), "{}", world.ready().await);
    assert!(world.folder.path().exists());
    world.sandbox.stop().await;
}
