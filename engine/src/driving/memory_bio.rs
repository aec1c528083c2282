//! A memory buffer with an end, as `ssl.MemoryBIO` documents it.

use std::mem;
use std::sync::MutexGuard;

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyTuple};

use crate::fork::Lock;
use crate::memory::{Readable, bytes_object, call};
use crate::tls::failure::{Failure, guarded};
use crate::wire::buffers::Buffer;
use crate::wire::records::whole_records;

#[derive(Default)]
pub struct Bytes {
    data: Buffer,
    ended: bool,
}

impl Bytes {
    pub fn ended(&self) -> bool {
        self.ended
    }

    pub fn append_buffer(&mut self, bytes: &mut Buffer) {
        self.data.append_buffer(bytes);
    }

    /// The whole records at the front, after the end whatever is there. What has come of the next one stays.
    pub fn take_records(&mut self) -> Buffer {
        if self.ended {
            return mem::take(&mut self.data);
        }
        let rest = self.data.split_off(whole_records(self.data.bytes()));
        mem::replace(&mut self.data, rest)
    }

    /// Puts `bytes` in front of what is there.
    pub fn give_back(&mut self, mut bytes: Buffer) {
        bytes.append_buffer(&mut self.data);
        self.data = bytes;
    }
}

/// A buffer in memory between a program and a connection. Safe to share between threads: they wait for its lock
/// with the GIL, so nothing of Python's is touched under it (see `verify/callback.rs`).
#[pyclass(frozen, module = "veritls")]
#[derive(Default)]
pub struct MemoryBIO(Lock<Bytes>);

impl MemoryBIO {
    pub fn lock(&self) -> Result<MutexGuard<'_, Bytes>, Failure> {
        self.0.lock()
    }

    fn append(&self, bytes: &[u8]) -> Result<usize, Failure> {
        let mut own = self.lock()?;
        if own.ended {
            return Err(Failure::WriteAfterEof);
        }
        own.data.append(bytes);
        Ok(bytes.len())
    }
}

#[pymethods]
impl MemoryBIO {
    #[new]
    fn new() -> Self {
        Self::default()
    }

    /// Number of bytes that can be read now.
    #[getter]
    fn pending(&self) -> PyResult<usize> {
        Ok(self.lock()?.data.len())
    }

    /// True once `write_eof` was called and every byte was read.
    #[getter]
    fn eof(&self) -> PyResult<bool> {
        let bytes = self.lock()?;
        Ok(bytes.ended && bytes.data.is_empty())
    }

    /// Up to `size` bytes; all of them where `size` is negative.
    #[pyo3(signature = (size = -1, /))]
    fn read<'py>(&self, py: Python<'py>, size: isize) -> PyResult<Bound<'py, PyBytes>> {
        let limit = usize::try_from(size).unwrap_or(usize::MAX).min(self.pending()?);
        let mut count = 0;
        let taken = PyBytes::new_with(py, limit, |room| {
            count = self.lock()?.data.move_into(room);
            Ok(())
        })?;
        // A connection that works without the GIL may have taken some in between.
        if count == limit { Ok(taken) } else { bytes_object(py, &taken.as_bytes()[..count]) }
    }

    /// Appends a bytes-like object; returns its length in bytes.
    fn write(&self, buf: &Bound<'_, PyAny>) -> PyResult<usize> {
        let readable = Readable::get(buf)?;
        Ok(guarded(|| self.append(readable.bytes()))?)
    }

    /// Marks the end: what was written can still be read, then `eof` is True.
    fn write_eof(&self) -> PyResult<()> {
        self.lock()?.ended = true;
        Ok(())
    }
}

/// Hands what `read` returns to `write`. Where both are another buffer's and this one's, they run no Python code, and
/// no other thread comes in between: the bytes stay in order.
#[pyfunction]
pub fn pass_on(read: &Bound<'_, PyAny>, write: &Bound<'_, PyAny>) -> PyResult<()> {
    let bytes = call(read, PyTuple::empty(read.py()))?;
    if bytes.is_truthy()? { call(write, (bytes,)).map(drop) } else { Ok(()) }
}
