//! Unpacking a job's result into the user's folder. The archive holds what agents made, so nothing in it is trusted:
//! every folder on the way is opened without following links, links come last and only if they stay inside, and a
//! file of the user is never replaced unless the user said so.
//!
//! A file `.flotilla.json` in the folder lists what was written, with size and time. So a later result replaces what an
//! earlier one wrote and removes what is gone, but not what the user made or changed since.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags};
use serde::{Deserialize, Serialize};

/// The list of what was written.
const RECORD: &str = ".flotilla.json";
/// Longest target of a link that is kept, in bytes (PATH_MAX).
const MAX_LINK_BYTES: u64 = 4096;
/// How many of the user's files an error names.
const SHOWN: usize = 5;

/// What was written.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Written {
    /// How many files and links.
    pub(crate) files: usize,
    /// What was left out, each with the reason.
    pub(crate) skipped: Vec<String>,
}

/// Why a result was not written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OutError {
    /// There are files that are not ours.
    #[error("{} holds files that did not come from a job: {}", folder.display(), list(files))]
    Foreign {
        /// The folder.
        folder: PathBuf,
        /// Some of the files.
        files: Vec<String>,
    },
    /// Files of an earlier result were changed since.
    #[error("files in {} were changed since they were written: {}", folder.display(), list(files))]
    Changed {
        /// The folder.
        folder: PathBuf,
        /// Some of the files.
        files: Vec<String>,
    },
    /// The system refused.
    #[error("cannot write {}", path.display())]
    Io {
        /// What was being written.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The archive is broken.
    #[error("the archive cannot be read")]
    Archive(#[source] io::Error),
}

/// What is recorded of a written file, to see whether somebody changed it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Mark {
    size: u64,
    seconds: i64,
    nanos: i64,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Record {
    job: String,
    files: BTreeMap<String, Mark>,
}

/// Unpacks `archive` (a gzipped tar) of the job `job` into `folder`. With `force`, files of the user that stand in the
/// way are replaced. Whatever happens, what was written is recorded.
pub(crate) fn unpack(
    archive: impl Read,
    folder: &Path,
    job: &str,
    force: bool,
) -> Result<Written, OutError> {
    std::fs::create_dir_all(folder).map_err(io_at(folder))?;
    let root = open_root(folder)?;
    let before = read_record(folder);
    if !force {
        check(folder, &root, before.as_ref())?;
    }
    let before = before.unwrap_or_default().files;
    let mut target = Target {
        folder,
        root,
        before,
        force,
        after: BTreeMap::new(),
        skipped: Vec::new(),
    };
    let taken = target.take(archive);
    if taken.is_err() {
        // The earlier files that were not reached are still ours.
        let rest = std::mem::take(&mut target.before);
        for (name, mark) in rest {
            target.after.entry(name).or_insert(mark);
        }
    }
    let record = Record {
        job: job.to_owned(),
        files: target.after,
    };
    write_record(&target.root, &record).map_err(io_at(&folder.join(RECORD)))?;
    taken.map(|()| Written {
        files: record.files.len(),
        skipped: target.skipped,
    })
}

/// Whether [`unpack`] would be refused for what is in the folder now.
pub(crate) fn ready(folder: &Path, force: bool) -> Result<(), OutError> {
    let found = match std::fs::metadata(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        found => found.map_err(io_at(folder))?,
    };
    if !found.is_dir() {
        return Err(io_at(folder)(io::ErrorKind::NotADirectory.into()));
    }
    if force {
        return Ok(());
    }
    check(folder, &open_root(folder)?, read_record(folder).as_ref())
}

/// The folder that is being written.
struct Target<'a> {
    folder: &'a Path,
    root: OwnedFd,
    /// What an earlier result left; free to be replaced.
    before: BTreeMap<String, Mark>,
    force: bool,
    after: BTreeMap<String, Mark>,
    skipped: Vec<String>,
}

impl Target<'_> {
    fn take(&mut self, archive: impl Read) -> Result<(), OutError> {
        let mut links = Vec::new();
        let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(archive));
        for entry in archive.entries().map_err(OutError::Archive)? {
            let mut entry = entry.map_err(OutError::Archive)?;
            let kind = entry.header().entry_type();
            if matches!(
                kind,
                tar::EntryType::XGlobalHeader | tar::EntryType::Directory
            ) {
                continue;
            }
            let raw = entry.path_bytes().into_owned();
            let name = String::from_utf8_lossy(&raw).into_owned();
            let Some(parts) = parts(&name) else {
                self.skipped
                    .push(format!("{name}: the name leads elsewhere"));
                continue;
            };
            match kind {
                tar::EntryType::Regular => {
                    let executable = entry.header().mode().unwrap_or(0) & 0o100 != 0;
                    self.put(&name, &parts, |root, name| {
                        write_file(root, name, &mut entry, executable)
                    })?;
                }
                tar::EntryType::Symlink => match entry.link_name_bytes() {
                    Some(to) if to.len() as u64 <= MAX_LINK_BYTES && stays_inside(&parts, &to) => {
                        links.push((name, to.into_owned()));
                    }
                    Some(_) | None => self
                        .skipped
                        .push(format!("{name}: a link to a place outside")),
                },
                _ => self
                    .skipped
                    .push(format!("{name}: neither a file nor a link")),
            }
        }
        // Only now: while files are written there is no link among them that somebody else made.
        for (name, to) in links {
            if let Some(parts) = parts(&name) {
                self.put(&name, &parts, |folder, name| {
                    Ok(rustix::fs::symlinkat(&*to, folder, name)?)
                })?;
            }
        }
        for gone in self
            .before
            .keys()
            .filter(|name| !self.after.contains_key(*name))
        {
            if let Some(parts) = parts(gone) {
                remove(&self.root, &parts).map_err(io_at(&self.folder.join(gone)))?;
            }
        }
        Ok(())
    }

    /// Makes one file or link with `make`, which gets its folder and its name.
    fn put(
        &mut self,
        name: &str,
        parts: &[&str],
        make: impl FnOnce(&OwnedFd, &str) -> io::Result<()>,
    ) -> Result<(), OutError> {
        let path = self.folder.join(name);
        let folder = self.make_folders(parts)?;
        let last = parts.last().copied().unwrap_or_default();
        self.clear(&folder, last, name)?;
        make(&folder, last).map_err(io_at(&path))?;
        let mark = mark_of(&self.root, parts).map_err(io_at(&path))?;
        self.after.insert(name.to_owned(), mark);
        Ok(())
    }

    /// Opens the folder in which the last part lies. Missing folders are made; links are never followed.
    fn make_folders(&self, parts: &[&str]) -> Result<OwnedFd, OutError> {
        let mut path = String::new();
        let mut folder = self.root.try_clone().map_err(io_at(self.folder))?;
        for part in parts.split_last().map_or(&[][..], |(_, folders)| folders) {
            if !path.is_empty() {
                path.push('/');
            }
            path.push_str(part);
            let failed = |error: rustix::io::Errno| io_at(&self.folder.join(&path))(error.into());
            folder = match open_below(&folder, part) {
                Ok(next) => next,
                Err(
                    rustix::io::Errno::NOENT | rustix::io::Errno::NOTDIR | rustix::io::Errno::LOOP,
                ) => {
                    self.clear(&folder, part, &path)?;
                    rustix::fs::mkdirat(&folder, *part, Mode::from_raw_mode(0o755))
                        .map_err(failed)?;
                    open_below(&folder, part).map_err(failed)?
                }
                Err(error) => return Err(failed(error)),
            };
        }
        Ok(folder)
    }

    /// Makes room for `path`: a file or link of that name goes if it is ours or the user said so, a folder only if it
    /// is empty.
    fn clear(&self, folder: &OwnedFd, name: &str, path: &str) -> Result<(), OutError> {
        let failed = |error: rustix::io::Errno| io_at(&self.folder.join(path))(error.into());
        let found = match rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
            Err(rustix::io::Errno::NOENT) => return Ok(()),
            found => found.map_err(failed)?,
        };
        if FileType::from_raw_mode(found.st_mode) == FileType::Directory {
            // What an earlier result left in it would otherwise go only at the end.
            let below = format!("{path}/");
            for old in self.before.keys().filter(|old| old.starts_with(&below)) {
                if let Some(parts) = parts(old) {
                    remove(&self.root, &parts).map_err(io_at(&self.folder.join(old)))?;
                }
            }
            return match rustix::fs::unlinkat(folder, name, AtFlags::REMOVEDIR) {
                Ok(()) | Err(rustix::io::Errno::NOENT) => Ok(()),
                Err(error) => Err(failed(error)),
            };
        }
        if !self.force && !self.before.contains_key(path) {
            return Err(OutError::Foreign {
                folder: self.folder.to_owned(),
                files: vec![path.to_owned()],
            });
        }
        rustix::fs::unlinkat(folder, name, AtFlags::empty()).map_err(failed)
    }
}

fn io_at(path: &Path) -> impl FnOnce(io::Error) -> OutError + use<> {
    let path = path.to_owned();
    move |source| OutError::Io { path, source }
}

/// Everything in the folder must be as an earlier result left it.
fn check(folder: &Path, root: &OwnedFd, before: Option<&Record>) -> Result<(), OutError> {
    let Some(before) = before else {
        let entries = std::fs::read_dir(folder).map_err(|source| OutError::Io {
            path: folder.to_owned(),
            source,
        })?;
        let files: Vec<String> = entries
            .flatten()
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .take(SHOWN + 1)
            .collect();
        if files.is_empty() {
            return Ok(());
        }
        return Err(OutError::Foreign {
            folder: folder.to_owned(),
            files,
        });
    };
    let changed = before.files.iter().filter(|(name, mark)| {
        let found = parts(name).and_then(|parts| mark_of(root, &parts).ok());
        found.is_some_and(|found| found != **mark)
    });
    let files: Vec<String> = changed
        .map(|(name, _)| name.clone())
        .take(SHOWN + 1)
        .collect();
    if files.is_empty() {
        Ok(())
    } else {
        Err(OutError::Changed {
            folder: folder.to_owned(),
            files,
        })
    }
}

/// The parts of a relative path that stays below where it begins and is no file of ours or of git's.
fn parts(name: &str) -> Option<Vec<&str>> {
    let parts: Vec<&str> = name.split('/').collect();
    let good = |part: &&str| {
        !matches!(*part, "" | "." | "..")
            && !part.eq_ignore_ascii_case(".git")
            && !part.contains('\0')
    };
    (parts.iter().all(good) && parts != [RECORD]).then_some(parts)
}

/// Whether a link's target, taken from where the link lies, stays below the root.
fn stays_inside(link: &[&str], target: &[u8]) -> bool {
    let Ok(target) = std::str::from_utf8(target) else {
        return false;
    };
    let mut depth = link.len() - 1;
    if target.is_empty() || target.starts_with('/') || target.contains('\0') {
        return false;
    }
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => match depth.checked_sub(1) {
                Some(up) => depth = up,
                None => return false,
            },
            part if part.eq_ignore_ascii_case(".git") => return false,
            _ => depth += 1,
        }
    }
    true
}

fn open_root(folder: &Path) -> Result<OwnedFd, OutError> {
    let flags = OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::openat(CWD, folder, flags, Mode::empty())
        .map_err(|error| io_at(folder)(error.into()))
}

fn open_below(folder: &OwnedFd, name: &str) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(folder, name, flags, Mode::empty())
}

/// Opens the folder in which the last part lies, if it is there.
fn open_folder(root: &OwnedFd, parts: &[&str]) -> io::Result<OwnedFd> {
    let mut folder = root.try_clone()?;
    for part in parts.split_last().map_or(&[][..], |(_, folders)| folders) {
        folder = open_below(&folder, part)?;
    }
    Ok(folder)
}

fn write_file(
    folder: &OwnedFd,
    name: &str,
    content: &mut impl Read,
    executable: bool,
) -> io::Result<()> {
    let mut file = create(folder, name, if executable { 0o755 } else { 0o644 })?;
    io::copy(content, &mut file)?;
    Ok(())
}

/// Makes a file that was not there.
fn create(folder: &OwnedFd, name: &str, mode: u32) -> io::Result<File> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(File::from(rustix::fs::openat(
        folder,
        name,
        flags,
        Mode::from_raw_mode(mode),
    )?))
}

/// Removes what an earlier result wrote, and folders that are empty after that.
fn remove(root: &OwnedFd, parts: &[&str]) -> io::Result<()> {
    let Ok(folder) = open_folder(root, parts) else {
        return Ok(());
    };
    if let Some(name) = parts.last() {
        match rustix::fs::unlinkat(&folder, *name, AtFlags::empty()) {
            Ok(()) | Err(rustix::io::Errno::NOENT | rustix::io::Errno::ISDIR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    for depth in (1..parts.len()).rev() {
        let path = parts.get(..depth).unwrap_or_default();
        let Ok(parent) = open_folder(root, path) else {
            break;
        };
        let name = path.last().copied().unwrap_or_default();
        if rustix::fs::unlinkat(&parent, name, AtFlags::REMOVEDIR).is_err() {
            break;
        }
    }
    Ok(())
}

fn mark_of(root: &OwnedFd, parts: &[&str]) -> io::Result<Mark> {
    let folder = open_folder(root, parts)?;
    let name = parts.last().copied().unwrap_or_default();
    let found = rustix::fs::statat(&folder, name, AtFlags::SYMLINK_NOFOLLOW)?;
    Ok(Mark {
        size: u64::try_from(found.st_size).unwrap_or(0),
        seconds: found.st_mtime,
        nanos: i64::try_from(found.st_mtime_nsec).unwrap_or(0),
    })
}

/// The record of an earlier result; none if there is none that can be read, which makes every file foreign.
fn read_record(folder: &Path) -> Option<Record> {
    serde_json::from_slice(&std::fs::read(folder.join(RECORD)).ok()?).ok()
}

fn write_record(root: &OwnedFd, record: &Record) -> io::Result<()> {
    match rustix::fs::unlinkat(root, RECORD, AtFlags::empty()) {
        Ok(()) | Err(rustix::io::Errno::NOENT) => {}
        Err(error) => return Err(error.into()),
    }
    create(root, RECORD, 0o644)?.write_all(&serde_json::to_vec(record)?)
}

fn list(files: &[String]) -> String {
    let mut text = files
        .iter()
        .take(SHOWN)
        .cloned()
        .collect::<Vec<_>>()
        .join(", ");
    if files.len() > SHOWN {
        text.push_str(", …");
    }
    text
}
