//! Drives a connection over a non-blocking socket that an event loop watches. It never waits. Nothing else looks at
//! the socket, so a read takes whatever the kernel has, up to a bound.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};

use crate::driving::descriptor::Use;
use crate::driving::endpoint::Endpoint;
use crate::fork::generation;
use crate::tls::connection::Connection;
use crate::tls::failure::Failure;
use crate::wire::buffers::Buffer;
use crate::wire::limits::{BATCH, BATCH_ON_WIRE, RECORD_ON_WIRE};

/// The bound on plaintext that one call encrypts and sends, however fast the peer takes it.
const TURN: usize = 4 * BATCH;
/// Work on no more bytes than this is done before the GIL would have been released and taken again.
pub const SMALL: usize = 4096;

/// What a read came to.
pub enum Got {
    Data(usize),
    Nothing,
    /// The peer's close_notify.
    End,
}

/// What can be processed of what a read brought.
pub enum Ready {
    /// Up to `room` bytes of plaintext; `small`: it takes no longer than letting go of the GIL would.
    Plaintext {
        room: usize,
        small: bool,
    },
    Nothing,
    /// The peer's close_notify.
    End,
}

/// What an event loop's driver keeps between two calls.
#[derive(Default)]
pub struct EventLoopDriver {
    /// What the kernel has not taken yet.
    unsent: Mutex<Buffer>,
    /// Held by the call that works. Another thread's waits for it without the GIL: see `verify/callback.rs`.
    pub working: Mutex<()>,
    /// The generation (`fork.rs`) in which it began: where a callback forked, the child does not go on.
    began: AtomicU32,
}

impl EventLoopDriver {
    /// The call that works begins.
    pub fn begin(&self) {
        self.began.store(generation(), Ordering::Relaxed);
    }
}

/// A driver at work on its connection.
#[derive(Clone, Copy)]
pub struct OnLoop<'a> {
    pub driver: &'a EventLoopDriver,
    pub endpoint: &'a Endpoint,
}

impl OnLoop<'_> {
    fn used(&self) -> Result<Use<'_>, Failure> {
        if self.driver.began.load(Ordering::Relaxed) != generation() {
            return Err(Failure::Forked);
        }
        self.endpoint.descriptor.enter().map_err(|failure| match failure {
            Failure::Os(_) => Failure::Closed,
            failure => failure,
        })
    }

    pub fn core(&self) -> MutexGuard<'_, Connection> {
        self.endpoint.pump.core()
    }

    pub fn unsent(&self) -> MutexGuard<'_, Buffer> {
        self.driver.unsent.lock().unwrap_or_else(PoisonError::into_inner)
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
    pub fn flush(&self) -> Result<bool, Failure> {
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
    pub fn handshake_step(&self, readable: bool) -> Result<bool, Failure> {
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

    /// Reads once from the socket, where no plaintext waits.
    pub fn prepare_read(&self) -> Result<Ready, Failure> {
        let mut tls = {
            let mut core = self.core();
            if core.pending() == 0 {
                core.check()?;
                if core.peer_closed() {
                    return Ok(Ready::End);
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
            (core.at_hand(), core.at_hand() <= SMALL && core.finished())
        };
        match received? {
            None => Ok(Ready::Nothing),
            Some(0) => Err(Failure::UnexpectedEof),
            Some(_) => Ok(Ready::Plaintext { room, small }),
        }
    }

    pub fn process(&self, plain: &mut [u8]) -> Result<Got, Failure> {
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
    pub fn push(&self, data: &[u8]) -> Result<Option<usize>, Failure> {
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
}
