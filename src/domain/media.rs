//! Files of both sides: what they are, where they come from, whether we hold them, and what a channel takes.
//!
//! ```text
//! WANTED ─ fetched ─▶ KEPT (─ uploaded for a line ─▶ may be sent)
//!        ─ could not be taken ─▶ LOST
//! ```
use super::case::Record;
use super::commit::Key;
use super::ids::*;
use super::time::{Span, Timestamp};
use serde::{Deserialize, Serialize};

/// WhatsApp's limits (Meta, media page), in bytes.
const MIB: u64 = 1 << 20;
const PICTURE_MAX: u64 = 5 * MIB;
const SOUND_MAX: u64 = 16 * MIB;
/// The largest document, and the largest thing of any kind that Meta hands over from a client (error 131052).
pub const FILE_MAX: u64 = 100 * MIB;
/// All files of one message in the chat (Symphony, create message).
pub const CHAT_FILES_MAX: u64 = 30 * MIB;
/// Files of one message that Symphony advises at most.
pub const FILES_AT_ONCE: usize = 25;
/// WhatsApp's limit for the words under a file, in characters.
pub const CAPTION_MAX: usize = 1_024;
/// Meta keeps what was uploaded for 30 days; what would end on the way is uploaded anew.
const UPLOAD_LASTS: Span = Span::days(28);
/// Names come from strangers, too.
const NAME_MAX: usize = 120;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    Picture,
    Document,
    Audio,
    /// Spoken into the phone.
    Voice,
    Video,
    Sticker,
}

impl Kind {
    /// As people read it.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Picture => "picture",
            Kind::Document => "document",
            Kind::Audio => "audio file",
            Kind::Voice => "voice message",
            Kind::Video => "video",
            Kind::Sticker => "sticker",
        }
    }
    /// WhatsApp shows no words under a sound.
    pub fn bears_a_caption(self) -> bool {
        match self {
            Kind::Picture | Kind::Document | Kind::Video => true,
            Kind::Audio | Kind::Voice | Kind::Sticker => false,
        }
    }
}

/// One file of one contact, under our own id: two contacts who get the same file have one each, sealed for each alone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Media {
    pub id: MediaId,
    pub contact: ContactId,
    pub kind: Kind,
    /// As declared by who sent it, or by the ending of its name; without parameters.
    pub mime: String,
    /// Safe to show and to write down, never empty.
    pub name: String,
    /// Bytes; as told before it was fetched, as counted from then on.
    pub size: Option<u64>,
    /// Hex; as told before it was fetched, as reckoned from then on.
    pub sha256: Option<String>,
    pub source: Source,
    pub state: MediaState,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uploaded: Option<Uploaded>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Source {
    /// A client's, by the provider's media id on this line.
    Client { line: LineId, id: String },
    /// An advisor's, in a message of the chat.
    Chat { stream: StreamId, message: ChatMessageId, file: String },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum MediaState {
    Wanted,
    Kept,
    Lost { code: String, why: String },
}

/// The provider holds a copy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Uploaded {
    pub line: LineId,
    pub id: String,
    pub at: Timestamp,
}

/// What the fetching found; the outcome of the effect carries it as JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    pub size: u64,
    pub sha256: String,
}

impl Media {
    pub fn key_of(id: &MediaId) -> Key {
        Key::new("media", id)
    }
    pub fn is_kept(&self) -> bool {
        self.state == MediaState::Kept
    }
    /// The provider's id of its copy, as long as it surely lasts.
    pub fn uploaded_for(&self, line: &LineId, now: Timestamp) -> Option<&str> {
        let uploaded = self.uploaded.as_ref().filter(|there| there.line == *line && now - there.at < UPLOAD_LASTS)?;
        Some(&uploaded.id)
    }
}

impl Record for Media {
    fn key(&self) -> Key {
        Media::key_of(&self.id)
    }
    fn sealed_for(&self) -> Option<ContactId> {
        Some(self.contact.clone())
    }
}

/// A kind of file that a channel takes from a firm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sendable {
    pub ending: &'static str,
    pub mime: &'static str,
    pub kind: Kind,
    /// Bytes.
    pub most: u64,
}

const fn takes(ending: &'static str, mime: &'static str, kind: Kind, most: u64) -> Sendable {
    Sendable { ending, mime, kind, most }
}

/// Meta's list. The type goes by the ending, since the chat names none; the bytes must bear it out once they are here.
const SENDABLE: [Sendable; 19] = [
    takes("jpg", "image/jpeg", Kind::Picture, PICTURE_MAX),
    takes("jpeg", "image/jpeg", Kind::Picture, PICTURE_MAX),
    takes("png", "image/png", Kind::Picture, PICTURE_MAX),
    takes("mp4", "video/mp4", Kind::Video, SOUND_MAX),
    takes("3gp", "video/3gpp", Kind::Video, SOUND_MAX),
    takes("aac", "audio/aac", Kind::Audio, SOUND_MAX),
    takes("amr", "audio/amr", Kind::Audio, SOUND_MAX),
    takes("mp3", "audio/mpeg", Kind::Audio, SOUND_MAX),
    takes("m4a", "audio/mp4", Kind::Audio, SOUND_MAX),
    takes("ogg", "audio/ogg", Kind::Audio, SOUND_MAX),
    takes("opus", "audio/ogg", Kind::Audio, SOUND_MAX),
    takes("pdf", "application/pdf", Kind::Document, FILE_MAX),
    takes("txt", "text/plain", Kind::Document, FILE_MAX),
    takes("doc", "application/msword", Kind::Document, FILE_MAX),
    takes("xls", "application/vnd.ms-excel", Kind::Document, FILE_MAX),
    takes("ppt", "application/vnd.ms-powerpoint", Kind::Document, FILE_MAX),
    takes("docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document", Kind::Document, FILE_MAX),
    takes("xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", Kind::Document, FILE_MAX),
    takes("pptx", "application/vnd.openxmlformats-officedocument.presentationml.presentation", Kind::Document, FILE_MAX),
];

/// What an SMS bears as an MMS: of other types Twilio takes half a megabyte, and few phones show them.
const SENDABLE_BY_SMS: [Sendable; 4] = [
    takes("jpg", "image/jpeg", Kind::Picture, PICTURE_MAX),
    takes("jpeg", "image/jpeg", Kind::Picture, PICTURE_MAX),
    takes("png", "image/png", Kind::Picture, PICTURE_MAX),
    takes("gif", "image/gif", Kind::Picture, PICTURE_MAX),
];

/// How the channel takes a file of this name; `None` where it does not.
pub fn sendable(channel: Channel, name: &str) -> Option<Sendable> {
    let (_, ending) = name.rsplit_once('.')?;
    let known: &[Sendable] = match channel {
        Channel::WhatsApp => &SENDABLE,
        Channel::Sms => &SENDABLE_BY_SMS,
    };
    known.iter().find(|known| known.ending.eq_ignore_ascii_case(ending)).copied()
}

/// The type without its parameters, in small letters.
pub fn bare_mime(mime: &str) -> String {
    mime.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// The ending that a nameless file of this type gets.
fn ending_of(mime: &str) -> &'static str {
    match mime {
        "image/webp" => "webp",
        "image/gif" => "gif",
        "audio/opus" => "opus",
        _ => SENDABLE.iter().find(|known| known.mime == mime).map_or("bin", |known| known.ending),
    }
}

/// A name that can stand in a header, a chat and a folder: no path, no controls, no more than it needs.
pub fn safe_name(name: Option<&str>, id: &MediaId, mime: &str) -> String {
    let last = name.unwrap_or_default().rsplit(['/', '\\']).next().unwrap_or_default();
    let unsafe_here = |c: char| c.is_control() || "\"<>|:*?\u{202a}\u{202b}\u{202d}\u{202e}\u{2066}\u{2067}\u{2068}".contains(c);
    let clean: String = last.chars().map(|c| if unsafe_here(c) { '_' } else { c }).collect();
    let clean = clean.trim().trim_start_matches('.');
    if clean.is_empty() {
        return format!("{id}.{}", ending_of(mime));
    }
    shortened_name(clean)
}

/// The ending stays: it is by what people and programs tell files apart.
fn shortened_name(name: &str) -> String {
    if name.chars().count() <= NAME_MAX {
        return name.to_owned();
    }
    let (stem, ending) = name.rsplit_once('.').filter(|(_, ending)| ending.len() <= 8).unwrap_or((name, ""));
    let stem: String = stem.chars().take(NAME_MAX - 9).collect();
    if ending.is_empty() { stem } else { format!("{stem}.{ending}") }
}

/// "5 MB", "7.3 MB", "90 KB": as people compare them.
pub fn shown_size(bytes: u64) -> String {
    let tenths = |unit: u64| (bytes * 10).div_ceil(unit);
    let (count, unit) = if bytes >= MIB { (tenths(MIB), "MB") } else { (tenths(1 << 10), "KB") };
    match count % 10 {
        0 => format!("{} {unit}", count / 10),
        rest => format!("{}.{rest} {unit}", count / 10),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_goes_by_its_ending() {
        let table = [
            ("Depot.PDF", Some((Kind::Document, FILE_MAX))),
            ("me.jpeg", Some((Kind::Picture, PICTURE_MAX))),
            ("note.ogg", Some((Kind::Audio, SOUND_MAX))),
            ("film.mp4", Some((Kind::Video, SOUND_MAX))),
            ("run.exe", None),
            ("pdf", None),
            ("cat.gif", None),
            ("", None),
        ];
        for (name, expected) in table {
            assert_eq!(sendable(Channel::WhatsApp, name).map(|known| (known.kind, known.most)), expected, "{name}");
        }
        for (name, goes) in [("me.JPG", true), ("cat.gif", true), ("chart.png", true), ("a.pdf", false), ("b.mp4", false)] {
            let known = sendable(Channel::Sms, name).map(|known| (known.kind, known.most));
            assert_eq!(known, goes.then_some((Kind::Picture, PICTURE_MAX)), "{name}");
        }
    }

    #[test]
    fn names_of_strangers_are_made_safe() {
        let id = MediaId::new("f-1");
        let table = [
            (Some("../../etc/passwd"), "passwd"),
            (Some("C:\\x\\report.pdf"), "report.pdf"),
            (Some("a\r\nX: \"b\".pdf"), "a__X_ _b_.pdf"),
            (Some("..."), "f-1.jpg"),
            (Some("ann\u{202e}fdp.exe"), "ann_fdp.exe"),
            (None, "f-1.jpg"),
        ];
        for (name, expected) in table {
            assert_eq!(safe_name(name, &id, "image/jpeg"), expected);
        }
        let long = safe_name(Some(&format!("{}.pdf", "x".repeat(500))), &id, "application/pdf");
        assert!(long.chars().count() <= NAME_MAX && long.ends_with(".pdf"), "{long}");
        assert_eq!(safe_name(None, &id, "chemical/x-pdb"), "f-1.bin");
    }

    #[test]
    fn sizes_are_shown_so_that_they_can_be_compared() {
        let shown = [5 * MIB, 5 * MIB + 1, 90 << 10, 1, 0].map(shown_size);
        assert_eq!(shown, ["5 MB", "5.1 MB", "90 KB", "0.1 KB", "0 KB"]);
    }
}
