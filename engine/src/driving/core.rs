//! The core under both drivers: a connection behind its lock, the turn locks of its two directions, its descriptor and
//! the calls at work. The steps that both drivers make stand here, too; what differs (how bytes move, and whether to
//! wait for them) they bring along. `blocking.rs` opens with how it all works together.

use std::sync::{Arc, Mutex, MutexGuard, TryLockError};

use crate::driving::descriptor::Descriptor;
use crate::driving::outbound::Outbound;
use crate::driving::turn_lock::TurnLock;
use crate::fork::{AtWork, Users};
use crate::tls::connection::Connection;
use crate::tls::failure::Failure;
use crate::verify::callback::CallbackState;
use crate::wire::buffers::Buffer;
use crate::wire::limits::BATCH;
use crate::wire::records::Begun;

pub struct Core {
    connection: Mutex<Connection>,
    /// The connection is locked for as long as a callback runs: this can be looked at meanwhile.
    pub callback_state: Arc<CallbackState>,
    pub inbound: TurnLock<Begun>,
    pub outbound: TurnLock<Outbound>,
    /// The calls at work, and the getters.
    pub users: Users,
    pub descriptor: Descriptor,
}

/// How far a handshake is.
#[derive(Clone, Copy)]
pub enum Progress {
    /// It needs more from the peer. `amid_flight`: no answer is due before the peer's flight is complete.
    Going { amid_flight: bool },
    /// It is over. `only_tickets`: the peer needs nothing of what is left to send for this connection. `acknowledge`:
    /// what comes from the peer now is to be acknowledged at once.
    Over { only_tickets: bool, acknowledge: bool },
}

fn poisoned(mut connection: MutexGuard<'_, Connection>) -> MutexGuard<'_, Connection> {
    connection.fail(Failure::Internal("an earlier call on this connection failed".to_owned()));
    connection
}

impl Core {
    pub fn new(connection: Connection, descriptor: Descriptor) -> Self {
        Self {
            callback_state: connection.callback_state.clone(),
            connection: Mutex::new(connection),
            inbound: TurnLock::new(Begun::default()),
            outbound: TurnLock::new(Outbound::default()),
            users: Users::default(),
            descriptor,
        }
    }

    /// Begins a call, which lasts until the returned value is dropped.
    pub fn enter(&self) -> Result<AtWork<'_>, Failure> {
        Ok(AtWork::on(&self.users)?)
    }

    /// A panic while the connection was locked leaves it unusable, not unlocked.
    pub fn connection(&self) -> MutexGuard<'_, Connection> {
        self.connection.lock().unwrap_or_else(|error| poisoned(error.into_inner()))
    }

    /// The connection, unless another thread has locked it.
    pub fn try_connection(&self) -> Option<MutexGuard<'_, Connection>> {
        match self.connection.try_lock() {
            Ok(connection) => Some(connection),
            Err(TryLockError::Poisoned(error)) => Some(poisoned(error.into_inner())),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    /// Hands everything that waits to `send`, in the order in which it was made.
    pub fn flush(
        &self,
        unsent: &mut Buffer,
        mut send: impl FnMut(&mut Buffer) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        loop {
            send(unsent)?;
            *unsent = self.connection().take_outgoing();
            if unsent.is_empty() {
                return Ok(());
            }
        }
    }

    /// Processes what has come of the handshake.
    pub fn advance_handshake(&self) -> Result<Progress, Failure> {
        let mut connection = self.connection();
        connection.process(&mut [])?;
        Ok(match connection.established() {
            true => Progress::Over {
                only_tickets: connection.only_tickets_wait(),
                acknowledge: connection.to_acknowledge(),
            },
            false => {
                // A peer may never send the rest.
                connection.trim();
                Progress::Going { amid_flight: connection.amid_flight() }
            }
        })
    }

    /// Sends by `flush` what `advance_handshake` left to send. Why the handshake failed matters more than whether the
    /// alert of it could be sent. Nothing is sent for a connection whose socket failed or was closed meanwhile.
    pub fn answer_handshake(
        advanced: Result<Progress, Failure>,
        flush: impl FnOnce() -> Result<(), Failure>,
    ) -> Result<Progress, Failure> {
        if matches!(advanced, Err(Failure::Os(_))) {
            return advanced;
        }
        let flushed = flush();
        let progress = advanced?;
        flushed.map(|()| progress)
    }

    /// Takes what was received for the handshake, which fails where the transport did; false where nothing has come.
    pub fn feed_handshake(&self, received: Result<Buffer, Failure>) -> Result<bool, Failure> {
        match received {
            Ok(records) if records.is_empty() => Err(self.connection().fail(Failure::UnexpectedEof)),
            Ok(records) => {
                self.connection().feed(records);
                Ok(true)
            }
            Err(Failure::WantRead) => Ok(false),
            Err(failure @ (Failure::Os(_) | Failure::Closed)) => Err(self.connection().fail(failure)),
            Err(failure) => Err(failure),
        }
    }

    /// The peer's fatal alert, where there is one to read, in place of the `failure` to send: a peer that refuses
    /// closes its socket, and all that a sender notices is a broken pipe. `receive` does not wait.
    pub fn fatal_alert_or(
        &self,
        failure: Failure,
        mut receive: impl FnMut() -> Result<Buffer, Failure>,
    ) -> Failure {
        loop {
            let (settled, enough) = {
                let mut connection = self.connection();
                (connection.settle(), connection.close_notify_received() || connection.pending() >= BATCH)
            };
            match settled {
                Err(alert @ Failure::AlertReceived(_)) => return alert,
                Err(_) => return failure,
                Ok(()) if enough => return failure,
                Ok(()) => {}
            }
            // A peer that only reads no more has sent none, and need not ever send anything.
            match receive() {
                Ok(records) if !records.is_empty() => self.connection().feed(records),
                _ => return failure,
            }
        }
    }
}
