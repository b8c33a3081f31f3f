//! `liaison templates list|diff|submit|sync`: what stands in the account, and how it comes to be what stands in our files.
use super::{InAccount, compared, in_account, remedy_of_status};
use crate::adapters::clock::SystemClock;
use crate::adapters::whatsapp::templates::Listed;
use crate::adapters::whatsapp::{Pace, WhatsApp};
use crate::adapters::wording::{WhatsAppTemplate, Wording, load_all};
use crate::app::start;
use crate::config::Config;
use crate::ports::Clock;
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Act {
    /// What the account has.
    List,
    /// Each of our files against the account.
    Diff,
    /// Submits the files that the account does not have. What it has is never edited.
    Submit,
    /// Writes what only the account has as files, with --write; otherwise says what would be written.
    Sync,
}

/// One template of the answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Line {
    pub name: String,
    pub language: String,
    /// `same`, `missing`, `pending`, `rejected`, `paused`, `differs`, `submitted`, `written`, … or the account's status.
    pub state: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quality: Option<String>,
    /// A sentence; empty where the state says it all.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub what: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub remedy: String,
    pub ok: bool,
}

impl std::fmt::Display for Line {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mark = if self.ok { "✔" } else { "✘" };
        write!(f, "{mark} {} ({}): {}", self.name, self.language, self.state)?;
        if let Some(category) = &self.category {
            write!(f, ", {category}")?;
        }
        if let Some(quality) = &self.quality {
            write!(f, ", quality {quality}")?;
        }
        if !self.what.is_empty() {
            write!(f, ". {}", self.what)?;
        }
        if self.remedy.is_empty() { Ok(()) } else { write!(f, " → {}", self.remedy) }
    }
}

impl Line {
    fn of(name: &str, language: &str, state: &str, ok: bool) -> Line {
        Line {
            name: name.to_owned(),
            language: language.to_owned(),
            state: state.to_owned(),
            category: None,
            quality: None,
            what: String::new(),
            remedy: String::new(),
            ok,
        }
    }
    fn saying(self, what: impl Into<String>, remedy: impl Into<String>) -> Line {
        Line { what: what.into(), remedy: remedy.into(), ..self }
    }
}

/// Does it and tells each template; true where all is well, `Err` where nothing could be done at all.
pub async fn act(
    act: Act,
    path: &Path,
    environment: &BTreeMap<String, String>,
    write: bool,
    tell: &mut dyn FnMut(&Line),
) -> Result<bool, Vec<String>> {
    let loaded = load_all(path, environment);
    let (config, wording) = loaded.map_err(|mistakes| mistakes.iter().map(ToString::to_string).collect::<Vec<_>>())?;
    let client = client(&config).map_err(|why| vec![why])?;
    let account = client.message_templates().await.map_err(|error| vec![format!("{error}.")])?;
    let mut all_well = true;
    let mut print = |line: Line| {
        all_well &= line.ok;
        tell(&line);
    };
    match act {
        Act::List => account.iter().map(listed).for_each(&mut print),
        Act::Diff => wording.templates().map(|ours| differences(ours, &account)).for_each(&mut print),
        Act::Submit => submit(&client, &wording, &account, &mut print).await,
        Act::Sync => {
            let sync = Sync { wording: &wording, folder: config.bot.templates_dir.join("whatsapp"), write };
            sync.all(&account, &mut print);
            if write {
                // A new file may need others beside it, such as the same template in the firm's other languages.
                if let Err(mistakes) = load_all(path, environment) {
                    return Err(mistakes.iter().map(ToString::to_string).collect());
                }
            }
        }
    }
    Ok(all_well)
}

fn client(config: &Config) -> Result<Arc<WhatsApp>, String> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let client = start::whatsapp(config, &clock, &Arc::new(Mutex::new(Pace::new()))).map_err(|error| error.to_string())?;
    client.ok_or_else(|| "WhatsApp is not enabled in the configuration ([whatsapp] enabled).".to_owned())
}

/// For a list every state is a fact, none a fault.
fn listed(theirs: &Listed) -> Line {
    Line {
        category: Some(theirs.category.clone()).filter(|category| !category.is_empty()),
        quality: theirs.quality().map(str::to_owned),
        what: theirs.reason().map(|reason| format!("Reason: {reason}.")).unwrap_or_default(),
        ..Line::of(&theirs.name, &theirs.language, &theirs.status, true)
    }
}

fn differences(ours: &WhatsAppTemplate, account: &[Listed]) -> Line {
    let submitted = ours.as_submitted();
    let line = |state: &str, ok| Line::of(&ours.name, &ours.meta_language, state, ok);
    let state = match in_account(&submitted, account) {
        InAccount::Missing(_) => "missing".to_owned(),
        InAccount::There { theirs, .. } if !theirs.status.eq_ignore_ascii_case("APPROVED") => theirs.status.to_lowercase(),
        InAccount::There { .. } => "differs".to_owned(),
    };
    match compared(&submitted, account) {
        Ok(()) => line("same", true),
        Err((what, remedy)) => line(&state, false).saying(what, remedy),
    }
}

// ---- submit

/// Says what it will do, then does it: creates what is missing and touches nothing else.
async fn submit(client: &WhatsApp, wording: &Wording, account: &[Listed], print: &mut impl FnMut(Line)) {
    let mut missing = Vec::new();
    for ours in wording.templates() {
        let submitted = ours.as_submitted();
        match in_account(&submitted, account) {
            InAccount::Missing(_) => {
                let line = Line {
                    category: Some(ours.category.clone()),
                    ..Line::of(&ours.name, &ours.meta_language, "will be submitted", true)
                };
                print(line);
                missing.push((ours, submitted));
            }
            InAccount::There { theirs, words, category } if !words.is_empty() || category.is_some() => {
                let apart: Vec<String> = category.into_iter().chain(words).collect();
                let line = Line::of(&ours.name, &ours.meta_language, "left as it is", false);
                let what =
                    format!("The account has it as {}, and it differs from its file: {}.", theirs.status, apart.join("; "));
                print(
                    line.saying(what, "Put the same into the file, or edit it in WhatsApp Manager; nothing is edited from here."),
                );
            }
            InAccount::There { theirs, .. } => {
                let approved = theirs.status.eq_ignore_ascii_case("APPROVED");
                let remedy = if approved { "" } else { remedy_of_status(&theirs.status) };
                let line = Line::of(
                    &ours.name,
                    &ours.meta_language,
                    &theirs.status.to_lowercase(),
                    approved || is_under_way(&theirs.status),
                );
                print(line.saying("The account has it already.", remedy));
            }
        }
    }
    for (ours, submitted) in missing {
        let line = |state: &str, ok| Line::of(&ours.name, &ours.meta_language, state, ok);
        match client.submit_template(&submitted).await {
            Ok(answer) => {
                let moved = !answer.category.is_empty() && !answer.category.eq_ignore_ascii_case(&ours.category);
                let what = match moved {
                    true => format!("WhatsApp files it under {}, our file under {}.", answer.category, ours.category),
                    false => String::new(),
                };
                let line = line("submitted", true).saying(what, "Wait for WhatsApp's review; it takes up to a day.");
                print(Line { category: Some(answer.category).filter(|category| !category.is_empty()), ..line });
            }
            Err(error) => {
                print(line("not submitted", false).saying(format!("{error}."), "Put the file right, then submit again."))
            }
        }
    }
}

fn is_under_way(status: &str) -> bool {
    ["PENDING", "IN_APPEAL"].iter().any(|under_way| status.eq_ignore_ascii_case(under_way))
}

// ---- sync

struct Sync<'s> {
    wording: &'s Wording,
    folder: PathBuf,
    write: bool,
}

impl Sync<'_> {
    fn all(&self, account: &[Listed], print: &mut impl FnMut(Line)) {
        let is_file = |theirs: &&Listed| {
            self.wording.templates().any(|ours| ours.name == theirs.name && ours.meta_language == theirs.language)
        };
        for theirs in account.iter().filter(|theirs| !is_file(theirs)) {
            print(self.one(theirs));
        }
    }

    fn one(&self, theirs: &Listed) -> Line {
        let line = |state: &str, ok| Line::of(&theirs.name, &theirs.language, state, ok);
        let named = theirs.parameter_format.as_deref().is_some_and(|format| format.eq_ignore_ascii_case("named"));
        let file = WhatsAppTemplate::from_account(&theirs.name, &theirs.language, &theirs.category, named, &theirs.components);
        let text = match file {
            Ok(text) => text,
            Err(why) => return line("only in the account", true).saying(format!("It cannot be a file here: {why}"), ""),
        };
        // The name was found good, so it leads nowhere else.
        let path = self.folder.join(format!("{}.{}.toml", theirs.name, &theirs.language[..2]));
        if path.exists() {
            let what = format!("{} is there already, for another country's language.", path.display());
            return line("only in the account", true).saying(what, "");
        }
        if !self.write {
            return line("only in the account", true).saying(format!("{} would be written with --write.", path.display()), "");
        }
        match std::fs::write(&path, text) {
            Ok(()) => line("written", true).saying(format!("{} is new; look through it.", path.display()), ""),
            Err(error) => line("not written", false)
                .saying(format!("{} cannot be written: {error}.", path.display()), "Give the right to write there."),
        }
    }
}
