//! The end of the handshake, for those who tell of it.

use std::time::Instant;

use rustls::ProtocolVersion;

use crate::tls::connection::Connection;
use crate::tls::failure::Failure;
use crate::tls::side::Side;
use crate::tls::telling::{End, Facts, Telling};

impl Connection {
    /// The first step of the handshake is about to be made.
    pub fn begin(&mut self) {
        self.telling.begun.get_or_insert_with(Instant::now);
    }

    /// The peer has sent something that is not a whole record.
    pub fn note_heard(&mut self) {
        self.telling.heard = true;
    }

    /// Whether there is an end to tell of if this side goes no further. `awaited`: somebody is to hear of a handshake
    /// that is completed, too.
    pub fn untold(&self, awaited: bool) -> bool {
        let Telling { begun, completed, told, .. } = &self.telling;
        begun.is_some() && !told.get() && (awaited || !completed)
    }

    /// The end of the handshake, for the first who asks; None where there is none yet. That it is completed is an end
    /// only for those who ask for it: `completed`. `given_up`: this side goes no further.
    pub fn end(&self, completed: bool, given_up: bool) -> Option<End> {
        let telling = &self.telling;
        if telling.completed && self.refused_afterwards() {
            return (!telling.told_late.replace(true)).then_some(End::RefusedLate);
        }
        let end = match (telling.completed, &self.failed) {
            (true, _) if completed || given_up => End::Completed,
            (true, _) => return None,
            (false, Some(_)) => End::Failed,
            (false, None) if given_up => End::GivenUp,
            (false, None) => return None,
        };
        (!telling.told.replace(true)).then_some(end)
    }

    /// A TLS 1.3 client is done before the server has its certificate.
    fn refused_afterwards(&self) -> bool {
        matches!(self.side, Side::Client(_))
            && matches!(self.failed.as_deref(), Some(Failure::AlertReceived(_)))
            && self.state().protocol_version() == Some(ProtocolVersion::TLSv1_3)
            && !self.telling.had_data
    }

    pub fn facts(&self) -> Facts {
        let state = self.state();
        (
            self.telling.begun.map(|begun| begun.elapsed().as_secs_f64()),
            self.telling.heard,
            state.protocol_version().map(u16::from),
            state.negotiated_cipher_suite().map(|suite| suite.suite().into()),
            state.negotiated_key_exchange_group().map(|group| group.name().into()),
            self.hello.name.as_deref().map(str::to_owned),
        )
    }
}
