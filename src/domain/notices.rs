//! What a client is told about the advisors in his conversation: who is there now, and who is not any more (S4-33, S4-38, S4-41).
use super::effect::Body;
use super::ids::*;
use super::room::Room;
use super::saying::{say_to_client, template_body, variables};
use super::scene::Scene;
use super::sms;
use std::collections::BTreeMap;

/// The template that carries a notice into a closed window.
pub const NOTICE: &str = "liaison_notice";
/// In it: the name of the text that stands there as the notice; the wording puts its words in.
pub const NOTICE_TEXT: &str = "notice_text";

/// What became of an advisor in a conversation, as far as its client has to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AdvisorChange {
    Joined,
    /// He left, was removed, or handed the conversation over.
    Left,
}

impl AdvisorChange {
    /// The text that says so, in every language and on both channels.
    fn text(self) -> &'static str {
        match self {
            AdvisorChange::Joined => "advisor_joined",
            AdvisorChange::Left => "advisor_left",
        }
    }
}

/// Tells this contact of the room what became of the advisor: by a text where the channel lets it, else by template. Whoever
/// has not agreed to hear from us, or is blocked, is told nothing (invariant 1); it is asked again when it is taken.
pub fn tell_client_of_advisor(scene: &mut Scene, room: &Room, contact: &ContactId, advisor: UserId, change: AdvisorChange) {
    let Some(contact) = scene.contact(contact) else { return };
    let willing = sms::is_willing(scene.policy, &contact, room.channel);
    if !willing || contact.blocked.is_some() {
        return;
    }
    let key = Some(&room.key);
    let (name, body) = if contact.on(room.channel).is_open(room.channel, &room.line, scene.now) {
        let vars = variables(scene, &contact, key, Some(advisor));
        let language = scene.policy.language(&contact.language).to_owned();
        (change.text(), Body::Wording { name: change.text().to_owned(), language, vars })
    } else {
        let more = BTreeMap::from([(NOTICE_TEXT.to_owned(), change.text().to_owned())]);
        (NOTICE, template_body(scene, &contact, key, Some(advisor), NOTICE, more))
    };
    say_to_client(scene, &contact.id, room.channel, &room.line, Some(room.key.clone()), name, body);
}

/// Tells all clients of a room that is open. A native group is told as a whole (S1-26).
pub fn tell_clients(scene: &mut Scene, room: &Room, advisor: UserId, change: AdvisorChange) {
    for contact in room.contacts.iter().filter(|_| room.is_live() && !room.is_native()) {
        tell_client_of_advisor(scene, room, contact, advisor, change);
    }
}
