//! From the platform's V4Event to our own `Event`: every known type read, unknown ones passed by, broken ones kept.
use super::{markup, url_safe};
use crate::domain::event::{Attached, Event, Fact, FormSent, MemberChange, Mention, Person, RoomMessage, StreamKind};
use crate::domain::ids::{ChatMessageId, EventId, StreamId, UserId};
use crate::domain::time::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use std::collections::HashSet;
use std::sync::Arc;

/// Types that are well known and tell us nothing that we keep.
const OF_NO_CONCERN: &[&str] = &[
    "SHAREDPOST",
    "INSTANTMESSAGECREATED",
    "ROOMCREATED",
    "CONNECTIONACCEPTED",
    "USERREQUESTEDTOJOINROOM",
    "GENERICSYSTEMEVENT",
];

/// The platform takes 81 130 characters at most. What is longer cannot be from there, is cut, and too long for any use all
/// the same; its bytes are kept as they came.
const TEXT_MOST: usize = 100_000;

/// Turns elements of the datafeed, and messages of a stream's history, into events.
#[derive(Clone, Debug)]
pub struct Translator {
    bot: UserId,
    service_accounts: HashSet<String>,
}

/// An event and the stream within which its order counts.
#[derive(Clone, Debug, PartialEq)]
pub struct Translated {
    pub stream: Option<StreamId>,
    pub event: Event,
}

impl Translator {
    /// `service_accounts`: user names or e-mail addresses known to be programs; the datafeed itself does not say.
    pub fn new(bot: UserId, service_accounts: impl IntoIterator<Item = String>) -> Translator {
        Translator { bot, service_accounts: service_accounts.into_iter().map(|name| name.to_lowercase()).collect() }
    }

    /// One element of a datafeed batch.
    pub fn event(&self, raw: &RawValue) -> Translated {
        let read = serde_json::from_str::<WireEvent>(raw.get()).map_err(|e| e.to_string());
        let (id, at, fact) = match read {
            Err(why) => (None, Timestamp::default(), unreadable(why)),
            Ok(event) => {
                let (id, at) = (event.key(), event.at());
                (id, at, self.fact(&event).unwrap_or_else(unreadable))
            }
        };
        translated(id, at, fact, raw)
    }

    /// One message of a stream's history: the same event as if the datafeed had brought it.
    pub fn history(&self, raw: &RawValue) -> Translated {
        let read = serde_json::from_str::<WireMessage>(raw.get()).map_err(|e| e.to_string());
        let (id, at, fact) = match read {
            Err(why) => (None, Timestamp::default(), unreadable(why)),
            Ok(message) => {
                let (id, at) = (message.message_id.as_deref().and_then(message_key), message.timestamp.unwrap_or_default());
                (id, Timestamp(at), self.message(message, None).unwrap_or_else(unreadable))
            }
        };
        translated(id, at, fact, raw)
    }

    fn fact(&self, event: &WireEvent) -> Result<Fact, String> {
        let kind = event.kind.as_deref().ok_or("it has no type")?;
        match kind {
            "MESSAGESENT" => self.message_sent(event),
            "SYMPHONYELEMENTSACTION" => self.form_sent(event),
            "MESSAGESUPPRESSED" => self.suppressed(event),
            "USERJOINEDROOM" => self.member(event, "userJoinedRoom", MemberChange::Joined),
            "USERLEFTROOM" => self.member(event, "userLeftRoom", MemberChange::Left),
            "ROOMMEMBERPROMOTEDTOOWNER" => self.member(event, "roomMemberPromotedToOwner", MemberChange::Promoted),
            "ROOMMEMBERDEMOTEDFROMOWNER" => self.member(event, "roomMemberDemotedFromOwner", MemberChange::Demoted),
            "ROOMUPDATED" => self.renamed(event),
            "ROOMDEACTIVATED" => self.activity(event, "roomDeactivated", false),
            "ROOMREACTIVATED" => self.activity(event, "roomReactivated", true),
            "CONNECTIONREQUESTED" => self.connection(event),
            known if OF_NO_CONCERN.contains(&known) => Ok(of_no_concern(known)),
            unknown => Ok(of_no_concern(&format!("unknown type {}", shortened(unknown)))),
        }
    }

    fn message_sent(&self, event: &WireEvent) -> Result<Fact, String> {
        let sent: WireMessageSent = event.payload("messageSent")?;
        let message = sent.message.ok_or("its payload holds no message")?;
        self.message(message, event.initiator())
    }

    fn message(&self, message: WireMessage, initiator: Option<WireUser>) -> Result<Fact, String> {
        let author = self.person(initiator.or(message.user).ok_or("nobody is named as its author")?)?;
        let id = message.message_id.ok_or("it has no messageId")?;
        let stream = message.stream.ok_or("it names no stream")?;
        if author.id == self.bot {
            return Ok(of_no_concern("own message"));
        }
        let kind = match stream.stream_type.as_deref() {
            Some("IM") => StreamKind::Direct,
            Some("ROOM") => StreamKind::Room,
            Some("MIM" | "POST") => return Ok(of_no_concern("message in a group chat or on a wall")),
            other => return Err(format!("its stream type is {}", shortened(other.unwrap_or("missing")))),
        };
        let first = message.initial_message_id.filter(|first| *first != id).or(message.replacing);
        let read = cut(markup::plain(&message.message.unwrap_or_default(), &entities(message.data)));
        Ok(Fact::RoomMessage(RoomMessage {
            stream: stream.id()?,
            kind,
            message: ChatMessageId(url_safe(&id)),
            author,
            text: read.text,
            mentions: read.mentions.into_iter().map(|m| Mention { user: UserId(m.user), shown: m.shown, at: m.at }).collect(),
            edits: first.map(|first| ChatMessageId(url_safe(&first))),
            forwarded: message.parent_message_id.is_some() || message.shared_message.is_some(),
            attachments: message.attachments.unwrap_or_default().into_iter().map(attached).collect(),
        }))
    }

    fn form_sent(&self, event: &WireEvent) -> Result<Fact, String> {
        let action: WireAction = event.payload("symphonyElementsAction")?;
        let by = self.initiator(event)?;
        if by.id == self.bot {
            return Ok(of_no_concern("own form"));
        }
        let values = match action.form_values {
            Some(Value::Object(values)) => values,
            None | Some(Value::Null) => Map::new(),
            Some(_) => return Err("its form values are no object".to_owned()),
        };
        Ok(Fact::FormSent(FormSent {
            stream: action.stream.ok_or("it names no stream")?.id()?,
            form_message: ChatMessageId(url_safe(&action.form_message_id.ok_or("it names no form message")?)),
            form: action.form_id.ok_or("it names no form")?,
            values,
            by,
        }))
    }

    fn suppressed(&self, event: &WireEvent) -> Result<Fact, String> {
        let suppressed: WireSuppressed = event.payload("messageSuppressed")?;
        Ok(Fact::MessageSuppressed {
            stream: suppressed.stream.ok_or("it names no stream")?.id()?,
            message: ChatMessageId(url_safe(&suppressed.message_id.ok_or("it names no message")?)),
            by: self.initiator(event)?,
        })
    }

    fn member(&self, event: &WireEvent, key: &str, change: MemberChange) -> Result<Fact, String> {
        let membership: WireMembership = event.payload(key)?;
        let user = self.person(membership.affected_user.ok_or("it names no member")?)?;
        // Who comes or goes by himself may be named once only.
        let by = self.initiator(event).unwrap_or_else(|_| user.clone());
        Ok(Fact::MembersChanged { stream: membership.stream.ok_or("it names no stream")?.id()?, user, change, by })
    }

    fn renamed(&self, event: &WireEvent) -> Result<Fact, String> {
        let updated: WireRoomUpdated = event.payload("roomUpdated")?;
        let stream = updated.stream.ok_or("it names no stream")?;
        let name = updated.new_room_properties.and_then(|p| p.name).or_else(|| stream.room_name.clone());
        match name {
            Some(name) => Ok(Fact::RoomRenamed { stream: stream.id()?, name, by: self.initiator(event)? }),
            None => Ok(of_no_concern("room updated without a name")),
        }
    }

    fn activity(&self, event: &WireEvent, key: &str, active: bool) -> Result<Fact, String> {
        let room: WireRoom = event.payload(key)?;
        Ok(Fact::RoomActive { stream: room.stream.ok_or("it names no stream")?.id()?, active, by: self.initiator(event)? })
    }

    fn connection(&self, event: &WireEvent) -> Result<Fact, String> {
        let by = self.initiator(event)?;
        Ok(if by.id == self.bot { of_no_concern("own connection request") } else { Fact::ConnectionRequested { by } })
    }

    fn initiator(&self, event: &WireEvent) -> Result<Person, String> {
        self.person(event.initiator().ok_or("nobody is named as its initiator")?)
    }

    fn person(&self, user: WireUser) -> Result<Person, String> {
        let id = UserId(user.user_id.ok_or("a user has no id")?);
        let known = |name: &Option<String>| name.as_ref().is_some_and(|n| self.service_accounts.contains(&n.to_lowercase()));
        let service = known(&user.username) || known(&user.email);
        let full = [user.first_name, user.last_name].into_iter().flatten().collect::<Vec<_>>().join(" ");
        let name = user.display_name.filter(|n| !n.is_empty()).unwrap_or(full);
        Ok(Person { id, name, email: user.email.filter(|e| !e.is_empty()), service })
    }
}

fn attached(file: WireAttachment) -> Attached {
    Attached { id: file.id.unwrap_or_default(), name: file.name.unwrap_or_default(), size: file.size }
}

fn translated(id: Option<EventId>, at: Timestamp, fact: Fact, raw: &RawValue) -> Translated {
    let bytes = raw.get().as_bytes();
    // Without an id of its own the bytes are the identity, so that a redelivery is known again.
    let id = id.unwrap_or_else(|| EventId(format!("sym:bytes:{}", digest(bytes))));
    Translated { stream: stream_of(&fact).cloned(), event: Event { id, at, fact, raw: Some(Arc::from(bytes)) } }
}

fn digest(bytes: &[u8]) -> String {
    hex::encode(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes))
}

fn stream_of(fact: &Fact) -> Option<&StreamId> {
    match fact {
        Fact::RoomMessage(RoomMessage { stream, .. })
        | Fact::FormSent(FormSent { stream, .. })
        | Fact::MessageSuppressed { stream, .. }
        | Fact::MembersChanged { stream, .. }
        | Fact::RoomRenamed { stream, .. }
        | Fact::RoomActive { stream, .. } => Some(stream),
        Fact::ConnectionRequested { .. } | Fact::OfNoConcern { .. } | Fact::Unreadable { .. } => None,
        Fact::ClientMessage(_) | Fact::ClientCalled(_) | Fact::DeliveryReported(_) | Fact::UserFound { .. } => None,
        Fact::EffectWanted { .. } | Fact::EffectEnded { .. } | Fact::EffectPutOff { .. } | Fact::DoubtIsOld { .. } => None,
        Fact::TimeCame { .. } | Fact::LineTroubled { .. } | Fact::LineWorks { .. } | Fact::NotUsed { .. } => None,
        Fact::TemplateTold(_) | Fact::TemplatesListed(_) | Fact::MarketingChosen(_) | Fact::GroupTold(_) => None,
    }
}

fn of_no_concern(what: &str) -> Fact {
    Fact::OfNoConcern { what: what.to_owned() }
}

fn unreadable(why: String) -> Fact {
    Fact::Unreadable { source: "symphony".to_owned(), why }
}

fn message_key(id: &str) -> Option<EventId> {
    (!id.is_empty()).then(|| EventId(format!("sym:msg:{}", url_safe(id))))
}

/// Words of strangers stay short in our logs.
fn shortened(text: &str) -> String {
    text.chars().take(40).collect()
}

/// The entity data is JSON within a text; a broken one names no entities.
fn entities(data: Option<Value>) -> Map<String, Value> {
    let value = match data {
        Some(Value::String(text)) => serde_json::from_str(&text).unwrap_or_default(),
        Some(other) => other,
        None => Value::Null,
    };
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

/// The envelope; what only some types need stays unread, so that a new type cannot break on it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireEvent {
    id: Option<String>,
    message_id: Option<Value>,
    timestamp: Option<Value>,
    #[serde(rename = "type")]
    kind: Option<String>,
    initiator: Option<Value>,
    payload: Option<Value>,
}

impl WireEvent {
    fn payload<T: DeserializeOwned>(&self, key: &str) -> Result<T, String> {
        let payload = self.payload.as_ref().and_then(|p| p.get(key)).ok_or_else(|| format!("its payload holds no `{key}`"))?;
        T::deserialize(payload).map_err(|e| format!("its `{key}` cannot be read: {e}"))
    }

    fn initiator(&self) -> Option<WireUser> {
        WireUser::deserialize(self.initiator.as_ref()?.get("user")?).ok()
    }

    fn at(&self) -> Timestamp {
        let inner = || self.payload.as_ref()?.get("messageSent")?.get("message")?.get("timestamp")?.as_i64();
        Timestamp(self.timestamp.as_ref().and_then(Value::as_i64).or_else(inner).unwrap_or_default())
    }

    /// INTERFACES §3: the message id for MESSAGESENT, type and id for the others.
    fn key(&self) -> Option<EventId> {
        let kind = self.kind.as_deref()?;
        if kind == "MESSAGESENT" {
            let inner = || self.payload.as_ref()?.get("messageSent")?.get("message")?.get("messageId")?.as_str();
            return inner().or_else(|| self.message_id.as_ref()?.as_str()).and_then(message_key);
        }
        let id = self.id.as_deref().filter(|id| !id.is_empty())?;
        Some(EventId(format!("sym:{}:{}", shortened(kind), id)))
    }
}

fn cut(mut read: markup::Plain) -> markup::Plain {
    if let Some((end, _)) = read.text.char_indices().nth(TEXT_MOST) {
        read.text.truncate(end);
        read.mentions.retain(|mention| mention.at + mention.shown.len() <= end);
    }
    read
}

#[derive(Deserialize)]
struct WireMessageSent {
    message: Option<WireMessage>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireMessage {
    message_id: Option<String>,
    parent_message_id: Option<String>,
    timestamp: Option<i64>,
    message: Option<String>,
    shared_message: Option<Value>,
    data: Option<Value>,
    attachments: Option<Vec<WireAttachment>>,
    user: Option<WireUser>,
    stream: Option<WireStream>,
    replacing: Option<String>,
    initial_message_id: Option<String>,
}

#[derive(Deserialize)]
struct WireAttachment {
    id: Option<String>,
    name: Option<String>,
    size: Option<u64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireStream {
    stream_id: Option<String>,
    stream_type: Option<String>,
    room_name: Option<String>,
}

impl WireStream {
    fn id(&self) -> Result<StreamId, String> {
        let id = self.stream_id.as_deref().filter(|id| !id.is_empty()).ok_or("its stream has no id")?;
        Ok(StreamId(url_safe(id)))
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireUser {
    #[serde(default, deserialize_with = "user_id")]
    user_id: Option<u64>,
    first_name: Option<String>,
    last_name: Option<String>,
    display_name: Option<String>,
    email: Option<String>,
    username: Option<String>,
}

/// Ids come as numbers and as texts.
fn user_id<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u64>, D::Error> {
    let value = Option::<Value>::deserialize(from)?;
    Ok(value.and_then(|v| v.as_u64().or_else(|| v.as_str()?.parse().ok())))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireAction {
    stream: Option<WireStream>,
    form_message_id: Option<String>,
    form_id: Option<String>,
    form_values: Option<Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireSuppressed {
    message_id: Option<String>,
    stream: Option<WireStream>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireMembership {
    stream: Option<WireStream>,
    affected_user: Option<WireUser>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireRoomUpdated {
    stream: Option<WireStream>,
    new_room_properties: Option<WireRoomProperties>,
}

#[derive(Deserialize)]
struct WireRoomProperties {
    name: Option<String>,
}

#[derive(Deserialize)]
struct WireRoom {
    stream: Option<WireStream>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const BOT: UserId = UserId(14568);

    fn read(value: Value) -> Translated {
        let translator = Translator::new(BOT, ["guest-bot".to_owned()]);
        translator.event(&RawValue::from_string(value.to_string()).unwrap())
    }
    fn fact(value: Value) -> Fact {
        read(value).event.fact
    }
    fn jane() -> Value {
        json!({"user": {"userId": 7, "displayName": "Jane Doe", "email": "jane.doe@acme.com", "username": "jane"}})
    }
    fn jane_herself() -> Person {
        Person { id: UserId(7), name: "Jane Doe".into(), email: Some("jane.doe@acme.com".into()), service: false }
    }
    fn element(kind: &str, payload: Value) -> Value {
        json!({"id": "e1", "messageId": "m1", "timestamp": 5, "type": kind, "initiator": jane(), "payload": payload})
    }
    fn room() -> Value {
        json!({"streamId": "ksuDd0xGnAGW1B4plItFyn///qRfGLBsdA==", "streamType": "ROOM", "roomName": "Ann Lee"})
    }
    fn room_id() -> StreamId {
        StreamId("ksuDd0xGnAGW1B4plItFyn___qRfGLBsdA".into())
    }
    fn message(change: Value) -> Value {
        let mut message =
            json!({"messageId": "Fd4P+/==", "timestamp": 5, "message": "<div><p>hi</p></div>", "data": "{}", "stream": room()});
        for (key, value) in change.as_object().unwrap() {
            message[key] = value.clone();
        }
        element("MESSAGESENT", json!({"messageSent": {"message": message}}))
    }
    fn room_message(change: Value) -> RoomMessage {
        match fact(message(change)) {
            Fact::RoomMessage(message) => message,
            other => panic!("{other:?}"),
        }
    }

    /// The platform's own example (research/symphony.md §3, bots/datafeed of its developer documentation), shortened.
    #[test]
    fn the_documented_message_is_read() {
        let raw = r#"{"id":"9rc1dr","messageId":"Fd4Pc8xO5Vg6hVfzabFe2X___oyM1eXobQ","timestamp":1595365005847,"type":"MESSAGESENT","initiator":{"user":{"userId":344147139494862,"firstName":"Reed","lastName":"Feldman","displayName":"Reed Feldman (SUP)","email":"reed.feldman@symphony.com","username":"reedUAT"}},"payload":{"messageSent":{"message":{"messageId":"Fd4Pc8xO5Vg6hVfzabFe2X___oyM1eXobQ","timestamp":1595365005847,"message":"<div data-format=\"PresentationML\" data-version=\"2.0\" class=\"wysiwyg\"><p>hi</p></div>","data":"{}","stream":{"streamId":"IEj12WoWsfTkiqOBkATdUn___pFXhN9OdA","streamType":"IM"},"externalRecipients":false,"originalFormat":"com.symphony.messageml.v2"}}}}"#;
        let read = Translator::new(BOT, []).event(&RawValue::from_string(raw.to_owned()).unwrap());
        assert_eq!(read.event.id, EventId::new("sym:msg:Fd4Pc8xO5Vg6hVfzabFe2X___oyM1eXobQ"));
        assert_eq!(read.event.at, Timestamp(1595365005847));
        assert_eq!(read.event.raw.as_deref(), Some(raw.as_bytes()));
        assert_eq!(read.stream, Some(StreamId::new("IEj12WoWsfTkiqOBkATdUn___pFXhN9OdA")));
        let Fact::RoomMessage(message) = read.event.fact else { panic!() };
        assert_eq!((message.kind, message.text.as_str()), (StreamKind::Direct, "hi"));
        assert_eq!((message.author.name.as_str(), message.author.service), ("Reed Feldman (SUP)", false));
    }

    /// The platform's own example of a pressed form, as above.
    #[test]
    fn the_documented_form_is_read() {
        let Fact::FormSent(sent) = fact(element(
            "SYMPHONYELEMENTSACTION",
            json!({"symphonyElementsAction": {"stream": room(), "formMessageId": "L87D/w==", "formId": "form_id",
                "formValues": {"action": "submit_button", "name": "John", "checkbox_1": "value01"}}}),
        )) else {
            panic!()
        };
        assert_eq!((sent.stream, sent.form.as_str(), sent.form_message.as_str()), (room_id(), "form_id", "L87D_w"));
        assert_eq!((sent.by, sent.values["action"].as_str()), (jane_herself(), Some("submit_button")));
    }

    #[test]
    fn each_known_type_becomes_its_fact() {
        let member = json!({"stream": room(), "affectedUser": {"userId": "8", "firstName": "Bo", "lastName": "Li"}});
        let bo = Person { id: UserId(8), name: "Bo Li".into(), email: None, service: false };
        let changed = |change| Fact::MembersChanged { stream: room_id(), user: bo.clone(), change, by: jane_herself() };
        let active = |active| Fact::RoomActive { stream: room_id(), active, by: jane_herself() };
        let table = [
            ("USERJOINEDROOM", json!({"userJoinedRoom": member}), changed(MemberChange::Joined)),
            ("USERLEFTROOM", json!({"userLeftRoom": member}), changed(MemberChange::Left)),
            ("ROOMMEMBERPROMOTEDTOOWNER", json!({"roomMemberPromotedToOwner": member}), changed(MemberChange::Promoted)),
            ("ROOMMEMBERDEMOTEDFROMOWNER", json!({"roomMemberDemotedFromOwner": member}), changed(MemberChange::Demoted)),
            ("ROOMDEACTIVATED", json!({"roomDeactivated": {"stream": room()}}), active(false)),
            ("ROOMREACTIVATED", json!({"roomReactivated": {"stream": room()}}), active(true)),
            (
                "ROOMUPDATED",
                json!({"roomUpdated": {"stream": room(), "newRoomProperties": {"name": "New"}}}),
                Fact::RoomRenamed { stream: room_id(), name: "New".into(), by: jane_herself() },
            ),
            (
                "CONNECTIONREQUESTED",
                json!({"connectionRequested": {"toUser": {"userId": 14568}}}),
                Fact::ConnectionRequested { by: jane_herself() },
            ),
            (
                "MESSAGESUPPRESSED",
                json!({"messageSuppressed": {"messageId": "Qas+", "stream": room()}}),
                Fact::MessageSuppressed { stream: room_id(), message: ChatMessageId("Qas-".into()), by: jane_herself() },
            ),
        ];
        for (kind, payload, expected) in table {
            let read = read(element(kind, payload));
            assert_eq!(read.event.fact, expected, "{kind}");
            assert_eq!(read.event.id, EventId(format!("sym:{kind}:e1")));
        }
        for kind in OF_NO_CONCERN {
            assert_eq!(fact(element(kind, json!({}))), of_no_concern(kind));
        }
    }

    #[test]
    fn edits_forwards_and_attachments_are_marked() {
        let edit = room_message(json!({"replacing": "m2", "initialMessageId": "m1"}));
        assert_eq!(edit.edits, Some(ChatMessageId("m1".into())));
        assert_eq!(room_message(json!({"replacing": "m2"})).edits, Some(ChatMessageId("m2".into())));
        assert_eq!(room_message(json!({"initialMessageId": "Fd4P+/=="})).edits, None);
        assert!(room_message(json!({"parentMessageId": "p"})).forwarded);
        assert!(room_message(json!({"sharedMessage": {}})).forwarded);
        let plain = room_message(json!({"attachments": [{"id": "x", "name": "a.pdf", "size": 3}]}));
        assert_eq!(
            (plain.forwarded, plain.edits, plain.attachments),
            (false, None, vec![Attached { id: "x".into(), name: "a.pdf".into(), size: Some(3) }])
        );
    }

    #[test]
    fn mentions_are_found_in_the_entity_data() {
        let data = json!({"0": {"type": "com.symphony.user.mention", "version": "1.0", "id": [{"type": "com.symphony.user.userId", "value": "14568"}]}});
        let markup = r#"<div><span class="entity" data-entity-id="0">@Liaison</span>/help</div>"#;
        let read = room_message(json!({"message": markup, "data": data.to_string()}));
        assert_eq!(read.text, "@Liaison/help");
        assert_eq!(read.mentions, [Mention { user: BOT, shown: "@Liaison".into(), at: 0 }]);
        assert!(room_message(json!({"message": markup, "data": "{broken"})).mentions.is_empty());
    }

    #[test]
    fn what_is_longer_than_the_platform_allows_is_cut() {
        let read = room_message(json!({"message": format!("<div>{}</div>", "ä".repeat(TEXT_MOST + 1))}));
        assert_eq!((read.text.chars().count(), read.mentions.len()), (TEXT_MOST, 0));
    }

    #[test]
    fn what_is_not_ours_to_read_is_of_no_concern() {
        let own = message(json!({}));
        let mut own_message = own.clone();
        own_message["initiator"]["user"]["userId"] = json!(14568);
        let table = [
            own_message,
            message(json!({"stream": {"streamId": "s", "streamType": "MIM"}})),
            message(json!({"stream": {"streamId": "s", "streamType": "POST"}})),
            element("SOMETHINGNEW", json!("not even an object")),
        ];
        for value in table {
            assert!(matches!(fact(value.clone()), Fact::OfNoConcern { .. }), "{value}");
        }
    }

    #[test]
    fn a_known_program_is_marked_as_one() {
        let mut from_program = message(json!({}));
        from_program["initiator"]["user"]["username"] = json!("Guest-Bot");
        let Fact::RoomMessage(message) = fact(from_program) else { panic!() };
        assert!(message.author.service);
    }

    #[test]
    fn what_cannot_be_read_is_kept_with_its_bytes_and_known_again() {
        let broken = [
            json!(42),
            json!({"type": 7}),
            json!({"id": "x"}),
            json!({"id": "x", "type": "MESSAGESENT", "payload": {}}),
            message(json!({"stream": {"streamId": "s"}})),
            message(json!({"message": 9})),
            element("USERJOINEDROOM", json!({"userJoinedRoom": {"stream": room()}})),
        ];
        for value in broken {
            let (first, again) = (read(value.clone()), read(value.clone()));
            assert!(matches!(first.event.fact, Fact::Unreadable { .. }), "{value}");
            assert_eq!(first.event.raw.as_deref(), Some(value.to_string().as_bytes()));
            assert_eq!(first.event.id, again.event.id);
        }
    }

    #[test]
    fn a_message_is_the_same_event_in_the_feed_and_in_the_history() {
        let from_feed = read(message(json!({"user": jane()["user"]})));
        let inner = message(json!({"user": jane()["user"]}))["payload"]["messageSent"]["message"].to_string();
        let from_history = Translator::new(BOT, []).history(&RawValue::from_string(inner).unwrap());
        assert_eq!(from_feed.event.id, from_history.event.id);
        assert_eq!(from_feed.event.fact, from_history.event.fact);
    }

    #[test]
    fn two_types_that_share_an_id_are_two_events() {
        let payload = json!({"userJoinedRoom": {}, "userLeftRoom": {}});
        assert_ne!(read(element("USERJOINEDROOM", payload.clone())).event.id, read(element("USERLEFTROOM", payload)).event.id);
    }
}
