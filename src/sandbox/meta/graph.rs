//! The HTTP face: the paths of the Graph API that a business bot calls, and Graph's answers to everything else.
use super::errors::GraphError;
use super::groups;
use super::media::MAX_MEDIA_BYTES;
use super::shapes;
use super::template::Template;
use super::trouble::{Trouble, Twist};
use super::world::{Outgoing, Record};
use super::{Inner, Meta};
use axum::body::{Body, Bytes};
use axum::extract::multipart::{MultipartError, MultipartRejection};
use axum::extract::{DefaultBodyLimit, Multipart, Path, Query, Request, State};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::middleware::{self, Next};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::time::Duration;

/// Largest JSON body; a message is a few kilobytes.
const MAX_JSON_BYTES: usize = 1024 * 1024;
/// Room around a media file in its multipart form.
const MULTIPART_ROOM: usize = 64 * 1024;
/// How long a send hangs under the trouble "hang".
const HANG: Duration = Duration::from_secs(60);
/// Templates of an account, and the size of a page of their list.
const MAX_TEMPLATES: usize = 250;
const PAGE: usize = 25;
const MAX_PAGE: usize = 1000;
/// The webhook about a review comes just after the answer.
const REVIEW_AFTER: Duration = Duration::from_millis(10);

type Answer = Result<Json<Value>, GraphError>;
pub(super) type Queried = Query<HashMap<String, String>>;

pub(super) fn router(meta: Meta) -> Router {
    let media_limit = DefaultBodyLimit::max(MAX_MEDIA_BYTES + MULTIPART_ROOM);
    Router::new()
        .route("/{version}/{id}/messages", post(send))
        .route("/{version}/{id}/media", post(upload).layer(media_limit))
        .route("/{version}/{id}/message_templates", get(list_templates).post(create_template).delete(delete_template))
        .route("/{version}/{id}/phone_numbers", get(phone_numbers))
        .route("/{version}/{id}/subscribed_apps", get(subscribed_apps).post(subscribe).delete(unsubscribe))
        .merge(groups::calls::routes())
        .route("/{version}/{id}", get(object).post(groups::calls::change).delete(delete_object).layer(media_limit))
        .route("/whatsapp_business/attachments", get(download))
        .route("/whatsapp_business/attachments/", get(download))
        .fallback(unknown)
        .method_not_allowed_fallback(unknown)
        .layer(middleware::from_fn_with_state(meta.clone(), authorised))
        .layer(DefaultBodyLimit::max(MAX_JSON_BYTES))
        .with_state(meta)
}

/// Every call carries the token, as a header or as Graph's `access_token`.
async fn authorised(State(meta): State<Meta>, request: Request, next: Next) -> Response {
    let header = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let bearer = header.and_then(|value| value.split_once(' ')).filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    let query = request.uri().query().unwrap_or_default();
    let in_query = url::form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == "access_token");
    let token = bearer.map(|(_, token)| token.trim().to_string()).or(in_query.map(|(_, token)| token.into_owned()));
    if token.is_some_and(|token| token == meta.inner.settings.access_token) {
        return next.run(request).await;
    }
    GraphError::new(190, "The access token is missing or wrong.").into_response()
}

async fn unknown(uri: Uri) -> GraphError {
    GraphError::unknown_object(uri.path().trim_start_matches('/'))
}

impl Inner {
    pub(super) fn is_line(&self, path: &(String, String)) -> Result<(), GraphError> {
        self.is(path, &self.settings.phone_number_id)
    }

    fn is_account(&self, path: &(String, String)) -> Result<(), GraphError> {
        self.is(path, &self.settings.waba_id)
    }

    fn is(&self, (version, id): &(String, String), wanted: &str) -> Result<(), GraphError> {
        if is_version(version) && id == wanted { Ok(()) } else { Err(GraphError::unknown_object(id)) }
    }
}

pub(super) fn is_version(version: &str) -> bool {
    let numbers = version.strip_prefix('v').and_then(|rest| rest.split_once('.'));
    numbers.is_some_and(|(major, minor)| major.parse::<u16>().is_ok() && minor.parse::<u16>().is_ok())
}

pub(super) fn parsed(body: &[u8]) -> Result<Value, GraphError> {
    let value: Value = serde_json::from_slice(body).map_err(|error| GraphError::new(100, format!("Invalid JSON: {error}")))?;
    if value.is_object() { Ok(value) } else { Err(GraphError::new(100, "The body must be a JSON object")) }
}

async fn send(State(meta): State<Meta>, Path(path): Path<(String, String)>, body: Bytes) -> Response {
    let request = match meta.inner.is_line(&path).and_then(|()| parsed(&body)) {
        Ok(request) => request,
        Err(error) => return error.into_response(),
    };
    if let Some(receipt) = meta.inner.receipt(&request) {
        return receipt.map(Json).into_response();
    }
    let trouble = meta.inner.world().troubles.next();
    match trouble {
        None => accept(&meta, &request, Twist::default()),
        Some(Trouble::Twisted(twist)) => accept(&meta, &request, twist),
        Some(Trouble::Refusal(error)) => error.into_response(),
        Some(Trouble::Html) => {
            (StatusCode::BAD_GATEWAY, Html("<html><body><h1>502 Bad Gateway</h1></body></html>")).into_response()
        }
        Some(Trouble::Hang) => hang(&meta, &request).await,
        Some(Trouble::LostAnswer) => lose(accept(&meta, &request, Twist::default())),
    }
}

fn accept(meta: &Meta, request: &Value, twist: Twist) -> Response {
    meta.inner.accept(request, twist).map(Json).into_response()
}

/// The caller waits, gets the usual answer at last, and the message never arrives.
async fn hang(meta: &Meta, request: &Value) -> Response {
    tokio::select! {
        () = tokio::time::sleep(HANG) => {}
        () = meta.inner.stopped() => {}
    }
    meta.inner.pretend(request).map(Json).into_response()
}

/// The connection closes before a byte of the answer is written. A refusal is still told, since nothing was accepted.
pub(super) fn lose(answer: Response) -> Response {
    if answer.status() != StatusCode::OK {
        return answer;
    }
    let broken = futures_util::stream::once(async { Err::<Bytes, _>(std::io::Error::other("the answer is lost on purpose")) });
    Response::new(Body::from_stream(broken))
}

async fn upload(State(meta): State<Meta>, Path(path): Path<(String, String)>, form: Multipart) -> Answer {
    meta.inner.is_line(&path)?;
    let SentFile { mime, name, bytes } = sent_file(Ok(form)).await?;
    let mime = mime.unwrap_or_else(|| "application/octet-stream".into());
    let media = meta.inner.keep_media(&mime, name, bytes)?;
    Ok(Json(json!({"id": media.id})))
}

/// The file of a form, and the type that its part or the form names.
pub(super) struct SentFile {
    pub mime: Option<String>,
    pub name: Option<String>,
    pub bytes: Bytes,
}

pub(super) async fn sent_file(form: Result<Multipart, MultipartRejection>) -> Result<SentFile, GraphError> {
    let mut form = form.map_err(|error| GraphError::new(100, format!("Invalid form: {error}")))?;
    let bad = |error: MultipartError| GraphError::new(100, format!("Invalid form: {error}"));
    let (mut file, mut kind, mut product) = (None, None, None);
    while let Some(field) = form.next_field().await.map_err(bad)? {
        match field.name().unwrap_or_default() {
            "file" => {
                let (mime, name) = (field.content_type().map(str::to_string), field.file_name().map(str::to_string));
                file = Some((mime, name, field.bytes().await.map_err(bad)?));
            }
            "type" => kind = Some(field.text().await.map_err(bad)?),
            "messaging_product" => product = Some(field.text().await.map_err(bad)?),
            _ => {}
        }
    }
    if product.as_deref() != Some("whatsapp") {
        return Err(GraphError::new(100, "The parameter messaging_product is required."));
    }
    let (mime, name, bytes) = file.ok_or_else(|| GraphError::new(100, "The parameter file is required."))?;
    Ok(SentFile { mime: mime.or(kind), name, bytes })
}

async fn object(
    State(meta): State<Meta>,
    Path(path): Path<(String, String)>,
    Query(query): Queried,
    headers: HeaderMap,
) -> Response {
    if meta.inner.world().groups.is_known(&path.1) {
        return groups::calls::group(&meta, &path, query.get("fields"));
    }
    plain_object(&meta, &path, &query, &headers).into_response()
}

fn plain_object(meta: &Meta, path: &(String, String), query: &HashMap<String, String>, headers: &HeaderMap) -> Answer {
    let (inner, id) = (&meta.inner, path.1.as_str());
    let host = host(headers);
    let template = || inner.world().templates.values().find(|known| known.id == id).map(|known| known.listed((inner.now)()));
    let found = match id {
        _ if !is_version(&path.0) => None,
        _ if id == inner.settings.phone_number_id => Some(line_object(inner)),
        _ if id == inner.settings.waba_id => Some(account_object(inner)),
        _ => inner.media_address(id, host).or_else(template),
    };
    let found = found.ok_or_else(|| GraphError::unknown_object(id))?;
    Ok(Json(chosen(found, query.get("fields"))))
}

/// With `fields` only those are given, and the id always.
pub(super) fn chosen(mut object: Value, fields: Option<&String>) -> Value {
    if let (Some(fields), Some(members)) = (fields, object.as_object_mut()) {
        let wanted: Vec<&str> =
            fields.split(',').map(|field| field.split(['{', '.']).next().unwrap_or_default().trim()).collect();
        members.retain(|name, _| name == "id" || wanted.contains(&name.as_str()));
    }
    object
}

fn line_object(inner: &Inner) -> Value {
    let settings = &inner.settings;
    json!({"verified_name": settings.line_name, "code_verification_status": "VERIFIED",
        "display_phone_number": displayed(&settings.number), "quality_rating": "GREEN", "platform_type": "CLOUD_API",
        "throughput": {"level": "STANDARD"}, "name_status": "APPROVED", "status": "CONNECTED", "account_mode": "LIVE",
        "is_official_business_account": inner.habits().groups, "whatsapp_business_manager_messaging_limit": "TIER_2K",
        "id": settings.phone_number_id})
}

fn account_object(inner: &Inner) -> Value {
    json!({"name": inner.settings.line_name, "timezone_id": "1", "currency": "USD", "account_review_status": "APPROVED",
        "message_template_namespace": "5a3c0b6e_0001_4000_8000_000000000001", "id": inner.settings.waba_id})
}

/// "+1 555-010-0001" for North America, plain elsewhere.
fn displayed(number: &str) -> String {
    match number.strip_prefix("+1").filter(|rest| rest.len() == 10) {
        Some(rest) => format!("+1 {}-{}-{}", &rest[..3], &rest[3..6], &rest[6..]),
        None => number.to_string(),
    }
}

async fn delete_object(State(meta): State<Meta>, Path(path): Path<(String, String)>) -> Response {
    if meta.inner.world().groups.is_known(&path.1) {
        return groups::calls::delete_group(&meta, &path);
    }
    let (version, id) = path;
    if !is_version(&version) {
        return GraphError::unknown_object(&id).into_response();
    }
    match meta.inner.forget_media(&id) {
        Ok(true) => Json(json!({"success": true})).into_response(),
        Ok(false) => GraphError::unknown_object(&id).into_response(),
        Err(error) => error.into_response(),
    }
}

async fn download(State(meta): State<Meta>, Query(query): Queried) -> Response {
    let given = |key: &str| query.get(key).map(String::as_str).unwrap_or_default();
    let expires = given("ext").parse().unwrap_or_default();
    match meta.inner.media_behind(given("mid"), expires, given("hash")) {
        Some((mime, bytes)) => ([(header::CONTENT_TYPE, mime)], bytes).into_response(),
        None => (StatusCode::NOT_FOUND, Json(json!({"error": "Resource not found"}))).into_response(),
    }
}

async fn phone_numbers(State(meta): State<Meta>, Path(path): Path<(String, String)>, Query(query): Queried) -> Answer {
    meta.inner.is_account(&path)?;
    let line = chosen(line_object(&meta.inner), query.get("fields"));
    Ok(Json(json!({"data": [line], "paging": {"cursors": {"before": cursor(0), "after": cursor(1)}}})))
}

async fn subscribed_apps(State(meta): State<Meta>, Path(path): Path<(String, String)>) -> Answer {
    meta.inner.is_account(&path)?;
    let app = json!({"id": "300000000000001", "name": "Liaison sandbox", "link": "https://www.facebook.com/games/?app_id=300000000000001"});
    let subscribed = meta.inner.habits().subscribed;
    let apps: Vec<Value> = subscribed.then(|| json!({"whatsapp_business_api_data": app})).into_iter().collect();
    Ok(Json(json!({ "data": apps })))
}

async fn subscribe(State(meta): State<Meta>, Path(path): Path<(String, String)>) -> Answer {
    meta.inner.is_account(&path)?;
    meta.inner.habits().subscribed = true;
    Ok(Json(json!({"success": true})))
}

async fn unsubscribe(State(meta): State<Meta>, Path(path): Path<(String, String)>) -> Answer {
    meta.inner.is_account(&path)?;
    meta.inner.habits().subscribed = false;
    Ok(Json(json!({"success": true})))
}

fn host(headers: &HeaderMap) -> &str {
    headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or("127.0.0.1")
}

/// Where the caller has found us: links to further pages are whole addresses, as Meta's are.
pub(super) fn address(headers: &HeaderMap) -> String {
    format!("http://{}", host(headers))
}

pub(super) fn cursor(place: usize) -> String {
    URL_SAFE_NO_PAD.encode(place.to_string())
}

pub(super) fn place(cursor: &str) -> Option<usize> {
    let bytes = URL_SAFE_NO_PAD.decode(cursor).ok()?;
    String::from_utf8(bytes).ok()?.parse().ok()
}

async fn list_templates(
    State(meta): State<Meta>,
    Path(path): Path<(String, String)>,
    Query(query): Queried,
    headers: HeaderMap,
) -> Answer {
    meta.inner.is_account(&path)?;
    let now = (meta.inner.now)();
    let world = meta.inner.world();
    let listed = world.templates.values().map(|template| template.listed(now));
    let asked = |template: &Value| {
        ["name", "status", "language", "category"].iter().all(|key| {
            query.get(*key).is_none_or(|wanted| template[*key].as_str().is_some_and(|value| value.eq_ignore_ascii_case(wanted)))
        })
    };
    let fitting: Vec<Value> = listed.filter(asked).collect();
    let start = query.get("after").map_or(Some(0), |after| place(after));
    let start = start.ok_or_else(|| GraphError::new(100, "Invalid cursors values for after cursor"))?.min(fitting.len());
    let limit = query.get("limit").and_then(|limit| limit.parse().ok()).unwrap_or(PAGE).clamp(1, MAX_PAGE);
    let end = (start + limit).min(fitting.len());
    let data: Vec<Value> = fitting[start..end].iter().map(|template| chosen(template.clone(), query.get("fields"))).collect();
    let mut answer = json!({"data": data, "paging": {"cursors": {"before": cursor(start), "after": cursor(end)}},
        "summary": {"total_count": fitting.len(), "message_template_count": world.templates.len(),
            "message_template_limit": MAX_TEMPLATES, "are_translations_complete": false}});
    if end < fitting.len() {
        let here = format!("{}/{}/{}/message_templates", address(&headers), path.0, path.1);
        let next = format!("{here}?limit={limit}&after={}", cursor(end));
        answer["paging"]["next"] = json!(next);
    }
    Ok(Json(answer))
}

async fn create_template(State(meta): State<Meta>, Path(path): Path<(String, String)>, body: Bytes) -> Answer {
    meta.inner.is_account(&path)?;
    let request = parsed(&body)?;
    let now = (meta.inner.now)();
    let review = meta.inner.habits().review;
    let text = |key: &str| request[key].as_str().unwrap_or_default().to_string();
    let template = Template {
        id: shapes::object_id(),
        name: text("name"),
        language: text("language"),
        category: text("category").to_uppercase(),
        components: request["components"].clone(),
        approved_at: now + review.as_millis() as i64,
        became: None,
    };
    template.check()?;
    let mut world = meta.inner.world();
    if world.templates.contains_key(&template.key()) {
        let details = format!("There is already {} content for this template.", template.language);
        return Err(GraphError::new(100, details).subcode(2388024));
    }
    if world.templates.len() >= MAX_TEMPLATES {
        return Err(GraphError::new(100, "The account has reached its limit of templates"));
    }
    let answer = json!({"id": template.id, "status": "PENDING", "category": template.category});
    let value = shapes::template_event(&meta.inner.settings, &template, ("APPROVED", "NONE"), template.approved_at);
    let hook = Outgoing { value, message: None, after: review + REVIEW_AFTER, copies: 1 };
    meta.inner.commit(&mut world, vec![Record::Template(template)], vec![hook])?;
    Ok(Json(answer))
}

/// By name all languages go, with `hsm_id` only that one.
async fn delete_template(State(meta): State<Meta>, Path(path): Path<(String, String)>, Query(query): Queried) -> Answer {
    meta.inner.is_account(&path)?;
    let name = query.get("name").ok_or_else(|| GraphError::new(100, "The parameter name is required."))?;
    let mut world = meta.inner.world();
    let id = query.get("hsm_id");
    let meant = |template: &&Template| template.name == *name && id.is_none_or(|id| template.id == *id);
    let gone: Vec<Record> = world.templates.values().filter(meant).map(Template::key).map(forgotten).collect();
    if gone.is_empty() {
        return Err(GraphError::new(100, "Message Template Not Found").subcode(2593002).status(StatusCode::NOT_FOUND));
    }
    meta.inner.commit(&mut world, gone, Vec::new())?;
    Ok(Json(json!({"success": true})))
}

fn forgotten((name, language): (String, String)) -> Record {
    Record::TemplateGone { name, language }
}
