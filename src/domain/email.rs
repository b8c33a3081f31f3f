//! E-mail addresses as people type and paste them, in the form in which they are compared (S0-32).
use serde::{Deserialize, Serialize};

/// RFC 5321 §4.5.3.1 with RFC 3696, erratum 1690. In bytes.
const LONGEST_ADDRESS: usize = 254;
/// RFC 5321 §4.5.3.1.1. In bytes.
const LONGEST_LOCAL_PART: usize = 64;
/// RFC 1035 §2.3.4. In bytes.
const LONGEST_LABEL: usize = 63;

/// Why a text is no e-mail address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "kebab-case")]
pub enum EmailProblem {
    #[error("it is empty")]
    Empty,
    #[error("it is too long")]
    TooLong,
    #[error("it has a space in it")]
    HasSpaces,
    #[error("it has no @")]
    NoAt,
    #[error("it has more than one @")]
    ManyAts,
    #[error("it has no mailbox before the @")]
    NoMailbox,
    #[error("it has no domain behind the @")]
    NoDomain,
}

/// Trimmed, case-folded, without `mailto:` and the brackets of "Ann Lee <ann@lee.de>".
pub fn canonical(typed: &str) -> Result<String, EmailProblem> {
    let address = bare(typed).to_lowercase();
    if address.is_empty() {
        return Err(EmailProblem::Empty);
    }
    if address.len() > LONGEST_ADDRESS {
        return Err(EmailProblem::TooLong);
    }
    if address.contains(|c: char| c.is_whitespace() || c.is_control() || is_unseen(c)) {
        return Err(EmailProblem::HasSpaces);
    }
    let (local, domain) = address.split_once('@').ok_or(EmailProblem::NoAt)?;
    if domain.contains('@') {
        return Err(EmailProblem::ManyAts);
    }
    if !is_mailbox(local) {
        return Err(EmailProblem::NoMailbox);
    }
    if !is_domain(domain) {
        return Err(EmailProblem::NoDomain);
    }
    Ok(address)
}

/// The address itself out of what was pasted around it.
fn bare(typed: &str) -> &str {
    let edge = |c: char| c.is_whitespace() || is_unseen(c) || matches!(c, ',' | ';');
    let text = typed.trim_matches(edge);
    let text = match (text.rfind('<'), text.ends_with('>')) {
        (Some(open), true) => text[open + 1..text.len() - 1].trim_matches(edge),
        (Some(_), false) | (None, _) => text,
    };
    let scheme = text.get(..7).is_some_and(|start| start.eq_ignore_ascii_case("mailto:"));
    let text = if scheme { text[7..].split('?').next().unwrap_or_default() } else { text };
    text.trim_matches(edge).trim_end_matches('.')
}

fn is_mailbox(local: &str) -> bool {
    let known = |c: char| c.is_alphanumeric() || "!#$%&'*+/=?^_`{|}~-.".contains(c);
    let dots = local.starts_with('.') || local.ends_with('.') || local.contains("..");
    !local.is_empty() && local.len() <= LONGEST_LOCAL_PART && !dots && local.chars().all(known)
}

fn is_domain(domain: &str) -> bool {
    let numbers_only = domain.rsplit('.').next().is_some_and(|last| last.bytes().all(|b| b.is_ascii_digit()));
    domain.contains('.') && !numbers_only && domain.split('.').all(is_label)
}

fn is_label(label: &str) -> bool {
    let dashed = label.starts_with('-') || label.ends_with('-');
    let length = (1..=LONGEST_LABEL).contains(&label.len());
    length && !dashed && label.chars().all(|c| c.is_alphanumeric() || c == '-')
}

fn is_unseen(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn s0_32_addresses_are_trimmed_and_case_folded() {
        let rows = [
            ("ann@lee.de", "ann@lee.de"),
            ("  Ann.Lee@Lee.DE\n", "ann.lee@lee.de"),
            ("\u{a0}ann@lee.de\u{200b}", "ann@lee.de"),
            ("mailto:ann@lee.de", "ann@lee.de"),
            ("MAILTO:Ann@Lee.de?subject=Hello", "ann@lee.de"),
            ("<ann@lee.de>", "ann@lee.de"),
            ("Ann Lee <ann@lee.de>", "ann@lee.de"),
            ("<mailto:ann@lee.de>,", "ann@lee.de"),
            ("ann@lee.de;", "ann@lee.de"),
            ("ann@lee.de.", "ann@lee.de"),
            ("ann+bank@mail.lee.co.uk", "ann+bank@mail.lee.co.uk"),
            ("o'hara@lee.ie", "o'hara@lee.ie"),
            ("jörg@müller.de", "jörg@müller.de"),
            ("JÖRG@MÜLLER.DE", "jörg@müller.de"),
        ];
        for (typed, expected) in rows {
            assert_eq!(canonical(typed).as_deref(), Ok(expected), "{typed:?}");
        }
    }

    #[test]
    fn what_is_no_address_is_refused_with_the_reason() {
        use EmailProblem::*;
        let long = format!("{}@lee.de", "a.".repeat(130));
        let rows = [
            ("", Empty),
            (" <> ", Empty),
            ("mailto:", Empty),
            ("ann", NoAt),
            ("+4915112345678", NoAt),
            ("ann@bob@lee.de", ManyAts),
            ("ann lee@lee.de", HasSpaces),
            ("ann\u{a0}lee@lee.de", HasSpaces),
            ("ann\u{7}@lee.de", HasSpaces),
            ("a\u{200b}nn@lee.de", HasSpaces),
            ("@lee.de", NoMailbox),
            (".ann@lee.de", NoMailbox),
            ("a..nn@lee.de", NoMailbox),
            ("\"ann\"@lee.de", NoMailbox),
            ("ann@", NoDomain),
            ("ann@lee", NoDomain),
            ("ann@lee..de", NoDomain),
            ("ann@-lee.de", NoDomain),
            ("ann@10.0.0.1", NoDomain),
            ("ann@lee.de,bob@lee.de", ManyAts),
            (long.as_str(), TooLong),
        ];
        for (typed, expected) in rows {
            assert_eq!(canonical(typed), Err(expected), "{typed:?}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic_and_read_alike_again(typed in "\\PC{0,20}@?\\PC{0,20}|[a-zA-ZÀ-Ž.]{1,8}@[a-zA-Z]{1,8}\\.[a-z]{2,3}") {
            if let Ok(address) = canonical(&typed) {
                prop_assert_eq!(canonical(&address), Ok(address));
            }
        }
    }
}
