//! No chain of up to 64 KiB costs more work than there is a budget for, whatever its certificates, and none is trusted
//! that no CA signed. The input is a string of DER certificates after two bytes: how they are repeated until the 64 KiB
//! are full, and what is changed of each repetition.
#![no_main]

use std::hint::black_box;

use _engine::fuzzing::certificates::{MOST_WORK, is_trusted, spent, split};
use veritls_fuzz::input::Input;

const ANCHOR: &[u8] = include_bytes!("../seeds/identities/root");
const LEAVES: [&[u8]; 3] = [
    include_bytes!("../seeds/identities/server"),
    include_bytes!("../seeds/identities/client"),
    include_bytes!("../seeds/identities/deep"),
];
const SECONDS: u64 = 1_800_000_000;
/// Of a certificate message.
const LONGEST: usize = 65_535;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let mut input = Input(data);
    let (times, changed) = (usize::from(input.byte()), usize::from(input.byte()));
    let pieces: Vec<_> = split(input.0).into_iter().map(<[u8]>::to_vec).collect();
    let mut chain = Vec::new();
    let mut length = 0;
    'full: for round in 0..=times {
        for piece in &pieces {
            length += piece.len() + 3;
            if length > LONGEST {
                break 'full;
            }
            let mut piece = piece.clone();
            // Another certificate each time: none is known from before.
            if round > 0 && !piece.is_empty() {
                let place = changed * piece.len() / 256;
                piece[place] = piece[place].wrapping_add(round as u8);
            }
            chain.push(piece);
        }
    }
    let chain: Vec<_> = chain.iter().map(Vec::as_slice).collect();
    for strict in [false, true] {
        spent();
        let trusted = is_trusted(ANCHOR, &chain, SECONDS, strict);
        let spent = spent();
        assert!(spent <= MOST_WORK, "more work than there is a budget for");
        // How often this is passed is what the fuzzer sees of the cost.
        for each in 0..spent / 100 {
            black_box(each);
        }
        assert!(!trusted || LEAVES.contains(&chain[0]), "a certificate that no CA signed is trusted");
    }
});
