//! The payload of a frame: whole commits as JSON, content sealed, so that replaying needs no decision and no old code.
//!
//! `{"v":1,"commits":[{"sequence","at","cause","entries":[…],"records":[…],"raw"}]}`. Times are milliseconds since 1970, UTC;
//! sealed values are base64 (see `seal`). The cause is sealed too: a provider's message id encodes the client's number.
use super::seal::KeyRing;
use super::{MAX_VALUE_BYTES, trouble};
use crate::domain::commit::{Commit, Entry, Put};
use crate::domain::ids::{ContactId, MessageId, RoomKey};
use crate::domain::time::Timestamp;
use crate::ports::StoreError;
use base64::{Engine, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::borrow::Cow;

/// One commit is at most this long in the journal; a webhook body is at most 3 MB.
const MAX_COMMIT_BYTES: usize = 32 << 20;
/// Kinds of records that may hold people's words without being about a known contact.
const WORDED: [&str; 4] = ["out", "ask", "quarantine", "count"];
const OURS: &str = "This is a mistake in Liaison; the event is set aside, please report it.";

#[derive(Serialize, Deserialize)]
pub struct Payload<'a> {
    pub v: u32,
    #[serde(borrow)]
    pub commits: Vec<KeptCommit<'a>>,
}

#[derive(Serialize, Deserialize)]
pub struct KeptCommit<'a> {
    /// Written in front when the commit has its place; the rest is ready before.
    #[serde(skip_serializing)]
    pub sequence: u64,
    pub at: Timestamp,
    #[serde(borrow)]
    pub cause: Cow<'a, str>,
    #[serde(borrow)]
    pub entries: Vec<KeptEntry<'a>>,
    #[serde(borrow)]
    pub records: Vec<KeptRecord<'a>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub raw: Option<Cow<'a, str>>,
}

#[derive(Serialize, Deserialize)]
pub struct KeptEntry<'a> {
    #[serde(borrow)]
    pub kind: Cow<'a, str>,
    #[serde(borrow)]
    pub actor: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contact: Option<Cow<'a, ContactId>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub room: Option<Cow<'a, RoomKey>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<Cow<'a, MessageId>>,
    /// In clear only in journals of before every detail was sealed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<Cow<'a, serde_json::Value>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub sealed: Option<Cow<'a, str>>,
}

/// `value` (JSON as it was), or `sealed`, or `bytes` (base64 of what is no JSON), or `deleted`.
#[derive(Default, Serialize, Deserialize)]
pub struct KeptRecord<'a> {
    #[serde(borrow)]
    pub key: Cow<'a, str>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub value: Option<&'a RawValue>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub sealed: Option<Cow<'a, str>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub deleted: bool,
}

/// A record's value as disks hold it.
#[derive(Clone, Debug, PartialEq)]
pub enum Kept {
    Plain(Vec<u8>),
    Sealed(Vec<u8>),
}

/// What a commit does to one record of the view.
#[derive(Debug, PartialEq)]
pub struct Change {
    /// As stored: personal names are hashed already.
    pub name: String,
    pub kept: Option<Kept>,
}

/// A commit ready for the disk, before it has a place in the order.
pub struct Ready {
    pub at: Timestamp,
    /// JSON of the commit from its second field on.
    pub tail: String,
    pub changes: Vec<Change>,
}

impl Ready {
    pub fn bytes(&self) -> usize {
        let kept = |change: &Change| match &change.kept {
            Some(Kept::Plain(bytes) | Kept::Sealed(bytes)) => bytes.len(),
            None => 0,
        };
        self.tail.len() + self.changes.iter().map(|change| change.name.len() + kept(change)).sum::<usize>()
    }
}

/// Seals and serialises: the costly part of a commit, done outside every lock.
pub fn prepare(keys: &KeyRing, commit: &Commit) -> Result<Ready, StoreError> {
    let changes = commit.puts.iter().map(|put| change_of(keys, put)).collect::<Result<Vec<_>, _>>()?;
    let cause = keys.seal(whose(commit), CAUSE, commit.cause.as_str().as_bytes())?;
    let raw = match &commit.raw {
        Some(raw) => Some(text_of(&keys.seal(raw.sealed_for.as_ref(), RAW, &raw.bytes)?)),
        None => None,
    };
    let kept = KeptCommit {
        sequence: 0,
        at: commit.at,
        cause: text_of(&cause),
        entries: commit.entries.iter().map(|entry| kept_entry(keys, entry)).collect::<Result<_, _>>()?,
        records: changes.iter().map(kept_record).collect(),
        raw,
    };
    let mut json = serde_json::to_string(&kept).expect("kept commits have text keys only");
    if json.len() > MAX_COMMIT_BYTES {
        return Err(never(format!("A commit of {} bytes is too long for the journal.", json.len())));
    }
    json.remove(0);
    Ok(Ready { at: commit.at, tail: json, changes })
}

/// The payload of one frame.
pub fn payload<'c>(commits: impl Iterator<Item = (u64, &'c str)>) -> Vec<u8> {
    let mut json = String::from(r#"{"v":1,"commits":["#);
    for (index, (sequence, tail)) in commits.enumerate() {
        let comma = if index == 0 { "" } else { "," };
        json.push_str(comma);
        json.push_str(r#"{"sequence":"#);
        json.push_str(&sequence.to_string());
        json.push(',');
        json.push_str(tail);
    }
    json.push_str("]}");
    json.into_bytes()
}

pub fn read_payload(bytes: &[u8]) -> Result<Payload<'_>, String> {
    let payload: Payload<'_> = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    if payload.v != 1 {
        return Err(format!("it is of format {}, which this version does not know", payload.v));
    }
    Ok(payload)
}

impl KeptCommit<'_> {
    pub fn changes(&self) -> Result<Vec<Change>, String> {
        self.records.iter().map(|record| Ok(Change { name: record.key.to_string(), kept: record.kept()? })).collect()
    }

    /// The cause, as far as its key is still there.
    pub fn opened_cause(&self, keys: &KeyRing) -> Result<Option<String>, StoreError> {
        let opened = open_text(keys, CAUSE, &self.cause)?;
        Ok(opened.map(|cause| String::from_utf8_lossy(&cause).into_owned()))
    }
}

impl KeptEntry<'_> {
    /// The entry's detail; `{"erased":true}` where its key is gone.
    pub fn opened_detail(&self, keys: &KeyRing) -> Result<serde_json::Value, StoreError> {
        let Some(sealed) = &self.sealed else {
            return Ok(self.detail.as_deref().cloned().unwrap_or_default());
        };
        let Some(json) = open_text(keys, &detail_context(&self.kind), sealed)? else {
            return Ok(serde_json::json!({ "erased": true }));
        };
        serde_json::from_slice(&json).map_err(|error| trouble(format!("A sealed detail is no JSON: {error}."), OURS))
    }
}

impl KeptRecord<'_> {
    fn kept(&self) -> Result<Option<Kept>, String> {
        let decoded = |text: &str| STANDARD.decode(text).map_err(|error| format!("record {}: {error}", self.key));
        match (&self.sealed, &self.bytes, self.value) {
            _ if self.deleted => Ok(None),
            (Some(sealed), _, _) => Ok(Some(Kept::Sealed(decoded(sealed)?))),
            (None, Some(bytes), _) => Ok(Some(Kept::Plain(decoded(bytes)?))),
            (None, None, Some(json)) => Ok(Some(Kept::Plain(json.get().as_bytes().to_vec()))),
            // JSON's own null reads as "no value" here.
            (None, None, None) => Ok(Some(Kept::Plain(b"null".to_vec()))),
        }
    }
}

const CAUSE: &str = "cause";
const RAW: &str = "raw";

pub fn record_context(stored_name: &str) -> String {
    format!("record {stored_name}")
}

fn detail_context(kind: &str) -> String {
    format!("detail {kind}")
}

/// Whose content the cause names: the client's, where the commit is about one.
fn whose(commit: &Commit) -> Option<&ContactId> {
    let raw = commit.raw.as_ref().and_then(|raw| raw.sealed_for.as_ref());
    let entry = || commit.entries.iter().find_map(Entry::sealed_for);
    raw.or_else(entry).or_else(|| commit.puts.iter().find_map(|put| put.sealed_for.as_ref()))
}

fn never(what: String) -> StoreError {
    StoreError { for_good: true, ..trouble(what, OURS) }
}

/// What no store takes: too big a value, or a name that the view uses itself.
pub fn check_put(put: &Put) -> Result<(), StoreError> {
    let (name, bytes) = (put.key.as_str(), put.value.as_ref().map_or(0, Vec::len));
    if super::view::is_its_own(name) {
        return Err(never(format!("The record name {name} belongs to the store itself.")));
    }
    if bytes > MAX_VALUE_BYTES {
        // The name may be personal; its kind is not.
        let kind = name.split('/').next().unwrap_or_default();
        return Err(never(format!("A record of kind {kind} has {bytes} bytes; {MAX_VALUE_BYTES} are the limit.")));
    }
    Ok(())
}

/// Whether people's words may stand in it although it is about no known contact: an answer to a mistyped command names
/// numbers as well as any other. Such a record is sealed under the firm's own key.
fn is_worded(put: &Put) -> bool {
    let kind = put.key.as_str().split('/').next().unwrap_or_default();
    WORDED.contains(&kind)
}

fn change_of(keys: &KeyRing, put: &Put) -> Result<Change, StoreError> {
    check_put(put)?;
    let name = keys.stored_name(&put.key);
    let kept = match (&put.value, &put.sealed_for) {
        (None, _) => None,
        (Some(value), None) if !is_worded(put) => Some(Kept::Plain(value.clone())),
        (Some(value), whose) => Some(Kept::Sealed(keys.seal(whose.as_ref(), &record_context(&name), value)?)),
    };
    Ok(Change { name, kept })
}

fn kept_entry<'e>(keys: &KeyRing, entry: &'e Entry) -> Result<KeptEntry<'e>, StoreError> {
    // What is about no contact may still name people: a sender who was turned away, a colleague's note.
    let sealed = match entry.detail.is_null() {
        true => None,
        false => {
            let json = serde_json::to_vec(&entry.detail).expect("a JSON value is always JSON");
            Some(text_of(&keys.seal(entry.sealed_for(), &detail_context(&entry.kind), &json)?))
        }
    };
    Ok(KeptEntry {
        kind: Cow::Borrowed(&entry.kind),
        actor: Cow::Borrowed(&entry.actor),
        provider_at: entry.provider_at,
        contact: entry.contact.as_ref().map(Cow::Borrowed),
        room: entry.room.as_ref().map(Cow::Borrowed),
        message: entry.message.as_ref().map(Cow::Borrowed),
        detail: None,
        sealed,
    })
}

fn kept_record(change: &Change) -> KeptRecord<'_> {
    let record = KeptRecord { key: Cow::Borrowed(&change.name), ..KeptRecord::default() };
    match &change.kept {
        None => KeptRecord { deleted: true, ..record },
        Some(Kept::Sealed(sealed)) => KeptRecord { sealed: Some(text_of(sealed)), ..record },
        // Only what would come back byte by byte stands as JSON.
        Some(Kept::Plain(bytes)) => match serde_json::from_slice::<&RawValue>(bytes) {
            Ok(json) if json.get().len() == bytes.len() => KeptRecord { value: Some(json), ..record },
            Ok(_) | Err(_) => KeptRecord { bytes: Some(text_of(bytes)), ..record },
        },
    }
}

fn text_of(bytes: &[u8]) -> Cow<'static, str> {
    Cow::Owned(STANDARD.encode(bytes))
}

fn open_text(keys: &KeyRing, context: &str, text: &str) -> Result<Option<Vec<u8>>, StoreError> {
    let sealed = STANDARD.decode(text).map_err(|error| trouble(format!("A sealed {context} is no base64: {error}."), OURS))?;
    keys.open_sealed(context, &sealed)
}
