//! What must hold when the faults are over and everything has come to rest.
use super::world::{World, all_words, state_name};
use liaison::domain::commit::Key;
use liaison::ports::Store;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

pub fn look(world: &mut World) {
    replay(world);
    nothing_is_stuck(world);
    world.oracle.lines_are_all_relayed();
    every_line_has_an_end(world);
    nobody_is_there_twice(world);
}

/// Rule 9: the journal alone gives the same records.
fn replay(world: &mut World) {
    let mut records: BTreeMap<Key, Vec<u8>> = BTreeMap::new();
    for kept in world.store.journal() {
        for put in kept.commit.puts {
            match put.value {
                Some(value) => drop(records.insert(put.key, value)),
                None => drop(records.remove(&put.key)),
            }
        }
    }
    let shown = world.store.scan("", None, usize::MAX).unwrap();
    let more = shown.iter().find(|(key, stored)| records.get(key) != Some(&stored.value)).map(|(key, _)| key.clone());
    let differs =
        |(key, value): &(&Key, &Vec<u8>)| world.store.get(key).unwrap().map(|stored| stored.value).as_ref() != Some(value);
    let less = records.iter().find(differs).map(|(key, _)| key.clone());
    if let Some(key) = more.or(less) {
        world.oracle.complain("9 replay", format!("{key:?} is another one in the journal"));
    }
}

fn nothing_is_stuck(world: &mut World) {
    let due = world.store.scan("out/", None, 10).unwrap();
    if let Some((key, stored)) = due.first() {
        let text = String::from_utf8_lossy(&stored.value).into_owned();
        world.oracle.complain("liveness", format!("{key:?} is still there: {text}"));
    }
    if let Some((key, stored)) = world.store.scan("quarantine/", None, 1).unwrap().first() {
        let text = String::from_utf8_lossy(&stored.value).into_owned();
        world.oracle.complain("0 panic", format!("{key:?}: {text}"));
    }
}

/// Rule 3: sent, or to be seen in the chat as what it is.
fn every_line_has_an_end(world: &mut World) {
    let records: Vec<(String, Value)> = world
        .store
        .scan("message/", None, usize::MAX)
        .unwrap()
        .into_iter()
        .map(|(key, stored)| {
            (key.as_str().trim_start_matches("message/").to_owned(), serde_json::from_slice(&stored.value).unwrap())
        })
        .collect();
    let mut refused: BTreeMap<String, u32> = BTreeMap::new();
    for token in world.oracle.tokens() {
        let states: Vec<(&str, &str)> = records
            .iter()
            .filter(|(_, record)| super::outside::token_in(&all_words(record)).as_deref() == Some(&token))
            .map(|(id, record)| (id.as_str(), state_name(&record["state"])))
            .collect();
        let arrived = world.oracle.arrivals(&token) > 0;
        if states.is_empty() {
            *refused.entry(world.oracle.stream_of(&token)).or_default() += 1;
        }
        for (id, state) in &states {
            let fine = match *state {
                "Sent" | "Delivered" | "Read" => arrived,
                "Failed" => shown(world, id, &["failed", "not-on-whatsapp", "refusal-attachment"]),
                "Unconfirmed" => shown(world, id, &["unconfirmed"]),
                "Expired" => shown(world, id, &["expired"]),
                "Cancelled" => shown(world, id, &["cancelled"]),
                "Held" => shown(world, id, &["held"]) || shown(world, id, &["template-held"]),
                "Withdrawn" => shown(world, id, &["withdrawn"]),
                _ => false,
            };
            let untrue = states.len() == 1 && arrived && matches!(*state, "Held" | "Withdrawn" | "Expired" | "Cancelled");
            if !fine || untrue {
                let what = format!("{token} ({id}) is {state}, arrived: {arrived}");
                world.oracle.complain("3 silently gone", what);
            }
        }
    }
    for (stream, lost) in refused {
        let told =
            world.pod.posts.iter().filter(|post| stream.is_empty() || post.stream == stream || post.stream.starts_with("d-"));
        let told = told
            .filter(|post| {
                ["text-refused", "nothing-done"].contains(&post.reply.template.as_str())
                    || post.reply.template.starts_with("refusal-")
            })
            .count();
        if (told as u32) < lost {
            world.oracle.complain("3 silently gone", format!("{lost} texts without a record in {stream}, {told} refusals"));
        }
    }
}

fn shown(world: &World, message: &str, templates: &[&str]) -> bool {
    let about = |id: &Option<liaison::domain::ids::MessageId>| id.as_ref().is_some_and(|id| id.as_str() == message);
    world.pod.posts.iter().any(|post| about(&post.reply.message) && templates.contains(&post.reply.template.as_str()))
        || (templates.contains(&"not-on-whatsapp") && world.pod.posts.iter().any(|post| post.reply.template == "not-on-whatsapp"))
}

/// Rule 5: one contact for one person, one room for one command.
fn nobody_is_there_twice(world: &mut World) {
    let mut known = BTreeSet::new();
    for (key, stored) in world.store.scan("contact/", None, usize::MAX).unwrap() {
        let contact: Value = serde_json::from_slice(&stored.value).unwrap();
        for field in ["phone", "email"] {
            let Some(name) = contact[field].as_str() else { continue };
            if !known.insert(name.to_owned()) {
                world.oracle.complain("5 two contacts", format!("{field} of {key:?} is there twice"));
            }
        }
    }
    let twice = world.pod.names.iter().find(|(name, count)| name.starts_with("Voyage") && **count > 1);
    if let Some((name, count)) = twice {
        let text = format!("{count} rooms {name}");
        world.oracle.complain("5 two rooms", text);
    }
}
