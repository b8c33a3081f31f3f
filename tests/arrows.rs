//! The walls of the house: who may use whom, what the domain may not touch, and habits that no compiler checks.
#![allow(clippy::unwrap_used)] // Test helpers fail loudly.
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Each room with the rooms it may use besides itself: main → app → server, sandbox → flow, adapters → ports, config → domain.
/// A room stands behind all that it may use, so that no circle can be allowed by mistake.
const ROOMS: &[(&str, &[&str])] = &[
    ("fault", &[]),
    ("domain", &["fault"]),
    ("ports", &["fault", "domain"]),
    ("config", &["fault", "domain"]),
    ("telemetry", &["fault"]),
    ("flow", &["fault", "domain", "ports", "config"]),
    ("adapters", &["fault", "domain", "ports", "config"]),
    ("server", &["fault", "domain", "ports", "config", "flow", "adapters", "telemetry"]),
    ("sandbox", &["fault", "domain", "ports", "config", "flow", "adapters", "telemetry"]),
    ("app", &["fault", "domain", "ports", "config", "flow", "adapters", "telemetry", "server", "sandbox"]),
    ("main", &["fault", "domain", "ports", "config", "flow", "adapters", "telemetry", "server", "sandbox", "app"]),
    // The list of the rooms itself.
    ("lib", &[]),
];

/// Crates that only compute. `jiff` reckons with zones here, `aws_lc_rs` hashes.
const DOMAIN_CRATES: [&str; 8] = ["aws_lc_rs", "jiff", "rlibphonenumber", "serde", "serde_json", "strsim", "thiserror", "toml"];
/// What reaches for the world or for time.
const DOMAIN_NEVER: [&str; 11] = [
    "std::env",
    "std::fs",
    "std::io",
    "std::net",
    "std::os",
    "std::process",
    "std::thread",
    "std::time",
    "std::sync::mpsc",
    "aws_lc_rs::rand",
    "aws_lc_rs::aead",
];
/// A file that is longer has more than one thing to say (STYLE, Functions and files); its own tests are not counted.
const DOMAIN_FILE_LINES: usize = 600;

// ---- the rules

#[test]
fn the_plan_of_the_rooms_has_no_circle() {
    for (place, (room, may_use)) in ROOMS.iter().enumerate() {
        let below: Vec<&str> = ROOMS[..place].iter().map(|(room, _)| *room).collect();
        assert!(may_use.iter().all(|used| below.contains(used)), "{room} may use {may_use:?}, not all of which stand before it");
    }
}

#[test]
fn no_room_uses_one_above_or_beside_it() {
    none(sources("src").iter().flat_map(wrong_arrows));
}

#[test]
fn every_room_has_its_place_in_the_plan() {
    none(sources("src").iter().filter(|file| !is_room(&file.room)).map(|file| format!("{}: no room of the plan", file.path)));
}

#[test]
fn the_domain_knows_no_world_and_no_clock() {
    none(sources("src/domain").iter().flat_map(|file| worldly(file, &crates())));
}

#[test]
fn a_file_of_the_domain_can_be_read_in_one_sitting() {
    let long = |file: &Source| without_tests(&file.text).lines().count();
    let files = sources("src/domain");
    let too_long = files.iter().filter(|file| long(file) > DOMAIN_FILE_LINES);
    none(too_long.map(|file| format!("{}: {} lines, {DOMAIN_FILE_LINES} are the limit", file.path, long(file))));
}

#[test]
fn nobody_unwraps_outside_tests() {
    none(sources("src").iter().filter(|file| unwraps(&file.text)).map(|file| format!("{}: unwrap()", file.path)));
}

#[test]
fn every_file_says_first_what_it_is_for() {
    let all = ["src", "tests", "benches"].into_iter().flat_map(sources);
    none(all.filter(|file| !file.text.starts_with("//! ")).map(|file| format!("{}: no `//!` line", file.path)));
}

#[test]
fn unsafe_code_is_forbidden() {
    let lints = manifest()["lints"]["rust"]["unsafe_code"].as_str().map(str::to_owned);
    assert_eq!(lints.as_deref(), Some("forbid"));
}

// ---- that the checks can see

#[test]
fn a_planted_upward_import_is_seen_in_every_form() {
    let planted = [
        "use crate::flow::desk::Desks;",
        "use crate::{domain::ids::*, flow};",
        "pub use crate::{\n    domain::{ids, time},\n    flow::{desk, outbox},\n};",
        "fn f() { crate::flow::wakes::due(); }",
        "type News = Vec<crate::flow::desk::News>;",
        "use super::super::flow::lanes;",
        "use liaison::flow::lanes;",
    ];
    for text in planted {
        assert_eq!(wrong_arrows(&source("src/adapters/store.rs", text)).len(), 1, "{text}");
        assert_eq!(wrong_arrows(&source("src/server/ops.rs", text)).len(), 0, "{text}");
    }
}

#[test]
fn what_only_looks_like_an_import_is_none() {
    let harmless = [
        "// use crate::flow::desk::Desks;",
        "/* crate::flow::desk */",
        r#"const TEXT: &str = "use crate::flow::desk; \" crate::app::start";"#,
        "const TEXT: &str = r#\"crate::flow::desk\"#;",
        "use super::flow::lanes;",
        "const QUOTE: char = '\"'; use crate::domain::ids::*; const AGAIN: char = '\"';",
    ];
    for text in harmless {
        assert_eq!(wrong_arrows(&source("src/adapters/store/sled.rs", text)), Vec::<String>::new(), "{text}");
    }
}

#[test]
fn a_planted_look_at_the_world_is_seen() {
    let planted = [
        "use std::time::SystemTime;",
        "use std::{collections::BTreeMap, fs};",
        "fn now() -> u64 { std::time::Instant::now() }",
        "use tokio::sync::watch;",
        "async fn f() { tokio::time::sleep(x).await }",
        "fn f() { jiff::Timestamp::now() }",
        "use reqwest::Client;",
        "fn f() -> u8 { fastrand::u8(..) }",
    ];
    for text in planted {
        assert!(!worldly(&source("src/domain/x.rs", text), &crates()).is_empty(), "{text}");
    }
    let pure = "use std::collections::BTreeMap; use serde_json::{Value, json}; use super::time::Timestamp;";
    assert!(worldly(&source("src/domain/x.rs", pure), &crates()).is_empty());
}

#[test]
fn a_planted_unwrap_is_seen() {
    assert!(unwraps("fn f() { x.unwrap(); }"));
    assert!(!unwraps("fn f() { x.unwrap_or(1); } // never unwrap()\n#[cfg(test)]\nmod tests { fn f() { x.unwrap(); } }"));
}

// ---- how a rule is read out of a file

struct Source {
    path: String,
    room: String,
    /// How many modules lie above what the file holds: `super` as often leads out of the crate's rooms.
    depth: usize,
    text: String,
}

fn source(path: &str, text: &str) -> Source {
    let inside: Vec<&str> = path.split('/').skip(1).collect();
    let room = inside.first().map_or("", |first| first.trim_end_matches(".rs")).to_owned();
    let depth = inside.len() - usize::from(path.ends_with("/mod.rs"));
    Source { path: path.to_owned(), room, depth, text: text.to_owned() }
}

fn wrong_arrows(file: &Source) -> Vec<String> {
    let may_use = ROOMS.iter().find(|(room, _)| *room == file.room).map_or(&[][..], |(_, may_use)| *may_use);
    let used: BTreeSet<String> =
        paths(&code(without_tests(&file.text))).iter().filter_map(|path| room_of(path, file.depth)).collect();
    let wrong = used.into_iter().filter(|used| *used != file.room && !may_use.contains(&used.as_str()));
    wrong.map(|used| format!("{}: {} may not use {used}", file.path, file.room)).collect()
}

/// The room that a path leads to, if it begins at the root of the crate.
fn room_of(path: &[String], depth: usize) -> Option<String> {
    let climbed = path.iter().take_while(|part| *part == "super").count();
    let rest = match path[0].as_str() {
        "crate" | "liaison" => &path[1..],
        _ if climbed >= depth => &path[climbed..],
        _ => return None,
    };
    rest.first().filter(|room| is_room(room)).cloned()
}

fn is_room(name: &str) -> bool {
    ROOMS.iter().any(|(room, _)| *room == name)
}

fn worldly(file: &Source, crates: &BTreeSet<String>) -> Vec<String> {
    let code = code(without_tests(&file.text));
    let paths = paths(&code).into_iter().map(|path| path.join("::"));
    let mut wrong: Vec<String> = paths
        .filter(|path| {
            let first = path.split("::").next().unwrap_or_default();
            let is_a_foreign_crate = crates.contains(first) && !DOMAIN_CRATES.contains(&first);
            is_a_foreign_crate || path.ends_with("::now") || DOMAIN_NEVER.iter().any(|never| path.starts_with(never))
        })
        .collect();
    wrong.extend(tokens(&code).into_iter().filter(|token| token == "async" || token == "await"));
    wrong.into_iter().map(|what| format!("{}: the domain may not touch {what}", file.path)).collect()
}

fn unwraps(text: &str) -> bool {
    code(without_tests(text)).contains(".unwrap()")
}

fn without_tests(text: &str) -> &str {
    text.find("#[cfg(test)]\nmod ").map_or(text, |tests| &text[..tests])
}

/// Every path of two parts or more, groups written out.
fn paths(code: &str) -> Vec<Vec<String>> {
    let tokens = tokens(code);
    let (mut found, mut at) = (Vec::new(), 0);
    while at < tokens.len() {
        if is_name(&tokens[at]) && tokens.get(at + 1).is_some_and(|next| next == "::") {
            at = branch(&tokens, at, &[], &mut found);
        } else {
            at += 1;
        }
    }
    found
}

/// Reads one branch of a tree of paths from `at` on; gives the place behind it.
fn branch(tokens: &[String], mut at: usize, stem: &[String], found: &mut Vec<Vec<String>>) -> usize {
    let mut path = stem.to_vec();
    while let Some(token) = tokens.get(at) {
        if token == "{" {
            at += 1;
            while tokens.get(at).is_some_and(|token| token != "}") {
                at = if tokens[at] == "," { at + 1 } else { branch(tokens, at, &path, found).max(at + 1) };
            }
            return at + 1;
        }
        if is_name(token) {
            path.push(token.clone());
        }
        at += 1;
        if tokens.get(at).is_none_or(|next| next != "::") {
            break;
        }
        at += 1;
    }
    found.push(path);
    at
}

fn is_name(token: &str) -> bool {
    token.starts_with(|first: char| first.is_alphabetic() || first == '_')
}

fn tokens(code: &str) -> Vec<String> {
    let mut tokens = Vec::new();
    let mut rest = code.chars().peekable();
    while let Some(first) = rest.next() {
        if first.is_whitespace() {
            continue;
        }
        let mut token = String::from(first);
        if first.is_alphanumeric() || first == '_' {
            while let Some(next) = rest.next_if(|next| next.is_alphanumeric() || *next == '_') {
                token.push(next);
            }
        } else if first == ':' && rest.next_if_eq(&':').is_some() {
            token.push(':');
        }
        tokens.push(token);
    }
    tokens
}

/// The text without comments, strings and characters.
fn code(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let skipped = comment(rest).or_else(|| literal(rest, &code));
        if skipped.is_some() {
            code.push(' ');
        } else {
            code.push(first);
        }
        rest = &rest[skipped.unwrap_or(first.len_utf8())..];
    }
    code
}

fn comment(rest: &str) -> Option<usize> {
    let end = if rest.starts_with("//") {
        rest.find('\n')
    } else if rest.starts_with("/*") {
        rest.find("*/").map(|end| end + 2)
    } else {
        return None;
    };
    Some(end.unwrap_or(rest.len()))
}

/// Length of the string or character that begins here.
fn literal(rest: &str, before: &str) -> Option<usize> {
    if let Some(raw) = rest.strip_prefix('r').filter(|_| !before.ends_with(|last: char| last.is_alphanumeric() && last != 'b')) {
        let fence = raw.len() - raw.trim_start_matches('#').len();
        let body = raw[fence..].strip_prefix('"');
        if let Some(body) = body {
            let end = format!("\"{}", "#".repeat(fence));
            return Some(1 + fence + 1 + body.find(&end)? + end.len());
        }
    }
    match rest.as_bytes() {
        [b'"', ..] => Some(closing(rest, '"')),
        [b'\'', b'\\', ..] => Some(closing(rest, '\'')),
        [b'\'', ..] => {
            let mut chars = rest.char_indices().skip(2);
            chars.next().filter(|(_, third)| *third == '\'').map(|(at, _)| at + 1)
        }
        _ => None,
    }
}

fn closing(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, next) in rest.char_indices().skip(1) {
        if next == quote && !escaped {
            return at + 1;
        }
        escaped = next == '\\' && !escaped;
    }
    rest.len()
}

// ---- the files

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn manifest() -> toml::Table {
    let text = std::fs::read_to_string(root().join("Cargo.toml")).unwrap();
    text.parse().unwrap()
}

/// Names of all crates that the manifest brings in, as code writes them.
fn crates() -> BTreeSet<String> {
    let manifest = manifest();
    let dependencies = ["dependencies", "dev-dependencies"].into_iter().filter_map(|table| manifest.get(table)?.as_table());
    dependencies.flat_map(|table| table.keys()).map(|name| name.replace('-', "_")).collect()
}

fn sources(folder: &str) -> Vec<Source> {
    let mut found = Vec::new();
    collect(&root().join(folder), &mut found);
    found.sort();
    let read = |path: &PathBuf| {
        let name = path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
        source(&name, &std::fs::read_to_string(path).unwrap())
    };
    found.iter().map(read).collect()
}

fn collect(folder: &Path, found: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for path in entries.map(|entry| entry.unwrap().path()) {
        if path.is_dir() {
            collect(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

#[track_caller]
fn none(wrong: impl Iterator<Item = String>) {
    let wrong: Vec<String> = wrong.collect();
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}
