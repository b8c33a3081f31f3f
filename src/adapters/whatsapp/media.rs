//! Files over the Cloud API: a client's in two steps, of which the second must not lead astray; ours up in one.
use super::errors::{Class, class_of};
use super::health::LOOK_AGAIN;
use super::send::{Answer, Exchange, NO_CONNECTION, Settings, TOO_MANY, WhatsApp, told};
use crate::adapters::vault::{NotKept, Vault};
use crate::domain::effect::{Attempt, Outcome, Upload};
use crate::domain::ids::LineId;
use crate::domain::media::{FILE_MAX, Media};
use crate::domain::time::Span;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::AUTHORIZATION;
use reqwest::{Response, StatusCode, Url};
use serde::Deserialize;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// 100 MB over a line of 3 Mbit/s.
pub const FILE_WITHIN: Duration = Duration::from_secs(300);
/// Where Meta keeps its files (INTERFACES §6).
const META_HOSTS: [&str; 2] = [".fbsbx.com", ".whatsapp.net"];
/// An address lives five minutes; one that has ended before its time is asked for anew so often.
const ADDRESSES: usize = 2;
/// What the disk or a broken connection hinders is tried again after this.
const AGAIN: Span = Span::seconds(2);

/// The first step's answer.
#[derive(Deserialize)]
struct Described {
    url: Option<String>,
    file_size: Option<u64>,
}

/// What the second step brought.
enum Opened {
    Body(Response),
    /// The address is not good any more.
    Expired,
    Ended(Attempt),
}

impl WhatsApp {
    /// Takes a client's file in. Doing it twice is as good as once.
    pub async fn fetch(&self, line: &LineId, id: &str, media: &Media, vault: &Vault) -> Attempt {
        for _ in 0..ADDRESSES {
            let url = match self.address_of(line, id).await {
                Ok(url) => url,
                Err(attempt) => return attempt,
            };
            match self.download(url).await {
                Opened::Body(response) => return self.take_in(response, media, vault).await,
                Opened::Expired => {}
                Opened::Ended(attempt) => return attempt,
            }
        }
        self.not_yet("the address of the file ends before it is used".to_owned(), TOO_MANY)
    }

    async fn address_of(&self, line: &LineId, id: &str) -> Result<Url, Attempt> {
        // An id of a webhook is digits; whatever else it is must not become another path.
        if id.is_empty() || !id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte)) {
            return Err(failed("no-such-file", "its id is none"));
        }
        let request = self.get(id).query(&[("phone_number_id", line.as_str())]);
        let answer = match self.exchange(request).await {
            Exchange::NotSent(why) | Exchange::Lost(why) => return Err(self.not_yet(why, NO_CONNECTION)),
            Exchange::Answered(answer) => answer,
        };
        if let Some(attempt) = self.refused(&answer, None) {
            return Err(attempt);
        }
        let described: Option<Described> = serde_json::from_slice(&answer.bytes).ok();
        let Some(Described { url: Some(url), file_size }) = described else {
            return Err(self.not_yet("an answer without an address".to_owned(), TOO_MANY));
        };
        if file_size.is_some_and(|size| size > FILE_MAX) {
            return Err(not_kept(&NotKept::TooLarge(FILE_MAX)));
        }
        let url = Url::parse(&url).ok().filter(|url| self.may_be_fetched(url));
        url.ok_or_else(|| failed("wrong-host", "its address is none of WhatsApp's"))
    }

    /// Only the configured host and Meta's own get the token.
    fn may_be_fetched(&self, url: &Url) -> bool {
        let is_configured = url.origin() == self.origin;
        let is_metas = || {
            let host = url.host_str().unwrap_or_default().to_ascii_lowercase();
            url.scheme() == "https" && url.port().is_none() && META_HOSTS.iter().any(|ending| host.ends_with(ending))
        };
        let nobody_named = url.username().is_empty() && url.password().is_none();
        nobody_named && (is_configured || is_metas())
    }

    async fn download(&self, url: Url) -> Opened {
        let request = self.files.get(url).header(AUTHORIZATION, self.authorization.clone()).timeout(FILE_WITHIN);
        let response = match request.send().await {
            Ok(response) => response,
            Err(error) => return Opened::Ended(self.not_yet(told(&error), NO_CONNECTION)),
        };
        match response.status() {
            StatusCode::OK => Opened::Body(response),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::NOT_FOUND | StatusCode::GONE => Opened::Expired,
            status if status.is_redirection() => {
                Opened::Ended(failed("wrong-host", "its address leads on to another, and the token does not go there"))
            }
            status if status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error() => {
                Opened::Ended(self.not_yet(format!("status {} for the file", status.as_u16()), TOO_MANY))
            }
            status => Opened::Ended(failed("no-such-file", &format!("WhatsApp answers {} for it", status.as_u16()))),
        }
    }

    async fn take_in(&self, mut response: Response, media: &Media, vault: &Vault) -> Attempt {
        if response.content_length().is_some_and(|length| length > FILE_MAX) {
            return not_kept(&NotKept::TooLarge(FILE_MAX));
        }
        let mut taking = vault.take(media, FILE_MAX);
        loop {
            match response.chunk().await {
                Ok(Some(bytes)) => {
                    if !taking.push(bytes).await {
                        break;
                    }
                }
                Ok(None) => break,
                Err(error) => return self.not_yet(told(&error), AGAIN),
            }
        }
        match taking.finish().await {
            Ok(found) => Attempt::Ended(Outcome::Done { external_id: serde_json::to_string(&found).ok() }),
            Err(why) if why.may_pass() => self.not_yet(why.to_string(), AGAIN),
            Err(why) => not_kept(&why),
        }
    }

    /// Hands a file of ours over; `Done` carries the id of Meta's copy. A copy too many harms nobody.
    pub async fn upload(&self, upload: &Upload, vault: &Vault) -> Attempt {
        let file = match vault.read(&upload.media).await {
            Ok(file) => file,
            Err(why) => return failed("attachment", &why.to_string()),
        };
        let form = reqwest::multipart::Form::new().text("messaging_product", "whatsapp").text("type", file.mime.clone());
        let request = self.post(&format!("{}/media", upload.line)).multipart(form.part("file", file.part()));
        let answer = match self.exchange(request.timeout(FILE_WITHIN)).await {
            Exchange::NotSent(why) | Exchange::Lost(why) => return self.not_yet(why, NO_CONNECTION),
            Exchange::Answered(answer) => answer,
        };
        if let Some(attempt) = self.refused(&answer, Some(&upload.line)) {
            return attempt;
        }
        #[derive(Deserialize)]
        struct Uploaded {
            id: String,
        }
        match serde_json::from_slice::<Uploaded>(&answer.bytes) {
            Ok(uploaded) => Attempt::Ended(Outcome::Done { external_id: Some(uploaded.id) }),
            Err(_) => self.not_yet("an answer without the id of the file".to_owned(), TOO_MANY),
        }
    }

    /// What an answer that is no success means for a file; everything here may be done again.
    fn refused(&self, answer: &Answer, line: Option<&LineId>) -> Option<Attempt> {
        let Some(complaint) = answer.complaint() else {
            let why = || format!("an answer {} that does not come from WhatsApp", answer.status.as_u16());
            return (!answer.status.is_success()).then(|| self.not_yet(why(), TOO_MANY));
        };
        let (code, detail) = (complaint.code.unwrap_or_default().to_string(), complaint.detail());
        let why = format!("WhatsApp {code}: {detail}");
        Some(match class_of(&complaint) {
            Class::Throttled { wait } | Class::Trouble { wait } => self.not_yet(why, wait),
            Class::PairThrottled => self.not_yet(why, TOO_MANY),
            Class::Line => self.line_rests(line, why, (&code, &detail), LOOK_AGAIN),
            Class::Restricted { wait } => self.line_rests(line, why, (&code, &detail), wait),
            Class::Account | Class::Recipient | Class::Window | Class::Message => failed(&code, &detail),
        })
    }

    fn line_rests(&self, line: Option<&LineId>, why: String, complaint: (&str, &str), every: Span) -> Attempt {
        match line {
            Some(line) => {
                let not_before = self.health().troubled(line, complaint, every, self.now());
                Attempt::NotYet { why, not_before }
            }
            None => self.not_yet(why, TOO_MANY),
        }
    }
}

fn failed(code: &str, detail: &str) -> Attempt {
    Attempt::Ended(Outcome::Failed { code: code.to_owned(), detail: detail.to_owned() })
}

fn not_kept(why: &NotKept) -> Attempt {
    failed(why.code(), &why.to_string())
}

/// Names that strangers could point at machines of ours lead nowhere; the configured host may be anywhere.
pub(in crate::adapters) struct PublicOnly {
    configured: Vec<String>,
}

impl PublicOnly {
    pub(super) fn but(settings: &Settings) -> PublicOnly {
        PublicOnly::but_of(&settings.graph_url, settings.proxy.as_deref())
    }

    /// The operator's own addresses may be anywhere; what stands behind a proxy is the proxy's to find.
    pub(in crate::adapters) fn but_of(configured_url: &str, proxy: Option<&str>) -> PublicOnly {
        let host = |url: &str| Url::parse(url).ok()?.host_str().map(str::to_ascii_lowercase);
        PublicOnly { configured: [Some(configured_url), proxy].into_iter().flatten().filter_map(host).collect() }
    }
}

impl Resolve for PublicOnly {
    fn resolve(&self, name: Name) -> Resolving {
        let anywhere = self.configured.iter().any(|host| name.as_str().eq_ignore_ascii_case(host));
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let fine: Vec<SocketAddr> = found.filter(|address| anywhere || is_public(address.ip())).collect();
            if fine.is_empty() {
                return Err(format!("{} has no address in public", name.as_str()).into());
            }
            let fine: Addrs = Box::new(fine.into_iter());
            Ok(fine)
        })
    }
}

fn is_public(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => {
            let [a, b, ..] = ip.octets();
            let shared = a == 100 && (64..128).contains(&b);
            let ours = ip.is_private() || ip.is_loopback() || ip.is_link_local() || shared;
            !(ours || a == 0 || a >= 224 || ip.is_documentation())
        }
        IpAddr::V6(ip) => {
            let first = ip.segments()[0];
            // Only 2000::/3 is given out; 64:ff9b::/96 and its like would lead to IPv4 by a detour.
            first & 0xE000 == 0x2000 && first != 0x2002
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_our_own_are_not_public() {
        for ip in ["10.0.0.1", "127.0.0.1", "169.254.169.254", "192.168.1.1", "100.64.0.1", "0.0.0.0", "::1", "fd00::1"] {
            assert!(!is_public(ip.parse().unwrap()), "{ip}");
        }
        for ip in ["fe80::1", "::ffff:10.0.0.1", "64:ff9b::a00:1", "224.0.0.1", "255.255.255.255", "2002:a00:1::"] {
            assert!(!is_public(ip.parse().unwrap()), "{ip}");
        }
        for ip in ["157.240.1.1", "2a03:2880:f11c::1"] {
            assert!(is_public(ip.parse().unwrap()), "{ip}");
        }
    }
}
