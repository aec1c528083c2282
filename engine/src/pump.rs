//! A connection over a transport: handshake, recv, send, close. Waits hold no lock that the other
//! direction needs, so that one thread may sit in recv while another sends.

use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, TryLockError};

use crate::connection::{Connection, MAX_FRAGMENT};
use crate::decider::Asking;
use crate::failure::Failure;
use crate::transport::{Transport, Wait};
use crate::turn::Turn;

/// The bound on ciphertext that one read takes from the kernel, and on what one write hands to it.
const BATCH: usize = 16 * MAX_FRAGMENT;
/// More than an alert takes, in any version and suite: what a batch leaves in the kernel.
const LEFT_IN_SIGHT: usize = 64;
/// Header, content type and tag: what TLS 1.3 adds to a fragment.
const RECORD_EXTRA: usize = 22;

/// The right to receive.
struct Inbound;

/// How many bytes complete the header of a record, or the record whose header is there.
fn rest_of_record(begun: &[u8]) -> usize {
    let whole = match begun.first_chunk::<5>() {
        Some(header) => 5 + usize::from(u16::from_be_bytes([header[3], header[4]])),
        None => 5,
    };
    whole.saturating_sub(begun.len()).max(1)
}

/// How many bytes to read for a caller that wants `wanted` bytes of plaintext. What is taken from a socket
/// is out of sight of `select`, be it data or the end. So it is one record, or, where there is much and
/// much is wanted, several and never the last one whole.
fn room(begun: &[u8], wanted: usize, transport: &dyn Transport) -> usize {
    let rest = rest_of_record(begun);
    let bound = (wanted.min(BATCH) + RECORD_EXTRA).saturating_sub(begun.len());
    match transport.visible(wanted) {
        None => bound.min(transport.at_hand()).max(rest),
        Some(count) => bound.min(count.saturating_sub(LEFT_IN_SIGHT)).max(rest),
    }
}

/// The sending direction: what the transport has not taken yet.
#[derive(Default)]
struct Outbound {
    unsent: Vec<u8>,
    start: usize,
    /// Plaintext of the interrupted call that is encrypted already: its repetition must not send it again.
    in_flight: usize,
}

fn spoilt(mut core: MutexGuard<'_, Connection>) -> MutexGuard<'_, Connection> {
    core.fail(Failure::Internal("an earlier call on this connection failed".to_owned()));
    core
}

pub struct Pump {
    core: Mutex<Connection>,
    /// The core is locked as long as a callback decides about the peer.
    pub asking: Arc<Asking>,
    inbound: Turn<Inbound>,
    outbound: Turn<Outbound>,
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
            inbound: Turn::new(Inbound),
            outbound: Turn::new(Outbound::default()),
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
        let _receiving = self.inbound.take(transport.wait(), Failure::WantRead)?;
        let mut outbound = self.outbound.take(transport.wait(), Failure::WantWrite)?;
        let outbound = outbound.get();
        loop {
            let advanced = self.core().process(&mut []);
            if let (Ok(_), Wait::Until(deadline)) = (&advanced, transport.wait())
                && self.asking.take_answered()
                && deadline <= std::time::Instant::now()
            {
                return Err(Failure::Timeout);
            }
            let going_on = advanced.is_ok() && !self.core().established();
            // The rest of the peer's flight may be here: it is answered in one piece.
            if going_on && self.fill_handshake(transport, Wait::No)? {
                continue;
            }
            if !going_on
                && advanced.is_ok()
                && self.core().only_tickets_wait()
                && transport.visible(0).is_some()
            {
                return Ok(());
            }
            if matches!(advanced, Err(Failure::Os(_))) {
                return advanced.map(|_| ());
            }
            match self.flush(outbound, transport) {
                // The alert could not be sent; why the handshake failed matters more.
                Err(_) if advanced.is_err() => {}
                flushed => flushed?,
            }
            advanced?;
            if !going_on {
                return Ok(());
            }
            if !self.fill_handshake(transport, transport.wait())? {
                return Err(Failure::WantRead);
            }
        }
    }

    /// Reads once for the handshake, which fails where that fails; false where nothing is there.
    fn fill_handshake(&self, transport: &dyn Transport, wait: Wait) -> Result<bool, Failure> {
        // What follows the last record of the handshake stays where `select` shows it.
        let room = room(self.core().incoming(), BATCH, transport);
        match self.fill(transport, room, wait) {
            Ok(0) => Err(self.core().fail(Failure::UnexpectedEof)),
            Ok(_) => Ok(true),
            Err(Failure::WantRead) => Ok(false),
            Err(failure @ Failure::Os(_)) => Err(self.core().fail(failure)),
            Err(failure) => Err(failure),
        }
    }

    /// Reads once. Whoever calls it holds the right to receive.
    fn fill(&self, transport: &dyn Transport, room: usize, wait: Wait) -> Result<usize, Failure> {
        let mut fresh = vec![0; room];
        let count = transport.read(&mut fresh, wait)?;
        fresh.truncate(count);
        self.core().feed(fresh);
        Ok(count)
    }

    /// Hands everything that waits to the transport, in order.
    fn flush(&self, outbound: &mut Outbound, transport: &dyn Transport) -> Result<(), Failure> {
        loop {
            while outbound.start < outbound.unsent.len() {
                outbound.start += transport.write(&outbound.unsent[outbound.start..])?;
            }
            outbound.start = 0;
            outbound.unsent = mem::take(&mut self.core().outgoing);
            if outbound.unsent.is_empty() {
                return Ok(());
            }
        }
    }

    /// Sends what a read made necessary (an alert, the answer to a key update), unless a writer is at
    /// work, who will send it, or the transport takes nothing now: then the next write sends it.
    fn flush_if_free(&self, transport: &dyn Transport) {
        if self.core().outgoing.is_empty() {
            return;
        }
        if let Some(mut outbound) = self.outbound.try_take() {
            let _ = self.flush(outbound.get(), transport);
        }
    }

    /// At least one byte, at most `into.len()`. Does the handshake first where it was not done.
    pub fn read(&self, transport: &dyn Transport, into: &mut [u8]) -> Result<Read, Failure> {
        self.ensure_established(transport)?;
        let _receiving = self.inbound.take(transport.wait(), Failure::WantRead)?;
        if into.is_empty() {
            return Ok(Read::Data(0));
        }
        loop {
            let advanced = self.core().process(into);
            self.flush_if_free(transport);
            match advanced? {
                0 => {}
                count => return Ok(Read::Data(count)),
            }
            if self.core().peer_closed() {
                // As with OpenSSL: once both have said close_notify, a read is a mistake.
                return if self.core().close_sent() { Err(Failure::Closed) } else { Ok(Read::End) };
            }
            let room = room(self.core().incoming(), into.len(), transport);
            if self.fill(transport, room, transport.wait())? == 0 {
                return Err(Failure::UnexpectedEof);
            }
        }
    }

    fn ensure_established(&self, transport: &dyn Transport) -> Result<(), Failure> {
        if self.asking.under_way() {
            return self.handshake(transport);
        }
        let established = {
            let core = self.core();
            core.check()?;
            core.established()
        };
        if established { Ok(()) } else { self.handshake(transport) }
    }

    /// Sends all of `data` where the transport waits; else one record. Returns the bytes taken. After an
    /// error the same call is to be repeated with the same data, as with `ssl`.
    pub fn write(&self, transport: &dyn Transport, data: &[u8], all: bool) -> Result<usize, Failure> {
        self.ensure_established(transport)?;
        let mut outbound = self.outbound.take(transport.wait(), Failure::WantWrite)?;
        let outbound = outbound.get();
        if data.len() < outbound.in_flight {
            return Err(Failure::BadWriteRetry);
        }
        let step = if transport.batches() { BATCH } else { MAX_FRAGMENT };
        let mut done = outbound.in_flight;
        if outbound.start < outbound.unsent.len() {
            self.flush(outbound, transport).map_err(|failure| self.explain(failure, transport))?;
        }
        while done < data.len() {
            if done > 0 && !all && !transport.batches() {
                break;
            }
            let end = data.len().min(done + step);
            self.core().encrypt(&data[done..end])?;
            done = end;
            outbound.in_flight = done;
            self.flush(outbound, transport).map_err(|failure| self.explain(failure, transport))?;
        }
        outbound.in_flight = 0;
        Ok(done)
    }

    /// A broken pipe is what is left of a refusal: the alert that says why may still be there to read.
    fn explain(&self, failure: Failure, transport: &dyn Transport) -> Failure {
        if !matches!(failure, Failure::Os(_)) {
            return failure;
        }
        let Some(_receiving) = self.inbound.try_take() else { return failure };
        loop {
            let processed = self.core().settle();
            match processed {
                Err(alert @ Failure::AlertReceived(_)) => return alert,
                Err(_) => return failure,
                Ok(()) => {}
            }
            let over = self.core().peer_closed() || self.core().pending() >= BATCH;
            if over || !matches!(self.fill(transport, BATCH + RECORD_EXTRA, transport.wait()), Ok(1..)) {
                return failure;
            }
        }
    }

    /// Sends close_notify; with `wait_for_peer` also reads the peer's. Returns what came after it.
    pub fn close(&self, transport: &dyn Transport, wait_for_peer: bool) -> Result<Vec<u8>, Failure> {
        {
            let mut outbound = self.outbound.take(transport.wait(), Failure::WantWrite)?;
            self.flush(outbound.get(), transport)?;
            self.core().close()?;
            self.flush(outbound.get(), transport)?;
        }
        if !wait_for_peer {
            return Ok(Vec::new());
        }
        let _receiving = self.inbound.take(transport.wait(), Failure::WantRead)?;
        loop {
            self.core().settle()?;
            let mut core = self.core();
            if core.pending() > 0 {
                return Err(Failure::DataAfterClose);
            }
            if core.peer_closed() {
                return Ok(core.take_incoming());
            }
            drop(core);
            let rest = rest_of_record(self.core().incoming());
            if self.fill(transport, rest, transport.wait())? == 0 {
                return Err(Failure::UnexpectedEof);
            }
        }
    }
}
