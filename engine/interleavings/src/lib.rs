//! The engine's own sources for descriptors, turns and forks, as they are, over a library whose threads a scheduler
//! runs one step at a time: see `modelled`. The tests try its schedules.
#![allow(dead_code, reason = "the sources hold more than the tests call")]

extern crate modelled as std;

pub mod driving;
#[path = "../../src/error.rs"]
pub mod error;
#[path = "../../src/fork.rs"]
pub mod fork;
pub mod memory;
pub mod tls;
