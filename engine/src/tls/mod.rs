//! One connection without I/O, and what it is made of. The only callers of rustls.

pub mod client_hello;
pub mod config;
pub mod connection;
pub mod failure;
pub mod fatal_alert;
pub mod fingerprint;
pub mod handshake;
pub mod hello_callback;
pub mod keyring;
pub mod own_identity;
pub mod peer_verifier;
pub mod recipe;
pub mod resolvers;
pub mod session;
pub mod side;
pub mod signature_schemes;
pub mod telling;
pub mod ticket_keys;
pub mod tickets;
