//! What the operating system trusts.

use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::api::file_states::{FileStates, places};

/// The certificates that the operating system trusts, DER; what could not be read of them, in words; and the states
/// of the files that it was read from, None where a later call has to read them again.
type Found<'py> = (Vec<Bound<'py, PyBytes>>, Vec<String>, Option<FileStates>);

#[pyfunction]
pub fn system_certificates(py: Python<'_>) -> Found<'_> {
    let (found, states) = py.detach(|| {
        let before = places::states();
        let found = rustls_native_certs::load_native_certs();
        let after = places::states();
        (found, before.filter(|before| Some(before) == after.as_ref()))
    });
    let errors = found.errors.iter().map(ToString::to_string).collect();
    let certificates = found.certs.iter().map(|der| PyBytes::new(py, der)).collect();
    (certificates, errors, states)
}
