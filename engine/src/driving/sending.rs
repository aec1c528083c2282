//! One message on its way out through the blocking driver, over as many calls of the kernel as it takes.

use std::mem;
use std::thread::current;
use std::time::{Duration, Instant};

use crate::driving::blocking::Blocking;
use crate::driving::outbound::{Outbound, Unfinished};
use crate::driving::transport::Transport;
use crate::driving::turn_lock::Held;
use crate::driving::wait::Wait;
use crate::tls::failure::Failure;
use crate::wire::limits::{BATCH, MAX_FRAGMENT};

/// How long a message is sent without letting Python look for signals: one that arrives between two system
/// calls interrupts neither.
const PATIENCE: Duration = Duration::from_millis(50);

/// A message on its way. Between two signals it keeps the turn to send: no other message comes in between.
/// Where the call ends before the message does, that is kept for its repetition.
pub struct Sending<'a> {
    driver: Blocking<'a>,
    data: &'a [u8],
    /// Send all of it, also where the transport does not wait.
    all: bool,
    turn: Option<Held<'a, Outbound>>,
    /// How much of `data` is encrypted.
    done: usize,
}

impl<'a> Sending<'a> {
    /// A message to send: all of `data`, or where the transport does not wait and not `all`, one record of it.
    pub fn new(driver: Blocking<'a>, data: &'a [u8], all: bool) -> Self {
        Self { driver, data, all, turn: None, done: 0 }
    }

    /// Sends all of the message where the transport waits; else one record. Returns the bytes taken. After
    /// `Interrupted`, go on with the same; after any other error, repeat the call with the same data, as with
    /// `ssl`.
    pub fn go_on(&mut self, transport: &dyn Transport) -> Result<usize, Failure> {
        let sent = self.send(transport);
        match &sent {
            Ok(_) => {}
            Err(Failure::Interrupted) if self.turn.is_some() => {
                *self.driver.interrupted() = Some(current().id());
                return sent;
            }
            Err(why) => self.keep_unfinished(why.without_cause()),
        }
        self.turn = None;
        // A reader that had something to send meanwhile has left it to this call.
        if sent.is_ok() && !self.driver.core.connection().outgoing.is_empty() {
            self.driver.flush_if_free(transport);
        }
        sent
    }

    fn send(&mut self, transport: &dyn Transport) -> Result<usize, Failure> {
        let driver = self.driver;
        let held = match &mut self.turn {
            Some(held) => held,
            None => {
                driver.ensure_established(transport)?;
                let mut held = driver.take_outbound(transport)?;
                transport.check()?;
                if let Some(unfinished) = &held.get().unfinished {
                    unfinished.refuse_another(self.data)?;
                    self.done = unfinished.taken;
                }
                self.turn.insert(held)
            }
        };
        *driver.interrupted() = None;
        let outbound = held.get();
        let hurried = mem::take(&mut outbound.after_handshake) && transport.hurry(true);
        let written = write_in_turn(driver, outbound, transport, self.data, self.all, &mut self.done);
        if hurried {
            transport.hurry(false);
        }
        if mem::take(&mut outbound.acknowledge) {
            transport.acknowledge();
        }
        written
    }

    /// The call ends, the message does not.
    fn keep_unfinished(&mut self, why: Failure) {
        let Some(held) = &mut self.turn else { return };
        let unfinished = (self.done > 0).then(|| Box::new(Unfinished::new(&self.data[..self.done], why)));
        held.get().unfinished = unfinished;
    }
}

impl Drop for Sending<'_> {
    fn drop(&mut self) {
        if self.turn.is_some() {
            *self.driver.interrupted() = None;
            self.keep_unfinished(Failure::Interrupted);
        }
    }
}

/// `done`: how much of `data` is encrypted. Returns how much is sent.
fn write_in_turn(
    driver: Blocking<'_>,
    outbound: &mut Outbound,
    transport: &dyn Transport,
    data: &[u8],
    all: bool,
    done: &mut usize,
) -> Result<usize, Failure> {
    let step = if transport.batches() { BATCH } else { MAX_FRAGMENT };
    let (since, before) = (Instant::now(), *done);
    let flush = |outbound: &mut Outbound| {
        driver.flush(outbound, transport).map_err(|failure| explain(driver, failure, transport))
    };
    if !outbound.unsent.is_empty() {
        flush(outbound)?;
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
            let mut connection = driver.core.connection();
            connection.encrypt(&data[*done..end])?;
            connection.take_outgoing()
        };
        *done = end;
        flush(outbound)?;
    }
    outbound.unfinished = None;
    Ok(*done)
}

/// Why sending failed: the peer's fatal alert, unless another thread reads, which finds it itself.
fn explain(driver: Blocking<'_>, failure: Failure, transport: &dyn Transport) -> Failure {
    if !matches!(failure, Failure::Os(_)) {
        return failure;
    }
    let Some(mut inbound) = driver.core.inbound.try_take() else { return failure };
    driver.core.fatal_alert_or(failure, || transport.receive(inbound.get(), 0, Wait::No))
}
