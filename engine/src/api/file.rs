//! A file to send from.

use std::fs;
use std::io::{Error, ErrorKind};
use std::os::fd::RawFd;
use std::os::unix::fs::FileExt;

use pyo3::prelude::*;
use rustix::io::Errno;

use crate::memory::duplicate;
use crate::tls::failure::Failure;

/// A Python file's descriptor, duplicated: closing the file meanwhile changes nothing for the call that sends it.
#[pyclass(frozen, module = "veritls._engine")]
pub struct File(fs::File);

/// With its number, which PyO3's own conversion leaves out.
fn os(error: Error) -> Failure {
    Failure::Os(error.raw_os_error().unwrap_or_default())
}

impl File {
    /// Fills `into` from `offset` on, as far as the file goes; returns how many bytes.
    pub fn read_at(&self, into: &mut [u8], offset: u64) -> Result<usize, Failure> {
        let mut filled = 0;
        while filled < into.len() {
            match self.0.read_at(&mut into[filled..], offset.saturating_add(filled as u64)) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => return Err(Failure::Interrupted),
                Err(error) => return Err(os(error)),
            }
        }
        Ok(filled)
    }
}

#[pymethods]
impl File {
    /// `file`: anything with a `fileno`. Raises what that raises, OSError.
    #[new]
    fn new(file: &Bound<'_, PyAny>) -> PyResult<Self> {
        let fileno = || file.call_method0("fileno")?.extract::<RawFd>();
        let number = fileno()?;
        let own = duplicate(number).map_err(os)?;
        // Had another thread closed the file in between, the number could have been another file's.
        if fileno()? != number {
            return Err(os(Errno::BADF.into()).into());
        }
        Ok(Self(own.into()))
    }

    /// Whether it can be read from any offset.
    #[getter]
    fn regular(&self) -> PyResult<bool> {
        Ok(self.0.metadata().map_err(os)?.is_file())
    }
}
