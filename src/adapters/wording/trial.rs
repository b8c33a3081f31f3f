//! Fills a chat template on trial, whatever it is about: what is broken in it shows before somebody waits for its line.
use super::render;
use jiff::tz::TimeZone;
use minijinja::value::{Enumerator, Object, ObjectRepr};
use minijinja::{Environment, Error, ErrorKind, UndefinedBehavior, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Pairs of values that one template chooses its words by. Of more the first are tried: each costs a rendering at every start.
const MOST_PAIRS: usize = 200;
/// What a value reads as.
const SAMPLE: &str = "Name";

/// The engine of the real lines, but forgiving: nobody knows here what a template gets, so what is missing is nothing and
/// filters take anything.
pub(super) fn environment() -> Environment<'static> {
    let mut environment = render::environment(TimeZone::UTC);
    environment.set_undefined_behavior(UndefinedBehavior::Chainable);
    for filter in ["time", "span", "plural", "attribute"] {
        environment.add_filter(filter, |_: Value, _: Option<Value>, _: Option<Value>| SAMPLE);
    }
    environment
}

/// Everything that the template reads as with nothing, with all there could be, and with each value, and each two of them, by
/// which it chooses its words. What only shows that a made-up value does not fit is left out.
pub(super) fn renderings(environment: &Environment, key: &str, body: &str) -> Result<Vec<String>, String> {
    let template = environment.get_template(key).map_err(|error| error.to_string())?;
    let mut rendered = Vec::new();
    for values in assignments(body) {
        match template.render(values) {
            Ok(text) => rendered.push(text),
            Err(error) if is_the_templates_fault(&error) => return Err(error.to_string()),
            Err(_) => {}
        }
    }
    Ok(rendered)
}

/// Whatever the values, this can never be filled.
fn is_the_templates_fault(error: &Error) -> bool {
    use ErrorKind::*;
    let certain = matches!(error.kind(), UnknownFilter | UnknownTest | UnknownFunction | TemplateNotFound | SyntaxError);
    let within = std::error::Error::source(error).and_then(|source| source.downcast_ref::<Error>());
    certain || within.is_some_and(is_the_templates_fault)
}

fn assignments(body: &str) -> Vec<Value> {
    let choices: Vec<Choice> = choices(body).into_iter().collect();
    let one = choices.iter().map(|choice| anything([choice]));
    let two = choices.iter().enumerate().flat_map(|(nth, first)| choices[nth + 1..].iter().map(move |second| (first, second)));
    let two = two.filter(|(first, second)| first.0 != second.0).take(MOST_PAIRS).map(|(first, second)| anything([first, second]));
    [Value::from(BTreeMap::<String, Value>::new()), anything([])].into_iter().chain(one).chain(two).collect()
}

/// A variable, or the last part of one, and a value with which the template compares it.
type Choice = (String, String);

/// From the template's own text: `gate == "window"`, `one.why != "busy"`, `state in ["sent", …]`.
fn choices(body: &str) -> BTreeSet<Choice> {
    let mut found = BTreeSet::new();
    for operator in ["==", "!=", " in ["] {
        let mut rest = body;
        while let Some((before, after)) = rest.split_once(operator) {
            found.extend(name_at_the_end(before).zip(text_at_the_beginning(after)));
            rest = after;
        }
    }
    found
}

fn name_at_the_end(text: &str) -> Option<String> {
    let text = text.trim_end();
    let start = text.rfind(|c: char| !(c.is_alphanumeric() || c == '_')).map_or(0, |at| at + 1);
    let start = start + text[start..].find(char::is_alphanumeric)?;
    Some(text[start..].to_owned())
}

fn text_at_the_beginning(text: &str) -> Option<String> {
    let mut quote = text.trim_start().chars();
    let mark = quote.next().filter(|c| ['"', '\''].contains(c))?;
    quote.as_str().split_once(mark).map(|(text, _)| text.to_owned())
}

fn anything<'c>(choices: impl IntoIterator<Item = &'c Choice>) -> Value {
    Value::from_object(Anything { chosen: choices.into_iter().cloned().collect() })
}

/// True, a list of one like itself, with every attribute; those that were chosen are texts.
#[derive(Debug)]
struct Anything {
    chosen: BTreeMap<String, String>,
}

impl Object for Anything {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Iterable
    }
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let chosen = key.as_str().and_then(|name| self.chosen.get(name));
        Some(chosen.map_or_else(|| Value::from_dyn_object(Arc::clone(self)), Value::from))
    }
    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Values(vec![Value::from_dyn_object(Arc::clone(self))])
    }
    fn is_true(self: &Arc<Self>) -> bool {
        true
    }
    fn render(self: &Arc<Self>, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(SAMPLE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tried(body: &str) -> Result<Vec<String>, String> {
        let mut environment = environment();
        environment.add_template_owned("chat/x".to_owned(), body.to_owned()).unwrap();
        renderings(&environment, "chat/x", body)
    }

    #[test]
    fn every_branch_is_read_also_below_another() {
        let body = "{% if gate == \"window\" %}A{% elif gate == 'consent' and one.why != \"busy\" %}B{% elif gate == \"consent\" %}C\
                    {% elif state in [\"sent\"] %}D{% elif list %}{% for x in list %}{{ x.name }}{% endfor %}{% else %}E{% endif %}";
        let read: BTreeSet<String> = tried(body).unwrap().into_iter().collect();
        assert_eq!(read.iter().map(String::as_str).collect::<Vec<_>>(), ["A", "B", "C", "D", "E", "Name"]);
    }

    #[test]
    fn numbers_times_and_lists_are_read_without_any() {
        let body =
            "{{ at | time }} {{ count | plural(\"message\") }} {{ names | join(\", \") }} {{ names | length }} {{ text[0] }}";
        assert!(tried(body).unwrap().contains(&"Name Name Name 1 Name".to_owned()), "{:?}", tried(body));
        assert_eq!(tried("{{ count + 1 }}"), Ok(vec![]), "a made-up value that does not fit is nobody's mistake");
    }

    #[test]
    fn what_can_never_be_filled_is_told() {
        for body in ["{{ name | shout }}", "{% if name is loud %}x{% endif %}", "{% include \"chat/gone.en\" %}"] {
            assert!(tried(body).is_err(), "{body}");
        }
    }
}
