//! Records as they stand on the wire, after every change: what an end gets, whatever was meant.

/// A stream of records, cut anywhere.
#[derive(Default)]
pub struct Stream {
    /// The beginning of a record.
    rest: Vec<u8>,
}

impl Stream {
    /// The type and the content of each record that is whole with these bytes (RFC 8446, section 5.1).
    pub fn records(&mut self, bytes: &[u8]) -> Vec<(u8, Vec<u8>)> {
        self.rest.extend(bytes);
        let mut records = Vec::new();
        let mut taken = 0;
        while let Some(([kind, _, _, high, low], behind)) = self.rest[taken..].split_first_chunk() {
            let length = usize::from(u16::from_be_bytes([*high, *low]));
            let Some(content) = behind.get(..length) else { break };
            records.push((*kind, content.to_vec()));
            taken += 5 + length;
        }
        self.rest.drain(..taken);
        records
    }
}
