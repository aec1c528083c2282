//! A client's hello before rustls has it: whatever the pieces in which it comes, what the preview says of it is what a
//! connection of rustls finds in the same bytes, and rustls makes no step before the preview has seen the whole.
//! The input: the size of the pieces, the bytes.
#![no_main]

use std::cell::RefCell;
use std::sync::{Arc, LazyLock};

use _engine::fuzzing::wire::{Hello, HelloPreview};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::server::UnbufferedServerConnection;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::unbuffered::ConnectionState;
use veritls_fuzz::input::Input;

thread_local! {
    static NAME: RefCell<Option<Option<String>>> = const { RefCell::new(None) };
}

/// Notes the name that the client asks for, and has no certificate for it.
#[derive(Debug)]
struct Noting;

impl ResolvesServerCert for Noting {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        NAME.set(Some(hello.server_name().map(str::to_owned)));
        None
    }
}

static CONFIG: LazyLock<Arc<ServerConfig>> = LazyLock::new(|| {
    let builder = ServerConfig::builder_with_provider(Arc::new(default_provider()));
    let builder = builder.with_safe_default_protocol_versions().expect("versions").with_no_client_auth();
    Arc::new(builder.with_cert_resolver(Arc::new(Noting)))
});

/// The name that a connection is asked for with these bytes; None where it does not come so far.
fn asked(bytes: &[u8]) -> Option<Option<String>> {
    NAME.set(None);
    let mut connection = UnbufferedServerConnection::new(CONFIG.clone()).expect("a connection");
    let mut incoming = bytes.to_vec();
    let mut used = 0;
    for _ in 0..bytes.len() + 8 {
        let status = connection.process_tls_records(&mut incoming[used..]);
        used += status.discard;
        match status.state {
            Ok(ConnectionState::EncodeTlsData(mut data)) => {
                let _ = data.encode(&mut [0; 1024]);
            }
            Ok(ConnectionState::TransmitTlsData(data)) => data.done(),
            _ => break,
        }
    }
    NAME.take()
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let mut input = Input(data);
    let size = usize::from(input.byte()) + 1;
    let bytes = input.0;
    let mut preview = HelloPreview::default();
    let (mut seen, mut found) = (0, Hello::Incomplete);
    while seen < bytes.len() && found == Hello::Incomplete {
        seen = bytes.len().min(seen + size);
        found = preview.look(&bytes[..seen]);
    }
    let asked = asked(&bytes[..seen]);
    match &found {
        Hello::Complete(name) => {
            assert!(
                asked.is_none() || asked.as_ref() == Some(name),
                "{name:?} is seen, {asked:?} is asked for"
            );
        }
        Hello::Incomplete => assert_eq!(asked, None, "rustls goes on with a hello that is not seen"),
        Hello::Refused => {}
    }
    // Whole, it is the same; but the acceptor may refuse what comes behind it.
    let whole = HelloPreview::default().look(&bytes[..seen]);
    assert!(
        whole == found || whole == Hello::Refused || found == Hello::Refused,
        "{found:?} in pieces, {whole:?} whole"
    );
});
