//! What a webhook tells, in our own words; what the message list shows becomes the very same events.
use super::errors;
use super::list::ListedMedia;
use super::wire::{Form, Listed, MEDIA_MAX, is_sid, is_withheld, phone};
use crate::domain::event::{
    CallStage, ClientCalled, ClientFile, ClientKeys, ClientMessage, Content, Delivery, DeliveryReported, Event, Fact,
};
use crate::domain::ids::{Channel, EventId, LineId, MessageId, Wamid};
use crate::domain::media::{Kind, bare_mime};
use crate::domain::time::Timestamp;
use std::sync::Arc;

const SOURCE: &str = "twilio";
/// What the provider made of the client's words (Advanced Opt-Out), as our own buttons say it.
const OPT_OUT: [(&str, &str); 2] = [("STOP", "consent:stop"), ("START", "consent:yes")];
/// Recordings are fetched so.
const RECORDING_MIME: &str = "audio/mpeg";
/// Before the SID of a recording, where a file of a message has the message's.
pub const RECORDING: &str = "recording/";
/// One of ours is `m-` and 8 characters; what is longer is none.
const LONGEST_MESSAGE_ID: usize = 32;

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("This body is no Twilio webhook: {0}")]
pub struct NotAWebhook(pub &'static str);

/// The bytes that an event came in, and when.
#[derive(Clone)]
pub struct Arrived {
    pub at: Timestamp,
    pub raw: Arc<[u8]>,
}

impl Arrived {
    fn event(&self, id: String, fact: Fact) -> Event {
        Event { id: EventId(id), at: self.at, fact, raw: Some(Arc::clone(&self.raw)) }
    }
}

// ---- a client's message

/// An SMS or MMS: its text first, then its files in their order.
pub fn message(form: &Form, arrived: &Arrived) -> Result<Vec<Event>, NotAWebhook> {
    let sid = form.sid(&["MessageSid", "SmsSid", "SmsMessageSid"]).ok_or(NotAWebhook("it has no MessageSid"))?;
    let count = form.number("NumMedia").unwrap_or(0).min(MEDIA_MAX as u64);
    let file = |n: u64| {
        let media = form.get(&format!("MediaUrl{n}")).and_then(|url| media_sid(url));
        (media.map(str::to_owned), form.get(&format!("MediaContentType{n}")).map(str::to_owned))
    };
    let said = Said {
        sid,
        from: form.get("From").unwrap_or_default(),
        to: form.get("To").unwrap_or_default(),
        body: form.get("Body").unwrap_or_default(),
        opt_out: form.get("OptOutType"),
        files: (0..count).map(file).collect(),
    };
    Ok(said.events(arrived))
}

/// The same, as the list shows it. It does not tell of `OptOutType`; the words themselves do.
pub fn listed_message(listed: &Listed, files: &[ListedMedia], arrived: &Arrived) -> Vec<Event> {
    let Some(sid) = listed.sid.as_deref().filter(|sid| is_sid(sid)) else { return Vec::new() };
    let files = files.iter().map(|file| (Some(file.sid.clone()), file.content_type.clone()));
    let said = Said {
        sid,
        from: listed.from.as_deref().unwrap_or_default(),
        to: listed.to.as_deref().unwrap_or_default(),
        body: listed.body.as_deref().unwrap_or_default(),
        opt_out: None,
        files: files.collect(),
    };
    said.events(arrived)
}

struct Said<'f> {
    sid: &'f str,
    from: &'f str,
    to: &'f str,
    body: &'f str,
    opt_out: Option<&'f str>,
    /// The SID and the declared type of each.
    files: Vec<(Option<String>, Option<String>)>,
}

impl Said<'_> {
    fn events(&self, arrived: &Arrived) -> Vec<Event> {
        let text = self.text().map(|content| (format!("sms:{}", self.sid), content));
        let files = self.files.iter().enumerate();
        let files =
            files.map(|(n, (media, mime))| (format!("sms:{}/{n}", self.sid), self.file(media.as_deref(), mime.as_deref())));
        text.into_iter().chain(files).map(|(id, content)| arrived.event(id, self.fact(content))).collect()
    }

    fn text(&self) -> Option<Content> {
        let text = self.body.to_owned();
        let payload = OPT_OUT.iter().find(|(kind, _)| self.opt_out.is_some_and(|given| given.eq_ignore_ascii_case(kind)));
        match payload {
            Some((_, payload)) => Some(Content::Button { payload: (*payload).to_owned(), text }),
            None if !text.is_empty() => Some(Content::Text(text)),
            // He has written, if not a word: it must not be as if he had not.
            None if self.files.is_empty() => Some(Content::Other { kind: "empty message".to_owned(), id: None, caption: None }),
            None => None,
        }
    }

    fn file(&self, media: Option<&str>, mime: Option<&str>) -> Content {
        let kind = kind_of(mime.unwrap_or_default());
        match media {
            Some(media) => {
                let id = format!("{}/{media}", self.sid);
                let file = ClientFile { kind, id, mime: mime.map(str::to_owned), sha256: None, name: None, caption: None };
                Content::Media(Box::new(file))
            }
            None => Content::Other { kind: kind.name().to_owned(), id: None, caption: None },
        }
    }

    fn fact(&self, content: Content) -> Fact {
        Fact::ClientMessage(ClientMessage {
            channel: Channel::Sms,
            line: LineId::new(self.to),
            id: Wamid::new(self.sid),
            from: sender(self.from),
            content,
            quoted: None,
            group: None,
        })
    }
}

/// The last part of the address of a file. The address itself is never followed: ours is made of the SIDs.
fn media_sid(url: &str) -> Option<&str> {
    let path = url.split(['?', '#']).next().unwrap_or_default();
    path.rsplit('/').next().filter(|sid| is_sid(sid))
}

fn kind_of(mime: &str) -> Kind {
    match bare_mime(mime).split('/').next() {
        Some("image") => Kind::Picture,
        Some("video") => Kind::Video,
        Some("audio") => Kind::Audio,
        Some(_) | None => Kind::Document,
    }
}

/// Short codes and names of senders are nobody who could be answered.
fn sender(from: &str) -> ClientKeys {
    match phone(from) {
        Some(phone) => ClientKeys { phone: Some(phone), ..ClientKeys::default() },
        None => ClientKeys { profile_name: Some(from.to_owned()).filter(|name| !name.is_empty()), ..ClientKeys::default() },
    }
}

// ---- what became of a message of ours

/// `ours` is the id that stands in the address of the callback.
pub fn delivery(form: &Form, ours: Option<&str>, arrived: &Arrived) -> Result<Event, NotAWebhook> {
    let sid = form.sid(&["MessageSid", "SmsSid"]).ok_or(NotAWebhook("it has no MessageSid"))?;
    let status = form.get("MessageStatus").or_else(|| form.get("SmsStatus")).ok_or(NotAWebhook("it has no MessageStatus"))?;
    let told = Told {
        sid,
        status,
        code: form.get("ErrorCode").map(str::to_owned),
        detail: form.get("ErrorMessage"),
        line: form.get("From").unwrap_or_default(),
        to: form.get("To").unwrap_or_default(),
        ours: ours.filter(|id| is_message_id(id)).map(MessageId::new),
    };
    Ok(told.event(arrived))
}

/// What the list shows of a message of ours that has come to its end; `None` while it is on its way.
pub fn listed_delivery(listed: &Listed, arrived: &Arrived) -> Option<Event> {
    let status = listed.status.as_deref().filter(|status| is_final(status))?;
    let told = Told {
        sid: listed.sid.as_deref().filter(|sid| is_sid(sid))?,
        status,
        code: listed.error_code(),
        detail: listed.error_message.as_deref(),
        line: listed.from.as_deref().unwrap_or_default(),
        to: listed.to.as_deref().unwrap_or_default(),
        ours: None,
    };
    Some(told.event(arrived))
}

struct Told<'f> {
    sid: &'f str,
    status: &'f str,
    code: Option<String>,
    detail: Option<&'f str>,
    line: &'f str,
    to: &'f str,
    ours: Option<MessageId>,
}

impl Told<'_> {
    fn event(self, arrived: &Arrived) -> Event {
        let id = format!("status:{}/{}", self.sid, self.status);
        let fact = match self.delivery() {
            None => Fact::OfNoConcern { what: format!("{SOURCE} status {}", self.status) },
            Some(status) => Fact::DeliveryReported(DeliveryReported {
                channel: Channel::Sms,
                line: LineId::new(self.line),
                id: Wamid::new(self.sid),
                ours: self.ours,
                status,
                recipient: sender(self.to),
                participant: None,
                price_category: None,
                price_type: None,
            }),
        };
        arrived.event(id, fact)
    }

    fn delivery(&self) -> Option<Delivery> {
        match self.status {
            "sent" => Some(Delivery::Sent),
            "delivered" => Some(Delivery::Delivered),
            "read" => Some(Delivery::Read),
            "failed" | "undelivered" | "canceled" => {
                let code = self.code.clone().filter(|code| code != "0").unwrap_or_else(|| self.status.to_owned());
                let of_line = code.parse().is_ok_and(|code| errors::class(code) == errors::Class::Line);
                Some(Delivery::Failed { code, detail: self.detail.unwrap_or_default().to_owned(), of_line })
            }
            // On its way, or a message that came to us.
            _ => None,
        }
    }
}

fn is_final(status: &str) -> bool {
    matches!(status, "delivered" | "read" | "failed" | "undelivered" | "canceled")
}

fn is_message_id(id: &str) -> bool {
    id.starts_with("m-") && id.len() <= LONGEST_MESSAGE_ID && is_sid(id)
}

// ---- a call

/// Where a call stands, as its webhook tells it: `step` is our own word in the address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// It comes in.
    First,
    /// It is over: the number's status callback.
    Ended,
    /// The advisor's phone has rung.
    Dialled { answered: bool },
    /// The caller has spoken to voice mail.
    Recorded,
    /// The recording can be fetched.
    Recording,
}

/// Which of them it is; `None` where our address bears a word that is none of ours.
pub fn step(form: &Form, step: Option<&str>) -> Option<Step> {
    let dialled = || Step::Dialled { answered: matches!(form.get("DialCallStatus"), Some("completed" | "answered")) };
    match step {
        Some("dial") => Some(dialled()),
        Some("recorded") => Some(Step::Recorded),
        Some("recording") => Some(Step::Recording),
        Some(_) => None,
        None => match form.get("CallStatus") {
            Some("completed" | "no-answer" | "busy" | "canceled" | "failed") => Some(Step::Ended),
            Some(_) | None => Some(Step::First),
        },
    }
}

/// `may_be_answered`: the line puts calls through.
pub fn call(form: &Form, step: Step, may_be_answered: bool, arrived: &Arrived) -> Result<Event, NotAWebhook> {
    let sid = form.sid(&["CallSid"]).ok_or(NotAWebhook("it has no CallSid"))?;
    let status = form.get("CallStatus").unwrap_or("ringing");
    let (event, stage) = match step {
        Step::First => (status, Some(CallStage::Ringing { may_be_answered })),
        Step::Dialled { answered: true } => {
            ("dial", Some(CallStage::Over { answered: true, seconds: form.number("DialCallDuration") }))
        }
        // The caller may go on to voice mail, which is a message of its own; that nobody took the call is certain already, and
        // without a status callback at the number nobody else would tell.
        Step::Dialled { answered: false } => ("dial", Some(CallStage::Over { answered: false, seconds: None })),
        Step::Ended => {
            let answered = form.get("DialCallStatus") == Some("completed");
            (status, Some(CallStage::Over { answered, seconds: form.number("CallDuration") }))
        }
        // What was spoken has an event of its own.
        Step::Recorded => ("recorded", None),
        Step::Recording => ("recording", None),
    };
    let number = form.get("SequenceNumber").map(|number| format!("/{number}")).unwrap_or_default();
    let fact = match stage {
        Some(stage) => Fact::ClientCalled(ClientCalled {
            channel: Channel::Sms,
            line: LineId::new(form.get("To").or_else(|| form.get("Called")).unwrap_or_default()),
            id: sid.to_owned(),
            from: caller(form.get("From").or_else(|| form.get("Caller")).unwrap_or_default()),
            stage,
        }),
        None => Fact::OfNoConcern { what: format!("{SOURCE} call {event}") },
    };
    Ok(arrived.event(format!("call:{sid}/{event}{number}"), fact))
}

/// A message spoken to voice mail; `from` and `to` are those of the call. `None` where nothing was recorded.
pub fn voicemail(form: &Form, from: &str, to: &str, arrived: &Arrived) -> Option<Event> {
    let recording = form.sid(&["RecordingSid"])?;
    let seconds = form.number("RecordingDuration");
    if seconds == Some(0) || matches!(form.get("RecordingStatus"), Some("absent" | "failed")) {
        return None;
    }
    let file = ClientFile {
        kind: Kind::Voice,
        id: format!("{RECORDING}{recording}"),
        mime: Some(RECORDING_MIME.to_owned()),
        sha256: None,
        name: Some(format!("voicemail-{recording}.mp3")),
        caption: Some(seconds.map_or("Voicemail".to_owned(), |seconds| format!("Voicemail, {seconds} s"))),
    };
    let said = ClientMessage {
        channel: Channel::Sms,
        line: LineId::new(to),
        id: Wamid::new(recording),
        from: caller(from),
        content: Content::Media(Box::new(file)),
        quoted: None,
        group: None,
    };
    Some(arrived.event(format!("sms:{recording}"), Fact::ClientMessage(said)))
}

/// Nobody is known by a number that was withheld.
fn caller(from: &str) -> ClientKeys {
    if is_withheld(from) { ClientKeys::default() } else { sender(from) }
}
