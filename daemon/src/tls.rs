//! TLS for what is reachable from other machines: a certificate and its key from two files, read again when they change, so
//! that a renewed certificate needs no restart. Both versions of HTTP are offered. Whether a server needs TLS at all is
//! not decided here.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use thiserror::Error;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, pem};
use tokio_rustls::rustls::{self, ServerConfig};

/// What is offered to clients, best first (RFC 7301).
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];
/// How often the files are looked at, at most. Renewals happen weeks before the old certificate ends.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// Why TLS cannot be served.
#[derive(Debug, Error)]
pub enum TlsError {
    /// Only one of the two files is named.
    #[error("a TLS certificate and its key are given together: name both files or none")]
    OneOfTwo,
    /// A file cannot be read, or is not PEM.
    #[error("cannot read the TLS {what} in {}", path.display())]
    Read {
        /// `certificate` or `key`.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// What happened.
        #[source]
        source: pem::Error,
    },
    /// Certificate and key do not fit each other, or are of a kind that is not supported.
    #[error("cannot use the TLS certificate in {}", path.display())]
    Unusable {
        /// The certificate's file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: rustls::Error,
    },
}

/// A certificate with its key, ready to serve.
#[derive(Debug)]
pub struct Tls {
    certificate: PathBuf,
    key: PathBuf,
    current: Mutex<Current>,
}

#[derive(Debug)]
struct Current {
    config: Arc<ServerConfig>,
    /// When the files were written that it was made from.
    written: Written,
    looked: Instant,
}

type Written = [Option<SystemTime>; 2];

impl Tls {
    /// Reads the files, in PEM: the chain from the server's own certificate on, and its private key. `None` when neither
    /// file is named. Blocks.
    ///
    /// # Errors
    /// [`TlsError`] says which file is wrong.
    pub fn open(
        certificate: Option<&Path>,
        key: Option<&Path>,
    ) -> Result<Option<Arc<Self>>, TlsError> {
        let (certificate, key) = match (certificate, key) {
            (None, None) => return Ok(None),
            (Some(certificate), Some(key)) => (certificate, key),
            _ => return Err(TlsError::OneOfTwo),
        };
        // Before reading, so that a change meanwhile is noticed later.
        let written = written(certificate, key);
        let current = Current {
            config: load(certificate, key)?,
            written,
            looked: Instant::now(),
        };
        Ok(Some(Arc::new(Self {
            certificate: certificate.to_owned(),
            key: key.to_owned(),
            current: Mutex::new(current),
        })))
    }

    /// What to accept the next connection with.
    pub(crate) async fn acceptor(self: &Arc<Self>) -> TlsAcceptor {
        let due = {
            let mut current = self.lock();
            let due = current.looked.elapsed() > LOOK_EVERY;
            if due {
                current.looked = Instant::now();
            }
            due
        };
        if due {
            let tls = Arc::clone(self);
            // Were it to fail, the old certificate would go on.
            let _ = tokio::task::spawn_blocking(move || tls.refresh()).await;
        }
        TlsAcceptor::from(Arc::clone(&self.lock().config))
    }

    /// Reads the files again if they were written since. A pair that cannot be used is told and the old one stays.
    fn refresh(&self) {
        let now = written(&self.certificate, &self.key);
        if self.lock().written == now {
            return;
        }
        match load(&self.certificate, &self.key) {
            Ok(config) => {
                let mut current = self.lock();
                current.config = config;
                current.written = now;
                tracing::info!("the TLS certificate was renewed");
            }
            // A renewal writes one file after the other: the next look may find both.
            Err(error) => tracing::warn!(
                error = crate::cli::chain(&error),
                "the TLS certificate stays as it was"
            ),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Current> {
        // Nobody panics while holding it, and what it holds is whole at any time.
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `https` where there is TLS, else `http`.
pub fn scheme(tls: Option<&Arc<Tls>>) -> &'static str {
    match tls {
        Some(_) => "https",
        None => "http",
    }
}

fn written(certificate: &Path, key: &Path) -> Written {
    let of = |path: &Path| -> io::Result<SystemTime> { std::fs::metadata(path)?.modified() };
    [of(certificate).ok(), of(key).ok()]
}

fn load(certificate: &Path, key: &Path) -> Result<Arc<ServerConfig>, TlsError> {
    let read = |what, path: &Path| {
        let path = path.to_owned();
        move |source| TlsError::Read { what, path, source }
    };
    let chain = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .and_then(|chain| match chain.is_empty() {
            true => Err(pem::Error::NoItemsFound),
            false => Ok(chain),
        })
        .map_err(read("certificate", certificate))?;
    let private = PrivateKeyDer::from_pem_file(key).map_err(read("key", key))?;
    let unusable = |source| TlsError::Unusable {
        path: certificate.to_owned(),
        source,
    };
    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(unusable)?
        .with_no_client_auth()
        .with_single_cert(chain, private)
        .map_err(unusable)?;
    config.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).to_vec();
    Ok(Arc::new(config))
}

#[cfg(test)]
mod tests;
