//! A small strict XML reader: enough for MessageML, nothing that could reach outside of the message.

/// Deeper nesting is refused, so that walking the tree never exhausts the stack.
const MAX_DEPTH: usize = 64;

#[derive(Clone, Debug, PartialEq)]
pub enum Node {
    Text(String),
    Element(Element),
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Element {
    pub name: String,
    pub attributes: Vec<(String, String)>,
    pub children: Vec<Node>,
}

impl Element {
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The elements directly below this one.
    pub fn elements(&self) -> impl Iterator<Item = &Element> {
        self.children.iter().filter_map(|node| match node {
            Node::Element(element) => Some(element),
            Node::Text(_) => None,
        })
    }

    /// Every element of the tree, this one first.
    pub fn walk<'a>(&'a self, visit: &mut dyn FnMut(&'a Element)) {
        visit(self);
        self.elements().for_each(|element| element.walk(visit));
    }
}

/// The one root element of a well-formed document, or a sentence about what is wrong with it.
pub fn parse(source: &str) -> Result<Element, String> {
    if let Some(bad) = source.chars().find(|c| !may_occur(*c)) {
        return Err(format!("Invalid control characters in message (U+{:04X})", u32::from(bad)));
    }
    Reader { rest: source.trim() }.document()
}

/// The Char production of XML 1.0.
fn may_occur(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r') || (c >= ' ' && !matches!(c, '\u{fffe}' | '\u{ffff}'))
}

struct Reader<'a> {
    rest: &'a str,
}

impl<'a> Reader<'a> {
    fn document(&mut self) -> Result<Element, String> {
        if self.rest.starts_with("<?xml") {
            self.past("?>")?;
            self.rest = self.rest.trim_start();
        }
        let mut open: Vec<Element> = Vec::new();
        loop {
            if let Some(done) = self.step(&mut open)? {
                return self.nothing_follows().map(|()| done);
            }
        }
    }

    /// Reads one piece of markup or text; the root element once it is closed.
    fn step(&mut self, open: &mut Vec<Element>) -> Result<Option<Element>, String> {
        if self.rest.is_empty() {
            let missing = open.last().map_or("the root element", |element| element.name.as_str());
            return Err(format!("Invalid XML: the message ends before {missing} is closed"));
        }
        if self.take("<!--") {
            return self.past("-->").map(|_| None);
        }
        if self.take("<![CDATA[") {
            let text = self.past("]]>")?.to_string();
            return add_text(open, text).map(|()| None);
        }
        if self.take("</") {
            return self.closing(open);
        }
        if self.take("<") {
            return self.opening(open);
        }
        let end = self.rest.find('<').unwrap_or(self.rest.len());
        let text = unescape(&self.rest[..end])?;
        self.rest = &self.rest[end..];
        add_text(open, text).map(|()| None)
    }

    fn opening(&mut self, open: &mut Vec<Element>) -> Result<Option<Element>, String> {
        let mut element = Element { name: self.name()?, ..Element::default() };
        loop {
            let spaced = self.skip_space();
            if self.take("/>") {
                return Ok(close(element, open));
            }
            if self.take(">") {
                if open.len() >= MAX_DEPTH {
                    return Err(format!("Invalid input: elements are nested deeper than {MAX_DEPTH}"));
                }
                open.push(element);
                return Ok(None);
            }
            if !spaced {
                return Err(format!("Invalid XML: unexpected characters in the tag \"{}\"", element.name));
            }
            let attribute = self.attribute()?;
            if element.attribute(&attribute.0).is_some() {
                return Err(format!("Invalid XML: attribute \"{}\" stands twice in \"{}\"", attribute.0, element.name));
            }
            element.attributes.push(attribute);
        }
    }

    fn closing(&mut self, open: &mut Vec<Element>) -> Result<Option<Element>, String> {
        let name = self.name()?;
        self.skip_space();
        if !self.take(">") {
            return Err(format!("Invalid XML: the end tag \"{name}\" is not closed"));
        }
        match open.pop() {
            Some(element) if element.name == name => Ok(close(element, open)),
            Some(element) => Err(format!("Invalid XML: \"{}\" is closed by \"{name}\"", element.name)),
            None => Err(format!("Invalid XML: \"{name}\" was never opened")),
        }
    }

    fn attribute(&mut self) -> Result<(String, String), String> {
        let name = self.name()?;
        self.skip_space();
        if !self.take("=") {
            return Err(format!("Invalid XML: attribute \"{name}\" has no value"));
        }
        self.skip_space();
        let quote = ["\"", "'"].into_iter().find(|quote| self.take(quote));
        let quote = quote.ok_or_else(|| format!("Invalid XML: the value of \"{name}\" is not quoted"))?;
        let value = self.past(quote)?;
        if value.contains('<') {
            return Err(format!("Invalid XML: the value of \"{name}\" contains \"<\""));
        }
        Ok((name, unescape(value)?))
    }

    fn name(&mut self) -> Result<String, String> {
        let end = self.rest.find(|c: char| !(c.is_alphanumeric() || "-_.:".contains(c))).unwrap_or(self.rest.len());
        let (name, rest) = self.rest.split_at(end);
        if !name.starts_with(|c: char| c.is_alphabetic() || c == '_') {
            return Err("Invalid XML: a name was expected after \"<\"; escape it as &lt; in text".to_string());
        }
        self.rest = rest;
        Ok(name.to_string())
    }

    fn nothing_follows(&mut self) -> Result<(), String> {
        let rest = self.rest.trim();
        if rest.is_empty() { Ok(()) } else { Err("Invalid XML: there is content after the root element".to_string()) }
    }

    fn take(&mut self, what: &str) -> bool {
        let rest = self.rest.strip_prefix(what);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    /// What stands before the mark; goes on behind it.
    fn past(&mut self, mark: &str) -> Result<&'a str, String> {
        let (before, after) = self.rest.split_once(mark).ok_or_else(|| format!("Invalid XML: \"{mark}\" is missing"))?;
        self.rest = after;
        Ok(before)
    }

    fn skip_space(&mut self) -> bool {
        let before = self.rest.len();
        self.rest = self.rest.trim_start();
        self.rest.len() < before
    }
}

fn close(element: Element, open: &mut [Element]) -> Option<Element> {
    match open.last_mut() {
        Some(parent) => parent.children.push(Node::Element(element)),
        None => return Some(element),
    }
    None
}

fn add_text(open: &mut [Element], text: String) -> Result<(), String> {
    match open.last_mut() {
        Some(parent) => parent.children.push(Node::Text(text)),
        None if text.trim().is_empty() => {}
        None => return Err("Invalid XML: text stands outside of the root element".to_string()),
    }
    Ok(())
}

/// XML knows five names; all other characters are written as they are or by number.
fn unescape(text: &str) -> Result<String, String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('&') {
        let (name, after) = after.split_once(';').ok_or("Invalid XML: \"&\" is not escaped as &amp;")?;
        out.push_str(before);
        out.push(entity(name)?);
        rest = after;
    }
    out.push_str(rest);
    Ok(out)
}

fn entity(name: &str) -> Result<char, String> {
    let number = match name {
        "amp" => return Ok('&'),
        "lt" => return Ok('<'),
        "gt" => return Ok('>'),
        "quot" => return Ok('"'),
        "apos" => return Ok('\''),
        _ => name.strip_prefix('#').and_then(|number| match number.strip_prefix('x') {
            Some(hex) => u32::from_str_radix(hex, 16).ok(),
            None => number.parse().ok(),
        }),
    };
    number.and_then(char::from_u32).filter(|c| may_occur(*c)).ok_or_else(|| {
        format!("Invalid XML: the entity \"&{};\" was referenced, but not declared", name.chars().take(20).collect::<String>())
    })
}

/// Text made safe between tags and in double-quoted attributes.
pub fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// The element as XML again; empty ones close themselves.
pub fn write(element: &Element, out: &mut String) {
    out.push('<');
    out.push_str(&element.name);
    for (name, value) in &element.attributes {
        out.push_str(&format!(" {name}=\"{}\"", escape(value)));
    }
    if element.children.is_empty() {
        return out.push_str("/>");
    }
    out.push('>');
    for child in &element.children {
        match child {
            Node::Text(text) => out.push_str(&escape(text)),
            Node::Element(element) => write(element, out),
        }
    }
    out.push_str(&format!("</{}>", element.name));
}
