//! `veritls._engine`: TLS for Python. Knows TLS; knows no policy names and no Python classes.

mod api;
mod clock;
mod driving;
mod fork;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod memory;
mod tls;
mod verify;
mod wire;

use pyo3::prelude::*;

#[pymodule]
fn _engine(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<driving::memory_bio::MemoryBIO>()?;
    module.add_class::<api::cell::Cell>()?;
    module.add_class::<api::file::File>()?;
    module.add_class::<tls::own_identity::Identity>()?;
    module.add_class::<api::event_loop_stream::Link>()?;
    module.add_class::<verify::crl::RevocationList>()?;
    module.add_class::<tls::session::Session>()?;
    module.add_class::<tls::config::Settings>()?;
    module.add_class::<tls::config::Statistics>()?;
    module.add_class::<api::stream::Stream>()?;
    module.add_class::<verify::trust::TrustSet>()?;
    module.add_function(wrap_pyfunction!(driving::memory_bio::pass_on, module)?)?;
    module.add_function(wrap_pyfunction!(verify::budget::work_spent, module)?)?;
    module.add_function(wrap_pyfunction!(api::certificates::contents, module)?)?;
    module.add_function(wrap_pyfunction!(api::certificates::distinguished_name, module)?)?;
    module.add_function(wrap_pyfunction!(tls::failure::set_translator, module)?)?;
    module.add_function(wrap_pyfunction!(tls::own_identity::is_private_key, module)?)?;
    module.add_function(wrap_pyfunction!(verify::peer_policy::matcher_fault, module)?)?;
    module.add_function(wrap_pyfunction!(verify::ocsp::check_ocsp_response, module)?)?;
    module.add_function(wrap_pyfunction!(tls::signature_schemes::signature_schemes, module)?)?;
    module.add_function(wrap_pyfunction!(tls::config::is_server_name, module)?)?;
    module.add_function(wrap_pyfunction!(tls::config::key_exchange_groups, module)?)?;
    module.add_function(wrap_pyfunction!(verify::trust::split_certificates, module)?)?;
    module.add_function(wrap_pyfunction!(verify::trust::alternative_names, module)?)?;
    module.add_function(wrap_pyfunction!(verify::trust::elements, module)?)?;
    module.add_function(wrap_pyfunction!(verify::trust::has_odd_serial, module)?)?;
    module.add_function(wrap_pyfunction!(verify::trust::is_authority, module)?)?;
    module.add_function(wrap_pyfunction!(verify::trust::names, module)?)?;
    module.add_function(wrap_pyfunction!(verify::trust::system_certificates, module)?)?;
    // Made now: a thread that is at it when the process forks never ends it in the child.
    verify::signature_cache::algorithms();
    fork::watch(module)
}
