//! `/admin offboard`: a colleague leaves the firm: his rights end at once, and all that is his goes to another one.
use super::contact_transfer::{counted, may_pass, person};
use super::{Answer, Command, Given, PLAIN, People, views};
use crate::domain::commit::Entry;
use crate::domain::effect::{Code, Place, Reply};
use crate::domain::entitlement::{Permission, Rights, User};
use crate::domain::grammar::Who;
use crate::domain::handovers::{self, Handover, Kind};
use crate::domain::refusal::Refusal;
use crate::domain::scene::Scene;
use serde_json::json;

pub const OFFBOARD: Command = Command {
    path: "admin offboard",
    usage: "/admin offboard @a to=@b",
    example: "/admin offboard @jane.doe@acme.com to=@bob.ray@acme.com",
    about: "end a colleague's rights and give his clients and rooms to another one; asks first",
    needs: &[Permission::Admin],
    positional: &["colleague"],
    people: People::OneOrText,
    keys: &["to"],
    people_in: &["to"],
    run: offboard,
    ..PLAIN
};

fn offboard(scene: &mut Scene, given: &Given) -> Result<Answer, Refusal> {
    let (leaver, to) = (leaver(scene, given)?, person(scene, given, "to")?);
    if leaver.id == given.caller.id {
        return Err(Refusal::bad_argument("colleague", "is you; another administrator has to do that", OFFBOARD.example));
    }
    may_pass(scene, given, &leaver, &to)?;
    let (contacts, rooms) = counted(scene, &leaver);
    if !given.confirmed {
        let card = Reply::new(Code::Confirm, "confirm-offboard").with("from", leaver.name).with("to", to.name);
        return Ok(Answer::Confirm(card.with("contacts", contacts).with("rooms", rooms)));
    }
    revoke_everything(scene, given, &leaver);
    let place = Place::Direct(given.caller.id);
    let work = Handover::new(Kind::Offboard, leaver.id, Some(to.id), given.caller.id, place);
    let report = handovers::begin(scene, work);
    Ok(views::list(scene, given, contacts, report))
}

/// In the same commit as everything that follows: from here on nothing of his passes the gate.
fn revoke_everything(scene: &mut Scene, given: &Given, leaver: &User) {
    let before = scene.given_rights(&leaver.email);
    // The sub-organisation stays: it says on which side of the wall his clients are.
    let none = Rights { email: leaver.email.clone(), sub_org: before.sub_org.clone(), ..Rights::default() };
    scene.put(&none);
    let detail = json!({ "user": leaver.email, "before": before });
    scene.note(Entry::new("admin.offboarded", given.caller.email.clone()).detail(detail));
}

fn leaver(scene: &Scene, given: &Given) -> Result<User, Refusal> {
    let named = given.args.people().into_iter().next();
    let who = named.or_else(|| given.text(0).map(|text| Who::Email(text.to_owned())));
    given.colleague(scene, &who.ok_or_else(|| Refusal::missing("colleague", OFFBOARD.example))?)
}
