//! The shapes that Twilio writes: resources as JSON, webhooks as forms, SIDs and dates.
use super::Inner;
use super::hooks::Params;
use super::world::{Call, Direction, Keywords, Media, Message, Number, Recording, Status};
use rlibphonenumber::PHONE_NUMBER_UTIL;
use serde_json::{Value, json};

pub(super) const API_VERSION: &str = "2010-04-01";
/// Characters of one part, and of each part of a longer text: GSM-7, then UTF-16 units.
const GSM_PARTS: (usize, usize) = (160, 153);
const UCS_PARTS: (usize, usize) = (70, 67);
/// GSM 03.38 besides ASCII letters and digits, and those that cost two.
const GSM: &str = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./:;<=>?¡ÄÖÑÜ§¿äöñüà";
const GSM_TWICE: &str = "^{}\\[~]|€\u{c}";

/// A fresh SID: two letters and 32 hexadecimal digits.
pub(super) fn sid(prefix: &str) -> String {
    format!("{prefix}{:016x}{:016x}", fastrand::u64(..), fastrand::u64(..))
}

/// RFC 2822, in GMT.
pub(super) fn date(ms: i64) -> String {
    let at = jiff::Timestamp::from_millisecond(ms).unwrap_or_default();
    at.strftime("%a, %d %b %Y %H:%M:%S +0000").to_string()
}

/// YYMMDDhhmm, as the carriers write it.
fn carriers_date(ms: i64) -> String {
    jiff::Timestamp::from_millisecond(ms).unwrap_or_default().strftime("%y%m%d%H%M").to_string()
}

/// Parts in which a text travels.
pub(super) fn segments(body: &str) -> usize {
    let cost = |letter: char| match letter {
        _ if letter.is_ascii_alphanumeric() || GSM.contains(letter) => Some(1),
        _ => GSM_TWICE.contains(letter).then_some(2),
    };
    let gsm: Option<usize> = body.chars().map(cost).sum();
    let (units, (one, each)) = gsm.map_or((body.encode_utf16().count(), UCS_PARTS), |units| (units, GSM_PARTS));
    if units <= one { 1 } else { units.div_ceil(each) }
}

/// The SID of the n-th line, which stays the same for ever.
pub(super) fn line_sid(nth: usize) -> String {
    format!("PN{:032}", nth + 1)
}

impl Inner {
    fn sid_of_line(&self, number: &str) -> Option<String> {
        self.settings.lines.iter().position(|line| line.number == number).map(line_sid)
    }

    /// The path of something of the account.
    pub(super) fn uri(&self, rest: &str) -> String {
        format!("/{API_VERSION}/Accounts/{}{rest}", self.settings.account_sid)
    }

    /// The same as a whole address.
    pub(super) fn address(&self, rest: &str) -> String {
        format!("{}{}", self.settings.api_url.trim_end_matches('/'), self.uri(rest))
    }

    pub(super) fn account(&self) -> Value {
        let sid = &self.settings.account_sid;
        let of = |what: &str| self.uri(&format!("/{what}.json"));
        json!({"sid": sid, "owner_account_sid": sid, "friendly_name": "Liaison sandbox", "status": "active", "type": "Full",
            "auth_token": self.settings.auth_token, "date_created": date(0), "date_updated": date(0),
            "uri": format!("/{API_VERSION}/Accounts/{sid}.json"), "subresource_uris": {"messages": of("Messages"),
            "calls": of("Calls"), "recordings": of("Recordings"), "incoming_phone_numbers": of("IncomingPhoneNumbers")}})
    }

    pub(super) fn message(&self, message: &Message) -> Value {
        let error = message.error.map(super::errors::words);
        let media = message.media.len().max(message.media_urls.len());
        json!({"account_sid": self.settings.account_sid, "api_version": API_VERSION, "body": message.body,
            "date_created": date(message.created), "date_sent": message.sent.map(date), "date_updated": date(message.updated),
            "direction": message.direction.word(), "error_code": message.error, "error_message": error,
            "from": message.from, "messaging_service_sid": null, "num_media": media.to_string(),
            "num_segments": segments(&message.body).to_string(), "price": null, "price_unit": "USD", "sid": message.sid,
            "status": message.status.word(), "to": message.to, "uri": self.uri(&format!("/Messages/{}.json", message.sid)),
            "subresource_uris": {"media": self.uri(&format!("/Messages/{}/Media.json", message.sid))}})
    }

    pub(super) fn media(&self, media: &Media) -> Value {
        let uri = self.uri(&format!("/Messages/{}/Media/{}.json", media.message, media.sid));
        json!({"account_sid": self.settings.account_sid, "content_type": media.mime, "date_created": date(media.created),
            "date_updated": date(media.created), "parent_sid": media.message, "sid": media.sid, "uri": uri})
    }

    pub(super) fn number(&self, number: &Number) -> Value {
        json!({"account_sid": self.settings.account_sid, "address_sid": null, "address_requirements": "none",
            "api_version": API_VERSION, "beta": false,
            "capabilities": {"voice": true, "sms": true, "mms": true, "fax": false},
            "date_created": date(number.created), "date_updated": date(number.updated),
            "friendly_name": number.friendly_name, "identity_sid": null, "phone_number": number.number, "origin": "twilio",
            "sid": number.sid, "sms_application_sid": null, "sms_fallback_method": "POST", "sms_fallback_url": "",
            "sms_method": "POST", "sms_url": number.sms_url, "status_callback": number.status_callback,
            "status_callback_method": "POST", "trunk_sid": null,
            "uri": self.uri(&format!("/IncomingPhoneNumbers/{}.json", number.sid)), "voice_receive_mode": "voice",
            "voice_application_sid": null, "voice_caller_id_lookup": false, "voice_fallback_method": "POST",
            "voice_fallback_url": "", "voice_method": "POST", "voice_url": number.voice_url, "emergency_status": "Active",
            "emergency_address_sid": null, "emergency_address_status": "unregistered", "bundle_sid": null,
            "status": "in-use", "type": "local"})
    }

    pub(super) fn call(&self, call: &Call) -> Value {
        let line = if call.inbound { &call.to } else { &call.from };
        let of = |what: &str| self.uri(&format!("/Calls/{}/{what}.json", call.sid));
        json!({"sid": call.sid, "date_created": date(call.created), "date_updated": date(call.ended.unwrap_or(call.created)),
            "parent_call_sid": call.parent, "account_sid": self.settings.account_sid, "to": call.to, "to_formatted": call.to,
            "from": call.from, "from_formatted": call.from, "phone_number_sid": self.sid_of_line(line),
            "status": call.status, "start_time": date(call.created), "end_time": call.ended.map(date),
            "duration": call.ended.map(|_| call.seconds.to_string()), "price": null, "price_unit": "USD",
            "direction": if call.inbound { "inbound" } else { "outbound-api" }, "answered_by": null,
            "api_version": API_VERSION, "forwarded_from": null, "group_sid": null, "caller_name": null, "queue_time": "0",
            "trunk_sid": null, "uri": self.uri(&format!("/Calls/{}.json", call.sid)),
            "subresource_uris": {"recordings": of("Recordings"), "notifications": of("Notifications")}})
    }

    pub(super) fn recording(&self, recording: &Recording) -> Value {
        let at = date(recording.created);
        json!({"account_sid": self.settings.account_sid, "api_version": API_VERSION, "call_sid": recording.call,
            "conference_sid": null, "date_created": at, "date_updated": at, "start_time": at,
            "duration": recording.seconds.to_string(), "sid": recording.sid, "price": null, "price_unit": "USD",
            "status": "completed", "channels": 1, "source": recording.source, "error_code": null,
            "uri": self.uri(&format!("/Recordings/{}.json", recording.sid)), "encryption_details": null,
            "subresource_uris": {}, "media_url": self.address(&format!("/Recordings/{}", recording.sid))})
    }

    /// An inbound message as its webhook tells it; many fields are empty, as they mostly are.
    pub(super) fn heard(&self, message: &Message, media: &[Media], opt_out: Option<&str>) -> Params {
        let mut params: Params = Vec::new();
        place("To", &message.to, &mut params);
        place("From", &message.from, &mut params);
        params.extend([
            ("SmsMessageSid", message.sid.clone()),
            ("NumMedia", media.len().to_string()),
            ("SmsSid", message.sid.clone()),
            ("SmsStatus", "received".to_owned()),
            ("Body", message.body.clone()),
            ("To", message.to.clone()),
            ("NumSegments", segments(&message.body).max(media.len()).to_string()),
            ("MessageSid", message.sid.clone()),
            ("AccountSid", self.settings.account_sid.clone()),
            ("From", message.from.clone()),
            ("ApiVersion", API_VERSION.to_owned()),
        ]);
        params.extend(opt_out.map(|kind| ("OptOutType", kind.to_owned())));
        for (file, (url, mime)) in media.iter().zip(MEDIA_NAMES) {
            params.push((mime, file.mime.clone()));
            params.push((url, self.address(&format!("/Messages/{}/Media/{}", message.sid, file.sid))));
        }
        params
    }

    /// What becomes of a message, as its status callback tells it.
    pub(super) fn told(&self, message: &Message, status: Status, error: Option<i64>) -> Params {
        let mut params: Params = Vec::new();
        if let Some(code) = error {
            params.push(("ErrorCode", code.to_string()));
            params.push(("ErrorMessage", super::errors::words(code).to_owned()));
        }
        params.extend([
            ("SmsSid", message.sid.clone()),
            ("SmsStatus", status.word().to_owned()),
            ("MessageStatus", status.word().to_owned()),
            ("To", message.to.clone()),
            ("MessageSid", message.sid.clone()),
            ("AccountSid", self.settings.account_sid.clone()),
            ("From", message.from.clone()),
            ("ApiVersion", API_VERSION.to_owned()),
        ]);
        if matches!(status, Status::Delivered | Status::Undelivered) {
            params.push(("RawDlrDoneDate", carriers_date((self.now)())));
        }
        params
    }

    /// What every webhook about a call says.
    pub(super) fn of_call(&self, call: &Call, status: &str) -> Params {
        let direction = if call.inbound { "inbound" } else { "outbound-api" };
        let mut params: Params = vec![
            ("AccountSid", self.settings.account_sid.clone()),
            ("ApiVersion", API_VERSION.to_owned()),
            ("CallSid", call.sid.clone()),
            ("CallStatus", status.to_owned()),
            ("Direction", direction.to_owned()),
        ];
        for (name, number) in [("Called", &call.to), ("Caller", &call.from), ("From", &call.from), ("To", &call.to)] {
            params.push((name, number.clone()));
            place(name, number, &mut params);
        }
        params.extend(call.parent.iter().map(|parent| ("ParentCallSid", parent.clone())));
        params
    }
}

/// Names of the parameters of each file; Twilio takes at most ten.
const MEDIA_NAMES: [(&str, &str); super::send::MAX_MEDIA] = [
    ("MediaUrl0", "MediaContentType0"),
    ("MediaUrl1", "MediaContentType1"),
    ("MediaUrl2", "MediaContentType2"),
    ("MediaUrl3", "MediaContentType3"),
    ("MediaUrl4", "MediaContentType4"),
    ("MediaUrl5", "MediaContentType5"),
    ("MediaUrl6", "MediaContentType6"),
    ("MediaUrl7", "MediaContentType7"),
    ("MediaUrl8", "MediaContentType8"),
    ("MediaUrl9", "MediaContentType9"),
];

/// Where a number is at home, as far as Twilio tells: country always, state in two area codes, nothing else.
fn place(of: &'static str, number: &str, params: &mut Params) {
    let names = match of {
        "To" => ["ToCountry", "ToState", "ToCity", "ToZip"],
        "From" => ["FromCountry", "FromState", "FromCity", "FromZip"],
        "Called" => ["CalledCountry", "CalledState", "CalledCity", "CalledZip"],
        _ => ["CallerCountry", "CallerState", "CallerCity", "CallerZip"],
    };
    let parsed = PHONE_NUMBER_UTIL.parse(number, None).ok();
    let country = parsed.and_then(|number| number.get_region_code().map(|region| region.as_region_str().to_string()));
    let (state, city) = match number.get(..5) {
        Some("+1202") => ("DC", "WASHINGTON"),
        Some("+1917") => ("NY", ""),
        Some(_) | None => ("", ""),
    };
    let values = [country.unwrap_or_default(), state.to_owned(), city.to_owned(), String::new()];
    params.extend(names.into_iter().zip(values));
}

/// The default keyword lists for long codes (Twilio, advanced-opt-out); the word must be the whole message.
pub(super) fn keyword(body: &str) -> Option<&'static str> {
    match body.trim().to_uppercase().as_str() {
        "STOP" | "STOPALL" | "UNSUBSCRIBE" | "CANCEL" | "END" | "QUIT" | "REVOKE" | "OPTOUT" => Some("STOP"),
        "START" | "UNSTOP" => Some("START"),
        "YES" => Some("YES"),
        "HELP" | "INFO" => Some("HELP"),
        _ => None,
    }
}

/// What Twilio itself says to a keyword. A yes is a keyword only to who is blocked, a stop only to who is not.
pub(super) fn reply_to(keyword: &str, is_blocked: bool) -> Option<&'static str> {
    match (keyword, is_blocked) {
        ("STOP", false) => Some(
            "You have successfully been unsubscribed. You will not receive any more messages from this number. \
             Reply START to resubscribe.",
        ),
        ("START", _) | ("YES", true) => Some(
            "You have successfully been re-subscribed to messages from this number. Reply HELP for help. \
             Reply STOP to unsubscribe. Msg&Data Rates May Apply.",
        ),
        ("HELP", _) => Some("Reply STOP to unsubscribe. Msg&Data Rates May Apply."),
        _ => None,
    }
}

/// The word in `OptOutType`, which only Advanced Opt-Out writes.
pub(super) fn opt_out_type(keyword: Option<&'static str>, keywords: Keywords) -> Option<&'static str> {
    let word = keyword.filter(|_| keywords == Keywords::Advanced)?;
    Some(if word == "YES" { "START" } else { word })
}

/// Whether a person's phone shows the message.
pub(super) fn is_shown(message: &Message) -> bool {
    message.direction == Direction::Inbound || message.status == Status::Delivered
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_costs_as_many_parts_as_its_letters_need() {
        let cases = [
            ("a".repeat(160), 1),
            ("a".repeat(161), 2),
            ("€".repeat(80), 1),
            ("€".repeat(81), 2),
            ("ж".repeat(70), 1),
            ("ж".repeat(71), 2),
            ("👍".repeat(35), 1),
            ("👍".repeat(36), 2),
            (String::new(), 1),
        ];
        for (text, parts) in cases {
            assert_eq!(segments(&text), parts, "{} letters of {:?}", text.chars().count(), text.chars().next());
        }
    }

    #[test]
    fn a_keyword_is_the_whole_message() {
        assert_eq!(keyword(" stop\n"), Some("STOP"));
        assert_eq!(keyword("Revoke"), Some("STOP"));
        for none in ["STOP PLEASE", "opt out", "stop!", ""] {
            assert_eq!(keyword(none), None, "{none}");
        }
    }
}
