//! What time it is. `UnixTime::now` panics before 1970, and a clock may well be there: one without a battery, or
//! one that somebody set. Nothing that has an end can be verified then, so that whatever asks fails.

use std::time::{SystemTime, UNIX_EPOCH};

use rustls::Error;
use rustls::pki_types::UnixTime;
use rustls::time_provider::TimeProvider;

use crate::tls::failure::Failure;

/// The clock shows a time before 1970.
#[derive(Debug, PartialEq)]
pub struct NoTime;

impl From<NoTime> for Error {
    fn from(_: NoTime) -> Self {
        Self::FailedToGetCurrentTime
    }
}

impl From<NoTime> for Failure {
    fn from(_: NoTime) -> Self {
        Self::Unusable { what: "the system's clock", why: "it shows a time before 1970".to_owned() }
    }
}

pub fn now() -> Result<UnixTime, NoTime> {
    since_1970(SystemTime::now())
}

fn since_1970(time: SystemTime) -> Result<UnixTime, NoTime> {
    time.duration_since(UNIX_EPOCH).map(UnixTime::since_unix_epoch).map_err(|_| NoTime)
}

/// The same for rustls.
#[derive(Debug)]
pub struct Clock;

impl TimeProvider for Clock {
    fn current_time(&self) -> Option<UnixTime> {
        now().ok()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_time_before_1970_is_none() {
        let second = Duration::from_secs(1);
        assert_eq!(since_1970(UNIX_EPOCH - second), Err(NoTime));
        assert_eq!(since_1970(UNIX_EPOCH + second), Ok(UnixTime::since_unix_epoch(second)));
    }
}
