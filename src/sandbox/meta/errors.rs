//! Errors as the Graph API writes them: a code to build on, a title, details, and an HTTP status that nobody should build on.
use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

/// A refusal in Graph's shape.
#[derive(Clone, Debug)]
pub(super) struct GraphError {
    pub code: i64,
    pub status: StatusCode,
    pub details: String,
    subcode: Option<i64>,
    retry_after_seconds: Option<u32>,
}

impl GraphError {
    /// The usual error of that code; `details` says what exactly was wrong.
    pub fn new(code: i64, details: impl Into<String>) -> Self {
        GraphError { code, status: usual_status(code), details: details.into(), subcode: None, retry_after_seconds: None }
    }

    pub fn subcode(self, subcode: i64) -> Self {
        GraphError { subcode: Some(subcode), ..self }
    }

    pub fn status(self, status: StatusCode) -> Self {
        GraphError { status, ..self }
    }

    pub fn retry_after(self, seconds: u32) -> Self {
        GraphError { retry_after_seconds: Some(seconds), ..self }
    }

    /// Graph's answer for an object or a path that is not there.
    pub fn unknown_object(what: &str) -> Self {
        let details = format!("Unsupported request. Object with ID '{what}' does not exist or does not support this operation");
        GraphError::new(100, details).subcode(33).status(StatusCode::NOT_FOUND)
    }

    /// The error as an element of `statuses[].errors`.
    pub fn in_status(&self) -> Value {
        let title = title(self.code);
        json!({"code": self.code, "title": title, "message": title, "error_data": {"details": self.details},
            "href": "https://developers.facebook.com/documentation/business-messaging/whatsapp/support/error-codes"})
    }

    /// The error as an element of `groups[].errors` and of the lists of what failed.
    pub fn in_group(&self) -> Value {
        let title = title(self.code);
        json!({"code": self.code, "message": title, "title": title, "error_data": {"details": self.details}})
    }

    fn body(&self) -> Value {
        let mut error = json!({
            "message": self.message(),
            "type": "OAuthException",
            "code": self.code,
            "error_data": {"messaging_product": "whatsapp", "details": self.details},
            "fbtrace_id": trace_id(),
        });
        if let Some(subcode) = self.subcode {
            error["error_subcode"] = json!(subcode);
        }
        if matches!(self.code, 1 | 2 | 4 | 130429 | 131016) {
            error["is_transient"] = json!(true);
        }
        json!({ "error": error })
    }

    /// Graph writes the code before the title, and for 100 the details themselves.
    fn message(&self) -> String {
        match self.code {
            190 => "Invalid OAuth access token - Cannot parse access token".into(),
            100 => format!("(#100) {}", self.details),
            code => format!("(#{code}) {}", title(code)),
        }
    }
}

impl IntoResponse for GraphError {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(self.body())).into_response();
        if let Some(seconds) = self.retry_after_seconds {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

impl From<std::io::Error> for GraphError {
    fn from(error: std::io::Error) -> Self {
        GraphError::new(131000, format!("the sandbox cannot write its journal: {error}"))
    }
}

fn usual_status(code: i64) -> StatusCode {
    match code {
        190 => StatusCode::UNAUTHORIZED,
        3 | 10 | 200..=299 | 368 | 131005 | 131031 => StatusCode::FORBIDDEN,
        132001 => StatusCode::NOT_FOUND,
        131207 => StatusCode::FORBIDDEN,
        131208 => StatusCode::TOO_MANY_REQUESTS,
        131000 | 131016 | 131045 | 131057 => StatusCode::INTERNAL_SERVER_ERROR,
        2 | 133004 => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::BAD_REQUEST,
    }
}

/// The title of a code, from Meta's page of error codes.
pub(super) fn title(code: i64) -> &'static str {
    match code {
        0 => "AuthException",
        1 => "An unknown error occurred",
        2 => "Service temporarily unavailable",
        3 => "API Method",
        4 => "Application request limit reached",
        10 => "Permission Denied",
        33 => "Parameter value is not valid",
        100 => "Invalid parameter",
        190 => "Access token has expired",
        200..=299 => "API Permission",
        368 => "Temporarily blocked for policies violations",
        80007 => "Rate limit issues",
        130403 => "Business blocked the user",
        130429 => "Rate limit hit",
        130472 => "User's number is part of an experiment",
        130497 => "Business account is restricted from messaging users in this country",
        131000 => "Something went wrong",
        131005 => "Access denied",
        131008 => "Required parameter is missing",
        131009 => "Parameter value is not valid",
        131016 => "Service unavailable",
        131020 => "Bad Group",
        131021 => "Recipient cannot be sender",
        131026 => "Message undeliverable",
        131031 => "Business Account has been locked",
        131041 => "Group unknown",
        131042 => "Business eligibility payment issue",
        131045 => "Incorrect certificate",
        131047 => "Re-engagement message",
        131048 => "Spam rate limit hit",
        131049 => "This message was not delivered to maintain healthy ecosystem engagement.",
        131050 => "User has stopped receiving marketing messages",
        131051 => "Unsupported message type",
        131052 => "Media download error",
        131053 => "Media upload error",
        131056 => "(Business Account, Consumer Account) pair rate limit hit",
        131057 => "Account in maintenance mode",
        131201 => "Request partially succeeded",
        131202 => "Duplicate participant",
        131203 => "Recipient has not accepted new Terms",
        131204 => "Participant overlimit",
        131207 => "Group suspended",
        131208 => "Group rate limit hit",
        131209 => "Group picture not square",
        131210 => "Group picture too small",
        131211 => "Group create limit reached",
        131212 => "Participant is not part of the group",
        131213 => "Group join request does not exist",
        131214 => "Group creation temporarily disabled",
        131215 => "Not eligible for Groups API",
        132000 => "Number of parameters does not match the expected number of params",
        132001 => "Template name does not exist in the translation",
        132005 => "Translated text too long",
        132007 => "Template format character policy violated",
        132012 => "Parameter format does not match format in the created template",
        132015 => "Template is paused",
        132016 => "Template is disabled",
        132018 => "There was an issue with the parameters in your template",
        133004 => "Server temporarily unavailable",
        133010 => "Account not registered",
        135000 => "Generic user error",
        _ => "Something went wrong",
    }
}

fn trace_id() -> String {
    let tail: String = std::iter::repeat_with(fastrand::alphanumeric).take(20).collect();
    format!("A{tail}")
}
