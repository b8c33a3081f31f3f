//! The sandbox's pod, spoken to over its real calls: log-in, rooms, messages, both feeds, troubles and restarts.
#![allow(clippy::unwrap_used)] // Test helpers fail loudly.
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures_util::{SinkExt, StreamExt};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use liaison::sandbox::NowMs;
use liaison::sandbox::keys::new_key_pair;
use liaison::sandbox::pod::Pod;
use reqwest::multipart::Form;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

type Socket = WebSocketStream<MaybeTlsStream<tokio::net::TcpStream>>;

fn seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

fn clock() -> NowMs {
    Arc::new(|| i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap())
}

/// A pod that serves, a bot that is logged in and two people.
struct World {
    pod: Pod,
    address: String,
    private: String,
    session: String,
    key: String,
    bot: u64,
    jane: u64,
    tom: u64,
    http: reqwest::Client,
}

impl World {
    async fn new() -> World {
        World::with(Pod::open(clock(), None).unwrap(), new_key_pair()).await
    }

    async fn with(pod: Pod, (private, public): (String, String)) -> World {
        let bot = pod.add_user("Liaison", "", "liaison@acme.com", "liaison", true, Some(public));
        let jane = pod.add_user("Jane", "Doe", "jane.doe@acme.com", "jane.doe", false, None);
        let tom = pod.add_user("Tom", "Ray", "tom.ray@acme.com", "tom.ray", false, None);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let router = pod.router();
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let (session, key) = Default::default();
        let mut world = World { pod, address, private, session, key, bot, jane, tom, http };
        world.log_in().await;
        world
    }

    fn jwt(&self, life: u64) -> String {
        let key = EncodingKey::from_rsa_pem(self.private.as_bytes()).unwrap();
        let claims = json!({"sub": "liaison", "exp": seconds() + life});
        jsonwebtoken::encode(&Header::new(Algorithm::RS512), &claims, &key).unwrap()
    }

    async fn log_in(&mut self) {
        let token = json!({"token": self.jwt(240)});
        let (status, answer) = self.post("/login/pubkey/authenticate", token.clone()).await;
        assert_eq!((status, &answer["name"]), (StatusCode::OK, &json!("sessionToken")));
        self.session = answer["token"].as_str().unwrap().to_string();
        let (_, answer) = self.post("/relay/pubkey/authenticate", token).await;
        assert_eq!(answer["name"], "keyManagerToken");
        self.key = answer["token"].as_str().unwrap().to_string();
    }

    fn call(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let call = self.http.request(method, format!("http://{}{path}", self.address));
        call.header("sessionToken", &self.session).header("keyManagerToken", &self.key)
    }

    async fn send(&self, call: reqwest::RequestBuilder) -> (StatusCode, Value) {
        let answer = call.send().await.unwrap();
        let status = answer.status();
        let text = answer.text().await.unwrap();
        (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }

    async fn get(&self, path: &str) -> (StatusCode, Value) {
        self.send(self.call(Method::GET, path)).await
    }

    async fn post(&self, path: &str, body: Value) -> (StatusCode, Value) {
        self.send(self.call(Method::POST, path).json(&body)).await
    }

    async fn say(&self, stream: &str, message: &str) -> (StatusCode, Value) {
        let form = Form::new().text("message", message.to_string()).text("data", "").text("version", "");
        self.send(self.call(Method::POST, &format!("/agent/v4/stream/{stream}/message/create")).multipart(form)).await
    }

    async fn room(&self, name: &str) -> String {
        let (status, room) = self.post("/pod/v3/room/create", json!({"name": name, "description": "d"})).await;
        assert_eq!(status, StatusCode::OK, "{room}");
        room["roomSystemInfo"]["id"].as_str().unwrap().to_string()
    }

    /// A room with the bot and Jane.
    async fn room_with_jane(&self, name: &str) -> String {
        let room = self.room(name).await;
        let added = self.post(&format!("/pod/v1/room/{room}/membership/add"), json!({"id": self.jane})).await;
        assert_eq!(added, (StatusCode::OK, json!({"format": "TEXT", "message": "Member added"})));
        room
    }

    async fn connect(&self) -> Result<Socket, Error> {
        let mut request = format!("ws://{}/agent/v5/datafeeds/ws", self.address).into_client_request().unwrap();
        let headers = request.headers_mut();
        headers.insert("Sec-WebSocket-Protocol", "symphony-datafeed.v1".parse().unwrap());
        headers.insert("sessionToken", self.session.parse().unwrap());
        headers.insert("keyManagerToken", self.key.parse().unwrap());
        let (mut socket, _) = tokio_tungstenite::connect_async(request).await?;
        assert_eq!(next(&mut socket).await["type"], "hello");
        Ok(socket)
    }

    async fn opened(&self, feed: Option<&str>, ack: &str) -> (Socket, Value) {
        let mut socket = self.connect().await.unwrap();
        let mut open = json!({"type": "open", "id": 1, "tag": "t", "ackId": ack});
        if let Some(feed) = feed {
            open["datafeedId"] = json!(feed);
        }
        tell(&mut socket, open).await;
        let opened = next(&mut socket).await;
        (socket, opened)
    }
}

async fn tell(socket: &mut Socket, frame: Value) {
    socket.send(Message::text(frame.to_string())).await.unwrap();
}

/// The next text frame, or `{"close": code}`.
async fn next(socket: &mut Socket) -> Value {
    let wait = async {
        loop {
            match socket.next().await {
                Some(Ok(Message::Text(text))) => return serde_json::from_str(&text).unwrap(),
                Some(Ok(Message::Close(Some(frame)))) => return json!({"close": u16::from(frame.code)}),
                Some(Ok(_)) => {}
                other => panic!("{other:?}"),
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(10), wait).await.expect("a frame comes")
}

fn types(events: &Value) -> Vec<&str> {
    events["events"].as_array().unwrap().iter().map(|event| event["type"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn only_a_signed_short_lived_token_logs_in() {
    let world = World::new().await;
    let (status, me) = world.get("/pod/v2/sessioninfo").await;
    assert_eq!((status, &me["id"], &me["displayName"]), (StatusCode::OK, &json!(world.bot), &json!("Liaison")));
    assert_eq!(world.post("/login/pubkey/authenticate", json!({"token": world.jwt(3600)})).await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(world.post("/login/pubkey/authenticate", json!({"token": "a.b.c"})).await.0, StatusCode::UNAUTHORIZED);
    let stranger = World { private: new_key_pair().0, ..World::new().await };
    assert_eq!(
        stranger.post("/login/pubkey/authenticate", json!({"token": stranger.jwt(200)})).await.0,
        StatusCode::UNAUTHORIZED
    );
    world.pod.expire_tokens();
    assert_eq!(world.get("/pod/v2/sessioninfo").await.0, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn users_are_found_by_one_list() {
    let world = World::new().await;
    let (_, found) = world.get("/pod/v3/users?email=jane.doe@acme.com,nobody@acme.com&local=true").await;
    assert_eq!(found["users"][0]["id"], world.jane);
    assert_eq!(world.get("/pod/v3/users?uid=5").await.0, StatusCode::NO_CONTENT);
    assert_eq!(world.get("/pod/v3/users?uid=5&email=a@b.c").await.0, StatusCode::BAD_REQUEST);
    let (_, found) = world.get("/pod/v3/users?uid=abc").await;
    assert_eq!(found["errors"][0]["error"], "invalid.format");
}

#[tokio::test]
async fn rooms_keep_their_rules() {
    let world = World::new().await;
    let room = world.room_with_jane("Room 1").await;
    let (status, taken) = world.post("/pod/v3/room/create", json!({"name": "R O O M1"})).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(taken["message"].as_str().unwrap().contains("taken"));
    assert_eq!(world.post("/pod/v3/room/create", json!({"name": "x", "bogus": 1})).await.0, StatusCode::BAD_REQUEST);
    assert_eq!(world.post("/pod/v3/room/create", json!({"name": "x".repeat(50)})).await.0, StatusCode::BAD_REQUEST);
    let remove = format!("/pod/v1/room/{room}/membership/remove");
    assert_eq!(world.post(&remove, json!({"id": world.bot})).await.0, StatusCode::BAD_REQUEST, "the last owner stays");
    assert!(world.pod.add_member_as(world.jane, &room, world.tom).is_err(), "Jane is no owner");
    let keywords = json!([{"key": "liaison", "value": "c-77"}]);
    let (status, _) = world.post(&format!("/pod/v3/room/{room}/update"), json!({"keywords": keywords})).await;
    assert_eq!(status, StatusCode::OK);
    let search = json!({"query": "c-77", "searchFields": ["keywords_value"]});
    let (_, found) = world.post("/pod/v3/room/search?limit=10", search).await;
    assert_eq!((&found["count"], &found["rooms"][0]["roomSystemInfo"]["id"]), (&json!(1), &json!(room)));
    let (status, closed) = world.send(world.call(Method::POST, &format!("/pod/v1/room/{room}/setActive?active=false"))).await;
    assert_eq!((status, &closed["roomSystemInfo"]["active"]), (StatusCode::OK, &json!(false)));
    assert!(closed["immutableRoomAttributes"].is_object());
    assert_eq!(world.post(&remove, json!({"id": world.jane})).await.0, StatusCode::BAD_REQUEST, "the room is closed");
    assert_eq!(world.post("/pod/v1/streams/list", json!({})).await.0, StatusCode::NO_CONTENT);
    let foreign = world.pod.im(world.jane, world.tom);
    assert_eq!(world.say(&foreign, "<messageML>hi</messageML>").await.0, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_message_is_checked_converted_and_read_back() {
    let world = World::new().await;
    let room = world.room_with_jane("Talk").await;
    let form =
        "<form id=\"confirm\"><text-field name=\"a\" required=\"true\"/><button name=\"yes\" type=\"action\">Yes</button></form>";
    let text = format!("<messageML>Hi <mention uid=\"{}\"/> &amp; co<br/>two{form}</messageML>", world.jane);
    let (status, sent) = world.say(&room, &text).await;
    assert_eq!(status, StatusCode::OK, "{sent}");
    let shown = sent["message"].as_str().unwrap();
    assert!(shown.starts_with("<div data-format=\"PresentationML\" data-version=\"2.0\">Hi <span class=\"entity\" data-entity-id=\"0\">@Jane Doe</span> &amp; co<br/>two<form id=\"confirm\">"), "{shown}");
    let data: Value = serde_json::from_str(sent["data"].as_str().unwrap()).unwrap();
    assert_eq!(data["0"]["id"][0]["value"], world.jane.to_string());
    let seen = world.pod.messages(&room, world.jane);
    assert_eq!(seen[0].text, "Hi @Jane Doe & co\ntwo\n[Yes]");
    let bad = [
        "<messageML>a & b</messageML>",
        "<messageML><b>x</messageML>",
        "<messageML>${x}</messageML>",
        "plain",
        "<messageML><foo/></messageML>",
        "<messageML><form id=\"f\">x</form></messageML>",
        "<messageML>&nbsp;</messageML>",
        "<messageML><mention uid=\"1\"/></messageML>",
        "<messageML><button name=\"b\">x</button></messageML>",
    ];
    for message in bad {
        assert_eq!(world.say(&room, message).await.0, StatusCode::BAD_REQUEST, "{message}");
    }
    assert_eq!(world.say(&room, "<messageML>&#36;{x}</messageML>").await.0, StatusCode::OK);
    let id = sent["messageId"].as_str().unwrap();
    assert!(world.pod.submit_form(world.jane, &room, id, "confirm", values(json!({"action": "yes"}))).is_err(), "a is required");
    world.pod.submit_form(world.jane, &room, id, "confirm", values(json!({"action": "yes", "a": "1"}))).unwrap();
    assert_eq!(world.pod.messages(&room, world.jane)[0].submitted, ["confirm"]);
    let parts = Form::new().text("message", "<messageML>done</messageML>").text("silent", "True");
    let path = format!("/agent/v4/stream/{room}/message/{id}/update");
    let (status, edited) = world.send(world.call(Method::POST, &path).multipart(parts)).await;
    assert_eq!((status, &edited["replacing"]), (StatusCode::OK, &json!(id)));
    let (_, history) = world.get(&format!("/agent/v4/stream/{room}/message?since=0")).await;
    assert_eq!(history.as_array().unwrap().len(), 2);
    assert_eq!(world.get(&format!("/agent/v1/message/{id}")).await.1["replacedBy"], edited["messageId"]);
    assert!(world.pod.messages(&room, world.jane)[0].edited);
}

fn values(value: Value) -> serde_json::Map<String, Value> {
    value.as_object().unwrap().clone()
}

#[tokio::test]
async fn an_attachment_comes_back_as_base64() {
    let world = World::new().await;
    let room = world.room("Files").await;
    let file = reqwest::multipart::Part::bytes(b"hello".to_vec()).file_name("hello.txt");
    let form = Form::new().part("attachment", file).text("message", "<messageML>file</messageML>");
    let (_, sent) =
        world.send(world.call(Method::POST, &format!("/agent/v4/stream/{room}/message/create")).multipart(form)).await;
    let (file, id) = (sent["attachments"][0]["id"].as_str().unwrap(), sent["messageId"].as_str().unwrap());
    let (_, content) = world.get(&format!("/agent/v1/stream/{room}/attachment?fileId={file}&messageId={id}")).await;
    assert_eq!(content, "aGVsbG8=");
    let (status, gone) = world.post(&format!("/pod/v1/admin/messagesuppression/{id}/suppress"), json!({})).await;
    assert_eq!((status, &gone["suppressed"]), (StatusCode::OK, &json!(true)));
    assert_eq!(world.get(&format!("/agent/v4/stream/{room}/message?since=0")).await.0, StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn people_write_in_plain_words() {
    let world = World::new().await;
    let im = world.pod.im(world.jane, world.bot);
    let sent = world.pod.post_as(world.jane, &im, "@Liaison /help <now>\ncc @tom.ray@acme.com me@x.org").unwrap();
    assert_eq!(sent.text, "@Liaison /help <now>\ncc @Tom Ray me@x.org");
    assert_eq!(sent.data["0"]["id"][0]["value"], world.bot.to_string());
    assert_eq!(sent.data["1"]["id"][0]["value"], world.tom.to_string());
    assert_eq!(world.pod.rooms_of(world.jane)[0].name, "Liaison");
}

#[tokio::test]
async fn the_pushed_feed_redelivers_until_it_is_acknowledged() {
    let world = World::new().await;
    world.pod.set_visibility_ms(300);
    let (mut socket, opened) = world.opened(None, "").await;
    assert_eq!((&opened["created"], &opened["replyTo"]), (&json!(true), &json!(1)));
    let feed = opened["datafeedId"].as_str().unwrap().to_string();
    let im = world.pod.im(world.jane, world.bot);
    let first = next(&mut socket).await;
    assert_eq!((types(&first), &first["redelivered"]), (vec!["INSTANTMESSAGECREATED"], &json!(false)));
    world.pod.post_as(world.jane, &im, "hello").unwrap();
    let again = next(&mut socket).await;
    assert_eq!((&again["events"], &again["redelivered"]), (&first["events"], &json!(true)), "one batch is outstanding");
    assert_ne!(again["ackId"], first["ackId"]);
    tell(&mut socket, json!({"type": "ack", "ackId": again["ackId"]})).await;
    let second = next(&mut socket).await;
    assert_eq!(types(&second), ["MESSAGESENT"]);
    assert_eq!(second["events"][0]["payload"]["messageSent"]["message"]["user"]["userId"], world.jane);

    let (mut newer, opened) = world.opened(Some(&feed), "a-strange-one").await;
    assert_eq!((&opened["created"], &opened["datafeedId"]), (&json!(false), &json!(feed)));
    assert_eq!(next(&mut socket).await, json!({"close": 4409}));
    let third = next(&mut newer).await;
    assert_eq!((&third["events"], &third["redelivered"]), (&second["events"], &json!(true)));

    let (mut newest, _) = world.opened(Some(&feed), second["ackId"].as_str().unwrap()).await;
    world.pod.post_as(world.jane, &im, "again").unwrap();
    let fourth = next(&mut newest).await;
    assert_eq!(
        (types(&fourth), &fourth["redelivered"]),
        (vec!["MESSAGESENT"], &json!(false)),
        "an earlier ackId settled the batch"
    );
}

#[tokio::test]
async fn a_pushed_feed_ends_with_the_code_that_fits() {
    let mut world = World::new().await;
    let (mut socket, _) = world.opened(None, "").await;
    world.pod.trouble("disconnect", 1);
    assert_eq!(next(&mut socket).await, json!({"close": 1012}));
    let (mut socket, _) = world.opened(None, "").await;
    world.pod.expire_tokens();
    assert_eq!(next(&mut socket).await, json!({"close": 4401}));
    assert!(matches!(world.connect().await, Err(Error::Http(answer)) if answer.status() == 401));
    world.log_in().await;
    let (mut socket, opened) = world.opened(None, "").await;
    assert_eq!(opened["created"], false, "the feed is found again by its tag");
    tell(&mut socket, json!({"type": "auth", "id": 7, "sessionToken": world.session, "keyManagerToken": world.key})).await;
    assert_eq!(next(&mut socket).await, json!({"type": "authOk", "replyTo": 7}));
    world.pod.trouble("feed-gone", 1);
    assert_eq!(next(&mut socket).await, json!({"close": 4400}));
    let (mut socket, refused) = world.opened(opened["datafeedId"].as_str(), "").await;
    assert_eq!((&refused["type"], &refused["code"]), (&json!("error"), &json!(400)));
    assert_eq!(next(&mut socket).await, json!({"close": 4400}));
    let (mut socket, _) = world.opened(None, "").await;
    world.pod.trouble("refresh", 1);
    assert_eq!(next(&mut socket).await["type"], "disconnect");
    let (_newer, _) = world.opened(None, "").await;
    assert_eq!(next(&mut socket).await, json!({"close": 1000}));
}

#[tokio::test]
async fn the_long_poll_reads_and_acknowledges() {
    let world = World::new().await;
    world.pod.set_hold_ms(200);
    world.pod.set_visibility_ms(400);
    let (status, feed) = world.post("/agent/v5/datafeeds", json!({})).await;
    assert_eq!((status, &feed["type"]), (StatusCode::CREATED, &json!("fanout")));
    let id = feed["id"].as_str().unwrap();
    assert!(id.ends_with("_f"));
    let read = format!("/agent/v5/datafeeds/{id}/read");
    let (_, empty) = world.post(&read, json!({"ackId": "", "updatePresence": true})).await;
    assert_eq!(empty["events"], json!([]));
    let room = world.room_with_jane("Polls").await;
    let (_, first) = world.post(&read, json!({"ackId": empty["ackId"]})).await;
    assert_eq!(types(&first), ["ROOMCREATED", "USERJOINEDROOM"]);
    tokio::time::sleep(Duration::from_millis(450)).await;
    let (_, again) = world.post(&read, json!({"ackId": ""})).await;
    assert_eq!(again["events"], first["events"]);
    world.say(&room, "<messageML>mine</messageML>").await;
    let (_, own) = world.post(&read, json!({"ackId": again["ackId"]})).await;
    assert_eq!(types(&own), ["MESSAGESENT"], "own messages come back too");
    let (_, none) = world.post(&read, json!({"ackId": own["ackId"]})).await;
    assert_eq!(none["events"], json!([]));
    assert_eq!(world.post(&read, json!({"ackId": "nonsense"})).await.0, StatusCode::BAD_REQUEST);
    for _ in 1..20 {
        assert_eq!(world.post("/agent/v5/datafeeds", json!({})).await.0, StatusCode::CREATED);
    }
    assert_eq!(world.post("/agent/v5/datafeeds", json!({})).await.0, StatusCode::FORBIDDEN);
    let path = format!("/agent/v5/datafeeds/{id}");
    assert_eq!(world.send(world.call(Method::DELETE, &path)).await.0, StatusCode::NO_CONTENT);
    assert_eq!(world.post(&read, json!({})).await.0, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn every_act_has_its_event() {
    let world = World::new().await;
    let (_, feed) = world.post("/agent/v5/datafeeds", json!({"tag": "all"})).await;
    let room = world.room_with_jane("Acts").await;
    let member = |change: &str| format!("/pod/v1/room/{room}/membership/{change}");
    let jane = json!({"id": world.jane});
    assert_eq!(world.post(&member("promoteOwner"), jane.clone()).await.0, StatusCode::OK);
    assert_eq!(world.post(&member("demoteOwner"), jane.clone()).await.0, StatusCode::OK);
    world.post(&format!("/pod/v3/room/{room}/update"), json!({"description": "new"})).await;
    for active in ["false", "true"] {
        world.send(world.call(Method::POST, &format!("/pod/v1/room/{room}/setActive?active={active}"))).await;
    }
    let form = "<messageML><form id=\"f\"><button name=\"go\" type=\"action\">Go</button></form></messageML>";
    let (_, sent) = world.say(&room, form).await;
    let id = sent["messageId"].as_str().unwrap();
    world.pod.submit_form(world.jane, &room, id, "f", values(json!({"action": "go"}))).unwrap();
    world.post(&format!("/pod/v1/admin/messagesuppression/{id}/suppress"), json!({})).await;
    assert_eq!(world.post(&member("remove"), jane).await.0, StatusCode::OK);
    world.pod.connect_as(world.jane, world.bot).unwrap();
    assert_eq!(world.post("/pod/v1/connection/accept", json!({"userId": world.jane})).await.1["status"], "ACCEPTED");
    world.post("/pod/v1/connection/create", json!({"userId": world.tom})).await;
    let (_, list) = world.get("/pod/v1/connection/list?status=PENDING_OUTGOING").await;
    assert_eq!(list[0]["userId"], world.tom);
    let read = format!("/agent/v5/datafeeds/{}/read", feed["id"].as_str().unwrap());
    let (_, events) = world.post(&read, json!({})).await;
    let expected = [
        "ROOMCREATED",
        "USERJOINEDROOM",
        "ROOMMEMBERPROMOTEDTOOWNER",
        "ROOMMEMBERDEMOTEDFROMOWNER",
        "ROOMUPDATED",
        "ROOMDEACTIVATED",
        "ROOMREACTIVATED",
        "MESSAGESENT",
        "SYMPHONYELEMENTSACTION",
        "MESSAGESUPPRESSED",
        "USERLEFTROOM",
        "CONNECTIONREQUESTED",
        "CONNECTIONACCEPTED",
        "CONNECTIONREQUESTED",
    ];
    assert_eq!(types(&events), expected);
    assert_eq!(events["events"][8]["payload"]["symphonyElementsAction"]["formValues"], json!({"action": "go"}));
    let times: Vec<i64> = events["events"].as_array().unwrap().iter().map(|event| event["timestamp"].as_i64().unwrap()).collect();
    assert!(times.is_sorted());
}

#[tokio::test]
async fn ordered_troubles_come_as_often_as_ordered() {
    let world = World::new().await;
    let room = world.room("Trouble").await;
    for (code, status) in [("500", 500), ("401", 401), ("502-html", 502), ("429", 429), ("503", 503)] {
        world.pod.trouble(code, 1);
        assert_eq!(world.get("/pod/v2/sessioninfo").await.0, status, "{code}");
        assert_eq!(world.get("/pod/v2/sessioninfo").await.0, 200, "{code}");
    }
    world.pod.trouble("lost-answer", 1);
    let form = Form::new().text("message", "<messageML>once</messageML>");
    let call = world.call(Method::POST, &format!("/agent/v4/stream/{room}/message/create")).multipart(form);
    let lost = match call.send().await {
        Ok(answer) => answer.text().await.is_err(),
        Err(_) => true,
    };
    assert!(lost);
    assert_eq!(world.pod.messages(&room, world.bot).len(), 1, "but the act was done");
    let (_, feed) = world.post("/agent/v5/datafeeds", json!({})).await;
    let read = format!("/agent/v5/datafeeds/{}/read", feed["id"].as_str().unwrap());
    world.pod.trouble("duplicate", 1);
    world.say(&room, "<messageML>twice</messageML>").await;
    let (_, first) = world.post(&read, json!({})).await;
    let (_, second) = world.post(&read, json!({"ackId": first["ackId"]})).await;
    assert_eq!(first["events"], second["events"]);
}

#[tokio::test]
async fn fields_that_the_contract_does_not_know_are_refused() {
    let world = World::new().await;
    let room = world.room("Strict").await;
    let (_, feed) = world.post("/agent/v5/datafeeds", json!({})).await;
    let feed = feed["id"].as_str().unwrap();
    let someone = json!({ "id": world.jane });
    let search = "/pod/v3/room/search".to_owned();
    let calls = [
        ("/login/pubkey/authenticate".to_owned(), json!({"token": world.jwt(240)})),
        ("/relay/pubkey/authenticate".to_owned(), json!({"token": world.jwt(240)})),
        ("/pod/v3/room/create".to_owned(), json!({"name": "Other", "description": "d"})),
        (format!("/pod/v3/room/{room}/update"), json!({"description": "e"})),
        (search.clone(), json!({"query": "strict"})),
        (format!("/pod/v1/room/{room}/membership/add"), someone.clone()),
        (format!("/pod/v1/room/{room}/membership/promoteOwner"), someone.clone()),
        (format!("/pod/v1/room/{room}/membership/demoteOwner"), someone.clone()),
        (format!("/pod/v1/room/{room}/membership/remove"), someone),
        ("/pod/v1/streams/list".to_owned(), json!({"includeInactiveStreams": true})),
        ("/pod/v1/connection/create".to_owned(), json!({"userId": world.tom})),
        ("/agent/v5/datafeeds".to_owned(), json!({"tag": "strict"})),
        (format!("/agent/v5/datafeeds/{feed}/read"), json!({"ackId": ""})),
    ];
    for (path, body) in calls {
        let mut more = body.clone();
        more["surprise"] = json!(1);
        assert_eq!(world.post(&path, more).await.0, StatusCode::BAD_REQUEST, "{path}");
        assert!(world.post(&path, body).await.0.is_success(), "{path}");
    }
    let nested = [
        (
            "/pod/v3/room/create".to_owned(),
            json!({"name": "N", "description": "d", "keywords": [{"key": "k", "value": "v", "x": 1}]}),
        ),
        (search, json!({"query": "strict", "member": {"id": world.jane, "x": 1}})),
        ("/pod/v1/streams/list".to_owned(), json!({"streamTypes": [{"type": "ROOM", "x": 1}]})),
        ("/pod/v1/im/create".to_owned(), json!({"users": [world.jane]})),
    ];
    for (path, body) in nested {
        assert_eq!(world.post(&path, body).await.0, StatusCode::BAD_REQUEST, "{path}");
    }
    let form = Form::new().text("message", "<messageML>x</messageML>").text("surprise", "1");
    let call = world.call(Method::POST, &format!("/agent/v4/stream/{room}/message/create")).multipart(form);
    assert_eq!(world.send(call).await.0, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_feed_that_nobody_reads_ends_and_tags_are_short() {
    let world = World::new().await;
    let (_, feed) = world.post("/agent/v5/datafeeds", json!({"tag": "t".repeat(100)})).await;
    let read = format!("/agent/v5/datafeeds/{}/read", feed["id"].as_str().unwrap());
    let long = "t".repeat(101);
    assert_eq!(world.post("/agent/v5/datafeeds", json!({ "tag": long })).await.0, StatusCode::BAD_REQUEST);
    assert_eq!(world.get(&format!("/agent/v5/datafeeds?tag={long}")).await.0, StatusCode::BAD_REQUEST);
    world.pod.set_hold_ms(10);
    assert_eq!(world.post(&read, json!({})).await.0, StatusCode::OK);
    world.pod.set_feed_life_ms(50);
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(world.post(&read, json!({})).await.0, StatusCode::BAD_REQUEST);
    assert_eq!(world.get("/agent/v5/datafeeds").await.1, json!([]));
}

#[tokio::test]
async fn an_unread_batch_is_out_of_sight_for_a_while_and_a_read_is_held() {
    let world = World::new().await;
    let (_, feed) = world.post("/agent/v5/datafeeds", json!({})).await;
    let read = format!("/agent/v5/datafeeds/{}/read", feed["id"].as_str().unwrap());
    world.pod.set_visibility_ms(600);
    world.pod.set_hold_ms(200);
    world.room("Seen").await;
    let (_, first) = world.post(&read, json!({})).await;
    let begun = std::time::Instant::now();
    let (_, held) = world.post(&read, json!({})).await;
    assert_eq!(held["events"], json!([]), "it is out of sight");
    assert!(begun.elapsed() >= Duration::from_millis(200), "the read was held");
    world.pod.set_hold_ms(5_000);
    let (_, again) = world.post(&read, json!({})).await;
    assert_eq!(again["events"], first["events"]);
    assert_ne!(again["ackId"], first["ackId"]);
}

#[tokio::test]
async fn troubles_of_the_line_come_as_ordered() {
    let mut world = World::new().await;
    world.pod.trouble("hang", 1);
    let hung = tokio::time::timeout(Duration::from_millis(300), world.get("/pod/v2/sessioninfo")).await;
    assert!(hung.is_err(), "no answer at all");
    world.pod.trouble("slow", 1);
    let begun = std::time::Instant::now();
    let room = world.room("Late").await;
    assert!(begun.elapsed() > Duration::from_secs(4) && world.pod.room(&room).is_some());
    world.pod.trouble("expire-tokens", 1);
    for _ in 0..2 {
        assert_eq!(world.get("/pod/v2/sessioninfo").await.0, StatusCode::UNAUTHORIZED, "until the next login");
    }
    world.log_in().await;
    assert_eq!(world.get("/pod/v2/sessioninfo").await.0, StatusCode::OK);
    for known in ["500", "403", "504", "refresh", "hang"] {
        assert_eq!(world.pod.order_trouble(known, 0), Ok(()));
    }
    for unknown in ["200", "rain", "", "1000"] {
        assert!(world.pod.order_trouble(unknown, 1).unwrap_err().contains("expire-tokens"), "{unknown}");
    }
}

#[tokio::test]
async fn a_killed_pod_finds_everything_again() {
    let folder = tempfile::tempdir().unwrap();
    let keys = new_key_pair();
    let open = || Pod::open(clock(), Some(folder.path().to_path_buf())).unwrap();
    let world = World::with(open(), keys.clone()).await;
    let (mut socket, opened) = world.opened(None, "").await;
    let room = world.room_with_jane("Kept").await;
    let first = next(&mut socket).await;
    world.pod.post_as(world.jane, &room, "kept").unwrap();
    let file = folder.path().join("pod.jsonl");
    let mut torn = std::fs::read(&file).unwrap();
    torn.extend(b"{\"line\":\"user\",\"id\":");
    std::fs::write(&file, torn).unwrap();

    let after = World::with(open(), keys).await;
    assert_eq!((after.jane, after.bot), (world.jane, world.bot));
    assert_eq!(after.pod.messages(&room, after.jane)[0].text, "kept");
    let feed = opened["datafeedId"].as_str();
    let (mut socket, opened) = after.opened(feed, "").await;
    assert_eq!(opened["created"], false);
    let again = next(&mut socket).await;
    assert_eq!((&again["events"], &again["redelivered"]), (&first["events"], &json!(true)));
    tell(&mut socket, json!({"type": "ack", "ackId": again["ackId"]})).await;
    let rest = next(&mut socket).await;
    assert!(!types(&rest).is_empty());
    let sent = after.pod.post_as(after.jane, &room, "later").unwrap();
    assert!(sent.at > after.pod.messages(&room, after.jane)[0].at);
}

#[tokio::test]
async fn a_feed_may_change_its_transport() {
    let world = World::new().await;
    let (_, feed) = world.post("/agent/v5/datafeeds", json!({"tag": "t"})).await;
    let read = format!("/agent/v5/datafeeds/{}/read", feed["id"].as_str().unwrap());
    let mut unread = Vec::new();
    for name in ["One", "Two"] {
        world.room(name).await;
        unread.push(world.post(&read, json!({})).await.1["events"].clone());
    }
    let (mut socket, opened) = world.opened(None, "").await;
    assert_eq!(opened["datafeedId"], feed["id"]);
    let first = next(&mut socket).await;
    assert_eq!(first["events"], unread[0]);
    let early = tokio::time::timeout(Duration::from_millis(200), next(&mut socket)).await;
    assert!(early.is_err(), "one batch is outstanding at a time");
    tell(&mut socket, json!({"type": "ack", "ackId": first["ackId"]})).await;
    assert_eq!(next(&mut socket).await["events"], unread[1]);
}
