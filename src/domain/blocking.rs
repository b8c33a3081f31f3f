//! A blocked contact: what he sends is kept and counted, and reaches nobody until somebody lifts the block.
use super::case::Record;
use super::commit::{Entry, Key};
use super::contact::Contact;
use super::effect::{Code, Place, Reply};
use super::event::{ClientMessage, Content};
use super::files;
use super::ids::*;
use super::native;
use super::room::Room;
use super::scene::{PROGRAM, Scene};
use super::sending;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::BTreeSet;

/// Why somebody is blocked (COMMANDS §3).
pub const REASONS: [&str; 4] = ["spam", "abuse", "compliance", "other"];

/// What came from a contact since he was blocked; the messages themselves stand in the journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    pub contact: ContactId,
    pub messages: u32,
    pub calls: u32,
}

impl Kept {
    fn key_of(contact: &ContactId) -> Key {
        Key::new("kept", contact)
    }
    fn of(scene: &Scene, contact: &ContactId) -> Kept {
        let none = || Kept { contact: contact.clone(), messages: 0, calls: 0 };
        scene.case.get(&Kept::key_of(contact)).unwrap_or_else(none)
    }
}

impl Record for Kept {
    fn key(&self) -> Key {
        Kept::key_of(&self.contact)
    }
    fn sealed_for(&self) -> Option<ContactId> {
        None
    }
}

// ---- the block itself

/// Nothing more leaves for him and nothing of his is shown. Returns how many of the advisors' messages were withdrawn.
pub fn block(scene: &mut Scene, mut contact: Contact, reason: &str, actor: &str) -> usize {
    contact.blocked = Some(reason.to_owned());
    scene.put(&contact);
    scene.note(Entry::new("contact.blocked", actor).about(&contact.id).detail(json!({ "reason": reason })));
    tell(scene, &contact, |reply| reply.with("reason", reason), "contact-blocked");
    let withdrawn = Channel::ALL.map(|channel| match scene.contact(&contact.id) {
        Some(contact) => sending::withdraw_everything(scene, &contact, channel, "blocked").len(),
        None => 0,
    });
    withdrawn.iter().sum()
}

/// What was kept meanwhile is not played back: a room is no archive, and nobody could tell what was said when. What he could
/// not come into while he was blocked he comes into now, before his next word. Gives what was kept, and those groups.
pub fn unblock(scene: &mut Scene, mut contact: Contact, actor: &str) -> (Kept, Vec<String>) {
    let kept = Kept::of(scene, &contact.id);
    contact.blocked = None;
    scene.put(&contact);
    scene.case.remove::<Kept>(&kept.key());
    let detail = json!({ "kept_messages": kept.messages, "kept_calls": kept.calls });
    scene.note(Entry::new("contact.unblocked", actor).about(&contact.id).detail(detail));
    tell(scene, &contact, |reply| reply.with("messages", kept.messages).with("calls", kept.calls), "contact-unblocked");
    let before = groups_of(scene, &contact.id);
    for channel in Channel::ALL {
        sending::release_all(scene, &contact.id, channel);
    }
    native::client_agreed(scene, &contact);
    let groups = groups_of(scene, &contact.id).into_iter().filter(|group| !before.contains(group));
    let names = groups.filter_map(|key| scene.room(&key)).map(|room| room.name);
    (kept, names.collect())
}

/// The groups whose people he knows, or has the link to.
fn groups_of(scene: &Scene, contact: &ContactId) -> Vec<RoomKey> {
    let rooms = scene.contact(contact).map(|contact| contact.rooms).unwrap_or_default();
    let is_linked = |room: &Room| {
        let member = room.native.as_ref().and_then(|native| native.members.get(contact));
        room.came_in.contains(contact) || member.is_some_and(|member| member.linked)
    };
    rooms.iter().filter_map(|key| scene.room(key)).filter(is_linked).map(|room| room.key).collect()
}

/// Every room in which somebody reads him; where there is none, those who list him.
fn tell(scene: &mut Scene, contact: &Contact, with: impl Fn(Reply) -> Reply, template: &str) {
    let rooms = contact.rooms.iter().filter_map(|key| scene.room(key));
    let mut places: Vec<Place> =
        rooms.filter(|room| room.is_live() && !room.members.is_empty()).map(|room| Place::Room(room.key)).collect();
    if places.is_empty() {
        let people: BTreeSet<UserId> = contact.listed_by.clone();
        places.extend(people.into_iter().map(Place::Direct));
    }
    for place in places {
        let name = match &place {
            Place::Room(room) => sending::contact_name(scene, Some(room), &contact.id),
            Place::Direct(user) => sending::name_for(scene, Some(*user), &contact.id),
            Place::Stream(_) | Place::DirectByEmail(_) => contact.number(),
        };
        scene.post(place, with(Reply::new(Code::Notice, template).about(&contact.id).with("name", name)));
    }
}

// ---- what comes meanwhile

/// His words stand in the journal already; a file is fetched now, because the provider does not keep it for long.
pub fn keep_message(scene: &mut Scene, contact: &ContactId, said: &ClientMessage) {
    if matches!(said.content, Content::Sign { .. }) {
        return;
    }
    let file = match &said.content {
        // No line waits for it, so it stands in a lane that is nobody's.
        Content::Media(file) => Some(files::from_client(scene, contact, said, file, Place::Direct(UserId(0)))),
        Content::Text(_) | Content::Button { .. } | Content::Other { .. } | Content::Sign { .. } => None,
    };
    let mut kept = Kept::of(scene, contact);
    kept.messages += 1;
    scene.put(&kept);
    let detail = json!({ "id": said.id, "channel": said.channel.key(), "file": file.map(|file| file.id) });
    scene.note(Entry::new("client.kept", PROGRAM).about(contact).detail(detail));
}

pub fn keep_call(scene: &mut Scene, contact: &ContactId) {
    let mut kept = Kept::of(scene, contact);
    kept.calls += 1;
    scene.put(&kept);
}
