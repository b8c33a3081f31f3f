//! The template engine as it is set up here: strict about what is missing, and markup only from the template itself.
use super::{files, markup};
use jiff::tz::TimeZone;
use minijinja::value::ValueKind;
use minijinja::{AutoEscape, Environment, Error, ErrorKind, Output, State, UndefinedBehavior, Value};
use std::collections::BTreeMap;

/// Variables that are true or false although they travel as text.
pub(super) const FLAGS: [&str; 1] = ["agreed"];
const MESSAGE_ML: AutoEscape = AutoEscape::Custom(std::borrow::Cow::Borrowed("messageml"));

pub(super) fn environment(zone: TimeZone) -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_auto_escape_callback(|name| if name.starts_with(files::CHAT) { MESSAGE_ML } else { AutoEscape::None });
    environment.set_formatter(write_value);
    // No template can say that a value is markup; only the template's own text is.
    for filter in ["safe", "escape", "e"] {
        environment.remove_filter(filter);
    }
    environment.add_filter("time", move |state: &State, ms: i64| time(state, ms, &zone));
    environment.add_filter("span", span);
    environment.add_filter("plural", plural);
    environment.add_filter("room_address", |stream: String| room_address(&stream));
    environment.add_filter("attribute", |value: String| Value::from_safe_string(markup::attribute(&value)));
    environment
}

/// What a value becomes in a text: escaped for MessageML, cleaned of control characters for clients.
fn write_value(out: &mut Output, state: &mut State, value: &Value) -> Result<(), Error> {
    let is_markup = *state.auto_escape() == MESSAGE_ML;
    let text = match value.kind() {
        ValueKind::Undefined | ValueKind::None => return Ok(()),
        _ => value.to_string(),
    };
    match (is_markup, value.is_safe()) {
        (true, true) => out.write_str(&text),
        (true, false) => out.write_str(&markup::text(&text)),
        (false, _) => out.write_str(&markup::clean(&text)),
    }
    .map_err(Error::from)
}

/// `contact.first` and `contact.last` become one map with two entries.
pub(super) fn tree(vars: &BTreeMap<String, String>) -> serde_json::Value {
    let mut root = serde_json::Map::new();
    for (name, value) in vars {
        let value = match (FLAGS.contains(&name.as_str()), value.as_str()) {
            (true, text) => serde_json::Value::Bool(text == "true"),
            (false, text) => text.into(),
        };
        match name.split_once('.') {
            None => _ = root.insert(name.clone(), value),
            Some((outer, inner)) => {
                let group = root.entry(outer).or_insert_with(|| serde_json::json!({}));
                if let Some(group) = group.as_object_mut() {
                    group.insert(inner.to_owned(), value);
                }
            }
        }
    }
    serde_json::Value::Object(root)
}

/// "14:48" on the day of the variable `now`, else "21 Nov 14:48", and with the year if that is another one.
fn time(state: &State, ms: i64, zone: &TimeZone) -> Result<String, Error> {
    let at = moment(ms, zone)?;
    let now = state.lookup("now").and_then(|now| i64::try_from(now).ok()).map(|now| moment(now, zone)).transpose()?;
    let format = match now {
        Some(now) if now.date() == at.date() => "%H:%M",
        Some(now) if now.year() != at.year() => "%-d %b %Y %H:%M",
        Some(_) | None => "%-d %b %H:%M",
    };
    Ok(at.strftime(format).to_string())
}

fn moment(ms: i64, zone: &TimeZone) -> Result<jiff::Zoned, Error> {
    let at = jiff::Timestamp::from_millisecond(ms);
    let at = at.map_err(|error| Error::new(ErrorKind::InvalidOperation, format!("{ms} is no time: {error}")))?;
    Ok(at.to_zoned(zone.clone()))
}

/// Milliseconds as people say them, in whole units and never longer than it is: "45 s", "12 min", "3 h 12 min", "2 d 4 h".
fn span(ms: i64) -> String {
    let seconds = ms.max(0) / 1000;
    let (minutes, hours) = (seconds / 60, seconds / 3600);
    let two = |large: i64, unit: &str, small: i64, small_unit: &str| match small {
        0 => format!("{large} {unit}"),
        _ => format!("{large} {unit} {small} {small_unit}"),
    };
    match (minutes, hours) {
        (0, _) => format!("{seconds} s"),
        (_, 0) => format!("{minutes} min"),
        (_, 1..48) => two(hours, "h", minutes % 60, "min"),
        (_, _) => two(hours / 24, "d", hours % 24, "h"),
    }
}

/// `{{ 3 | plural("message") }}` is "3 messages"; a second word is the plural where it is not formed with "s".
fn plural(count: i64, one: String, many: Option<String>) -> String {
    match (count, many) {
        (1, _) => format!("1 {one}"),
        (count, Some(many)) => format!("{count} {many}"),
        (count, None) => format!("{count} {one}s"),
    }
}

/// The address at which Symphony opens a chat, on a desk as on a phone. There a stream's id stands in base64 as it is
/// commonly written, while the API has it safe for addresses and without its padding.
/// (<https://docs.developers.symphony.com/embedded-modules/symphony-uri>)
fn room_address(stream: &str) -> String {
    let encoded = stream.bytes().map(|byte| match byte {
        b'-' => "%2B".to_owned(),
        b'_' => "%2F".to_owned(),
        byte if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    });
    let padding = "%3D".repeat((4 - stream.len() % 4) % 4);
    format!("https://open.symphony.com/?streamId={}{padding}&streamType=chatroom", encoded.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rendered(name: &'static str, text: &'static str, vars: serde_json::Value) -> Result<String, String> {
        let mut environment = environment(TimeZone::get("America/New_York").unwrap());
        environment.add_template(name, text).map_err(|error| error.to_string())?;
        environment
            .get_template(name)
            .unwrap()
            .render(Value::from(minijinja::value::Serde(vars)))
            .map_err(|error| error.to_string())
    }

    #[test] // S1-19
    fn a_room_has_an_address() {
        let known = "https://open.symphony.com/?streamId=KuNtHyhsSdxDTyrnOKxHln%2F%2F%2FqtCB%2BDWdA%3D%3D&streamType=chatroom";
        assert_eq!(room_address("KuNtHyhsSdxDTyrnOKxHln___qtCB-DWdA"), known);
    }

    #[test]
    fn what_is_missing_is_an_error_and_null_is_nothing() {
        let vars = serde_json::json!({ "a": null, "b": { "c": 1 } });
        assert_eq!(rendered("chat/x", "[{{ a }}{{ b.c }}]", vars.clone()).unwrap(), "[1]");
        for text in ["{{ x }}", "{{ b.x }}", "{% if x %}{% endif %}", "{% for y in x %}{% endfor %}", "{{ a | nothing }}"] {
            assert!(rendered("chat/x", text, vars.clone()).is_err(), "{text}");
        }
    }

    #[test]
    fn values_are_escaped_in_chat_only_and_nothing_can_turn_that_off() {
        let vars = serde_json::json!({ "v": "<b>&\n\u{7}${x}" });
        assert_eq!(rendered("chat/x", "<i>{{ v }}</i>", vars.clone()).unwrap(), "<i>&lt;b&gt;&amp;<br/>&#36;{x}</i>");
        assert_eq!(
            rendered("chat/x", "{% set w %}<i>{{ v }}</i>{% endset %}{{ w }}", vars.clone()).unwrap(),
            "<i>&lt;b&gt;&amp;<br/>&#36;{x}</i>"
        );
        assert_eq!(
            rendered("chat/x", "<a b=\"{{ v | attribute }}\"/>", vars.clone()).unwrap(),
            "<a b=\"&lt;b&gt;&amp; &#36;{x}\"/>"
        );
        assert_eq!(rendered("sms/x", "{{ v }}", vars.clone()).unwrap(), "<b>&\n${x}");
        for filter in ["safe", "escape", "e"] {
            let text: &'static str = Box::leak(format!("{{{{ v | {filter} }}}}").into_boxed_str());
            assert!(rendered("chat/x", text, vars.clone()).is_err(), "{filter}");
        }
    }

    #[test]
    fn times_are_told_in_the_firms_zone() {
        let at = 1_763_754_480_000i64; // 2025-11-21 14:48 in New York
        let told = |now: Option<i64>| {
            let vars = now.map_or(serde_json::json!({ "at": at }), |now| serde_json::json!({ "at": at, "now": now }));
            rendered("chat/x", "{{ at | time }}", vars).unwrap()
        };
        assert_eq!(told(None), "21 Nov 14:48");
        assert_eq!(told(Some(at + 3_600_000)), "14:48");
        assert_eq!(told(Some(at + 86_400_000)), "21 Nov 14:48");
        assert_eq!(told(Some(at + 90 * 86_400_000)), "21 Nov 2025 14:48");
    }

    #[test]
    fn spans_and_numbers_are_told_as_people_say_them() {
        let table = [
            (0, "0 s"),
            (45_999, "45 s"),
            (720_000, "12 min"),
            (11_520_000, "3 h 12 min"),
            (86_400_000, "24 h"),
            (187_200_000, "2 d 4 h"),
        ];
        for (ms, expected) in table {
            assert_eq!(span(ms), expected);
        }
        let told = rendered(
            "chat/x",
            "{{ 1 | plural('message') }} {{ 0 | plural('message') }} {{ 2 | plural('entry', 'entries') }}",
            ().into(),
        );
        assert_eq!(told.unwrap(), "1 message 0 messages 2 entries");
    }

    #[test]
    fn dotted_variables_become_maps_and_flags_become_true_or_false() {
        let vars = [("contact.first", "Ann"), ("contact.last", "Lee"), ("firm", "Acme"), ("agreed", "false")];
        let vars = vars.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        assert_eq!(
            tree(&vars),
            serde_json::json!({ "contact": { "first": "Ann", "last": "Lee" }, "firm": "Acme", "agreed": false })
        );
    }
}
