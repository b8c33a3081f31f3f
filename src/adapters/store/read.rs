//! Reading the journal from outside, also while the bot runs: without a lock, without writing, up to the last whole frame.
use super::journal::{self, Step, Tip, Walked};
use super::opening::Folders;
use super::record::{self, KeptCommit, KeptEntry};
use super::seal::KeyRing;
use super::trouble;
use crate::domain::ids::{ContactId, MessageId, RoomKey};
use crate::domain::time::Timestamp;
use crate::ports::StoreError;
use serde::Serialize;
use serde_json::Value;
use std::path::Path;

/// Which entries to read; the default is all.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    pub contact: Option<ContactId>,
    /// Entries of commits at or after this time.
    pub since: Option<Timestamp>,
}

/// One entry, as `liaison journal --json` shows it (INTERFACES §1).
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct JournalLine {
    pub sequence: u64,
    /// RFC 3339 with milliseconds, UTC.
    pub at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider_at: Option<String>,
    pub actor: String,
    pub kind: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub contact: Option<ContactId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub room: Option<RoomKey>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<MessageId>,
    /// The event that caused it; absent once the key of whom it was about is erased.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event: Option<String>,
    /// Whatever else was noted; `{"erased":true}` once the contact's key is erased.
    #[serde(skip_serializing_if = "Value::is_null")]
    pub detail: Value,
}

/// What a full check of the journal found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    pub frames: u64,
    pub commits: u64,
    pub last_sequence: u64,
    /// SHA-256 of the last frame, hexadecimal: whoever noted it elsewhere can prove that nothing before it was changed.
    pub last_hash: String,
}

/// Shows every entry that the filter lets through, oldest first.
pub fn read_journal(data_dir: &Path, filter: &Filter, mut show: impl FnMut(JournalLine)) -> Result<(), StoreError> {
    let folders = Folders::of(data_dir);
    if journal::segments(&folders.journal)?.is_empty() {
        return Ok(());
    }
    let keys = KeyRing::open_to_read(&folders.keys)?;
    journal::walk(&folders.journal, Tip::START, &mut |step| {
        let payload = record::read_payload(step.frame.payload).map_err(|why| unreadable(&step, &why))?;
        for commit in payload.commits.iter().filter(|commit| filter.since.is_none_or(|since| commit.at >= since)) {
            show_entries(&keys, commit, filter, &mut show)?;
        }
        Ok(())
    })?;
    Ok(())
}

/// Proves every frame of the journal: checksum, chain, order, and that it can be read.
pub fn verify(data_dir: &Path) -> Result<Verified, StoreError> {
    let folder = Folders::of(data_dir).journal;
    let mut commits = 0;
    let Walked { tip, frames, torn_bytes: _ } = journal::walk(&folder, Tip::START, &mut |step| {
        let payload = record::read_payload(step.frame.payload).map_err(|why| unreadable(&step, &why))?;
        let has_its_numbers = (step.frame.first..=step.after.sequence).eq(payload.commits.iter().map(|commit| commit.sequence));
        if !has_its_numbers {
            return Err(unreadable(&step, "its commits do not bear the numbers of the frame"));
        }
        commits += payload.commits.len() as u64;
        Ok(())
    })?;
    Ok(Verified { frames, commits, last_sequence: tip.sequence, last_hash: hex::encode(tip.hash) })
}

fn show_entries(
    keys: &KeyRing,
    commit: &KeptCommit<'_>,
    filter: &Filter,
    show: &mut impl FnMut(JournalLine),
) -> Result<(), StoreError> {
    let concerns = |entry: &KeptEntry<'_>, contact| entry.contact.as_deref() == Some(contact) || went_to(keys, entry, contact);
    let is_wanted = |entry: &&KeptEntry<'_>| filter.contact.as_ref().is_none_or(|contact| concerns(entry, contact));
    let mut entries = commit.entries.iter().filter(is_wanted).peekable();
    if entries.peek().is_none() {
        return Ok(());
    }
    let event = commit.opened_cause(keys)?;
    for entry in entries {
        show(JournalLine {
            sequence: commit.sequence,
            at: text_of(commit.at),
            provider_at: entry.provider_at.map(text_of),
            actor: entry.actor.to_string(),
            kind: entry.kind.to_string(),
            contact: entry.contact.as_deref().cloned(),
            room: entry.room.as_deref().cloned(),
            message: entry.message.as_deref().cloned(),
            event: event.clone(),
            detail: entry.opened_detail(keys)?,
        });
    }
    Ok(())
}

/// A message to a group is about no single contact: its entries name those whom it went to.
fn went_to(keys: &KeyRing, entry: &KeptEntry<'_>, contact: &ContactId) -> bool {
    if entry.contact.is_some() || entry.message.is_none() {
        return false;
    }
    let detail = entry.opened_detail(keys).unwrap_or_default();
    let recipients = detail["recipients"].as_array();
    recipients.is_some_and(|ids| ids.iter().any(|id| id.as_str() == Some(contact.as_str())))
}

fn text_of(at: Timestamp) -> String {
    match jiff::Timestamp::from_millisecond(at.0) {
        Ok(time) => format!("{time:.3}"),
        // Beyond the year 9999: the number says more than an error would.
        Err(_) => format!("{} ms", at.0),
    }
}

fn unreadable(step: &Step<'_>, why: &str) -> StoreError {
    trouble(format!("The frame at {} cannot be read: {why}.", step.begins), journal::DAMAGED)
}
