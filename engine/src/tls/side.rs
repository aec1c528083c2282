//! Client or server: rustls's connection.

use rustls::client::UnbufferedClientConnection;
use rustls::server::UnbufferedServerConnection;

// One connection is one allocation, and both variants are of a similar size in use.
#[allow(clippy::large_enum_variant)]
pub enum Side {
    Client(UnbufferedClientConnection),
    Server(UnbufferedServerConnection),
}
