//! Failures as Python sees them: codes and evidence, of which Python makes an exception and its words.

use std::sync::Arc;

use pyo3::exceptions::{PyBaseException, PyException, PyRuntimeError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyString};

use crate::api::trust_set::TrustSet;
use crate::error::{NoTime, Unusable};
use crate::memory::{call, report};
use crate::tls::failure::Failure;
use crate::verify::callback::Callback;
use crate::verify::rejection;

static TRANSLATOR: PyOnceLock<Py<PyAny>> = PyOnceLock::new();

/// Registers the function that makes the exception of a failure: (Failure) -> BaseException. Once; the first counts.
/// The engine imports no module of Python's: what stands above it in the package gives it this one function.
#[pyfunction]
pub fn set_translator(py: Python<'_>, translator: Py<PyAny>) {
    let _ = TRANSLATOR.set(py, translator);
}

/// Reports what `culprit` raised, and no caller can get (`sys.unraisablehook`). Raises nothing.
#[pyfunction]
pub fn report_unraisable(error: Bound<'_, PyBaseException>, culprit: &Bound<'_, PyAny>) {
    report(PyErr::from_value(error.into_any()), culprit);
}

impl From<Failure> for PyErr {
    fn from(failure: Failure) -> Self {
        Python::attach(|py| {
            // KeyboardInterrupt and its like refuse no peer: they end the program.
            let ends = |cause: &&Arc<PyErr>| !cause.is_instance_of::<PyException>(py);
            let cause = match &failure {
                Failure::Certificate(rejection) => rejection.cause.as_ref().filter(ends),
                Failure::HelloRefused(cause) => cause.as_ref(),
                _ => None,
            };
            if let Some(cause) = cause {
                return cause.clone_ref(py);
            }
            let made = match TRANSLATOR.get(py) {
                Some(translator) => call(translator.bind(py), (FailureEvidence(failure),)),
                None => Err(PyRuntimeError::new_err(code(py, &failure).to_string())),
            };
            match made {
                Ok(exception) => PyErr::from_value(exception),
                Err(error) => error,
            }
        })
    }
}

impl From<Unusable> for PyErr {
    fn from(unusable: Unusable) -> Self {
        Failure::from(unusable).into()
    }
}

impl From<NoTime> for PyErr {
    fn from(none: NoTime) -> Self {
        Failure::from(none).into()
    }
}

/// Made once each: a non-blocking read that has nothing yet comes by here.
fn code<'py>(py: Python<'py>, failure: &Failure) -> &'py Bound<'py, PyString> {
    match failure {
        Failure::WantRead => intern!(py, "want_read"),
        Failure::WantWrite => intern!(py, "want_write"),
        Failure::Timeout => intern!(py, "timeout"),
        Failure::Interrupted => intern!(py, "interrupted"),
        Failure::UnexpectedEof => intern!(py, "unexpected_eof"),
        Failure::Closed => intern!(py, "closed"),
        Failure::HelloRefused(_) => intern!(py, "hello_refused"),
        Failure::DataAfterClose => intern!(py, "data_after_close"),
        Failure::BadWriteRetry => intern!(py, "bad_write_retry"),
        Failure::CallbackRunning(_) => intern!(py, "callback_running"),
        Failure::WriteAfterEof => intern!(py, "write_after_eof"),
        Failure::Forked => intern!(py, "forked"),
        Failure::Os(_) => intern!(py, "os"),
        Failure::AlertReceived(_) => intern!(py, "alert_received"),
        Failure::NoPeerCertificate => intern!(py, "no_peer_certificate"),
        Failure::Certificate(_) => intern!(py, "certificate"),
        Failure::NotTls(_) => intern!(py, "not_tls"),
        Failure::BadRecordMac => intern!(py, "bad_record_mac"),
        Failure::Incompatible(_) => intern!(py, "incompatible"),
        Failure::Protocol(_) => intern!(py, "protocol"),
        Failure::Unusable { .. } => intern!(py, "unusable"),
        Failure::KeyMismatch => intern!(py, "key_mismatch"),
        Failure::NoMemory => intern!(py, "no_memory"),
        Failure::Internal(_) => intern!(py, "internal"),
    }
}

/// Why an operation failed. What a failure of its kind does not have is empty or 0.
#[pyclass(frozen, name = "Failure", module = "veritls._engine")]
pub struct FailureEvidence(Failure);

#[pymethods]
impl FailureEvidence {
    /// Which failure it is.
    #[getter]
    fn code<'py>(&self, py: Python<'py>) -> &'py Bound<'py, PyString> {
        code(py, &self.0)
    }

    /// What tells failures of one code apart: a code of the engine's, or what a library says.
    #[getter]
    fn detail(&self) -> &str {
        match &self.0 {
            Failure::CallbackRunning(Callback::Verify) => "verify",
            Failure::CallbackRunning(Callback::Hello) => "hello",
            Failure::Unusable { why, .. } => why,
            Failure::Incompatible(why) => why,
            Failure::Protocol(why) | Failure::Internal(why) => why,
            Failure::Certificate(rejection) => &rejection.detail,
            _ => "",
        }
    }

    /// Of "os": the number of the error.
    #[getter]
    fn errno(&self) -> i32 {
        if let Failure::Os(errno) = self.0 { errno } else { 0 }
    }

    /// Of "alert_received": the alert (RFC 8446, section 6).
    #[getter]
    fn alert(&self) -> u8 {
        if let Failure::AlertReceived(alert) = self.0 { alert } else { 0 }
    }

    /// Of "not_tls": the first bytes, where it is the beginning of what the peer sent.
    #[getter]
    fn start(&self) -> &[u8] {
        if let Failure::NotTls(start) = &self.0 { start } else { &[] }
    }

    /// Of "unusable": what cannot be used.
    #[getter]
    fn what(&self) -> &'static str {
        if let Failure::Unusable { what, .. } = &self.0 { what.word() } else { "" }
    }

    /// Of "certificate": the evidence.
    #[getter]
    fn rejection(&self) -> Option<Rejection> {
        if let Failure::Certificate(rejection) = &self.0 { Some(Rejection(rejection.clone())) } else { None }
    }
}

/// Why a peer's certificate was refused.
#[pyclass(frozen, module = "veritls._engine")]
pub struct Rejection(Box<rejection::Rejection>);

fn bytes<'py>(py: Python<'py>, all: &[Vec<u8>]) -> Vec<Bound<'py, PyBytes>> {
    all.iter().map(|der| PyBytes::new(py, der)).collect()
}

#[pymethods]
impl Rejection {
    #[getter]
    fn kind(&self) -> &'static str {
        self.0.kind.word()
    }

    /// What tells cases of one kind apart: a code of the engine's, after which what a library said may follow (": ");
    /// what webpki says where it has none.
    #[getter]
    fn detail(&self) -> &str {
        &self.0.detail
    }

    /// Of the verification, in seconds since 1970.
    #[getter]
    fn time(&self) -> Option<u64> {
        self.0.time
    }

    /// What that is past, or before.
    #[getter]
    fn bound(&self) -> Option<u64> {
        self.0.bound
    }

    /// Names or keys that the certificate holds, the first of them.
    #[getter]
    fn presented(&self) -> Vec<String> {
        self.0.presented.clone()
    }

    /// How many there are besides.
    #[getter]
    fn left_out(&self) -> usize {
        self.0.left_out
    }

    /// The allowed peers or the pinned keys, none of which matches.
    #[getter]
    fn wanted(&self) -> Vec<String> {
        self.0.wanted.clone()
    }

    /// As the peer sent it, DER, its own certificate first.
    #[getter]
    fn chain<'py>(&self, py: Python<'py>) -> Vec<Bound<'py, PyBytes>> {
        bytes(py, &self.0.chain)
    }

    /// What is above the peer's certificate, up to the anchor's, DER; empty where no good path was found.
    #[getter]
    fn path<'py>(&self, py: Python<'py>) -> Vec<Bound<'py, PyBytes>> {
        bytes(py, &self.0.path)
    }

    /// Whose certificate it is.
    #[getter]
    fn purpose(&self) -> &'static str {
        self.0.demanded.purpose.word()
    }

    /// The name that it had to be for, where it had to be for one.
    #[getter]
    fn server_hostname(&self) -> Option<&str> {
        self.0.demanded.name.as_deref()
    }

    /// Whose revocation had to be known.
    #[getter]
    fn revocation(&self) -> &'static str {
        self.0.demanded.revocation.word()
    }

    #[getter]
    fn strict(&self) -> bool {
        self.0.demanded.strict
    }

    /// As text; None where any was.
    #[getter]
    fn allowed_peers(&self) -> Option<Vec<String>> {
        self.0.demanded.allowed.clone()
    }

    /// The same.
    #[getter]
    fn pinned_keys(&self) -> Option<Vec<String>> {
        self.0.demanded.pinned.clone()
    }

    /// Whether an OCSP response came along, or had to.
    #[getter]
    fn ocsp(&self) -> bool {
        self.0.demanded.ocsp
    }

    /// What the program's callback raised.
    #[getter]
    fn cause(&self, py: Python<'_>) -> Option<Py<PyBaseException>> {
        self.0.cause.as_deref().map(|cause| cause.value(py).clone().unbind())
    }

    #[getter]
    fn trust(&self) -> Option<TrustSet> {
        self.0.demanded.trust.clone().map(TrustSet)
    }
}
