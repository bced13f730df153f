//! What a path means: a pure function from method and path to a [`Route`], for all bindings on one port. Written by
//! hand because a verb after a colon (`/tasks/{id}:cancel`) and a tenant in front are beyond the router's patterns.

use http::Method;

use crate::card::{WELL_KNOWN, WELL_KNOWN_OLD};

/// First segments that are never a tenant: each is a path of ours or will be.
const RESERVED: &[&str] = &[
    "message:send",
    "message:stream",
    "tasks",
    "extendedAgentCard",
    "v1",
    ".well-known",
    "rpc",
    "a2a",
    "healthz",
    "readyz",
    "metrics",
    "legacy",
];

/// Something that is served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Route {
    Card,
    LegacyCard,
    Health,
    Ready,
    JsonRpc,
    Rest {
        tenant: String,
        call: Call,
    },
    /// Below `/v1`: the REST binding of 0.3.
    RestV03(Call),
    SimpleSend,
    /// `GET /tasks/{id}`: in the simple dialect or in 1.0, as the request and the task say.
    TaskOrSimple(String),
    /// `GET /legacy/tasks/{id}`: always in the simple dialect.
    SimpleTask(String),
}

/// An operation of the HTTP+JSON binding (A2A §11.3); 0.3 has the same ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Call {
    Send,
    Stream,
    Get(String),
    List,
    Cancel(String),
    Subscribe(String),
    CreatePushConfig(String),
    ListPushConfigs(String),
    GetPushConfig(String, String),
    DeletePushConfig(String, String),
    ExtendedCard,
}

/// Why nothing is served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Miss {
    NotFound,
    /// The path is served, for these methods.
    Method(&'static str),
}

/// What `method` on `path` means. `path` is as it came, percent-encoded.
pub(super) fn route(method: &Method, path: &str) -> Result<Route, Miss> {
    // HEAD is GET without the body, which the connection leaves out by itself.
    let method = if method == Method::HEAD {
        &Method::GET
    } else {
        method
    };
    let get = |route: Route| {
        if method == Method::GET {
            Ok(route)
        } else {
            Err(Miss::Method("GET, HEAD"))
        }
    };
    let post = |route: Route| {
        if method == Method::POST {
            Ok(route)
        } else {
            Err(Miss::Method("POST"))
        }
    };
    // One trailing slash is tolerated everywhere.
    let path = path.strip_suffix('/').unwrap_or(path);
    if path == WELL_KNOWN {
        return get(Route::Card);
    }
    if path == WELL_KNOWN_OLD {
        return get(Route::LegacyCard);
    }
    let segments: Vec<&str> = path
        .strip_prefix('/')
        .map(|path| path.split('/').collect())
        .unwrap_or_default();
    if segments.iter().any(|segment| segment.is_empty()) {
        return Err(Miss::NotFound);
    }
    match *segments.as_slice() {
        [] | ["rpc" | "a2a"] => post(Route::JsonRpc),
        ["healthz"] => get(Route::Health),
        ["readyz"] => get(Route::Ready),
        ["v1", "card"] => get(Route::RestV03(Call::ExtendedCard)),
        ["v1", "extendedAgentCard"] => Err(Miss::NotFound),
        ["v1", ref rest @ ..] => call(method, rest).map(Route::RestV03),
        ["tasks", "send"] if method == Method::POST => Ok(Route::SimpleSend),
        ["legacy", "tasks", "send"] => post(Route::SimpleSend),
        ["legacy", "tasks", id] => get(Route::SimpleTask(decode(id)?)),
        ref all => match call(method, all) {
            Ok(Call::Get(id)) => Ok(Route::TaskOrSimple(id)),
            Ok(call) => Ok(Route::Rest {
                tenant: String::new(),
                call,
            }),
            Err(Miss::NotFound) => match all {
                [tenant, rest @ ..] if !RESERVED.contains(tenant) => Ok(Route::Rest {
                    call: call(method, rest)?,
                    tenant: decode(tenant)?,
                }),
                _ => Err(Miss::NotFound),
            },
            Err(miss) => Err(miss),
        },
    }
}

fn call(method: &Method, segments: &[&str]) -> Result<Call, Miss> {
    let only = |allowed: &Method, names: &'static str, call: Call| {
        if method == allowed {
            Ok(call)
        } else {
            Err(Miss::Method(names))
        }
    };
    let get = |call: Call| only(&Method::GET, "GET, HEAD", call);
    let post = |call: Call| only(&Method::POST, "POST", call);
    match *segments {
        ["message:send"] => post(Call::Send),
        ["message:stream"] => post(Call::Stream),
        ["extendedAgentCard"] => get(Call::ExtendedCard),
        ["tasks"] => get(Call::List),
        // An id with a colon comes percent-encoded, so the last plain colon begins the verb.
        ["tasks", task] => match task.rsplit_once(':') {
            None => get(Call::Get(decode(task)?)),
            Some((id, "cancel")) => post(Call::Cancel(decode(id)?)),
            // The text says POST, the proto says GET.
            Some((id, "subscribe")) => match *method {
                Method::GET | Method::POST => Ok(Call::Subscribe(decode(id)?)),
                _ => Err(Miss::Method("GET, HEAD, POST")),
            },
            Some(_) => Err(Miss::NotFound),
        },
        ["tasks", task, "pushNotificationConfigs"] => match *method {
            Method::GET => Ok(Call::ListPushConfigs(decode(task)?)),
            Method::POST => Ok(Call::CreatePushConfig(decode(task)?)),
            _ => Err(Miss::Method("GET, HEAD, POST")),
        },
        ["tasks", task, "pushNotificationConfigs", config] => match *method {
            Method::GET => Ok(Call::GetPushConfig(decode(task)?, decode(config)?)),
            Method::DELETE => Ok(Call::DeletePushConfig(decode(task)?, decode(config)?)),
            _ => Err(Miss::Method("GET, HEAD, DELETE")),
        },
        _ => Err(Miss::NotFound),
    }
}

/// The text of a percent-encoded segment (RFC 3986 §2.1); what is none is served nowhere.
fn decode(segment: &str) -> Result<String, Miss> {
    let mut bytes = Vec::with_capacity(segment.len());
    let mut rest = segment.bytes();
    while let Some(byte) = rest.next() {
        let mut digit = || rest.next().and_then(|it| char::from(it).to_digit(16));
        bytes.push(match byte {
            b'%' => match (digit(), digit()) {
                (Some(high), Some(low)) => {
                    u8::try_from(high * 16 + low).map_err(|_| Miss::NotFound)?
                }
                _ => return Err(Miss::NotFound),
            },
            plain => plain,
        });
    }
    String::from_utf8(bytes).map_err(|_| Miss::NotFound)
}

/// A route in words, for `fuzzing`.
#[cfg(feature = "fuzzing")]
pub(crate) fn in_words(method: &Method, path: &str) -> Option<String> {
    route(method, path).ok().map(|route| format!("{route:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(method: &Method, path: &str, expect: &Result<Route, Miss>) {
        assert_eq!(route(method, path), *expect, "{method} {path}");
    }

    fn rest(tenant: &str, call: Call) -> Result<Route, Miss> {
        Ok(Route::Rest {
            tenant: tenant.to_owned(),
            call,
        })
    }

    #[test]
    fn every_path_of_one_port_has_its_meaning() {
        let id = || "t1".to_owned();
        check(
            &Method::GET,
            "/.well-known/agent-card.json",
            &Ok(Route::Card),
        );
        check(
            &Method::HEAD,
            "/.well-known/agent-card.json",
            &Ok(Route::Card),
        );
        check(
            &Method::GET,
            "/.well-known/agent.json/",
            &Ok(Route::LegacyCard),
        );
        check(&Method::GET, "/healthz", &Ok(Route::Health));
        check(&Method::GET, "/readyz/", &Ok(Route::Ready));
        for path in ["/", "", "/rpc", "/rpc/", "/a2a", "/a2a/"] {
            check(&Method::POST, path, &Ok(Route::JsonRpc));
            check(&Method::GET, path, &Err(Miss::Method("POST")));
        }
        check(&Method::POST, "/message:send", &rest("", Call::Send));
        check(&Method::POST, "/message:stream/", &rest("", Call::Stream));
        check(&Method::GET, "/tasks", &rest("", Call::List));
        check(&Method::GET, "/tasks/t1", &Ok(Route::TaskOrSimple(id())));
        check(
            &Method::POST,
            "/tasks/t1:cancel",
            &rest("", Call::Cancel(id())),
        );
        check(
            &Method::GET,
            "/tasks/t1:subscribe",
            &rest("", Call::Subscribe(id())),
        );
        check(
            &Method::POST,
            "/tasks/t1:subscribe",
            &rest("", Call::Subscribe(id())),
        );
        check(
            &Method::POST,
            "/tasks/t1/pushNotificationConfigs",
            &rest("", Call::CreatePushConfig(id())),
        );
        check(
            &Method::DELETE,
            "/tasks/t1/pushNotificationConfigs/c",
            &rest("", Call::DeletePushConfig(id(), "c".into())),
        );
        check(
            &Method::GET,
            "/extendedAgentCard",
            &rest("", Call::ExtendedCard),
        );
        check(
            &Method::POST,
            "/v1/message:send",
            &Ok(Route::RestV03(Call::Send)),
        );
        check(
            &Method::GET,
            "/v1/tasks/t1:subscribe",
            &Ok(Route::RestV03(Call::Subscribe(id()))),
        );
        check(
            &Method::GET,
            "/v1/card/",
            &Ok(Route::RestV03(Call::ExtendedCard)),
        );
        check(&Method::POST, "/tasks/send", &Ok(Route::SimpleSend));
        check(&Method::POST, "/tasks/send/", &Ok(Route::SimpleSend));
        check(
            &Method::GET,
            "/legacy/tasks/t1",
            &Ok(Route::SimpleTask(id())),
        );
    }

    #[test]
    fn tenant_comes_first_unless_the_segment_is_reserved() {
        check(
            &Method::POST,
            "/acme/message:send",
            &rest("acme", Call::Send),
        );
        check(
            &Method::GET,
            "/acme/tasks/t1",
            &rest("acme", Call::Get("t1".into())),
        );
        check(
            &Method::POST,
            "/a%20b/tasks/t1:cancel",
            &rest("a b", Call::Cancel("t1".into())),
        );
        for reserved in RESERVED {
            let expect = match *reserved {
                "v1" => Ok(Route::RestV03(Call::Send)),
                _ => Err(Miss::NotFound),
            };
            check(&Method::POST, &format!("/{reserved}/message:send"), &expect);
        }
    }

    #[test]
    fn verbs_split_at_the_last_colon_and_ids_are_decoded() {
        check(
            &Method::POST,
            "/tasks/a:b:cancel",
            &rest("", Call::Cancel("a:b".into())),
        );
        check(
            &Method::GET,
            "/tasks/a%3Acancel",
            &Ok(Route::TaskOrSimple("a:cancel".into())),
        );
        check(
            &Method::GET,
            "/tasks/a%2Fb+c",
            &Ok(Route::TaskOrSimple("a/b+c".into())),
        );
        check(&Method::POST, "/tasks/t1:unknown", &Err(Miss::NotFound));
        check(
            &Method::GET,
            "/tasks/a&b=%EF%BF%BD",
            &Ok(Route::TaskOrSimple("a&b=\u{fffd}".into())),
        );
        for broken in ["/tasks/%FF", "/tasks/%", "/tasks/%4", "/tasks/%+1"] {
            check(&Method::GET, broken, &Err(Miss::NotFound));
        }
    }

    #[test]
    fn wrong_methods_name_the_right_ones() {
        check(&Method::GET, "/message:send", &Err(Miss::Method("POST")));
        check(
            &Method::DELETE,
            "/tasks/t1",
            &Err(Miss::Method("GET, HEAD")),
        );
        check(
            &Method::PUT,
            "/tasks/t1:subscribe",
            &Err(Miss::Method("GET, HEAD, POST")),
        );
        check(
            &Method::POST,
            "/.well-known/agent-card.json",
            &Err(Miss::Method("GET, HEAD")),
        );
        for path in [
            "/nothing",
            "/tasks//x",
            "//",
            "/tasks/t1/other",
            "/v1",
            "/v1/extendedAgentCard",
            "/v1/rpc",
            "/v1/acme/tasks",
            "/a/b/c/d",
        ] {
            check(&Method::GET, path, &Err(Miss::NotFound));
        }
    }
}
