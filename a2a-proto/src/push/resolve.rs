//! Resolve and pin: the HTTP client connects only to addresses that came out of here, and what comes out was judged. So
//! there is no moment between check and connection in which a name could lead elsewhere (DNS rebinding).

use std::fmt;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::allow::AllowList;

/// Where the names of receivers lead.
pub trait Resolver: Send + Sync + 'static {
    /// The addresses of `host`.
    fn resolve(
        &self,
        host: &str,
    ) -> Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send + '_>>;
}

/// Asks the operating system.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemResolver;

impl Resolver for SystemResolver {
    fn resolve(
        &self,
        host: &str,
    ) -> Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send + '_>> {
        let host = host.to_owned();
        Box::pin(async move {
            let found = tokio::net::lookup_host((host, 0)).await?;
            Ok(found.map(|address| address.ip()).collect())
        })
    }
}

/// Every address of a name was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the host leads to {address}, which is not public: refused")]
pub(super) struct Forbidden {
    address: IpAddr,
}

/// The name leads nowhere.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("the host has no address")]
struct NoAddress;

/// The resolver of the HTTP client: answers only addresses that may be connected to.
pub(super) struct Pinned {
    pub(super) resolver: Arc<dyn Resolver>,
    pub(super) allow: AllowList,
}

impl Pinned {
    /// The addresses of `host` that may be connected to.
    fn judge(&self, host: &str, found: Vec<IpAddr>) -> Result<Vec<IpAddr>, Forbidden> {
        let listed = self.allow.host(host);
        let (good, bad): (Vec<_>, Vec<_>) = found
            .into_iter()
            .partition(|address| self.allow.may_connect(*address, listed));
        match bad.first() {
            Some(address) if good.is_empty() => Err(Forbidden { address: *address }),
            _ => Ok(good),
        }
    }
}

/// For the HTTP client.
pub(super) struct Resolves(pub(super) Arc<Pinned>);

impl Resolve for Resolves {
    fn resolve(&self, name: Name) -> Resolving {
        let pinned = Arc::clone(&self.0);
        Box::pin(async move {
            let host = name.as_str();
            let found = pinned.resolver.resolve(host).await?;
            let good = pinned.judge(host, found)?;
            if good.is_empty() {
                return Err(NoAddress.into());
            }
            // Port 0 stands for the address's own.
            let addresses = good.into_iter().map(|address| SocketAddr::new(address, 0));
            Ok(Box::new(addresses) as Addrs)
        })
    }
}

impl fmt::Debug for Pinned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pinned")
            .field("allow", &self.allow)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(allow: &[&str], host: &str, found: &[&str]) -> Result<Vec<String>, String> {
        let pinned = Pinned {
            resolver: Arc::new(SystemResolver),
            allow: AllowList::new(allow.iter().map(|entry| entry.parse().unwrap())),
        };
        let found = found
            .iter()
            .map(|address| address.parse().unwrap())
            .collect();
        let good = pinned.judge(host, found);
        good.map(|good| good.iter().map(ToString::to_string).collect())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn only_judged_addresses_come_out() {
        let public = ["93.184.216.34", "2606:4700::1111"];
        assert_eq!(judged(&[], "example.com", &public).unwrap(), public);
        assert_eq!(
            judged(&[], "example.com", &["10.0.0.1", "1.1.1.1", "64:ff9b::1"]).unwrap(),
            ["1.1.1.1"]
        );
        let refused = judged(&[], "example.com", &["127.0.0.1", "::1"]).unwrap_err();
        assert!(refused.contains("127.0.0.1"), "{refused}");
        assert_eq!(
            judged(&["example.com"], "example.com", &["10.0.0.1"]).unwrap(),
            ["10.0.0.1"]
        );
        assert!(judged(&["example.com"], "other.com", &["10.0.0.1"]).is_err());
        assert!(judged(&["example.com"], "example.com", &["169.254.169.254"]).is_err());
        assert_eq!(
            judged(&["10.0.0.0/8"], "x.org", &["10.0.0.1"]).unwrap(),
            ["10.0.0.1"]
        );
    }
}
