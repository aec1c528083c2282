//! Resumption. A client's session is bound to the settings that it was made with: rustls compares verifier
//! and credentials, we the server's name and certificates at the time of use.

use std::collections::VecDeque;
use std::sync::{Arc, MutexGuard};

use rustls::NamedGroup;
use rustls::client::{ClientSessionStore, Tls12ClientSessionValue, Tls13ClientSessionValue};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};

use crate::fork::Lock;

/// How many TLS 1.3 tickets one connection keeps: what the usual servers send, and some more.
const MAX_TICKETS: usize = 8;

#[derive(Debug, Default)]
struct Tickets {
    tls12: Option<Tls12ClientSessionValue>,
    /// Each is used once (RFC 8446, appendix C.4).
    tls13: VecDeque<Tls13ClientSessionValue>,
}

/// What a server gave a client for resumption.
#[derive(Debug, Default)]
pub struct Wallet(Lock<Tickets>);

impl Wallet {
    /// None where a fork left it half changed: there is nothing in it then.
    fn lock(&self) -> Option<MutexGuard<'_, Tickets>> {
        self.0.lock().ok()
    }

    pub fn is_empty(&self) -> bool {
        self.lock().is_none_or(|tickets| tickets.tls12.is_none() && tickets.tls13.is_empty())
    }
}

/// The store that rustls sees for one connection: it takes from an earlier session, and gives to a new one.
#[derive(Debug)]
pub struct Store {
    pub offered: Option<Arc<Wallet>>,
    pub fresh: Arc<Wallet>,
}

impl ClientSessionStore for Store {
    fn set_kx_hint(&self, _: ServerName<'static>, _: NamedGroup) {}

    fn kx_hint(&self, _: &ServerName<'_>) -> Option<NamedGroup> {
        None
    }

    fn set_tls12_session(&self, _: ServerName<'static>, value: Tls12ClientSessionValue) {
        if let Some(mut tickets) = self.fresh.lock() {
            tickets.tls12 = Some(value);
        }
    }

    fn tls12_session(&self, _: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        self.offered.as_ref()?.lock()?.tls12.clone()
    }

    fn remove_tls12_session(&self, _: &ServerName<'static>) {
        if let Some(mut tickets) = self.offered.as_ref().and_then(|offered| offered.lock()) {
            tickets.tls12 = None;
        }
    }

    fn insert_tls13_ticket(&self, _: ServerName<'static>, value: Tls13ClientSessionValue) {
        let Some(mut tickets) = self.fresh.lock() else { return };
        if tickets.tls13.len() == MAX_TICKETS {
            tickets.tls13.pop_front();
        }
        tickets.tls13.push_back(value);
    }

    fn take_tls13_ticket(&self, _: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        self.offered.as_ref()?.lock()?.tls13.pop_back()
    }
}

/// A session that a later connection of the same client can offer.
pub struct Session {
    pub wallet: Arc<Wallet>,
    /// The certificates that the server sent when the session began, and the name.
    pub chain: Vec<CertificateDer<'static>>,
    pub name: Option<ServerName<'static>>,
    /// When that was: the last handshake in full, whatever resumptions came between.
    pub since: UnixTime,
}
