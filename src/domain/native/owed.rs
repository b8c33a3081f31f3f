//! What WhatsApp was asked for a native group and has not done yet: asked again with growing waits, and at once when there is
//! news that it may go now.
//!
//! ```text
//! Asked --refused--> Refused --time, news, an owner--> Asked;  any --the call is taken--> Taken --nothing told--> Asked
//! Asked | Taken --refused for good, or once too often--> GivenUp --news, an owner--> Asked
//! ```
//! What is done stands here no more.
use super::news::{self, tell};
use super::requests;
use super::*;
use crate::domain::event::ClientKeys;
use crate::domain::relay::find_contact;
use crate::domain::sending::contact_name;
use crate::fault;

/// Each wait is twice as long as the one before, from the first to the longest.
pub const FIRST_WAIT: Span = Span::minutes(1);
const LONGEST_WAIT: Span = Span::hours(6);
/// About a week. What WhatsApp refuses for longer does not pass by itself; an owner can ask again, and news of the group does.
pub const TRIES_MAX: u32 = 36;
/// The webhook that says no to a change that was taken comes within seconds; after this the change counts as made.
const SILENCE: Span = Span::minutes(10);
/// Requests to join that are kept at a time: a link in many hands must not fill the room's record. What is beyond that stands in
/// WhatsApp's own list, which is looked at.
const REQUESTS_MAX: usize = 64;

/// "The group is full": it waits for a place.
pub const FULL: &str = "131204";
/// Who is to be taken out is in it no more: what we want.
const NOT_IN_IT: &str = "131212";
/// The request was taken back or answered already.
const NO_SUCH_REQUEST: &str = "131213";
/// No such group (any more), or words that WhatsApp will never take: asking again changes nothing.
const FOR_GOOD: [&str; 5] = ["131041", "no-such-group", "unsendable", "100", "131202"];
/// Nothing was told of a removal that was taken.
const SILENT: &str = "silent";

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Owed {
    pub what: What,
    pub standing: Standing,
    /// How often it came to nothing.
    tries: u32,
    /// The room knows that it has to wait.
    told: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum What {
    /// Somebody who may not be in it is taken out; who is no contact has a mark only.
    Out {
        contact: Option<ContactId>,
        mark: String,
        to: Address,
    },
    /// He is let in or turned away, by what he may when it is asked.
    Answer {
        request: String,
        who: ClientKeys,
        approve: bool,
    },
    /// Its name and description are the room's.
    Words,
    Link,
    /// It is deleted.
    End,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Standing {
    /// The call is on its way.
    Asked,
    /// What came of the call, WhatsApp tells by itself.
    Taken {
        until: Timestamp,
    },
    Refused {
        code: String,
        again_at: Timestamp,
    },
    GivenUp {
        code: String,
    },
}

#[derive(Clone, Debug)]
enum Step {
    Ask,
    Take {
        until: Timestamp,
    },
    /// Without a time: never again by itself.
    Refuse {
        code: String,
        again_at: Option<Timestamp>,
    },
}

impl Standing {
    /// The standing after the step; `None` where it changes nothing.
    fn after(&self, step: Step) -> Option<Standing> {
        use Standing::*;
        match (self, step) {
            (Taken { .. } | Refused { .. } | GivenUp { .. }, Step::Ask) => Some(Asked),
            (Asked | Taken { .. } | Refused { .. } | GivenUp { .. }, Step::Take { until }) => Some(Taken { until }),
            (Asked | Taken { .. }, Step::Refuse { code, again_at: Some(again_at) }) => Some(Refused { code, again_at }),
            (Asked | Taken { .. }, Step::Refuse { code, again_at: None }) => Some(GivenUp { code }),
            (Asked, Step::Ask) | (Refused { .. } | GivenUp { .. }, Step::Refuse { .. }) => None,
        }
    }
    fn code(&self) -> Option<&str> {
        match self {
            Standing::Refused { code, .. } | Standing::GivenUp { code } => Some(code),
            Standing::Asked | Standing::Taken { .. } => None,
        }
    }
    /// WhatsApp has said no, and nobody asks at this moment.
    pub fn is_refused(&self) -> bool {
        self.code().is_some()
    }
}

impl What {
    fn is_the_same(&self, other: &What) -> bool {
        match (self, other) {
            (What::Out { contact: Some(one), .. }, What::Out { contact: Some(other), .. }) => one == other,
            (What::Out { contact: None, mark, to }, What::Out { contact: None, mark: other, to: its }) => {
                mark == other || to == its
            }
            (What::Answer { request, .. }, What::Answer { request: other, .. }) => request == other,
            (What::Words, What::Words) | (What::Link, What::Link) | (What::End, What::End) => true,
            (What::Out { .. } | What::Answer { .. } | What::Words | What::Link | What::End, _) => false,
        }
    }
    /// The refusal says that there is nothing to do any more.
    fn is_settled_by(&self, code: &str) -> bool {
        match self {
            What::Out { .. } => code == NOT_IN_IT,
            What::Answer { .. } => code == NO_SUCH_REQUEST,
            What::Words | What::Link | What::End => false,
        }
    }
}

impl Owed {
    fn asked(what: What) -> Owed {
        Owed { what, standing: Standing::Asked, tries: 0, told: false }
    }
    pub(super) fn wakes_at(&self) -> Option<Timestamp> {
        match self.standing {
            Standing::Taken { until } => Some(until),
            Standing::Refused { again_at, .. } => Some(again_at),
            Standing::Asked | Standing::GivenUp { .. } => None,
        }
    }
    /// The room reads, too, when it is done.
    pub(super) fn was_told(&self) -> bool {
        self.told
    }
    /// False where nobody waited for it.
    fn refused(&mut self, code: &str, now: Timestamp) -> bool {
        let over = self.tries + 1 >= TRIES_MAX || FOR_GOOD.contains(&code);
        let wait = Span((FIRST_WAIT.0 << self.tries.min(16)).min(LONGEST_WAIT.0));
        let again_at = (!over && !fault::planted("refusal-forgotten")).then_some(now + wait);
        let Some(standing) = self.standing.after(Step::Refuse { code: code.to_owned(), again_at }) else { return false };
        self.standing = standing;
        self.tries += 1;
        true
    }
}

impl Native {
    fn owes(&self, what: &What) -> Option<&Owed> {
        self.owed.iter().find(|owed| owed.what.is_the_same(what))
    }
    fn owes_mut(&mut self, what: &What) -> Option<&mut Owed> {
        self.owed.iter_mut().find(|owed| owed.what.is_the_same(what))
    }
    /// Told now, or never again.
    pub(super) fn owes_no_more(&mut self, what: &What) -> Option<Owed> {
        let at = self.owed.iter().position(|owed| owed.what.is_the_same(what))?;
        Some(self.owed.remove(at))
    }
    pub(super) fn owes_words(&self) -> bool {
        self.owes(&What::Words).is_some()
    }
    pub(super) fn owes_answer(&self, request: &str) -> bool {
        self.owed.iter().any(|owed| matches!(&owed.what, What::Answer { request: known, .. } if known == request))
    }
    fn has_room_for(&self, what: &What) -> bool {
        let answers = self.owed.iter().filter(|owed| matches!(owed.what, What::Answer { .. })).count();
        !matches!(what, What::Answer { .. }) || answers < REQUESTS_MAX
    }
    /// He was removed and is still in it, and nobody asks for him at this moment: an owner may.
    pub fn may_be_removed_again(&self, contact: &ContactId) -> bool {
        let his = |owed: &&Owed| matches!(&owed.what, What::Out { contact: Some(id), .. } if id == contact);
        self.reading_along.contains(contact) && self.owed.iter().find(his).is_none_or(|owed| owed.standing.is_refused())
    }
}

/// Of a contact, wherever he can be reached now.
pub(super) fn out(contact: Option<&Contact>, mark: String, to: Address) -> What {
    What::Out { contact: contact.map(|contact| contact.id.clone()), mark, to }
}

// ---- asked

/// Asks WhatsApp for it and keeps that until it is done; what was refused before begins anew.
pub(super) fn ask(scene: &mut Scene, key: &RoomKey, what: What) {
    let Some(mut room) = scene.room(key) else { return };
    let (now, Some(native)) = (scene.now, &mut room.native) else { return };
    if native.group.is_none() {
        return;
    }
    let has_room = native.has_room_for(&what);
    match native.owes_mut(&what) {
        // An answer may be on its way to an earlier request of the same name.
        Some(owed) if owed.standing == Standing::Asked && !matches!(what, What::Answer { .. }) => return,
        Some(owed) => *owed = Owed::asked(what.clone()),
        None if has_room => native.owed.push(Owed::asked(what.clone())),
        None => requests::look_soon(native, now),
    }
    scene.put(&room);
    call(scene, &room, &what);
}

fn call(scene: &mut Scene, room: &Room, what: &What) {
    let Some(group) = room.native.as_ref().and_then(|native| native.group.clone()) else { return };
    match what {
        What::Out { contact, to, .. } => {
            let call = GroupCall::Remove { group, who: to.clone() };
            act_about(scene, room, contact.clone(), call);
        }
        What::Answer { request, who, approve } => {
            let contact = find_contact(scene, who).map(|contact| contact.id);
            let call = GroupCall::Answer { group, request: request.clone(), approve: *approve };
            act_about(scene, room, contact, call);
        }
        What::Words => {
            let subject = room.native.as_ref().map(|native| native.subject.clone());
            let description = Some(description(scene, room));
            act(scene, room, GroupCall::Change { group, subject, description });
        }
        What::Link => act(scene, room, GroupCall::Link { group, anew: false }),
        What::End => act(scene, room, GroupCall::Delete { group }),
    }
}

/// What was refused and fits is asked for now; `anew` where something has changed, so that the waits begin anew too.
pub(super) fn again(scene: &mut Scene, key: &RoomKey, anew: bool, fits: impl Fn(&Owed) -> bool) {
    let Some(room) = scene.room(key) else { return };
    let owed = room.native.map(|native| native.owed).unwrap_or_default();
    for one in owed.iter().filter(|owed| fits(owed)) {
        ask_again(scene, key, &one.what, anew);
    }
}

fn ask_again(scene: &mut Scene, key: &RoomKey, what: &What, anew: bool) {
    let now_wanted = as_things_stand(scene, key, what);
    let Some(mut room) = scene.room(key) else { return };
    let Some(owed) = room.native.as_mut().and_then(|native| native.owes_mut(what)) else { return };
    let Some(standing) = owed.standing.after(Step::Ask) else { return };
    owed.standing = standing;
    owed.what = now_wanted.clone();
    if anew {
        owed.tries = 0;
    }
    scene.put(&room);
    call(scene, &room, &now_wanted);
}

/// He may have another number by now; and who might come in then may not any more, or the other way round.
fn as_things_stand(scene: &mut Scene, key: &RoomKey, what: &What) -> What {
    match what {
        What::Out { contact: Some(id), mark, to } => {
            let address = scene.contact(id).map_or_else(|| to.clone(), |contact| contact.address());
            What::Out { contact: Some(id.clone()), mark: mark.clone(), to: address }
        }
        What::Answer { request, who, approve } => {
            let approve = news::decided_anew(scene, key, who, *approve);
            What::Answer { request: request.clone(), who: who.clone(), approve }
        }
        What::Out { contact: None, .. } | What::Words | What::Link | What::End => what.clone(),
    }
}

/// Its time has come, or nobody has told what came of it.
pub(super) fn woke(scene: &mut Scene, key: &RoomKey) {
    let Some(native) = scene.room(key).and_then(|room| room.native) else { return };
    let now = scene.now;
    for owed in native.owed.iter().filter(|owed| owed.wakes_at().is_some_and(|at| at <= now)) {
        match (&owed.what, &owed.standing) {
            (What::Out { .. }, Standing::Taken { .. }) => refused(scene, key, &owed.what, SILENT),
            (_, Standing::Taken { .. }) => done(scene, key, &owed.what),
            (_, Standing::Refused { .. }) => ask_again(scene, key, &owed.what, false),
            (_, Standing::Asked | Standing::GivenUp { .. }) => {}
        }
    }
}

// ---- how it ended

pub(super) fn done(scene: &mut Scene, key: &RoomKey, what: &What) {
    let Some(mut room) = scene.room(key) else { return };
    if room.native.as_mut().and_then(|native| native.owes_no_more(what)).is_some() {
        scene.put(&room);
    }
}

/// The call was taken; a webhook tells what came of it.
pub(super) fn taken(scene: &mut Scene, key: &RoomKey, what: &What) {
    let silence = if matches!(what, What::Out { .. }) { LOOK_AFTER } else { SILENCE };
    let (until, Some(mut room)) = (scene.now + silence, scene.room(key)) else { return };
    let Some(owed) = room.native.as_mut().and_then(|native| native.owes_mut(what)) else { return };
    owed.standing = owed.standing.after(Step::Take { until }).unwrap_or_else(|| owed.standing.clone());
    scene.put(&room);
}

pub(super) fn refused(scene: &mut Scene, key: &RoomKey, what: &What, code: &str) {
    let Some(mut room) = scene.room(key) else { return };
    let (now, Some(native)) = (scene.now, &mut room.native) else { return };
    if what.is_settled_by(code) {
        let known = native.owes(what).map_or_else(|| what.clone(), |owed| owed.what.clone());
        return settled(scene, key, &known);
    }
    if native.owes(what).is_none() {
        native.owed.push(Owed::asked(what.clone()));
    }
    let Some(owed) = native.owes_mut(what).filter(|owed| !owed.standing.is_refused()) else { return };
    if !owed.refused(code, now) {
        return;
    }
    let given_up = matches!(owed.standing, Standing::GivenUp { .. });
    let tells = given_up || (!owed.told && code != SILENT);
    owed.told |= tells;
    let what = owed.what.clone();
    scene.put(&room);
    if tells {
        say_that_it_waits(scene, &room, &what, code, given_up);
    }
}

fn settled(scene: &mut Scene, key: &RoomKey, what: &What) {
    match what {
        What::Out { contact, mark, .. } => news::reads_no_more(scene, key, contact.as_ref(), mark),
        What::Answer { .. } | What::Words | What::Link | What::End => done(scene, key, what),
    }
}

fn say_that_it_waits(scene: &mut Scene, room: &Room, what: &What, code: &str, given_up: bool) {
    let notice = |template: &str| Reply::new(Code::Notice, template).because(code).with("over", given_up);
    let name_of = |contact: Option<ContactId>| contact.map(|id| contact_name(scene, Some(&room.key), &id));
    let reply = match what {
        What::Out { contact, .. } => notice("group-not-removed").with("name", name_of(contact.clone())),
        // Whoever is to stay outside stays outside; the room knows of him.
        What::Answer { approve: false, .. } => return,
        What::Answer { who, .. } => {
            let name = name_of(find_contact(scene, who).map(|contact| contact.id));
            notice("group-request-waits").with("name", name).with("full", code == FULL)
        }
        What::Words => notice("group-not-changed").with("kind", "words"),
        What::Link => notice("group-not-changed").with("kind", "link"),
        // The room is over: nobody writes there.
        What::End => return,
    };
    tell(scene, room, reply);
}

/// A place is free: whoever asked while there was none comes in.
pub(super) fn place_is_free(scene: &mut Scene, key: &RoomKey) {
    again(scene, key, true, |owed| owed.standing.code() == Some(FULL));
}

#[cfg(test)]
mod tests {
    use super::Standing::*;
    use super::*;

    #[test]
    fn every_step_from_every_state() {
        let (at, later, code) = (Timestamp(7), Timestamp(9), || "131207".to_owned());
        let (asked, taken) = (Some(Asked), Some(Taken { until: later }));
        let (refused, given_up) = (Some(Refused { code: code(), again_at: at }), Some(GivenUp { code: code() }));
        let rows = [
            (Asked, [None, taken.clone(), refused.clone(), given_up.clone()]),
            (Taken { until: at }, [asked.clone(), taken.clone(), refused.clone(), given_up.clone()]),
            (Refused { code: code(), again_at: at }, [asked.clone(), taken.clone(), None, None]),
            (GivenUp { code: code() }, [asked, taken, None, None]),
        ];
        for (from, ends) in rows {
            let refuse = |again_at| Step::Refuse { code: code(), again_at };
            let steps = [Step::Ask, Step::Take { until: later }, refuse(Some(at)), refuse(None)];
            for (step, end) in steps.into_iter().zip(ends) {
                assert_eq!(from.after(step.clone()), end, "{from:?} {step:?}");
            }
        }
    }

    #[test]
    fn waits_grow_to_a_limit_and_end_after_about_a_week() {
        let (mut owed, mut now, mut waits) = (Owed::asked(What::Words), Timestamp(0), Vec::new());
        while owed.refused("131207", now) {
            let Some(at) = owed.wakes_at() else { break };
            waits.push((at - now).0 / 60_000);
            now = at;
            owed.standing = Asked;
        }
        assert_eq!(waits[..10], [1, 2, 4, 8, 16, 32, 64, 128, 256, 360]);
        assert!(waits.is_sorted() && *waits.last().unwrap() == 360, "{waits:?}");
        assert_eq!(owed.standing, GivenUp { code: "131207".to_owned() });
        assert!((Timestamp(0) + Span::days(6)..Timestamp(0) + Span::days(8)).contains(&now), "{now:?}");
        let mut hopeless = Owed::asked(What::Words);
        assert!(hopeless.refused("131041", now) && hopeless.wakes_at().is_none(), "not even once more");
    }
}
