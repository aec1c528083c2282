//! What is changed of a flight: read from the fuzzer's input, applied to records one after the other.

use crate::input::Input;

pub const CHANGE_CIPHER_SPEC: u8 = 20;
pub const HANDSHAKE: u8 = 22;
pub const APPLICATION_DATA: u8 = 23;

const MOST_EDITS: usize = 12;
const LONGEST: usize = 16_384;

/// A record, its content not encrypted.
#[derive(Clone, Debug)]
pub struct Record {
    pub kind: u8,
    pub content: Vec<u8>,
    /// Not encrypted, whatever keys there are.
    pub bare: bool,
    /// A bit to flip in what goes over the wire.
    pub flip: Option<usize>,
}

impl Record {
    pub fn new(kind: u8, content: &[u8]) -> Self {
        Self { kind, content: content.to_vec(), bare: false, flip: None }
    }
}

struct Edit {
    /// The number of the record.
    at: usize,
    what: u8,
    place: usize,
    new: Vec<u8>,
}

/// Of one direction.
pub struct Edits {
    edits: Vec<Edit>,
    seen: usize,
    /// Records that come behind the next one.
    later: Vec<Record>,
}

impl Edits {
    /// Each: the number of the record, what to do, the place in it, new bytes after their length.
    pub fn read(input: &mut Input<'_>, count: usize) -> Self {
        let mut edits = Vec::new();
        for _ in 0..count.min(MOST_EDITS) {
            let (at, what, place) = (usize::from(input.byte() & 0x1f), input.byte(), input.number());
            let length = usize::from(input.byte());
            edits.push(Edit { at, what, place, new: input.bytes(length).to_vec() });
        }
        Self { edits, seen: 0, later: Vec::new() }
    }

    pub fn none() -> Self {
        Self { edits: Vec::new(), seen: 0, later: Vec::new() }
    }

    pub fn are_none(&self) -> bool {
        self.edits.is_empty()
    }

    /// What goes in the place of the next record.
    pub fn apply(&mut self, record: Record) -> Vec<Record> {
        let mut records = vec![record];
        let mut held = Vec::new();
        for edit in self.edits.iter().filter(|edit| edit.at == self.seen) {
            apply(edit, &mut records, &mut held);
        }
        self.seen += 1;
        records.append(&mut self.later);
        self.later = held;
        records
    }
}

fn apply(edit: &Edit, records: &mut Vec<Record>, held: &mut Vec<Record>) {
    let new = &edit.new;
    let inserted = || {
        let (kind, content) = new.split_first().unwrap_or((&0, &[]));
        Record { bare: kind & 0x80 != 0, ..Record::new(kind & 0x7f, content) }
    };
    let Some(record) = records.last_mut() else { return };
    let content = &mut record.content;
    let place = edit.place % (content.len() + 1);
    match edit.what % 18 {
        0 => {
            if let Some(byte) = content.get_mut(place) {
                *byte ^= new.first().copied().unwrap_or(1);
            }
        }
        1 => {
            for (byte, new) in content[place..].iter_mut().zip(new) {
                *byte = *new;
            }
        }
        2 => drop(content.splice(place..place, new.iter().copied())),
        3 => {
            let end = content.len().min(place + new.len().max(1));
            content.drain(place..end);
        }
        4 => content.truncate(place),
        5 => drop(records.pop()),
        6 => {
            let again = record.clone();
            records.push(again);
        }
        7 => records.insert(0, inserted()),
        8 => records.push(inserted()),
        9 => {
            let behind = content.split_off(place);
            let (kind, bare) = (record.kind, record.bare);
            records.push(Record { bare, ..Record::new(kind, &behind) });
        }
        10 => record.kind = new.first().copied().unwrap_or(0),
        11 => held.extend(records.pop()),
        // A flood.
        12 => {
            let flood = vec![inserted(); 1 + edit.place % 80];
            records.splice(0..0, flood);
        }
        13 => record.flip = Some(edit.place),
        14 => record.bare = !record.bare,
        // Another message of the handshake, its length right.
        15 => {
            let (kind, body) = new.split_first().unwrap_or((&0, &[]));
            let length = (body.len() as u32).to_be_bytes();
            *content = [&[*kind][..], &length[1..], body].concat();
        }
        // Changed within a message of the handshake, whose own length stays right.
        16 => {
            content.splice(place..place, new.iter().copied());
            if let Some(length) = content.len().checked_sub(4) {
                content[1..4].copy_from_slice(&(length as u32).to_be_bytes()[1..]);
            }
        }
        // A message that never ends, in records that are full.
        _ => {
            let mut endless = vec![0; LONGEST];
            endless[..4].copy_from_slice(&[new.first().copied().unwrap_or(11), 0, 255, 255]);
            let kind = record.kind;
            records.splice(0..0, vec![Record::new(kind, &endless); 1 + edit.place % 16]);
        }
    }
}
