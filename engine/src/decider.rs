//! The program's own say about a peer, after the verdict was yes: a callback that can only refuse.
//!
//! rustls asks the verifier within the call that processes the peer's flight. What a connection's handshake
//! carries lies on a stack of the thread meanwhile: a callback may itself make other connections.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use pyo3::exceptions::PyRecursionError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use rustls::pki_types::{CertificateDer, UnixTime};

use crate::failure::Rejection;
use crate::verifier::Path;

/// How many callbacks may wait for each other's handshakes on one thread.
const MAX_DEPTH: usize = 8;
/// How many tickets of one client are opened. Each may cost the verification of a chain.
const MAX_TICKETS: usize = 4;

thread_local! {
    static STACK: RefCell<Vec<Verdict>> = const { RefCell::new(Vec::new()) };
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
    under_way: AtomicBool,
    answered: AtomicBool,
    abandoned: AtomicBool,
}

impl Asking {
    pub fn under_way(&self) -> bool {
        self.under_way.load(Ordering::Acquire)
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

/// What the handshake of one connection carries from one call into rustls to the next.
#[derive(Default)]
pub struct Verdict {
    pub judged: Option<Judged>,
    /// Called with (chain, path or None, seconds since 1970, whether an OCSP response came along).
    pub callback: Option<Py<PyAny>>,
    pub asking: Arc<Asking>,
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

/// Whether this thread is within a callback.
pub fn within_callback() -> bool {
    STACK.with_borrow(|stack| stack.iter().any(|verdict| verdict.asking.under_way()))
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

/// What was found good in the handshake that this thread works on.
pub fn judged() -> Option<Judged> {
    STACK.with_borrow(|stack| stack.last()?.judged.clone())
}

fn nobody(why: &str) -> Box<Rejection> {
    Box::new(Rejection::new("callback", why))
}

struct UnderWay(Arc<Asking>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.under_way.store(false, Ordering::Release);
        self.0.answered.store(true, Ordering::Release);
    }
}

/// Asks the callback of the connection that this thread works on about the peer with this certificate.
/// Whatever keeps it from being asked is a refusal.
pub fn ask(certificate: &CertificateDer<'_>) -> Result<(), Box<Rejection>> {
    let asked = Python::try_attach(|py| {
        let (callback, judged, asking, depth) = STACK.with_borrow(|stack| {
            let top = stack.last()?;
            let callback = top.callback.as_ref()?.clone_ref(py);
            Some((callback, top.judged.clone()?, top.asking.clone(), stack.len()))
        })?;
        if judged.chain.first() != Some(certificate) {
            return None;
        }
        Some(call(py, &callback, &judged, asking, depth))
    });
    match asked {
        None => Err(nobody("the interpreter is shutting down")),
        Some(None) => Err(nobody("there is no callback to ask")),
        Some(Some(answer)) => answer,
    }
}

fn call(
    py: Python<'_>,
    callback: &Py<PyAny>,
    judged: &Judged,
    asking: Arc<Asking>,
    depth: usize,
) -> Result<(), Box<Rejection>> {
    let raised = |why: PyErr| {
        let detail = format!("the verify callback raised {why}");
        let mut rejection = nobody(&detail);
        rejection.cause = Some(Arc::new(why));
        rejection
    };
    if depth > MAX_DEPTH {
        return Err(raised(PyRecursionError::new_err("verify callbacks within verify callbacks")));
    }
    asking.under_way.store(true, Ordering::Release);
    let under_way = UnderWay(asking);
    let bytes = |der: &CertificateDer<'_>| PyBytes::new(py, der);
    let chain: Vec<_> = judged.chain.iter().map(bytes).collect();
    let path = judged.path.as_ref().map(|above| {
        let own = judged.chain.first().map(bytes);
        own.into_iter().chain(above.iter().map(bytes)).collect::<Vec<_>>()
    });
    callback.bind(py).call1((chain, path, judged.at.as_secs(), judged.stapled)).map_err(raised)?;
    if under_way.0.abandoned() { Err(nobody("the socket was closed meanwhile")) } else { Ok(()) }
}
