//! `/contact transfer`: one contact of an advisor, or all of them, to a colleague (S4-41).
use super::{Answer, Command, Given, PLAIN, views};
use crate::domain::contact::{Contact, Listing};
use crate::domain::effect::{Code, Place, Reply};
use crate::domain::entitlement::{Permission, User};
use crate::domain::handover;
use crate::domain::handovers::{self, Handover, Kind};
use crate::domain::ids::Channel;
use crate::domain::members;
use crate::domain::refusal::Refusal;
use crate::domain::rooms;
use crate::domain::scene::Scene;

pub const TRANSFER: Command = Command {
    path: "contact transfer",
    usage: "/contact transfer <contact|all> from=@a to=@b",
    example: "/contact transfer Ann Lee from=@jane.doe@acme.com to=@bob.ray@acme.com",
    about: "give a colleague's clients to another one, rooms included; asks first",
    needs: &[Permission::Transfer],
    positional: &["contact"],
    keys: &["from", "to"],
    people_in: &["from", "to"],
    one_text_from: Some(0),
    run: transfer,
    ..PLAIN
};

/// All that an advisor has.
const ALL: &str = "all";

fn transfer(scene: &mut Scene, given: &Given) -> Result<Answer, Refusal> {
    let (from, to) = (person(scene, given, "from")?, person(scene, given, "to")?);
    may_pass(scene, given, &from, &to)?;
    let work = Handover::new(Kind::Transfer, from.id, Some(to.id), given.caller.id, Place::Direct(given.caller.id));
    if given.text(0).is_some_and(|text| text.eq_ignore_ascii_case(ALL)) {
        return transfer_all(scene, given, work, &from, &to);
    }
    let contact = given.contact(scene, 0)?;
    may_be_passed(scene, given, &contact, &from, &to)?;
    if !given.confirmed {
        let rooms = handover::owned_rooms(scene, &contact, from.id).len();
        let card = card(&from, &to).about(&contact.id).with("name", given.name_of(scene, &contact)).with("all", false);
        return Ok(Answer::Confirm(card.with("contacts", 1).with("rooms", rooms)));
    }
    let report = handovers::one(scene, work, &contact).about(&contact.id);
    Ok(views::where_it_belongs(scene, given, Some(&contact.id), report))
}

fn transfer_all(scene: &mut Scene, given: &Given, work: Handover, from: &User, to: &User) -> Result<Answer, Refusal> {
    let (contacts, rooms) = counted(scene, from);
    if contacts == 0 && rooms == 0 {
        return Err(Refusal::bad_argument("from", "has no contacts and no rooms", TRANSFER.example));
    }
    if !given.confirmed {
        return Ok(Answer::Confirm(card(from, to).with("all", true).with("contacts", contacts).with("rooms", rooms)));
    }
    let report = handovers::begin(scene, work);
    Ok(views::list(scene, given, contacts, report))
}

/// For the card: no more than anybody reads.
pub fn counted(scene: &Scene, user: &User) -> (usize, usize) {
    let contacts: Vec<Listing> = scene.listings(user.id, views::LOOKED_THROUGH);
    let rooms = rooms::rooms_of(scene, user.id, views::ROOMS_MAX);
    (contacts.len(), rooms.iter().filter(|room| room.is_live()).count())
}

fn card(from: &User, to: &User) -> Reply {
    Reply::new(Code::Confirm, "confirm-transfer").with("from", from.name.clone()).with("to", to.name.clone())
}

/// The one colleague whom this key names.
pub fn person(scene: &Scene, given: &Given, key: &str) -> Result<User, Refusal> {
    let example = given.command.example;
    let value = given.args.value(key).ok_or_else(|| Refusal::missing(key, example))?;
    let [who] = value.who.as_slice() else {
        return Err(Refusal::bad_argument(key, "must name one colleague", example));
    };
    given.colleague(scene, who)
}

/// The plain words of this code speak of the caller. Without channels: he may use none.
pub fn not_entitled(user: &User, channels: impl IntoIterator<Item = Channel>) -> Refusal {
    let names: Vec<&str> = channels.into_iter().map(|channel| channel.name()).collect();
    let mut words = Reply::new(Code::Refusal, "colleague-not-entitled").with("user", user.name.clone());
    if !names.is_empty() {
        words = words.with("channel", names.join(" and "));
    }
    Refusal { card: Some(Box::new(words)), ..Refusal::new("not-entitled") }
}

/// What holds for all of his contacts alike.
pub fn may_pass(scene: &Scene, given: &Given, from: &User, to: &User) -> Result<(), Refusal> {
    if from.id == to.id {
        return Err(Refusal::bad_argument("to", "is the same colleague", given.command.example));
    }
    if handovers::is_under_way(scene, from.id) {
        return Err(Refusal::new("busy").with("why", "This colleague's clients are being handed over already."));
    }
    let (theirs, rights) = (scene.rights(from.id), scene.rights(to.id));
    if !rights.has_any() {
        return Err(not_entitled(to, []));
    }
    if !theirs.sub_org.is_empty() && theirs.sub_org != rights.sub_org {
        return Err(Refusal::new("other-sub-org").with("user", to.name.clone()));
    }
    Ok(())
}

fn may_be_passed(scene: &Scene, given: &Given, contact: &Contact, from: &User, to: &User) -> Result<(), Refusal> {
    if !super::contact_edit::may(given, contact, Permission::Transfer) {
        return Err(Refusal::no_permission(Permission::Transfer.name()));
    }
    let why = match handover::objection(scene, contact, from.id, to.id) {
        None => return Ok(()),
        Some("not-theirs") => {
            Refusal::bad_argument("from", "neither lists this contact nor owns a room with them", TRANSFER.example)
        }
        Some("other-sub-org") => Refusal::new("other-sub-org").with("user", to.name.clone()),
        Some("not-entitled") => not_entitled(to, handover::channels_lacking(scene, contact, from.id, to.id)),
        Some(handover::BOT_NOT_OWNER) => {
            let rooms = handover::owned_rooms(scene, contact, from.id);
            rooms.iter().find_map(|room| members::may_change(room).err()).expect("the bot is no owner of one of these rooms")
        }
        Some(_) => Refusal::new("busy").with("why", "A room with this contact is being made."),
    };
    Err(why.about(&contact.id))
}
