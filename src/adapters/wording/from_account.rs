//! A template that only the account has, written as a file of ours.
use super::whatsapp::{WhatsAppTemplate, parameters_of};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

impl WhatsAppTemplate {
    /// The file's text; `Err` is a sentence that says why it can be none.
    pub fn from_account(name: &str, language: &str, category: &str, named: bool, components: &Value) -> Result<String, String> {
        let short = language.split('_').next().unwrap_or_default();
        if short.len() != 2 {
            return Err(format!("the language {language} has no name of two letters."));
        }
        let components = components.as_array().ok_or("the account does not show its components.")?;
        let components: Vec<Value> = components.iter().map(|component| with_example(without_nulls(component), named)).collect();
        let body =
            components.iter().find(|component| component["type"].as_str().is_some_and(|kind| kind.eq_ignore_ascii_case("BODY")));
        let count = parameters_of(body.and_then(|body| body["text"].as_str()).unwrap_or_default()).len();
        // Nobody but the firm knows what its numbers stand for.
        let positions = if named { Vec::new() } else { (1..=count).map(|n| format!("value{n}")).collect() };
        let template = WhatsAppTemplate {
            name: name.to_owned(),
            language: short.to_owned(),
            meta_language: language.to_owned(),
            category: category.to_uppercase(),
            named,
            components,
            payloads: BTreeMap::new(),
            positions,
        };
        match template.complaints().into_iter().next() {
            Some((_, what, _)) => Err(what),
            None => template.as_file(),
        }
    }

    fn as_file(&self) -> Result<String, String> {
        let mut file = json!({
            "meta_language": self.meta_language,
            "category": self.category,
            "parameter_format": if self.named { "named" } else { "positional" },
            "components": self.components,
        });
        if !self.positions.is_empty() {
            file["parameters"] = json!(self.positions);
        }
        let text = toml::to_string_pretty(&file).map_err(|error| format!("{error}."))?;
        Ok(format!("# Taken over from the account.\n{text}"))
    }
}

/// TOML has no nothing.
fn without_nulls(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let there = fields.iter().filter(|(_, value)| !value.is_null());
            Value::Object(there.map(|(name, value)| (name.clone(), without_nulls(value))).collect::<Map<_, _>>())
        }
        Value::Array(items) => items.iter().filter(|item| !item.is_null()).map(without_nulls).collect(),
        other => other.clone(),
    }
}

/// The account may show a template without the examples with which it was submitted; a file needs them.
fn with_example(mut component: Value, named: bool) -> Value {
    let kind = component["type"].as_str().unwrap_or_default().to_lowercase();
    let parameters = parameters_of(component["text"].as_str().unwrap_or_default());
    if parameters.is_empty() || component["example"].is_object() || !["header", "body"].contains(&kind.as_str()) {
        return component;
    }
    component["example"] = if named {
        let params: Vec<Value> = parameters.iter().map(|name| json!({ "param_name": name, "example": name })).collect();
        json!({ format!("{kind}_text_named_params"): params })
    } else {
        json!({ format!("{kind}_text"): [parameters] })
    };
    component
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_in_the_account_becomes_a_file() {
        let components = json!([
            { "type": "BODY", "text": "Hello {{1}}, your {{2}} is there.", "example": null },
            { "type": "BUTTONS", "buttons": [{ "type": "QUICK_REPLY", "text": "Thanks" }] },
        ]);
        let text = WhatsAppTemplate::from_account("parcel", "en_US", "UTILITY", false, &components).unwrap();
        let file: toml::Table = toml::from_str(&text).unwrap();
        assert_eq!(file["meta_language"].as_str(), Some("en_US"));
        assert_eq!(file["parameters"].as_array().map(Vec::len), Some(2));
        assert_eq!(file["components"][0]["example"]["body_text"][0][1].as_str(), Some("2"));
    }

    #[test]
    fn what_cannot_be_sent_becomes_no_file() {
        let picture = json!([{ "type": "HEADER", "format": "IMAGE" }, { "type": "BODY", "text": "Look." }]);
        let why = WhatsAppTemplate::from_account("look", "en", "UTILITY", true, &picture).unwrap_err();
        assert!(why.contains("Only headers of text"), "{why}");
        let code = json!([{ "type": "BODY", "text": "Your code." }]);
        assert!(
            WhatsAppTemplate::from_account("code", "en", "AUTHENTICATION", true, &code).unwrap_err().contains("AUTHENTICATION")
        );
        assert!(WhatsAppTemplate::from_account("code", "fil", "UTILITY", true, &code).unwrap_err().contains("two letters"));
        assert!(WhatsAppTemplate::from_account("../x", "en", "UTILITY", true, &code).is_err());
    }
}
