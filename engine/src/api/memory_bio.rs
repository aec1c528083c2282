//! A memory buffer with an end, as `ssl.MemoryBIO` documents it.

use std::thread::sleep;

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyTuple};

use crate::driving::memory_bio::MemoryBuffer;
use crate::driving::wait::MOMENT;
use crate::memory::{Readable, bytes_object, call};
use crate::tls::failure::guarded;

/// A buffer in memory between a program and a connection. Safe to share between threads.
#[pyclass(frozen, module = "veritls")]
#[derive(Default)]
pub struct MemoryBIO(pub MemoryBuffer);

#[pymethods]
impl MemoryBIO {
    #[new]
    fn new() -> Self {
        Self::default()
    }

    /// Number of bytes that can be read now.
    #[getter]
    fn pending(&self) -> PyResult<usize> {
        Ok(self.0.lock()?.len())
    }

    /// True once `write_eof` was called and every byte was read.
    #[getter]
    fn eof(&self) -> PyResult<bool> {
        let bytes = self.0.lock()?;
        Ok(bytes.ended() && bytes.len() == 0)
    }

    /// Up to `size` bytes; all of them where `size` is negative.
    #[pyo3(signature = (size = -1, /))]
    fn read<'py>(&self, py: Python<'py>, size: isize) -> PyResult<Bound<'py, PyBytes>> {
        let limit = usize::try_from(size).unwrap_or(usize::MAX).min(self.pending()?);
        let mut count = 0;
        let taken = PyBytes::new_with(py, limit, |room| {
            count = self.0.lock()?.move_into(room);
            Ok(())
        })?;
        // A connection that works without the GIL may have taken some in between.
        if count == limit { Ok(taken) } else { bytes_object(py, &taken.as_bytes()[..count]) }
    }

    /// Appends a bytes-like object; returns its length in bytes.
    fn write(&self, buf: &Bound<'_, PyAny>) -> PyResult<usize> {
        let readable = Readable::get(buf)?;
        Ok(guarded(|| self.0.append(readable.bytes()))?)
    }

    /// Marks the end: what was written can still be read, then `eof` is True.
    fn write_eof(&self) -> PyResult<()> {
        self.0.lock()?.end();
        Ok(())
    }
}

/// Hands what `read` returns to `write`: one of the two is `own`'s, the other that of a buffer of `ssl`. They run no
/// Python code, and threads do it one after the other: the bytes stay in order.
#[pyfunction]
pub fn pass_on(own: &MemoryBIO, read: &Bound<'_, PyAny>, write: &Bound<'_, PyAny>) -> PyResult<()> {
    let py = read.py();
    let _turn = loop {
        match own.0.try_pass()? {
            Some(turn) => break turn,
            // Not for the lock itself: without a GIL, its holder may wait for the other buffer, or for all threads to
            // stop.
            None => py.detach(|| sleep(MOMENT)),
        }
    };
    let bytes = call(read, PyTuple::empty(py))?;
    if bytes.is_truthy()? { call(write, (bytes,)).map(drop) } else { Ok(()) }
}
