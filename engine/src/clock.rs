//! What time it is. `UnixTime::now` panics before 1970, and a clock may well be there: one without a battery, or
//! one that was set wrong. Nothing that has an end can be verified then, so every question fails.

use std::time::{SystemTime, UNIX_EPOCH};

use rustls::pki_types::UnixTime;

use crate::error::NoTime;

pub fn now() -> Result<UnixTime, NoTime> {
    since_1970(SystemTime::now())
}

fn since_1970(time: SystemTime) -> Result<UnixTime, NoTime> {
    time.duration_since(UNIX_EPOCH).map(UnixTime::since_unix_epoch).map_err(|_| NoTime)
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
