//! Every line of the bot has its words, they are markup that the pod takes, and no value in them is ever more than text.
#![allow(clippy::unwrap_used)] // Test helpers fail loudly.
use jiff::tz::TimeZone;
use liaison::adapters::wording::{CHAT_TEMPLATES, Wording};
use liaison::domain::commands;
use liaison::domain::effect::{Body, Code, Reply};
use liaison::domain::gates::GATES;
use liaison::domain::ids::{AskId, Channel, ContactId, MessageId};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

// The sandbox's own checker, which refuses what the real agent refuses.
#[allow(dead_code)]
#[path = "../src/sandbox/pod/markup.rs"]
mod markup;
#[allow(dead_code)]
#[path = "../src/sandbox/pod/xml.rs"]
mod xml;

const HOSTILE: &str = "<b>&${7*7}#{x}\"'";
/// Included by the forms; it is no reply of its own.
const PARTS: [&str; 5] = ["form-mistake", "gate-words", "group-gate", "group-remedy", "sub-org-settings"];
/// Variables by which a template chooses its words; they come from fixed lists, never from people.
const CHOOSING: [&str; 19] = [
    "what",
    "change",
    "channel",
    "news",
    "gate",
    "consent",
    "state",
    "rule",
    "word",
    "code",
    "provider_code",
    "sign",
    "argument",
    "parameter",
    "blocker",
    "how",
    "kind",
    "status",
    "lacks",
];
const CONSENTS: [&str; 6] = ["NONE", "PENDING", "OPTED_IN", "OPTED_OUT", "REVIEW", "UNREACHABLE"];
const STATES: [&str; 12] = [
    "held",
    "ready",
    "taken",
    "doubtful",
    "sent",
    "delivered",
    "read",
    "failed",
    "unconfirmed",
    "expired",
    "withdrawn",
    "cancelled",
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn wording() -> &'static Wording {
    static WORDING: OnceLock<Wording> = OnceLock::new();
    let zone = || TimeZone::get("America/New_York").unwrap();
    WORDING.get_or_init(|| Wording::load(&root().join("templates"), zone()).unwrap_or_else(|told| panic!("{told:#?}")))
}

// ---- rendering

/// With the ids that a reply may have, or without any.
fn reply(name: &str, vars: &Value, with_ids: bool) -> Reply {
    let mut reply = Reply::new(Code::Info, name);
    if with_ids {
        reply = reply.about(&ContactId::new("c-7F3KABCD")).of(&MessageId::new("m-7F3KABCD")).asking(&AskId::new("a-1"));
    }
    reply.vars = vars.as_object().unwrap().clone();
    reply
}

/// The markup as the pod has taken it, parsed.
fn accepted(name: &str, vars: &Value, with_ids: bool) -> (xml::Element, String) {
    let told = wording().chat(&reply(name, vars, with_ids), "e-1/0");
    let (message, data) = told.unwrap_or_else(|why| panic!("{name} with {vars}: {why}"));
    let taken = markup::accept(&message, &data.to_string(), true, &|_, _| None);
    let taken = taken.unwrap_or_else(|why| panic!("{name} with {vars}: {why}\n{message}"));
    (xml::parse(&taken.presentation).unwrap(), message)
}

fn inner(name: &str, vars: Value) -> String {
    let (_, message) = accepted(name, &vars, true);
    message.strip_prefix("<messageML>").unwrap().strip_suffix("</messageML>").unwrap().to_owned()
}

fn plain(name: &str, vars: Value) -> String {
    let (_, message) = accepted(name, &vars, true);
    markup::plain_text(&message)
}

/// Names of all elements, in order of the alphabet.
fn elements(root: &xml::Element) -> Vec<String> {
    let mut names = Vec::new();
    root.walk(&mut |element| names.push(element.name.clone()));
    names.sort();
    names
}

fn attributes(root: &xml::Element, element: &str, attribute: &str) -> Vec<String> {
    let mut values = Vec::new();
    root.walk(&mut |found| {
        if found.name == element {
            values.extend(found.attribute(attribute).map(str::to_owned));
        }
    });
    values
}

/// Every text that is not among those that choose words becomes the hostile one.
fn made_hostile(value: &Value) -> Value {
    match value {
        // An empty text chooses other words.
        Value::String(text) if text.is_empty() => json!(""),
        Value::String(_) => json!(HOSTILE),
        Value::Array(items) => items.iter().map(made_hostile).collect(),
        Value::Object(fields) => {
            let keep = |name: &str| CHOOSING.contains(&name) || name == "body";
            let made =
                |(name, value): (&String, &Value)| (name.clone(), if keep(name) { value.clone() } else { made_hostile(value) });
            Value::Object(fields.iter().map(made).collect())
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
    }
}

// ---- what the core says

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => sources(&path, found),
            false if path.extension().is_some_and(|extension| extension == "rs") => found.push(path),
            false => {}
        }
    }
}

/// The text between quotes that stands right behind the mark, blanks apart.
fn literals_behind(source: &str, mark: &str) -> Vec<String> {
    let behind = source.split(mark).skip(1).filter_map(|rest| rest.trim_start().strip_prefix('"'));
    behind.filter_map(|rest| rest.split_once('"')).map(|(name, _)| name.to_owned()).collect()
}

fn names_in(source: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for part in source.split("Code::").skip(1) {
        // `Code::Info, "name"`: of a reply, or of a helper that makes one.
        let Some((_, rest)) = part.split_once(',').filter(|(code, _)| code.chars().all(char::is_alphanumeric)) else { continue };
        names.extend(literals_behind(&format!("@{rest}"), "@").into_iter().take(1));
    }
    names.extend(literals_behind(source, "Reply::answer("));
    names.extend(literals_behind(source, "Refusal::new(").into_iter().map(|code| format!("refusal-{code}")));
    for line in source.lines().filter(|line| line.trim_start().starts_with("let template = if ")) {
        names.extend(line.split('"').skip(1).step_by(2).map(str::to_owned));
    }
    names
}

/// All that the sources of the core name: replies, refusals with codes and with gates, forms.
fn names_of_the_core() -> BTreeSet<String> {
    let mut files = Vec::new();
    sources(&root().join("src/domain"), &mut files);
    let mut names: BTreeSet<String> = files.iter().flat_map(|file| names_in(&std::fs::read_to_string(file).unwrap())).collect();
    let refusing = GATES.iter().filter(|gate| !["quiet_hours", "window"].contains(&gate.id));
    names.extend(refusing.map(|gate| format!("refusal-{}", gate.id)));
    let forms = commands::ALL.iter().filter(|command| command.form);
    names.extend(forms.map(|command| format!("form-{}", command.path.replace(' ', "-"))));
    names
}

fn files() -> BTreeSet<String> {
    let entries = std::fs::read_dir(root().join("templates/chat")).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.map(|name| name.strip_suffix(".en.toml").unwrap().to_owned()).collect()
}

#[test]
fn every_reply_has_its_words() {
    let (named, files) = (names_of_the_core(), files());
    for known in ["held", "consent-yes", "consent-no", "refusal-match-one-only", "form-contact-add", "review-ended", "sent-again"]
    {
        assert!(named.contains(known), "the search does not find {known}");
    }
    let missing: Vec<&String> = named.difference(&files).collect();
    assert!(missing.is_empty(), "no words in templates/chat for {missing:?}");
}

/// INTERFACES §8: every named file must be there, and `liaison check` asks for those that the list names.
#[test]
fn the_list_of_chat_templates_holds_what_the_core_says_and_no_more() {
    let listed: BTreeSet<String> = CHAT_TEMPLATES.iter().map(|name| (*name).to_owned()).collect();
    assert!(CHAT_TEMPLATES.is_sorted() && listed.len() == CHAT_TEMPLATES.len(), "in order, each once");
    let wanted: BTreeSet<String> = names_of_the_core().into_iter().chain(PARTS.map(str::to_owned)).collect();
    let missing: Vec<&String> = wanted.difference(&listed).collect();
    assert!(missing.is_empty(), "not listed: {missing:?}");
    // Some names go through a helper's hands, where only the text itself can be found.
    let mut sources_of_the_core = Vec::new();
    sources(&root().join("src/domain"), &mut sources_of_the_core);
    let core: String = sources_of_the_core.iter().map(|file| std::fs::read_to_string(file).unwrap()).collect();
    let unused: Vec<&String> = listed.difference(&wanted).filter(|name| !core.contains(&format!("\"{name}\""))).collect();
    assert!(unused.is_empty(), "listed for nothing: {unused:?}");
    // `info` is there for tests of the wording.
    let unlisted: Vec<String> = files().difference(&listed).cloned().collect();
    assert_eq!(unlisted, ["info"], "no core that says it, or no place in the list");
}

// ---- samples

/// What a reply carries: all of it, and below each kind that chooses other words, with as little as it may have.
fn samples() -> BTreeMap<&'static str, Vec<Value>> {
    let mut table = BTreeMap::new();
    replies(&mut table);
    chosen_by_gate_and_state(&mut table);
    commands_answers(&mut table);
    answers_on_contacts(&mut table);
    answers_on_consent(&mut table);
    answers_on_messages(&mut table);
    answers_on_templates(&mut table);
    answers_on_rooms(&mut table);
    answers_on_advisors(&mut table);
    answers_on_rights(&mut table);
    answers_on_people(&mut table);
    refusals(&mut table);
    forms(&mut table);
    for (name, samples) in table.iter_mut().filter(|(name, _)| minds_what_the_reader_lacks(name)) {
        let lacks = json!({ "lacks": ["chat", "contact.create", "room.create", "template.send"] });
        samples.extend(samples.clone().iter().map(|sample| merged(sample, &lacks)));
        assert!(!samples.is_empty(), "{name}");
    }
    table
}

fn minds_what_the_reader_lacks(name: &str) -> bool {
    std::fs::read_to_string(root().join(format!("templates/chat/{name}.en.toml"))).unwrap().contains("lacks")
}

type Table = BTreeMap<&'static str, Vec<Value>>;

fn replies(table: &mut Table) {
    let ann = json!({ "name": "Ann Lee" });
    let line = json!({ "name": "Ann Lee", "text": "Hello" });
    let wide = |rule: &str| json!({ "name": "Ann Lee", "channel": "WhatsApp", "text": "Hi\nthere", "rule": rule });
    let with = |value: Value, more: Value| merged(&value, &more);
    let reason = |why: &&str| json!({ "user": "Tom", "room": "Lee family", "channel": "WhatsApp", "why": why });
    let reasons = |whys: &[&str]| whys.iter().map(reason).collect();
    let answer = json!({ "name": "Ann", "word": "no", "text": "STOP", "channel": "WhatsApp", "waiting": 0 });
    let rows: Vec<(&'static str, Vec<Value>)> = vec![
        ("info", vec![json!({ "text": "A line" })]),
        ("working", vec![json!({})]),
        ("nothing-done", vec![json!({})]),
        ("sent-again", vec![json!({})]),
        ("no-command", vec![json!({})]),
        ("edited", vec![json!({})]),
        ("cancelled", vec![json!({})]),
        ("connected", vec![ann.clone()]),
        (
            "invitation-sent",
            vec![
                with(ann.clone(), json!({ "has_room": true, "waits": false })),
                with(ann.clone(), json!({ "has_room": false, "waits": true })),
                with(ann.clone(), json!({ "has_room": true, "waits": false, "for": "Jane Doe" })),
                with(ann.clone(), json!({ "has_room": false, "waits": false, "for": "Jane Doe" })),
            ],
        ),
        ("moved", vec![json!({ "room": "Lee family" })]),
        ("you-are-in", vec![json!({ "room": "Lee family" })]),
        ("not-admitted", vec![json!({ "room": "Lee family" })]),
        ("admitted", vec![json!({ "room": "Lee family" })]),
        ("still-working", vec![json!({ "room": "Lee family" })]),
        ("admit-member", vec![json!({ "name": "Tom", "room": "Lee family" })]),
        ("member-added", vec![json!({ "name": "Tom", "room": "Lee family" })]),
        ("owner-asked", vec![json!({ "owner": "Jane", "room": "Lee family" })]),
        ("shown-out", reasons(&["other-sub-org", "not-enabled"])),
        ("outsider-stays", reasons(&["removed", "other-sub-org", "not-enabled"])),
        ("you-are-not-in", vec![json!({ "room": "Lee family" })]),
        ("bot-removed", vec![json!({ "room": "Lee family", "by": "Tom" }), json!({ "room": "Lee family", "by": null })]),
        ("bot-demoted", vec![json!({ "room": "Lee family", "by": "Tom" }), json!({ "room": "Lee family", "by": null })]),
        ("bot-back", vec![json!({ "owner": true }), json!({ "owner": false })]),
        ("room-closed-by-hand", vec![json!({ "room": "Lee family", "by": "Tom" }), json!({ "room": "Lee family", "by": null })]),
        ("room-stays-closed", vec![json!({ "room": "Lee family" })]),
        ("user-unreachable", vec![json!({ "user": "Tom", "email": "tom@acme.com" }), json!({ "user": "", "email": "" })]),
        ("member-change-failed", vec![json!({ "user": "Tom", "room": "Lee family" }), json!({ "user": "Tom", "room": "" })]),
        (
            "line-works-again",
            vec![json!({ "number": "+1555", "line_name": "Acme" }), json!({ "number": "777", "line_name": "" })],
        ),
        (
            "line-troubled",
            vec![
                json!({ "number": "+1555", "line_name": "Acme", "provider_code": "190", "detail": "The token has expired." }),
                json!({ "number": "777", "line_name": "", "provider_code": "190", "detail": "" }),
                json!({ "number": "+1202", "line_name": "", "provider": "Twilio", "provider_code": "20003", "detail": "" }),
            ],
        ),
        (
            "parked",
            vec![json!({ "number": "+49151", "why": "too many", "text": "Hi" }), json!({ "number": "", "why": "x", "text": "" })],
        ),
        ("consent-review", vec![with(line.clone(), json!({ "channel": "WhatsApp" }))]),
        (
            "consent-yes",
            vec![
                with(answer.clone(), json!({ "word": "yes", "waiting": 2 })),
                with(answer.clone(), json!({ "text": "" })),
                with(answer.clone(), json!({ "silent": true })),
                with(answer.clone(), json!({ "waiting": 1 })),
            ],
        ),
        ("consent-no", vec![answer.clone(), with(answer, json!({ "word": "review", "text": "" }))]),
        (
            "client-message",
            vec![
                with(wide("last-used"), json!({ "others": ["Lee family", "Lee & sons"], "quoted": "before" })),
                wide("only"),
                wide("last-used"),
                wide("moved"),
                with(wide("only"), json!({ "text": "picture: my cat", "thing": "picture", "caption": "my cat" })),
                with(wide("only"), json!({ "text": "order", "thing": "order", "caption": "" })),
                with(wide("only"), json!({ "text": "" })),
                with(wide("only"), json!({ "text": "👍", "sign": "reaction" })),
                with(wide("only"), json!({ "text": "", "sign": "reaction" })),
                with(wide("only"), json!({ "text": "Hello", "sign": "edit" })),
                with(wide("only"), json!({ "text": "", "sign": "revoke" })),
                with(wide("only"), json!({ "text": "+49151", "sign": "user_changed_number" })),
                with(
                    wide("only"),
                    json!({ "name": "+49151", "text": "+49151", "from": "+49152", "sign": "user_changed_number" }),
                ),
                with(wide("only"), json!({ "text": "DE.77", "sign": "user_changed_user_id" })),
            ],
        ),
        (
            "client-called",
            CONSENTS
                .iter()
                .flat_map(|consent| {
                    let ends = [(json!(false), Value::Null), (json!(true), json!(75)), (Value::Null, Value::Null)];
                    ends.into_iter().flat_map(move |(answered, seconds)| {
                        ["WhatsApp", "SMS"].map(|channel| {
                            json!({ "name": "Ann Lee", "number": "+4915112345678", "channel": channel, "at": BEFORE, "now": NOW,
                                "answered": answered, "seconds": seconds, "consent": consent, "willing": *consent == "OPTED_IN" })
                        })
                    })
                })
                .collect(),
        ),
        ("called-withheld", vec![json!({ "channel": "SMS", "at": BEFORE })]),
        ("parked-more", vec![json!({ "told": 5 })]),
        ("refusal-consent-missing", vec![ann.clone()]),
        ("send-by-sms", vec![json!({ "name": "Ann Lee", "text": "Good morning" })]),
        (
            "sms-room",
            CONSENTS
                .iter()
                .flat_map(|consent| {
                    [true, false].map(|there| {
                        json!({ "name": "Ann Lee", "room": "Ann Lee", "there": there, "consent": consent, "asks_first": there })
                    })
                })
                .collect(),
        ),
        (
            "call-list",
            vec![
                json!({ "name": "Ann Lee", "more": false, "calls": [], "now": NOW }),
                json!({ "name": "Ann Lee", "more": true, "now": NOW, "calls": [
                    { "at": BEFORE, "direction": "inbound", "channel": "SMS", "state": "answered", "seconds": 75 },
                    { "at": BEFORE, "direction": "inbound", "channel": "SMS", "state": "not answered", "seconds": null },
                ] }),
            ],
        ),
        ("group-created", [0, 2].map(|invited| json!({ "invited": invited, "count": 2, "room": "Lee" })).to_vec()),
        ("group-fell-back", ["131215", "not-there", "100"].map(|code| json!({ "provider_code": code, "room": "Lee" })).to_vec()),
        ("group-joined", vec![ann.clone()]),
        ("group-left", vec![ann.clone()]),
        ("group-removed", vec![ann.clone()]),
        ("group-picture-asked", vec![json!({ "file": "family.jpg" })]),
        ("group-picture-changed", vec![json!({ "name": "Jane Doe", "room": "Lee" })]),
        ("group-picture-silent", vec![json!({ "room": "Lee" })]),
        (
            "group-picture-not-changed",
            ["not-square", "131209", "too-small", "131210", "too-large", "wrong-type", "131207", "131000", "not-fetched"]
                .map(|why| json!({ "why": why, "detail": "640 × 480 pixels", "file": "family.jpg", "room": "Lee" }))
                .into_iter()
                .chain([json!({ "why": "131000", "detail": "", "file": "family.jpg", "room": "Lee" })])
                .collect(),
        ),
        (
            "group-not-removed",
            [(json!("Ann Lee"), false), (Value::Null, false), (json!("Ann Lee"), true), (Value::Null, true)]
                .map(|(name, over)| json!({ "name": name, "over": over }))
                .to_vec(),
        ),
        (
            "group-not-changed",
            [("words", false), ("words", true), ("link", false), ("link", true)]
                .map(|(kind, over)| json!({ "room": "Lee", "kind": kind, "over": over }))
                .to_vec(),
        ),
        (
            "group-request-waits",
            [(true, false), (true, true), (false, false), (false, true)]
                .map(|(full, over)| json!({ "name": "Ann Lee", "room": "Lee", "full": full, "over": over }))
                .to_vec(),
        ),
        (
            "group-request-rejected",
            [(Value::Null, Value::Null), (json!("Ann Lee"), Value::Null), (json!("Ann Lee"), json!("BARRED"))]
                .map(|(name, state)| json!({ "name": name, "state": state, "room": "Lee" }))
                .to_vec(),
        ),
        ("group-uninvited", vec![json!({ "room": "Lee" })]),
        ("group-unsettled", vec![ann.clone()]),
        (
            "group-suspended",
            [(false, 0, false), (true, 0, false), (true, 1, false), (true, 2, true)]
                .map(|(over, held, reading)| json!({ "over": over, "held": held, "reading_along": reading, "room": "Lee" }))
                .to_vec(),
        ),
        ("group-deleted", vec![json!({ "room": "Lee" })]),
        ("refusal-barred", vec![json!({})]),
        ("refusal-already-member", vec![ann.clone(), json!({})]),
        ("refusal-native-full", vec![json!({ "most": 8 })]),
        (
            "identity-changed",
            CONSENTS.map(|consent| json!({ "name": "Ann Lee", "id": "c-1", "channel": "WhatsApp", "consent": consent })).to_vec(),
        ),
        (
            "number-handed-on",
            [true, false].map(|taken| json!({ "name": "Ann Lee", "id": "c-1", "number": "+49151", "taken": taken })).to_vec(),
        ),
        ("lane-goes-on", vec![line.clone()]),
        ("unconfirmed", vec![line.clone()]),
        ("expired", waiting(&line)),
        ("expires-soon", waiting(&with(line.clone(), json!({ "expires_at": 1_763_754_480_000_i64 })))),
        ("not-on-whatsapp", vec![ann.clone()]),
        (
            "failed",
            vec![
                with(line.clone(), json!({ "provider_code": "131049", "detail": "Not delivered" })),
                with(line.clone(), json!({ "provider_code": "not-sent", "detail": "" })),
                ann.clone(),
            ],
        ),
        ("confirm-invitation", vec![with(ann.clone(), json!({ "channel": "WhatsApp" }))]),
        (
            "released",
            vec![
                with(ann.clone(), json!({ "count": 1, "to_group": true })),
                with(ann.clone(), json!({ "count": 2 })),
                with(ann, json!({ "count": 1 })),
            ],
        ),
    ];
    table.extend(rows);
}

fn merged(value: &Value, more: &Value) -> Value {
    let mut fields = value.as_object().unwrap().clone();
    fields.extend(more.as_object().unwrap().clone());
    Value::Object(fields)
}

/// For each gate and state of consent, and as lines were before they told of that.
fn waiting(line: &Value) -> Vec<Value> {
    let gates = GATES.iter().flat_map(|gate| CONSENTS.map(|consent| json!({ "gate": gate.id, "consent": consent })));
    let on = |row: Value| ["WhatsApp", "SMS"].map(|channel| merged(&row, &json!({ "channel": channel })));
    gates.flat_map(on).map(|row| merged(line, &row)).chain([line.clone()]).collect()
}

fn chosen_by_gate_and_state(table: &mut Table) {
    let gates = || GATES.iter().map(|gate| gate.id).chain(["template", "marketing", "another"]);
    let by_consent = || CONSENTS.map(|consent| json!({ "name": "Ann Lee", "consent": consent })).to_vec();
    let by_state = || STATES.map(|state| json!({ "name": "Ann Lee", "state": state })).to_vec();
    let mut held = Vec::new();
    for (gate, consent) in gates().flat_map(|gate| CONSENTS.map(|consent| (gate, consent))) {
        for (channel, notice) in [("WhatsApp", true), ("SMS", false)] {
            held.push(json!({ "name": "Ann Lee", "gate": gate, "consent": consent, "channel": channel, "notice": notice }));
        }
    }
    held.extend(held.clone().iter().map(|row| merged(row, &json!({ "group": true }))));
    let refused = gates().flat_map(|gate| {
        let named = json!({ "gate": gate, "name": "Ann Lee", "channel": "WhatsApp" });
        [merged(&named, &json!({ "group": true })), merged(&named, &json!({ "nobody": true })), named, json!({ "gate": gate })]
    });
    let withdrawn = gates().map(|gate| json!({ "gate": gate, "name": "Ann Lee", "text": "Good morning" }));
    table.insert("held", held);
    table.insert("text-refused", refused.collect());
    table.insert("withdrawn", withdrawn.collect());
    table.insert(
        "template-held",
        gates()
            .map(|gate| json!({ "gate": gate, "name": "Ann Lee", "template": "follow_up" }))
            .chain(
                group_rows()
                    .into_iter()
                    .map(|row| json!({ "name": "Lee", "template": "follow_up", "to_group": true, "row": row })),
            )
            .collect(),
    );
    table.insert("held-group", group_rows().into_iter().map(|row| json!({ "name": "Lee", "row": row })).collect());
    let rows = |for_gate: fn(&str) -> Value| GATES.iter().map(|gate| for_gate(gate.id)).collect::<Vec<_>>();
    let rows = rows(|gate| json!({ "name": "Ann Lee", "gate": gate }));
    let some = json!({ "name": "Bea Low", "sent": ["Ann Lee", "Bob"], "held": rows, "refused": rows });
    let without = |what: &str| merged(&some, &Value::Object([(what.to_owned(), json!([]))].into_iter().collect()));
    for name in ["group-sent", "group-passed-on"] {
        table.insert(name, vec![some.clone(), without("sent"), without("held"), without("refused")]);
    }
    for name in ["consent-stands", "review-ended"] {
        table.insert(name, by_consent());
    }
    for name in ["arrived-after-all", "edit-too-late", "delete-too-late"] {
        table.insert(name, by_state());
    }
}

fn commands_answers(table: &mut Table) {
    let opened = CONSENTS.iter().flat_map(|consent| {
        [true, false].map(|invited| {
            json!({ "names": ["Ann Lee", "Bob"], "consent": consent, "invited": invited, "channel": "WhatsApp", "firm": "Acme" })
        })
    });
    let one = |row: Value| {
        let mores = [json!({ "names": ["Ann Lee"] }), json!({ "shared": true }), json!({ "native": true })];
        mores.into_iter().chain([json!({})]).map(|more| merged(&row, &more)).collect::<Vec<_>>()
    };
    table.insert("room-opened", opened.flat_map(one).collect());
    let mut added = Vec::new();
    for (consent, on_behalf) in CONSENTS.iter().flat_map(|consent| [true, false].map(|flag| (consent, flag))) {
        let least = json!({
            "name": "Ann Lee", "id": "c-7F3KABCD", "for": "Jane Doe", "on_behalf": on_behalf, "is_new": on_behalf,
            "channel": "WhatsApp", "consent": consent, "with_room": false, "firm": "Acme Wealth",
        });
        added.push(merged(&least, &json!({ "with_room": true, "room": "Lee", "invited": 1, "already_waiting": 0 })));
        added.push(merged(&least, &json!({ "with_room": true, "room": "Lee", "room_was_there": true, "is_new": false })));
        added.push(merged(&least, &json!({ "with_room": true, "room": "Lee", "invited": 1, "was_listed": true })));
        added.push(least);
    }
    table.insert("contact-added", added);
    let created =
        CONSENTS.map(|consent| json!({ "name": "Lee", "room": "Lee 2", "invited": 1, "already_waiting": 0, "consent": consent }));
    table.insert(
        "room-created",
        created
            .into_iter()
            .chain([json!({ "name": "Lee" }), json!({ "name": "Lee", "invited": 2, "waits": true, "several": true })])
            .collect(),
    );
    let asked = json!({ "name": "Lee", "room": "Lee 2", "count": 3, "invited": 1, "already_waiting": 1 });
    let cut = json!({ "cut": true });
    table.insert("group-native", vec![merged(&asked, &cut), asked.clone(), merged(&asked, &json!({ "waits": true }))]);
    table.insert(
        "group-standard",
        ["asked", "too-many", "feature-off", "sms"]
            .iter()
            .flat_map(|standard| {
                ["WhatsApp", "SMS"].map(|channel| {
                    json!({ "name": "Lee", "room": "Lee 2", "standard": standard, "count": 9, "channel": channel, "waits": *standard == "asked",
                        "invited": 2, "already_waiting": 1, "shared": channel == "SMS", "several": true })
                })
            })
            .collect(),
    );
    let there = json!({ "name": "Ann", "room": "Lee", "room_key": "r-1", "owner": "Jane", "own": false });
    table.insert(
        "room-is-there",
        vec![
            there.clone(),
            merged(&there, &json!({ "own": true })),
            merged(&there, &json!({ "owner": "" })),
            merged(&there, &json!({ "line_left": false })),
        ],
    );
    table.insert(
        "template-list",
        vec![
            json!({ "templates": [{ "name": "follow_up", "languages": ["de", "en"], "not_approved": standings() },
                { "name": "plain", "languages": ["en"], "not_approved": [] }] }),
            json!({ "templates": [] }),
        ],
    );
    table.insert(
        "template-show",
        vec![
            json!({ "template": "document_ready", "parameters": ["topic"], "languages": ["de", "en"], "not_approved": standings() }),
            json!({ "template": "gone", "parameters": [], "languages": ["en"] }),
        ],
    );
    table.insert(
        "confirm-template",
        vec![
            json!({ "name": "Ann", "template": "document_ready", "body": body("Quarterly report"), "window_open": false }),
            json!({ "name": "Ann", "template": "document_ready", "body": body(HOSTILE), "window_open": true }),
            json!({ "name": "Ann", "template": "document_ready", "body": body(""), "window_open": true }),
        ],
    );
    let to_group =
        json!({ "name": "Lee", "template": "follow_up", "to_group": true, "body": body("Report"), "window_open": false });
    table.get_mut("confirm-template").unwrap().push(to_group.clone());
    table.insert("template-sent", vec![json!({ "name": "Ann", "template": "follow_up" }), to_group]);
}

/// Late in the afternoon of a day; what happened before was this morning.
const NOW: i64 = 1_763_754_480_000;
const BEFORE: i64 = NOW - 6 * 3_600_000;

/// Open, closed after the client wrote, closed because the client never did.
fn windows() -> [Value; 3] {
    [
        json!({ "open": true, "until": NOW + 3_600_000, "left": 3_600_000, "wrote_at": BEFORE }),
        json!({ "open": false, "until": null, "left": null, "wrote_at": BEFORE }),
        json!({ "open": false, "until": null, "left": null, "wrote_at": null }),
    ]
}

/// A contact on WhatsApp with each kind of window, and on SMS, which has none.
fn channels_of_a_contact() -> Value {
    let on_whatsapp = windows().map(
        |window| json!({ "channel": "WhatsApp", "status": "ACTIVE", "consent": "OPTED_IN", "since": BEFORE, "window": window }),
    );
    let on_sms = json!({ "channel": "SMS", "status": "INCOMPLETE", "consent": "NONE", "since": null, "window": null });
    on_whatsapp.into_iter().chain([on_sms]).collect()
}

fn answers_on_contacts(table: &mut Table) {
    let ann = json!({ "name": "Ann Lee", "id": "c-7F3KABCD" });
    let card = merged(
        &ann,
        &json!({
            "number": "+4915112345678", "email": "ann@lee.de", "company": "Lee & sons", "language": "de", "zone": "Europe/Berlin", "created_at": BEFORE,
            "created_by": "onboarder@acme.com", "requestor": "jane.doe@acme.com", "blocked": false, "incomplete": false,
            "own": true, "rooms": [{ "name": "Lee family", "channel": "WhatsApp" }, { "name": "Lee & sons", "channel": "SMS" }], "channels": channels_of_a_contact(), "now": NOW,
        }),
    );
    let least = json!({ "email": null, "company": "", "zone": null, "requestor": null, "rooms": [], "channels": [] });
    let cards = [
        card.clone(),
        merged(&card, &least),
        merged(&card, &merged(&least, &json!({ "own": false, "blocked": true }))),
        merged(&card, &merged(&least, &json!({ "incomplete": true }))),
    ];
    table.insert("contact-card", cards.to_vec());
    let row = merged(&ann, &json!({ "company": "Lee", "removed": false, "channels": channels_of_a_contact() }));
    let plain = merged(&ann, &json!({ "company": "", "removed": true, "channels": [] }));
    let list = json!({ "count": 2, "shown": 2, "contacts": [row, plain], "everyone": false, "text": null, "now": NOW });
    let none = json!({ "count": 0, "shown": 0, "contacts": [] });
    let lists = [
        list.clone(),
        merged(&list, &json!({ "count": 90, "everyone": true, "text": "Lee" })),
        merged(&list, &none),
        merged(&list, &merged(&none, &json!({ "text": "Lee" }))),
    ];
    table.insert("contact-list", lists.to_vec());
    table.insert("contact-updated", [true, false].map(|flag| merged(&ann, &json!({ "incomplete": flag }))).to_vec());
    table.insert("contact-complete", vec![ann]);
    for name in ["confirm-contact-remove", "contact-removed"] {
        let all = json!({ "name": "Ann Lee", "ending": ["Lee", "Orr"], "left": ["Roe"], "kept": ["Kay"], "held": 2 });
        let none = json!({ "ending": [], "left": [], "kept": [], "held": 0 });
        table.insert(name, vec![all.clone(), merged(&all, &json!({ "held": 1 })), merged(&all, &none)]);
    }
    let left = |owner: Value| json!({ "name": "Jane Doe", "owner": owner });
    table.insert("colleague-left", vec![left(json!("Tom")), left(Value::Null)]);
    table.insert("refusal-phone-immutable", vec![json!({ "name": "Ann Lee" })]);
}

/// All turns that a consent can take, as `Turned` keeps them.
fn turns() -> Value {
    let wamid = "wamid.HBgNNDkxNTExMjM0NTY3OBUCABIYFDNBQTk4";
    let rows = [
        ("NONE", "PENDING", "jane.doe@acme.com", "Request", Some("m-7F3KABCD")),
        ("PENDING", "PENDING", "jane.doe@acme.com", "Request", Some("m-7F3KABCE")),
        ("PENDING", "NONE", "liaison", "RequestFailed", Some("m-7F3KABCE")),
        ("PENDING", "OPTED_IN", "client", "Yes", Some(wamid)),
        ("PENDING", "OPTED_IN", "client", "AnyAnswer", Some(wamid)),
        ("OPTED_IN", "REVIEW", "client", "PossibleStop", Some(wamid)),
        ("REVIEW", "OPTED_IN", "jane.doe@acme.com", "Cleared", None),
        ("REVIEW", "OPTED_OUT", "jane.doe@acme.com", "StopConfirmed", None),
        ("REVIEW", "OPTED_OUT", "liaison", "ReviewRanOut", None),
        ("OPTED_IN", "OPTED_OUT", "client", "Stop", Some("SM12")),
        ("OPTED_OUT", "OPTED_OUT", "client", "Stop", Some(wamid)),
        ("OPTED_IN", "UNREACHABLE", "liaison", "NotOnWhatsApp", Some("m-7F3KABCE")),
        ("UNREACHABLE", "OPTED_IN", "client", "Inbound", Some(wamid)),
        ("OPTED_IN", "NONE", "liaison", "AnotherPerson", Some(wamid)),
        ("NONE", "OPTED_IN", "client", "another", None),
    ];
    let turn =
        |(from, to, by, how, message)| json!({ "at": BEFORE, "from": from, "to": to, "by": by, "how": how, "message": message });
    rows.into_iter().map(turn).collect()
}

fn answers_on_consent(table: &mut Table) {
    let told = |channels: Value| json!({ "name": "Ann Lee", "channels": channels, "now": NOW });
    let by_consent = CONSENTS.iter().flat_map(|consent| {
        let least =
            json!({ "channel": "WhatsApp", "consent": consent, "since": null, "by": null, "message": null, "asked_in": null });
        let client =
            json!({ "since": BEFORE, "by": "client", "message": "wamid.HBgNNDkxNTExMjM0NTY3OBUC", "asked_in": "m-7F3KABCD",
                "no_marketing_since": BEFORE });
        let firm = json!({ "since": BEFORE, "by": "jane.doe@acme.com", "message": "m-7F3KABCD", "asked_in": "m-7F3KABCD" });
        [merged(&least, &json!({ "needs_no_yes": *consent == "NONE" })), merged(&least, &client), merged(&least, &firm), least]
    });
    table.insert("consent-show", by_consent.map(|row| told(json!([row]))).chain([told(json!([]))]).collect());
    let history = json!([{ "channel": "WhatsApp", "turns": turns() }, { "channel": "SMS", "turns": [] }]);
    table.insert("consent-history", vec![told(history), told(json!([]))]);
    let window = |consent: &str, window: &Value, on: bool| json!({ "name": "Ann Lee", "on_whatsapp": on, "window": window, "consent": consent, "now": NOW });
    let on_whatsapp = CONSENTS.iter().flat_map(|consent| windows().map(|open| window(consent, &open, true)));
    table.insert("window", on_whatsapp.chain([window("NONE", &windows()[2], false)]).collect());
    table.insert("why", whys());
    table.insert("why-group", whys_of_groups());
    let joined = |joined: u32| windows().map(move |open| json!({ "name": "Lee", "window": open, "joined": joined, "now": NOW }));
    table.insert("window-group", joined(0).into_iter().chain(joined(2)).collect());
}

/// Every row of a native group's gate that does not say yes, with nobody, one member or several of whom that tells.
fn group_rows() -> Vec<Value> {
    let whats =
        ["nobody", "not-made", "suspended", "removed-reads-along"].map(|what| json!(what)).into_iter().chain([Value::Null]);
    let member = |name: &str, consent: &str| json!({ "name": name, "consent": consent, "blocked": false });
    let all: Vec<Value> = CONSENTS.iter().map(|consent| member("Eva Sun", consent)).collect();
    let who = [vec![], vec![member("Ann Lee", "OPTED_OUT")], all];
    let gates = GATES.iter().map(|gate| gate.id).chain(["template", "marketing"]);
    let rows = gates.flat_map(|gate| whats.clone().map(move |what| json!({ "gate": gate, "ok": false, "what": what })));
    rows.flat_map(|row| who.clone().map(|who| merged(&row, &json!({ "who": who })))).collect()
}

fn whys_of_groups() -> Vec<Value> {
    let fine: Vec<Value> = GATES.iter().map(|gate| json!({ "gate": gate.id, "ok": true, "what": null, "who": [] })).collect();
    let free = json!({
        "name": "Lee", "channel": "WhatsApp", "author": "Jane Doe", "own": true, "free_text": true, "rows": fine, "blocker": null,
        "holds": false, "template_goes": true, "quiet": null, "standing": null, "before_it": 0, "state": null, "now": NOW,
    });
    let template = merged(&free, &json!({ "free_text": false, "own": false, "before_it": 2 }));
    let of_state = STATES.map(|state| merged(&free, &json!({ "state": state })));
    let not = |row: Value| {
        let quiet = if row["what"].is_null() { quiet(json!(NOW + 1), false) } else { quiet(Value::Null, true) };
        merged(&free, &json!({ "blocker": row["gate"], "holds": true, "rows": [row], "quiet": quiet, "template_goes": false }))
    };
    [free.clone(), template].into_iter().chain(of_state).chain(group_rows().into_iter().map(not)).collect()
}

fn why() -> Value {
    let rows: Vec<Value> = GATES.iter().map(|gate| json!({ "gate": gate.id, "ok": true })).collect();
    json!({
        "name": "Ann Lee", "channel": "WhatsApp", "author": "Jane Doe", "own": true, "free_text": true, "rows": rows,
        "blocker": null, "holds": false, "consent": "OPTED_IN", "template_goes": true, "quiet": null, "ask_again_at": null,
        "before_it": 0, "state": null, "now": NOW,
    })
}

/// The same with one gate that does not say yes.
fn why_not(gate: &str, more: Value) -> Value {
    let row = |known: &str| json!({ "gate": known, "ok": known != gate });
    let rows: Vec<Value> = GATES.iter().map(|known| known.id).chain(["another"]).map(row).collect();
    let holds = ["consent", "quiet_hours", "window"].contains(&gate);
    merged(&merged(&why(), &json!({ "rows": rows, "blocker": gate, "holds": holds })), &more)
}

fn quiet(opens_at: Value, never_over: bool) -> Value {
    let (clock, zone) = if opens_at.is_null() { ("", "") } else { ("08:00", "America/Los_Angeles") };
    let zones = ["America/New_York", "America/Los_Angeles"];
    json!({ "zones": zones, "opens_at": opens_at, "clock": clock, "zone": zone, "never_over": never_over })
}

fn whys() -> Vec<Value> {
    let with = |more: Value| merged(&why(), &more);
    let mut all = vec![why(), with(json!({ "before_it": 2, "own": false })), with(json!({ "free_text": false }))];
    all.push(with(json!({ "channel": "SMS" })));
    all.extend(STATES.map(|state| with(json!({ "state": state }))));
    for gate in GATES.iter().map(|gate| gate.id).chain(["another"]) {
        all.extend(CONSENTS.map(|consent| why_not(gate, json!({ "consent": consent }))));
        let later = json!({ "consent": "PENDING", "own": false, "quiet": quiet(json!(NOW + 1), false), "ask_again_at": NOW + 1, "template_goes": false });
        all.push(why_not(gate, merged(&later, &json!({ "ask_again_at": NOW - 1 }))));
        all.push(why_not(gate, later));
        all.push(why_not(gate, json!({ "quiet": quiet(Value::Null, false) })));
        all.push(why_not(gate, json!({ "quiet": quiet(Value::Null, true) })));
    }
    all
}

/// A message with as little as it may have.
fn message(state: &str) -> Value {
    json!({
        "id": "m-7F3KABCD", "contact": "Ann Lee", "room": null, "author": null, "gist": "Good morning", "state": state,
        "reason": null, "accepted_at": BEFORE, "expires_at": null, "sent_at": null, "delivered_at": null, "read_at": null,
    })
}

/// How a template may stand in the account when it is not sent.
fn standings() -> Vec<Value> {
    let rows = [
        ("MISSING", Value::Null, Value::Null),
        ("PENDING", Value::Null, Value::Null),
        ("REJECTED", json!("The words are unclear."), Value::Null),
        ("PAUSED", Value::Null, Value::Null),
        ("APPROVED", Value::Null, json!("its body reads otherwise")),
        ("APPROVED", Value::Null, Value::Null),
    ];
    let row = |(status, reason, differs)| {
        json!({ "name": "follow_up", "language": "en_US", "status": status, "reason": reason, "category": "UTILITY",
            "quality": "YELLOW", "differs": differs, "sendable": false })
    };
    rows.into_iter().map(row).collect()
}

fn answers_on_templates(table: &mut Table) {
    let refused = |standing| json!({ "template": "follow_up", "language": "en", "standing": standing });
    let mut refusals: Vec<Value> = standings().into_iter().map(refused).collect();
    refusals.push(json!({ "template": "follow_up", "language": "fr" }));
    table.insert("refusal-not-approved", refusals);
    let all = standings().into_iter().chain([Value::Null]);
    let waits = all.flat_map(|standing| {
        let of = |name: &str| json!({ "name": "Ann Lee", "template": name, "standing": standing });
        ["liaison_invitation", "liaison_message_waiting", "liaison_notice"].map(of)
    });
    table.insert("template-waits", waits.collect());
    let news = ["approved", "not-approved", "category", "quality", "reason"];
    let rows = news.iter().flat_map(|news| standings().into_iter().map(move |row| merged(&row, &json!({ "news": news }))));
    let rows: Vec<Value> = rows.map(|row| merged(&row, &json!({ "filed_category": "MARKETING" }))).collect();
    let without_file = merged(&rows[0], &json!({ "news": "category", "filed_category": null }));
    table.insert("templates-changed", vec![json!({ "templates": rows }), json!({ "templates": [without_file] })]);
    let choice = |wants_none: bool| json!({ "name": "Ann Lee", "channel": "WhatsApp", "wants_none": wants_none });
    table.insert("marketing-choice", vec![choice(true), choice(false)]);
    table.insert("refusal-opted-out", vec![json!({ "name": "Ann Lee" }), json!({ "name": "Ann Lee", "marketing": true })]);
}

fn answers_on_messages(table: &mut Table) {
    let full = json!({
        "room": "Lee", "author": "Jane Doe", "reason": "131049", "expires_at": NOW + 86_400_000, "sent_at": BEFORE,
        "delivered_at": BEFORE + 1000, "read_at": BEFORE + 2000, "price_category": "utility", "price_type": "regular",
    });
    let messages: Vec<Value> = STATES.iter().flat_map(|state| [message(state), merged(&message(state), &full)]).collect();
    let sent = |name: Value, messages: &[Value]| json!({ "name": name, "messages": messages, "now": NOW });
    let to_ann = || json!("Ann Lee");
    let ticks = |read: bool| json!({ "name": "Eva Sun", "delivered_at": BEFORE, "read_at": read.then_some(NOW), "failed": null });
    let failed = json!({ "name": "Bob", "delivered_at": null, "read_at": null, "failed": "131026" });
    let waits = json!({ "name": "Bob", "delivered_at": null, "read_at": null, "failed": null });
    let to_group = json!({ "group": "Lee family", "members": [ticks(true), ticks(false), failed, waits] });
    let messages: Vec<Value> = messages.into_iter().chain([merged(&message("sent"), &to_group)]).collect();
    let rows = [&messages[..], &messages[..1], &[]].into_iter();
    table.insert("sent", rows.flat_map(|rows| [sent(to_ann(), rows), sent(Value::Null, rows)]).collect());
    let held = |reason: Value| merged(&message("held"), &json!({ "author": "Jane Doe", "reason": reason, "expires_at": NOW }));
    let reasons = GATES.iter().map(|gate| json!(gate.id)).chain([Value::Null]);
    let waiting: Vec<Value> = reasons.map(held).chain([message("held")]).collect();
    let queue = json!({ "count": 90, "shown": waiting.len(), "messages": waiting, "now": NOW });
    let one = json!({ "count": 1, "shown": 1, "messages": [message("held")] });
    let none = json!({ "count": 0, "shown": 0, "messages": [] });
    table.insert("queue-list", vec![merged(&queue, &one), merged(&queue, &none), queue]);
    let named = || vec![json!({ "id": "m-7F3KABCD", "name": "Jane Doe" })];
    table.insert("queue-cancelled", named());
    table.insert("queue-not-yours", named());
    table.insert("refusal-already-sent", STATES.map(|state| json!({ "id": "m-7F3KABCD", "state": state })).to_vec());
    table.insert("noted", vec![json!({})]);
    table.insert("answered-privately", vec![json!({})]);
    table.insert("dryrun", dry_runs());
}

fn dry_runs() -> Vec<Value> {
    let line = |kind: &str, reason: Value, at: Value| json!({ "kind": kind, "to": "Ann Lee", "where": "Lee", "reason": reason, "at": at, "parts": null });
    let items = [
        json!({ "kind": "picture", "file": "family.jpg" }),
        json!({ "kind": "link", "linked": ["Ann Lee", "Ben Orr"] }),
        json!({ "kind": "message", "to": "Ann Lee", "channel": "WhatsApp", "gist": "Good morning", "parts": null }),
        json!({ "kind": "message", "to": "Ann Lee", "channel": "SMS", "gist": "Good morning", "parts": 3 }),
        merged(&line("held", json!("consent"), Value::Null), &json!({ "parts": 1 })),
        line("held", json!("window"), Value::Null),
        line("held", json!("consent"), Value::Null),
        line("held", json!("quiet_hours"), json!(NOW)),
        line("held", Value::Null, Value::Null),
        line("refused", json!("consent"), Value::Null),
        line("refused", Value::Null, Value::Null),
        line("question", Value::Null, Value::Null),
        line("line", Value::Null, Value::Null),
        json!({ "kind": "room", "name": "Lee", "invited": ["Ann Lee", "Bob"] }),
        json!({ "kind": "room", "name": "Lee", "invited": [] }),
        json!({ "kind": "room", "name": "Lee", "invited": ["Bob"], "group": "Lee family", "linked": ["Ann Lee"] }),
        json!({ "kind": "room", "name": "Lee", "invited": [], "group": "Lee family", "linked": [] }),
        json!({ "kind": "joins", "to": "Jane", "room": "Lee" }),
        json!({ "kind": "joins", "to": "Jane", "room": null }),
        json!({ "kind": "leaves", "to": "Jane", "room": "Lee" }),
        json!({ "kind": "leaves", "to": "Jane", "room": null }),
        json!({ "kind": "demoted", "to": "Jane", "room": "Lee" }),
        json!({ "kind": "demoted", "to": "Jane", "room": null }),
        json!({ "kind": "renamed", "to": "Lee family", "room": "Lee" }),
        json!({ "kind": "renamed", "to": "Lee family", "room": null }),
        json!({ "kind": "closed", "room": "Lee" }),
        json!({ "kind": "closed", "room": null }),
    ];
    let none = json!({ "typed": "/x", "items": [], "asks_first": false, "form": false, "refused": null, "now": NOW });
    let refused = |words: &str| merged(&none, &json!({ "refused": { "code": "no-permission", "words": words } }));
    vec![
        merged(&none, &json!({ "items": items })),
        merged(&none, &json!({ "items": items, "asks_first": true })),
        merged(&none, &json!({ "asks_first": true })),
        merged(&none, &json!({ "form": true })),
        refused("chat"),
        refused(""),
        none,
    ]
}

fn answers_on_rooms(table: &mut Table) {
    let contact =
        |consent: &str, window: Value| json!({ "name": "Ann Lee", "id": "c-7F3KABCD", "consent": consent, "window": window });
    let mut contacts = windows().map(|window| contact("OPTED_IN", window)).to_vec();
    contacts.push(contact("PENDING", Value::Null));
    let members = json!([{ "name": "Jane Doe", "owner": true }, { "name": "Tom", "owner": false }]);
    let room = json!({
        "name": "Lee family", "channel": "WhatsApp", "status": "ACTIVE", "created_at": BEFORE, "created_by": "jane.doe@acme.com",
        "contacts": contacts, "members": members, "attachments": 0, "link": "stream-1",
    });
    let unasked = json!({ "status": "INACTIVE", "link": null, "contacts": [contact("NONE", windows()[2].clone())] });
    let states = ["INVITED", "JOINED", "LEFT", "BARRED"];
    let member = |state: &str| merged(&contact("OPTED_IN", Value::Null), &json!({ "member": state }));
    let of_group = |made: bool, suspended: bool, window: Value| {
        let group = json!({ "name": "Lee family", "made": made, "suspended": suspended, "window": window });
        merged(&room, &json!({ "status": "INACTIVE", "group": group, "contacts": states.map(member) }))
    };
    let [open, closed, _] = windows();
    let groups = [
        of_group(true, false, open),
        of_group(true, false, closed.clone()),
        of_group(true, true, closed.clone()),
        of_group(false, false, closed),
    ];
    let rooms = [room.clone(), merged(&room, &json!({ "status": "INACTIVE" })), merged(&room, &unasked)];
    let rooms: Vec<Value> = rooms.into_iter().chain(groups).collect();
    table.insert("room-info", rooms.iter().map(|room| json!({ "room": room, "now": NOW })).collect());
    let list = |count: usize, rooms: &[Value]| json!({ "count": count, "shown": rooms.len(), "rooms": rooms, "now": NOW });
    table.insert("room-list", vec![list(90, &rooms), list(1, &rooms[..1]), list(0, &[])]);
    table.insert("refusal-not-a-member", vec![json!({}), json!({ "user": "Tom" })]);
    let flags = || [true, false].into_iter().flat_map(|one| [true, false].map(|other| (one, other)));
    let row = |asks: bool, shared: bool| json!({ "name": "Ben Orr", "room": "Lee family", "asks": asks, "shared": shared });
    let cards = flags().map(|(asks, shared)| merged(&row(asks, shared), &json!({ "others": ["Ann Lee", "Cid Roe"] })));
    table.insert("confirm-room-contact-add", cards.collect());
    let added = CONSENTS.iter().flat_map(|consent| {
        let more = move |status: &str| json!({ "consent": consent, "status": status, "waits": status == "ACTIVE" });
        flags().flat_map(move |(asks, shared)| ["INACTIVE", "ACTIVE"].map(|status| merged(&row(asks, shared), &more(status))))
    });
    let native = |(consent, linked): (&&str, bool)| {
        merged(
            &row(*consent == "NONE", false),
            &json!({ "consent": consent, "status": "INACTIVE", "native": true, "linked": linked, "waits": false }),
        )
    };
    let of_groups = CONSENTS.iter().flat_map(|consent| [(consent, true), (consent, false)]).map(native);
    table.insert("room-contact-added", added.chain(of_groups).collect());
    for name in ["confirm-room-contact-remove", "room-contact-removed"] {
        let rows = [(0, false), (1, false), (2, true)];
        let row = |(held, last)| json!({ "name": "Ben Orr", "room": "Lee family", "held": held, "last": last, "barred": false, "leaves": false });
        let barred = |leaves| json!({ "name": "Ben Orr", "room": "Lee family", "held": 0, "last": false, "barred": true, "leaves": leaves });
        table.insert(name, rows.map(row).into_iter().chain([true, false].map(barred)).collect());
    }
}

/// Owners, and several advisors with one client.
fn answers_on_advisors(table: &mut Table) {
    let tom = json!({ "user": "Tom Roe", "name": "Tom Roe", "by": "Jane Doe", "room": "Lee family", "channel": "WhatsApp" });
    let plain = ["you-removed", "you-were-removed", "you-were-added", "colleague-joined", "rename-stays", "room-handed-over"];
    let more = ["restart-asked", "restart-yes", "restart-no", "restart-void", "colleague-deactivated"];
    let refused =
        ["refusal-not-enabled", "refusal-other-sub-org", "refusal-last-owner", "refusal-same-name", "refusal-deactivated"];
    for name in plain.into_iter().chain(more).chain(refused) {
        table.insert(name, vec![tom.clone()]);
    }
    let with = |more: Value| merged(&tom, &more);
    let no_owner = |outside: bool| with(json!({ "bot": true, "outside": outside }));
    table.insert("refusal-not-owner", vec![tom.clone(), no_owner(false), no_owner(true)]);
    table.insert("colleague-removed", vec![with(json!({ "owner": "Ada" })), with(json!({ "owner": null }))]);
    table.insert("owner-set", vec![with(json!({ "owner": true })), with(json!({ "owner": false }))]);
    table.insert("owner-instead", vec![json!({ "owner": "Ada" })]);
    table.insert("room-renamed", vec![json!({ "from": "Lee", "name": "Lee family" })]);
    let changes = ["joined", "left", "promoted", "demoted", "renamed"];
    table.insert("change-undone", changes.map(|change| with(json!({ "change": change }))).to_vec());
    let held = |name: &'static str, table: &mut Table| {
        let native = with(json!({ "held": 0, "native": true }));
        table.insert(name, [0, 1, 2].map(|held| with(json!({ "held": held }))).into_iter().chain([native]).collect());
    };
    for name in [
        "confirm-room-remove",
        "confirm-room-transfer",
        "room-transferred",
        "handed-over-to-you",
        "confirm-room-deactivate",
        "room-deactivated",
    ] {
        held(name, table);
    }
    let alone = |alone: bool, held: usize, id: Value| {
        with(json!({ "alone": alone, "held": held, "id": id, "cover": if held > 0 { vec!["Bob Ray"] } else { vec![] } }))
    };
    for name in ["confirm-room-leave", "you-left"] {
        let native = merged(&alone(false, 0, Value::Null), &json!({ "native": true }));
        let rows = [alone(true, 0, json!("c-7F3KABCD")), alone(false, 2, Value::Null), alone(false, 0, json!("c-1")), native];
        table.insert(name, rows.to_vec());
    }
    table.insert("take-over", vec![with(json!({ "text": "Good morning" }))]);
}

fn answers_on_rights(table: &mut Table) {
    let least = json!({ "name": "Jane Doe", "email": "jane.doe@acme.com", "channels": [], "general": [], "sub_org": "" });
    let channels = json!([
        { "channel": "WhatsApp", "permissions": ["chat", "contact.create"] },
        { "channel": "SMS", "permissions": ["chat"] },
    ]);
    let full = merged(&least, &json!({ "channels": channels, "general": ["admin", "audit.read"], "sub_org": "EMEA" }));
    let both = |more: Value| vec![merged(&full, &more), merged(&least, &more)];
    table.insert("admin-entitled", both(json!({})));
    table.insert("admin-revoked", both(json!({ "revoked": ["WhatsApp", "SMS"] })));
    let seen = [(true, json!(42)), (false, json!(42)), (false, Value::Null)].into_iter();
    table.insert("admin-show", seen.flat_map(|(granted, id)| both(json!({ "granted": granted, "id": id }))).collect());
    table.insert("whoami", [both(json!({ "id": 42 })), both(json!({ "id": 42, "email": "" }))].concat());
    let status = json!({
        "firm": "Acme & Co", "version": "0.1.0", "languages": ["de", "en"], "advisors": 3, "granted": 1, "contacts": 1000,
        "rooms": 1000, "held": 2, "most": 1000, "templates": ["follow_up"], "default_advisors": ["jane.doe@acme.com"],
        "lines": [
            { "name": "Acme Direct", "number": "+15550783881", "channel": "WhatsApp", "advisor": null },
            { "name": "Jane", "number": "+15550783882", "channel": "WhatsApp", "advisor": "jane.doe@acme.com" },
        ],
    });
    let bare = json!({ "lines": [], "default_advisors": [], "templates": [], "contacts": 0, "rooms": 0 });
    let health = json!({
        "feed": { "transport": "websocket", "connected": true, "superseded": false, "since": BEFORE, "last_error": null },
        "store": { "sequence": 1234, "behind": 0, "free": 80_u64 << 30, "writable": true },
        "queues": { "due": 1, "in_flight": 1, "in_doubt": 0, "held": 2 }, "login": null, "clock": true, "lines": {},
    });
    let worse = json!({
        "feed": { "transport": "long-poll", "connected": false, "superseded": true, "since": BEFORE, "last_error": "gone" },
        "store": { "sequence": 1, "behind": 12, "free": 1_u64 << 28, "writable": false }, "login": "401", "clock": false,
    });
    let gone = json!({ "feed": merged(&worse["feed"], &json!({ "superseded": false })),
        "store": merged(&worse["store"], &json!({ "free": null })) });
    let line = |state: Value, detail: &str| {
        let trouble = json!({ "code": "190", "detail": detail, "since": BEFORE });
        json!({ "name": "Jane", "number": "+1555", "channel": "WhatsApp", "advisor": null, "state": state, "trouble": trouble })
    };
    let lines = json!([
        line(json!("works"), ""),
        line(json!("unheard"), ""),
        line(json!("resting"), ""),
        line(json!("stopped"), "The token has expired."),
        line(json!("stopped"), ""),
        line(Value::Null, ""),
    ]);
    let with = |health: Value| merged(&status, &json!({ "health": health, "lines": lines, "now": NOW }));
    let told = [with(merged(&health, &worse)), with(merged(&health, &gone)), with(Value::Null), with(health)];
    table.insert("admin-status", told.into_iter().chain([merged(&status, &bare), status]).collect());
    let commands: Vec<Value> = commands::ALL
        .iter()
        .map(|command| json!({ "path": command.path, "usage": command.usage, "about": command.about }))
        .collect();
    let help = ["Acme & Co", ""].map(|firm| json!({ "firm": firm, "commands": commands, "example": "contact list" }));
    table.insert("help", help.into_iter().chain([json!({ "firm": "Acme", "commands": [] })]).collect());
    table.insert("help-client", vec![json!({ "firm": "Acme & Co" })]);
    let command = |form: bool, needs: Value| json!({ "path": "x", "usage": "/x <y>", "example": "/x y", "about": "does x", "needs": needs, "form": form });
    table.insert("help-command", vec![command(true, json!(["chat", "audit.read"])), command(false, json!([]))]);
}

/// An advisor's template with this topic.
fn body(topic: &str) -> Value {
    let vars = [
        ("contact.first", "Ann"),
        ("contact.last", "Lee"),
        ("advisor.name", "Jane Doe"),
        ("firm", "Acme Wealth"),
        ("line.name", "Acme Direct"),
        ("topic", topic),
    ];
    let vars = vars.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    json!(Body::Template { name: "document_ready".into(), language: "en".into(), vars })
}

/// Each kind with everything and with nothing.
fn answers_on_handovers() -> Vec<(&'static str, Vec<Value>)> {
    const WHYS: [&str; 8] =
        ["other-sub-org", "not-entitled", "already-there", "no-permission", "not-theirs", "bot-not-owner", "busy", "another"];
    let colleagues: Vec<Value> = WHYS.iter().map(|why| json!({ "name": "Tom", "why": why })).collect();
    let shared = vec![
        json!({ "name": "Ann Lee", "colleagues": [{ "name": "Bob Ray", "why": null }] }),
        json!({ "name": "Ann Lee", "colleagues": colleagues }),
    ];
    let all = json!({
        "from": "Jane", "to": "Bob", "sub_org": "Retail", "contacts": 60, "moved": ["Ann Lee", "Ben"], "rooms": 61, "held": 2,
        "refused": colleagues, "refused_count": 90, "left": ["Lee family"], "left_count": 3, "empty": ["Lee family"], "withdrawn": 1,
        "lines": ["+1555"], "is_default": true, "covers": ["Wealth"],
        "settings": [{ "name": "held_max", "value": "3", "from": "Wealth" }, { "name": "cover", "value": "", "from": null }], "closed": ["SMS"],
    });
    let none = json!({
        "from": "Jane", "to": null, "sub_org": "", "contacts": 0, "moved": [], "rooms": 0, "held": 0, "refused": [],
        "refused_count": 0, "left": [], "left_count": 0, "empty": [], "withdrawn": 0, "lines": [], "is_default": false, "covers": [], "settings": [], "closed": [],
    });
    let kinds = ["transfer", "offboard", "suborg"];
    let with_kind = |value: &Value| kinds.map(|kind| merged(value, &json!({ "kind": kind }))).to_vec();
    let counted = json!({ "from": "Jane", "to": "Bob", "contacts": 2, "rooms": 1 });
    let named = |name: &str| merged(&counted, &json!({ "name": name }));
    let to_you = |names: Value, held: usize| merged(&counted, &json!({ "names": names, "held": held }));
    vec![
        ("confirm-share", shared.clone()),
        ("contact-shared", shared),
        ("shared-with-you", vec![json!({ "by": "Jane", "name": "Ann Lee", "id": "c-1" })]),
        (
            "confirm-transfer",
            vec![merged(&counted, &json!({ "all": true })), merged(&named("Ann Lee"), &json!({ "all": false }))],
        ),
        ("confirm-offboard", vec![counted.clone()]),
        ("handover-report", [with_kind(&all), with_kind(&none)].concat()),
        ("handover-goes-on", [with_kind(&counted), with_kind(&merged(&counted, &json!({ "to": null })))].concat()),
        ("handed-to-you", vec![to_you(json!(["Ann Lee"]), 1), to_you(json!([]), 0)]),
        ("conversation-handed-over", [true, false].map(|stays| json!({ "by": "Jane", "user": "Bob", "stays": stays })).to_vec()),
        ("stand-ins", vec![json!({ "names": ["Bob Ray"] }), json!({ "names": ["Bob Ray", "Eve Fox"] })]),
        (
            "room-without-advisors",
            [0, 2]
                .map(|held| json!({ "name": "Jane", "room": "Lee family", "held": held, "cover": vec!["Bob Ray"; held] }))
                .to_vec(),
        ),
        ("colleague-not-entitled", vec![json!({ "user": "Tom" }), json!({ "user": "Tom", "channel": "SMS" })]),
        ("refusal-other-sub-org", vec![json!({ "user": "Tom" })]),
        (
            "admin-suborg",
            vec![
                json!({ "name": "Tom", "sub_org": "Retail" }),
                json!({ "name": "Tom", "sub_org": "Retail", "closed": ["SMS"], "settings": [{ "name": "held_max", "value": "3", "from": null }] }),
            ],
        ),
    ]
}

fn answers_on_people(table: &mut Table) {
    table.extend(answers_on_handovers());
    let ann = |more: Value| merged(&json!({ "name": "Ann Lee" }), &more);
    table.insert("contact-block", [0, 1, 2].map(|withdrawn| ann(json!({ "reason": "spam", "withdrawn": withdrawn }))).to_vec());
    table.insert("contact-blocked", vec![ann(json!({ "reason": "spam" }))]);
    for name in ["contact-unblock", "contact-unblocked"] {
        let groups = |messages: i32| if messages == 3 { vec!["Lee family", "Lee & sons"] } else { Vec::new() };
        let row = |(m, c)| ann(json!({ "messages": m, "calls": c, "groups": groups(m) }));
        table.insert(name, [(0, 0), (3, 0), (1, 2)].map(row).to_vec());
    }
    let inbound =
        json!({ "channel": "WhatsApp", "room": "Estate", "at": BEFORE, "now": NOW, "others": [], "moves": [], "quoted": null });
    let moved = json!({ "others": ["Lee & sons"], "quoted": "Hello", "moves": [
        { "from": "Ann Lee", "by": "Jane Doe", "at": BEFORE }, { "from": null, "by": "Jane Doe", "at": BEFORE },
    ] });
    let by_rule = ["quoted", "only", "last-used", "group"].map(|rule| ann(merged(&inbound, &json!({ "rule": rule }))));
    table.insert("why-client-message", by_rule.iter().flat_map(|one| [one.clone(), merged(one, &moved)]).collect());
}

fn refusals(table: &mut Table) {
    let none = || vec![json!({})];
    let rows: Vec<(&'static str, Vec<Value>)> = vec![
        (
            "refusal-attachment",
            vec![
                json!({ "why": "type", "file": "run.exe", "count": 2 }),
                json!({ "why": "size", "file": "a.png", "count": 1, "size": "7.3 MB", "limit": "5 MB", "kind": "picture" }),
                json!({ "why": "size", "file": "a.mp4", "count": 1, "size": "20 MB", "limit": "16 MB", "kind": "video" }),
                json!({ "why": "empty", "file": "a.png", "count": 1, "size": "0 KB" }),
                json!({ "why": "type", "channel": "SMS", "file": "a.pdf", "count": 1 }),
                json!({ "why": "size", "channel": "SMS", "file": "a.png", "count": 1, "size": "7.3 MB", "limit": "5 MB",
                    "kind": "picture" }),
                json!({ "why": "too-many", "limit": 25, "count": 26 }),
                json!({ "why": "unread", "file": "a.pdf", "name": "Ann Lee", "detail": "its bytes are not of the type application/pdf" }),
                json!({}),
            ],
        ),
        (
            "refusal-too-long",
            vec![
                json!({ "length": 5000, "most": 4096 }),
                json!({ "length": 5000 }),
                json!({ "length": 1700, "most": 1600, "parts": 12 }),
            ],
        ),
        (
            "refusal-held-max",
            [json!({ "count": 20 }), json!({ "count": 1, "name": "Ann Lee" })].iter().flat_map(waiting).collect(),
        ),
        ("refusal-not-entitled", vec![json!({ "channel": "WhatsApp" }), json!({})]),
        (
            "refusal-unknown-command",
            vec![
                json!({ "suggestions": ["contact add", "contact list", "optin send"], "in_client_room": true, "typed": "/contcat" }),
                json!({ "suggestions": [] }),
                json!({}),
            ],
        ),
        (
            "refusal-no-such-contact",
            vec![
                json!({ "typed": "Anne", "near": ["Ann Lee", "Anna"] }),
                json!({ "typed": "+49151", "near": [], "number": "+49151" }),
                json!({ "typed": "Bob", "near": [], "colleagues": true }),
                json!({}),
            ],
        ),
        (
            "refusal-ambiguous",
            vec![
                json!({ "typed": "Ann", "choices": [{ "name": "Ann Lee", "id": "c-1", "number": "+49" }, { "name": "Ann Orr", "id": "c-2", "number": null }] }),
                json!({ "choices": [] }),
            ],
        ),
        ("refusal-no-permission", vec![json!({ "permission": "contact.create" })]),
        (
            "refusal-bad-argument",
            vec![
                json!({ "argument": "phone", "why": "is missing", "example": "phone=+49" }),
                json!({ "argument": "email", "why": "it has no @", "example": "email=ann@lee.de" }),
                json!({ "argument": HOSTILE, "why": HOSTILE, "example": HOSTILE }),
            ],
        ),
        ("refusal-not-yours", vec![json!({ "name": "Jane" }), json!({})]),
        (
            "refusal-name-too-long",
            vec![json!({ "most": 60, "sub_org": true }), json!({ "most": 49 }), json!({ "most": 128, "length": 129 })],
        ),
        ("refusal-mixed-channels", vec![json!({}), json!({ "name": "Ann Lee", "channel": "WhatsApp" })]),
        (
            "refusal-name-taken",
            vec![
                json!({ "name": "Lee" }),
                json!({ "name": "Lee", "renaming": true }),
                json!({ "name": "Lee", "added": true, "again": "/room create \"…\" c-1" }),
            ],
        ),
        ("refusal-phone-invalid", vec![json!({ "why": "it is too short", "argument": "phone" })]),
        ("refusal-email-required", vec![json!({ "argument": "email" })]),
        ("refusal-requestor-not-entitled", vec![json!({ "channel": "WhatsApp" }), json!({})]),
        ("refusal-busy", vec![json!({ "why": "The consent stands otherwise now." })]),
        ("refusal-no-line-left", vec![json!({ "channel": "WhatsApp" }), json!({})]),
        (
            "refusal-pending-until",
            vec![
                json!({ "until": 1_763_754_480_000_i64 }),
                json!({ "until": 1_763_754_480_000_i64, "command": "/room restart" }),
            ],
        ),
        (
            "refusal-missing-parameter",
            vec![
                json!({ "parameter": "topic", "example": "/template send x topic=\"…\"" }),
                json!({ "parameter": "contact.last", "group": "Lee", "example": "/template send x to=…" }),
            ],
        ),
    ];
    table.extend(rows);
    for name in ["refusal-expired-confirmation", "refusal-sms-not-set-up", "refusal-match-one-only", "refusal-entitled"] {
        table.insert(name, none());
    }
    for name in ["refusal-sub_org", "refusal-blocked", "refusal-address", "refusal-membership", "refusal-room", "refusal-consent"]
    {
        table.insert(name, vec![json!({ "name": "Ann Lee" }), json!({})]);
    }
    table.get_mut("refusal-membership").unwrap().push(json!({ "name": "Lee", "nobody": true }));
    let listed = |on_behalf: bool| json!({ "name": "Ann Lee", "id": "c-7F3KABCD", "for": "Jane Doe", "on_behalf": on_behalf });
    let listed = [listed(true), listed(false)];
    let with_room = listed.iter().map(|row| merged(row, &json!({ "room": "Ann Lee" })));
    table.insert("refusal-already-yours", with_room.chain(listed.iter().cloned()).collect());
    for name in ["refusal-not-on-whatsapp", "refusal-nothing-pending", "refusal-already-in"] {
        table.insert(name, vec![json!({ "name": "Ann Lee" })]);
    }
}

/// Empty, and brought back filled with each mistake that a field can have.
fn forms(table: &mut Table) {
    let values = json!({
        "first": "Ann", "last": "Lee", "phone": "+49151", "email": "ann@lee.de", "company": "Lee", "channel": "sms", "lang": "de",
        "for": [123_456], "room": "on", "contact": "Ann", "name": "follow_up", "to": "Ann", "topic": "x".repeat(300), "action": "submit",
    });
    let mistakes = [
        json!({ "code": "bad-argument", "vars": { "argument": "first", "why": "is missing", "example": "/contact add …" } }),
        json!({ "code": "bad-argument", "vars": { "argument": "email", "why": "it has no @", "example": "email=ann@lee.de" } }),
        json!({ "code": "bad-argument", "vars": { "argument": "colleague", "why": "is not known to me", "example": "@jane" } }),
        json!({ "code": "phone-invalid", "vars": { "argument": "phone", "why": "it is too short" } }),
        json!({ "code": "email-required", "vars": { "argument": "email" } }),
        json!({ "code": "name-too-long", "vars": { "most": 49 } }),
        json!({ "code": "mixed-channels", "vars": {} }),
        json!({ "code": "no-such-contact", "vars": { "typed": "Anne", "near": ["Ann Lee"] } }),
        json!({ "code": "no-such-contact", "vars": {} }),
        json!({ "code": "ambiguous", "vars": { "typed": "Ann", "choices": [{ "name": "Ann Lee", "id": "c-1", "number": null }] } }),
        json!({ "code": "requestor-not-entitled", "vars": { "argument": "for", "channel": "WhatsApp" } }),
        json!({ "code": "no-permission", "vars": { "argument": "email", "permission": "contact.edit-email" } }),
        json!({ "code": "match-one-only", "vars": {} }),
        json!({ "code": "sms-not-set-up", "vars": { "argument": "channel" } }),
        json!({ "code": "no-line-left", "vars": { "argument": "room", "channel": "WhatsApp" } }),
        json!({ "code": "opted-out", "vars": { "argument": "room", "name": "Ann Lee" } }),
        json!({ "code": "name-taken", "vars": { "argument": "name", "name": "Lee family" } }),
        json!({ "code": "missing-parameter", "vars": { "parameter": "topic", "example": "/template send x topic=\"…\"" } }),
    ];
    let least = json!({ "values": {}, "templates": [], "languages": [], "on_behalf": false, "usage": "/x" });
    let full = json!({ "values": values, "templates": ["document_ready", "follow_up"], "languages": ["de", "en"], "on_behalf": true, "usage": "/x <y>" });
    let mut rows = vec![full.clone(), least.clone()];
    for mistake in mistakes {
        rows.push(merged(&full, &json!({ "mistake": mistake })));
        rows.push(merged(&least, &json!({ "mistake": mistake })));
    }
    for name in FORMS {
        table.insert(name, rows.clone());
    }
}

const FORMS: [&str; 7] = [
    "form-contact-add",
    "form-contact-edit",
    "form-contact-complete",
    "form-group-create",
    "form-optin-send",
    "form-room-create",
    "form-template-send",
];

#[test]
fn all_words_are_markup_that_the_pod_takes() {
    for (name, rows) in samples() {
        for vars in rows {
            for with_ids in [true, false] {
                let (calm, message) = accepted(name, &vars, with_ids);
                assert!(!message.contains("  ") || vars.to_string().contains("  "), "{name}: two blanks in {message}");
                let read = markup::plain_text(&message);
                assert!(!read.contains("\n\n"), "{name}: an empty line in\n{read}");
                let (hostile, _) = accepted(name, &made_hostile(&vars), with_ids);
                let shape_depends_on_values =
                    name.starts_with("form-") || name == "template-show" || vars.to_string().contains("\\n");
                if !shape_depends_on_values {
                    assert_eq!(elements(&calm), elements(&hostile), "{name} with {vars}");
                }
            }
        }
    }
}

/// The core's names need a sample each, so that no words go unread. A new name without one is told here.
#[test]
fn every_reply_of_the_first_commands_has_a_sample() {
    let (table, named) = (samples(), names_of_the_core());
    let ours = files().into_iter().filter(|name| named.contains(name) && !PARTS.contains(&name.as_str()));
    let missing: Vec<String> = ours.filter(|name| !table.contains_key(name.as_str())).collect();
    assert!(missing.is_empty(), "no sample for {missing:?}");
}

#[test]
fn hostile_values_are_read_as_they_were_written() {
    let line = plain("client-message", json!({ "name": HOSTILE, "channel": "WhatsApp", "text": HOSTILE, "rule": "only" }));
    assert_eq!(line, format!("{HOSTILE} · WhatsApp\n{HOSTILE}"));
    let vars = json!({ "name": "x", "channel": "WhatsApp", "text": "x", "rule": "last-used", "others": [HOSTILE] });
    assert!(plain("client-message", vars).ends_with(&format!("[{HOSTILE}]")));
    let values = json!({ "values": { "first": HOSTILE, "to": HOSTILE }, "templates": [HOSTILE], "languages": [HOSTILE], "on_behalf": true });
    let (form, _) = accepted("form-contact-add", &values, true);
    assert_eq!(attributes(&form, "option", "value")[2], HOSTILE);
}

// ---- what single lines say

/// INTERFACES §5: the name in bold, the channel, the text, and nothing else.
#[test]
fn s4_13_a_clients_line_shows_name_and_channel_and_nothing_else() {
    let vars =
        |more: Value| merged(&json!({ "name": "Ann Lee", "channel": "WhatsApp", "text": "Hi\nthere", "rule": "only" }), &more);
    assert_eq!(inner("client-message", vars(json!({ "quoted": "x" }))), "<b>Ann Lee</b> · WhatsApp<br/>Hi<br/>there");
    assert_eq!(
        inner("client-message", vars(json!({ "channel": "SMS", "rule": "quoted" }))),
        "<b>Ann Lee</b> · SMS<br/>Hi<br/>there"
    );
    let picture = json!({ "text": "picture: my cat", "thing": "picture", "caption": "my cat" });
    assert_eq!(inner("client-message", vars(picture)), "<b>Ann Lee</b> · WhatsApp<br/>Ann Lee sent a picture<br/>my cat");
    let order = json!({ "text": "audio file", "thing": "audio file", "caption": "" });
    assert_eq!(inner("client-message", vars(order)), "<b>Ann Lee</b> · WhatsApp<br/>Ann Lee sent an audio file");
}

#[test]
fn a_line_of_an_uncertain_room_can_be_moved() {
    let vars =
        json!({ "name": "Ann", "channel": "WhatsApp", "text": "Hi", "rule": "last-used", "others": ["Lee", "Orr", "Roe"] });
    let (line, _) = accepted("client-message", &vars, true);
    assert_eq!(attributes(&line, "form", "id"), ["move"]);
    assert_eq!(attributes(&line, "button", "name"), ["move-here", "move-here-2", "move-here-3"]);
    assert!(plain("client-message", vars).ends_with("[Lee]  [Orr]  [Roe]"));
}

fn buttons(name: &str, vars: Value) -> (Vec<String>, Vec<String>) {
    let (card, _) = accepted(name, &vars, true);
    (attributes(&card, "form", "id"), attributes(&card, "button", "name"))
}

#[test]
fn questions_have_the_buttons_that_the_core_waits_for() {
    let is =
        |form: &str, names: &[&str]| (vec![form.to_owned()], names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
    let text = json!({ "name": "Ann", "channel": "WhatsApp", "text": "x", "room": "Lee" });
    for name in ["confirm-invitation", "admit-member"] {
        assert_eq!(buttons(name, text.clone()), is("confirm", &["confirm", "cancel"]));
    }
    let template = json!({ "name": "Ann", "template": "document_ready", "body": body("Report"), "window_open": false });
    assert_eq!(buttons("confirm-template", template), is("confirm", &["confirm", "cancel"]));
    assert_eq!(buttons("consent-review", text.clone()), is("consent-review", &["review-stop", "review-clear"]));
    assert_eq!(buttons("unconfirmed", text.clone()), is("unconfirmed", &["send-again"]));
    let withdrawn = |gate: &str| merged(&text, &json!({ "gate": gate }));
    assert_eq!(buttons("withdrawn", withdrawn("consent")), is("withdrawn", &["send-again"]));
    assert_eq!(buttons("withdrawn", withdrawn("room")), (vec![], vec![]));
    assert_eq!(
        buttons("confirm-contact-remove", json!({ "name": "Ann", "ending": [], "left": [], "kept": [], "held": 0 })),
        is("confirm", &["confirm", "cancel"])
    );
    assert_eq!(buttons("not-on-whatsapp", text), is("not-on-whatsapp", &["sms-yes", "sms-no"]));
    let there = |own: bool| json!({ "name": "Ann", "room": "Lee", "owner": "Jane", "own": own });
    assert_eq!(buttons("room-is-there", there(true)), is("confirm", &["new-room", "cancel"]));
    assert_eq!(buttons("room-is-there", there(false)), is("confirm", &["join", "new-room", "cancel"]));
    let none_left = merged(&there(false), &json!({ "line_left": false }));
    assert_eq!(buttons("room-is-there", none_left), is("confirm", &["join", "cancel"]));
}

#[test]
fn fields_of_forms_are_the_commands_own_arguments() {
    let vars = json!({ "values": {}, "templates": ["follow_up"], "languages": ["de", "en"], "on_behalf": true });
    for command in commands::ALL.iter().filter(|command| command.form) {
        let id = command.path.replace(' ', "-");
        let name = format!("form-{id}");
        if !files().contains(&name) {
            continue;
        }
        let (form, _) = accepted(&name, &vars, true);
        assert_eq!(attributes(&form, "form", "id"), [id]);
        assert_eq!(attributes(&form, "button", "name"), ["submit", "cancel"]);
        let known = [command.positional, command.keys, command.flags].concat();
        for kind in ["text-field", "select", "checkbox", "person-selector"] {
            for field in attributes(&form, kind, "name") {
                assert!(known.contains(&field.as_str()), "{name}: {field}");
            }
        }
        let asked = |field: &&&str| {
            !attributes(&form, "text-field", "name")
                .iter()
                .chain(&attributes(&form, "select", "name"))
                .any(|name| name == **field)
        };
        assert_eq!(command.positional.iter().filter(asked).count(), 0, "{name} asks for all of {:?}", command.positional);
    }
}

#[test]
fn a_form_offers_the_channels_that_there_are() {
    let offered = |more: Value| {
        let vars = merged(&json!({ "values": {}, "templates": [], "languages": ["en"], "on_behalf": false }), &more);
        let (form, _) = accepted("form-contact-add", &vars, true);
        let chosen = attributes(&form, "option", "selected").len();
        let values = attributes(&form, "option", "value").into_iter().filter(|value| value != "en").collect::<Vec<_>>();
        (values, chosen)
    };
    assert_eq!(offered(json!({})), (vec!["whatsapp".to_owned(), "sms".to_owned()], 2), "one of them, and a language");
    assert_eq!(offered(json!({ "channels": ["sms"] })), (vec!["sms".to_owned()], 2));
    assert_eq!(offered(json!({ "channels": ["whatsapp"] })), (vec!["whatsapp".to_owned()], 2));
}

#[test]
fn a_form_for_oneself_asks_for_no_requestor() {
    let vars = |on_behalf: bool| json!({ "values": {}, "templates": [], "languages": ["en"], "on_behalf": on_behalf });
    let selectors = |on_behalf| attributes(&accepted("form-contact-add", &vars(on_behalf), true).0, "person-selector", "name");
    assert_eq!((selectors(true), selectors(false)), (vec!["for".to_owned()], vec![]));
}

#[test]
fn a_wrong_field_comes_back_filled_with_the_reason_beside_it() {
    let mistake = json!({ "code": "phone-invalid", "vars": { "argument": "phone", "why": "it is too short" } });
    let values = json!({ "first": "Ann", "phone": "+1", "room": "on", "channel": "sms", "for": [12, 13] });
    let form = inner(
        "form-contact-add",
        json!({ "values": values, "templates": [], "languages": ["de", "en"], "on_behalf": true, "mistake": mistake }),
    );
    let reason =
        "maxlength=\"128\">+1</text-field><b>This is no phone number: it is too short.</b><br/><text-field name=\"email\"";
    assert!(form.contains(reason), "{form}");
    assert_eq!(form.matches("This is no phone number").count(), 1);
    for kept in [">Ann</text-field>", "checked=\"true\"", "<option value=\"sms\" selected=\"true\">", "value=\"[12, 13]\""] {
        assert!(form.contains(kept), "{kept} in {form}");
    }
    let mistake = json!({ "code": "missing-parameter", "vars": { "parameter": "topic", "example": "…" } });
    let vars = json!({ "values": { "name": "document_ready" }, "templates": ["document_ready", "follow_up"], "languages": ["en"], "on_behalf": false, "mistake": mistake });
    let (form, _) = accepted("form-template-send", &vars, true);
    assert_eq!(attributes(&form, "text-field", "name"), ["to", "topic"]);
}

/// The words depend on nothing that is stored, even if somebody passed it in.
#[test]
fn s0_31_the_contradiction_tells_neither_which_nor_the_stored_value() {
    let expected = "This e-mail address or this phone number is already used with a different value for the other. Check both.";
    let told = plain(
        "refusal-match-one-only",
        json!({ "argument": "phone", "phone": "+4915112345678", "email": "ann@lee.de", "name": "Ann Lee" }),
    );
    assert!(told.starts_with(expected), "{told}");
    assert_eq!(told, plain("refusal-match-one-only", json!({})));
    assert!(!told.contains("7F3K"));
}

#[test]
fn the_parts_of_an_sms_are_told_where_they_count() {
    let long = plain("refusal-too-long", json!({ "length": 1700, "most": 1600, "parts": 12 }));
    assert!(long.contains("the text has 1700 characters, 1600 is the most (12 parts as an SMS)."), "{long}");
    assert!(!plain("refusal-too-long", json!({ "length": 5000, "most": 4096 })).contains("part"));
    let dry = dry_runs().iter().map(|vars| plain("dryrun", vars.clone())).collect::<Vec<_>>().join("\n");
    assert!(dry.contains("to Ann Lee on SMS, now in 3 parts: Good morning"), "{dry}");
    assert!(dry.contains("held (consent): goes when the client agrees, in 1 part"), "{dry}");
    assert!(dry.contains("to Ann Lee on WhatsApp, now: Good morning"), "{dry}");
}

#[test]
fn s4_22_the_advisor_reads_that_a_template_can_restart_it() {
    let held = |gate: &str| {
        plain("held", json!({ "name": "Ann", "gate": gate, "consent": "OPTED_IN", "channel": "WhatsApp", "notice": true }))
    };
    assert!(held("window").contains("A template can restart the conversation at any time: /template list"));
    for gate in ["consent", "quiet_hours"] {
        assert!(!held(gate).contains("template"), "{gate}");
    }
}

fn lines(name: &str, vars: Value) -> Vec<String> {
    plain(name, vars).lines().map(str::to_owned).collect()
}

#[test]
fn each_gate_is_told_in_plain_words_with_the_first_blocker() {
    let passed = lines("why", why());
    assert_eq!(passed[0], "Your next text to Ann Lee on WhatsApp:");
    for (gate, line) in GATES.iter().zip(&passed[1..]) {
        assert!(line.starts_with(&format!("✔ {} – ", gate.id)), "{line}");
    }
    assert!(passed.contains(&"✔ consent – they agreed".to_owned()), "{passed:?}");
    let held = why_not("consent", json!({ "consent": "PENDING", "ask_again_at": NOW + 3_600_000 }));
    let held = lines("why", held);
    for line in [
        "✘ consent – they were asked and have not answered",
        "First blocker: consent – it would wait.",
        "To clear it: they answer yes to the invitation; from 15:48 on you may ask again: /optin resend",
    ] {
        assert!(held.contains(&line.to_owned()), "{line} in {held:?}");
    }
    let asleep = lines("why", why_not("quiet_hours", json!({ "quiet": quiet(json!(NOW + 3_600_000), false) })));
    for line in [
        "✘ quiet_hours – it is a quiet hour where they are (America/New_York, America/Los_Angeles), until 15:48",
        "To clear it: just wait; it goes by itself at 15:48, when it is 08:00 in America/Los_Angeles.",
    ] {
        assert!(asleep.contains(&line.to_owned()), "{line} in {asleep:?}");
    }
    let nowhere = lines("why", why_not("quiet_hours", json!({ "quiet": quiet(Value::Null, true) })));
    let write_down = "To clear it: no hour suits all these zones; write down in which one they live: \
                      /contact edit Ann Lee zone=Europe/Berlin";
    assert!(nowhere.contains(&write_down.to_owned()), "{nowhere:?}");
    let colleagues = lines("why", why_not("entitled", json!({ "own": false })));
    assert!(colleagues.contains(&"✘ entitled – Jane Doe may not use WhatsApp".to_owned()), "{colleagues:?}");
    let delivered = lines("why", merged(&why(), &json!({ "state": "delivered" })));
    assert_eq!(delivered[0], "Message m-7F3KABCD to Ann Lee is delivered. The same again, now:");
}

#[test]
fn s3_2_the_history_of_a_consent_reads_as_a_story() {
    let told = lines(
        "consent-history",
        json!({ "name": "Ann Lee", "channels": [{ "channel": "WhatsApp", "turns": turns() }], "now": NOW }),
    );
    for line in [
        "• 08:48: asked by jane.doe@acme.com",
        "• 08:48: asked again by jane.doe@acme.com",
        "• 08:48: agreed (message …FDNBQTk4)",
        "• 08:48: may have asked to stop (message …FDNBQTk4)",
        "• 08:48: did not mean to stop, says jane.doe@acme.com",
        "• 08:48: opted out (message SM12)",
    ] {
        assert!(told.contains(&line.to_owned()), "{line} in {told:#?}");
    }
    let words = told.join("\n");
    assert!(!words.contains('→') && !words.contains("PENDING") && !words.contains("wamid"), "{words}");
}

/// A template may restart a conversation only with somebody who has agreed.
#[test]
fn a_closed_window_offers_a_template_only_after_consent() {
    let told = |consent: &str| {
        plain("window", json!({ "name": "Ann", "on_whatsapp": true, "window": windows()[1], "consent": consent, "now": NOW }))
    };
    assert!(told("OPTED_IN").contains("/template list"));
    for consent in ["NONE", "PENDING", "OPTED_OUT", "REVIEW"] {
        assert!(!told(consent).contains("template") && told(consent).contains("/why"), "{consent}");
    }
}

/// S0-22, S3-6, S3-8: each reason to wait has its own words.
#[test]
fn s0_12_the_onboarder_reads_steps_that_are_open_to_him() {
    let added = |consent: &str, on_behalf: bool, more: Value| {
        let least = json!({
            "name": "Ann Lee", "id": "c-7F3KABCD", "for": "Jane Doe", "on_behalf": on_behalf, "is_new": true,
            "channel": "WhatsApp", "consent": consent, "with_room": false, "firm": "Acme Wealth",
        });
        plain("contact-added", merged(&least, &more))
    };
    let text = added("NONE", true, json!({}));
    assert!(text.contains("/optin send c-7F3KABCD") && text.contains("--room") && !text.contains("/room create"), "{text}");
    let text = added("PENDING", true, json!({ "room": "Ann Lee", "invited": 1 }));
    assert!(text.contains("Jane Doe can write there now") && !text.contains("Write there"), "{text}");
    let text = added("NONE", false, json!({ "lacks": ["room.create"] }));
    assert!(text.contains("/optin send") && !text.contains("/room create"), "{text}");
    let text = added("NONE", false, json!({}));
    assert!(text.contains("/room create \"Ann Lee\" c-7F3KABCD"), "{text}");
}

#[test]
fn a_contact_that_stands_on_the_list_is_told_with_his_room() {
    let listed = json!({ "name": "Ann Lee", "id": "c-7F3KABCD", "for": "Jane Doe", "on_behalf": false });
    let text = plain("refusal-already-yours", merged(&listed, &json!({ "room": "Lee family" })));
    assert!(text.contains("“Lee family”") && !text.contains("/room create"), "{text}");
    assert!(plain("refusal-already-yours", listed).contains("/room create"));
}

#[test]
fn s0_22_the_advisor_reads_what_a_message_waits_for() {
    let held = |consent: &str| {
        plain("held", json!({ "name": "Ann", "gate": "consent", "consent": consent, "channel": "WhatsApp", "notice": true }))
    };
    assert!(held("NONE").contains("Confirm the invitation"));
    assert!(held("PENDING").contains("when they answer yes"));
    assert!(held("REVIEW").contains("may have asked to stop"));
}

#[test]
fn a_mistake_in_an_argument_is_told_in_a_sentence() {
    let told = |argument: &str, why: &str| {
        let text = plain("refusal-bad-argument", json!({ "argument": argument, "why": why, "example": "x" }));
        text.split(" Nothing was done").next().unwrap().to_owned()
    };
    let table = [
        (("phone", "is missing"), "phone is missing."),
        (("contact", "is not on your list"), "The contact is not on your list."),
        (("message", "is none of yours; /queue list shows them"), "The message is none of yours; /queue list shows them."),
        (("colleague", "has no rights here; is the address right?"), "The colleague has no rights here; is the address right?"),
    ];
    for ((argument, why), sentence) in table {
        assert_eq!(told(argument, why), sentence);
    }
    use liaison::domain::email;
    for (typed, sentence) in [
        ("ann", "email: it has no @."),
        ("ann@", "email: it has no domain behind the @."),
        ("@lee.de", "email: it has no mailbox before the @."),
    ] {
        assert_eq!(told("email", &email::canonical(typed).unwrap_err().to_string()), sentence);
    }
}

#[test]
fn what_people_read_of_a_client_is_so() {
    let no = |blocked: bool| {
        plain("consent-no", json!({ "name": "Ann", "word": "no", "text": "STOP", "channel": "WhatsApp", "blocked": blocked }))
    };
    assert!(no(false).contains("still arrives here") && !no(true).contains("still arrives here"));
    let moved = |name: &str| {
        let vars = json!({ "name": name, "channel": "WhatsApp", "text": "+492", "from": "+491", "rule": "only" });
        plain("client-message", merged(&vars, &json!({ "sign": "user_changed_number" })))
    };
    assert!(moved("Ann Lee").ends_with("Ann Lee has a new number: +492"), "{}", moved("Ann Lee"));
    assert!(moved("+492").ends_with("+491 has a new number: +492"), "{}", moved("+492"));
    let channel = json!({ "channel": "SMS", "consent": "NONE", "since": null, "by": null, "message": null, "asked_in": null });
    let shown = |more: Value| plain("consent-show", json!({ "name": "Ann", "channels": [merged(&channel, &more)], "now": NOW }));
    assert!(shown(json!({ "needs_no_yes": false })).contains("/optin send"));
    assert!(!shown(json!({ "needs_no_yes": true })).contains("/optin send"));
    assert!(plain("help", json!({ "firm": "Acme", "commands": [], "example": "contact list" })).contains("/help contact list"));
}

#[test]
fn what_waits_is_told_with_what_would_let_it_go() {
    let told = |name: &str, gate: &str, consent: &str, channel: &str| {
        let line = json!({ "name": "Ann", "text": "Hello", "count": 20, "expires_at": NOW, "notice": channel == "WhatsApp" });
        plain(name, merged(&line, &json!({ "gate": gate, "consent": consent, "channel": channel })))
    };
    let by_sms = told("held", "consent", "PENDING", "SMS");
    assert!(
        by_sms.contains("the question they got") && !by_sms.contains("invitation") && !by_sms.contains("told once"),
        "{by_sms}"
    );
    for name in ["expires-soon", "expired"] {
        assert!(told(name, "consent", "NONE", "WhatsApp").contains("/optin send"), "{name}: nothing is pending");
        assert!(told(name, "consent", "PENDING", "SMS").contains("/optin resend"), "{name}");
        assert!(told(name, "window", "OPTED_IN", "WhatsApp").contains("/template list"), "{name}");
        assert!(!told(name, "quiet_hours", "OPTED_IN", "SMS").contains("/template list"), "{name}: SMS has no templates");
    }
    for consent in ["NONE", "PENDING", "REVIEW"] {
        assert!(!told("refusal-held-max", "consent", consent, "WhatsApp").contains("template"), "{consent}: C3");
    }
    assert!(told("refusal-held-max", "window", "OPTED_IN", "WhatsApp").contains("/template list"));
}

#[test]
fn s3_6_the_advisor_attests_that_the_client_agreed() {
    let told = plain("confirm-invitation", json!({ "name": "Ann Lee", "channel": "WhatsApp" }));
    assert!(told.contains("I confirm that Ann Lee agreed to be contacted"), "{told}");
}

#[test]
fn s4_25_a_template_is_previewed_in_full() {
    let vars = |topic: &str| json!({ "name": "Ann", "template": "document_ready", "body": body(topic), "window_open": false });
    let Value::Object(fields) = body("Quarterly report") else { panic!() };
    let body: Body = serde_json::from_value(Value::Object(fields)).unwrap();
    let sent = wording().client(liaison::domain::ids::Channel::WhatsApp, &body).unwrap();
    let words = sent.client_text().unwrap();
    assert!(words.contains("Quarterly report"));
    let told = plain("confirm-template", vars("Quarterly report"));
    assert!(told.contains(words), "{told}\n{words}");
    let cannot = plain("confirm-template", vars(""));
    assert!(cannot.contains("needs topic") && !cannot.contains("[Confirm]") && cannot.contains("[Cancel]"), "{cannot}");
    let shown =
        plain("template-show", json!({ "template": "document_ready", "parameters": ["topic"], "languages": ["de", "en"] }));
    assert!(shown.contains("[topic]") && shown.contains("topic=\"…\" to=<contact>"), "{shown}");
}

#[test]
fn a_providers_complaint_comes_with_advice() {
    let failed =
        |code: &str| plain("failed", json!({ "name": "Ann", "text": "Hi", "provider_code": code, "detail": "They said so." }));
    assert!(failed("131049").contains("Do not send this template again before tomorrow."));
    assert!(failed("4711").contains("Ask your administrator to look up the code."));
    assert!(failed("131049").ends_with("They said so. (131049)"));
}

#[test]
fn a_number_that_is_on_nobodys_list_leads_to_adding_it() {
    let told = plain("refusal-no-such-contact", json!({ "typed": "+1 212 555 0123", "near": [], "number": "+1 212 555 0123" }));
    assert!(told.contains("/contact add <first> <last> phone=\"+1 212 555 0123\""), "{told}");
}

/// Written out for reading: `cargo test --test chat_templates print -- --ignored --nocapture`.
#[test]
#[ignore = "prints all words"]
fn print_all_words() {
    for (name, rows) in samples() {
        let mut seen = BTreeSet::new();
        for vars in rows.into_iter().filter(|_| !name.starts_with("form-")) {
            let told = plain(name, vars);
            if seen.insert(told.clone()) {
                println!("--- {name}\n{told}\n");
            }
        }
    }
}

#[test]
fn s1_5_a_group_that_became_a_standard_one_says_so() {
    let told = |standard: &str| {
        let vars = json!({ "name": "Lee", "standard": standard, "count": 9, "channel": "WhatsApp", "shared": true });
        plain("group-standard", vars)
    };
    assert!(told("too-many").starts_with("More than 8 contacts: created as a standard group. "));
    assert!(told("feature-off").starts_with("WhatsApp groups are switched off here: created as a standard group. "));
}

#[test]
fn s0_10_the_room_is_inactive_until_the_added_client_replies() {
    let vars = json!({ "name": "Ann", "asks": true, "waits": false, "shared": true, "status": "INACTIVE", "consent": "NONE" });
    assert!(plain("room-contact-added", vars).starts_with("Added. The room is Inactive until Ann replies.\n"));
}

#[test]
fn one_line_says_what_became_of_a_message_to_a_group() {
    let row = |name: &str, gate: &str| json!({ "name": name, "gate": gate });
    let vars = json!({ "sent": ["Ann", "Bea"], "held": [row("Cid", "window"), row("Dee", "consent")], "refused": [row("Eve", "consent")] });
    let told = "Sent now: Ann, Bea. Waits for: Cid (has to write first), Dee (has not agreed yet). \
        A template reaches who has to write first at any time (/template list). Not sent to: Eve (opted out).";
    assert_eq!(plain("group-sent", vars), told);
    let vars = json!({ "name": "Ann", "sent": ["Bea"], "held": [row("Cid", "window")], "refused": [row("Dee", "held-max")] });
    let told =
        "What Ann wrote went to Bea and waits for Cid (has to write first); it does not go to Dee (too many wait already).";
    assert_eq!(plain("group-passed-on", vars), told);
    let held =
        json!({ "name": "Cid", "gate": "window", "consent": "OPTED_IN", "channel": "WhatsApp", "notice": true, "group": true });
    assert_eq!(plain("held", held), "Held for Cid: has to write first.");
}

#[test]
fn the_form_of_groups_counts_and_unticks_its_box_when_it_comes_back_without() {
    let form = |values: Value| {
        inner("form-group-create", json!({ "values": values, "languages": ["en"], "templates": [], "on_behalf": false }))
    };
    let first = form(json!({}));
    assert!(first.contains("(0/8)") && first.contains("checked=\"true\"") && first.contains("From the ninth contact on"));
    let again = form(json!({ "name": "Lee", "contacts": "Ann Lee, Ben Orr,Cid" }));
    assert!(again.contains("(3/8)") && !again.contains("checked"), "{again}");
    assert!(again.contains(">Ann Lee, Ben Orr,Cid</textarea>"));
}

/// In a closed window a notice is a text inside the template, in the language of the one who reads it.
#[test]
fn a_notice_bears_its_text_in_the_clients_language() {
    let vars =
        [("notice_text", "group_joined"), ("members", "Ben Orr"), ("unnamed", ""), ("firm", "Acme"), ("advisor.name", "Jane")];
    let vars: BTreeMap<String, String> = vars.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
    let read = |language: &str| {
        let body = Body::Template { name: "liaison_notice".to_owned(), language: language.to_owned(), vars: vars.clone() };
        wording().client(Channel::WhatsApp, &body).unwrap().client_text().unwrap().to_owned()
    };
    assert!(
        read("en").contains("Now also in this group conversation of Acme: Ben Orr. Everybody in it reads what you write here.")
    );
    assert!(
        read("de").contains("Jetzt auch in diesem Gruppengespräch von Acme: Ben Orr. Alle darin lesen, was Sie hier schreiben.")
    );
}

/// The longest list of names that the core gives still fits into the template's 1024 characters.
#[test]
fn the_longest_notice_fits_into_its_template() {
    let members = vec!["x".repeat(30); 10].join(", ");
    let vars = [
        ("notice_text", "group_members"),
        ("advisors", members.as_str()),
        ("members", members.as_str()),
        ("unnamed", "19"),
        ("firm", "Acme Wealth Management"),
        ("advisor.name", "Jane Doe"),
    ];
    let vars: BTreeMap<String, String> = vars.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
    for language in ["en", "de"] {
        let body = Body::Template { name: "liaison_notice".to_owned(), language: language.to_owned(), vars: vars.clone() };
        let read = wording().client(Channel::WhatsApp, &body).unwrap();
        assert!(read.client_text().unwrap().chars().count() <= 1024, "{language}");
    }
}

/// Somebody without a name is told apart by a number of his own.
#[test]
fn s2_17_the_nameless_of_a_group_are_told_apart() {
    let read = |channel: Channel, name: &str, language: &str, vars: &[(&str, &str)]| {
        let vars = vars.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let body = Body::Wording { name: name.to_owned(), language: language.to_owned(), vars };
        wording().client(channel, &body).unwrap().client_text().unwrap().to_owned()
    };
    for channel in Channel::ALL {
        let vars = [("participant", "2"), ("text", "Hello"), ("members", "")];
        assert_eq!(read(channel, "group_message", "en", &vars), "Participant 2: Hello");
        assert_eq!(read(channel, "group_message", "de", &vars), "Person 2: Hello");
        assert_eq!(read(channel, "group_thing", "en", &vars), "Participant 2 sent something that cannot be shown here. Hello");
        for (advisors, members, unnamed, people) in [
            ("Jane", "", "1", " with Jane and one more person"),
            ("Jane, Bob", "Ann Lee", "", " with Jane, Bob, Ann Lee"),
            ("Jane", "Ann Lee", "3", " with Jane, Ann Lee and 3 more people"),
            ("", "Ann Lee", "", " with Ann Lee"),
            ("", "", "2", " with 2 more people"),
            ("", "", "", ""),
        ] {
            let vars = [("advisors", advisors), ("members", members), ("unnamed", unnamed), ("firm", "Acme")];
            let told = format!("This is a group conversation of Acme{people}. Everybody in it reads what you write here.");
            assert_eq!(read(channel, "group_members", "en", &vars), told);
            let german = read(channel, "group_members", "de", &vars);
            assert!(
                german.contains(advisors) && german.contains(members) && german.contains(unnamed.trim_matches('1')),
                "{german}"
            );
        }
    }
}

// ---- what people read is so

/// The next step that a refusal names is one that works.
#[test]
fn a_next_step_is_that_of_the_command() {
    let told = |name: &str, vars: Value| plain(name, vars);
    let until = 1_763_754_480_000_i64;
    let restart = told("refusal-pending-until", json!({ "until": until, "command": "/room restart" }));
    assert!(restart.ends_with("with /room restart c-7F3KABCD"), "{restart}");
    let again = "/group create \"…\" contacts=c-1,c-2 --standard";
    let taken = told("refusal-name-taken", json!({ "name": "Lee", "again": again, "added": false }));
    assert!(taken.ends_with(&format!("Choose another name: {again}")) && !taken.contains("kept"), "{taken}");
    let added = told("refusal-name-taken", json!({ "name": "Lee", "again": "/room create \"…\" c-1", "added": true }));
    assert!(added.contains("The contact that you added is kept."), "{added}");
    let colleague = |vars: Value| told("refusal-no-such-contact", vars).contains("A colleague is named with @");
    assert!(colleague(json!({ "typed": "Bob Ray", "colleagues": true })) && !colleague(json!({ "typed": "Bob Ray" })));
    let blocked = |sends: Value| told("refusal-blocked", merged(&json!({ "name": "Ann" }), &sends));
    assert!(blocked(json!({})).contains("then send it again"));
    assert!(blocked(json!({ "sends": false })).starts_with("Ann is blocked; nothing was done."));
}

/// Words that were said of something else.
#[test]
fn a_refusal_speaks_of_what_was_refused() {
    let name = |vars: Value| plain("refusal-name-too-long", merged(&json!({ "most": 60 }), &vars));
    assert!(
        name(json!({})).starts_with("The room's name") && name(json!({ "sub_org": true })).starts_with("The sub-organisation's")
    );
    let missing = |vars: Value| plain("colleague-not-entitled", merged(&json!({ "user": "Tom" }), &vars));
    assert!(missing(json!({ "channel": "SMS" })).starts_with("Tom may not use SMS;"));
    assert!(missing(json!({})).starts_with("Tom may use no channel;"));
    let owner = |vars: Value| plain("refusal-not-owner", vars);
    assert!(owner(json!({})).starts_with("Only an owner"));
    let told = |outside: bool| owner(json!({ "bot": true, "outside": outside, "room": "Lee" }));
    assert!(told(false).contains("Make me an owner first: an owner of the room does that"));
    assert!(told(true).contains("an owner of the room adds me and does that"));
    let there = |own: bool, group: bool| {
        plain("room-is-there", json!({ "name": "Ann", "room": "Lee", "owner": "Jane", "own": own, "group": group }))
    };
    assert!(there(true, false).contains("The client reads no difference."));
    assert!(there(true, true).contains("a group with Ann and others") && !there(true, true).contains("no difference"));
    assert!(there(false, true).starts_with("Jane has a group with Ann and others already"));
    let card = |rooms: usize| {
        plain(
            "confirm-transfer",
            json!({ "from": "Jane", "to": "Bob", "name": "Ann", "all": false, "contacts": 1, "rooms": rooms }),
        )
    };
    assert!(card(2).starts_with("Hand Ann, a client of Jane (2 rooms), over to Bob?"), "{}", card(2));
    assert!(card(0).starts_with("Hand Ann, a client of Jane, over to Bob?") && !card(0).contains("rooms"), "{}", card(0));
}

/// S4-30: the form names the wall and the missing channel, and who it is, beside the field of the colleagues.
#[test]
fn s4_30_a_form_tells_why_a_colleague_cannot_take_part() {
    let told = |code: &str| {
        let mistake = json!({ "code": code, "vars": { "argument": "advisors", "user": "Tom", "channel": "WhatsApp" } });
        inner("form-group-create", json!({ "values": {}, "mistake": mistake }))
    };
    assert!(told("other-sub-org").contains("<b>Tom belongs to another sub-organisation.</b>"));
    assert!(told("not-enabled").contains("<b>Tom may not use WhatsApp.</b>"));
}

#[test]
fn what_a_groups_message_waits_for_is_told_as_it_is() {
    let member = |name: &str, consent: &str| json!({ "name": name, "consent": consent, "blocked": false });
    let held = |gate: &str, what: Value, who: Value| {
        plain("held-group", json!({ "name": "Lee", "row": { "gate": gate, "what": what, "who": who } }))
    };
    let told = held("consent", Value::Null, json!([member("Eva Sun", "OPTED_OUT")]));
    assert!(told.starts_with("Held for the group “Lee”: Eva Sun has opted out."), "{told}");
    assert!(told.contains("/room remove") && !told.contains("invitation"), "{told}");
    let told = held("consent", Value::Null, json!([member("Eva Sun", "REVIEW")]));
    assert!(told.contains("Eva Sun may have asked to stop.") && told.contains("no stop was meant"), "{told}");
    let told = held("window", Value::Null, json!([]));
    assert!(told.contains("when any of them writes in the group") && !told.contains("told once"), "{told}");
    let refused = plain("text-refused", json!({ "gate": "membership", "name": "Lee", "channel": "WhatsApp", "nobody": true }));
    assert!(refused.contains("nobody has joined the WhatsApp group yet") && !refused.contains("owner"), "{refused}");
}
