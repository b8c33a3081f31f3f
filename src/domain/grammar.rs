//! Turns a chat text with its mentions into a command line: COMMANDS §1, without knowing any command.
use crate::domain::event::Mention;
use crate::domain::ids::UserId;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// E.164 has at most 15 digits; groups that would pass it belong to something else.
const MOST_PHONE_DIGITS: usize = 15;
/// Fewer digits than this in a row of bare groups are numbers of another kind.
const FEWEST_PHONE_DIGITS: usize = 7;
/// How much of the text after an open quotation mark is shown back, in characters.
const SHOWN_AFTER_QUOTE: usize = 20;

/// A text that is meant for the bot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    pub words: Vec<Word>,
    /// From the slash (or, without one, from what follows the bot's mention) to the end, as typed.
    pub raw: String,
    /// Whether it began with a slash; without one no command is ever found in it.
    pub slashed: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Word {
    /// Without quotation marks, key or dashes; a mention as it was shown.
    pub text: String,
    pub kind: Kind,
    /// Bytes in the line's `raw`.
    pub at: usize,
    pub end: usize,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    Plain,
    Quoted,
    /// The key is in small letters.
    KeyValue {
        key: String,
        value: Value,
    },
    /// The word's text is the flag's name in small letters.
    Flag,
    Mention(UserId),
    /// `@jane.doe@acme.com`, without the first "@", in small letters.
    MentionByEmail(String),
}

/// What stands behind `key=`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Value {
    /// The whole value, without the quotation marks of its parts.
    pub text: String,
    /// The same, cut at the commas that stand outside of quotation marks; mentions as they were shown.
    pub parts: Vec<String>,
    /// The colleagues named among the parts. Fewer than parts means that some part names nobody.
    pub who: Vec<Who>,
    pub quoted: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Who {
    User(UserId),
    Email(String),
}

/// What to make of a text in chat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    Command(Line),
    NotForUs,
    /// "//text" goes to the client as "/text".
    Escaped(String),
    /// A quotation mark was opened and never closed.
    Unfinished {
        quote: char,
        /// Byte offset of the mark in the text.
        at: usize,
        /// The beginning of what follows the mark.
        after: String,
    },
}

/// `bot` is the bot's own user id; `direct` is a 1:1 chat with the bot. Both kinds of chat are heard alike: a text is for
/// the bot when it begins with a slash or mentions the bot, so that what looks like a command never reaches a client.
pub fn hear(text: &str, mentions: &[Mention], bot: UserId, direct: bool) -> Heard {
    let spans = spans_of(text, mentions);
    let start = after_blanks(text, 0);
    let slashed_text = text[start..].starts_with('/');
    if text[start..].starts_with("//") {
        return Heard::Escaped(text[start + 1..].to_owned());
    }
    if slashed_text {
        return command_from(text, start, &spans);
    }
    let Some(called) = spans.iter().find(|span| span.user == bot) else {
        let mentioned = !direct && mentions.iter().any(|mention| mention.user == bot);
        return if mentioned { command_from(text, text.len(), &spans) } else { Heard::NotForUs };
    };
    let gap = text[called.end..].find(|c: char| !is_blank(c) && !matches!(c, ',' | ':')).unwrap_or(text.len() - called.end);
    command_from(text, called.end + gap, &spans)
}

fn command_from(text: &str, start: usize, spans: &[Span]) -> Heard {
    let raw = &text[start..];
    let slashed = raw.starts_with('/');
    let spans = spans.iter().filter(|span| span.at >= start).map(|span| span.moved_back(start)).collect();
    let mut scan = Scan { text: raw, at: usize::from(slashed), spans };
    match scan.words() {
        Ok(words) => Heard::Command(Line { words, raw: raw.trim_end().to_owned(), slashed }),
        Err(Open { quote, at }) => {
            let after = raw[at + quote.len_utf8()..].chars().take(SHOWN_AFTER_QUOTE).collect();
            Heard::Unfinished { quote, at: start + at, after }
        }
    }
}

impl Line {
    /// The longest of `paths` ("contact add", "help") that the line begins with, and what follows it.
    pub fn split_path<'a>(&self, paths: &[&'a str]) -> Option<(&'a str, Args)> {
        let path = paths.iter().filter(|path| self.begins_with(path)).max_by_key(|path| path.split(' ').count())?;
        Some((path, self.args_after(path.split(' ').count())))
    }

    /// The first words as typed, small, at most `most`: what a mistyped path is compared by.
    pub fn typed_path(&self, most: usize) -> String {
        let plain = self.words.iter().take_while(|word| word.kind == Kind::Plain).take(most);
        plain.map(|word| word.text.to_lowercase()).collect::<Vec<_>>().join(" ")
    }

    /// What follows the first `skipped` words.
    pub fn args_after(&self, skipped: usize) -> Args {
        let from = skipped.checked_sub(1).and_then(|last| self.words.get(last)).map_or(0, |word| word.end);
        let mut args = Args { rest: self.raw.get(from..).unwrap_or_default().trim().to_owned(), ..Args::default() };
        for word in self.words.iter().skip(skipped) {
            match &word.kind {
                Kind::Plain | Kind::Quoted | Kind::Mention(_) | Kind::MentionByEmail(_) => args.positional.push(word.clone()),
                Kind::KeyValue { key, value } => args.keys.entry(key.clone()).or_default().push(value.clone()),
                Kind::Flag => {
                    args.flags.insert(word.text.clone());
                }
            }
        }
        args
    }

    fn begins_with(&self, path: &str) -> bool {
        let mut words = self.words.iter();
        let fits = |word: &Word, part: &str| word.kind == Kind::Plain && word.text.to_lowercase() == part.to_lowercase();
        self.slashed && path.split(' ').all(|part| words.next().is_some_and(|word| fits(word, part)))
    }
}

impl Word {
    /// The colleague that the word names.
    pub fn who(&self) -> Option<Who> {
        match &self.kind {
            Kind::Mention(user) => Some(Who::User(*user)),
            Kind::MentionByEmail(email) => Some(Who::Email(email.clone())),
            Kind::Plain | Kind::Quoted | Kind::KeyValue { .. } | Kind::Flag => None,
        }
    }

    /// `@jane`: whether somebody is meant by it only the platform could tell.
    pub fn is_like_a_mention(&self) -> bool {
        self.text.strip_prefix('@').is_some_and(|name| !name.is_empty())
    }
}

/// What a command was given.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Args {
    /// In order; plain, quoted and mentions.
    pub positional: Vec<Word>,
    /// Each key with its values in order: more than one means that the key was given twice.
    pub keys: BTreeMap<String, Vec<Value>>,
    pub flags: BTreeSet<String>,
    /// Everything after the path, as typed: for commands that take a text as it is (`/note`).
    pub rest: String,
}

impl Args {
    /// Values with spaces stand in quotes; a last single argument may do without: behind position `from` and the mentions there
    /// the plain words become one, up to whatever is no plain word, be it a key or a flag. `raw` is the line's.
    pub fn rest_as_one(&mut self, from: usize, raw: &str) {
        let mentions = self.positional.iter().skip(from).take_while(|word| word.who().is_some()).count();
        let from = from + mentions;
        let run = self.run_of_plain_words(from, raw);
        if run < 2 {
            return;
        }
        let words: Vec<Word> = self.positional.drain(from..from + run).collect();
        let text = words.iter().map(|word| word.text.as_str()).collect::<Vec<_>>().join(" ");
        self.positional.insert(from, Word { text, kind: Kind::Plain, at: words[0].at, end: words[run - 1].end });
    }

    /// How many stand side by side from here on. What is typed like a mention is meant as one, and part of nothing.
    fn run_of_plain_words(&self, from: usize, raw: &str) -> usize {
        let rest = self.positional.get(from..).unwrap_or_default();
        let plain = rest.iter().take_while(|word| word.kind == Kind::Plain && !word.is_like_a_mention()).count();
        let side_by_side = |pair: &&[Word]| raw.get(pair[0].end..pair[1].at).is_some_and(|gap| gap.chars().all(is_blank));
        if plain == 0 { 0 } else { 1 + rest[..plain].windows(2).take_while(side_by_side).count() }
    }

    /// The last value given for the key.
    pub fn value(&self, key: &str) -> Option<&Value> {
        self.keys.get(key)?.last()
    }

    pub fn text(&self, key: &str) -> Option<&str> {
        self.value(key).map(|value| value.text.as_str())
    }

    pub fn flag(&self, name: &str) -> bool {
        self.flags.contains(name)
    }

    /// The colleagues named outside of keys, in order.
    pub fn people(&self) -> Vec<Who> {
        self.positional.iter().filter_map(Word::who).collect()
    }

    /// The positional words that name no colleague, in order.
    pub fn texts(&self) -> Vec<&str> {
        self.positional.iter().filter(|word| word.who().is_none()).map(|word| word.text.as_str()).collect()
    }
}

/// Where a mention stands in the text, in bytes.
#[derive(Clone, Copy)]
struct Span {
    at: usize,
    end: usize,
    user: UserId,
}

impl Span {
    fn moved_back(&self, by: usize) -> Span {
        Span { at: self.at - by, end: self.end - by, user: self.user }
    }
}

/// A mention whose offset is off is looked for behind the one before; one that is not in the text at all stands nowhere.
fn spans_of(text: &str, mentions: &[Mention]) -> Vec<Span> {
    let mut spans: Vec<Span> = Vec::new();
    for mention in mentions.iter().filter(|mention| !mention.shown.is_empty()) {
        let least = spans.last().map_or(0, |span| span.end);
        let exact = mention.at >= least && text.get(mention.at..).is_some_and(|rest| rest.starts_with(&mention.shown));
        let found = if exact { Some(mention.at) } else { text[least..].find(&mention.shown).map(|at| least + at) };
        if let Some(at) = found {
            spans.push(Span { at, end: at + mention.shown.len(), user: mention.user });
        }
    }
    spans
}

/// The mark that was never closed.
struct Open {
    quote: char,
    at: usize,
}

/// One piece of a value: a mention, a quoted text or a bare one.
struct Piece {
    text: String,
    who: Option<Who>,
    quoted: bool,
}

struct Scan<'a> {
    text: &'a str,
    at: usize,
    spans: Vec<Span>,
}

impl Scan<'_> {
    fn words(&mut self) -> Result<Vec<Word>, Open> {
        let mut words = Vec::new();
        self.skip_blanks();
        while self.at < self.text.len() {
            let at = self.at;
            let (text, kind) = self.word()?;
            words.push(Word { text, kind, at, end: self.at });
            self.skip_blanks();
        }
        Ok(words)
    }

    fn word(&mut self) -> Result<(String, Kind), Open> {
        if let Some(span) = self.mention_here() {
            let shown = self.text[span.at..span.end].to_owned();
            self.at = span.end;
            self.skip_commas();
            return Ok((shown, Kind::Mention(span.user)));
        }
        if let Some(text) = self.quoted()? {
            self.skip_commas();
            return Ok((text, Kind::Quoted));
        }
        let dashes = self.dashes_here();
        if let Some(key) = self.key_here(dashes) {
            self.at += dashes + key.len() + 1;
            let key = key.to_lowercase();
            let value = if key == "phone" { self.phone_value()? } else { self.value()? };
            return Ok((value.text.clone(), Kind::KeyValue { key, value }));
        }
        if dashes > 0 {
            self.at += dashes;
            return Ok((self.bare(|_| false).to_lowercase(), Kind::Flag));
        }
        Ok(self.plain())
    }

    fn plain(&mut self) -> (String, Kind) {
        let text = self.bare(|_| false);
        if let Some(email) = typed_mention(&text) {
            return (text, Kind::MentionByEmail(email));
        }
        if !is_phone_group(&text) {
            return (text, Kind::Plain);
        }
        let (end, whole) = self.phone_groups(&text);
        // "10 20" is no phone number, and a whole national number stands alone.
        let starts_one = text.starts_with(['+', '(', '0']) || digits(&text) < FEWEST_PHONE_DIGITS;
        if !starts_one || digits(&whole) < FEWEST_PHONE_DIGITS {
            return (text, Kind::Plain);
        }
        self.at = end;
        (whole, Kind::Plain)
    }

    /// A value goes on behind a comma, also when a blank follows it, until the next key or flag.
    fn value(&mut self) -> Result<Value, Open> {
        let mut value = Value::default();
        loop {
            let piece = self.piece()?;
            value.text.push_str(&piece.text);
            value.quoted |= piece.quoted;
            value.who.extend(piece.who);
            if !piece.text.is_empty() || piece.quoted {
                value.parts.push(piece.text);
            }
            let gap = self.at;
            if !self.text[self.at..].starts_with(',') {
                return Ok(value);
            }
            self.skip_commas();
            let comma_ends = self.at;
            self.skip_blanks();
            if self.at == self.text.len() || self.dashes_here() > 0 || self.key_here(0).is_some() {
                self.at = comma_ends;
                return Ok(value);
            }
            value.text.push_str(&self.text[gap..self.at]);
        }
    }

    /// Numbers are pasted with spaces: the digit groups that follow belong to them.
    fn phone_value(&mut self) -> Result<Value, Open> {
        let before = self.at;
        if self.quote_here().is_some() {
            return self.value();
        }
        let first = self.bare(|c| c == ',');
        let begins_none = !first.is_empty() && digits(&first) == 0 && !first.eq_ignore_ascii_case("tel:") && first != "+";
        let (end, whole) = self.phone_groups(&first);
        if begins_none || digits(&whole) == 0 {
            self.at = before;
            return self.value();
        }
        self.at = end;
        self.skip_commas();
        Ok(Value { text: whole.clone(), parts: vec![whole], who: Vec::new(), quoted: false })
    }

    /// The end and the text of the number that begins with `first` (just read) and goes on in the groups that follow.
    fn phone_groups(&self, first: &str) -> (usize, String) {
        let (mut end, mut whole) = (self.at, first.to_owned());
        let mut ahead = Scan { text: self.text, at: self.at, spans: self.spans.clone() };
        let mut seen = first.to_owned();
        loop {
            ahead.skip_blanks();
            let group = ahead.bare(|c| c == ',');
            let goes_on = !group.is_empty() && group.chars().all(is_phone_char);
            let starts_anew = group.contains(['+', '＋']) && digits(&seen) > 0;
            if !goes_on || starts_anew || digits(&seen) + digits(&group) > MOST_PHONE_DIGITS {
                return (end, whole);
            }
            if !seen.is_empty() {
                seen.push(' ');
            }
            seen.push_str(&group);
            if digits(&group) > 0 {
                (end, whole) = (ahead.at, seen.clone());
            }
        }
    }

    fn piece(&mut self) -> Result<Piece, Open> {
        if let Some(span) = self.mention_here() {
            self.at = span.end;
            let text = self.text[span.at..span.end].to_owned();
            return Ok(Piece { text, who: Some(Who::User(span.user)), quoted: false });
        }
        if let Some(text) = self.quoted()? {
            return Ok(Piece { text, who: None, quoted: true });
        }
        let text = self.bare(|c| c == ',');
        let who = typed_mention(&text).map(Who::Email);
        Ok(Piece { text, who, quoted: false })
    }

    /// Up to the next blank or mention, without characters that cannot be seen.
    fn bare(&mut self, stops: impl Fn(char) -> bool) -> String {
        let mut text = String::new();
        while let Some(c) = self.peek() {
            let mentioned = !text.is_empty() && self.mention_here().is_some();
            if is_blank(c) && !is_unseen(c) || mentioned || stops(c) {
                break;
            }
            self.at += c.len_utf8();
            if !is_unseen(c) {
                text.push(c);
            }
        }
        text
    }

    /// The quoted text that begins here; `None` where no quotation begins.
    fn quoted(&mut self) -> Result<Option<String>, Open> {
        let Some(quote) = self.quote_here() else { return Ok(None) };
        let inside = self.at + quote.len_utf8();
        let found = if is_single_quote(quote) { self.single_end(inside) } else { self.double_end(inside) };
        let Some((end, closer)) = found else {
            return if is_single_quote(quote) { Ok(None) } else { Err(Open { quote, at: self.at }) };
        };
        self.at = end + closer.len_utf8();
        let seen = |c: &char| !is_unseen(*c);
        let text: String = self.text[inside..end].chars().filter(seen).map(|c| if c == '\u{a0}' { ' ' } else { c }).collect();
        Ok(Some(text.trim().to_owned()))
    }

    /// Any double mark closes; one that opens a quotation within the quotation does not: `"the “big” one"`.
    fn double_end(&self, inside: usize) -> Option<(usize, char)> {
        let mut depth = 0_usize;
        let mut before = None;
        for (offset, c) in self.text[inside..].char_indices() {
            let at = inside + offset;
            if is_double_quote(c) {
                let next = self.text[at + c.len_utf8()..].chars().next();
                let opens = before.is_some_and(char::is_whitespace) && next.is_some_and(|n| !n.is_whitespace());
                if opens && matches!(c, '“' | '„' | '«' | '»' | '「' | '『') {
                    depth += 1;
                } else if depth == 0 {
                    return Some((at, c));
                } else {
                    depth -= 1;
                }
            }
            before = Some(c);
        }
        None
    }

    /// A single mark closes at the end of a word only, since it is an apostrophe elsewhere: `'Ann O'Hara'`.
    fn single_end(&self, inside: usize) -> Option<(usize, char)> {
        self.text[inside..].char_indices().map(|(offset, c)| (inside + offset, c)).find(|(at, c)| {
            let next = self.text[at + c.len_utf8()..].chars().next();
            is_single_quote(*c) && next.is_none_or(|n| is_blank(n) || n == ',')
        })
    }

    fn quote_here(&self) -> Option<char> {
        self.peek().filter(|c| is_double_quote(*c) || is_single_quote(*c))
    }

    /// Bytes of the dashes of a flag: two hyphens, or the one long dash that phones make of them.
    fn dashes_here(&self) -> usize {
        let rest = &self.text[self.at..];
        let length = rest.find(|c: char| !is_dash(c)).unwrap_or(rest.len());
        let enough = rest[..length].chars().count() >= 2 || rest.starts_with(['–', '—', '―', '−']);
        if enough && rest[length..].starts_with(char::is_alphabetic) { length } else { 0 }
    }

    /// The key of a `key=` that stands `skipped` bytes further, as typed.
    fn key_here(&self, skipped: usize) -> Option<String> {
        let rest = &self.text[self.at + skipped..];
        let length = rest.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '-'))?;
        let is_key = length > 0 && rest[length..].starts_with('=') && !rest.starts_with('-');
        is_key.then(|| rest[..length].to_owned())
    }

    fn mention_here(&self) -> Option<Span> {
        self.spans.iter().find(|span| span.at == self.at).copied()
    }

    fn peek(&self) -> Option<char> {
        self.text[self.at..].chars().next()
    }

    fn skip_blanks(&mut self) {
        self.at = after_blanks(self.text, self.at);
    }

    fn skip_commas(&mut self) {
        while self.text[self.at..].starts_with([',', ';']) {
            self.at += 1;
        }
    }
}

fn after_blanks(text: &str, from: usize) -> usize {
    text[from..].find(|c| !is_blank(c)).map_or(text.len(), |at| from + at)
}

/// No-break spaces and line breaks part words as spaces do; so that a slash behind an unseen mark is still a slash,
/// such marks are skipped with them.
fn is_blank(c: char) -> bool {
    c.is_whitespace() || is_unseen(c)
}

/// Zero-width spaces, direction marks, byte order marks: pasted, not typed. (The joiner U+200D holds emoji together.)
fn is_unseen(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

fn is_double_quote(c: char) -> bool {
    matches!(c, '"' | '“' | '”' | '„' | '‟' | '«' | '»' | '″' | '＂' | '〝' | '〞' | '〟' | '「' | '」' | '『' | '』')
}

fn is_single_quote(c: char) -> bool {
    matches!(c, '\'' | '‘' | '’' | '‚' | '‛' | '‹' | '›')
}

fn is_dash(c: char) -> bool {
    matches!(c, '-' | '‐' | '‑' | '–' | '—' | '―' | '−')
}

fn is_phone_char(c: char) -> bool {
    c.is_numeric() || is_dash(c) || matches!(c, '+' | '＋' | '(' | ')' | '.' | '/' | '·')
}

fn is_phone_group(text: &str) -> bool {
    digits(text) > 0 && text.chars().all(is_phone_char)
}

fn digits(text: &str) -> usize {
    text.chars().filter(|c| c.is_numeric()).count()
}

/// `@jane.doe@acme.com` where a client cannot mention.
fn typed_mention(text: &str) -> Option<String> {
    let email = text.strip_prefix('@')?.trim_end_matches([',', ';', '.', ':']);
    let (local, domain) = email.split_once('@')?;
    let sane = !local.is_empty() && !domain.contains('@') && domain.contains('.') && !domain.starts_with('.');
    sane.then(|| email.to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const BOT: UserId = UserId(1);

    /// Each `@[Name]` of the pattern becomes a mention of the user whose number is the name's place in this list.
    fn chat(pattern: &str) -> (String, Vec<Mention>) {
        let people = ["Liaison", "Jane Doe", "Bob Ray"];
        let (mut text, mut mentions) = (String::new(), Vec::new());
        let mut parts = pattern.split("@[");
        text.push_str(parts.next().unwrap());
        for part in parts {
            let (name, rest) = part.split_once(']').unwrap();
            let user = UserId(1 + people.iter().position(|known| *known == name).unwrap() as u64);
            mentions.push(Mention { user, shown: format!("@{name}"), at: text.len() });
            text.push_str(&format!("@{name}{rest}"));
        }
        (text, mentions)
    }

    fn heard(pattern: &str, direct: bool) -> Heard {
        let (text, mentions) = chat(pattern);
        hear(&text, &mentions, BOT, direct)
    }

    fn line(pattern: &str) -> Line {
        match heard(pattern, false) {
            Heard::Command(line) => line,
            other => panic!("{pattern}: {other:?}"),
        }
    }

    fn args(pattern: &str) -> Args {
        line(pattern).split_path(&["contact", "contact add", "note", "help"]).expect("a known path").1
    }

    fn texts(pattern: &str) -> Vec<String> {
        line(pattern).words.into_iter().map(|word| word.text).collect()
    }

    #[test]
    fn a_text_is_for_us_when_it_begins_with_a_slash_or_mentions_the_bot() {
        let rows: [(&str, Option<&str>); 20] = [
            ("/help", Some("help")),
            ("  /help", Some("help")),
            ("\u{a0}/help", Some("help")),
            ("\u{200b}/help", Some("help")),
            ("\u{feff}\u{200e}/help", Some("help")),
            ("\n/help\n", Some("help")),
            ("/ help", Some("help")),
            ("@[Liaison] /help", Some("help")),
            ("@[Liaison]/help", Some("help")),
            ("@[Liaison]\u{a0}/help", Some("help")),
            ("@[Liaison], /help", Some("help")),
            ("hello @[Liaison] /help", Some("help")),
            ("@[Liaison]", Some("")),
            ("@[Liaison] hello", Some("hello")),
            ("thanks @[Liaison]", Some("")),
            ("/", Some("")),
            ("Good morning Ann", None),
            ("@[Jane Doe] /help", None),
            ("half / half", None),
            ("", None),
        ];
        for (pattern, expected) in rows {
            for direct in [false, true] {
                let words = match heard(pattern, direct) {
                    Heard::Command(line) => Some(line.words.iter().map(|w| w.text.clone()).collect::<Vec<_>>().join(" ")),
                    Heard::NotForUs => None,
                    other => panic!("{pattern:?}: {other:?}"),
                };
                assert_eq!(words.as_deref(), expected, "{pattern:?}, direct {direct}");
            }
        }
    }

    #[test]
    fn two_slashes_send_the_text_with_one() {
        assert_eq!(heard("//text as written", false), Heard::Escaped("/text as written".into()));
        assert_eq!(heard(" //", false), Heard::Escaped("/".into()));
        assert_eq!(texts("@[Liaison] //text"), ["/text"]);
    }

    #[test]
    fn a_bot_mentioned_in_the_data_but_not_in_the_text_is_still_called() {
        let mentions = [Mention { user: BOT, shown: "@Other".into(), at: 900 }];
        let Heard::Command(line) = hear("hello", &mentions, BOT, false) else { panic!("not heard") };
        assert!(line.words.is_empty() && !line.slashed);
    }

    #[test]
    fn without_a_slash_no_command_is_found() {
        assert!(line("@[Liaison] help").split_path(&["help"]).is_none());
        assert!(line("@[Liaison] /help").split_path(&["help"]).is_some());
    }

    #[test]
    fn quotes_of_any_style_hold_words_together() {
        for quoted in ["\"Ann Lee\"", "“Ann Lee”", "„Ann Lee“", "”Ann Lee”", "«Ann Lee»", "« Ann Lee »", "»Ann Lee«", "'Ann Lee'"]
        {
            assert_eq!(texts(&format!("/room create {quoted} x")), ["room", "create", "Ann Lee", "x"], "{quoted}");
            assert_eq!(args(&format!("/contact add company={quoted} x")).text("company"), Some("Ann Lee"), "{quoted}");
        }
        for mixed in ["\"Ann Lee”", "“Ann Lee\"", "‘Ann Lee'", "\"Ann\u{a0}Lee\""] {
            assert_eq!(args(&format!("/contact add company={mixed} first=“A B”")).text("company"), Some("Ann Lee"), "{mixed}");
        }
        assert_eq!(texts("/room rename \"the “big” one\""), ["room", "rename", "the “big” one"]);
        assert_eq!(texts("/room rename \"Ann's\" O'Hara d’Or 5\""), ["room", "rename", "Ann's", "O'Hara", "d’Or", "5\""]);
        assert_eq!(args("/contact add company=\"\"").text("company"), Some(""));
    }

    #[test]
    fn an_open_quote_is_told_with_its_place() {
        let Heard::Unfinished { quote, at, after } = heard("@[Liaison] /contact add company=“Lee & Sons", false) else {
            panic!()
        };
        assert_eq!((quote, at, after.as_str()), ('“', 30, "Lee & Sons"));
        assert!(matches!(heard("/room create \"Ann", true), Heard::Unfinished { at: 13, .. }));
    }

    #[test]
    fn keys_are_small_and_values_may_be_lists() {
        let args =
            args("/contact add Ann Lee EMAIL=ann@lee.de permissions=chat,contact.create contacts=c-7F3K, \"Bo, Li\" lang=");
        assert_eq!(args.texts(), ["Ann", "Lee"]);
        assert_eq!(args.text("email"), Some("ann@lee.de"));
        assert_eq!(args.value("permissions").unwrap().parts, ["chat", "contact.create"]);
        assert_eq!(args.value("contacts").unwrap().parts, ["c-7F3K", "Bo, Li"]);
        assert_eq!(args.text("lang"), Some(""));
        assert!(args.value("lang").unwrap().parts.is_empty());
    }

    #[test]
    fn a_comma_at_the_end_of_a_value_is_no_part_of_it() {
        let args = args("/contact add first=Ann, last=Lee, company=Lee, Inc. --room");
        assert_eq!((args.text("first"), args.text("last"), args.text("company")), (Some("Ann"), Some("Lee"), Some("Lee, Inc.")));
        assert!(args.flag("room"));
    }

    #[test]
    fn a_key_given_twice_keeps_both_values() {
        assert_eq!(args("/contact add lang=de lang=en").keys["lang"].len(), 2);
    }

    #[test]
    fn an_equals_sign_elsewhere_makes_no_key() {
        assert_eq!(texts("/note https://x.y/?a=b =c 1+1=2"), ["note", "https://x.y/?a=b", "=c", "1+1=2"]);
        assert!(args("/note https://x.y/?a=b").keys.is_empty());
    }

    #[test]
    fn colleagues_are_named_by_mention_or_by_address() {
        let args = args(
            "/contact add @[Jane Doe], @[Bob Ray] @Ann.Roe@Acme.com for=@[Jane Doe] advisors=@[Bob Ray],@x@acme.com, @[Jane Doe]",
        );
        let (jane, bob) = (Who::User(UserId(2)), Who::User(UserId(3)));
        assert_eq!(args.people(), [jane.clone(), bob.clone(), Who::Email("ann.roe@acme.com".into())]);
        assert_eq!(args.value("for").unwrap().who, std::slice::from_ref(&jane));
        assert_eq!(args.value("advisors").unwrap().who, [bob, Who::Email("x@acme.com".into()), jane]);
        assert_eq!(args.value("advisors").unwrap().parts.len(), 3);
    }

    #[test]
    fn a_name_typed_like_a_mention_names_nobody() {
        let args = args("/contact add for=@jane @bob");
        assert!(args.value("for").unwrap().who.is_empty() && args.people().is_empty());
        assert_eq!(args.texts(), ["@bob"]);
    }

    #[test]
    fn a_mention_is_found_again_when_its_offset_is_off() {
        let mentions = [Mention { user: UserId(2), shown: "@Jane Doe".into(), at: 3 }];
        let Heard::Command(line) = hear("/room add @Jane Doe", &mentions, BOT, false) else { panic!("not heard") };
        assert_eq!(line.words[2].kind, Kind::Mention(UserId(2)));
    }

    #[test]
    fn flags_survive_the_dashes_of_phones() {
        for flag in ["--room", "—room", "–room", "-–room", "--Room", "−−room"] {
            assert!(args(&format!("/contact add Ann {flag}")).flag("room"), "{flag}");
        }
        assert_eq!(args("/contact add Ann --room=\"Ann Lee\"").text("room"), Some("Ann Lee"));
        assert_eq!(args("/contact add a – b -- c -d").texts(), ["a", "–", "b", "--", "c", "-d"]);
    }

    #[test]
    fn a_pasted_phone_number_stays_whole() {
        let rows = [
            ("phone=+49 151 12345678 email=a@b.de", "+49 151 12345678"),
            ("phone=+49\u{a0}151\u{a0}12345678 Ann", "+49 151 12345678"),
            ("phone= +49 (0)151 / 123 456 78 --room", "+49 (0)151 / 123 456 78"),
            ("phone=(202) 555-0123 company=X", "(202) 555-0123"),
            ("phone=+1 202 – 555 – 0123 —room", "+1 202 – 555 – 0123"),
            ("phone=\u{202a}+44 20 7946 0958\u{202c}", "+44 20 7946 0958"),
            ("phone=tel:+49-151-12345678", "tel:+49-151-12345678"),
            ("phone=\"+49 151 12345678\" 12", "+49 151 12345678"),
            ("phone=+4915112345678, email=a@b.de", "+4915112345678"),
            ("phone=+4915112345678 2025550123", "+4915112345678"),
            ("phone=nonsense 12", "nonsense"),
        ];
        for (typed, expected) in rows {
            assert_eq!(args(&format!("/contact add {typed}")).text("phone"), Some(expected), "{typed}");
        }
    }

    #[test]
    fn a_phone_number_without_a_key_stays_whole_too() {
        assert_eq!(args("/contact add Ann +49 151 12345678 reason=spam").texts(), ["Ann", "+49 151 12345678"]);
        assert_eq!(args("/contact add +49 151 1234567 +49 152 7654321").texts(), ["+49 151 1234567", "+49 152 7654321"]);
        assert_eq!(args("/contact add 202 555 0123").texts(), ["202 555 0123"]);
        assert_eq!(args("/contact add 10 20 c-7F3K").texts(), ["10", "20", "c-7F3K"]);
    }

    #[test]
    fn the_longest_path_wins() {
        let paths = ["contact", "contact add", "help"];
        assert_eq!(line("/contact add Ann").split_path(&paths).unwrap().0, "contact add");
        assert_eq!(line("/Contact ADD Ann").split_path(&paths).unwrap().0, "contact add");
        assert_eq!(line("/contact added Ann").split_path(&paths).unwrap().0, "contact");
        assert!(line("/contacts").split_path(&paths).is_none());
        assert!(line("/\"help\"").split_path(&paths).is_none());
        assert_eq!(line("/contcat ad Ann email=x").typed_path(2), "contcat ad");
    }

    #[test]
    fn the_rest_is_kept_as_typed() {
        assert_eq!(args("/note He said: x=1  and --no \"yes\"").rest, "He said: x=1  and --no \"yes\"");
        assert_eq!(args("/help").rest, "");
        assert_eq!(args("@[Liaison]/note ask @[Bob Ray] first").rest, "ask @Bob Ray first");
    }

    #[test]
    fn a_last_argument_may_do_without_quotes() {
        let joined = |pattern: &str, from| {
            let line = line(pattern);
            let mut args = line.args_after(1);
            args.rest_as_one(from, &line.raw);
            args.positional.into_iter().map(|word| word.text).collect::<Vec<_>>()
        };
        assert_eq!(joined("/help Ann Maria Lee", 0), ["Ann Maria Lee"]);
        assert_eq!(joined("/help Ann Maria Lee", 1), ["Ann", "Maria Lee"]);
        assert_eq!(joined("/help New room @[Bob Ray]", 0), ["New room", "@Bob Ray"]);
        assert_eq!(joined("/help \"New room\" Ann Lee", 0), ["New room", "Ann", "Lee"]);
        assert_eq!(joined("/help", 0), Vec::<String>::new());
        assert_eq!(joined("/help Ann", 3), ["Ann"]);
        assert_eq!(joined("/help @[Bob Ray] @a@b.de Ann Lee", 0), ["@Bob Ray", "@a@b.de", "Ann Lee"]);
        assert_eq!(joined("/help New room @bob", 0), ["New room", "@bob"], "meant as a mention");
        assert_eq!(joined("/help Lee @ home", 0), ["Lee @ home"]);
        assert_eq!(joined("/help Lee family contacts=Ann Lee,Eva Sun", 0), ["Lee family", "Lee,Eva", "Sun"], "a key parts them");
        assert_eq!(joined("/help contacts=Ann Lee --standard family", 0), ["Lee", "family"]);
    }

    #[test]
    fn a_line_survives_being_kept() {
        let line = line("/contact add \"Ann\" @[Bob Ray] @a@b.de x=1,@[Jane Doe] --room");
        let kept = serde_json::to_string(&line).unwrap();
        assert_eq!(serde_json::from_str::<Line>(&kept).unwrap(), line);
        let args = line.args_after(2);
        assert_eq!(serde_json::from_str::<Args>(&serde_json::to_string(&args).unwrap()).unwrap(), args);
    }

    proptest! {
        #[test]
        fn any_text_is_heard_without_a_panic(text in "(/|@Liaison ?/?)?([ a-z+0-9=,\"“”'@.\u{a0}\u{200b}-]|\\PC|--|phone=|@Bob Ray){0,40}", at in 0_usize..50) {
            let mentions = [
                Mention { user: BOT, shown: "@Liaison".into(), at: 0 },
                Mention { user: UserId(3), shown: "@Bob Ray".into(), at },
            ];
            for direct in [true, false] {
                if let Heard::Command(line) = hear(&text, &mentions, BOT, direct) {
                    for word in &line.words {
                        prop_assert!(line.raw.get(word.at..word.end.min(line.raw.len())).is_some());
                    }
                    line.args_after(1).rest_as_one(0, &line.raw);
                }
            }
        }

        #[test]
        fn what_begins_with_a_slash_never_passes(text in "\\PC{0,30}") {
            let heard = hear(&format!("/{text}"), &[], BOT, false);
            prop_assert!(!matches!(heard, Heard::NotForUs));
        }
    }
}
