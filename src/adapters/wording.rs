//! Puts replies and messages into words, all of which stand in `templates/`; nothing is built in.
mod chat_names;
mod check;
mod files;
mod from_account;
mod markup;
mod plain;
mod preview;
mod render;
mod trial;
mod whatsapp;

use crate::adapters::twilio::errors as sms_errors;
use crate::adapters::whatsapp::errors;
use crate::config::{self, Config, Mistake};
use crate::domain::effect::{Body, Prepared, Reply};
use crate::domain::ids::Channel;
use crate::domain::notices::NOTICE_TEXT;
pub use chat_names::CHAT_TEMPLATES;
use files::{File, Kind, Name};
use jiff::tz::TimeZone;
use minijinja::Environment;
use minijinja::value::Serde;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
pub use whatsapp::WhatsAppTemplate;

/// Variables that every text to a client may use (INTERFACES §8). Meta's names have "_" for ".".
pub const STANDARD: [&str; 5] = ["contact.first", "contact.last", "advisor.name", "firm", "line.name"];
/// What a contact reads whose language is not written down, or has no file (INTERFACES §8).
const DEFAULT_LANGUAGE: &str = "en";
/// WhatsApp's limit of a text, in characters; Twilio's for an SMS of several parts.
const LONGEST_TEXT: usize = 4096;
const LONGEST_SMS: usize = 1600;
/// What Symphony surely takes: characters as people read them (81,130 of encrypted Markdown), and bytes of a message with its
/// data (1.5 MB).
const LONGEST_LINE: usize = 60_000;
const LONGEST_MARKUP: usize = 1_000_000;
/// What somebody wrote is shown back no further than this in a line that would be too long with all of it.
const LONGEST_ECHO: usize = 500;

/// Everything that stands in the templates' folder, parsed.
pub struct Wording {
    folder: PathBuf,
    files: BTreeMap<Name, File>,
    environment: Environment<'static>,
    /// What to do about each error of WhatsApp, and of Twilio.
    advice: BTreeMap<String, String>,
    sms_advice: BTreeMap<String, String>,
}

/// Reads configuration and templates, so that the operator gets all mistakes at once.
pub fn load_all(path: &Path, environment: &BTreeMap<String, String>) -> Result<(Config, Wording), Vec<Mistake>> {
    let config::Reading { config, mut mistakes } = config::read(path, environment);
    let Some(config) = config else { return Err(mistakes) };
    let (wording, more) = Wording::read(&config.bot.templates_dir, config.bot.time_zone.clone());
    mistakes.extend(more);
    mistakes.extend(wording.check());
    if mistakes.is_empty() { Ok((config, wording)) } else { Err(mistakes) }
}

impl Wording {
    /// `zone` is the firm's own, for times that advisors read. What single files cannot show is told by `check`.
    pub fn load(folder: &Path, zone: TimeZone) -> Result<Wording, Vec<Mistake>> {
        let (wording, mistakes) = Wording::read(folder, zone);
        if mistakes.is_empty() { Ok(wording) } else { Err(mistakes) }
    }

    /// What could be read, and what could not.
    fn read(folder: &Path, zone: TimeZone) -> (Wording, Vec<Mistake>) {
        let (files, mut mistakes) = files::read(folder);
        let mut environment = render::environment(zone);
        for (name, file) in &files {
            let Kind::Text(body) = &file.kind else { continue };
            if let Err(error) = environment.add_template_owned(name.key(), body.clone()) {
                let remedy = "Put the braces right; text and values stand as in Jinja.";
                mistakes.push(Mistake::new(name.path(folder), "body", format!("{error}."), remedy));
            }
        }
        let mut no_advice = |error: errors::AdviceError| {
            let remedy = "Put the file back: every code = \"sentence\", and other = \"…\" for the rest.";
            mistakes.push(Mistake::new(error.file, "", format!("The file cannot be read: {}.", error.why), remedy));
            BTreeMap::new()
        };
        let advice = errors::advice(folder).unwrap_or_else(&mut no_advice);
        let sms_advice = sms_errors::advice(folder).unwrap_or_else(no_advice);
        (Wording { folder: folder.to_owned(), files, environment, advice, sms_advice }, mistakes)
    }

    /// MessageML with its root element, and the EntityJSON beside it (INTERFACES §5). `effect_key` is the message's key, by
    /// which it is found again in a stream.
    pub fn chat(&self, reply: &Reply, effect_key: &str) -> Result<(String, Value), String> {
        let name = Name::new(files::CHAT, &reply.template, DEFAULT_LANGUAGE);
        let variables = Value::Object(self.chat_variables(reply));
        let mut inner = self.rendered(&name, variables.clone())?;
        if is_too_long(&inner) {
            inner = self.rendered(&name, shortened(variables))?;
        }
        let problem = |what: String| format!("{}: {what}.", name.file());
        markup::check(&inner).map_err(problem)?;
        if is_too_long(&inner) {
            return Err(problem(format!("the message has more than {LONGEST_LINE} characters")));
        }
        Ok((format!("<messageML>{}</messageML>", inner.trim()), entity(reply, effect_key)))
    }

    /// The same, or plain words where the template is missing or broken: a line that has to be told is told.
    pub fn chat_in_any_case(&self, reply: &Reply, effect_key: &str) -> (String, Value) {
        self.chat(reply, effect_key).unwrap_or_else(|why| {
            // What stands in quotes may be somebody's words.
            let why = why.split('"').next().unwrap_or_default();
            tracing::error!(template = reply.template, code = ?reply.code, why, "a line could not be put into its own words");
            (format!("<messageML>{}</messageML>", plain::words(reply)), entity(reply, effect_key))
        })
    }

    /// Exactly what leaves for the client. Without a file in the contact's language it is the English one.
    pub fn client(&self, channel: Channel, body: &Body) -> Result<Prepared, String> {
        match body {
            Body::Text(text) => Ok(Prepared::Text { text: text.clone() }),
            Body::Media { caption, .. } => Ok(Prepared::Media { caption: caption.clone() }),
            Body::Wording { name, language, vars } => {
                let name = self.nearest(channel, name, language)?;
                Ok(Prepared::Text { text: self.client_text(&name, channel, vars)? })
            }
            Body::Template { name, language, vars } => {
                let template = self.template_on(channel, name, language)?;
                let vars = &self.with_notice(channel, language, vars)?;
                let (components, text) = (template.components_to_send(vars)?, template.read_by_client(vars)?);
                Ok(Prepared::Template { name: template.name.clone(), language: template.meta_language.clone(), components, text })
            }
            Body::Question { name, language, vars } => {
                let template = self.template_on(channel, name, language)?;
                template.as_question(vars)
            }
        }
    }

    /// What a caller hears, from a text file of `templates/sms/` that knows nothing but the firm's name.
    pub fn spoken(&self, name: &str, firm: &str) -> Result<String, String> {
        let file = self.nearest(Channel::Sms, name, DEFAULT_LANGUAGE)?;
        self.client_text(&file, Channel::Sms, &BTreeMap::from([("firm".to_owned(), firm.to_owned())]))
    }

    /// A WhatsApp template in exactly this language.
    pub fn template(&self, name: &str, language: &str) -> Option<&WhatsAppTemplate> {
        match &self.files.get(&Name::new(Channel::WhatsApp.key(), name, language))?.kind {
            Kind::Template(template) => Some(template),
            Kind::Text(_) => None,
        }
    }

    /// All WhatsApp templates, in every language, for comparing them with the account.
    pub fn templates(&self) -> impl Iterator<Item = &WhatsAppTemplate> {
        self.files.values().filter_map(|file| match &file.kind {
            Kind::Template(template) => Some(template),
            Kind::Text(_) => None,
        })
    }

    /// Names of all WhatsApp templates, in order.
    pub fn template_names(&self) -> Vec<&str> {
        let names: BTreeSet<&str> = self.templates().map(|template| template.name.as_str()).collect();
        names.into_iter().collect()
    }

    /// Names of the templates that advisors send with `/template send`: every file that the program has no use for itself.
    pub fn advisors_template_names(&self) -> Vec<&str> {
        self.template_names().into_iter().filter(|name| !check::WHATSAPP_TEMPLATES.contains(name)).collect()
    }

    /// The variables of a template with the names of INTERFACES §8, in order; empty where there is no such template.
    pub fn parameters(&self, name: &str, language: &str) -> Vec<String> {
        let template = self.template(name, language).or_else(|| self.template(name, DEFAULT_LANGUAGE));
        template.map(WhatsAppTemplate::parameters).unwrap_or_default()
    }

    /// Those of `parameters` that are no standard variable, so that the advisor gives them as key=value.
    pub fn own_parameters(&self, name: &str, language: &str) -> Vec<String> {
        let parameters = self.parameters(name, language).into_iter();
        parameters.filter(|parameter| !STANDARD.contains(&parameter.as_str())).collect()
    }

    /// Languages in which a file is there, in order.
    pub fn languages(&self, channel: Channel, name: &str) -> Vec<&str> {
        let files = self.files.keys().filter(|file| file.channel == channel.key() && file.name == name);
        files.map(|file| file.language.as_str()).collect()
    }

    fn nearest(&self, channel: Channel, name: &str, language: &str) -> Result<Name, String> {
        let languages = [language, DEFAULT_LANGUAGE].into_iter();
        let mut names = languages.map(|language| Name::new(channel.key(), name, language));
        let missing = || format!("There is no file templates/{}/{name}.{language}.toml.", channel.key());
        names.find(|name| self.files.contains_key(name)).ok_or_else(missing)
    }

    fn template_on(&self, channel: Channel, name: &str, language: &str) -> Result<&WhatsAppTemplate, String> {
        let name = self.nearest(channel, name, language)?;
        match &self.files[&name].kind {
            Kind::Template(template) => Ok(template),
            Kind::Text(_) => Err(format!("{} is a text, not a template.", name.file())),
        }
    }

    fn client_text(&self, name: &Name, channel: Channel, vars: &BTreeMap<String, String>) -> Result<String, String> {
        let text = self.rendered(name, render::tree(vars))?;
        let (text, most) = (text.trim(), longest(channel));
        match text.chars().count() {
            0 => Err(format!("{} says nothing with these values.", name.file())),
            count if count > most => Err(format!("{} has {count} characters with these values, more than {most}.", name.file())),
            _ => Ok(text.to_owned()),
        }
    }

    /// A notice is the text that `notice_text` names, in the client's language and on one line: parameters have no other.
    fn with_notice(
        &self,
        channel: Channel,
        language: &str,
        vars: &BTreeMap<String, String>,
    ) -> Result<BTreeMap<String, String>, String> {
        let mut vars = vars.clone();
        if let Some(name) = vars.remove(NOTICE_TEXT) {
            let text = self.client_text(&self.nearest(channel, &name, language)?, channel, &vars)?;
            vars.insert("notice".to_owned(), text.split_whitespace().collect::<Vec<_>>().join(" "));
        }
        Ok(vars)
    }

    /// The reply's own variables, and beside them what every reply has: `code`, and `reason`, `ask`, `message`, `contact`,
    /// `advice`, `preview` where they apply.
    fn chat_variables(&self, reply: &Reply) -> Map<String, Value> {
        let mut variables = Map::new();
        let ids = [
            ("reason", reply.reason.as_deref()),
            ("ask", reply.ask.as_ref().map(|ask| ask.as_str())),
            ("message", reply.message.as_ref().map(|message| message.as_str())),
            ("contact", reply.client().map(|contact| contact.as_str())),
            ("advice", self.advice_on(reply)),
        ];
        variables.insert("code".to_owned(), json!(reply.code));
        variables.extend(ids.into_iter().filter_map(|(name, id)| Some((name.to_owned(), json!(id?)))));
        variables.extend(self.preview(reply));
        variables.extend(reply.vars.clone());
        variables
    }

    /// What the advisor can do about the provider's code.
    fn advice_on(&self, reply: &Reply) -> Option<&str> {
        let code = reply.vars.get("provider_code")?.as_str()?;
        match sms_errors::is_twilios(code) {
            true => sms_errors::advice_for(&self.sms_advice, code),
            false => errors::advice_for(&self.advice, code),
        }
    }

    fn rendered(&self, name: &Name, variables: Value) -> Result<String, String> {
        let template = self.environment.get_template(&name.key()).map_err(|_| match self.files.contains_key(name) {
            true => format!("{} is a template, not a text.", name.file()),
            false => format!("There is no file {}.", name.file()),
        })?;
        template.render(minijinja::Value::from(Serde(variables))).map_err(|error| format!("{}: {error}.", name.file()))
    }
}

fn longest(channel: Channel) -> usize {
    match channel {
        Channel::WhatsApp => LONGEST_TEXT,
        Channel::Sms => LONGEST_SMS,
    }
}

fn entity(reply: &Reply, effect_key: &str) -> Value {
    let mut entity = Map::new();
    let parts = [
        ("type", Some(json!("liaison.message"))),
        ("version", Some(json!("1"))),
        ("code", Some(json!(reply.code))),
        ("contact", reply.client().map(|contact| json!(contact))),
        ("message", reply.message.as_ref().map(|message| json!(message))),
        ("reason", reply.reason.as_ref().map(|reason| json!(reason))),
        ("key", Some(json!(effect_key))),
    ];
    entity.extend(parts.into_iter().filter_map(|(name, part)| Some((name.to_owned(), part?))));
    json!({ "liaison": entity })
}

/// Characters as people read them: an escaped one (`&amp;`) counts once.
fn read_characters(markup: &str) -> usize {
    let mut in_escape = false;
    let shown = markup.chars().filter(|c| {
        let counts = !in_escape;
        in_escape = (in_escape && *c != ';') || *c == '&';
        counts
    });
    shown.count()
}
fn is_too_long(inner: &str) -> bool {
    read_characters(inner) > LONGEST_LINE || inner.len() > LONGEST_MARKUP
}

/// The same, each text in it no longer than an echo may be.
fn shortened(value: Value) -> Value {
    match value {
        Value::String(text) => match text.char_indices().nth(LONGEST_ECHO) {
            Some((end, _)) => Value::String(format!("{}…", &text[..end])),
            None => Value::String(text),
        },
        Value::Array(items) => items.into_iter().map(shortened).collect(),
        Value::Object(fields) => fields.into_iter().map(|(name, value)| (name, shortened(value))).collect(),
        other => other,
    }
}
