//! Advisors and clients: what they do, and how often things go wrong around them.
use super::clock::{DAY, HOUR, MINUTE, SECOND};
use super::dice::Dice;
use super::oracle::{Heard, Parcel, Word};
use super::outside::{Post, token_in};
use super::world::{Happening, World};
use liaison::domain::effect::Send;
use liaison::domain::entitlement::{Permission, Rights};
use liaison::domain::event;
use liaison::domain::event::*;
use liaison::domain::ids::*;
use liaison::domain::media::Kind;
use liaison::domain::policy::*;
use liaison::domain::time::Span;
use liaison::domain::words::Words;
use serde_json::{Map, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

pub const LINE: &str = "1000";
pub const BOT: u64 = 1;
const BOTS_NAME: &str = "Liaison";

static WORDS: LazyLock<Words> = LazyLock::new(|| {
    Words::parse("[en]\nyes = [\"yes\"]\nstop = [\"stop\"]\nhelp = [\"help\"]\ncourtesy = [\"please\"]\npossible_stop = [\"stop|quit texting|messaging\"]\n").unwrap()
});

#[derive(Clone, Debug)]
pub struct Advisor {
    pub id: u64,
    pub email: String,
    name: String,
    last_texts: Vec<(String, String)>,
    acts_left: u32,
}

#[derive(Clone, Debug)]
pub struct Person {
    pub phone: String,
    pub on_whatsapp: bool,
    email: String,
    says_yes: u32,
    acts_left: u32,
}

/// How often what goes wrong, per mille; each voyage leaves out about half.
#[derive(Clone, Debug, Default)]
pub struct Troubles {
    pub twice: u32,
    pub late: u32,
    pub ambush: u32,
    pub answer_lost: u32,
    pub refused: u32,
    pub failed: u32,
    pub line_refused: u32,
    pub slow_disk: u32,
    pub crash: u32,
    pub failed_later: u32,
    pub window_shut: u32,
    pub clock_jumps: u32,
    pub revocations: u32,
}

impl Troubles {
    pub fn draw(dice: &mut Dice) -> Troubles {
        let mut some = |most: i64| if dice.per_mille(550) { dice.between(1, most) as u32 } else { 0 };
        Troubles {
            twice: some(250),
            late: some(60),
            ambush: some(700),
            answer_lost: some(150),
            refused: some(200),
            failed: some(150),
            line_refused: some(30),
            slow_disk: some(80),
            crash: some(25),
            failed_later: some(60),
            window_shut: some(60),
            clock_jumps: some(3),
            revocations: some(2),
        }
    }
}

impl Advisor {
    pub fn person(&self) -> event::Person {
        event::Person { id: UserId(self.id), name: self.name.clone(), email: Some(self.email.clone()), service: false }
    }
    pub fn rights(&self) -> Rights {
        let permissions = Permission::parse_many("advisor").unwrap();
        Rights::new(&self.email, &[Channel::WhatsApp], &permissions, "")
    }
    fn direct(&self) -> String {
        format!("d-{}", self.id)
    }
}

pub fn draw(dice: &mut Dice) -> (Vec<Advisor>, Vec<Person>) {
    let advisors = 1 + dice.below(3) as u64;
    let clients = 1 + dice.below(4);
    let advisor = |nth: u64, acts_left: u32| Advisor {
        id: 100 + nth,
        email: format!("advisor{nth}@acme.com"),
        name: format!("Advisor {nth}"),
        last_texts: Vec::new(),
        acts_left,
    };
    let person = |nth: usize, dice: &mut Dice| Person {
        phone: format!("+49151{:08}", 23_456_780 + nth),
        on_whatsapp: dice.per_mille(930),
        email: format!("client{nth}@example.org"),
        says_yes: dice.between(300, 950) as u32,
        acts_left: dice.between(2, 10) as u32,
    };
    let advisors = (0..advisors).map(|nth| advisor(nth, dice.between(6, 17) as u32)).collect();
    (advisors, (0..clients).map(|nth| person(nth, dice)).collect())
}

pub fn policy_for(advisors: &[Advisor], dice: &mut Dice) -> Policy {
    let topics = BTreeMap::from([("en".to_owned(), vec!["topic".to_owned()])]);
    Policy {
        firm: "Acme Wealth".to_owned(),
        default_region: "DE".to_owned(),
        time_zone: "Europe/Berlin".to_owned(),
        bot: UserId(BOT),
        lines: vec![Line {
            id: LineId::new(LINE),
            channel: Channel::WhatsApp,
            number: Phone::from_e164("+15550783881").unwrap(),
            name: "Acme".to_owned(),
            advisor: None,
            forward_to: None,
        }],
        whatsapp_consent: ConsentRule::Explicit,
        sms_consent: SmsConsent::Us,
        sms_welcome: SmsWelcome::Always,
        keyword_replies: KeywordReplies::Provider,
        stop_scope: StopScope::Channel,
        unknown_sender: UnknownSender::Onboard,
        default_advisors: vec![advisors[0].email.clone()],
        onboarding_per_hour: 1_000,
        onboarding_per_prefix: 1_000,
        resend_after: Span::hours(24),
        waiting_notice: true,
        held_expiry: Span::hours(dice.between(30, 72)),
        held_max: 5 + dice.below(10),
        quiet_hours: None,
        rooms_per_line: RoomsPerLine::Many,
        group_relay: GroupRelay::All,
        native_groups: true,
        sub_orgs: BTreeMap::new(),
        advisors: advisors.iter().map(|advisor| (advisor.email.clone(), advisor.rights())).chain([admin()]).collect(),
        words: WORDS.clone(),
        templates: BTreeMap::from([("follow_up".to_owned(), topics)]),
        filed: BTreeMap::new(),
        languages: BTreeSet::from(["en".to_owned()]),
    }
}

/// Somebody reads what has no other place to go to.
fn admin() -> (String, Rights) {
    let email = "admin@acme.com".to_owned();
    let rights = Rights::new(&email, &[Channel::WhatsApp], &Permission::parse_many("admin").unwrap(), "");
    (email, rights)
}

// ---- advisors

pub fn advisor_acts(world: &mut World, nth: usize) {
    if !world.faults() || world.advisors[nth].acts_left == 0 {
        return;
    }
    world.advisors[nth].acts_left -= 1;
    let rooms = world.pod.rooms_of(world.advisors[nth].id);
    let room = if rooms.is_empty() { None } else { Some(world.dice.pick(&rooms).clone()) };
    match (world.dice.below(20), room) {
        (0..=2, _) | (_, None) => introduce(world, nth),
        (3, Some(_)) => create_room(world, nth),
        (4, Some(room)) => (0..world.dice.between(2, 7)).for_each(|_| write(world, nth, &room)),
        (5..=6, Some(room)) => template(world, nth, &room),
        (7, Some(_)) => optin(world, nth),
        (8, Some(_)) => delete(world, nth),
        (9, Some(_)) => edit(world, nth),
        (10..=12, Some(_)) => press(world, nth),
        (_, Some(room)) => write(world, nth, &room),
    }
    let soon = world.dice.per_mille(400);
    let next = if soon { world.dice.between(1, 600) * SECOND } else { world.dice.between(10, 26 * 60) * MINUTE };
    world.schedule(next, Happening::AdvisorActs(nth));
    let look = world.dice.between(2, 500) * SECOND;
    if world.dice.per_mille(500) {
        world.schedule(look, Happening::AdvisorLooks(nth));
    }
}

fn say(world: &mut World, nth: usize, stream: &str, text: String, edits: Option<String>, heard: Heard) -> String {
    let id = world.token('c');
    let with_file = matches!(heard, Heard::Text { .. }) && world.dice.per_mille(150);
    let file = Attached { id: "internal_1".to_owned(), name: "chart.png".to_owned(), size: Some(3) };
    let attachments = if with_file { vec![file] } else { Vec::new() };
    let kind = if stream.starts_with("d-") { StreamKind::Direct } else { StreamKind::Room };
    let at = liaison::domain::time::Timestamp(world.now());
    let said = RoomMessage {
        stream: StreamId::new(stream),
        kind,
        message: ChatMessageId::new(id.clone()),
        author: world.advisors[nth].person(),
        text,
        mentions: Vec::new(),
        edits: edits.map(ChatMessageId::new),
        forwarded: false,
        attachments,
    };
    let event = Event { id: EventId(format!("sym:msg:{id}")), at, fact: Fact::RoomMessage(said), raw: None };
    let latency = world.dice.between(5, 300);
    world.tell(latency, event, heard);
    id
}

fn introduce(world: &mut World, nth: usize) {
    let client = world.dice.below(world.people.len());
    let person = world.people[client].clone();
    let other = world.dice.below(world.people.len());
    let email = if world.dice.per_mille(120) { world.people[other].email.clone() } else { person.email.clone() };
    let room = if world.dice.per_mille(750) { " --room" } else { "" };
    let text = format!("/contact add Client{client} Lee phone={} email={email} channel=whatsapp{room}", person.phone);
    let heard = if room.is_empty() { Heard::Nothing } else { Heard::Asking { phone: Some(person.phone) } };
    let stream = world.advisors[nth].direct();
    say(world, nth, &stream, text, None, heard);
}

fn create_room(world: &mut World, nth: usize) {
    let name = world.token('n');
    let client = world.dice.below(world.people.len());
    let phone = world.people[client].phone.clone();
    let stream = world.advisors[nth].direct();
    say(world, nth, &stream, format!("/room create \"Voyage {name}\" {phone}"), None, Heard::Asking { phone: Some(phone) });
}

fn write(world: &mut World, nth: usize, room: &str) {
    let token = world.token('t');
    let heard = Heard::Text { author: world.advisors[nth].id, stream: room.to_owned(), token: token.clone() };
    let id = say(world, nth, room, format!("Hello {token}"), None, heard);
    world.advisors[nth].last_texts.push((room.to_owned(), id));
}

fn template(world: &mut World, nth: usize, room: &str) {
    let token = world.token('k');
    say(world, nth, room, format!("/template send follow_up topic={token}"), None, Heard::Nothing);
}

fn optin(world: &mut World, nth: usize) {
    let client = world.dice.below(world.people.len());
    let phone = world.people[client].phone.clone();
    let act = if world.dice.per_mille(500) { "send" } else { "resend" };
    let stream = world.advisors[nth].direct();
    say(world, nth, &stream, format!("/optin {act} {phone}"), None, Heard::Asking { phone: Some(phone) });
}

fn delete(world: &mut World, nth: usize) {
    let Some((stream, message)) = world.advisors[nth].last_texts.last().cloned() else { return };
    let by = world.advisors[nth].person();
    let fact = Fact::MessageSuppressed { stream: StreamId::new(stream), message: ChatMessageId::new(message.clone()), by };
    let at = liaison::domain::time::Timestamp(world.now());
    world.tell(50, Event { id: EventId(format!("sym:del:{message}")), at, fact, raw: None }, Heard::Nothing);
}

fn edit(world: &mut World, nth: usize) {
    let Some((stream, message)) = world.advisors[nth].last_texts.last().cloned() else { return };
    let stored = world.message_of_chat(&message);
    let Some(token) = stored.and_then(|id| world.token_of(&id)) else { return };
    say(world, nth, &stream, format!("Hello again {token}"), Some(message), Heard::Nothing);
}

/// Reads what the bot has asked him, and presses a button; now and then twice.
pub fn press(world: &mut World, nth: usize) {
    if !world.faults() {
        return;
    }
    let user = world.advisors[nth].id;
    let rooms = world.pod.rooms_of(user);
    let direct = world.advisors[nth].direct();
    let mine =
        |post: &Post| post.reply.ask.is_some() && post.pressed < 2 && (post.stream == direct || rooms.contains(&post.stream));
    let cards: Vec<usize> = (0..world.pod.posts.len()).filter(|nth| mine(&world.pod.posts[*nth])).collect();
    let fresh: Vec<usize> = cards.iter().copied().filter(|nth| world.pod.posts[*nth].pressed == 0).collect();
    let cards = if fresh.is_empty() { cards } else { fresh };
    if cards.is_empty() {
        return;
    }
    let card = if world.dice.per_mille(700) { cards[cards.len() - 1] } else { *world.dice.pick(&cards) };
    world.pod.posts[card].pressed += 1;
    let post = world.pod.posts[card].clone();
    let cancel = world.dice.per_mille(100);
    let (action, heard) = what_it_means(world, user, &post, cancel);
    let id = world.token('f');
    let sent = FormSent {
        stream: StreamId::new(post.stream),
        form_message: ChatMessageId::new(post.id),
        form: "form".to_owned(),
        values: Map::from_iter([("action".to_owned(), json!(action))]),
        by: world.advisors[nth].person(),
    };
    let at = liaison::domain::time::Timestamp(world.now());
    world.tell(30, Event { id: EventId(format!("sym:form:{id}")), at, fact: Fact::FormSent(sent), raw: None }, heard);
}

fn what_it_means(world: &mut World, author: u64, post: &Post, cancel: bool) -> (&'static str, Heard) {
    let reply = &post.reply;
    let phone = reply.contact.as_ref().and_then(|id| world.phone_of(id.as_str()));
    match reply.template.as_str() {
        "consent-review" => {
            let stop = world.dice.per_mille(500);
            let heard = phone.map_or(Heard::Nothing, |phone| Heard::ReviewEnded { author, card: post.id.clone(), phone, stop });
            (if stop { "review-stop" } else { "review-clear" }, heard)
        }
        // Cards that offer to send a message once more.
        "unconfirmed" | "withdrawn" => {
            let token = reply.message.as_ref().and_then(|id| world.token_of(id.as_str())).unwrap_or_default();
            ("send-again", Heard::SendAgain { author, token, card: post.id.clone() })
        }
        "not-on-whatsapp" => ("sms-no", Heard::Nothing),
        "client-message" => ("move-here", Heard::Nothing),
        _ if cancel => ("cancel", Heard::Nothing),
        "confirm-template" => {
            let body = serde_json::to_string(&reply.vars.get("body")).unwrap();
            let token = token_in(&body.replace(['"', ':', ','], " ")).unwrap_or_default();
            ("confirm", Heard::Template { author, token })
        }
        "room-is-there" => ("new", Heard::Asking { phone }),
        _ => ("confirm", Heard::Asking { phone }),
    }
}

// ---- clients

pub fn client_acts(world: &mut World, nth: usize) {
    if !world.faults() || world.people[nth].acts_left == 0 {
        return;
    }
    world.people[nth].acts_left -= 1;
    match world.dice.below(20) {
        0 => speak(world, nth, Word::Stop, false),
        1 => speak(world, nth, Word::Perhaps, false),
        2..=4 => speak(world, nth, Word::Yes, false),
        _ => speak(world, nth, Word::Plain, false),
    }
    let next = world.dice.between(1, 40 * 60) * MINUTE;
    world.schedule(next, Happening::ClientActs(nth));
}

pub fn client_reacts(world: &mut World, nth: usize, parcel: &Parcel) {
    if !world.faults() {
        return;
    }
    let yes = world.people[nth].says_yes;
    match parcel {
        Parcel::Invitation | Parcel::Question if world.dice.per_mille(yes) => {
            let tap = world.dice.per_mille(600);
            speak(world, nth, Word::Yes, tap);
        }
        Parcel::Invitation | Parcel::Question => {
            let (word, tap) =
                *world.dice.pick(&[(Word::Stop, true), (Word::Plain, false), (Word::Plain, false), (Word::Perhaps, false)]);
            speak(world, nth, word, tap);
        }
        _ if world.dice.per_mille(250) => speak(world, nth, Word::Plain, false),
        _ if world.dice.per_mille(30) => speak(world, nth, Word::Stop, false),
        _ => {}
    }
}

/// The phone writes: Meta's window opens at this moment, whenever the webhook may come.
fn picture(caption: String) -> Content {
    let (id, caption) = ("900".to_owned(), Some(caption));
    Content::Media(Box::new(ClientFile { kind: Kind::Picture, id, mime: None, sha256: None, name: None, caption }))
}

fn speak(world: &mut World, nth: usize, word: Word, tap: bool) {
    let phone = world.people[nth].phone.clone();
    let Some(known) = world.meta.phones.get_mut(&phone).filter(|known| known.on_whatsapp) else { return };
    known.wrote_last = Some(world.clock.truth());
    let token = world.token('w');
    let content = match (word, tap) {
        (Word::Yes, true) => Content::Button { payload: "consent:yes".to_owned(), text: "Yes".to_owned() },
        (Word::Stop, true) => Content::Button { payload: "consent:stop".to_owned(), text: "No".to_owned() },
        (Word::Yes, false) => Content::Text("Yes".to_owned()),
        (Word::Stop, false) => Content::Text("STOP".to_owned()),
        (Word::Perhaps, _) => Content::Text(format!("please stop texting {token}")),
        (Word::Plain, _) if world.dice.per_mille(150) => picture(format!("good morning {token}")),
        (Word::Plain, _) => Content::Text(format!("good morning {token}")),
    };
    let at = liaison::domain::time::Timestamp(world.now());
    let wamid = format!("wamid.in.{token}");
    let said = ClientMessage {
        channel: Channel::WhatsApp,
        line: LineId::new(LINE),
        id: Wamid::new(wamid.clone()),
        from: keys(&phone),
        content,
        quoted: None,
        group: None,
    };
    let event = Event { id: EventId(format!("wa:{LINE}:{wamid}")), at, fact: Fact::ClientMessage(said), raw: None };
    world.note(|| format!("{phone} says {word:?} {token}"));
    let latency = world.dice.between(50, 3_000);
    world.tell(latency, event, Heard::Client { phone, word, token, at: at.0 });
}

fn keys(phone: &str) -> ClientKeys {
    let phone = Phone::from_e164(phone);
    ClientKeys { wa_id: phone.as_ref().map(|phone| phone.digits().to_owned()), phone, user_id: None, profile_name: None }
}

/// Meta has accepted a message: statuses follow, in any order, and the client may react.
pub fn deliver(world: &mut World, send: &Send, phone: &str, parcel: &Parcel, wamid: &str) {
    if world.trouble(world.troubles.failed_later) {
        world.oracle.saw("failed later");
        world.oracle.did_not_arrive_after_all(phone, parcel);
        let code = if matches!(parcel, Parcel::Text(_)) && world.dice.per_mille(400) { "131047" } else { "131000" };
        let status = Delivery::Failed { code: code.to_owned(), detail: "later".to_owned(), of_line: false };
        return report(world, send, phone, wamid, status, 2 * SECOND, "failed");
    }
    let arrives = world.dice.between(1, 20) * SECOND;
    report(world, send, phone, wamid, Delivery::Sent, 500, "sent");
    report(world, send, phone, wamid, Delivery::Delivered, arrives, "delivered");
    if world.dice.per_mille(600) {
        let read = world.dice.between(0, 3 * HOUR);
        report(world, send, phone, wamid, Delivery::Read, arrives + read, "read");
    }
    if let Some(client) = world.people.iter().position(|person| person.phone == phone) {
        let thinks = if world.dice.per_mille(500) { world.dice.between(5, 600) * SECOND } else { world.dice.between(0, DAY) };
        world.schedule(arrives + thinks, Happening::Reacts { client, parcel: parcel.clone() });
    }
}

fn report(world: &mut World, send: &Send, phone: &str, wamid: &str, status: Delivery, after: i64, name: &str) {
    let at = liaison::domain::time::Timestamp(world.now() + after);
    let told = DeliveryReported {
        channel: Channel::WhatsApp,
        line: LineId::new(LINE),
        id: Wamid::new(wamid),
        ours: Some(send.message.clone()),
        status,
        recipient: keys(phone),
        participant: None,
        price_category: None,
        price_type: None,
    };
    let event = Event { id: EventId(format!("wa:st:{wamid}:{name}:")), at, fact: Fact::DeliveryReported(told), raw: None };
    world.tell(after, event, Heard::Nothing);
}

/// The platform tells who is in the new room, as it does for every room.
pub fn room_stands(world: &mut World, stream: &str) {
    let members: Vec<u64> = world.pod.rooms[stream].iter().copied().collect();
    for user in members {
        let Some(advisor) = world.advisors.iter().find(|advisor| advisor.id == user).cloned() else { continue };
        let by = event::Person { id: UserId(BOT), name: BOTS_NAME.to_owned(), email: None, service: true };
        let fact =
            Fact::MembersChanged { stream: StreamId::new(stream), user: advisor.person(), change: MemberChange::Joined, by };
        let at = liaison::domain::time::Timestamp(world.now());
        let id = EventId(format!("sym:joined:{stream}:{user}"));
        world.tell(100, Event { id, at, fact, raw: None }, Heard::Nothing);
    }
}
