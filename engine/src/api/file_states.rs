//! What tells whether files are those that were read, and unchanged.

use std::ffi::OsString;
use std::path::PathBuf;

use pyo3::prelude::*;

/// Files and folders by their paths, with what the system told of each: device, inode, size, and times of
/// modification and change in nanoseconds. A folder's times tell of entries that were added, removed, renamed or
/// linked elsewhere; the content of an entry has times of its own.
#[derive(PartialEq)]
#[pyclass(frozen, module = "veritls._engine")]
pub struct FileStates {
    files: Vec<(PathBuf, Option<State>)>,
    newest: i128,
    /// The places of the system's trust, where the files are theirs: another one may appear.
    places: Option<Places>,
}

/// A file and folders.
pub type Places = (Option<PathBuf>, Vec<PathBuf>);

#[pymethods]
impl FileStates {
    /// The present states. A path that leads nowhere has one, too.
    #[new]
    fn now(py: Python<'_>, paths: Vec<OsString>) -> Self {
        py.detach(|| Self::of(paths.into_iter().map(PathBuf::from), None))
    }

    /// Whether all are as they were. A change shows only if it is not of the same tick of the file system's clock
    /// as the state: see `newest`.
    fn unchanged(&self, py: Python<'_>) -> bool {
        py.detach(|| self.places.as_ref().is_none_or(places::are) && self.is_current())
    }

    /// The newest of all times, in nanoseconds since 1970.
    #[getter]
    fn newest(&self) -> i128 {
        self.newest
    }
}

impl FileStates {
    pub fn of(paths: impl IntoIterator<Item = PathBuf>, places: Option<Places>) -> Self {
        let files: Vec<_> = paths
            .into_iter()
            .map(|path| {
                let state = State::of(&path);
                (path, state)
            })
            .collect();
        let newest =
            files.iter().filter_map(|(_, state)| state.as_ref()).map(State::newest).max().unwrap_or(0);
        Self { files, newest, places }
    }

    fn is_current(&self) -> bool {
        self.files.iter().all(|(path, state)| State::of(path) == *state)
    }
}

#[derive(PartialEq)]
struct State {
    numbers: [u64; 3],
    times: [i128; 2],
}

impl State {
    #[cfg(unix)]
    fn of(path: &std::path::Path) -> Option<Self> {
        use std::os::unix::fs::MetadataExt;

        let found = path.metadata().ok()?;
        let time =
            |seconds: i64, nanoseconds: i64| i128::from(seconds) * 1_000_000_000 + i128::from(nanoseconds);
        Some(Self {
            numbers: [found.dev(), found.ino(), found.size()],
            times: [time(found.mtime(), found.mtime_nsec()), time(found.ctime(), found.ctime_nsec())],
        })
    }

    /// Nothing tells: what was read is never kept.
    #[cfg(not(unix))]
    fn of(_: &std::path::Path) -> Option<Self> {
        Some(Self { numbers: [0; 3], times: [i128::MAX; 2] })
    }

    fn newest(&self) -> i128 {
        self.times[0].max(self.times[1])
    }
}

/// Where the system keeps its trust in files, by `openssl_probe`, as `rustls_native_certs` reads them.
pub mod places {
    use super::{FileStates, Places};

    #[cfg(all(unix, not(target_os = "macos")))]
    pub fn now() -> Option<Places> {
        let found = openssl_probe::probe();
        Some((found.cert_file, found.cert_dir))
    }

    #[cfg(not(all(unix, not(target_os = "macos"))))]
    pub fn now() -> Option<Places> {
        None
    }

    /// Whether the places are those.
    pub fn are(places: &Places) -> bool {
        now().as_ref() == Some(places)
    }

    /// The state of all files there.
    pub fn states() -> Option<FileStates> {
        let places = now()?;
        let mut paths: Vec<_> = places.0.iter().cloned().collect();
        for folder in &places.1 {
            paths.push(folder.clone());
            let entries = folder.read_dir().into_iter().flatten().flatten();
            // A link to an entry beside it (``9d66eef0.0 -> Name.pem``) has no state of its own: where it leads to is
            // the folder's, and what it leads to is an entry.
            let mut apart: Vec<_> = entries
                .map(|entry| entry.path())
                .filter(|path| !path.read_link().is_ok_and(|to| to.file_name() == Some(to.as_os_str())))
                .collect();
            apart.sort();
            paths.append(&mut apart);
        }
        Some(FileStates::of(paths, Some(places)))
    }
}
