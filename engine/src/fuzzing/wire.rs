//! Records as they are cut from what arrives, and a client's hello before rustls has it.

use crate::tls::client_hello::{Preview, Seen};
use crate::wire::records::Begun;

pub use crate::wire::limits::{HEADER, RECORD_ON_WIRE};

/// What has come of a record that is not whole.
#[derive(Default)]
pub struct Reader(Begun);

impl Reader {
    /// How long the record will be; at first, its header.
    pub fn whole(&self) -> usize {
        self.0.whole()
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.len() == 0
    }

    /// Takes from the front of `bytes`, `room` of them at most: how many, and the records that are whole now.
    pub fn take(&mut self, bytes: &[u8], room: usize) -> (usize, Option<Vec<u8>>) {
        let place = self.0.room(room);
        let count = place.len().min(room).min(bytes.len());
        place[..count].copy_from_slice(&bytes[..count]);
        (count, self.0.added(count).map(|records| records.bytes().to_vec()))
    }

    pub fn rest(&mut self) -> Vec<u8> {
        self.0.take().bytes().to_vec()
    }
}

/// What is known of a client's hello.
#[derive(Clone, Debug, PartialEq)]
pub enum Hello {
    Incomplete,
    /// It asks for this name.
    Complete(Option<String>),
    Refused,
}

#[derive(Default)]
pub struct HelloPreview(Preview);

impl HelloPreview {
    /// `incoming`: everything since the beginning.
    pub fn look(&mut self, incoming: &[u8]) -> Hello {
        match self.0.look(incoming) {
            Seen::More => Hello::Incomplete,
            Seen::Hello(name) => Hello::Complete(name),
            Seen::Unreadable(_, alert) => {
                assert!(alert.is_empty() || alert.len() == 7, "an alert of its own");
                Hello::Refused
            }
        }
    }
}
