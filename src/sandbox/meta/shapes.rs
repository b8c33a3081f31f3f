//! The shapes of webhooks and ids as production writes them today: user ids present, no conversation, ASCII only.
use super::MetaSettings;
use super::errors::GraphError;
use super::world::Phone;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::fmt::Write;

/// The country of a business-scoped user id, by the longest calling code that fits.
const COUNTRIES: [(&str, &str); 14] = [
    ("971", "AE"),
    ("353", "IE"),
    ("352", "LU"),
    ("91", "IN"),
    ("65", "SG"),
    ("61", "AU"),
    ("55", "BR"),
    ("52", "MX"),
    ("49", "DE"),
    ("44", "GB"),
    ("43", "AT"),
    ("41", "CH"),
    ("33", "FR"),
    ("1", "US"),
];

/// A stable id for that number: country, dot, digits.
pub(super) fn user_id(number: &str) -> String {
    let digits = number.trim_start_matches('+');
    let country = COUNTRIES.iter().find(|(code, _)| digits.starts_with(code)).map_or("ZZ", |(_, country)| country);
    let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, number.as_bytes());
    let id = hash.as_ref().iter().take(8).fold(0u64, |id, byte| id << 8 | u64::from(*byte));
    format!("{country}.{:020}", id)
}

/// A fresh wamid: the client's number and a random key, wrapped as WhatsApp wraps them.
pub(super) fn wamid(digits: &str, from_firm: bool) -> String {
    let (mark, key_bytes) = if from_firm { (0x11, 9) } else { (0x12, 10) };
    let key: String = (0..key_bytes).fold(String::new(), |mut key, _| {
        let _ = write!(key, "{:02X}", fastrand::u8(..));
        key
    });
    let mut bytes = vec![0x1c, 0x18, digits.len() as u8];
    bytes.extend_from_slice(digits.as_bytes());
    bytes.extend_from_slice(&[0x15, 0x02, 0x00, mark, 0x18, key.len() as u8]);
    bytes.extend_from_slice(key.as_bytes());
    bytes.push(0);
    format!("wamid.{}", STANDARD.encode(bytes))
}

/// A fresh id of a call, wrapped like that of a message.
pub(super) fn call_id(digits: &str) -> String {
    wamid(digits, false).replacen("wamid", "wacid", 1)
}

/// A fresh id of a media file or a template: sixteen digits.
pub(super) fn object_id() -> String {
    fastrand::u64(1_000_000_000_000_000..10_000_000_000_000_000).to_string()
}

/// JSON with everything beyond ASCII escaped, and each slash, which is what Meta signs and sends.
pub(super) fn ascii(value: &Value) -> String {
    value.to_string().chars().fold(String::new(), |mut text, letter| {
        if letter == '/' {
            // It stands in strings only.
            text.push_str("\\/");
        } else if letter.is_ascii() {
            text.push(letter);
        } else {
            for unit in letter.encode_utf16(&mut [0; 2]) {
                let _ = write!(text, "\\u{unit:04x}");
            }
        }
        text
    })
}

pub(super) fn seconds(at: i64) -> String {
    (at / 1000).to_string()
}

/// Wraps one change of the account.
pub(super) fn change(settings: &MetaSettings, field: &str, value: Value) -> Value {
    json!({"object": "whatsapp_business_account",
        "entry": [{"id": settings.waba_id, "changes": [{"value": value, "field": field}]}]})
}

fn envelope(settings: &MetaSettings, contact: Value, kind: &str, element: Value) -> Value {
    let metadata = json!({"display_phone_number": settings.digits(), "phone_number_id": settings.phone_number_id});
    let mut value = json!({"messaging_product": "whatsapp", "metadata": metadata, "contacts": [contact]});
    value[kind] = json!([element]);
    change(settings, "messages", value)
}

/// The frame of a client's message.
pub(super) struct Heard<'a> {
    pub phone: &'a Phone,
    pub wamid: &'a str,
    pub at: i64,
    pub kind: &'a str,
    pub context: Option<Value>,
}

/// A client's message; `content` stands under the name of the type.
pub(super) fn message(settings: &MetaSettings, heard: Heard<'_>, content: Value) -> Value {
    let Heard { phone, wamid, at, kind, context } = heard;
    let contact = json!({"profile": {"name": phone.name}, "wa_id": phone.wa_id(), "user_id": phone.user_id});
    let mut element =
        json!({"from": phone.wa_id(), "from_user_id": phone.user_id, "id": wamid, "timestamp": seconds(at), "type": kind});
    if let Some(context) = context {
        element["context"] = context;
    }
    match kind {
        "unsupported" | "unknown" => element["errors"] = content,
        _ => element[kind] = content,
    }
    envelope(settings, contact, "messages", element)
}

/// One event of a call that nobody answers. Statuses come as a word; nothing is told of a talk that never was.
pub(super) fn call(settings: &MetaSettings, phone: &Phone, id: &str, event: &str, at: i64) -> Value {
    let metadata = json!({"display_phone_number": settings.digits(), "phone_number_id": settings.phone_number_id});
    let contact = json!({"profile": {"name": phone.name}, "wa_id": phone.wa_id(), "user_id": phone.user_id});
    let mut element = json!({"id": id, "from": phone.wa_id(), "from_user_id": phone.user_id, "to": settings.digits(),
        "event": event, "timestamp": seconds(at), "direction": "USER_INITIATED"});
    match event {
        "connect" => element["session"] = json!({"sdp_type": "offer", "sdp": "v=0\r\n"}),
        _ => element["status"] = json!("FAILED"),
    }
    let value = json!({"messaging_product": "whatsapp", "metadata": metadata, "contacts": [contact], "calls": [element]});
    change(settings, "calls", value)
}

/// What a status tells about the message it belongs to.
pub(super) struct Told<'a> {
    pub phone: &'a Phone,
    pub wamid: &'a str,
    pub callback_data: Option<&'a str>,
    pub at: i64,
}

/// sent, delivered or read. Real statuses carry the contact without its profile.
pub(super) fn status(settings: &MetaSettings, told: &Told<'_>, status: &str, pricing: Option<&Value>) -> Value {
    let contact = json!({"wa_id": told.phone.wa_id(), "user_id": told.phone.user_id});
    let mut element = status_element(told, status);
    element["recipient_user_id"] = json!(told.phone.user_id);
    if let Some(pricing) = pricing {
        element["pricing"] = pricing.clone();
    }
    envelope(settings, contact, "statuses", element)
}

/// failed. Captures show neither profile nor user id here.
pub(super) fn failure(settings: &MetaSettings, told: &Told<'_>, error: &GraphError) -> Value {
    let mut element = status_element(told, "failed");
    element["errors"] = json!([error.in_status()]);
    envelope(settings, json!({"wa_id": told.phone.wa_id()}), "statuses", element)
}

fn status_element(told: &Told<'_>, status: &str) -> Value {
    let mut element =
        json!({"id": told.wamid, "status": status, "timestamp": seconds(told.at), "recipient_id": told.phone.wa_id()});
    if let Some(data) = told.callback_data {
        element["biz_opaque_callback_data"] = json!(data);
    }
    element
}

/// A template has been reviewed. The id is a number here and a string everywhere else.
pub(super) fn template_event(
    settings: &MetaSettings,
    template: &super::template::Template,
    event: (&str, &str),
    at: i64,
) -> Value {
    let (event, reason) = event;
    let id: u64 = template.id.parse().unwrap_or_default();
    let value = json!({"event": event, "message_template_id": id, "message_template_name": template.name,
        "message_template_language": template.language, "reason": reason, "message_template_category": template.category});
    let mut whole = change(settings, "message_template_status_update", value);
    whole["entry"][0]["time"] = json!(at / 1000);
    whole
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn webhooks_are_ascii_and_their_slashes_escaped() {
        assert_eq!(ascii(&json!({"a": "ü😀\n"})), r#"{"a":"\u00fc\ud83d\ude00\n"}"#);
        assert_eq!(ascii(&json!({"image/png": "\\/"})), r#"{"image\/png":"\\\/"}"#);
    }

    #[test]
    fn wamids_look_like_whatsapps() {
        assert!(wamid("16503879439", false).starts_with("wamid.HBgLMTY1MDM4Nzk0MzkVAgASGB"));
        assert!(wamid("16503879439", true).starts_with("wamid.HBgLMTY1MDM4Nzk0MzkVAgARGB"));
    }
}
