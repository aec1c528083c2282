//! Callbacks of the program: for a client's hello (`sni_callback`), and for a peer that was verified (the verify
//! callback), which can only refuse.
//!
//! A callback is a guest. It runs within the step of the handshake that needs its answer, so the thread that
//! runs it holds the connection's lock and both turns; all that guards a connection against its callbacks
//! follows from that, whichever callback it is:
//!
//! - The thread itself, however deep within callbacks, would wait for itself: `CallbackState::refuse_reentry`.
//! - Another thread finds both turns taken. It waits as long as its timeout allows, and looks at signals.
//! - The getters do not wait: they are empty (`Stream::look`).
//! - Closing the socket marks it cancelled: the handshake ends there, and nothing is sent.
//!
//! **Locks and the GIL.** The thread that runs a callback waits for the GIL with the connection locked. So no thread
//! that holds the GIL waits for the connection, nor for a lock whose holder may wait for it: `Stream` lets go of the
//! GIL before it works, and its getters only use `try_connection`; `EventLoopStream` lets one thread work at a time,
//! and another waits for it without the GIL. Under all other locks (MemoryBIO, the pool, wallets, CRLs, a handshake,
//! the signature cache) nothing touches Python: no object is made, none is dropped, nothing
//! attaches. What is for Python is made after the lock is gone. A connection lets go of its callbacks within a
//! step of the handshake, which is made without the GIL, so that no destructor runs under the lock. So a lock
//! that is waited for with the GIL is always held by a thread that does not need the GIL.
//!
//! What a handshake carries lies with its connection (`tls::handshake`). Only the count of callbacks belongs to the
//! thread: it answers whether this thread, were it to wait for a connection whose callback runs, would wait
//! for itself. A greenlet that is switched to within a callback is on the same thread, and would.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

use pyo3::exceptions::PyRecursionError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use rustls::pki_types::CertificateDer;

use crate::memory::call;
use crate::verify::rejection::{Kind, Rejection};
use crate::verify::types::Verified;

/// How many callbacks may wait for each other's handshakes on one thread.
const MAX_DEPTH: usize = 8;
thread_local! {
    /// How many callbacks run on this thread, one within the other or, by greenlets, in turns.
    static GUESTS: Cell<usize> = const { Cell::new(0) };
}

/// Which callback it is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Callback {
    Verify,
    Hello,
}

/// What other threads, and the callback itself, must know of a connection whose callback runs.
#[derive(Debug, Default)]
pub struct CallbackState {
    which: AtomicU8,
    answered: AtomicBool,
    cancelled: AtomicBool,
}

impl CallbackState {
    /// The callback that runs.
    fn which(&self) -> Option<Callback> {
        match self.which.load(Ordering::Acquire) {
            0 => None,
            1 => Some(Callback::Verify),
            _ => Some(Callback::Hello),
        }
    }

    pub fn running(&self) -> bool {
        self.which().is_some()
    }

    /// A thread within a callback that came to a connection whose callback runs would wait for itself, or for a
    /// thread that waits for it.
    pub fn refuse_reentry(&self) -> Result<(), Callback> {
        match self.which() {
            Some(which) if GUESTS.get() > 0 => Err(which),
            _ => Ok(()),
        }
    }

    /// Whether a callback was asked since this was asked last.
    pub fn take_answered(&self) -> bool {
        self.answered.swap(false, Ordering::AcqRel)
    }

    /// The socket is closed: if that happens during the callback, its descriptor is another's soon.
    pub fn cancel(&self) {
        if self.running() {
            self.cancelled.store(true, Ordering::Release);
        }
    }

    pub fn cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Acquire)
    }
}

/// A callback of this connection runs on this thread as long as this lives. It is entered before the
/// interpreter is attached: what that lets run (destructors that waited) may use the connection, too.
pub struct Guest(Arc<CallbackState>);

impl Guest {
    pub fn enter(callback_state: Arc<CallbackState>, which: Callback) -> Self {
        let number = if which == Callback::Verify { 1 } else { 2 };
        callback_state.which.store(number, Ordering::Release);
        GUESTS.set(GUESTS.get() + 1);
        Self(callback_state)
    }

    pub fn refuse_depth(&self) -> PyResult<()> {
        match GUESTS.get() > MAX_DEPTH {
            true => Err(PyRecursionError::new_err("callbacks within callbacks of other handshakes")),
            false => Ok(()),
        }
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        GUESTS.set(GUESTS.get() - 1);
        self.0.which.store(0, Ordering::Release);
        self.0.answered.store(true, Ordering::Release);
    }
}

fn refused(why: &str) -> Box<Rejection> {
    Rejection::new(Kind::Callback, why)
}

/// Asks a connection's callback about the peer with this certificate: with (chain, path or None, seconds since 1970,
/// whether an OCSP response came along). Whatever keeps it from being asked is a refusal.
pub fn ask(
    callback: Option<&Py<PyAny>>,
    callback_state: &Arc<CallbackState>,
    verified: Option<&Verified>,
    certificate: &CertificateDer<'_>,
) -> Result<(), Box<Rejection>> {
    let guest = Guest::enter(callback_state.clone(), Callback::Verify);
    let asked = Python::try_attach(|py| {
        let (callback, verified) = (callback?, verified?);
        if verified.chain.first() != Some(certificate) {
            return None;
        }
        Some(guest.refuse_depth().and_then(|()| ask_python(py, callback, verified)).map_err(|why| {
            let mut rejection = refused("raised");
            rejection.cause = Some(Arc::new(why));
            rejection
        }))
    });
    match asked {
        None => Err(refused("shutting_down")),
        Some(None) => Err(refused("no_callback")),
        Some(Some(Ok(()))) if callback_state.cancelled() => Err(refused("closed")),
        Some(Some(answer)) => answer,
    }
}

fn ask_python(py: Python<'_>, callback: &Py<PyAny>, verified: &Verified) -> PyResult<()> {
    let bytes = |der: &CertificateDer<'_>| PyBytes::new(py, der);
    let chain: Vec<_> = verified.chain.iter().map(bytes).collect();
    let path = verified.path.as_ref().map(|above| {
        let own = verified.chain.first().map(bytes);
        own.into_iter().chain(above.iter().map(bytes)).collect::<Vec<_>>()
    });
    call(callback.bind(py), (chain, path, verified.at.as_secs(), verified.stapled)).map(|_| ())
}
