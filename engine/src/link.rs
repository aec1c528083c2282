//! A connection over a non-blocking socket that an event loop watches. It never waits. Nobody else looks at
//! the socket, so a read takes whatever the kernel has, up to a bound.

use std::cell::RefCell;
use std::mem;
use std::os::fd::RawFd;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use pyo3::prelude::*;
use pyo3::types::PyBytes;
use rustix::buffer::spare_capacity;
use rustix::io::{Errno, pread};
use rustix::net::{RecvFlags, SendFlags, recv, send};

use crate::buffer::{Readable, Writable, borrow_fd};
use crate::connection::{Connection, MAX_FRAGMENT};
use crate::failure::{Failure, guarded};
use crate::stream::Stream;

/// The bound on ciphertext that one call takes from the kernel.
const READ_AHEAD: usize = 16 * MAX_FRAGMENT;
/// What is encrypted before it is known whether the kernel takes it.
const BATCH: usize = 16 * MAX_FRAGMENT;
/// The bound on plaintext that one call encrypts and sends, however fast the peer takes it.
const TURN: usize = 4 * BATCH;
/// Work on no more bytes than this is done before the GIL would have been released and taken again.
const SMALL: usize = 4096;
/// What an incomplete record can leave behind, on top of what is read.
const ROOM: usize = READ_AHEAD + 2 * MAX_FRAGMENT;
/// A buffer that grew beyond this goes back to the pool when a connection is done with it.
const KEPT: usize = 512;

/// The buffers that this thread's connections share: one loop reads from one connection at a time.
struct Spare {
    tls: Vec<u8>,
    plain: Vec<u8>,
    out: Vec<u8>,
}

thread_local! {
    static SPARE: RefCell<Spare> =
        const { RefCell::new(Spare { tls: Vec::new(), plain: Vec::new(), out: Vec::new() }) };
}

fn borrow_spare(which: fn(&mut Spare) -> &mut Vec<u8>) -> Vec<u8> {
    SPARE.with_borrow_mut(|spare| mem::take(which(spare)))
}

fn give_back(which: fn(&mut Spare) -> &mut Vec<u8>, buffer: Vec<u8>) {
    SPARE.with_borrow_mut(|spare| {
        let place = which(spare);
        if place.capacity() < buffer.capacity() {
            *place = buffer;
        }
    });
}

/// What the kernel has not taken yet.
#[derive(Default)]
struct Unsent {
    bytes: Vec<u8>,
    start: usize,
}

impl Unsent {
    fn left(&self) -> usize {
        self.bytes.len() - self.start
    }
}

/// What a read came to.
enum Got {
    Data(usize),
    Nothing,
    /// The peer's close_notify.
    End,
}

/// Drives the connection of a `Stream` over the socket `fd`. Every call but the getters comes from the
/// thread that runs the event loop.
#[pyclass(frozen, module = "veritls._engine")]
pub struct Link {
    stream: Py<Stream>,
    /// -1 once it is closed.
    fd: AtomicI32,
    unsent: Mutex<Unsent>,
}

impl Link {
    fn core(&self) -> MutexGuard<'_, Connection> {
        self.stream.get().core()
    }

    fn unsent(&self) -> MutexGuard<'_, Unsent> {
        self.unsent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Appends what the kernel has to `tls`, up to its capacity: None where there is nothing, 0 at the end.
    fn receive(&self, tls: &mut Vec<u8>) -> Result<Option<usize>, Failure> {
        let fd = borrow_fd(self.fd.load(Ordering::Relaxed)).ok_or(Failure::Closed)?;
        loop {
            match recv(fd, spare_capacity(&mut *tls), RecvFlags::DONTWAIT) {
                Ok((_, count)) => return Ok(Some(count)),
                Err(Errno::AGAIN) => return Ok(None),
                Err(Errno::INTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
    }

    /// Hands everything that waits to the kernel, in order; false where it takes no more.
    fn flush(&self) -> Result<bool, Failure> {
        let mut unsent = self.unsent();
        loop {
            while unsent.left() > 0 {
                let fd = borrow_fd(self.fd.load(Ordering::Relaxed)).ok_or(Failure::Closed)?;
                let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
                match send(fd, &unsent.bytes[unsent.start..], flags) {
                    Ok(count) => unsent.start += count,
                    Err(Errno::AGAIN) => return Ok(false),
                    Err(Errno::INTR) => {}
                    Err(errno) => {
                        drop(unsent);
                        return Err(self.explain(errno.into()));
                    }
                }
            }
            let mut core = self.core();
            unsent.start = 0;
            unsent.bytes.clear();
            mem::swap(&mut unsent.bytes, &mut core.outgoing);
            if unsent.bytes.is_empty() {
                if unsent.bytes.capacity() > KEPT {
                    give_back(|spare| &mut spare.out, mem::take(&mut unsent.bytes));
                }
                if core.outgoing.capacity() > KEPT {
                    give_back(|spare| &mut spare.out, mem::take(&mut core.outgoing));
                }
                return Ok(true);
            }
        }
    }

    /// A broken pipe is what is left of a refusal: the alert that says why may still be there to read.
    fn explain(&self, failure: Failure) -> Failure {
        let mut tls = Vec::with_capacity(READ_AHEAD);
        if matches!(self.receive(&mut tls), Ok(Some(1..))) {
            let mut core = self.core();
            core.feed(tls);
            if let Err(alert @ Failure::AlertReceived(_)) = core.settle() {
                return alert;
            }
        }
        failure
    }

    /// Goes on with the handshake with what has come, where `readable`; true once it is done.
    fn handshake_step(&self, readable: bool) -> Result<bool, Failure> {
        if readable {
            let mut tls = borrow_spare(|spare| &mut spare.tls);
            tls.clear();
            tls.reserve(ROOM);
            let received = self.receive(&mut tls);
            if let Ok(Some(1..)) = received {
                self.core().feed(tls.clone());
            }
            give_back(|spare| &mut spare.tls, tls);
            match received {
                Ok(None) => return Ok(false),
                Ok(Some(0)) => return Err(self.core().fail(Failure::UnexpectedEof)),
                Ok(Some(_)) => {}
                Err(failure) => return Err(self.core().fail(failure)),
            }
        }
        let advanced = self.core().process(&mut []);
        if matches!(advanced, Err(Failure::ClientHello(_))) {
            return advanced.map(|_| false);
        }
        // A server's tickets go with its first data.
        let (established, tickets) = {
            let core = self.core();
            let established = core.established();
            (established, established && core.only_tickets_wait())
        };
        let flushed = if tickets { Ok(true) } else { self.flush() };
        // Where the alert cannot be sent, why the handshake failed matters more.
        advanced?;
        flushed?;
        Ok(established)
    }

    /// Reads once: the plaintext goes `into` the buffer that is made for it.
    fn read_with(&self, py: Python<'_>, into: Place<'_>) -> Result<Got, Failure> {
        let mut tls = borrow_spare(|spare| &mut spare.tls);
        tls.clear();
        tls.reserve(ROOM);
        let got = self.read_through(py, &mut tls, into);
        give_back(|spare| &mut spare.tls, tls);
        got
    }

    fn read_through(&self, py: Python<'_>, tls: &mut Vec<u8>, into: Place<'_>) -> Result<Got, Failure> {
        let kept = {
            let mut core = self.core();
            let kept = core.pending();
            if kept == 0 {
                core.check()?;
                if core.peer_closed() {
                    return Ok(Got::End);
                }
                tls.append(&mut core.take_incoming());
            }
            kept
        };
        if kept == 0 {
            let had = tls.len();
            let received = self.receive(tls);
            if !matches!(received, Ok(Some(1..))) {
                if had > 0 {
                    self.core().feed(tls.clone());
                }
                return match received? {
                    None => Ok(Got::Nothing),
                    Some(_) => Err(Failure::UnexpectedEof),
                };
            }
        }
        let room = kept.max(tls.len());
        let plain = match into {
            Place::Spare(plain) => {
                if plain.len() < room {
                    plain.resize(room.next_power_of_two(), 0);
                }
                &mut plain[..room]
            }
            Place::Callers(plain) => plain,
        };
        let mut work = || guarded(|| self.process(tls, plain));
        if room <= SMALL { work() } else { py.detach(work) }
    }

    fn process(&self, tls: &mut Vec<u8>, plain: &mut [u8]) -> Result<Got, Failure> {
        let mut core = self.core();
        let processed = core.process_ahead(tls, plain);
        if matches!(processed, Ok(count) if count == plain.len()) {
            // The caller's buffer is full: the rest is kept as plaintext. What fails is said by the next read.
            let _ = core.settle();
        }
        let ended = core.peer_closed();
        let answers = !core.outgoing.is_empty();
        drop(core);
        if answers {
            // Why the read failed matters more than whether the alert could be sent.
            let _ = self.flush();
        }
        match processed? {
            0 if ended => Ok(Got::End),
            0 => Ok(Got::Nothing),
            count => Ok(Got::Data(count)),
        }
    }

    /// Encrypts and sends; returns how much of `data` it has not looked at, None where all was sent.
    fn push(&self, data: &[u8]) -> Result<Option<usize>, Failure> {
        if self.unsent().left() > 0 && !self.flush()? {
            return Ok(Some(data.len()));
        }
        let mut done = 0;
        while done < data.len() {
            if done >= TURN {
                return Ok(Some(data.len() - done));
            }
            let end = data.len().min(done + BATCH);
            {
                let mut core = self.core();
                if end - done > KEPT && core.outgoing.capacity() == 0 {
                    core.outgoing = borrow_spare(|spare| &mut spare.out);
                    core.outgoing.clear();
                }
                core.encrypt(&data[done..end])?;
            }
            done = end;
            if !self.flush()? {
                return Ok(Some(data.len() - done));
            }
        }
        Ok(None)
    }

    fn raised<T>(&self, outcome: Result<T, Failure>) -> PyResult<T> {
        outcome.map_err(|failure| match failure {
            Failure::Internal(_) => self.core().fail(failure).into(),
            failure => failure.into(),
        })
    }
}

/// Where the plaintext of a read goes.
enum Place<'a> {
    Spare(&'a mut Vec<u8>),
    Callers(&'a mut [u8]),
}

#[pymethods]
impl Link {
    #[new]
    fn new(stream: Py<Stream>, fd: RawFd) -> Self {
        Self { stream, fd: AtomicI32::new(fd), unsent: Mutex::default() }
    }

    /// The socket is about to be closed: nothing touches its number from here on.
    fn release(&self) {
        self.fd.store(-1, Ordering::Relaxed);
    }

    /// Goes on with the handshake, with what has come where `readable`; True once it is done.
    fn handshake(&self, py: Python<'_>, readable: bool) -> PyResult<bool> {
        let mut readable = readable;
        loop {
            match py.detach(|| guarded(|| self.handshake_step(readable))) {
                Err(Failure::ClientHello(name)) => self.stream.get().decide(py, name)?,
                outcome => return self.raised(outcome),
            }
            readable = false;
        }
    }

    /// What has come: None where nothing has, no bytes at the peer's close_notify.
    fn read<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let mut plain = borrow_spare(|spare| &mut spare.plain);
        let got = self.read_with(py, Place::Spare(&mut plain));
        let answer = self.raised(got).map(|got| match got {
            Got::Data(count) => Some(PyBytes::new(py, &plain[..count])),
            Got::End => Some(PyBytes::new(py, b"")),
            Got::Nothing => None,
        });
        give_back(|spare| &mut spare.plain, plain);
        answer
    }

    /// The same into `buffer`: how many bytes, None where nothing has come, 0 at the peer's close_notify.
    fn read_into(&self, py: Python<'_>, buffer: &Bound<'_, PyAny>) -> PyResult<Option<usize>> {
        let mut writable = Writable::get(buffer)?;
        let got = self.read_with(py, Place::Callers(writable.bytes_mut()));
        Ok(match self.raised(got)? {
            Got::Data(count) => Some(count),
            Got::End => Some(0),
            Got::Nothing => None,
        })
    }

    /// Whether a read has something to say without the socket: data, the end, or why there is none.
    fn unread(&self) -> bool {
        let core = self.core();
        core.pending() > 0 || core.peer_closed() || core.check().is_err()
    }

    /// Whether the peer has said close_notify.
    fn peer_closed(&self) -> bool {
        self.core().peer_closed()
    }

    /// Encrypted bytes that the kernel has not taken.
    fn unsent_size(&self) -> usize {
        self.unsent().left()
    }

    /// Encrypts and sends `data`: None where the kernel took all of it. Else how many bytes of its end are
    /// still the caller's; those before them are sent, or are by `flush`.
    fn write(&self, py: Python<'_>, data: &Bound<'_, PyAny>) -> PyResult<Option<usize>> {
        let readable = Readable::get(data)?;
        let bytes = readable.bytes();
        let work = || guarded(|| self.push(bytes));
        self.raised(if bytes.len() <= SMALL { work() } else { py.detach(work) })
    }

    /// The same with up to `count` bytes of the file `source`, from `offset`: how many were taken. None at
    /// the end of the file.
    fn send_file(&self, py: Python<'_>, source: RawFd, offset: u64, count: usize) -> PyResult<Option<usize>> {
        let sent = py.detach(|| {
            guarded(|| {
                let file = borrow_fd(source).ok_or(Failure::Os(Errno::BADF.raw_os_error()))?;
                let mut plain = borrow_spare(|spare| &mut spare.plain);
                plain.resize(count.min(BATCH), 0);
                let taken = match pread(file, &mut plain[..], offset) {
                    Ok(0) => Ok(None),
                    Ok(read) => self.push(&plain[..read]).map(|left| Some(read - left.unwrap_or(0))),
                    Err(Errno::INTR) => Ok(Some(0)),
                    Err(errno) => Err(errno.into()),
                };
                give_back(|spare| &mut spare.plain, plain);
                taken
            })
        });
        self.raised(sent)
    }

    /// Sends what waits; whether nothing does any more.
    #[pyo3(name = "flush")]
    fn py_flush(&self) -> PyResult<bool> {
        self.raised(guarded(|| self.flush()))
    }

    /// Sends close_notify after everything that waits; whether nothing waits any more.
    fn close_notify(&self) -> PyResult<bool> {
        self.raised(guarded(|| {
            self.core().close()?;
            self.flush()
        }))
    }
}
