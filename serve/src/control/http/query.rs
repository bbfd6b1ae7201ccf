//! The name in a URL, the part of it behind `?`, and what a request accepts.

use std::time::Duration;

use axum::extract::rejection::QueryRejection;
use axum::extract::{FromRequestParts, Path, Query};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;

use super::error;
use crate::times::{self, now_ms};

/// The id or name in the path of a request.
#[derive(Debug)]
pub(super) struct Named(pub(super) String);

impl<S: Send + Sync> FromRequestParts<S> for Named {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Response> {
        let path = Path::from_request_parts(parts, state).await;
        path.map(|Path(name)| Self(name)).map_err(|_| bad("the name in the path is not UTF-8 text"))
    }
}

/// The parameters of a request as they came.
pub(super) type Raw = Result<Query<Vec<(String, String)>>, QueryRejection>;

/// The parameters of a request, all of which the path knows.
#[derive(Debug)]
pub(super) struct Parameters(Vec<(String, String)>);

impl Parameters {
    /// Takes parameters, of which only these are known.
    ///
    /// # Errors
    /// The answer to others.
    pub(super) fn new(raw: Raw, known: &[&str]) -> Result<Self, Response> {
        let Ok(Query(parameters)) = raw else {
            return Err(bad("the part behind `?` is not KEY=VALUE&…"));
        };
        match parameters.iter().find(|(key, _)| !known.contains(&&**key)) {
            None => Ok(Self(parameters)),
            Some((other, _)) => {
                let list = known.iter().map(|key| format!("`{key}`")).collect::<Vec<_>>();
                let list = match list.split_last() {
                    Some((last, [])) => last.clone(),
                    Some((last, others)) => format!("{} or {last}", others.join(", ")),
                    None => return Err(bad(format!("there is no parameter {other:?} here"))),
                };
                Err(bad(format!("there is no parameter {other:?}; give {list}")))
            }
        }
    }

    /// Returns the last value of a parameter.
    pub(super) fn get(&self, key: &str) -> Option<&str> {
        self.0.iter().rfind(|(other, _)| other == key).map(|(_, value)| &**value)
    }

    /// Returns a number.
    ///
    /// # Errors
    /// The answer to something else; `what` says what it is.
    pub(super) fn number(&self, key: &str, what: &str) -> Result<Option<u64>, Response> {
        let Some(value) = self.get(key) else { return Ok(None) };
        let wrong = || bad(format!("`{key}` is {value:?}; give {what}"));
        value.parse().map(Some).map_err(|_| wrong())
    }

    /// Returns a point in the past, in milliseconds since the Unix epoch.
    ///
    /// # Errors
    /// The answer to something else.
    pub(super) fn time(&self, key: &str) -> Result<Option<u64>, Response> {
        let Some(value) = self.get(key) else { return Ok(None) };
        let wrong = || bad(format!("`{key}` is {value:?}; give {}", times::ACCEPTED));
        times::since(value, now_ms()).map(Some).ok_or_else(wrong)
    }

    /// Returns a length of time, at most `most`.
    ///
    /// # Errors
    /// The answer to something else.
    pub(super) fn length(&self, key: &str, most: Duration) -> Result<Duration, Response> {
        let Some(value) = self.get(key) else { return Ok(Duration::ZERO) };
        let wrong = || bad(format!("`{key}` is {value:?}; give a length such as 500ms or 30s"));
        let ms = times::length(value).ok_or_else(wrong)?;
        Ok(Duration::from_millis(ms).min(most))
    }

    /// Returns the form of the answer: that of `format`, which a link can give where it cannot give a header, or else
    /// that of the header.
    ///
    /// # Errors
    /// The answer to a format that there is not.
    pub(super) fn form(
        &self,
        headers: &HeaderMap,
        offered: &[Form],
    ) -> Result<Option<Form>, Response> {
        match self.get("format") {
            None => Ok(form(headers, offered)),
            Some("json") => Ok(Some(Form::Json)),
            Some("csv") => Ok(Some(Form::Csv)),
            Some(other) => Err(bad(format!("`format` is {other:?}; give json or csv"))),
        }
    }
}

fn bad(message: impl Into<String>) -> Response {
    error(StatusCode::BAD_REQUEST, message)
}

/// The form of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Json,
    Csv,
    Stream,
}

/// Returns the form that the request asks for: the first that it names and that is `offered`. Weights are for
/// browsers.
pub(super) fn form(headers: &HeaderMap, offered: &[Form]) -> Option<Form> {
    let types = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    types.flat_map(|list| list.split(',')).find_map(|one| {
        let form = match one.split(';').next()?.trim().to_ascii_lowercase().as_str() {
            "text/csv" => Form::Csv,
            "application/json" => Form::Json,
            "text/event-stream" => Form::Stream,
            _ => return None,
        };
        offered.contains(&form).then_some(form)
    })
}
