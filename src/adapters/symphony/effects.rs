//! What the bot may do in the chat, made of calls: each attempt says what is certain, each look-up what can be known.
use super::answers::{CallError, KEYWORD, Keyword, PostedMessage, Room, RoomAttributes, User};
use super::login::told;
use super::remembered::Memory;
use super::rest::Symphony;
use super::url_safe;
use crate::adapters::vault::{Kept, NotKept, Vault};
use crate::domain::effect::{Attempt, LookUp, OpenRoom, Outcome, Place};
use crate::domain::ids::{EffectId, StreamId, UserId};
use crate::domain::media::{CHAT_FILES_MAX, Found, Media};
use crate::domain::members::NO_SUCH_USER;
use crate::domain::time::Span;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::{Value, json};
use std::time::Duration;

/// Before what was certainly not sent is tried again; the outbox makes the waits grow.
const SOON: Span = Span::seconds(1);
/// When a throttled answer names no time.
const THROTTLED: Span = Span::seconds(5);
/// How far back a stream is searched for a message of ours: as long as seen keys are kept.
const LOOK_BACK: Span = Span::days(30);
/// Between the two looks that must both miss a thing before it counts as absent: what was under way may still land.
const SECOND_LOOK: Duration = Duration::from_secs(2);

/// A room that stands, under the name that it bears on the platform: not always the one that was wished for.
#[derive(Clone)]
pub(super) struct Standing {
    stream: StreamId,
    name: Option<String>,
}

impl Standing {
    fn of(room: Room) -> Option<Standing> {
        Some(Standing { stream: room.stream()?, name: room.room_attributes.name })
    }

    /// As the effect's end carries it: the stream, below it the name.
    fn told(self) -> String {
        match self.name {
            Some(name) => format!("{}\n{name}", self.stream),
            None => self.stream.0,
        }
    }
}

impl Symphony {
    /// Posts a line that bears the effect's id as its key, so that it can be found again.
    pub async fn post(&self, id: &EffectId, place: &Place, markup: &str, data: &Value) -> Attempt {
        self.post_with(id, place, markup, data, &[]).await
    }

    /// The same with files.
    pub async fn post_with(&self, id: &EffectId, place: &Place, markup: &str, data: &Value, files: &[Kept]) -> Attempt {
        let stream = match self.stream_of(place).await {
            Ok(Some(stream)) => stream,
            Ok(None) => return failed(NO_SUCH_USER, "nobody on the platform has this e-mail address"),
            // Whoever is disabled or no connection any more has no 1:1 chat with us.
            Err(CallError::Refused { message, .. }) => return failed(NO_SUCH_USER, &message),
            Err(error) => return self.not_begun(error),
        };
        match self.message_create(&stream, markup, &keyed(data, id), files).await {
            Ok(message) => done(Some(message)),
            Err(CallError::Refused { status: 403 | 404, message, .. }) if matches!(place, Place::Direct(_)) => {
                failed(NO_SUCH_USER, &message)
            }
            Err(error) => self.ended(error),
        }
    }

    /// Takes an advisor's file in. Doing it twice is as good as once.
    pub async fn fetch(&self, stream: &StreamId, message: &str, file: &str, media: &Media, vault: &Vault) -> Attempt {
        let answer = match self.attachment(stream, message, file).await {
            Ok(answer) => answer,
            Err(error) => return self.not_begun(error),
        };
        match taken_in(answer, media, vault).await {
            Ok(Ok(found)) => done(serde_json::to_string(&found).ok()),
            Ok(Err(why)) if why.may_pass() => self.not_yet(why.to_string(), SOON),
            Ok(Err(why)) => failed(why.code(), &why.to_string()),
            Err(why) => self.not_yet(why, SOON),
        }
    }

    /// `None`: there is no such person.
    async fn stream_of(&self, place: &Place) -> Result<Option<StreamId>, CallError> {
        match place {
            Place::Stream(stream) => Ok(Some(stream.clone())),
            Place::Direct(user) => self.im_create(*user).await.map(Some),
            // A line for a room of ours is addressed to its stream when it is taken; one that is not has nowhere to go.
            Place::Room(_) => Ok(None),
            Place::DirectByEmail(email) => match self.user_of(email).await? {
                Some(user) => self.im_create(user).await.map(Some),
                None => Ok(None),
            },
        }
    }

    /// Who this is, as JSON of the person; asking twice is as good as once.
    pub async fn find_user(&self, user: UserId) -> Attempt {
        match self.users_by_id(&[user]).await {
            Ok(users) => match users.iter().find_map(|found| found.person()).filter(|person| person.id == user) {
                Some(person) => done(serde_json::to_string(&person).ok()),
                None => failed(NO_SUCH_USER, "the platform does not know this user"),
            },
            Err(error) => self.not_begun(error),
        }
    }

    async fn user_of(&self, email: &str) -> Result<Option<UserId>, CallError> {
        let email = email.to_lowercase();
        if let Some(known) = self.by_email.recall(&email) {
            return Ok(Some(known));
        }
        let users = self.users_by_email(std::slice::from_ref(&email)).await?;
        let same = |user: &&User| user.email_address.as_ref().is_some_and(|e| e.to_lowercase() == email);
        let found = users.iter().find(same).and_then(|user| user.id).map(UserId);
        if let Some(user) = found {
            self.by_email.remember(email, user);
        }
        Ok(found)
    }

    /// Finds the room with this key or creates it, then sees to its members. Doing it twice is as good as once.
    pub async fn open_room(&self, open: &OpenRoom) -> Attempt {
        let found = match self.room_of(open.key.as_str()).await {
            Ok(found) => found,
            Err(error) => return self.not_begun(error),
        };
        let there = match found {
            Some(there) => there,
            None => match self.create_under_a_free_name(open).await {
                Ok(there) => there,
                Err(error) if name_is_taken(&error) => return failed("name-taken", &error.to_string()),
                Err(error) => return self.ended(error),
            },
        };
        self.opened.remember(open.key.0.clone(), there.clone());
        match self.see_to_members(&there.stream, open).await {
            Ok(()) => done(Some(there.told())),
            Err(error) => self.not_begun(error),
        }
    }

    async fn room_of(&self, key: &str) -> Result<Option<Standing>, CallError> {
        if let Some(known) = self.opened.recall(key) {
            return Ok(Some(known));
        }
        Ok(self.rooms_by_key(key).await?.into_iter().next().and_then(Standing::of))
    }

    async fn create_under_a_free_name(&self, open: &OpenRoom) -> Result<Standing, CallError> {
        match (self.create_room(open, &open.name).await, &open.otherwise) {
            (Err(error), Some(otherwise)) if name_is_taken(&error) => self.create_room(open, otherwise).await,
            (outcome, _) => outcome,
        }
    }

    async fn create_room(&self, open: &OpenRoom, name: &str) -> Result<Standing, CallError> {
        let keyword = Keyword { key: KEYWORD.to_owned(), value: open.key.0.clone() };
        let attributes = RoomAttributes {
            name: Some(name.to_owned()),
            description: Some(open.description.clone()),
            keywords: Some(vec![keyword]),
            members_can_invite: Some(false),
            discoverable: Some(false),
            public: Some(false),
            cross_pod: Some(false),
            view_history: Some(true),
        };
        let room = self.room_create(&attributes).await?;
        let stream = room.stream().ok_or_else(|| CallError::Unclear("the answer names no room".to_owned()))?;
        Ok(Standing { stream, name: Some(name.to_owned()) })
    }

    async fn see_to_members(&self, stream: &StreamId, open: &OpenRoom) -> Result<(), CallError> {
        let me = self.my_id().await?;
        let present = self.members(stream).await?;
        let is_there = |user: UserId, owner: bool| present.iter().any(|m| m.id == Some(user.0) && (m.owner || !owner));
        for user in open.owners.iter().copied().filter(|user| *user != me && !is_there(*user, true)) {
            if !is_there(user, false) {
                self.join(stream, user).await?;
            }
            self.member_promote(stream, user).await?;
        }
        for user in
            open.members.iter().copied().filter(|user| *user != me && !is_there(*user, false) && !open.owners.contains(user))
        {
            match self.join(stream, user).await {
                // The room is good without a colleague who cannot be added; the membership events tell who is there.
                Err(CallError::Refused { status, message, .. }) => {
                    tracing::warn!(%stream, %user, status, message, "a member could not be added")
                }
                other => other?,
            }
        }
        Ok(())
    }

    /// Adds a member; one who is there already is fine.
    async fn join(&self, stream: &StreamId, user: UserId) -> Result<(), CallError> {
        match self.member_add(stream, user).await {
            Err(error) if error.is_refused() && self.is_member(stream, user).await? => Ok(()),
            other => other,
        }
    }

    async fn is_member(&self, stream: &StreamId, user: UserId) -> Result<bool, CallError> {
        Ok(self.members(stream).await?.iter().any(|m| m.id == Some(user.0)))
    }

    pub async fn add_member(&self, stream: &StreamId, user: UserId, owner: bool) -> Attempt {
        let joined = self.join(stream, user).await;
        let outcome = match joined {
            Ok(()) if owner => self.member_promote(stream, user).await,
            other => other,
        };
        self.settled(outcome)
    }

    pub async fn remove_member(&self, stream: &StreamId, user: UserId) -> Attempt {
        let outcome = match self.member_remove(stream, user).await {
            Err(error) if error.is_refused() && matches!(self.is_member(stream, user).await, Ok(false)) => Ok(()),
            other => other,
        };
        self.settled(outcome)
    }

    pub async fn demote_member(&self, stream: &StreamId, user: UserId) -> Attempt {
        let outcome = match self.member_demote(stream, user).await {
            Err(error) if error.is_refused() && matches!(self.is_owner(stream, user).await, Ok(false)) => Ok(()),
            other => other,
        };
        self.settled(outcome)
    }

    async fn is_owner(&self, stream: &StreamId, user: UserId) -> Result<bool, CallError> {
        Ok(self.members(stream).await?.iter().any(|m| m.id == Some(user.0) && m.owner))
    }

    pub async fn rename_room(&self, stream: &StreamId, name: &str) -> Attempt {
        let attributes = RoomAttributes { name: Some(name.to_owned()), ..RoomAttributes::default() };
        match self.room_update(stream, &attributes).await {
            Ok(_) => done(None),
            Err(error) if name_is_taken(&error) => failed("name-taken", &error.to_string()),
            Err(error) => self.ended(error),
        }
    }

    pub async fn deactivate(&self, stream: &StreamId) -> Attempt {
        let outcome = match self.set_active(stream, false).await {
            Err(error) if error.is_refused() && self.is_inactive(stream).await => Ok(()),
            other => other,
        };
        self.settled(outcome)
    }

    async fn is_inactive(&self, stream: &StreamId) -> bool {
        matches!(self.room_info(stream).await, Ok(room) if room.room_system_info.active == Some(false))
    }

    pub async fn accept_connection(&self, user: UserId) -> Attempt {
        let outcome = match self.connection_accept(user).await {
            Err(error) if error.is_refused() && self.is_connected_with(user).await => Ok(()),
            other => other,
        };
        self.settled(outcome)
    }

    async fn is_connected_with(&self, user: UserId) -> bool {
        matches!(self.connections("ACCEPTED").await, Ok(all) if all.iter().any(|c| c.user_id == Some(user.0)))
    }

    // ---- Look-ups ----

    /// Was the line of this effect posted? `Absent` only after two looks that both missed it.
    pub async fn find_posted(&self, place: &Place, id: &EffectId) -> LookUp {
        for look in 0..2 {
            if look > 0 {
                tokio::time::sleep(SECOND_LOOK).await;
            }
            match self.posted(place, id).await {
                Ok(Some(message)) => return LookUp::Found { external_id: Some(message) },
                Ok(None) => {}
                Err(error) => return cannot_tell(&error),
            }
        }
        LookUp::Absent
    }

    async fn posted(&self, place: &Place, id: &EffectId) -> Result<Option<String>, CallError> {
        let (me, since) = (self.my_id().await?, self.clock.now() - LOOK_BACK);
        // Nobody to write to: nothing can have been posted.
        let Some(stream) = self.stream_of(place).await? else { return Ok(None) };
        let history = self.whole_history(&stream, since).await?;
        let messages = history.iter().filter_map(|raw| serde_json::from_str::<PostedMessage>(raw.get()).ok());
        let ours =
            |message: &PostedMessage| message.user.as_ref().and_then(|u| u.user_id) == Some(me.0) && bears_key(message, id);
        Ok(messages.filter(ours).find_map(|message| message.message_id).map(|id| url_safe(&id)))
    }

    /// `Found` only if the room stands with all its people; what is there in part is `Absent`, for opening it again completes it.
    pub async fn find_room(&self, open: &OpenRoom) -> LookUp {
        for look in 0..2 {
            if look > 0 {
                tokio::time::sleep(SECOND_LOOK).await;
            }
            match self.room_and_whether_complete(open).await {
                Ok(Some((there, true))) => return LookUp::Found { external_id: Some(there.told()) },
                Ok(Some((_, false))) => return LookUp::Absent,
                Ok(None) => {}
                Err(error) => return cannot_tell(&error),
            }
        }
        LookUp::Absent
    }

    async fn room_and_whether_complete(&self, open: &OpenRoom) -> Result<Option<(Standing, bool)>, CallError> {
        let Some(there) = self.room_of(open.key.as_str()).await? else { return Ok(None) };
        let present = self.members(&there.stream).await?;
        let owns = |user: &UserId| present.iter().any(|m| m.id == Some(user.0) && m.owner);
        let is_there = |user: &UserId| present.iter().any(|m| m.id == Some(user.0));
        Ok(Some((there, open.owners.iter().all(owns) && open.members.iter().all(is_there))))
    }

    // ---- What an error means for an effect ----

    fn settled(&self, outcome: Result<(), CallError>) -> Attempt {
        outcome.map_or_else(|error| self.ended(error), |()| done(None))
    }

    /// After a call that changes something.
    fn ended(&self, error: CallError) -> Attempt {
        match error {
            CallError::NotSent(why) => self.not_yet(why, SOON),
            CallError::Throttled { retry_after } => self.not_yet("throttled".to_owned(), retry_after.unwrap_or(THROTTLED)),
            CallError::Refused { status, message, .. } => failed(&format!("symphony-{status}"), &message),
            CallError::Unclear(why) => Attempt::Ended(Outcome::Unknown { why }),
        }
    }

    /// After a call that changes nothing, or nothing that matters twice: an unclear end may simply be tried again.
    fn not_begun(&self, error: CallError) -> Attempt {
        match error {
            CallError::Unclear(why) => self.not_yet(why, SOON),
            certain => self.ended(certain),
        }
    }

    fn not_yet(&self, why: String, wait: Span) -> Attempt {
        Attempt::NotYet { why, not_before: self.clock.now() + wait }
    }
}

/// Writes an attachment down while its Base64 text comes in. `Err`: the connection broke.
async fn taken_in(mut answer: reqwest::Response, media: &Media, vault: &Vault) -> Result<Result<Found, NotKept>, String> {
    let (mut taking, mut text) = (vault.take(media, CHAT_FILES_MAX), Base64Text::default());
    while let Some(chunk) = answer.chunk().await.map_err(|error| told(&error))? {
        let Some(bytes) = text.decoded(&chunk) else { return Ok(Err(NotKept::BrokeOff)) };
        if !taking.push(bytes).await {
            return Ok(taking.finish().await);
        }
    }
    // Fewer than four letters left over are no Base64: something is missing.
    if !text.is_at_end() { Ok(Err(NotKept::BrokeOff)) } else { Ok(taking.finish().await) }
}

/// Base64 that comes in pieces of any length, with line ends in it or without.
#[derive(Default)]
struct Base64Text {
    rest: Vec<u8>,
}

impl Base64Text {
    fn decoded(&mut self, chunk: &[u8]) -> Option<Bytes> {
        self.rest.extend(chunk.iter().filter(|letter| !letter.is_ascii_whitespace() && **letter != b'"'));
        let whole = self.rest.len() / 4 * 4;
        let bytes = STANDARD.decode(&self.rest[..whole]).ok()?;
        self.rest.drain(..whole);
        Some(Bytes::from(bytes))
    }

    fn is_at_end(&self) -> bool {
        self.rest.is_empty()
    }
}

fn done(external_id: Option<String>) -> Attempt {
    Attempt::Ended(Outcome::Done { external_id })
}

fn failed(code: &str, detail: &str) -> Attempt {
    Attempt::Ended(Outcome::Failed { code: code.to_owned(), detail: detail.to_owned() })
}

fn cannot_tell(error: &CallError) -> LookUp {
    tracing::info!(%error, "a look-up brought no answer");
    LookUp::Unclear
}

/// The wording of this complaint is nowhere documented; these words cover what has been seen.
fn name_is_taken(error: &CallError) -> bool {
    let CallError::Refused { status: 400 | 409, message, .. } = error else { return false };
    let message = message.to_lowercase();
    message.contains("name")
        && ["taken", "exist", "in use", "already", "unique", "duplicate"].iter().any(|word| message.contains(word))
}

fn bears_key(message: &PostedMessage, id: &EffectId) -> bool {
    let data = match &message.data {
        Some(Value::String(text)) => serde_json::from_str(text).unwrap_or_default(),
        Some(other) => other.clone(),
        None => Value::Null,
    };
    data["liaison"]["key"].as_str() == Some(id.as_str())
}

/// The message's data with the key by which it is found again.
fn keyed(data: &Value, id: &EffectId) -> Value {
    let mut keyed = if data.is_object() { data.clone() } else { json!({}) };
    if !keyed["liaison"].is_object() {
        keyed["liaison"] = json!({"type": "liaison.message", "version": "1"});
    }
    keyed["liaison"]["key"] = json!(id);
    keyed
}
