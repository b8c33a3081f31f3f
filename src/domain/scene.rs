//! All that a decision may look at (records, time, policy), and the sheet on which it writes what follows.
use super::ask::{About, Ask};
use super::case::{Case, Record, Records, Written};
use super::commit::{Commit, Entry, Key, Raw};
use super::consent::{Consent, Turn};
use super::contact::{Contact, Listing, Pointer, Turned};
use super::effect::*;
use super::entitlement::{Permission, Rights, User};
use super::event::{Event, Person};
use super::ids::*;
use super::lane::{Due, DueState, Lane, OUTBOX_LANE_MAX, OutboxLane};
use super::media::{Media, Source};
use super::message::Message;
use super::policy::Policy;
use super::room::Room;
use super::time::Timestamp;
use serde_json::{Value, json};

/// Who acts without being a person.
pub const PROGRAM: &str = "liaison";
pub const CLIENT: &str = "client";

pub struct Scene<'a> {
    pub now: Timestamp,
    pub policy: &'a Policy,
    pub event: &'a Event,
    pub case: Case<'a>,
    entries: Vec<Entry>,
    /// Every effect that was made due, also for `/dryrun`.
    pub effects: Vec<Effect>,
    minted: u32,
    /// A lane of the outbox is full: the event must come again later.
    pub overfull: bool,
    raw_for: Option<ContactId>,
}

/// Where a scene stood before a step that may be refused.
pub struct Mark {
    written: Written,
    entries: usize,
    effects: usize,
}

impl<'a> Scene<'a> {
    pub fn new(records: &'a dyn Records, policy: &'a Policy, now: Timestamp, event: &'a Event) -> Scene<'a> {
        Scene {
            now,
            policy,
            event,
            case: Case::new(records),
            entries: Vec::new(),
            effects: Vec::new(),
            minted: 0,
            overfull: false,
            raw_for: None,
        }
    }

    // ---- steps that may be taken back

    pub fn mark(&self) -> Mark {
        Mark { written: self.case.checkpoint(), entries: self.entries.len(), effects: self.effects.len() }
    }
    pub fn back_to(&mut self, mark: Mark) -> Vec<Effect> {
        self.case.roll_back(mark.written);
        self.entries.truncate(mark.entries);
        self.effects.split_off(mark.effects)
    }

    // ---- records

    pub fn contact(&self, id: &ContactId) -> Option<Contact> {
        self.case.get(&Contact::key_of(id))
    }
    pub fn room(&self, key: &RoomKey) -> Option<Room> {
        self.case.get(&Room::key_of(key))
    }
    pub fn room_of_stream(&self, stream: &StreamId) -> Option<Room> {
        let pointer: Pointer = self.case.get(&Key::new("stream", stream))?;
        self.room(&RoomKey::new(pointer.to))
    }
    pub fn message(&self, id: &MessageId) -> Option<Message> {
        self.case.get(&Message::key_of(id)).map(Message::as_of_now)
    }
    pub fn message_of_wamid(&self, wamid: &Wamid) -> Option<Message> {
        let pointer: Pointer = self.case.get(&Key::new("wamid", wamid))?;
        self.message(&MessageId::new(pointer.to))
    }
    /// What came of one message in the chat: one for each contact, more where it bears files; in order.
    pub fn messages_of_chat(&self, chat: &ChatMessageId) -> Vec<Message> {
        let ids = self.pointer(Key::new("chatmsg", chat)).unwrap_or_default();
        ids.split(' ').filter_map(|id| self.message(&MessageId::new(id))).collect()
    }
    pub fn point_from_chat(&mut self, chat: &ChatMessageId, message: &MessageId) {
        let key = Key::new("chatmsg", chat);
        match self.pointer(key.clone()) {
            None => self.point(key, message),
            Some(ids) if ids.split(' ').any(|id| id == message.as_str()) => {}
            Some(ids) => self.point(key, format_args!("{ids} {message}")),
        }
    }
    pub fn media(&self, id: &MediaId) -> Option<Media> {
        self.case.get(&Media::key_of(id))
    }
    pub fn lane(&self, room: &RoomKey, contact: &ContactId) -> Lane {
        let lane = self.case.get(&Lane::key_of(room, contact)).or_else(|| self.first_members_lane(room, contact));
        lane.unwrap_or_else(|| Lane::empty(room, contact))
    }
    /// Where earlier versions kept what waits for a native group.
    fn first_members_lane(&self, room: &RoomKey, group: &ContactId) -> Option<Lane> {
        group.group()?;
        let first = self.room(room)?.contacts.into_iter().next()?;
        let lane: Lane = self.case.get(&Lane::key_of(room, &first))?;
        Some(Lane { contact: group.clone(), ..lane })
    }
    pub fn ask(&self, id: &AskId) -> Option<Ask> {
        self.case.get(&Ask::key_of(id))
    }
    pub fn listing(&self, user: UserId, contact: &ContactId) -> Option<Listing> {
        self.case.get(&Listing::key_of(user, contact))
    }
    /// The caller's list, at most `limit` entries.
    pub fn listings(&self, user: UserId, limit: usize) -> Vec<Listing> {
        self.case.scan(&Listing::prefix_of(user), None, limit)
    }
    pub fn pointer(&self, key: Key) -> Option<String> {
        self.case.get::<Pointer>(&key).map(|pointer| pointer.to)
    }
    pub fn point(&mut self, from: Key, to: impl std::fmt::Display) {
        self.case.put(&Pointer::new(from, to));
    }
    pub fn put<R: Record>(&mut self, record: &R) {
        self.case.put(record);
    }

    // ---- people

    /// The user as pinned at first sight; an event that tells more than we knew completes him.
    pub fn meet(&mut self, person: &Person) -> User {
        let email = person.email.as_deref().map(|e| e.trim().to_lowercase()).unwrap_or_default();
        let known: Option<User> = self.case.get(&User::key_of(person.id));
        let pinned = self.pointer(Key::new("useremail", &email));
        // An address that belongs to another id already is not believed: who acts is the user id.
        let free = !email.is_empty() && pinned.as_deref().is_none_or(|id| id == person.id.to_string());
        let mut user = known.clone().unwrap_or(User { id: person.id, name: String::new(), email: String::new() });
        if user.email.is_empty() && free {
            user.email = email.clone();
            self.point(Key::new("useremail", &email), person.id);
        }
        if !person.name.is_empty() {
            user.name = person.name.clone();
        }
        if known.as_ref() != Some(&user) {
            self.put(&user);
        }
        user
    }
    pub fn user(&self, id: UserId) -> Option<User> {
        self.case.get(&User::key_of(id))
    }
    pub fn user_by_email(&self, email: &str) -> Option<User> {
        let id = self.pointer(Key::new("useremail", email))?;
        self.user(UserId(id.parse().ok()?))
    }
    pub fn user_name(&self, id: UserId) -> String {
        self.user(id).map(|user| user.name).filter(|name| !name.is_empty()).unwrap_or_else(|| "a colleague".to_owned())
    }
    /// What he may do now: what he was given, within what his sub-organisation uses.
    pub fn rights_of_email(&self, email: &str) -> Rights {
        self.given_rights(email).within(self.policy)
    }
    /// What an admin left for this address, else what is configured; nothing by default.
    pub fn given_rights(&self, email: &str) -> Rights {
        if email.is_empty() {
            return Rights::default();
        }
        let granted: Option<Rights> = self.case.get(&Key::new("grant", email));
        granted.or_else(|| self.policy.advisors.get(email).cloned()).unwrap_or_default()
    }
    pub fn rights(&self, id: UserId) -> Rights {
        self.user(id).map(|user| self.rights_of_email(&user.email)).unwrap_or_default()
    }
    /// That of the room, whose settings hold in it.
    pub fn sub_org_of(&self, room: &RoomKey) -> String {
        self.room(room).map(|room| room.sub_org).unwrap_or_default()
    }
    pub fn actor(&self, id: UserId) -> String {
        self.user(id).filter(|u| !u.email.is_empty()).map(|u| u.email).unwrap_or_else(|| format!("user {id}"))
    }
    /// Those who are told what concerns the whole installation.
    pub fn admins(&self) -> Vec<Place> {
        let configured = self.policy.advisors.keys().cloned();
        let granted = self.case.scan::<Rights>("grant/", None, 200).into_iter().map(|rights| rights.email);
        let mut emails: Vec<String> = configured.chain(granted).collect();
        emails.sort();
        emails.dedup();
        emails.retain(|email| self.rights_of_email(email).may(Permission::Admin, None));
        emails.into_iter().map(|email| self.place_of_email(&email)).collect()
    }
    pub fn place_of_email(&self, email: &str) -> Place {
        match self.user_by_email(email) {
            Some(user) => Place::Direct(user.id),
            None => Place::DirectByEmail(email.to_owned()),
        }
    }

    // ---- names for new things

    /// A short id that no record bears yet: `prefix` and 8 Crockford characters made from the event's id.
    pub fn mint(&mut self, prefix: &str, taken: impl Fn(&Scene, &str) -> bool) -> String {
        loop {
            self.minted += 1;
            let id = format!("{prefix}-{}", crockford(&self.event.id, self.minted));
            if !taken(self, &id) {
                return id;
            }
        }
    }
    pub fn new_contact_id(&mut self) -> ContactId {
        ContactId(self.mint("c", |scene, id| scene.case.holds(&Key::new("contact", id))))
    }
    pub fn new_message_id(&mut self) -> MessageId {
        let known = |scene: &Scene, id: &str| ["message", "inbound"].iter().any(|kind| scene.case.holds(&Key::new(kind, id)));
        MessageId(self.mint("m", known))
    }
    pub fn new_media_id(&mut self) -> MediaId {
        MediaId(self.mint("f", |scene, id| scene.case.holds(&Key::new("media", id))))
    }
    pub fn new_room_key(&mut self) -> RoomKey {
        RoomKey(self.mint("r", |scene, id| scene.case.holds(&Key::new("room", id))))
    }
    pub fn new_ask(&mut self, asked: Option<UserId>, place: &Place, about: About, contact: Option<&ContactId>) -> Ask {
        let id = AskId(self.mint("q", |scene, id| scene.case.holds(&Key::new("ask", id))));
        Ask { id, asked, place: place.clone(), about, contact: contact.cloned(), expires_at: None, answered: None }
    }

    // ---- what follows

    pub fn note(&mut self, entry: Entry) {
        self.entries.push(entry);
    }
    pub fn effect(&mut self, effect: Effect) {
        let lane = self.lane_for(&effect);
        let mut head: OutboxLane = self.case.get(&OutboxLane::key_of(&lane)).unwrap_or_else(|| OutboxLane::empty(&lane));
        if head.waiting >= OUTBOX_LANE_MAX {
            self.overfull = true;
            return;
        }
        let id = EffectId(format!("{}/{}", digest_of(&self.event.id), self.effects.len()));
        let due = Due {
            id,
            lane,
            place_in_lane: head.next,
            effect: effect.clone(),
            state: DueState::Waiting { not_before: self.now },
            attempt: 0,
            since: self.now,
            tried_since: None,
        };
        head.next += 1;
        head.waiting += 1;
        self.put(&head);
        self.put(&due);
        self.effects.push(effect);
    }
    fn lane_for(&self, effect: &Effect) -> String {
        match effect {
            Effect::Post { place, .. } | Effect::Fetch(Fetch { before: Before::Line(place), .. }) => match place {
                Place::Stream(stream) => match self.room_of_stream(stream) {
                    Some(room) => OutboxLane::of_place(&Place::Room(room.key)),
                    None => OutboxLane::of_place(place),
                },
                Place::Room(_) | Place::Direct(_) | Place::DirectByEmail(_) => OutboxLane::of_place(place),
            },
            Effect::Fetch(Fetch { media, before: Before::Message { channel, .. } }) => self.lane_of_chat_file(*channel, media),
            // A file that is passed on is another contact's than the one who gets it.
            Effect::Fetch(Fetch { media, before: Before::PassedOn(message) }) => self.lane_of_message(message, media),
            Effect::Fetch(Fetch { before: Before::Group(room), .. })
            | Effect::Group(GroupAct { room, call: GroupCall::Picture { .. }, .. }) => OutboxLane::of_picture(room),
            Effect::Upload(upload) => self.lane_of_message(&upload.message, &upload.media),
            Effect::Send(Send { room: Some(room), .. }) => OutboxLane::to_group(room),
            Effect::Send(send) => OutboxLane::to_contact(send.channel, &send.contact),
            Effect::OpenRoom(room) => OutboxLane::of_place(&Place::Room(room.key.clone())),
            Effect::AddMember { stream, .. }
            | Effect::RemoveMember { stream, .. }
            | Effect::DemoteMember { stream, .. }
            | Effect::RenameRoom(RenameRoom { stream, .. })
            | Effect::DeactivateRoom { stream } => match self.room_of_stream(stream) {
                Some(room) => OutboxLane::of_place(&Place::Room(room.key)),
                None => OutboxLane::of_place(&Place::Stream(stream.clone())),
            },
            Effect::AcceptConnection { user } => OutboxLane::of_place(&Place::Direct(*user)),
            Effect::Group(act) => OutboxLane::of_group(&act.room),
            Effect::FindUser { then, .. } => OutboxLane::of_place(&Place::Direct(then.caller)),
        }
    }
    /// Where the message will stand that bears it, which is written down only after it.
    fn lane_of_chat_file(&self, channel: Channel, file: &Media) -> String {
        let room = match &file.source {
            Source::Chat { stream, .. } => self.room_of_stream(stream).filter(Room::is_native),
            Source::Client { .. } => None,
        };
        room.map_or_else(|| OutboxLane::to_contact(channel, &file.contact), |room| OutboxLane::to_group(&room.key))
    }
    fn lane_of_message(&self, message: &MessageId, file: &Media) -> String {
        let message = self.message(message);
        message
            .map_or_else(|| OutboxLane::to_contact(Channel::WhatsApp, &file.contact), |message| OutboxLane::of_message(&message))
    }
    /// All that is due in this lane of the outbox, in its order. Reading the lane's head guards the list: it changes with every
    /// one of them.
    pub fn due_in(&self, lane: &str) -> Vec<Due> {
        let head: Option<OutboxLane> = self.case.get(&OutboxLane::key_of(lane));
        if head.is_none_or(|head| head.waiting == 0) {
            return Vec::new();
        }
        self.case.scan(&format!("{}{lane}/", Due::PREFIX), None, OUTBOX_LANE_MAX as usize)
    }
    /// The effect at this place of the outbox is over: it leaves its lane.
    pub fn settle(&mut self, due: &Due) {
        self.case.remove::<Due>(&due.key());
        if let Some(mut head) = self.case.get::<OutboxLane>(&OutboxLane::key_of(&due.lane)) {
            head.waiting = head.waiting.saturating_sub(1);
            self.put(&head);
        }
    }
    pub fn post(&mut self, place: Place, reply: Reply) {
        self.effect(Effect::Post { place, reply });
    }
    pub fn raw_belongs_to(&mut self, contact: &ContactId) {
        self.raw_for.get_or_insert_with(|| contact.clone());
    }

    /// Turns the consent and leaves the evidence; `None` where the turn changes nothing.
    pub fn turn_consent(&mut self, contact: &mut Contact, channel: Channel, turn: Turn, at: Timestamp, evidence: Value) -> bool {
        let any_reply = self.policy.any_reply();
        let before = contact.consent(channel);
        let Some(after) = before.after(turn, at, any_reply) else { return false };
        contact.on_mut(channel).consent = after.clone();
        if after.is_opted_in() {
            contact.on_mut(channel).ever_agreed = true;
        }
        let actor = evidence.get("actor").and_then(Value::as_str).unwrap_or(CLIENT).to_owned();
        contact.on_mut(channel).remember_turn(Turned {
            at,
            from: before.name().to_owned(),
            to: after.name().to_owned(),
            by: actor.clone(),
            how: format!("{turn:?}"),
            message: evidence.get("message").and_then(Value::as_str).map(str::to_owned),
        });
        let detail = json!({
            "channel": channel.key(), "from": before.name(), "to": after.name(), "turn": format!("{turn:?}"), "evidence": evidence,
        });
        self.note(Entry {
            kind: format!("consent.{}", consent_kind(&after, turn)),
            actor,
            provider_at: (self.event.at != self.now).then_some(at),
            contact: Some(contact.id.clone()),
            group: None,
            room: None,
            message: None,
            detail,
        });
        self.put(contact);
        true
    }

    pub fn into_commit(self) -> Commit {
        let (read, puts) = self.case.finish();
        let raw = self.event.raw.clone().map(|bytes| Raw { bytes, sealed_for: self.raw_for });
        Commit { cause: self.event.id.clone(), at: self.now, read, puts, entries: self.entries, raw }
    }
    pub fn wrote_nothing(&self) -> bool {
        self.entries.is_empty() && self.case.is_unwritten()
    }
}

fn consent_kind(after: &Consent, turn: Turn) -> &'static str {
    match (turn, after) {
        (Turn::Request, _) => "asked",
        (Turn::RequestFailed, _) => "request_failed",
        (Turn::Cleared, _) => "review_cleared",
        (Turn::Inbound, _) => "reachable_again",
        (Turn::AnotherPerson, _) => "suspended",
        (_, Consent::OptedIn { .. }) => "opted_in",
        (_, Consent::OptedOut { .. }) => "opted_out",
        (_, Consent::Review { .. }) => "review",
        (_, Consent::Unreachable { .. }) => "unreachable",
        (_, Consent::None | Consent::Pending { .. }) => "changed",
    }
}

impl Entry {
    pub fn new(kind: &str, actor: impl Into<String>) -> Entry {
        Entry {
            kind: kind.to_owned(),
            actor: actor.into(),
            provider_at: None,
            contact: None,
            group: None,
            room: None,
            message: None,
            detail: Value::Null,
        }
    }
    /// About this contact, or about a native group and no single one of its members.
    pub fn about(mut self, contact: &ContactId) -> Entry {
        let of_whom = if contact.group().is_some() { &mut self.group } else { &mut self.contact };
        *of_whom = Some(contact.clone());
        self
    }
    pub fn room(mut self, room: &RoomKey) -> Entry {
        self.room = Some(room.clone());
        self
    }
    pub fn message(mut self, message: &MessageId) -> Entry {
        self.message = Some(message.clone());
        self
    }
    pub fn told_at(mut self, at: Timestamp) -> Entry {
        self.provider_at = Some(at);
        self
    }
    pub fn detail(mut self, detail: Value) -> Entry {
        self.detail = detail;
        self
    }
}

const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

fn letters(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| char::from(ALPHABET[usize::from(byte & 31)])).collect()
}

/// 8 Crockford characters (40 bits): with a million contacts two would meet about once in two such firms, so a taken
/// name is looked for and the next one tried.
fn crockford(event: &EventId, nth: u32) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, format!("{event}#{nth}").as_bytes());
    letters(&digest.as_ref()[..8])
}

/// 24 characters (120 bits): an event's id without what it tells about people.
pub fn digest_of(event: &EventId) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, event.as_str().as_bytes());
    letters(&digest.as_ref()[..24])
}
