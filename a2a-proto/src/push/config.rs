//! A configuration on its way in: what a client may register, and what comes back to it. The address is judged without
//! the network, so that nothing fails because a name does not resolve (A2A §3.1.7, §13.2).

use http::HeaderValue;

use super::allow::AllowList;
use super::target;
use crate::error::{A2aError, FieldViolation};
use crate::types::{AuthenticationInfo, TaskPushNotificationConfig};

/// The longest id, in bytes: a UUID and some.
const MAX_ID: usize = 128;
/// The longest token, in bytes; it is sent as a header with every event.
const MAX_TOKEN: usize = 4096;
/// The longest name of an authentication scheme; the longest registered one has some 20 bytes.
const MAX_SCHEME: usize = 64;
/// The longest credentials: a large signed token with room to spare.
const MAX_CREDENTIALS: usize = 8192;

/// A configuration that may be stored.
#[derive(Debug, Clone)]
pub(crate) struct Registration(TaskPushNotificationConfig);

impl Registration {
    /// Checks `config`. `path` is where it stands in its request, with a dot at its end.
    ///
    /// # Errors
    /// [`A2aError::InvalidParams`] with everything that is wrong.
    pub(crate) fn check(
        config: TaskPushNotificationConfig,
        allow: &AllowList,
        path: &str,
    ) -> Result<Self, A2aError> {
        let mut found = Vec::new();
        let mut wrong = |field: &str, description: String| {
            found.push(FieldViolation {
                field: format!("{path}{field}"),
                description,
            });
        };
        let id = &config.id;
        if id.len() > MAX_ID || id.chars().any(char::is_control) {
            wrong(
                "id",
                format!("must have at most {MAX_ID} bytes and no control characters"),
            );
        }
        if config.url.is_empty() {
            wrong("url", "is required".to_owned());
        } else if let Err(refusal) = target::check(&config.url, allow) {
            wrong("url", refusal.to_string());
        }
        if config.token.len() > MAX_TOKEN || HeaderValue::from_str(&config.token).is_err() {
            wrong("token", header_text(MAX_TOKEN));
        }
        if let Some(AuthenticationInfo {
            scheme,
            credentials,
        }) = &config.authentication
        {
            if scheme.is_empty() {
                wrong("authentication.scheme", "is required".to_owned());
            } else if scheme.len() > MAX_SCHEME || !scheme.bytes().all(is_token_byte) {
                wrong(
                    "authentication.scheme",
                    "must be the name of an HTTP authentication scheme, such as Bearer".to_owned(),
                );
            }
            if credentials.len() > MAX_CREDENTIALS || HeaderValue::from_str(credentials).is_err() {
                wrong("authentication.credentials", header_text(MAX_CREDENTIALS));
            }
        }
        if found.is_empty() {
            Ok(Self(config))
        } else {
            Err(A2aError::InvalidParams { violations: found })
        }
    }

    /// Its id, made by `fresh` if the client has chosen none.
    pub(crate) fn id_or(&mut self, fresh: impl FnOnce() -> String) -> &str {
        if self.0.id.is_empty() {
            self.0.id = fresh();
        }
        &self.0.id
    }

    /// The configuration, for the task that it is for.
    pub(crate) fn of_task(mut self, task_id: &str) -> TaskPushNotificationConfig {
        task_id.clone_into(&mut self.0.task_id);
        self.0
    }
}

/// What a client gets to see of a configuration: everything but the credentials, which go to the receiver only.
pub(crate) fn shown(mut config: TaskPushNotificationConfig) -> TaskPushNotificationConfig {
    if let Some(authentication) = &mut config.authentication {
        authentication.credentials.clear();
    }
    config
}

fn header_text(limit: usize) -> String {
    format!("must have at most {limit} bytes, all of them visible ASCII")
}

/// A character of a token (RFC 9110 §5.6.2).
fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn violations(change: impl FnOnce(&mut TaskPushNotificationConfig)) -> Vec<String> {
        let mut config = TaskPushNotificationConfig {
            url: "https://example.com/".to_owned(),
            authentication: Some(AuthenticationInfo {
                scheme: "Bearer".to_owned(),
                credentials: "abc".to_owned(),
            }),
            ..TaskPushNotificationConfig::default()
        };
        change(&mut config);
        match Registration::check(config, &AllowList::default(), "it.") {
            Ok(_) => Vec::new(),
            Err(A2aError::InvalidParams { violations }) => violations
                .into_iter()
                .map(|violation| violation.field)
                .collect(),
            Err(other) => panic!("{other}"),
        }
    }

    #[test]
    fn everything_that_is_wrong_is_told_at_once() {
        assert_eq!(violations(|_| {}), Vec::<String>::new());
        assert_eq!(
            violations(|it| it.authentication = None),
            Vec::<String>::new()
        );
        let all = violations(|it| {
            it.id = "x".repeat(MAX_ID + 1);
            it.url = "https://10.0.0.1/".to_owned();
            it.token = "a\r\nX-Evil: 1".to_owned();
            it.authentication = Some(AuthenticationInfo {
                scheme: "Bea rer".to_owned(),
                credentials: "a\nb".to_owned(),
            });
        });
        let fields = [
            "id",
            "url",
            "token",
            "authentication.scheme",
            "authentication.credentials",
        ];
        assert_eq!(all, fields.map(|field| format!("it.{field}")));
        assert_eq!(violations(|it| it.url.clear()), ["it.url"]);
        assert_eq!(violations(|it| it.id.push('\n')), ["it.id"]);
        assert_eq!(
            violations(|it| it.token = "x".repeat(MAX_TOKEN + 1)),
            ["it.token"]
        );
        assert_eq!(
            violations(|it| it.authentication = Some(AuthenticationInfo::default())),
            ["it.authentication.scheme"]
        );
    }

    #[test]
    fn credentials_are_not_shown() {
        let config = TaskPushNotificationConfig {
            token: "mine".to_owned(),
            authentication: Some(AuthenticationInfo {
                scheme: "Bearer".to_owned(),
                credentials: "s3cret".to_owned(),
            }),
            ..TaskPushNotificationConfig::default()
        };
        assert!(!format!("{config:?}").contains("s3cret"), "nor in a log");
        assert!(!format!("{config:?}").contains("mine"), "nor in a log");
        let shown = shown(config);
        let json = serde_json::to_string(&shown).unwrap();
        assert_eq!(
            json,
            r#"{"token":"mine","authentication":{"scheme":"Bearer"}}"#
        );
    }
}
