#[path = "../../src/driving/bell.rs"]
pub mod bell;
#[path = "../../src/driving/descriptor.rs"]
pub mod descriptor;
#[path = "../../src/driving/turn_lock.rs"]
pub mod turn_lock;
#[path = "../../src/driving/wait.rs"]
pub mod wait;
