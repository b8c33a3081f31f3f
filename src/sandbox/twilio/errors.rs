//! Errors as Twilio's REST API writes them: a code to build on, a sentence, an address of its page, and the HTTP status.
use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

/// Seconds after which a throttled caller may come again.
const RETRY_AFTER_SECONDS: u32 = 1;

/// A refusal in Twilio's shape.
#[derive(Clone, Debug)]
pub(super) struct RestError {
    pub code: i64,
    pub status: StatusCode,
    message: String,
}

impl RestError {
    /// The usual error of that code, in Twilio's words.
    pub fn new(code: i64) -> Self {
        RestError { code, status: usual_status(code), message: words(code).to_owned() }
    }

    pub fn saying(code: i64, message: impl Into<String>) -> Self {
        RestError { message: message.into(), ..RestError::new(code) }
    }

    /// Twilio's answer for a resource or a path that is not there.
    pub fn missing(path: &str) -> Self {
        RestError::saying(20404, format!("The requested resource {path} was not found"))
    }
}

impl IntoResponse for RestError {
    fn into_response(self) -> Response {
        let more = format!("https://www.twilio.com/docs/errors/{}", self.code);
        let body = json!({"code": self.code, "message": self.message, "more_info": more, "status": self.status.as_u16()});
        let mut response = (self.status, Json(body)).into_response();
        if self.status == StatusCode::UNAUTHORIZED {
            let realm = HeaderValue::from_static("Basic realm=\"Twilio API\"");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, realm);
        }
        if self.status == StatusCode::TOO_MANY_REQUESTS {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(RETRY_AFTER_SECONDS));
        }
        response
    }
}

impl From<std::io::Error> for RestError {
    fn from(error: std::io::Error) -> Self {
        RestError::saying(20500, format!("The sandbox cannot write its journal: {error}"))
    }
}

fn usual_status(code: i64) -> StatusCode {
    match code {
        20003 => StatusCode::UNAUTHORIZED,
        20404 => StatusCode::NOT_FOUND,
        20004 => StatusCode::METHOD_NOT_ALLOWED,
        20429 => StatusCode::TOO_MANY_REQUESTS,
        20500 => StatusCode::INTERNAL_SERVER_ERROR,
        20503 => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::BAD_REQUEST,
    }
}

/// What Twilio says of a code in an answer, and as ErrorMessage of a message that failed later.
pub(super) fn words(code: i64) -> &'static str {
    match code {
        20003 => "Authenticate",
        20004 => "Method not allowed",
        20429 => "Too Many Requests",
        20500 => "An internal server error has occurred",
        20503 => "Service is temporarily unavailable",
        21205 => "Url is not a valid URL",
        21211 => "Invalid 'To' Phone Number",
        21212 => "Invalid 'From' Phone Number",
        21220 => "Unable to update record. Invalid call state: the call is over",
        21408 => "Permission to send an SMS has not been enabled for the region indicated by the 'To' number",
        21602 => "Message body is required.",
        21603 => "A 'From' phone number is required.",
        21604 => "A 'To' phone number is required.",
        21606 => "The 'From' phone number provided is not a valid message-capable Twilio phone number for this destination",
        21609 => "The 'StatusCallback' URL is not a valid URL.",
        21610 => "Attempt to send to unsubscribed recipient",
        21611 => "This 'From' number has exceeded the maximum number of queued messages",
        21612 => "The 'To' phone number is not currently reachable using the 'From' phone number via SMS",
        21614 => "'To' number is not a valid mobile number",
        21617 => "The concatenated message body exceeds the 1600 character limit",
        21620 => "Invalid media URL",
        21623 => "Number of media files exceeds allowed limit",
        21701 => "The Messaging Service does not exist",
        30001 => "Queue overflow",
        30002 => "Account suspended",
        30003 => "Unreachable destination handset",
        30004 => "Message blocked",
        30005 => "Unknown destination handset",
        30006 => "Landline or unreachable carrier",
        30007 => "Message filtered",
        30008 => "Unknown error",
        30034 => "Message from an Unregistered Number",
        30410 => "Provider Timeout Error",
        _ => "The request was refused",
    }
}
