//! `POST Messages.json`: what Twilio checks, in its order, and what becomes of a message that was accepted.
use super::Inner;
use super::errors::RestError;
use super::shapes;
use super::trouble::Twist;
use super::world::{Direction, Media, Message, Record, Status, World};
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;

/// Twilio's limits of a message: characters of its body, files, bytes of one file.
pub(super) const MAX_BODY: usize = 1_600;
pub(super) const MAX_MEDIA: usize = 10;
pub(super) const MAX_MEDIA_BYTES: usize = 5 * 1024 * 1024;
/// Statuses follow the answer after a moment, as they do with Twilio, and seldom overtake it.
const SENT_AFTER: Duration = Duration::from_millis(10);
const DELIVERED_AFTER: Duration = Duration::from_millis(30);
/// How long a file of the firm may take to come.
const MEDIA_WITHIN: Duration = Duration::from_secs(15);
/// Codes that a carrier reports of a message that had left; the others mean that it never did.
const UNDELIVERED: std::ops::RangeInclusive<i64> = 30_003..=30_008;
/// Twilio could not fetch something (11200).
const NOT_FETCHED: i64 = 11_200;

/// The numbers that always fail (Twilio's test credentials), as (number, code).
const MAGIC_TO: [(&str, i64); 5] =
    [("+15005550001", 21211), ("+15005550002", 21612), ("+15005550003", 21408), ("+15005550004", 21610), ("+15005550009", 21614)];
const MAGIC_FROM: [(&str, i64); 2] = [("+15005550007", 21606), ("+15005550008", 21611)];
const MAGIC_GOOD_FROM: &str = "+15005550006";

/// The fields of a form, where a name may come more than once.
pub(super) struct Form(pub Vec<(String, String)>);

impl Form {
    pub fn parse(bytes: &[u8]) -> Form {
        Form(url::form_urlencoded::parse(bytes).into_owned().collect())
    }

    /// The value; an empty one counts as none.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    pub fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(key, value)| key == name && !value.is_empty()).map(|(_, value)| value.as_str())
    }

    /// Whether it was given at all.
    pub fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(key, _)| key == name)
    }
}

/// What becomes of an accepted message.
#[derive(Clone, Copy, Debug)]
pub(super) enum Fate {
    Arrives,
    Fails(i64),
}

impl Inner {
    /// Checks and accepts one message; its statuses are on their way when this returns.
    pub(super) fn accept(self: &Arc<Self>, form: &Form, fate: Fate, twist: Twist) -> Result<Value, RestError> {
        let mut world = self.world();
        let message = check(&world, form, (self.now)())?;
        let answer = self.message(&message);
        world.commit(vec![Record::Message(message.clone())])?;
        // Taken under the same lock as the message, so that a start in between does not send its statuses twice.
        let may_run = self.running().is_some();
        drop(world);
        if may_run {
            self.spawn(self.clone().go_its_way(message, fate, twist));
        }
        self.changed();
        Ok(answer)
    }

    /// The answer of an accepted message that goes nowhere, for the trouble "hang".
    pub(super) fn pretend(&self, form: &Form) -> Result<Value, RestError> {
        let message = check(&self.world(), form, (self.now)())?;
        Ok(self.message(&message))
    }

    /// Sent, then delivered or failed, with a callback for each.
    pub(super) async fn go_its_way(self: Arc<Self>, message: Message, fate: Fate, twist: Twist) {
        let fate = if self.fetch_media(&message).await { fate } else { Fate::Fails(NOT_FETCHED) };
        let mut steps = match fate {
            Fate::Arrives => vec![(Status::Sent, None), (Status::Delivered, None)],
            Fate::Fails(code) if UNDELIVERED.contains(&code) => {
                vec![(Status::Sent, None), (Status::Undelivered, Some(code))]
            }
            Fate::Fails(code) => vec![(Status::Failed, Some(code))],
        };
        if twist.backwards {
            steps.reverse();
        }
        for (nth, (status, error)) in steps.into_iter().enumerate() {
            tokio::time::sleep(if nth == 0 { SENT_AFTER } else { DELIVERED_AFTER }).await;
            self.becomes(&message.sid, status, error);
            let wanted = message.callback.as_deref().filter(|_| twist.statuses);
            if let Some(url) = wanted {
                self.tell(url, self.told(&message, status, error), twist).await;
            }
        }
    }

    /// A status that has ended never goes back.
    pub(super) fn becomes(&self, sid: &str, status: Status, error: Option<i64>) {
        let mut world = self.world();
        let now = (self.now)();
        let Some(message) = world.messages.get(sid).filter(|message| is_open(message.status)).cloned() else { return };
        let sent = message.sent.or((status != Status::Failed).then_some(now));
        let record = Record::Message(Message { status, error, sent, updated: now, ..message });
        if let Err(error) = world.commit(vec![record]) {
            tracing::error!(%error, "the sandbox cannot write its journal");
        }
        drop(world);
        self.changed();
    }

    /// False if a file that the message names cannot be had.
    async fn fetch_media(&self, message: &Message) -> bool {
        for url in &message.media_urls {
            let Some((mime, bytes)) = self.fetched(url).await else { return false };
            let media = Media {
                sid: shapes::sid("ME"),
                message: message.sid.clone(),
                name: url.rsplit('/').next().unwrap_or_default().to_owned(),
                mime,
                bytes: bytes.len(),
                created: (self.now)(),
            };
            let mut world = self.world();
            let Some(known) = world.messages.get(&message.sid).cloned() else { return false };
            let mut files = known.media.clone();
            files.push(media.sid.clone());
            let stored = world.store(&media.sid, bytes);
            let records = vec![Record::Media(media), Record::Message(Message { media: files, ..known })];
            if stored.and_then(|()| world.commit(records)).is_err() {
                return false;
            }
        }
        true
    }

    async fn fetched(&self, url: &str) -> Option<(String, bytes::Bytes)> {
        let mut answer = self.client.get(url).timeout(MEDIA_WITHIN).send().await.ok()?.error_for_status().ok()?;
        let kind = answer.headers().get("content-type").and_then(|kind| kind.to_str().ok()).map(str::to_owned);
        let mut bytes = Vec::new();
        while let Some(chunk) = answer.chunk().await.ok()? {
            bytes.extend_from_slice(&chunk);
            if bytes.len() > MAX_MEDIA_BYTES {
                return None;
            }
        }
        Some((kind.unwrap_or_else(|| "application/octet-stream".to_owned()), bytes.into()))
    }
}

pub(super) fn is_open(status: Status) -> bool {
    matches!(status, Status::Queued | Status::Sent | Status::Receiving)
}

/// Every check of Twilio's, in its order; the message as it is accepted.
fn check(world: &World, form: &Form, now: i64) -> Result<Message, RestError> {
    let to = recipient(form)?;
    let from = sender(world, form, &to)?;
    let body = form.get("Body").unwrap_or_default().to_owned();
    let media_urls: Vec<String> = form.all("MediaUrl").map(str::to_owned).collect();
    content(&body, &media_urls)?;
    let callback = form.get("StatusCallback").map(str::to_owned);
    if callback.as_deref().is_some_and(|url| !is_web_address(url)) {
        return Err(RestError::new(21609));
    }
    if world.is_opted_out(&from, &to) {
        return Err(RestError::new(21610));
    }
    let sid = shapes::sid(if media_urls.is_empty() { "SM" } else { "MM" });
    let (direction, status, media) = (Direction::OutboundApi, Status::Queued, Vec::new());
    let (error, sent) = (None, None);
    Ok(Message { sid, from, to, body, direction, status, error, created: now, sent, updated: now, media, media_urls, callback })
}

/// The number it goes to, in E.164.
fn recipient(form: &Form) -> Result<String, RestError> {
    let typed = form.get("To").ok_or_else(|| RestError::new(21604))?;
    let bad = || RestError::saying(21211, format!("Invalid 'To' Phone Number: {}", shortened(typed)));
    let to = super::phones::number(typed).ok_or_else(bad)?;
    match MAGIC_TO.iter().find(|(number, _)| *number == to) {
        Some((_, code)) => Err(RestError::new(*code)),
        None => Ok(to),
    }
}

/// The line it comes from, which must be one of the account's.
fn sender(world: &World, form: &Form, to: &str) -> Result<String, RestError> {
    let typed = match (form.get("From"), form.get("MessagingServiceSid")) {
        (Some(from), _) => from,
        (None, Some(_)) => return Err(RestError::new(21701)),
        (None, None) => return Err(RestError::new(21603)),
    };
    let from = super::phones::number(typed).unwrap_or_else(|| typed.to_owned());
    if let Some((_, code)) = MAGIC_FROM.iter().find(|(number, _)| *number == from) {
        return Err(RestError::new(*code));
    }
    if from != MAGIC_GOOD_FROM && !world.numbers.contains_key(&from) {
        return Err(RestError::new(21606));
    }
    if from == to {
        return Err(RestError::saying(21211, "Invalid 'To' Phone Number: 'To' and 'From' are the same"));
    }
    Ok(from)
}

fn content(body: &str, media_urls: &[String]) -> Result<(), RestError> {
    let code = match body.chars().count() {
        0 if media_urls.is_empty() => 21602,
        characters if characters > MAX_BODY => 21617,
        _ if media_urls.len() > MAX_MEDIA => 21623,
        _ if !media_urls.iter().all(|url| is_web_address(url)) => 21620,
        _ => return Ok(()),
    };
    Err(RestError::new(code))
}

pub(super) fn is_web_address(text: &str) -> bool {
    url::Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
}

fn shortened(typed: &str) -> String {
    typed.chars().take(32).collect()
}
