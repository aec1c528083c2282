//! A connection over a transport: handshake, recv, send, close. Waits hold no lock that the other
//! direction needs, so that one thread may sit in recv while another sends.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::{ThreadId, current};
use std::time::Instant;

use rustix::io::Errno;

use crate::driving::core::{Core, Progress};
use crate::driving::outbound::Outbound;
use crate::driving::transport::{Transport, Wait};
use crate::driving::turn_lock::Held;
use crate::tls::failure::Failure;
use crate::wire::buffers::Buffer;
use crate::wire::limits::BATCH;
use crate::wire::records::Begun;

/// How often a read goes on that brought no data before it looks at deadlines and signals again: a peer may
/// send records without any for as long as it likes.
const FRUITLESS: usize = 32;

/// Where a read puts its plaintext.
pub enum Target<'a> {
    Given(&'a mut [u8]),
    /// Memory that is made when it is known how much there is: for so many bytes at most, and a batch.
    Made(usize, Buffer),
}

impl Target<'_> {
    fn wanted(&self) -> usize {
        match self {
            Self::Given(memory) => memory.len(),
            Self::Made(limit, _) => *limit,
        }
    }

    fn room(&mut self, at_hand: usize) -> &mut [u8] {
        match self {
            Self::Given(memory) => memory,
            Self::Made(limit, memory) => {
                let size = at_hand.min(*limit).min(BATCH);
                *memory = Buffer::with_room(size);
                memory.room(size)
            }
        }
    }

    fn added(&mut self, count: usize) {
        if let Self::Made(_, memory) = self {
            memory.added(count);
        }
    }
}

/// What the blocking driver keeps of a connection between two calls.
#[derive(Default)]
pub struct BlockingState {
    /// The handshake was seen to be over: no callback runs any more.
    handshake_over: AtomicBool,
    interrupted: Mutex<Option<ThreadId>>,
    /// A flush within a read met the peer's reset. The kernel tells it once, and the reader is to hear of it.
    reset: AtomicBool,
}

/// The blocking driver, at its connection.
#[derive(Clone, Copy)]
pub struct Blocking<'a> {
    pub core: &'a Core,
    pub state: &'a BlockingState,
}

/// What a read came to.
pub enum Read {
    Data(usize),
    /// The peer's close_notify.
    End,
}

impl<'a> Blocking<'a> {
    pub fn handshake(self, transport: &dyn Transport) -> Result<(), Failure> {
        let mut inbound = self.core.inbound.take(transport.wait(), Failure::WantRead)?;
        let mut outbound = self.core.outbound.take(transport.wait(), Failure::WantWrite)?;
        let (begun, outbound) = (inbound.get(), outbound.get());
        loop {
            let advanced = self.core.advance_handshake();
            if matches!(advanced, Ok(Progress::Over { .. })) {
                self.state.handshake_over.store(true, Ordering::Release);
            }
            if let (Ok(_), Wait::Until(deadline)) = (&advanced, transport.wait()) {
                let late = deadline <= Instant::now();
                if self.core.callback_state.take_answered() && late {
                    return Err(Failure::Timeout);
                }
            }
            // The rest of the peer's flight may be here: it is answered in one piece.
            if matches!(advanced, Ok(Progress::Going { amid_flight: true }))
                && self.fill_handshake(transport, begun, Wait::No)?
            {
                continue;
            }
            let only_tickets = matches!(advanced, Ok(Progress::Over { only_tickets: true }));
            let answered = Core::answer_handshake(advanced, || match self.flush(outbound, transport) {
                // A client that is gone takes no tickets. What it has sent before can still be read.
                Err(Failure::Os(_)) if only_tickets => Ok(()),
                flushed => flushed,
            });
            match answered {
                Ok(Progress::Going { .. }) => {}
                Ok(Progress::Over { .. }) => {
                    outbound.after_handshake = true;
                    return Ok(());
                }
                Err(failure) => {
                    if !matches!(failure, Failure::Os(_)) && self.core.connection().check().is_err() {
                        // A reset would overtake the alert.
                        transport.discard_incoming();
                    }
                    return Err(failure);
                }
            }
            if !self.fill_handshake(transport, begun, transport.wait())? {
                return Err(Failure::WantRead);
            }
        }
    }

    /// Reads once for the handshake; false where nothing is there.
    fn fill_handshake(
        self,
        transport: &dyn Transport,
        begun: &mut Begun,
        wait: Wait,
    ) -> Result<bool, Failure> {
        // One record: what follows the last of the handshake stays where `select` shows it.
        self.core.feed_handshake(transport.receive(begun, 0, wait))
    }

    /// Hands everything that waits to the transport, in order.
    pub fn flush(self, outbound: &mut Outbound, transport: &dyn Transport) -> Result<(), Failure> {
        self.core.flush(&mut outbound.unsent, |records| transport.send(records))
    }

    /// Sends what a read made necessary (an alert, the answer to a key update), unless a writer is at
    /// work, who will send it, or the transport takes nothing now: then the next write sends it.
    pub fn flush_if_free(self, transport: &dyn Transport) {
        if let Some(mut outbound) = self.core.outbound.try_take() {
            let flushed = self.flush(outbound.get(), transport);
            if matches!(flushed, Err(Failure::Os(errno)) if errno == Errno::CONNRESET.raw_os_error()) {
                self.state.reset.store(true, Ordering::Relaxed);
            }
        }
    }

    /// The transport's end without the peer's close_notify.
    fn ragged_end(self) -> Failure {
        if self.state.reset.swap(false, Ordering::Relaxed) {
            Errno::CONNRESET.into()
        } else {
            Failure::UnexpectedEof
        }
    }

    /// At least one byte, at most as many as `target` takes. Does the handshake first where it was not done.
    pub fn read(self, transport: &dyn Transport, target: &mut Target<'_>) -> Result<Read, Failure> {
        self.ensure_established(transport)?;
        let mut inbound = self.core.inbound.take(transport.wait(), Failure::WantRead)?;
        let begun = inbound.get();
        let wanted = target.wanted();
        if wanted == 0 {
            return Ok(Read::Data(0));
        }
        let mut fresh = Buffer::default();
        for round in 1.. {
            let (advanced, close_notify_received, closed, answers) = {
                let mut connection = self.core.connection();
                connection.feed(fresh);
                let at_hand = connection.at_hand();
                let advanced = if at_hand > 0 { connection.process(target.room(at_hand)) } else { Ok(0) };
                (
                    advanced,
                    connection.close_notify_received(),
                    connection.close_notify_sent(),
                    !connection.outgoing.is_empty(),
                )
            };
            if answers {
                self.flush_if_free(transport);
            }
            match advanced? {
                0 => {}
                count => {
                    target.added(count);
                    return Ok(Read::Data(count));
                }
            }
            if close_notify_received {
                // As with OpenSSL: once both have said close_notify, a read is a mistake.
                return if closed { Err(Failure::Closed) } else { Ok(Read::End) };
            }
            if round % FRUITLESS == 0 {
                transport.pause()?;
            }
            fresh = transport.receive(begun, wanted, transport.wait())?;
            if fresh.is_empty() {
                return Err(self.ragged_end());
            }
        }
        unreachable!("the rounds have no end")
    }

    pub fn ensure_established(self, transport: &dyn Transport) -> Result<(), Failure> {
        if self.state.handshake_over.load(Ordering::Acquire) {
            return self.core.connection().check();
        }
        // Until then the core may be locked for as long as a callback takes; the turns heed the caller's patience.
        if let Some(connection) = self.core.try_connection() {
            connection.check()?;
            if connection.established() {
                self.state.handshake_over.store(true, Ordering::Release);
                return Ok(());
            }
        }
        self.handshake(transport)
    }

    /// The thread whose message waits for a signal handler to end.
    pub fn interrupted(self) -> MutexGuard<'a, Option<ThreadId>> {
        self.state.interrupted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The turn to send. A signal handler that wants it amid a message of its own thread would wait for ever.
    pub fn take_outbound(self, transport: &dyn Transport) -> Result<Held<'a, Outbound>, Failure> {
        if let Some(held) = self.core.outbound.try_take() {
            return Ok(held);
        }
        if *self.interrupted() == Some(current().id()) {
            return Err(Failure::BadWriteRetry);
        }
        self.core.outbound.take(transport.wait(), Failure::WantWrite)
    }

    /// Sends close_notify, after all that was to be sent before.
    pub fn send_close_notify(self, transport: &dyn Transport) -> Result<(), Failure> {
        let mut outbound = self.take_outbound(transport)?;
        self.flush(outbound.get(), transport)?;
        self.core.connection().queue_close_notify()?;
        self.flush(outbound.get(), transport)
    }

    /// Sends close_notify and reads the peer's. Returns what came after it.
    pub fn exchange_close_notify(self, transport: &dyn Transport) -> Result<Buffer, Failure> {
        self.send_close_notify(transport)?;
        let mut inbound = self.core.inbound.take(transport.wait(), Failure::WantRead)?;
        let begun = inbound.get();
        for round in 1.. {
            {
                let mut connection = self.core.connection();
                connection.settle()?;
                if connection.pending() > 0 {
                    return Err(Failure::DataAfterClose);
                }
                if connection.close_notify_received() {
                    let mut rest = connection.take_incoming();
                    rest.append_buffer(&mut begun.take());
                    return Ok(rest);
                }
            }
            if round % FRUITLESS == 0 {
                transport.pause()?;
            }
            let records = transport.receive(begun, 0, transport.wait())?;
            if records.is_empty() {
                return Err(Failure::UnexpectedEof);
            }
            self.core.connection().feed(records);
        }
        unreachable!("the rounds have no end")
    }
}
