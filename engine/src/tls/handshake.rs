//! What one handshake carries from one call into rustls to the next, and how what rustls calls finds it.
//!
//! All of it lies in one `Handshake`, which belongs to the connection: what was verified of the peer, why it was
//! rejected, the verify callback, with which algorithms the two ends signed, and since when the session is that is
//! resumed. rustls calls the verifier, the resolvers, the signing keys and the ticketer amid a step of the handshake;
//! each notes there what it found, and the connection takes it when the step is over.
//!
//! **How they find it.** rustls does not say for which connection it calls. A configuration of its own for each
//! connection, with adapters that hold its handshake, would say so, and rustls would resume no session with it: a
//! client offers a session only with the very verifier and resolver (`Arc::ptr_eq`) with which it began, so that both
//! have to be shared by all connections of a context. So `run` puts the handshake in a register of the thread for the
//! length of one call into rustls, and that is all that it holds: it is an argument, not a place to keep anything.
//!
//! **While Python runs, the register is empty.** The one thing in such a call that lets go of the thread is the verify
//! callback: it may make other connections, or switch to a greenlet that does, which may end before or after this one.
//! `ask` takes the handshake out before it calls, and puts it back afterwards. So no handshake finds another's
//! there, in whatever order callbacks return. A call that finds none refuses.
//!
//! **Locks.** The state is locked for single reads and writes, never while anything is verified or Python runs.

use std::cell::RefCell;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pyo3::{Py, PyAny};
use rustls::Error;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::sign::CertifiedKey;

use crate::verify::callback::{CallbackState, ask};
use crate::verify::rejection::Rejection;
use crate::verify::types::Verified;
use crate::verify::verifier::PeerVerifier;

/// How many tickets of one client are opened. Each may cost the verification of a chain.
const MAX_TICKETS: usize = 4;

/// How many of the CAs that a server names are kept.
const MAX_AUTHORITIES: usize = 100;

thread_local! {
    static CURRENT: RefCell<Option<Arc<Handshake>>> = const { RefCell::new(None) };
}

#[derive(Debug, Default)]
pub struct Handshake {
    /// See `verify::callback::ask`. Another handshake takes its place where `sni_callback` switches.
    pub callback: Option<Py<PyAny>>,
    callback_state: Arc<CallbackState>,
    state: Mutex<State>,
}

/// What was found out so far.
#[derive(Debug, Default)]
pub struct State {
    pub verified: Option<Verified>,
    pub rejection: Option<Box<Rejection>>,
    pub schemes: Schemes,
    /// While a session may be resumed: when its peers proved their keys.
    pub since: Option<UnixTime>,
    /// How many tickets the client sent.
    tickets: usize,
    /// A server's: what it answered the client's hello with.
    pub hello: Option<Hello>,
    /// A client's: whether what a server asks for is kept.
    keeps_request: bool,
    request: Option<Box<CertificateRequest>>,
}

/// With which signature algorithms the two ends proved that they hold their keys, by their IANA numbers; None where
/// that end has signed nothing, as in a resumption.
#[derive(Clone, Copy, Debug, Default)]
pub struct Schemes {
    pub own: Option<u16>,
    pub peer: Option<u16>,
}

/// The cipher suites that a client offered, the name that it asked for, and the certificate that we answered with.
#[derive(Debug, Default)]
pub struct Hello {
    pub suites: Vec<u16>,
    pub name: Option<Box<str>>,
    pub own: Option<Arc<CertifiedKey>>,
    /// Its key makes none of the signatures that the client can verify.
    pub no_scheme: bool,
}

/// Whom a server asked for a certificate of: the first of the CAs that it named, each as the DER of a distinguished
/// name, and how many it named. rustls bounds them together: they came in one message of 64 KiB. `answered`: whether
/// this client has a certificate whose key makes a signature that the server can verify, and sent it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CertificateRequest {
    pub authorities: Vec<Box<[u8]>>,
    pub count: usize,
    pub answered: bool,
}

/// Empties the register, whatever happens.
struct Emptied;

impl Drop for Emptied {
    fn drop(&mut self) {
        let _ = CURRENT.take();
    }
}

/// The handshake for which rustls calls. There is one within `Handshake::run`, but for callbacks.
pub fn current() -> Result<Arc<Handshake>, Error> {
    CURRENT.with_borrow(Clone::clone).ok_or_else(|| Error::General("no handshake is under way".to_owned()))
}

impl Handshake {
    /// `verified`, `since`: of the session that a client offers. They hold if it is resumed; a handshake in full brings
    /// its own.
    pub fn new(
        callback_state: Arc<CallbackState>,
        callback: Option<Py<PyAny>>,
        verified: Option<Verified>,
        since: Option<UnixTime>,
    ) -> Self {
        Self { callback, callback_state, state: Mutex::new(State { verified, since, ..State::default() }) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a call into rustls for this handshake.
    pub fn run<T>(self: &Arc<Self>, call: impl FnOnce() -> T) -> T {
        CURRENT.set(Some(self.clone()));
        let _emptied = Emptied;
        call()
    }

    /// What was verified of the peer in this handshake.
    pub fn keep_verified(&self, verified: Verified) {
        let mut state = self.state();
        (state.verified, state.since) = (Some(verified), None);
    }

    /// What was verified of the client whose ticket was opened; `since`: when it proved its key. It stands until
    /// another ticket or a handshake in full takes its place.
    pub fn keep_opened(&self, verified: Option<Verified>, since: UnixTime) {
        let mut state = self.state();
        (state.verified, state.since) = (verified, Some(since));
    }

    /// The handshake is one in full: a session that was at hand is not resumed, and is no evidence.
    pub fn forget_session(&self) {
        let mut state = self.state();
        if state.since.take().is_some() {
            state.verified = None;
        }
    }

    pub fn verified(&self) -> Option<Verified> {
        self.state().verified.clone()
    }

    /// Since when the session is that is resumed.
    pub fn since(&self) -> Option<UnixTime> {
        self.state().since
    }

    /// Whether one more ticket may be opened.
    pub fn may_open(&self) -> bool {
        let mut state = self.state();
        state.tickets += 1;
        state.tickets <= MAX_TICKETS
    }

    /// Notes a signature of either end.
    pub fn note_schemes(&self, note: impl FnOnce(&mut Schemes)) {
        note(&mut self.state().schemes);
    }

    pub fn note_hello(&self, hello: Hello) {
        self.state().hello = Some(hello);
    }

    /// Whether a server found no certificate to answer the client's hello with.
    pub fn found_no_certificate(&self) -> bool {
        self.state().hello.as_ref().is_some_and(|hello| hello.own.is_none())
    }

    /// Whether a server's key makes none of the signatures that the client can verify.
    pub fn found_no_scheme(&self) -> bool {
        self.state().hello.as_ref().is_some_and(|hello| hello.no_scheme)
    }

    pub fn keep_request(&self) {
        self.state().keeps_request = true;
    }

    /// The server asked this client for a certificate.
    pub fn note_request(&self, authorities: &[&[u8]], answered: bool) {
        let mut state = self.state();
        if state.keeps_request {
            let first = authorities.iter().take(MAX_AUTHORITIES).map(|name| Box::from(*name)).collect();
            let request = CertificateRequest { authorities: first, count: authorities.len(), answered };
            state.request = Some(Box::new(request));
        }
    }

    /// What the last step noted.
    pub fn take_noted(&self) -> (Option<Hello>, Option<Box<CertificateRequest>>) {
        let mut state = self.state();
        (state.hello.take(), state.request.take())
    }

    /// Why the peer is refused, for the connection; rustls gets no more than an error.
    pub fn keep_rejection(&self, rejection: Box<Rejection>) {
        self.state().rejection = Some(rejection);
    }

    pub fn take_rejection(&self) -> Option<Box<Rejection>> {
        self.state().rejection.take()
    }

    /// The handshake is over: everything that it carried.
    pub fn take_state(&self) -> State {
        mem::take(&mut self.state())
    }

    /// Asks the program whether it accepts the peer with this certificate, too. Nothing is locked meanwhile.
    pub fn ask(
        self: &Arc<Self>,
        verifier: &PeerVerifier,
        verified: Option<&Verified>,
        certificate: &CertificateDer<'_>,
    ) -> Result<(), Box<Rejection>> {
        let before = CURRENT.take();
        let asked = ask(self.callback.as_ref(), &self.callback_state, verified, certificate);
        CURRENT.set(before);
        asked.map_err(|rejection| verifier.refused_once_verified(rejection, verified))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_current(handshake: &Arc<Handshake>) -> bool {
        current().is_ok_and(|current| Arc::ptr_eq(&current, handshake))
    }

    #[test]
    fn a_handshake_is_current_during_its_calls_only() {
        let handshake = Arc::new(Handshake::default());
        assert!(current().is_err());
        assert!(handshake.run(|| is_current(&handshake)));
        assert!(current().is_err());
    }

    #[test]
    fn a_request_is_kept_on_demand_with_its_first_hundred_cas() {
        let handshake = Handshake::default();
        handshake.note_request(&[b"a"], true);
        assert_eq!(handshake.take_noted().1, None);
        handshake.keep_request();
        handshake.note_request(&[b"a".as_slice(); 101], false);
        let request = handshake.take_noted().1.expect("it was kept");
        assert_eq!((request.authorities.len(), request.count), (MAX_AUTHORITIES, 101));
    }

    #[test]
    fn a_panic_leaves_none_behind() {
        let handshake = Arc::new(Handshake::default());
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            handshake.run(|| panic!("amid a call"))
        }));
        assert!(panicked.is_err());
        assert!(current().is_err());
    }
}
