//! What a mistyped command or name probably meant.
use strsim::damerau_levenshtein;

/// COMMANDS §1: "up to three suggestions".
const MOST_SUGGESTIONS: usize = 3;
/// Nothing that we know is longer, and the cost of comparing grows with the length. In characters.
const LONGEST_COMPARED: usize = 64;
/// One mistake in each so many characters still counts as the same word.
const CHARACTERS_PER_MISTAKE: usize = 3;
/// A beginning or a part of a path is as good as a word with one mistake.
const COST_OF_A_PART: usize = 1;

/// Up to three of `among` that `typed` resembles, the nearest first; equals stay in the order given. `typed` may go on
/// with arguments: a candidate of two words is compared with the first two words.
pub fn suggest<'a>(typed: &str, among: impl Iterator<Item = &'a str>) -> Vec<String> {
    let typed: String = typed.trim().trim_start_matches('/').to_lowercase().chars().take(LONGEST_COMPARED).collect();
    let typed: Vec<&str> = typed.split_whitespace().collect();
    if typed.is_empty() {
        return Vec::new();
    }
    let mut near: Vec<(usize, &str)> = Vec::new();
    for candidate in among {
        if let Some(cost) = cost(&typed, &candidate.to_lowercase()) {
            let known = near.iter().any(|(_, other)| *other == candidate);
            near.extend((!known).then_some((cost, candidate)));
        }
    }
    near.sort_by_key(|(cost, _)| *cost);
    near.into_iter().take(MOST_SUGGESTIONS).map(|(_, candidate)| candidate.to_owned()).collect()
}

/// `None` where the candidate is too far off to be meant.
fn cost(typed: &[&str], candidate: &str) -> Option<usize> {
    let words: Vec<&str> = candidate.split_whitespace().collect();
    let start = typed[..typed.len().min(words.len())].join(" ");
    let glued = typed[0].split(['-', '_', '.']).collect::<Vec<_>>().join(" ");
    let swapped = words.iter().rev().copied().collect::<Vec<_>>().join(" ");
    let whole = [
        by_letters(&start, candidate),
        by_letters(&glued, candidate),
        by_letters(&start, &swapped).map(|cost| cost + usize::from(words.len() > 1)),
    ];
    let part = (words.len() > 1).then(|| by_part(typed, &words)).flatten();
    let beginning = (start.chars().count() >= 2 && candidate.starts_with(&start)).then_some(COST_OF_A_PART);
    whole.into_iter().chain([part, beginning]).flatten().min()
}

fn by_letters(typed: &str, candidate: &str) -> Option<usize> {
    let distance = damerau_levenshtein(typed, candidate);
    let longer = typed.chars().count().max(candidate.chars().count());
    (distance <= (longer / CHARACTERS_PER_MISTAKE).max(1) && distance < candidate.chars().count()).then_some(distance)
}

/// Only the noun, or only the verb, is right: "/contact", "/add Ann Lee", "/contact delete".
fn by_part(typed: &[&str], words: &[&str]) -> Option<usize> {
    let nearest = words.iter().filter_map(|word| by_letters(typed[0], word)).min()?;
    let second = typed.get(1).zip(words.get(1)).map_or(0, |(typed, word)| damerau_levenshtein(typed, word));
    Some(COST_OF_A_PART + nearest * 2 + second)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PATHS: [&str; 14] = [
        "help",
        "whoami",
        "contact add",
        "contact list",
        "contact show",
        "contact edit",
        "contact remove",
        "optin send",
        "optin resend",
        "room create",
        "room list",
        "template send",
        "queue cancel",
        "window",
    ];

    fn first(typed: &str) -> Option<String> {
        suggest(typed, PATHS.into_iter()).into_iter().next()
    }

    #[test]
    fn a_mistyped_path_leads_to_the_one_that_was_meant() {
        let rows = [
            ("hlep", "help"),
            ("/hepl me", "help"),
            ("whomai", "whoami"),
            ("contcat add Ann Lee", "contact add"),
            ("contact ad", "contact add"),
            ("contact-add", "contact add"),
            ("contactadd", "contact add"),
            ("Contact Lsit", "contact list"),
            ("add contact", "contact add"),
            ("optin resned", "optin resend"),
            ("templates send", "template send"),
            ("que cancel", "queue cancel"),
            ("windows", "window"),
            ("win", "window"),
            ("room craete", "room create"),
        ];
        for (typed, expected) in rows {
            assert_eq!(first(typed).as_deref(), Some(expected), "{typed}");
        }
    }

    #[test]
    fn at_most_three_are_suggested_each_once() {
        let found = suggest("contact", PATHS.into_iter().chain(PATHS));
        assert_eq!(found, ["contact add", "contact list", "contact show"]);
        assert_eq!(suggest("add Ann Lee", PATHS.into_iter())[0], "contact add");
    }

    #[test]
    fn what_resembles_nothing_gets_no_suggestion() {
        for typed in ["", "  ", "/", "xyzzy", "good morning Ann", "1234567"] {
            assert_eq!(suggest(typed, PATHS.into_iter()), Vec::<String>::new(), "{typed}");
        }
    }

    #[test]
    fn names_are_found_as_well() {
        assert_eq!(suggest("Ann Le", ["Bob Ray", "Ann Lee"].into_iter()), ["Ann Lee"]);
        assert_eq!(suggest("Jörg Muller", ["Jörg Müller"].into_iter()), ["Jörg Müller"]);
    }

    proptest! {
        #[test]
        fn any_text_is_compared_without_a_panic(typed in "\\PC{0,200}") {
            prop_assert!(suggest(&typed, PATHS.into_iter()).len() <= 3);
        }
    }
}
