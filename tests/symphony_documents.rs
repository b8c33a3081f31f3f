//! What Symphony's documents say by example is read without loss. `make contract-test` sees that the examples are still theirs.
#![allow(clippy::unwrap_used)] // Clippy sees only the functions marked as tests, not what they share.
use liaison::adapters::symphony::answers::{Connection, Member, Room, Stream, User};
use liaison::adapters::symphony::events::Translated;
use liaison::adapters::symphony::{Translator, markup, url_safe};
use liaison::domain::event::{Attached, Fact, FormSent, MemberChange, Person, RoomMessage, StreamKind};
use liaison::domain::ids::{ChatMessageId, StreamId, UserId};
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

const BOT: UserId = UserId(14568);

fn documents() -> Value {
    serde_json::from_str(include_str!("symphony_documents/documents.json")).unwrap()
}

fn events() -> Vec<Value> {
    let seen: Value = serde_json::from_str(include_str!("symphony_documents/seen.json")).unwrap();
    [documents(), seen].iter().flat_map(|file| file["events"].as_array().unwrap().clone()).collect()
}

fn raw(value: &Value) -> Box<RawValue> {
    RawValue::from_string(value.to_string()).unwrap()
}

fn read(value: &Value) -> Translated {
    Translator::new(BOT, []).event(&raw(value))
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}")).to_owned()
}

fn stream(payload: &Value) -> StreamId {
    StreamId(text(&payload["stream"]["streamId"]))
}

fn person(user: &Value) -> Person {
    let said = |field: &str| user[field].as_str().unwrap_or_default().to_owned();
    let email = user["email"].as_str().map(str::to_owned);
    Person { id: UserId(user["userId"].as_u64().unwrap()), name: said("displayName"), email, service: false }
}

/// Field by field what the reader must have found; `None` for what is none of our business.
fn expected(event: &Value) -> Option<Fact> {
    let payload = event["payload"].as_object().unwrap().values().next().unwrap();
    let by = person(&event["initiator"]["user"]);
    let member = |change| {
        let (user, by) = (person(&payload["affectedUser"]), by.clone());
        Some(Fact::MembersChanged { stream: stream(payload), user, change, by })
    };
    match event["type"].as_str().unwrap() {
        "MESSAGESENT" => Some(Fact::RoomMessage(message(&payload["message"], by))),
        "SYMPHONYELEMENTSACTION" => Some(Fact::FormSent(FormSent {
            stream: stream(payload),
            form_message: ChatMessageId(text(&payload["formMessageId"])),
            form: text(&payload["formId"]),
            values: payload["formValues"].as_object().unwrap().clone(),
            by,
        })),
        "MESSAGESUPPRESSED" => {
            let message = ChatMessageId(text(&payload["messageId"]));
            Some(Fact::MessageSuppressed { stream: stream(payload), message, by })
        }
        "USERJOINEDROOM" => member(MemberChange::Joined),
        "USERLEFTROOM" => member(MemberChange::Left),
        "ROOMMEMBERPROMOTEDTOOWNER" => member(MemberChange::Promoted),
        "ROOMMEMBERDEMOTEDFROMOWNER" => member(MemberChange::Demoted),
        "ROOMUPDATED" => {
            Some(Fact::RoomRenamed { stream: stream(payload), name: text(&payload["newRoomProperties"]["name"]), by })
        }
        "ROOMDEACTIVATED" => Some(Fact::RoomActive { stream: stream(payload), active: false, by }),
        "ROOMREACTIVATED" => Some(Fact::RoomActive { stream: stream(payload), active: true, by }),
        "CONNECTIONREQUESTED" => Some(Fact::ConnectionRequested { by }),
        _ => None,
    }
}

fn attached(attachment: &Value) -> Attached {
    Attached { id: text(&attachment["id"]), name: text(&attachment["name"]), size: attachment["size"].as_u64() }
}

fn message(message: &Value, author: Person) -> RoomMessage {
    let words = text(&message["message"]);
    let words = words.replace("<p>", "").replace("</p>", "").replace("<b>", "").replace("</b>", "");
    let (begin, end) = (words.find('>').unwrap() + 1, words.rfind("</div>").unwrap());
    let attachments = message["attachments"].as_array().cloned().unwrap_or_default();
    RoomMessage {
        stream: stream(message),
        kind: if message["stream"]["streamType"] == "IM" { StreamKind::Direct } else { StreamKind::Room },
        message: ChatMessageId(text(&message["messageId"])),
        author,
        text: words[begin..end].to_owned(),
        mentions: Vec::new(),
        edits: message["initialMessageId"].as_str().map(|id| ChatMessageId(id.to_owned())),
        forwarded: !message["parentMessageId"].is_null(),
        attachments: attachments.iter().map(attached).collect(),
    }
}

#[test]
fn there_is_an_event_of_every_type() {
    let documents = documents();
    let mut kinds: Vec<&str> =
        documents["events"].as_array().unwrap().iter().map(|event| event["type"].as_str().unwrap()).collect();
    kinds.sort_unstable();
    kinds.dedup();
    assert_eq!(kinds.len(), 17, "{kinds:?}");
}

#[test]
fn every_event_is_read_without_loss() {
    for event in events() {
        let kind = event["type"].as_str().unwrap();
        let Translated { event: ours, .. } = read(&event);
        match expected(&event) {
            Some(fact) => assert_eq!(ours.fact, fact, "{kind}"),
            None => assert_eq!(ours.fact, Fact::OfNoConcern { what: kind.to_owned() }),
        }
        assert_eq!(ours.raw.as_deref(), Some(event.to_string().as_bytes()), "{kind}: its bytes are kept");
        assert_eq!(ours.at.0, event["timestamp"].as_i64().unwrap(), "{kind}");
        assert!(!ours.id.0.starts_with("sym:bytes:"), "{kind} has an id of its own");
        assert_eq!(read(&event).event.id, ours.id, "{kind} is known again");
    }
}

#[test]
fn a_type_that_nobody_knows_yet_is_kept_with_its_name_and_bytes() {
    for mut event in events() {
        event["type"] = json!("SOMETHINGNEW");
        let Translated { event: ours, .. } = read(&event);
        assert_eq!(ours.fact, Fact::OfNoConcern { what: "unknown type SOMETHINGNEW".to_owned() });
        assert_eq!(ours.raw.as_deref(), Some(event.to_string().as_bytes()));
    }
}

#[test]
fn a_message_reads_the_same_in_a_history() {
    for event in events().iter().filter(|event| event["type"] == "MESSAGESENT") {
        let inner = &event["payload"]["messageSent"]["message"];
        let from_history = Translator::new(BOT, []).history(&raw(inner)).event;
        assert_eq!(from_history.fact, Fact::RoomMessage(message(inner, person(&inner["user"]))));
        assert_eq!(from_history.id, read(event).event.id);
        assert_eq!(from_history.raw.as_deref(), Some(inner.to_string().as_bytes()));
    }
}

// ---- answers of the pod

fn as_read<T: DeserializeOwned>(body: &Value) -> T {
    serde_json::from_value(body.clone()).unwrap_or_else(|error| panic!("{error}: {body}"))
}

fn list<'a>(body: &'a Value, field: &str) -> &'a Vec<Value> {
    if field.is_empty() { body } else { &body[field] }.as_array().unwrap()
}

fn check_user(body: &Value) {
    let user: User = as_read(body);
    let texts = [
        ("emailAddress", &user.email_address),
        ("displayName", &user.display_name),
        ("firstName", &user.first_name),
        ("lastName", &user.last_name),
        ("username", &user.username),
        ("accountType", &user.account_type),
    ];
    for (field, read) in texts {
        assert_eq!(read.as_deref(), body[field].as_str(), "{field}");
    }
    let person = user.person().unwrap();
    assert_eq!(Some(person.id.0), body["id"].as_u64());
    assert_eq!(person.service, body["accountType"] == "SYSTEM");
}

fn check_room(body: &Value) {
    let room: Room = as_read(body);
    let (attributes, system) = (&body["roomAttributes"], &body["roomSystemInfo"]);
    let ours = serde_json::to_value(&room.room_attributes).unwrap();
    for (field, read) in ours.as_object().unwrap() {
        assert_eq!(*read, attributes[field], "{field}");
    }
    let known = ["name", "description", "keywords", "membersCanInvite", "discoverable", "public", "crossPod", "viewHistory"];
    for field in known.into_iter().filter(|field| !attributes[field].is_null()) {
        assert!(!ours[field].is_null(), "{field} is not read");
    }
    assert_eq!(room.stream(), system["id"].as_str().map(|id| StreamId(url_safe(id))));
    assert!(room.stream().is_none_or(|stream| !stream.0.contains(['+', '/', '='])), "an id that can stand in a path");
    assert_eq!(room.room_system_info.creation_date, system["creationDate"].as_i64());
    assert_eq!(room.room_system_info.created_by_user_id, system["createdByUserId"].as_u64());
    assert_eq!(room.room_system_info.active, system["active"].as_bool());
}

fn check_member(body: &Value) {
    let member: Member = as_read(body);
    assert_eq!((member.id, Some(member.owner)), (body["id"].as_u64(), body["owner"].as_bool()));
}

fn check_connection(body: &Value) {
    let connection: Connection = as_read(body);
    assert_eq!((connection.user_id, connection.status.as_deref()), (body["userId"].as_u64(), body["status"].as_str()));
}

fn check_stream(body: &Value) {
    let stream: Stream = as_read(body);
    assert_eq!((stream.id.as_deref(), stream.active), (body["id"].as_str(), body["active"].as_bool()));
    assert_eq!(stream.stream_type.kind.as_deref(), body["streamType"]["type"].as_str());
}

#[test]
fn every_example_of_an_answer_is_read_without_loss() {
    for answer in documents()["answers"].as_array().unwrap() {
        let body = &answer["body"];
        match answer["read_as"].as_str().unwrap() {
            "session" => check_user(body),
            "users" => list(body, "users").iter().for_each(check_user),
            "im" => assert_eq!(url_safe(&text(&body["id"])), text(&body["id"])),
            "room" => check_room(body),
            "rooms" => list(body, "rooms").iter().for_each(check_room),
            "members" => list(body, "").iter().for_each(check_member),
            "connections" => list(body, "").iter().for_each(check_connection),
            "connection" => check_connection(body),
            "streams" => list(body, "").iter().for_each(check_stream),
            other => panic!("nobody reads {other}"),
        }
    }
}

// ---- MessageML and PresentationML

/// The documents name the two languages but hold no text in them; these are their elements as the platform shows them.
#[test]
fn every_element_of_the_markup_keeps_its_words() {
    let mention = |id: Value| json!({"0": {"type": "com.symphony.user.mention", "version": "1.0", "id": [{"type": "com.symphony.user.userId", "value": id}]}});
    let tag = |kind: &str, value: &str| json!({"0": {"type": kind, "version": "1.0", "id": [{"type": format!("{kind}.id"), "value": value}]}});
    let table: [(&str, Value, &str); 20] = [
        ("<p>one</p><p>two</p>", json!({}), "one\ntwo"),
        ("one<br/>two<br></br>three", json!({}), "one\ntwo\nthree"),
        ("a <b>bold</b> <i>slanted</i> wo<b>rd</b>", json!({}), "a bold slanted word"),
        ("<h1>big</h1><h6>small</h6>text", json!({}), "big\nsmall\ntext"),
        ("<ul><li>one</li><li>two</li></ul>", json!({}), "• one\n• two"),
        ("<ol><li>one</li></ol>after", json!({}), "• one\nafter"),
        (
            "<table><thead><tr><td>a</td><td>b</td></tr></thead><tbody><tr><td>1</td><td>2</td></tr></tbody></table>",
            json!({}),
            "a b\n1 2",
        ),
        ("<a href=\"https://acme.com/x\">there</a>", json!({}), "there (https://acme.com/x)"),
        ("<a href=\"https://acme.com/\">acme.com</a>", json!({}), "acme.com"),
        ("<pre>one\n two</pre>", json!({}), "one\n two"),
        ("<code>let x;</code>", json!({}), "let x;"),
        ("x&nbsp;y &lt;z&gt; &amp; &#36;{a} &quot;q&quot;", json!({}), "x y <z> & ${a} \"q\""),
        ("H<sub>2</sub>O m<sup>2</sup>", json!({}), "H2O m2"),
        ("<span class='entity' data-entity-id='0'>@Bot User</span> /help", mention(json!("14568")), "@Bot User /help"),
        ("<span class=\"entity\" data-entity-id=\"0\">@Bot User</span> /help", mention(json!(14568)), "@Bot User /help"),
        ("<span class='cashTag' data-entity-id='0'>$ibm</span>", tag("org.symphonyoss.fin.security", "ibm"), "$ibm"),
        ("<span class='hashTag' data-entity-id='0'>#news</span>", tag("org.symphonyoss.taxonomy", "news"), "#news"),
        (
            "<div class=\"card\"><div class=\"cardHeader\">head</div><div class=\"cardBody\">body</div></div>",
            json!({}),
            "head\nbody",
        ),
        (
            "<form id=\"f\"><h4>Title</h4><label>Name</label><button name=\"send\" type=\"action\">Send</button></form>",
            json!({}),
            "Title\nNameSend",
        ),
        (
            "<div class=\"entity\" data-entity-id=\"order\">an order</div>",
            json!({"order": {"type": "com.acme.order", "version": "1.0"}}),
            "an order",
        ),
    ];
    for (inner, data, expected) in table {
        let markup = format!("<div data-format=\"PresentationML\" data-version=\"2.0\" class=\"wysiwyg\">{inner}</div>");
        let entities: Map<String, Value> = data.as_object().unwrap().clone();
        let plain = markup::plain(&markup, &entities);
        assert_eq!(plain.text, expected, "{inner}");
        assert_eq!(plain.mentions.len(), usize::from(inner.contains("@Bot")), "{inner}");
        assert_eq!(markup::plain(&format!("<messageML>{inner}</messageML>"), &entities).text, expected, "as MessageML: {inner}");
    }
}
