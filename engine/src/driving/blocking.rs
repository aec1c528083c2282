//! A connection over a transport: handshake, recv, send, close. Waits hold no lock that the other
//! direction needs, so that one thread may sit in recv while another sends.

use std::mem;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::thread::{ThreadId, current};
use std::time::{Duration, Instant};

use aws_lc_rs::digest;

use rustix::io::Errno;

use crate::driving::transport::{Transport, Wait};
use crate::driving::turn_lock::{Held, Turn};
use crate::tls::connection::Connection;
use crate::tls::failure::Failure;
use crate::verify::callback::Asking;
use crate::wire::buffers::Buffer;
use crate::wire::limits::{BATCH, MAX_FRAGMENT};
use crate::wire::records::Begun;

/// How often a read goes on that brought no data before it looks at deadlines and signals again: a peer may
/// send records without any for as long as it likes.
const FRUITLESS: usize = 32;

/// How long a message is sent without letting Python look for signals: one that arrives between two system
/// calls interrupts neither.
const PATIENCE: Duration = Duration::from_millis(50);

/// The sending direction: what the transport has not taken yet.
#[derive(Default)]
struct Outbound {
    unsent: Buffer,
    /// The handshake is all that was sent: until the peer acknowledges the end of it, which takes 40 ms where
    /// nothing carries the acknowledgement, Nagle's algorithm would hold what is written first.
    after_handshake: bool,
    unfinished: Option<Unfinished>,
}

/// A message that its call left unfinished: what it had encrypted goes out whatever comes. So it can only be
/// gone on with, by a message that begins with the same bytes. They are known by their digest.
struct Unfinished {
    taken: usize,
    digest: digest::Digest,
    why: Failure,
}

impl Unfinished {
    fn refuse_another(&self, data: &[u8]) -> Result<(), Failure> {
        let same = data
            .get(..self.taken)
            .is_some_and(|taken| digest::digest(&digest::SHA256, taken).as_ref() == self.digest.as_ref());
        match &self.why {
            _ if same => Ok(()),
            Failure::Interrupted | Failure::Timeout | Failure::WantWrite => Err(Failure::BadWriteRetry),
            broken => Err(broken.clone()),
        }
    }
}

/// A message on its way. Between two signals the turn stays with it: nobody else's message comes in between.
/// Where the call ends before the message does, that is kept for its repetition.
pub struct Sending<'a> {
    pump: &'a Pump,
    data: &'a [u8],
    /// Send all of it, also where the transport does not wait.
    all: bool,
    turn: Option<Held<'a, Outbound>>,
    /// How much of `data` is encrypted.
    done: usize,
}

impl Sending<'_> {
    /// Sends all of the message where the transport waits; else one record. Returns the bytes taken. After
    /// `Interrupted`, go on with the same; after any other error, repeat the call with the same data, as with
    /// `ssl`.
    pub fn go_on(&mut self, transport: &dyn Transport) -> Result<usize, Failure> {
        let sent = self.send(transport);
        match &sent {
            Ok(_) => {}
            Err(Failure::Interrupted) if self.turn.is_some() => {
                *self.pump.interrupted() = Some(current().id());
                return sent;
            }
            Err(why) => self.leave(why.without_cause()),
        }
        self.turn = None;
        // A reader that had something to say meanwhile has left it to us.
        if sent.is_ok() && !self.pump.core().outgoing.is_empty() {
            self.pump.flush_if_free(transport);
        }
        sent
    }

    fn send(&mut self, transport: &dyn Transport) -> Result<usize, Failure> {
        let held = match &mut self.turn {
            Some(held) => held,
            None => {
                self.pump.ensure_established(transport)?;
                let mut held = self.pump.take_outbound(transport)?;
                transport.check()?;
                if let Some(unfinished) = &held.get().unfinished {
                    unfinished.refuse_another(self.data)?;
                    self.done = unfinished.taken;
                }
                self.turn.insert(held)
            }
        };
        *self.pump.interrupted() = None;
        let outbound = held.get();
        let hurried = mem::take(&mut outbound.after_handshake) && transport.hurry(true);
        let written = self.pump.write_in_turn(outbound, transport, self.data, self.all, &mut self.done);
        if hurried {
            transport.hurry(false);
        }
        written
    }

    /// The call ends, the message does not.
    fn leave(&mut self, why: Failure) {
        let Some(held) = &mut self.turn else { return };
        held.get().unfinished = (self.done > 0).then(|| {
            let digest = digest::digest(&digest::SHA256, &self.data[..self.done]);
            Unfinished { taken: self.done, digest, why }
        });
    }
}

impl Drop for Sending<'_> {
    fn drop(&mut self) {
        if self.turn.is_some() {
            *self.pump.interrupted() = None;
            self.leave(Failure::Interrupted);
        }
    }
}

fn spoilt(mut core: MutexGuard<'_, Connection>) -> MutexGuard<'_, Connection> {
    core.fail(Failure::Internal("an earlier call on this connection failed".to_owned()));
    core
}

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

pub struct Pump {
    core: Mutex<Connection>,
    /// The core is locked as long as a callback decides about the peer.
    pub asking: Arc<Asking>,
    /// The handshake was seen to be over: no callback is asked any more.
    settled: AtomicBool,
    inbound: Turn<Begun>,
    outbound: Turn<Outbound>,
    interrupted: Mutex<Option<ThreadId>>,
    /// A flush within a read met the peer's reset. The kernel tells it once, and the reader is to hear of it.
    reset: AtomicBool,
}

/// What a read came to.
pub enum Read {
    Data(usize),
    /// The peer's close_notify.
    End,
}

impl Pump {
    pub fn new(connection: Connection) -> Self {
        Self {
            asking: connection.asking.clone(),
            core: Mutex::new(connection),
            settled: AtomicBool::new(false),
            inbound: Turn::new(Begun::default()),
            outbound: Turn::new(Outbound::default()),
            interrupted: Mutex::default(),
            reset: AtomicBool::new(false),
        }
    }

    /// A panic while the core was locked leaves it unusable, not unlocked.
    pub fn core(&self) -> MutexGuard<'_, Connection> {
        self.core.lock().unwrap_or_else(|poisoned| spoilt(poisoned.into_inner()))
    }

    /// The core, unless somebody has it.
    pub fn try_core(&self) -> Option<MutexGuard<'_, Connection>> {
        match self.core.try_lock() {
            Ok(core) => Some(core),
            Err(TryLockError::Poisoned(poisoned)) => Some(spoilt(poisoned.into_inner())),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    pub fn handshake(&self, transport: &dyn Transport) -> Result<(), Failure> {
        let mut inbound = self.inbound.take(transport.wait(), Failure::WantRead)?;
        let mut outbound = self.outbound.take(transport.wait(), Failure::WantWrite)?;
        let (begun, outbound) = (inbound.get(), outbound.get());
        loop {
            let (advanced, going_on, more_to_answer) = {
                let mut core = self.core();
                let advanced = core.process(&mut []);
                let going_on = advanced.is_ok() && !core.established();
                if advanced.is_ok() && !going_on {
                    self.settled.store(true, Ordering::Release);
                }
                (advanced, going_on, core.amid_flight())
            };
            if let (Ok(_), Wait::Until(deadline)) = (&advanced, transport.wait()) {
                let late = deadline <= std::time::Instant::now();
                if self.asking.take_answered() && late {
                    return Err(Failure::Timeout);
                }
            }
            // The rest of the peer's flight may be here: it is answered in one piece.
            if going_on && more_to_answer && self.fill_handshake(transport, begun, Wait::No)? {
                continue;
            }
            if matches!(advanced, Err(Failure::Os(_))) {
                return advanced.map(|_| ());
            }
            match self.flush(outbound, transport) {
                // The alert could not be sent; why the handshake failed matters more.
                Err(_) if advanced.is_err() => {}
                // A client that is gone takes no tickets. What it has sent before can still be read.
                Err(Failure::Os(_)) if !going_on && self.core().only_tickets_wait() => {}
                flushed => flushed?,
            }
            if advanced.is_err() && self.core().check().is_err() {
                // A reset would overtake the alert.
                transport.drain();
            }
            advanced?;
            if !going_on {
                outbound.after_handshake = true;
                return Ok(());
            }
            if !self.fill_handshake(transport, begun, transport.wait())? {
                return Err(Failure::WantRead);
            }
        }
    }

    /// Reads once for the handshake, which fails where that fails; false where nothing is there.
    fn fill_handshake(
        &self,
        transport: &dyn Transport,
        begun: &mut Begun,
        wait: Wait,
    ) -> Result<bool, Failure> {
        // One record: what follows the last of the handshake stays where `select` shows it.
        match transport.receive(begun, 0, wait) {
            Ok(records) if records.is_empty() => Err(self.core().fail(Failure::UnexpectedEof)),
            Ok(records) => {
                self.core().feed(records);
                Ok(true)
            }
            Err(Failure::WantRead) => Ok(false),
            Err(failure @ Failure::Os(_)) => Err(self.core().fail(failure)),
            Err(failure) => Err(failure),
        }
    }

    /// Hands everything that waits to the transport, in order.
    fn flush(&self, outbound: &mut Outbound, transport: &dyn Transport) -> Result<(), Failure> {
        loop {
            transport.send(&mut outbound.unsent)?;
            outbound.unsent = self.core().take_outgoing();
            if outbound.unsent.is_empty() {
                return Ok(());
            }
        }
    }

    /// Sends what a read made necessary (an alert, the answer to a key update), unless a writer is at
    /// work, who will send it, or the transport takes nothing now: then the next write sends it.
    fn flush_if_free(&self, transport: &dyn Transport) {
        if let Some(mut outbound) = self.outbound.try_take() {
            let flushed = self.flush(outbound.get(), transport);
            if matches!(flushed, Err(Failure::Os(errno)) if errno == Errno::CONNRESET.raw_os_error()) {
                self.reset.store(true, Ordering::Relaxed);
            }
        }
    }

    /// The transport's end without the peer's close_notify.
    fn ragged_end(&self) -> Failure {
        if self.reset.swap(false, Ordering::Relaxed) {
            Errno::CONNRESET.into()
        } else {
            Failure::UnexpectedEof
        }
    }

    /// At least one byte, at most as many as `target` takes. Does the handshake first where it was not done.
    pub fn read(&self, transport: &dyn Transport, target: &mut Target<'_>) -> Result<Read, Failure> {
        self.ensure_established(transport)?;
        let mut inbound = self.inbound.take(transport.wait(), Failure::WantRead)?;
        let begun = inbound.get();
        let wanted = target.wanted();
        if wanted == 0 {
            return Ok(Read::Data(0));
        }
        let mut fresh = Buffer::default();
        for round in 1.. {
            let (advanced, peer_closed, closed, answers) = {
                let mut core = self.core();
                core.feed(fresh);
                let at_hand = core.at_hand();
                let advanced = if at_hand > 0 { core.process(target.room(at_hand)) } else { Ok(0) };
                (advanced, core.peer_closed(), core.close_sent(), !core.outgoing.is_empty())
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
            if peer_closed {
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

    fn ensure_established(&self, transport: &dyn Transport) -> Result<(), Failure> {
        if self.settled.load(Ordering::Acquire) {
            return self.core().check();
        }
        // Until then the core may be locked for as long as a callback takes; the turns heed the caller's patience.
        if let Some(core) = self.try_core() {
            core.check()?;
            if core.established() {
                self.settled.store(true, Ordering::Release);
                return Ok(());
            }
        }
        self.handshake(transport)
    }

    /// A message to send: all of `data`, or where the transport does not wait and not `all`, one record of it.
    pub fn sending<'a>(&'a self, data: &'a [u8], all: bool) -> Sending<'a> {
        Sending { pump: self, data, all, turn: None, done: 0 }
    }

    /// The thread whose message waits for a signal handler to end.
    fn interrupted(&self) -> MutexGuard<'_, Option<ThreadId>> {
        self.interrupted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The turn to send. A signal handler that wants it amid a message of its own thread would wait for ever.
    fn take_outbound(&self, transport: &dyn Transport) -> Result<Held<'_, Outbound>, Failure> {
        if let Some(held) = self.outbound.try_take() {
            return Ok(held);
        }
        if *self.interrupted() == Some(current().id()) {
            return Err(Failure::BadWriteRetry);
        }
        self.outbound.take(transport.wait(), Failure::WantWrite)
    }

    /// `done`: how much of `data` is encrypted. Returns how much is sent.
    fn write_in_turn(
        &self,
        outbound: &mut Outbound,
        transport: &dyn Transport,
        data: &[u8],
        all: bool,
        done: &mut usize,
    ) -> Result<usize, Failure> {
        let step = if transport.batches() { BATCH } else { MAX_FRAGMENT };
        let (since, before) = (Instant::now(), *done);
        if !outbound.unsent.is_empty() {
            self.flush(outbound, transport).map_err(|failure| self.explain(failure, transport))?;
        }
        while *done < data.len() {
            if *done > 0 && !all && !transport.batches() {
                break;
            }
            if *done > before && since.elapsed() > PATIENCE {
                return Err(Failure::Interrupted);
            }
            let end = data.len().min(*done + step);
            outbound.unsent = {
                let mut core = self.core();
                core.encrypt(&data[*done..end])?;
                core.take_outgoing()
            };
            *done = end;
            self.flush(outbound, transport).map_err(|failure| self.explain(failure, transport))?;
        }
        outbound.unfinished = None;
        Ok(*done)
    }

    /// A broken pipe is what is left of a refusal: the alert that says why may still be there to read.
    fn explain(&self, failure: Failure, transport: &dyn Transport) -> Failure {
        if !matches!(failure, Failure::Os(_)) {
            return failure;
        }
        let Some(mut inbound) = self.inbound.try_take() else { return failure };
        loop {
            let (settled, over) = {
                let mut core = self.core();
                (core.settle(), core.peer_closed() || core.pending() >= BATCH)
            };
            match settled {
                Err(alert @ Failure::AlertReceived(_)) => return alert,
                Err(_) => return failure,
                Ok(()) if over => return failure,
                Ok(()) => {}
            }
            // A peer that only reads no more has sent none, and need not ever send anything.
            match transport.receive(inbound.get(), 0, Wait::No) {
                Ok(records) if !records.is_empty() => self.core().feed(records),
                _ => return failure,
            }
        }
    }

    /// Sends close_notify; with `wait_for_peer` also reads the peer's. Returns what came after it.
    pub fn close(&self, transport: &dyn Transport, wait_for_peer: bool) -> Result<Buffer, Failure> {
        {
            let mut outbound = self.take_outbound(transport)?;
            self.flush(outbound.get(), transport)?;
            self.core().close()?;
            self.flush(outbound.get(), transport)?;
        }
        if !wait_for_peer {
            return Ok(Buffer::default());
        }
        let mut inbound = self.inbound.take(transport.wait(), Failure::WantRead)?;
        let begun = inbound.get();
        for round in 1.. {
            {
                let mut core = self.core();
                core.settle()?;
                if core.pending() > 0 {
                    return Err(Failure::DataAfterClose);
                }
                if core.peer_closed() {
                    let mut rest = core.take_incoming();
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
            self.core().feed(records);
        }
        unreachable!("the rounds have no end")
    }
}
