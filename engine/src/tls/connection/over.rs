//! The end of a handshake: a resumed session is verified again, and refused with an alert.

use std::sync::Arc;
use std::time::Duration;

use rustix::io::Errno;
use rustls::pki_types::UnixTime;
use rustls::{AlertDescription, HandshakeKind};

use crate::clock::now;
use crate::error::NoTime;
use crate::tls::connection::Connection;
use crate::tls::failure::Failure;
use crate::tls::handshake::{Handshake, State};
use crate::tls::peer_verifier::error_of;
use crate::tls::side::Side;
use crate::verify::types::{Role, Verified};
use crate::verify::verifier::NotResumed;
use crate::wire::buffers::Buffer;

impl Connection {
    /// Where the handshake is over, takes what it carried. No session is resumed of a peer that would not be accepted
    /// now.
    pub(super) fn finish_handshake(&mut self) -> Result<(), Failure> {
        if !self.established() {
            return Ok(());
        }
        let Some(handshake) = self.handshake.take() else { return Ok(()) };
        self.forget_declined_session(&handshake);
        let state = handshake.take_state();
        self.schemes = state.schemes;
        self.counters.established(&self.side, self.resumed());
        self.since = self.proved(&state);
        let verified =
            if self.resumed() { self.accept_session(&handshake, state.verified) } else { Ok(state.verified) };
        match verified {
            Ok(verified) => {
                let path = verified.and_then(|verified| verified.path);
                self.path = path.map(|path| path.into_iter().map(|each| self.place_of(each)).collect());
                self.telling.completed = true;
                Ok(())
            }
            Err(refused) => {
                self.plain = Buffer::default();
                Err(self.refuse_late(refused))
            }
        }
    }

    /// rustls may open a client's ticket and decline it: once the handshake is one in full, nothing of that counts.
    /// (On a client the server's own certificate takes its place.)
    pub(super) fn forget_declined_session(&self, handshake: &Handshake) {
        let kind = self.state().handshake_kind();
        if matches!(self.side, Side::Server(_)) && kind.is_some_and(|kind| kind != HandshakeKind::Resumed) {
            handshake.forget_session();
        }
    }

    /// When the peers of this connection proved their keys.
    fn proved(&self, state: &State) -> UnixTime {
        let never = UnixTime::since_unix_epoch(Duration::ZERO);
        match (self.resumed(), &state.verified) {
            (true, _) => state.since.unwrap_or(never),
            (false, Some(verified)) => verified.at,
            (false, None) => now().unwrap_or(never),
        }
    }

    /// What is verified of the peer whose session is resumed, if the program accepts it, too.
    fn accept_session(
        &self,
        handshake: &Arc<Handshake>,
        known: Option<Verified>,
    ) -> Result<Option<Verified>, NotResumed> {
        let chain = self.state().peer_certificates().unwrap_or_default().to_vec();
        let (role, name) = match self.side {
            Side::Client(_) => (Role::Server, self.name.as_ref()),
            Side::Server(_) => (Role::Client, None),
        };
        let verified = match known {
            Some(known) => Some(known),
            None => self.verifier.verify_again(role, chain, name, self.since)?,
        };
        if let Some(found) = verified.as_ref().filter(|_| self.verifier.verify_callback) {
            let own = found.chain.first().ok_or(NotResumed::NoCertificate)?;
            handshake.ask(&self.verifier, Some(found), own).map_err(NotResumed::Rejected)?;
        }
        Ok(verified)
    }

    /// Gives up a connection whose handshake was done, with an alert that says why.
    fn refuse_late(&mut self, refused: NotResumed) -> Failure {
        if self.callback_state.cancelled() {
            return self.fail_as_cancelled();
        }
        let (failure, alert) = match refused {
            NotResumed::Rejected(rejection) => {
                let alert = AlertDescription::from(error_of(rejection.kind));
                (Failure::Certificate(rejection), alert)
            }
            NotResumed::NoTime => (NoTime.into(), AlertDescription::InternalError),
            NotResumed::Age | NotResumed::NoCertificate | NotResumed::NoStaple => {
                (Failure::NoPeerCertificate, AlertDescription::CertificateUnknown)
            }
        };
        self.queue_alert(Some(alert));
        self.fail(failure.without_cause());
        failure
    }

    /// The socket was closed within the callback: nothing may go out to its descriptor any more.
    pub(super) fn fail_as_cancelled(&mut self) -> Failure {
        self.outgoing = Buffer::default();
        self.fail(Errno::BADF.into())
    }
}
