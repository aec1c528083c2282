//! The end of a handshake: a session that was taken up is judged again, and refused with an alert.

use std::mem;
use std::time::Duration;

use rustix::io::Errno;
use rustls::client::UnbufferedClientConnection;
use rustls::pki_types::{IpAddr, Ipv4Addr, ServerName, UnixTime};
use rustls::server::UnbufferedServerConnection;
use rustls::{AlertDescription, Error, HandshakeKind};

use crate::clock::now;
use crate::error::NoTime;
use crate::tls::config::RustlsConfig;
use crate::tls::connection::Connection;
use crate::tls::failure::Failure;
use crate::tls::fatal_alert::fatal_alert;
use crate::tls::side::Side;
use crate::verify::callback::{Judged, Scope, Verdict};
use crate::verify::types::Role;
use crate::verify::verifier::take_rejection;
use crate::wire::buffers::Buffer;

impl Connection {
    /// The handshake is over. No session is taken up of a peer that would not be accepted now.
    pub(super) fn rejudge(&mut self) -> Result<(), Failure> {
        if self.rejudged || !self.established() {
            return Ok(());
        }
        self.rejudged = true;
        let verdict = self.take_verdict();
        self.schemes = verdict.schemes;
        self.counters.established(&self.side, self.resumed());
        self.since = self.proved(&verdict);
        let judged = if self.resumed() { self.take_up(verdict) } else { Ok(verdict.judged) };
        match judged {
            Ok(judged) => {
                self.path = judged.and_then(|judged| judged.path);
                Ok(())
            }
            Err(refused) => {
                self.plain = Buffer::default();
                Err(self.refuse_late(refused))
            }
        }
    }

    /// What is known of the peer so far. rustls may open a client's ticket and decline it: once the handshake
    /// is one in full, nothing of that counts. (On a client the server's own certificate takes its place.)
    pub(super) fn take_verdict(&mut self) -> Verdict {
        let mut verdict = mem::take(&mut self.verdict);
        let kind = self.facts().handshake_kind();
        if matches!(self.side, Side::Server(_)) && kind.is_some_and(|kind| kind != HandshakeKind::Resumed) {
            verdict.forget_session();
        }
        verdict
    }

    /// When the peers of this connection proved their keys.
    fn proved(&self, verdict: &Verdict) -> UnixTime {
        let never = UnixTime::since_unix_epoch(Duration::ZERO);
        match (self.resumed(), &verdict.judged) {
            (true, _) => verdict.since.unwrap_or(never),
            (false, Some(judged)) => judged.at,
            (false, None) => now().unwrap_or(never),
        }
    }

    /// What is found good of the peer whose session is taken up, by us and by the program.
    fn take_up(&self, verdict: Verdict) -> Result<Option<Judged>, Error> {
        let chain = self.facts().peer_certificates().unwrap_or_default().to_vec();
        let (role, name) = match self.side {
            Side::Client(_) => (Role::Server, self.name.as_ref()),
            Side::Server(_) => (Role::Client, None),
        };
        let judged = match verdict.judged {
            Some(judged) => Some(judged),
            None => self.verifier.still_good(role, chain, name, self.since)?,
        };
        if self.verifier.decides && judged.is_some() {
            let scope = Scope::enter(Verdict { judged: judged.clone(), ..verdict });
            let asked = self.verifier.ask(&judged.as_ref().map_or(&[][..], |found| &found.chain)[0]);
            scope.leave();
            asked?;
        }
        Ok(judged)
    }

    /// Gives up a connection whose handshake was done, with an alert that says why.
    fn refuse_late(&mut self, error: Error) -> Failure {
        let rejection = take_rejection();
        if self.asking.abandoned() {
            return self.abandon();
        }
        let (failure, alert) = match (error, rejection) {
            (Error::InvalidCertificate(why), Some(rejection)) => {
                (Failure::Certificate(Box::new(rejection)), AlertDescription::from(why))
            }
            (Error::FailedToGetCurrentTime, _) => (NoTime.into(), AlertDescription::InternalError),
            _ => (Failure::NoPeerCertificate, AlertDescription::CertificateUnknown),
        };
        let blank = match &self.spare {
            Some(RustlsConfig::Server(config)) => {
                UnbufferedServerConnection::new(config.clone()).map(Side::Server).ok()
            }
            Some(RustlsConfig::Client(config)) => {
                let nobody = ServerName::IpAddress(IpAddr::V4(Ipv4Addr::from([0, 0, 0, 0])));
                UnbufferedClientConnection::new(config.clone(), nobody).map(Side::Client).ok()
            }
            None => None,
        };
        if let Some(blank) = blank {
            let spent = mem::replace(&mut self.side, blank);
            self.outgoing.append(&fatal_alert(spent, alert).unwrap_or_default());
        }
        self.fail(failure.without_cause());
        failure
    }

    /// The socket was closed within the callback: nothing may go out to its descriptor any more.
    pub(super) fn abandon(&mut self) -> Failure {
        self.outgoing = Buffer::default();
        self.fail(Errno::BADF.into())
    }
}
