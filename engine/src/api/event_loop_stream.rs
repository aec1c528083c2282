//! A connection over a non-blocking socket that an event loop watches. It never waits. Nobody else looks at
//! the socket, so a read takes whatever the kernel has, up to a bound.

use std::os::fd::RawFd;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};
use std::thread::sleep;

use pyo3::prelude::*;
use pyo3::types::PyBytes;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};

use crate::api::file::File;
use crate::api::stream::{MOMENT, Stream};
use crate::driving::descriptor::Use;
use crate::fork::generation;
use crate::memory::{Readable, Writable, bytes_object};
use crate::tls::connection::Connection;
use crate::tls::failure::{Failure, guarded};
use crate::wire::buffers::Buffer;
use crate::wire::limits::{BATCH, BATCH_ON_WIRE, RECORD_ON_WIRE};

/// The bound on plaintext that one call encrypts and sends, however fast the peer takes it.
const TURN: usize = 4 * BATCH;
/// Work on no more bytes than this is done before the GIL would have been released and taken again.
const SMALL: usize = 4096;

/// What a read came to.
enum Got {
    Data(usize),
    Nothing,
    /// The peer's close_notify.
    End,
}

/// Drives the connection of a `Stream` over a socket. Every call but the getters comes from the
/// thread that runs the event loop.
#[pyclass(frozen, module = "veritls._engine")]
pub struct Link {
    stream: Py<Stream>,
    /// What the kernel has not taken yet.
    unsent: Mutex<Buffer>,
    /// Held by the call that works. Another thread's waits for it without the GIL: see `verify/callback.rs`.
    working: Mutex<()>,
    /// The generation (`fork.rs`) in which it began: where a callback forked, the child does not go on.
    began: AtomicU32,
}

impl Link {
    fn used(&self) -> Result<Use<'_>, Failure> {
        if self.began.load(Ordering::Relaxed) != generation() {
            return Err(Failure::Forked);
        }
        self.stream.get().descriptor.enter().map_err(|failure| match failure {
            Failure::Os(_) => Failure::Closed,
            failure => failure,
        })
    }

    fn core(&self) -> MutexGuard<'_, Connection> {
        self.stream.get().core()
    }

    fn unsent(&self) -> MutexGuard<'_, Buffer> {
        self.unsent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Appends what the kernel has to `tls`, up to a bound: None where there is nothing, 0 at the end.
    fn receive(&self, tls: &mut Buffer) -> Result<Option<usize>, Failure> {
        let used = self.used()?;
        // An incomplete message may have taken most of the room.
        let size = BATCH_ON_WIRE.saturating_sub(tls.len()).max(RECORD_ON_WIRE);
        loop {
            match recv(used.fd(), tls.room(size), RecvFlags::DONTWAIT) {
                Ok((_, count)) => {
                    tls.added(count);
                    return Ok(Some(count));
                }
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
            while !unsent.is_empty() {
                let used = self.used()?;
                let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
                match send(used.fd(), unsent.bytes(), flags) {
                    Ok(count) => unsent.discard(count),
                    Err(Errno::AGAIN) => return Ok(false),
                    Err(Errno::INTR) => {}
                    Err(errno) => {
                        drop(unsent);
                        return Err(self.explain(errno.into()));
                    }
                }
            }
            *unsent = self.core().take_outgoing();
            if unsent.is_empty() {
                return Ok(true);
            }
        }
    }

    /// A broken pipe is what is left of a refusal: the alert that says why may still be there to read.
    fn explain(&self, failure: Failure) -> Failure {
        let mut tls = Buffer::default();
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
            let mut tls = Buffer::default();
            match self.receive(&mut tls) {
                Ok(None) => return Ok(false),
                Ok(Some(0)) => return Err(self.core().fail(Failure::UnexpectedEof)),
                Ok(Some(_)) => self.core().feed(tls),
                Err(failure) => return Err(self.core().fail(failure)),
            }
        }
        let advanced = self.core().process(&mut []);
        // A server's tickets go with what the protocol writes when it is told of the connection, or right after.
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
        let mut tls = {
            let mut core = self.core();
            if core.pending() == 0 {
                core.check()?;
                if core.peer_closed() {
                    return Ok(Got::End);
                }
                Some(core.take_incoming())
            } else {
                None
            }
        };
        let received = tls.as_mut().map_or(Ok(Some(1)), |tls| self.receive(tls));
        let (room, small) = {
            let mut core = self.core();
            core.feed(tls.unwrap_or_default());
            (core.at_hand(), core.at_hand() <= SMALL && core.judged())
        };
        match received? {
            None => return Ok(Got::Nothing),
            Some(0) => return Err(Failure::UnexpectedEof),
            Some(_) => {}
        }
        match into {
            Place::Made(made) => {
                *made = Buffer::with_room(room);
                let got = self.process_within(py, small, made.room(room));
                if let Ok(Got::Data(count)) = got {
                    made.added(count);
                }
                got
            }
            Place::Callers(plain) => self.process_within(py, small, plain),
        }
    }

    fn process_within(&self, py: Python<'_>, small: bool, plain: &mut [u8]) -> Result<Got, Failure> {
        let mut process = || self.process(plain);
        if small { process() } else { py.detach(process) }
    }

    fn process(&self, plain: &mut [u8]) -> Result<Got, Failure> {
        let mut core = self.core();
        let processed = core.process(plain);
        if matches!(processed, Ok(count) if count == plain.len()) {
            // The caller's buffer is full: the rest is kept as plaintext. What fails is said by the next read.
            let _ = core.settle();
        }
        core.trim();
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
        if !self.unsent().is_empty() && !self.flush()? {
            return Ok(Some(data.len()));
        }
        let mut done = 0;
        while done < data.len() {
            if done >= TURN {
                return Ok(Some(data.len() - done));
            }
            let end = data.len().min(done + BATCH);
            self.core().encrypt(&data[done..end])?;
            done = end;
            if !self.flush()? {
                return Ok(Some(data.len() - done));
            }
        }
        Ok(None)
    }

    /// Does `work` while no other call does, and makes an exception of what it fails with. Nothing of Python's
    /// is touched in between.
    fn drive<T>(&self, py: Python<'_>, work: impl FnOnce() -> Result<T, Failure>) -> PyResult<T> {
        let asking = self.stream.get().asking();
        asking.refuse_reentry().map_err(Failure::from)?;
        let _at_work = self.stream.get().enter()?;
        let outcome = loop {
            asking.refuse_reentry().map_err(Failure::from)?;
            match self.working.try_lock() {
                Ok(_working) => {
                    self.began.store(generation(), Ordering::Relaxed);
                    break guarded(work);
                }
                Err(TryLockError::Poisoned(_)) => {
                    break Err(Failure::Internal("an earlier call failed".into()));
                }
                Err(TryLockError::WouldBlock) => py.detach(|| sleep(MOMENT)),
            }
        };
        outcome.map_err(|failure| match failure {
            Failure::Internal(_) => py.detach(|| self.core().fail(failure)).into(),
            // What was amid a step is lost. In the kernel's word, which is an OSError.
            Failure::NoMemory => py.detach(|| self.core().fail(Errno::NOMEM.into())).into(),
            failure => failure.into(),
        })
    }
}

/// Where the plaintext of a read goes.
enum Place<'a> {
    Made(&'a mut Buffer),
    Callers(&'a mut [u8]),
}

#[pymethods]
impl Link {
    #[new]
    fn new(stream: Py<Stream>, fd: RawFd) -> Self {
        stream.get().descriptor.bind(fd);
        Self { stream, unsent: Mutex::default(), working: Mutex::default(), began: AtomicU32::default() }
    }

    /// The socket is about to be closed: nothing touches its number from here on.
    fn release(&self) {
        self.stream.get().descriptor.close();
    }

    /// Bytes from the peer that were read from the socket before it was ours.
    fn feed(&self, py: Python<'_>, early: &[u8]) -> PyResult<()> {
        self.drive(py, || {
            let mut tls = Buffer::with_room(early.len());
            tls.append(early);
            self.core().feed(tls);
            Ok(())
        })
    }

    /// Goes on with the handshake, with what has come where `readable`; True once it is done.
    fn handshake(&self, py: Python<'_>, readable: bool) -> PyResult<bool> {
        self.drive(py, || py.detach(|| self.handshake_step(readable)))
    }

    /// What has come: None where nothing has, no bytes at the peer's close_notify.
    fn read<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let mut plain = Buffer::default();
        let got = self.drive(py, || self.read_with(py, Place::Made(&mut plain)))?;
        Ok(match got {
            Got::Data(_) => Some(bytes_object(py, plain.bytes())?),
            Got::End => Some(bytes_object(py, b"")?),
            Got::Nothing => None,
        })
    }

    /// The same into `buffer`: how many bytes, None where nothing has come, 0 at the peer's close_notify.
    fn read_into(&self, py: Python<'_>, buffer: &Bound<'_, PyAny>) -> PyResult<Option<usize>> {
        let mut writable = Writable::get(buffer)?;
        let got = self.drive(py, || self.read_with(py, Place::Callers(writable.bytes_mut())))?;
        Ok(match got {
            Got::Data(count) => Some(count),
            Got::End => Some(0),
            Got::Nothing => None,
        })
    }

    /// Whether a read has something to say without the socket: data, the end, or why there is none.
    fn unread(&self, py: Python<'_>) -> bool {
        let unread = |core: &Connection| core.pending() > 0 || core.peer_closed() || core.check().is_err();
        self.stream.get().look(py, unread)
    }

    /// Whether the peer has said close_notify.
    fn peer_closed(&self, py: Python<'_>) -> bool {
        self.stream.get().look(py, Connection::peer_closed)
    }

    /// Encrypted bytes that the kernel has not taken.
    fn unsent_size(&self) -> usize {
        self.stream.get().enter().map_or(0, |_at_work| self.unsent().len())
    }

    /// Encrypts and sends `data`: None where the kernel took all of it. Else how many bytes of its end are
    /// still the caller's; those before them are sent, or are by `flush`.
    fn write(&self, py: Python<'_>, data: &Bound<'_, PyAny>) -> PyResult<Option<usize>> {
        let readable = Readable::get(data)?;
        let bytes = readable.bytes();
        let work = || self.push(bytes);
        self.drive(py, || if bytes.len() <= SMALL { work() } else { py.detach(work) })
    }

    /// The same with up to `count` bytes of the file `source`, from `offset`: how many were taken. None at
    /// the end of the file.
    fn send_file(&self, py: Python<'_>, source: &File, offset: u64, count: usize) -> PyResult<Option<usize>> {
        let send = || {
            let size = count.min(BATCH);
            let mut plain = Buffer::with_room(size);
            match source.read_at(plain.room(size), offset) {
                Ok(0) => Ok(None),
                Ok(read) => {
                    plain.added(read);
                    self.push(plain.bytes()).map(|left| Some(read - left.unwrap_or(0)))
                }
                Err(Failure::Interrupted) => Ok(Some(0)),
                Err(failure) => Err(failure),
            }
        };
        self.drive(py, || py.detach(send))
    }

    /// Sends what waits; whether nothing does any more.
    #[pyo3(name = "flush")]
    fn py_flush(&self, py: Python<'_>) -> PyResult<bool> {
        self.drive(py, || py.detach(|| self.flush()))
    }

    /// Sends close_notify after everything that waits; whether nothing waits any more.
    fn close_notify(&self, py: Python<'_>) -> PyResult<bool> {
        self.drive(py, || {
            py.detach(|| {
                self.core().close()?;
                self.flush()
            })
        })
    }
}
