//! Phone numbers as people type and paste them, made into E.164 (S0-32).
use crate::domain::ids::Phone;
use rlibphonenumber::{
    NumberLengthType, PHONE_NUMBER_UTIL, ParseError, PhoneNumber, PhoneNumberFormat, ValidationError, enums::Region,
};
use serde::{Deserialize, Serialize};

/// The longest thing that can still be one number with all its spaces and brackets, in characters.
const LONGEST_TYPED: usize = 64;
/// E.164.
const MOST_DIGITS: usize = 15;
/// In Italy and San Marino the zero in "(0)" belongs to the number.
const ZERO_IS_DIALLED: [&str; 2] = ["+39", "+378"];

/// Why a text is no phone number that can be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "kebab-case")]
pub enum PhoneProblem {
    #[error("it is too short")]
    TooShort,
    #[error("it is too long")]
    TooLong,
    #[error("it is not a phone number")]
    NotANumber,
    #[error("its country code is unknown")]
    UnknownCountry,
    #[error("its country has no numbers of this length")]
    NotPossible,
}

impl PhoneProblem {
    /// For the text of a refusal, after "Not a number that can be reached:".
    pub fn reason(self) -> &'static str {
        match self {
            PhoneProblem::TooShort => "it is too short",
            PhoneProblem::TooLong => "it is too long",
            PhoneProblem::NotANumber => "it is not a phone number",
            PhoneProblem::UnknownCountry => "its country code is unknown",
            PhoneProblem::NotPossible => "its country has no numbers of this length",
        }
    }
}

/// The number in E.164. `default_region` ("US") is the country of numbers typed without a country code. The bar is a
/// *possible* number, not one that is known to be assigned: the lists of assigned ranges lag behind the world.
pub fn canonical(typed: &str, default_region: &str) -> Result<Phone, PhoneProblem> {
    let dialled = dialled(typed)?;
    let region = default_region.trim().to_uppercase().parse::<Region>().ok();
    if region.is_none() && !dialled.starts_with('+') {
        return Err(PhoneProblem::UnknownCountry);
    }
    let dialled = without_old_mobile_prefix(dialled);
    let number = PHONE_NUMBER_UTIL.parse(&dialled, region).map_err(|error| because_of(&error))?;
    possible(&number)?;
    Phone::from_e164(&number.format_as(PhoneNumberFormat::E164)).ok_or(PhoneProblem::NotPossible)
}

/// Whether these two letters are a country, or a part of one, that has telephone numbers of its own.
pub fn is_region(letters: &str) -> bool {
    letters.parse::<Region>().is_ok_and(|region| PHONE_NUMBER_UTIL.get_supported_regions().any(|known| known == region))
}

/// How the same line may be written too, where dialling and WhatsApp do not agree: mobiles of Brazil with or without the 9
/// before an old number, of Argentina with or without the 9 before the area, of Mexico with or without the 1.
///
/// It is for finding only: WhatsApp treats a number as a name and derives nothing from it, so none is ever rewritten.
pub fn other_writing(number: &Phone) -> Option<Phone> {
    let digits = number.digits();
    let (country, rest) = digits.split_at_checked(2)?;
    let other = match (country, rest.len()) {
        // Only numbers that were mobiles before the 9 came; otherwise the same digits may be somebody's landline.
        ("55", 11) if rest[2..].starts_with('9') && was_a_mobile(&rest[3..]) => format!("55{}{}", &rest[..2], &rest[3..]),
        ("55", 10) if was_a_mobile(&rest[2..]) => format!("55{}9{}", &rest[..2], &rest[2..]),
        ("54", 11) if rest.starts_with('9') => format!("54{}", &rest[1..]),
        ("54", 10) => format!("549{rest}"),
        ("52", 11) if rest.starts_with('1') => format!("52{}", &rest[1..]),
        ("52", 10) => format!("521{rest}"),
        _ => return None,
    };
    Phone::from_e164(&format!("+{other}"))
}

/// Brazilian mobiles of eight digits began so.
fn was_a_mobile(subscriber: &str) -> bool {
    subscriber.starts_with(['6', '7', '8', '9'])
}

/// One of the firm's own numbers: only the shape of E.164 is asked for (INTERFACES §2).
pub fn firms_own(text: &str) -> Result<Phone, PhoneProblem> {
    let digits = text.trim().strip_prefix('+').ok_or(PhoneProblem::UnknownCountry)?;
    if !digits.bytes().all(|b| b.is_ascii_digit()) || digits.starts_with('0') {
        return Err(PhoneProblem::NotANumber);
    }
    let length = if digits.len() > MOST_DIGITS { PhoneProblem::TooLong } else { PhoneProblem::TooShort };
    Phone::from_e164(text.trim()).ok_or(length)
}

/// Mexico put a 1 before its mobiles until 2019; people and WhatsApp still write it.
fn without_old_mobile_prefix(dialled: String) -> String {
    match dialled.strip_prefix("+521") {
        Some(rest) if rest.len() == 10 => format!("+52{rest}"),
        Some(_) | None => dialled,
    }
}

/// Only "+" and ASCII digits, so that nothing else ever reaches the library.
fn dialled(typed: &str) -> Result<String, PhoneProblem> {
    if typed.chars().count() > LONGEST_TYPED {
        return Err(PhoneProblem::TooLong);
    }
    let seen: String = typed.chars().filter(|c| !is_unseen(*c)).collect();
    let mut number = String::new();
    for c in without_scheme(seen.trim()).chars() {
        match (digit(c), c) {
            (Some(digit), _) => number.push(digit),
            (None, '+' | '＋') if number.is_empty() => number.push('+'),
            (None, '(') if number.starts_with('+') => number.push('('),
            (None, ')') if number.contains('(') => number.push(')'),
            (None, c) if is_separator(c) => {}
            (None, _) => return Err(PhoneProblem::NotANumber),
        }
    }
    let number = with_plus(number);
    if number.contains(|c: char| c.is_ascii_digit()) { Ok(number) } else { Err(PhoneProblem::NotANumber) }
}

/// "0049 151" is "+49 151", and the "(0)" that is dialled only within the country goes.
fn with_plus(number: String) -> String {
    let number = match number.strip_prefix("00") {
        Some(rest) => format!("+{rest}"),
        None => number,
    };
    let zero_stays = ZERO_IS_DIALLED.iter().any(|code| number.starts_with(code));
    let number = if zero_stays || !number.starts_with('+') { number } else { number.replacen("(0)", "", 1) };
    number.replace(['(', ')'], "")
}

fn without_scheme(text: &str) -> &str {
    let scheme = text.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("tel:"));
    if scheme { &text[4..] } else { text }
}

fn possible(number: &PhoneNumber) -> Result<(), PhoneProblem> {
    match number.is_possible_with_reason() {
        Ok(NumberLengthType::IsPossible) if number.national_number > 0 => Ok(()),
        Ok(NumberLengthType::IsPossible) => Err(PhoneProblem::NotANumber),
        // Without an area code nobody abroad can reach it.
        Ok(NumberLengthType::IsPossibleLocalOnly) => Err(PhoneProblem::TooShort),
        Err(ValidationError::InvalidCountryCode) => Err(PhoneProblem::UnknownCountry),
        Err(ValidationError::TooShort) => Err(PhoneProblem::TooShort),
        Err(ValidationError::InvalidLength) => Err(PhoneProblem::NotPossible),
        Err(ValidationError::TooLong) => Err(PhoneProblem::TooLong),
    }
}

fn because_of(error: &ParseError) -> PhoneProblem {
    match error {
        ParseError::InvalidCountryCode => PhoneProblem::UnknownCountry,
        ParseError::NotANumber(_) => PhoneProblem::NotANumber,
        ParseError::TooShortAfterIdd | ParseError::TooShortNsn => PhoneProblem::TooShort,
        ParseError::TooLongNsn => PhoneProblem::TooLong,
    }
}

/// The digits of full-width, Arabic, Persian and Devanagari keyboards count as ours.
fn digit(c: char) -> Option<char> {
    let zeros = ['0', '０', '٠', '۰', '०'];
    let value = zeros.iter().find_map(|zero| (c as u32).checked_sub(*zero as u32).filter(|value| *value < 10))?;
    char::from_digit(value, 10)
}

fn is_separator(c: char) -> bool {
    c.is_whitespace() || matches!(c, '(' | ')' | '.' | '/' | '·' | '-' | '‐' | '‑' | '‒' | '–' | '—' | '―' | '−' | '－')
}

/// Direction marks and zero-width characters come with numbers that are copied from contact cards.
fn is_unseen(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn s0_32_any_usual_writing_becomes_the_same_number() {
        let rows = [
            ("+4915112345678", "US", "+4915112345678"),
            ("+49 151 12345678", "US", "+4915112345678"),
            ("+49 (0)151 12345678", "US", "+4915112345678"),
            ("+49(0) 151/123-456.78", "US", "+4915112345678"),
            ("0049 151 12345678", "US", "+4915112345678"),
            ("0049 (0) 151 12345678", "DE", "+4915112345678"),
            ("0151 12345678", "DE", "+4915112345678"),
            ("(0151) 12345678", "de", "+4915112345678"),
            ("tel:+49-151-12345678", "US", "+4915112345678"),
            ("TEL: +49 151 12345678", "US", "+4915112345678"),
            ("\u{202a}+49\u{a0}151\u{a0}12345678\u{202c}", "US", "+4915112345678"),
            ("\u{200e}+49 151\u{202f}12345678 ", "US", "+4915112345678"),
            ("＋４９ １５１ １２３４５６７８", "US", "+4915112345678"),
            ("+٤٩ ١٥١ ١٢٣٤٥٦٧٨", "US", "+4915112345678"),
            ("+49–151–12345678", "US", "+4915112345678"),
            ("(+49) 151 12345678", "US", "+4915112345678"),
            ("+12025550123", "DE", "+12025550123"),
            ("(202) 555-0123", "US", "+12025550123"),
            ("202.555.0123", "US", "+12025550123"),
            ("1-202-555-0123", "US", "+12025550123"),
            ("+1 (202) 555-0123", "US", "+12025550123"),
            ("+15550100001", "US", "+15550100001"),
            ("+15550783881", "US", "+15550783881"),
            ("+44 (0)20 7946 0958", "US", "+442079460958"),
            ("020 7946 0958", "GB", "+442079460958"),
            ("+41 (0)44 668 18 00", "US", "+41446681800"),
            ("+33 6 12 34 56 78", "US", "+33612345678"),
            ("+39 06 698 12345", "US", "+390669812345"),
            ("+39 (0)6 698 12345", "US", "+390669812345"),
            ("+86 138 0013 8000", "US", "+8613800138000"),
            ("+55 11 91234-5678", "US", "+5511912345678"),
            ("+52 1 55 1234 5678", "US", "+525512345678"),
            ("+54 9 11 1234-5678", "US", "+5491112345678"),
            ("+49 151 12345678", "", "+4915112345678"),
            ("+49 151 12345678", "nowhere", "+4915112345678"),
        ];
        for (typed, region, expected) in rows {
            let phone = canonical(typed, region).map(|phone| phone.e164().to_owned());
            assert_eq!(phone.as_deref(), Ok(expected), "{typed:?} in {region:?}");
        }
    }

    #[test]
    fn what_cannot_be_a_number_is_refused_with_the_reason() {
        use PhoneProblem::*;
        let rows = [
            ("", "US", NotANumber),
            ("   ", "US", NotANumber),
            ("+", "US", NotANumber),
            ("Ann Lee", "US", NotANumber),
            ("c-7F3K", "US", NotANumber),
            ("1-800-FLOWERS", "US", NotANumber),
            ("ann@lee.de", "US", NotANumber),
            ("+49 151 / +49 152", "US", NotANumber),
            ("+1 202 555 0123 ext. 5", "US", NotANumber),
            ("+1202555", "US", TooShort),
            ("555-0123", "US", TooShort),
            ("12", "US", TooShort),
            ("+120255501234", "US", TooLong),
            ("+491511234567890123", "US", TooLong),
            ("+999 12345678", "US", UnknownCountry),
            ("151 12345678", "", UnknownCountry),
            ("151 12345678", "ZZ", UnknownCountry),
        ];
        for (typed, region, expected) in rows {
            assert_eq!(canonical(typed, region), Err(expected), "{typed:?} in {region:?}");
        }
        assert_eq!(canonical(&"1".repeat(1000), "US"), Err(TooLong));
    }

    #[test]
    fn a_reason_is_what_the_error_says() {
        use PhoneProblem::*;
        for problem in [TooShort, TooLong, NotANumber, UnknownCountry, NotPossible] {
            assert_eq!(problem.to_string(), problem.reason());
        }
    }

    #[test]
    fn the_firms_own_number_needs_the_shape_only() {
        assert_eq!(firms_own(" +15550783881 ").unwrap().e164(), "+15550783881");
        assert_eq!(firms_own("+9991234567").unwrap().e164(), "+9991234567");
        assert_eq!(firms_own("15550783881"), Err(PhoneProblem::UnknownCountry));
        assert_eq!(firms_own("+1 555 078 3881"), Err(PhoneProblem::NotANumber));
        assert_eq!(firms_own("+0555078388"), Err(PhoneProblem::NotANumber));
        assert_eq!(firms_own("+12345"), Err(PhoneProblem::TooShort));
        assert_eq!(firms_own("+1234567890123456"), Err(PhoneProblem::TooLong));
    }

    #[test]
    fn a_number_that_whatsapp_writes_otherwise_is_found_in_both_writings() {
        let rows = [
            ("+5511987654321", Some("+551187654321")),
            ("+551187654321", Some("+5511987654321")),
            ("+551132345678", None),
            ("+5511932345678", None),
            ("+5491112345678", Some("+541112345678")),
            ("+541112345678", Some("+5491112345678")),
            ("+5215512345678", Some("+525512345678")),
            ("+525512345678", Some("+5215512345678")),
            ("+4915112345678", None),
            ("+12025550123", None),
        ];
        for (number, other) in rows {
            let found = other_writing(&Phone::from_e164(number).unwrap());
            assert_eq!(found.as_ref().map(Phone::e164), other, "{number}");
            let back = found.and_then(|found| other_writing(&found));
            assert_eq!(back.as_ref().map(Phone::e164), other.map(|_| number), "and back");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(typed in "\\PC{0,80}", region in "\\PC{0,3}|US|DE|IT|GB") {
            let _ = canonical(&typed, &region);
            let _ = firms_own(&typed);
        }

        #[test]
        fn any_digits_are_read_without_a_panic_and_read_alike_again(
            typed in "[+＋]?[0-9 ()./٣–-]{0,24}",
            region in "US|DE|IT|GB|JP|BR|AR|MX|001",
        ) {
            if let Ok(phone) = canonical(&typed, &region) {
                prop_assert_eq!(canonical(phone.e164(), "US"), Ok(phone));
            }
        }
    }
}
