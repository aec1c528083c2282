//! Why an operation failed: a code and its evidence. What a user reads is made of it in `errors.py`.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use pyo3::exceptions::{PyException, PyRuntimeError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyDict, PyTuple};
use rustls::pki_types::UnixTime;

use crate::memory::call;
use crate::verify::callback::Callback;
use crate::verify::trust::TrustSet;
use crate::wire::buffers::NoMemory;

/// The reasons for which an operation can fail, each with the evidence that the engine has.
#[derive(Clone, Debug)]
pub enum Failure {
    /// Non-blocking: the transport has nothing to read yet.
    WantRead,
    /// Non-blocking: the transport takes nothing more yet.
    WantWrite,
    /// The deadline of the call passed. The connection is intact.
    Timeout,
    /// A signal arrived: let Python's handlers run, then go on.
    Interrupted,
    /// The transport ended without a close_notify.
    UnexpectedEof,
    /// The connection was closed by both sides.
    Closed,
    /// Whoever decided on the client's hello refused it; what it raised, where that is no refusal.
    HelloRefused(Option<Arc<PyErr>>),
    /// Application data came where only the peer's close_notify may.
    DataAfterClose,
    /// A write was left unfinished, and this one is not its repetition.
    BadWriteRetry,
    /// The program decides about this very connection: it cannot be used yet.
    Deciding(Callback),
    /// `write` on a MemoryBIO after `write_eof`.
    WriteAfterEof,
    /// Another thread was at work here when the process was forked, and this is the child.
    Forked,
    /// The system call failed with this errno.
    Os(i32),
    /// The peer refused: the alert that it sent (RFC 8446, section 6).
    AlertReceived(u8),
    /// The peer had to send a certificate and sent none.
    NoPeerCertificate,
    /// The peer's certificate was refused.
    Certificate(Box<Rejection>),
    /// What the peer sent is no TLS record: its first bytes, none where they came in mid-connection.
    NotTls(Vec<u8>),
    /// A record was changed on its way, or made by somebody who does not have the keys.
    BadRecordMac,
    /// The two sides have no version, suite, group or signature in common.
    Incompatible(String),
    /// The peer broke the protocol.
    Protocol(String),
    /// Our own certificate, key or setting is unusable: which, and why.
    Unusable { what: &'static str, why: String },
    /// The private key does not belong to the certificate.
    KeyMismatch,
    /// There is not enough memory.
    NoMemory,
    /// A defect of the engine itself; the connection is dead.
    Internal(String),
}

/// Why a peer's certificate was refused.
#[derive(Clone, Debug, Default)]
pub struct Rejection {
    pub kind: &'static str,
    pub detail: String,
    /// Seconds since 1970: the time of the check, and the bound that it violated.
    pub time: Option<u64>,
    pub bound: Option<u64>,
    /// The name that was wanted and those that the certificate holds.
    pub expected: Option<String>,
    pub presented: Vec<String>,
    /// The chain as the peer sent it, leaf first, DER.
    pub chain: Vec<Vec<u8>>,
    /// What the program's callback raised.
    pub cause: Option<Arc<PyErr>>,
    /// What is above the peer's certificate, up to the anchor's, DER; empty where no good path was found.
    pub path: Vec<Vec<u8>>,
    pub asked: Asked,
}

/// What was demanded of the chain.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    /// Whose certificate it is: "server" or "client".
    pub purpose: &'static str,
    /// The name that it had to be for, where it had to be for one.
    pub name: Option<String>,
    /// Whose revocation had to be known: "none", "leaf" or "chain".
    pub revocation: &'static str,
    pub strict: bool,
    /// The peers and the keys that were allowed, in words; None where any was.
    pub allowed: Option<Vec<String>>,
    pub pinned: Option<Vec<String>>,
    /// Whether an OCSP response came along, or had to.
    pub ocsp: bool,
    pub trust: Option<TrustSet>,
}

impl Rejection {
    pub fn new(kind: &'static str, detail: impl Into<String>) -> Self {
        Self { kind, detail: detail.into(), ..Self::default() }
    }

    pub fn at(mut self, time: UnixTime, bound: UnixTime) -> Self {
        (self.time, self.bound) = (Some(time.as_secs()), Some(bound.as_secs()));
        self
    }

    fn evidence<'py>(&self, py: Python<'py>, evidence: &Bound<'py, PyDict>) -> PyResult<()> {
        let bytes = |list: &[Vec<u8>]| PyTuple::new(py, list.iter().map(|der| PyBytes::new(py, der)));
        evidence.set_item("kind", self.kind)?;
        evidence.set_item("time", self.time)?;
        evidence.set_item("bound", self.bound)?;
        evidence.set_item("expected", &self.expected)?;
        evidence.set_item("presented", &self.presented)?;
        evidence.set_item("chain", bytes(&self.chain)?)?;
        evidence.set_item("path", bytes(&self.path)?)?;
        evidence.set_item("purpose", self.asked.purpose)?;
        evidence.set_item("name", &self.asked.name)?;
        evidence.set_item("revocation", self.asked.revocation)?;
        evidence.set_item("strict", self.asked.strict)?;
        evidence.set_item("allowed", &self.asked.allowed)?;
        evidence.set_item("pinned", &self.asked.pinned)?;
        evidence.set_item("ocsp", self.asked.ocsp)?;
        evidence.set_item("cause", self.cause.as_ref().map(|cause| cause.value(py)))?;
        evidence.set_item("trust", self.asked.trust.clone())
    }
}

static TRANSLATOR: PyOnceLock<Py<PyAny>> = PyOnceLock::new();

/// Hands over the function that makes the exception: (code, detail, evidence) -> BaseException.
#[pyfunction]
pub fn set_translator(py: Python<'_>, translator: Py<PyAny>) {
    let _ = TRANSLATOR.set(py, translator);
}

impl Failure {
    /// The same for later calls: it keeps nothing of the program's alive.
    pub fn without_cause(&self) -> Self {
        let mut failure = self.clone();
        match &mut failure {
            Self::Certificate(rejection) => rejection.cause = None,
            Self::HelloRefused(cause) => *cause = None,
            _ => {}
        }
        failure
    }

    fn code(&self) -> &'static str {
        match self {
            Self::WantRead => "want_read",
            Self::WantWrite => "want_write",
            Self::Timeout => "timeout",
            Self::Interrupted => "interrupted",
            Self::UnexpectedEof => "unexpected_eof",
            Self::Closed => "closed",
            Self::HelloRefused(_) => "hello_refused",
            Self::DataAfterClose => "data_after_close",
            Self::BadWriteRetry => "bad_write_retry",
            Self::Deciding(_) => "deciding",
            Self::WriteAfterEof => "write_after_eof",
            Self::Forked => "forked",
            Self::Os(_) => "os",
            Self::AlertReceived(_) => "alert_received",
            Self::NoPeerCertificate => "no_peer_certificate",
            Self::Certificate(_) => "certificate",
            Self::NotTls(_) => "not_tls",
            Self::BadRecordMac => "bad_record_mac",
            Self::Incompatible(_) => "incompatible",
            Self::Protocol(_) => "protocol",
            Self::Unusable { .. } => "unusable",
            Self::KeyMismatch => "key_mismatch",
            Self::NoMemory => "no_memory",
            Self::Internal(_) => "internal",
        }
    }

    fn evidence<'py>(&self, py: Python<'py>) -> PyResult<(String, Bound<'py, PyDict>)> {
        let evidence = PyDict::new(py);
        let detail = match self {
            Self::Os(errno) => {
                evidence.set_item("errno", errno)?;
                String::new()
            }
            Self::AlertReceived(description) => {
                evidence.set_item("alert", description)?;
                String::new()
            }
            Self::Deciding(callback) => match callback {
                Callback::Verify => "the verify callback".to_owned(),
                Callback::Hello => "sni_callback".to_owned(),
            },
            Self::NotTls(start) => {
                evidence.set_item("start", start.as_slice())?;
                String::new()
            }
            Self::Unusable { what, why } => {
                evidence.set_item("what", what)?;
                why.clone()
            }
            Self::Incompatible(why) | Self::Protocol(why) | Self::Internal(why) => why.clone(),
            Self::Certificate(rejection) => {
                rejection.evidence(py, &evidence)?;
                rejection.detail.clone()
            }
            _ => String::new(),
        };
        Ok((detail, evidence))
    }
}

impl From<Failure> for PyErr {
    fn from(failure: Failure) -> Self {
        Python::attach(|py| {
            // KeyboardInterrupt and its like are nobody's refusal to handle.
            let cause = match &failure {
                Failure::Certificate(rejection) => rejection.cause.as_ref(),
                Failure::HelloRefused(cause) => cause.as_ref(),
                _ => None,
            };
            if let Some(cause) = cause.filter(|cause| !cause.is_instance_of::<PyException>(py)) {
                return cause.clone_ref(py);
            }
            let made = failure.evidence(py).and_then(|(detail, evidence)| match TRANSLATOR.get(py) {
                Some(translator) => call(translator.bind(py), (failure.code(), detail, evidence)),
                None => Err(PyRuntimeError::new_err(failure.code())),
            });
            match made {
                Ok(exception) => PyErr::from_value(exception),
                Err(error) => error,
            }
        })
    }
}

impl From<rustix::io::Errno> for Failure {
    fn from(errno: rustix::io::Errno) -> Self {
        Self::Os(errno.raw_os_error())
    }
}

fn panic_text(payload: &(dyn Any + Send)) -> String {
    payload
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "unknown panic".to_owned())
}

/// Runs `work`; a panic in it is an error like any other, never an abort and never a BaseException.
pub fn guarded<T>(work: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|payload| match payload.is::<NoMemory>() {
        true => Err(Failure::NoMemory),
        false => Err(Failure::Internal(panic_text(payload.as_ref()))),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_an_internal_failure() {
        let outcome: Result<(), Failure> = guarded(|| panic!("broken {}", 7));
        assert!(matches!(outcome, Err(Failure::Internal(text)) if text == "broken 7"));
    }
}
