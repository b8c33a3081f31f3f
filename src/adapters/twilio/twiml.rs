//! What a webhook is answered with: TwiML, made by hand since a handful of verbs is all that is used.
use crate::domain::ids::Phone;
use std::fmt::Write;

/// A message to voice mail of two minutes says everything but a whole letter.
const LONGEST_RECORDING_SECONDS: u32 = 120;
/// Four rings; after that the caller's patience is better used for a message.
const RING_SECONDS: u32 = 20;
/// The voice that reads the firm's texts.
const LANGUAGE: &str = "en-US";

/// The words of a call, rendered.
#[derive(Clone, Debug, Default)]
pub struct Spoken {
    /// Before anything else, with the notice that the call may be recorded.
    pub greeting: String,
    /// Before the tone, where nobody answers.
    pub voicemail: String,
}

/// Nothing to do and nothing to say.
pub fn nothing() -> String {
    document("")
}

pub fn hang_up() -> String {
    document("<Hangup/>")
}

/// The number is none of ours.
pub fn reject() -> String {
    document("<Reject/>")
}

/// `voice` is the address of our webhook for calls, without a query.
pub fn to_voicemail(spoken: &[&str], voice: &str) -> String {
    document(&format!("{}{}", say(spoken), record(voice)))
}

/// `caller_id`: the number that the advisor's phone shows, where it cannot be the caller's.
pub fn to_phone(spoken: &[&str], number: &Phone, caller_id: Option<&Phone>, voice: &str) -> String {
    let caller_id = caller_id.map(|number| format!(" callerId=\"{}\"", escaped(number.e164()))).unwrap_or_default();
    let action = escaped(&format!("{voice}?step=dial"));
    let number = escaped(number.e164());
    document(&format!(
        "{}<Dial answerOnBridge=\"true\" timeout=\"{RING_SECONDS}\" action=\"{action}\"{caller_id}><Number>{number}</Number></Dial>",
        say(spoken)
    ))
}

fn say(spoken: &[&str]) -> String {
    let mut verbs = String::new();
    for text in spoken {
        write!(verbs, "<Say language=\"{LANGUAGE}\">{}</Say>", escaped(text)).expect("a String takes whatever is written");
    }
    verbs
}

fn record(voice: &str) -> String {
    let (action, told) = (escaped(&format!("{voice}?step=recorded")), escaped(&format!("{voice}?step=recording")));
    format!(
        "<Record maxLength=\"{LONGEST_RECORDING_SECONDS}\" playBeep=\"true\" action=\"{action}\" \
         recordingStatusCallback=\"{told}\"/><Hangup/>"
    )
}

fn document(verbs: &str) -> String {
    match verbs {
        "" => "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Response/>".to_owned(),
        verbs => format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?><Response>{verbs}</Response>"),
    }
}

/// As text or in an attribute; what XML cannot hold at all becomes a blank.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&apos;"),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => escaped.push(' '),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_is_said_becomes_a_verb() {
        let said = to_voicemail(&["</Say><Reject/> \"a\" & 'b'\u{0}\n"], "https://x.example/v");
        assert!(said.contains(">&lt;/Say&gt;&lt;Reject/&gt; &quot;a&quot; &amp; &apos;b&apos;  </Say>"), "{said}");
        assert_eq!(said.matches("<Reject").count(), 0);
    }

    #[test]
    fn a_call_is_put_through_with_the_callers_number_unless_he_withholds_it() {
        let (jane, line) = (Phone::from_e164("+12025550199").unwrap(), Phone::from_e164("+12025550143").unwrap());
        let plain = to_phone(&["Hello"], &jane, None, "https://x.example/v");
        assert_eq!(
            plain,
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Response><Say language=\"en-US\">Hello</Say>\
             <Dial answerOnBridge=\"true\" timeout=\"20\" action=\"https://x.example/v?step=dial\">\
             <Number>+12025550199</Number></Dial></Response>"
        );
        let withheld = to_phone(&[], &jane, Some(&line), "https://x.example/v");
        assert!(withheld.contains(" callerId=\"+12025550143\">"), "{withheld}");
    }
}
