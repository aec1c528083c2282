//! Memory and file descriptors that Python owns, and calls of Python code. The one file that may hold `unsafe`.
#![allow(unsafe_code)]

use std::hint::black_box;
use std::os::fd::{BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::{io, mem, thread};

use pyo3::buffer::PyUntypedBuffer;
use pyo3::exceptions::{PyBufferError, PyMemoryError, PyTypeError};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyMemoryView, PyTuple};
use rustix::io::Errno;

/// What keeps a descriptor's number open as long as it lives: `Use` of a `Descriptor`, and nothing else.
pub trait KeepsOpen {}

/// A contiguous bytes-like object, held open so that its memory can neither move nor be freed.
pub struct Readable(PyUntypedBuffer);

/// The same, writable.
pub struct Writable(PyUntypedBuffer);

fn contiguous(object: &Bound<'_, PyAny>) -> PyResult<PyUntypedBuffer> {
    // An exporter of simple memory (an array of ctypes) may leave the strides out; a memoryview has them.
    let buffer = PyUntypedBuffer::get(object).or_else(|error| {
        if !error.is_instance_of::<PyBufferError>(object.py()) {
            return Err(error);
        }
        PyUntypedBuffer::get(PyMemoryView::from(object)?.as_any())
    })?;
    if buffer.is_c_contiguous() {
        Ok(buffer)
    } else {
        Err(PyBufferError::new_err("memoryview: underlying buffer is not C-contiguous"))
    }
}

impl Readable {
    pub fn get(object: &Bound<'_, PyAny>) -> PyResult<Self> {
        contiguous(object).map(Self)
    }

    pub fn bytes(&self) -> &[u8] {
        if self.0.len_bytes() == 0 {
            return &[];
        }
        // SAFETY: the exporter keeps `len_bytes` contiguous bytes at `buf_ptr` alive and in place for as
        // long as the buffer is held, and `self` holds it. Another Python thread may write into a mutable
        // exporter meanwhile, as it may under every C extension that releases the GIL; the bytes are only
        // ever copied or encrypted from, so the worst outcome is that such a racing program sends its own
        // half-written bytes.
        unsafe { std::slice::from_raw_parts(self.0.buf_ptr().cast(), self.0.len_bytes()) }
    }
}

impl Writable {
    pub fn get(object: &Bound<'_, PyAny>) -> PyResult<Self> {
        let buffer = contiguous(object)?;
        if buffer.readonly() {
            return Err(PyTypeError::new_err("read-write bytes-like object expected"));
        }
        Ok(Self(buffer))
    }

    pub fn bytes_mut(&mut self) -> &mut [u8] {
        if self.0.len_bytes() == 0 {
            return &mut [];
        }
        // SAFETY: as above; the exporter said that the memory is writable, and `&mut self` keeps this the
        // only slice that Rust makes of it.
        unsafe { std::slice::from_raw_parts_mut(self.0.buf_ptr().cast(), self.0.len_bytes()) }
    }
}

/// A bytes object with a copy of `bytes`; a MemoryError where there is no room for it, and no panic.
pub fn bytes_object<'py>(py: Python<'py>, bytes: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
    let size = bytes.len().try_into().map_err(|_| PyMemoryError::new_err(()))?;
    // SAFETY: `bytes` are `size` readable bytes, of which CPython makes a copy: a new reference to a bytes object,
    // or null with an exception set.
    unsafe {
        let made = ffi::PyBytes_FromStringAndSize(bytes.as_ptr().cast(), size);
        Ok(Bound::from_owned_ptr_or_err(py, made)?.cast_into_unchecked())
    }
}

/// The descriptor behind a number that `_owner` keeps open.
pub fn borrow_number(number: RawFd, _owner: &impl KeepsOpen) -> BorrowedFd<'_> {
    // SAFETY: the number is that of a Python socket (never -1), which is closed when its `Descriptor` has no
    // users and admits none, or by the last of them. `_owner` is one. A program that closes the number past
    // its socket gets what it gets from Python's own calls: EBADF, or another's bytes.
    unsafe { BorrowedFd::borrow_raw(number) }
}

/// Closes a number that was Python's and is not in use any more.
pub fn close_number(number: RawFd) {
    // SAFETY: the caller was handed the number, and is the last user of it: see `Descriptor`, and the bell of a
    // process that this one was forked from.
    drop(unsafe { OwnedFd::from_raw_fd(number) });
}

/// A descriptor of our own for the file that a Python object has open under `number`; -1 is none.
pub fn duplicate(number: RawFd) -> io::Result<OwnedFd> {
    if number < 0 {
        return Err(Errno::BADF.into());
    }
    // SAFETY: the number is not -1, and is used for this one call; its object gave it a moment ago. Another thread
    // may have closed it since: the caller asks the object again, and drops what is not its own.
    unsafe { BorrowedFd::borrow_raw(number) }.try_clone_to_owned()
}

/// What runs Python code and may not come back. PyO3 declares the same as functions that never unwind, and the
/// compiler takes that for true of both declarations: so they are called by their address, out of its sight.
mod python {
    use pyo3::ffi::PyObject;

    unsafe extern "C-unwind" {
        pub fn PyObject_CallObject(callable: *mut PyObject, arguments: *mut PyObject) -> *mut PyObject;
        pub fn PyErr_WriteUnraisable(object: *mut PyObject);
    }
}

type Call = unsafe extern "C-unwind" fn(*mut ffi::PyObject, *mut ffi::PyObject) -> *mut ffi::PyObject;
type Report = unsafe extern "C-unwind" fn(*mut ffi::PyObject);

/// Lies on the stack while Python code runs. While the interpreter shuts down, CPython before 3.14 ends a thread
/// that wants the GIL by unwinding its stack (pthread_exit), which aborts the process where it meets our own part
/// of it. Here it meets this first, and the thread stays as it is until the process is gone, as with 3.14.
struct StaysHere;

impl Drop for StaysHere {
    fn drop(&mut self) {
        loop {
            thread::park();
        }
    }
}

/// Calls Python code. Whatever may run any is called by this: the thread may be ended in the midst of it.
pub fn call<'py>(
    callable: &Bound<'py, PyAny>,
    arguments: impl IntoPyObject<'py, Target = PyTuple, Output = Bound<'py, PyTuple>, Error: Into<PyErr>>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = callable.py();
    let arguments = arguments.into_pyobject(py).map_err(Into::into)?;
    let here = StaysHere;
    // SAFETY: both are alive and the GIL is held. A new reference comes back, or null with an exception set.
    let answer =
        unsafe { black_box(python::PyObject_CallObject as Call)(callable.as_ptr(), arguments.as_ptr()) };
    mem::forget(here);
    // SAFETY: as above.
    unsafe { Bound::from_owned_ptr_or_err(py, answer) }
}

/// Hands `error`, which no caller can get, to `sys.unraisablehook`.
pub fn report(error: PyErr, callback: &Bound<'_, PyAny>) {
    error.restore(callback.py());
    let here = StaysHere;
    // SAFETY: an exception is set, the object is alive and the GIL is held.
    unsafe { black_box(python::PyErr_WriteUnraisable as Report)(callback.as_ptr()) };
    mem::forget(here);
}
