//! The fields of a submitted form as the arguments of its command, and once more as the form shows them again.
use super::Command;
use crate::domain::grammar::{Args, Kind, Value as Given, Who, Word};
use crate::domain::ids::UserId;
use serde_json::{Map, Value, json};

/// The arguments that a submitted form stands for: field names are the line's keys, positional ones their own names.
pub fn args_of_form(command: &Command, values: &Map<String, Value>) -> Args {
    let mut args = Args::default();
    let texts: Vec<String> = command.positional.iter().map(|name| text_of(values.get(*name))).collect();
    let filled = texts.iter().rposition(|text| !text.is_empty()).map_or(0, |last| last + 1);
    args.positional = texts.into_iter().take(filled).map(|text| Word { text, kind: Kind::Quoted, at: 0, end: 0 }).collect();
    let named = values.iter().filter(|(name, _)| !command.positional.contains(&name.as_str()) && *name != "action");
    for (name, value) in named {
        let text = text_of(Some(value));
        // A checkbox may share its name with a key (`room`): any other text is the key's.
        let is_flag = command.flags.contains(&name.as_str());
        if is_flag && (!command.keys.contains(&name.as_str()) || SWITCHES.contains(&text.to_lowercase().as_str())) {
            if is_ticked(value) {
                args.flags.insert(name.clone());
            }
            continue;
        }
        let who = if command.people_in.contains(&name.as_str()) { people_of(value) } else { Vec::new() };
        if !text.is_empty() || !who.is_empty() {
            args.keys.entry(name.clone()).or_default().push(Given { text, parts: Vec::new(), who, quoted: true });
        }
    }
    args
}

/// The same values in one shape each, as the form's template fills them in again.
pub fn shown_again(command: &Command, values: &Map<String, Value>) -> Map<String, Value> {
    let shape = |name: &str, value: &Value| {
        if command.people_in.contains(&name) {
            let ids = people_of(value).into_iter().filter_map(|who| match who {
                Who::User(user) => Some(json!(user)),
                Who::Email(_) => None,
            });
            let ids: Vec<Value> = ids.collect();
            return if ids.is_empty() { Value::String(String::new()) } else { Value::Array(ids) };
        }
        let text = text_of(Some(value));
        if command.flags.contains(&name) && SWITCHES.contains(&text.to_lowercase().as_str()) {
            return Value::Bool(is_ticked(value));
        }
        Value::String(text)
    };
    values.iter().map(|(name, value)| (name.clone(), shape(name, value))).collect()
}

/// What a checkbox says of itself, ticked or not.
const SWITCHES: [&str; 5] = ["", "on", "off", "true", "false"];

fn is_ticked(value: &Value) -> bool {
    match value {
        Value::Bool(ticked) => *ticked,
        Value::String(text) => !matches!(text.trim().to_lowercase().as_str(), "" | "false" | "off"),
        Value::Array(items) => items.iter().any(is_ticked),
        Value::Null | Value::Number(_) | Value::Object(_) => false,
    }
}

fn text_of(value: Option<&Value>) -> String {
    match value {
        Some(Value::String(text)) => text.trim().to_owned(),
        Some(Value::Number(number)) => number.to_string(),
        Some(Value::Array(items)) => {
            let texts = items.iter().map(|item| text_of(Some(item))).filter(|text| !text.is_empty());
            texts.collect::<Vec<_>>().join(",")
        }
        Some(Value::Bool(_) | Value::Null | Value::Object(_)) | None => String::new(),
    }
}

/// A person selector gives user ids as numbers or texts, alone or in a list, or people with their ids.
fn people_of(value: &Value) -> Vec<Who> {
    match value {
        Value::Array(items) => items.iter().flat_map(people_of).collect(),
        Value::Number(id) => id.as_u64().map(|id| Who::User(UserId(id))).into_iter().collect(),
        Value::String(text) => {
            let ids = text.split(',').filter_map(|part| part.trim().parse().ok());
            ids.map(|id| Who::User(UserId(id))).collect()
        }
        Value::Object(fields) => {
            let ids = ["userIds", "userId", "id"].iter().find_map(|name| fields.get(*name));
            ids.map(people_of).unwrap_or_default()
        }
        Value::Null | Value::Bool(_) => Vec::new(),
    }
}
