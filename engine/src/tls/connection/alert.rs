//! The last that a failed connection sends: an alert, rustls's own or one that we name.

use rustls::AlertDescription;
use rustls::unbuffered::ConnectionState;

use crate::tls::connection::{Connection, Step, either, step};
use crate::tls::fatal_alert::{content, ends_with_alert, named, plain_alert};
use crate::tls::side::Side;
use crate::wire::buffers::Buffer;
use crate::wire::limits::RECORD_OVERHEAD;

/// No content type: rustls refuses a record that begins with it.
const NO_RECORD: u8 = 0xff;
const HEADER: usize = 5;

impl Connection {
    /// Queues the alert that rustls has to send after an error, or else `alert`. What came from the peer is given up.
    ///
    /// rustls keeps positions in `incoming`, so what is there is overwritten, not removed. The handshake messages that
    /// it has found in there already come first, and to nothing; each has four bytes at least, which bounds the rounds.
    pub(super) fn queue_alert(&mut self, alert: Option<AlertDescription>) {
        // After our close_notify nothing may follow (RFC 8446, section 6.1).
        let alert = alert.filter(|_| !self.close_notify_sent);
        self.incoming.bytes_mut().fill(NO_RECORD);
        self.incoming.append(&[NO_RECORD; HEADER]);
        let before = self.outgoing.len();
        let mut used = 0;
        let mut refused = false;
        for _ in 0..self.incoming.len() {
            let queued = self.outgoing.len();
            let (discard, step) = named(alert, || self.step_over(used));
            used += discard;
            if ends_with_alert(&self.outgoing.bytes()[before..]) {
                if let Some(alert) = alert.filter(|_| refused) {
                    name_plain_alert(&mut self.outgoing.bytes_mut()[queued..], alert);
                }
                break;
            }
            match (step, alert) {
                (Some(Step::Again), _) => {}
                (None, Some(_)) => refused = true,
                (Some(Step::Blocked), Some(alert)) => {
                    self.write_alert(used, alert);
                    break;
                }
                (_, None) => break,
            }
        }
        self.incoming = Buffer::default();
    }

    /// A step that gives up what it finds; None where rustls refuses.
    fn step_over(&mut self, used: usize) -> (usize, Option<Step>) {
        let Self { side, outgoing, close_notify_received, incoming, .. } = self;
        let rest = &mut incoming.bytes_mut()[used..];
        let (discard, result) = either!(side, connection => {
            step(connection.process_tls_records(rest), outgoing, close_notify_received, &mut |_| {})
        });
        (discard, result.ok())
    }

    /// After the peer's close_notify rustls looks at nothing, and so refuses nothing; but it writes.
    fn write_alert(&mut self, used: usize, alert: AlertDescription) {
        let Self { side, outgoing, incoming, .. } = self;
        let rest = &mut incoming.bytes_mut()[used..];
        let room = outgoing.room(RECORD_OVERHEAD);
        let written = named(Some(alert), || {
            either!(side, connection => match connection.process_tls_records(rest).state {
                Ok(ConnectionState::WriteTraffic(mut traffic)) => traffic.encrypt(&content(alert), room).ok(),
                _ => None,
            })
        });
        outgoing.added(written.unwrap_or(0));
    }
}

/// Names the alert in a record that is not encrypted.
fn name_plain_alert(record: &mut [u8], alert: AlertDescription) {
    let named = plain_alert(alert);
    if record.len() == named.len() && record.starts_with(&named[..HEADER]) {
        record.copy_from_slice(&named);
    }
}
