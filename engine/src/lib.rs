//! `veritls._engine`: TLS for Python. Knows TLS; knows no policy names and no Python classes.

#[cfg(not(unix))]
compile_error!("veritls runs on Linux and macOS: docs/platforms.md has the plan for Windows");

mod api;
mod clock;
mod driving;
mod error;
mod fork;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod memory;
mod tls;
mod verify;
mod wire;

use pyo3::prelude::*;

// Safe without the GIL, which an import would otherwise turn on again in a free-threaded interpreter.
#[pymodule(gil_used = false)]
fn _engine(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<api::memory_bio::MemoryBIO>()?;
    module.add_class::<api::cell::Cell>()?;
    module.add_class::<api::failure::FailureEvidence>()?;
    module.add_class::<api::failure::Rejection>()?;
    module.add_class::<api::file::File>()?;
    module.add_class::<api::identity::Identity>()?;
    module.add_class::<api::event_loop_stream::EventLoopStream>()?;
    module.add_class::<api::crl::Crl>()?;
    module.add_class::<api::session::Session>()?;
    module.add_class::<api::settings::Settings>()?;
    module.add_class::<api::settings::Statistics>()?;
    module.add_class::<api::stream::Stream>()?;
    module.add_class::<api::ticket_keyring::TicketKeyring>()?;
    module.add_class::<api::trust_set::TrustSet>()?;
    module.add_class::<api::file_states::FileStates>()?;
    module.add_function(wrap_pyfunction!(api::memory_bio::pass_on, module)?)?;
    module.add_function(wrap_pyfunction!(api::checks::work_spent, module)?)?;
    module.add_function(wrap_pyfunction!(api::certificates::contents, module)?)?;
    module.add_function(wrap_pyfunction!(api::certificates::distinguished_name, module)?)?;
    module.add_function(wrap_pyfunction!(api::failure::report_unraisable, module)?)?;
    module.add_function(wrap_pyfunction!(api::failure::set_translator, module)?)?;
    module.add_function(wrap_pyfunction!(api::identity::is_private_key, module)?)?;
    module.add_function(wrap_pyfunction!(api::checks::matcher_fault, module)?)?;
    module.add_function(wrap_pyfunction!(api::checks::matches_certificate, module)?)?;
    module.add_function(wrap_pyfunction!(api::checks::matches_name, module)?)?;
    module.add_function(wrap_pyfunction!(api::checks::spiffe_id, module)?)?;
    module.add_function(wrap_pyfunction!(api::checks::check_ocsp_response, module)?)?;
    module.add_function(wrap_pyfunction!(api::settings::signature_schemes, module)?)?;
    module.add_function(wrap_pyfunction!(api::settings::is_server_name, module)?)?;
    module.add_function(wrap_pyfunction!(api::settings::key_exchange_groups, module)?)?;
    module.add_function(wrap_pyfunction!(api::certificates::split_certificates, module)?)?;
    module.add_function(wrap_pyfunction!(api::certificates::alternative_names, module)?)?;
    module.add_function(wrap_pyfunction!(api::certificates::elements, module)?)?;
    module.add_function(wrap_pyfunction!(api::certificates::has_odd_serial, module)?)?;
    module.add_function(wrap_pyfunction!(api::certificates::is_ca, module)?)?;
    module.add_function(wrap_pyfunction!(api::certificates::names, module)?)?;
    module.add_function(wrap_pyfunction!(api::certificates::is_signed_by, module)?)?;
    module.add_function(wrap_pyfunction!(api::system_trust::system_certificates, module)?)?;
    module.add("VERSION", env!("CARGO_PKG_VERSION"))?;
    module.add(
        "listeners",
        api::cell::Cell::new(pyo3::types::PyTuple::empty(module.py()).into_any().unbind()),
    )?;
    api::forks::watch(module)
}
