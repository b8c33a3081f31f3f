//! Whom `liaison journal --contact` means: found in the journal alone, which is there also when the view is not.
use crate::adapters::store::{Filter, JournalLine, read_journal};
use crate::domain::email;
use crate::domain::ids::{ContactId, Phone};
use crate::domain::phone;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// As in the chat (COMMANDS §1): a text with so many digits is a number, not a name.
const DIGITS_OF_A_NUMBER: usize = 6;
/// Of several contacts of one name so many are listed.
const SHOWN_MATCHES: usize = 20;
/// Where entries note the numbers and the addresses of their contact.
const NUMBERS: [&str; 5] = ["/phone", "/phone_raw", "/from/phone", "/to/phone", "/keys/phone"];
const ADDRESSES: [&str; 3] = ["/email", "/email_raw", "/changed/email"];

/// A contact as COMMANDS §1 has it: a short id, a number in any usual writing, an e-mail address, or a name that no other has.
/// Of a number or an address that several had in turn it is the last. `Err` is a sentence for the operator.
pub fn contact_named(data: &Path, typed: &str, default_region: &str) -> Result<ContactId, String> {
    let typed = typed.trim();
    let found = if let Some(id) = short_id(typed) {
        one_of(data, Filter { contact: Some(id), since: None }, |_| true)?
    } else if typed.contains('@') {
        let address = email::canonical(typed).unwrap_or_else(|_| typed.to_lowercase());
        one_of(data, Filter::default(), |line| notes(line, &ADDRESSES, |noted| noted.to_lowercase() == address))?
    } else if typed.chars().filter(char::is_ascii_digit).count() >= DIGITS_OF_A_NUMBER {
        let writings = writings(typed, default_region);
        one_of(data, Filter::default(), |line| notes(line, &NUMBERS, |noted| writings.iter().any(|number| number == noted)))?
    } else {
        by_name(data, typed)?
    };
    found.ok_or_else(|| {
        format!("No contact {typed} stands in the journal. Give a short id (c-…), a number, an e-mail address or a name.")
    })
}

fn short_id(typed: &str) -> Option<ContactId> {
    typed.to_uppercase().strip_prefix("C-").map(|id| ContactId(format!("c-{id}")))
}

/// What was typed, and the number that it is, in both writings of countries that have two.
fn writings(typed: &str, default_region: &str) -> Vec<String> {
    let number = phone::canonical(typed, default_region).ok();
    let other = number.as_ref().and_then(phone::other_writing);
    let numbers = number.into_iter().chain(other).map(|number: Phone| number.e164().to_owned());
    numbers.chain([typed.to_owned()]).collect()
}

/// The contact of the last entry that fits.
fn one_of(data: &Path, filter: Filter, fits: impl Fn(&JournalLine) -> bool) -> Result<Option<ContactId>, String> {
    let mut found = None;
    let read = read_journal(data, &filter, |line| {
        if line.contact.is_some() && fits(&line) {
            found = line.contact;
        }
    });
    read.map(|()| found).map_err(|error| error.to_string())
}

fn notes(line: &JournalLine, places: &[&str], is_wanted: impl Fn(&str) -> bool) -> bool {
    places.iter().filter_map(|place| line.detail.pointer(place)).filter_map(Value::as_str).any(is_wanted)
}

/// The whole name before a part of one, as in the chat. Each name counts under which somebody ever noted him.
fn by_name(data: &Path, typed: &str) -> Result<Option<ContactId>, String> {
    let mut names = Names::default();
    read_journal(data, &Filter::default(), |line| names.learn(&line)).map_err(|error| error.to_string())?;
    let wanted = typed.to_lowercase();
    let whole = names.of_those_who(|name| name == wanted);
    let found =
        if whole.is_empty() { names.of_those_who(|name| name.split_whitespace().any(|word| word == wanted)) } else { whole };
    match found.as_slice() {
        [] => Ok(None),
        [one] => Ok(Some(one.clone())),
        several => {
            let ids = several.iter().take(SHOWN_MATCHES).map(ToString::to_string).collect::<Vec<_>>().join(", ");
            Err(format!("{typed} is the name of {} contacts: {ids}. Give the short id of one.", several.len()))
        }
    }
}

#[derive(Default)]
struct Names {
    /// First and last name as they were noted last; an edit may tell one of them only.
    now: BTreeMap<ContactId, [String; 2]>,
    /// In small letters.
    ever: BTreeMap<ContactId, BTreeSet<String>>,
}

impl Names {
    fn learn(&mut self, line: &JournalLine) {
        let Some(contact) = &line.contact else { return };
        let told = |places: [&str; 2]| places.iter().find_map(|place| line.detail.pointer(place)?.as_str().map(str::to_owned));
        let parts = [told(["/first", "/changed/first"]), told(["/last", "/changed/last"])];
        let own = told(["/from/profile_name", "/keys/profile_name"]).map(|name| name.to_lowercase());
        if parts.iter().any(Option::is_some) {
            let now = self.now.entry(contact.clone()).or_default();
            for (part, fresh) in now.iter_mut().zip(parts) {
                *part = fresh.unwrap_or_else(|| std::mem::take(part));
            }
            let name = now.join(" ").trim().to_lowercase();
            self.ever.entry(contact.clone()).or_default().extend(Some(name).filter(|name| !name.is_empty()));
        }
        self.ever.entry(contact.clone()).or_default().extend(own);
    }

    fn of_those_who(&self, fits: impl Fn(&str) -> bool) -> Vec<ContactId> {
        let fitting = self.ever.iter().filter(|(_, names)| names.iter().any(|name| fits(name)));
        fitting.map(|(contact, _)| contact.clone()).collect()
    }
}
