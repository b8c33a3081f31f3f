//! Messages: written by programs in MessageML and by people in plain words, read back, edited, taken away, and forms pressed.
use serde_json::{Map, Value};

use super::markup::{self, Accepted, Mentioned};
use super::state::{Attachment, Message, Refused, State, Stream};
use super::xml::{self, Element};

/// What a program's message is signed with, and a person's.
const AGENT: &str = "Agent-25.10.1-Linux-sandbox";
const DESKTOP: &str = "DESKTOP-25.10.0-sandbox-web";
/// All attachments of one message, from the platform.
const MAX_ATTACHED_BYTES: usize = 30 * 1024 * 1024;

/// The parts of a create or update call.
#[derive(Default)]
pub struct Draft {
    pub message: String,
    pub data: String,
    pub silent: bool,
    /// File name and content in Base64, with its size before encoding.
    pub attachments: Vec<(String, String, usize)>,
}

impl State {
    /// Posts a program's MessageML.
    pub fn post(&mut self, user: u64, stream: &str, draft: Draft) -> Result<Message, Refused> {
        self.writable(stream, user)?;
        let accepted = self.accept(user, &draft)?;
        let message = self.new_message(user, stream, accepted, AGENT);
        let message = self.with_attachments(message, draft)?;
        Ok(self.publish(message))
    }

    /// Replaces the newest version of the caller's own message.
    pub fn edit(&mut self, user: u64, stream: &str, id: &str, draft: Draft) -> Result<Message, Refused> {
        self.writable(stream, user)?;
        let mut old = self.newest_version(id, stream)?.clone();
        if old.from != user {
            return Err(Refused::forbidden("Only the author may update a message"));
        }
        if old.suppressed.is_some() {
            return Err(Refused::bad("A suppressed message cannot be updated"));
        }
        let accepted = self.accept(user, &draft)?;
        let mut message = self.new_message(user, stream, accepted, AGENT);
        message.replacing = Some(old.id.clone());
        message.initial = Some(old.initial.clone().unwrap_or((old.id.clone(), old.at)));
        message.silent = draft.silent;
        let message = self.with_attachments(message, draft)?;
        old.replaced_by = Some(message.id.clone());
        self.put_message(old);
        Ok(self.publish(message))
    }

    /// Posts what a person typed: names after "@" become mentions, line ends become breaks.
    pub fn post_text(&mut self, user: u64, stream: &str, text: &str) -> Result<Message, Refused> {
        self.writable(stream, user)?;
        if text.trim().is_empty() {
            return Err(Refused::bad("The message is empty"));
        }
        let accepted = self.typed(text);
        let message = self.new_message(user, stream, accepted, DESKTOP);
        Ok(self.publish(message))
    }

    /// The same with files: their names, and the bytes in Base64 with their size before.
    pub fn post_files(
        &mut self,
        user: u64,
        stream: &str,
        text: &str,
        files: Vec<(String, String, usize)>,
    ) -> Result<Message, Refused> {
        self.writable(stream, user)?;
        let accepted = self.typed(text);
        let message = self.new_message(user, stream, accepted, DESKTOP);
        let message = self.with_attachments(message, Draft { attachments: files, ..Draft::default() })?;
        Ok(self.publish(message))
    }

    fn writable(&self, stream: &str, user: u64) -> Result<(), Refused> {
        let stream = self.stream_of(stream, user)?;
        if !stream.active {
            return Err(Refused::forbidden("The room is deactivated"));
        }
        if stream.room.read_only && !stream.owned_by(user) {
            return Err(Refused::forbidden("Only owners may write in a read-only room"));
        }
        Ok(())
    }

    fn accept(&self, user: u64, draft: &Draft) -> Result<Accepted, Refused> {
        let find = |uid: Option<u64>, email: Option<&str>| {
            let found = match uid {
                Some(id) => self.users.get(&id),
                None => email.and_then(|email| self.user_by_email(email)),
            };
            found.map(|user| Mentioned { id: user.id, name: user.display_name() })
        };
        markup::accept(&draft.message, &draft.data, self.is_service(user), &find).map_err(Refused::bad)
    }

    fn new_message(&mut self, user: u64, stream: &str, accepted: Accepted, user_agent: &str) -> Message {
        let at = self.tick();
        Message {
            id: self.new_id(at),
            stream: stream.to_string(),
            at,
            from: user,
            presentation: accepted.presentation,
            data: accepted.data,
            attachments: Vec::new(),
            replacing: None,
            initial: None,
            replaced_by: None,
            suppressed: None,
            silent: false,
            submitted: Vec::new(),
            user_agent: user_agent.to_string(),
        }
    }

    fn with_attachments(&mut self, mut message: Message, draft: Draft) -> Result<Message, Refused> {
        if draft.attachments.iter().map(|(_, _, size)| size).sum::<usize>() > MAX_ATTACHED_BYTES {
            return Err(Refused::bad("The attachments are larger than 30 MB"));
        }
        for (name, base64, size) in draft.attachments {
            let id = format!("internal_{}", self.new_id(message.at));
            message.attachments.push(Attachment { id, name, size, base64 });
        }
        Ok(message)
    }

    fn publish(&mut self, message: Message) -> Message {
        self.put_message(message.clone());
        if let Some(mut stream) = self.streams.get(&message.stream).cloned() {
            stream.last_message = message.at;
            self.put_stream(stream);
        }
        self.emit_message(&message);
        message
    }

    fn newest_version(&self, id: &str, stream: &str) -> Result<&Message, Refused> {
        let found = self.message(id).filter(|message| message.stream == stream);
        let mut message = found.ok_or_else(|| Refused::bad(format!("Message {id} does not exist")))?;
        while let Some(next) = message.replaced_by.as_deref().and_then(|id| self.message(id)) {
            message = next;
        }
        Ok(message)
    }

    /// A message that the user may see; `None` if there is none.
    pub fn visible_message(&self, user: u64, id: &str) -> Result<Option<&Message>, Refused> {
        let Some(message) = self.message(id) else { return Ok(None) };
        let stream = self.stream_of(&message.stream, user)?;
        Ok(Some(message).filter(|message| message.suppressed.is_none() && sees_from(stream, user) <= message.first_at()))
    }

    /// The current versions in a stream that the user may see, oldest first.
    pub fn history(&self, user: u64, stream: &str) -> Result<Vec<&Message>, Refused> {
        let stream = self.stream_of(stream, user)?;
        let since = sees_from(stream, user);
        Ok(self.conversation(&stream.id).into_iter().filter(|message| message.first_at() >= since).collect())
    }

    /// All that stands in a stream, oldest first, whoever may see it.
    pub fn conversation(&self, stream: &str) -> Vec<&Message> {
        let mut all: Vec<&Message> =
            self.messages.values().filter(|message| message.stream == stream && message.is_current()).collect();
        all.sort_by_key(|message| message.first_at());
        all
    }

    /// Takes a message of the caller's away; the time of it.
    pub fn suppress(&mut self, user: u64, id: &str) -> Result<i64, Refused> {
        let mut message = self.message(id).cloned().ok_or_else(|| Refused::bad(format!("Message {id} does not exist")))?;
        if message.from != user {
            return Err(Refused::forbidden("Only the author may suppress a message"));
        }
        if message.suppressed.is_some() {
            return Ok(0);
        }
        let at = self.tick();
        message.suppressed = Some(at);
        self.put_message(message.clone());
        self.emit_suppressed(&message, user);
        Ok(at)
    }

    /// A person presses a button of a form.
    pub fn submit_form(
        &mut self,
        user: u64,
        stream: &str,
        id: &str,
        form: &str,
        values: Map<String, Value>,
    ) -> Result<(), Refused> {
        self.stream_of(stream, user)?;
        let mut message = self.newest_version(id, stream)?.clone();
        let element = markup::form(&message.presentation, form);
        let element = element.ok_or_else(|| Refused::bad(format!("The message has no form \"{form}\"")))?;
        check_values(&element, &values)?;
        if element.attribute("multi-submit").is_none() {
            message.submitted.push((user, form.to_string()));
            self.put_message(message.clone());
        }
        self.emit_form(&message, user, form, values);
        Ok(())
    }

    // --- what people type ---

    fn typed(&self, text: &str) -> Accepted {
        let mut data = Map::new();
        let mut body = String::new();
        for (index, line) in text.replace('\r', "").split('\n').enumerate() {
            if index > 0 {
                body.push_str("<br/>");
            }
            self.add_typed_line(line, &mut body, &mut data);
        }
        let opening = "<div data-format=\"PresentationML\" data-version=\"2.0\" class=\"wysiwyg\">";
        Accepted { presentation: format!("{opening}<p>{body}</p></div>"), data }
    }

    fn add_typed_line(&self, line: &str, body: &mut String, data: &mut Map<String, Value>) {
        let line: String = line.chars().filter(|c| *c >= ' ' || *c == '\t').collect();
        let mut rest = line.as_str();
        while let Some(at) = rest.find('@') {
            body.push_str(&xml::escape(&rest[..at]));
            let after = &rest[at + 1..];
            // An "@" inside of a word belongs to an address, not to a mention.
            let begins = rest[..at].chars().next_back().is_none_or(|c| !c.is_alphanumeric());
            match self.named_at(after).filter(|_| begins) {
                Some((mentioned, length)) => {
                    let id = data.len().to_string();
                    xml::write(&markup::span(&id, &format!("@{}", mentioned.name)), body);
                    data.insert(id, markup::mention_entity(mentioned.id));
                    rest = &after[length..];
                }
                None => {
                    body.push('@');
                    rest = after;
                }
            }
        }
        body.push_str(&xml::escape(rest));
    }

    /// The user whose full name or address the text begins with, the longest one, and its length in bytes.
    fn named_at(&self, text: &str) -> Option<(Mentioned, usize)> {
        let named = self.users.values().flat_map(|user| [(user, user.display_name()), (user, user.email.clone())]);
        let fits = named.filter(|(_, name)| !name.is_empty() && begins_with_word(text, name));
        let (user, name) = fits.max_by_key(|(_, name)| name.len())?;
        Some((Mentioned { id: user.id, name: user.display_name() }, name.len()))
    }
}

fn begins_with_word(text: &str, word: &str) -> bool {
    let Some(head) = text.get(..word.len()) else { return false };
    let next = text[word.len()..].chars().next();
    head.eq_ignore_ascii_case(word) && next.is_none_or(|c| !c.is_alphanumeric())
}

/// From when on a member sees the history.
fn sees_from(stream: &Stream, user: u64) -> i64 {
    let joined = stream.member(user).map_or(0, |member| member.joined);
    if stream.room.view_history || stream.created == joined { 0 } else { joined }
}

/// The client's own checks: an existing button, and no empty required field unless the button waives it.
fn check_values(form: &Element, values: &Map<String, Value>) -> Result<(), Refused> {
    let action = values.get("action").and_then(Value::as_str).unwrap_or_default();
    let (mut button, mut missing) = (None, None);
    form.walk(&mut |element| {
        let name = element.attribute("name").unwrap_or_default();
        let submits = element.name == "button" || element.attribute("auto-submit") == Some("true");
        if submits && name == action {
            button = Some(element);
        }
        let empty = values.get(name).is_none_or(|value| value == "" || value.as_array().is_some_and(Vec::is_empty));
        if element.attribute("required") == Some("true") && empty {
            missing = Some(name.to_string());
        }
    });
    let button = button.ok_or_else(|| Refused::bad(format!("The form has no button \"{action}\"")))?;
    match missing {
        Some(name) if button.attribute("formnovalidate") != Some("true") => Err(Refused::bad(format!("\"{name}\" is required"))),
        Some(_) | None => Ok(()),
    }
}
