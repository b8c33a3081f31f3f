//! Voyages: seeded worlds in which the whole bot sails without sockets while an independent model watches; and planted
//! faults, to prove that the model sees. `VOYAGES` is how many, `VOYAGE_SEED` the first of their seeds.
#![allow(clippy::unwrap_used)]

#[path = "voyages/clock.rs"]
mod clock;
#[path = "voyages/dice.rs"]
mod dice;
#[path = "voyages/oracle.rs"]
mod oracle;
#[path = "voyages/outside.rs"]
mod outside;
#[path = "voyages/people.rs"]
mod people;
#[path = "voyages/quiet.rs"]
mod quiet;
#[path = "voyages/world.rs"]
mod world;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};
use world::World;

const VOYAGES: u64 = 1_000;
const FIRST_SEED: u64 = 20_260_101;
const THREADS: usize = 2;

/// States that a thousand voyages must have come by, or they prove little.
const MUST_BE_SEEN: &[&str] = &[
    "held",
    "released",
    "doubt",
    "unconfirmed",
    "lane went on",
    "withdrawn",
    "expired",
    "cancelled",
    "yes",
    "no",
    "review",
    "relayed",
    "sent again",
    "template",
    "text refused",
    "crash",
    "between commit and durable",
    "between taken and performed",
    "between performed and ended",
    "in doubt after a restart",
    "looked up",
    "answer lost",
    "put off",
    "5xx or hang",
    "131047",
    "131026",
    "not on WhatsApp",
    "seen before",
    "event twice",
    "two desks at once",
    "acknowledgement lost",
    "clock ahead",
    "clock back",
    "rights revoked",
    "failed later",
    "one key only",
    "asked too soon",
    "wake-up",
    "line refused",
];

/// The switch of the planted faults belongs to the whole process: one test at a time.
static HELM: Mutex<()> = Mutex::new(());

fn helm() -> MutexGuard<'static, ()> {
    HELM.lock().unwrap_or_else(PoisonError::into_inner)
}

fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

struct Wreck {
    seed: u64,
    rule: &'static str,
    what: String,
    log: String,
}

impl std::fmt::Display for Wreck {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "VOYAGE_SEED={} VOYAGES=1\nrule {}: {}\n{}", self.seed, self.rule, self.what, self.log)
    }
}

/// Sails voyages until one is wrecked; what they saw is counted.
fn sail(count: u64) -> (Option<Wreck>, BTreeMap<&'static str, u64>) {
    let first = number("VOYAGE_SEED", FIRST_SEED);
    let (next, wrecked) = (AtomicU64::new(0), AtomicBool::new(false));
    let (wreck, seen) = (Mutex::new(None::<Wreck>), Mutex::new(BTreeMap::new()));
    std::thread::scope(|threads| {
        for _ in 0..THREADS {
            threads.spawn(|| {
                while !wrecked.load(Relaxed) {
                    let nth = next.fetch_add(1, Relaxed);
                    if nth >= count {
                        return;
                    }
                    let mut world = World::new(first + nth);
                    world.sail();
                    let mut all: MutexGuard<BTreeMap<&'static str, u64>> = seen.lock().unwrap();
                    world.oracle.seen.iter().for_each(|(state, times)| *all.entry(*state).or_default() += times);
                    if let Some((rule, what)) = world.oracle.complaint.take() {
                        wrecked.store(true, Relaxed);
                        wreck.lock().unwrap().get_or_insert(Wreck { seed: first + nth, rule, what, log: world.log() });
                    }
                }
            });
        }
    });
    (wreck.into_inner().unwrap(), seen.into_inner().unwrap())
}

#[test]
fn voyages_keep_every_promise() {
    let _helm = helm();
    let count = number("VOYAGES", VOYAGES);
    let (wreck, seen) = sail(count);
    if let Some(wreck) = wreck {
        panic!("{wreck}");
    }
    if count >= VOYAGES {
        let missed: Vec<_> = MUST_BE_SEEN.iter().filter(|state| !seen.contains_key(**state)).collect();
        assert!(missed.is_empty(), "never seen: {missed:?}\n{seen:#?}");
    }
}

#[cfg(feature = "planted-faults")]
mod planted {
    use super::*;

    fn is_found(name: &'static str) {
        let _helm = helm();
        liaison::fault::plant(Some(name));
        let (wreck, _) = sail(VOYAGES);
        liaison::fault::plant(None);
        let wreck = wreck.unwrap_or_else(|| panic!("{name} was not found in {VOYAGES} voyages"));
        println!("{name}: rule {} in seed {}: {}", wreck.rule, wreck.seed, wreck.what);
    }

    macro_rules! faults {
        ($($test:ident: $name:literal,)*) => {$(
            #[test]
            fn $test() {
                is_found($name);
            }
        )*};
    }

    faults! {
        fault_no_gate_at_taking_is_found: "no-gate-at-taking",
        fault_blind_retry_is_found: "blind-retry",
        fault_stop_unheard_is_found: "stop-unheard",
        fault_window_25h_is_found: "window-25h",
        fault_absent_keys_unchecked_is_found: "absent-keys-unchecked",
        fault_seen_forgotten_is_found: "seen-forgotten",
        fault_status_falls_is_found: "status-falls",
        fault_template_after_stop_is_found: "template-after-stop",
        fault_journal_line_lost_is_found: "journal-line-lost",
        fault_notice_every_time_is_found: "notice-every-time",
        fault_lane_order_lost_is_found: "lane-order-lost",
        fault_taken_before_durable_is_found: "taken-before-durable",
        fault_answered_before_durable_is_found: "answered-before-durable",
        fault_wake_early_is_found: "wake-early",
        fault_asked_at_any_time_is_found: "asked-at-any-time",
        fault_restart_sends_again_is_found: "restart-sends-again",
        fault_room_not_looked_up_is_found: "room-not-looked-up",
        fault_runaway_clock_sends_is_found: "runaway-clock-sends",
        fault_no_matching_is_found: "no-matching",
    }
}
