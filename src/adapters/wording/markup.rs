//! Text into MessageML and nothing but text; and a strict look at the markup that results.

use crate::adapters::symphony::markup::{cleaned, escape};

/// Deeper nesting is a mistake in a template.
const DEEPEST: usize = 64;
/// Entities that are safe for every reader of MessageML; all others stand as numbers or as themselves.
const ENTITIES: [&str; 6] = ["amp", "lt", "gt", "quot", "apos", "nbsp"];

/// A value as text of an element: no markup, entity or FreeMarker expression in it is ever interpreted; lines stay lines.
pub(super) fn text(value: &str) -> String {
    escape(&clean(value))
}

/// A value as an attribute's content, where a line break is a blank.
pub(super) fn attribute(value: &str) -> String {
    escape(&clean(value).replace('\n', " "))
}

/// Lines end in LF; control characters but tab and newline go (INTERFACES §5), and the two that XML cannot hold.
pub(super) fn clean(value: &str) -> String {
    cleaned(&value.replace("\r\n", "\n").replace('\r', "\n"))
}

fn is_character(c: char) -> bool {
    matches!(c, '\t' | '\n') || (c >= ' ' && !matches!(c, '\u{fffe}' | '\u{ffff}'))
}

/// Balanced elements, quoted attributes, known entities, nothing for FreeMarker. The agent refuses the rest at a bad time.
pub(super) fn check(markup: &str) -> Result<(), String> {
    if markup.contains("${") || markup.contains("#{") {
        return Err("an expression ${…} or #{…} stands in the markup".to_owned());
    }
    let mut reader = Reader { rest: markup };
    let mut open: Vec<&str> = Vec::new();
    while !reader.rest.is_empty() {
        if reader.take("</") {
            let name = reader.name()?;
            reader.blanks();
            reader.expect(">")?;
            match open.pop() {
                Some(opened) if opened == name => {}
                Some(opened) => return Err(format!("</{name}> closes <{opened}>")),
                None => return Err(format!("</{name}> closes nothing")),
            }
        } else if reader.take("<") {
            let name = reader.name()?;
            if !reader.attributes(name)? {
                open.push(name);
            }
            if open.len() > DEEPEST {
                return Err(format!("more than {DEEPEST} elements stand in one another"));
            }
        } else {
            reader.text()?;
        }
    }
    open.pop().map_or(Ok(()), |name| Err(format!("<{name}> is not closed")))
}

struct Reader<'a> {
    rest: &'a str,
}

impl<'a> Reader<'a> {
    fn take(&mut self, token: &str) -> bool {
        let after = self.rest.strip_prefix(token);
        self.rest = after.unwrap_or(self.rest);
        after.is_some()
    }

    fn expect(&mut self, token: &str) -> Result<(), String> {
        if self.take(token) { Ok(()) } else { Err(format!("{token} is missing before \"{}\"", self.near())) }
    }

    fn near(&self) -> String {
        self.rest.chars().take(20).collect()
    }

    fn until(&mut self, ends: impl Fn(char) -> bool) -> &'a str {
        let (before, after) = self.rest.split_at(self.rest.find(ends).unwrap_or(self.rest.len()));
        self.rest = after;
        before
    }

    fn blanks(&mut self) -> bool {
        !self.until(|c| !c.is_ascii_whitespace()).is_empty()
    }

    fn name(&mut self) -> Result<&'a str, String> {
        let near = self.near();
        let name = self.until(|c| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | ':' | '.')));
        if name.starts_with(|c: char| c.is_ascii_alphabetic()) { Ok(name) } else { Err(format!("\"<{near}\" begins no element")) }
    }

    /// The rest of an opening tag; true if the element is closed already.
    fn attributes(&mut self, element: &str) -> Result<bool, String> {
        let mut seen = Vec::new();
        loop {
            let blank = self.blanks();
            if self.take("/>") {
                return Ok(true);
            }
            if self.take(">") {
                return Ok(false);
            }
            if !blank {
                return Err(format!("<{element}> does not end properly at \"{}\"", self.near()));
            }
            let name = self.attribute(element)?;
            if seen.contains(&name) {
                return Err(format!("<{element}> has {name} twice"));
            }
            seen.push(name);
        }
    }

    fn attribute(&mut self, element: &str) -> Result<&'a str, String> {
        let name = self.name()?;
        self.expect("=")?;
        let quote = if self.take("\"") { '"' } else { '\'' };
        if quote == '\'' {
            self.expect("'")?;
        }
        let value = self.until(|c| c == quote || c == '<');
        entities(value)?;
        if self.take(quote.encode_utf8(&mut [0; 4])) {
            Ok(name)
        } else {
            Err(format!("the attribute {name} of <{element}> does not end"))
        }
    }

    fn text(&mut self) -> Result<(), String> {
        entities(self.until(|c| c == '<'))
    }
}

/// Text between elements or in an attribute: characters that XML knows, and whole entities.
fn entities(text: &str) -> Result<(), String> {
    if let Some(c) = text.chars().find(|c| !is_character(*c) && *c != '\r') {
        return Err(format!("the character U+{:04X} is not allowed", u32::from(c)));
    }
    text.split('&').skip(1).try_for_each(|after| {
        let name = after.split_once(';').map(|(name, _)| name).unwrap_or_default();
        if ENTITIES.contains(&name) || is_number(name) { Ok(()) } else { Err(format!("\"&{:.12}\" is no entity", after)) }
    })
}

fn is_number(entity: &str) -> bool {
    let number = entity.strip_prefix('#').and_then(|digits| match digits.strip_prefix('x') {
        Some(hex) if hex.bytes().all(|b| b.is_ascii_hexdigit()) => u32::from_str_radix(hex, 16).ok(),
        None if digits.bytes().all(|b| b.is_ascii_digit()) => digits.parse().ok(),
        Some(_) | None => None,
    });
    number.and_then(char::from_u32).is_some_and(|c| is_character(c) || c == '\r')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What a reader of the markup sees, in other words than `escape` uses.
    fn read_back(markup: &str) -> String {
        let lines = markup.replace("<br/>", "\n");
        let names =
            [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#39;", "'"), ("&#36;", "$"), ("&#35;", "#"), ("&#123;", "{")];
        names.iter().fold(lines, |text, (entity, plain)| text.replace(entity, plain)).replace("&amp;", "&")
    }

    proptest! {
        #[test]
        fn any_text_stays_text(parts in proptest::collection::vec("(?s)[\\$#{}<>&;\"'/a-z0-9\r\n\t\0-\u{1f}é\u{ffff}]{0,12}", 0..6)) {
            let markup: String = parts.iter().map(|part| text(part)).collect();
            prop_assert!(check(&format!("<b>{markup}</b>")).is_ok(), "{markup}");
            prop_assert!(!markup.replace("<br/>", "").contains(['<', '>']));
            let expected: String = parts.iter().map(|part| clean(part)).collect();
            prop_assert_eq!(read_back(&markup), expected);
        }

        #[test]
        fn any_text_stays_an_attribute(value in "(?s).{0,40}") {
            let markup = format!("<a href=\"{0}\" title='{0}'/>", attribute(&value));
            prop_assert!(check(&markup).is_ok(), "{}", markup);
        }

        #[test]
        fn no_markup_makes_the_check_panic(markup in "(?s)[<>/=\"'&;#xa-c \n$é{]{0,40}") {
            let _either = check(&markup);
        }
    }

    #[test]
    fn expressions_are_defused_also_across_values() {
        assert_eq!(text("${7*7} #{x} $5 a#b"), "&#36;{7*7} &#35;{x} $5 a#b");
        assert_eq!(text("cost: $") + &text("{x}"), "cost: &#36;&#123;x}");
        assert_eq!(text("a\r\nb\rc\u{7}\u{0}"), "a<br/>b<br/>c");
        assert_eq!(attribute("a\n\"b\""), "a &quot;b&quot;");
    }

    #[test]
    fn markup_is_well_formed_or_refused() {
        let good = [
            "",
            "plain",
            "<b>a</b><br/>",
            "<a href=\"x&amp;y\">&#8364;&#x20AC;&nbsp;</a>",
            "<form id='f' >\n<button name=\"x\" /></form>",
        ];
        for markup in good {
            assert_eq!(check(markup), Ok(()), "{markup}");
        }
        let bad = [
            "<b>",
            "</b>",
            "<b><i></b></i>",
            "a & b",
            "&euro;",
            "&#0;",
            "&#xD800;",
            "&#;",
            "<b a=1/>",
            "<b a=\"<\"/>",
            "<b a=\"1\" a=\"2\"/>",
            "<b a=\"1\"b=\"2\"/>",
            "<!-- x -->",
            "<![CDATA[x]]>",
            "<?x?>",
            "< b/>",
            "<b",
            "<b a=\"1",
            "${x}",
            "#{x}",
            "\u{1}",
            "<b a/>",
        ];
        for markup in bad {
            assert!(check(markup).is_err(), "{markup}");
        }
        assert!(check(&format!("{}{}", "<i>".repeat(65), "</i>".repeat(65))).is_err());
    }
}
