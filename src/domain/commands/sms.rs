//! `/sms`: a contact's SMS room, opened or named; the same when an advisor takes the offer to try SMS instead (S3-11).
use super::{Answer, Command, Given, PLAIN};
use crate::domain::ask::About;
use crate::domain::consent::Consent;
use crate::domain::contact::Contact;
use crate::domain::effect::{Body, Code, Place, Reply};
use crate::domain::entitlement::{Permission, User};
use crate::domain::ids::*;
use crate::domain::message::Message;
use crate::domain::refusal::Refusal;
use crate::domain::room::Room;
use crate::domain::rooms::{self, Plan};
use crate::domain::scene::Scene;
use crate::domain::sending::{gist, name_for};
use crate::domain::sms;

pub const SMS: Command = Command {
    path: "sms",
    usage: "/sms <contact>",
    example: "/sms Ann Lee",
    about: "open or find the room in which you text with a contact",
    needs: &[Permission::Chat],
    positional: &["contact"],
    one_text_from: Some(0),
    run,
    ..PLAIN
};

fn run(scene: &mut Scene, given: &Given) -> Result<Answer, Refusal> {
    let contact = given.contact(scene, 0)?;
    let wish = Wish { caller: &given.caller, place: &given.place, ask: given.ask.clone(), again: &[] };
    match open(scene, &contact, wish)? {
        Some(there) => Ok(Answer::Say(there)),
        None => Ok(Answer::Later),
    }
}

/// Proved not to be there: refused with the offer to try SMS instead (S3-10).
pub(super) fn not_on_whatsapp(scene: &mut Scene, given: &Given, contact: &Contact, name: String) -> Refusal {
    let here = given.room.as_ref().filter(|room| room.contacts.contains(&contact.id)).map(|room| room.key.clone());
    let offer = sms::offer(scene, here.as_ref(), &contact.id, Vec::new());
    let refusal = Refusal::new("not-on-whatsapp").about(&contact.id).with("name", name);
    Refusal { card: Some(Box::new(offer)), ..refusal }
}

/// Who wants the room, where he is answered, and which messages he may send again there.
pub struct Wish<'w> {
    pub caller: &'w User,
    pub place: &'w Place,
    pub ask: Option<AskId>,
    pub again: &'w [MessageId],
}

/// The answer where the room is there already; otherwise it comes when the room stands.
pub fn open(scene: &mut Scene, contact: &Contact, wish: Wish) -> Result<Option<Reply>, Refusal> {
    may_text(scene, contact, wish.caller)?;
    let reply = Reply::answer("sms-room").about(&contact.id).with("name", name_for(scene, Some(wish.caller.id), &contact.id));
    if let Some(room) = own_room(scene, contact, wish.caller.id) {
        offer_again(scene, &room.key, contact, wish.again);
        return Ok(Some(said_of(scene, contact, reply).with("room", room.name).with("there", true)));
    }
    list_on_sms(scene, contact, wish.caller.id);
    let plan = Plan {
        name: None,
        channel: Channel::Sms,
        contacts: std::slice::from_ref(&contact.id),
        owner: wish.caller.id,
        colleagues: &[],
        asked_by: Some(wish.caller.id),
        line: None,
        invite: true,
        answer: Some((wish.place.clone(), said_of(scene, contact, reply).with("there", false))),
        ask: wish.ask,
    };
    let key = rooms::open(scene, plan)?;
    offer_again(scene, &key, contact, wish.again);
    Ok(None)
}

fn said_of(scene: &Scene, contact: &Contact, reply: Reply) -> Reply {
    let asks_first = sms::must_agree_first(scene.policy, contact, Channel::Sms);
    reply.with("consent", contact.consent(Channel::Sms).name()).with("asks_first", asks_first)
}

fn may_text(scene: &Scene, contact: &Contact, caller: &User) -> Result<(), Refusal> {
    if !scene.rights_of_email(&caller.email).may_use(Channel::Sms) {
        return Err(Refusal::new("not-entitled").with("channel", Channel::Sms.name()));
    }
    if !sms::is_set_up(scene.policy) {
        return Err(Refusal::new("sms-not-set-up"));
    }
    let name = name_for(scene, Some(caller.id), &contact.id);
    if scene.listing(caller.id, &contact.id).is_none() {
        let why = "is not on your list; /contact add puts a contact there";
        return Err(Refusal::bad_argument("contact", why, "/contact list"));
    }
    if contact.phone.is_none() {
        return Err(Refusal::new("phone-invalid").about(&contact.id).with("why", "there is none"));
    }
    match contact.consent(Channel::Sms) {
        // The consent of SMS is its own, and this one is a no.
        Consent::OptedOut { .. } => Err(Refusal::new("consent-missing").about(&contact.id).with("name", name)),
        Consent::Unreachable { .. } => Err(Refusal::new("address").about(&contact.id).with("name", name)),
        Consent::None | Consent::Pending { .. } | Consent::OptedIn { .. } | Consent::Review { .. } => Ok(()),
    }
}

fn own_room(scene: &Scene, contact: &Contact, caller: UserId) -> Option<Room> {
    let rooms = contact.rooms.iter().filter_map(|key| scene.room(key));
    let mut mine = rooms.filter(|room| room.is_live() && room.channel == Channel::Sms && room.members.contains_key(&caller));
    mine.next()
}

/// One person, one entry: the channel is added (RULES, Onboarding).
fn list_on_sms(scene: &mut Scene, contact: &Contact, caller: UserId) {
    let mut contact = contact.clone();
    contact.on_mut(Channel::Sms);
    scene.put(&contact);
    if let Some(mut listing) = scene.listing(caller, &contact.id) {
        listing.channels.insert(Channel::Sms);
        scene.put(&listing);
    }
}

/// What waited for WhatsApp and went nowhere: nothing of it is sent here before the advisor says so (S3-11).
fn offer_again(scene: &mut Scene, room: &RoomKey, contact: &Contact, messages: &[MessageId]) {
    let messages: Vec<Message> = messages.iter().filter_map(|id| scene.message(id)).collect();
    for message in messages {
        let may = matches!(message.body, Body::Text(_) | Body::Media { .. });
        if !may {
            continue;
        }
        let about = About::SendHere { message: message.id.clone(), room: room.clone() };
        let ask = scene.new_ask(None, &Place::Room(room.clone()), about, Some(&contact.id));
        scene.put(&ask);
        let name = crate::domain::sending::contact_name(scene, Some(room), &contact.id);
        let card = Reply::new(Code::Confirm, "send-by-sms").about(&contact.id).of(&message.id).asking(&ask.id);
        scene.post(Place::Room(room.clone()), card.with("name", name).with("text", gist(&message.body)));
    }
}
