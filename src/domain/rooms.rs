//! Making a room, and what follows once the platform has made it: contact → room → owner → invitation → one answer (S0-18).
use super::answers;
use super::approval;
use super::commit::{Entry, Key};
use super::consent::Consent;
use super::contact::Contact;
use super::effect::*;
use super::groups;
use super::ids::*;
use super::lane::{Due, OutboxLane};
use super::members;
use super::native::{self, Native};
use super::policy::RoomsPerLine;
use super::refusal::Refusal;
use super::room::{Opening, Room, RoomMember, RoomState, STILL_WORKING_AFTER, Seat};
use super::saying::{Asking, ask_client};
use super::scene::{PROGRAM, Scene};
use super::sending::{self};
use super::sms;
use super::time::Timestamp;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};

/// The platform refuses names of 50 characters and more.
pub const NAME_MAX: usize = 49;

pub struct Plan<'p> {
    /// `None`: the contact's name, followed by its id if that is taken.
    pub name: Option<&'p str>,
    pub channel: Channel,
    pub contacts: &'p [ContactId],
    pub owner: UserId,
    pub colleagues: &'p [UserId],
    /// Who asked; `None` when a client's message did.
    pub asked_by: Option<UserId>,
    /// Take this line (the one on which the client wrote).
    pub line: Option<&'p LineId>,
    pub invite: bool,
    pub answer: Option<(Place, Reply)>,
    pub ask: Option<AskId>,
}

/// Makes the room's record and the effect that opens it.
pub fn open(scene: &mut Scene, plan: Plan) -> Result<RoomKey, Refusal> {
    open_as(scene, plan, None)
}

/// The same with what is known of the group of WhatsApp's own that it is to bear.
pub fn open_as(scene: &mut Scene, plan: Plan, native: Option<Native>) -> Result<RoomKey, Refusal> {
    let contacts: Vec<Contact> = plan.contacts.iter().filter_map(|id| scene.contact(id)).collect();
    let sub_org = scene.rights(plan.owner).sub_org;
    let line = match plan.line {
        Some(line) => line.clone(),
        None => line_left(scene, plan.owner, plan.channel, &contacts, &sub_org)
            .ok_or_else(|| Refusal::new("no-line-left").with("channel", plan.channel.name()))?,
    };
    let key = scene.new_room_key();
    let first = contacts.first();
    let wanted = plan.name.map(str::to_owned).or_else(|| first.map(|c| sending::name_for(scene, Some(plan.owner), &c.id)));
    let name = cut(&wanted.unwrap_or_else(|| key.to_string()), NAME_MAX);
    let otherwise = match (plan.name, first) {
        (None, Some(contact)) => Some(format!("{} {}", cut(&name, NAME_MAX - 11), contact.id)),
        (Some(_), _) | (None, None) => None,
    };
    let members = members(scene, &plan);
    let invite: Vec<ContactId> = if plan.invite { plan.contacts.to_vec() } else { Vec::new() };
    let room = Room {
        key: key.clone(),
        stream: None,
        name: name.clone(),
        channel: plan.channel,
        line,
        contacts: plan.contacts.to_vec(),
        members: members.clone(),
        lead: Some(plan.owner),
        sub_org,
        state: RoomState::Opening,
        created_at: scene.now,
        created_by: plan.asked_by.map_or_else(|| PROGRAM.to_owned(), |user| scene.actor(user)),
        last_exchange: BTreeMap::new(),
        files: 0,
        opening: Some(Opening {
            asked_by: plan.asked_by,
            invite,
            say_still_working_at: plan.answer.as_ref().map(|_| scene.now + STILL_WORKING_AFTER),
            answer: plan.answer,
            ask: plan.ask,
            awaiting: Vec::new(),
            invited: 0,
            already_waiting: 0,
        }),
        bot: Seat::Owner,
        outsiders: BTreeSet::new(),
        native,
        came_in: BTreeSet::new(),
        announced: BTreeSet::new(),
    };
    scene.put(&room);
    for mut contact in contacts {
        contact.rooms.push(key.clone());
        scene.put(&contact);
    }
    for user in members.keys() {
        scene.point(Key::new("member", format_args!("{user}/{key}")), &key);
    }
    let (owners, others): (Vec<_>, Vec<_>) = members.iter().partition(|(_, member)| member.owner);
    scene.effect(Effect::OpenRoom(OpenRoom {
        key: key.clone(),
        contact: room.contacts.first().cloned(),
        name: name.clone(),
        otherwise,
        description: format!("{} · kept by {}", plan.channel.name(), scene.policy.firm),
        owners: owners.into_iter().map(|(id, _)| *id).collect(),
        members: others.into_iter().map(|(id, _)| *id).collect(),
    }));
    // Stands in the room's lane behind its making and before whatever a client has written already.
    say_room_opened(scene, &room);
    let entry = Entry::new("room.requested", room.created_by.clone()).room(&key);
    scene.note(Entry { contact: room.contacts.first().cloned(), ..entry.detail(json!({ "name": name, "members": members })) });
    Ok(key)
}

fn members(scene: &Scene, plan: &Plan) -> BTreeMap<UserId, RoomMember> {
    let mut members = BTreeMap::new();
    for user in plan.colleagues {
        members.insert(*user, RoomMember { name: scene.user_name(*user), owner: false });
    }
    members.insert(plan.owner, RoomMember { name: scene.user_name(plan.owner), owner: true });
    members
}

/// The advisor's own line, else one that is nobody's; such that rooms that share it with a contact share a sub-organisation.
pub fn line_left(scene: &Scene, owner: UserId, channel: Channel, contacts: &[Contact], sub_org: &str) -> Option<LineId> {
    let email = scene.user(owner).map(|user| user.email).unwrap_or_default();
    let mut lines: Vec<_> = scene.policy.lines_of(channel).collect();
    lines.retain(|line| line.advisor.as_deref().is_none_or(|advisor| advisor == email));
    lines.sort_by_key(|line| line.advisor.is_none());
    let fits = |line: &&&super::policy::Line| line_fits(scene, contacts, channel, &line.id, sub_org);
    lines.iter().find(fits).map(|line| line.id.clone())
}

/// The ethical wall: rooms that share a line and a contact have one sub-organisation.
pub fn line_fits(scene: &Scene, contacts: &[Contact], channel: Channel, line: &LineId, sub_org: &str) -> bool {
    let rooms = contacts.iter().flat_map(|contact| contact.rooms.iter().filter_map(|key| scene.room(key)));
    let mut sharing = rooms.filter(|room| room.is_live() && !room.is_native() && room.channel == channel && room.line == *line);
    match scene.policy.rooms_per_line {
        RoomsPerLine::Many => sharing.all(|room| room.sub_org == sub_org),
        RoomsPerLine::One => sharing.next().is_none(),
    }
}

/// A group's name may be longer than a room's: its room bears as many whole words of it as fit, and "…".
pub fn short_name(name: &str) -> String {
    let name = name.trim();
    if name.chars().count() <= NAME_MAX {
        return name.to_owned();
    }
    // The place of the "…" counts; a cut that falls between two words leaves the first whole.
    let most = name.char_indices().nth(NAME_MAX - 1).map_or(name.len(), |(at, _)| at);
    let whole = name[..most].rfind(char::is_whitespace).filter(|_| !name[most..].starts_with(char::is_whitespace));
    let end = whole.filter(|at| !name[..*at].trim().is_empty()).unwrap_or(most);
    format!("{}…", name[..end].trim_end())
}

fn cut(text: &str, most: usize) -> String {
    text.chars().take(most).collect::<String>().trim().to_owned()
}

/// The platform has made (or found) the room.
pub fn opened(scene: &mut Scene, key: &RoomKey, stream: &StreamId, name: Option<&str>) {
    let Some(mut room) = scene.room(key) else { return };
    room.stream = Some(stream.clone());
    room.state = RoomState::Active;
    if let Some(name) = name {
        room.name = name.to_owned();
    }
    scene.point(Key::new("stream", stream), key);
    scene.put(&room);
    let entry = Entry::new("room.opened", PROGRAM).room(key);
    scene.note(Entry { contact: room.contacts.first().cloned(), ..entry.detail(json!({ "stream": stream })) });
    invite(scene, room);
    native::room_opened(scene, key);
    groups::bring_in(scene, key);
    answer_if_all_is_done(scene, key);
}

fn say_room_opened(scene: &mut Scene, room: &Room) {
    if let Some(reply) = room_opened(scene, room) {
        scene.post(Place::Room(room.key.clone()), reply);
    }
}

/// The room was opened for a client's words before they counted; its first line tells how things stand with them.
pub fn tell_how_it_stands(scene: &mut Scene, key: &RoomKey) {
    let Some(room) = scene.room(key) else { return };
    let lane = OutboxLane::of_place(&Place::Room(key.clone()));
    // What this very commit has made due is in no list yet.
    let places = 0..scene.case.get::<OutboxLane>(&OutboxLane::key_of(&lane)).map_or(0, |head| head.next);
    let due = places.filter_map(|place| scene.case.get::<Due>(&Due::key_of(&lane, place))).find(says_room_opened);
    if let (Some(mut due), Some(reply)) = (due, room_opened(scene, &room)) {
        due.effect = Effect::Post { place: Place::Room(key.clone()), reply };
        scene.put(&due);
    }
}

fn says_room_opened(due: &Due) -> bool {
    matches!(&due.effect, Effect::Post { reply, .. } if reply.code == Code::RoomOpened)
}

fn room_opened(scene: &Scene, room: &Room) -> Option<Reply> {
    let contact = room.contacts.first()?;
    let names: Vec<String> = room.contacts.iter().map(|id| sending::contact_name(scene, Some(&room.key), id)).collect();
    let consent = scene.contact(contact).map(|c| c.consent(room.channel)).unwrap_or_default();
    let asks_first = scene.contact(contact).is_none_or(|c| sms::must_agree_first(scene.policy, &c, room.channel));
    let reply = Reply::new(Code::RoomOpened, "room-opened")
        .about(contact)
        .with("names", names)
        .with("native", room.is_native())
        .with("shared", groups::is_shared(scene.policy, room))
        .with("consent", consent.name())
        .with("invited", room.opening.as_ref().is_some_and(|opening| !opening.invite.is_empty()))
        .with("channel", room.channel.name())
        .with("asks_first", asks_first)
        .with("firm", scene.policy.firm.clone());
    Some(reply)
}

fn invite(scene: &mut Scene, room: Room) {
    let Some(opening) = room.opening.clone() else { return };
    let Some(actor) = opening.asked_by else { return };
    if room.channel == Channel::Sms {
        // There the welcome comes first, and the question with the first text (S2-3, S2-6).
        opening.invite.iter().for_each(|contact| sms::welcome(scene, contact, &room));
        return;
    }
    let by = room.owner().unwrap_or(actor);
    let (mut awaiting, mut already_waiting) = (Vec::new(), 0);
    for contact in &opening.invite {
        let consent = scene.contact(contact).map(|c| c.consent(room.channel)).unwrap_or_default();
        match consent {
            Consent::None => {
                let asking = Asking {
                    contact,
                    channel: room.channel,
                    line: &room.line,
                    room: Some(room.key.clone()),
                    by,
                    actor,
                    attested: "opened a room with this contact, which asks him for consent",
                };
                awaiting.extend(ask_client(scene, asking));
            }
            Consent::Pending { .. } => already_waiting += 1,
            Consent::OptedIn { .. } | Consent::OptedOut { .. } | Consent::Review { .. } | Consent::Unreachable { .. } => {}
        }
    }
    let Some(mut room) = scene.room(&room.key) else { return };
    if let Some(opening) = &mut room.opening {
        opening.invited = awaiting.len() as u32;
        opening.awaiting = awaiting;
        opening.already_waiting = already_waiting;
    }
    scene.put(&room);
}

/// An invitation of this room has its end; the answer goes when none is left.
pub fn invitation_ended(scene: &mut Scene, key: &RoomKey, message: &MessageId) {
    let Some(mut room) = scene.room(key) else { return };
    let Some(opening) = &mut room.opening else { return };
    let before = opening.awaiting.len();
    opening.awaiting.retain(|id| id != message);
    if opening.awaiting.len() != before {
        scene.put(&room);
        answer_if_all_is_done(scene, key);
    }
}

fn answer_if_all_is_done(scene: &mut Scene, key: &RoomKey) {
    let Some(mut room) = scene.room(key) else { return };
    let Some(opening) = room.opening.take_if(|opening| opening.awaiting.is_empty()) else { return };
    scene.put(&room);
    let Some((place, reply)) = opening.answer else { return };
    let consent = room.contacts.first().and_then(|id| scene.contact(id)).map(|c| c.consent(room.channel)).unwrap_or_default();
    let reply = reply
        .with("room", room.name.clone())
        .with("invited", opening.invited)
        .with("already_waiting", opening.already_waiting)
        .with("waits", room.contacts.first().is_some_and(|id| approval::invitation_waits(scene, id)))
        .with("consent", consent.name())
        .with("several", room.is_group());
    if let Some(mut ask) = opening.ask.and_then(|id| scene.ask(&id)) {
        ask.answered = Some(reply.clone());
        scene.put(&ask);
    }
    scene.post(place, reply);
}

/// The platform will not make this room: its contact keeps being a contact, and who asked is told why.
pub fn could_not_open(scene: &mut Scene, key: &RoomKey, code: &str, detail: &str) {
    let Some(mut room) = scene.room(key) else { return };
    let opening = room.opening.take();
    room.state = RoomState::Failed;
    scene.put(&room);
    forget_in_contacts(scene, &room);
    unsay_room_opened(scene, &room);
    let entry = Entry::new("room.failed", PROGRAM).room(key).detail(json!({ "code": code, "detail": detail }));
    scene.note(Entry { contact: room.contacts.first().cloned(), ..entry });
    let wanted = opening.as_ref().and_then(|opening| opening.answer.as_ref()).map(|(_, reply)| reply.template.clone());
    let refusal = if code == "name-taken" {
        name_taken(scene, &room, &wanted.unwrap_or_default())
    } else {
        Refusal::new("busy").with("why", format!("The room could not be made ({code})."))
    };
    let (answer, ask) = opening.map(|opening| (opening.answer, opening.ask)).unwrap_or_default();
    let place = answer.map(|(place, _)| place).or_else(|| room.owner().map(Place::Direct));
    match (place, ask) {
        (Some(place), Some(ask)) => answers::not_opened(scene, &ask, &room, &place, refusal),
        (Some(place), None) => {
            let mut reply = refusal.into_reply();
            reply.contact = room.contacts.first().cloned();
            scene.post(place, reply);
        }
        (None, _) => {}
    }
}

/// `wanted` is the answer that its command would have given.
fn name_taken(scene: &Scene, room: &Room, wanted: &str) -> Refusal {
    let refusal = Refusal::new("name-taken").with("name", room.name.clone()).with("argument", "name");
    refusal.with("again", the_same_again(scene, room, wanted)).with("added", wanted == "contact-added")
}

/// The command that asks for this room under another name, to be typed as it stands.
fn the_same_again(scene: &Scene, room: &Room, wanted: &str) -> String {
    let contacts: Vec<&str> = room.contacts.iter().map(|id| id.as_str()).collect();
    let owner = room.owner();
    let others = room
        .members
        .keys()
        .filter(|user| owner != Some(**user))
        .filter_map(|user| scene.user(*user))
        .filter(|user| !user.email.is_empty());
    let others: String = others.map(|user| format!(" @{}", user.email)).collect();
    match wanted {
        "group-native" => format!("/group create \"…\" contacts={}{others}", contacts.join(",")),
        "group-standard" => format!("/group create \"…\" contacts={}{others} --standard", contacts.join(",")),
        _ => format!("/room create \"…\" {}{others}", contacts.join(" ")),
    }
}

/// Of a room that is not there nobody reads that it was opened; a client's words in its lane go to the owner.
fn unsay_room_opened(scene: &mut Scene, room: &Room) {
    let due = due_in(scene, room);
    if let Some(due) = due.iter().find(|due| says_room_opened(due)) {
        scene.settle(due);
    }
}

fn forget_in_contacts(scene: &mut Scene, room: &Room) {
    for id in &room.contacts {
        let Some(mut contact) = scene.contact(id) else { continue };
        contact.rooms.retain(|key| *key != room.key);
        scene.put(&contact);
    }
    for user in room.members.keys() {
        scene.case.remove::<super::contact::Pointer>(&Key::new("member", format_args!("{user}/{}", room.key)));
    }
}

/// Nobody can be reached through this room any more; what waits in it is withdrawn.
pub fn closed(scene: &mut Scene, key: &RoomKey, actor: &str) {
    let Some(mut room) = scene.room(key) else { return };
    if !room.is_live() {
        return;
    }
    room.state = RoomState::Deactivated;
    room.opening = None;
    scene.put(&room);
    for contact in &room.addressees() {
        let mut lane = scene.lane(key, contact);
        let mut held: Vec<_> = lane.held.drain(..).filter_map(|id| scene.message(&id)).collect();
        scene.put(&lane);
        for message in &mut held {
            message.state = super::message::MessageState::Withdrawn { reason: "room".to_owned() };
            scene.put(message);
        }
        for message in &mut held {
            // The room is closed to writing: its people read it in their own chats.
            message.room = None;
        }
        sending::tell_withdrawn(scene, held, "room");
    }
    native::room_closed(scene, &room);
    forget_in_contacts(scene, &room);
    let entry = Entry::new("room.deactivated", actor).room(key);
    scene.note(Entry { contact: room.contacts.first().cloned(), ..entry });
}

// ---- its name

/// It bears this name now; whoever gave it had the right to.
pub fn is_called(scene: &mut Scene, mut room: Room, name: &str, actor: String) {
    let detail = json!({ "from": room.name, "to": name });
    room.name = name.to_owned();
    scene.put(&room);
    let entry = Entry::new("room.renamed", actor).room(&room.key).detail(detail);
    scene.note(Entry { contact: room.contacts.first().cloned(), ..entry });
    native::renamed(scene, &room.key, name);
}

/// The platform tells of a name before the end of the effect that gave it is known.
pub fn is_being_renamed(scene: &Scene, room: &Room, name: &str) -> bool {
    let is_it = |due: &Due| matches!(&due.effect, Effect::RenameRoom(rename) if rename.name == name);
    due_in(scene, room).iter().any(is_it)
}

fn due_in(scene: &Scene, room: &Room) -> Vec<Due> {
    scene.due_in(&OutboxLane::of_place(&Place::Room(room.key.clone())))
}

/// The platform has taken the name.
pub fn renamed(scene: &mut Scene, rename: &RenameRoom) {
    let (Some(room), Some((by, place))) = (scene.room_of_stream(&rename.stream), &rename.asked) else { return };
    let reply = Reply::answer("room-renamed").with("from", room.name.clone()).with("name", rename.name.clone());
    let actor = scene.actor(*by);
    is_called(scene, room, &rename.name, actor);
    scene.post(place.clone(), reply);
}

pub fn could_not_rename(scene: &mut Scene, rename: &RenameRoom, code: &str, detail: &str) {
    scene.note(Entry::new("chat.refused", PROGRAM).detail(json!({ "code": code, "detail": detail })));
    let Some(room) = scene.room_of_stream(&rename.stream) else { return };
    let Some((_, place)) = rename.asked.clone() else {
        // A name that was given by hand could not be taken back.
        let reply = Reply::new(Code::Notice, "rename-stays").with("room", room.name.clone());
        return members::tell_reader(scene, &room, reply);
    };
    let refusal = if code == "name-taken" {
        Refusal::new("name-taken").with("name", rename.name.clone()).with("renaming", true)
    } else if let Err(no_owner) = members::may_change(&room) {
        // It became a plain member while the name was on its way.
        no_owner
    } else {
        Refusal::new("busy").with("why", format!("The room could not be renamed ({code})."))
    };
    scene.post(place, refusal.into_reply());
}

/// After 30 s the one who asked reads that work goes on (S0-18).
pub fn say_still_working(scene: &mut Scene, key: &RoomKey) {
    let Some(mut room) = scene.room(key) else { return };
    let Some(opening) = &mut room.opening else { return };
    let due = opening.say_still_working_at.is_some_and(|at: Timestamp| at <= scene.now);
    if !due {
        return;
    }
    opening.say_still_working_at = None;
    let place = opening.answer.as_ref().map(|(place, _)| place.clone());
    scene.put(&room);
    if let Some(place) = place {
        let mut reply = Reply::new(Code::Info, "still-working").with("room", room.name.clone());
        reply.contact = room.contacts.first().cloned();
        scene.post(place, reply);
    }
}

/// The rooms this advisor is in, newest index order; bounded.
pub fn rooms_of(scene: &Scene, user: UserId, limit: usize) -> Vec<Room> {
    let prefix = format!("member/{user}/");
    let pointers: Vec<super::contact::Pointer> = scene.case.scan(&prefix, None, limit);
    pointers.into_iter().filter_map(|pointer| scene.room(&RoomKey::new(pointer.to))).collect()
}
