//! MessageML in, PresentationML and entity data out, with the refusals of the real agent.
use serde_json::{Map, Value, json};

use super::xml::{self, Element, Node};

/// Limits of the platform for one message and its form.
const MAX_TOTAL_BYTES: usize = 1_500_000;
const MAX_CHARS: usize = 81_130;
const MAX_ENTITIES: usize = 80;
const MAX_BOXES: usize = 50;
const MAX_TEXT_FIELD: usize = 128;
const MAX_ID: usize = 64;
const MAX_TITLE: usize = 256;

/// What the validator of the real agent knows.
#[rustfmt::skip]
const ELEMENTS: &[&str] = &[
    "a", "b", "body", "br", "button", "card", "cash", "checkbox", "chime", "code", "date-picker", "dialog", "div", "emoji",
    "expandable-card", "footer", "form", "h1", "h2", "h3", "h4", "h5", "h6", "hash", "header", "hr", "i", "img", "li",
    "mention", "ol", "option", "p", "person-selector", "pre", "radio", "room-selector", "select", "span", "sub", "sup",
    "table", "tbody", "td", "text-field", "textarea", "tfoot", "th", "thead", "time-picker", "timezone-picker", "title",
    "tr", "ui-action", "ul",
];
#[rustfmt::skip]
const FIELDS: &[&str] = &[
    "text-field", "textarea", "select", "radio", "checkbox", "person-selector", "room-selector", "date-picker", "time-picker",
    "timezone-picker",
];
const BLOCKS: &[&str] =
    &["p", "div", "li", "tr", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "table", "pre", "form", "card", "hr"];

/// A message that the pod takes.
pub struct Accepted {
    pub presentation: String,
    pub data: Map<String, Value>,
}

/// The person whom a mention names.
pub struct Mentioned {
    pub id: u64,
    pub name: String,
}

/// Finds a user by id or by e-mail address.
pub type FindUser<'a> = &'a dyn Fn(Option<u64>, Option<&str>) -> Option<Mentioned>;

/// Checks and converts one message. `forms` says whether the author may post forms.
pub fn accept(source: &str, data: &str, forms: bool, find: FindUser<'_>) -> Result<Accepted, String> {
    if source.len() + data.len() > MAX_TOTAL_BYTES {
        return Err("LIMIT_MESSAGE_CONTENT_MAX_TOTAL_SIZE_REACHED: message and data exceed 1.5 MB".to_string());
    }
    if source.contains("${") || source.contains("#{") {
        return Err(
            "Syntax error in template: \"${\" and \"#{\" are interpolations; escape them as &#36;{ and &#35;{".to_string()
        );
    }
    let mut root = xml::parse(source)?;
    if !is_a_root(&root) {
        return Err("Invalid input: Root messageML tag not found".to_string());
    }
    check(&root, forms)?;
    let mut entities = Entities { data: entity_json(data)?, next: 0, find };
    entities.convert_children(&mut root)?;
    if entities.data.len() > MAX_ENTITIES {
        return Err(format!("Invalid input: more than {MAX_ENTITIES} entities"));
    }
    let presentation = presentation_of(root);
    if presentation.chars().count() > MAX_CHARS {
        return Err(format!("Invalid input: the message is longer than {MAX_CHARS} characters"));
    }
    Ok(Accepted { presentation, data: entities.data })
}

fn is_a_root(root: &Element) -> bool {
    root.name == "messageML" || (root.name == "div" && root.attribute("data-format") == Some("PresentationML"))
}

fn entity_json(data: &str) -> Result<Map<String, Value>, String> {
    if data.trim().is_empty() {
        return Ok(Map::new());
    }
    serde_json::from_str(data).map_err(|fault| format!("Error parsing EntityJSON: {fault}"))
}

fn presentation_of(root: Element) -> String {
    let attributes = [("data-format", "PresentationML"), ("data-version", "2.0")];
    let mut div = Element { name: "div".to_string(), attributes: Vec::new(), children: root.children };
    div.attributes.extend(attributes.map(|(name, value)| (name.to_string(), value.to_string())));
    if div.children.is_empty() {
        div.children.push(Node::Text(String::new()));
    }
    let mut out = String::new();
    xml::write(&div, &mut out);
    out
}

// --- validation ---

fn check(root: &Element, forms: bool) -> Result<(), String> {
    for element in root.elements() {
        check_element(element, None)?;
    }
    let mut found = Vec::new();
    root.walk(&mut |element| {
        if element.name == "form" {
            found.push(element);
        }
    });
    if !forms && !found.is_empty() {
        return Err("Invalid input: forms may only be sent by service accounts".to_string());
    }
    for form in &found {
        check_form(form)?;
    }
    let mut ids: Vec<_> = found.iter().filter_map(|form| form.attribute("id")).collect();
    ids.sort_unstable();
    if ids.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err("Invalid input: two forms of the message have the same id".to_string());
    }
    Ok(())
}

fn check_element(element: &Element, form: Option<&Element>) -> Result<(), String> {
    let name = element.name.as_str();
    if !ELEMENTS.contains(&name) {
        return Err(format!("Invalid MessageML content at element \"{name}\""));
    }
    if name == "form" && form.is_some() {
        return Err("Element \"form\" cannot be an inner child of the element \"form\"".to_string());
    }
    if (FIELDS.contains(&name) || name == "button") && form.is_none() {
        return Err(format!("Element \"{name}\" can only be an inner child of the following elements: [form]"));
    }
    check_attributes(element)?;
    let form = if name == "form" { Some(element) } else { form };
    element.elements().try_for_each(|child| check_element(child, form))
}

fn check_attributes(element: &Element) -> Result<(), String> {
    for (name, value) in &element.attributes {
        if !attribute_is_known(&element.name, name) {
            return Err(format!("Attribute \"{name}\" is not allowed in \"{}\"", element.name));
        }
        let limit = match name.as_str() {
            "id" | "name" => MAX_ID,
            "title" => MAX_TITLE,
            _ => usize::MAX,
        };
        if value.chars().count() > limit {
            return Err(format!("The attribute \"{name}\" of \"{}\" is longer than {limit} characters", element.name));
        }
    }
    let needed = match element.name.as_str() {
        "a" => "href",
        "img" => "src",
        "option" => "value",
        "hash" | "cash" => "tag",
        "emoji" => "shortcode",
        "form" => "id",
        name if FIELDS.contains(&name) => "name",
        _ => return Ok(()),
    };
    match element.attribute(needed) {
        Some(value) if !value.trim().is_empty() => Ok(()),
        _ => Err(format!("The attribute \"{needed}\" is required in \"{}\"", element.name)),
    }
}

#[rustfmt::skip]
fn attribute_is_known(element: &str, name: &str) -> bool {
    const ANY: &[&str] = &["id", "class", "style", "title"];
    let own: &[&str] = match element {
        "form" => &["id", "multi-submit"],
        "text-field" | "textarea" => &["name", "required", "placeholder", "masked", "minlength", "maxlength", "pattern",
            "pattern-error-message", "label", "title", "auto-submit", "formnovalidate", "id"],
        "select" => &["name", "required", "data-placeholder", "label", "title", "multiple", "min", "max", "auto-submit", "id"],
        "option" => &["value", "selected"],
        "radio" | "checkbox" => &["name", "value", "checked", "auto-submit", "id"],
        "person-selector" | "room-selector" | "timezone-picker" | "date-picker" | "time-picker" => &["name", "required",
            "placeholder", "label", "title", "value", "min", "max", "format", "step", "strict", "disabled-date",
            "highlighted-date", "disabled-time", "auto-submit", "id"],
        "button" => &["name", "type", "class", "icon", "formnovalidate", "id"],
        "mention" => return ["uid", "email", "strict"].contains(&name),
        "hash" | "cash" => return name == "tag",
        "emoji" => return ["shortcode", "annotation"].contains(&name),
        "br" | "chime" => &[],
        "a" => return name == "href" || ANY.contains(&name),
        "img" => return ["src", "alt", "width", "height"].contains(&name) || ANY.contains(&name),
        "td" | "th" => return ["rowspan", "colspan"].contains(&name) || ANY.contains(&name),
        "div" | "span" | "tr" | "card" | "expandable-card" | "header" | "body" | "footer" => return ANY.contains(&name)
            || name.starts_with("data-") || ["iconSrc", "accent", "state", "variant", "icon"].contains(&name),
        "ui-action" | "dialog" => return true,
        _ => ANY,
    };
    own.contains(&name)
}

fn check_form(form: &Element) -> Result<(), String> {
    let (mut boxes, mut radios, mut actions, mut fault) = (0, 0, 0, None);
    let mut names = Vec::new();
    form.walk(&mut |element| {
        match element.name.as_str() {
            "checkbox" => boxes += 1,
            "radio" => radios += 1,
            "button" if element.attribute("type") != Some("reset") => actions += 1,
            name if FIELDS.contains(&name) => names.extend(element.attribute("name")),
            _ => {}
        }
        fault = fault.take().or_else(|| fault_of_field(element));
    });
    names.sort_unstable();
    let twice = names.windows(2).find(|pair| pair[0] == pair[1]).map(|pair| pair[0]);
    match () {
        () if fault.is_some() => Err(fault.expect("it was just seen")),
        () if actions == 0 => Err("The \"form\" element must have at least one \"Element\" that is an action button".to_string()),
        () if boxes > MAX_BOXES || radios > MAX_BOXES => {
            Err(format!("Element \"form\" cannot have more than {MAX_BOXES} of those"))
        }
        () => twice.map_or(Ok(()), |name| Err(format!("Duplicated name in the form: \"{name}\""))),
    }
}

fn fault_of_field(element: &Element) -> Option<String> {
    let number = |name: &str| element.attribute(name).and_then(|value| value.parse::<usize>().ok());
    match element.name.as_str() {
        "text-field"
            if own_text(element).chars().count() > MAX_TEXT_FIELD || number("maxlength").is_some_and(|n| n > MAX_TEXT_FIELD) =>
        {
            Some(format!("A text-field holds at most {MAX_TEXT_FIELD} characters"))
        }
        "button" if !matches!(element.attribute("type"), None | Some("action" | "reset")) => {
            Some("Attribute \"type\" is not allowed to have this value in a \"button\": [action, reset]".to_string())
        }
        "button"
            if element.attribute("type") != Some("reset")
                && element.attribute("name").is_none_or(|name| name.trim().is_empty()) =>
        {
            Some("Attribute \"name\" is required for action buttons".to_string())
        }
        "select" if element.elements().all(|child| child.name != "option") => {
            Some("A \"select\" needs at least one \"option\"".to_string())
        }
        _ => None,
    }
}

fn own_text(element: &Element) -> String {
    let texts = element.children.iter().filter_map(|node| match node {
        Node::Text(text) => Some(text.as_str()),
        Node::Element(_) => None,
    });
    texts.collect()
}

// --- entities ---

struct Entities<'a> {
    data: Map<String, Value>,
    next: usize,
    find: FindUser<'a>,
}

impl Entities<'_> {
    fn convert_children(&mut self, parent: &mut Element) -> Result<(), String> {
        for node in &mut parent.children {
            if let Node::Element(element) = node {
                self.convert(element)?;
            }
        }
        Ok(())
    }

    fn convert(&mut self, element: &mut Element) -> Result<(), String> {
        let (shown, entity) = match element.name.as_str() {
            "mention" => self.mention(element)?,
            "hash" => tag(element, "#", "org.symphonyoss.taxonomy", "org.symphonyoss.taxonomy.hashtag"),
            "cash" => tag(element, "$", "org.symphonyoss.fin.security", "org.symphonyoss.fin.security.id.ticker"),
            "emoji" => emoji(element),
            _ => return self.convert_children(element),
        };
        let id = self.add(entity);
        *element = span(&id, &shown);
        Ok(())
    }

    fn mention(&self, element: &Element) -> Result<(String, Value), String> {
        let (uid, email) = (element.attribute("uid"), element.attribute("email"));
        let uid = uid.map(|uid| uid.parse::<u64>().map_err(|_| format!("Invalid input: \"{uid}\" is no user id"))).transpose()?;
        let Some(user) = (self.find)(uid, email) else {
            if element.attribute("strict") == Some("false") {
                return Ok((
                    email.unwrap_or_default().to_string(),
                    json!({"type": "com.symphony.user.mention", "version": "1.0", "id": []}),
                ));
            }
            return Err("Failed to lookup user by the mention's uid or email".to_string());
        };
        Ok((format!("@{}", user.name), mention_entity(user.id)))
    }

    /// Stores the entity below the first free number.
    fn add(&mut self, entity: Value) -> String {
        while self.data.contains_key(&self.next.to_string()) {
            self.next += 1;
        }
        self.data.insert(self.next.to_string(), entity);
        self.next.to_string()
    }
}

/// The EntityJSON of one mention.
pub fn mention_entity(user: u64) -> Value {
    let id = json!([{"type": "com.symphony.user.userId", "value": user.to_string()}]);
    json!({"type": "com.symphony.user.mention", "version": "1.0", "id": id})
}

/// A mention as PresentationML shows it.
pub fn span(id: &str, shown: &str) -> Element {
    let attributes = [("class", "entity"), ("data-entity-id", id)].map(|(name, value)| (name.to_string(), value.to_string()));
    Element { name: "span".to_string(), attributes: attributes.to_vec(), children: vec![Node::Text(shown.to_string())] }
}

fn tag(element: &Element, sign: &str, kind: &str, id: &str) -> (String, Value) {
    let value = element.attribute("tag").unwrap_or_default();
    (format!("{sign}{value}"), json!({"type": kind, "version": "1.0", "id": [{"type": id, "value": value}]}))
}

fn emoji(element: &Element) -> (String, Value) {
    let code = element.attribute("shortcode").unwrap_or_default();
    (format!(":{code}:"), json!({"type": "com.symphony.emoji", "version": "1.0", "data": {"shortcode": code}}))
}

// --- reading back ---

/// The message as plain text: blocks and breaks as newlines, list items with bullets, buttons in brackets.
pub fn plain_text(presentation: &str) -> String {
    let mut out = String::new();
    if let Ok(root) = xml::parse(presentation) {
        add_plain(&root, &mut out);
    }
    out.trim().to_string()
}

fn add_plain(element: &Element, out: &mut String) {
    let name = element.name.as_str();
    match name {
        "br" => return out.push('\n'),
        "button" => return out.push_str(&format!("[{}] ", own_text(element).trim())),
        "text-field" | "textarea" | "select" => return,
        _ => {}
    }
    let block = BLOCKS.contains(&name);
    if block {
        break_line(out);
    }
    if name == "li" {
        out.push_str("• ");
    }
    for node in &element.children {
        match node {
            Node::Text(text) => out.push_str(text),
            Node::Element(child) => add_plain(child, out),
        }
    }
    if block {
        break_line(out);
    }
}

fn break_line(out: &mut String) {
    if !out.is_empty() && !out.ends_with('\n') {
        out.push('\n');
    }
}

/// The form with this id in a stored message.
pub fn form(presentation: &str, id: &str) -> Option<Element> {
    let root = xml::parse(presentation).ok()?;
    let mut found = None;
    root.walk(&mut |element| {
        if element.name == "form" && element.attribute("id") == Some(id) {
            found = Some(element.clone());
        }
    });
    found
}
