//! The rule for listen addresses, in one place: a server without authentication is reachable from this machine only.
//! Both binaries bind through here, so neither can forget it, and an occupied port always reads the same.

use std::io;
use std::net::SocketAddr;

use thiserror::Error;
use tokio::net::TcpListener;

/// Whether callers must prove who they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Authentication {
    /// Every call carries a credential that is checked.
    Required,
    /// Anybody who can connect may call.
    Off,
}

/// Why a server does not listen.
#[derive(Debug, Error)]
pub enum ListenError {
    /// The address can be reached from elsewhere and nothing would check the callers.
    #[error(
        "refusing to listen on {address} without authentication: it can be reached from other machines; \
         listen on 127.0.0.1 or switch authentication on"
    )]
    PublicWithoutAuthentication {
        /// The address asked for.
        address: SocketAddr,
    },
    /// Another process has the port.
    #[error("port {} on {} is in use by another process; choose another port or use port 0 for any free one", .address.port(), .address.ip())]
    Occupied {
        /// The address asked for.
        address: SocketAddr,
    },
    /// The system refused for another reason.
    #[error("cannot listen on {address}")]
    Bind {
        /// The address asked for.
        address: SocketAddr,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

/// Checks the rule without binding, for validation before anything starts.
///
/// # Errors
///
/// [`ListenError::PublicWithoutAuthentication`] when the rule is broken.
pub fn check(address: SocketAddr, authentication: Authentication) -> Result<(), ListenError> {
    match authentication {
        Authentication::Off if !address.ip().to_canonical().is_loopback() => {
            Err(ListenError::PublicWithoutAuthentication { address })
        }
        Authentication::Off | Authentication::Required => Ok(()),
    }
}

/// Binds a TCP listener under the rule.
///
/// # Errors
///
/// As [`check`]; also when the port is taken or the system refuses.
pub async fn bind(
    address: SocketAddr,
    authentication: Authentication,
) -> Result<TcpListener, ListenError> {
    check(address, authentication)?;
    TcpListener::bind(address)
        .await
        .map_err(|source| match source.kind() {
            io::ErrorKind::AddrInUse => ListenError::Occupied { address },
            _ => ListenError::Bind { address, source },
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_authentication_only_loopback_is_allowed() {
        for (address, allowed) in [
            ("127.0.0.1:0", true),
            ("127.9.9.9:80", true),
            ("[::1]:0", true),
            ("[::ffff:127.0.0.1]:0", true),
            ("0.0.0.0:0", false),
            ("[::]:0", false),
            ("192.168.1.4:8080", false),
            ("[::ffff:10.0.0.1]:0", false),
        ] {
            let address: SocketAddr = address.parse().unwrap();
            assert_eq!(
                check(address, Authentication::Off).is_ok(),
                allowed,
                "{address}"
            );
            assert!(
                check(address, Authentication::Required).is_ok(),
                "{address}"
            );
        }
    }

    #[tokio::test]
    async fn occupied_port_says_which_and_what_to_do() {
        let first = bind("127.0.0.1:0".parse().unwrap(), Authentication::Off)
            .await
            .unwrap();
        let address = first.local_addr().unwrap();
        let error = bind(address, Authentication::Off).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            format!(
                "port {} on 127.0.0.1 is in use by another process; choose another port or use port 0 for any free one",
                address.port()
            ),
        );
    }
}
