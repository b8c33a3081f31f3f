//! Takes settings key by key and collects every mistake; a derived deserializer would stop at the first one.
use super::{Mistake, Secret, WritingHours};
use crate::domain::ids::{Channel, Phone};
use crate::domain::time::Span;
use config::{Environment, File, FileFormat, Source, Value, ValueKind};
use jiff::tz::TimeZone;
use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::net::{Ipv4Addr, SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use url::Url;

/// Keys of the environment that override a setting begin with this.
const PREFIX: &str = "LIAISON";
/// Between the levels of a key in the environment.
const SEPARATOR: &str = "__";
/// What the `config` crate names as the origin of a value from the environment.
const ENVIRONMENT: &str = "the environment";
/// A secret is a token or a short key; a larger file is a mistake in the path.
const MAX_SECRET_BYTES: u64 = 64 * 1024;
/// No firm writes more by hand; a larger file is a mistake in the path.
const MAX_FILE_BYTES: u64 = 4 * 1024 * 1024;
/// The longest wait that makes sense in a policy; it also keeps arithmetic on times far from its end.
const LONGEST_SPAN_DAYS: i64 = 3650;

/// Where mistakes are gathered, and what all sections share.
pub(super) struct Sheet {
    file: String,
    folder: PathBuf,
    environment: BTreeMap<String, String>,
    /// Keys that variables of the environment override, with the names of these.
    overrides: BTreeMap<String, String>,
    mistakes: RefCell<Vec<Mistake>>,
}

impl Sheet {
    pub fn wrong(&self, key: &str, what: impl Into<String>, remedy: impl Into<String>) {
        self.mistakes.borrow_mut().push(Mistake::new(self.place_of(key), key, what, remedy));
    }

    /// The variable or the file that says what the key is.
    fn place_of(&self, key: &str) -> &str {
        self.overrides.get(key).unwrap_or(&self.file)
    }

    /// All that write this value or a part of it, each with the key that it writes.
    fn writers_of<'s>(&'s self, key: &'s str, value: &Value) -> Vec<(&'s str, &'s str)> {
        let part = |other: &str| other.strip_prefix(key).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']));
        let variables = self.overrides.iter().filter(|(other, _)| part(other));
        let mut writers: Vec<_> = variables.map(|(other, variable)| (variable.as_str(), other.as_str())).collect();
        if writers.is_empty() || !is_from_the_environment(value) {
            writers.insert(0, (&self.file, key));
        }
        writers
    }

    pub fn take_mistakes(&self) -> Vec<Mistake> {
        self.mistakes.take()
    }
}

/// Opens file and environment as one tree.
pub(super) fn open(path: &Path, environment: &BTreeMap<String, String>) -> Result<(Rc<Sheet>, Section), Mistake> {
    let file = path.display().to_string();
    let text = read_file(path, MAX_FILE_BYTES)
        .map_err(|why| Mistake::new(&file, "", format!("The file cannot be read: {why}."), "Give its path with --config."))?;
    let tree = merged(&text, environment).map_err(|error| {
        let remedy = "Put the line right; strings stand in quotes, lists in [ ].";
        Mistake::new(&file, "", format!("The file is not TOML: {}.", first_lines(&error.to_string())), remedy)
    })?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new(".")).to_owned();
    let overrides = environment.keys().filter_map(|variable| Some((key_of(variable)?, variable.clone()))).collect();
    let sheet = Rc::new(Sheet { file, folder, environment: environment.clone(), overrides, mistakes: RefCell::default() });
    let root = Section::new(String::new(), Some(tree), sheet.clone());
    Ok((sheet, root))
}

fn merged(text: &str, environment: &BTreeMap<String, String>) -> Result<HashMap<String, Value>, config::ConfigError> {
    let overrides = environment.iter().map(|(name, value)| (with_places(name), value.clone())).collect::<HashMap<_, _>>();
    let environment = Environment::with_prefix(PREFIX).separator(SEPARATOR).source(Some(overrides));
    config::Config::builder().add_source(File::from_str(text, FileFormat::Toml)).add_source(environment).build()?.collect()
}

/// `LIAISON__WHATSAPP__LINES__0__NAME` names the first entry of a list, which the `config` crate writes `lines[0]`.
fn with_places(name: &str) -> String {
    let mut levels = name.split(SEPARATOR);
    let mut path = levels.next().unwrap_or_default().to_owned();
    for level in levels {
        match level.parse::<u16>() {
            Ok(place) => path.push_str(&format!("[{place}]")),
            Err(_) => path.push_str(&format!("{SEPARATOR}{level}")),
        }
    }
    path
}

/// The key that a variable overrides: `LIAISON__WHATSAPP__LINES__0__NAME` is `whatsapp.lines[0].name`.
fn key_of(variable: &str) -> Option<String> {
    let placed = with_places(variable).to_lowercase();
    let key = placed.strip_prefix(&format!("{PREFIX}{SEPARATOR}").to_lowercase())?.replace(SEPARATOR, ".");
    (!key.is_empty()).then_some(key)
}

/// Nothing of it stands in the file. Places of a list that nobody names are empty.
fn is_from_the_environment(value: &Value) -> bool {
    match &value.kind {
        ValueKind::Table(table) => !table.is_empty() && table.values().all(is_from_the_environment),
        ValueKind::Array(entries) => !entries.is_empty() && entries.iter().all(is_from_the_environment),
        ValueKind::Nil => true,
        _ => value.origin() == Some(ENVIRONMENT),
    }
}

fn first_lines(text: &str) -> String {
    text.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ")
}

fn read_file(path: &Path, limit: u64) -> Result<String, String> {
    let size = std::fs::metadata(path).map_err(|error| error.to_string())?.len();
    if size > limit {
        return Err(format!("it has {size} bytes, more than {limit}"));
    }
    std::fs::read_to_string(path).map_err(|error| error.to_string())
}

/// One table, from which keys are taken; what is left over at the end is unknown.
pub(super) struct Section {
    path: String,
    table: Option<HashMap<String, Value>>,
    taken: Vec<&'static str>,
    demanding: bool,
    sheet: Rc<Sheet>,
}

impl Section {
    fn new(path: String, table: Option<HashMap<String, Value>>, sheet: Rc<Sheet>) -> Section {
        Section { path, table, taken: Vec::new(), demanding: true, sheet }
    }

    pub fn is_present(&self) -> bool {
        self.table.is_some()
    }

    /// Whether a missing required key is a mistake; it is not in a channel that is switched off.
    pub fn demand(&mut self, demanding: bool) {
        self.demanding = demanding;
    }

    pub fn key(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }

    pub fn wrong(&self, name: &str, what: impl Into<String>, remedy: impl Into<String>) {
        self.sheet.wrong(&self.key(name), what, remedy);
    }

    fn wrong_value(&self, name: &str, value: &Value, what: impl Into<String>, remedy: impl Into<String>) {
        let key = self.key(name);
        let place = self.sheet.writers_of(&key, value)[0].0.to_owned();
        self.sheet.mistakes.borrow_mut().push(Mistake::new(place, key, what, remedy));
    }

    fn missing(&self, name: &str, remedy: impl Into<String>) {
        if self.demanding {
            self.wrong(name, "The setting is missing or empty.", remedy);
        }
    }

    fn take(&mut self, name: &'static str) -> Option<Value> {
        self.taken.push(name);
        self.table.as_mut()?.remove(name).filter(|value| value.kind != ValueKind::Nil)
    }

    /// Every key that nobody asked for is a mistake, with the nearest known one as the remedy.
    pub fn done(self) {
        let left: BTreeMap<&String, &Value> = self.table.iter().flatten().collect();
        for (name, value) in left {
            let near = self.taken.iter().max_by(|a, b| strsim::jaro(a, name).total_cmp(&strsim::jaro(b, name)));
            let remedy = match near.filter(|near| strsim::jaro(near, name) > 0.8) {
                Some(near) => format!("Did you mean \"{near}\"? Otherwise remove it."),
                None => format!("Remove it; known here are: {}.", self.taken.join(", ")),
            };
            for (place, key) in self.sheet.writers_of(&self.key(name), value) {
                self.sheet.mistakes.borrow_mut().push(Mistake::new(place, key, "There is no such setting.", remedy.clone()));
            }
        }
    }

    pub fn section(&mut self, name: &'static str) -> Section {
        let table = self.take(name).and_then(|value| match value.kind {
            ValueKind::Table(table) => Some(table),
            _ => {
                self.wrong_value(name, &value, "This must be a section.", format!("Write [{name}] and its keys below."));
                None
            }
        });
        Section::new(self.key(name), table, self.sheet.clone())
    }

    /// What is written here; `None` where the key is not there and something else decides.
    pub fn own<T>(&mut self, name: &'static str, read: impl FnOnce(&mut Section, &'static str) -> T) -> Option<T> {
        let there = self.table.as_ref().is_some_and(|table| table.contains_key(name));
        if !there {
            self.taken.push(name);
        }
        there.then(|| read(self, name))
    }

    /// A list of tables, each a section of its own.
    pub fn tables(&mut self, name: &'static str) -> Vec<Section> {
        let Some(value) = self.take(name) else { return Vec::new() };
        let ValueKind::Array(entries) = value.kind else {
            self.wrong_value(name, &value, "This must be a list of tables.", "Write [ { key = \"value\" }, … ].");
            return Vec::new();
        };
        entries.into_iter().enumerate().filter_map(|(place, entry)| self.entry(name, place, entry)).collect()
    }

    fn entry(&self, name: &str, place: usize, entry: Value) -> Option<Section> {
        let path = format!("{}[{place}]", self.key(name));
        match entry.kind {
            ValueKind::Table(table) => Some(Section::new(path, Some(table), self.sheet.clone())),
            _ => {
                self.wrong(&format!("{name}[{place}]"), "This must be a table.", "Write { key = \"value\", … }.");
                None
            }
        }
    }

    /// A text without the blanks around it; `None` when absent, empty or no text.
    pub fn optional(&mut self, name: &'static str) -> Option<(String, Value)> {
        let value = self.take(name)?;
        let Some(text) = text_of(&value) else {
            self.wrong_value(name, &value, "This must be a text.", "Put it in quotes.");
            return None;
        };
        (!text.is_empty()).then_some((text, value))
    }

    pub fn text(&mut self, name: &'static str, default: &str) -> String {
        self.optional(name).map_or_else(|| default.to_owned(), |(text, _)| text)
    }

    pub fn required(&mut self, name: &'static str) -> String {
        self.required_text(name).map_or_else(String::new, |(text, _)| text)
    }

    fn required_text(&mut self, name: &'static str) -> Option<(String, Value)> {
        let before = self.sheet.mistakes.borrow().len();
        let found = self.optional(name);
        if found.is_none() && self.sheet.mistakes.borrow().len() == before {
            self.missing(name, format!("Write {name} = \"…\"."));
        }
        found
    }

    /// A text that `read` understands; `shape` says what it must look like.
    fn read<T>(&self, name: &str, found: Option<(String, Value)>, shape: &str, read: impl Fn(&str) -> Option<T>) -> Option<T> {
        let (text, value) = found?;
        let understood = read(&text);
        if understood.is_none() {
            self.wrong_value(name, &value, format!("\"{text}\" is not understood."), shape);
        }
        understood
    }

    pub fn flag(&mut self, name: &'static str, default: bool) -> bool {
        let Some(value) = self.take(name) else { return default };
        match (&value.kind, text_of(&value).as_deref()) {
            (ValueKind::Boolean(flag), _) => *flag,
            (_, Some("true")) => true,
            (_, Some("false")) => false,
            (_, _) => {
                self.wrong_value(name, &value, "This is neither true nor false.", "Write true or false, without quotes.");
                default
            }
        }
    }

    /// A whole number above zero.
    pub fn count(&mut self, name: &'static str, default: u32) -> u32 {
        let Some(value) = self.take(name) else { return default };
        let number = match &value.kind {
            ValueKind::I64(number) => u32::try_from(*number).ok(),
            _ => text_of(&value).and_then(|text| text.parse().ok()),
        };
        number.filter(|number| *number > 0).unwrap_or_else(|| {
            self.wrong_value(name, &value, "This is not a whole number above zero.", format!("Write {name} = {default}."));
            default
        })
    }

    /// `<n>s`, `m`, `h` or `d`, more than nothing.
    pub fn span(&mut self, name: &'static str, default: Span) -> Span {
        let found = self.optional(name);
        let shape = "Write a number above zero and s, m, h or d, such as \"24h\" or \"14d\"; at most 3650d.";
        self.read(name, found, shape, span_of).unwrap_or(default)
    }

    pub fn choice<T: Copy>(&mut self, name: &'static str, choices: &[(&str, T)]) -> T {
        let found = self.optional(name);
        let names = choices.iter().map(|(text, _)| format!("\"{text}\"")).collect::<Vec<_>>().join(" or ");
        let chosen = |text: &str| choices.iter().find(|(choice, _)| *choice == text).map(|(_, value)| *value);
        self.read(name, found, &format!("Write {names}."), chosen).unwrap_or(choices[0].1)
    }

    pub fn path(&mut self, name: &'static str, default: &str) -> PathBuf {
        let path = self.text(name, default);
        self.sheet.folder.join(path)
    }

    pub fn required_path(&mut self, name: &'static str) -> PathBuf {
        let path = self.required(name);
        if path.is_empty() { PathBuf::new() } else { self.sheet.folder.join(path) }
    }

    pub fn existing_file(&mut self, name: &'static str) -> Option<PathBuf> {
        let (text, value) = self.optional(name)?;
        let path = self.sheet.folder.join(text);
        if !path.is_file() {
            let remedy = "Put the file there or correct the path; relative paths start at the configuration file's folder.";
            self.wrong_value(name, &value, format!("There is no file {}.", path.display()), remedy);
        }
        Some(path)
    }

    pub fn time_zone(&mut self, name: &'static str, default: &str) -> TimeZone {
        let found = self.optional(name);
        let shape = "Write a name of the IANA database, such as \"America/New_York\" or \"Europe/Berlin\".";
        let zone = |text: &str| TimeZone::get(text).ok();
        self.read(name, found, shape, zone).or_else(|| zone(default)).unwrap_or(TimeZone::UTC)
    }

    pub fn url(&mut self, name: &'static str, schemes: &[&str]) -> Option<Url> {
        let found = self.optional(name);
        self.url_in(name, found, schemes)
    }

    /// A stand-in where it is missing or wrong, so that reading goes on.
    pub fn required_url(&mut self, name: &'static str, schemes: &[&str]) -> Url {
        let found = self.required_text(name);
        self.url_in(name, found, schemes).unwrap_or_else(|| super::known_url("https://missing.invalid"))
    }

    fn url_in(&self, name: &str, found: Option<(String, Value)>, schemes: &[&str]) -> Option<Url> {
        let (text, value) = found?;
        let url = Url::parse(&text).ok().filter(|url| the_address_is_plain(url, schemes));
        if url.is_none() {
            // Before an "@" stands a password, which must not be seen on a screen.
            let shown = if text.contains('@') { "This address" } else { &format!("\"{text}\"") };
            let shape = format!(
                "Write a whole address that begins with {}:// and has no user, query or fragment.",
                schemes.join(":// or ")
            );
            self.wrong_value(name, &value, format!("{shown} is not understood."), shape);
        }
        url
    }

    /// The one address that may hold a password.
    pub fn proxy(&mut self, name: &'static str) -> Option<Secret> {
        self.url(name, PROXY).map(|url| Secret::new(url.as_str()))
    }

    pub fn address(&mut self, name: &'static str, default: &str) -> SocketAddr {
        let found = self.optional(name);
        let read = self.read(name, found, "Write host and port, such as \"127.0.0.1:8080\".", address_of);
        read.or_else(|| default.parse().ok()).unwrap_or(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))
    }

    pub fn phone(&mut self, name: &'static str) -> Option<Phone> {
        let found = self.optional(name);
        self.read(name, found, E164, Phone::from_e164)
    }

    pub fn required_phone(&mut self, name: &'static str) -> Option<Phone> {
        let found = self.required_text(name);
        self.read(name, found, E164, Phone::from_e164)
    }

    pub fn email(&mut self, name: &'static str) -> Option<String> {
        let found = self.optional(name);
        self.read(name, found, EMAIL, canonical_email)
    }

    pub fn required_email(&mut self, name: &'static str) -> String {
        let found = self.required_text(name);
        self.read(name, found, EMAIL, canonical_email).unwrap_or_default()
    }

    pub fn emails(&mut self, name: &'static str) -> Vec<String> {
        let texts = self.texts(name);
        texts.iter().filter_map(|text| self.listed(name, text, EMAIL, canonical_email)).collect()
    }

    pub fn channels(&mut self, name: &'static str) -> Vec<Channel> {
        let texts = self.texts(name);
        texts.iter().filter_map(|text| self.listed(name, text, "Write \"whatsapp\" or \"sms\".", Channel::parse)).collect()
    }

    fn listed<T>(&self, name: &str, text: &str, shape: &str, read: impl Fn(&str) -> Option<T>) -> Option<T> {
        let understood = read(text);
        if understood.is_none() {
            self.wrong(name, format!("\"{text}\" is not understood."), shape);
        }
        understood
    }

    /// A list of texts; the environment gives it with commas.
    pub fn texts(&mut self, name: &'static str) -> Vec<String> {
        let Some(value) = self.take(name) else { return Vec::new() };
        let texts = match &value.kind {
            ValueKind::Array(entries) => entries.iter().map(text_of).collect::<Option<Vec<_>>>(),
            ValueKind::String(text) if value.origin() == Some(ENVIRONMENT) && text.trim_start().starts_with('[') => {
                let remedy = "Write its entries with commas between them, without brackets and quotes.";
                self.wrong_value(name, &value, "This is a text and not a list.", remedy);
                return Vec::new();
            }
            ValueKind::String(text) if value.origin() == Some(ENVIRONMENT) => {
                Some(text.split(',').map(|part| part.trim().to_owned()).filter(|part| !part.is_empty()).collect())
            }
            _ => None,
        };
        texts.unwrap_or_else(|| {
            self.wrong_value(name, &value, "This must be a list of texts.", format!("Write {name} = [\"…\", \"…\"]."));
            Vec::new()
        })
    }

    /// "off", or two times of day.
    pub fn hours(&mut self, name: &'static str) -> Option<WritingHours> {
        let found = self.optional(name).filter(|(text, _)| text != "off");
        self.read(name, found, "Write \"off\", or the hours in which writing is allowed, such as \"08:00-21:00\".", hours_of)
    }

    pub fn secret(&mut self, name: &'static str) -> Option<Secret> {
        self.secrets(name, 1).pop()
    }

    pub fn required_secrets(&mut self, name: &'static str, most: usize) -> Vec<Secret> {
        let before = self.sheet.mistakes.borrow().len();
        let secrets = self.secrets(name, most);
        if secrets.is_empty() && self.sheet.mistakes.borrow().len() == before {
            self.missing(name, format!("Write {name} = {{ env = \"NAME\" }} or {name} = {{ file = \"path\" }}."));
        }
        secrets
    }

    fn secrets(&mut self, name: &'static str, most: usize) -> Vec<Secret> {
        let Some(value) = self.take(name) else { return Vec::new() };
        let entries = match &value.kind {
            ValueKind::Array(entries) => entries.clone(),
            _ => vec![value.clone()],
        };
        if entries.len() > most {
            let what = format!("{} secrets stand here, more than {most}.", entries.len());
            self.wrong_value(name, &value, what, "Keep the newest; a second one is for the days of a rotation only.");
        }
        entries.iter().filter_map(|entry| self.one_secret(name, entry)).take(most).collect()
    }

    fn one_secret(&self, name: &str, value: &Value) -> Option<Secret> {
        let found = match &value.kind {
            ValueKind::String(text) => Ok(text.clone()),
            ValueKind::Table(table) => self.secret_from(table),
            _ => Err("This is no secret.".to_owned()),
        };
        match found.map(|text| text.trim().to_owned()) {
            Ok(text) => (!text.is_empty()).then(|| Secret::new(text)),
            // A channel that is switched off does not need its secrets to be in place.
            Err(_) if !self.demanding => None,
            Err(what) => {
                let remedy = format!("Write {name} = {{ env = \"NAME\" }} or {{ file = \"path\" }} and see that it is there.");
                self.wrong_value(name, value, what, remedy);
                None
            }
        }
    }

    /// The content of what a table names; never part of a mistake's words.
    fn secret_from(&self, table: &HashMap<String, Value>) -> Result<String, String> {
        let mut entries = table.iter().map(|(key, value)| (key.as_str(), text_of(value)));
        let content = match (entries.next(), entries.next()) {
            (Some(("env", Some(variable))), None) => {
                self.sheet.environment.get(&variable).cloned().ok_or(format!("The environment variable {variable} is not set."))
            }
            (Some(("file", Some(path))), None) => {
                let path = self.sheet.folder.join(path);
                read_file(&path, MAX_SECRET_BYTES).map_err(|why| format!("The file {} cannot be read: {why}.", path.display()))
            }
            (_, _) => Err("A secret is a text, { env = … } or { file = … }.".to_owned()),
        }?;
        if content.trim().is_empty() { Err("The secret that is named here is empty.".to_owned()) } else { Ok(content) }
    }
}

const PROXY: &[&str] = &["http", "https", "socks5", "socks5h"];
const E164: &str = "Write the whole number with country code, such as \"+12025550143\".";
const EMAIL: &str = "Write an e-mail address, such as \"jane.doe@acme.com\".";

fn text_of(value: &Value) -> Option<String> {
    match &value.kind {
        ValueKind::String(text) => Some(text.trim().to_owned()),
        _ => None,
    }
}

fn the_address_is_plain(url: &Url, schemes: &[&str]) -> bool {
    // A proxy may need a user and a password; elsewhere they would end up in logs.
    let may_have_user = schemes == PROXY;
    schemes.contains(&url.scheme())
        && url.has_host()
        && url.query().is_none()
        && url.fragment().is_none()
        && (may_have_user || (url.username().is_empty() && url.password().is_none()))
}

fn address_of(text: &str) -> Option<SocketAddr> {
    // Names other than localhost would be looked up, and this reading touches no network.
    let text = text.strip_prefix("localhost:").map_or_else(|| text.to_owned(), |port| format!("127.0.0.1:{port}"));
    text.parse::<SocketAddr>().ok().and_then(|address| address.to_socket_addrs().ok()?.next())
}

fn span_of(text: &str) -> Option<Span> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let unit = match unit {
        "s" => Span::seconds(1),
        "m" => Span::minutes(1),
        "h" => Span::hours(1),
        "d" => Span::days(1),
        _ => return None,
    };
    let number = digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse::<i64>().ok())??;
    let span = Span(number.checked_mul(unit.0)?);
    (span.0 > 0 && span <= Span::days(LONGEST_SPAN_DAYS)).then_some(span)
}

fn hours_of(text: &str) -> Option<WritingHours> {
    let (from, to) = text.split_once('-')?;
    let hours = WritingHours { from: minute_of_day(from.trim())?, to: minute_of_day(to.trim())? };
    (hours.from != hours.to).then_some(hours)
}

fn minute_of_day(text: &str) -> Option<u16> {
    let (hour, minute) = text.split_once(':')?;
    let two_digits = |part: &str| (part.len() == 2).then(|| part.parse::<u16>().ok()).flatten();
    let (hour, minute) = (two_digits(hour)?, two_digits(minute)?);
    ((hour < 24 && minute < 60) || (hour, minute) == (24, 0)).then_some(hour * 60 + minute)
}

/// Trimmed and case-folded (S0-32), with one "@" between two parts without blanks.
fn canonical_email(text: &str) -> Option<String> {
    let text = text.trim().to_lowercase();
    let (local, domain) = text.split_once('@')?;
    let fits =
        |part: &str| !part.is_empty() && !part.contains(|c: char| c.is_whitespace() || c.is_control() || "@<>,;\"".contains(c));
    (fits(local) && fits(domain) && text.len() <= 254).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_a_number_above_zero_and_a_unit() {
        let table = [("30s", 30_000), ("5m", 300_000), ("24h", 86_400_000), ("14d", 1_209_600_000)];
        for (text, expected) in table {
            assert_eq!(span_of(text), Some(Span(expected)), "{text}");
        }
        for text in ["", "h", "0h", "-1h", "+1h", "1.5h", "24", "24 h", "24H", "1w", "99999999999999999999d", "3651d", "5€"] {
            assert_eq!(span_of(text), None, "{text}");
        }
    }

    #[test]
    fn writing_hours_are_two_different_times_of_day() {
        assert_eq!(hours_of("08:00-21:00"), Some(WritingHours { from: 480, to: 1260 }));
        assert_eq!(hours_of("22:00-06:30"), Some(WritingHours { from: 1320, to: 390 }));
        for text in ["8-21", "08:00", "25:00-26:00", "08:60-09:00", "08:00-08:00", "8:00-21:00", "on"] {
            assert_eq!(hours_of(text), None, "{text}");
        }
    }

    #[test]
    fn the_environment_may_name_entries_of_lists() {
        assert_eq!(with_places("LIAISON__WHATSAPP__LINES__0__NAME"), "LIAISON__WHATSAPP__LINES[0]__NAME");
        assert_eq!(with_places("LIAISON__BOT__FIRM"), "LIAISON__BOT__FIRM");
        assert_eq!(key_of("LIAISON__WHATSAPP__LINES__0__NAME").as_deref(), Some("whatsapp.lines[0].name"));
        assert_eq!(key_of("liaison__Bot__Firm").as_deref(), Some("bot.firm"));
        for other in ["LIAISON", "LIAISON__", "LIAISON_BOT", "PATH", "MY_LIAISON__BOT"] {
            assert_eq!(key_of(other), None, "{other}");
        }
    }

    #[test]
    fn email_addresses_are_trimmed_and_case_folded() {
        assert_eq!(canonical_email(" Jane.Doe@ACME.com ").as_deref(), Some("jane.doe@acme.com"));
        for text in ["", "jane", "@acme.com", "jane@", "a@b@c", "a b@c.de", "a@b,c@d"] {
            assert_eq!(canonical_email(text), None, "{text}");
        }
    }
}
