//! The captain's two identities: the token by which it knows its user, and the key with which it signs the tokens
//! that its workers accept. Both are made on the first start and kept in private files of the state folder; neither
//! is ever printed or passed on a command line.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use a2a_proto::auth::{Claims, Jwks, Signer, SignerError};
use a2a_proto::client::{TokenError, TokenSource};
use a2a_proto::clock::{Clock, Ids};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use daemon::state::{StateError, read_secret, write_private};
use secrecy::{ExposeSecret as _, SecretString};

/// The user's token, in the captain's state folder.
pub const TOKEN_FILE: &str = "token";
/// The captain's private signing key, PKCS#8 PEM, in the captain's state folder.
const KEY_FILE: &str = "signing-key.pem";
/// Life of a token for one worker (decision 2: short, because every call gets a new one).
pub const WORKER_TOKEN_LIFE: Duration = Duration::from_secs(15 * 60);
/// Random bytes in the user's token: 256 bits cannot be guessed.
const TOKEN_BYTES: usize = 32;
/// A token that a person wrote into the file by hand must still be hard to guess.
const MIN_TOKEN_CHARACTERS: usize = 16;

/// Why an identity cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The file cannot be read or written, or others may read it.
    #[error("cannot use the captain's credentials")]
    File(#[from] StateError),
    /// The token in the file is too short to be a secret.
    #[error("the token in {} is shorter than {MIN_TOKEN_CHARACTERS} characters; remove the file to get a new one", path.display())]
    WeakToken {
        /// The file.
        path: PathBuf,
    },
    /// The key file does not hold an Ed25519 key.
    #[error("the signing key in {} cannot be used; remove the file to get a new one", path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: SignerError,
    },
    /// The system has no randomness.
    #[error("cannot make a random token")]
    Random(#[source] std::io::Error),
}

/// The user's token under `state_dir`; made when there is none.
///
/// # Errors
/// [`IdentityError`] names the file.
pub fn user_token(state_dir: &Path) -> Result<SecretString, IdentityError> {
    let path = state_dir.join(TOKEN_FILE);
    if !path.exists() {
        let mut bytes = [0_u8; TOKEN_BYTES];
        read_random(&mut bytes).map_err(IdentityError::Random)?;
        write_private(
            &path,
            format!("{}\n", URL_SAFE_NO_PAD.encode(bytes)).as_bytes(),
        )?;
    }
    let token = read_secret(&path)?;
    if token.len() < MIN_TOKEN_CHARACTERS {
        return Err(IdentityError::WeakToken { path });
    }
    Ok(SecretString::from(token))
}

fn read_random(bytes: &mut [u8]) -> std::io::Result<()> {
    use std::io::Read as _;
    std::fs::File::open("/dev/urandom")?.read_exact(bytes)
}

/// The captain's signing key, and the tokens made with it.
#[derive(Clone)]
pub struct WorkerTokens {
    signer: Arc<Signer>,
    issuer: Arc<str>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
}

impl fmt::Debug for WorkerTokens {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("WorkerTokens")
            .field("issuer", &self.issuer)
            .finish_non_exhaustive()
    }
}

impl WorkerTokens {
    /// The captain's key under `state_dir`; made when there is none.
    ///
    /// # Errors
    /// [`IdentityError`] names the file.
    pub fn load(
        state_dir: &Path,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn Ids>,
    ) -> Result<Self, IdentityError> {
        let path = state_dir.join(KEY_FILE);
        let unusable = |source| IdentityError::Key {
            path: path.clone(),
            source,
        };
        let signer = if path.exists() {
            Signer::from_pem(&read_secret(&path)?).map_err(unusable)?
        } else {
            let signer = Signer::generate().map_err(unusable)?;
            write_private(&path, signer.to_pem().expose_secret().as_bytes())?;
            signer
        };
        // The key's thumbprint names this captain: it stays the same as long as the key does.
        let issuer = format!("captain:{}", signer.kid());
        Ok(Self {
            signer: Arc::new(signer),
            issuer: issuer.into(),
            clock,
            ids,
        })
    }

    /// The name of the key, which says nothing about it (RFC 7638).
    pub fn kid(&self) -> &str {
        self.signer.kid()
    }

    /// The public half, for the workers' trust files.
    pub fn jwks(&self) -> Jwks {
        self.signer.jwks()
    }

    /// A token that the worker `agent_id` accepts for [`WORKER_TOKEN_LIFE`], and no other worker does.
    ///
    /// # Errors
    /// When it cannot be signed.
    pub fn mint(&self, agent_id: &str, subject: &str) -> Result<SecretString, SignerError> {
        let now = self.clock.now().as_second();
        let life = i64::try_from(WORKER_TOKEN_LIFE.as_secs()).unwrap_or(i64::MAX);
        self.signer.sign(&Claims {
            iss: self.issuer.to_string(),
            sub: subject.to_owned(),
            aud: format!("worker:{agent_id}"),
            iat: now,
            nbf: now,
            exp: now.saturating_add(life),
            jti: self.ids.next(),
            scope: String::new(),
        })
    }

    /// A source of such tokens, for a client that asks for one per call.
    pub fn source(&self, agent_id: &str, subject: &str) -> Arc<dyn TokenSource> {
        Arc::new(WorkerTokenSource {
            tokens: self.clone(),
            agent_id: agent_id.to_owned(),
            subject: subject.to_owned(),
        })
    }
}

/// Mints one token per call.
#[derive(Debug)]
struct WorkerTokenSource {
    tokens: WorkerTokens,
    agent_id: String,
    subject: String,
}

impl TokenSource for WorkerTokenSource {
    fn token(&self) -> Result<SecretString, TokenError> {
        self.tokens
            .mint(&self.agent_id, &self.subject)
            .map_err(TokenError::new)
    }
}

#[cfg(test)]
mod tests;
