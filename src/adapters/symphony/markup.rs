//! The platform's markup, both ways: what people wrote as plain text, and any text made safe to post.
use html5gum::{EndTag, StartTag, Token, Tokenizer};
use serde_json::{Map, Value};

const BULLET: &str = "• ";
/// Elements that begin and end a line of their own.
const BLOCKS: &[&str] = &[
    "p",
    "div",
    "ul",
    "ol",
    "li",
    "table",
    "thead",
    "tbody",
    "tfoot",
    "tr",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "hr",
    "pre",
    "form",
    "card",
    "header",
    "body",
    "footer",
    "blockquote",
    "messageml",
    "presentationml",
];

/// What a message says, as a person reads it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plain {
    pub text: String,
    /// In order of appearance.
    pub mentions: Vec<Shown>,
}

/// A mention as it stands in the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    pub user: u64,
    /// With the "@".
    pub shown: String,
    /// Byte offset in the text.
    pub at: usize,
}

/// Reads PresentationML as HTML. `entities` is the message's entity data: only what stands there is a mention.
pub fn plain(markup: &str, entities: &Map<String, Value>) -> Plain {
    let mut page = Page::new(entities);
    for Ok(token) in Tokenizer::new(markup) {
        match token {
            Token::StartTag(tag) => page.start(&tag),
            Token::EndTag(tag) => page.end(&tag),
            Token::String(text) => page.text(&String::from_utf8_lossy(&text)),
            Token::Comment(_) | Token::Doctype(_) | Token::Error(_) => {}
        }
    }
    page.finish()
}

/// The page as it is written.
struct Page<'a> {
    entities: &'a Map<String, Value>,
    out: String,
    mentions: Vec<Shown>,
    /// Nothing but a bullet stands on this line yet.
    fresh: bool,
    /// Blanks that count only if something follows on the same line.
    held: String,
    /// The held blanks held a line end of the source, which is worth one space.
    held_line_end: bool,
    spans: Vec<Span>,
    links: Vec<(usize, String)>,
    /// Depth of `pre`, where line ends of the source count.
    pre: usize,
}

/// An open `span`: where it begins, and its entity if it has one.
struct Span {
    start: usize,
    entity: Option<Entity>,
}

enum Entity {
    Mention(u64),
    Emoji(String),
}

impl<'a> Page<'a> {
    fn new(entities: &'a Map<String, Value>) -> Page<'a> {
        Page {
            entities,
            out: String::new(),
            mentions: Vec::new(),
            fresh: true,
            held: String::new(),
            held_line_end: false,
            spans: Vec::new(),
            links: Vec::new(),
            pre: 0,
        }
    }

    fn start(&mut self, tag: &StartTag<()>) {
        let name = String::from_utf8_lossy(&tag.name).to_lowercase();
        match name.as_str() {
            "br" => self.line_end(),
            "span" => self.open_span(tag),
            "a" => self.open_link(tag),
            "td" | "th" if !self.fresh => self.held.push(' '),
            block if BLOCKS.contains(&block) => {
                self.block_edge();
                self.pre += usize::from(block == "pre");
                if block == "li" {
                    self.out.push_str(BULLET);
                }
            }
            _ => {}
        }
        if tag.self_closing && matches!(name.as_str(), "span" | "a" | "pre") {
            self.close(&name);
        }
    }

    fn end(&mut self, tag: &EndTag<()>) {
        let name = String::from_utf8_lossy(&tag.name).to_lowercase();
        self.close(&name);
    }

    fn close(&mut self, name: &str) {
        match name {
            "span" => self.close_span(),
            "a" => self.close_link(),
            block if BLOCKS.contains(&block) => {
                self.block_edge();
                self.pre -= usize::from(block == "pre" && self.pre > 0);
            }
            _ => {}
        }
    }

    fn text(&mut self, text: &str) {
        for c in text.chars() {
            match c {
                '\n' if self.pre > 0 => self.line_end(),
                '\n' | '\r' | '\u{c}' => self.held_line_end = true,
                '\u{a0}' => self.held.push(' '),
                ' ' | '\t' => self.held.push(c),
                _ => {
                    self.release_blanks();
                    self.out.push(c);
                    self.fresh = false;
                }
            }
        }
    }

    fn release_blanks(&mut self) {
        match (self.held_line_end, self.fresh) {
            (true, true) => {}
            (true, false) => self.out.push(' '),
            (false, _) => self.out.push_str(&self.held),
        }
        self.forget_blanks();
    }

    fn forget_blanks(&mut self) {
        self.held.clear();
        self.held_line_end = false;
    }

    /// `<br/>`: always a new line.
    fn line_end(&mut self) {
        if self.held_line_end {
            self.forget_blanks();
        }
        self.release_blanks();
        self.out.push('\n');
        self.fresh = true;
    }

    /// The edge of a block: a new line unless one has just begun.
    fn block_edge(&mut self) {
        self.forget_blanks();
        if !self.fresh {
            self.out.push('\n');
            self.fresh = true;
        }
    }

    fn open_span(&mut self, tag: &StartTag<()>) {
        let inside_another = self.spans.iter().any(|span| span.entity.is_some());
        let entity = attribute(tag, "data-entity-id").filter(|_| !inside_another).and_then(|id| entity(self.entities.get(&id)?));
        if entity.is_some() {
            self.release_blanks();
        }
        self.spans.push(Span { start: self.out.len(), entity });
    }

    fn close_span(&mut self) {
        let Some(Span { start, entity }) = self.spans.pop() else { return };
        match entity {
            Some(Entity::Mention(user)) => self.mention(start, user),
            Some(Entity::Emoji(unicode)) => {
                self.out.truncate(start);
                self.out.push_str(&unicode);
                self.fresh = false;
            }
            None => {}
        }
    }

    fn mention(&mut self, start: usize, user: u64) {
        if !self.out[start..].starts_with('@') {
            self.out.insert(start, '@');
            self.fresh = false;
        }
        self.mentions.push(Shown { user, shown: self.out[start..].trim_end().to_owned(), at: start });
    }

    fn open_link(&mut self, tag: &StartTag<()>) {
        self.release_blanks();
        self.links.push((self.out.len(), attribute(tag, "href").unwrap_or_default()));
    }

    fn close_link(&mut self) {
        let Some((start, address)) = self.links.pop() else { return };
        let shown = self.out[start..].trim();
        if address.is_empty() || says_the_same(shown, &address) {
            return;
        }
        let tail = if shown.is_empty() { address } else { format!(" ({address})") };
        self.out.push_str(&tail);
        self.fresh = false;
    }

    fn finish(mut self) -> Plain {
        self.out.truncate(self.out.trim_end().len());
        let cut = leading_blank_lines(&self.out);
        self.out.drain(..cut);
        let whole = self.out.len();
        let shift = |m: Shown| Shown { at: m.at.saturating_sub(cut), ..m };
        let mentions = self.mentions.into_iter().map(shift).filter(|m| m.at + m.shown.len() <= whole).collect();
        Plain { text: self.out, mentions }
    }
}

fn leading_blank_lines(text: &str) -> usize {
    text.find(|c: char| !c.is_whitespace()).and_then(|first| text[..first].rfind('\n')).map_or(0, |end| end + 1)
}

/// Clients make links of what people type: "acme.com" then leads to "https://acme.com/".
fn says_the_same(shown: &str, address: &str) -> bool {
    let bare =
        ["https://", "http://", "mailto:", "tel:"].iter().find_map(|scheme| address.strip_prefix(scheme)).unwrap_or(address);
    shown == address
        || (!shown.is_empty() && (shown == bare || shown == bare.trim_end_matches('/') || shown == address.trim_end_matches('/')))
}

fn attribute(tag: &StartTag<()>, name: &str) -> Option<String> {
    let value = tag.attributes.iter().find(|(key, _)| key.as_slice() == name.as_bytes())?.1;
    Some(String::from_utf8_lossy(value).into_owned())
}

fn entity(value: &Value) -> Option<Entity> {
    match value.get("type")?.as_str()? {
        "com.symphony.user.mention" => {
            let ids = value.get("id")?.as_array()?;
            ids.iter().find_map(|id| number(id.get("value")?)).map(Entity::Mention)
        }
        "com.symphony.emoji" => Some(Entity::Emoji(value.get("data")?.get("unicode")?.as_str()?.to_owned())),
        _ => None,
    }
}

/// User ids come as numbers and as texts.
fn number(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.trim().parse().ok())
}

/// CRLF becomes LF; controls other than tab and newline, and what XML has no place for, are left out.
pub fn cleaned(text: &str) -> String {
    text.replace("\r\n", "\n").chars().filter(|c| may_stand(*c)).collect()
}

fn may_stand(c: char) -> bool {
    matches!(c, '\t' | '\n') || (c >= ' ' && !matches!(c, '\u{fffe}' | '\u{ffff}'))
}

/// Any text as MessageML that shows exactly this text: no markup, mention or template expression of it is interpreted.
pub fn escape(text: &str) -> String {
    let clean = cleaned(text);
    let mut out = String::with_capacity(clean.len() + clean.len() / 8);
    let mut chars = clean.chars().peekable();
    while let Some(c) = chars.next() {
        // What follows the end is not ours to know, so a last `$` or `#` is made safe as well, and a first `{`.
        let before_brace = chars.peek().is_none_or(|next| *next == '{');
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\n' => out.push_str("<br/>"),
            '$' if before_brace => out.push_str("&#36;"),
            '#' if before_brace => out.push_str("&#35;"),
            '{' if out.is_empty() => out.push_str("&#123;"),
            // The platform refuses raw controls; this one XML allows as a reference.
            '\u{7f}' => out.push_str("&#127;"),
            _ => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn text(markup: &str) -> String {
        plain(markup, &Map::new()).text
    }
    fn entities(value: Value) -> Map<String, Value> {
        value.as_object().cloned().unwrap()
    }

    #[test]
    fn markup_reads_as_a_person_reads_it() {
        let table = [
            // The first is the platform's own example of a message (research/symphony.md §3).
            (r#"<div data-format="PresentationML" data-version="2.0" class="wysiwyg"><p>hi</p></div>"#, "hi"),
            ("<p>one</p><p>two</p>", "one\ntwo"),
            ("<div>one<br/>two<br/><br/>three</div>", "one\ntwo\n\nthree"),
            ("<p>one<br/></p><p>two</p>", "one\ntwo"),
            ("<p>one</p><p><br/></p><p>two</p>", "one\n\ntwo"),
            ("<div><div>one</div></div><div></div><div>two</div>", "one\ntwo"),
            ("<br/><p>one</p><br/><br/>", "one"),
            ("<div>\n  <p>one</p>\n  <p>two\n  lines</p>\n</div>", "one\ntwo lines"),
            ("/contact&nbsp;add Ann", "/contact add Ann"),
            ("channel=<b>wha</b><i>ts</i>app", "channel=whatsapp"),
            ("<p>list:</p><ul><li>a</li><li><p>b</p></li></ul>end", "list:\n• a\n• b\nend"),
            ("<ol><li>a</li></ol>", "• a"),
            (r#"see <a href="https://acme.com/x">our page</a> now"#, "see our page (https://acme.com/x) now"),
            (r#"<a href="https://acme.com/x">https://acme.com/x</a>"#, "https://acme.com/x"),
            (r#"<a href="https://acme.com/">acme.com</a>"#, "acme.com"),
            (r#"<a href="mailto:a@b.c">a@b.c</a>"#, "a@b.c"),
            (r#"<a href="https://acme.com/x"></a>"#, "https://acme.com/x"),
            ("<table><tr><td>a</td><td>b</td></tr><tr><td>c</td></tr></table>", "a b\nc"),
            ("<pre>a\n  b</pre>", "a\n  b"),
            ("1 &lt; 2 &amp;&amp; x &eacute; 😀", "1 < 2 && x é 😀"),
            ("a  b\tc", "a  b\tc"),
            ("broken <b>never <closed", "broken never"),
            ("", ""),
            ("</span></a></pre></div>x", "x"),
        ];
        for (markup, expected) in table {
            assert_eq!(text(markup), expected, "{markup}");
        }
    }

    #[test]
    fn mentions_come_from_the_entity_data_and_never_from_the_text() {
        let data = entities(json!({
            "0": {"type": "com.symphony.user.mention", "version": "1.0", "id": [{"type": "com.symphony.user.userId", "value": "123"}]},
            "1": {"type": "com.symphony.user.mention", "version": "1.0", "id": [{"type": "com.symphony.user.userId", "value": 456}]},
        }));
        let markup = r#"<div><p>
            <span class="entity" data-entity-id="0">@Liaison</span>/help é <span class="entity" data-entity-id="1">@Jöhn Doe</span>
            <span class="entity" data-entity-id="9">@Nobody</span> @Typed</p></div>"#;
        let read = plain(markup, &data);
        assert_eq!(read.text, "@Liaison/help é @Jöhn Doe @Nobody @Typed");
        let expected = [(123, "@Liaison", 0), (456, "@Jöhn Doe", 17)];
        assert_eq!(read.mentions, expected.map(|(user, shown, at)| Shown { user, shown: shown.to_owned(), at }));
        for mention in &read.mentions {
            assert!(read.text[mention.at..].starts_with(&mention.shown));
        }
    }

    #[test]
    fn an_emoji_stays_an_emoji() {
        let data = entities(
            json!({"e": {"type": "com.symphony.emoji", "version": "1.0", "data": {"shortcode": "grinning", "unicode": "😀"}}}),
        );
        assert_eq!(plain(r#"ha <span class="entity" data-entity-id="e">:grinning:</span>!"#, &data).text, "ha 😀!");
    }

    #[test]
    fn what_the_platform_would_interpret_is_escaped() {
        let table = [
            ("${x} #{y} $5 #1", "&#36;{x} &#35;{y} $5 #1"),
            ("{a", "&#123;a"),
            ("cost $", "cost &#36;"),
            ("<mention uid=\"1\"/> & 'x'", "&lt;mention uid=&quot;1&quot;/&gt; &amp; &#39;x&#39;"),
            ("a\r\nb\nc\td\u{1}\u{0}\r", "a<br/>b<br/>c\td"),
            ("$\u{2}{x}", "&#36;{x}"),
            ("\u{7f}\u{ffff}", "&#127;"),
        ];
        for (given, expected) in table {
            assert_eq!(escape(given), expected);
        }
    }

    fn any_text() -> impl Strategy<Value = String> {
        let dangerous = prop::sample::select(vec![
            '<', '>', '&', '$', '#', '{', '}', '"', '\'', '\n', '\r', '\t', ' ', '\u{a0}', ';', '/', '\0', '\u{7f}',
        ]);
        prop::collection::vec(prop_oneof![3 => dangerous, 2 => any::<char>(), 2 => prop::char::range('a', 'z')], 0..60)
            .prop_map(|chars| chars.into_iter().collect())
    }

    /// What must come back: blanks at the ends do not count, and a hard space is a space.
    fn expected(text: &str) -> String {
        let clean = text.replace("\r\n", "\n").replace(|c: char| c < ' ' && c != '\n' && c != '\t', "");
        let clean = clean.replace(['\u{fffe}', '\u{ffff}'], "").replace('\u{a0}', " ");
        let kept: Vec<&str> = clean.trim_end().split('\n').skip_while(|line| line.trim().is_empty()).collect();
        kept.join("\n")
    }

    proptest! {
        #[test]
        fn any_text_comes_back_as_it_was(text in any_text()) {
            let markup = format!("<messageML>{}</messageML>", escape(&text));
            prop_assert_eq!(plain(&markup, &Map::new()).text, expected(&text));
        }

        #[test]
        fn escaped_text_holds_no_element_but_br_and_no_expression(text in any_text()) {
            let escaped = escape(&text);
            for Ok(token) in Tokenizer::new(&escaped) {
                let Token::StartTag(tag) = token else {
                    prop_assert!(!matches!(token, Token::EndTag(_) | Token::Comment(_) | Token::Doctype(_)));
                    continue;
                };
                prop_assert!(tag.name.as_slice() == b"br" && tag.self_closing);
            }
            let expression = escaped.contains("${") || escaped.contains("#{");
            prop_assert!(!expression);
            prop_assert!(escaped.chars().all(|c| c == '\t' || c >= ' '));
            for (at, _) in escaped.match_indices('&') {
                let known = ["&amp;", "&lt;", "&gt;", "&quot;", "&#39;", "&#36;", "&#35;", "&#123;", "&#127;"];
                prop_assert!(known.iter().any(|reference| escaped[at..].starts_with(reference)));
            }
        }

        #[test]
        fn reading_never_fails_and_mentions_stand_where_they_say(markup in "(<(p|div|br/|li|a href='x'|/a|/p|span data-entity-id='0'|/span|b)>|[a-z &;\n]){0,30}") {
            let data = entities(json!({"0": {"type": "com.symphony.user.mention", "id": [{"value": 7}]}}));
            let read = plain(&markup, &data);
            for mention in &read.mentions {
                prop_assert!(read.text.get(mention.at..).is_some_and(|rest| rest.starts_with(&mention.shown)), "{:?}", read);
            }
        }
    }
}
