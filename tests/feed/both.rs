//! What must hold however the events come: each of these runs over websockets and over long polling.
use super::world::*;
use liaison::domain::event::Fact;
use liaison::ports::Receipt;
use serde_json::json;
use std::sync::atomic::Ordering;
use tokio::time::timeout;

/// Runs each of these over both transports.
macro_rules! over_both {
    ($($name:ident),+ $(,)?) => {
        mod over_websockets {
            $(#[tokio::test] async fn $name() { super::$name(super::World::new(super::Over::WebSockets).await).await })+
        }
        mod over_long_polls {
            $(#[tokio::test] async fn $name() { super::$name(super::World::new(super::Over::LongPolls).await).await })+
        }
    };
}

over_both!(
    a_batch_is_acknowledged_only_when_all_of_it_is_kept,
    after_a_restart_the_feed_is_resumed_with_what_is_durable,
    after_a_broken_connection_too,
    what_cannot_be_kept_now_is_not_acknowledged_and_comes_again,
    what_comes_again_is_brought_again_since_the_store_knows_it,
    a_feed_that_is_gone_is_replaced_and_the_gap_is_told,
    tokens_are_renewed_when_they_are_refused,
    a_broken_element_harms_no_other,
    a_stream_is_read_in_the_order_of_its_clock,
    an_empty_batch_is_acknowledged_too,
    the_end_lets_a_batch_finish,
    the_end_comes_at_once_where_nothing_is_under_way,
    too_many_feeds_and_too_fast_are_retried_slowly,
    who_is_always_refused_does_not_hammer,
);

async fn a_batch_is_acknowledged_only_when_all_of_it_is_kept(mut world: World) {
    world.inbox.close();
    let (mut peer, opening) = world.opened().await;
    assert_eq!((opening.feed, opening.ack.as_str()), (None, ""));
    peer.send_events("a1", json!([message("m1", "s1", 1), message("m2", "s2", 2)])).await;
    world.inbox.permit(1);
    peer.acks_nothing().await;
    world.inbox.permit(1);
    assert_eq!(peer.acked().await, "a1");
}

async fn after_a_restart_the_feed_is_resumed_with_what_is_durable(mut world: World) {
    let (mut peer, _) = world.opened().await;
    let made = world.state.borrow().feeds_created;
    peer.send_events("a1", json!([message("m1", "s1", 1)])).await;
    assert_eq!(peer.acked().await, "a1");
    peer.ends(Fault::Restart).await;
    let (mut peer, opening) = world.opened().await;
    assert_eq!((opening.feed.as_deref(), opening.ack.as_str()), (Some("f1_f"), "a1"));
    peer.send_events("a2", json!([message("m2", "s1", 2)])).await;
    assert_eq!(peer.acked().await, "a2");
    world.until(|s| s.connected && s.reconnects.values().sum::<u64>() == 1 && s.last_error.is_none()).await;
    assert_eq!(world.state.borrow().feeds_created, made, "no history is read back for a feed that lives");
    assert_eq!(world.inbox.ids(), ["sym:msg:m1", "sym:msg:m2"]);
}

async fn after_a_broken_connection_too(mut world: World) {
    let (mut peer, _) = world.opened().await;
    peer.send_events("a1", json!([message("m1", "s1", 1)])).await;
    assert_eq!(peer.acked().await, "a1");
    peer.breaks().await;
    let (_peer, opening) = world.opened().await;
    assert_eq!((opening.feed.as_deref(), opening.ack.as_str()), (Some("f1_f"), "a1"));
}

async fn what_cannot_be_kept_now_is_not_acknowledged_and_comes_again(mut world: World) {
    world.inbox.answers.lock().unwrap().push_back(Receipt::NotNow);
    let (mut peer, _) = world.opened().await;
    let events = json!([message("m1", "s1", 1), message("m2", "s1", 2)]);
    peer.send_events("a1", events.clone()).await;
    peer.acks_nothing().await;
    assert_eq!(world.inbox.ids(), ["sym:msg:m1"], "nothing overtakes what could not be kept");
    peer.send_events("a2", events).await;
    assert_eq!(peer.acked().await, "a2");
    assert_eq!(world.inbox.ids(), ["sym:msg:m1", "sym:msg:m1", "sym:msg:m2"]);
}

async fn what_comes_again_is_brought_again_since_the_store_knows_it(mut world: World) {
    let (mut peer, _) = world.opened().await;
    for ack in ["a1", "a2", "a3"] {
        peer.send_events(ack, json!([message("m1", "s1", 1)])).await;
        assert_eq!(peer.acked().await, ack);
    }
    assert_eq!(world.inbox.ids(), ["sym:msg:m1"; 3]);
}

async fn a_feed_that_is_gone_is_replaced_and_the_gap_is_told(mut world: World) {
    let (mut peer, _) = world.opened().await;
    let made = world.state.borrow().feeds_created;
    peer.send_events("a1", json!([message("m1", "s1", 1)])).await;
    assert_eq!(peer.acked().await, "a1");
    peer.ends(Fault::Gone).await;
    let (mut peer, opening) = world.opened_as("f2_f", true).await;
    assert_eq!((opening.feed, opening.ack.as_str()), (None, ""));
    world.until(|s| s.connected && s.feeds_created == made + 1 && s.feed_id.as_deref() == Some("f2_f")).await;
    assert!(world.state.borrow().alive_at.is_some(), "the gap has a beginning");
    assert_eq!(world.state.borrow().reconnects.get("feed-gone"), Some(&1));
    peer.send_events("b1", json!([message("m2", "s1", 2)])).await;
    assert_eq!(peer.acked().await, "b1");
}

async fn tokens_are_renewed_when_they_are_refused(mut world: World) {
    let (peer, opening) = world.opened().await;
    assert_eq!(opening.token, "1");
    peer.ends(Fault::Unauthorised).await;
    let (peer, opening) = world.opened().await;
    assert_eq!((opening.token.as_str(), opening.feed.as_deref()), ("2", Some("f1_f")), "the same feed goes on");
    world.oldest_good.store(3, Ordering::SeqCst);
    peer.ends(Fault::Restart).await;
    let (_peer, opening) = world.opened().await;
    assert_eq!((opening.token.as_str(), opening.feed.as_deref()), ("3", Some("f1_f")));
    assert_eq!(world.logins.load(Ordering::SeqCst), 3);
}

async fn a_broken_element_harms_no_other(mut world: World) {
    let (mut peer, _) = world.opened().await;
    peer.send_events("a1", json!([{"type": 7}, message("m1", "s1", 1), {"id": "n", "type": "NEWTHING", "payload": 3}])).await;
    assert_eq!(peer.acked().await, "a1");
    let seen = world.inbox.seen.lock().unwrap().clone();
    assert_eq!(seen.len(), 3);
    let broken = seen.iter().find(|e| matches!(e.fact, Fact::Unreadable { .. })).unwrap();
    assert_eq!(broken.raw.as_deref(), Some(&br#"{"type":7}"#[..]));
    assert!(seen.iter().any(|e| e.id.as_str() == "sym:msg:m1"));
}

async fn a_stream_is_read_in_the_order_of_its_clock(mut world: World) {
    let (mut peer, _) = world.opened().await;
    let events = json!([message("m3", "s1", 3), message("n1", "s2", 9), message("m1", "s1", 1), message("m2", "s1", 2)]);
    peer.send_events("a1", events).await;
    assert_eq!(peer.acked().await, "a1");
    let of_first: Vec<String> = world.inbox.ids().into_iter().filter(|id| id.starts_with("sym:msg:m")).collect();
    assert_eq!(of_first, ["sym:msg:m1", "sym:msg:m2", "sym:msg:m3"]);
}

async fn an_empty_batch_is_acknowledged_too(mut world: World) {
    let (mut peer, _) = world.opened().await;
    peer.send_events("a1", json!([])).await;
    assert_eq!(peer.acked().await, "a1");
    assert!(world.inbox.ids().is_empty());
}

async fn the_end_lets_a_batch_finish(mut world: World) {
    world.inbox.close();
    let (mut peer, _) = world.opened().await;
    peer.send_events("a1", json!([message("m1", "s1", 1)])).await;
    peer.acks_nothing().await;
    world.cancel.cancel();
    tokio::time::sleep(A_WHILE).await;
    assert!(!world.task.is_finished(), "the batch is waited for");
    world.inbox.permit(1);
    if let Peer::Socket(socket) = &mut peer {
        assert_eq!(socket.acked().await, "a1");
    }
    peer.sees_the_client_leave().await;
    timeout(SOON, world.task).await.unwrap().unwrap();
}

async fn the_end_comes_at_once_where_nothing_is_under_way(mut world: World) {
    let (peer, _) = world.opened().await;
    world.cancel.cancel();
    peer.sees_the_client_leave().await;
    timeout(A_WHILE * 4, world.task).await.unwrap().unwrap();
}

async fn too_many_feeds_and_too_fast_are_retried_slowly(mut world: World) {
    for (fault, reason) in [(Fault::TooMany, "too-many-feeds"), (Fault::TooFast(1), "too-fast")] {
        let (peer, _) = world.opened().await;
        peer.ends(fault).await;
        world.stays_away(A_WHILE).await;
        world.until(|s| s.reconnects.get(reason) == Some(&1)).await;
        let told = world.state.borrow().last_error.clone().unwrap();
        assert!(told.ends_with("; next try in 1 s") || told.ends_with("; next try in 2 s"), "{told}");
    }
    world.opened().await;
}

async fn who_is_always_refused_does_not_hammer(mut world: World) {
    // Full jitter up to 20, 40, 80, 100, 100 … ms: thirty tries take a second and a quarter on the average.
    let began = std::time::Instant::now();
    for _ in 0..30 {
        world.opened().await.0.ends(Fault::Restart).await;
    }
    assert!(began.elapsed() > std::time::Duration::from_millis(500), "{:?}", began.elapsed());
    world.opened().await;
}
