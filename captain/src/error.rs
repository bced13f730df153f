//! Why a captain does not start, with the exit code that goes with each reason. Every text names the file, folder or
//! program, because there is nobody to ask yet when this is read.

use std::path::PathBuf;

use a2a_proto::client::ClientError;
use a2a_proto::log::LogError;
use daemon::a2a::A2aChoiceError;
use daemon::exit::Exit;
use daemon::listen::ListenError;
use daemon::state::StateError;
use daemon::tls::TlsError;

use crate::auth::IdentityError;
use crate::config::ConfigError;
use crate::engine::EngineError;
use crate::store::StoreError;

/// Why a captain does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A choice about A2A cannot be made.
    #[error(transparent)]
    A2a(#[from] A2aChoiceError),
    /// The address cannot be listened on.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// The TLS certificate cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The state folder cannot be used.
    #[error(transparent)]
    State(#[from] StateError),
    /// Another captain has the state folder.
    #[error(
        "another captain uses the state folder {}; stop it, talk to it, or give this one another folder with --state-dir",
        path.display()
    )]
    InUse {
        /// The folder.
        path: PathBuf,
    },
    /// The state folder cannot be locked.
    #[error("cannot lock the state folder {}", path.display())]
    Lock {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// Token or key cannot be used.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The public keys cannot be written as JSON.
    #[error("cannot write the captain's public keys")]
    Keys(#[source] serde_json::Error),
    /// There is no worker program.
    #[error("cannot start workers: {problem}")]
    NoWorker {
        /// Where it was looked for.
        problem: String,
    },
    /// The database cannot be opened.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The captains of this database have another identity.
    #[error(
        "the captains of the database {url} have another key than the one in {}: give all of them the same folder with --shared-dir",
        shared.display()
    )]
    OtherIdentity {
        /// The database.
        url: String,
        /// The folder with this captain's key.
        shared: PathBuf,
    },
    /// The task log cannot be opened.
    #[error("cannot use the task log")]
    Tasks(#[from] LogError),
    /// The tasks of the last run cannot be taken up again.
    #[error("cannot go on with the tasks of the last run")]
    Adopt(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The HTTP client cannot be built.
    #[error("cannot call workers")]
    Client(#[from] ClientError),
    /// The jobs cannot be read back.
    #[error("cannot go on with the jobs of the last run")]
    Engine(#[from] EngineError),
    /// The own address is not known.
    #[error("cannot tell the listening address")]
    Address(#[source] std::io::Error),
    /// A task of the start was interrupted.
    #[error("the start was interrupted")]
    Interrupted(#[from] tokio::task::JoinError),
}

impl StartError {
    /// The exit code of a process that ends for this reason.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Config(_)
            | Self::OtherIdentity { .. }
            | Self::Tls(_)
            | Self::Listen(ListenError::PublicWithoutAuthentication { .. }) => Exit::BadInput,
            Self::Listen(_)
            | Self::InUse { .. }
            | Self::NoWorker { .. }
            | Self::Store(StoreError::InUse { .. } | StoreError::Unreachable { .. }) => {
                Exit::Unavailable
            }
            Self::A2a(error) => error.exit(),
            Self::Identity(_) => Exit::NotPermitted,
            Self::State(_) | Self::Lock { .. } | Self::Store(_) | Self::Tasks(_) => Exit::Io,
            Self::Keys(_)
            | Self::Client(_)
            | Self::Engine(_)
            | Self::Adopt(_)
            | Self::Address(_)
            | Self::Interrupted(_) => Exit::Internal,
        }
    }

    /// What to do about it, where the text does not say it already.
    pub fn hint(&self) -> Option<&'static str> {
        match self.exit() {
            Exit::Io => Some(
                "check the folder's owner and the free space, or choose another with --state-dir",
            ),
            _ => None,
        }
    }
}
