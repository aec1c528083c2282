//! What Python is told of a failure: a code and its evidence. What a user reads is made of it in `errors.py`.

use pyo3::exceptions::{PyException, PyRuntimeError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyDict, PyTuple};

use crate::api::trust_set::TrustSet;
use crate::error::{NoTime, Unusable};
use crate::memory::call;
use crate::tls::failure::Failure;
use crate::verify::callback::Callback;
use crate::verify::rejection::Rejection;

static TRANSLATOR: PyOnceLock<Py<PyAny>> = PyOnceLock::new();

/// Hands over the function that makes the exception: (code, detail, evidence) -> BaseException.
#[pyfunction]
pub fn set_translator(py: Python<'_>, translator: Py<PyAny>) {
    let _ = TRANSLATOR.set(py, translator);
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
            let made = evidence(&failure, py).and_then(|(detail, evidence)| match TRANSLATOR.get(py) {
                Some(translator) => call(translator.bind(py), (code(&failure), detail, evidence)),
                None => Err(PyRuntimeError::new_err(code(&failure))),
            });
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

fn code(failure: &Failure) -> &'static str {
    match failure {
        Failure::WantRead => "want_read",
        Failure::WantWrite => "want_write",
        Failure::Timeout => "timeout",
        Failure::Interrupted => "interrupted",
        Failure::UnexpectedEof => "unexpected_eof",
        Failure::Closed => "closed",
        Failure::HelloRefused(_) => "hello_refused",
        Failure::DataAfterClose => "data_after_close",
        Failure::BadWriteRetry => "bad_write_retry",
        Failure::Deciding(_) => "deciding",
        Failure::WriteAfterEof => "write_after_eof",
        Failure::Forked => "forked",
        Failure::Os(_) => "os",
        Failure::AlertReceived(_) => "alert_received",
        Failure::NoPeerCertificate => "no_peer_certificate",
        Failure::Certificate(_) => "certificate",
        Failure::NotTls(_) => "not_tls",
        Failure::BadRecordMac => "bad_record_mac",
        Failure::Incompatible(_) => "incompatible",
        Failure::Protocol(_) => "protocol",
        Failure::Unusable { .. } => "unusable",
        Failure::KeyMismatch => "key_mismatch",
        Failure::NoMemory => "no_memory",
        Failure::Internal(_) => "internal",
    }
}

fn evidence<'py>(failure: &Failure, py: Python<'py>) -> PyResult<(String, Bound<'py, PyDict>)> {
    let evidence = PyDict::new(py);
    let detail = match failure {
        Failure::Os(errno) => {
            evidence.set_item("errno", errno)?;
            String::new()
        }
        Failure::AlertReceived(description) => {
            evidence.set_item("alert", description)?;
            String::new()
        }
        Failure::Deciding(callback) => match callback {
            Callback::Verify => "the verify callback".to_owned(),
            Callback::Hello => "sni_callback".to_owned(),
        },
        Failure::NotTls(start) => {
            evidence.set_item("start", start.as_slice())?;
            String::new()
        }
        Failure::Unusable { what, why } => {
            evidence.set_item("what", what)?;
            why.clone()
        }
        Failure::Incompatible(why) | Failure::Protocol(why) | Failure::Internal(why) => why.clone(),
        Failure::Certificate(rejection) => {
            add_rejection(rejection, py, &evidence)?;
            rejection.detail.clone()
        }
        _ => String::new(),
    };
    Ok((detail, evidence))
}

fn add_rejection<'py>(rejection: &Rejection, py: Python<'py>, evidence: &Bound<'py, PyDict>) -> PyResult<()> {
    let bytes = |list: &[Vec<u8>]| PyTuple::new(py, list.iter().map(|der| PyBytes::new(py, der)));
    evidence.set_item("kind", rejection.kind)?;
    evidence.set_item("time", rejection.time)?;
    evidence.set_item("bound", rejection.bound)?;
    evidence.set_item("expected", &rejection.expected)?;
    evidence.set_item("presented", &rejection.presented)?;
    evidence.set_item("chain", bytes(&rejection.chain)?)?;
    evidence.set_item("path", bytes(&rejection.path)?)?;
    evidence.set_item("purpose", rejection.asked.purpose)?;
    evidence.set_item("name", &rejection.asked.name)?;
    evidence.set_item("revocation", rejection.asked.revocation)?;
    evidence.set_item("strict", rejection.asked.strict)?;
    evidence.set_item("allowed", &rejection.asked.allowed)?;
    evidence.set_item("pinned", &rejection.asked.pinned)?;
    evidence.set_item("ocsp", rejection.asked.ocsp)?;
    evidence.set_item("cause", rejection.cause.as_ref().map(|cause| cause.value(py)))?;
    evidence.set_item("trust", rejection.asked.trust.clone().map(TrustSet))
}
