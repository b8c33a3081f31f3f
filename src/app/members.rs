//! After a gap the platform's rooms are compared with ours: who came, who left, who owns, what was renamed or closed
//! (INTERFACES §4). Each difference becomes the event that the datafeed would have brought.
use crate::adapters::symphony::answers::{CallError, Member, Stream};
use crate::adapters::symphony::rest::{Symphony, USERS_AT_ONCE};
use crate::adapters::symphony::url_safe;
use crate::domain::commit::{Key, Stored};
use crate::domain::contact::Pointer;
use crate::domain::event::{Event, Fact, MemberChange, Person};
use crate::domain::ids::{EventId, StreamId, UserId};
use crate::domain::room::{Room, Seat};
use crate::ports::{Clock, Inbox, Later, Receipt, Store, StoreError};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

/// Records of rooms that are read at once.
const PAGE: usize = 500;
/// What the platform or the store refuses for now is tried again after this; the pauses grow by it.
const TRY_AGAIN: Duration = Duration::from_secs(1);
const ROUNDS: u32 = 15;

#[derive(Clone)]
pub struct Members {
    pub symphony: Arc<Symphony>,
    pub store: Arc<dyn Store>,
    pub inbox: Arc<dyn Inbox>,
    pub clock: Arc<dyn Clock>,
    pub bot: UserId,
    pub stop: CancellationToken,
}

/// What differs in one room: who came is told before the room's history is read, because those people may have written
/// in it; who left, after it, for the same reason.
#[derive(Default)]
struct Differences {
    came: Vec<Event>,
    went: Vec<Event>,
}

/// One of our rooms that is open, and the version of its record.
struct Open {
    room: Room,
    stream: StreamId,
    version: u64,
}

/// Why a room could not be compared.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error("{0}")]
    Call(#[from] CallError),
    #[error("{0}")]
    Store(#[from] StoreError),
}

impl Members {
    /// Tells who came, room by room; what is to be told once the histories are read comes back.
    pub async fn compare(&self) -> Vec<Event> {
        let (mut done, mut went, mut round) = (BTreeSet::new(), Vec::new(), 0);
        while round < ROUNDS {
            match self.round(&mut done, &mut went).await {
                Ok(true) => return went,
                Ok(false) => round += 1,
                // Without the list of rooms nothing can be compared, so it is asked for until it comes.
                Err(error) => tracing::warn!(%error, "the rooms could not be compared; trying again"),
            }
            if self.pause(TRY_AGAIN * round.max(1)).await.is_none() {
                return Vec::new();
            }
        }
        tracing::error!("not all rooms could be compared; members that changed meanwhile may be unknown to the bot");
        went
    }

    /// True when every room is done.
    async fn round(&self, done: &mut BTreeSet<StreamId>, went: &mut Vec<Event>) -> Result<bool, Trouble> {
        let listed = self.symphony.streams(&["ROOM"]).await?;
        let listed: BTreeMap<StreamId, Stream> =
            listed.into_iter().filter_map(|stream| Some((StreamId(url_safe(stream.id.as_deref()?)), stream))).collect();
        let mut all = true;
        for open in self.open_rooms()? {
            if self.stop.is_cancelled() || done.contains(&open.stream) {
                continue;
            }
            match self.differences(&open, listed.get(&open.stream)).await {
                Ok(found) => {
                    self.tell(found.came).await;
                    went.extend(found.went);
                    done.insert(open.stream);
                }
                Err(error) => {
                    all = false;
                    tracing::warn!(stream = %open.stream, %error, "this room could not be compared; trying again");
                }
            }
        }
        Ok(all)
    }

    pub async fn tell(&self, events: Vec<Event>) {
        for event in events {
            while self.inbox.deliver(event.clone()).await == Receipt::NotNow && self.pause(TRY_AGAIN).await.is_some() {}
        }
    }

    fn open_rooms(&self) -> Result<Vec<Open>, StoreError> {
        let (mut open, mut after) = (Vec::new(), None::<Key>);
        loop {
            let page = self.store.scan("room/", after.as_ref().map(Key::as_str), PAGE)?;
            let Some((last, _)) = page.last() else { return Ok(open) };
            after = Some(last.clone());
            open.extend(page.iter().filter_map(|(_, stored)| Open::of(stored)));
        }
    }

    /// `listed`: the room among those that the platform says we are in.
    async fn differences(&self, open: &Open, listed: Option<&Stream>) -> Result<Differences, Trouble> {
        let Some(listed) = listed else {
            let gone = self.is_out(&open.stream).await?;
            return Ok(if gone { self.without_us(open) } else { Differences::default() });
        };
        let mut found = Differences::default();
        if let Some(name) = listed.room_attributes.name.as_ref().filter(|name| **name != open.room.name && !name.is_empty()) {
            let fact = Fact::RoomRenamed { stream: open.stream.clone(), name: name.clone(), by: Person::unknown() };
            found.came.push(self.event(open, "renamed", "", fact));
        }
        if listed.active == Some(false) {
            let fact = Fact::RoomActive { stream: open.stream.clone(), active: false, by: Person::unknown() };
            found.went.push(self.event(open, "closed", "", fact));
            return Ok(found);
        }
        let present = self.symphony.members(&open.stream).await?;
        self.compare_members(open, &present, &mut found).await?;
        Ok(found)
    }

    /// A room that is not listed may be too new or too old for the list; only the refusal to show its members tells.
    async fn is_out(&self, stream: &StreamId) -> Result<bool, CallError> {
        match self.symphony.members(stream).await {
            Ok(present) => Ok(!present.is_empty() && present.iter().all(|member| member.id != Some(self.bot.0))),
            Err(CallError::Refused { status: 403, .. }) => Ok(true),
            Err(CallError::Refused { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn without_us(&self, open: &Open) -> Differences {
        let left = self.change(open, Person { id: self.bot, ..Person::unknown() }, MemberChange::Left, open.version);
        let went = (open.room.bot != Seat::Outside).then_some(left);
        Differences { came: Vec::new(), went: went.into_iter().collect() }
    }

    async fn compare_members(&self, open: &Open, present: &[Member], found: &mut Differences) -> Result<(), Trouble> {
        let known = &open.room.members;
        let others = || present.iter().filter_map(|member| Some((UserId(member.id?), member)));
        let others = || others().filter(|(user, _)| *user != self.bot);
        let new: Vec<UserId> = others().map(|(user, _)| user).filter(|user| !known.contains_key(user)).collect();
        let people = self.who_are(&new).await?;
        for (user, member) in others() {
            let person = people.get(&user).cloned().unwrap_or(Person { id: user, ..Person::unknown() });
            let was_owner = known.get(&user).map(|member| member.owner);
            if was_owner.is_none() {
                // Whoever is shown out stays unknown here: the same stay counts once, a later one again.
                let since = member.join_date.and_then(|at| u64::try_from(at).ok()).unwrap_or(open.version);
                found.came.push(self.change(open, person.clone(), MemberChange::Joined, since));
            }
            match (was_owner.unwrap_or_default(), member.owner) {
                (false, true) => found.came.push(self.change(open, person, MemberChange::Promoted, open.version)),
                (true, false) => found.went.push(self.change(open, person, MemberChange::Demoted, open.version)),
                (true, true) | (false, false) => {}
            }
        }
        let is_there = |user: &UserId| present.iter().any(|member| member.id == Some(user.0));
        for user in known.keys().chain(&open.room.outsiders).filter(|user| !is_there(user)) {
            let person = Person { id: *user, ..Person::unknown() };
            let since = self.member_since(open, *user)?;
            found.went.push(self.change(open, person, MemberChange::Left, since));
        }
        self.own_seat(open, present, found);
        Ok(())
    }

    fn own_seat(&self, open: &Open, present: &[Member], found: &mut Differences) {
        let Some(me) = present.iter().find(|member| member.id == Some(self.bot.0)) else { return };
        let bot = || Person { id: self.bot, ..Person::unknown() };
        // The bot's own return stands last: whoever may not be there is on the way out before the room is used again.
        if open.room.bot == Seat::Outside {
            found.came.push(self.change(open, bot(), MemberChange::Joined, open.version));
        }
        match (open.room.bot, me.owner) {
            (Seat::Outside | Seat::Member, true) => {
                found.came.push(self.change(open, bot(), MemberChange::Promoted, open.version));
            }
            (Seat::Owner, false) => found.came.push(self.change(open, bot(), MemberChange::Demoted, open.version)),
            (Seat::Owner, true) | (Seat::Outside | Seat::Member, false) => {}
        }
    }

    /// Of those whom the platform will not tell the id alone is known.
    async fn who_are(&self, users: &[UserId]) -> Result<BTreeMap<UserId, Person>, CallError> {
        let mut people = BTreeMap::new();
        for some in users.chunks(USERS_AT_ONCE) {
            match self.symphony.users_by_id(some).await {
                Ok(found) => {
                    people.extend(found.iter().filter_map(|user| user.person()).map(|person| (person.id, person)));
                }
                Err(error @ CallError::Refused { .. }) => tracing::warn!(%error, "the platform does not look up members"),
                Err(error) => return Err(error),
            }
        }
        Ok(people)
    }

    /// The commit that made him a member: another stay, another number.
    fn member_since(&self, open: &Open, user: UserId) -> Result<u64, StoreError> {
        let key = Key::new("member", format_args!("{user}/{}", open.room.key));
        Ok(self.store.get(&key)?.map_or(open.version, |stored| stored.version))
    }

    fn change(&self, open: &Open, user: Person, change: MemberChange, since: u64) -> Event {
        let what = format!("{}:{since}", user.id);
        let kind = match change {
            MemberChange::Joined => "joined",
            MemberChange::Left => "left",
            MemberChange::Promoted => "promoted",
            MemberChange::Demoted => "demoted",
        };
        let fact = Fact::MembersChanged { stream: open.stream.clone(), user, change, by: Person::unknown() };
        self.event(open, kind, &what, fact)
    }

    /// The same id for the same difference: however often the rooms are compared it counts once. Where nothing else tells
    /// one time from another the record's version does, for a difference that was applied is none any more.
    fn event(&self, open: &Open, kind: &str, what: &str, fact: Fact) -> Event {
        let what = if what.is_empty() { open.version.to_string() } else { what.to_owned() };
        let id = EventId(format!("sym:compared:{}:{kind}:{what}", open.stream));
        Event { id, at: self.clock.now(), fact, raw: None }
    }

    /// `None` where the end came first.
    async fn pause(&self, span: Duration) -> Option<()> {
        self.stop.run_until_cancelled(sleep(span)).await
    }
}

impl Open {
    fn of(stored: &Stored) -> Option<Open> {
        let room: Room = serde_json::from_slice(&stored.value).ok()?;
        let stream = room.stream.clone().filter(|_| room.is_live())?;
        Some(Open { room, stream, version: stored.version })
    }
}

// ---- the bot is added again

/// Takes the datafeed's events in. While the bot was out of a room it heard nothing of it: before its return counts, the
/// room is compared, so that nobody reads along who came meanwhile (ARCHITECTURE, invariant 9).
pub struct WatchesReturns(pub Members);

impl Inbox for WatchesReturns {
    fn deliver(&self, event: Event) -> Later<'static, Receipt> {
        let members = self.0.clone();
        Box::pin(async move {
            if let Some(stream) = members.returns_to(&event)
                && let Err(error) = members.catch_up(&stream).await
            {
                tracing::warn!(%stream, %error, "the room to which the bot returns could not be compared; it comes again");
                return Receipt::NotNow;
            }
            members.inbox.deliver(event).await
        })
    }
}

impl Members {
    fn returns_to(&self, event: &Event) -> Option<StreamId> {
        match &event.fact {
            Fact::MembersChanged { stream, user, change: MemberChange::Joined, .. } if user.id == self.bot => {
                Some(stream.clone())
            }
            _ => None,
        }
    }

    async fn catch_up(&self, stream: &StreamId) -> Result<(), Trouble> {
        let Some(pointer) = self.store.get(&Key::new("stream", stream))? else { return Ok(()) };
        let Ok(pointer) = serde_json::from_slice::<Pointer>(&pointer.value) else { return Ok(()) };
        let Some(open) = self.store.get(&Key::new("room", pointer.to))?.and_then(|stored| Open::of(&stored)) else {
            return Ok(());
        };
        let present = match self.symphony.members(stream).await {
            Err(CallError::Refused { .. }) => return Ok(()),
            present => present?,
        };
        let mut found = Differences::default();
        self.compare_members(&open, &present, &mut found).await?;
        self.tell(found.came).await;
        self.tell(found.went).await;
        Ok(())
    }
}
