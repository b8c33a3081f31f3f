//! A town of advisors and clients who do whatever comes to their minds, with WhatsApp's groups as they really are and a
//! provider whose news come late, twice or never.
use crate::common::world::*;
use crate::dice::Dice;
use crate::watcher::{Colleague, Watcher, tokens};
use liaison::domain::effect::{Code, GroupCall};
use liaison::domain::entitlement::{Permission, Rights};
use liaison::domain::event::{Fact, GroupNews, GroupTold, JoinRequest, MemberChange, Person, StreamKind};
use liaison::domain::ids::*;
use liaison::domain::policy::Policy;
use liaison::domain::time::{Span, Timestamp};
use std::collections::{BTreeMap, BTreeSet};

const CID: &str = "+4915112345601";
const DOT: &str = "+4915112345602";
const EVI: &str = "+4915112345603";
const STRANGER: &str = "+4915100000001";
/// Everybody who may ever write or ask; the last one is nobody's contact before he writes.
const NUMBERS: [&str; 7] = [ANN, BEN, CID, DOT, EVI, SAM, STRANGER];
const PRIVATE: &str = "Private Clients";
const RETAIL: &str = "Retail";
/// Who writes to clients. Olga answers for everybody, so she never goes.
const ADVISORS: [(u64, &str, &str); 6] = [
    (1, "jane", PRIVATE),
    (2, "bob", PRIVATE),
    (5, "carl", PRIVATE),
    (4, "olga", PRIVATE),
    (3, "eve", RETAIL),
    (7, "nina", RETAIL),
];
const EVERYBODY: [&str; 8] = ["jane", "bob", "carl", "olga", "eve", "nina", "adam", "cora"];
const MAY_GO: [&str; 5] = ["jane", "bob", "carl", "eve", "nina"];

/// What a command is to change, once it is answered as done.
#[derive(Clone, Debug)]
enum Intent {
    Nothing,
    ClientOut { stream: String, number: String },
    ClientIn { stream: String, number: String },
    Blocked { number: String, now: bool },
    Offboarded { user: u64 },
    Side { user: u64, side: &'static str },
}

/// A WhatsApp group as it really is.
#[derive(Default)]
struct Group {
    inside: BTreeSet<String>,
    asked: BTreeMap<String, String>,
    /// The firm has heard of it, or has found it: before that nobody has a link.
    known: bool,
}

pub struct Town {
    pub watcher: Watcher,
    world: World,
    dice: Dice,
    counter: u64,
    groups: BTreeMap<String, Group>,
    /// What the provider will tell: when, under which id, of which group.
    news: Vec<(Timestamp, String, String, GroupNews)>,
    /// Questions that nobody has answered yet.
    cards: Vec<(Posted, &'static str, Intent)>,
    acts: Vec<String>,
}

fn people(policy: &mut Policy) {
    direct_line(policy);
    policy.default_advisors = vec![person("olga").email.unwrap()];
    for (_, short, side) in ADVISORS {
        let email = person(short).email.unwrap();
        let channels: &[Channel] = if short == "carl" { &[Channel::WhatsApp] } else { &Channel::ALL };
        let permissions = Permission::parse_many("advisor").unwrap();
        policy.advisors.insert(email.clone(), Rights::new(&email, channels, &permissions, side));
    }
}

impl Town {
    pub fn new(seed: u64) -> Town {
        let mut town = Town {
            watcher: Watcher::default(),
            world: World::with(people),
            dice: Dice::new(seed),
            counter: 0,
            groups: BTreeMap::new(),
            news: Vec::new(),
            cards: Vec::new(),
            acts: Vec::new(),
        };
        for (user, short, side) in ADVISORS {
            let channels = if short == "carl" { vec![Channel::WhatsApp] } else { Channel::ALL.to_vec() };
            town.watcher.colleagues.insert(user, Colleague { channels, side: side.to_owned() });
        }
        for user in [6, 8] {
            town.watcher.colleagues.insert(user, Colleague { channels: Vec::new(), side: PRIVATE.to_owned() });
        }
        for number in NUMBERS {
            town.watcher.clients.insert(number.to_owned(), Default::default());
        }
        town.begins();
        town
    }

    /// The acts and what came of them, for whoever looks for the reason.
    pub fn story(&self) -> String {
        self.acts.join("\n")
    }

    fn begins(&mut self) {
        let known = [
            ("jane", "Ann Lee", ANN, "whatsapp"),
            ("jane", "Ben Lee", BEN, "whatsapp"),
            // A name that is a number stays hidden from other clients.
            ("jane", "4915112345601 Lee", CID, "whatsapp"),
            ("bob", "Dot Orr", DOT, "whatsapp"),
            ("eve", "Evi Roe", EVI, "whatsapp"),
            ("eve", "Ann Lee", ANN, "whatsapp"),
            ("jane", "Sam Hill", SAM, "sms"),
            ("jane", "4915112345601 Lee", CID, "sms"),
        ];
        for (who, name, number, channel) in known {
            let digits = number.trim_start_matches('+');
            let room = if self.dice.per_mille(600) { " --room" } else { "" };
            let line = format!("/contact add {name} phone={number} email=c{digits}@x.de channel={channel}{room}");
            self.commands(who, None, &line, Intent::Nothing);
        }
        for number in [ANN, BEN, CID, DOT, EVI] {
            if self.dice.per_mille(750) {
                self.agrees(number, Channel::WhatsApp);
            }
        }
        let all: Vec<String> = [ANN, BEN, CID].map(str::to_owned).to_vec();
        match self.dice.below(10) {
            0..=4 => self.makes_a_group_of("jane", all, false),
            5..=8 => self.makes_a_group_of("jane", all, true),
            _ => {}
        }
    }

    pub fn lives(&mut self, steps: usize) {
        for _ in 0..steps {
            self.time_passes();
            self.somebody_acts();
            if self.watcher.complaint.is_some() {
                return;
            }
        }
        self.comes_to_rest();
    }

    /// WhatsApp refuses nothing any more: what it had refused is done within days.
    fn comes_to_rest(&mut self) {
        for _ in 0..4 {
            self.world.group_troubles.clear();
            let until = self.world.now + Span::days(1);
            self.time_goes_on(until);
        }
        for (group, as_it_is) in &self.groups {
            self.watcher.nothing_is_forgotten(group, &as_it_is.inside);
        }
    }

    fn fresh(&mut self) -> u64 {
        self.counter += 1;
        self.counter
    }

    fn note(&mut self, what: String) {
        self.acts.push(format!("{} {what}", (self.world.now.0 - MIDNIGHT.0) / 1000));
    }

    // ---- after each act

    fn settles(&mut self, intent: &Intent) {
        let outside = std::mem::take(&mut self.world.outside);
        self.acts.extend(std::mem::take(&mut self.world.log).into_iter().map(|line| format!("    -> {line}")));
        self.is_done(intent, &outside);
        self.watcher.reads(&self.world, &outside);
        for one in outside {
            if let Outside::Asked { act, answer } = one {
                self.acts.push(format!("    -> {:?} {answer:?}", act.call));
                self.provider_does(act.room.as_str(), act.call, answer);
            }
        }
    }

    fn is_done(&mut self, intent: &Intent, outside: &[Outside]) {
        let answered = |templates: &[&str]| {
            let posted =
                |one: &Outside| matches!(one, Outside::Posted(posted) if templates.contains(&posted.reply.template.as_str()));
            outside.iter().any(posted)
        };
        const HANDED: [&str; 2] = ["handover-report", "handover-goes-on"];
        match intent {
            Intent::ClientOut { stream, number } if answered(&["room-contact-removed"]) => {
                self.watcher.client_is_out(stream, number)
            }
            Intent::ClientIn { stream, number } if answered(&["room-contact-added"]) => self.watcher.client_is_in(stream, number),
            Intent::Blocked { number, now } if answered(&["contact-block", "contact-unblock"]) => {
                self.watcher.blocked(number, *now);
                self.watcher.saw("blocked");
            }
            Intent::Offboarded { user } if answered(&HANDED) => {
                self.watcher.colleagues.entry(*user).and_modify(|colleague| colleague.channels.clear());
                self.watcher.saw("offboarded");
            }
            Intent::Side { user, side } if answered(&HANDED) => {
                self.watcher.colleagues.entry(*user).and_modify(|colleague| colleague.side = (*side).to_owned());
                self.watcher.saw("other side");
            }
            _ => {}
        }
    }

    // ---- the provider's groups

    fn provider_does(&mut self, room: &str, call: GroupCall, answer: Option<String>) {
        let Some(answer) = answer else { return };
        let stream = format!("stream-{room}");
        match call {
            GroupCall::Create { .. } => self.will_make(answer, &stream),
            GroupCall::Find { .. } => {
                self.groups.entry(answer.clone()).or_default().known = true;
                self.watcher.group_stands(&answer, &stream);
            }
            GroupCall::Answer { group, request, approve } => {
                let asked = self.groups.get_mut(group.as_str()).and_then(|group| group.asked.remove(&request));
                self.world.who_asks.entry(group.clone()).or_default().retain(|one| one.request != request);
                if let Some(number) = asked.filter(|_| approve) {
                    self.comes_in(group.as_str(), &number);
                }
            }
            GroupCall::Remove { group, who } => {
                let number = who.phone.map(|phone| phone.e164().to_owned()).unwrap_or_default();
                self.will_remove(group.as_str(), &number);
            }
            GroupCall::Delete { group } => drop(self.groups.remove(group.as_str())),
            GroupCall::Change { .. } | GroupCall::Link { .. } | GroupCall::Requests { .. } | GroupCall::Picture { .. } => {}
        }
    }

    fn will_make(&mut self, request: String, stream: &str) {
        let group = format!("g-{request}");
        match self.dice.below(10) {
            0 => {}
            1 => {
                let news = GroupNews::NotCreated { request, code: "131214".to_owned(), detail: "not eligible".to_owned() };
                self.will_tell("", news, 60);
            }
            _ => {
                let link = self.dice.per_mille(800).then(|| format!("https://chat.whatsapp.com/{group}"));
                self.groups.insert(group.clone(), Group::default());
                self.watcher.group_stands(&group, stream);
                self.will_tell(&group, GroupNews::Created { request, link }, 60);
            }
        }
    }

    fn will_remove(&mut self, group: &str, number: &str) {
        let who = keys_of(number);
        if self.dice.per_mille(800) {
            if let Some(group) = self.groups.get_mut(group) {
                group.inside.remove(number);
            }
            self.will_tell(group, GroupNews::Removed { who }, 3_000);
        } else {
            let (code, detail) = ("131000".to_owned(), "no".to_owned());
            self.will_tell(group, GroupNews::NotRemoved { who, code, detail }, 60);
        }
    }

    fn comes_in(&mut self, group: &str, number: &str) {
        let Some(group_is) = self.groups.get_mut(group) else { return };
        group_is.inside.insert(number.to_owned());
        if !self.dice.per_mille(100) {
            self.will_tell(group, GroupNews::Joined { who: keys_of(number) }, 3_000);
        }
    }

    /// Late, and sometimes twice.
    fn will_tell(&mut self, group: &str, news: GroupNews, most_seconds: i64) {
        let id = format!("group-news-{}", self.fresh());
        for _ in 0..if self.dice.per_mille(150) { 2 } else { 1 } {
            let seconds = if self.dice.per_mille(600) { 0 } else { self.dice.between(0, most_seconds) };
            self.news.push((self.world.now + Span::seconds(seconds), id.clone(), group.to_owned(), news.clone()));
        }
    }

    fn is_told(&mut self, id: &str, group: &str, news: GroupNews) {
        let told = GroupTold { line: LineId::new(LINE), group: GroupId::new(group), news: news.clone() };
        let now = self.world.now;
        if self.world.feed_as(id, now, Fact::GroupTold(told)) != Fed::Committed {
            return;
        }
        self.note(format!("{group}: {news:?}"));
        let number = |who: &liaison::domain::event::ClientKeys| who.phone.as_ref().unwrap().e164().to_owned();
        // Known before anything is sent on account of it.
        let intruder = match &news {
            GroupNews::Created { .. } => {
                self.groups.entry(group.to_owned()).and_modify(|group| group.known = true);
                None
            }
            GroupNews::AsksToJoin { request, .. } => {
                self.watcher.is_asked(request);
                None
            }
            GroupNews::Joined { who } => Some(number(who)).filter(|number| self.watcher.is_inside(group, number)),
            GroupNews::Left { who } => {
                self.watcher.is_outside(group, &number(who), false);
                None
            }
            GroupNews::Removed { who } => {
                self.watcher.is_outside(group, &number(who), true);
                None
            }
            _ => None,
        };
        self.world.work_off();
        self.settles(&Intent::Nothing);
        if let Some(number) = intruder {
            self.watcher.must_be_taken_out(group, &number);
        }
    }

    // ---- time

    fn time_passes(&mut self) {
        let seconds = match self.dice.below(20) {
            0..=13 => self.dice.between(1, 60),
            14..=18 => self.dice.between(60, 5_400),
            _ => self.dice.between(18_000, 108_000),
        };
        self.time_goes_on(self.world.now + Span::seconds(seconds));
    }

    fn time_goes_on(&mut self, until: Timestamp) {
        self.news.sort_by_key(|(at, ..)| *at);
        while self.news.first().is_some_and(|(at, ..)| *at <= until) {
            let (at, id, group, news) = self.news.remove(0);
            self.goes_on(at);
            self.is_told(&id, &group, news);
            self.news.sort_by_key(|(at, ..)| *at);
        }
        self.goes_on(until);
    }

    fn goes_on(&mut self, until: Timestamp) {
        let span = Span((until.0 - self.world.now.0).max(0));
        self.world.passes(span);
        self.settles(&Intent::Nothing);
    }

    // ---- who does something

    fn somebody_acts(&mut self) {
        match self.dice.below(100) {
            0..=23 => self.advisor_writes(),
            24..=41 => self.client_writes(),
            42..=57 => self.room_command(),
            58..=60 => self.makes_a_group(),
            61..=64 => self.contact_command(),
            65..=66 => self.admin_command(),
            67..=72 => self.by_hand(),
            73..=90 => self.in_a_group(),
            91..=94 => self.presses_an_old_card(),
            95 => self.client_stops(),
            96..=97 => self.client_agrees(),
            _ => self.trouble(),
        }
    }

    fn number(&mut self) -> String {
        (*self.dice.pick(&NUMBERS[..6])).to_owned()
    }
    fn at_email(&mut self, among: &[&str]) -> String {
        let who = *self.dice.pick(among);
        format!("@{}", person(who).email.unwrap())
    }

    /// A room that is open, and one who is in it; now and then somebody else.
    fn a_room(&mut self) -> Option<(String, &'static str)> {
        let open: Vec<String> =
            self.watcher.places.iter().filter(|(_, place)| !place.closed).map(|(stream, _)| stream.clone()).collect();
        if open.is_empty() {
            return None;
        }
        let native: Vec<String> = open.iter().filter(|stream| self.watcher.places[*stream].native).cloned().collect();
        let among = if native.is_empty() || self.dice.per_mille(600) { &open } else { &native };
        let stream = self.dice.pick(among).clone();
        let inside: Vec<&'static str> =
            EVERYBODY.into_iter().filter(|who| self.watcher.places[&stream].members.contains(&person(who).id.0)).collect();
        let who =
            if inside.is_empty() || self.dice.per_mille(50) { *self.dice.pick(&EVERYBODY) } else { *self.dice.pick(&inside) };
        Some((stream, who))
    }

    fn commands(&mut self, who: &'static str, stream: Option<&str>, line: &str, intent: Intent) {
        self.note(format!("{who} in {stream:?}: {line}"));
        let mark = self.world.posts.len();
        let direct = format!("im-{}", person(who).id);
        let (stream, kind) = stream.map_or((direct.as_str(), StreamKind::Direct), |stream| (stream, StreamKind::Room));
        self.world.chat(who, StreamId::new(stream), kind, line, None);
        self.settles(&intent);
        let asked = |post: &&Posted| post.reply.code == Code::Confirm && post.reply.ask.is_some();
        if let Some(card) = self.world.posts[mark..].iter().find(asked).cloned() {
            if self.dice.per_mille(850) { self.confirms(card, who, intent) } else { self.cards.push((card, who, intent)) }
        }
    }

    fn confirms(&mut self, card: Posted, who: &'static str, intent: Intent) {
        self.note(format!("{who} confirms {}", card.reply.template));
        self.world.presses_on(&card, who, "confirm");
        self.settles(&intent);
    }

    fn advisor_writes(&mut self) {
        let Some((stream, who)) = self.a_room() else { return };
        self.writes_in(&stream, who);
    }

    fn writes_in(&mut self, stream: &str, who: &'static str) {
        for _ in 0..self.dice.between(1, 2) {
            let token = format!("tx{}xt", self.fresh());
            self.watcher.wrote(&token, person(who).id.0, stream);
            if self.dice.per_mille(60) {
                let troubles = [
                    Trouble::Fails("131000"),
                    Trouble::UnknownButSent,
                    Trouble::UnknownAndLost,
                    Trouble::NotYet(Span::minutes(3)),
                ];
                let trouble = self.dice.pick(&troubles).clone();
                self.world.troubles.push_back(trouble);
            }
            self.commands(who, Some(stream), &format!("Good day {token}"), Intent::Nothing);
        }
    }

    fn room_command(&mut self) {
        let Some((stream, who)) = self.a_room() else { return };
        let (colleague, nth) = (self.at_email(&EVERYBODY), self.fresh());
        let number = self.client_of(&stream);
        let mut intent = Intent::Nothing;
        let line = match self.dice.below(13) {
            0..=2 => format!("/room add {colleague}"),
            3 => format!("/room remove {colleague}"),
            4 | 5 => {
                intent = Intent::ClientIn { stream: stream.clone(), number: number.clone() };
                format!("/room add {number}")
            }
            6 => {
                let intent = Intent::ClientOut { stream: stream.clone(), number: number.clone() };
                if self.watcher.places[&stream].native && self.dice.per_mille(300) {
                    self.world.group_troubles.push_back("131207");
                }
                self.commands(who, Some(&stream), &format!("/room remove {number}"), intent);
                // What is written next is for those who are left.
                return self.writes_in(&stream, who);
            }
            7 => format!("/room promote {colleague}"),
            8 => format!("/room demote {colleague}"),
            9 => {
                self.watcher.saw("leave");
                "/room leave".to_owned()
            }
            10 => {
                self.watcher.saw("transfer");
                format!("/room transfer {colleague}")
            }
            11 if self.dice.per_mille(300) => "/room deactivate".to_owned(),
            11 => format!("/room rename \"Crowd {nth}\""),
            _ => {
                self.watcher.saw("restart");
                return self.commands(who, None, &format!("/room restart {number}"), Intent::Nothing);
            }
        };
        self.commands(who, Some(&stream), &line, intent);
    }

    /// One of the room's own clients, or anybody.
    fn client_of(&mut self, stream: &str) -> String {
        let own: Vec<String> = self.watcher.places.get(stream).iter().flat_map(|place| place.clients.iter().cloned()).collect();
        if own.is_empty() || self.dice.per_mille(400) { self.number() } else { self.dice.pick(&own).clone() }
    }

    fn makes_a_group(&mut self) {
        let who = *self.dice.pick(&["jane", "jane", "bob", "eve"]);
        let clients: Vec<String> =
            [ANN, BEN, CID, DOT, EVI].into_iter().filter(|_| self.dice.per_mille(600)).map(str::to_owned).collect();
        let standard = self.dice.per_mille(500);
        self.makes_a_group_of(who, clients, standard);
    }

    fn makes_a_group_of(&mut self, who: &'static str, clients: Vec<String>, standard: bool) {
        let colleague = if self.dice.per_mille(400) { self.at_email(&MAY_GO) } else { String::new() };
        let name = format!("Crowd {}", self.fresh());
        self.watcher.wants(&name, clients.clone(), !standard);
        let flag = if standard { " --standard" } else { "" };
        if self.dice.per_mille(50) {
            self.world.group_troubles.push_back("131215");
        }
        // A colleague's clients are found once they are his too.
        for number in &clients {
            if self.dice.per_mille(800)
                && self.world.find_contact(number).is_none_or(|contact| !contact.listed_by.contains(&person(who).id))
            {
                let digits = number.trim_start_matches('+');
                let line = format!("/contact add Cli{} Lee phone={number} email=c{digits}@x.de channel=whatsapp", &digits[10..]);
                self.commands(who, None, &line, Intent::Nothing);
            }
        }
        self.commands(
            who,
            None,
            &format!("/group create \"{name}\" contacts={} {colleague}{flag}", clients.join(",")),
            Intent::Nothing,
        );
    }

    fn contact_command(&mut self) {
        let (number, colleague, other) = (self.number(), self.at_email(&MAY_GO), self.at_email(&MAY_GO));
        match self.dice.below(5) {
            0 => {
                let who = *self.dice.pick(&["jane", "bob", "eve"]);
                self.commands(who, None, &format!("/contact share {number} {colleague}"), Intent::Nothing);
            }
            1 => self.commands("adam", None, &format!("/contact transfer {number} from={colleague} to={other}"), Intent::Nothing),
            2 | 3 => {
                let intent = Intent::Blocked { number: number.clone(), now: true };
                self.commands("cora", None, &format!("/contact block {number} reason=spam"), intent);
            }
            _ => {
                let intent = Intent::Blocked { number: number.clone(), now: false };
                self.commands("cora", None, &format!("/contact unblock {number}"), intent);
            }
        }
    }

    fn admin_command(&mut self) {
        let who = *self.dice.pick(&MAY_GO);
        let (user, email, to) = (person(who).id.0, person(who).email.unwrap(), self.at_email(&MAY_GO));
        if self.dice.per_mille(400) {
            return self.commands("adam", None, &format!("/admin offboard @{email} to={to}"), Intent::Offboarded { user });
        }
        let side = *self.dice.pick(&[PRIVATE, RETAIL]);
        self.commands("adam", None, &format!("/admin suborg @{email} \"{side}\""), Intent::Side { user, side });
    }

    /// In the room's own settings; sometimes nobody tells who did it.
    fn by_hand(&mut self) {
        let Some((stream, by)) = self.a_room() else { return };
        let user = *self.dice.pick(&EVERYBODY);
        let id = person(user).id.0;
        let place = &self.watcher.places[&stream];
        let possible = match (place.members.contains(&id), place.owners.contains(&id)) {
            (false, _) => vec![MemberChange::Joined],
            (true, false) => vec![MemberChange::Left, MemberChange::Promoted],
            (true, true) => vec![MemberChange::Left, MemberChange::Demoted],
        };
        let change = *self.dice.pick(&possible);
        let by = if self.dice.per_mille(150) { Person::unknown() } else { person(by) };
        self.note(format!("by hand of {} in {stream}: {user} {change:?}", by.name));
        self.watcher.by_hand(&stream, id, change);
        self.watcher.saw("by hand");
        self.world.feed(Fact::MembersChanged { stream: StreamId::new(stream), user: person(user), change, by });
        self.world.work_off();
        self.settles(&Intent::Nothing);
    }

    // ---- clients

    fn channel_of(&mut self, number: &str) -> Channel {
        if number == SAM || (number == CID && self.dice.per_mille(300)) { Channel::Sms } else { Channel::WhatsApp }
    }

    fn speaks(&mut self, number: &str, channel: Channel, group: Option<&str>, text: &str) {
        self.note(format!("{number} by {channel:?} in {group:?}: {text}"));
        let mut client = self.world.client(number);
        if let Some(group) = group {
            client = client.in_group(group);
        }
        let client = if channel == Channel::Sms { client.by_sms() } else { client };
        if text == "consent:yes" {
            client.taps(text)
        } else {
            client.writes(text)
        };
        self.settles(&Intent::Nothing);
    }

    fn client_writes(&mut self) {
        let number = if self.dice.per_mille(30) { STRANGER.to_owned() } else { self.number() };
        let channel = self.channel_of(&number);
        let token = format!("wx{}xw", self.fresh());
        self.watcher.said(&token, &number, channel, None);
        self.speaks(&number, channel, None, &format!("Good day {token}"));
        self.watcher.is_heard(&token);
    }

    fn agrees(&mut self, number: &str, channel: Channel) {
        self.watcher.agreed(number, channel);
        self.speaks(number, channel, None, "consent:yes");
    }

    fn client_agrees(&mut self) {
        let number = self.number();
        let channel = self.channel_of(&number);
        self.agrees(&number, channel);
    }

    fn client_stops(&mut self) {
        let number = self.number();
        let channel = self.channel_of(&number);
        self.watcher.stopped(&number, channel);
        self.watcher.saw("stop");
        self.speaks(&number, channel, None, "STOP");
    }

    fn a_group(&mut self) -> Option<String> {
        let all: Vec<String> = self.groups.keys().cloned().collect();
        (!all.is_empty()).then(|| self.dice.pick(&all).clone())
    }

    fn in_a_group(&mut self) {
        let Some(group) = self.a_group() else { return };
        let inside: Vec<String> = self.groups[&group].inside.iter().cloned().collect();
        match self.dice.below(12) {
            0..=3 => self.asks_to_join(&group),
            // By whatever door: let in by somebody with the firm's own tools, or restored from a backup.
            4 => {
                let number = (*self.dice.pick(&NUMBERS)).to_owned();
                if self.dice.per_mille(400) {
                    self.world.group_troubles.push_back("131207");
                }
                self.comes_in(&group, &number);
            }
            _ if inside.is_empty() => self.asks_to_join(&group),
            5 => {
                let number = self.dice.pick(&inside).clone();
                self.groups.get_mut(&group).unwrap().inside.remove(&number);
                self.will_tell(&group, GroupNews::Left { who: keys_of(&number) }, 3_000);
            }
            // Removed by somebody of the firm, not by the bot.
            6 => {
                let number = self.dice.pick(&inside).clone();
                self.groups.get_mut(&group).unwrap().inside.remove(&number);
                self.will_tell(&group, GroupNews::Removed { who: keys_of(&number) }, 3_000);
            }
            7 if self.dice.per_mille(300) => {
                let number = self.dice.pick(&inside).clone();
                self.writes_in_group(&group, &number, Some("STOP"));
            }
            _ => {
                let number = self.dice.pick(&inside).clone();
                self.writes_in_group(&group, &number, None);
            }
        }
    }

    /// With his own link or one that somebody has passed on: the request looks the same.
    fn asks_to_join(&mut self, group: &str) {
        if !self.groups[group].known {
            return;
        }
        let stream = self.watcher.groups.get(group).cloned().unwrap_or_default();
        let number = if self.dice.per_mille(100) { STRANGER.to_owned() } else { self.client_of(&stream) };
        let request = format!("ask-{}", self.fresh());
        self.watcher.asks_to_join(&request, group, &number);
        if let Some(group) = self.groups.get_mut(group) {
            group.asked.insert(request.clone(), number.clone());
        }
        if self.dice.per_mille(50) {
            self.world.group_troubles.push_back("131000");
        }
        let who = keys_of(&number);
        let listed = JoinRequest { request: request.clone(), who: who.clone() };
        self.world.who_asks.entry(GroupId::new(group)).or_default().push(listed);
        if self.dice.per_mille(850) {
            self.will_tell(group, GroupNews::AsksToJoin { request, who }, 600);
        }
    }

    fn writes_in_group(&mut self, group: &str, number: &str, words: Option<&str>) {
        let token = format!("wx{}xw", self.fresh());
        self.watcher.said(&token, number, Channel::WhatsApp, Some(group));
        if words == Some("STOP") {
            self.watcher.stopped(number, Channel::WhatsApp);
        }
        let intruder = self.watcher.is_inside(group, number);
        self.speaks(number, Channel::WhatsApp, Some(group), words.unwrap_or(&format!("Good day {token}")));
        if intruder {
            self.watcher.must_be_taken_out(group, number);
        }
        // Somebody answers while the group's window is open.
        let stream = self.watcher.groups.get(group).cloned().unwrap_or_default();
        let members = self.watcher.places.get(&stream).map(|place| place.members.clone()).unwrap_or_default();
        if let Some(who) = EVERYBODY.into_iter().find(|who| members.contains(&person(who).id.0)) {
            self.writes_in(&stream, who);
        }
    }

    // ---- the rest

    fn presses_an_old_card(&mut self) {
        if !self.cards.is_empty() && self.dice.per_mille(500) {
            let at = self.dice.below(self.cards.len());
            let (card, who, intent) = self.cards.remove(at);
            return self.confirms(card, who, intent);
        }
        const AGAIN: [&str; 5] = ["held-for-successor", "take-over", "unconfirmed", "failed", "withdrawn"];
        let offers = |post: &&Posted| post.reply.ask.is_some() && AGAIN.contains(&post.reply.template.as_str());
        let cards: Vec<Posted> = self.world.posts.iter().filter(offers).cloned().collect();
        if cards.is_empty() {
            return;
        }
        let card = self.dice.pick(&cards).clone();
        let who = *self.dice.pick(&EVERYBODY);
        let Some(token) = tokens(&serde_json::to_string(&card.reply.vars).unwrap(), 't').pop() else { return };
        let Some(before) = self.watcher.text(&token) else { return };
        self.note(format!("{who} sends {token} again"));
        self.watcher.goes_again(&token, person(who).id.0);
        let said = self.world.presses_on(&card, who, "send-again");
        self.settles(&Intent::Nothing);
        if said.iter().any(|line| line.starts_with("refusal")) || said.is_empty() {
            self.watcher.put_back(&token, before);
        } else {
            self.watcher.saw("sent again");
        }
    }

    fn trouble(&mut self) {
        match self.dice.below(3) {
            0 => self.world.keeps_members = !self.world.keeps_members,
            1 => self.world.outbox_stands = !self.world.outbox_stands,
            _ => self.world.group_troubles.push_back("131000"),
        }
        let (members, outbox) = (self.world.keeps_members, self.world.outbox_stands);
        self.note(format!("members kept {members}, outbox stands {outbox}"));
    }
}
