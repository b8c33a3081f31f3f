//! Conversations as scripts that are their own expectation: the lines of people are played, what follows is written below them.
//!
//! ```text
//! d1 09:00 jane: /help                       to the bot, in the 1:1 chat
//! d1 09:01 jane in Ann Lee: Good morning.    in a room
//! d1 09:02 jane presses confirm              the newest question of the bot
//! d1 09:03 +4915112345678: hello             a client writes
//! d1 09:04 +4915112345678 taps consent:yes
//! d1 09:05 trouble 131026                    the next message to a client meets this; `lost`, `unheard`: nobody tells
//! d1 09:06 …                                 time passes
//! ```
#![allow(dead_code)] // Each test binary uses its own part of it.
use super::world::{MIDNIGHT, Trouble, World};
use expect_test::Expect;
use liaison::domain::time::Span;

pub fn story(script: Expect) {
    story_in(World::new(), script);
}

/// Plays the script in this world and gives the world back.
pub fn story_in(mut world: World, script: Expect) -> World {
    let mut told = String::new();
    let lines: Vec<String> = script.data().lines().map(str::trim).map(str::to_owned).collect();
    for line in lines.iter().filter(|line| !line.is_empty() && !line.starts_with("->")) {
        world.log.clear();
        let (at, act) = moment(line);
        let wait = Span(at - (world.now.0 - MIDNIGHT.0));
        assert!(wait.0 >= 0, "{line}: time does not run backwards");
        world.passes(wait);
        let before = std::mem::take(&mut world.log);
        before.iter().for_each(|event| told.push_str(&format!("         -> {event}\n")));
        play(&mut world, act);
        told.push_str(&format!("{line}\n"));
        world.log.iter().for_each(|event| told.push_str(&format!("         -> {event}\n")));
    }
    script.assert_eq(&told);
    world
}

/// "d2 09:05 …" as milliseconds since the first midnight, and the rest.
fn moment(line: &str) -> (i64, &str) {
    let mut parts = line.splitn(3, ' ');
    let day: i64 = parts.next().and_then(|day| day.strip_prefix('d')).and_then(|day| day.parse().ok()).expect("d<day>");
    let (hour, minute) = parts.next().and_then(|time| time.split_once(':')).expect("hh:mm");
    let minutes = (day - 1) * 24 * 60 + hour.parse::<i64>().unwrap() * 60 + minute.parse::<i64>().unwrap();
    (minutes * 60_000, parts.next().unwrap_or_default())
}

fn play(world: &mut World, act: &str) {
    if act == "…" {
        return;
    }
    if let Some(code) = act.strip_prefix("trouble ") {
        return world.troubles.push_back(match code {
            "lost" => Trouble::UnknownAndLost,
            "unheard" => Trouble::UnknownButSent,
            code => Trouble::Fails(code.to_owned().leak()),
        });
    }
    if let Some((who, payload)) = act.split_once(" taps ") {
        return drop(world.client(who).taps(payload));
    }
    if let Some((who, button)) = act.split_once(" presses ") {
        return drop(world.presses(who, button));
    }
    let (who, text) = act.split_once(": ").expect("who: what");
    match who.split_once(" in ") {
        Some((who, room)) => drop(world.in_room(room).says(who, text)),
        None if who.starts_with('+') => drop(world.client(who).writes(text)),
        None => drop(world.says(who, text)),
    }
}
