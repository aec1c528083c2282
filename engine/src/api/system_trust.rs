//! What the operating system trusts, and what tells whether it has changed since it was read.

use pyo3::prelude::*;
use pyo3::types::PyBytes;

/// The certificates that the operating system trusts, DER; what could not be read of them, in words; and the state
/// (see `system_state`) of the files that it was read from, None where a later call has to read them again.
type Found<'py> = (Vec<Bound<'py, PyBytes>>, Vec<String>, Option<Bound<'py, PyBytes>>);

#[pyfunction]
pub fn system_certificates(py: Python<'_>) -> Found<'_> {
    let (found, state) = py.detach(|| {
        let before = files::state();
        let found = rustls_native_certs::load_native_certs();
        let after = files::state();
        let unchanged = before.filter(|before| Some(before) == after.as_ref());
        (found, unchanged.filter(files::State::is_settled))
    });
    let errors = found.errors.iter().map(ToString::to_string).collect();
    let certificates = found.certs.iter().map(|der| PyBytes::new(py, der)).collect();
    (certificates, errors, state.map(|state| PyBytes::new(py, &state.bytes)))
}

/// The state of the files that the system's trust is read from: equal ones mean equal certificates. None where the
/// system keeps it in no files.
#[pyfunction]
pub fn system_state(py: Python<'_>) -> Option<Bound<'_, PyBytes>> {
    let state = py.detach(files::state)?;
    Some(PyBytes::new(py, &state.bytes))
}

#[cfg(all(unix, not(target_os = "macos")))]
mod files {
    use std::fs::{Metadata, metadata, read_dir};
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::MetadataExt;
    use std::path::Path;
    use std::time::{SystemTime, UNIX_EPOCH};

    /// Seconds for which a file may change without a change of its times: file systems count in ticks, or in seconds.
    const SETTLED: i64 = 2;

    /// Each file's path, device, inode, size, and times of modification and change in nanoseconds.
    #[derive(PartialEq)]
    pub struct State {
        pub bytes: Vec<u8>,
        newest: i64,
    }

    impl State {
        /// Whether every change so far was long enough ago to show in the times.
        pub fn is_settled(&self) -> bool {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
            i64::try_from(now).is_ok_and(|now| now - self.newest > SETTLED)
        }

        fn add(&mut self, path: &Path, found: Option<&Metadata>) {
            self.bytes.extend_from_slice(path.as_os_str().as_bytes());
            self.bytes.push(0);
            let Some(found) = found else { return };
            for number in [found.dev(), found.ino(), found.size()] {
                self.bytes.extend_from_slice(&number.to_ne_bytes());
            }
            for number in [found.mtime(), found.mtime_nsec(), found.ctime(), found.ctime_nsec()] {
                self.bytes.extend_from_slice(&number.to_ne_bytes());
            }
            self.newest = self.newest.max(found.mtime()).max(found.ctime());
        }
    }

    /// Of what `rustls_native_certs` reads where the environment names nothing.
    pub fn state() -> Option<State> {
        let places = openssl_probe::probe();
        let mut state = State { bytes: Vec::new(), newest: i64::MIN };
        let mut paths: Vec<_> = places.cert_file.into_iter().collect();
        for folder in places.cert_dir {
            let mut entries: Vec<_> =
                read_dir(&folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
            entries.sort();
            paths.push(folder);
            paths.extend(entries);
        }
        for path in paths {
            state.add(&path, metadata(&path).ok().as_ref());
        }
        Some(state)
    }
}

#[cfg(not(all(unix, not(target_os = "macos"))))]
mod files {
    #[derive(PartialEq)]
    pub struct State {
        pub bytes: Vec<u8>,
    }

    impl State {
        pub fn is_settled(&self) -> bool {
            false
        }
    }

    pub fn state() -> Option<State> {
        None
    }
}
