//! `/admin suborg`: a colleague belongs to another sub-organisation, and leaves the rooms of the old one (S4-30).
use super::admin::{colleague, keep, rights_of};
use super::{Answer, Command, Given, PLAIN, People, views};
use crate::domain::effect::{Place, Reply};
use crate::domain::entitlement::Permission;
use crate::domain::handovers::{self, Handover, Kind};
use crate::domain::refusal::Refusal;
use crate::domain::rooms;
use crate::domain::scene::Scene;
use crate::domain::sub_orgs;

pub const SUBORG: Command = Command {
    path: "admin suborg",
    usage: "/admin suborg @a \"name\"",
    example: "/admin suborg @jane.doe@acme.com \"Private Clients\"",
    about: "move a colleague to another sub-organisation; he leaves the rooms that it does not share",
    needs: &[Permission::Admin],
    positional: &["colleague", "name"],
    people: People::OneOrText,
    one_text_from: Some(1),
    run: suborg,
    ..PLAIN
};

/// Longer ones are no names; they are read in lists.
const NAME_MAX: usize = 60;

fn suborg(scene: &mut Scene, given: &Given) -> Result<Answer, Refusal> {
    let colleague = colleague(scene, given)?;
    let name = name(scene, given)?;
    let mut rights = rights_of(scene, &colleague);
    if rights.sub_org == name {
        return Err(Refusal::bad_argument("name", "is the sub-organisation that this colleague has", SUBORG.example));
    }
    let user = scene.user_by_email(&colleague.email);
    if user.as_ref().is_some_and(|user| handovers::is_under_way(scene, user.id)) {
        return Err(Refusal::new("busy").with("why", "This colleague's rooms are being handed over already."));
    }
    rights.sub_org = name.clone();
    keep(scene, given, &rights, "admin.suborg_changed");
    let Some(user) = user else {
        let reply = Reply::answer("admin-suborg").with("name", colleague.name).with("sub_org", name);
        return Ok(Answer::Say(sub_orgs::told(reply, scene.policy, &rights)));
    };
    let rooms = rooms::rooms_of(scene, user.id, views::ROOMS_MAX).len();
    let work = Handover::new(Kind::SubOrg, user.id, None, given.caller.id, Place::Direct(given.caller.id));
    let report = handovers::begin(scene, work);
    Ok(views::list(scene, given, rooms, report))
}

fn name(scene: &Scene, given: &Given) -> Result<String, Refusal> {
    // A colleague who was not mentioned stands as a text before it.
    let position = usize::from(given.args.people().is_empty());
    let name = given.text(position).ok_or_else(|| Refusal::missing("name", SUBORG.example))?;
    if name.chars().count() > NAME_MAX {
        return Err(Refusal::new("name-too-long").with("most", NAME_MAX).with("sub_org", true));
    }
    if !is_known(scene, name) {
        return Err(Refusal::bad_argument("name", not_listed(scene), SUBORG.example));
    }
    Ok(name.to_owned())
}

/// Where the firm lists its sub-organisations a mistyped name would put a wall around a colleague.
fn is_known(scene: &Scene, name: &str) -> bool {
    let policy = scene.policy;
    let configured = policy.advisors.values().any(|rights| rights.sub_org == name);
    policy.sub_orgs.is_empty() || policy.sub_orgs.contains_key(name) || configured
}

fn not_listed(scene: &Scene) -> String {
    let names: Vec<&str> = scene.policy.sub_orgs.keys().map(String::as_str).collect();
    format!("is none of the sub-organisations of the configuration: {}", names.join(", "))
}
