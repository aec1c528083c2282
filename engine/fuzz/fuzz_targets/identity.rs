//! Own certificates and keys: whatever is loaded, the key is one that signs, and the certificate's. The input: the length
//! of the key, the key, the certificates.
#![no_main]

use _engine::fuzzing::certificates::split;
use _engine::fuzzing::identity::identity;
use veritls_fuzz::input::Input;

const SERVER: &[u8] = include_bytes!("../seeds/identities/server");

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let mut input = Input(data);
    let length = input.number();
    let key = input.bytes(length);
    let chain: Vec<_> = split(input.0).into_iter().map(<[u8]>::to_vec).collect();
    let _ = identity(chain, key);
    let _ = identity(vec![SERVER.to_vec()], key);
});
