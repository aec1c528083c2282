//! What Python holds: classes and functions, each a thin face over what it wraps.

pub mod cell;
pub mod certificates;
pub mod event_loop_stream;
pub mod file;
pub mod stream;
