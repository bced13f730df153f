//! TLS to the database: rustls with the one crypto provider, the server's certificate and name always verified. A server
//! that cannot be verified is not talked to; there is no weaker form.

use std::future::Future;
use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::Socket;
use tokio_postgres::tls::{ChannelBinding, MakeTlsConnect, TlsConnect, TlsStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream as Encrypted;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, InvalidDnsNameError, ServerName, pem};
use tokio_rustls::rustls::{self, ClientConfig, RootCertStore};

/// Why the database's certificate could not be verified by anything.
#[derive(Debug, thiserror::Error)]
pub(super) enum RootsError {
    /// The file cannot be read, or is not PEM.
    #[error("cannot read the certificates in {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: pem::Error,
    },
    /// A certificate of the file is none.
    #[error("cannot use the certificates in {}", path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: rustls::Error,
    },
    /// The system has no certificates.
    #[error(
        "this system has no root certificates: install ca-certificates, or name a file with --store-ca"
    )]
    NoneHere,
    /// TLS itself cannot be set up.
    #[error("cannot set up TLS")]
    SetUp(#[source] rustls::Error),
}

/// Makes connections secure.
#[derive(Clone)]
pub(super) struct Tls(Option<TlsConnector>);

impl Tls {
    /// For connections that need none.
    pub(super) fn off() -> Self {
        Self(None)
    }

    /// Verifies by the certificates in `file`, else by the system's. Blocks.
    pub(super) fn open(file: Option<&Path>) -> Result<Self, RootsError> {
        let mut roots = RootCertStore::empty();
        match file {
            Some(path) => {
                let read = |source| RootsError::Read {
                    path: path.to_owned(),
                    source,
                };
                for certificate in CertificateDer::pem_file_iter(path).map_err(read)? {
                    let added = roots.add(certificate.map_err(read)?);
                    added.map_err(|source| RootsError::Unusable {
                        path: path.to_owned(),
                        source,
                    })?;
                }
                if roots.is_empty() {
                    return Err(read(pem::Error::NoItemsFound));
                }
            }
            None => {
                // What cannot be read of the system's store is left out; an empty store is found out here.
                roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
                if roots.is_empty() {
                    return Err(RootsError::NoneHere);
                }
            }
        }
        let provider = Arc::new(aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(RootsError::SetUp)?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self(Some(TlsConnector::from(Arc::new(config)))))
    }
}

impl MakeTlsConnect<Socket> for Tls {
    type Stream = Secure;
    type TlsConnect = Handshake;
    type Error = InvalidDnsNameError;

    fn make_tls_connect(&mut self, host: &str) -> Result<Handshake, InvalidDnsNameError> {
        let to = match &self.0 {
            Some(connector) => Some((connector.clone(), ServerName::try_from(host.to_owned())?)),
            None => None,
        };
        Ok(Handshake(to))
    }
}

/// One connection that is to become secure.
pub(super) struct Handshake(Option<(TlsConnector, ServerName<'static>)>);

impl TlsConnect<Socket> for Handshake {
    type Stream = Secure;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Secure>> + Send>>;

    fn connect(self, stream: Socket) -> Self::Future {
        Box::pin(async move {
            let Some((connector, name)) = self.0 else {
                return Err(io::Error::other("TLS is off for this database"));
            };
            connector.connect(name, stream).await.map(Secure)
        })
    }
}

/// A secure connection. It is the one of tokio-rustls; the wrapper only carries the driver's trait.
pub(super) struct Secure(Encrypted<Socket>);

impl TlsStream for Secure {
    fn channel_binding(&self) -> ChannelBinding {
        // The certificate was verified, which binds more than a hash of it would.
        ChannelBinding::none()
    }
}

impl AsyncRead for Secure {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, buffer)
    }
}

impl AsyncWrite for Secure {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}
