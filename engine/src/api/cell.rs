//! A reference that is swapped in one step.

use std::mem;
use std::sync::{Mutex, MutexGuard, PoisonError};

use pyo3::prelude::*;
use pyo3::{PyTraverseError, PyVisit};

/// Holds one object. No signal, trace function or other thread can come between a comparison and the store
/// that depends on it: both are one call, and no Python code runs within.
#[pyclass(frozen, module = "veritls._engine")]
pub struct Cell(Mutex<Py<PyAny>>);

impl Cell {
    fn lock(&self) -> MutexGuard<'_, Py<PyAny>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[pymethods]
impl Cell {
    #[new]
    pub fn new(value: Py<PyAny>) -> Self {
        Self(Mutex::new(value))
    }

    fn get(&self, py: Python<'_>) -> Py<PyAny> {
        self.lock().clone_ref(py)
    }

    /// Puts `value` in the place of `expected`; False, and nothing done, where something else is there.
    fn replace(&self, expected: &Bound<'_, PyAny>, value: Py<PyAny>) -> bool {
        let mut held = self.lock();
        if !held.is(expected) {
            return false;
        }
        let before = mem::replace(&mut *held, value);
        // What it takes along with it may run Python code.
        drop(held);
        drop(before);
        true
    }

    /// Every cycle through here also goes through an object that the collector can clear.
    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        match self.0.try_lock() {
            Ok(held) => visit.call(&*held),
            Err(_) => Ok(()),
        }
    }
}
