//! Records and the memory that they lie in.

pub mod buffers;
pub mod giving_back;
pub mod limits;
pub mod records;
