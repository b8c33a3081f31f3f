//! What stands on a line beyond what its command takes is refused by name before anything is done: a command does what it says,
//! or it changes nothing and says why.
use super::{ANY, Command, Given, TEXT};
use crate::domain::grammar::{Args, Kind, Value, Word};
use crate::domain::refusal::Refusal;

/// Which colleagues a command takes outside of keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum People {
    Nobody,
    /// One, who is the first positional argument.
    One,
    /// One, in the place of whose mention a text may stand: an address, or a client.
    OneOrText,
    /// As many as are named, besides the positional arguments.
    Several,
}

/// Keys whose lists may stand in several parts; of another key's two values one would be lost.
const MAY_REPEAT: [&str; 2] = ["contacts", "advisors"];

/// Line and form alike: every argument has its place in the command.
pub fn all_have_a_place(given: &Given) -> Result<(), Refusal> {
    let (command, args) = (given.command, &given.args);
    keys_and_flags_are_known(command, args)?;
    if command.keys.contains(&ANY) {
        return Ok(());
    }
    keys_are_given_once(command, args)?;
    colleagues_in_keys_are_known(command, args)?;
    let unknown = args.positional.iter().find(|word| command.positional != [TEXT] && names_nobody(word));
    if let Some(word) = unknown {
        let why = "is not known to me; choose colleagues from the list that @ opens, or write the whole address behind it";
        return Err(Refusal::bad_argument(&word.text, why, command.example));
    }
    let mut places = Places::of(command, args);
    match args.positional.iter().find(|word| !places.take(word)) {
        Some(word) => Err(too_many(command, word)),
        None => Ok(()),
    }
}

fn keys_and_flags_are_known(command: &Command, args: &Args) -> Result<(), Refusal> {
    let takes = |known: &[&str], name: &str| known.contains(&name) || known.contains(&ANY);
    // A template has parameters of its own, which only its command knows.
    let unknown_key = args.keys.keys().find(|key| !takes(command.keys, key) && command.path != "template send");
    if let Some(key) = unknown_key {
        return Err(Refusal::bad_argument(key, "is not known here", command.usage));
    }
    match args.flags.iter().find(|flag| !takes(command.flags, flag)) {
        Some(flag) => Err(Refusal::bad_argument(&format!("--{flag}"), "is not known here", command.usage)),
        None => Ok(()),
    }
}

fn keys_are_given_once(command: &Command, args: &Args) -> Result<(), Refusal> {
    let twice = args.keys.iter().find(|(key, values)| values.len() > 1 && !MAY_REPEAT.contains(&key.as_str()));
    twice.map_or(Ok(()), |(key, _)| Err(Refusal::bad_argument(key, "is given twice", command.example)))
}

/// A colleague who is misspelt would be left out without a word.
fn colleagues_in_keys_are_known(command: &Command, args: &Args) -> Result<(), Refusal> {
    let named = args.keys.iter().filter(|(key, _)| command.people_in.contains(&key.as_str()));
    let unknown = |value: &&Value| !value.text.is_empty() && (value.who.is_empty() || value.parts.len() > value.who.len());
    for (key, values) in named {
        if let Some(value) = values.iter().find(unknown) {
            let why = format!("(“{}”) names somebody who is not known to me", value.text);
            return Err(Refusal::bad_argument(key, why, command.example));
        }
    }
    Ok(())
}

/// Typed like a mention, and none: of whoever was meant the platform told nothing.
fn names_nobody(word: &Word) -> bool {
    word.kind == Kind::Plain && word.is_like_a_mention()
}

fn too_many(command: &Command, word: &Word) -> Refusal {
    let word_shown = format!("“{}”", word.text);
    let (argument, why) = if word.who().is_some() {
        (word_shown.as_str(), "is a colleague too many".to_owned())
    } else if command.people == People::One {
        ("colleague", format!("({word_shown}) is named with @, and nothing else stands here"))
    } else {
        (word_shown.as_str(), "is a word too many; put names and values with spaces in quotes".to_owned())
    };
    Refusal::bad_argument(argument, why, command.example)
}

/// How much a command takes still, while its words are looked through in their order.
struct Places {
    people: usize,
    texts: usize,
    /// For a colleague or a text.
    either: usize,
}

impl Places {
    fn of(command: &Command, args: &Args) -> Places {
        // What is given by its name is not given once more by its place.
        let by_place = command.positional.iter().filter(|name| !args.keys.contains_key(**name)).count();
        let texts = if command.several { usize::MAX } else { by_place };
        match command.people {
            People::Nobody => Places { people: 0, texts, either: 0 },
            People::One => Places { people: 1, texts: texts.saturating_sub(1), either: 0 },
            People::OneOrText => Places { people: 0, texts: texts.saturating_sub(1), either: 1 },
            People::Several => Places { people: usize::MAX, texts, either: 0 },
        }
    }

    /// False: there is no place left for it.
    fn take(&mut self, word: &Word) -> bool {
        let own = if word.who().is_some() { &mut self.people } else { &mut self.texts };
        let left = if *own > 0 { own } else { &mut self.either };
        let fits = *left > 0;
        *left = left.saturating_sub(1);
        fits
    }
}
