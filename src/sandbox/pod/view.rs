//! The pod's handle for the page and the control calls: people's acts, and everything as the page shows it.
use std::time::Duration;

use axum::http::StatusCode;
use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Map, Value};

use super::Pod;
use super::markup::plain_text;
use super::state::{Attachment, Message, Refused, State, Stream, StreamKind, User};
use crate::sandbox::views::{FileView, Given, MemberView, MessageView, RoomView, UserView};

/// Troubles that are no HTTP status. `hang` is a call, or an open websocket, on which nothing comes any more; `slow` is done
/// at once and answered late; `expire-tokens` makes all tokens void, as a real pod does after hours or days.
const TROUBLES: [&str; 9] =
    ["502-html", "lost-answer", "duplicate", "feed-gone", "disconnect", "refresh", "hang", "slow", "expire-tokens"];

impl Pod {
    /// Registers a user or updates the one with this user name; the id.
    pub fn add_user(
        &self,
        first: &str,
        last: &str,
        email: &str,
        username: &str,
        service: bool,
        public_key_pem: Option<String>,
    ) -> u64 {
        let added = self.act(|state| {
            let known = state.user_by_username(username).cloned();
            let id = known.as_ref().map_or_else(|| state.next_user_id(), |user| user.id);
            let public_key = public_key_pem.or(known.and_then(|user| user.public_key));
            let [first, last, email, username] = [first, last, email, username].map(str::to_string);
            state.put_user(User { id, first, last, email, username, service, public_key });
            Ok(id)
        });
        added.unwrap_or_else(|_| self.look(|state| state.user_by_username(username).map_or(0, |user| user.id)))
    }

    pub fn users(&self) -> Vec<UserView> {
        self.look(|state| state.users.values().map(User::view).collect())
    }

    pub fn user_by_email(&self, email: &str) -> Option<UserView> {
        self.look(|state| state.user_by_email(email).map(User::view))
    }

    /// The conversations of a user, the one with the newest message first; IMs bear the other one's name.
    pub fn rooms_of(&self, user: u64) -> Vec<RoomView> {
        self.look(|state| {
            let mine = state.streams.values().filter(|stream| stream.member(user).is_some());
            newest_first(mine.map(|stream| state.room_view(stream, user)).collect())
        })
    }

    pub fn all_rooms(&self) -> Vec<RoomView> {
        self.look(|state| newest_first(state.streams.values().map(|stream| state.room_view(stream, 0)).collect()))
    }

    pub fn room(&self, id: &str) -> Option<RoomView> {
        self.look(|state| state.streams.get(id).map(|stream| state.room_view(stream, 0)))
    }

    /// What a member sees in a conversation, oldest first; nothing for others.
    pub fn messages(&self, stream: &str, as_user: u64) -> Vec<MessageView> {
        self.look(|state| {
            let history = state.history(as_user, stream).unwrap_or_default();
            history.into_iter().map(|message| state.message_view(message, Some(as_user))).collect()
        })
    }

    /// The whole conversation, as nobody in particular sees it.
    pub fn conversation(&self, stream: &str) -> Vec<MessageView> {
        self.look(|state| state.conversation(stream).into_iter().map(|message| state.message_view(message, None)).collect())
    }

    /// The one-to-one conversation of two existing users, made by the first if there is none.
    pub fn im(&self, user_a: u64, user_b: u64) -> String {
        self.act(|state| state.im(user_a, user_b)).unwrap_or_default()
    }

    /// A person writes: `@Full Name` and `@address` become mentions.
    pub fn post_as(&self, user_id: u64, stream: &str, text: &str) -> Result<MessageView, String> {
        self.as_person(|state| {
            let message = state.post_text(user_id, stream, text)?;
            Ok(state.message_view(&message, Some(user_id)))
        })
    }

    /// A person writes with files beside.
    pub fn post_files_as(&self, user_id: u64, stream: &str, text: &str, files: Vec<Given>) -> Result<MessageView, String> {
        let encoded = |file: Given| (file.name, STANDARD.encode(&file.bytes), file.bytes.len());
        let files = files.into_iter().map(encoded).collect();
        self.as_person(|state| {
            let message = state.post_files(user_id, stream, text, files)?;
            Ok(state.message_view(&message, Some(user_id)))
        })
    }

    /// The name and the bytes of a file in a message.
    pub fn file(&self, message: &str, file: &str) -> Option<(String, Vec<u8>)> {
        self.look(|state| {
            let found = state.message(message)?.attachments.iter().find(|attachment| attachment.id == file)?;
            Some((found.name.clone(), STANDARD.decode(&found.base64).ok()?))
        })
    }

    /// A person presses a button; `values` are the fields and `action`, the button's name.
    pub fn submit_form(
        &self,
        user_id: u64,
        stream: &str,
        message_id: &str,
        form_id: &str,
        values: Map<String, Value>,
    ) -> Result<(), String> {
        self.as_person(|state| state.submit_form(user_id, stream, message_id, form_id, values))
    }

    pub fn add_member_as(&self, user_id: u64, stream: &str, target: u64) -> Result<(), String> {
        self.as_person(|state| state.add_member(user_id, stream, target).map(drop))
    }

    pub fn remove_member_as(&self, user_id: u64, stream: &str, target: u64) -> Result<(), String> {
        self.as_person(|state| state.remove_member(user_id, stream, target).map(drop))
    }

    pub fn deactivate_as(&self, user_id: u64, stream: &str) -> Result<(), String> {
        self.as_person(|state| state.set_active(user_id, stream, false))
    }

    /// A person asks another user, perhaps a bot, for a connection.
    pub fn connect_as(&self, user_id: u64, target: u64) -> Result<(), String> {
        self.as_person(|state| state.request_connection(user_id, target).map(drop))
    }

    /// Orders a trouble as a person does, who may mistake its name; none of them calls it off.
    pub fn order_trouble(&self, code: &str, times: u32) -> Result<(), String> {
        let status = code.parse().ok().and_then(|code| StatusCode::from_u16(code).ok());
        let is_failure = status.is_some_and(|status| status.is_client_error() || status.is_server_error());
        if !is_failure && !TROUBLES.contains(&code) {
            return Err(format!("There is no trouble {code:?}; known are any HTTP status of failure, {}.", TROUBLES.join(", ")));
        }
        self.trouble(code, times);
        Ok(())
    }

    /// The next `times` matching calls of service accounts fail: any HTTP status (`500`, `429`, `401`) or one of `TROUBLES`.
    pub fn trouble(&self, code: &str, times: u32) {
        self.look(|state| match times {
            0 => drop(state.troubles.remove(code)),
            _ => drop(state.troubles.insert(code.to_string(), times)),
        });
        self.wake();
    }

    /// All tokens are refused from now on; living websockets close with 4401.
    pub fn expire_tokens(&self) {
        self.look(State::forget_tokens);
        self.wake();
    }

    /// From the next login on, tokens say that the platform delivers the keys by itself, and agent calls need no other.
    pub fn deliver_keys(&self) {
        self.look(|state| state.delivers_keys = true);
    }

    /// How long an unacknowledged batch stays invisible.
    pub fn set_visibility_ms(&self, milliseconds: u64) {
        self.look(|state| state.visibility = Duration::from_millis(milliseconds));
    }

    /// How long a feed lives that nobody reads.
    pub fn set_feed_life_ms(&self, milliseconds: u64) {
        self.look(|state| state.feed_life = Duration::from_millis(milliseconds));
    }

    /// How often websockets that open from now on are pinged.
    pub fn set_heartbeat_ms(&self, milliseconds: u64) {
        self.look(|state| state.heartbeat = Duration::from_millis(milliseconds));
    }

    /// How long a long poll without events is held.
    pub fn set_hold_ms(&self, milliseconds: u64) {
        self.look(|state| state.hold = Duration::from_millis(milliseconds));
    }

    /// Puts elements into the feeds of a user just as they are, as no sound platform would write them.
    pub fn feed_raw(&self, user: u64, elements: Vec<Value>) {
        self.look(|state| {
            let feeds = state.feeds.values_mut().filter(|feed| feed.owner == user);
            feeds.for_each(|feed| feed.queue.extend(elements.iter().cloned()));
        });
        self.wake();
    }

    /// How many events a batch holds at most.
    pub fn set_batch_max(&self, events: usize) {
        self.look(|state| state.batch_max = events);
    }

    fn wake(&self) {
        self.inner.changes.send_modify(|count| *count += 1);
    }

    fn as_person<T>(&self, act: impl FnOnce(&mut State) -> Result<T, Refused>) -> Result<T, String> {
        self.act(act).map_err(|refused| refused.message)
    }
}

fn file_view(attachment: &Attachment) -> FileView {
    let (id, name) = (attachment.id.clone(), attachment.name.clone());
    FileView { id, mime: type_of(&name).to_string(), name, bytes: attachment.size }
}

/// What a browser may show in place; anything else it is only offered.
pub fn type_of(name: &str) -> &'static str {
    let ending = name.rsplit('.').next().unwrap_or_default().to_ascii_lowercase();
    match ending.as_str() {
        "jpg" | "jpeg" => "image/jpeg",
        "png" => "image/png",
        "webp" => "image/webp",
        _ => "application/octet-stream",
    }
}

fn newest_first(mut rooms: Vec<RoomView>) -> Vec<RoomView> {
    rooms.sort_by_key(|room| std::cmp::Reverse(room.last_message.max(room.created)));
    rooms
}

impl State {
    fn name_of(&self, user: u64) -> String {
        self.users.get(&user).map(User::display_name).unwrap_or_default()
    }

    fn room_view(&self, stream: &Stream, as_user: u64) -> RoomView {
        let members = stream.members.iter().map(|member| MemberView {
            id: member.id,
            name: self.name_of(member.id),
            email: self.users.get(&member.id).map(|user| user.email.clone()).unwrap_or_default(),
            owner: member.owner,
        });
        RoomView {
            id: stream.id.clone(),
            name: self.stream_name(stream, as_user),
            kind: stream.kind.name().to_string(),
            active: stream.active,
            members: members.collect(),
            created: stream.created,
            last_message: stream.last_message,
            description: stream.room.description.clone(),
        }
    }

    fn stream_name(&self, stream: &Stream, as_user: u64) -> String {
        match stream.kind {
            StreamKind::Room => stream.room.name.clone(),
            StreamKind::Im => {
                let others = stream.members.iter().filter(|member| member.id != as_user);
                others.map(|member| self.name_of(member.id)).collect::<Vec<_>>().join(", ")
            }
        }
    }

    /// With the forms that this user has sent in, or anybody has.
    fn message_view(&self, message: &Message, as_user: Option<u64>) -> MessageView {
        let unknown =
            UserView { id: message.from, name: String::new(), email: String::new(), username: String::new(), service: false };
        let submitted = message.submitted.iter().filter(|(user, _)| as_user.is_none_or(|reader| reader == *user));
        MessageView {
            id: message.id.clone(),
            at: message.first_at(),
            from: self.users.get(&message.from).map_or(unknown, User::view),
            presentation: message.presentation.clone(),
            text: plain_text(&message.presentation),
            data: if message.data.is_empty() { Value::Null } else { Value::Object(message.data.clone()) },
            submitted: submitted.map(|(_, form)| form.clone()).collect(),
            edited: message.replacing.is_some(),
            files: message.attachments.iter().map(file_view).collect(),
        }
    }
}
