//! The last that a failed connection sends: an alert, rustls's own or one that we name.

use rustls::AlertDescription;
use rustls::unbuffered::ConnectionState;

use crate::tls::connection::{Connection, Step, either, step};
use crate::tls::fatal_alert::{content, ends_with_alert, named, plain_alert};
use crate::tls::side::Side;
use crate::wire::buffers::Buffer;
use crate::wire::limits::RECORD_OVERHEAD;

/// No content type begins with it.
const NO_RECORD: u8 = 0xff;
const HEADER: usize = 5;

impl Connection {
    /// Queues the alert that rustls has to send after an error, or else `alert`. What came from the peer is given up.
    ///
    /// rustls sends an alert where it finds no record, and that becomes `alert`. It keeps positions in `incoming`, so
    /// what is there is overwritten, not removed. Handshake messages that it has found in there already are taken out
    /// before it looks for a record, and come to nothing; each has four bytes at least.
    pub(super) fn queue_alert(&mut self, alert: Option<AlertDescription>) {
        let Self { side, outgoing, close_notify_received, incoming, .. } = self;
        incoming.bytes_mut().fill(NO_RECORD);
        incoming.append(&[NO_RECORD; HEADER]);
        let (before, rounds) = (outgoing.len(), incoming.len());
        let mut used = 0;
        let mut ours = false;
        for _ in 0..rounds {
            let queued = outgoing.len();
            let rest = &mut incoming.bytes_mut()[used..];
            let mut next = || {
                either!(side, connection => {
                    step(connection.process_tls_records(rest), outgoing, close_notify_received, &mut |_| {})
                })
            };
            let (discard, result) = match alert {
                Some(alert) => named(alert, next),
                None => next(),
            };
            used += discard;
            if ends_with_alert(&outgoing.bytes()[before..]) {
                if ours && let Some(alert) = alert {
                    name_plain_alert(&mut outgoing.bytes_mut()[queued..], alert);
                }
                break;
            }
            match (result, alert) {
                (Err(_), None) => break,
                (Err(_), Some(_)) => ours = true,
                (Ok(Step::Again), _) => {}
                (Ok(Step::Blocked), Some(alert)) => {
                    // The peer sent close_notify: rustls looks at nothing more, but it writes.
                    let rest = &mut incoming.bytes_mut()[used..];
                    let room = outgoing.room(RECORD_OVERHEAD);
                    let written = named(alert, || {
                        either!(side, connection => {
                            match connection.process_tls_records(rest).state {
                                Ok(ConnectionState::WriteTraffic(mut traffic)) => {
                                    traffic.encrypt(&content(alert), room).ok()
                                }
                                _ => None,
                            }
                        })
                    });
                    outgoing.added(written.unwrap_or(0));
                    break;
                }
                (Ok(Step::Blocked), None) => break,
            }
        }
        self.incoming = Buffer::default();
    }
}

/// Names the alert in a record that is not encrypted.
fn name_plain_alert(record: &mut [u8], alert: AlertDescription) {
    let named = plain_alert(alert);
    if record.len() == named.len() && record.starts_with(&named[..HEADER]) {
        record.copy_from_slice(&named);
    }
}
