//! Reads the files of the templates' folder, each by itself.
use super::whatsapp::WhatsAppTemplate;
use crate::config::Mistake;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

pub(super) const CHAT: &str = "chat";
const WHATSAPP: &str = "whatsapp";
pub(super) const CHANNELS: [&str; 3] = [CHAT, WHATSAPP, "sms"];
/// A template is a screen of text; a larger file does not belong here.
const MAX_FILE_BYTES: u64 = 256 * 1024;
/// Far more than a firm has words for, and few enough to read at every start.
const MOST_FILES: usize = 10_000;

/// Which file it is: `<channel>/<name>.<language>.toml`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Name {
    pub channel: String,
    pub name: String,
    pub language: String,
}

impl Name {
    pub fn new(channel: &str, name: &str, language: &str) -> Name {
        Name { channel: channel.to_owned(), name: name.to_owned(), language: language.to_owned() }
    }
    /// As the template engine knows it.
    pub fn key(&self) -> String {
        format!("{}/{}.{}", self.channel, self.name, self.language)
    }
    /// As people know it.
    pub fn file(&self) -> String {
        format!("templates/{}.toml", self.key())
    }
    pub fn path(&self, folder: &Path) -> String {
        folder.join(format!("{}.toml", self.key())).display().to_string()
    }
}

#[derive(Clone, Debug)]
pub(super) struct File {
    pub kind: Kind,
}

#[derive(Clone, Debug)]
pub(super) enum Kind {
    Text(String),
    Template(WhatsAppTemplate),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TextFile {
    body: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TemplateFile {
    meta_language: String,
    category: String,
    parameter_format: String,
    components: Vec<serde_json::Value>,
    #[serde(default)]
    payloads: BTreeMap<String, String>,
    #[serde(default)]
    parameters: Vec<String>,
}

pub(super) fn read(folder: &Path) -> (BTreeMap<Name, File>, Vec<Mistake>) {
    let (mut files, mut mistakes) = (BTreeMap::new(), Vec::new());
    for channel in CHANNELS {
        match paths(&folder.join(channel)) {
            Ok(paths) => {
                for path in paths {
                    match file(channel, &path) {
                        Ok((name, file)) => _ = files.insert(name, file),
                        Err(mistake) => mistakes.push(mistake),
                    }
                }
            }
            Err(why) => {
                let remedy = "Set bot.templates_dir to the folder that holds chat, whatsapp and sms.";
                let folder = folder.join(channel).display().to_string();
                mistakes.push(Mistake::new(folder, "", format!("The folder cannot be read: {why}."), remedy));
            }
        }
    }
    (files, mistakes)
}

/// The folder's `.toml` files in order; editors leave other files there.
fn paths(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(|error| error.to_string())? {
        let path = entry.map_err(|error| error.to_string())?.path();
        let hidden = path.file_name().is_none_or(|name| name.to_string_lossy().starts_with('.'));
        if !hidden && path.extension().is_some_and(|extension| extension == "toml") {
            paths.push(path);
        }
        if paths.len() > MOST_FILES {
            return Err(format!("it holds more than {MOST_FILES} files"));
        }
    }
    paths.sort();
    Ok(paths)
}

fn file(channel: &str, path: &Path) -> Result<(Name, File), Mistake> {
    let mistake = |key: &str, what: String, remedy: &str| Mistake::new(path.display().to_string(), key, what, remedy);
    let name = name_of(channel, path).ok_or_else(|| {
        let what = "The file's name does not say what it is.".to_owned();
        mistake("", what, "Call it <name>.<language>.toml with two small letters for the language, such as welcome.en.toml.")
    })?;
    let text = content(path).map_err(|why| mistake("", format!("The file cannot be read: {why}."), "Correct or remove it."))?;
    let table: toml::Table = toml::from_str(&text).map_err(|error| {
        mistake("", format!("The file is not TOML: {}.", one_line(&error.to_string())), "Put the line right.")
    })?;
    let kind = if channel == WHATSAPP && !table.contains_key("body") { template(&name, table) } else { text_file(table) };
    let kind = kind.map_err(|why| {
        let remedy =
            "A text has body; a WhatsApp template has meta_language, category, parameter_format, [[components]], [payloads].";
        mistake("", format!("{}.", one_line(&why)), remedy)
    })?;
    Ok((name, File { kind }))
}

fn name_of(channel: &str, path: &Path) -> Option<Name> {
    let stem = path.file_name()?.to_str()?.strip_suffix(".toml")?;
    let (name, language) = stem.split_once('.')?;
    let fits = !name.is_empty() && language.len() == 2 && language.bytes().all(|b| b.is_ascii_lowercase());
    fits.then(|| Name::new(channel, name, language))
}

fn content(path: &Path) -> Result<String, String> {
    let size = std::fs::metadata(path).map_err(|error| error.to_string())?.len();
    if size > MAX_FILE_BYTES {
        return Err(format!("it has more than {MAX_FILE_BYTES} bytes"));
    }
    std::fs::read_to_string(path).map_err(|error| error.to_string())
}

fn text_file(table: toml::Table) -> Result<Kind, String> {
    TextFile::deserialize(table).map(|file| Kind::Text(file.body)).map_err(|error| error.to_string())
}

fn template(name: &Name, table: toml::Table) -> Result<Kind, String> {
    let file = TemplateFile::deserialize(table).map_err(|error| error.to_string())?;
    let named = match file.parameter_format.as_str() {
        "named" => true,
        "positional" => false,
        other => return Err(format!("parameter_format is \"{other}\", neither \"named\" nor \"positional\"")),
    };
    Ok(Kind::Template(WhatsAppTemplate {
        name: name.name.clone(),
        language: name.language.clone(),
        meta_language: file.meta_language,
        category: file.category,
        named,
        components: file.components,
        payloads: file.payloads,
        positions: file.parameters,
    }))
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
