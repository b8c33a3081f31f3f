//! Every trouble that the pod can make, met by the bot's feed and by its calls: what was written comes all the same.
use super::lab::{Lab, PATIENCE, Reader, symphony};
use liaison::adapters::symphony::Transport;
use liaison::domain::effect::{Attempt, LookUp, Outcome, Place};
use liaison::domain::ids::{EffectId, StreamId};
use serde_json::json;

const ON_BOTH: [&str; 9] = ["401", "403", "429", "500", "503", "504", "502-html", "slow", "expire-tokens"];

async fn feed_survives(transport: impl Fn(&Lab) -> Transport, troubles: &[&str]) {
    let lab = Lab::new().await;
    lab.pod.set_heartbeat_ms(300);
    let symphony = symphony(lab.settings());
    let reader = Reader::start(symphony.session(), transport(&lab));
    reader.connected().await;
    let stream = lab.pod.im(lab.bot, lab.jane);
    for trouble in ON_BOTH.iter().chain(troubles) {
        // A websocket meets a trouble of calls only where it is opened.
        lab.pod.trouble(trouble, 1);
        lab.pod.trouble("disconnect", 1);
        let said = format!("in spite of {trouble}");
        lab.pod.post_as(lab.jane, &stream, &said).unwrap();
        reader.hears(&said).await;
        lab.pod.trouble("disconnect", 0);
        reader.connected().await;
    }
    reader.cancel.cancel();
    tokio::time::timeout(PATIENCE, reader.task).await.unwrap().unwrap();
}

#[tokio::test]
async fn the_websocket_survives_every_trouble() {
    let feed = |lab: &Lab| Transport::WebSocket { url: format!("ws://{}/agent/v5/datafeeds/ws", lab.at) };
    feed_survives(feed, &["hang", "refresh", "duplicate", "disconnect"]).await;
}

#[tokio::test]
async fn the_long_poll_survives_every_trouble() {
    feed_survives(|_| Transport::LongPoll, &["hang", "duplicate"]).await;
}

/// A lost feed takes along what it held, which the histories tell; the next one is there soon.
#[tokio::test]
async fn a_lost_feed_is_replaced() {
    for over_polls in [false, true] {
        let lab = Lab::new().await;
        let url = format!("ws://{}/agent/v5/datafeeds/ws", lab.at);
        let transport = if over_polls { Transport::LongPoll } else { Transport::WebSocket { url } };
        let symphony = symphony(lab.settings());
        let reader = Reader::start(symphony.session(), transport);
        reader.until(|state| state.connected && state.feeds_created == 1).await;
        lab.pod.trouble("feed-gone", 1);
        reader.until(|state| state.connected && state.feeds_created == 2).await;
        let stream = lab.pod.im(lab.bot, lab.jane);
        lab.pod.post_as(lab.jane, &stream, "on the new one").unwrap();
        reader.hears("on the new one").await;
        reader.cancel.cancel();
    }
}

/// What a post came to is told as it is certain; where it is not, the history tells.
#[tokio::test]
async fn calls_meet_each_trouble_without_a_second_line() {
    let lab = Lab::new().await;
    let symphony = symphony(lab.settings());
    let stream = lab.pod.im(lab.bot, lab.jane);
    let room = Place::Stream(StreamId::new(&stream));
    let data = json!({"liaison": {"type": "liaison.message", "version": "1", "code": "info"}});
    let table = [
        ("401", "done"),
        ("expire-tokens", "done"),
        ("slow", "done"),
        ("429", "later"),
        ("403", "refused"),
        ("500", "unknown, absent"),
        ("503", "unknown, absent"),
        ("502-html", "unknown, absent"),
        ("lost-answer", "unknown, found"),
        ("hang", "unknown, absent"),
    ];
    for (nth, (trouble, expected)) in table.into_iter().enumerate() {
        let id = EffectId::new(format!("sym:msg:{nth}/0"));
        let before = lab.pod.messages(&stream, lab.jane).len();
        lab.pod.trouble(trouble, 1);
        let came_to = match symphony.post(&id, &room, trouble, &data).await {
            Attempt::Ended(Outcome::Done { .. }) => "done",
            Attempt::Ended(Outcome::Failed { .. }) => "refused",
            Attempt::NotYet { .. } => "later",
            Attempt::Ended(Outcome::Unknown { .. }) => match symphony.find_posted(&room, &id).await {
                LookUp::Found { .. } => "unknown, found",
                LookUp::Absent => "unknown, absent",
                other => panic!("{trouble}: {other:?}"),
            },
        };
        assert_eq!(came_to, expected, "{trouble}");
        let is_there = ["done", "unknown, found"].contains(&expected);
        assert_eq!(lab.pod.messages(&stream, lab.jane).len() - before, usize::from(is_there), "{trouble}");
    }
}
