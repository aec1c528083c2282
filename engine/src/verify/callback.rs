//! The program's own say: about a client's hello (`sni_callback`), and about a peer after the verdict was yes,
//! which can only refuse.
//!
//! A callback is a guest. It runs within the step of the handshake that needs its answer, so the thread that
//! runs it holds the connection's core and both turns; all that guards a connection against its callbacks
//! follows from that, whichever callback it is:
//!
//! - The thread itself, however deep within callbacks, would wait for itself: `Asking::refuse_reentry`.
//! - Another thread finds both turns taken. It waits as long as its timeout allows, and looks at signals.
//! - Whoever asks for facts does not wait: there are none (`Stream::look`).
//! - Closing the socket marks it abandoned: the handshake ends there, and nothing is sent.
//!
//! **Locks and the GIL.** The thread that runs a callback waits for the GIL with the core locked. So nobody who
//! holds the GIL waits for the core, nor for a lock whose holder may wait for the core: `Stream` lets go of the
//! GIL before it works and looks at facts only with `try_core`; `EventLoopStream` lets one thread work at a time, and
//! another waits for it without the GIL. Under all other locks (MemoryBIO, the pool, wallets, CRLs, staples,
//! the signature cache, the key log) nothing touches Python: no object is made, none is dropped, nothing
//! attaches. What is for Python is made after the lock is gone. A connection lets go of its callbacks within a
//! step of the handshake, which is made without the GIL, so that no destructor runs under the core. So a lock
//! that is waited for with the GIL is always held by somebody who does not need it.
//!
//! rustls asks the verifier within the call that processes the peer's flight. What a connection's handshake
//! carries lies on a stack of the thread meanwhile: a callback may itself make other connections.

use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

use pyo3::exceptions::PyRecursionError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString};
use rustls::pki_types::{CertificateDer, UnixTime};

use crate::memory::call;
use crate::verify::rejection::Rejection;
use crate::verify::types::Path;

/// How many callbacks may wait for each other's handshakes on one thread.
const MAX_DEPTH: usize = 8;
/// How many tickets of one client are opened. Each may cost the verification of a chain.
const MAX_TICKETS: usize = 4;

thread_local! {
    static STACK: RefCell<Vec<Verdict>> = const { RefCell::new(Vec::new()) };
    /// How many callbacks run on this thread, one within the other.
    static GUESTS: Cell<usize> = const { Cell::new(0) };
}

/// Which callback it is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Callback {
    Verify,
    Hello,
}

/// A chain (the peer's own certificate first) that was found good, and what stands above it in the path;
/// None where nobody validated it.
#[derive(Clone, Debug)]
pub struct Judged {
    pub chain: Vec<CertificateDer<'static>>,
    pub path: Option<Path>,
    pub at: UnixTime,
    /// The name that it had to be for, where it had to be for one.
    pub name: Option<String>,
    /// Whether a good OCSP response came along.
    pub stapled: bool,
}

/// What other threads, and the callback itself, must know of a connection that is being decided about.
#[derive(Debug, Default)]
pub struct Asking {
    under_way: AtomicU8,
    answered: AtomicBool,
    abandoned: AtomicBool,
}

impl Asking {
    /// The callback that runs.
    fn which(&self) -> Option<Callback> {
        match self.under_way.load(Ordering::Acquire) {
            0 => None,
            1 => Some(Callback::Verify),
            _ => Some(Callback::Hello),
        }
    }

    pub fn under_way(&self) -> bool {
        self.which().is_some()
    }

    /// Who is within a callback and came to a connection that is being decided about would wait for itself,
    /// or for somebody who waits for it.
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
    pub fn abandon(&self) {
        if self.under_way() {
            self.abandoned.store(true, Ordering::Release);
        }
    }

    pub fn abandoned(&self) -> bool {
        self.abandoned.load(Ordering::Acquire)
    }
}

/// A callback of this connection runs on this thread as long as this lives. It is entered before the
/// interpreter is attached: what that lets run (destructors that waited) may use the connection, too.
pub struct Guest(Arc<Asking>);

impl Guest {
    pub fn enter(asking: Arc<Asking>, which: Callback) -> Self {
        let number = if which == Callback::Verify { 1 } else { 2 };
        asking.under_way.store(number, Ordering::Release);
        GUESTS.set(GUESTS.get() + 1);
        Self(asking)
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
        self.0.under_way.store(0, Ordering::Release);
        self.0.answered.store(true, Ordering::Release);
    }
}

/// With which signature algorithms the two ends proved that they hold their keys,
/// by their IANA numbers; None where that end has signed nothing, as in a resumption.
#[derive(Clone, Copy, Default)]
pub struct Schemes {
    pub own: Option<u16>,
    pub peer: Option<u16>,
}

/// What the handshake of one connection carries from one call into rustls to the next.
#[derive(Default)]
pub struct Verdict {
    pub judged: Option<Judged>,
    /// Called with (chain, path or None, seconds since 1970, whether an OCSP response came along).
    pub callback: Option<Py<PyAny>>,
    pub asking: Arc<Asking>,
    pub schemes: Schemes,
    /// While a session may be resumed: when its peers proved their keys.
    pub since: Option<UnixTime>,
    /// How many tickets the client showed.
    pub tickets: usize,
}

impl Verdict {
    /// The handshake is one in full: a session that was at hand is not resumed, and is no evidence.
    pub fn forget_session(&mut self) {
        if self.since.take().is_some() {
            self.judged = None;
        }
    }
}

/// A verdict lies on the stack as long as this lives.
pub struct Scope(());

impl Scope {
    pub fn enter(verdict: Verdict) -> Self {
        STACK.with_borrow_mut(|stack| stack.push(verdict));
        Self(())
    }

    pub fn leave(self) -> Verdict {
        let verdict = STACK.with_borrow_mut(Vec::pop).unwrap_or_default();
        std::mem::forget(self);
        verdict
    }
}

impl Drop for Scope {
    fn drop(&mut self) {
        STACK.with_borrow_mut(Vec::pop);
    }
}

pub fn set_judged(
    end_entity: &CertificateDer<'_>,
    intermediates: &[CertificateDer<'_>],
    path: Option<Path>,
    at: UnixTime,
    name: Option<String>,
    stapled: bool,
) {
    let chain =
        std::iter::once(end_entity).chain(intermediates).map(|der| der.clone().into_owned()).collect();
    keep(Some(Judged { chain, path, at, name, stapled }), None);
}

/// What was found good of the client whose ticket was opened; `since`: when it proved its key. It stands until
/// another ticket or a handshake in full takes its place.
pub fn keep_opened(judged: Option<Judged>, since: UnixTime) {
    keep(judged, Some(since));
}

fn keep(judged: Option<Judged>, since: Option<UnixTime>) {
    STACK.with_borrow_mut(|stack| {
        if let Some(top) = stack.last_mut() {
            (top.judged, top.since) = (judged, since);
        }
    });
}

/// Since when the session is that the handshake on this thread resumes.
pub fn resumed_since() -> Option<UnixTime> {
    STACK.with_borrow(|stack| stack.last()?.since)
}

/// Whether one more ticket may be opened in the handshake that this thread works on.
pub fn may_open() -> bool {
    STACK.with_borrow_mut(|stack| match stack.last_mut() {
        Some(top) if top.tickets < MAX_TICKETS => {
            top.tickets += 1;
            true
        }
        _ => false,
    })
}

/// Notes a signature of the handshake that this thread works on.
pub fn note_schemes(note: impl FnOnce(&mut Schemes)) {
    STACK.with_borrow_mut(|stack| {
        if let Some(top) = stack.last_mut() {
            note(&mut top.schemes);
        }
    });
}

/// What was found good in the handshake that this thread works on.
pub fn judged() -> Option<Judged> {
    STACK.with_borrow(|stack| stack.last()?.judged.clone())
}

fn nobody(why: &str) -> Box<Rejection> {
    Box::new(Rejection::new("callback", why))
}

/// Asks the callback of the connection that this thread works on about the peer with this certificate.
/// Whatever keeps it from being asked is a refusal.
pub fn ask(certificate: &CertificateDer<'_>) -> Result<(), Box<Rejection>> {
    let asking = STACK.with_borrow(|stack| stack.last().map(|top| top.asking.clone()));
    let guest = Guest::enter(asking.unwrap_or_default(), Callback::Verify);
    let asked = Python::try_attach(|py| {
        let (callback, judged) = STACK.with_borrow(|stack| {
            let top = stack.last()?;
            Some((top.callback.as_ref()?.clone_ref(py), top.judged.clone()?))
        })?;
        if judged.chain.first() != Some(certificate) {
            return None;
        }
        Some(guest.refuse_depth().and_then(|()| ask_python(py, &callback, &judged)).map_err(|why| {
            let mut rejection = nobody(&format!("the verify callback raised {}", words(py, &why)));
            rejection.cause = Some(Arc::new(why));
            rejection
        }))
    });
    match asked {
        None => Err(nobody("the interpreter is shutting down")),
        Some(None) => Err(nobody("there is no callback to ask")),
        Some(Some(Ok(()))) if guest.0.abandoned() => Err(nobody("the socket was closed meanwhile")),
        Some(Some(answer)) => answer,
    }
}

/// What an exception says of itself, which is Python code, too.
fn words(py: Python<'_>, error: &PyErr) -> String {
    let name =
        error.get_type(py).qualname().map_or_else(|_| "an exception".to_owned(), |name| name.to_string());
    let text = call(py.get_type::<PyString>().as_any(), (error.value(py),));
    match text.and_then(|text| Ok(text.cast_into::<PyString>()?.to_string_lossy().into_owned())) {
        Ok(text) => format!("{name}: {text}"),
        Err(_) => format!("{name}: <exception str() failed>"),
    }
}

fn ask_python(py: Python<'_>, callback: &Py<PyAny>, judged: &Judged) -> PyResult<()> {
    let bytes = |der: &CertificateDer<'_>| PyBytes::new(py, der);
    let chain: Vec<_> = judged.chain.iter().map(bytes).collect();
    let path = judged.path.as_ref().map(|above| {
        let own = judged.chain.first().map(bytes);
        own.into_iter().chain(above.iter().map(bytes)).collect::<Vec<_>>()
    });
    call(callback.bind(py), (chain, path, judged.at.as_secs(), judged.stapled)).map(|_| ())
}
