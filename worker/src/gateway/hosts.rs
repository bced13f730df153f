//! Which hosts the agent may reach: the patterns of the card and the rule for addresses.
//!
//! A name that resolves to a private, loopback or link-local address is refused even when it is listed: otherwise whoever
//! controls a listed name's DNS could point it at the operator's own network. An address that is listed as such is the
//! operator's explicit word and allowed, but for link-local ones, where cloud machines keep their credentials.

use std::fmt;
use std::net::IpAddr;

use a2a_proto::push::is_link_local;
use thiserror::Error;

/// Ports that a pattern without one allows.
const DEFAULT_PORTS: [u16; 2] = [80, 443];

/// Longest host name (RFC 1035 §2.3.4).
const MAX_NAME: usize = 253;

/// One entry of `allowed_hosts`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HostPattern {
    host: HostMatch,
    port: Option<u16>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum HostMatch {
    Exact(String),
    /// `*.suffix`: every name below the suffix, not the suffix itself. Kept with its leading dot.
    Below(String),
    Address(IpAddr),
}

/// Why a pattern is not one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(crate) enum PatternError {
    #[error("is not a host name")]
    Name,
    #[error("has a port that is not a number from 1 to 65535")]
    Port,
    #[error("has a '*' elsewhere than in \"*.\" at its beginning")]
    Star,
    #[error("would allow a whole top-level domain")]
    TooWide,
}

/// Where the agent wants to go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) host: String,
    pub(super) port: u16,
    address: Option<IpAddr>,
}

/// What the card says about a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Listed by name: allowed if its addresses are public.
    Named,
    /// Listed by address: allowed as it is.
    Listed(IpAddr),
    /// Refused, with the machine-readable reason.
    Refused(&'static str),
}

impl HostPattern {
    /// Parses `name`, `name:port`, `*.suffix`, `*.suffix:port`, `1.2.3.4[:port]` or `[::1][:port]`.
    pub(crate) fn parse(text: &str) -> Result<Self, PatternError> {
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(Self {
                host: HostMatch::Address(address),
                port: None,
            });
        }
        let (host, port) = split_port(text)?;
        if let Ok(address) = host
            .trim_start_matches('[')
            .trim_end_matches(']')
            .parse::<IpAddr>()
        {
            return Ok(Self {
                host: HostMatch::Address(address),
                port,
            });
        }
        let host = host.to_ascii_lowercase();
        let host = host.strip_suffix('.').unwrap_or(&host);
        if let Some(suffix) = host.strip_prefix("*.") {
            if suffix.contains('*') {
                return Err(PatternError::Star);
            }
            check_name(suffix)?;
            if !suffix.contains('.') {
                return Err(PatternError::TooWide);
            }
            return Ok(Self {
                host: HostMatch::Below(format!(".{suffix}")),
                port,
            });
        }
        if host.contains('*') {
            return Err(PatternError::Star);
        }
        check_name(host)?;
        Ok(Self {
            host: HostMatch::Exact(host.to_owned()),
            port,
        })
    }

    fn matches_host(&self, target: &Target) -> bool {
        match (&self.host, target.address) {
            (HostMatch::Address(listed), Some(address)) => *listed == address,
            (HostMatch::Exact(name), None) => *name == target.host,
            (HostMatch::Below(suffix), None) => {
                target.host.ends_with(suffix.as_str()) && target.host.len() > suffix.len()
            }
            (HostMatch::Address(_), None)
            | (HostMatch::Exact(_) | HostMatch::Below(_), Some(_)) => false,
        }
    }

    fn matches_port(&self, port: u16) -> bool {
        self.port
            .map_or(DEFAULT_PORTS.contains(&port), |listed| listed == port)
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            HostMatch::Exact(name) => f.write_str(name)?,
            HostMatch::Below(suffix) => write!(f, "*{suffix}")?,
            HostMatch::Address(IpAddr::V6(address)) => write!(f, "[{address}]")?,
            HostMatch::Address(address) => write!(f, "{address}")?,
        }
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

impl Target {
    /// Reads the authority of a request; `default_port` where it names none.
    pub(super) fn parse(
        authority: &http::uri::Authority,
        default_port: Option<u16>,
    ) -> Option<Self> {
        // User names in the authority are a known trick to make one host look like another.
        if authority.as_str().contains('@') {
            return None;
        }
        let port = authority
            .port_u16()
            .or(default_port)
            .filter(|port| *port != 0)?;
        let host = authority.host().to_ascii_lowercase();
        let host = host.strip_suffix('.').unwrap_or(&host);
        let address = host
            .trim_start_matches('[')
            .trim_end_matches(']')
            .parse::<IpAddr>()
            .ok();
        if address.is_none() {
            check_name(host).ok()?;
        }
        Some(Self {
            host: host.to_owned(),
            port,
            address,
        })
    }
}

/// Applies the card's list.
pub(super) fn judge(patterns: &[HostPattern], target: &Target) -> Verdict {
    let mut known_host = false;
    for pattern in patterns
        .iter()
        .filter(|pattern| pattern.matches_host(target))
    {
        known_host = true;
        if pattern.matches_port(target.port) {
            return match target.address {
                None => Verdict::Named,
                Some(address) if is_link_local(address) => Verdict::Refused("private-address"),
                Some(address) => Verdict::Listed(address),
            };
        }
    }
    Verdict::Refused(if known_host {
        "port-not-allowed"
    } else {
        "host-not-allowed"
    })
}

fn split_port(text: &str) -> Result<(&str, Option<u16>), PatternError> {
    // The colons inside `[::1]` are no port separators.
    match text.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => {
            let port = port
                .parse::<u16>()
                .ok()
                .filter(|port| *port != 0)
                .ok_or(PatternError::Port)?;
            Ok((host, Some(port)))
        }
        _ => Ok((text, None)),
    }
}

fn check_name(name: &str) -> Result<(), PatternError> {
    let label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && label
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    // A last label of digits would make some resolvers read the name as an IPv4 address.
    let numeric = name
        .rsplit('.')
        .next()
        .is_some_and(|last| last.chars().all(|c| c.is_ascii_digit()));
    if name.len() <= MAX_NAME && name.split('.').all(label) && !numeric {
        Ok(())
    } else {
        Err(PatternError::Name)
    }
}
