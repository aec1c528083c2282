//! Resumption. A client's session is bound to the settings that it was made with: rustls compares verifier
//! and credentials, we the server's name and certificates at the time of use.

use std::collections::VecDeque;
use std::sync::{Arc, MutexGuard};

use pyo3::prelude::*;
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

/// What a server gave a client to come back with.
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

/// Whether a session whose peers proved their keys at `since` may be resumed `now`: before it is `max_age`
/// seconds old. One from the future may not: some clock was wrong, and nobody knows how old it is.
pub fn may_resume(since: UnixTime, now: UnixTime, max_age: u32) -> bool {
    now.as_secs().checked_sub(since.as_secs()).is_some_and(|age| age < u64::from(max_age))
}

/// A session that a later connection of the same client can offer.
#[pyclass(frozen, module = "veritls._engine")]
pub struct Session {
    pub wallet: Arc<Wallet>,
    /// What the server showed when the session began and for which name.
    pub chain: Vec<CertificateDer<'static>>,
    pub name: Option<ServerName<'static>>,
    /// When that was: the last handshake in full, whatever resumptions came between.
    pub since: UnixTime,
}

#[pymethods]
impl Session {
    /// Whether something is left to offer.
    #[getter]
    fn has_ticket(&self) -> bool {
        !self.wallet.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_session_is_resumed_before_it_is_as_old_as_allowed_and_never_from_the_future() {
        let at = |seconds| UnixTime::since_unix_epoch(Duration::from_secs(seconds));
        assert!(may_resume(at(1000), at(1000), 1));
        assert!(may_resume(at(1000), at(1059), 60));
        assert!(!may_resume(at(1000), at(1060), 60));
        assert!(!may_resume(at(1000), at(1000), 0));
        assert!(!may_resume(at(1001), at(1000), 60));
        assert!(!may_resume(at(u64::MAX), at(1000), u32::MAX));
        assert!(!may_resume(at(0), at(u64::MAX), u32::MAX));
    }
}
