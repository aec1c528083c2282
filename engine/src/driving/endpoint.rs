//! A connection, its descriptor, and who is at work on it: what both drivers share.

use crate::driving::blocking::Pump;
use crate::driving::descriptor::Descriptor;
use crate::fork::{AtWork, Users};
use crate::tls::failure::Failure;

pub struct Endpoint {
    pub pump: Pump,
    /// Who is within a call, or looks at the connection.
    pub users: Users,
    pub descriptor: Descriptor,
}

impl Endpoint {
    /// To be kept by who works on the connection, while that lasts.
    pub fn enter(&self) -> Result<AtWork<'_>, Failure> {
        Ok(AtWork::on(&self.users)?)
    }
}
