//! `sni_callback`, which accepts or refuses a client's hello. What guards a connection against it stands at the top
//! of `verify/callback.rs`.

use std::sync::Arc;

use pyo3::exceptions::{PyBaseException, PyException};
use pyo3::prelude::*;

use crate::memory::{call, report};
use crate::tls::client_hello::Preview;
use crate::tls::config::Config;
use crate::verify::callback::{Callback, CallbackState, Guest};

/// The alerts for a hello whose callback raised, and for one whose answer is none (RFC 8446, section 6.2).
pub const HANDSHAKE_FAILURE: u8 = 40;
const INTERNAL_ERROR: u8 = 80;

/// What a connection goes on with after the hello: another configuration and its verify callback, if any.
pub type Switched = Option<(Arc<Config>, Option<Py<PyAny>>)>;

/// What `sni_callback` answers: an alert or None, and what to go on with. An exception instead of an alert: this side
/// cannot serve the client, and says so to its caller.
pub type Answer<'py> = (Bound<'py, PyAny>, Switched);

/// `sni_callback`, and how its answer is read: the classes in it are those of the layer above.
pub struct HelloCallback {
    pub callable: Py<PyAny>,
    pub read: for<'py> fn(&Bound<'py, PyAny>) -> PyResult<Answer<'py>>,
}

/// Why a hello is refused: the alert, and an exception for the caller, such as one that ends the program
/// (KeyboardInterrupt).
pub struct Refusal {
    pub alert: u8,
    pub cause: Option<Arc<PyErr>>,
}

/// Asks a server's callback what to go on with for a client that asks for `name`. No caller can get what it raises:
/// that is reported, and the client is refused.
pub fn ask(
    hello: &HelloCallback,
    name: Option<String>,
    callback_state: Arc<CallbackState>,
) -> Result<Switched, Refusal> {
    let guest = Guest::enter(callback_state, Callback::Hello);
    let refusal = |alert| Refusal { alert, cause: None };
    let asked = Python::try_attach(|py| {
        let callback = hello.callable.bind(py);
        let raised = |error: PyErr, alert| {
            if !error.is_instance_of::<PyException>(py) {
                return Refusal { alert, cause: Some(Arc::new(error)) };
            }
            report(error, callback);
            refusal(alert)
        };
        let answer = guest.refuse_depth().and_then(|()| call(callback, (name,)));
        let answer = answer.and_then(|answer| (hello.read)(&answer));
        let (alert, switched) = answer.map_err(|error| raised(error, HANDSHAKE_FAILURE))?;
        if alert.is_instance_of::<PyBaseException>() {
            let cause = Some(Arc::new(PyErr::from_value(alert)));
            return Err(Refusal { alert: INTERNAL_ERROR, cause });
        }
        match alert.extract::<Option<u8>>() {
            Ok(None) => Ok(switched),
            Ok(Some(alert)) => Err(refusal(alert)),
            Err(error) => Err(raised(error, INTERNAL_ERROR)),
        }
    });
    asked.unwrap_or(Err(refusal(INTERNAL_ERROR)))
}

/// How far a server is with the client's hello. It only goes forward, and nothing reaches rustls before the end.
pub enum Greeting {
    /// It is not complete; the callback for it then.
    Incomplete(Box<Preview>, HelloCallback),
    CallbackRunning,
    Accepted,
}
