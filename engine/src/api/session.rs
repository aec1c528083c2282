//! A client's session, as Python keeps it.

use pyo3::prelude::*;

use crate::tls::session;

/// A session that a later connection of the same client can offer.
#[pyclass(frozen, module = "veritls._engine")]
pub struct Session(pub session::Session);

#[pymethods]
impl Session {
    /// Whether something is left to offer.
    #[getter]
    fn has_ticket(&self) -> bool {
        !self.0.wallet.is_empty()
    }
}
