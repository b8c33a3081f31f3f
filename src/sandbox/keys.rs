//! Fresh RSA keys for the sandbox's service accounts, so that nobody needs to make any.
use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::KeyPair as _;
use base64::{Engine, engine::general_purpose::STANDARD};

/// Width of a PEM line, from RFC 7468.
const PEM_LINE: usize = 64;

/// A new 2048-bit key: the private half as PKCS#8 PEM, the public half as X.509 (SPKI) PEM.
pub fn new_key_pair() -> (String, String) {
    let pair = KeyPair::generate(KeySize::Rsa2048).expect("the system has randomness");
    let private: Pkcs8V1Der<'_> = pair.as_der().expect("a generated key can be written");
    let public: PublicKeyX509Der<'_> = pair.public_key().as_der().expect("a generated key can be written");
    (pem("PRIVATE KEY", private.as_ref()), pem("PUBLIC KEY", public.as_ref()))
}

fn pem(label: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let mut out = format!("-----BEGIN {label}-----\n");
    for line in text.as_bytes().chunks(PEM_LINE) {
        out.extend(line.iter().map(|byte| char::from(*byte)));
        out.push('\n');
    }
    out + &format!("-----END {label}-----\n")
}
