//! Meta's message templates: what is submitted for approval, what a send call carries, and what the client then reads.
use super::STANDARD;
use crate::domain::effect::Prepared;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// Meta's limits, in characters.
pub(super) const LONGEST_BODY: usize = 1024;
const LONGEST_HEADER: usize = 60;
const LONGEST_BUTTON: usize = 25;
/// Of an interactive message, as which `Body::Question` goes out.
pub(super) const LONGEST_REPLY_BUTTON: usize = 20;
pub(super) const MOST_REPLY_BUTTONS: usize = 3;
const MOST_BUTTONS: usize = 10;
const LONGEST_NAME: usize = 512;
/// Buttons that need nothing but what the file says of them.
const SENDABLE_BUTTONS: [&str; 3] = ["QUICK_REPLY", "URL", "PHONE_NUMBER"];

/// A file of `templates/whatsapp/` with components.
#[derive(Clone, Debug, PartialEq)]
pub struct WhatsAppTemplate {
    pub name: String,
    /// Two letters, as in the file's name.
    pub language: String,
    /// As the account has it, such as "en_US".
    pub meta_language: String,
    pub category: String,
    /// False is Meta's "positional".
    pub named: bool,
    /// Exactly as in Meta's JSON.
    pub components: Vec<Value>,
    /// Button text → payload.
    pub payloads: BTreeMap<String, String>,
    /// The variables of `{{1}}`, `{{2}}`, … where the format is positional.
    pub positions: Vec<String>,
}

/// A stretch of a template's text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Piece<'a> {
    Words(&'a str),
    /// The name between the braces, as Meta has it.
    Parameter(&'a str),
}

impl WhatsAppTemplate {
    /// The JSON that `POST …/message_templates` takes and the account's list gives back.
    pub fn as_submitted(&self) -> Value {
        json!({
            "name": self.name,
            "language": self.meta_language,
            "category": self.category,
            "parameter_format": if self.named { "named" } else { "positional" },
            "components": self.components,
        })
    }

    /// The body's text with its placeholders.
    pub fn body(&self) -> &str {
        self.text_of("BODY").unwrap_or_default()
    }

    /// The variables it needs, with the names of INTERFACES §8, in the order in which they appear.
    pub fn parameters(&self) -> Vec<String> {
        let texts = [self.text_of("HEADER"), self.text_of("BODY")];
        let pieces = texts.into_iter().flatten().flat_map(pieces);
        let names = pieces.filter_map(|piece| match piece {
            Piece::Parameter(name) => Some(self.variable(name)),
            Piece::Words(_) => None,
        });
        let mut seen = BTreeSet::new();
        names.filter(|name| seen.insert(name.clone())).collect()
    }

    /// How many characters of the body are fixed, and the variable of each of its places.
    pub fn room(&self) -> (usize, Vec<String>) {
        let (mut fixed, mut places) = (0, Vec::new());
        for piece in pieces(self.body()) {
            match piece {
                Piece::Words(words) => fixed += words.chars().count(),
                Piece::Parameter(name) => places.push(self.variable(name)),
            }
        }
        (fixed, places)
    }

    /// (payload, title) of the quick-reply buttons. Without a payload of its own a button answers with its text.
    pub fn quick_replies(&self) -> Vec<(String, String)> {
        let titles =
            self.buttons().filter(|button| is(button, "type", "QUICK_REPLY")).filter_map(|button| button["text"].as_str());
        titles.map(|title| (self.payloads.get(title).map_or(title, String::as_str).to_owned(), title.to_owned())).collect()
    }

    fn buttons(&self) -> impl Iterator<Item = &Value> {
        let component = self.component("BUTTONS");
        component.and_then(|component| component["buttons"].as_array()).into_iter().flatten()
    }

    fn component(&self, kind: &str) -> Option<&Value> {
        self.components.iter().find(|component| is(component, "type", kind))
    }

    fn text_of(&self, kind: &str) -> Option<&str> {
        self.component(kind)?["text"].as_str()
    }

    fn variable(&self, name: &str) -> String {
        if !self.named {
            let place = name.parse::<usize>().ok().and_then(|place| place.checked_sub(1));
            return place.and_then(|place| self.positions.get(place)).cloned().unwrap_or_else(|| name.to_owned());
        }
        let standard = STANDARD.iter().find(|variable| variable.replace('.', "_") == name);
        standard.map_or_else(|| name.to_owned(), |variable| (*variable).to_owned())
    }

    /// A parameter's value as Meta takes it: on one line, never empty.
    fn value(&self, name: &str, vars: &BTreeMap<String, String>) -> Result<String, String> {
        let variable = self.variable(name);
        let value = vars.get(&variable).or_else(|| vars.get(name)).map(|value| super::markup::clean(value));
        let value = value.map(|value| value.split_whitespace().collect::<Vec<_>>().join(" ")).unwrap_or_default();
        if value.is_empty() {
            Err(format!("The template \"{}\" needs {variable}, which is not known here.", self.name))
        } else {
            Ok(value)
        }
    }

    fn filled(&self, text: &str, vars: &BTreeMap<String, String>) -> Result<String, String> {
        let fill = |piece| match piece {
            Piece::Words(words) => Ok(words.to_owned()),
            Piece::Parameter(name) => self.value(name, vars),
        };
        pieces(text).into_iter().map(fill).collect()
    }

    /// Header, body and footer as the client will read them.
    pub fn read_by_client(&self, vars: &BTreeMap<String, String>) -> Result<String, String> {
        let body = self.filled(self.body(), vars)?;
        if body.chars().count() > LONGEST_BODY {
            return Err(format!("The template \"{}\" has more than {LONGEST_BODY} characters with these values.", self.name));
        }
        let header = self.text_of("HEADER").map(|header| self.filled(header, vars)).transpose()?;
        let footer = self.text_of("FOOTER").map(str::to_owned);
        Ok([header, Some(body), footer].into_iter().flatten().collect::<Vec<_>>().join("\n\n"))
    }

    /// The same as an ordinary message with reply buttons, which has less room; as a text where there is nothing to tap, for
    /// WhatsApp refuses such a message without buttons.
    pub fn as_question(&self, vars: &BTreeMap<String, String>) -> Result<Prepared, String> {
        let text = self.read_by_client(vars)?;
        if text.chars().count() > LONGEST_BODY {
            return Err(format!("The template \"{}\" has more than {LONGEST_BODY} characters as a question.", self.name));
        }
        match self.quick_replies() {
            buttons if buttons.is_empty() => Ok(Prepared::Text { text }),
            buttons => Ok(Prepared::Buttons { text, buttons }),
        }
    }

    /// What the send call carries: values for header and body, payloads for the buttons.
    pub fn components_to_send(&self, vars: &BTreeMap<String, String>) -> Result<Value, String> {
        let mut components = Vec::new();
        for kind in ["HEADER", "BODY"] {
            let parameters = self.parameters_to_send(self.text_of(kind).unwrap_or_default(), vars)?;
            if !parameters.is_empty() {
                components.push(json!({ "type": kind.to_lowercase(), "parameters": parameters }));
            }
        }
        for (place, button) in self.buttons().enumerate() {
            let title = button["text"].as_str().unwrap_or_default();
            let payload = self.payloads.get(title).filter(|_| is(button, "type", "QUICK_REPLY"));
            components.extend(payload.map(|payload| {
                let parameters = json!([{ "type": "payload", "payload": payload }]);
                json!({ "type": "button", "sub_type": "quick_reply", "index": place.to_string(), "parameters": parameters })
            }));
        }
        Ok(Value::Array(components))
    }

    fn parameters_to_send(&self, text: &str, vars: &BTreeMap<String, String>) -> Result<Vec<Value>, String> {
        let mut names = Vec::new();
        for piece in pieces(text) {
            match piece {
                Piece::Parameter(name) if !names.contains(&name) => names.push(name),
                Piece::Parameter(_) | Piece::Words(_) => {}
            }
        }
        let parameter = |name: &str| {
            let value = self.value(name, vars)?;
            Ok(match self.named {
                true => json!({ "type": "text", "parameter_name": name, "text": value }),
                false => json!({ "type": "text", "text": value }),
            })
        };
        if !self.named {
            names.sort_by_key(|name| name.parse::<usize>().unwrap_or_default());
        }
        names.into_iter().map(parameter).collect()
    }

    /// Everything about this file that Meta would refuse or that we could not send: (key, what, remedy).
    pub(super) fn complaints(&self) -> Vec<(String, String, String)> {
        let mut complaints = Complaints(Vec::new());
        self.look_at_head(&mut complaints);
        self.look_at_components(&mut complaints);
        self.look_at_buttons(&mut complaints);
        self.look_at_parameters(&mut complaints);
        complaints.0
    }

    fn look_at_head(&self, complaints: &mut Complaints) {
        let name = &self.name;
        if name.len() > LONGEST_NAME || !is_parameter_name(name) {
            complaints.add("", format!("\"{name}\" is no name for a template."), "Use small letters, digits and underscores.");
        }
        let (language, country) = self.meta_language.split_once('_').unwrap_or((&self.meta_language, "XX"));
        if language != self.language || country.len() != 2 || !country.bytes().all(|b| b.is_ascii_uppercase()) {
            let what = format!("\"{}\" does not fit the file's language \"{}\".", self.meta_language, self.language);
            complaints.add("meta_language", what, "Write it as the account has it, such as \"en_US\" or \"de\".");
        }
        if !["UTILITY", "MARKETING"].contains(&self.category.as_str()) {
            complaints.add(
                "category",
                format!("There is no category \"{}\".", self.category),
                "Write \"UTILITY\" or \"MARKETING\".",
            );
        }
    }

    fn look_at_components(&self, complaints: &mut Complaints) {
        for component in &self.components {
            let kind = component["type"].as_str().unwrap_or_default().to_uppercase();
            match kind.as_str() {
                "BODY" => complaints.length("BODY", component["text"].as_str(), LONGEST_BODY),
                "FOOTER" => complaints.length("FOOTER", component["text"].as_str(), LONGEST_HEADER),
                "HEADER" if is(component, "format", "TEXT") => {
                    complaints.length("HEADER", component["text"].as_str(), LONGEST_HEADER)
                }
                "HEADER" => complaints.add(
                    "components",
                    "Only headers of text can be sent, none with a picture, a video or a file.".to_owned(),
                    "Write format = \"TEXT\".",
                ),
                "BUTTONS" => {}
                _ => complaints.add("components", format!("\"{kind}\" cannot be sent."), "Use HEADER, BODY, FOOTER and BUTTONS."),
            }
            let same = self.components.iter().filter(|other| is(other, "type", &kind)).count();
            if same > 1 {
                complaints.add("components", format!("{kind} stands there {same} times."), "Keep one.");
            }
        }
        if self.component("BODY").is_none() {
            complaints.add("components", "The BODY is missing.".to_owned(), "Write one with type = \"BODY\" and text = \"…\".");
        }
    }

    fn look_at_buttons(&self, complaints: &mut Complaints) {
        let titles: Vec<&str> = self.buttons().map(|button| button["text"].as_str().unwrap_or_default()).collect();
        for title in &titles {
            complaints.length("button", Some(title), LONGEST_BUTTON);
        }
        if titles.len() > MOST_BUTTONS || titles.iter().collect::<BTreeSet<_>>().len() < titles.len() {
            let what = format!("The buttons are more than {MOST_BUTTONS}, or two bear the same text.");
            complaints.add("components", what, "Keep few and different ones.");
        }
        for button in self.buttons() {
            let kind = button["type"].as_str().unwrap_or_default().to_uppercase();
            if !SENDABLE_BUTTONS.contains(&kind.as_str()) {
                let remedy = "Use buttons of the types QUICK_REPLY, URL and PHONE_NUMBER.";
                complaints.add("components", format!("A button of the type \"{kind}\" cannot be sent."), remedy);
            }
        }
        if self.buttons().any(|button| button["url"].as_str().is_some_and(|url| url.contains("{{"))) {
            complaints.add("components", "A button's address has a parameter.".to_owned(), "Write the whole address.");
        }
        let replies = self.quick_replies();
        for title in self.payloads.keys().filter(|title| !replies.iter().any(|(_, reply)| reply == *title)) {
            complaints.add(
                "payloads",
                format!("No quick-reply button bears the text \"{title}\"."),
                "Write the button's text exactly.",
            );
        }
    }

    fn look_at_parameters(&self, complaints: &mut Complaints) {
        for kind in ["HEADER", "BODY"] {
            let text = self.text_of(kind).unwrap_or_default();
            let pieces = pieces(text);
            if pieces.iter().any(|piece| matches!(piece, Piece::Words(words) if words.contains("{{") || words.contains("}}"))) {
                let remedy = "Write {{contact_first}}: small letters, digits and underscores between two pairs of braces.";
                complaints.add("components", format!("{kind} has braces that are no parameter."), remedy);
            }
            let is_parameter = |piece: Option<&Piece>| matches!(piece, Some(Piece::Parameter(_)));
            let side_by_side = pieces.windows(2).any(|two| two.iter().all(|piece| is_parameter(Some(piece))));
            if kind == "BODY" && (is_parameter(pieces.first()) || is_parameter(pieces.last()) || side_by_side) {
                let what = "A parameter stands first, last or beside another in BODY, which Meta refuses.".to_owned();
                complaints.add("components", what, "Put words around it.");
            }
            for piece in &pieces {
                if let Piece::Parameter(name) = piece {
                    self.look_at_parameter(kind, name, complaints);
                }
            }
        }
    }

    fn look_at_parameter(&self, kind: &str, name: &str, complaints: &mut Complaints) {
        let is_number = name.bytes().all(|b| b.is_ascii_digit());
        if self.named == is_number {
            let remedy = "Write names with parameter_format = \"named\", numbers with \"positional\".";
            return complaints.add("parameter_format", format!("{{{{{name}}}}} does not fit the format."), remedy);
        }
        if !self.named && (kind == "HEADER" || self.variable(name) == name) {
            let remedy = "Write parameters = [\"contact.first\", …], one variable for each number of BODY; HEADER has none.";
            complaints.add("parameters", format!("Nothing says what {{{{{name}}}}} is."), remedy);
        }
        if !self.has_example(kind, name) {
            let remedy = "Write example.body_text_named_params, or example.body_text, with a value for each parameter.";
            complaints.add("components", format!("{kind} has no example for {{{{{name}}}}}, which Meta demands."), remedy);
        }
    }

    fn has_example(&self, kind: &str, name: &str) -> bool {
        let Some(example) = self.component(kind).map(|component| &component["example"]) else { return false };
        let kind = kind.to_lowercase();
        if self.named {
            let named = example[format!("{kind}_text_named_params")].as_array();
            return named.into_iter().flatten().any(|entry| is(entry, "param_name", name) && entry["example"].is_string());
        }
        let place = name.parse::<usize>().unwrap_or_default().saturating_sub(1);
        example[format!("{kind}_text")][0][place].is_string()
    }
}

struct Complaints(Vec<(String, String, String)>);

impl Complaints {
    fn add(&mut self, key: &str, what: String, remedy: &str) {
        self.0.push((key.to_owned(), what, remedy.to_owned()));
    }
    fn length(&mut self, what: &str, text: Option<&str>, most: usize) {
        let count = text.unwrap_or_default().trim().chars().count();
        if count == 0 {
            self.add("components", format!("The {what} has no text."), "Write text = \"…\".");
        } else if count > most {
            self.add("components", format!("The {what} has {count} characters, more than {most}."), "Shorten it.");
        }
    }
}

/// Meta writes kinds in capitals and takes them in any case.
fn is(object: &Value, key: &str, expected: &str) -> bool {
    object[key].as_str().is_some_and(|found| found.eq_ignore_ascii_case(expected))
}

fn is_parameter_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
}

/// The parameters of a text, each once, as Meta has them.
pub(super) fn parameters_of(text: &str) -> Vec<String> {
    let mut names = Vec::new();
    for piece in pieces(text) {
        if let Piece::Parameter(name) = piece
            && !names.iter().any(|known| known == name)
        {
            names.push(name.to_owned());
        }
    }
    names
}

/// Braces that enclose no name stay words, for `complaints` to find.
fn pieces(text: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let mut words = 0;
    let mut from = 0;
    while let Some(start) = text[from..].find("{{").map(|at| from + at) {
        let name = text[start + 2..].split_once("}}").map(|(name, _)| name).filter(|name| is_parameter_name(name));
        let Some(name) = name else {
            from = start + 2;
            continue;
        };
        pieces.extend((start > words).then(|| Piece::Words(&text[words..start])));
        pieces.push(Piece::Parameter(name));
        words = start + 2 + name.len() + 2;
        from = words;
    }
    pieces.extend((words < text.len()).then(|| Piece::Words(&text[words..])));
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    fn template(named: bool, body: &str) -> WhatsAppTemplate {
        WhatsAppTemplate {
            name: "hello".into(),
            language: "en".into(),
            meta_language: "en_US".into(),
            category: "UTILITY".into(),
            named,
            components: vec![
                json!({"type":"BODY","text":body}),
                json!({"type":"BUTTONS","buttons":[{"type":"QUICK_REPLY","text":"Yes"},{"type":"QUICK_REPLY","text":"No"}]}),
            ],
            payloads: BTreeMap::from([("No".into(), "consent:stop".into())]),
            positions: vec!["contact.first".into(), "topic".into()],
        }
    }

    fn vars() -> BTreeMap<String, String> {
        BTreeMap::from([("contact.first".into(), "Ann".into()), ("topic".into(), " tax\n return ".into())])
    }

    #[test]
    fn text_falls_into_words_and_parameters() {
        use Piece::*;
        assert_eq!(pieces("Hi {{a_1}}, {{b}}"), [Words("Hi "), Parameter("a_1"), Words(", "), Parameter("b")]);
        assert_eq!(pieces("{{ a }} {{A}} {{{b}}"), [Words("{{ a }} {{A}} {{{b}}")]);
        assert_eq!(pieces(""), []);
    }

    #[test]
    fn named_parameters_are_sent_with_their_names_and_read_in_place() {
        let template = template(true, "Hi {{contact_first}}, about {{topic}}: {{topic}}!");
        assert_eq!(template.parameters(), ["contact.first", "topic"]);
        let expected = json!([
            {"type":"body","parameters":[
                {"type":"text","parameter_name":"contact_first","text":"Ann"},
                {"type":"text","parameter_name":"topic","text":"tax return"}]},
            {"type":"button","sub_type":"quick_reply","index":"1","parameters":[{"type":"payload","payload":"consent:stop"}]},
        ]);
        assert_eq!(template.components_to_send(&vars()).unwrap(), expected);
        assert_eq!(template.read_by_client(&vars()).unwrap(), "Hi Ann, about tax return: tax return!");
        assert_eq!(
            template.quick_replies(),
            [("Yes".to_owned(), "Yes".to_owned()), ("consent:stop".to_owned(), "No".to_owned())]
        );
    }

    #[test]
    fn positional_parameters_are_sent_in_the_order_of_their_numbers() {
        let template = template(false, "About {{2}}, {{1}}.");
        let components = template.components_to_send(&vars()).unwrap();
        assert_eq!(components[0]["parameters"], json!([{"type":"text","text":"Ann"},{"type":"text","text":"tax return"}]));
        assert_eq!(template.read_by_client(&vars()).unwrap(), "About tax return, Ann.");
    }

    #[test]
    fn a_missing_or_empty_value_is_told_by_its_name() {
        let template = template(true, "Hi {{contact_last}}.");
        let told = Err("The template \"hello\" needs contact.last, which is not known here.".to_owned());
        assert_eq!(template.read_by_client(&vars()), told);
        assert_eq!(template.read_by_client(&BTreeMap::from([("contact.last".into(), " \n".into())])), told);
    }

    #[test]
    fn what_meta_would_refuse_is_found() {
        let words = |template: &WhatsAppTemplate| {
            template.complaints().into_iter().map(|(_, what, _)| what).collect::<Vec<_>>().join("\n")
        };
        assert!(words(&template(true, "{{a}} b.")).contains("first, last or beside"));
        assert!(words(&template(true, "x {{a}}{{b}} y")).contains("first, last or beside"));
        assert!(words(&template(true, "x {{ a }} y")).contains("no parameter"));
        assert!(words(&template(true, "x {{a}} y")).contains("no example for {{a}}"));
        assert!(words(&template(true, "x {{1}} y")).contains("does not fit the format"));
        assert!(words(&template(false, "x {{3}} y")).contains("Nothing says what {{3}} is"));
        assert!(words(&template(true, &"x".repeat(1025))).contains("1025 characters, more than 1024"));
        let mut other = template(true, "x");
        other.payloads.insert("Maybe".into(), "consent:yes".into());
        other.meta_language = "de".into();
        other.category = "OTHER".into();
        assert!(words(&other).contains("bears the text \"Maybe\""));
        assert!(words(&other).contains("\"de\" does not fit"));
        assert!(words(&other).contains("no category \"OTHER\""));
        let mut rich = template(true, "x");
        rich.components.push(json!({"type":"HEADER","format":"IMAGE"}));
        rich.components[1]["buttons"] =
            json!([{"type":"COPY_CODE","text":"Copy"},{"type":"URL","text":"Go","url":"https://x.com/{{1}}"}]);
        assert!(words(&rich).contains("Only headers of text"));
        assert!(words(&rich).contains("A button of the type \"COPY_CODE\" cannot be sent"));
        assert!(words(&rich).contains("A button's address has a parameter"));
        assert_eq!(words(&template(true, "x")), "");
    }
}
