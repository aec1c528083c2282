//! Records and the memory that they lie in.

pub mod buffers;
pub mod limits;
pub mod records;
