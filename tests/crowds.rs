//! Crowds: seeded worlds in which people join, leave, remove, hand over and stop at random, with an independent model that
//! watches who reads what; and planted faults, to prove that it sees. `CROWDS` is how many, `CROWD_SEED` the first seed.
#![allow(clippy::unwrap_used)] // A test that cannot go on panics.
mod common;
#[path = "voyages/dice.rs"]
mod dice;
#[path = "crowds/town.rs"]
mod town;
#[path = "crowds/watcher.rs"]
mod watcher;

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use town::Town;

const CROWDS: u64 = 200;
const FIRST_SEED: u64 = 20_260_601;
const STEPS: usize = 40;

/// What a thousand worlds must have come by, or they prove little.
const MUST_BE_SEEN: &[&str] = &[
    "1:1 room",
    "standard room",
    "native room",
    "text to a client",
    "text into a group",
    "passed on",
    "client added",
    "client removed",
    "barred",
    "let in",
    "not let in",
    "in without a right",
    "removal",
    "removal refused",
    "answer refused",
    "found in the list",
    "looked for",
    "members kept",
    "told in private",
    "by hand",
    "transfer",
    "leave",
    "restart",
    "offboarded",
    "other side",
    "blocked",
    "stop",
    "sent again",
];

/// The switch of the planted faults belongs to the whole process: one test at a time.
static GATE: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    GATE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

struct Broken {
    seed: u64,
    rule: &'static str,
    what: String,
    story: String,
}

/// Lets worlds live until a promise is broken in one; what they came by is counted.
fn live(count: u64) -> (Option<Broken>, BTreeMap<&'static str, u64>) {
    let first = number("CROWD_SEED", FIRST_SEED);
    let mut seen: BTreeMap<&'static str, u64> = BTreeMap::new();
    for seed in first..first + count {
        let mut town = Town::new(seed);
        town.lives(STEPS);
        town.watcher.seen.iter().for_each(|(what, times)| *seen.entry(what).or_default() += times);
        if let Some((rule, what)) = town.watcher.complaint.take() {
            return (Some(Broken { seed, rule, what, story: town.story() }), seen);
        }
    }
    (None, seen)
}

#[test]
fn crowds_keep_every_promise() {
    let _alone = alone();
    let count = number("CROWDS", CROWDS);
    let (broken, seen) = live(count);
    if let Some(Broken { seed, rule, what, story }) = broken {
        panic!("{story}\nCROWD_SEED={seed} CROWDS=1\n{rule}: {what}");
    }
    if count >= CROWDS {
        let missed: Vec<_> = MUST_BE_SEEN.iter().filter(|what| !seen.contains_key(**what)).collect();
        assert!(missed.is_empty(), "never seen: {missed:?}\n{seen:#?}");
    }
}

#[cfg(feature = "planted-faults")]
mod planted {
    use super::*;

    fn is_found(name: &'static str, rule: &str) {
        let _alone = alone();
        liaison::fault::plant(Some(name));
        let (broken, _) = live(CROWDS);
        liaison::fault::plant(None);
        let broken = broken.unwrap_or_else(|| panic!("{name} was not found in {CROWDS} worlds"));
        println!("{name}: {} in seed {}: {}", broken.rule, broken.seed, broken.what);
        assert_eq!(broken.rule, rule, "{}", broken.what);
    }

    macro_rules! faults {
        ($($test:ident: $name:literal $rule:literal,)*) => {$(
            #[test]
            fn $test() {
                is_found($name, $rule);
            }
        )*};
    }

    faults! {
        fault_barred_let_in_is_found: "barred-let-in" "barred",
        fault_refusal_forgotten_is_found: "refusal-forgotten" "forgotten",
        fault_outsider_reads_is_found: "outsider-reads" "reads",
        fault_last_owner_gone_is_found: "last-owner-gone" "owner",
        fault_group_before_stop_is_found: "group-before-stop" "stopped or blocked",
        fault_nobody_answers_is_found: "nobody-answers" "nobody answers",
        fault_number_shown_is_found: "number-shown" "number",
        fault_lane_order_lost_is_found: "lane-order-lost" "order",
    }
}
