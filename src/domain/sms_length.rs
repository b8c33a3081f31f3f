//! How long a text is as an SMS: its encoding, and the parts in which the network carries it.

/// Twilio's limit for one message of several parts, in UTF-16 units (error 21617).
pub const SMS_MAX: usize = 1_600;
/// Septets of a message of one part, and of each of several, which begin with a header (3GPP TS 23.040).
const GSM7_ALONE: usize = 160;
const GSM7_PART: usize = 153;
/// UTF-16 units likewise.
const UCS2_ALONE: usize = 70;
const UCS2_PART: usize = 67;

/// The basic alphabet of 3GPP TS 23.038, without the escape.
const BASIC: &str = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà";
/// These cost two septets: an escape and a character.
const EXTENSION: &str = "\u{c}^{}\\[~]|€";

/// How the network writes a text down; one character outside the small alphabet changes all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    Gsm7,
    Ucs2,
}

/// In how many parts the text leaves, at least one, and how it is written. What is written of one character stays in one part.
pub fn parts(text: &str) -> (usize, Encoding) {
    let septets: Option<Vec<usize>> = text.chars().map(septets).collect();
    match septets {
        Some(costs) => (parts_of(&costs, GSM7_ALONE, GSM7_PART), Encoding::Gsm7),
        None => {
            let costs: Vec<usize> = text.chars().map(char::len_utf16).collect();
            (parts_of(&costs, UCS2_ALONE, UCS2_PART), Encoding::Ucs2)
        }
    }
}

/// As `SMS_MAX` counts: an emoji is two or more.
pub fn length(text: &str) -> usize {
    text.chars().map(char::len_utf16).sum()
}

/// `None` for a character that the small alphabet does not have.
fn septets(c: char) -> Option<usize> {
    if BASIC.contains(c) {
        return Some(1);
    }
    EXTENSION.contains(c).then_some(2)
}

fn parts_of(costs: &[usize], alone: usize, part: usize) -> usize {
    if costs.iter().sum::<usize>() <= alone {
        return 1;
    }
    let (mut parts, mut filled) = (1, 0);
    for cost in costs {
        if filled + cost > part {
            parts += 1;
            filled = 0;
        }
        filled += cost;
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::Encoding::*;
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn parts_by_length_and_alphabet() {
        let rows = [
            (String::new(), (1, Gsm7)),
            ("Good morning".to_owned(), (1, Gsm7)),
            ("a".repeat(160), (1, Gsm7)),
            ("a".repeat(161), (2, Gsm7)),
            ("a".repeat(306), (2, Gsm7)),
            ("a".repeat(307), (3, Gsm7)),
            ("€".repeat(80), (1, Gsm7)),
            ("€".repeat(81), (2, Gsm7)),
            // 153 is odd: an escape and its character are never torn, so that 76 of them fill a part.
            ("€".repeat(152), (2, Gsm7)),
            ("€".repeat(153), (3, Gsm7)),
            (format!("{}€{}", "a".repeat(152), "a".repeat(152)), (3, Gsm7)),
            (format!("{}\u{c}", "a".repeat(158)), (1, Gsm7)),
            (format!("{}\u{c}", "a".repeat(159)), (2, Gsm7)),
            ("äöüÄÖÜßàéèìòùñÑÇ§¿¡£¥".to_owned(), (1, Gsm7)),
            // Only the capital cedilla is there, and no accents of the other kind.
            ("ç".to_owned(), (1, Ucs2)),
            ("á".to_owned(), (1, Ucs2)),
            ("’".to_owned(), (1, Ucs2)),
            ("`".to_owned(), (1, Ucs2)),
            ("\t".to_owned(), (1, Ucs2)),
            (format!("{}’", "a".repeat(69)), (1, Ucs2)),
            (format!("{}’", "a".repeat(70)), (2, Ucs2)),
            ("あ".repeat(134), (2, Ucs2)),
            ("あ".repeat(135), (3, Ucs2)),
            ("👍".repeat(35), (1, Ucs2)),
            // 67 is odd: half an emoji is never the end of a part.
            ("👍".repeat(66), (2, Ucs2)),
            ("👍".repeat(67), (3, Ucs2)),
        ];
        for (text, expected) in rows {
            assert_eq!(parts(&text), expected, "{} characters of {:?}", text.chars().count(), text.chars().next());
        }
    }

    #[test]
    fn the_request_for_consent_of_the_notes_takes_two_parts() {
        let request = "Acme Wealth: your advisor Jane Doe would like to text you. Reply YES to agree. Msg frequency varies. \
                       Msg & data rates may apply. Reply HELP for help, STOP to opt out.";
        assert_eq!((length(request), parts(request)), (166, (2, Gsm7)));
    }

    #[test]
    fn the_alphabet_has_its_128_characters() {
        // 127 and the escape; none stands in both.
        assert_eq!(BASIC.chars().count(), 127);
        assert!(EXTENSION.chars().all(|c| !BASIC.contains(c)));
    }

    proptest! {
        #[test]
        fn parts_hold_the_whole_text_and_are_not_too_many(text in "(\\PC|[a-z€{}^ ]){0,700}") {
            let (count, encoding) = parts(&text);
            let (units, alone, part) = match encoding {
                Gsm7 => (text.chars().map(|c| septets(c).expect("of the alphabet")).sum::<usize>(), 160, 153),
                Ucs2 => (text.encode_utf16().count(), 70, 67),
            };
            prop_assert_eq!(count == 1, units <= alone);
            if count > 1 {
                // At most one unit of each part stays empty.
                prop_assert!(count >= units.div_ceil(part) && count <= units.div_ceil(part - 1));
            }
        }

        #[test]
        fn more_text_is_never_fewer_parts(text in "(\\PC|[a-z€]){0,300}", more in "\\PC{0,50}") {
            let longer = format!("{text}{more}");
            prop_assert!(parts(&text).0 <= parts(&longer).0);
        }

        #[test]
        fn the_length_is_that_of_utf_16(text in "\\PC{0,300}") {
            prop_assert_eq!(length(&text), text.encode_utf16().count());
        }
    }
}
