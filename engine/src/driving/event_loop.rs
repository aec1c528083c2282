//! The event-loop driver: a connection over a non-blocking socket that an event loop watches.
//!
//! It works on the same `Core` as the blocking driver, and `blocking.rs` describes the locks. The differences:
//!
//! - It never waits. The loop calls when the socket is readable or writable; what the kernel does not take stays in
//!   `Outbound::unsent`, and `flush` goes on with it.
//! - Each call holds the turn to receive, for its own length only, and takes the turn to send where it sends. Calls
//!   come from the thread that runs the loop; one from another thread tries again until it gets its turn, without the
//!   GIL (`api::EventLoopStream::drive`). A call from within a callback of the same connection is refused.
//! - Small pieces of work keep the GIL: letting go of it and taking it again costs more.
//! - Nothing else looks at the socket, so a read takes whatever the kernel has, up to a bound.
//! - The transport (`veritls.aio`) closes the socket, after `retire_descriptor`. No thread sits in a system call then.

use std::mem;

use rustix::io::Errno;
use rustix::net::{RecvFlags, recv, send};

use crate::driving::core::{Core, Progress};
use crate::driving::descriptor::Use;
use crate::driving::outbound::Outbound;
use crate::driving::platform;
use crate::driving::turn_lock::Held;
use crate::fork::AtWork;
use crate::tls::failure::Failure;
use crate::wire::buffers::Buffer;
use crate::wire::limits::{BATCH, BATCH_ON_WIRE, RECORD_ON_WIRE};
use crate::wire::records::Begun;

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

/// A system call with the socket's number, where this process and the socket are the call's still.
fn enter<'a>(core: &'a Core, at_work: &AtWork<'_>) -> Result<Use<'a>, Failure> {
    at_work.check()?;
    core.descriptor.enter().map_err(|failure| match failure {
        Failure::Os(_) => Failure::Closed,
        failure => failure,
    })
}

/// Appends what the kernel has to `tls`, up to a bound: how many bytes, 0 at the end.
fn receive_into(core: &Core, at_work: &AtWork<'_>, tls: &mut Buffer) -> Result<usize, Failure> {
    let used = enter(core, at_work)?;
    // An incomplete message may have taken most of the room.
    let size = BATCH_ON_WIRE.saturating_sub(tls.len()).max(RECORD_ON_WIRE);
    loop {
        match recv(used.fd(), tls.room(size), RecvFlags::DONTWAIT) {
            Ok((_, count)) => {
                tls.added(count);
                return Ok(count);
            }
            Err(Errno::AGAIN) => return Err(Failure::WantRead),
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
}

/// What the kernel has, up to a bound; nothing at the end.
fn receive(core: &Core, at_work: &AtWork<'_>) -> Result<Buffer, Failure> {
    let mut tls = Buffer::default();
    receive_into(core, at_work, &mut tls).map(|_| tls)
}

/// Hands `records` to the kernel, and takes from them what it took.
fn send_all(core: &Core, at_work: &AtWork<'_>, records: &mut Buffer) -> Result<(), Failure> {
    while !records.is_empty() {
        let used = enter(core, at_work)?;
        match send(used.fd(), records.bytes(), platform::SEND) {
            Ok(count) => records.discard(count),
            Err(Errno::AGAIN) => return Err(Failure::WantWrite),
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(())
}

/// One call at work on its connection. It holds the turn to receive for its whole length, whatever it does, and takes
/// the turn to send where it sends: one call at a time works on the connection.
pub struct EventLoopDriver<'a> {
    core: &'a Core,
    at_work: &'a AtWork<'a>,
    _inbound: Held<'a, Begun>,
}

impl<'a> EventLoopDriver<'a> {
    /// None where another call is at work on the connection.
    pub fn try_new(core: &'a Core, at_work: &'a AtWork<'a>) -> Option<Self> {
        Some(Self { core, at_work, _inbound: core.inbound.try_take()? })
    }

    /// Adds bytes from the peer that were read before the socket was this driver's.
    pub fn feed(&self, early: &[u8]) {
        let mut tls = Buffer::with_room(early.len());
        tls.append(early);
        self.core.connection().feed(tls);
    }

    /// Goes on with the handshake with what has come, where `readable`; true once it is over.
    pub fn handshake_step(&self, readable: bool) -> Result<bool, Failure> {
        // Held while a callback runs, too.
        let Some(mut outbound) = self.core.outbound.try_take() else { return Ok(false) };
        if readable && !self.core.feed_handshake(receive(self.core, self.at_work))? {
            return Ok(false);
        }
        let advanced = self.core.advance_handshake();
        // A server's tickets go with what the protocol writes when it is told of the connection, or right after.
        let only_tickets = matches!(advanced, Ok(Progress::Over { only_tickets: true, .. }));
        let answered = Core::answer_handshake(advanced, || match only_tickets {
            true => Ok(()),
            false => self.flush_held(outbound.get()).map(drop),
        });
        if let Ok(Progress::Over { acknowledge: true, .. }) = answered {
            outbound.get().acknowledge = true;
            self.acknowledge();
        }
        Ok(matches!(answered?, Progress::Over { .. }))
    }

    /// Reads once from the socket, where no plaintext waits.
    pub fn prepare_read(&self) -> Result<Ready, Failure> {
        let mut tls = {
            let mut connection = self.core.connection();
            if connection.pending() == 0 {
                connection.check()?;
                if connection.close_notify_received() {
                    return Ok(Ready::End);
                }
                Some(connection.take_incoming())
            } else {
                None
            }
        };
        let received = tls.as_mut().map_or(Ok(1), |tls| receive_into(self.core, self.at_work, tls));
        let (room, small) = {
            let mut connection = self.core.connection();
            connection.feed(tls.unwrap_or_default());
            if received.is_err() {
                connection.trim();
            }
            (connection.at_hand(), connection.at_hand() <= SMALL && connection.finished())
        };
        match received {
            Ok(0) => Err(Failure::UnexpectedEof),
            Ok(_) => Ok(Ready::Plaintext { room, small }),
            Err(Failure::WantRead) => Ok(Ready::Nothing),
            Err(failure) => Err(failure),
        }
    }

    /// Hands everything that waits to the kernel, in order; false where it takes no more.
    pub fn flush(&self) -> Result<bool, Failure> {
        self.core.outbound.try_take().map_or(Ok(false), |mut outbound| self.flush_held(outbound.get()))
    }

    fn flush_held(&self, outbound: &mut Outbound) -> Result<bool, Failure> {
        let (core, at_work) = (self.core, self.at_work);
        match core.flush(&mut outbound.unsent, |records| send_all(core, at_work, records)) {
            Ok(()) => Ok(true),
            Err(Failure::WantWrite) => Ok(false),
            Err(failure @ Failure::Os(_)) => Err(core.fatal_alert_or(failure, || receive(core, at_work))),
            Err(failure) => Err(failure),
        }
    }

    pub fn process(&self, plain: &mut [u8]) -> Result<Got, Failure> {
        let mut connection = self.core.connection();
        let processed = connection.process(plain);
        if matches!(processed, Ok(count) if count == plain.len()) {
            // The caller's buffer is full: the rest is kept as plaintext. The next read says what fails.
            let _ = connection.settle();
        }
        connection.trim();
        let ended = connection.close_notify_received();
        let answers = !connection.outgoing.is_empty();
        drop(connection);
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
        let Some(mut held) = self.core.outbound.try_take() else { return Ok(Some(data.len())) };
        let outbound = held.get();
        if !outbound.unsent.is_empty() && !self.flush_held(outbound)? {
            return Ok(Some(data.len()));
        }
        let mut done = 0;
        while done < data.len() {
            if done >= TURN {
                return Ok(Some(data.len() - done));
            }
            let end = data.len().min(done + BATCH);
            self.core.connection().encrypt(&data[done..end])?;
            done = end;
            if !self.flush_held(outbound)? {
                return Ok(Some(data.len() - done));
            }
        }
        if mem::take(&mut outbound.acknowledge) {
            self.acknowledge();
        }
        Ok(None)
    }

    fn acknowledge(&self) {
        if let Ok(used) = enter(self.core, self.at_work) {
            platform::acknowledge(used.fd());
        }
    }

    /// Sends close_notify after everything that waits; whether nothing waits any more.
    pub fn send_close_notify(&self) -> Result<bool, Failure> {
        self.core.connection().queue_close_notify()?;
        self.flush()
    }
}
