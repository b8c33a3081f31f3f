//! The independent model: naive, in words of its own. It is told what became durable, in that order, and what really
//! happened outside, and complains when a promise is broken.
use super::clock::{DAY, HOUR, MINUTE, SECOND};
use std::collections::{BTreeMap, BTreeSet};

/// How far a clock set back may make two moments seem nearer than they were told to be.
const CLOCK_SLACK: i64 = 40 * MINUTE;

/// What a client's words amount to, as the voyage meant them when it made them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    Yes,
    Stop,
    Perhaps,
    Plain,
}

/// Something that became durable, said by people outside.
#[derive(Clone, Debug)]
pub enum Heard {
    Nothing,
    Client {
        phone: String,
        word: Word,
        token: String,
        at: i64,
    },
    Text {
        author: u64,
        stream: String,
        token: String,
    },
    Template {
        author: u64,
        token: String,
    },
    /// An advisor's act that may have asked this client for consent, or all clients.
    Asking {
        phone: Option<String>,
    },
    ReviewEnded {
        author: u64,
        card: String,
        phone: String,
        stop: bool,
    },
    SendAgain {
        author: u64,
        token: String,
        card: String,
    },
    Rights {
        author: u64,
        held: bool,
    },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Parcel {
    Text(String),
    Template(String),
    Invitation,
    Question,
    Notice,
    Welcome,
    OptedIn,
    OptedOut,
    Help,
    /// Of an advisor who comes or goes, by template.
    News,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Stand {
    Unknown,
    Agreed(i64),
    Refused(i64),
}

#[derive(Debug)]
struct Client {
    stand: Stand,
    review_since: Option<i64>,
    /// When he said, by his provider's clock, what is under review.
    doubted_at: i64,
    asked: bool,
    wrote_last: Option<i64>,
    told_in_this_silence: u32,
    farewells: u32,
    invited_at: Option<i64>,
    spoken_to: u32,
}

#[derive(Debug)]
struct Line {
    /// In whose name it may go: one of them at least must have the right to.
    authors: BTreeSet<u64>,
    stream: String,
    nth: usize,
    arrived: u32,
    again: u32,
    /// The room was told that order is not kept here, or that nobody knows.
    marked: bool,
}

#[derive(Default)]
pub struct Oracle {
    clients: BTreeMap<String, Client>,
    lines: BTreeMap<String, Line>,
    heard_lines: usize,
    /// Client's words → how often they were due, and how often a room got them.
    relayed: BTreeMap<String, (bool, u32)>,
    cards: BTreeSet<String>,
    revoked: BTreeSet<u64>,
    /// By message id: what was wrong when it was taken.
    taken: BTreeMap<String, Option<(&'static str, String)>>,
    last_arrived: BTreeMap<(String, String), usize>,
    rooms: BTreeMap<String, u32>,
    pub complaint: Option<(&'static str, String)>,
    pub seen: BTreeMap<&'static str, u64>,
}

impl Oracle {
    pub fn complain(&mut self, rule: &'static str, what: String) {
        self.complaint.get_or_insert((rule, what));
    }
    pub fn saw(&mut self, state: &'static str) {
        *self.seen.entry(state).or_default() += 1;
    }

    fn client(&mut self, phone: &str) -> &mut Client {
        self.clients.entry(phone.to_owned()).or_insert(Client {
            stand: Stand::Unknown,
            review_since: None,
            doubted_at: 0,
            asked: false,
            wrote_last: None,
            told_in_this_silence: 0,
            farewells: 0,
            invited_at: None,
            spoken_to: 0,
        })
    }

    // ---- what people said, in the order in which it was kept

    pub fn heard(&mut self, what: &Heard, wall: i64) {
        match what {
            Heard::Nothing => {}
            Heard::Client { phone, word, token, at } => {
                if *word != Word::Yes && *word != Word::Stop {
                    self.relayed.entry(token.clone()).or_default().0 = true;
                }
                self.client(phone).wrote(*word, (*at).min(wall), wall);
            }
            Heard::Text { author, stream, token } => self.new_line(*author, stream, token),
            Heard::Template { author, token } => self.new_line(*author, "", token),
            Heard::Asking { phone: Some(phone) } => self.client(phone).asked = true,
            Heard::Asking { phone: None } => self.clients.values_mut().for_each(|client| client.asked = true),
            Heard::ReviewEnded { author, .. } if self.revoked.contains(author) => {}
            // A question is answered once.
            Heard::ReviewEnded { card, .. } if !self.cards.insert(card.clone()) => {}
            Heard::ReviewEnded { phone, stop, .. } => {
                let client = self.client(phone);
                client.a_day_ends_a_review(wall);
                if client.review_since.take().is_some() && *stop {
                    client.refuse(wall);
                }
            }
            // Pressed before: it counts only where nothing came of that, which cannot be seen from here.
            Heard::SendAgain { author, token, card } if !self.cards.insert(card.clone()) => {
                if let Some(line) = self.lines.get_mut(token).filter(|_| !self.revoked.contains(author)) {
                    line.authors.insert(*author);
                }
            }
            Heard::SendAgain { author, token, .. } => {
                let held = !self.revoked.contains(author);
                if let Some(line) = self.lines.get_mut(token) {
                    line.again += 1;
                    line.marked = true;
                    // Who sends it again is its author from now on.
                    if held {
                        line.authors = BTreeSet::from([*author]);
                    }
                } else {
                    // The invitation was sent again: its day counts anew.
                    self.clients.values_mut().for_each(|client| client.invited_at = None);
                }
            }
            Heard::Rights { author, held } => {
                if *held {
                    self.revoked.remove(author);
                } else {
                    self.revoked.insert(*author);
                }
            }
        }
    }

    fn new_line(&mut self, author: u64, stream: &str, token: &str) {
        self.heard_lines += 1;
        let nth = self.heard_lines;
        let line =
            Line { authors: BTreeSet::from([author]), stream: stream.to_owned(), nth, arrived: 0, again: 0, marked: false };
        // A card that is pressed twice stands for one message.
        self.lines.entry(token.to_owned()).or_insert(line);
    }

    // ---- what left

    /// The bot's commit that takes a message for sending is durable; `wall` is the time of that commit.
    pub fn taken(&mut self, message: &str, phone: &str, parcel: &Parcel, wall: i64) {
        let wrong = self.wrong_to_take(phone, parcel, wall);
        self.taken.insert(message.to_owned(), wrong);
    }

    fn wrong_to_take(&mut self, phone: &str, parcel: &Parcel, wall: i64) -> Option<(&'static str, String)> {
        let authors = match parcel {
            Parcel::Text(token) | Parcel::Template(token) => match self.lines.get(token) {
                Some(line) => Some(&line.authors),
                None => return Some(("5 never acknowledged", format!("{parcel:?} was taken before it was acknowledged"))),
            },
            _ => None,
        };
        if authors.is_some_and(|authors| authors.is_subset(&self.revoked)) {
            return Some(("1 rights", format!("{parcel:?} of an advisor without rights")));
        }
        let waiting = self.lines.values().any(|line| line.arrived < 1 + line.again);
        let client = self.client(phone);
        client.a_day_ends_a_review(wall);
        let refused = matches!(client.stand, Stand::Refused(_));
        let agreed = matches!(client.stand, Stand::Agreed(_)) && client.review_since.is_none();
        let text = format!("{parcel:?} to a client who stands at {client:?}");
        if refused && *parcel != Parcel::OptedOut {
            return Some(("1 after a stop", text));
        }
        let allowed = match parcel {
            Parcel::Text(_) | Parcel::Template(_) | Parcel::OptedIn | Parcel::Help | Parcel::News => agreed,
            Parcel::Invitation | Parcel::Question => client.asked && client.review_since.is_none(),
            Parcel::Notice => (client.asked || agreed) && client.review_since.is_none(),
            Parcel::Welcome => true,
            Parcel::OptedOut => refused,
        };
        if !allowed {
            return Some(("1 consent", text));
        }
        let free = !matches!(parcel, Parcel::Template(_) | Parcel::Invitation | Parcel::Notice | Parcel::News);
        let open = client.wrote_last.is_some_and(|at| wall < at + DAY - MINUTE);
        if free && !open {
            return Some(("2 window", text));
        }
        if *parcel == Parcel::Notice && !waiting {
            return Some(("6 nothing waits", text));
        }
        None
    }

    /// Meta has accepted it: from here on nobody can call it back.
    pub fn arrived(&mut self, message: &str, phone: &str, parcel: &Parcel, truth: i64) {
        match self.taken.get(message).cloned() {
            None => self.complain("0 never taken", format!("{message} {parcel:?}")),
            Some(Some((rule, what))) => self.complain(rule, what),
            Some(None) => {}
        }
        self.client(phone).spoken_to += 1;
        match parcel {
            Parcel::Text(token) => {
                let token = token.clone();
                self.line_arrived(&token, phone, true);
            }
            Parcel::Template(token) => {
                let token = token.clone();
                self.line_arrived(&token, phone, false);
            }
            Parcel::Notice => {
                let client = self.client(phone);
                client.told_in_this_silence += 1;
                if client.told_in_this_silence > 1 {
                    self.complain("6 notice twice", format!("{phone} at {truth}"));
                }
            }
            Parcel::OptedOut => {
                let client = self.client(phone);
                client.farewells += 1;
                if client.farewells > 1 {
                    self.complain("1 two farewells", phone.to_owned());
                }
            }
            Parcel::Invitation => {
                let before = self.client(phone).invited_at.replace(truth);
                if before.is_some_and(|before| truth < before + DAY - CLOCK_SLACK) {
                    let hours = before.map(|before| (truth - before) as f64 / HOUR as f64);
                    self.complain("7 invited too soon", format!("{phone} again after {hours:?} hours"));
                }
            }
            Parcel::Question | Parcel::Welcome | Parcel::OptedIn | Parcel::Help | Parcel::News => {}
        }
    }

    fn line_arrived(&mut self, token: &str, phone: &str, in_lane: bool) {
        let Some(line) = self.lines.get_mut(token) else { return };
        line.arrived += 1;
        let (count, most, nth, marked, stream) = (line.arrived, 1 + line.again, line.nth, line.marked, line.stream.clone());
        if count > most {
            self.complain("3 twice", format!("{token} arrived {count} times"));
        }
        if !in_lane {
            return;
        }
        let last = self.last_arrived.entry((stream, phone.to_owned())).or_default();
        if nth < *last && !marked {
            let text = format!("{token} (number {nth}) arrived behind number {last}");
            self.complain("4 order", text);
        }
        let last = self.last_arrived.entry((self.lines[token].stream.clone(), phone.to_owned())).or_default();
        *last = (*last).max(nth);
    }

    /// Meta accepted it and said later that it was never delivered.
    pub fn did_not_arrive_after_all(&mut self, phone: &str, parcel: &Parcel) {
        if let Parcel::Text(token) | Parcel::Template(token) = parcel
            && let Some(line) = self.lines.get_mut(token)
        {
            line.arrived = line.arrived.saturating_sub(1);
            line.marked = true;
        }
        let client = self.client(phone);
        match parcel {
            Parcel::Invitation => client.invited_at = None,
            Parcel::Notice => client.told_in_this_silence = client.told_in_this_silence.saturating_sub(1),
            _ => {}
        }
    }

    /// The room reads that this message may be out of order or lost.
    pub fn marked(&mut self, token: &str) {
        if let Some(line) = self.lines.get_mut(token) {
            line.marked = true;
        }
    }

    pub fn relayed(&mut self, token: &str) {
        let entry = self.relayed.entry(token.to_owned()).or_default();
        entry.1 += 1;
        if entry.1 > 1 {
            let times = entry.1;
            self.complain("5 relayed twice", format!("{token}: {times} lines"));
        }
    }

    pub fn room_made(&mut self, key: &str) {
        let made = self.rooms.entry(key.to_owned()).or_default();
        *made += 1;
        if *made > 1 {
            self.complain("5 two rooms", key.to_owned());
        }
    }

    pub fn wake_fired(&mut self, meant_for: i64, wall: i64, truth: i64) {
        if meant_for > wall.max(truth) {
            self.complain("10 early", format!("{} s early", (meant_for - wall) / SECOND));
        }
    }

    // ---- at the end

    pub fn tokens(&self) -> Vec<String> {
        self.lines.keys().cloned().collect()
    }
    pub fn arrivals(&self, token: &str) -> u32 {
        self.lines.get(token).map_or(0, |line| line.arrived)
    }
    pub fn stream_of(&self, token: &str) -> String {
        self.lines.get(token).map(|line| line.stream.clone()).unwrap_or_default()
    }
    pub fn lines_are_all_relayed(&mut self) {
        let lost: Vec<String> =
            self.relayed.iter().filter(|(_, (due, times))| *due && *times == 0).map(|(token, _)| token.clone()).collect();
        if !lost.is_empty() {
            self.complain("5 lost", format!("never relayed: {lost:?}"));
        }
    }
}

impl Client {
    fn refuse(&mut self, at: i64) {
        self.stand = Stand::Refused(at);
        self.review_since = None;
        self.farewells = 0;
    }
    fn agree(&mut self, at: i64) {
        self.farewells = 0;
        self.stand = Stand::Agreed(at);
        self.review_since = None;
    }

    /// Nobody answered for a day: it counts as a stop, wherever the bot is with it.
    fn a_day_ends_a_review(&mut self, wall: i64) {
        if let Some(since) = self.review_since
            && wall >= since + DAY
        {
            self.refuse(since + DAY);
        }
    }

    fn wrote(&mut self, word: Word, at: i64, wall: i64) {
        self.wrote_last = Some(self.wrote_last.map_or(at, |before| before.max(at)));
        self.told_in_this_silence = 0;
        self.a_day_ends_a_review(wall);
        match (word, self.stand, self.review_since) {
            (Word::Yes, _, Some(_)) if at > self.doubted_at => self.agree(at),
            (Word::Yes, _, Some(_)) => {}
            (Word::Yes, Stand::Refused(then), None) if at > then => self.agree(at),
            (Word::Yes, Stand::Unknown, None) if self.asked => self.agree(at),
            (Word::Yes, _, None) => {}
            (Word::Stop, Stand::Agreed(then), None) if at < then => {}
            (Word::Stop, Stand::Refused(then), None) => self.stand = Stand::Refused(then.max(at)),
            (Word::Stop, _, _) => self.refuse(at),
            (Word::Perhaps, Stand::Refused(_), _) | (Word::Perhaps, _, Some(_)) => {}
            (Word::Perhaps, Stand::Agreed(then), None) if at < then => {}
            (Word::Perhaps, _, None) => {
                self.review_since = Some(wall.max(at));
                self.doubted_at = at;
            }
            (Word::Plain, _, _) => {}
        }
    }
}
