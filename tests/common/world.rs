//! A whole small world around the pure core: records in a map, an outbox driven by hand, a clock that is a plain value.
#![allow(dead_code)] // Each test binary uses its own part of it.
use liaison::domain::ask::Ask;
use liaison::domain::case::{Record, Records, woken};
use liaison::domain::commit::{Commit, Entry, Key, Stored};
use liaison::domain::consent::Consent;
use liaison::domain::contact::{Contact, Listing, Pointer};
use liaison::domain::decide::{Decision, decide};
use liaison::domain::effect::*;
use liaison::domain::entitlement::{Permission, Rights};
use liaison::domain::event::*;
use liaison::domain::health::Health;
use liaison::domain::ids::*;
use liaison::domain::lane::{Due, DueState};
use liaison::domain::message::{DOUBT_HOLDS_LANE, Message, MessageState};
use liaison::domain::native::{self, Wish};
use liaison::domain::policy::*;
use liaison::domain::room::{Room, RoomState, Seat};
use liaison::domain::scene::Scene;
use liaison::domain::time::{Span, Timestamp};
use liaison::domain::words::Words;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::LazyLock;

/// A midnight, UTC.
pub const MIDNIGHT: Timestamp = Timestamp(1_799_971_200_000);
pub const ANN: &str = "+4915112345678";
pub const BEN: &str = "+4915112345699";
pub const LINE: &str = "106540352242922";
/// Jane's own number for SMS and calls.
pub const JANES_LINE: &str = "+12025550143";
/// A client in New York.
pub const SAM: &str = "+19175550123";
pub const BOT: UserId = UserId(99);
/// What `/contact add` needs for Ann on WhatsApp.
pub const ADD_ANN: &str = "/contact add Ann Lee phone=+4915112345678 email=ann@lee.de channel=whatsapp";
const PEOPLE: [(u64, &str, &str, &str); 8] = [
    (1, "jane", "Jane Doe", "jane.doe@acme.com"),
    (2, "bob", "Bob Ray", "bob.ray@acme.com"),
    (3, "eve", "Eve Fox", "eve.fox@acme.com"),
    (4, "olga", "Olga Onboarder", "olga@acme.com"),
    (5, "carl", "Carl Central", "carl@acme.com"),
    (6, "adam", "Adam Admin", "adam@acme.com"),
    (7, "nina", "Nina Nobody", "nina@acme.com"),
    (8, "cora", "Cora Compliance", "cora@acme.com"),
];

#[derive(Clone, Debug)]
pub struct Posted {
    /// `jane` for her 1:1 chat, else the room's name.
    pub place: String,
    pub stream: StreamId,
    pub id: ChatMessageId,
    pub reply: Reply,
}

#[derive(Clone, Debug)]
pub struct Sent {
    pub to: String,
    pub channel: Channel,
    pub line: LineId,
    pub message: MessageId,
    pub body: Body,
    pub wamid: Wamid,
}

/// What the provider says to a send, instead of taking it.
#[derive(Clone, Debug)]
pub enum Trouble {
    Fails(&'static str),
    /// It went out, and we never heard so.
    UnknownButSent,
    UnknownAndLost,
    NotYet(Span),
}

/// What reached the world outside.
#[derive(Clone, Debug)]
pub enum Outside {
    Posted(Posted),
    Sent(Sent),
    Opened {
        stream: StreamId,
        room: OpenRoom,
    },
    Members(Effect),
    MembersKept(Effect),
    /// Without an answer the provider refused it.
    Asked {
        act: GroupAct,
        answer: Option<String>,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fed {
    Committed,
    Before,
    Nothing,
    Soon,
    NotNow,
}

#[derive(Default)]
struct Store(BTreeMap<Key, Stored>, Option<Health>);

impl Records for Store {
    fn get(&self, key: &Key) -> Option<Stored> {
        self.0.get(key).cloned()
    }
    fn scan(&self, prefix: &str, after: Option<&str>, limit: usize) -> Vec<(Key, Stored)> {
        let from = self.0.range(Key::from_text(prefix)..);
        let found = from.take_while(|(key, _)| key.as_str().starts_with(prefix));
        let behind = found.filter(|(key, _)| after.is_none_or(|after| key.as_str() > after));
        behind.take(limit).map(|(key, stored)| (key.clone(), stored.clone())).collect()
    }
    fn health(&self) -> Option<Health> {
        self.1.clone()
    }
}

pub struct World {
    store: Store,
    version: u64,
    pub policy: Policy,
    pub now: Timestamp,
    counter: u64,
    pub posts: Vec<Posted>,
    pub sends: Vec<Sent>,
    pub entries: Vec<Entry>,
    pub members: Vec<Effect>,
    /// One for each coming send.
    pub troubles: VecDeque<Trouble>,
    /// What was asked of the provider about native groups, and what it refuses next.
    pub group_calls: Vec<GroupCall>,
    pub group_troubles: VecDeque<&'static str>,
    /// What the next call about a group is answered with, and what the earlier ones were.
    pub group_answer: Option<String>,
    pub answers: Vec<String>,
    /// Who asks to join which group, as the provider lists them.
    pub who_asks: BTreeMap<GroupId, Vec<JoinRequest>>,
    /// One for each coming file that is fetched: code and detail.
    pub file_troubles: VecDeque<(&'static str, &'static str)>,
    /// What comes in has this size.
    pub found_size: Option<u64>,
    /// No file can be had while this is set.
    pub no_files: bool,
    /// Messages to clients stay in the outbox while this is set.
    pub outbox_stands: bool,
    /// No room gets made while this is set.
    pub no_rooms: bool,
    taken_names: BTreeSet<String>,
    /// People whose 1:1 chat takes nothing: disabled, or no connection any more.
    pub gone: BTreeSet<UserId>,
    /// The platform lets the bot change no members.
    pub keeps_members: bool,
    /// What happened since somebody last looked.
    pub log: Vec<String>,
    /// All of it in one order: who reads a line depends on what was done before.
    pub outside: Vec<Outside>,
}

impl Default for World {
    fn default() -> World {
        World::new()
    }
}

impl World {
    pub fn new() -> World {
        World::with(|_| {})
    }

    pub fn with(change: impl FnOnce(&mut Policy)) -> World {
        // `LIAISON_PLANT=<fault>` with the feature: do these tests see it?
        #[cfg(feature = "planted-faults")]
        if let Ok(name) = std::env::var("LIAISON_PLANT") {
            liaison::fault::plant(Some(name.leak()));
        }
        let mut policy = policy();
        change(&mut policy);
        let mut world = World {
            store: Store::default(),
            version: 0,
            policy,
            now: MIDNIGHT + Span::hours(9),
            counter: 0,
            posts: Vec::new(),
            sends: Vec::new(),
            entries: Vec::new(),
            members: Vec::new(),
            troubles: VecDeque::new(),
            group_calls: Vec::new(),
            group_troubles: VecDeque::new(),
            group_answer: None,
            answers: Vec::new(),
            who_asks: BTreeMap::new(),
            file_troubles: VecDeque::new(),
            found_size: None,
            no_files: false,
            outbox_stands: false,
            no_rooms: false,
            taken_names: BTreeSet::new(),
            gone: BTreeSet::new(),
            keeps_members: false,
            log: Vec::new(),
            outside: Vec::new(),
        };
        for (_, short, _, _) in PEOPLE {
            world.feed(Fact::UserFound { user: person(short) });
        }
        world
    }

    // ---- what people do

    /// In the 1:1 chat with the bot; works the outbox off and tells what the bot said to it.
    pub fn says(&mut self, who: &str, text: &str) -> Vec<String> {
        let stream = direct(person(who).id);
        self.chat(who, stream, StreamKind::Direct, text, None)
    }

    pub fn in_room<'w>(&'w mut self, room: &str) -> InRoom<'w> {
        let stream = self.room(room).stream.expect("the room stands");
        InRoom { world: self, stream }
    }

    pub fn client<'w>(&'w mut self, number: &str) -> Client<'w> {
        let at = self.now;
        Client {
            world: self,
            channel: Channel::WhatsApp,
            keys: keys_of(number),
            at,
            line: LineId::new(LINE),
            quoted: None,
            group: None,
        }
    }

    pub fn chat(&mut self, who: &str, stream: StreamId, kind: StreamKind, text: &str, edits: Option<&str>) -> Vec<String> {
        let message = ChatMessageId::new(self.fresh("chat"));
        let mark = self.posts.len();
        let said = self.room_message(who, stream, kind, text, message, edits);
        self.feed(Fact::RoomMessage(said));
        self.work_off();
        self.posts[mark..].iter().map(said_as).collect()
    }

    pub fn room_message(
        &self,
        who: &str,
        stream: StreamId,
        kind: StreamKind,
        text: &str,
        message: ChatMessageId,
        edits: Option<&str>,
    ) -> RoomMessage {
        RoomMessage {
            stream,
            kind,
            message,
            author: person(who),
            text: text.to_owned(),
            mentions: Vec::new(),
            edits: edits.map(ChatMessageId::new),
            forwarded: false,
            attachments: Vec::new(),
        }
    }

    /// Presses a button of the newest question that the bot put.
    pub fn presses(&mut self, who: &str, action: &str) -> Vec<String> {
        let question = self.posts.iter().rfind(|post| post.reply.ask.is_some()).expect("a question was posted").clone();
        self.presses_on(&question, who, action)
    }

    pub fn presses_on(&mut self, question: &Posted, who: &str, action: &str) -> Vec<String> {
        self.submits(question, who, json!({ "action": action }))
    }

    pub fn submits(&mut self, question: &Posted, who: &str, values: Value) -> Vec<String> {
        let mark = self.posts.len();
        let values: Map<String, Value> = values.as_object().cloned().expect("fields by name");
        self.feed(Fact::FormSent(FormSent {
            stream: question.stream.clone(),
            form_message: question.id.clone(),
            form: "confirm".to_owned(),
            values,
            by: person(who),
        }));
        self.work_off();
        self.posts[mark..].iter().map(said_as).collect()
    }

    /// The newest question that the bot put.
    pub fn question(&self) -> Posted {
        self.posts.iter().rfind(|post| post.reply.ask.is_some()).expect("a question was posted").clone()
    }

    pub fn deletes(&mut self, who: &str, room: &str, message: &str) -> Vec<String> {
        let stream = self.room(room).stream.expect("the room stands");
        let mark = self.posts.len();
        self.feed(Fact::MessageSuppressed { stream, message: ChatMessageId::new(message), by: person(who) });
        self.work_off();
        self.posts[mark..].iter().map(said_as).collect()
    }

    /// In the room's own settings, by its owner.
    pub fn member(&mut self, room: &str, who: &str, change: MemberChange) {
        let room = self.room(room);
        let by = person(&room.owner().map_or("jane".to_owned(), short));
        let stream = room.stream.expect("the room stands");
        self.feed(Fact::MembersChanged { stream, user: person(who), change, by });
        self.work_off();
    }

    /// Another room on the platform bears this name.
    pub fn take_name(&mut self, name: &str) {
        self.taken_names.insert(name.to_owned());
    }

    /// Somebody changes what the bot itself is in the room.
    pub fn bots_seat(&mut self, room: &str, by: &str, change: MemberChange) {
        let stream = self.room(room).stream.expect("the room stands");
        let bot = Person { id: BOT, name: "Liaison".to_owned(), email: None, service: false };
        self.feed(Fact::MembersChanged { stream, user: bot, change, by: person(by) });
        self.work_off();
    }

    pub fn activates(&mut self, stream: StreamId, by: &str, active: bool) {
        self.feed(Fact::RoomActive { stream, active, by: person(by) });
        self.work_off();
    }

    pub fn revoke(&mut self, who: &str) {
        let email = person(who).email.expect("our people have one");
        self.put(&Rights { email, ..Rights::default() });
    }

    /// The provider tells about the newest message that went to this number.
    pub fn reports(&mut self, number: &str, status: Delivery) {
        let sent = self.sends.iter().rfind(|sent| sent.to == number).expect("something was sent").clone();
        self.reports_on(&sent, status, self.now);
    }

    pub fn reports_on(&mut self, sent: &Sent, status: Delivery, at: Timestamp) {
        let told = DeliveryReported {
            channel: sent.channel,
            line: sent.line.clone(),
            id: sent.wamid.clone(),
            ours: Some(sent.message.clone()),
            status,
            recipient: keys_of(&sent.to),
            participant: None,
            price_category: None,
            price_type: None,
        };
        let id = self.fresh("status");
        self.feed_as(&id, at, Fact::DeliveryReported(told));
        self.work_off();
    }

    // ---- time

    /// Time goes on, with everything that wants to be woken on the way.
    pub fn passes(&mut self, span: Span) {
        let until = self.now + span;
        self.work_off();
        while let Some(next) = self.next_moment().filter(|at| *at <= until) {
            self.now = self.now.max(next);
            self.wake();
            self.work_off();
        }
        self.now = until;
        self.work_off();
    }

    fn next_moment(&self) -> Option<Timestamp> {
        let wakes = self.store.scan("wake/", None, 1);
        let wake = wakes.first().and_then(|(key, _)| woken(key)).map(|(at, _)| at);
        let dues = self.dues();
        let due = dues.iter().filter_map(|due| match due.state {
            DueState::Waiting { not_before } if not_before > self.now => Some(not_before),
            DueState::Doubtful { since } => Some(since + DOUBT_HOLDS_LANE),
            DueState::Waiting { .. } | DueState::Taken { .. } => None,
        });
        wake.into_iter().chain(due).min()
    }

    fn wake(&mut self) {
        for (key, _) in self.store.scan("wake/", None, 1_000) {
            if woken(&key).is_some_and(|(at, _)| at <= self.now) {
                self.feed(Fact::TimeCame { wake: key.clone() });
                assert!(!self.store.0.contains_key(&key), "a wake-up that was served is over: {}", key.as_str());
            }
        }
        for due in self.dues() {
            if matches!(due.state, DueState::Doubtful { since } if self.now >= since + DOUBT_HOLDS_LANE) {
                self.feed(Fact::DoubtIsOld { key: due.key() });
            }
        }
    }

    // ---- the outbox

    pub fn dues(&self) -> Vec<Due> {
        let all = self.store.scan(Due::PREFIX, None, 100_000);
        all.iter().map(|(_, stored)| serde_json::from_slice(&stored.value).unwrap()).collect()
    }

    /// Takes the head of each lane, performs it, tells how it ended, until nothing more may go now.
    pub fn work_off(&mut self) {
        while let Some(due) = self.next_due() {
            let key = due.key();
            self.feed(Fact::EffectWanted { key: key.clone(), attempt: due.attempt, text: None });
            let Some(taken) = self.get::<Due>(&key) else { continue };
            assert!(matches!(taken.state, DueState::Taken { .. }), "an effect that is wanted is taken or gone");
            self.perform(&taken);
        }
    }

    fn next_due(&self) -> Option<Due> {
        let mut heads: BTreeMap<String, Due> = BTreeMap::new();
        for due in self.dues() {
            heads.entry(due.lane.clone()).or_insert(due);
        }
        let may_go = |due: &Due| {
            let stands = self.outbox_stands && due.lane.starts_with("to/");
            let stands = stands || (self.no_files && matches!(due.effect, Effect::Fetch(_)));
            let stands = stands || (self.no_rooms && matches!(due.effect, Effect::OpenRoom(_)));
            !stands && matches!(due.state, DueState::Waiting { not_before } if not_before <= self.now)
        };
        heads.into_values().find(may_go)
    }

    /// The next message to a client is taken, and that is where the program stops.
    pub fn take_only(&mut self) -> Option<Due> {
        let due = self.dues().into_iter().find(|due| due.lane.starts_with("to/"))?;
        self.feed(Fact::EffectWanted { key: due.key(), attempt: due.attempt, text: None });
        self.get(&due.key())
    }

    pub fn ends(&mut self, due: &Due, outcome: Outcome) {
        self.feed(Fact::EffectEnded { key: due.key(), attempt: due.attempt, outcome });
        self.work_off();
    }

    fn perform(&mut self, due: &Due) {
        let (key, attempt) = (due.key(), due.attempt);
        let outcome = match &due.effect {
            Effect::Post { place, reply } => self.post(place, reply),
            Effect::OpenRoom(room) => self.open_room(room),
            Effect::Send(send) => match self.troubles.pop_front() {
                Some(Trouble::NotYet(wait)) => {
                    let not_before = self.now + wait;
                    self.feed(Fact::EffectPutOff { key, attempt, why: "throttled".to_owned(), not_before });
                    return;
                }
                trouble => self.send(send, trouble),
            },
            Effect::Fetch(_) if self.file_troubles.front().is_some_and(|(code, _)| *code == "put off") => {
                self.file_troubles.pop_front();
                let not_before = self.now + Span::minutes(2);
                self.feed(Fact::EffectPutOff { key, attempt, why: "no connection".to_owned(), not_before });
                return;
            }
            Effect::Fetch(fetch) => self.fetch(fetch),
            Effect::Upload(upload) => self.upload(upload),
            Effect::AddMember { .. } | Effect::RemoveMember { .. } | Effect::DemoteMember { .. } if self.keeps_members => {
                self.outside.push(Outside::MembersKept(due.effect.clone()));
                Outcome::Failed { code: "symphony-403".to_owned(), detail: "no owner".to_owned() }
            }
            Effect::Group(act) => self.group(act),
            Effect::FindUser { user, .. } => match PEOPLE.into_iter().find(|(id, ..)| *id == user.0) {
                Some((_, short, ..)) => Outcome::Done { external_id: serde_json::to_string(&person(short)).ok() },
                None => Outcome::Failed { code: "symphony-no-such-user".to_owned(), detail: String::new() },
            },
            Effect::RenameRoom(rename) if rename.asked.is_some() && !self.taken_names.insert(rename.name.clone()) => {
                Outcome::Failed { code: "name-taken".to_owned(), detail: String::new() }
            }
            Effect::AddMember { .. }
            | Effect::RemoveMember { .. }
            | Effect::DemoteMember { .. }
            | Effect::RenameRoom(_)
            | Effect::DeactivateRoom { .. }
            | Effect::AcceptConnection { .. } => {
                self.members.push(due.effect.clone());
                self.outside.push(Outside::Members(due.effect.clone()));
                Outcome::Done { external_id: None }
            }
        };
        self.feed(Fact::EffectEnded { key, attempt, outcome });
    }

    fn fetch(&mut self, fetch: &Fetch) -> Outcome {
        self.log.push(format!("fetch {}", fetch.media.name));
        match self.file_troubles.pop_front() {
            Some((code, detail)) if !code.is_empty() => Outcome::Failed { code: code.to_owned(), detail: detail.to_owned() },
            Some(_) | None => {
                let found = json!({ "size": self.found_size.or(fetch.media.size).unwrap_or(3), "sha256": "ab" });
                Outcome::Done { external_id: Some(found.to_string()) }
            }
        }
    }

    fn group(&mut self, act: &GroupAct) -> Outcome {
        self.group_calls.push(act.call.clone());
        match self.group_troubles.pop_front() {
            Some(code) => {
                self.outside.push(Outside::Asked { act: act.clone(), answer: None });
                Outcome::Failed { code: code.to_owned(), detail: "no".to_owned() }
            }
            None => {
                let listed = match &act.call {
                    GroupCall::Requests { group } => self.who_asks.get(group),
                    _ => None,
                };
                let listed = listed.map(|requests| serde_json::to_string(requests).unwrap());
                let answer = self.group_answer.take().or(listed).unwrap_or_else(|| self.fresh("answer"));
                self.answers.push(answer.clone());
                self.outside.push(Outside::Asked { act: act.clone(), answer: Some(answer.clone()) });
                Outcome::Done { external_id: Some(answer) }
            }
        }
    }

    fn upload(&mut self, upload: &Upload) -> Outcome {
        self.log.push(format!("upload {}", upload.media.name));
        Outcome::Done { external_id: Some(self.fresh("upload")) }
    }

    fn post(&mut self, place: &Place, reply: &Reply) -> Outcome {
        let (stream, name) = match place {
            Place::Stream(stream) => (stream.clone(), self.name_of(stream)),
            Place::Direct(user) => (direct(*user), short(*user)),
            Place::DirectByEmail(email) => (StreamId::new(format!("im-{email}")), email.clone()),
            Place::Room(key) => return Outcome::Failed { code: "no-room".to_owned(), detail: key.to_string() },
        };
        let refused = match place {
            Place::Direct(user) if self.gone.contains(user) => Some("symphony-no-such-user"),
            Place::Stream(_) if self.is_locked_out(&stream) => Some("symphony-403"),
            Place::Stream(_) | Place::Direct(_) | Place::DirectByEmail(_) | Place::Room(_) => None,
        };
        if let Some(code) = refused {
            return Outcome::Failed { code: code.to_owned(), detail: "no".to_owned() };
        }
        let id = ChatMessageId::new(self.fresh("post"));
        let posted = Posted { place: name, stream, id: id.clone(), reply: reply.clone() };
        self.log.push(format!("{}: {}", posted.place, said_as(&posted)));
        self.outside.push(Outside::Posted(posted.clone()));
        self.posts.push(posted);
        Outcome::Done { external_id: Some(id.0) }
    }

    /// The bot is not in that room.
    fn is_locked_out(&self, stream: &StreamId) -> bool {
        let key: Option<Pointer> = self.get(&Key::new("stream", stream));
        let room: Option<Room> = key.and_then(|pointer| self.get(&Key::new("room", pointer.to)));
        room.is_some_and(|room| room.bot == Seat::Outside)
    }

    fn name_of(&self, stream: &StreamId) -> String {
        if let Some(id) = stream.as_str().strip_prefix("im-").and_then(|id| id.parse().ok()) {
            return short(UserId(id));
        }
        let key: Option<Pointer> = self.get(&Key::new("stream", stream));
        let room: Option<Room> = key.and_then(|pointer| self.get(&Key::new("room", pointer.to)));
        room.map_or_else(|| stream.to_string(), |room| room.name)
    }

    fn open_room(&mut self, room: &OpenRoom) -> Outcome {
        let name = [Some(&room.name), room.otherwise.as_ref()].into_iter().flatten();
        let Some(name) = name.into_iter().find(|name| !self.taken_names.contains(*name)).cloned() else {
            return Outcome::Failed { code: "name-taken".to_owned(), detail: String::new() };
        };
        self.taken_names.insert(name.clone());
        self.log.push(format!("room {name}"));
        let stream = StreamId::new(format!("stream-{}", room.key));
        let answer = format!("{stream}\n{name}");
        self.outside.push(Outside::Opened { stream, room: OpenRoom { name, ..room.clone() } });
        Outcome::Done { external_id: Some(answer) }
    }

    fn send(&mut self, send: &Send, trouble: Option<Trouble>) -> Outcome {
        let why = || "the connection broke".to_owned();
        match trouble {
            Some(Trouble::Fails(code)) => return Outcome::Failed { code: code.to_owned(), detail: "no".to_owned() },
            Some(Trouble::UnknownAndLost) => return Outcome::Unknown { why: why() },
            Some(Trouble::UnknownButSent) | Some(Trouble::NotYet(_)) | None => {}
        }
        let wamid = Wamid::new(self.fresh("wamid"));
        let to = send.to.phone.as_ref().map(|phone| phone.e164().to_owned()).or(send.to.user_id.clone());
        let to = send.to.group.as_ref().map(|group| group.to_string()).or(to).unwrap_or_default();
        self.log.push(format!("{} {to}: {}", send.channel.key(), read_as(&send.body)));
        let sent = Sent {
            to,
            channel: send.channel,
            line: send.line.clone(),
            message: send.message.clone(),
            body: send.body.clone(),
            wamid: wamid.clone(),
        };
        self.outside.push(Outside::Sent(sent.clone()));
        self.sends.push(sent);
        match trouble {
            Some(Trouble::UnknownButSent) => Outcome::Unknown { why: why() },
            Some(_) | None => Outcome::Done { external_id: Some(wamid.0) },
        }
    }

    // ---- events

    pub fn fresh(&mut self, kind: &str) -> String {
        self.counter += 1;
        format!("{kind}-{}", self.counter)
    }

    pub fn feed(&mut self, fact: Fact) -> Fed {
        let id = self.fresh("event");
        self.feed_as(&id, self.now, fact)
    }

    pub fn feed_as(&mut self, id: &str, at: Timestamp, fact: Fact) -> Fed {
        let event = Event { id: EventId::new(id), at, fact, raw: None };
        let last_try = false;
        match decide(&self.store, &self.policy, self.now, &event, last_try) {
            Decision::Commit(commit) => {
                self.apply(*commit);
                Fed::Committed
            }
            Decision::Before => Fed::Before,
            Decision::Nothing => Fed::Nothing,
            Decision::Soon => Fed::Soon,
            Decision::NotNow => Fed::NotNow,
        }
    }

    fn apply(&mut self, commit: Commit) {
        for (key, version) in &commit.read {
            let stands = self.store.0.get(key).map_or(0, |stored| stored.version);
            assert_eq!(*version, stands, "the commit names the versions that it read");
        }
        self.version += 1;
        for put in commit.puts {
            match put.value {
                Some(value) => drop(self.store.0.insert(put.key, Stored { version: self.version, value })),
                None => drop(self.store.0.remove(&put.key)),
            }
        }
        self.entries.extend(commit.entries);
    }

    // ---- what stands in the records

    /// Something that a command would do, done to this room, and everything that follows from it.
    pub fn in_scene(&mut self, act: impl FnOnce(&mut Scene, &RoomKey), room: &str) {
        let key = self.room(room).key;
        self.directly(|scene| act(scene, &key));
    }

    fn directly(&mut self, act: impl FnOnce(&mut Scene)) {
        let id = EventId(self.fresh("direct"));
        let event = Event { id, at: self.now, fact: Fact::OfNoConcern { what: String::new() }, raw: None };
        let commit = {
            let mut scene = Scene::new(&self.store, &self.policy, self.now, &event);
            act(&mut scene);
            scene.into_commit()
        };
        self.apply(commit);
        self.work_off();
    }

    pub fn native_group(&mut self, name: &str, contacts: &[ContactId], owner: &str) {
        let owner = person(owner).id;
        self.directly(|scene| {
            let wish = Wish { name, contacts, owner, colleagues: &[], asked_by: owner, answer: None, ask: None };
            assert!(native::create(scene, wish).is_ok());
        });
    }

    pub fn removes_from_group(&mut self, room: &str, number: &str) {
        let contact = self.contact(number);
        self.in_scene(|scene, key| native::remove(scene, key, &contact), room);
    }

    /// A status of a group's message for one of its members.
    pub fn reports_for(&mut self, sent: &Sent, participant: &str, status: Delivery) {
        let told = DeliveryReported {
            channel: sent.channel,
            line: sent.line.clone(),
            id: sent.wamid.clone(),
            ours: Some(sent.message.clone()),
            status,
            recipient: ClientKeys::default(),
            participant: Some(participant.to_owned()),
            price_category: None,
            price_type: None,
        };
        self.feed(Fact::DeliveryReported(told));
        self.work_off();
    }

    pub fn get<R: Record>(&self, key: &Key) -> Option<R> {
        self.store.get(key).map(|stored| serde_json::from_slice(&stored.value).unwrap())
    }
    /// What whoever runs the bot knows of it.
    pub fn does(&mut self, health: Health) {
        self.store.1 = Some(health);
    }
    /// Past every rule: how a test sets its stage.
    pub fn put<R: Record>(&mut self, record: &R) {
        self.version += 1;
        let value = serde_json::to_vec(record).unwrap();
        self.store.0.insert(record.key(), Stored { version: self.version, value });
    }
    pub fn point(&mut self, key: Key, to: &str) {
        self.put(&Pointer::new(key, to));
    }
    pub fn remove(&mut self, key: &Key) {
        self.store.0.remove(key);
    }
    /// All records as text, but for what every event leaves: who said it, seen keys, the answer on its way.
    pub fn records(&self) -> BTreeMap<String, String> {
        const TRACES: [&str; 6] = ["seen/", "out/", "outlane/", "user/", "useremail/", "asked/"];
        let kept = self.store.0.iter().filter(|(key, _)| !TRACES.iter().any(|kind| key.as_str().starts_with(kind)));
        kept.map(|(key, stored)| (key.as_str().to_owned(), String::from_utf8_lossy(&stored.value).into_owned())).collect()
    }
    pub fn all<R: Record>(&self, prefix: &str) -> Vec<R> {
        let found = self.store.scan(prefix, None, usize::MAX);
        found.iter().map(|(_, stored)| serde_json::from_slice(&stored.value).unwrap()).collect()
    }
    pub fn contact(&self, number: &str) -> Contact {
        self.find_contact(number).expect("the contact is known")
    }
    pub fn find_contact(&self, number: &str) -> Option<Contact> {
        let pointer: Pointer = self.get(&Key::new("phone", number))?;
        self.get(&Key::new("contact", pointer.to))
    }
    pub fn consent(&self, number: &str) -> Consent {
        self.contact(number).consent(Channel::WhatsApp)
    }
    pub fn set_consent(&mut self, number: &str, consent: Consent) {
        let mut contact = self.contact(number);
        contact.on_mut(Channel::WhatsApp).consent = consent;
        self.put(&contact);
    }
    pub fn listing(&self, who: &str, number: &str) -> Option<Listing> {
        self.get(&Listing::key_of(person(who).id, &self.contact(number).id))
    }
    /// REMOVED, as `/contact remove` leaves it: off the list, the evidence kept.
    pub fn unlist(&mut self, who: &str, number: &str) {
        let mut contact = self.contact(number);
        contact.listed_by.remove(&person(who).id);
        self.remove(&Listing::key_of(person(who).id, &contact.id));
        self.put(&contact);
    }
    pub fn rooms(&self) -> Vec<Room> {
        self.all("room/")
    }
    pub fn room(&self, name: &str) -> Room {
        let rooms = self.rooms();
        let live = rooms.iter().find(|room| room.name == name && room.state != RoomState::Deactivated);
        live.unwrap_or_else(|| panic!("no room {name}")).clone()
    }
    pub fn has_room(&self, name: &str) -> bool {
        self.rooms().iter().any(|room| room.name == name && room.is_live())
    }
    /// The advisors' messages with their states, oldest first.
    pub fn messages(&self) -> Vec<(String, String)> {
        let mut all: Vec<Message> = self.all("message/");
        all.retain(|message| message.advisor().is_some());
        // Several may be of one moment: the journal knows which came first.
        let accepted = |message: &Message| {
            self.entries.iter().position(|entry| entry.kind == "message.accepted" && entry.message.as_ref() == Some(&message.id))
        };
        all.sort_by_key(accepted);
        all.iter().map(|message| (read_as(&message.body), state_as(&message.state))).collect()
    }
    pub fn message(&self, text: &str) -> Message {
        let all: Vec<Message> = self.all("message/");
        let mut found: Vec<Message> = all.into_iter().filter(|message| read_as(&message.body) == text).collect();
        found.sort_by_key(|message| message.order);
        found.pop().unwrap_or_else(|| panic!("no message {text}"))
    }
    pub fn state_of(&self, text: &str) -> String {
        state_as(&self.message(text).state)
    }
    pub fn asks(&self) -> Vec<Ask> {
        self.all("ask/")
    }
    pub fn kinds(&self) -> Vec<&str> {
        self.entries.iter().map(|entry| entry.kind.as_str()).collect()
    }

    // ---- what people read

    /// Everything that this client read, oldest first.
    pub fn sent_to(&self, number: &str) -> Vec<String> {
        self.sends.iter().filter(|sent| sent.to == number).map(|sent| read_as(&sent.body)).collect()
    }
    /// What the bot said here (`jane`, or a room's name), oldest first, as code and reason.
    pub fn told(&self, place: &str) -> Vec<String> {
        self.posts.iter().filter(|post| post.place == place).map(said_as).collect()
    }
    pub fn last_told(&self, place: &str) -> String {
        self.told(place).pop().unwrap_or_default()
    }
    pub fn last_reply(&self, place: &str) -> Reply {
        self.posts.iter().rfind(|post| post.place == place).expect("something was said here").reply.clone()
    }

    // ---- stages that many tests begin on

    /// Ann was onboarded by Jane with a room; the invitation is out.
    pub fn invited(change: impl FnOnce(&mut Policy)) -> World {
        let mut world = World::with(change);
        world.says("jane", &format!("{ADD_ANN} --room"));
        world.passes(Span::minutes(1));
        world
    }

    /// And she has said yes.
    pub fn agreed(change: impl FnOnce(&mut Policy)) -> World {
        let mut world = World::invited(change);
        world.client(ANN).taps("consent:yes");
        world.passes(Span::minutes(1));
        world
    }
}

pub struct InRoom<'w> {
    world: &'w mut World,
    stream: StreamId,
}

impl InRoom<'_> {
    pub fn says(self, who: &str, text: &str) -> Vec<String> {
        self.world.chat(who, self.stream, StreamKind::Room, text, None)
    }
    /// Tells the id of the message, for later edits.
    pub fn says_and_keeps(self, who: &str, text: &str) -> String {
        self.world.chat(who, self.stream, StreamKind::Room, text, None);
        let message = self.world.message(text);
        message.chat_message.expect("it came from the chat").0
    }
    /// Files as the platform tells of them, with their sizes; gives the id of the message.
    pub fn sends_files(self, who: &str, text: &str, files: &[(&str, u64)]) -> String {
        let message = ChatMessageId::new(self.world.fresh("chat"));
        let said = self.world.room_message(who, self.stream, StreamKind::Room, text, message.clone(), None);
        let attached =
            |(name, size): &(&str, u64)| Attached { id: format!("internal_{name}"), name: (*name).to_owned(), size: Some(*size) };
        let attachments = files.iter().map(attached).collect();
        self.world.feed(Fact::RoomMessage(RoomMessage { attachments, ..said }));
        self.world.work_off();
        message.0
    }
    pub fn edits(self, who: &str, original: &str, text: &str) -> Vec<String> {
        self.world.chat(who, self.stream, StreamKind::Room, text, Some(original))
    }
}

pub struct Client<'w> {
    world: &'w mut World,
    channel: Channel,
    keys: ClientKeys,
    at: Timestamp,
    line: LineId,
    quoted: Option<Wamid>,
    group: Option<String>,
}

impl Client<'_> {
    pub fn in_group(mut self, group: &str) -> Self {
        self.group = Some(group.to_owned());
        self
    }
    /// By the provider's clock.
    pub fn at(mut self, at: Timestamp) -> Self {
        self.at = at;
        self
    }
    pub fn on_line(mut self, line: &str) -> Self {
        self.line = LineId::new(line);
        self
    }
    /// On Jane's own number.
    pub fn by_sms(mut self) -> Self {
        self.channel = Channel::Sms;
        self.line = LineId::new(JANES_LINE);
        self.keys.wa_id = None;
        self
    }
    pub fn quoting(mut self, wamid: &Wamid) -> Self {
        self.quoted = Some(wamid.clone());
        self
    }
    pub fn called(mut self, name: &str) -> Self {
        self.keys.profile_name = Some(name.to_owned());
        self
    }
    pub fn with_keys(mut self, keys: ClientKeys) -> Self {
        self.keys = keys;
        self
    }
    pub fn writes(self, text: &str) -> Vec<String> {
        self.sends(Content::Text(text.to_owned()))
    }
    pub fn taps(self, payload: &str) -> Vec<String> {
        self.sends(Content::Button { payload: payload.to_owned(), text: "a button".to_owned() })
    }
    /// Tells what the client read in answer.
    pub fn sends(self, content: Content) -> Vec<String> {
        let mark = self.world.sends.len();
        let id = Wamid::new(self.world.fresh("wamid.in"));
        let said = ClientMessage {
            channel: self.channel,
            line: self.line,
            id,
            from: self.keys,
            content,
            quoted: self.quoted,
            group: self.group,
        };
        let event = self.world.fresh("event");
        self.world.feed_as(&event, self.at, Fact::ClientMessage(said));
        self.world.work_off();
        self.world.sends[mark..].iter().map(|sent| read_as(&sent.body)).collect()
    }
}

// ---- words for things

pub fn read_as(body: &Body) -> String {
    match body {
        Body::Text(text) => text.clone(),
        Body::Media { file, caption } => format!("[{}] {}", file.name, caption.as_deref().unwrap_or_default()).trim().to_owned(),
        Body::Template { name, .. } => format!("<{name}>"),
        Body::Wording { name, .. } => name.clone(),
        Body::Question { name, .. } => format!("[{name}]"),
    }
}

pub fn state_as(state: &MessageState) -> String {
    match state {
        MessageState::Held { gate } => format!("held({gate})"),
        MessageState::Withdrawn { reason } => format!("withdrawn({reason})"),
        MessageState::Failed { code } => format!("failed({code})"),
        MessageState::Ready
        | MessageState::Taken
        | MessageState::Doubtful { .. }
        | MessageState::Sent
        | MessageState::Delivered
        | MessageState::Read
        | MessageState::Unconfirmed
        | MessageState::Expired
        | MessageState::Cancelled => state.name().to_owned(),
    }
}

/// The fixed code of INTERFACES §5 and its reason; a client's line with its words.
pub fn said_as(posted: &Posted) -> String {
    let reply = &posted.reply;
    let code = serde_json::to_value(reply.code).unwrap();
    let code = code.as_str().unwrap_or_default().to_owned();
    let word = |name: &str| reply.vars.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    match (&reply.reason, reply.code) {
        (_, Code::ClientMessage) => format!("{code} {}: {}", word("name"), word("text")),
        (Some(reason), _) => format!("{code}({reason})"),
        (None, Code::Info | Code::Answer | Code::Confirm | Code::Notice) => format!("{code} {}", reply.template),
        (None, _) => code,
    }
}

pub fn person(short: &str) -> Person {
    let (id, _, name, email) =
        PEOPLE.into_iter().find(|(_, known, _, _)| *known == short).unwrap_or_else(|| panic!("who is {short}?"));
    Person { id: UserId(id), name: name.to_owned(), email: Some(email.to_owned()), service: false }
}

fn short(user: UserId) -> String {
    PEOPLE.into_iter().find(|(id, ..)| *id == user.0).map_or_else(|| format!("user {user}"), |(_, short, _, _)| short.to_owned())
}

fn direct(user: UserId) -> StreamId {
    StreamId::new(format!("im-{user}"))
}

pub fn keys_of(number: &str) -> ClientKeys {
    let phone = Phone::from_e164(number);
    let wa_id = phone.as_ref().map(|phone| phone.digits().to_owned());
    let user_id = phone.is_none().then(|| number.to_owned());
    ClientKeys { phone, wa_id, user_id, profile_name: None }
}

/// Jane has an own number for SMS.
pub fn direct_line(policy: &mut Policy) {
    let advisor = person("jane").email;
    policy.lines.push(Line { channel: Channel::Sms, advisor, ..line(JANES_LINE, JANES_LINE) });
}

pub fn line(id: &str, number: &str) -> Line {
    let number = Phone::from_e164(number).unwrap();
    Line {
        id: LineId::new(id),
        channel: Channel::WhatsApp,
        number,
        name: "Acme Wealth".to_owned(),
        advisor: None,
        forward_to: None,
    }
}

fn rights(short: &str, bundle: &str, sub_org: &str) -> (String, Rights) {
    let email = person(short).email.unwrap();
    let permissions = Permission::parse_many(bundle).unwrap();
    (email.clone(), Rights::new(&email, &Channel::ALL, &permissions, sub_org))
}

/// Read once: a test may need a thousand worlds.
static WORDS: LazyLock<Words> =
    LazyLock::new(|| Words::parse(&std::fs::read_to_string("templates/keywords.toml").unwrap()).unwrap());

pub fn policy() -> Policy {
    let template = |own: &[&str]| {
        let all = ["contact.first", "advisor.name", "firm"].iter().chain(own);
        BTreeMap::from([("en".to_owned(), all.map(|name| (*name).to_owned()).collect::<Vec<_>>())])
    };
    Policy {
        firm: "Acme Wealth".to_owned(),
        default_region: "US".to_owned(),
        time_zone: "UTC".to_owned(),
        bot: BOT,
        lines: vec![line(LINE, "+15550783881")],
        whatsapp_consent: ConsentRule::Explicit,
        sms_consent: SmsConsent::Us,
        sms_welcome: SmsWelcome::Always,
        keyword_replies: KeywordReplies::Provider,
        stop_scope: StopScope::Channel,
        unknown_sender: UnknownSender::Onboard,
        default_advisors: vec!["jane.doe@acme.com".to_owned()],
        onboarding_per_hour: 20,
        onboarding_per_prefix: 5,
        resend_after: Span::hours(24),
        waiting_notice: true,
        held_expiry: Span::days(14),
        held_max: 20,
        quiet_hours: None,
        rooms_per_line: RoomsPerLine::Many,
        group_relay: GroupRelay::All,
        native_groups: true,
        sub_orgs: BTreeMap::new(),
        advisors: BTreeMap::from([
            rights("jane", "advisor", "Private Clients"),
            rights("bob", "advisor", "Private Clients"),
            rights("eve", "advisor", "Retail"),
            rights("olga", "onboarder", "Private Clients"),
            rights("carl", "advisor-central", "Private Clients"),
            rights("adam", "admin", "Private Clients"),
            rights("cora", "compliance", "Private Clients"),
        ]),
        words: WORDS.clone(),
        templates: BTreeMap::from([
            ("follow_up".to_owned(), template(&[])),
            ("document_ready".to_owned(), template(&["document"])),
            ("liaison_invitation".to_owned(), template(&[])),
        ]),
        filed: BTreeMap::new(),
        languages: BTreeSet::from(["en".to_owned(), "de".to_owned()]),
    }
}
