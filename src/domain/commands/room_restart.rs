//! `/room restart`: back into a conversation that the caller was in, when the client says yes (S4-40).
use super::{Answer, Command, Given, PLAIN, find_contact_if, views};
use crate::domain::consent::Consent;
use crate::domain::contact::Contact;
use crate::domain::effect::{Code, Reply};
use crate::domain::entitlement::Permission;
use crate::domain::ids::Channel;
use crate::domain::members;
use crate::domain::presence;
use crate::domain::refusal::Refusal;
use crate::domain::returning;
use crate::domain::room::Room;
use crate::domain::scene::Scene;
use crate::domain::sending;

pub const RESTART: Command = Command {
    path: "room restart",
    usage: "/room restart <contact>",
    example: "/room restart Ann Lee",
    about: "ask a client whose conversation you left whether you may be in it again",
    needs: &[Permission::Chat],
    positional: &["contact"],
    one_text_from: Some(0),
    run: restart,
    ..PLAIN
};

fn restart(scene: &mut Scene, given: &Given) -> Result<Answer, Refusal> {
    let contact = named(scene, given)?;
    let live = contact.rooms.iter().filter_map(|key| scene.room(key)).filter(Room::is_live);
    let (mine, others): (Vec<Room>, Vec<Room>) = live.partition(|room| room.members.contains_key(&given.caller.id));
    let was_in = |room: &Room| presence::presence(scene, room, given.caller.id).is_some();
    let Some(room) = others.into_iter().filter(was_in).max_by_key(|room| room.last_exchange_with(&contact.id)) else {
        return match mine.into_iter().next() {
            Some(room) => Ok(Answer::Say(Reply::new(Code::Info, "you-are-in").with("room", room.name))),
            None => Err(Refusal::new("not-a-member")),
        };
    };
    let name = sending::name_for(scene, Some(given.caller.id), &contact.id);
    may_ask(scene, given, &contact, &room).map_err(|refusal| refusal.about(&contact.id).with("name", name.clone()))?;
    if !returning::ask(scene, &contact, &room, given.caller.id) {
        return Err(Refusal::new("busy").with("why", "The consent stands otherwise now."));
    }
    let reply = Reply::answer("restart-asked").about(&contact.id).with("name", name).with("room", room.name);
    Ok(views::where_it_belongs(scene, given, Some(&contact.id), reply))
}

/// Also one whom the caller may not see any more, if he talked with him.
fn named(scene: &Scene, given: &Given) -> Result<Contact, Refusal> {
    let text = given.needed(0)?;
    let talked_with =
        |contact: &Contact| Channel::ALL.iter().any(|channel| presence::has_gone(scene, contact, *channel, given.caller.id));
    given.contact(scene, 0).or_else(|refusal| find_contact_if(scene, given, text, talked_with).map_err(|_| refusal))
}

fn may_ask(scene: &Scene, given: &Given, contact: &Contact, room: &Room) -> Result<(), Refusal> {
    if !given.rights.may_use(room.channel) {
        return Err(Refusal::new("not-entitled").with("channel", room.channel.name()));
    }
    if given.rights.sub_org != room.sub_org {
        return Err(Refusal::new("other-sub-org").with("user", given.caller.name.clone()));
    }
    if contact.blocked.is_some() {
        return Err(Refusal::new("blocked").with("sends", false));
    }
    if !returning::may_return(scene, &contact.id, room, given.caller.id) {
        return Err(Refusal::new("no-line-left").with("channel", room.channel.name()));
    }
    members::may_change(room)?;
    let asked = returning::asked_at(scene, &contact.id, room.channel, given.caller.id);
    let asked = match contact.consent(room.channel) {
        Consent::OptedOut { .. } => return Err(Refusal::new("opted-out")),
        Consent::Unreachable { .. } => return Err(Refusal::new("not-on-whatsapp")),
        Consent::Review { .. } => {
            return Err(Refusal::new("busy").with("why", "The client may have asked to stop; settle that first."));
        }
        Consent::Pending { asked_at, .. } => asked.max(Some(asked_at)),
        Consent::None | Consent::OptedIn { .. } => asked,
    };
    match asked.map(|at| at + scene.policy.resend_after).filter(|until| scene.now < *until) {
        Some(until) => Err(Refusal::new("pending-until").with("until", until.0).with("command", "/room restart")),
        None => Ok(()),
    }
}
