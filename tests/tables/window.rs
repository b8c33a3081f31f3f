//! The 24-hour window at its edges.
use crate::common::world::*;
use liaison::domain::event::{CallStage, ClientCalled, Content, Delivery, Fact, MarketingChosen};
use liaison::domain::ids::{Channel, LineId};
use liaison::domain::time::{Span, Timestamp};
use liaison::domain::window::Window;
use proptest::prelude::*;

const WROTE: Timestamp = Timestamp(1_800_000_000_000);
const MS: Span = Span(1);

fn window(last: Option<Timestamp>, refused: Option<Timestamp>) -> Window {
    Window { last_message: last, refused }
}

#[test]
fn it_is_open_for_24_hours_less_a_minute() {
    let end = WROTE + Span::hours(24) - Span::seconds(60);
    let rows = [
        (WROTE - Span::hours(1), true), // The client's clock runs before ours: he has written, so he may be answered.
        (WROTE, true),
        (end - MS, true),
        (end, false),
        (end + MS, false),
        (WROTE + Span::hours(24), false),
        (WROTE + Span::days(30), false),
    ];
    for (now, open) in rows {
        assert_eq!(window(Some(WROTE), None).is_open(now), open, "{} ms after", (now - WROTE).0);
        assert!(!window(None, None).is_open(now), "nobody wrote");
    }
    assert_eq!(window(Some(WROTE), None).closes_at(), Some(end));
}

#[test]
fn c1_131047_closes_it_until_a_later_message() {
    let rows = [(WROTE - MS, true), (WROTE, false), (WROTE + MS, false)];
    for (refused, open) in rows {
        assert_eq!(window(Some(WROTE), Some(refused)).is_open(WROTE + Span::minutes(1)), open);
        assert!(!window(None, Some(refused)).is_open(WROTE + Span::minutes(1)));
    }
    let mut refused = window(Some(WROTE), Some(WROTE + Span::hours(1)));
    refused.opened(WROTE + Span::hours(1));
    assert!(!refused.is_open(WROTE + Span::hours(2)), "a message of the same moment is not later");
    refused.opened(WROTE + Span::hours(1) + MS);
    assert!(refused.is_open(WROTE + Span::hours(2)));
}

#[test]
fn a_late_message_never_moves_it_back() {
    let mut window = window(None, None);
    for (at, latest) in [(WROTE, WROTE), (WROTE - Span::hours(5), WROTE), (WROTE, WROTE), (WROTE + MS, WROTE + MS)] {
        window.opened(at);
        assert_eq!(window.last_message, Some(latest));
    }
}

#[test]
fn a_time_in_the_future_is_cut_to_now_and_noted() {
    let mut world = World::agreed(|_| {});
    let now = world.now;
    world.client(ANN).at(now + Span::hours(3)).writes("from tomorrow");
    let window = world.contact(ANN).on(Channel::WhatsApp).window(&LineId::new(LINE));
    assert_eq!(window.last_message, Some(now));
    let entry = world.entries.iter().rfind(|entry| entry.kind == "client.wrote").unwrap();
    assert_eq!(entry.detail["cut_to_now"], (now + Span::hours(3)).0);
}

#[test]
fn what_opens_it() {
    let rows = [
        (Content::Text("hello".to_owned()), true),
        (Content::Button { payload: "anything".to_owned(), text: "Later".to_owned() }, true),
        (Content::Other { kind: "picture".to_owned(), id: Some("1".to_owned()), caption: None }, true),
        (Content::Sign { kind: "reaction".to_owned(), detail: "👍".to_owned() }, false),
    ];
    for (content, open) in rows {
        let mut world = World::agreed(|_| {});
        world.passes(Span::days(2));
        world.client(ANN).sends(content.clone());
        let window = world.contact(ANN).on(Channel::WhatsApp).window(&LineId::new(LINE));
        assert_eq!(window.is_open(world.now), open, "{content:?}");
    }
}

/// What the firm, its program and the provider may do without a word of the client's.
#[derive(Clone, Copy, Debug)]
enum Outbound {
    Text,
    Template,
    Status(u8),
    Sign,
    Call,
    Choice,
    Approval,
    TimePasses(i64),
}

fn outbound() -> impl Strategy<Value = Outbound> {
    prop_oneof![
        Just(Outbound::Text),
        Just(Outbound::Template),
        (0..4_u8).prop_map(Outbound::Status),
        Just(Outbound::Sign),
        Just(Outbound::Call),
        Just(Outbound::Choice),
        Just(Outbound::Approval),
        (1..2_000_i64).prop_map(Outbound::TimePasses),
    ]
}

fn happens(world: &mut World, what: Outbound) {
    let (channel, line, from) = (Channel::WhatsApp, LineId::new(LINE), keys_of(ANN));
    match what {
        Outbound::Text => drop(world.in_room("Ann Lee").says("jane", "words of the firm")),
        Outbound::Template => {
            if world.says("jane", "/template send follow_up to=\"Ann Lee\"") == ["confirm confirm-template"] {
                world.presses("jane", "confirm");
            }
        }
        Outbound::Status(nth) => {
            let failed = Delivery::Failed { code: "131051".to_owned(), detail: String::new(), of_line: false };
            let all = [Delivery::Sent, Delivery::Delivered, Delivery::Read, failed];
            world.reports(ANN, all[usize::from(nth)].clone());
        }
        Outbound::Sign => {
            world.client(ANN).sends(Content::Sign { kind: "reaction".to_owned(), detail: "👍".to_owned() });
        }
        Outbound::Call => {
            let id = world.fresh("call");
            let stage = CallStage::Over { answered: false, seconds: None };
            world.feed(Fact::ClientCalled(ClientCalled { channel, line, id, from, stage }));
        }
        Outbound::Choice => {
            let detail = String::new();
            world.feed(Fact::MarketingChosen(MarketingChosen { channel, line, from, wants_none: true, detail }));
        }
        Outbound::Approval => drop(world.feed(Fact::TemplatesListed(Vec::new()))),
        Outbound::TimePasses(minutes) => world.passes(Span::minutes(minutes)),
    }
    world.work_off();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]
    #[test]
    fn c1_nothing_outbound_ever_opens_or_extends_a_window(
        wrote in any::<bool>(),
        acts in proptest::collection::vec(outbound(), 1..12),
    ) {
        let mut world = if wrote { World::agreed(|_| {}) } else { World::invited(|_| {}) };
        let last = |world: &World| world.contact(ANN).on(Channel::WhatsApp).window(&LineId::new(LINE)).last_message;
        let before = last(&world);
        prop_assert_eq!(before.is_some(), wrote);
        for act in acts {
            happens(&mut world, act);
            prop_assert_eq!(last(&world), before, "after {:?}", act);
        }
    }
}
