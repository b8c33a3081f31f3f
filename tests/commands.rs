//! The commands of chat as people use them: each line is decided over a small store, each answer is put into words.
#![allow(clippy::unwrap_used)] // Clippy sees only the functions marked as tests, not what they share.
use jiff::tz::TimeZone;
use liaison::adapters::wording::Wording;
use liaison::domain::case::Records;
use liaison::domain::commit::{Entry, Key, Stored};
use liaison::domain::contact::{Contact, Listing};
use liaison::domain::decide::{Decision, decide};
use liaison::domain::effect::*;
use liaison::domain::entitlement::{Permission, Rights};
use liaison::domain::event::*;
use liaison::domain::ids::*;
use liaison::domain::lane::{Due, DueState};
use liaison::domain::message::{Message, MessageState};
use liaison::domain::policy::*;
use liaison::domain::room::{Room, RoomState};
use liaison::domain::time::{Span, Timestamp};
use liaison::domain::words::Words;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

const BOT: UserId = UserId(1);
const JANE: UserId = UserId(42);
const JOHN: UserId = UserId(43);
/// In no configuration.
const NEW: UserId = UserId(44);
const CARL: UserId = UserId(45);
const OLIVIA: UserId = UserId(46);
const LINE: &str = "106540352242922";
const ANN: &str = "+4915112345678";
const TEN_O_CLOCK: Timestamp = Timestamp(1_763_719_200_000);

/// What the commands tested here say.
const ANSWERS: [&str; 31] = [
    "answered-privately",
    "help",
    "help-command",
    "help-client",
    "whoami",
    "contact-list",
    "contact-card",
    "contact-updated",
    "contact-complete",
    "confirm-contact-remove",
    "contact-removed",
    "colleague-left",
    "room-info",
    "room-list",
    "window",
    "queue-list",
    "queue-cancelled",
    "queue-not-yours",
    "sent",
    "consent-show",
    "consent-history",
    "noted",
    "admin-entitled",
    "admin-revoked",
    "admin-show",
    "admin-status",
    "why",
    "dryrun",
    "refusal-phone-immutable",
    "refusal-already-sent",
    "refusal-not-a-member",
];

// ---- a small world

#[derive(Default)]
struct Store {
    records: BTreeMap<Key, (u64, Vec<u8>)>,
    commits: u64,
}

impl Records for Store {
    fn get(&self, key: &Key) -> Option<Stored> {
        self.records.get(key).map(|(version, value)| Stored { version: *version, value: value.clone() })
    }
    fn scan(&self, prefix: &str, after: Option<&str>, limit: usize) -> Vec<(Key, Stored)> {
        let from = Key::from_text(prefix);
        let found = self.records.range(from..).take_while(|(key, _)| key.as_str().starts_with(prefix));
        let found = found.filter(|(key, _)| after.is_none_or(|after| key.as_str() > after));
        found
            .take(limit)
            .map(|(key, (version, value))| (key.clone(), Stored { version: *version, value: value.clone() }))
            .collect()
    }
}

struct World {
    store: Store,
    policy: Policy,
    now: Timestamp,
    events: u32,
    entries: Vec<Entry>,
    said: Vec<(Place, Reply)>,
    sent: Vec<Send>,
    other: Vec<Effect>,
    wording: Wording,
}

fn person(id: UserId) -> Person {
    let (name, email) = match id {
        JANE => ("Jane Doe", "jane.doe@acme.com"),
        JOHN => ("John Roe", "john.roe@acme.com"),
        NEW => ("Nina New", "nina@acme.com"),
        CARL => ("Carl Comply", "carl@acme.com"),
        OLIVIA => ("Olivia Ops", "olivia@acme.com"),
        _ => panic!("nobody has this id"),
    };
    Person { id, name: name.to_owned(), email: Some(email.to_owned()), service: false }
}

fn direct(id: UserId) -> StreamId {
    StreamId::new(format!("direct-{id}"))
}

fn policy() -> Policy {
    let rights = |email: &str, channels: &[Channel], bundles: &[&str]| {
        let permissions: Vec<Permission> = bundles.iter().flat_map(|name| Permission::parse_many(name).unwrap()).collect();
        (email.to_owned(), Rights::new(email, channels, &permissions, ""))
    };
    let whatsapp = [Channel::WhatsApp];
    let own_line = Line {
        id: LineId::new(LINE),
        channel: Channel::WhatsApp,
        number: Phone::from_e164("+15550783881").unwrap(),
        name: "Acme & Co".to_owned(),
        advisor: None,
        forward_to: None,
    };
    Policy {
        firm: "Acme & Co".to_owned(),
        default_region: "DE".to_owned(),
        time_zone: "UTC".to_owned(),
        bot: BOT,
        lines: vec![own_line],
        whatsapp_consent: ConsentRule::Explicit,
        sms_consent: SmsConsent::Us,
        sms_welcome: SmsWelcome::Always,
        keyword_replies: KeywordReplies::Provider,
        stop_scope: StopScope::Channel,
        unknown_sender: UnknownSender::Onboard,
        default_advisors: vec!["jane.doe@acme.com".to_owned()],
        onboarding_per_hour: 30,
        onboarding_per_prefix: 10,
        resend_after: Span::hours(24),
        waiting_notice: true,
        held_expiry: Span::days(7),
        held_max: 50,
        quiet_hours: None,
        rooms_per_line: RoomsPerLine::Many,
        group_relay: GroupRelay::All,
        native_groups: true,
        sub_orgs: BTreeMap::new(),
        advisors: BTreeMap::from([
            rights("jane.doe@acme.com", &whatsapp, &["advisor"]),
            rights("john.roe@acme.com", &whatsapp, &["advisor"]),
            rights("carl@acme.com", &[], &["compliance"]),
            rights("olivia@acme.com", &[], &["admin"]),
        ]),
        words: Words::parse(include_str!("../templates/keywords.toml")).unwrap(),
        templates: BTreeMap::from([("follow_up".to_owned(), BTreeMap::from([("en".to_owned(), Vec::new())]))]),
        filed: BTreeMap::new(),
        languages: BTreeSet::from(["en".to_owned(), "de".to_owned()]),
    }
}

impl World {
    fn new() -> World {
        let templates = Path::new(env!("CARGO_MANIFEST_DIR")).join("templates");
        let mut world = World {
            store: Store::default(),
            policy: policy(),
            now: TEN_O_CLOCK,
            events: 0,
            entries: Vec::new(),
            said: Vec::new(),
            sent: Vec::new(),
            other: Vec::new(),
            wording: Wording::load(&templates, TimeZone::UTC).map_err(|mistakes| format!("{mistakes:?}")).unwrap(),
        };
        for user in [JANE, JOHN, CARL, OLIVIA] {
            world.happens(Fact::UserFound { user: person(user) });
        }
        world
    }

    /// Jane has Ann on her list, in a room; Ann has agreed unless `asked_only`.
    fn with_ann(asked_only: bool) -> World {
        let mut world = World::new();
        world.jane("/contact add Ann Lee phone=+4915112345678 email=ann@lee.de company=Lee --room");
        if !asked_only {
            world.client(ANN, "yes");
        }
        world.said.clear();
        world.sent.clear();
        world
    }

    fn happens(&mut self, fact: Fact) {
        self.events += 1;
        let event = Event { id: EventId::new(format!("e{}", self.events)), at: self.now, fact, raw: None };
        let decision = decide(&self.store, &self.policy, self.now, &event, true);
        let Decision::Commit(commit) = decision else { return };
        self.store.commits += 1;
        for put in commit.puts {
            match put.value {
                Some(value) => self.store.records.insert(put.key, (self.store.commits, value)),
                None => self.store.records.remove(&put.key),
            };
        }
        self.entries.extend(commit.entries);
    }

    /// Performs all that is due, and what follows from it.
    fn perform(&mut self) {
        while let Some(due) = self.all::<Due>("out/").into_iter().find(|due| matches!(due.state, DueState::Waiting { .. })) {
            let key = Due::key_of(&due.lane, due.place_in_lane);
            self.happens(Fact::EffectWanted { key: key.clone(), attempt: due.attempt, text: None });
            let Some(taken) = self.get::<Due>(&key) else { continue };
            let n = self.events;
            let external_id = match &taken.effect {
                Effect::Post { place, reply } => {
                    self.put_into_words(reply);
                    self.said.push((place.clone(), reply.clone()));
                    Some(format!("posted-{n}"))
                }
                Effect::Send(send) => {
                    self.sent.push(send.clone());
                    Some(format!("wamid-{n}"))
                }
                Effect::OpenRoom(open) => Some(format!("stream-{}", open.key)),
                other => {
                    self.other.push(other.clone());
                    None
                }
            };
            self.happens(Fact::EffectEnded { key, attempt: taken.attempt, outcome: Outcome::Done { external_id } });
        }
    }

    /// Each answer of these commands must become markup; the other replies have tests of their own.
    fn put_into_words(&self, reply: &Reply) {
        if ANSWERS.contains(&reply.template.as_str()) {
            self.wording.chat(reply, "key").unwrap_or_else(|why| panic!("{why}\n{reply:?}"));
        }
    }

    fn words(&self, reply: &Reply) -> String {
        self.wording.chat(reply, "key").unwrap().0
    }

    fn types(&mut self, user: UserId, stream: StreamId, kind: StreamKind, text: &str) -> Reply {
        let before = self.said.len();
        let message = ChatMessageId::new(format!("typed-{}", self.events));
        self.happens(Fact::RoomMessage(RoomMessage {
            stream,
            kind,
            message,
            author: person(user),
            text: text.to_owned(),
            mentions: Vec::new(),
            edits: None,
            forwarded: false,
            attachments: Vec::new(),
        }));
        self.perform();
        let answers = [Code::Answer, Code::Refusal, Code::Confirm, Code::Form];
        let answer = self.said[before..].iter().rev().find(|(_, reply)| answers.contains(&reply.code));
        answer.or(self.said.last()).map(|(_, reply)| reply.clone()).unwrap_or_else(|| Reply::new(Code::Info, "silence"))
    }

    fn direct(&mut self, user: UserId, text: &str) -> Reply {
        self.types(user, direct(user), StreamKind::Direct, text)
    }
    fn jane(&mut self, text: &str) -> Reply {
        self.direct(JANE, text)
    }
    fn in_room(&mut self, user: UserId, text: &str) -> Reply {
        let stream = self.room().stream.unwrap();
        self.types(user, stream, StreamKind::Room, text)
    }

    fn contact_card_for_carl(&mut self) -> Reply {
        self.direct(CARL, "/contact show ann@lee.de")
    }

    fn presses(&mut self, user: UserId, button: &str) -> Reply {
        let asked =
            self.store.records.range(Key::from_text("asked/")..).take_while(|(key, _)| key.as_str().starts_with("asked/"));
        let number = |key: &Key| key.as_str().rsplit('-').next().and_then(|n| n.parse::<u32>().ok()).unwrap();
        let form_message = asked.map(|(key, _)| key.clone()).max_by_key(number).unwrap();
        let form_message = ChatMessageId::new(form_message.as_str().strip_prefix("asked/").unwrap());
        let before = self.said.len();
        let values = Map::from_iter([("action".to_owned(), json!(button))]);
        let form = "confirm".to_owned();
        self.happens(Fact::FormSent(FormSent { stream: direct(user), form_message, form, values, by: person(user) }));
        self.perform();
        let said = self.said[before..].iter().rev().find(|(_, reply)| matches!(reply.code, Code::Answer | Code::Refusal));
        said.or(self.said.last()).unwrap().1.clone()
    }

    fn client(&mut self, phone: &str, text: &str) {
        self.happens(Fact::ClientMessage(ClientMessage {
            channel: Channel::WhatsApp,
            line: LineId::new(LINE),
            id: Wamid::new(format!("from-client-{}", self.events)),
            from: ClientKeys { phone: Phone::from_e164(phone), ..ClientKeys::default() },
            content: Content::Text(text.to_owned()),
            quoted: None,
            group: None,
        }));
        self.perform();
    }

    fn later(&mut self, span: Span) {
        self.now = self.now + span;
    }

    fn get<R: DeserializeOwned>(&self, key: &Key) -> Option<R> {
        self.store.records.get(key).map(|(_, value)| serde_json::from_slice(value).unwrap())
    }
    fn all<R: DeserializeOwned>(&self, prefix: &str) -> Vec<R> {
        let found = self.store.records.range(Key::from_text(prefix)..).take_while(|(key, _)| key.as_str().starts_with(prefix));
        found.map(|(_, (_, value))| serde_json::from_slice(value).unwrap()).collect()
    }
    fn contact(&self) -> Contact {
        let mut contacts: Vec<Contact> = self.all("contact/");
        assert_eq!(contacts.len(), 1);
        contacts.remove(0)
    }
    fn listing(&self, user: UserId) -> Listing {
        self.get(&Listing::key_of(user, &self.contact().id)).unwrap()
    }
    fn room(&self) -> Room {
        self.all::<Room>("room/").into_iter().next().unwrap()
    }
    fn held(&self) -> Vec<Message> {
        let messages: Vec<Message> = self.all("message/");
        messages.into_iter().filter(|message| matches!(message.state, MessageState::Held { .. })).collect()
    }
    /// All records but those that count events once, which every event leaves.
    fn snapshot(&self) -> Vec<(Key, Vec<u8>)> {
        let counted = ["seen/", "outlane/"];
        let kept = self.store.records.iter().filter(|(key, _)| !counted.iter().any(|kind| key.as_str().starts_with(kind)));
        kept.map(|(key, (_, value))| (key.clone(), value.clone())).collect()
    }
}

fn refused(reply: &Reply, code: &str) {
    assert_eq!((reply.code, reply.reason.as_deref()), (Code::Refusal, Some(code)), "{reply:?}");
}

fn is(reply: &Reply, template: &str) {
    assert_eq!(reply.template, template, "{reply:?}");
}

fn texts<'a>(reply: &'a Reply, list: &str, field: &str) -> Vec<&'a str> {
    reply.vars[list].as_array().unwrap().iter().map(|row| row[field].as_str().unwrap()).collect()
}

// ---- help, whoami

#[test]
fn s0_2_help_lists_only_what_the_caller_may_use() {
    let mut world = World::new();
    let janes = world.jane("/help");
    let of_jane = texts(&janes, "commands", "path");
    assert!(of_jane.contains(&"contact add") && of_jane.contains(&"why") && !of_jane.contains(&"admin entitle"), "{of_jane:?}");
    let nobodys = world.direct(NEW, "/help");
    assert_eq!(texts(&nobodys, "commands", "path"), ["help", "whoami"]);
    let olivias = world.direct(OLIVIA, "/help");
    let of_olivia = texts(&olivias, "commands", "path");
    assert!(of_olivia.contains(&"admin entitle") && !of_olivia.contains(&"note"), "{of_olivia:?}");
}

#[test]
fn s0_2_help_tells_one_command_in_full_and_suggests_what_is_near() {
    let mut world = World::new();
    let reply = world.jane("/help contact add");
    is(&reply, "help-command");
    assert!(world.words(&reply).contains("/contact add &lt;first&gt;"));
    assert_eq!(texts(&world.jane("/help queue"), "commands", "path"), ["queue list", "queue cancel"]);
    let near = world.jane("/help contcat add");
    refused(&near, "unknown-command");
    assert_eq!(near.vars["suggestions"][0], "contact add");
    refused(&world.jane("/help admin entitle"), "no-permission");
}

#[test]
fn s0_11_help_client_tells_what_the_client_sees() {
    let mut world = World::new();
    let reply = world.jane("/help client");
    is(&reply, "help-client");
    let words = world.words(&reply);
    assert!(words.contains("Acme &amp; Co") && words.contains("STOP"), "{words}");
}

#[test]
fn s0_1_whoami_tells_channels_and_permissions() {
    let mut world = World::new();
    let reply = world.jane("/whoami");
    assert_eq!(reply.vars["channels"][0]["channel"], "WhatsApp");
    assert_eq!(reply.vars["email"], "jane.doe@acme.com");
    let words = world.words(&reply);
    assert!(words.contains("chat, contact.create"), "{words}");
    let nobody = world.direct(NEW, "/whoami");
    assert_eq!(nobody.vars["channels"], json!([]));
}

// ---- contacts

#[test]
fn s0_4_the_list_shows_the_callers_contacts_and_not_the_firms() {
    let mut world = World::with_ann(false);
    let mine = world.jane("/contact list");
    assert_eq!(texts(&mine, "contacts", "name"), ["Ann Lee"]);
    assert_eq!(mine.vars["contacts"][0]["channels"][0]["consent"], "OPTED_IN");
    assert_eq!(mine.vars["contacts"][0]["channels"][0]["window"]["open"], true);
    assert_eq!(world.direct(JOHN, "/contact list").vars["count"], 0);
    refused(&world.jane("/contact list --all"), "no-permission");
    assert_eq!(texts(&world.direct(CARL, "/contact list --all"), "contacts", "name"), ["Ann Lee"]);
    assert_eq!(world.jane("/contact list lee").vars["count"], 1);
    assert_eq!(world.jane("/contact list 12345").vars["count"], 1);
    assert_eq!(world.jane("/contact list bob").vars["count"], 0);
}

#[test]
fn s0_4_long_lists_and_lists_asked_for_in_rooms_go_to_the_callers_own_chat() {
    let mut world = World::with_ann(false);
    world.in_room(JANE, "/contact list");
    let place = world.said.iter().find(|(_, reply)| reply.template == "contact-list").map(|(place, _)| place.clone());
    assert_eq!(place, Some(Place::Direct(JANE)));
    for n in 10..70 {
        world.jane(&format!("/contact add Bob Ray{n} phone=+49151123456{n} email=bob{n}@ray.de"));
    }
    let list = world.jane("/contact list");
    assert_eq!((&list.vars["count"], &list.vars["shown"]), (&json!(61), &json!(50)));
    assert_eq!(world.said.last().unwrap().0, Place::Direct(JANE));
}

#[test]
fn s0_3_a_contact_that_the_caller_may_not_see_is_no_such_contact() {
    let mut world = World::with_ann(false);
    let card = world.jane("/contact show Ann Lee");
    is(&card, "contact-card");
    assert_eq!(card.vars["email"], "ann@lee.de");
    let id = world.contact().id;
    for command in ["contact show", "contact edit", "contact remove", "window", "consent show", "consent history", "why", "sent"]
    {
        refused(&world.direct(JOHN, &format!("/{command} {id}")), "no-such-contact");
    }
    is(&world.direct(CARL, "/contact show ann@lee.de"), "contact-card");
}

#[test]
fn s0_5_without_the_permission_the_list_is_read_only() {
    let mut world = World::with_ann(false);
    world
        .policy
        .advisors
        .insert("jane.doe@acme.com".to_owned(), Rights::new("jane.doe@acme.com", &[Channel::WhatsApp], &[Permission::Chat], ""));
    assert_eq!(world.jane("/contact list").vars["count"], 1);
    refused(&world.jane("/contact edit Ann Lee company=X"), "no-permission");
    refused(&world.jane("/contact remove Ann Lee"), "no-permission");
    refused(&world.jane("/contact add Bob Ray phone=+4915112345679 email=b@r.de"), "no-permission");
}

#[test]
fn s0_7_without_the_permission_rooms_are_listed_only() {
    let mut world = World::with_ann(false);
    world
        .policy
        .advisors
        .insert("jane.doe@acme.com".to_owned(), Rights::new("jane.doe@acme.com", &[Channel::WhatsApp], &[Permission::Chat], ""));
    assert_eq!(world.jane("/room list").vars["count"], 1);
    refused(&world.jane("/room create \"Another\" Ann"), "no-permission");
}

#[test]
fn s2_17_an_edit_changes_the_callers_entry_and_no_colleagues() {
    let mut world = World::with_ann(false);
    world.direct(JOHN, "/contact add Annie Li phone=+4915112345678 email=ann@lee.de");
    is(&world.direct(JOHN, "/contact edit Annie Li last=Leigh company=\"Li & Co\""), "contact-updated");
    assert_eq!((world.listing(JOHN).name(), world.listing(JANE).name()), ("Annie Leigh".to_owned(), "Ann Lee".to_owned()));
    // John did not bring her in, so the contact's own name stays; Jane's change reaches it.
    assert_eq!(world.contact().name(), "Ann Lee");
    world.jane("/contact edit Ann Lee first=Anna lang=de");
    assert_eq!((world.contact().name(), world.contact().language), ("Anna Lee".to_owned(), "de".to_owned()));
    assert_eq!(world.listing(JOHN).name(), "Annie Leigh");
    assert_eq!(texts(&world.direct(JOHN, "/contact list"), "contacts", "name"), ["Annie Leigh"]);
    refused(&world.jane("/contact edit Anna Lee lang=xx"), "bad-argument");
}

#[test]
fn s0_31_a_number_stays_and_an_address_of_somebody_else_is_not_told() {
    let mut world = World::with_ann(false);
    refused(&world.jane("/contact edit Ann phone=+4915112345679"), "phone-immutable");
    refused(&world.jane("/contact edit Ann email=ann@new.de"), "no-permission");
    let permissions = [Permission::Chat, Permission::ContactCreate, Permission::ContactEdit, Permission::ContactEditEmail];
    let rights = Rights::new("jane.doe@acme.com", &[Channel::WhatsApp], &permissions, "");
    world.policy.advisors.insert("jane.doe@acme.com".to_owned(), rights);
    is(&world.jane("/contact edit Ann email=Ann@New.de"), "contact-updated");
    assert_eq!(world.contact().email.as_deref(), Some("ann@new.de"));
    is(&world.jane("/contact show ann@new.de"), "contact-card");
    refused(&world.jane("/contact show ann@lee.de"), "no-such-contact");
    world.jane("/contact add Bob Ray phone=+4915112345679 email=bob@ray.de");
    refused(&world.jane("/contact edit Bob email=ANN@new.de"), "match-one-only");
}

#[test]
fn s0_32_an_edit_without_arguments_brings_the_form_filled() {
    let mut world = World::with_ann(false);
    assert_eq!(world.jane("/contact edit").template, "form-contact-edit");
    let filled = world.jane("/contact edit Ann");
    assert_eq!((filled.template.as_str(), &filled.vars["values"]["first"]), ("form-contact-edit", &json!("Ann")));
    assert_eq!(world.in_room(JANE, "/contact edit").vars["values"]["company"], "Lee");
}

#[test]
fn s2_13_s2_19_details_are_added_later_and_end_incomplete() {
    let mut world = World::new();
    world.client(ANN, "Hello, is this Acme?");
    let listed = world.jane("/contact list");
    assert_eq!(listed.vars["contacts"][0]["channels"][0]["status"], "INCOMPLETE");
    assert_eq!(texts(&listed, "contacts", "name"), [ANN]);
    is(&world.jane("/contact edit +4915112345678 company=Lee"), "contact-updated");
    assert!(world.listing(JANE).incomplete);
    refused(&world.jane("/contact complete +4915112345678 first=Ann"), "bad-argument");
    is(&world.jane("/contact complete +4915112345678 first=Ann last=Lee email=ann@lee.de"), "contact-complete");
    assert!(!world.listing(JANE).incomplete);
    assert_eq!((world.listing(JANE).name(), world.contact().name()), ("Ann Lee".to_owned(), "Ann Lee".to_owned()));
    assert_eq!(world.contact().email.as_deref(), Some("ann@lee.de"));
    refused(&world.jane("/contact complete Ann first=Anna last=Lee"), "bad-argument");
}

#[test]
fn s0_10_removing_asks_first_ends_rooms_of_one_and_keeps_the_evidence() {
    let mut world = World::with_ann(true);
    world.in_room(JANE, "Good morning Ann.");
    assert_eq!(world.held().len(), 1);
    let card = world.jane("/contact remove Ann Lee");
    assert_eq!((card.code, &card.vars["ending"], &card.vars["held"]), (Code::Confirm, &json!(["Ann Lee"]), &json!(1)));
    assert!(world.contact().listed_by.contains(&JANE));
    is(&world.presses(JANE, "confirm"), "contact-removed");
    assert_eq!(world.contact().status(Channel::WhatsApp), "REMOVED");
    assert!(world.contact().consent(Channel::WhatsApp).is_pending());
    assert_eq!(world.room().state, RoomState::Deactivated);
    assert!(world.other.iter().any(|effect| matches!(effect, Effect::DeactivateRoom { .. })));
    assert!(world.held().is_empty());
    refused(&world.jane("/contact show Ann Lee"), "no-such-contact");
    assert_eq!(world.jane("/room list").vars["count"], 0);
    assert!(world.entries.iter().any(|entry| entry.kind == "contact.unlisted"));
    is(&world.jane("/contact add Ann Lee phone=+4915112345678 email=ann@lee.de"), "contact-added");
    assert_eq!(world.all::<Contact>("contact/").len(), 1);
}

#[test]
fn s0_10_removing_leaves_rooms_to_colleagues_and_one_of_them_owns() {
    let mut world = World::with_ann(false);
    let stream = world.room().stream.unwrap();
    world.happens(Fact::MembersChanged { stream, user: person(JOHN), change: MemberChange::Joined, by: person(JANE) });
    world.later(Span::hours(25));
    world.in_room(JANE, "From Jane.");
    world.in_room(JOHN, "From John.");
    world.jane("/contact remove Ann Lee");
    let answer = world.presses(JANE, "confirm");
    assert_eq!(answer.vars["held"], 1);
    assert_eq!(world.held().iter().map(|message| message.advisor()).collect::<Vec<_>>(), [Some(JOHN)]);
    assert_eq!(answer.vars["left"], json!(["Ann Lee"]));
    let room = world.room();
    assert_eq!(room.state, RoomState::Active);
    assert!(!room.members.contains_key(&JANE) && room.members[&JOHN].owner);
    assert!(world.other.iter().any(|effect| matches!(effect, Effect::RemoveMember { user: JANE, .. })));
    assert!(world.other.iter().any(|effect| matches!(effect, Effect::AddMember { user: JOHN, owner: true, .. })));
    assert!(world.said.iter().any(|(_, reply)| reply.template == "colleague-left"));
}

// ---- rooms, windows, queues

#[test]
fn s0_6_the_room_list_shows_rooms_that_the_caller_is_in() {
    let mut world = World::with_ann(false);
    assert_eq!(texts(&world.jane("/room list"), "rooms", "name"), ["Ann Lee"]);
    assert_eq!(world.direct(JOHN, "/room list").vars["count"], 0);
}

#[test]
fn s1_19_room_info_tells_what_the_room_is() {
    let mut world = World::with_ann(false);
    let info = world.in_room(JANE, "/room info");
    let room = &info.vars["room"];
    assert_eq!((&room["name"], &room["status"], &room["attachments"]), (&json!("Ann Lee"), &json!("ACTIVE"), &json!(0)));
    assert_eq!(room["members"], json!([{ "name": "Jane Doe", "owner": true }]));
    assert_eq!(room["link"], json!(world.room().stream));
    world.later(Span::hours(25));
    assert_eq!(world.in_room(JANE, "/room info").vars["room"]["status"], "INACTIVE");
    refused(&world.jane("/room info"), "bad-argument");
}

#[test]
fn c1_the_window_is_told_with_its_end() {
    let mut world = World::with_ann(false);
    world.later(Span::hours(20));
    let open = world.jane("/window Ann");
    assert_eq!(open.vars["window"]["left"], Span::minutes(4 * 60 - 1).0);
    assert!(world.words(&open).contains("Open for 3 h 59 min (client wrote"));
    world.later(Span::hours(4));
    assert_eq!(world.in_room(JANE, "/window").vars["window"]["open"], false);
    refused(&world.jane("/window"), "bad-argument");
}

#[test]
fn s0_23_the_queue_shows_what_is_held_and_its_author_can_take_it_back() {
    let mut world = World::with_ann(true);
    world.in_room(JANE, "Good morning <Ann> & family.");
    let queue = world.jane("/queue list");
    assert_eq!(texts(&queue, "messages", "reason"), ["consent"]);
    let id = world.held()[0].id.clone();
    refused(&world.direct(JOHN, &format!("/queue cancel {id}")), "bad-argument");
    let stream = world.room().stream.unwrap();
    world.happens(Fact::MembersChanged { stream, user: person(JOHN), change: MemberChange::Joined, by: person(JANE) });
    refused(&world.direct(JOHN, &format!("/queue cancel {id}")), "not-yours");
    is(&world.jane(&format!("/queue cancel {id}")), "queue-cancelled");
    assert!(world.held().is_empty());
    assert_eq!(world.in_room(JANE, "/queue list").vars["count"], 0);
    world.client(ANN, "yes");
    assert!(world.sent.iter().all(|send| !matches!(send.body, Body::Text(_))));
    refused(&world.jane(&format!("/queue cancel {id}")), "already-sent");
}

#[test]
fn s4_9_sent_tells_how_far_messages_have_come() {
    let mut world = World::with_ann(false);
    world.in_room(JANE, "Good morning Ann.");
    let sent = world.jane("/sent Ann");
    assert_eq!(texts(&sent, "messages", "gist").last(), Some(&"Good morning Ann."));
    assert_eq!(texts(&sent, "messages", "state").last(), Some(&"sent"));
    assert_eq!(texts(&world.jane("/sent"), "messages", "gist"), ["Good morning Ann."]);
    is(&world.in_room(JANE, "/sent"), "sent");
}

// ---- consent, why, dryrun

#[test]
fn s3_2_consent_is_told_with_each_change() {
    let mut world = World::with_ann(false);
    world.client(ANN, "stop");
    let shown = world.jane("/consent show Ann");
    assert_eq!(shown.vars["channels"][0]["consent"], "OPTED_OUT");
    let history = world.in_room(JANE, "/consent history");
    let turns = history.vars["channels"][0]["turns"].as_array().unwrap();
    let arrows: Vec<String> =
        turns.iter().map(|turn| format!("{}>{}", turn["from"].as_str().unwrap(), turn["to"].as_str().unwrap())).collect();
    assert_eq!(arrows, ["NONE>PENDING", "PENDING>OPTED_IN", "OPTED_IN>OPTED_OUT"]);
    assert_eq!((&turns[0]["by"], &turns[2]["by"]), (&json!("jane.doe@acme.com"), &json!("client")));
    assert!(turns[2]["message"].as_str().unwrap().starts_with("from-client"));
    is(&world.direct(CARL, "/consent history ann@lee.de"), "consent-history");
}

#[test]
fn the_gates_rows_stand_in_order_with_the_first_blocker() {
    let mut world = World::with_ann(true);
    let pending = world.jane("/why Ann");
    let gates = ["entitled", "sub_org", "blocked", "address", "consent", "membership", "room", "quiet_hours", "window"];
    assert_eq!(texts(&pending, "rows", "gate"), gates);
    assert_eq!((&pending.vars["blocker"], &pending.vars["holds"]), (&json!("consent"), &json!(true)));
    let words = world.words(&pending);
    assert!(words.contains("✔ entitled") && words.contains("✘ consent") && words.contains("/optin resend"), "{words}");
    world.in_room(JANE, "Good morning Ann.");
    let id = world.held()[0].id.clone();
    assert_eq!(world.jane(&format!("/why {id}")).vars["state"], "held");
    refused(&world.direct(JOHN, &format!("/why {id}")), "bad-argument");
    world.client(ANN, "yes");
    let free = world.in_room(JANE, "/why");
    assert_eq!(free.vars["blocker"], Value::Null);
    assert_eq!(world.direct(CARL, "/why ann@lee.de").vars["author"], "Jane Doe");
    world.later(Span::hours(24));
    let late = world.jane("/why Ann");
    assert_eq!((&late.vars["blocker"], &late.vars["template_goes"]), (&json!("window"), &json!(true)));
    assert!(world.words(&late).contains("/template list"));
}

#[test]
fn a_dry_run_tells_what_would_go_out_and_changes_nothing() {
    let mut world = World::with_ann(false);
    let before = world.snapshot();
    let kinds = |reply: &Reply| texts(reply, "items", "kind").into_iter().map(str::to_owned).collect::<Vec<_>>();
    let now = world.in_room(JANE, "/dryrun Good morning Ann");
    assert_eq!((kinds(&now), &now.vars["items"][0]["gist"]), (vec!["message".to_owned()], &json!("Good morning Ann")));
    let onboard = world.jane("/dryrun /contact add Bob Ray phone=+4915112345679 email=bob@ray.de --room");
    assert_eq!((kinds(&onboard), &onboard.vars["items"][0]["invited"]), (vec!["room".to_owned()], &json!(["Bob Ray"])));
    let remove = world.jane("/dryrun /contact remove Ann");
    assert_eq!((kinds(&remove), &remove.vars["asks_first"]), (vec!["closed".to_owned()], &json!(true)));
    assert_eq!(world.jane("/dryrun /contact remove Bob").vars["refused"]["code"], "no-such-contact");
    assert_eq!(world.jane("/dryrun /admin status").vars["refused"]["code"], "no-permission");
    assert_eq!(world.jane("/dryrun hello").vars["refused"]["code"], "bad-argument");
    assert_eq!(world.jane("/dryrun /contact add").vars["form"], true);
    world.later(Span::hours(25));
    let held = world.in_room(JANE, "/dryrun Good evening");
    assert_eq!((&held.vars["items"][0]["kind"], &held.vars["items"][0]["reason"]), (&json!("held"), &json!("window")));
    assert_eq!(kinds(&held), ["held", "message"], "and the notice that a message waits");
    assert!(world.sent.is_empty());
    let asked = |records: Vec<(Key, Vec<u8>)>| {
        records.into_iter().filter(|(key, _)| !key.as_str().starts_with("ask")).collect::<Vec<_>>()
    };
    assert_eq!(asked(before), asked(world.snapshot()));
}

#[test]
fn a_note_stays_in_the_firm() {
    let mut world = World::with_ann(false);
    let reply = world.in_room(JANE, "/note Prefers calls at=5 --really \"after lunch\"");
    is(&reply, "noted");
    let note = world.entries.iter().find(|entry| entry.kind == "note").unwrap();
    assert_eq!(note.detail["text"], "Prefers calls at=5 --really \"after lunch\"");
    assert_eq!(note.contact, Some(world.contact().id));
    assert!(world.sent.is_empty());
    refused(&world.jane("/note Anything"), "not-a-member");
    refused(&world.in_room(JOHN, "/note Anything"), "not-a-member");
    refused(&world.in_room(JOHN, "/room info"), "not-a-member");
    refused(&world.in_room(JANE, "/note"), "bad-argument");
}

// ---- admin

#[test]
fn s0_1_rights_are_given_and_taken_and_hold_at_the_next_gate() {
    let mut world = World::with_ann(true);
    refused(&world.jane("/admin entitle @nina@acme.com channel=whatsapp"), "no-permission");
    refused(&world.direct(NEW, "/contact list"), "not-entitled");
    is(&world.direct(OLIVIA, "/admin entitle @nina@acme.com channel=whatsapp"), "admin-entitled");
    is(&world.direct(NEW, "/contact list"), "contact-list");
    let shown = world.direct(OLIVIA, "/admin show @nina@acme.com");
    assert_eq!((&shown.vars["granted"], &shown.vars["channels"][0]["channel"]), (&json!(true), &json!("WhatsApp")));
    refused(&world.direct(OLIVIA, "/admin entitle @nina@acme.com channel=telex"), "bad-argument");
    refused(&world.direct(OLIVIA, "/admin entitle @nina@acme.com channel=sms permissions=fly"), "bad-argument");
    for (who, argument) in [("nina@acme.com", "channel"), ("nobody@acme.com", "colleague")] {
        let told = world.direct(OLIVIA, &format!("/admin revoke @{who} channel=sms"));
        refused(&told, "bad-argument");
        assert_eq!(told.vars["argument"], argument, "{who}");
    }
    world.in_room(JANE, "Good morning Ann.");
    let revoked = world.direct(OLIVIA, "/admin revoke @jane.doe@acme.com channel=whatsapp");
    assert_eq!((revoked.template.as_str(), &revoked.vars["channels"]), ("admin-revoked", &json!([])));
    refused(&world.jane("/contact list"), "not-entitled");
    world.client(ANN, "yes");
    assert!(world.sent.iter().all(|send| !matches!(send.body, Body::Text(_))));
    assert!(world.said.iter().any(|(_, reply)| reply.code == Code::Withdrawn && reply.reason.as_deref() == Some("entitled")));
}

#[test]
fn the_status_tells_lines_and_counts() {
    let mut world = World::with_ann(true);
    world.in_room(JANE, "Good morning Ann.");
    let status = world.direct(OLIVIA, "/admin status");
    assert_eq!((&status.vars["contacts"], &status.vars["rooms"], &status.vars["held"]), (&json!(1), &json!(1), &json!(1)));
    let words = world.words(&status);
    assert!(words.contains("Acme &amp; Co +15550783881") && words.contains("jane.doe@acme.com"), "{words}");
    assert!(!words.contains("&amp;amp;"), "{words}");
}

#[test]
fn each_answer_has_its_words() {
    for name in ANSWERS {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("templates/chat/{name}.en.toml"));
        assert!(file.exists(), "{name}");
    }
}

#[test]
fn s4_30_a_colleague_of_another_sub_organisation_stays_unnamed() {
    let mut world = World::with_ann(false);
    let permissions = Permission::parse_many("advisor").unwrap();
    let rights = Rights::new("john.roe@acme.com", &[Channel::WhatsApp], &permissions, "research");
    world.policy.advisors.insert("john.roe@acme.com".to_owned(), rights);
    world.direct(JOHN, "/contact add Annie Li phone=+4915112345678 email=ann@lee.de");
    for command in ["contact show", "consent show", "consent history", "sent"] {
        let reply = world.direct(JOHN, &format!("/{command} Annie Li"));
        assert!(!world.words(&reply).to_lowercase().contains("jane"), "{reply:?}");
    }
    let card = world.contact_card_for_carl();
    assert!(world.words(&card).contains("jane.doe@acme.com"));
}

#[test]
fn each_command_survives_odd_arguments_with_every_kind_of_right() {
    let mut world = World::with_ann(false);
    for command in liaison::domain::commands::ALL {
        for user in [JANE, NEW, CARL, OLIVIA] {
            for tail in ["", " Ann", " m-AAAAAAAA", " @jane.doe@acme.com channel=whatsapp", " \"", " x=1 --y"] {
                world.direct(user, &format!("/{}{tail}", command.path));
            }
        }
    }
}
