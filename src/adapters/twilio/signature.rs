//! Whether a webhook was signed by Twilio: HMAC over the address as Twilio called it and the parameters of the form.
use aws_lc_rs::{constant_time, digest, hmac};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::collections::{BTreeMap, BTreeSet};

/// Where the header is missing the algorithm is SHA-1; nothing else but this one is known.
const SHARED_KEY_ALGORITHM: &str = "HMAC_SHA256";
/// In the query of an address whose body is no form.
const BODY_HASH: &str = "bodySHA256";

/// The secrets with which webhooks are signed: it cannot show itself.
pub struct Keys {
    tokens: Vec<hmac::Key>,
    shared: Option<hmac::Key>,
}

/// A request as far as its signature covers it.
pub struct Signed<'r> {
    /// The public address with path and query exactly as they came.
    pub url: &'r str,
    /// The decoded form; `None` where the body is none.
    pub form: Option<&'r [(String, String)]>,
    pub body: &'r [u8],
    pub signature: &'r str,
    /// `X-Twilio-Webhooks-Signature-Settings`.
    pub settings: Option<&'r str>,
}

impl Keys {
    /// One auth token, or two during rotation. With a shared key nothing signed by a token counts any more.
    pub fn new(auth_tokens: &[String], shared_key: Option<&str>) -> Keys {
        // Anybody can sign with an empty key, so it is none.
        let tokens = auth_tokens.iter().filter(|token| !token.is_empty());
        let tokens = tokens.map(|token| hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, token.as_bytes())).collect();
        let shared = shared_key.filter(|key| !key.is_empty());
        Keys { tokens, shared: shared.map(|key| hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes())) }
    }

    pub fn sign(&self, request: &Signed<'_>) -> bool {
        let Ok(tag) = STANDARD.decode(request.signature) else { return false };
        if tag.is_empty() || !body_fits(request) {
            return false;
        }
        let keys = self.keys(request.settings);
        let texts = writings(request.url).map(|url| signed_text(&url, request.form));
        keys.iter().any(|key| texts.iter().any(|text| hmac::verify(key, text.as_bytes(), &tag).is_ok()))
    }

    /// The keys of the algorithm that the request names, and none where that is not ours or weaker than agreed.
    fn keys(&self, settings: Option<&str>) -> &[hmac::Key] {
        let algorithm = settings.map(|settings| setting(settings, "algorithm").unwrap_or_default());
        match (algorithm, &self.shared) {
            (None, None) => &self.tokens,
            (Some(algorithm), Some(shared)) if algorithm == SHARED_KEY_ALGORITHM => std::slice::from_ref(shared),
            (None, Some(_)) | (Some(_), _) => &[],
        }
    }
}

/// "key=webhooks_sharedkey_…,algorithm=HMAC_SHA256".
fn setting<'s>(settings: &'s str, name: &str) -> Option<&'s str> {
    let pairs = settings.split(',').filter_map(|pair| pair.split_once('='));
    pairs.map(|(name, value)| (name.trim(), value.trim())).find(|(given, _)| *given == name).map(|(_, value)| value)
}

/// The address without its port and with it: which of the two is signed differs from product to product at Twilio.
fn writings(url: &str) -> [String; 2] {
    let Some((scheme, rest)) = url.split_once("://") else { return [url.to_owned(), url.to_owned()] };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, tail) = rest.split_at(end);
    let host_at = authority.rfind('@').map_or(0, |at| at + 1);
    let port_at = authority[host_at..].rfind(':').map(|at| host_at + at).filter(|at| !authority[*at..].contains(']'));
    let usual = if scheme.eq_ignore_ascii_case("http") { "80" } else { "443" };
    match port_at {
        Some(at) => [url.to_owned(), format!("{scheme}://{}{tail}", &authority[..at])],
        None => [url.to_owned(), format!("{scheme}://{authority}:{usual}{tail}")],
    }
}

/// Names in the order of their bytes; behind each name its values, sorted and each once. Nothing is trimmed, and an empty value
/// leaves the name.
fn signed_text(url: &str, form: Option<&[(String, String)]>) -> String {
    let mut sorted: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (name, value) in form.unwrap_or_default() {
        sorted.entry(name).or_default().insert(value);
    }
    let mut text = url.to_owned();
    for (name, values) in sorted {
        for value in values {
            text.push_str(name);
            text.push_str(value);
        }
    }
    text
}

/// A form is signed itself. Any other body is signed by its hash, which stands in the signed address.
fn body_fits(request: &Signed<'_>) -> bool {
    if request.form.is_some() || request.body.is_empty() {
        return true;
    }
    let query = request.url.split_once('?').map_or("", |(_, query)| query);
    let told = url::form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == BODY_HASH);
    let hash = hex::encode(digest::digest(&digest::SHA256, request.body));
    told.is_some_and(|(_, told)| constant_time::verify_slices_are_equal(told.as_bytes(), hash.as_bytes()).is_ok())
}
