//! The states of a message, and what a report of the provider may change.
use crate::common::world::*;
use liaison::domain::event::Delivery;
use liaison::domain::message::Message;
use liaison::domain::message::MessageState;
use liaison::domain::time::Timestamp;

fn states() -> Vec<MessageState> {
    vec![
        MessageState::Held { gate: "window".to_owned() },
        MessageState::Ready,
        MessageState::Taken,
        MessageState::Doubtful { since: Timestamp(0), lane_freed: false },
        MessageState::Sent,
        MessageState::Delivered,
        MessageState::Read,
        MessageState::Failed { code: "131000".to_owned() },
        MessageState::Unconfirmed,
        MessageState::Expired,
        MessageState::Withdrawn { reason: "consent".to_owned() },
        MessageState::Cancelled,
    ]
}

#[test]
fn ranks_and_names() {
    let rows: Vec<(&str, u8)> = states().iter().map(|state| (state.name(), state.rank())).collect();
    let expected = [
        ("held", 0),
        ("ready", 0),
        ("taken", 1),
        ("doubtful", 1),
        ("sent", 2),
        ("delivered", 4),
        ("read", 5),
        ("failed", 3),
        ("unconfirmed", 1),
        ("expired", 6),
        ("withdrawn", 6),
        ("cancelled", 6),
    ];
    assert_eq!(rows, expected);
}

/// Each state of a message that was handed to the provider × each report about it.
#[test]
fn delivery_states_only_rise() {
    let failed = || Delivery::Failed { code: "131000".to_owned(), detail: String::new(), of_line: false };
    let reports = [Delivery::Sent, Delivery::Delivered, Delivery::Read, failed()];
    let rows = [
        (MessageState::Taken, ["sent", "delivered", "read", "failed(131000)"]),
        (MessageState::Doubtful { since: Timestamp(0), lane_freed: true }, ["sent", "delivered", "read", "failed(131000)"]),
        (MessageState::Unconfirmed, ["sent", "delivered", "read", "failed(131000)"]),
        (MessageState::Sent, ["sent", "delivered", "read", "failed(131000)"]),
        (MessageState::Failed { code: "1".to_owned() }, ["failed(1)", "delivered", "read", "failed(1)"]),
        (MessageState::Delivered, ["delivered", "delivered", "read", "delivered"]),
        (MessageState::Read, ["read", "read", "read", "read"]),
        (MessageState::Expired, ["expired", "expired", "expired", "expired"]),
        (MessageState::Withdrawn { reason: "consent".to_owned() }, ["withdrawn(consent)"; 4]),
        (MessageState::Cancelled, ["cancelled"; 4]),
        // It waits again after its first attempt failed: what is told of that attempt says nothing of the next one.
        (MessageState::Held { gate: "window".to_owned() }, ["held(window)"; 4]),
        (MessageState::Ready, ["ready"; 4]),
    ];
    for (state, after) in rows {
        for (report, after) in reports.iter().zip(after) {
            let mut world = World::agreed(|_| {});
            world.in_room("Ann Lee").says("jane", "hello");
            let message = world.message("hello");
            world.put(&Message { state: state.clone(), ..message });
            world.reports(ANN, report.clone());
            assert_eq!(world.state_of("hello"), after, "{state:?} {report:?}");
        }
    }
}
