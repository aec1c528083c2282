//! Python tells of each fork, in the child.

use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::driving::bell;
use crate::fork::next_generation;

#[pyfunction]
fn forked() {
    next_generation();
    bell::renew();
}

pub fn watch(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let hooks = PyDict::new(module.py());
    hooks.set_item("after_in_child", wrap_pyfunction!(forked, module)?)?;
    module.py().import("os")?.getattr("register_at_fork")?.call((), Some(&hooks)).map(drop)
}
