//! Every state of a consent × every turn × either policy × earlier, equal and later times.
use liaison::domain::consent::{Consent, Turn};
use liaison::domain::time::{Span, Timestamp};

/// When the state began.
const THEN: Timestamp = Timestamp(1_800_000_000_000);
const EARLIER: Timestamp = Timestamp(THEN.0 - 1);
const LATER: Timestamp = Timestamp(THEN.0 + 1);
const TURNS: [Turn; 12] = [
    Turn::Request,
    Turn::RequestFailed,
    Turn::Yes,
    Turn::AnyAnswer,
    Turn::Stop,
    Turn::PossibleStop,
    Turn::Cleared,
    Turn::StopConfirmed,
    Turn::ReviewRanOut,
    Turn::NotOnWhatsApp,
    Turn::Inbound,
    Turn::AnotherPerson,
];

fn states() -> [Consent; 6] {
    [
        Consent::None,
        Consent::Pending { asked_at: THEN, asked_before: None },
        Consent::OptedIn { at: THEN },
        Consent::OptedOut { at: THEN },
        Consent::Review { since: THEN, said_at: THEN, before: Box::new(Consent::OptedIn { at: EARLIER }) },
        Consent::Unreachable { since: THEN, before: Box::new(Consent::Pending { asked_at: EARLIER, asked_before: None }) },
    ]
}

/// The name of the state after the turn at an earlier, the equal and a later time; "-" where nothing changes.
fn cell(state: &Consent, turn: Turn, any_reply: bool) -> [&'static str; 3] {
    [EARLIER, THEN, LATER].map(|at| state.after(turn, at, any_reply).map_or("-", |after| after.name()))
}

fn always(name: &'static str) -> [&'static str; 3] {
    [name, name, name]
}

/// RULES, State machines, Consent.
fn expected(turn: Turn, any_reply: bool) -> [[&'static str; 3]; 6] {
    let [not, out, review, gone] = ["-", "OPTED_OUT", "REVIEW", "UNREACHABLE"].map(always);
    let (pending, into) = (always("PENDING"), always("OPTED_IN"));
    let before_unreachable = always("PENDING");
    // After a stop only a yes that is later by the provider's time counts: on equal times stop wins.
    let later_yes = ["-", "-", "OPTED_IN"];
    // An older stop never undoes a newer yes.
    let no_older_stop = ["-", "OPTED_OUT", "OPTED_OUT"];
    match (turn, any_reply) {
        //                         NONE     PENDING  OPTED_IN       OPTED_OUT  REVIEW     UNREACHABLE
        (Turn::Request, _) => [pending, pending, not, not, not, not],
        (Turn::RequestFailed, _) => [not, always("NONE"), not, not, not, not],
        (Turn::Yes, false) => [not, into, not, later_yes, later_yes, not],
        (Turn::Yes, true) => [into, into, not, later_yes, later_yes, not],
        (Turn::AnyAnswer, false) => [not, not, not, not, not, not],
        (Turn::AnyAnswer, true) => [not, into, not, not, not, not],
        // A second stop only moves the time behind which a yes must lie.
        (Turn::Stop, _) => [out, out, no_older_stop, ["-", "-", "OPTED_OUT"], out, out],
        (Turn::PossibleStop, _) => [review, review, ["-", "REVIEW", "REVIEW"], not, not, review],
        (Turn::Cleared, _) => [not, not, not, not, into, not],
        (Turn::StopConfirmed | Turn::ReviewRanOut, _) => [not, not, not, not, out, not],
        (Turn::NotOnWhatsApp, _) => [gone, gone, gone, gone, gone, not],
        (Turn::Inbound, _) => [not, not, not, not, not, before_unreachable],
        // Consent never moves by itself; a stop, a doubt and an address that does not work stay what they are.
        (Turn::AnotherPerson, _) => [not, always("NONE"), always("NONE"), not, review, gone],
    }
}

#[test]
fn every_state_and_every_turn() {
    for turn in TURNS {
        for any_reply in [false, true] {
            let expected = expected(turn, any_reply);
            for (state, expected) in states().iter().zip(expected) {
                assert_eq!(cell(state, turn, any_reply), expected, "{} {turn:?} any_reply={any_reply}", state.name());
            }
        }
    }
}

#[test]
fn the_new_state_bears_the_time_of_the_turn() {
    let asked = Consent::None.after(Turn::Request, LATER, false);
    assert_eq!(asked, Some(Consent::Pending { asked_at: LATER, asked_before: None }));
    let pending = Consent::Pending { asked_at: THEN, asked_before: None };
    let again = pending.after(Turn::Request, LATER, false).unwrap();
    assert_eq!(again, Consent::Pending { asked_at: LATER, asked_before: Some(THEN) });
    assert_eq!(again.after(Turn::RequestFailed, LATER, false), Some(pending.clone()), "the request that stays is the one before");
    assert_eq!(pending.after(Turn::Yes, EARLIER, false), Some(Consent::OptedIn { at: EARLIER }), "clocks differ");
    assert_eq!(pending.after(Turn::Stop, LATER, false), Some(Consent::OptedOut { at: LATER }));
}

#[test]
fn a_review_and_an_unreachable_number_come_back_to_the_state_before_whatever_it_was() {
    for before in &states()[..4] {
        if !before.is_opted_out() {
            let review = before.after(Turn::PossibleStop, LATER, false).unwrap();
            assert_eq!(review.after(Turn::Cleared, LATER, false).as_ref(), Some(before));
        }
        let gone = before.after(Turn::NotOnWhatsApp, LATER, false).unwrap();
        assert_eq!(gone.after(Turn::Inbound, LATER, false).as_ref(), Some(before));
    }
}

#[test]
fn what_another_person_agreed_to_does_not_come_back() {
    let review = states()[4].after(Turn::AnotherPerson, LATER, false).unwrap();
    assert_eq!(review.after(Turn::Cleared, LATER, false), Some(Consent::None));
    assert_eq!(review.after(Turn::AnotherPerson, LATER, false), None);
    let gone = states()[5].after(Turn::AnotherPerson, LATER, false).unwrap();
    assert_eq!(gone.after(Turn::Inbound, LATER, false), Some(Consent::None));
}

#[test]
fn a_yes_between_two_stops_that_comes_late_opens_nothing() {
    let stopped = Consent::OptedOut { at: THEN };
    let again = stopped.after(Turn::Stop, THEN + Span::minutes(10), false).unwrap();
    assert_eq!(again.after(Turn::Yes, THEN + Span::minutes(5), false), None);
    assert!(again.after(Turn::Yes, THEN + Span::minutes(15), false).unwrap().is_opted_in());
}

#[test]
fn the_states_are_told_apart_by_name_and_question() {
    let names: Vec<&str> = states().iter().map(Consent::name).collect();
    assert_eq!(names, ["NONE", "PENDING", "OPTED_IN", "OPTED_OUT", "REVIEW", "UNREACHABLE"]);
    let answers: Vec<[bool; 4]> =
        states().iter().map(|s| [s.is_pending(), s.is_opted_in(), s.is_opted_out(), s.is_unreachable()]).collect();
    let (f, t) = (false, true);
    assert_eq!(answers, [[f, f, f, f], [t, f, f, f], [f, t, f, f], [f, f, t, f], [f, f, f, f], [f, f, f, t]]);
    let since: Vec<Option<Timestamp>> = states().iter().map(Consent::since).collect();
    assert_eq!(since, [None, Some(THEN), Some(THEN), Some(THEN), Some(THEN), Some(THEN)]);
}
