//! The blocking driver: a connection over a socket that its callers wait for, or over two MemoryBIOs.
//!
//! **Who calls whom.** Python calls `api::Stream`, whose `run` lets go of the GIL and calls one of `handshake`, `read`,
//! `send_close_notify`, `exchange_close_notify` here, or `Sending::go_on` (`sending.rs`). These move records between
//! the connection (`tls::connection`, which does no I/O) and a `Transport`. A transport waits as long as the call's
//! timeout allows (`Wait`); over MemoryBIOs it never does. The event-loop driver (`event_loop.rs`) is the other one
//! over the same `Core`; a connection has either from its beginning to its end.
//!
//! **What is locked by what.** Always taken in this order:
//!
//! 1. `Core::inbound`, a turn lock: the beginning of a record that has not come whole. The thread that reads holds it
//!    while it waits for the peer.
//! 2. `Core::outbound`, a turn lock: the records that the transport has not taken, and the message that is not
//!    complete. The thread that sends holds it while it waits for the peer to take more.
//! 3. `Core::connection`, a mutex: the state of TLS. It is held for one step of computing, never for a system call, so
//!    that one thread sits in `read` while another sends. The one exception is a callback of the program, which runs
//!    within a step of the handshake (`verify/callback.rs`); `Core::callback_state` tells of that without the lock.
//!
//! A reader that has something to send (an alert, the answer to a key update) only tries for the second: a writer that
//! holds it sends that as well (`flush_if_free`). A writer whose socket broke only tries for the first, to look for the
//! peer's fatal alert: a reader that holds it finds that itself. So neither waits for the other.
//!
//! **What waits where.** No system call blocks but `poll`. It looks at two descriptors, the socket and the bell
//! (`bell.rs`), which closing rings. A turn lock is waited for in slices of 50 ms. Both end at the call's deadline. A
//! signal ends `poll` with `Interrupted`. So do the end of a slice, 250 ms of waiting to send, 50 ms of sending without
//! a wait, and 32 records without data: a signal that comes between two system calls interrupts neither. `Interrupted`
//! goes up to `run`, which takes the GIL, lets Python's handlers run, and calls the same again with the same deadline:
//! each call here can be repeated. A message is not begun anew: `Sending` keeps its place and the turn to send over the
//! handlers, so that no other message comes in between. A handler that sends on the same connection would then wait for
//! its own thread; it is refused (`interrupted`).
//!
//! **What a second thread sees.** A second reader waits for the first, a second writer for the first, both with their
//! own timeout; without one they get `WantRead` or `WantWrite` at once. Either waits for a handshake, which holds both
//! turns. The getters wait for neither turn, only for a step to end, and are empty while a callback runs.
//!
//! **Closing from another thread.** `Stream::close_descriptor` retires the descriptor: no thread begins a system call
//! with its number any more, and the bell wakes those in `poll`, which look at the descriptor again and end with EBADF.
//! The last of them closes the number (`descriptor.rs`). Threads that wait for a turn find out when they get it, or at
//! the end of their slice. `Stream::cancel_callback` ends a handshake whose callback closes its own socket.
//! Neither sends anything: close_notify goes out by its own two calls.
//!
//! **Forks.** A child has no thread but the one that forked. What another thread held at that moment stays held in the
//! child for ever, so `Core::users` counts the calls at work by the generation of processes (`fork.rs`): where one was
//! at work, each call in the child fails with `Forked` instead of waiting. A callback that forks returns in the child
//! too, in the midst of a call; `AtWork::check` before each system call ends that there.
//!
//! **Why the obvious ways fail.** *One lock for everything*: a thread that waits in `read` keeps all others from
//! sending. *A plain mutex for a direction*: its waiters heed neither timeout nor signal, and a signal handler that
//! sends deadlocks its own thread. *A blocking `recv`*: closing the number from another thread does not end it, and
//! what it reads next may be another connection's. *`shutdown` to wake it*: that ends the connection for a forked child
//! too. *A blocking `send`*: where a signal comes after a part was taken, it returns that count, and Python's handlers
//! wait for the next interruption. *Reading as much as there is*: `select` would not show what was taken from the
//! kernel already (decision 0006).

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::{ThreadId, current};
use std::time::Instant;

use rustix::io::Errno;

use crate::driving::core::{Core, Progress};
use crate::driving::outbound::Outbound;
use crate::driving::transport::Transport;
use crate::driving::turn_lock::Held;
use crate::driving::wait::Wait;
use crate::memory::stack_went_deep;
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
    /// A flush within a read met the peer's reset. The kernel reports it once, and the reader is to get it.
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
        self.core.connection().begin();
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
            let only_tickets = matches!(advanced, Ok(Progress::Over { only_tickets: true, .. }));
            let answered = Core::answer_handshake(advanced, || match self.flush(outbound, transport) {
                // A client that is gone takes no tickets. What it has sent before can still be read.
                Err(Failure::Os(_)) if only_tickets => Ok(()),
                flushed => flushed,
            });
            match answered {
                Ok(Progress::Going { .. }) => {}
                Ok(Progress::Over { acknowledge, .. }) => {
                    outbound.after_handshake = true;
                    stack_went_deep();
                    outbound.acknowledge = acknowledge;
                    if acknowledge {
                        transport.acknowledge();
                    }
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
        let received = transport.receive(begun, 0, wait);
        if begun.len() > 0 {
            self.core.connection().note_heard();
        }
        self.core.feed_handshake(received)
    }

    /// Hands everything that waits to the transport, in order.
    pub fn flush(self, outbound: &mut Outbound, transport: &dyn Transport) -> Result<(), Failure> {
        self.core.flush(&mut outbound.unsent, |records| transport.send(records))
    }

    /// Sends what a read made necessary (an alert, the answer to a key update), unless a writer is at
    /// work, which sends it, or the transport takes nothing now: then the next write sends it.
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
            let at_hand = {
                let mut connection = self.core.connection();
                connection.feed(fresh);
                connection.at_hand()
            };
            // Where this finds no memory, what is at hand stays there, and the connection is not locked.
            let room = if at_hand > 0 { Some(target.room(at_hand)) } else { None };
            let (advanced, close_notify_received, closed, answers) = {
                let mut connection = self.core.connection();
                let advanced = room.map_or(Ok(0), |room| connection.process(room));
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

    /// Whether the handshake was seen to be over.
    pub fn handshake_over(self) -> bool {
        self.state.handshake_over.load(Ordering::Acquire)
    }

    pub fn ensure_established(self, transport: &dyn Transport) -> Result<(), Failure> {
        if self.handshake_over() {
            return self.core.connection().check();
        }
        // Until then the connection may be locked for as long as a callback takes; the turn locks heed the deadline.
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
