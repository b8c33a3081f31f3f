//! S4-40: who left a conversation or was taken out of it asks the client anew, and is in it again when the client says yes.
use super::case::Record;
use super::commit::{Entry, Key};
use super::contact::Contact;
use super::effect::*;
use super::event::{ClientMessage, Content};
use super::ids::*;
use super::notices::{self, AdvisorChange};
use super::presence::{self, Cause};
use super::room::Room;
use super::saying::{self, Asking, ask_client};
use super::scene::Scene;
use super::sending;
use super::sms;
use super::time::{Span, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::BTreeMap;

/// The question under another name than a request for consent: the firm has that already.
const RESTART: &str = "restart";
/// A "yes" in plain words is taken for the answer only so long; later it may well answer a colleague. A button says what it
/// means at any time.
const WORDS_ANSWER_WITHIN: Span = Span::hours(24);

/// Who asked this client on this channel and has no answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Returning {
    contact: ContactId,
    channel: Channel,
    asked: BTreeMap<UserId, Asked>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Asked {
    room: RoomKey,
    at: Timestamp,
    message: MessageId,
}

impl Returning {
    fn of(scene: &Scene, contact: &ContactId, channel: Channel) -> Returning {
        let none = Returning { contact: contact.clone(), channel, asked: BTreeMap::new() };
        scene.case.get(&none.key()).unwrap_or(none)
    }
    fn keep(self, scene: &mut Scene) {
        if self.asked.is_empty() { scene.case.remove::<Returning>(&self.key()) } else { scene.put(&self) }
    }
}

impl Record for Returning {
    fn key(&self) -> Key {
        Key::new("returning", format_args!("{}/{}", self.contact, self.channel.key()))
    }
    fn sealed_for(&self) -> Option<ContactId> {
        None
    }
}

/// When this advisor asked last, if the client has not answered.
pub fn asked_at(scene: &Scene, contact: &ContactId, channel: Channel, user: UserId) -> Option<Timestamp> {
    Returning::of(scene, contact, channel).asked.get(&user).map(|asked| asked.at)
}

/// Sends the question; the caller has checked that it may be asked. False where the consent does not allow it.
pub fn ask(scene: &mut Scene, contact: &Contact, room: &Room, user: UserId) -> bool {
    let Some(message) = send_question(scene, contact, room, user) else { return false };
    let mut returning = Returning::of(scene, &contact.id, room.channel);
    returning.asked.insert(user, Asked { room: room.key.clone(), at: scene.now, message: message.clone() });
    returning.keep(scene);
    let entry = Entry::new("conversation.restart_asked", scene.actor(user)).about(&contact.id).room(&room.key);
    scene.note(entry.message(&message));
    true
}

/// A client who has agreed to hear from the firm keeps his consent while he thinks about this advisor.
fn send_question(scene: &mut Scene, contact: &Contact, room: &Room, user: UserId) -> Option<MessageId> {
    if !sms::is_willing(scene.policy, contact, room.channel) {
        let attested = "restarts a conversation that he was in";
        let (channel, line, at) = (room.channel, &room.line, Some(room.key.clone()));
        return ask_client(scene, Asking { contact: &contact.id, channel, line, room: at, by: user, actor: user, attested });
    }
    let (_, body) = saying::question(scene, contact, room.channel, Some(&room.key), Some(user));
    let at = Some(room.key.clone());
    Some(saying::say_to_client(scene, &contact.id, room.channel, &room.line, at, RESTART, body))
}

/// The client said yes, to this or to the firm: the one whom he answers is in the conversation again. True where somebody is.
pub fn client_agreed(scene: &mut Scene, id: &ContactId, said: &ClientMessage, consent_turned: bool) -> bool {
    let mut returning = Returning::of(scene, id, said.channel);
    let Some(user) = whom_he_answers(scene, &returning, said, consent_turned) else { return false };
    let Some(asked) = returning.asked.remove(&user) else { return false };
    returning.keep(scene);
    let room = scene.room(&asked.room).filter(|room| may_return(scene, id, room, user));
    let name = sending::name_for(scene, Some(user), id);
    let Some(mut room) = room else {
        scene.post(Place::Direct(user), Reply::new(Code::Notice, "restart-void").about(id).with("name", name));
        return false;
    };
    let nobody_owns = room.members.is_empty();
    if !room.members.contains_key(&user) {
        let cause = Cause { actor: scene.actor(user), ..Cause::rule() };
        presence::comes(scene, &mut room, user, nobody_owns, &cause);
    }
    let entry = Entry::new("conversation.restarted", scene.actor(user)).about(id).room(&room.key);
    scene.note(entry.detail(json!({ "answer": said.id, "asked_in": asked.message })));
    let colleague = scene.user_name(user);
    if room.members.len() > 1 {
        presence::tell_room(scene, &room, Reply::new(Code::Notice, "colleague-joined").with("name", colleague));
    }
    let told = Reply::new(Code::ConsentYes, "restart-yes").about(id).with("name", name).with("room", room.name.clone());
    scene.post(Place::Direct(user), told);
    if !consent_turned {
        notices::tell_clients(scene, &room, user, AdvisorChange::Joined);
    }
    true
}

fn whom_he_answers(scene: &Scene, returning: &Returning, said: &ClientMessage, consent_turned: bool) -> Option<UserId> {
    let quoted = said.quoted.as_ref().and_then(|wamid| scene.message_of_wamid(wamid)).map(|message| message.id);
    let asked_in = |id: &MessageId| returning.asked.iter().find(|(_, asked)| asked.message == *id).map(|(user, _)| *user);
    let latest = returning.asked.iter().max_by_key(|(user, asked)| (asked.at, **user));
    match (quoted.as_ref().map(asked_in), latest) {
        (Some(Some(user)), _) => Some(user),
        (_, Some((user, _))) if consent_turned => Some(*user),
        // He answers something else.
        (Some(None), _) => None,
        (None, Some((user, asked))) => {
            let in_time = scene.now < asked.at + WORDS_ANSWER_WITHIN;
            (matches!(said.content, Content::Button { .. }) || in_time).then_some(*user)
        }
        (None, None) => None,
    }
}

/// Rooms that share a line and a contact have one sub-organisation; an empty room may have got a neighbour meanwhile.
pub fn may_return(scene: &Scene, contact: &ContactId, room: &Room, user: UserId) -> bool {
    let neighbours = scene.contact(contact).map(|contact| contact.rooms).unwrap_or_default();
    let mut neighbours = neighbours
        .iter()
        .filter_map(|key| scene.room(key))
        .filter(|other| other.is_live() && !other.members.is_empty() && other.channel == room.channel && other.line == room.line);
    let one_sub_org = neighbours.all(|other| other.sub_org == room.sub_org);
    room.is_live() && room.contacts.contains(contact) && presence::belongs(scene, room, user) && one_sub_org
}

/// The client wants nothing any more on this channel: nobody comes back.
pub fn client_refused(scene: &mut Scene, id: &ContactId, channel: Channel) {
    let mut returning = Returning::of(scene, id, channel);
    for user in std::mem::take(&mut returning.asked).into_keys() {
        let name = sending::name_for(scene, Some(user), id);
        scene.post(Place::Direct(user), Reply::new(Code::ConsentNo, "restart-no").about(id).with("name", name));
    }
    returning.keep(scene);
}
