//! Templates of the account: checked when they are made, filled when they are sent, and rendered as a client reads them.
use super::errors::GraphError;
use super::world::Taps;
use crate::sandbox::views::{ButtonView, FileView};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Limits of Meta's components page, in characters.
const MAX_BODY: usize = 1024;
const MAX_HEADER_OR_FOOTER: usize = 60;
const MAX_LABEL: usize = 25;
const MAX_BUTTONS: usize = 10;
const MAX_NAME: usize = 512;

#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
pub(super) struct Template {
    pub id: String,
    pub name: String,
    pub language: String,
    pub category: String,
    pub components: Value,
    /// When the review ends, milliseconds.
    pub approved_at: i64,
    /// What became of it later, such as `PAUSED`, and why.
    #[serde(default)]
    pub became: Option<(String, String)>,
}

/// What a client sees of a message.
#[derive(Debug, Default)]
pub(super) struct Shown {
    pub text: String,
    pub buttons: Vec<ButtonView>,
    pub taps: Taps,
    pub template: Option<String>,
    pub file: Option<FileView>,
}

impl Template {
    pub fn key(&self) -> (String, String) {
        (self.name.clone(), self.language.clone())
    }

    pub fn status(&self, now: i64) -> &str {
        match &self.became {
            Some((status, _)) => status,
            None if now < self.approved_at => "PENDING",
            None => "APPROVED",
        }
    }

    /// Graph's complaint about a send of it, if it may not be sent now.
    pub fn refusal(&self, now: i64) -> Option<GraphError> {
        match self.status(now) {
            "APPROVED" => None,
            "PAUSED" => Some(GraphError::new(132015, "The template is paused because of its quality")),
            "DISABLED" => Some(GraphError::new(132016, "The template is disabled because of its quality")),
            _ => Some(GraphError::new(132001, format!("template name ({}) does not exist in {}", self.name, self.language))),
        }
    }

    /// As a list or `GET /{template-id}` shows it.
    pub fn listed(&self, now: i64) -> Value {
        let named = placeholders(self.text_of("BODY")).iter().any(|name| !is_position(name));
        let reason = self.became.as_ref().map_or("NONE", |(_, reason)| reason);
        let format = if named { "NAMED" } else { "POSITIONAL" };
        json!({"rejected_reason": reason, "quality_score": {"score": "GREEN", "date": self.approved_at / 1000}, "name": self.name,
            "parameter_format": format, "components": self.components, "language": self.language, "status": self.status(now),
            "category": self.category, "id": self.id})
    }

    fn component(&self, kind: &str) -> Option<&Value> {
        self.components.as_array()?.iter().find(|component| is(component, "type", kind))
    }

    fn text_of(&self, kind: &str) -> &str {
        self.component(kind).and_then(|component| component["text"].as_str()).unwrap_or_default()
    }

    fn buttons(&self) -> &[Value] {
        self.component("BUTTONS").and_then(|component| component["buttons"].as_array()).map_or(&[], Vec::as_slice)
    }

    /// Fills in what was sent and returns what the client reads, or Graph's complaint.
    pub fn render(&self, sent: &[Value]) -> Result<Shown, GraphError> {
        let header = self.header(sent)?;
        let body = self.filled("BODY", sent)?;
        if body.chars().count() > MAX_BODY {
            return Err(GraphError::new(132005, "body: the text with its parameters is longer than 1024 characters"));
        }
        let lines = [header, body, self.text_of("FOOTER").to_string()];
        let text = lines.into_iter().filter(|line| !line.is_empty()).collect::<Vec<_>>().join("\n");
        let buttons = self.filled_buttons(sent)?;
        Ok(Shown { text, buttons, taps: Taps::QuickReply, template: Some(self.name.clone()), file: None })
    }

    fn header(&self, sent: &[Value]) -> Result<String, GraphError> {
        let Some(header) = self.component("HEADER") else { return Ok(String::new()) };
        let format = header["format"].as_str().unwrap_or("TEXT").to_uppercase();
        if format == "TEXT" {
            return self.filled("HEADER", sent);
        }
        let parameter = component_sent(sent, "HEADER").and_then(|component| component["parameters"].get(0));
        if parameter.is_some_and(|parameter| is(parameter, "type", &format)) {
            return Ok(format!("[{}]", format.to_lowercase()));
        }
        Err(GraphError::new(132012, format!("header: Format mismatch, expected {format}, received UNKNOWN")))
    }

    fn filled(&self, kind: &str, sent: &[Value]) -> Result<String, GraphError> {
        let text = self.text_of(kind);
        let values = values(kind, &placeholders(text), component_sent(sent, kind))?;
        Ok(fill(text, &values))
    }

    fn filled_buttons(&self, sent: &[Value]) -> Result<Vec<ButtonView>, GraphError> {
        let mut shown: Vec<ButtonView> = self.buttons().iter().map(plain_button).collect();
        let buttons_sent: Vec<&Value> = sent.iter().filter(|component| is(component, "type", "BUTTON")).collect();
        for component in &buttons_sent {
            let index = index_of(component).filter(|index| *index < shown.len());
            let index = index.ok_or_else(|| GraphError::new(132018, "buttons: the template has no button at that index"))?;
            fill_button(&self.buttons()[index], component, &mut shown[index])?;
        }
        let needs = |button: &Value| button["url"].as_str().is_some_and(|url| url.contains("{{"));
        let missing =
            self.buttons().iter().enumerate().find(|(index, button)| {
                needs(button) && !buttons_sent.iter().any(|component| index_of(component) == Some(*index))
            });
        match missing {
            Some((index, _)) => {
                Err(GraphError::new(131008, format!("buttons: Button at index {index} of type Url requires a parameter")))
            }
            None => Ok(shown),
        }
    }

    /// Checks a template as its creation does.
    pub fn check(&self) -> Result<(), GraphError> {
        let wrong = |details: &str| Err(GraphError::new(100, details));
        let letters = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_';
        if self.name.is_empty() || self.name.len() > MAX_NAME || !self.name.chars().all(letters) {
            return wrong("Param name must be 1 to 512 lower-case letters, digits and underscores");
        }
        if !["UTILITY", "MARKETING", "AUTHENTICATION"].contains(&self.category.as_str()) {
            return wrong("Param category must be one of {AUTHENTICATION, MARKETING, UTILITY}");
        }
        if self.language.is_empty() {
            return wrong("The parameter language is required.");
        }
        if self.component("BODY").is_none() {
            return wrong("A template needs a component of type BODY");
        }
        self.check_lengths()?;
        self.check_parameters()
    }

    fn check_lengths(&self) -> Result<(), GraphError> {
        let too_long = |text: &str, most: usize| text.chars().count() > most;
        let labels = self.buttons().iter().map(|button| button["text"].as_str().unwrap_or_default());
        let wrong = [
            (too_long(self.text_of("BODY"), MAX_BODY), "The body is longer than 1024 characters"),
            (too_long(self.text_of("HEADER"), MAX_HEADER_OR_FOOTER), "The header is longer than 60 characters"),
            (too_long(self.text_of("FOOTER"), MAX_HEADER_OR_FOOTER), "The footer is longer than 60 characters"),
            (self.buttons().len() > MAX_BUTTONS, "There are more than 10 buttons"),
            (
                labels.into_iter().any(|label| label.is_empty() || too_long(label, MAX_LABEL)),
                "A button text has 1 to 25 characters",
            ),
        ];
        wrong.iter().find(|(is_wrong, _)| *is_wrong).map_or(Ok(()), |(_, details)| Err(GraphError::new(100, *details)))
    }

    fn check_parameters(&self) -> Result<(), GraphError> {
        let text = self.text_of("BODY").trim();
        if text.starts_with("{{") || text.ends_with("}}") {
            return Err(GraphError::new(100, "Variables can't be at the start or end of the template.").subcode(2388299));
        }
        let has_example = self.component("BODY").is_some_and(|body| body["example"].is_object());
        if !placeholders(text).is_empty() && !has_example {
            return Err(GraphError::new(100, "Every parameter of the body needs an example").subcode(2388043));
        }
        Ok(())
    }
}

fn is(component: &Value, key: &str, wanted: &str) -> bool {
    component[key].as_str().is_some_and(|value| value.eq_ignore_ascii_case(wanted))
}

fn is_position(name: &str) -> bool {
    name.bytes().all(|byte| byte.is_ascii_digit())
}

fn component_sent<'a>(sent: &'a [Value], kind: &str) -> Option<&'a Value> {
    sent.iter().find(|component| is(component, "type", kind))
}

/// Clients write the index as a number or as a text.
fn index_of(component: &Value) -> Option<usize> {
    let index = &component["index"];
    index.as_u64().and_then(|index| usize::try_from(index).ok()).or_else(|| index.as_str()?.parse().ok())
}

/// Until a payload is sent, the payload of a quick reply is its label; other buttons have none.
fn plain_button(button: &Value) -> ButtonView {
    let title = button["text"].as_str().unwrap_or_default().to_string();
    let payload = if is(button, "type", "QUICK_REPLY") { title.clone() } else { String::new() };
    ButtonView { payload, title }
}

fn fill_button(button: &Value, component: &Value, shown: &mut ButtonView) -> Result<(), GraphError> {
    let sub_type = component["sub_type"].as_str().unwrap_or_default();
    if !is(button, "type", sub_type) {
        return Err(GraphError::new(132018, format!("buttons: the button at that index is not of type {sub_type}")));
    }
    let parameter = &component["parameters"][0];
    let text = ["payload", "text"].iter().find_map(|key| parameter[*key].as_str());
    let text = text.ok_or_else(|| GraphError::new(131008, "buttons: the parameter of a button has no payload and no text"))?;
    if sub_type.eq_ignore_ascii_case("quick_reply") {
        shown.payload = text.to_string();
    }
    Ok(())
}

/// The names between double braces, each once, in the order of the text.
fn placeholders(text: &str) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for piece in text.split("{{").skip(1) {
        let Some((name, _)) = piece.split_once("}}") else { continue };
        let name = name.trim().to_string();
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

fn fill(text: &str, values: &[(String, String)]) -> String {
    let mut pieces = text.split("{{");
    let mut filled = pieces.next().unwrap_or_default().to_string();
    for piece in pieces {
        let known = piece
            .split_once("}}")
            .and_then(|(name, rest)| values.iter().find(|(known, _)| known == name.trim()).map(|(_, value)| (value, rest)));
        match known {
            Some((value, rest)) => filled.extend([value.as_str(), rest]),
            None => filled.extend(["{{", piece]),
        }
    }
    filled
}

/// Pairs the placeholders of a component with the parameters sent for it.
fn values(kind: &str, names: &[String], sent: Option<&Value>) -> Result<Vec<(String, String)>, GraphError> {
    let parameters = sent.and_then(|component| component["parameters"].as_array()).map_or(&[][..], Vec::as_slice);
    let place = kind.to_lowercase();
    if parameters.len() != names.len() {
        let (sent, wanted) = (parameters.len(), names.len());
        let text =
            format!("{place}: number of localizable_params ({sent}) does not match the expected number of params ({wanted})");
        return Err(GraphError::new(132000, text));
    }
    let mut ordered = names.to_vec();
    if ordered.iter().all(|name| is_position(name)) {
        ordered.sort_by_key(|name| name.parse::<usize>().unwrap_or_default());
        return ordered.into_iter().zip(parameters).map(|(name, sent)| Ok((name, text_of(&place, sent)?))).collect();
    }
    ordered.into_iter().map(|name| named_value(&place, name, parameters)).collect()
}

fn named_value(place: &str, name: String, parameters: &[Value]) -> Result<(String, String), GraphError> {
    if parameters.iter().any(|sent| sent["parameter_name"].as_str().is_none_or(str::is_empty)) {
        return Err(GraphError::new(100, format!("Invalid parameter: {place}: Parameter name is missing or empty")));
    }
    let sent = parameters.iter().find(|sent| sent["parameter_name"].as_str() == Some(&name));
    let sent = sent.ok_or_else(|| GraphError::new(132012, format!("{place}: the parameter {name} was not sent")))?;
    let text = text_of(place, sent)?;
    Ok((name, text))
}

fn text_of(place: &str, parameter: &Value) -> Result<String, GraphError> {
    let kind = parameter["type"].as_str().unwrap_or("text").to_lowercase();
    let text = match kind.as_str() {
        "currency" | "date_time" => parameter[&kind]["fallback_value"].as_str(),
        "group_id" => return Ok(format!("https://chat.whatsapp.com/{}", parameter["group_id"].as_str().unwrap_or_default())),
        _ => parameter["text"].as_str(),
    };
    let text = text.filter(|text| !text.is_empty());
    let text = text.ok_or_else(|| GraphError::new(131008, format!("{place}: Parameter of type {kind} is missing text value")))?;
    if text.contains(['\n', '\t']) || text.contains("     ") {
        let details = "Param text cannot have new-line/tab characters or more than 4 consecutive spaces";
        return Err(GraphError::new(132018, format!("{place}: {details}")));
    }
    Ok(text.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn template(body: &str) -> Template {
        let components = json!([{"type": "BODY", "text": body}, {"type": "FOOTER", "text": "Acme"},
            {"type": "BUTTONS", "buttons": [{"type": "QUICK_REPLY", "text": "Yes"}, {"type": "QUICK_REPLY", "text": "No"}]}]);
        let (name, language, category) = ("t".into(), "en_US".into(), "UTILITY".into());
        Template { id: "1".into(), name, language, category, components, approved_at: 0, became: None }
    }

    #[test]
    fn a_client_reads_body_and_footer_with_the_parameters_in_place() {
        let sent = [
            json!({"type": "BODY", "parameters": [{"type": "text", "text": "Ann"}, {"type": "text", "text": "Sam"}]}),
            json!({"type": "button", "sub_type": "QUICK_REPLY", "index": 1, "parameters": [{"type": "payload", "payload": "p"}]}),
        ];
        let shown = template("Hi {{1}}, {{2}} writes, {{1}}.").render(&sent).unwrap();
        assert_eq!(shown.text, "Hi Ann, Sam writes, Ann.\nAcme");
        let payloads: Vec<&str> = shown.buttons.iter().map(|button| button.payload.as_str()).collect();
        assert_eq!(payloads, ["Yes", "p"]);
    }

    #[test]
    fn named_parameters_come_in_any_order_and_are_counted() {
        let parameter = |name: &str, text: &str| json!({"type": "text", "parameter_name": name, "text": text});
        let sent = |parameters: Vec<Value>| [json!({"type": "body", "parameters": parameters})];
        let hello = template("Hi {{first}} of {{firm}}.");
        let shown = hello.render(&sent(vec![parameter("firm", "Acme"), parameter("first", "Ann")])).unwrap();
        assert_eq!(shown.text, "Hi Ann of Acme.\nAcme");
        assert_eq!(hello.render(&sent(vec![parameter("first", "Ann")])).unwrap_err().code, 132000);
        assert_eq!(hello.render(&[]).unwrap_err().code, 132000);
        assert_eq!(hello.render(&sent(vec![parameter("first", "Ann"), parameter("x", "y")])).unwrap_err().code, 132012);
    }
}
