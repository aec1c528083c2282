//! A memory buffer with an end, as `ssl.MemoryBIO` documents it.

use std::mem;
use std::sync::MutexGuard;

use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::buffer::Readable;
use crate::failure::Failure;
use crate::fork::Lock;
use crate::pool::Buffer;
use crate::records::whole_records;

#[derive(Default)]
pub struct Bytes {
    data: Buffer,
    ended: bool,
}

impl Bytes {
    pub fn ended(&self) -> bool {
        self.ended
    }

    pub fn append_buffer(&mut self, bytes: Buffer) {
        self.data.append_buffer(bytes);
    }

    /// The whole records at the front, after the end whatever is there. What has come of the next one stays.
    pub fn take_records(&mut self) -> Buffer {
        let mut records = mem::take(&mut self.data);
        if !self.ended {
            self.data = records.split_off(whole_records(records.bytes()));
        }
        records
    }

    /// Puts `bytes` in front of what is there.
    pub fn give_back(&mut self, mut bytes: Buffer) {
        bytes.append_buffer(mem::take(&mut self.data));
        self.data = bytes;
    }
}

/// A buffer in memory between a program and a connection. Safe to share between threads.
#[pyclass(frozen, module = "veritls")]
#[derive(Default)]
pub struct MemoryBIO(Lock<Bytes>);

impl MemoryBIO {
    pub fn lock(&self) -> Result<MutexGuard<'_, Bytes>, Failure> {
        self.0.lock()
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
        let limit = usize::try_from(size).unwrap_or(usize::MAX);
        let mut bytes = self.lock()?;
        let count = limit.min(bytes.data.len());
        let taken = PyBytes::new(py, &bytes.data.bytes()[..count]);
        bytes.data.discard(count);
        Ok(taken)
    }

    /// Appends a bytes-like object; returns its length in bytes.
    fn write(&self, buf: &Bound<'_, PyAny>) -> PyResult<usize> {
        let readable = Readable::get(buf)?;
        let mut bytes = self.lock()?;
        if bytes.ended {
            return Err(Failure::WriteAfterEof.into());
        }
        bytes.data.append(readable.bytes());
        Ok(readable.bytes().len())
    }

    /// Marks the end: what was written can still be read, then `eof` is True.
    fn write_eof(&self) -> PyResult<()> {
        self.lock()?.ended = true;
        Ok(())
    }
}
