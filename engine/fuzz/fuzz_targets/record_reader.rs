//! However a stream is cut, the records that are read are those that are in it, and what is kept is one record at most.
//! The input: how many sizes of pieces, the sizes, the stream.
#![no_main]

use _engine::fuzzing::wire::{HEADER, RECORD_ON_WIRE, Reader};
use veritls_fuzz::input::Input;

/// The stream's records, by RFC 8446, section 5.1, alone. What cannot be one is as long as a header.
fn records(mut stream: &[u8]) -> Vec<&[u8]> {
    let mut found = Vec::new();
    while stream.len() >= HEADER {
        let length = usize::from(stream[3]) * 256 + usize::from(stream[4]);
        let is_record = (20..=24).contains(&stream[0]) && stream[1] == 3 && length <= 16_384 + 2048;
        let whole = HEADER + if is_record { length } else { 0 };
        let Some((record, rest)) = stream.split_at_checked(whole) else { break };
        found.push(record);
        stream = rest;
    }
    found
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let mut input = Input(data);
    let count = 1 + usize::from(input.byte() & 7);
    let sizes: Vec<_> = (0..count).map(|_| (input.number(), input.byte())).collect();
    let stream = input.0;
    let expected = records(stream);
    let mut reader = Reader::default();
    let (mut rest, mut given, mut pieces) = (stream, Vec::new(), sizes.iter().cycle());
    while !rest.is_empty() {
        let (size, wanted) = pieces.next().expect("one at least");
        let piece = &rest[..rest.len().min(size % 20_000 + 1)];
        // The drivers read to the end of the record, with or without the next header, or several records at once.
        let missing = reader.whole() - reader.len();
        let room = match wanted % 4 {
            0 => missing,
            1 => missing + HEADER,
            2 => missing + usize::from(*wanted) * 64,
            _ => 1 + usize::from(*wanted) % missing.max(1),
        };
        assert!(missing > 0 && missing <= RECORD_ON_WIRE, "no wait without an end");
        let (count, records) = reader.take(piece, room);
        assert!(count > 0, "it takes what has come");
        rest = &rest[count..];
        if let Some(records) = records {
            assert!(!records.is_empty());
            given.extend(records);
            let ends = expected.iter().scan(0, |end, record| {
                *end += record.len();
                Some(*end)
            });
            assert!(ends.into_iter().any(|end| end == given.len()), "records that are not whole");
        }
        assert!(reader.len() < RECORD_ON_WIRE, "more than a record is kept");
        assert_eq!(reader.is_empty(), reader.len() == 0);
        assert_eq!(given.len() + reader.len(), stream.len() - rest.len(), "bytes are lost");
    }
    assert_eq!(given, expected.concat());
    given.extend(reader.rest());
    assert_eq!(given, stream);
    assert!(reader.is_empty());
});
