//! The ways in, without I/O and without Python: what engine/fuzz feeds. No part of the extension module.

pub mod certificates;
pub mod connection;
pub mod identity;
pub mod wire;
