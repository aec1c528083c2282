//! What Python holds: classes and functions, each a thin face over what it wraps.

pub mod cell;
pub mod certificates;
pub mod checks;
pub mod crl;
pub mod event_loop_stream;
pub mod failure;
pub mod file;
pub mod file_states;
pub mod forks;
pub mod identity;
pub mod memory_bio;
pub mod session;
pub mod settings;
pub mod stream;
pub mod system_trust;
pub mod ticket_keyring;
pub mod trust_set;
