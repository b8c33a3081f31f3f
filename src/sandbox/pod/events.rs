//! V4Events in the shapes of the real feed, handed to the feeds of everyone whom they concern.
use serde_json::{Map, Value, json};

use super::journal::Line;
use super::state::{Message, Room, State, Stream, StreamKind, User};

impl User {
    /// V4User.
    pub fn v4(&self) -> Value {
        json!({"userId": self.id, "firstName": self.first, "lastName": self.last, "displayName": self.display_name(),
            "email": self.email, "username": self.username})
    }
}

impl Stream {
    /// V4Stream with what every event says.
    pub fn v4(&self) -> Value {
        let mut stream = json!({"streamId": self.id, "streamType": self.kind.name(), "external": false, "crossPod": false});
        if self.kind == StreamKind::Room {
            stream["roomName"] = json!(self.room.name);
        }
        stream
    }
}

impl State {
    pub fn v4_user(&self, id: u64) -> Value {
        self.users.get(&id).map_or_else(|| json!({"userId": id}), User::v4)
    }

    /// Queues one event for the users; `kind` is the event's type, `key` the payload's.
    fn emit(&mut self, to: &[u64], by: u64, names: (&str, &str), message: Option<&str>, payload: Value) {
        let at = match message.and_then(|id| self.message(id)) {
            Some(message) if names.0 == "MESSAGESENT" => message.at,
            Some(_) | None => self.tick(),
        };
        let (kind, key) = names;
        let id = self.new_event_id();
        let message = message.map_or_else(|| self.new_id(at), str::to_string);
        let initiator = json!({"user": self.v4_user(by)});
        let event = json!({"id": id, "messageId": message, "timestamp": at, "type": kind, "initiator": initiator,
            "payload": {key: payload}});
        self.drop_expired_feeds();
        let feeds = self.feeds.values_mut().filter(|feed| to.contains(&feed.owner));
        let mut lines = Vec::new();
        for feed in feeds {
            feed.queue.push_back(event.clone());
            lines.push(Line::Queued { feed: feed.id.clone(), event: event.clone() });
        }
        lines.iter().for_each(|line| self.note(line));
    }

    fn emit_to_members(&mut self, stream: &str, by: u64, names: (&str, &str), more: Value) {
        let Some(stream) = self.streams.get(stream) else { return };
        let members: Vec<u64> = stream.members.iter().map(|member| member.id).collect();
        let mut payload = Map::from_iter([("stream".to_string(), stream.v4())]);
        payload.extend(more.as_object().cloned().unwrap_or_default());
        self.emit(&members, by, names, None, Value::Object(payload));
    }

    pub fn emit_message(&mut self, message: &Message) {
        let Some(stream) = self.streams.get(&message.stream) else { return };
        let members: Vec<u64> = stream.members.iter().map(|member| member.id).collect();
        let payload = json!({"message": self.v4_message(message)});
        self.emit(&members, message.from, ("MESSAGESENT", "messageSent"), Some(&message.id), payload);
    }

    pub fn emit_suppressed(&mut self, message: &Message, by: u64) {
        let more = json!({"messageId": message.id});
        self.emit_to_members(&message.stream, by, ("MESSAGESUPPRESSED", "messageSuppressed"), more);
    }

    pub fn emit_form(&mut self, message: &Message, by: u64, form: &str, values: Map<String, Value>) {
        let more = json!({"formMessageId": message.id, "formId": form, "formValues": values});
        let Some(stream) = self.streams.get(&message.stream) else { return };
        let payload = json!({"stream": stream.v4(), "formMessageId": more["formMessageId"], "formId": more["formId"],
            "formValues": more["formValues"]});
        // Only the author of the form learns what was entered.
        self.emit(&[message.from], by, ("SYMPHONYELEMENTSACTION", "symphonyElementsAction"), None, payload);
    }

    pub fn emit_im_created(&mut self, id: &str, by: u64) {
        let Some(stream) = self.streams.get(id) else { return };
        let members: Vec<u64> = stream.members.iter().map(|member| member.id).collect();
        let shown: Vec<Value> = members.iter().map(|member| self.v4_user(*member)).collect();
        let mut payload = stream.v4();
        payload["members"] = json!(shown);
        self.emit(&members, by, ("INSTANTMESSAGECREATED", "instantMessageCreated"), None, json!({"stream": payload}));
    }

    pub fn emit_room_created(&mut self, id: &str, by: u64) {
        let Some(stream) = self.streams.get(id) else { return };
        let payload = json!({"stream": stream.v4(), "roomProperties": self.room_properties(stream)});
        self.emit(&[by], by, ("ROOMCREATED", "roomCreated"), None, payload);
    }

    pub fn emit_room_updated(&mut self, id: &str, by: u64) {
        let Some(stream) = self.streams.get(id) else { return };
        let more = json!({"newRoomProperties": self.room_properties(stream)});
        self.emit_to_members(id, by, ("ROOMUPDATED", "roomUpdated"), more);
    }

    pub fn emit_room_active(&mut self, id: &str, by: u64, active: bool) {
        if active {
            return self.emit_to_members(id, by, ("ROOMREACTIVATED", "roomReactivated"), json!({}));
        }
        // The real event names neither the room nor whether it is external.
        let short = json!({"stream": {"streamId": id, "streamType": "ROOM"}});
        self.emit_to_members(id, by, ("ROOMDEACTIVATED", "roomDeactivated"), short);
    }

    pub fn emit_member(&mut self, id: &str, by: u64, affected: u64, change: MemberChange) {
        let Some(stream) = self.streams.get(id) else { return };
        let mut to: Vec<u64> = stream.members.iter().map(|member| member.id).collect();
        if !to.contains(&affected) {
            to.push(affected);
        }
        let payload = json!({"stream": stream.v4(), "affectedUser": self.v4_user(affected)});
        self.emit(&to, by, change.names(), None, payload);
    }

    pub fn emit_connection(&mut self, by: u64, other: u64, accepted: bool) {
        let (names, key) = match accepted {
            true => (("CONNECTIONACCEPTED", "connectionAccepted"), "fromUser"),
            false => (("CONNECTIONREQUESTED", "connectionRequested"), "toUser"),
        };
        let payload = json!({key: self.v4_user(other)});
        self.emit(&[by, other], by, names, None, payload);
    }

    fn room_properties(&self, stream: &Stream) -> Value {
        let Room { name, description, keywords, members_can_invite, discoverable, public, .. } = &stream.room;
        json!({"name": name, "description": description, "creatorUser": self.v4_user(stream.created_by),
            "createdDate": stream.created, "external": false, "crossPod": stream.room.cross_pod,
            "public": public, "copyProtected": stream.room.copy_protected, "readOnly": stream.room.read_only,
            "discoverable": discoverable, "membersCanInvite": members_can_invite, "keywords": keywords,
            "canViewHistory": stream.room.view_history})
    }

    /// V4Message as the API and the feed show it.
    pub fn v4_message(&self, message: &Message) -> Value {
        let stream = self.streams.get(&message.stream).map_or(Value::Null, Stream::v4);
        let data = Value::Object(message.data.clone()).to_string();
        let mut shown = json!({"messageId": message.id, "timestamp": message.at, "message": message.presentation, "data": data,
            "user": self.v4_user(message.from), "stream": stream, "externalRecipients": false,
            "userAgent": message.user_agent, "originalFormat": "com.symphony.messageml.v2", "silent": message.silent});
        if !message.attachments.is_empty() {
            let list = message.attachments.iter();
            shown["attachments"] =
                list.map(|file| json!({"id": file.id, "name": file.name, "size": file.size, "images": []})).collect();
        }
        for (key, value) in [("replacing", &message.replacing), ("replacedBy", &message.replaced_by)] {
            if let Some(id) = value {
                shown[key] = json!(id);
            }
        }
        if let Some((id, at)) = &message.initial {
            shown["initialMessageId"] = json!(id);
            shown["initialTimestamp"] = json!(at);
        }
        shown
    }
}

/// What happened to one member of a room.
#[derive(Clone, Copy)]
pub enum MemberChange {
    Joined,
    Left,
    Promoted,
    Demoted,
}

impl MemberChange {
    fn names(self) -> (&'static str, &'static str) {
        match self {
            MemberChange::Joined => ("USERJOINEDROOM", "userJoinedRoom"),
            MemberChange::Left => ("USERLEFTROOM", "userLeftRoom"),
            MemberChange::Promoted => ("ROOMMEMBERPROMOTEDTOOWNER", "roomMemberPromotedToOwner"),
            MemberChange::Demoted => ("ROOMMEMBERDEMOTEDFROMOWNER", "roomMemberDemotedFromOwner"),
        }
    }
}
