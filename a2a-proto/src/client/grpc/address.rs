//! Where an agent is called over gRPC. A card of 1.0 gives `host:port` and leaves open whether to use TLS: on this machine
//! it is not needed, anywhere else it is. A scheme, which cards of 0.3 have, decides by itself.

use std::net::IpAddr;

use url::{Host, Url};

use crate::client::ClientError;
use crate::version::ProtocolVersion;

/// An address with how to speak there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::client) struct Address {
    /// With scheme, host and port.
    pub(super) uri: String,
    /// 1.0 or 0.3.
    pub(in crate::client) version: ProtocolVersion,
    /// What to put into every request.
    pub(super) tenant: String,
}

impl Address {
    pub(in crate::client) fn parse(
        text: &str,
        version: ProtocolVersion,
        tenant: String,
    ) -> Result<Self, ClientError> {
        let bad = || ClientError::BadUrl {
            url: text.to_owned(),
        };
        let parse = |text: &str| Url::parse(text).map_err(|_| bad());
        let url = match text.contains("://") {
            true => parse(text)?,
            false => match parse(&format!("http://{text}"))? {
                here if is_here(&here) => here,
                _ => parse(&format!("https://{text}"))?,
            },
        };
        if !matches!(url.scheme(), "http" | "https") {
            return Err(bad());
        }
        let (host, port) = (url.host_str(), url.port_or_known_default());
        let (host, port) = (host.ok_or_else(bad)?, port.ok_or_else(bad)?);
        let uri = format!("{}://{host}:{port}", url.scheme());
        Ok(Self {
            uri,
            version,
            tenant,
        })
    }

    pub(super) fn is_secure(&self) -> bool {
        self.uri.starts_with("https://")
    }
}

/// Whether the address cannot leave this machine.
fn is_here(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name.eq_ignore_ascii_case("localhost"),
        Some(Host::Ipv4(address)) => IpAddr::from(address).is_loopback(),
        Some(Host::Ipv6(address)) => IpAddr::from(address).to_canonical().is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_scheme_only_this_machine_is_called_without_tls() {
        let uri = |text: &str| {
            Address::parse(text, ProtocolVersion::V1_0, String::new()).map(|address| address.uri)
        };
        for (text, expected) in [
            ("127.0.0.1:50051", "http://127.0.0.1:50051"),
            ("[::1]:50051", "http://[::1]:50051"),
            ("localhost:80", "http://localhost:80"),
            ("agent.example:443", "https://agent.example:443"),
            ("agent.example:80", "https://agent.example:80"),
            ("agent.example", "https://agent.example:443"),
            ("10.0.0.1:1", "https://10.0.0.1:1"),
            ("http://agent.example:1", "http://agent.example:1"),
            ("http://agent.example", "http://agent.example:80"),
            ("https://agent.example/x?y", "https://agent.example:443"),
        ] {
            assert_eq!(uri(text).unwrap(), expected, "{text}");
        }
        for bad in ["", "unix:///run/x", "a b:1", "host:port"] {
            assert!(uri(bad).is_err(), "{bad}");
        }
    }
}
