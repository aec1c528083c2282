//! A memory buffer with an end, as `ssl.MemoryBIO` documents it.

use std::sync::{Mutex, MutexGuard, PoisonError};

use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::buffer::Readable;
use crate::failure::Failure;

#[derive(Default)]
pub struct Bytes {
    data: Vec<u8>,
    start: usize,
    ended: bool,
}

impl Bytes {
    pub fn pending(&self) -> usize {
        self.data.len() - self.start
    }

    pub fn ended(&self) -> bool {
        self.ended
    }

    pub fn append(&mut self, bytes: &[u8]) {
        self.data.extend_from_slice(bytes);
    }

    /// At most `limit` bytes from the front, handed to `take`; they are gone afterwards.
    pub fn consume<T>(&mut self, limit: usize, take: impl FnOnce(&[u8]) -> T) -> T {
        let count = limit.min(self.pending());
        let taken = take(&self.data[self.start..self.start + count]);
        self.start += count;
        if self.start == self.data.len() {
            self.data = Vec::new();
            self.start = 0;
        } else if self.start > self.data.len() / 2 {
            self.data.drain(..self.start);
            self.start = 0;
        }
        taken
    }
}

/// A buffer in memory between a program and a connection. Safe to share between threads.
#[pyclass(frozen, module = "veritls")]
#[derive(Default)]
pub struct MemoryBIO(Mutex<Bytes>);

impl MemoryBIO {
    pub fn lock(&self) -> MutexGuard<'_, Bytes> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
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
    fn pending(&self) -> usize {
        self.lock().pending()
    }

    /// True once `write_eof` was called and every byte was read.
    #[getter]
    fn eof(&self) -> bool {
        let bytes = self.lock();
        bytes.ended && bytes.pending() == 0
    }

    /// Up to `size` bytes; all of them where `size` is negative.
    #[pyo3(signature = (size = -1, /))]
    fn read<'py>(&self, py: Python<'py>, size: isize) -> Bound<'py, PyBytes> {
        let limit = usize::try_from(size).unwrap_or(usize::MAX);
        self.lock().consume(limit, |bytes| PyBytes::new(py, bytes))
    }

    /// Appends a bytes-like object; returns its length in bytes.
    fn write(&self, buf: &Bound<'_, PyAny>) -> PyResult<usize> {
        let readable = Readable::get(buf)?;
        let mut bytes = self.lock();
        if bytes.ended {
            return Err(Failure::WriteAfterEof.into());
        }
        bytes.append(readable.bytes());
        Ok(readable.bytes().len())
    }

    /// Marks the end: what was written can still be read, then `eof` is True.
    fn write_eof(&self) {
        self.lock().ended = true;
    }
}
