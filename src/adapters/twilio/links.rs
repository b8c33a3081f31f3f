//! Addresses under which Twilio fetches a file that goes out with a message: nobody guesses one, and each ends soon.
use crate::domain::ids::MediaId;
use crate::domain::time::{Span, Timestamp};
use aws_lc_rs::hmac;

/// Twilio fetches a file when it takes the message or when it sends it, and keeps it in its queue for ten hours at most.
const LASTS: Span = Span::hours(12);
/// Keeps these signatures apart from everything else that the token signs.
const PURPOSE: &[u8] = b"liaison: the address of a file";

pub struct Links {
    base: String,
    /// The first signs, each opens.
    keys: Vec<hmac::Key>,
}

impl Links {
    pub fn new(public_url: &str, auth_tokens: &[String]) -> Links {
        let tokens = auth_tokens.iter().filter(|token| !token.is_empty());
        let keys = tokens.map(|token| {
            let own = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, token.as_bytes()), PURPOSE);
            hmac::Key::new(hmac::HMAC_SHA256, own.as_ref())
        });
        Links { base: format!("{}/media", public_url.trim_end_matches('/')), keys: keys.collect() }
    }

    /// One query parameter only, so that no order of parameters can be mistaken. `None` where there is no key.
    pub fn address(&self, file: &MediaId, now: Timestamp) -> Option<String> {
        let until = (now + LASTS).0;
        let tag = hmac::sign(self.keys.first()?, signed(file.as_str(), until).as_bytes());
        Some(format!("{}/{file}?key={until}.{}", self.base, hex::encode(tag)))
    }

    /// Whether this key opens this file now.
    pub fn opens(&self, file: &str, key: &str, now: Timestamp) -> bool {
        let Some((until, tag)) = key.split_once('.') else { return false };
        let (Ok(until), Ok(tag)) = (until.parse::<i64>(), hex::decode(tag)) else { return false };
        let text = signed(file, until);
        now.0 < until && self.keys.iter().any(|key| hmac::verify(key, text.as_bytes(), &tag).is_ok())
    }
}

fn signed(file: &str, until: i64) -> String {
    format!("{until}/{file}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: Timestamp = Timestamp(1_800_000_000_000);

    #[test]
    fn an_address_opens_its_own_file_until_it_ends_and_with_either_token() {
        let links = Links::new("https://bot.example.com/", &["new".to_owned()]);
        let address = links.address(&MediaId::new("f-1A2B3C4D"), NOON).unwrap();
        let key = address.strip_prefix("https://bot.example.com/media/f-1A2B3C4D?key=").unwrap();
        assert!(links.opens("f-1A2B3C4D", key, NOON));
        assert!(Links::new("", &["newer".to_owned(), "new".to_owned()]).opens("f-1A2B3C4D", key, NOON), "during rotation");
        assert!(!links.opens("f-1A2B3C4E", key, NOON));
        assert!(!links.opens("f-1A2B3C4D", key, NOON + LASTS));
        assert!(!links.opens("f-1A2B3C4D", &key.replacen("18", "19", 1), NOON), "its end cannot be moved");
        assert!(!Links::new("", &["other".to_owned()]).opens("f-1A2B3C4D", key, NOON));
        assert!(Links::new("", &[String::new()]).address(&MediaId::new("f-1"), NOON).is_none(), "an empty token signs nothing");
    }
}
