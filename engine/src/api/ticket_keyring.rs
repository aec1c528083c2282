//! The secrets that a fleet's contexts share, as Python hands them over.

use std::num::NonZeroU32;
use std::sync::Arc;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use zeroize::Zeroizing;

use crate::tls::keyring::{Entry, Keyring, MOST};

/// (secret, the salt of its one epoch or None, the first epoch, the last)
type Given = (Vec<u8>, Option<[u8; 32]>, u32, u32);

/// What contexts seal their tickets with that share it; it holds nothing yet.
#[pyclass(frozen, module = "veritls._engine")]
pub struct TicketKeyring(pub Arc<Keyring>);

#[pymethods]
impl TicketKeyring {
    /// `period`: of an epoch, in seconds.
    #[new]
    fn new(period: NonZeroU32) -> Self {
        Self(Arc::new(Keyring::shared(period.get())))
    }

    /// Holds these secrets and no others, the preferred first.
    fn hold(&self, secrets: Vec<Given>) -> PyResult<()> {
        if secrets.len() > MOST {
            return Err(PyValueError::new_err(format!("a keyring holds {MOST} secrets at most")));
        }
        let entries = secrets.into_iter().map(|(secret, salt, first, last)| {
            let secret = Zeroizing::new(secret);
            if salt.is_some() && first != last {
                return Err(PyValueError::new_err("a salt is of one epoch"));
            }
            Entry::derived(self.0.period, &secret, salt.as_ref(), first..=last)
                .ok_or_else(|| PyValueError::new_err("a secret cannot be derived"))
        });
        self.0.hold(entries.collect::<PyResult<_>>()?);
        Ok(())
    }
}
