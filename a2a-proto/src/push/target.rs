//! What an address that a stranger gives may look like. The check here needs no network: it judges what is written. A
//! name is judged again, by what it leads to, at every connection ([`super::resolve`]).

use url::{Host, Url};

use super::allow::{AllowList, is_localhost, plain_name};

/// The longest address that is kept, in bytes; what proxies and servers commonly take.
const MAX_URL: usize = 2048;

/// Why an address is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refusal {
    #[error("is longer than {MAX_URL} bytes")]
    TooLong,
    #[error("is not an absolute URL")]
    NotUrl,
    #[error("must begin with https:// (or http:// for receivers that the operator has listed)")]
    Scheme,
    #[error(
        "must begin with https://: this server's operator has not listed {host} in push_allow, which plain http needs"
    )]
    Plain { host: String },
    #[error("must not hold a user name or password: use authentication")]
    UserInfo,
    #[error(
        "leads into a network that is not public: {host} is not listed in push_allow by this server's operator"
    )]
    NotPublic { host: String },
}

/// The address that is posted to, if it may be.
pub(super) fn check(text: &str, allow: &AllowList) -> Result<Url, Refusal> {
    if text.len() > MAX_URL {
        return Err(Refusal::TooLong);
    }
    let url = Url::parse(text).map_err(|_| Refusal::NotUrl)?;
    let secure = match url.scheme() {
        "https" => true,
        "http" => false,
        _ => return Err(Refusal::Scheme),
    };
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Refusal::UserInfo);
    }
    let host = url.host().ok_or(Refusal::NotUrl)?;
    let named = || host.to_string();
    let (may, listed) = match host {
        Host::Domain(name) => {
            let listed = allow.host(name);
            (listed || !is_localhost(&plain_name(name)), listed)
        }
        Host::Ipv4(address) => (
            allow.may_connect(address.into(), false),
            allow.address(address.into()),
        ),
        Host::Ipv6(address) => (
            allow.may_connect(address.into(), false),
            allow.address(address.into()),
        ),
    };
    if !may {
        return Err(Refusal::NotPublic { host: named() });
    }
    if !secure && !listed {
        return Err(Refusal::Plain { host: named() });
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(entries: &[&str]) -> AllowList {
        AllowList::new(entries.iter().map(|entry| entry.parse().unwrap()))
    }

    fn why(url: &str, allow: &AllowList) -> &'static str {
        match check(url, allow) {
            Ok(_) => "ok",
            Err(Refusal::TooLong) => "long",
            Err(Refusal::NotUrl) => "no url",
            Err(Refusal::Scheme) => "scheme",
            Err(Refusal::Plain { .. }) => "plain",
            Err(Refusal::UserInfo) => "user",
            Err(Refusal::NotPublic { .. }) => "private",
        }
    }

    #[test]
    fn addresses_of_strangers_are_judged_by_what_is_written() {
        let none = AllowList::default();
        for (url, expected) in [
            ("https://example.com/hook?x=1", "ok"),
            ("https://1.1.1.1/", "ok"),
            ("https://[2606:4700::1111]:8443/", "ok"),
            ("http://example.com/", "plain"),
            ("http://1.1.1.1/", "plain"),
            ("ftp://example.com/", "scheme"),
            ("file:///etc/passwd", "scheme"),
            ("gopher://127.0.0.1/", "scheme"),
            ("unix:/run/x", "scheme"),
            ("javascript:alert(1)", "scheme"),
            ("/hook", "no url"),
            ("example.com/hook", "no url"),
            ("https://", "no url"),
            ("", "no url"),
            ("https://ann@example.com/", "user"),
            ("https://ann:pw@example.com/", "user"),
            ("https://example.com@10.0.0.1/", "user"),
            ("https://127.0.0.1/", "private"),
            ("https://localhost/", "private"),
            ("https://LOCALHOST./", "private"),
            ("https://a.localhost/", "private"),
            // Other ways to write 127.0.0.1 and friends.
            ("https://127.1/", "private"),
            ("https://2130706433/", "private"),
            ("https://0x7f000001/", "private"),
            ("https://0177.0.0.1/", "private"),
            ("https://127.0.0.1./", "private"),
            ("https://%31%32%37.0.0.1/", "private"),
            ("https://①②⑦.0.0.1/", "private"),
            ("https://0/", "private"),
            ("https://[::]/", "private"),
            ("https://[::1]/", "private"),
            ("https://[::ffff:7f00:1]/", "private"),
            ("https://[::ffff:169.254.169.254]/", "private"),
            ("https://[64:ff9b::a9fe:a9fe]/", "private"),
            ("https://[2002:a9fe:a9fe::]/", "private"),
            ("https://[fe80::1]/", "private"),
            ("https://169.254.169.254/latest/meta-data", "private"),
            ("https://10.1.2.3/", "private"),
            ("https://100.64.0.1/", "private"),
            ("https://224.0.0.1/", "private"),
        ] {
            assert_eq!(why(url, &none), expected, "{url}");
        }
        let long = format!("https://example.com/{}", "x".repeat(MAX_URL));
        assert_eq!(why(&long, &none), "long");
    }

    #[test]
    fn listed_receivers_are_allowed_in_plain_http_too() {
        let some = list(&[
            "10.1.0.0/16",
            "hooks.example.com",
            "*.corp.example",
            "fd00::/8",
        ]);
        for (url, expected) in [
            ("http://10.1.2.3:8080/", "ok"),
            ("https://10.1.2.3/", "ok"),
            ("http://10.2.0.1/", "private"),
            ("http://[fd00::5]/", "ok"),
            ("http://hooks.example.com/", "ok"),
            ("http://HOOKS.example.com./", "ok"),
            ("http://other.example.com/", "plain"),
            ("http://a.b.corp.example/", "ok"),
            ("http://corp.example/", "plain"),
            ("http://evilcorp.example/", "plain"),
            ("http://127.0.0.1/", "private"),
        ] {
            assert_eq!(why(url, &some), expected, "{url}");
        }
        let loopback = list(&["loopback"]);
        for (url, expected) in [
            ("http://127.0.0.1:9/", "ok"),
            ("http://[::1]:9/", "ok"),
            ("http://localhost:9/", "ok"),
            ("http://[::ffff:127.0.0.1]/", "ok"),
            ("http://0.0.0.0/", "private"),
            ("http://10.0.0.1/", "private"),
        ] {
            assert_eq!(why(url, &loopback), expected, "{url}");
        }
        // Whatever is listed, these stay closed.
        let all = list(&["0.0.0.0/0", "::/0"]);
        for closed in [
            "http://169.254.169.254/",
            "http://[fe80::1]/",
            "http://0.0.0.0/",
            "http://[::]/",
            "http://224.0.0.1/",
            "http://[::ffff:169.254.169.254]/",
        ] {
            assert_eq!(why(closed, &all), "private", "{closed}");
        }
        assert_eq!(why("http://192.168.0.1/", &all), "ok");
    }

    #[test]
    fn entries_of_the_list_are_checked_when_they_are_read() {
        for good in [
            "loopback",
            "example.com",
            "*.example.com",
            "10.0.0.0/8",
            "10.0.0.1/32",
            "fd00::/8",
            "host-1",
        ] {
            let entry: super::super::Allowed = good.parse().unwrap();
            assert_eq!(entry.to_string(), good);
        }
        for bad in [
            "",
            "*",
            "*.com",
            "a b",
            "http://example.com",
            "example.com:443",
            "10.0.0.0/33",
            "1.2.3",
            "a..b",
            "*.*.example",
        ] {
            assert!(bad.parse::<super::super::Allowed>().is_err(), "{bad}");
        }
    }
}
