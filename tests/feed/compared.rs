//! After a gap, and when the bot is added again, a room's people are compared with what the bot knows of them.
use super::world::*;
use liaison::adapters::store::MemoryStore;
use liaison::adapters::symphony::answers::RoomAttributes;
use liaison::adapters::symphony::{Symphony, SymphonySettings};
use liaison::app::members::{Members, WatchesReturns};
use liaison::domain::case::Record;
use liaison::domain::commit::{Commit, Key, Put};
use liaison::domain::contact::Pointer;
use liaison::domain::event::{Event, Fact, MemberChange, Person};
use liaison::domain::ids::*;
use liaison::domain::room::{Room, RoomMember, RoomState, Seat};
use liaison::domain::time::Timestamp;
use liaison::ports::{Clock, Inbox, Later, Receipt, Store};
use liaison::sandbox::pod::Pod;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use tokio_util::sync::CancellationToken;

struct Still;

impl Clock for Still {
    fn now(&self) -> Timestamp {
        Timestamp(1_000)
    }
}

/// Everything that was delivered, in order.
#[derive(Clone, Default)]
struct Told(Arc<Mutex<Vec<Event>>>);

impl Inbox for Told {
    fn deliver(&self, event: Event) -> Later<'static, Receipt> {
        self.0.lock().unwrap().push(event);
        Box::pin(async { Receipt::Kept })
    }
}

impl Told {
    fn take(&self) -> Vec<Event> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

/// A room of the bot's on a real pod, with Jane as its second owner, who has a key of her own here.
struct Here {
    bot: UserId,
    jane: UserId,
    sam: UserId,
    as_bot: Arc<Symphony>,
    as_jane: Symphony,
    store: Arc<MemoryStore>,
    told: Told,
    room: Room,
}

impl Here {
    async fn new() -> Here {
        let pod = Pod::open(Arc::new(|| 5_000), None).unwrap();
        let key = Some(keys().1.clone());
        let bot = UserId(pod.add_user("Liaison", "", "liaison@acme.com", "liaison", true, key.clone()));
        let jane = UserId(pod.add_user("Jane", "Doe", "jane@acme.com", "jane", false, key));
        let sam = UserId(pod.add_user("Sam", "Lee", "sam@acme.com", "sam", false, None));
        let address = serve(pod.router()).await;
        let of_jane = SymphonySettings { username: "jane".to_owned(), ..settings(address.clone()) };
        let as_bot = Arc::new(Symphony::new(settings(address), Arc::new(Still)).unwrap());
        let as_jane = Symphony::new(of_jane, Arc::new(Still)).unwrap();
        let attributes = RoomAttributes { name: Some("Ann Lee".to_owned()), ..RoomAttributes::default() };
        let stream = as_bot.room_create(&attributes).await.unwrap().stream().unwrap();
        as_bot.member_add(&stream, jane).await.unwrap();
        as_bot.member_promote(&stream, jane).await.unwrap();
        let room = Room {
            key: RoomKey::new("r-1"),
            stream: Some(stream),
            name: "Ann Lee".to_owned(),
            channel: Channel::WhatsApp,
            lead: None,
            line: LineId::new("1"),
            contacts: Vec::new(),
            members: BTreeMap::from([(jane, RoomMember { name: "Jane Doe".to_owned(), owner: true })]),
            sub_org: String::new(),
            state: RoomState::Active,
            created_at: Timestamp(0),
            created_by: "liaison".to_owned(),
            last_exchange: BTreeMap::new(),
            opening: None,
            bot: Seat::Owner,
            outsiders: BTreeSet::new(),
            native: None,
            came_in: BTreeSet::new(),
            announced: BTreeSet::new(),
            files: 0,
        };
        let (store, told) = (Arc::new(MemoryStore::new()), Told::default());
        let here = Here { bot, jane, sam, as_bot, as_jane, store, told, room };
        here.put(&here.room);
        here.put(&Pointer::new(Key::new("stream", here.stream()), &here.room.key));
        here
    }

    fn stream(&self) -> &StreamId {
        self.room.stream.as_ref().unwrap()
    }

    fn put<R: Record>(&self, record: &R) {
        let key = record.key();
        let version = self.store.get(&key).unwrap().map_or(0, |stored| stored.version);
        let value = Some(serde_json::to_vec(record).unwrap());
        let commit = Commit {
            cause: EventId::new("stage"),
            at: Timestamp(1),
            read: vec![(key.clone(), version)],
            puts: vec![Put { key, value, sealed_for: None }],
            entries: Vec::new(),
            raw: None,
        };
        self.store.commit(commit).unwrap();
    }

    fn knows_sam(&mut self) {
        self.room.members.insert(self.sam, RoomMember { name: "Sam Lee".to_owned(), owner: false });
        self.put(&self.room);
        self.put(&Pointer::new(Key::new("member", format_args!("{}/r-1", self.sam)), "r-1"));
    }

    fn members(&self) -> Members {
        Members {
            symphony: Arc::clone(&self.as_bot),
            store: Arc::clone(&self.store) as Arc<dyn Store>,
            inbox: Arc::new(self.told.clone()),
            clock: Arc::new(Still),
            bot: self.bot,
            stop: CancellationToken::new(),
        }
    }

    /// What a comparing brings, first what is told at once, then the rest.
    async fn compared(&self) -> Vec<Event> {
        let members = self.members();
        let went = members.compare().await;
        members.tell(went).await;
        self.told.take()
    }
}

fn changes(events: &[Event]) -> Vec<(UserId, MemberChange)> {
    let change = |event: &Event| match &event.fact {
        Fact::MembersChanged { user, change, by, .. } if by.is_unknown() => Some((user.id, *change)),
        _ => None,
    };
    events.iter().filter_map(change).collect()
}

#[tokio::test]
async fn the_same_is_no_difference() {
    let here = Here::new().await;
    assert_eq!(here.compared().await, []);
}

#[tokio::test]
async fn who_came_is_told_with_his_name_once_for_each_stay() {
    let here = Here::new().await;
    here.as_bot.member_add(here.stream(), here.sam).await.unwrap();
    let first = here.compared().await;
    assert_eq!(changes(&first), [(here.sam, MemberChange::Joined)]);
    let Fact::MembersChanged { user, .. } = &first[0].fact else { panic!() };
    assert_eq!((user.name.as_str(), user.email.as_deref()), ("Sam Lee", Some("sam@acme.com")));
    // The record may change for other reasons meanwhile.
    here.put(&here.room);
    assert_eq!(here.compared().await[0].id, first[0].id, "the same difference is the same event");
    here.as_bot.member_remove(here.stream(), here.sam).await.unwrap();
    here.as_bot.member_add(here.stream(), here.sam).await.unwrap();
    assert_ne!(here.compared().await[0].id, first[0].id, "a later stay is another");
}

#[tokio::test]
async fn who_left_and_who_owns_is_told_once_for_each_time() {
    let mut here = Here::new().await;
    here.knows_sam();
    let first = here.compared().await;
    assert_eq!(changes(&first), [(here.sam, MemberChange::Left)]);
    here.put(&here.room);
    assert_eq!(here.compared().await[0].id, first[0].id, "the same difference is the same event");
    here.knows_sam();
    assert_ne!(here.compared().await[0].id, first[0].id, "he was in it again, and left again");
    here.as_bot.member_add(here.stream(), here.sam).await.unwrap();
    here.as_bot.member_promote(here.stream(), here.sam).await.unwrap();
    assert_eq!(changes(&here.compared().await), [(here.sam, MemberChange::Promoted)]);
}

#[tokio::test]
async fn a_name_and_a_closing_are_found_too() {
    let here = Here::new().await;
    let mut room = here.room.clone();
    room.name = "Before".to_owned();
    here.put(&room);
    here.as_bot.set_active(here.stream(), false).await.unwrap();
    let facts: Vec<Fact> = here.compared().await.into_iter().map(|event| event.fact).collect();
    let (stream, by) = (here.stream().clone(), Person::unknown());
    let renamed = Fact::RoomRenamed { stream: stream.clone(), name: "Ann Lee".to_owned(), by: by.clone() };
    assert_eq!(facts, [renamed, Fact::RoomActive { stream, active: false, by }]);
}

#[tokio::test]
async fn the_bots_own_seat_is_compared() {
    let here = Here::new().await;
    here.as_jane.member_remove(here.stream(), here.bot).await.unwrap();
    assert_eq!(changes(&here.compared().await), [(here.bot, MemberChange::Left)]);
    here.as_jane.member_add(here.stream(), here.bot).await.unwrap();
    assert_eq!(changes(&here.compared().await), [(here.bot, MemberChange::Demoted)], "back, and no owner");
    let mut room = here.room.clone();
    room.bot = Seat::Outside;
    here.put(&room);
    assert_eq!(changes(&here.compared().await), [(here.bot, MemberChange::Joined)]);
    here.as_jane.member_promote(here.stream(), here.bot).await.unwrap();
    assert_eq!(changes(&here.compared().await), [(here.bot, MemberChange::Joined), (here.bot, MemberChange::Promoted)]);
}

#[tokio::test]
async fn invariant_9_who_came_while_the_bot_was_out_is_known_before_it_is_back() {
    let mut here = Here::new().await;
    here.as_jane.member_remove(here.stream(), here.bot).await.unwrap();
    here.room.bot = Seat::Outside;
    here.put(&here.room);
    here.as_jane.member_add(here.stream(), here.sam).await.unwrap();
    here.as_jane.member_add(here.stream(), here.bot).await.unwrap();
    let person = |id: UserId| Person { id, ..Person::unknown() };
    let back = Fact::MembersChanged {
        stream: here.stream().clone(),
        user: person(here.bot),
        change: MemberChange::Joined,
        by: person(here.jane),
    };
    let event = Event { id: EventId::new("back"), at: Timestamp(1), fact: back, raw: None };
    assert_eq!(WatchesReturns(here.members()).deliver(event.clone()).await, Receipt::Kept);
    let told = here.told.take();
    assert_eq!(changes(&told), [(here.sam, MemberChange::Joined), (here.bot, MemberChange::Joined)]);
    assert_eq!(told.last(), Some(&event));
}
