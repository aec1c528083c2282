//! Memory and file descriptors that Python owns, and calls of Python code. The one file that may hold `unsafe`.
#![allow(unsafe_code)]

use std::cell::Cell;
use std::hint::black_box;
use std::os::fd::{BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::{io, mem, ptr, thread};

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
    // SAFETY: the number is not -1, and is used for this one call; its object gave it a moment ago, with the
    // GIL held since.
    unsafe { BorrowedFd::borrow_raw(number) }.try_clone_to_owned()
}

/// Whether the C library gives freed memory back when it is asked to.
pub const CAN_TRIM: bool = cfg!(all(target_os = "linux", target_env = "gnu"));

/// Gives freed memory back to the system, where `CAN_TRIM`.
pub fn trim() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: it may be called at any time, by any thread; 0 is how much is to be kept at the end of the heap.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// A thread that gets no signals: the program's threads are there for those.
pub fn start_thread(name: &str, work: fn()) -> io::Result<()> {
    let blocked = block_signals();
    let started = thread::Builder::new().name(name.to_owned()).stack_size(64 * 1024).spawn(work);
    if let Some(before) = blocked {
        // SAFETY: `before` is what the kernel said of this thread.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &before, ptr::null_mut()) };
    }
    started.map(drop)
}

/// Blocks all signals for this thread, and what it starts; which were blocked before.
fn block_signals() -> Option<libc::sigset_t> {
    // SAFETY: a set of signals is plain memory, which `sigfillset` and `pthread_sigmask` fill.
    unsafe {
        let (mut all, mut before) = (mem::zeroed(), mem::zeroed());
        libc::sigfillset(&mut all);
        (libc::pthread_sigmask(libc::SIG_SETMASK, &all, &mut before) == 0).then_some(before)
    }
}

/// What is left of the stack below its frame is not read any more: more than system calls and signals need.
#[cfg(target_os = "linux")]
const NEAR: usize = 4096;

thread_local! {
    /// This thread made a handshake since its stack was given back.
    static WENT_DEEP: Cell<bool> = const { Cell::new(false) };
}

/// Notes that this thread made a handshake, which takes much of its stack: ML-KEM alone 12 KiB.
pub fn stack_went_deep() {
    WENT_DEEP.set(cfg!(target_os = "linux"));
}

/// Whether `give_back_stack` has something to give.
pub fn stack_is_deep() -> bool {
    WENT_DEEP.get()
}

/// Gives the pages of this thread's stack that are not in use back to the system, where it went deep. What a thread
/// touched of its stack stays with it for as long as it lives. Other threads' processors are interrupted for it: it is
/// for a thread that waits.
#[cfg(target_os = "linux")]
#[inline(never)]
pub fn give_back_stack() {
    WENT_DEEP.set(false);
    // SAFETY: these only ask. Of the main thread it would read /proc, and that one's stack is no mapping of its size.
    let (low, size) = unsafe {
        if libc::gettid() == libc::getpid() {
            return;
        }
        let mut attributes = mem::zeroed();
        if libc::pthread_getattr_np(libc::pthread_self(), &mut attributes) != 0 {
            return;
        }
        let (mut low, mut size) = (ptr::null_mut(), 0);
        let known = libc::pthread_attr_getstack(&attributes, &mut low, &mut size) == 0;
        libc::pthread_attr_destroy(&mut attributes);
        if !known {
            return;
        }
        (low, size)
    };
    let here = ptr::from_ref(black_box(&size)).addr();
    let page = rustix::param::page_size();
    let (from, to) = (low.addr().next_multiple_of(page), (here - NEAR) & !(page - 1));
    // On the stack of a coroutine this thread's own says nothing.
    if here <= low.addr() || here >= low.addr() + size || to <= from {
        return;
    }
    // SAFETY: these pages lie within this thread's stack, below every frame of it: whatever this thread calls next may
    // write there, so nothing that is there is read again. The pages stay mapped, and are zeroed where they are touched.
    unsafe { libc::madvise(low.with_addr(from), to - from, libc::MADV_DONTNEED) };
}

/// Elsewhere stacks stay as they are.
#[cfg(not(target_os = "linux"))]
pub fn give_back_stack() {}

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
