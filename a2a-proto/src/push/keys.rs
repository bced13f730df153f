//! The keys that seal configurations at rest: AES-256-GCM, bound to the task and the configuration that they are for, so
//! that a row copied to another task does not open there.
//!
//! The key file has one key per line, base64 of 32 random bytes. The first seals, all of them open: to change the key,
//! put a new line at the top; a configuration moves to it when it is replaced. The file is made at the first need.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::{digest, rand};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use secrecy::zeroize::Zeroizing;

/// Bytes of a key.
const KEY: usize = 32;

/// The largest key file that is read: a thousand keys. More is another file.
const MAX_FILE: u64 = 64 * 1024;

/// Why something cannot be sealed or opened.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The key file.
    #[error("cannot {doing} the key file {}", path.display())]
    File {
        /// What was being done.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Others can read the key file.
    #[error(
        "the key file {} can be read by other users (mode {mode:04o}): run chmod 600 on it",
        path.display()
    )]
    NotPrivate {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The key file holds something else.
    #[error("line {line} of the key file {} is not the base64 of 32 bytes", path.display())]
    NotKey {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
    },
    /// The system gave no randomness.
    #[error("cannot make a key")]
    Random,
    /// The key that sealed it is not in the key file.
    #[error("the key {id} is not there")]
    Missing {
        /// Its id.
        id: String,
    },
    /// It was changed, or belongs to another task or configuration.
    #[error("what was sealed is damaged")]
    Damaged,
}

/// The keys of one server.
#[derive(Clone)]
pub struct Keyring(Arc<Ring>);

struct Ring {
    file: Option<PathBuf>,
    keys: Mutex<Vec<Arc<Key>>>,
}

struct Key {
    id: Arc<str>,
    key: RandomizedNonceKey,
}

impl Keyring {
    /// Keys that live as long as the process, for a log that does, too.
    pub fn in_memory() -> Self {
        Self::of(None)
    }

    /// The keys in `file`, which is made when the first key is needed.
    pub fn at(file: impl Into<PathBuf>) -> Self {
        Self::of(Some(file.into()))
    }

    fn of(file: Option<PathBuf>) -> Self {
        Self(Arc::new(Ring {
            file,
            keys: Mutex::default(),
        }))
    }

    /// Seals `plain` for the configuration `id` of `task`. Answers the id of the key. May block on the key file.
    pub(super) fn seal(
        &self,
        task: &str,
        id: &str,
        plain: &[u8],
    ) -> Result<(Arc<str>, Bytes), KeyError> {
        let key = self.current()?;
        let mut body = plain.to_vec();
        let nonce = key
            .key
            .seal_in_place_append_tag(Aad::from(bound_to(task, id)), &mut body)
            .map_err(|_| KeyError::Random)?;
        let mut sealed = nonce.as_ref().to_vec();
        sealed.append(&mut body);
        Ok((Arc::clone(&key.id), sealed.into()))
    }

    /// Opens what was sealed for the configuration `id` of `task`. May block on the key file.
    pub(super) fn open(
        &self,
        key_id: &str,
        task: &str,
        id: &str,
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        let key = self.with_id(key_id)?;
        let (nonce, body) = sealed
            .split_at_checked(NONCE_LEN)
            .ok_or(KeyError::Damaged)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| KeyError::Damaged)?;
        let mut body = Zeroizing::new(body.to_vec());
        let length = key
            .key
            .open_in_place(nonce, Aad::from(bound_to(task, id)), &mut body)
            .map_err(|_| KeyError::Damaged)?
            .len();
        body.truncate(length);
        Ok(body)
    }

    fn current(&self) -> Result<Arc<Key>, KeyError> {
        let mut keys = self.0.keys.lock().unwrap_or_else(PoisonError::into_inner);
        if keys.is_empty() {
            *keys = match &self.0.file {
                None => vec![Key::of(random()?.as_ref())?],
                Some(file) => match read(file)? {
                    found if found.is_empty() => vec![make(file)?],
                    found => found,
                },
            };
        }
        keys.first().map(Arc::clone).ok_or(KeyError::Random)
    }

    fn with_id(&self, id: &str) -> Result<Arc<Key>, KeyError> {
        let mut keys = self.0.keys.lock().unwrap_or_else(PoisonError::into_inner);
        if keys.is_empty()
            && let Some(file) = &self.0.file
        {
            *keys = read(file)?;
        }
        let found = keys.iter().find(|key| *key.id == *id).map(Arc::clone);
        found.ok_or_else(|| KeyError::Missing { id: id.to_owned() })
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keyring")
            .field("file", &self.0.file)
            .finish_non_exhaustive()
    }
}

impl Key {
    fn of(bytes: &[u8]) -> Result<Arc<Self>, KeyError> {
        let key = RandomizedNonceKey::new(&AES_256_GCM, bytes).map_err(|_| KeyError::Random)?;
        // A name that the key itself gives: lines of the file can be moved about.
        let hash = digest::digest(&digest::SHA256, bytes);
        let id: String = hash
            .as_ref()
            .iter()
            .take(8)
            .map(|byte| format!("{byte:02x}"))
            .collect();
        Ok(Arc::new(Self { id: id.into(), key }))
    }
}

/// What a sealed configuration belongs to. Neither id can hold the separator.
fn bound_to(task: &str, id: &str) -> Vec<u8> {
    format!("a2a push configuration\0{task}\0{id}").into_bytes()
}

fn random() -> Result<Zeroizing<[u8; KEY]>, KeyError> {
    let mut bytes = Zeroizing::new([0; KEY]);
    rand::fill(bytes.as_mut()).map_err(|_| KeyError::Random)?;
    Ok(bytes)
}

/// The keys in the file; none when there is no file.
fn read(path: &Path) -> Result<Vec<Arc<Key>>, KeyError> {
    let failed = |source| KeyError::File {
        doing: "read",
        path: path.to_owned(),
        source,
    };
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed(error)),
    };
    let mode = file.metadata().map_err(failed)?.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        let path = path.to_owned();
        return Err(KeyError::NotPrivate { path, mode });
    }
    let mut text = Zeroizing::new(String::new());
    file.take(MAX_FILE)
        .read_to_string(&mut text)
        .map_err(failed)?;
    let mut keys = Vec::new();
    for (line, key) in (1..).zip(text.lines()) {
        let not_key = || KeyError::NotKey {
            path: path.to_owned(),
            line,
        };
        if key.trim().is_empty() {
            continue;
        }
        let bytes = Zeroizing::new(STANDARD.decode(key.trim()).map_err(|_| not_key())?);
        if bytes.len() != KEY {
            return Err(not_key());
        }
        keys.push(Key::of(&bytes)?);
    }
    Ok(keys)
}

/// A new key file with one key. Written aside and moved into place, so that it is there whole or not at all.
fn make(path: &Path) -> Result<Arc<Key>, KeyError> {
    let failed = |source| KeyError::File {
        doing: "write",
        path: path.to_owned(),
        source,
    };
    let bytes = random()?;
    let line = Zeroizing::new(format!("{}\n", STANDARD.encode(bytes.as_ref())));
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let aside = path.with_file_name(name);
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&aside)
        .map_err(failed)?;
    file.write_all(line.as_bytes()).map_err(failed)?;
    // What it seals is of no use without it.
    file.sync_all().map_err(failed)?;
    std::fs::rename(&aside, path).map_err(failed)?;
    Key::of(bytes.as_ref())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sealed_text_opens_only_where_it_belongs() {
        let ring = Keyring::in_memory();
        let (key, sealed) = ring.seal("t", "c", b"secret").unwrap();
        assert!(!sealed.windows(6).any(|window| window == b"secret"));
        assert_eq!(
            ring.open(&key, "t", "c", &sealed).unwrap().as_slice(),
            b"secret"
        );
        assert_ne!(ring.seal("t", "c", b"secret").unwrap().1, sealed);
        let damaged = |task, id, sealed: &[u8]| {
            let error = ring.open(&key, task, id, sealed).unwrap_err();
            assert!(matches!(error, KeyError::Damaged), "{error}");
        };
        damaged("other", "c", &sealed);
        damaged("t", "other", &sealed);
        damaged("t", "c", &sealed[..sealed.len() - 1]);
        damaged("t", "c", b"short");
        let mut changed = sealed.to_vec();
        changed[20] ^= 1;
        damaged("t", "c", &changed);
        assert!(matches!(
            Keyring::in_memory().open(&key, "t", "c", &sealed),
            Err(KeyError::Missing { .. })
        ));
    }

    #[test]
    fn key_file_is_made_when_it_is_needed_and_can_be_rotated() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("push.key");
        let ring = Keyring::at(&path);
        assert!(ring.open("none", "t", "c", b"").is_err());
        assert!(!path.exists());
        let (old, sealed) = ring.seal("t", "c", b"x").unwrap();
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        let first = std::fs::read_to_string(&path).unwrap();
        assert!(!format!("{ring:?}").contains(first.trim()));
        // A new line at the top.
        let new = STANDARD.encode([7; KEY]);
        std::fs::write(&path, format!("{new}\n{first}")).unwrap();
        let ring = Keyring::at(&path);
        assert_eq!(ring.open(&old, "t", "c", &sealed).unwrap().as_slice(), b"x");
        let (now, _) = ring.seal("t", "c", b"x").unwrap();
        assert_ne!(now, old);

        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        let error = Keyring::at(&path).seal("t", "c", b"x").unwrap_err();
        assert!(error.to_string().contains("chmod 600"), "{error}");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        std::fs::write(&path, "no key\n").unwrap();
        let error = Keyring::at(&path).seal("t", "c", b"x").unwrap_err();
        assert!(error.to_string().contains("line 1"), "{error}");
    }
}
