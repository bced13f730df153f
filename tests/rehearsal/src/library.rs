//! Loads scenario files and finds the script for a prompt.
//!
//! Here because it is the one place that reads the disk: everything is loaded, checked and resolved before the server
//! answers its first request, so a mistake in a file is a start-up error and never a surprise in the middle of a run.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use crate::scenario::{Invalid, Scenario, Script};

/// Largest scenario file and largest file named by a call. Generous for source code, small enough to hold in memory.
const MAX_FILE: u64 = 1024 * 1024;
/// Files read from one folder.
const MAX_FILES: usize = 256;

/// All scripts, ready to be played.
#[derive(Clone, Debug, Default)]
pub struct Library {
    scripts: Vec<Loaded>,
}

/// A script with what it takes from its file.
#[derive(Clone, Debug)]
pub(crate) struct Loaded {
    pub(crate) script: Script,
    pub(crate) pace_ms: u64,
}

/// Why the scenarios could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file or folder could not be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// What was read.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// The file is too large, or the folder holds too many.
    #[error("{} is over the limit of {limit}", path.display())]
    TooMuch {
        /// The file or folder.
        path: PathBuf,
        /// The limit, in bytes for a file, in files for a folder.
        limit: u64,
    },
    /// The file is not a scenario.
    #[error("{} is not a scenario file", path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// Line, column and reason.
        #[source]
        source: Box<toml::de::Error>,
    },
    /// The scenario says something that cannot be played.
    #[error("{}: {why}", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// Which rule it breaks.
        why: String,
    },
}

impl Library {
    /// Loads one scenario file, or every `*.toml` of a folder.
    ///
    /// # Errors
    /// A file that cannot be read, is too large, is no scenario, or repeats another script's rule.
    pub fn load(path: &Path) -> Result<Self, LoadError> {
        let mut library = Self::default();
        for file in files(path)? {
            library.add_file(&file)?;
        }
        Ok(library)
    }

    /// The rules of all scripts, for messages to people.
    pub fn rules(&self) -> impl Iterator<Item = &str> {
        self.scripts.iter().map(|s| s.script.when.as_str())
    }

    /// The script for a prompt: of those whose text it contains, the one with the longest text.
    pub(crate) fn pick(&self, prompt: &str) -> Option<&Loaded> {
        self.scripts
            .iter()
            .filter(|s| prompt.contains(&s.script.when))
            .max_by_key(|s| s.script.when.len())
    }

    fn add_file(&mut self, path: &Path) -> Result<(), LoadError> {
        let text = read(path)?;
        let scenario: Scenario = toml::from_str(&text).map_err(|source| LoadError::Parse {
            path: path.to_owned(),
            source: Box::new(source),
        })?;
        scenario
            .check()
            .map_err(|why: Invalid| invalid(path, why.to_string()))?;
        let folder = path.parent().unwrap_or(Path::new("."));
        for mut script in scenario.scripts {
            if self.rules().any(|when| when == script.when) {
                let why = format!(
                    "a second script for {:?}; each rule may stand once",
                    script.when
                );
                return Err(invalid(path, why));
            }
            inline_files(&mut script, folder)?;
            self.scripts.push(Loaded {
                script,
                pace_ms: scenario.pace_ms,
            });
        }
        Ok(())
    }
}

fn invalid(path: &Path, why: String) -> LoadError {
    LoadError::Invalid {
        path: path.to_owned(),
        why,
    }
}

/// Puts the contents of the files that calls name into their arguments.
fn inline_files(script: &mut Script, folder: &Path) -> Result<(), LoadError> {
    for call in script.steps.iter_mut().flat_map(|s| &mut s.calls) {
        for (argument, name) in std::mem::take(&mut call.files) {
            let content = read(&folder.join(name))?;
            call.args.insert(argument, content.into());
        }
    }
    Ok(())
}

fn files(path: &Path) -> Result<Vec<PathBuf>, LoadError> {
    let failed = |source| LoadError::Read {
        path: path.to_owned(),
        source,
    };
    if !fs::metadata(path).map_err(failed)?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut found = Vec::new();
    for entry in fs::read_dir(path).map_err(failed)? {
        let file = entry.map_err(failed)?.path();
        if file.extension().is_some_and(|e| e == "toml") {
            found.push(file);
        }
        if found.len() > MAX_FILES {
            return Err(LoadError::TooMuch {
                path: path.to_owned(),
                limit: MAX_FILES as u64,
            });
        }
    }
    found.sort();
    Ok(found)
}

fn read(path: &Path) -> Result<String, LoadError> {
    let failed = |source| LoadError::Read {
        path: path.to_owned(),
        source,
    };
    if fs::metadata(path).map_err(failed)?.len() > MAX_FILE {
        return Err(LoadError::TooMuch {
            path: path.to_owned(),
            limit: MAX_FILE,
        });
    }
    fs::read_to_string(path).map_err(failed)
}

#[cfg(test)]
mod tests;
