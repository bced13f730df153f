//! Paths and addresses: what a request's path is taken for, where our client goes for a task whose id a stranger made, and
//! which webhooks a stranger may register. The first byte chooses.

use std::net::IpAddr;

use a2a_proto::fuzzing::{address_of_task, route, webhook};
use a2a_proto::push::{AllowList, is_public};
use http::Method;
use url::{Host, Url};

/// Reads one path, id or address.
pub fn path(data: &[u8]) {
    let Some((choice, data)) = crate::choice(data) else {
        return;
    };
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    match choice {
        b'g' => served(&Method::GET, text),
        b'p' => served(&Method::POST, text),
        b'd' => served(&Method::DELETE, text),
        b'i' => id(text),
        _ => address(text),
    }
}

/// One trailing slash changes nothing, and what is served has no empty segment.
fn served(method: &Method, path: &str) {
    let Some(found) = route(method, path) else {
        return;
    };
    if !path.ends_with('/') {
        let slash = format!("{path}/");
        assert_eq!(route(method, &slash).as_ref(), Some(&found), "{slash}");
    }
    assert!(!path.contains("//"), "{path}");
}

/// An id goes through an address to the server as it is, and to no other host or path.
fn id(id: &str) {
    let Ok(base) = Url::parse("http://agent.example/a2a") else {
        return;
    };
    if id.is_empty() {
        return;
    }
    let Some(url) = address_of_task(&base, id) else {
        assert!(matches!(id, "." | ".."), "{id:?}");
        return;
    };
    assert_eq!(
        (url.host_str(), url.query(), url.fragment()),
        (base.host_str(), None, None)
    );
    let path = url.path().strip_prefix("/a2a").unwrap_or_default();
    let expected = format!("TaskOrSimple({id:?})");
    assert_eq!(route(&Method::GET, path), Some(expected), "{url}");
}

/// What may be posted to is https on a public host without credentials, and stays so when it is read again.
fn address(text: &str) {
    let Some(url) = webhook(text, &AllowList::default()) else {
        return;
    };
    assert_eq!(url.scheme(), "https");
    assert!(
        url.username().is_empty() && url.password().is_none(),
        "{url}"
    );
    let address: Option<IpAddr> = match url.host() {
        Some(Host::Ipv4(address)) => Some(address.into()),
        Some(Host::Ipv6(address)) => Some(address.into()),
        Some(Host::Domain(name)) => {
            assert!(!name.trim_end_matches('.').ends_with("localhost"), "{url}");
            None
        }
        None => None,
    };
    assert!(url.has_host(), "{url}");
    assert!(address.is_none_or(is_public), "{url}");
    assert_eq!(webhook(url.as_str(), &AllowList::default()), Some(url));
}
