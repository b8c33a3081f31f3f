//! What a line says when its template cannot: nothing that has to be told may get lost with a file.
use super::{DEFAULT_LANGUAGE, LONGEST_TEXT, files, markup};
use crate::domain::effect::{Code, Reply};
use serde_json::{Value, json};

/// MessageML without its root element. A client's words stand as in INTERFACES §5; of anything else, what kind of line it was to
/// be: the code and the reason, which programs find in the data beside it.
pub(super) fn words(reply: &Reply) -> String {
    clients_words(reply).unwrap_or_else(|| kind_of_line(reply))
}

fn clients_words(reply: &Reply) -> Option<String> {
    let told = |name: &str| reply.vars.get(name).and_then(Value::as_str);
    let (name, channel, text) = (told("name")?, told("channel")?, told("text")?);
    let text: String = text.chars().take(LONGEST_TEXT).collect();
    let line = || format!("<b>{}</b> · {}<br/>{}", markup::text(name), markup::text(channel), markup::text(&text));
    (reply.code == Code::ClientMessage).then(line)
}

fn kind_of_line(reply: &Reply) -> String {
    let code = json!(reply.code);
    let kind = [code.as_str(), reply.reason.as_deref()].into_iter().flatten().collect::<Vec<_>>().join(", ");
    let file = files::Name::new(files::CHAT, &reply.template, DEFAULT_LANGUAGE).file();
    format!(
        "Something is to be told here that Liaison cannot put into words ({}): the file {} is missing or broken.<br/>\
         Please tell whoever runs Liaison; <code>liaison check</code> says what to do.",
        markup::text(&kind),
        markup::text(&file)
    )
}
