//! What moves bytes between a connection and a socket or a buffer, and waits.

pub mod bell;
pub mod blocking;
pub mod core;
pub mod descriptor;
pub mod event_loop;
pub mod memory_bio;
pub mod outbound;
pub mod platform;
pub mod sending;
pub mod transport;
pub mod turn_lock;
pub mod wait;
