//! Tickets: none opens but one that was sealed, as it was sealed, under its secret and its policy and in its epoch; and
//! whatever was sealed is read without a crash. The input: how many changes, the changes, what is sealed.
#![no_main]

use _engine::fuzzing::connection::{certificates, opened, sealed};
use veritls_fuzz::edits::{Edits, Record};
use veritls_fuzz::input::Input;

const EPOCH: u32 = 83_333;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    // Of a secret under which nothing is sealed: what is compared below, the fuzzer picks up.
    assert_eq!(opened(3, 2, (0, u32::MAX), data), None, "a ticket that was never sealed");
    let mut input = Input(data);
    let (secret, fingerprint, later) = (input.byte(), input.byte(), u32::from(input.byte() & 3));
    let changes = usize::from(input.byte() & 7);
    let mut edits = Edits::read(&mut input, changes);
    let plain = input.0;
    let ticket = sealed(1, 2, EPOCH, plain);
    let changed: Vec<u8> =
        edits.apply(Record::new(0, &ticket)).into_iter().flat_map(|record| record.content).collect();
    let now = EPOCH + later;
    let found = opened(secret, fingerprint, (now - 1, now), &changed);
    let may_open = changed == ticket && secret == 1 && fingerprint == 2 && later <= 1;
    assert_eq!(found.as_deref(), may_open.then_some(plain));
    let _ = certificates(plain);
});
