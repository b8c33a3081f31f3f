//! The chat commands: one file each, one line each in `ALL`; line and form fill the same arguments and run the same code.
pub mod admin;
pub mod admin_offboard;
pub mod admin_suborg;
mod arguments;
pub mod call;
pub mod consent;
pub mod contact_add;
pub mod contact_block;
pub mod contact_edit;
pub mod contact_list;
pub mod contact_remove;
pub mod contact_share;
pub mod contact_transfer;
pub mod dryrun;
mod fields;
pub mod group_create;
pub mod help;
mod next_steps;
pub mod note;
mod on_behalf;
pub mod optin;
pub mod queue;
pub mod room_add;
pub mod room_contacts;
pub mod room_create;
pub mod room_deactivate;
pub mod room_info;
pub mod room_leave;
pub mod room_owners;
pub mod room_photo;
pub mod room_remove;
pub mod room_rename;
pub mod room_restart;
pub mod room_transfer;
pub mod sent;
pub mod sms;
pub mod template;
mod views;
pub mod why;
pub mod why_group;
pub mod window;

use super::answers;
use super::ask::About;
use super::commit::Key;
use super::contact::{Contact, Listing};
use super::effect::*;
use super::entitlement::{Permission, Rights, User};
use super::event::{Person, RoomMessage};
use super::grammar::{Args, Line, Who};
use super::ids::*;
use super::refusal::Refusal;
use super::room::Room;
use super::scene::Scene;
use super::sending;
use super::{email, phone, relay, suggest};
pub use arguments::People;
pub use fields::args_of_form;
use fields::shown_again;
pub use next_steps::for_reader;
use serde_json::{Map, Value, json};

pub struct Command {
    /// As typed after the slash: `contact add`.
    pub path: &'static str,
    pub usage: &'static str,
    /// One line that can be typed as it stands.
    pub example: &'static str,
    /// What it does, in half a sentence.
    pub about: &'static str,
    /// Any one of these is needed; empty: everybody may.
    pub needs: &'static [Permission],
    /// Names of the positional arguments, also the names of their form fields.
    pub positional: &'static [&'static str],
    /// Of the last of them there may be several.
    pub several: bool,
    /// The colleagues among the positional arguments, or besides them.
    pub people: People,
    pub keys: &'static [&'static str],
    /// Those of the keys that name colleagues.
    pub people_in: &'static [&'static str],
    pub flags: &'static [&'static str],
    /// From this position on plain words make one argument ("a last single argument may do without quotes").
    pub one_text_from: Option<usize>,
    /// Has a form: without arguments it is posted.
    pub form: bool,
    pub run: fn(&mut Scene, &Given) -> Result<Answer, Refusal>,
}

/// Among `keys` or `flags`: anything may stand there, the command reads its text by itself.
pub const ANY: &str = "*";
/// A positional argument of this name is any text: nothing in it is meant as a mention.
pub const TEXT: &str = "text";

/// What most commands have in common: no arguments, no form, open to everybody.
pub const PLAIN: Command = Command {
    path: "",
    usage: "",
    example: "",
    about: "",
    needs: &[],
    positional: &[],
    several: false,
    people: People::Nobody,
    keys: &[],
    people_in: &[],
    flags: &[],
    one_text_from: None,
    form: false,
    run: |_, _| Err(Refusal::new("unknown-command").with("suggestions", json!([]))),
};

/// In the order in which `/help` lists them.
pub const ALL: &[&Command] = &[
    &help::HELP,
    &help::WHOAMI,
    &contact_add::ADD,
    &contact_list::LIST,
    &contact_list::SHOW,
    &contact_edit::EDIT,
    &contact_remove::REMOVE,
    &optin::SEND,
    &optin::RESEND,
    &room_create::CREATE,
    &group_create::CREATE,
    &room_info::INFO,
    &room_info::LIST,
    &window::WINDOW,
    &queue::LIST,
    &queue::CANCEL,
    &sent::SENT,
    &template::LIST,
    &template::SHOW,
    &template::SEND,
    &consent::SHOW,
    &consent::HISTORY,
    &why::WHY,
    &dryrun::DRYRUN,
    &note::NOTE,
    &admin::ENTITLE,
    &admin::REVOKE,
    &admin::SHOW,
    &admin::STATUS,
    &sms::SMS,
    &contact_edit::COMPLETE,
    &call::LIST,
    &room_add::ADD,
    &room_remove::REMOVE,
    &room_owners::PROMOTE,
    &room_owners::DEMOTE,
    &room_rename::RENAME,
    &room_photo::PHOTO,
    &room_leave::LEAVE,
    &room_transfer::TRANSFER,
    &room_restart::RESTART,
    &room_deactivate::DEACTIVATE,
    &contact_share::SHARE,
    &contact_transfer::TRANSFER,
    &admin_offboard::OFFBOARD,
    &contact_block::BLOCK,
    &contact_block::UNBLOCK,
    &admin_suborg::SUBORG,
];

/// A command's arguments and who gave them, where.
pub struct Given {
    pub command: &'static Command,
    pub caller: User,
    pub rights: Rights,
    /// Where the answer goes.
    pub place: Place,
    /// The client room in which it was typed.
    pub room: Option<Room>,
    pub args: Args,
    /// The caller has pressed Confirm for exactly this.
    pub confirmed: bool,
    /// Somebody named here was looked up already and is not known to the platform.
    pub looked_up: bool,
    /// The question that this answers, when it came from a form or a button; a later press gets the same answer.
    pub ask: Option<AskId>,
}

/// What a command leaves to be said.
pub enum Answer {
    Say(Reply),
    /// To the caller's 1:1 chat: long lists, and whatever not everybody in the room needs to read.
    Privately(Reply),
    /// What will happen; asks Confirm / Cancel, then runs again with `confirmed`.
    Confirm(Reply),
    /// The answer comes when the room stands, or was given already.
    Later,
}

// ---- running one

pub fn run_line(scene: &mut Scene, caller: User, said: &RoomMessage, room: Option<Room>, line: Line) {
    let place = Place::Stream(said.stream.clone());
    let rights = scene.rights_of_email(&caller.email);
    let Some((command, args)) = named_in(&line) else {
        let refusal = unknown(&line, &rights, room.is_some());
        return scene.post(place, refusal.into_reply());
    };
    let given = Given { command, caller, rights, place, room, args, confirmed: false, looked_up: false, ask: None };
    run(scene, given);
}

/// The command that the line names, and its arguments as it takes them.
fn named_in(line: &Line) -> Option<(&'static Command, Args)> {
    let paths: Vec<&'static str> = ALL.iter().map(|command| command.path).collect();
    let (path, mut args) = line.split_path(&paths)?;
    let command = find(path).expect("the path came from the table");
    if let Some(from) = command.one_text_from {
        args.rest_as_one(from, &line.raw);
    }
    Some((command, args))
}

pub fn find(path: &str) -> Option<&'static Command> {
    ALL.iter().copied().find(|command| command.path == path)
}

/// Runs it and says what came of it. A refusal changes nothing.
pub fn run(scene: &mut Scene, given: Given) -> Reply {
    let mark = scene.mark();
    let outcome = may_run(&given).and_then(|()| {
        if given.wants_form() {
            Ok(Answer::Say(form(scene, &given, &Map::new(), None)))
        } else {
            (given.command.run)(scene, &given)
        }
    });
    match outcome {
        Ok(Answer::Say(reply)) => say(scene, given.place, for_reader(reply, &given.rights)),
        Ok(Answer::Privately(reply)) => say(scene, Place::Direct(given.caller.id), for_reader(reply, &given.rights)),
        Ok(Answer::Confirm(reply)) => ask_to_confirm(scene, given, reply),
        Ok(Answer::Later) => Reply::new(Code::Info, "working"),
        Err(refusal) => {
            // A card that is shown instead of the refusal asks something: its question stays.
            let ask = refusal.card.as_ref().and_then(|card| card.ask.as_ref()).and_then(|id| scene.ask(id));
            scene.back_to(mark);
            if ask_who_they_are(scene, &given, &Map::new()) {
                return Reply::new(Code::Info, "working");
            }
            if let Some(ask) = ask {
                scene.put(&ask);
            }
            let number = refusal.vars.iter().find(|(name, _)| *name == "number").map(|(_, number)| number.clone());
            let reply = say(scene, given.place.clone(), for_reader(refusal.into_reply(), &given.rights));
            offer_to_add(scene, given, number);
            reply
        }
    }
}

/// Colleagues whom the platform knows and we do not are looked up, then the command runs again. Once: those who stay unknown
/// are refused.
pub fn ask_who_they_are(scene: &mut Scene, given: &Given, values: &Map<String, Value>) -> bool {
    let named = given.args.people().into_iter().chain(given.args.keys.values().flatten().flat_map(|value| value.who.clone()));
    let unknown = named.filter_map(|who| match who {
        Who::User(id) => Some(id),
        Who::Email(_) => None,
    });
    let Some(user) = unknown.filter(|id| scene.user(*id).is_none()).find(|_| !given.looked_up && may_run(given).is_ok()) else {
        return false;
    };
    let then = Again {
        path: given.command.path.to_owned(),
        args: given.args.clone(),
        caller: given.caller.id,
        place: given.place.clone(),
        room: given.room.as_ref().map(|room| room.key.clone()),
        ask: given.ask.clone(),
        values: values.clone(),
    };
    scene.effect(Effect::FindUser { user, then: Box::new(then) });
    true
}

/// The look-up is over: the command runs as if the colleague had been known from the start.
pub fn run_again(scene: &mut Scene, again: &Again, found: Option<Person>) {
    let known = found.map(|person| scene.meet(&person));
    if answers::looked_up(scene, again, known.is_some()) {
        return;
    }
    let (Some(command), Some(caller)) = (find(&again.path), scene.user(again.caller)) else { return };
    let given = Given {
        command,
        rights: scene.rights_of_email(&caller.email),
        caller,
        place: again.place.clone(),
        room: again.room.as_ref().and_then(|key| scene.room(key)),
        args: again.args.clone(),
        confirmed: false,
        looked_up: known.is_none(),
        ask: None,
    };
    run(scene, given);
}

/// S3-5: a number that is none of the caller's contacts brings the form of `/contact add`, the number filled in.
fn offer_to_add(scene: &mut Scene, given: Given, number: Option<Value>) {
    let Some(number) = number.filter(|_| may_use(&contact_add::ADD, &given.rights)) else { return };
    let values = Map::from_iter([("phone".to_owned(), number)]);
    let place = given.place.clone();
    let add = Given { command: &contact_add::ADD, args: Args::default(), confirmed: false, ..given };
    let reply = form(scene, &add, &values, None);
    say(scene, place, reply);
}

fn say(scene: &mut Scene, place: Place, reply: Reply) -> Reply {
    scene.post(place, reply.clone());
    reply
}

fn ask_to_confirm(scene: &mut Scene, given: Given, reply: Reply) -> Reply {
    let (path, args) = (given.command.path.to_owned(), given.args.clone());
    let about = match reply.vars.get("room_key").and_then(Value::as_str) {
        Some(existing) => About::JoinOrNew { path, args, existing: RoomKey::new(existing) },
        None => About::Command { path, args, room: given.room.as_ref().map(|room| room.key.clone()) },
    };
    let ask = sending::confirmation(scene, given.caller.id, &given.place, about, reply.contact.as_ref());
    say(scene, given.place, reply.asking(&ask.id))
}

/// Before any command does anything: the caller may use it, and all that he typed has its place in it.
pub fn may_run(given: &Given) -> Result<(), Refusal> {
    permitted(given)?;
    arguments::all_have_a_place(given)
}

/// Deny by default (COMMANDS §2).
fn permitted(given: &Given) -> Result<(), Refusal> {
    let needs = given.command.needs;
    if needs.is_empty() || needs.iter().any(|permission| given.rights.may(*permission, None)) {
        return Ok(());
    }
    if !given.rights.has_any() {
        return Err(Refusal::new("not-entitled"));
    }
    Err(Refusal::no_permission(needs[0].name()))
}

fn unknown(line: &Line, rights: &Rights, in_client_room: bool) -> Refusal {
    let allowed = ALL.iter().filter(|command| may_use(command, rights)).map(|command| command.path);
    let near = suggest::suggest(&line.typed_path(2), allowed);
    Refusal::new("unknown-command")
        .with("suggestions", near)
        .with("in_client_room", in_client_room)
        .with("typed", line.raw.clone())
}

pub fn may_use(command: &Command, rights: &Rights) -> bool {
    command.needs.is_empty() || command.needs.iter().any(|permission| rights.may(*permission, None))
}

// ---- forms

impl Given {
    fn wants_form(&self) -> bool {
        let empty = self.args.positional.is_empty() && self.args.keys.is_empty() && self.args.flags.is_empty();
        let contact_is_clear = self.command.positional == ["contact"] && self.room.is_some();
        self.command.form && empty && !contact_is_clear
    }
}

/// The command's form, filled with what was given; a mistake stands beside its field.
pub fn form(scene: &mut Scene, given: &Given, values: &Map<String, Value>, mistake: Option<&Refusal>) -> Reply {
    let about = About::Form { path: given.command.path.to_owned(), room: given.room.as_ref().map(|room| room.key.clone()) };
    let contact = given.room.as_ref().and_then(|room| room.contacts.first().cloned());
    let ask = scene.new_ask(Some(given.caller.id), &given.place, about, contact.as_ref());
    scene.put(&ask);
    let template = format!("form-{}", given.command.path.replace(' ', "-"));
    let mut reply =
        Reply::new(Code::Form, &template).asking(&ask.id).with("values", Value::Object(shown_again(given.command, values)));
    reply.contact = contact;
    let templates: Vec<&String> = scene.policy.templates.keys().filter(|name| !name.starts_with("liaison_")).collect();
    reply = reply
        .with("templates", json!(templates))
        .with("languages", json!(scene.policy.languages))
        .with("channels", json!(contact_add::channels(scene, given)))
        .with("on_behalf", given.rights.may(Permission::OnboardOnBehalf, None))
        .with("usage", given.command.usage);
    if let Some(mistake) = mistake {
        let words: Map<String, Value> = mistake.vars.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        reply = reply.because(mistake.code).with("mistake", json!({ "code": mistake.code, "vars": words }));
    }
    reply
}

// ---- what commands ask of their arguments

impl Given {
    pub fn text(&self, position: usize) -> Option<&str> {
        self.args.texts().get(position).map(|text| text.trim()).filter(|text| !text.is_empty())
    }
    pub fn key(&self, name: &str) -> Option<&str> {
        self.args.text(name).map(str::trim).filter(|text| !text.is_empty())
    }
    pub fn needed(&self, position: usize) -> Result<&str, Refusal> {
        let name = self.command.positional.get(position).copied().unwrap_or("argument");
        self.text(position).ok_or_else(|| Refusal::missing(name, self.command.example))
    }

    /// The contact at this position, or the only one of the room.
    pub fn contact(&self, scene: &Scene, position: usize) -> Result<Contact, Refusal> {
        self.contact_if(scene, position, |contact| self.may_see(scene, contact))
    }

    fn contact_if(&self, scene: &Scene, position: usize, seen: impl Fn(&Contact) -> bool) -> Result<Contact, Refusal> {
        if let Some(text) = self.text(position) {
            return find_contact_if(scene, self, text, seen);
        }
        let contacts = self.room.as_ref().map(|room| room.contacts.as_slice()).unwrap_or_default();
        match contacts {
            [only] => scene.contact(only).ok_or_else(|| Refusal::new("no-such-contact")),
            [] | [_, _, ..] => Err(Refusal::missing("contact", self.command.example)),
        }
    }

    /// Whom the caller may see: those on his list, those whom he shares a room with, everyone with contact.list-all.
    pub fn may_see(&self, scene: &Scene, contact: &Contact) -> bool {
        let shares_room =
            || contact.rooms.iter().filter_map(|key| scene.room(key)).any(|room| room.members.contains_key(&self.caller.id));
        self.rights.may(Permission::ContactListAll, None) || contact.listed_by.contains(&self.caller.id) || shares_room()
    }

    /// A room of this contact that the caller is in: the one in which the command stands, else the one used last.
    pub fn room_with(&self, scene: &Scene, contact: &Contact, channel: Option<Channel>) -> Option<Room> {
        let fits = |room: &&Room| room.contacts.contains(&contact.id) && channel.is_none_or(|channel| room.channel == channel);
        if let Some(room) = self.room.as_ref().filter(fits) {
            return Some(room.clone());
        }
        let rooms = contact.rooms.iter().filter_map(|key| scene.room(key));
        let mine = rooms.filter(|room| {
            room.is_live() && room.members.contains_key(&self.caller.id) && channel.is_none_or(|channel| room.channel == channel)
        });
        // What is asked of one contact is asked of him alone: a native group has many readers.
        mine.max_by_key(|room| (!room.is_native(), room.last_exchange_with(&contact.id)))
    }

    /// The colleague whom `who` names, if we have met him.
    pub fn colleague(&self, scene: &Scene, who: &Who) -> Result<User, Refusal> {
        let found = match who {
            Who::User(id) => scene.user(*id),
            Who::Email(address) => scene.user_by_email(&address.trim().to_lowercase()),
        };
        let why = match who {
            Who::User(_) => "is not known to me".to_owned(),
            Who::Email(address) => format!("(@{address}) is not known to me"),
        };
        found.ok_or_else(|| Refusal::bad_argument("colleague", why, "@jane.doe@acme.com"))
    }
}

const LOOKED_THROUGH: usize = 2_000;
const SHOWN_MATCHES: usize = 5;

/// By short id, number, e-mail address, or a name that is unique among those whom the caller may see.
pub fn find_contact(scene: &Scene, given: &Given, text: &str) -> Result<Contact, Refusal> {
    find_contact_if(scene, given, text, |contact| given.may_see(scene, contact))
}

/// The same for those of whom `seen` says that the caller may name them.
pub fn find_contact_if(scene: &Scene, given: &Given, text: &str, seen: impl Fn(&Contact) -> bool) -> Result<Contact, Refusal> {
    let nobody = || Refusal::new("no-such-contact").with("typed", text).with("near", Vec::<String>::new());
    if let Some(id) = text.to_uppercase().strip_prefix("C-").filter(|id| (4..=8).contains(&id.len())) {
        let found = scene.contact(&ContactId(format!("c-{id}")));
        return found.filter(|contact| seen(contact)).ok_or_else(nobody);
    }
    if text.contains('@') {
        let found = email::canonical(text).ok().and_then(|address| scene.pointer(Key::new("email", address)));
        return found.and_then(|id| scene.contact(&ContactId(id))).filter(|contact| seen(contact)).ok_or_else(nobody);
    }
    if text.chars().filter(char::is_ascii_digit).count() >= 6 {
        let found = phone::canonical(text, &scene.policy.default_region).ok();
        let found = found.and_then(|phone| relay::number_keys(&phone).into_iter().find_map(|key| scene.pointer(key)));
        return found
            .and_then(|id| scene.contact(&ContactId(id)))
            .filter(|contact| seen(contact))
            .ok_or_else(|| nobody().with("number", text));
    }
    by_name(scene, given, text)
}

fn by_name(scene: &Scene, given: &Given, text: &str) -> Result<Contact, Refusal> {
    let known = names_seen(scene, given);
    let wanted = text.to_lowercase();
    let whole: Vec<_> = known.iter().filter(|(name, _)| name.to_lowercase() == wanted).collect();
    let part = |name: &str| name.to_lowercase().split_whitespace().any(|word| word == wanted);
    let found = if whole.is_empty() { known.iter().filter(|(name, _)| part(name)).collect() } else { whole };
    match found.as_slice() {
        [(_, id)] => scene.contact(id).ok_or_else(|| Refusal::new("no-such-contact").with("typed", text)),
        [] => {
            let near = suggest::suggest(text, known.iter().map(|(name, _)| name.as_str()));
            Err(Refusal::new("no-such-contact").with("typed", text).with("near", near))
        }
        several => {
            let choices: Vec<Value> = several
                .iter()
                .take(SHOWN_MATCHES)
                .map(|(name, id)| json!({ "name": name, "id": id, "number": scene.contact(id).map(|c| c.number()) }))
                .collect();
            Err(Refusal::new("ambiguous").with("typed", text).with("choices", choices))
        }
    }
}

fn names_seen(scene: &Scene, given: &Given) -> Vec<(String, ContactId)> {
    if given.rights.may(Permission::ContactListAll, None) {
        let all: Vec<Contact> = scene.case.scan("contact/", None, LOOKED_THROUGH);
        return all.into_iter().map(|contact| (contact.name(), contact.id)).collect();
    }
    let listings: Vec<Listing> = scene.listings(given.caller.id, LOOKED_THROUGH);
    let mut names: Vec<(String, ContactId)> =
        listings.into_iter().map(|listing| (listing.name(), listing.contact)).filter(|(name, _)| !name.is_empty()).collect();
    if let Some(room) = &given.room {
        let others = room.contacts.iter().filter(|id| !names.iter().any(|(_, known)| known == *id));
        let others: Vec<_> = others.map(|id| (sending::contact_name(scene, Some(&room.key), id), id.clone())).collect();
        names.extend(others);
    }
    names
}
