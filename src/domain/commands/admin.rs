//! `/admin entitle`, `revoke`, `show` and `status`: who may do what, and what this installation is.
use super::help::with_rights;
use super::views::{LOOKED_THROUGH, ROOMS_MAX};
use super::{Answer, Command, Given, PLAIN, People};
use crate::domain::commit::{Entry, Key};
use crate::domain::contact::Contact;
use crate::domain::effect::{Place, Reply};
use crate::domain::email;
use crate::domain::entitlement::{Permission, Rights};
use crate::domain::grammar::Who;
use crate::domain::handovers::{self, Handover, Kind};
use crate::domain::health::{Health, LineHealth};
use crate::domain::ids::Channel;
use crate::domain::lane::Lane;
use crate::domain::policy::{Line, Policy};
use crate::domain::presence;
use crate::domain::refusal::Refusal;
use crate::domain::room::Room;
use crate::domain::rooms;
use crate::domain::scene::Scene;
use crate::domain::sending::shortened;
use crate::domain::sub_orgs;
use serde_json::{Value, json};

pub const ENTITLE: Command = Command {
    path: "admin entitle",
    usage: "/admin entitle @a channel= [permissions=a,b]",
    example: "/admin entitle @jane.doe@acme.com channel=whatsapp permissions=advisor",
    about: "give a colleague a channel and permissions on it",
    needs: &[Permission::Admin],
    positional: &["colleague"],
    people: People::OneOrText,
    keys: &["channel", "permissions"],
    run: entitle,
    ..PLAIN
};

pub const REVOKE: Command = Command {
    path: "admin revoke",
    usage: "/admin revoke @a channel=",
    example: "/admin revoke @jane.doe@acme.com channel=whatsapp",
    about: "take a channel from a colleague, at once",
    needs: &[Permission::Admin],
    positional: &["colleague"],
    people: People::OneOrText,
    keys: &["channel"],
    run: revoke,
    ..PLAIN
};

pub const SHOW: Command = Command {
    path: "admin show",
    usage: "/admin show @a",
    example: "/admin show @jane.doe@acme.com",
    about: "a colleague's rights",
    needs: &[Permission::Admin],
    positional: &["colleague"],
    people: People::OneOrText,
    run: show,
    ..PLAIN
};

pub const STATUS: Command = Command {
    path: "admin status",
    usage: "/admin status",
    example: "/admin status",
    about: "how this installation does: feed, store, queues, providers, lines, counts",
    needs: &[Permission::Admin],
    run: status,
    ..PLAIN
};

/// What a colleague is given when no permissions are named.
const USUAL: &str = "advisor";

/// A colleague by the address that rights hang on; we may never have met him.
pub(super) struct Colleague {
    pub(super) email: String,
    pub(super) name: String,
}

fn entitle(scene: &mut Scene, given: &Given) -> Result<Answer, Refusal> {
    let colleague = colleague(scene, given)?;
    let permissions = permissions(given)?;
    let channels = channels(given, permissions.iter().all(|permission| permission.has_no_channel()))?;
    let mut rights = rights_of(scene, &colleague);
    channels.iter().for_each(|channel| rights.entitle(*channel, &permissions));
    rights.general.extend(permissions.iter().filter(|permission| permission.has_no_channel()));
    keep(scene, given, &rights, "admin.entitled");
    let reply = Reply::answer("admin-entitled").with("name", colleague.name).with("email", colleague.email);
    Ok(Answer::Say(sub_orgs::told(with_rights(reply, &rights), scene.policy, &rights)))
}

/// Takes effect at the next gate: what waits to be sent for him is refused there.
fn revoke(scene: &mut Scene, given: &Given) -> Result<Answer, Refusal> {
    let colleague = colleague(scene, given)?;
    let channels = channels(given, false)?;
    let mut rights = rights_of(scene, &colleague);
    if !rights.has_any() {
        return Err(Refusal::bad_argument("colleague", "has no rights here; is the address right?", SHOW.example));
    }
    if !channels.iter().any(|channel| rights.channels.contains_key(channel)) {
        return Err(Refusal::bad_argument("channel", "is not one that this colleague has", SHOW.example));
    }
    rights.channels.retain(|channel, _| !channels.contains(channel));
    keep(scene, given, &rights, "admin.revoked");
    leave_rooms(scene, given, &colleague);
    let names: Vec<&str> = channels.iter().map(|channel| channel.name()).collect();
    let reply = Reply::answer("admin-revoked").with("name", colleague.name).with("email", colleague.email);
    Ok(Answer::Say(with_rights(reply, &rights).with("revoked", names)))
}

/// Invariant 9: what clients write there is not his to read any more. What was left is told by itself; whose rooms are being
/// handed over already goes out of those that are left with the next word of a client.
fn leave_rooms(scene: &mut Scene, given: &Given, colleague: &Colleague) {
    let Some(user) = scene.user_by_email(&colleague.email).filter(|user| !handovers::is_under_way(scene, user.id)) else {
        return;
    };
    let rooms = rooms::rooms_of(scene, user.id, ROOMS_MAX);
    if rooms.iter().any(|room| room.is_live() && !presence::belongs(scene, room, user.id)) {
        let place = Place::Direct(given.caller.id);
        let report = handovers::begin(scene, Handover::new(Kind::Revoke, user.id, None, given.caller.id, place.clone()));
        scene.post(place, report);
    }
}

fn show(scene: &mut Scene, given: &Given) -> Result<Answer, Refusal> {
    let colleague = colleague(scene, given)?;
    let rights = rights_of(scene, &colleague);
    let granted = scene.case.holds(&Key::new("grant", &colleague.email));
    let met = scene.user_by_email(&colleague.email).map(|user| user.id.0);
    let reply = Reply::answer("admin-show").with("name", colleague.name).with("email", colleague.email);
    let reply = with_rights(reply, &rights).with("granted", granted).with("id", met);
    Ok(Answer::Say(sub_orgs::told(reply, scene.policy, &rights)))
}

fn status(scene: &mut Scene, _given: &Given) -> Result<Answer, Refusal> {
    let policy = scene.policy;
    let health = scene.case.health().map(|health| brief(health, policy));
    let lines: Vec<Value> = policy.lines.iter().map(|line| line_row(line, health.as_ref())).collect();
    let templates: Vec<&String> = policy.templates.keys().collect();
    let held_here = || scene.case.scan::<Lane>("lane/", None, LOOKED_THROUGH).iter().map(|lane| lane.held.len()).sum();
    let held: usize = health.as_ref().map_or_else(held_here, |health| health.queues.held);
    let rooms: Vec<Room> = scene.case.scan("room/", None, LOOKED_THROUGH);
    let reply = Reply::answer("admin-status")
        .with("firm", policy.firm.clone())
        .with("version", env!("CARGO_PKG_VERSION"))
        .with("lines", lines)
        .with("default_advisors", json!(policy.default_advisors))
        .with("templates", json!(templates))
        .with("languages", json!(policy.languages))
        .with("advisors", policy.advisors.len())
        .with("granted", scene.case.scan::<Rights>("grant/", None, LOOKED_THROUGH).len())
        .with("contacts", scene.case.scan::<Contact>("contact/", None, LOOKED_THROUGH).len())
        .with("rooms", rooms.iter().filter(|room| room.is_live()).count())
        .with("held", held)
        .with("most", LOOKED_THROUGH)
        .with("health", json!(health))
        .with("now", scene.now.0);
    Ok(Answer::Say(reply))
}

/// Errors of providers can be long, and they can quote what they were sent; their beginning says what is wrong.
const ERROR_SHOWN: usize = 120;

/// With no more of anybody's words than fit a line, and of our own lines only.
fn brief(mut health: Health, policy: &Policy) -> Health {
    let cut = |error: &mut Option<String>| *error = error.take().map(|error| shortened(&error, ERROR_SHOWN));
    cut(&mut health.feed.last_error);
    cut(&mut health.login);
    health.lines.retain(|line, _| policy.line(line).is_some());
    for trouble in health.lines.values_mut().filter_map(|line| line.trouble.as_mut()) {
        trouble.detail = shortened(&trouble.detail, ERROR_SHOWN);
    }
    health
}

fn line_row(line: &Line, health: Option<&Health>) -> Value {
    let known = health.and_then(|health| health.lines.get(&line.id));
    let state = match known {
        _ if health.is_none() => None,
        None => Some("unheard"),
        Some(LineHealth { trouble: Some(_), .. }) => Some("stopped"),
        Some(LineHealth { resting: true, .. }) => Some("resting"),
        Some(_) => Some("works"),
    };
    json!({
        "name": line.name, "number": line.number.e164(), "channel": line.channel.name(), "advisor": line.advisor,
        "state": state, "trouble": known.and_then(|known| known.trouble.as_ref()),
    })
}

// ---- reading

pub(super) fn colleague(scene: &Scene, given: &Given) -> Result<Colleague, Refusal> {
    let example = given.command.example;
    let named = given.args.people().into_iter().next();
    let typed = || given.text(0).map(|text| Who::Email(text.to_owned()));
    match named.or_else(typed).ok_or_else(|| Refusal::missing("colleague", example))? {
        Who::User(id) => {
            let user = scene.user(id).filter(|user| !user.email.is_empty());
            let why = "is not known to me yet; name the e-mail address instead";
            let user = user.ok_or_else(|| Refusal::bad_argument("colleague", why, example))?;
            Ok(Colleague { email: user.email, name: user.name })
        }
        Who::Email(typed) => {
            let wrong = |problem: email::EmailProblem| Refusal::bad_argument("colleague", problem.to_string(), example);
            let address = email::canonical(&typed).map_err(wrong)?;
            let name = scene.user_by_email(&address).map(|user| user.name).filter(|name| !name.is_empty());
            Ok(Colleague { name: name.unwrap_or_else(|| address.clone()), email: address })
        }
    }
}

fn parts(given: &Given, key: &str) -> Vec<String> {
    given.args.value(key).map(|value| value.parts.clone()).unwrap_or_default()
}

fn permissions(given: &Given) -> Result<Vec<Permission>, Refusal> {
    let mut names = parts(given, "permissions");
    if names.is_empty() {
        names.push(USUAL.to_owned());
    }
    let unknown = |name: &str| {
        let why = format!("has no permission or bundle “{name}”");
        Refusal::bad_argument("permissions", why, "permissions=advisor,bulk")
    };
    let read = |name: &String| Permission::parse_many(&name.to_lowercase()).ok_or_else(|| unknown(name));
    Ok(names.iter().map(read).collect::<Result<Vec<_>, _>>()?.concat())
}

fn channels(given: &Given, may_be_missing: bool) -> Result<Vec<Channel>, Refusal> {
    let names = parts(given, "channel");
    if names.is_empty() && !may_be_missing {
        return Err(Refusal::missing("channel", given.command.example));
    }
    let unknown = || Refusal::bad_argument("channel", "must be whatsapp or sms", "channel=whatsapp");
    names.iter().map(|name| Channel::parse(name).ok_or_else(unknown)).collect()
}

pub(super) fn rights_of(scene: &Scene, colleague: &Colleague) -> Rights {
    Rights { email: colleague.email.clone(), ..scene.given_rights(&colleague.email) }
}

pub(super) fn keep(scene: &mut Scene, given: &Given, rights: &Rights, kind: &str) {
    scene.put(rights);
    scene.note(Entry::new(kind, given.caller.email.clone()).detail(json!({ "rights": rights })));
}
