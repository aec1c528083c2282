//! Where records begin and end on the wire: to take whole ones. rustls looks into them.

use crate::wire::buffers::Buffer;
use crate::wire::limits::{HEADER, RECORD_ON_WIRE};

/// The length of the first record in `bytes`, as far as its header is there. What cannot be a record is as
/// long as a header: no call is to wait for the rest of it.
pub fn whole_record(bytes: &[u8]) -> usize {
    let Some([20..=24, 3, _, high, low]) = bytes.first_chunk::<HEADER>() else { return HEADER };
    match HEADER + usize::from(u16::from_be_bytes([*high, *low])) {
        length if length <= RECORD_ON_WIRE => length,
        _ => HEADER,
    }
}

/// How many of `bytes` are whole records.
pub fn whole_records(bytes: &[u8]) -> usize {
    let mut whole = 0;
    loop {
        let rest = &bytes[whole..];
        if rest.len() < HEADER || rest.len() < whole_record(rest) {
            return whole;
        }
        whole += whole_record(rest);
    }
}

/// What has come of a record that is not whole. Nothing but its header takes no memory.
#[derive(Default)]
pub struct Begun {
    header: [u8; HEADER],
    /// How much of the header is here; all of it where `record` is not empty.
    have: usize,
    record: Buffer,
}

impl Begun {
    pub fn len(&self) -> usize {
        if self.record.is_empty() { self.have } else { self.record.len() }
    }

    /// How long the record will be; at first, its header.
    pub fn whole(&self) -> usize {
        whole_record(&self.header[..self.have])
    }

    /// Whether the record is a change_cipher_spec (RFC 8446, section 5), which never comes last.
    pub fn changes_cipher(&self) -> bool {
        self.have == HEADER && self.header[0] == 20
    }

    /// Where the next bytes go: `size` of them at most, fewer where the header is not complete.
    pub fn room(&mut self, size: usize) -> &mut [u8] {
        if self.have < HEADER {
            let end = HEADER.min(self.have + size);
            return &mut self.header[self.have..end];
        }
        if self.record.is_empty() {
            self.record = Buffer::with_room(HEADER + size);
            self.record.append(&self.header);
        }
        self.record.room(size)
    }

    /// `count` bytes came to the room. Gives the records that are whole now, and keeps the rest; where there is no
    /// memory for the rest, all of it, for `take_whole`.
    pub fn added(&mut self, count: usize) -> Option<Buffer> {
        if self.have < HEADER {
            self.have += count;
            if self.have < HEADER || self.whole() > HEADER {
                return None;
            }
            self.record.append(&self.header);
        } else {
            self.record.added(count);
        }
        self.take_whole()
    }

    /// The records that are whole; keeps the rest.
    pub fn take_whole(&mut self) -> Option<Buffer> {
        let whole = whole_records(self.record.bytes());
        if whole == 0 {
            return None;
        }
        let rest = &self.record.bytes()[whole..];
        let mut next = Self { have: rest.len().min(HEADER), ..Self::default() };
        next.header[..next.have].copy_from_slice(&rest[..next.have]);
        if rest.len() > HEADER {
            next.record = Buffer::with_room(whole_record(rest));
            next.record.append(rest);
        }
        let mut records = std::mem::replace(self, next).record;
        records.truncate(whole);
        Some(records)
    }

    /// Everything that is here.
    pub fn take(&mut self) -> Buffer {
        let mut taken = std::mem::take(self);
        if taken.record.is_empty() {
            taken.record.append(&taken.header[..taken.have]);
        }
        taken.record
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(size: usize) -> Vec<u8> {
        let mut record = vec![23, 3, 3];
        record.extend_from_slice(&(size as u16).to_be_bytes());
        record.resize(HEADER + size, size as u8);
        record
    }

    #[test]
    fn records_come_out_whole_and_in_order_whatever_the_pieces() {
        let sizes = [0, 1, 2, 40, 16_401, 5, 16_384 + 2048, 0, 3];
        let wire: Vec<u8> = sizes.iter().flat_map(|size| record(*size)).collect();
        for piece in [1, 2, 4, 5, 6, 7, 100, 16_406, 50_000] {
            let (mut begun, mut given, mut rest) = (Begun::default(), Vec::new(), wire.as_slice());
            while !rest.is_empty() {
                let room = begun.room(piece);
                let count = room.len().min(rest.len());
                room[..count].copy_from_slice(&rest[..count]);
                rest = &rest[count..];
                if let Some(records) = begun.added(count) {
                    assert_eq!(whole_records(records.bytes()), records.len());
                    given.extend_from_slice(records.bytes());
                }
            }
            assert_eq!(begun.len(), 0);
            assert!(given == wire, "in pieces of {piece}");
        }
    }

    #[test]
    fn what_cannot_be_a_record_is_handed_on_without_waiting_for_its_rest() {
        for start in [*b"GET /", [23, 2, 0, 0, 9], [22, 3, 1, 0xff, 0xff], [22, 3, 1, 0, 0]] {
            let mut begun = Begun::default();
            begun.room(100).copy_from_slice(&start);
            let given = begun.added(HEADER).expect("it is as whole as it gets");
            assert_eq!(given.bytes(), start);
        }
    }
}
