//! The independent model, in words of its own. It sees what reached the world outside, in that order, and what the town itself
//! did; it never looks into the program's records to judge.
use crate::common::world::*;
use liaison::domain::effect::{Code, Effect, GroupCall};
use liaison::domain::ids::Channel;
use std::collections::{BTreeMap, BTreeSet};

/// Adam, who looks after the bot, and Olga, who answers those whom nobody else does.
const ADMIN: u64 = 6;
const STANDS_IN: u64 = 4;

/// What a person of the firm may do.
#[derive(Clone, Debug)]
pub struct Colleague {
    pub channels: Vec<Channel>,
    pub side: String,
}

/// What a client has said of being written to, and what the firm says of him.
#[derive(Clone, Debug, Default)]
pub struct Client {
    stopped: BTreeSet<Channel>,
    agreed: bool,
    blocked: bool,
}

#[derive(Clone, Debug)]
pub struct Place {
    pub members: BTreeSet<u64>,
    pub owners: BTreeSet<u64>,
    pub clients: BTreeSet<String>,
    pub channel: Channel,
    pub native: bool,
    pub closed: bool,
    /// Taken out of the WhatsApp group by somebody of the firm, for ever.
    barred: BTreeSet<String>,
    /// Whom WhatsApp has told to be in its group, or who has written there.
    pub inside: BTreeSet<String>,
    side: String,
    /// The platform has refused a change of its members.
    stuck: bool,
}

#[derive(Clone, Debug)]
pub struct Text {
    author: u64,
    stream: String,
    nth: usize,
    again: usize,
    marked: bool,
    arrived: BTreeMap<String, usize>,
}

#[derive(Clone, Debug)]
struct Word {
    from: String,
    channel: Channel,
    in_group: bool,
    shown: Vec<String>,
}

#[derive(Default)]
pub struct Watcher {
    pub colleagues: BTreeMap<u64, Colleague>,
    pub clients: BTreeMap<String, Client>,
    pub places: BTreeMap<String, Place>,
    /// Group → the room that it stands behind.
    pub groups: BTreeMap<String, String>,
    /// Name → whom a room that is to bear it is for, and whether WhatsApp is to make a group.
    wanted: BTreeMap<String, (Vec<String>, bool)>,
    /// Request to join → group and who asks.
    requests: BTreeMap<String, (String, String)>,
    /// Those of which WhatsApp has told, and those that it has answered as the firm wanted.
    asked: BTreeSet<String>,
    settled: BTreeSet<String>,
    texts: BTreeMap<String, Text>,
    words: BTreeMap<String, Word>,
    last: BTreeMap<(u64, String, String), usize>,
    /// Groups and people of whom a removal was asked since they were told to be inside.
    removals: BTreeSet<(String, String)>,
    passed_on: Vec<(String, String)>,
    pub complaint: Option<(&'static str, String)>,
    pub seen: BTreeMap<&'static str, u64>,
}

/// `tx12xt` for an advisor's words, `wx12xw` for a client's.
pub fn tokens(text: &str, kind: char) -> Vec<String> {
    let (begin, end) = (format!("{kind}x"), format!("x{kind}"));
    let parts = text.split(&begin).skip(1);
    let number = |part: &str| part.split_once(&end).map(|(number, _)| number.to_owned());
    let found = parts.filter_map(number).filter(|number| !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()));
    found.map(|number| format!("{begin}{number}{end}")).collect()
}

impl Watcher {
    pub fn saw(&mut self, what: &'static str) {
        *self.seen.entry(what).or_default() += 1;
    }
    pub fn complain(&mut self, rule: &'static str, what: String) {
        self.complaint.get_or_insert((rule, what));
    }

    // ---- what the town does

    pub fn wants(&mut self, name: &str, clients: Vec<String>, native: bool) {
        self.wanted.insert(name.to_owned(), (clients, native));
    }
    pub fn wrote(&mut self, token: &str, author: u64, stream: &str) {
        let nth = self.texts.len();
        let text = Text { author, stream: stream.to_owned(), nth, again: 0, marked: false, arrived: BTreeMap::new() };
        self.texts.insert(token.to_owned(), text);
    }
    pub fn text(&self, token: &str) -> Option<Text> {
        self.texts.get(token).cloned()
    }
    /// As it was: the button was refused.
    pub fn put_back(&mut self, token: &str, text: Text) {
        self.texts.insert(token.to_owned(), text);
    }
    /// Somebody presses the button that sends it once more, or now.
    pub fn goes_again(&mut self, token: &str, by: u64) {
        if let Some(text) = self.texts.get_mut(token) {
            (text.again, text.marked, text.author) = (text.again + 1, true, by);
        }
    }
    pub fn said(&mut self, token: &str, from: &str, channel: Channel, group: Option<&str>) {
        let word = Word { from: from.to_owned(), channel, in_group: group.is_some(), shown: Vec::new() };
        self.words.insert(token.to_owned(), word);
    }
    pub fn stopped(&mut self, number: &str, channel: Channel) {
        let client = self.clients.entry(number.to_owned()).or_default();
        client.stopped.insert(channel);
        client.agreed &= channel != Channel::WhatsApp;
    }
    pub fn agreed(&mut self, number: &str, channel: Channel) {
        let client = self.clients.entry(number.to_owned()).or_default();
        client.stopped.remove(&channel);
        client.agreed |= channel == Channel::WhatsApp;
    }
    pub fn blocked(&mut self, number: &str, now: bool) {
        self.clients.entry(number.to_owned()).or_default().blocked = now;
    }
    /// Confirmed, and answered that it is done.
    pub fn client_is_out(&mut self, stream: &str, number: &str) {
        self.saw("client removed");
        let Some(place) = self.places.get_mut(stream) else { return };
        place.clients.remove(number);
        if place.native {
            place.barred.insert(number.to_owned());
            self.saw("barred");
        }
    }
    pub fn client_is_in(&mut self, stream: &str, number: &str) {
        self.saw("client added");
        let Some(place) = self.places.get_mut(stream) else { return };
        if place.barred.contains(number) {
            self.complain("barred", format!("{number} was added to {stream} again"));
        } else {
            place.clients.insert(number.to_owned());
        }
    }
    pub fn asks_to_join(&mut self, request: &str, group: &str, number: &str) {
        self.requests.insert(request.to_owned(), (group.to_owned(), number.to_owned()));
    }
    pub fn is_asked(&mut self, request: &str) {
        self.asked.insert(request.to_owned());
    }
    /// After a time without refusals: whoever asked has his answer, and whoever may not be in it is out.
    pub fn nothing_is_forgotten(&mut self, group: &str, really_inside: &BTreeSet<String>) {
        let Some(place) = self.groups.get(group).and_then(|stream| self.places.get(stream)).cloned() else { return };
        if place.closed || !place.native {
            return;
        }
        let may_not = |number: &&String| !place.clients.contains(*number) || place.barred.contains(*number);
        if let Some(number) = place.inside.intersection(really_inside).find(may_not) {
            self.complain("forgotten", format!("{number} is still in {group}: {place:?}"));
        }
        let open = |request: &&String| self.requests[*request].0 == group && !self.settled.contains(*request);
        if let Some(request) = self.asked.iter().find(open).cloned() {
            self.complain("forgotten", format!("{request} to {group} has no answer: {place:?}"));
        }
    }
    /// Of whom WhatsApp or his own message tells that he is in. True: he has no right to be.
    pub fn is_inside(&mut self, group: &str, number: &str) -> bool {
        let Some(place) = self.groups.get(group).and_then(|stream| self.places.get_mut(stream)) else { return false };
        let newly = place.inside.insert(number.to_owned());
        if newly {
            self.removals.remove(&(group.to_owned(), number.to_owned()));
        }
        !place.closed && place.native && (!place.clients.contains(number) || place.barred.contains(number))
    }
    pub fn must_be_taken_out(&mut self, group: &str, number: &str) {
        self.saw("in without a right");
        if !self.removals.contains(&(group.to_owned(), number.to_owned())) {
            self.complain("barred", format!("{number} is in {group} and nobody asks for his removal"));
        }
    }
    pub fn is_outside(&mut self, group: &str, number: &str, by_the_firm: bool) {
        let Some(place) = self.groups.get(group).and_then(|stream| self.places.get_mut(stream)) else { return };
        place.inside.remove(number);
        if by_the_firm && place.clients.contains(number) {
            place.barred.insert(number.to_owned());
        }
    }
    pub fn group_stands(&mut self, group: &str, stream: &str) {
        self.groups.insert(group.to_owned(), stream.to_owned());
    }
    pub fn by_hand(&mut self, stream: &str, user: u64, change: liaison::domain::event::MemberChange) {
        use liaison::domain::event::MemberChange::*;
        let Some(place) = self.places.get_mut(stream) else { return };
        match change {
            Joined => drop(place.members.insert(user)),
            Left => {
                place.members.remove(&user);
                place.owners.remove(&user);
            }
            Promoted => drop(place.owners.insert(user)),
            Demoted => drop(place.owners.remove(&user)),
        }
    }

    // ---- what reached the world

    pub fn reads(&mut self, world: &World, all: &[Outside]) {
        for one in all {
            match one {
                Outside::Opened { stream, room } => self.opened(world, stream.as_str(), room),
                Outside::Members(effect) => self.members_changed(effect),
                Outside::MembersKept(effect) => self.members_kept(effect),
                Outside::Posted(posted) => self.posted(posted),
                Outside::Sent(sent) => self.sent(sent),
                Outside::Asked { act, answer } => self.asked(act.room.as_str(), &act.call, answer.is_some()),
            }
        }
        self.passed_on_is_right();
        self.everybody_has_an_owner();
    }

    fn opened(&mut self, world: &World, stream: &str, room: &liaison::domain::effect::OpenRoom) {
        let (clients, native) = self.wanted.get(&room.name).cloned().unwrap_or_else(|| {
            let number = |number: &&String| world.find_contact(number).map(|contact| contact.id) == room.contact;
            (self.clients.keys().filter(number).cloned().collect(), false)
        });
        let channel =
            world.rooms().into_iter().find(|known| known.key == room.key).map_or(Channel::WhatsApp, |known| known.channel);
        let owners: BTreeSet<u64> = room.owners.iter().map(|user| user.0).collect();
        let side = owners.first().map(|user| self.colleagues[user].side.clone()).unwrap_or_default();
        let members = owners.iter().copied().chain(room.members.iter().map(|user| user.0)).collect();
        let place = Place {
            members,
            owners,
            clients: clients.into_iter().collect(),
            channel,
            native,
            closed: false,
            barred: BTreeSet::new(),
            inside: BTreeSet::new(),
            side,
            stuck: false,
        };
        self.saw(if native {
            "native room"
        } else if place.clients.len() > 1 {
            "standard room"
        } else {
            "1:1 room"
        });
        self.places.insert(stream.to_owned(), place);
    }

    fn members_changed(&mut self, effect: &Effect) {
        let (stream, user) = match effect {
            Effect::AddMember { stream, user, .. }
            | Effect::RemoveMember { stream, user }
            | Effect::DemoteMember { stream, user } => (stream.as_str(), user.0),
            Effect::DeactivateRoom { stream } => {
                if let Some(place) = self.places.get_mut(stream.as_str()) {
                    place.closed = true;
                }
                return;
            }
            _ => return,
        };
        let Some(place) = self.places.get_mut(stream) else { return };
        match effect {
            Effect::AddMember { owner, .. } => {
                place.members.insert(user);
                if *owner {
                    place.owners.insert(user);
                }
            }
            Effect::RemoveMember { .. } => {
                place.members.remove(&user);
                place.owners.remove(&user);
            }
            _ => drop(place.owners.remove(&user)),
        }
    }

    fn members_kept(&mut self, effect: &Effect) {
        self.saw("members kept");
        if let Effect::AddMember { stream, .. } | Effect::RemoveMember { stream, .. } | Effect::DemoteMember { stream, .. } =
            effect
            && let Some(place) = self.places.get_mut(stream.as_str())
        {
            place.stuck = true;
        }
    }

    fn may(&self, user: u64, channel: Channel) -> bool {
        self.colleagues.get(&user).is_some_and(|colleague| colleague.channels.contains(&channel))
    }

    /// Whoever is in the place reads the line.
    fn posted(&mut self, posted: &Posted) {
        let stream = posted.stream.as_str();
        if matches!(posted.reply.template.as_str(), "group-fell-back" | "group-deleted")
            && let Some(place) = self.places.get_mut(stream)
        {
            place.native = false;
            place.closed |= posted.reply.template == "group-deleted";
        }
        let vars = serde_json::to_string(&posted.reply.vars).unwrap();
        for token in tokens(&vars, 'w') {
            let Some(word) = self.words.get_mut(&token) else { continue };
            let channel = word.channel;
            if posted.reply.code == Code::ClientMessage {
                word.shown.push(stream.to_owned());
                if word.shown.len() > 1 {
                    let what = format!("{token} in {:?}", word.shown);
                    self.complain("twice", what);
                }
            }
            if posted.reply.template == "parked" {
                self.is_rightly_parked(stream, &token, channel);
            } else {
                self.may_all_read(stream, &token, channel);
            }
        }
    }

    /// What nobody may read who answers clients is kept for those who look after the bot.
    fn is_rightly_parked(&mut self, stream: &str, token: &str, channel: Channel) {
        self.saw("parked");
        if stream != format!("im-{ADMIN}") {
            self.complain("reads", format!("{token} is parked in {stream}"));
        }
        if self.may(STANDS_IN, channel) && !self.words[token].in_group {
            self.complain("responsible", format!("{token} is parked, and {STANDS_IN} may answer it"));
        }
    }

    fn may_all_read(&mut self, stream: &str, token: &str, channel: Channel) {
        if let Some(user) = stream.strip_prefix("im-").and_then(|user| user.parse().ok()) {
            self.saw("told in private");
            if !self.may(user, channel) {
                self.complain("reads", format!("{user} reads {token} alone and may not use {channel:?}"));
            }
            return;
        }
        let Some(place) = self.places.get(stream) else { return };
        let fits = |user: &&u64| self.may(**user, channel) && self.colleagues[*user].side == place.side;
        if let Some(user) = place.members.iter().find(|user| !fits(user)) {
            let what = format!("{user} reads {token} in {stream}: {place:?}");
            self.complain("reads", what);
        }
    }

    fn sent(&mut self, sent: &Sent) {
        let body = serde_json::to_string(&sent.body).unwrap();
        for token in tokens(&body, 't') {
            self.text_arrived(&token, sent);
        }
        for token in tokens(&body, 'w') {
            self.passed_on.push((token, sent.to.clone()));
        }
        let others: Vec<&String> = self.clients.keys().filter(|number| **number != sent.to).collect();
        if let Some(number) = others.iter().find(|number| body.contains(number.trim_start_matches('+'))) {
            let what = format!("{} reads {number}: {body}", sent.to);
            self.complain("number", what);
        }
    }

    fn text_arrived(&mut self, token: &str, sent: &Sent) {
        let Some(text) = self.texts.get_mut(token) else { return };
        let times = text.arrived.entry(sent.to.clone()).or_default();
        *times += 1;
        let (times, text) = (*times, text.clone());
        if times > 1 + text.again {
            self.complain("twice", format!("{token} came {times} times to {}", sent.to));
        }
        let last = self.last.entry((text.author, text.stream.clone(), sent.to.clone())).or_default();
        let overtaken = text.nth < *last && !text.marked;
        *last = (*last).max(text.nth);
        if overtaken {
            self.complain("order", format!("{token} came to {} behind a later one", sent.to));
        }
        match self.groups.get(&sent.to).cloned() {
            Some(stream) => self.went_into_group(token, &text, &stream),
            None => self.went_to_client(token, &text, sent),
        }
    }

    fn went_to_client(&mut self, token: &str, text: &Text, sent: &Sent) {
        self.saw("text to a client");
        let Some(place) = self.places.get(&text.stream) else { return };
        let client = self.clients.get(&sent.to).cloned().unwrap_or_default();
        let what = format!("{token} of {} went from {} to {}: {client:?}", text.author, text.stream, sent.to);
        if !place.clients.contains(&sent.to) || place.barred.contains(&sent.to) {
            self.complain("not of that room", what);
        } else if client.blocked || client.stopped.contains(&sent.channel) {
            self.complain("stopped or blocked", what);
        } else if !self.may(text.author, sent.channel) {
            self.complain("author", what);
        }
    }

    fn went_into_group(&mut self, token: &str, text: &Text, stream: &str) {
        self.saw("text into a group");
        let place = self.places[stream].clone();
        let what =
            |number: &str| format!("{token} of {} went into the group of {stream} with {number} in it: {place:?}", text.author);
        if stream != text.stream {
            self.complain("not of that room", what("anybody"));
        }
        if place.inside.is_empty() {
            self.complain("nobody in it", what("nobody"));
        }
        for number in &place.inside {
            let client = self.clients.get(number).cloned().unwrap_or_default();
            if !place.clients.contains(number) || place.barred.contains(number) {
                self.complain("reads along", what(number));
            } else if client.blocked || !client.agreed {
                self.complain("stopped or blocked", what(number));
            }
        }
    }

    fn asked(&mut self, room: &str, call: &GroupCall, answered: bool) {
        let stream = format!("stream-{room}");
        match call {
            GroupCall::Find { .. } if answered => self.saw("looked for"),
            GroupCall::Answer { request, approve, .. } => {
                if !answered {
                    self.saw("answer refused");
                } else if self.settled.insert(request.clone()) && !self.asked.contains(request) {
                    self.saw("found in the list");
                }
                self.answered(request, *approve);
            }
            GroupCall::Remove { group, who } => {
                self.saw(if answered { "removal" } else { "removal refused" });
                let number = who.phone.as_ref().map(|phone| phone.e164().to_owned()).unwrap_or_default();
                self.removals.insert((group.to_string(), number));
            }
            GroupCall::Delete { .. } if answered => {
                if let Some(place) = self.places.get_mut(&stream) {
                    place.inside.clear();
                    place.closed = true;
                }
            }
            _ => {}
        }
    }

    fn answered(&mut self, request: &str, approve: bool) {
        self.saw(if approve { "let in" } else { "not let in" });
        let Some((group, number)) = self.requests.get(request).cloned() else { return };
        let Some(place) = self.groups.get(&group).and_then(|stream| self.places.get(stream)) else { return };
        let client = self.clients.get(&number).cloned().unwrap_or_default();
        let barred = place.barred.contains(&number);
        if approve && (barred || !place.clients.contains(&number) || !client.agreed || client.blocked) {
            let what = format!("{number} was let into {group}: {client:?} {place:?}");
            self.complain(if barred { "barred" } else { "let in" }, what);
        }
    }

    // ---- after each step

    fn passed_on_is_right(&mut self) {
        for (token, to) in std::mem::take(&mut self.passed_on) {
            self.saw("passed on");
            let Some(word) = self.words.get(&token).cloned() else { continue };
            let client = self.clients.get(&to).cloned().unwrap_or_default();
            let in_group = |stream: &String| {
                let place = self.places.get(stream);
                place.is_some_and(|place| !place.native && place.clients.contains(&to) && place.clients.contains(&word.from))
            };
            let wrong = word.in_group || to == word.from || !word.shown.iter().any(in_group);
            if wrong || client.blocked || client.stopped.contains(&word.channel) {
                self.complain("other clients", format!("{token} of {word:?} went to {to}: {client:?}"));
            }
        }
    }

    fn everybody_has_an_owner(&mut self) {
        let answers = |place: &Place, user: &u64| self.may(*user, place.channel) && self.colleagues[user].side == place.side;
        let orphan = self.places.iter().find(|(_, place)| {
            let somebody = place.members.iter().any(|user| answers(place, user));
            let owner = place.owners.iter().any(|user| place.members.contains(user) && answers(place, user));
            !place.closed && !place.stuck && somebody && !owner
        });
        if let Some((stream, place)) = orphan {
            let what = format!("{stream} has nobody responsible: {place:?}");
            self.complain("owner", what);
        }
    }

    /// Somebody who may reads what a client has just written to the firm.
    pub fn is_heard(&mut self, token: &str) {
        let Some(word) = self.words.get(token).cloned() else { return };
        let blocked = self.clients.get(&word.from).is_some_and(|client| client.blocked);
        let heard = |stream: &String| match stream.strip_prefix("im-").and_then(|user| user.parse::<u64>().ok()) {
            Some(user) => self.may(user, word.channel),
            None => self.places.get(stream).is_some_and(|place| place.members.iter().any(|user| self.may(*user, word.channel))),
        };
        let is_heard = word.shown.iter().any(heard);
        if blocked && !word.shown.is_empty() {
            self.complain("blocked", format!("{token} of {word:?} was shown"));
        }
        if !blocked && !is_heard {
            self.complain("nobody answers", format!("{token} of {word:?} reached nobody"));
        }
    }
}
