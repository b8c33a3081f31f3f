//! The vectors of Twilio's own SDKs and what they leave open: each must be judged as it is marked.
#![allow(clippy::unwrap_used)] // Test helpers fail loudly.
use aws_lc_rs::{digest, hmac};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use liaison::adapters::twilio::{Keys, Signed};
use serde_json::Value;
use std::path::Path;

const VECTORS: &str = "../shared/contracts/twilio/signature-vectors.json";
const FORM: &str = "application/x-www-form-urlencoded";
const TOKEN: &str = "0123456789abcdef";
const URL: &str = "https://bot.example.com/webhooks/twilio/sms";

fn pairs(value: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    value.as_array().unwrap().iter().map(|pair| (text(&pair[0]), text(&pair[1]))).collect()
}

/// As a server sees it: the form is read from the body, not from what the vector says is in it.
fn judged(vector: &Value) -> bool {
    let text = |field: &str| vector[field].as_str().unwrap();
    let settings = vector["headers"]["X-Twilio-Webhooks-Signature-Settings"].as_str();
    let is_form = text("content_type") == FORM && text("method") == "POST";
    let form: Vec<(String, String)> = url::form_urlencoded::parse(text("body").as_bytes()).into_owned().collect();
    if is_form {
        assert_eq!(form, pairs(&vector["params"]), "{}: the body is read as the vector says", text("id"));
    }
    let token = text("auth_token").to_owned();
    let keys = match settings {
        Some(_) => Keys::new(std::slice::from_ref(&token), Some(&token)),
        None => Keys::new(&["another".to_owned(), token], None),
    };
    let form = is_form.then_some(&form[..]);
    keys.sign(&Signed { url: text("url"), form, body: text("body").as_bytes(), signature: text("signature"), settings })
}

#[test]
fn every_vector_is_judged_as_it_is_marked() {
    let text =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(VECTORS)).expect("the vectors lie in ../shared");
    let file: Value = serde_json::from_str(&text).unwrap();
    let vectors = file["vectors"].as_array().unwrap();
    let valid = vectors.iter().filter(|vector| vector["valid"] == true).count();
    assert_eq!((vectors.len(), valid), (44, 28));
    let wrong: Vec<&Value> = vectors.iter().filter(|vector| judged(vector) != vector["valid"].as_bool().unwrap()).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

fn sha1(token: &str, text: &str) -> String {
    STANDARD.encode(hmac::sign(&hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, token.as_bytes()), text.as_bytes()))
}

fn sha256(key: &str, text: &str) -> String {
    STANDARD.encode(hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes()), text.as_bytes()))
}

fn signs(keys: &Keys, signature: &str, settings: Option<&str>) -> bool {
    let form = [("Body".to_owned(), "hi".to_owned())];
    keys.sign(&Signed { url: URL, form: Some(&form), body: b"Body=hi", signature, settings })
}

fn tokens(tokens: &[&str]) -> Vec<String> {
    tokens.iter().map(|token| (*token).to_owned()).collect()
}

#[test]
fn either_of_two_tokens_signs_and_an_empty_one_does_not() {
    let signature = sha1(TOKEN, &format!("{URL}Bodyhi"));
    assert!(signs(&Keys::new(&tokens(&["new", TOKEN]), None), &signature, None));
    assert!(signs(&Keys::new(&tokens(&[TOKEN, "old"]), None), &signature, None));
    assert!(!signs(&Keys::new(&tokens(&["new", "old"]), None), &signature, None));
    let empty = sha1("", &format!("{URL}Bodyhi"));
    assert!(!signs(&Keys::new(&tokens(&[""]), Some("")), &empty, None));
    assert!(!signs(&Keys::new(&[], None), &signature, None), "without a key nothing is signed");
}

#[test]
fn with_a_shared_key_a_token_signs_no_more_and_no_other_algorithm_counts() {
    let (old, new) = (sha1(TOKEN, &format!("{URL}Bodyhi")), sha256("shared", &format!("{URL}Bodyhi")));
    let keys = Keys::new(&tokens(&[TOKEN]), Some("shared"));
    let named = |algorithm: &str| format!("key=webhooks_sharedkey_1, algorithm={algorithm}");
    assert!(signs(&keys, &new, Some(&named("HMAC_SHA256"))));
    assert!(!signs(&keys, &old, None), "a downgrade");
    assert!(!signs(&keys, &new, None), "SHA-256 must be named");
    for algorithm in ["HMAC_SHA1", "HMAC_SHA512", "none", ""] {
        assert!(!signs(&keys, &new, Some(&named(algorithm))), "{algorithm}");
    }
    assert!(!signs(&keys, &new, Some("key=x")) && !signs(&keys, &new, Some("")));
    let without = Keys::new(&tokens(&[TOKEN]), None);
    assert!(!signs(&without, &sha256(TOKEN, &format!("{URL}Bodyhi")), Some(&named("HMAC_SHA256"))), "no shared key is known");
    assert!(!signs(&without, &old, Some(&named("HMAC_SHA1"))));
}

#[test]
fn a_body_that_is_no_form_needs_its_hash_in_the_signed_address() {
    let keys = Keys::new(&tokens(&[TOKEN]), None);
    let body = br#"{"a":1}"#;
    let hash = hex::encode(digest::digest(&digest::SHA256, body));
    let judged = |url: &str, body: &[u8]| {
        let signature = sha1(TOKEN, url);
        keys.sign(&Signed { url, form: None, body, signature: &signature, settings: None })
    };
    assert!(judged(&format!("{URL}?bodySHA256={hash}"), body));
    assert!(!judged(&format!("{URL}?bodySHA256={hash}"), b"{}"));
    assert!(!judged(&format!("{URL}?bodySHA256={}", hash.to_uppercase()), body), "the hash is in small letters");
    assert!(!judged(URL, body) && judged(URL, b""));
}

#[test]
fn the_port_of_an_address_of_ipv6_is_told_from_its_colons() {
    let keys = Keys::new(&tokens(&[TOKEN]), None);
    let judged = |url: &str, signed: &str| {
        let signature = sha1(TOKEN, signed);
        keys.sign(&Signed { url, form: None, body: b"", signature: &signature, settings: None })
    };
    assert!(judged("https://[2001:db8::1]/x", "https://[2001:db8::1]:443/x"));
    assert!(judged("https://[2001:db8::1]:8443/x", "https://[2001:db8::1]/x"));
    assert!(judged("https://a:b@host/x?y=:1", "https://a:b@host:443/x?y=:1"));
    assert!(!judged("https://host/x", "https://host:8443/x"));
}
