//! Where the jobs' logs are kept, and what is kept of them for how long: the part of the configuration that the database
//! has. A password is only ever in a file of its own.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use daemon::state::read_secret;
use jiff::{Span, SpanRelativeTo};
use secrecy::SecretString;
use serde::{Deserialize, Deserializer};

use super::{ConfigError, invalid};

/// Which database, and what several captains share.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StoreConfig {
    /// The address of a PostgreSQL database, `postgres://USER@HOST/DATABASE`, without a password; `None` keeps the logs in
    /// a SQLite file in the state folder.
    pub url: Option<String>,
    /// The file with the database's password, which only its owner may read.
    pub password_file: Option<PathBuf>,
    /// Certificates (PEM) that the database's certificate is verified by; `None` means the system's.
    pub ca_file: Option<PathBuf>,
    /// The folder that all captains of one database have in common: their token and key, the jobs' repositories and
    /// results, and on each machine its workers. `None` is the state folder: right for a captain that is alone.
    pub shared_dir: Option<PathBuf>,
    /// What is in the password file.
    #[serde(skip)]
    pub password: Option<SecretString>,
}

/// What is kept after a job's end.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RetentionConfig {
    /// Keep the workers' folders (logs are kept in any case).
    pub keep_workers: bool,
    /// Forget jobs so long after their end, such as `30d`; `None` keeps them until `captain prune`.
    #[serde(deserialize_with = "age")]
    pub jobs: Option<Duration>,
}

/// [`StoreConfig`] on the command line and in the environment.
#[derive(Debug, Clone, Default, Args)]
pub struct StoreArgs {
    /// PostgreSQL database to keep the jobs in, postgres://USER@HOST/DATABASE, without a password [default: a file in the
    /// state folder]
    #[arg(long = "store", value_name = "URL", env = "CAPTAIN_STORE")]
    store_url: Option<String>,
    /// File with the database's password
    #[arg(
        long = "store-password-file",
        value_name = "FILE",
        env = "CAPTAIN_STORE_PASSWORD_FILE"
    )]
    store_password_file: Option<PathBuf>,
    /// Certificates to verify the database's by, PEM [default: the system's]
    #[arg(long = "store-ca", value_name = "FILE", env = "CAPTAIN_STORE_CA")]
    store_ca: Option<PathBuf>,
    /// Folder that all captains of one database share: identity, repositories, workers [default: the state folder]
    #[arg(long = "shared-dir", value_name = "DIR", env = "CAPTAIN_SHARED_DIR")]
    shared_dir: Option<PathBuf>,
}

impl StoreConfig {
    pub(super) fn overlay(&mut self, args: &StoreArgs) {
        for (target, value) in [
            (&mut self.password_file, &args.store_password_file),
            (&mut self.ca_file, &args.store_ca),
            (&mut self.shared_dir, &args.shared_dir),
        ] {
            if value.is_some() {
                target.clone_from(value);
            }
        }
        if args.store_url.is_some() {
            self.url.clone_from(&args.store_url);
        }
    }

    pub(super) fn validate(&mut self) -> Result<(), ConfigError> {
        let Some(url) = &self.url else {
            for (setting, given) in [
                ("store.password_file", self.password_file.is_some()),
                ("store.ca_file", self.ca_file.is_some()),
                ("store.shared_dir", self.shared_dir.is_some()),
            ] {
                if given {
                    let problem =
                        "is for a database that store.url (--store) names, and it names none";
                    return Err(invalid(setting, problem));
                }
            }
            return Ok(());
        };
        check_address(url).map_err(|problem| invalid("store.url", problem))?;
        if let Some(path) = &self.ca_file
            && !path.is_file()
        {
            let problem = format!("there is no file {}", path.display());
            return Err(invalid("store.ca_file", problem));
        }
        if let Some(path) = &self.password_file {
            self.password = Some(password(path)?);
        }
        Ok(())
    }
}

#[cfg(feature = "postgres")]
fn check_address(url: &str) -> Result<(), String> {
    if !["postgres://", "postgresql://"]
        .iter()
        .any(|scheme| url.starts_with(scheme))
    {
        return Err("it must be like postgres://USER@HOST:5432/DATABASE".to_owned());
    }
    crate::store::postgres::check(url).map_err(|error| daemon::cli::chain(&error))
}

#[cfg(not(feature = "postgres"))]
fn check_address(_: &str) -> Result<(), String> {
    Err("this captain was built without PostgreSQL (cargo feature `postgres`)".to_owned())
}

fn password(path: &Path) -> Result<SecretString, ConfigError> {
    let setting = "store.password_file";
    let text = read_secret(path).map_err(|error| invalid(setting, daemon::cli::chain(&error)))?;
    if text.is_empty() {
        let problem = format!("the file {} is empty", path.display());
        return Err(invalid(setting, problem));
    }
    Ok(SecretString::from(text))
}

/// A time such as `30d`, `12h` or `1w 2d`; a day has 24 hours.
///
/// # Errors
/// What is wrong with the text.
pub fn parse_age(text: &str) -> Result<Duration, String> {
    let span: Span = text
        .parse()
        .map_err(|_| format!("{text:?} is not a time such as 30d, 12h or 90m"))?;
    let length = span
        .to_duration(SpanRelativeTo::days_are_24_hours())
        .map_err(|_| {
            format!("{text:?} has months or years, whose length differs: say it in days")
        })?;
    Duration::try_from(length).map_err(|_| format!("{text:?} is less than nothing"))
}

/// The same in the configuration file.
fn age<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Duration>, D::Error> {
    let text = Option::<String>::deserialize(from)?;
    text.map(|text| parse_age(&text).map_err(serde::de::Error::custom))
        .transpose()
}
