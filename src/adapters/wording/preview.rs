//! A template's full words, so that an advisor reads what the client would read (S4-25).
use super::{DEFAULT_LANGUAGE, Wording};
use crate::domain::effect::{Body, Reply};
use crate::domain::ids::Channel;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

impl Wording {
    /// `preview`: the words of the template in `body`, or of the one that `template` names with its parameters in brackets.
    /// `preview_problem` instead says why a body cannot be filled: a line in the chat is due all the same.
    pub(super) fn preview(&self, reply: &Reply) -> Map<String, Value> {
        let words = match (reply.vars.get("body"), reply.vars.get("template")) {
            (Some(body), _) => self.of_body(body),
            (None, Some(Value::String(name))) => self.of_template(name).map(Ok),
            (None, Some(_) | None) => None,
        };
        let words = words.map(|words| match words {
            Ok(words) => ("preview".to_owned(), json!(words)),
            Err(problem) => ("preview_problem".to_owned(), json!(problem)),
        });
        words.into_iter().collect()
    }

    fn of_body(&self, body: &Value) -> Option<Result<String, String>> {
        let body: Body = serde_json::from_value(body.clone()).ok()?;
        let Body::Template { .. } = body else { return None };
        let prepared = self.client(Channel::WhatsApp, &body);
        Some(prepared.map(|prepared| prepared.client_text().unwrap_or_default().to_owned()))
    }

    /// In English, else in the first language there is.
    fn of_template(&self, name: &str) -> Option<String> {
        let languages = self.languages(Channel::WhatsApp, name);
        let mut languages = [DEFAULT_LANGUAGE].into_iter().chain(languages);
        let template = languages.find_map(|language| self.template(name, language))?;
        let names = template.parameters().into_iter();
        let vars: BTreeMap<String, String> = names.map(|name| (name.clone(), format!("[{name}]"))).collect();
        template.read_by_client(&vars).ok()
    }
}
