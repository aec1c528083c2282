//! CRLs, as Python keeps them.

use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::error::{Thing, Unusable};
use crate::verify::crl;
use crate::verify::signature_cache::algorithms;

/// A CRL as Python keeps it.
#[pyclass(frozen, module = "veritls._engine")]
pub struct Crl(pub Arc<crl::Crl>);

#[pymethods]
impl Crl {
    /// `der`: of the form that webpki takes. Refuses what cannot be read, delta and indirect CRLs, and those
    /// that are partitioned by reason.
    #[new]
    fn new(py: Python<'_>, der: Vec<u8>) -> PyResult<Self> {
        let crl = py.detach(|| crl::Crl::read(der));
        Ok(Self(Arc::new(crl.map_err(|why| Unusable::new(Thing::Crl, why))?)))
    }

    /// Whether the subject of a certificate (DER) signed it, and may sign CRLs.
    fn signed_by(&self, py: Python<'_>, issuer: Vec<u8>) -> bool {
        let algorithms = algorithms();
        py.detach(|| self.0.signed_by(&issuer, algorithms).is_ok())
    }

    #[getter]
    fn der<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.0.der)
    }

    /// The issuer's name, DER.
    #[getter]
    fn issuer<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.0.issuer)
    }

    /// The authority key identifier, and the issuing distribution point, DER: CRLs of one issuer that have
    /// both in common follow one another.
    #[getter]
    fn line<'py>(&self, py: Python<'py>) -> (Option<Bound<'py, PyBytes>>, Option<Bound<'py, PyBytes>>) {
        let bytes = |part: &[u8]| PyBytes::new(py, part);
        let scope = self.0.distribution_point();
        (self.0.authority_key.as_deref().map(bytes), scope.map(bytes))
    }

    /// The certificate, DER, that signed it, once a verified path led to one.
    #[getter]
    fn signer<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyBytes>> {
        let signer = self.0.signer()?;
        Some(PyBytes::new(py, &signer))
    }

    /// The CRL number, as bytes of a big-endian number.
    #[getter]
    fn number<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyBytes>> {
        self.0.number.as_deref().map(|number| PyBytes::new(py, number))
    }

    /// thisUpdate and nextUpdate, in seconds since 1970.
    #[getter]
    fn period(&self) -> (u64, u64) {
        (self.0.this_update, self.0.next_update)
    }
}
