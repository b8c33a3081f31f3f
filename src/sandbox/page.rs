//! The sandbox's web page and its control calls: what a person, a script or a browser test sees of the small world.
mod control;
mod files;
mod groups;
mod listen;
mod world;

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST, HeaderName, HeaderValue, ORIGIN, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

pub use control::Complaint;
pub use world::World;

/// Bytes of a control call's body; the longest thing a person pastes here is a message.
const BODY_LIMIT: usize = 1024 * 1024;

/// Only our own files run, and markup reaches the page through one named policy that feeds an inert parser.
const CONTENT_POLICY: &str = "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; object-src 'none'; \
     require-trusted-types-for 'script'; trusted-types liaison-inert";

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

/// Path, type and content of everything that the page consists of.
const FILES: [(&str, &str, &str); 12] = [
    ("/", HTML, include_str!("page/index.html")),
    ("/page/page.css", CSS, include_str!("page/page.css")),
    ("/page/icon.svg", SVG, include_str!("page/icon.svg")),
    ("/page/page.js", SCRIPT, include_str!("page/page.js")),
    ("/page/dom.js", SCRIPT, include_str!("page/dom.js")),
    ("/page/markup.js", SCRIPT, include_str!("page/markup.js")),
    ("/page/forms.js", SCRIPT, include_str!("page/forms.js")),
    ("/page/chat.js", SCRIPT, include_str!("page/chat.js")),
    ("/page/phones.js", SCRIPT, include_str!("page/phones.js")),
    ("/page/phones_groups.js", SCRIPT, include_str!("page/phones_groups.js")),
    ("/page/side.js", SCRIPT, include_str!("page/side.js")),
    ("/page/tour.js", SCRIPT, include_str!("page/tour.js")),
];

/// The page at `/` and the control calls under `/api`. Unless `expose` is set, only requests that name a loopback
/// host are answered, so that no web site can reach the sandbox by rebinding its own name to this machine.
pub fn router(world: Arc<dyn World>, expose: bool) -> Router {
    let mut router = Router::new();
    for (path, kind, content) in FILES {
        router = router.route(path, get(move || async move { ([(CONTENT_TYPE, kind)], content) }));
    }
    router
        .merge(control::routes(world))
        .fallback(async |uri: Uri| Complaint::missing("page", uri.path(), "The page is at /, the control calls are under /api."))
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .layer(from_fn_with_state(expose, only_from_here))
        .layer(from_fn(with_strict_headers))
}

async fn only_from_here(State(expose): State<bool>, request: Request, next: Next) -> Response {
    let host = the_host(&request);
    if !expose && !host.as_deref().is_some_and(is_loopback) {
        return Complaint::new(
            StatusCode::FORBIDDEN,
            "This sandbox answers on loopback only.",
            "header Host",
            "Open it as http://127.0.0.1 or http://localhost, or start it with --expose.",
        )
        .into_response();
    }
    if !comes_from_own_page(request.headers(), host.as_deref()) {
        return Complaint::new(
            StatusCode::FORBIDDEN,
            "Another web site may not drive this sandbox.",
            "header Origin",
            "Call it from its own page or from a program.",
        )
        .into_response();
    }
    next.run(request).await
}

fn the_host(request: &Request) -> Option<String> {
    let named = request.headers().get(HOST).and_then(|host| host.to_str().ok());
    named.or_else(|| request.uri().authority().map(|authority| authority.as_str())).map(str::to_ascii_lowercase)
}

fn is_loopback(host: &str) -> bool {
    let Ok(authority) = host.parse::<http::uri::Authority>() else { return false };
    matches!(authority.host(), "127.0.0.1" | "localhost" | "[::1]")
}

/// Programs send no `Origin`; a browser does with every call that changes something.
fn comes_from_own_page(headers: &HeaderMap, host: Option<&str>) -> bool {
    let Some(origin) = headers.get(ORIGIN) else { return true };
    let origin = origin.to_str().unwrap_or_default().to_ascii_lowercase();
    origin.split_once("://").is_some_and(|(_, from)| Some(from) == host)
}

async fn with_strict_headers(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let strict: [(HeaderName, &'static str); 4] = [
        (CONTENT_SECURITY_POLICY, CONTENT_POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "no-referrer"),
        (CACHE_CONTROL, "no-store"),
    ];
    for (name, value) in strict {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_names_are_loopback() {
        for host in ["127.0.0.1", "127.0.0.1:8080", "localhost:8080", "[::1]:8080", "[::1]"] {
            assert!(is_loopback(host), "{host}");
        }
        for host in ["", "evil.example:8080", "127.0.0.1.evil.example", "localhost.evil.example", "[::2]:8080", "10.0.0.1", "a b"]
        {
            assert!(!is_loopback(host), "{host}");
        }
    }

    #[test]
    fn a_foreign_origin_is_not_our_own_page() {
        let with = |origin: &'static str| HeaderMap::from_iter([(ORIGIN, HeaderValue::from_static(origin))]);
        assert!(comes_from_own_page(&HeaderMap::new(), Some("localhost:8080")));
        assert!(comes_from_own_page(&with("http://localhost:8080"), Some("localhost:8080")));
        for foreign in ["https://evil.example", "null", "http://localhost:9999"] {
            assert!(!comes_from_own_page(&with(foreign), Some("localhost:8080")), "{foreign}");
        }
    }
}
