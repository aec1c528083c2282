//! `veritls._engine`: TLS for Python. Knows TLS; knows no policy names and no Python classes.

mod bell;
mod bio;
mod budget;
mod buffer;
mod candidates;
mod cell;
mod clock;
mod connection;
mod contents;
mod crl_scope;
mod crl_signers;
mod decider;
mod descriptor;
mod failure;
mod file;
mod fingerprint;
mod fork;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod hello;
mod identity;
mod last_words;
mod link;
mod ocsp;
mod path;
mod peers;
mod pool;
mod profile;
mod pump;
mod records;
mod revocation;
mod schemes;
mod search;
mod session;
mod settings;
mod signatures;
mod signed;
mod specific;
mod stream;
mod strict;
mod ticket_keys;
mod tickets;
mod transport;
mod trust;
mod turn;
mod verifier;

use pyo3::prelude::*;

#[pymodule]
fn _engine(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<bio::MemoryBIO>()?;
    module.add_class::<cell::Cell>()?;
    module.add_class::<file::File>()?;
    module.add_class::<identity::Identity>()?;
    module.add_class::<link::Link>()?;
    module.add_class::<revocation::RevocationList>()?;
    module.add_class::<session::Session>()?;
    module.add_class::<settings::Settings>()?;
    module.add_class::<settings::Statistics>()?;
    module.add_class::<stream::Stream>()?;
    module.add_class::<trust::TrustSet>()?;
    module.add_function(wrap_pyfunction!(bio::pass_on, module)?)?;
    module.add_function(wrap_pyfunction!(budget::work_spent, module)?)?;
    module.add_function(wrap_pyfunction!(contents::contents, module)?)?;
    module.add_function(wrap_pyfunction!(contents::distinguished_name, module)?)?;
    module.add_function(wrap_pyfunction!(failure::set_translator, module)?)?;
    module.add_function(wrap_pyfunction!(identity::is_private_key, module)?)?;
    module.add_function(wrap_pyfunction!(peers::matcher_fault, module)?)?;
    module.add_function(wrap_pyfunction!(ocsp::check_ocsp_response, module)?)?;
    module.add_function(wrap_pyfunction!(schemes::signature_schemes, module)?)?;
    module.add_function(wrap_pyfunction!(settings::is_server_name, module)?)?;
    module.add_function(wrap_pyfunction!(settings::key_exchange_groups, module)?)?;
    module.add_function(wrap_pyfunction!(trust::split_certificates, module)?)?;
    module.add_function(wrap_pyfunction!(trust::alternative_names, module)?)?;
    module.add_function(wrap_pyfunction!(trust::elements, module)?)?;
    module.add_function(wrap_pyfunction!(trust::has_odd_serial, module)?)?;
    module.add_function(wrap_pyfunction!(trust::is_authority, module)?)?;
    module.add_function(wrap_pyfunction!(trust::names, module)?)?;
    module.add_function(wrap_pyfunction!(trust::system_certificates, module)?)?;
    // Made now: a thread that is at it when the process forks never ends it in the child.
    signatures::algorithms();
    fork::watch(module)
}
