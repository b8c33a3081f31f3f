//! The place of Twilio's API: until it is emulated, every call is answered with a Twilio-shaped refusal.
use axum::http::StatusCode;
use axum::{Json, Router};
use serde_json::{Value, json};

/// Answers 501 to everything.
pub fn router() -> Router {
    Router::new().fallback(later)
}

async fn later() -> (StatusCode, Json<Value>) {
    let error = json!({"code": 20001, "message": "SMS comes later", "more_info": "https://www.twilio.com/docs/errors/20001", "status": 501});
    (StatusCode::NOT_IMPLEMENTED, Json(error))
}
