//! What a client's message says, in our own words.
use super::wire::{Card, Interactive, Location, Media, Message, System};
use crate::domain::event::{ClientFile, Content};
use crate::domain::ids::{Phone, Wamid};
use crate::domain::media::Kind;
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;

/// WhatsApp's own "unsupported": the client sent something that the API does not hand over.
const NOT_PASSED_ON: &str = "message of a kind WhatsApp does not pass on";
/// A type that Meta has added since this was written.
const UNKNOWN_KIND: &str = "message of an unknown kind";

/// The content, and the message that it quotes, answers or changes.
pub fn content(message: &mut Message) -> (Content, Option<Wamid>) {
    let quoted = message.context.take().and_then(|context| context.id);
    let kind = message.kind.take().unwrap_or_default();
    let (content, target) = match kind.as_str() {
        "reaction" => reaction(message),
        "edit" => edit(message),
        "revoke" => revoke(message),
        _ => (said(&kind, message), None),
    };
    (content, target.or(quoted).map(Wamid))
}

/// A message of the client's own making, or a notice of the platform about him.
fn said(kind: &str, message: &mut Message) -> Content {
    match kind {
        "text" => message.text.take().and_then(|text| text.body).map_or_else(|| other(NOT_PASSED_ON), Content::Text),
        "button" => button(message),
        "interactive" => interactive(message.interactive.take()),
        "image" => media(Kind::Picture, message.image.take()),
        "video" => media(Kind::Video, message.video.take()),
        "audio" => audio(message.audio.take()),
        "document" => media(Kind::Document, message.document.take()),
        "sticker" => media(Kind::Sticker, message.sticker.take()),
        "location" => captioned("location", message.location.take().and_then(whereabouts)),
        "contacts" => captioned("contact card", message.contacts.take().and_then(names)),
        "order" => captioned("order", message.order.take().and_then(|order| order.text)),
        "system" => system(message.system.take()),
        // Sent by WhatsApp itself when somebody opens the chat for the first time: he has not said a word.
        "request_welcome" => sign("request_welcome", String::new()),
        "unsupported" | "unknown" | "" => other(NOT_PASSED_ON),
        _ => other(UNKNOWN_KIND),
    }
}

fn button(message: &mut Message) -> Content {
    let Some(button) = message.button.take() else { return other(NOT_PASSED_ON) };
    let text = button.text.unwrap_or_default();
    // A template button without a payload of its own comes back with its label alone.
    Content::Button { payload: button.payload.unwrap_or_else(|| text.clone()), text }
}

fn interactive(interactive: Option<Interactive>) -> Content {
    let Some(interactive) = interactive else { return other(NOT_PASSED_ON) };
    if let Some(choice) = interactive.button_reply.or(interactive.list_reply) {
        let text = choice.title.unwrap_or_default();
        return Content::Button { payload: choice.id.unwrap_or_else(|| text.clone()), text };
    }
    match interactive.nfm_reply {
        Some(form) => captioned("filled-in form", form.body),
        None => other(NOT_PASSED_ON),
    }
}

fn audio(audio: Option<Media>) -> Content {
    let spoken = audio.as_ref().and_then(|audio| audio.voice).unwrap_or(false);
    media(if spoken { Kind::Voice } else { Kind::Audio }, audio)
}

fn media(kind: Kind, media: Option<Media>) -> Content {
    let Some(media) = media else { return other(kind.name()) };
    let (name, caption) = (filled(media.filename), filled(media.caption));
    match filled(media.id) {
        Some(id) => {
            let sha256 = media.sha256.as_deref().and_then(hex_of);
            Content::Media(Box::new(ClientFile { kind, id, mime: filled(media.mime_type), sha256, name, caption }))
        }
        None => captioned(kind.name(), caption.or(name)),
    }
}

/// A SHA-256 as hex; webhooks write base64. What is neither is no hash that anything could be held against.
fn hex_of(hash: &str) -> Option<String> {
    if hash.len() == 64 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Some(hash.to_ascii_lowercase());
    }
    let bytes = STANDARD_NO_PAD.decode(hash.trim_end_matches('=')).ok()?;
    (bytes.len() == 32).then(|| hex::encode(bytes))
}

fn captioned(kind: &str, caption: Option<String>) -> Content {
    Content::Other { kind: kind.to_owned(), id: None, caption: filled(caption) }
}

/// Some clients send an empty caption where they mean none.
fn filled(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.is_empty())
}

fn other(kind: &str) -> Content {
    captioned(kind, None)
}

fn sign(kind: &str, detail: String) -> Content {
    Content::Sign { kind: kind.to_owned(), detail }
}

/// "52.5, 13.4 (Berlin, Alexanderplatz)", or as much of it as is told.
fn whereabouts(location: Location) -> Option<String> {
    let named: Vec<String> = location.name.into_iter().chain(location.address).filter(|name| !name.is_empty()).collect();
    let named = named.join(", ");
    match (location.latitude.zip(location.longitude), named.is_empty()) {
        (Some((latitude, longitude)), true) => Some(format!("{latitude}, {longitude}")),
        (Some((latitude, longitude)), false) => Some(format!("{latitude}, {longitude} ({named})")),
        (None, _) => filled(Some(named)),
    }
}

/// "Ben Ray +1 555 0100; Eve Fox": names with the numbers that the cards bear.
fn names(cards: Vec<Card>) -> Option<String> {
    let cards: Vec<String> = cards.into_iter().filter_map(on_card).collect();
    (!cards.is_empty()).then(|| cards.join("; "))
}

fn on_card(card: Card) -> Option<String> {
    let name = card.name.and_then(|name| name.formatted_name);
    let phones = card.phones.into_iter().flatten().filter_map(|phone| phone.phone);
    let parts: Vec<String> = name.into_iter().chain(phones).collect();
    (!parts.is_empty()).then(|| parts.join(" "))
}

/// The detail is the emoji; none means that an earlier reaction was taken back.
fn reaction(message: &mut Message) -> (Content, Option<String>) {
    let (emoji, target) = message.reaction.take().map_or((None, None), |reaction| (reaction.emoji, reaction.message_id));
    (sign("reaction", emoji.unwrap_or_default()), target)
}

/// The detail is the new text or caption; the message that it replaces is the quoted one.
fn edit(message: &mut Message) -> (Content, Option<String>) {
    let Some(edit) = message.edit.take() else { return (sign("edit", String::new()), None) };
    let text = edit.message.and_then(|message| wording(*message));
    (sign("edit", text.unwrap_or_default()), edit.original_message_id)
}

fn wording(message: Message) -> Option<String> {
    let caption = message.image.or(message.video).or(message.document).and_then(|media| media.caption);
    message.text.and_then(|text| text.body).or(caption)
}

fn revoke(message: &mut Message) -> (Content, Option<String>) {
    (sign("revoke", String::new()), message.revoke.take().and_then(|revoke| revoke.original_message_id))
}

/// `user_changed_number` tells the new number with its "+", `user_changed_user_id` the new id, anything else Meta's text.
fn system(system: Option<System>) -> Content {
    let Some(system) = system else { return sign("system", String::new()) };
    let kind = system.kind.unwrap_or_else(|| "system".to_owned());
    let body = system.body.unwrap_or_default();
    let detail = match kind.as_str() {
        "user_changed_number" => system.wa_id.map(|digits| phone(&digits).map_or(digits, |phone| phone.e164().to_owned())),
        "user_changed_user_id" => system.user_id,
        _ => None,
    };
    Content::Sign { kind, detail: detail.unwrap_or(body) }
}

/// WhatsApp writes numbers without the "+".
pub fn phone(digits: &str) -> Option<Phone> {
    Phone::from_e164(&format!("+{}", digits.strip_prefix('+').unwrap_or(digits)))
}
