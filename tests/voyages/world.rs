//! The bot, its outside and time, on one thread: what happens next is drawn from the dice, nothing waits for real.
use super::clock::{DAY, HOUR, MINUTE, SECOND, TestClock};
use super::dice::Dice;
use super::oracle::{Heard, Oracle, Parcel};
use super::outside::{Did, Meta, Pod, Verdict, parcel_of, since_start, token_in};
use super::people::{Advisor, Person, Troubles, policy_for};
use liaison::adapters::store::MemoryStore;
use liaison::domain::case::woken;
use liaison::domain::commit::{Commit, Committed, Key, Stored};
use liaison::domain::effect::*;
use liaison::domain::event::*;
use liaison::domain::ids::*;
use liaison::domain::lane::Due;
use liaison::domain::policy::Policy;
use liaison::domain::time::Timestamp;
use liaison::flow::desk::{self, Answer, Handled, SOON_TRIES};
use liaison::flow::lanes::{Head, Lanes};
use liaison::flow::turn::{self, Means, Next, Turn};
use liaison::flow::wakes;
use liaison::ports::{Clock, Later, Pacing, Performer, Receipt, Store, StoreError};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, LazyLock, Mutex};
use tokio::sync::watch;

/// The end of the log that a report shows; `VOYAGE_LOG` asks for more.
static LOG_LINES: LazyLock<usize> =
    LazyLock::new(|| std::env::var("VOYAGE_LOG").ok().and_then(|lines| lines.parse().ok()).unwrap_or(40));
/// After the faults have ended everything must be over within this time of the last thing that came in.
const CALM: i64 = 2 * HOUR;
/// More steps than anything needs in one millisecond.
const BUSY: u32 = 1_000;

// ---- what the product needs to be driven by hand

/// Words are of no interest here; that there are some is.
struct Wording;
impl Performer for Wording {
    fn prepare(&self, _: &EffectId, effect: &Effect) -> Result<Prepared, String> {
        Ok(match effect {
            Effect::Send(send) => Prepared::Text { text: format!("{:?}", send.body) },
            _ => Prepared::Plain,
        })
    }
    fn perform<'a>(&'a self, _: &'a EffectId, _: &'a Effect, _: &'a Prepared) -> Later<'a, Attempt> {
        unreachable!("the world performs")
    }
    fn look_up<'a>(&'a self, _: &'a Due) -> Later<'a, LookUp> {
        unreachable!("the world looks up")
    }
}
struct NoPace;
impl Pacing for NoPace {
    fn may_go(&self, _: &Effect, _: Timestamp) -> Result<(), Timestamp> {
        Ok(())
    }
}

/// A store in which another desk's commit slips in between a decision and its commit.
struct Ambushed<'w> {
    store: &'w MemoryStore,
    policy: &'w Policy,
    clock: &'w TestClock,
    second: Mutex<Option<Event>>,
    outcome: Mutex<Option<Handled>>,
}
impl Store for Ambushed<'_> {
    fn get(&self, key: &Key) -> Result<Option<Stored>, StoreError> {
        self.store.get(key)
    }
    fn scan(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<Vec<(Key, Stored)>, StoreError> {
        self.store.scan(prefix, after, limit)
    }
    fn commit(&self, commit: Commit) -> Result<Committed, StoreError> {
        let second = self.second.lock().unwrap().take();
        if let Some(event) = second {
            *self.outcome.lock().unwrap() = Some(desk::handle(self.store, self.policy, self.clock, &event, false));
        }
        self.store.commit(commit)
    }
    fn durable(&self) -> watch::Receiver<u64> {
        self.store.durable()
    }
    fn last_time(&self) -> Timestamp {
        self.store.last_time()
    }
}

// ---- what is on its way

/// Something that one of the platforms tells the bot, until the bot has answered.
#[derive(Clone, Debug)]
pub struct Inbound {
    pub event: Event,
    pub heard: Heard,
    pub tries: u32,
}

#[derive(Clone, Debug)]
pub enum Happening {
    Inbound(Box<Inbound>),
    AdvisorActs(usize),
    /// Reads what the bot asked, and answers.
    AdvisorLooks(usize),
    ClientActs(usize),
    /// A client reacts to what he got.
    Reacts {
        client: usize,
        parcel: Parcel,
    },
    /// Everything up to this commit reaches the disk.
    Sync(u64),
    Answer {
        life: u32,
        turn: u64,
        taken: Box<Due>,
        attempt: Attempt,
    },
    Looked {
        life: u32,
        turn: u64,
        due: Box<Due>,
        found: LookUp,
    },
    ReportAgain {
        life: u32,
        turn: u64,
        event: Box<Event>,
    },
    Restart,
    ClockIs(i64),
    Rights {
        advisor: usize,
        held: bool,
    },
}

enum Waiter {
    Inbound(Box<Inbound>),
    Turn(u64),
    Rights { author: u64, held: bool },
}

struct Waiting {
    sequence: u64,
    wall: i64,
    waiter: Waiter,
}

struct Running {
    head: Head,
    turn: Turn,
    wall: i64,
}

/// What a commit changed in the outbox, by its number.
type News = (u64, Vec<(Key, Option<Due>)>);

pub struct World {
    pub dice: Dice,
    pub clock: Arc<TestClock>,
    pub troubles: Troubles,
    pub advisors: Vec<Advisor>,
    pub people: Vec<Person>,
    pub pod: Pod,
    pub meta: Meta,
    pub oracle: Oracle,
    pub next_token: u32,
    pub ends_at: i64,
    policy: Policy,
    pub store: MemoryStore,
    lanes: Lanes,
    running: BTreeMap<u64, Running>,
    news: VecDeque<News>,
    waiting: Vec<Waiting>,
    agenda: BTreeMap<(i64, u64), Happening>,
    number: u64,
    life: u32,
    alive: bool,
    /// Ids whose words the oracle has heard.
    known: std::collections::BTreeSet<String>,
    last_inbound: i64,
    checked: u64,
    steps_in_this_moment: u32,
    ranks: BTreeMap<String, &'static str>,
    log: VecDeque<String>,
}

impl World {
    pub fn new(seed: u64) -> World {
        fastrand::seed(seed);
        let mut dice = Dice::new(seed);
        let clock = Arc::new(TestClock::new());
        let troubles = Troubles::draw(&mut dice);
        let (advisors, people) = super::people::draw(&mut dice);
        let ends_at = clock.truth() + dice.between(2, 8) * DAY;
        let policy = policy_for(&advisors, &mut dice);
        let mut world = World {
            dice,
            clock,
            troubles,
            advisors,
            people,
            pod: Pod::default(),
            meta: Meta::default(),
            oracle: Oracle::default(),
            next_token: 0,
            ends_at,
            policy,
            store: MemoryStore::new(),
            lanes: Lanes::default(),
            running: BTreeMap::new(),
            news: VecDeque::new(),
            waiting: Vec::new(),
            agenda: BTreeMap::new(),
            number: 0,
            life: 0,
            alive: true,
            known: Default::default(),
            last_inbound: 0,
            checked: 0,
            steps_in_this_moment: 0,
            ranks: BTreeMap::new(),
            log: VecDeque::new(),
        };
        world.store.hold_durability(true);
        world.set_out();
        world
    }

    pub fn now(&self) -> i64 {
        self.clock.truth()
    }
    /// What the bot goes by: its clock, but never less than its last commit's time.
    fn bots_now(&self) -> i64 {
        self.clock.wall().max(self.store.last_time().0)
    }
    pub fn faults(&self) -> bool {
        self.now() < self.ends_at
    }
    pub fn token(&mut self, kind: char) -> String {
        self.next_token += 1;
        format!("{kind}{}", self.next_token)
    }
    pub fn trouble(&mut self, per_mille: u32) -> bool {
        self.faults() && self.dice.per_mille(per_mille)
    }

    pub fn note(&mut self, line: impl FnOnce() -> String) {
        let line = format!("{} {}", since_start(self.now()), line());
        self.log.push_back(line);
        if self.log.len() > *LOG_LINES {
            self.log.pop_front();
        }
    }
    pub fn log(&self) -> String {
        self.log.iter().cloned().collect::<Vec<_>>().join("\n")
    }

    pub fn schedule(&mut self, after: i64, what: Happening) {
        self.number += 1;
        let at = self.now() + after.max(0);
        if matches!(what, Happening::Inbound(_)) {
            // However late it comes: the voyage waits for it.
            self.last_inbound = self.last_inbound.max(at);
        }
        self.agenda.insert((at, self.number), what);
    }

    /// Sent by a platform that sends again until it is answered.
    pub fn tell(&mut self, after: i64, event: Event, heard: Heard) {
        let inbound = Inbound { event, heard, tries: 0 };
        let late = self.troubles.late;
        let after = if self.trouble(late) { after + self.dice.between(0, DAY) } else { after };
        if self.trouble(self.troubles.twice) {
            self.oracle.saw("event twice");
            let again = self.dice.between(0, HOUR);
            self.schedule(if again % 2 == 0 { after } else { after + again }, Happening::Inbound(Box::new(inbound.clone())));
        }
        self.schedule(after, Happening::Inbound(Box::new(inbound)));
    }

    fn set_out(&mut self) {
        for person in &self.people {
            let phone = super::outside::Phone { on_whatsapp: person.on_whatsapp, wrote_last: None };
            self.meta.phones.insert(person.phone.clone(), phone);
        }
        for nth in 0..self.advisors.len() {
            let user = self.advisors[nth].person();
            let event =
                Event { id: EventId(format!("start:{nth}")), at: self.clock.now(), fact: Fact::UserFound { user }, raw: None };
            self.schedule(0, Happening::Inbound(Box::new(Inbound { event, heard: Heard::Nothing, tries: 0 })));
            let first = self.dice.between(1, 60) * SECOND;
            self.schedule(first, Happening::AdvisorActs(nth));
        }
        for nth in 0..self.people.len() {
            let first = self.dice.between(1, 12 * 60) * MINUTE;
            self.schedule(first, Happening::ClientActs(nth));
        }
        self.set_troubles_out();
    }

    fn set_troubles_out(&mut self) {
        let length = self.ends_at - self.now();
        self.schedule(length, Happening::ClockIs(0));
        for _ in 0..self.troubles.clock_jumps {
            let at = self.dice.between(0, length);
            let jump =
                if self.dice.per_mille(500) { -self.dice.between(1, 30) * MINUTE } else { self.dice.between(1, 72) * HOUR };
            self.schedule(at, Happening::ClockIs(jump));
            let lasts = self.dice.between(1, 300) * MINUTE;
            self.schedule(at + lasts, Happening::ClockIs(0));
        }
        for _ in 0..self.troubles.revocations {
            let (at, advisor) = (self.dice.between(0, length), self.dice.below(self.advisors.len()));
            self.schedule(at, Happening::Rights { advisor, held: false });
            let lasts = self.dice.between(1, 30) * HOUR;
            self.schedule(at + lasts, Happening::Rights { advisor, held: true });
        }
    }

    // ---- time

    /// Sails until everything is calm, or somebody complains.
    pub fn sail(&mut self) {
        while self.oracle.complaint.is_none() && self.step() {}
        if self.oracle.complaint.is_none() {
            self.look_at_the_journal();
            super::quiet::look(self);
        }
    }

    fn step(&mut self) -> bool {
        self.look_at_the_journal();
        self.steps_in_this_moment += 1;
        if self.steps_in_this_moment > BUSY {
            self.oracle.complain("liveness", "the bot runs in circles".to_owned());
        }
        if self.alive && self.bot_has_work() {
            return true;
        }
        let Some(at) = self.next_moment() else { return false };
        let calm_from = self.ends_at.max(self.last_inbound) + CALM;
        if at > calm_from && self.alive {
            return false;
        }
        if at > self.now() {
            self.steps_in_this_moment = 0;
        }
        self.clock.set_truth(at);
        if let Some(entry) = self.agenda.first_entry().filter(|entry| entry.key().0 <= at) {
            let happening = entry.remove();
            self.happen(happening);
        }
        true
    }

    fn next_moment(&self) -> Option<i64> {
        let planned = self.agenda.first_key_value().map(|((at, _), _)| *at);
        let bot = if self.alive && self.clock.is_sane() { self.bot_wants_at() } else { None };
        planned.into_iter().chain(bot).min().map(|at| at.max(self.now()))
    }

    fn bot_wants_at(&self) -> Option<i64> {
        let wake = self.store.scan("wake/", None, 1).unwrap().first().and_then(|(key, _)| woken(key)).map(|(at, _)| at.0);
        let head = self.lanes.next_at().map(|at| at.0);
        wake.into_iter().chain(head).min().map(|wall| wall.saturating_sub(self.clock.offset()))
    }

    /// One thing that the bot does by itself now.
    fn bot_has_work(&mut self) -> bool {
        let clock = Arc::clone(&self.clock);
        if let Some(head) = turn::next_head(&mut self.lanes, &*clock) {
            if self.clock.ran_away() {
                self.oracle.complain("10 clock", format!("{:?} was begun by a clock that ran away", head.key));
            }
            self.number += 1;
            let id = self.number;
            let (turn, next) = Turn::begin(&head, means(&self.store, &clock));
            self.running.insert(id, Running { head, turn, wall: 0 });
            self.go(id, next);
            return true;
        }
        let due = wakes::due(&self.store, &*clock).unwrap();
        for wake in &due {
            let meant_for = woken(wake).map_or(0, |(at, _)| at.0);
            self.oracle.wake_fired(meant_for, self.bots_now(), self.now());
            self.oracle.saw("wake-up");
            let event = wakes::time_came(wake.clone(), self.clock.now());
            let handled = desk::handle(&self.store, &self.policy, &*clock, &event, false);
            self.kept(&event.fact, handled);
        }
        !due.is_empty()
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Inbound(inbound) => self.arrive(*inbound),
            Happening::AdvisorActs(nth) => super::people::advisor_acts(self, nth),
            Happening::AdvisorLooks(nth) => super::people::press(self, nth),
            Happening::ClientActs(nth) => super::people::client_acts(self, nth),
            Happening::Reacts { client, parcel } => super::people::client_reacts(self, client, &parcel),
            Happening::Sync(sequence) => {
                self.store.make_durable(sequence);
                self.settle(true);
            }
            Happening::Answer { life, turn, taken, attempt } if life == self.life => {
                let now = self.clock.now();
                if self.maybe_crash("between performed and ended") {
                    return;
                }
                let Some(running) = self.running.get(&turn) else { return };
                let next = running.turn.performed(&taken, attempt, now);
                self.go(turn, next);
            }
            Happening::Looked { life, turn, due, found } if life == self.life => {
                let Some(running) = self.running.get(&turn) else { return };
                let next = running.turn.looked_up(&due, found, self.clock.now());
                self.go(turn, next);
            }
            Happening::ReportAgain { life, turn, event } if life == self.life => self.report(turn, *event),
            Happening::Answer { .. } | Happening::Looked { .. } | Happening::ReportAgain { .. } => {}
            Happening::Restart => self.restart(),
            Happening::ClockIs(offset) => {
                self.note(|| format!("clock {} s off", offset / SECOND));
                self.oracle.saw(if offset > 0 { "clock ahead" } else { "clock back" });
                self.clock.set_offset(if self.now() < self.ends_at { offset } else { 0 });
            }
            Happening::Rights { advisor, held } => self.turn_rights(advisor, held),
        }
    }

    fn turn_rights(&mut self, nth: usize, held: bool) {
        let advisor = self.advisors[nth].clone();
        self.note(|| format!("rights of {}: {held}", advisor.email));
        if held {
            self.policy.advisors.insert(advisor.email.clone(), advisor.rights());
        } else {
            self.policy.advisors.remove(&advisor.email);
            self.oracle.saw("rights revoked");
        }
        let sequence = self.last_sequence();
        self.waiting.push(Waiting { sequence, wall: self.clock.wall(), waiter: Waiter::Rights { author: advisor.id, held } });
        self.settle(true);
    }

    // ---- in

    fn arrive(&mut self, mut inbound: Inbound) {
        self.last_inbound = self.last_inbound.max(self.now());
        if !self.alive {
            let later = self.dice.between(1, 20) * MINUTE;
            return self.schedule(later, Happening::Inbound(Box::new(inbound)));
        }
        let second = self.ambush(&inbound);
        let last_try = inbound.tries >= SOON_TRIES;
        if last_try && self.presses_an_unknown_card(&inbound.event) {
            // He reads that the question is no longer open; nothing follows from it.
            inbound.heard = Heard::Nothing;
        }
        let clock = Arc::clone(&self.clock);
        let ambushed = Ambushed {
            store: &self.store,
            policy: &self.policy,
            clock: &clock,
            second: Mutex::new(second.as_ref().map(|second| second.event.clone())),
            outcome: Mutex::new(None),
        };
        let handled = desk::handle(&ambushed, &self.policy, &*clock, &inbound.event, last_try);
        let outcome = ambushed.outcome.into_inner().unwrap();
        let life = self.life;
        if let Some(second) = second {
            match outcome {
                Some(handled) => {
                    self.oracle.saw("two desks at once");
                    self.answered(second, handled);
                }
                None => self.schedule(0, Happening::Inbound(Box::new(second))),
            }
        }
        inbound.tries += 1;
        if self.life != life {
            // Killed meanwhile: nobody was answered.
            return self.schedule(MINUTE, Happening::Inbound(Box::new(inbound)));
        }
        self.answered(inbound, handled);
        self.maybe_crash("between commit and durable");
    }

    fn presses_an_unknown_card(&self, event: &Event) -> bool {
        let Fact::FormSent(sent) = &event.fact else { return false };
        self.store.get(&Key::new("asked", &sent.form_message)).unwrap().is_none()
    }

    /// Another event that is just coming in is handled by another desk at the same moment.
    fn ambush(&mut self, first: &Inbound) -> Option<Inbound> {
        let first_is_inbound = self.agenda.first_key_value().is_some_and(|(_, next)| matches!(next, Happening::Inbound(_)));
        if !first_is_inbound || !self.trouble(self.troubles.ambush) {
            return None;
        }
        let entry = self.agenda.first_entry()?;
        if entry.key().0 > self.clock.truth() + 5 * SECOND {
            return None;
        }
        match entry.remove() {
            Happening::Inbound(second) => {
                let same = second.event.id == first.event.id;
                self.note(|| format!("two desks at once{}", if same { ", same event" } else { "" }));
                Some(*second)
            }
            _ => None,
        }
    }

    fn answered(&mut self, mut inbound: Inbound, handled: Handled) {
        self.note(|| format!("in  {} {:?} → {}", inbound.event.id, inbound.heard, name_of(&handled)));
        match &handled {
            Handled::NotNow => self.oracle.saw("not now"),
            Handled::Before { .. } => self.oracle.saw("seen before"),
            _ => {}
        }
        let answer = self.kept(&inbound.event.fact, handled);
        let wall = self.bots_now();
        match answer {
            Answer::WhenDurable(sequence) => {
                self.waiting.push(Waiting { sequence, wall, waiter: Waiter::Inbound(Box::new(inbound)) });
                self.settle(true);
            }
            Answer::At(Receipt::Kept) => self.acknowledged(&inbound, wall),
            Answer::At(Receipt::NotNow) => {
                let later = self.dice.between(1, 120) * SECOND;
                self.schedule(later, Happening::Inbound(Box::new(inbound)));
            }
            Answer::Soon => {
                self.oracle.saw("pressed before the line was known");
                inbound.tries = inbound.tries.max(1);
                self.schedule(100, Happening::Inbound(Box::new(inbound)));
            }
        }
    }

    /// A commit's news, and the disk that will hold it some time later.
    fn kept(&mut self, fact: &Fact, handled: Handled) -> Answer {
        let answer = handled.answer(fact);
        match handled {
            Handled::Kept { sequence, outbox } => {
                self.news.push_back((sequence, outbox));
                let slow = self.trouble(self.troubles.slow_disk);
                let after = if slow { self.dice.between(500, 4_000) } else { self.dice.between(1, 15) };
                self.schedule(after, Happening::Sync(sequence));
            }
            Handled::Failed(error) => self.oracle.complain("0 store", error.to_string()),
            Handled::Before { .. } | Handled::Nothing | Handled::Soon | Handled::NotNow => {}
        }
        answer
    }

    /// What became durable is told and acted on, in the order in which it was kept.
    fn settle(&mut self, answered: bool) {
        let durable = *self.store.durable().borrow();
        while self.news.front().is_some_and(|(sequence, _)| *sequence <= durable) {
            let (_, changes) = self.news.pop_front().expect("it is there");
            for (key, due) in &changes {
                self.lanes.learn(key, due.as_ref());
            }
        }
        loop {
            let ready = self.waiting.iter().enumerate().filter(|(_, waiting)| waiting.sequence <= durable);
            let Some((nth, _)) = ready.min_by_key(|(nth, waiting)| (waiting.sequence, *nth)) else { return };
            let Waiting { wall, waiter, .. } = self.waiting.remove(nth);
            match waiter {
                Waiter::Inbound(inbound) if answered => self.acknowledged(&inbound, wall),
                Waiter::Inbound(inbound) => {
                    self.heard(&inbound, wall);
                    let later = self.dice.between(1, 30) * MINUTE;
                    self.schedule(later, Happening::Inbound(inbound));
                }
                Waiter::Rights { author, held } => self.oracle.heard(&Heard::Rights { author, held }, wall),
                Waiter::Turn(id) if answered => self.turn_was_kept(id, wall),
                Waiter::Turn(_) => {}
            }
        }
    }

    fn acknowledged(&mut self, inbound: &Inbound, wall: i64) {
        self.heard(inbound, wall);
        if self.trouble(self.troubles.answer_lost) {
            self.oracle.saw("acknowledgement lost");
            let later = self.dice.between(1, 60) * MINUTE;
            self.schedule(later, Happening::Inbound(Box::new(inbound.clone())));
        }
    }

    fn heard(&mut self, inbound: &Inbound, wall: i64) {
        if self.known.insert(inbound.event.id.to_string()) {
            self.oracle.heard(&inbound.heard, wall);
        }
    }

    // ---- out

    fn go(&mut self, id: u64, next: Next) {
        match next {
            Next::Report(event) => self.report(id, *event),
            Next::Perform(due, _) => self.perform(id, *due),
            Next::LookUp(due) => {
                self.oracle.saw("looked up");
                let found = if self.trouble(200) { LookUp::Unclear } else { self.pod.look_up(&due.id, &due.effect) };
                self.note(|| format!("looked up {:?}: {found:?}", due.key_text()));
                let after = self.dice.between(20, 400);
                self.schedule(after, Happening::Looked { life: self.life, turn: id, due, found });
            }
            Next::Over(pause) => {
                if let Some(running) = self.running.remove(&id) {
                    self.lanes.finished(&running.head, pause);
                }
            }
        }
    }

    fn report(&mut self, id: u64, event: Event) {
        let clock = Arc::clone(&self.clock);
        let handled = desk::handle(&self.store, &self.policy, &*clock, &event, false);
        self.note(|| format!("own {} → {}", event.id, name_of(&handled)));
        let wall = self.bots_now();
        match self.kept(&event.fact, handled) {
            Answer::WhenDurable(sequence) => self.waiting.push(Waiting { sequence, wall, waiter: Waiter::Turn(id) }),
            Answer::At(Receipt::Kept) => self.turn_was_kept(id, wall),
            Answer::At(Receipt::NotNow) | Answer::Soon => {
                self.schedule(200, Happening::ReportAgain { life: self.life, turn: id, event: Box::new(event) });
            }
        }
        self.maybe_crash("between commit and durable");
    }

    fn turn_was_kept(&mut self, id: u64, wall: i64) {
        let clock = Arc::clone(&self.clock);
        let Some(running) = self.running.get_mut(&id) else { return };
        running.wall = wall;
        let next = running.turn.kept(means(&self.store, &clock));
        self.go(id, next);
    }

    fn perform(&mut self, id: u64, taken: Due) {
        let wall = self.running.get(&id).map_or(0, |running| running.wall);
        if let Effect::Send(send) = &taken.effect {
            let phone = send.to.phone.as_ref().map(|phone| phone.e164().to_owned()).unwrap_or_default();
            self.oracle.taken(send.message.as_str(), &phone, &parcel_of(&send.body), wall);
        }
        if self.maybe_crash("between taken and performed") {
            return;
        }
        let (attempt, after) = self.outside_performs(&taken);
        self.note(|| format!("out {} {} → {attempt:?}", taken.key_text(), gist(&taken.effect)));
        self.schedule(after, Happening::Answer { life: self.life, turn: id, taken: Box::new(taken), attempt });
    }

    /// What really happens, what the bot is told about it, and when.
    fn outside_performs(&mut self, taken: &Due) -> (Attempt, i64) {
        let quick = self.dice.between(20, 600);
        let unknown = |why: &str| Attempt::Ended(Outcome::Unknown { why: why.to_owned() });
        let not_before = Timestamp(self.clock.wall() + self.dice.between(0, 90) * SECOND);
        if self.trouble(self.troubles.refused) {
            self.oracle.saw("put off");
            return (Attempt::NotYet { why: "throttled".to_owned(), not_before }, quick);
        }
        if self.trouble(self.troubles.failed) {
            self.oracle.saw("5xx or hang");
            let after = if self.dice.per_mille(300) { 30 * SECOND } else { quick };
            return (unknown("5xx"), after);
        }
        let outcome = match &taken.effect {
            Effect::Send(send) => self.meta_performs(send),
            effect => self.pod_performs(taken, effect),
        };
        if self.trouble(self.troubles.answer_lost) {
            self.oracle.saw("answer lost");
            let after = if self.dice.per_mille(300) { 30 * SECOND } else { quick };
            return (unknown("no answer"), after);
        }
        (Attempt::Ended(outcome), quick)
    }

    fn meta_performs(&mut self, send: &Send) -> Outcome {
        let phone = send.to.phone.as_ref().map(|phone| phone.e164().to_owned()).unwrap_or_default();
        let parcel = parcel_of(&send.body);
        let now = self.now();
        let shut = matches!(parcel, Parcel::Text(_)) && self.trouble(self.troubles.window_shut);
        // Meta's own count is what counts, whatever we think of it.
        let verdict = if shut { Verdict::Refused("131047") } else { self.meta.judge(&phone, &parcel, now) };
        match verdict {
            Verdict::Accepted(wamid) => {
                self.oracle.arrived(send.message.as_str(), &phone, &parcel, now);
                super::people::deliver(self, send, &phone, &parcel, &wamid);
                Outcome::Done { external_id: Some(wamid) }
            }
            Verdict::Refused(code) => {
                self.oracle.saw(if code == "131026" { "131026" } else { "131047" });
                Outcome::Failed { code: code.to_owned(), detail: "refused".to_owned() }
            }
        }
    }

    fn pod_performs(&mut self, taken: &Due, effect: &Effect) -> Outcome {
        let is_room_line = matches!(effect, Effect::Post { place: Place::Stream(_), .. });
        if is_room_line && self.trouble(self.troubles.line_refused) {
            self.oracle.saw("line refused");
            return Outcome::Failed { code: "403".to_owned(), detail: "not a member".to_owned() };
        }
        let (did, external_id) = self.pod.perform(&taken.id, effect);
        match did {
            Did::Posted(nth) => self.was_posted(nth),
            Did::Room { key, stream } => {
                self.oracle.room_made(&key);
                super::people::room_stands(self, &stream);
            }
            Did::Nothing => {}
            Did::Refused(code) => return Outcome::Failed { code: code.to_owned(), detail: String::new() },
        }
        Outcome::Done { external_id }
    }

    fn was_posted(&mut self, nth: usize) {
        let reply = self.pod.posts[nth].reply.clone();
        let text = reply.vars.get("text").and_then(|text| text.as_str()).unwrap_or_default().to_owned();
        let token = token_in(&text);
        let is_clients = reply.template == "client-message" && reply.vars.get("rule").is_none_or(|rule| rule != "moved");
        if let Some(token) = token.clone().filter(|_| is_clients || reply.template == "parked") {
            self.oracle.relayed(&token);
        }
        let about = reply.message.as_ref().and_then(|id| self.token_of(id.as_str()));
        let marks = ["lane-goes-on", "unconfirmed", "failed", "refusal-attachment"];
        if let Some(token) = about.filter(|_| marks.contains(&reply.template.as_str())) {
            self.oracle.marked(&token);
        }
        for (template, state) in STATES {
            if reply.template == *template {
                self.oracle.saw(state);
            }
        }
    }

    pub fn message_of_chat(&self, chat: &str) -> Option<String> {
        let stored = self.store.get(&Key::new("chatmsg", chat)).unwrap()?;
        let pointer: serde_json::Value = serde_json::from_slice(&stored.value).unwrap();
        pointer["to"].as_str()?.split(' ').next().map(str::to_owned)
    }
    pub fn phone_of(&self, contact: &str) -> Option<String> {
        let stored = self.store.get(&Key::new("contact", contact)).unwrap()?;
        let record: serde_json::Value = serde_json::from_slice(&stored.value).unwrap();
        record["phone"].as_str().map(str::to_owned)
    }
    pub fn token_of(&self, message: &str) -> Option<String> {
        let stored = self.store.get(&Key::new("message", message)).unwrap()?;
        token_in(&all_words(&serde_json::from_slice(&stored.value).unwrap()))
    }

    // ---- the end of a life, and the next

    /// The bot is killed here, perhaps.
    fn maybe_crash(&mut self, moment: &'static str) -> bool {
        if !self.alive || !self.trouble(self.troubles.crash) {
            return false;
        }
        self.oracle.saw("crash");
        self.oracle.saw(moment);
        self.note(|| format!("KILLED {moment}"));
        self.look_at_the_journal();
        let last = self.last_sequence();
        let durable = *self.store.durable().borrow();
        let reached = durable + self.dice.below((last - durable + 1) as usize) as u64;
        self.store.make_durable(reached);
        self.settle(false);
        for waiting in std::mem::take(&mut self.waiting) {
            if let Waiter::Inbound(inbound) = waiting.waiter {
                let later = self.dice.between(1, 30) * MINUTE;
                self.schedule(later, Happening::Inbound(inbound));
            } else if let Waiter::Rights { author, held } = waiting.waiter {
                self.oracle.heard(&Heard::Rights { author, held }, waiting.wall);
            }
        }
        self.store = self.store.crash();
        self.store.hold_durability(true);
        // What did not reach the disk was never told to anybody: the journal is looked at afresh.
        self.checked = 0;
        self.ranks.clear();
        self.look_at_the_journal();
        self.lanes = Lanes::default();
        self.running.clear();
        self.news.clear();
        self.agenda.retain(|_, happening| !matches!(happening, Happening::Sync(_)));
        self.life += 1;
        self.alive = false;
        let down = if self.dice.per_mille(800) { self.dice.between(1, 60) * SECOND } else { self.dice.between(1, 180) * MINUTE };
        self.schedule(down, Happening::Restart);
        true
    }

    fn restart(&mut self) {
        self.note(|| "restart".to_owned());
        self.last_inbound = self.last_inbound.max(self.now());
        self.alive = true;
        let clock = Arc::clone(&self.clock);
        let facts = turn::read_at_start(&self.store, &*clock, &mut self.lanes).unwrap();
        for event in facts {
            self.oracle.saw("in doubt after a restart");
            let handled = desk::handle(&self.store, &self.policy, &*clock, &event, false);
            self.kept(&event.fact, handled);
            if self.maybe_crash("in the middle of a restart") {
                return;
            }
        }
    }

    fn last_sequence(&self) -> u64 {
        self.checked.max(self.store.journal_after(self.checked).last().map_or(0, |kept| kept.sequence))
    }

    // ---- what the journal shows as it grows

    fn look_at_the_journal(&mut self) {
        for kept in self.store.journal_after(self.checked) {
            self.checked = kept.sequence;
            for put in &kept.commit.puts {
                let (Some(id), Some(value)) = (put.key.as_str().strip_prefix("message/"), &put.value) else { continue };
                let record: serde_json::Value = serde_json::from_slice(value).unwrap();
                self.message_changed(id, &record["state"]);
            }
        }
    }

    /// Rule 8: what a client has got, or read, he keeps.
    fn message_changed(&mut self, id: &str, state: &serde_json::Value) {
        let name = state_name(state);
        if name == "Doubtful" {
            self.oracle.saw("doubt");
        }
        let before = self.ranks.insert(id.to_owned(), name).unwrap_or("");
        let falls = matches!((before, name), ("Delivered", "Sent" | "Ready" | "Taken" | "Held") | ("Read", _)) && before != name;
        if falls {
            self.oracle.complain("8 status fell", format!("{id} from {before} to {name}"));
        }
    }
}

fn means<'m>(store: &'m MemoryStore, clock: &'m TestClock) -> Means<'m> {
    Means { store, performer: &Wording, pacing: &NoPace, clock }
}

/// Lines of the bot that show that a voyage came by a place worth seeing.
const STATES: &[(&str, &str)] = &[
    ("held", "held"),
    ("released", "released"),
    ("unconfirmed", "unconfirmed"),
    ("lane-goes-on", "lane went on"),
    ("withdrawn", "withdrawn"),
    ("expired", "expired"),
    ("expires-soon", "expiry warned"),
    ("cancelled", "cancelled"),
    ("consent-yes", "yes"),
    ("consent-no", "no"),
    ("consent-review", "review"),
    ("text-refused", "text refused"),
    ("client-message", "relayed"),
    ("sent-again", "sent again"),
    ("not-on-whatsapp", "not on WhatsApp"),
    ("refusal-match-one-only", "one key only"),
    ("refusal-pending-until", "asked too soon"),
    ("template-sent", "template"),
    ("still-working", "still working"),
    ("edited", "edited"),
];

pub fn state_name(state: &serde_json::Value) -> &'static str {
    const NAMES: [&str; 12] = [
        "Held",
        "Ready",
        "Taken",
        "Doubtful",
        "Sent",
        "Delivered",
        "Read",
        "Failed",
        "Unconfirmed",
        "Expired",
        "Withdrawn",
        "Cancelled",
    ];
    let text = state.as_str().map(str::to_owned);
    let text = text.or_else(|| state.as_object().and_then(|o| o.keys().next().cloned())).unwrap_or_default();
    NAMES.into_iter().find(|name| *name == text).unwrap_or("?")
}

/// All words of a message's body, whatever kind it is.
pub fn all_words(record: &serde_json::Value) -> String {
    let body = &record["body"];
    let text = body["Text"].as_str().or(body["Media"]["caption"].as_str()).map(str::to_owned);
    text.or_else(|| body["Template"]["vars"]["topic"].as_str().map(str::to_owned)).unwrap_or_default()
}

fn name_of(handled: &Handled) -> String {
    match handled {
        Handled::Kept { sequence, .. } => format!("#{sequence}"),
        Handled::Before { .. } => "before".to_owned(),
        Handled::Nothing => "nothing".to_owned(),
        Handled::Soon => "soon".to_owned(),
        Handled::NotNow => "not now".to_owned(),
        Handled::Failed(error) => error.to_string(),
    }
}

fn gist(effect: &Effect) -> String {
    match effect {
        Effect::Post { reply, .. } => format!("post {} {:?}", reply.template, reply.vars.get("text")),
        Effect::Send(send) => format!("send {} {:?}", send.message, parcel_of(&send.body)),
        other => format!("{other:?}").chars().take(60).collect(),
    }
}

trait KeyText {
    fn key_text(&self) -> String;
}
impl KeyText for Due {
    fn key_text(&self) -> String {
        format!("{}/{} #{}", self.lane, self.place_in_lane, self.attempt)
    }
}
