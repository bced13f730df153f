//! The operator's list of receivers that may be posted to though the rule for strangers refuses them: hosts by name,
//! networks, the machine itself. It is empty unless somebody fills it.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;
use serde::Deserialize;

use super::address::{is_link_local, is_public};

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Allowed(Kind);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    /// `loopback`: every address of the machine itself, and the name `localhost`.
    Loopback,
    /// A host by its name, wherever it leads.
    Host(String),
    /// `*.suffix`: every host below it. Kept with its leading dot.
    Below(String),
    /// A network or one address.
    Net(IpNet),
}

/// A text that is no entry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} is no receiver: write a host name, `*.` and a domain, an address, a network such as 10.1.0.0/16, or `loopback`"
)]
pub struct NotAllowed {
    /// The text.
    text: String,
}

impl FromStr for Allowed {
    type Err = NotAllowed;

    fn from_str(text: &str) -> Result<Self, NotAllowed> {
        let wrong = || NotAllowed {
            text: text.to_owned(),
        };
        if text == "loopback" {
            return Ok(Self(Kind::Loopback));
        }
        if let Ok(net) = text.parse::<IpNet>() {
            return Ok(Self(Kind::Net(net.trunc())));
        }
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(Self(Kind::Net(address.into())));
        }
        let (below, name) = match text.strip_prefix("*.") {
            Some(name) => (true, name),
            None => (false, text),
        };
        let name = plain_name(name);
        let letter = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        let labels = name
            .split('.')
            .all(|label| !label.is_empty() && label.len() <= 63);
        // A last label of digits would be read as an IPv4 address.
        let numeric = name
            .rsplit('.')
            .next()
            .is_some_and(|last| last.bytes().all(|b| b.is_ascii_digit()));
        if !labels || numeric || !name.chars().all(letter) || (below && !name.contains('.')) {
            return Err(wrong());
        }
        Ok(Self(if below {
            Kind::Below(format!(".{name}"))
        } else {
            Kind::Host(name)
        }))
    }
}

impl TryFrom<String> for Allowed {
    type Error = NotAllowed;

    fn try_from(text: String) -> Result<Self, NotAllowed> {
        text.parse()
    }
}

impl fmt::Display for Allowed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Loopback => f.write_str("loopback"),
            Kind::Host(name) => f.write_str(name),
            Kind::Below(suffix) => write!(f, "*{suffix}"),
            Kind::Net(net) => net.fmt(f),
        }
    }
}

/// All entries.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AllowList(Vec<Allowed>);

impl AllowList {
    /// These.
    pub fn new(entries: impl IntoIterator<Item = Allowed>) -> Self {
        Self(entries.into_iter().collect())
    }

    /// The machine itself, as tests and kits need it.
    pub fn loopback() -> Self {
        Self(vec![Allowed(Kind::Loopback)])
    }

    /// Whether the host of this name is listed, wherever it leads.
    pub(super) fn host(&self, name: &str) -> bool {
        let name = plain_name(name);
        self.0.iter().any(|entry| match &entry.0 {
            Kind::Loopback => is_localhost(&name),
            Kind::Host(listed) => *listed == name,
            Kind::Below(suffix) => name.ends_with(suffix.as_str()) && name.len() > suffix.len(),
            Kind::Net(_) => false,
        })
    }

    /// Whether the address is listed.
    pub(super) fn address(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|entry| match &entry.0 {
            Kind::Loopback => address.is_loopback(),
            Kind::Net(net) => net.contains(&address),
            Kind::Host(_) | Kind::Below(_) => false,
        })
    }

    /// Whether a receiver at `address`, found under a name that is `listed` or not, may be connected to.
    pub(super) fn may_connect(&self, address: IpAddr, listed: bool) -> bool {
        // Nobody means these: no list opens the door to a cloud machine's credentials.
        let never = is_link_local(address)
            || address.to_canonical().is_unspecified()
            || address.to_canonical().is_multicast();
        !never && (is_public(address) || listed || self.address(address))
    }
}

/// A name without the dot at its end, in small letters.
pub(super) fn plain_name(name: &str) -> String {
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}

/// Whether the name always leads to the machine itself (RFC 6761 §6.3).
pub(super) fn is_localhost(plain_name: &str) -> bool {
    plain_name == "localhost" || plain_name.ends_with(".localhost")
}
