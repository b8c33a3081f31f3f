//! `/admin status`: feed, store, queues, providers, lines (COMMANDS §3), as whoever runs the bot knows them.
use crate::common::world::*;
use liaison::domain::event::LineTrouble;
use liaison::domain::health::*;
use liaison::domain::ids::LineId;
use liaison::domain::time::Span;
use serde_json::json;

fn well(world: &World) -> Health {
    Health {
        feed: FeedHealth {
            transport: "websocket".to_owned(),
            connected: true,
            since: world.now - Span::hours(2),
            ..FeedHealth::default()
        },
        store: StoreHealth { sequence: 1_234, behind: 3, free: Some(80 << 30), writable: true },
        queues: QueueHealth { due: 4, in_flight: 1, in_doubt: 0, held: 7 },
        clock: true,
        ..Health::default()
    }
}

fn with_line(health: Health, line: LineHealth) -> Health {
    Health { lines: [(LineId::new(LINE), line)].into(), ..health }
}

#[test]
fn the_status_tells_feed_store_queues_providers_and_lines() {
    let mut world = World::new();
    world.does(with_line(well(&world), LineHealth::default()));
    world.says("adam", "/admin status");
    let vars = world.last_reply("adam").vars;
    assert_eq!(vars["health"]["feed"]["connected"], true);
    assert_eq!(vars["health"]["store"], json!({ "sequence": 1_234, "behind": 3, "free": 80_u64 << 30, "writable": true }));
    assert_eq!((&vars["health"]["queues"]["in_flight"], &vars["held"]), (&json!(1), &json!(7)));
    assert_eq!(vars["lines"][0]["state"], "works");
}

#[test]
fn the_status_tells_what_is_wrong_in_one_line_each() {
    let mut world = World::new();
    let long = "x".repeat(5_000);
    let trouble = LineTrouble { code: "190".to_owned(), detail: long.clone(), since: world.now, by_status: false };
    let mut health = with_line(well(&world), LineHealth { trouble: Some(trouble), resting: true });
    health.feed = FeedHealth { connected: false, last_error: Some(long.clone()), ..health.feed };
    health.login = Some(long);
    health.lines.insert(LineId::new("of nobody"), LineHealth::default());
    world.does(health);
    world.says("adam", "/admin status");
    let vars = world.last_reply("adam").vars;
    assert_eq!((&vars["lines"][0]["state"], &vars["lines"][0]["trouble"]["code"]), (&json!("stopped"), &json!("190")));
    assert!(!vars["health"]["lines"].as_object().unwrap().contains_key("of nobody"));
    let longest = json!(vars).to_string().split('"').map(str::len).max().unwrap();
    assert!(longest < 500, "a status is a short list: {longest}");
}

#[test]
fn a_line_that_had_nothing_to_send_is_unheard_and_one_that_fails_rests() {
    let mut world = World::new();
    let states = [
        (None, json!(null)),
        (Some(well(&world)), json!("unheard")),
        (Some(with_line(well(&world), LineHealth { resting: true, trouble: None })), json!("resting")),
    ];
    for (health, state) in states {
        if let Some(health) = health {
            world.does(health);
        }
        world.says("adam", "/admin status");
        assert_eq!(world.last_reply("adam").vars["lines"][0]["state"], state);
    }
}

#[test]
fn the_status_is_for_admins() {
    let mut world = World::new();
    world.does(well(&world));
    assert_eq!(world.says("jane", "/admin status"), ["refusal(no-permission)"]);
}
