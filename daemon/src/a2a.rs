//! What both binaries can be told about their A2A server: how its cards are signed, the card for known callers, and the
//! switches for points on which the protocol's editions and its users differ. One set of names for the command line and
//! the configuration file. Files are read once, before a port is bound.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use a2a_proto::auth::{CardKey, CardSigner};
use a2a_proto::card::ExtendedCard;
use a2a_proto::error::ErrorMap;
use a2a_proto::server::{Idempotency, ServerOptions};
use clap::{Args, ValueEnum, ValueHint};
use serde::Deserialize;

use crate::cli::Failure;
use crate::exit::Exit;
use crate::listen::Authentication;
use crate::state::{StateError, read_secret};

/// The largest file with a card that is read, in bytes.
const MAX_CARD_BYTES: u64 = 1024 * 1024;

/// Why a choice cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum A2aChoiceError {
    /// A key file cannot be read, or others may read it.
    #[error("cannot use the key for agent cards")]
    Secret(#[from] StateError),
    /// A file does not hold what it should.
    #[error("cannot use {}: {problem}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, and what to do.
        problem: String,
    },
    /// Known callers are to get a card of their own, and nobody is known.
    #[error(
        "an extended card is for known callers, and without authentication nobody is known: leave out --extended-card, \
         or --no-auth"
    )]
    NobodyIsKnown,
}

impl A2aChoiceError {
    /// The exit code for scripts.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Secret(_) | Self::File { .. } => Exit::BadInput,
            Self::NobodyIsKnown => Exit::Usage,
        }
    }
}

impl From<A2aChoiceError> for Failure {
    fn from(error: A2aChoiceError) -> Self {
        Self::from_error(error.exit(), &error)
    }
}

/// For how many seconds a message id is known where nobody says it: as long as a client may try again.
const DEFAULT_WINDOW: u32 = 600;

/// The choices, from the command line or a file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct A2aArgs {
    /// Sign the agent card with this private key, see `captain card key`; twice to change keys
    #[arg(long = "card-key", value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub card_keys: Vec<PathBuf>,
    /// A JSON file with members of the agent card that only known callers see; needs authentication
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub extended_card: Option<PathBuf>,
    /// Which edition of A2A says the statuses of errors [default: 1.0.1]
    #[arg(long, value_enum, value_name = "EDITION")]
    pub error_map: Option<Edition>,
    /// Take a request without A2A-Version for 0.3, to the letter, and not for what it looks like
    #[arg(long)]
    pub strict_version: bool,
    /// Answer a send that comes again with the same Idempotency-Key with its first task, for at least so many seconds
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..))]
    pub idempotency_window: Option<u32>,
    /// Take a message without a key that comes again with the same id and content for the same, too
    #[arg(long)]
    pub idempotent_message_ids: bool,
    /// Take messages with media types that the card does not name
    #[arg(long)]
    pub any_input: bool,
    /// Serve what the draft of A2A 1.1 adds: the generation of tasks
    #[arg(long = "preview-1-1")]
    pub preview_1_1: bool,
}

/// An edition of the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Deserialize)]
pub enum Edition {
    /// As the conformance kit and the Java SDK expect
    #[value(name = "1.0.0")]
    #[serde(rename = "1.0.0")]
    V1_0_0,
    /// The present one
    #[value(name = "1.0.1")]
    #[serde(rename = "1.0.1")]
    V1_0_1,
}

/// The choices, with their files read.
#[derive(Debug, Clone, Default)]
pub struct A2aSettings {
    signer: Option<Arc<CardSigner>>,
    /// The card for known callers.
    pub extended: Option<Arc<ExtendedCard>>,
    error_map: ErrorMap,
    strict_version: bool,
    any_input: bool,
    preview_1_1: bool,
    idempotency: Option<Idempotency>,
}

impl A2aArgs {
    /// Lets what `other` says win.
    pub fn overlay(&mut self, other: &Self) {
        if !other.card_keys.is_empty() {
            self.card_keys.clone_from(&other.card_keys);
        }
        if other.extended_card.is_some() {
            self.extended_card.clone_from(&other.extended_card);
        }
        self.error_map = other.error_map.or(self.error_map);
        self.strict_version |= other.strict_version;
        self.idempotency_window = other.idempotency_window.or(self.idempotency_window);
        self.idempotent_message_ids |= other.idempotent_message_ids;
        self.any_input |= other.any_input;
        self.preview_1_1 |= other.preview_1_1;
    }

    fn idempotency(&self) -> Option<Idempotency> {
        let default = self.idempotent_message_ids.then_some(DEFAULT_WINDOW);
        self.idempotency_window
            .or(default)
            .map(|seconds| Idempotency {
                window: Duration::from_secs(seconds.into()),
                message_ids: self.idempotent_message_ids,
            })
    }

    /// Reads the files.
    ///
    /// # Errors
    ///
    /// [`A2aChoiceError`] names the file and says what is wrong.
    pub fn settle(&self, authentication: Authentication) -> Result<A2aSettings, A2aChoiceError> {
        let keys: Vec<_> = self
            .card_keys
            .iter()
            .map(|file| load_key(file))
            .collect::<Result<_, _>>()?;
        let extended = match &self.extended_card {
            Some(_) if authentication == Authentication::Off => {
                return Err(A2aChoiceError::NobodyIsKnown);
            }
            Some(file) => Some(Arc::new(load_extended(file)?)),
            None => None,
        };
        Ok(A2aSettings {
            signer: (!keys.is_empty()).then(|| Arc::new(CardSigner::new(keys))),
            extended,
            error_map: match self.error_map {
                Some(Edition::V1_0_0) => ErrorMap::V1_0_0,
                Some(Edition::V1_0_1) | None => ErrorMap::V1_0_1,
            },
            strict_version: self.strict_version,
            any_input: self.any_input,
            preview_1_1: self.preview_1_1,
            idempotency: self.idempotency(),
        })
    }
}

impl A2aSettings {
    /// The same options with these choices.
    #[must_use]
    pub fn apply(&self, options: ServerOptions) -> ServerOptions {
        ServerOptions {
            card_signer: self.signer.clone(),
            error_map: self.error_map,
            strict_version: self.strict_version,
            validate_input_modes: !self.any_input,
            preview_1_1: self.preview_1_1,
            idempotency: self.idempotency,
            ..options
        }
    }
}

/// A private key for signing cards.
///
/// # Errors
///
/// [`A2aChoiceError`] names the file and says what is wrong.
pub fn load_key(file: &Path) -> Result<CardKey, A2aChoiceError> {
    let wrong = |error| bad_file(file, format!("{error}; `captain card key` makes one"));
    CardKey::from_pem(&read_secret(file)?).map_err(wrong)
}

fn load_extended(file: &Path) -> Result<ExtendedCard, A2aChoiceError> {
    let unreadable = |error: std::io::Error| bad_file(file, error.to_string());
    if std::fs::metadata(file).map_err(unreadable)?.len() > MAX_CARD_BYTES {
        return Err(bad_file(file, "it is larger than 1 MiB".to_owned()));
    }
    let json = std::fs::read(file).map_err(unreadable)?;
    ExtendedCard::parse(&json).map_err(|error| bad_file(file, error.to_string()))
}

fn bad_file(file: &Path, problem: String) -> A2aChoiceError {
    A2aChoiceError::File {
        path: file.to_owned(),
        problem,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use a2a_proto::auth::CardAlgorithm;
    use a2a_proto::server::AnyCaller;

    use super::*;

    #[test]
    fn choices_are_read_and_applied() {
        let folder = tempfile::tempdir().unwrap();
        let key = folder.path().join("key.pem");
        let made = CardKey::generate(CardAlgorithm::EdDsa).unwrap();
        crate::state::write_private(&key, secret(&made).as_bytes()).unwrap();
        let extended = folder.path().join("extended.json");
        fs::write(&extended, r#"{"description": "more"}"#).unwrap();
        let mut args = A2aArgs {
            error_map: Some(Edition::V1_0_1),
            ..A2aArgs::default()
        };
        args.overlay(&A2aArgs {
            card_keys: vec![key.clone()],
            extended_card: Some(extended.clone()),
            error_map: Some(Edition::V1_0_0),
            strict_version: true,
            any_input: true,
            preview_1_1: true,
            idempotency_window: None,
            idempotent_message_ids: true,
        });
        let settings = args.settle(Authentication::Required).unwrap();
        assert!(settings.extended.is_some());
        let options = settings.apply(ServerOptions::new(Arc::new(AnyCaller)));
        assert_eq!(options.error_map, ErrorMap::V1_0_0);
        assert!(
            options
                .idempotency
                .is_some_and(|it| it.message_ids && it.window.as_secs() == 600)
        );
        assert!(options.strict_version && !options.validate_input_modes);
        assert!(options.preview_1_1);
        assert_eq!(
            options.card_signer.map(|signer| signer.jwks()),
            Some(made.jwks())
        );
        let code = |args: &A2aArgs, authentication| args.settle(authentication).unwrap_err().exit();
        assert_eq!(code(&args, Authentication::Off), Exit::Usage);
        fs::write(&extended, r#"{"url": 1, "supportedInterfaces": []}"#).unwrap();
        assert_eq!(code(&args, Authentication::Required), Exit::BadInput);
        fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
        args.extended_card = None;
        assert_eq!(
            code(&args, Authentication::Required),
            Exit::BadInput,
            "others can read it"
        );
    }

    fn secret(key: &CardKey) -> String {
        use secrecy::ExposeSecret as _;
        key.to_pem().expose_secret().to_owned()
    }
}
