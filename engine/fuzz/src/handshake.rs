//! A whole connection of the engine with a peer, and what has to hold of it:
//!
//! - The handshake is complete only with the peer whose certificate was demanded, only if every message of it arrived
//!   as that peer made it, and only if the peer got every message as the engine made it.
//! - No application data is handed out before, and afterwards nothing but what was sent, in order.
//! - What is held of an incomplete message is bounded.
//! - Where nothing was changed, the handshake is complete and the data arrive.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io::{Read, Write};

use _engine::fuzzing::connection::{Context, End, Resumable, Setup};
use _engine::fuzzing::wire::{RECORD_ON_WIRE, Reader};
use rustls::Connection;

use crate::edits::{Edits, HANDSHAKE, Record};
use crate::input::Input;
use crate::peer::{Credentials, Flight, Peer, bare, flight, output, take};
use crate::stream::Stream;

macro_rules! seed {
    ($name:literal) => {
        include_bytes!(concat!("../seeds/identities/", $name))
    };
}

const ROOT: &[u8] = seed!("root");
const SERVER: Credentials<'static> = Credentials { certificate: seed!("server"), key: seed!("server.key") };
const CLIENT: Credentials<'static> = Credentials { certificate: seed!("client"), key: seed!("client.key") };
const STRANGER: Credentials<'static> =
    Credentials { certificate: seed!("stranger"), key: seed!("stranger.key") };

const SAID: &[u8] = b"what the peer says once the handshake is complete";
/// What the engine holds of a message that is not complete, decision 0021, and the record that is one too many.
const HELD: usize = 128 * 1024 + RECORD_ON_WIRE;
const ROUNDS: usize = 12;

/// Which peer it is.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
enum Who {
    Right,
    /// With a certificate below another root.
    Stranger,
    /// Without one; a server's is the next.
    Nobody,
    /// With the right certificate and another key.
    Thief,
}

/// What both ends are made of.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
struct Case {
    /// The engine's side.
    server: bool,
    tls12: bool,
    tls13: bool,
    /// The engine wants another group than the peer begins with.
    retry: bool,
    who: Who,
    resume: bool,
}

impl Case {
    fn read(server: bool, flags: u8) -> Self {
        let who = [Who::Right, Who::Stranger, Who::Nobody, Who::Thief][usize::from(flags & 3)];
        let (tls12, tls13) =
            [(true, true), (true, false), (false, true), (true, true)][usize::from(flags >> 2 & 3)];
        let resume = flags & 0x20 != 0 && who == Who::Right;
        Self { server, tls12, tls13, retry: flags & 0x10 != 0, who, resume }
    }

    fn context(self) -> Context {
        let own = if self.server { SERVER } else { CLIENT };
        Context::new(&Setup {
            server: self.server,
            tls12: self.tls12,
            tls13: self.tls13,
            group: if self.retry { 0x0017 } else { 0x001d },
            root: ROOT,
            certificate: own.certificate,
            key: own.key,
        })
    }

    fn right(self) -> Credentials<'static> {
        if self.server { CLIENT } else { SERVER }
    }

    fn peer(self) -> Peer {
        let right = self.right();
        let credentials = match self.who {
            Who::Right => Some(right),
            Who::Stranger => Some(STRANGER),
            Who::Nobody => None,
            Who::Thief => Some(Credentials { key: STRANGER.key, ..right }),
        };
        let thief = Credentials { key: STRANGER.key, ..right };
        match self.server {
            true => Peer::client(credentials.as_ref()),
            false => Peer::server(credentials.as_ref().unwrap_or(&thief)),
        }
    }
}

/// What the connections of one case have in common.
struct Pair {
    context: Context,
    peer: Peer,
    session: Option<Resumable>,
    /// The last handshake without changes resumed one.
    resumes: bool,
}

thread_local! {
    static PAIRS: RefCell<HashMap<Case, Pair>> = RefCell::default();
}

/// How the bytes come to the engine.
#[derive(Clone, Copy)]
struct Pieces {
    /// In pieces of this size; whole where it is 0.
    size: usize,
    /// Whole records, as the drivers take them from a socket.
    records: bool,
    /// The caller of the engine takes plaintext at once.
    takes: bool,
}

pub fn run(server: bool, data: &[u8]) {
    let mut input = Input(data);
    let flags = input.byte();
    let case = Case::read(server, flags);
    let size = usize::from(input.byte());
    let pieces = Pieces { size, records: flags & 0x40 != 0, takes: flags & 0x80 != 0 };
    let forth = usize::from(input.byte());
    let edits = Edits::read(&mut input, forth);
    let back = if input.is_empty() { 0 } else { usize::from(input.byte()) };
    let back = Edits::read(&mut input, back);
    PAIRS.with_borrow_mut(|pairs| {
        let pair = pairs.entry(case).or_insert_with(|| Pair {
            context: case.context(),
            peer: case.peer(),
            session: None,
            resumes: false,
        });
        if case.resume && !pair.resumes {
            let whole = Pieces { size: 0, records: false, takes: true };
            exchange(case, pair, whole, Edits::none(), Edits::none());
        }
        exchange(case, pair, pieces, edits, back);
    });
}

fn exchange(case: Case, pair: &mut Pair, pieces: Pieces, edits: Edits, back: Edits) {
    let unchanged = edits.are_none() && back.are_none();
    flight(|flight| *flight = Flight::new(edits));
    let session = pair.session.as_ref().filter(|_| case.resume);
    let mut between = Between {
        case,
        engine: pair.context.end(session),
        peer: pair.peer.connection(),
        back,
        pieces,
        reader: Reader::default(),
        said: Vec::new(),
        delivered: Vec::new(),
        wire: Stream::default(),
        failed: false,
        complete: false,
        handed: Vec::new(),
    };
    between.run();
    if unchanged && case.who == Who::Right {
        assert!(between.complete, "nothing was changed, and the handshake is not complete: {case:?}");
        assert_eq!(between.handed, SAID, "nothing was changed, and other data arrived");
    }
    pair.resumes = between.complete && between.engine.is_resumed();
    // A peer that holds the keys can change its tickets: the next handshake with them fails, as it should.
    if unchanged && between.complete && case.resume && !case.server {
        pair.session = between.engine.session();
    }
}

struct Between {
    case: Case,
    engine: End,
    peer: Connection,
    /// What is changed of what the engine sends.
    back: Edits,
    pieces: Pieces,
    reader: Reader,
    /// Handshake messages of the engine's that nothing hides, or TLS 1.2 hides whole, and as they are delivered.
    said: Vec<u8>,
    delivered: Vec<u8>,
    wire: Stream,
    failed: bool,
    complete: bool,
    /// Plaintext that the engine gave out.
    handed: Vec<u8>,
}

impl Between {
    fn run(&mut self) {
        let (mut peer_failed, mut spoken, mut answered) = (false, false, false);
        self.process();
        for _ in 0..ROUNDS {
            let output = output(&mut self.peer);
            let arrived = flight(|flight| flight.carry(&output));
            self.deliver(&arrived);
            let output = self.engine.outgoing();
            let changed = self.change(&output);
            if !peer_failed {
                peer_failed = !take(&mut self.peer, &changed);
                let _ = self.peer.reader().read(&mut [0; 256]);
            }
            if !peer_failed && !self.peer.is_handshaking() && !spoken {
                spoken = self.peer.writer().write_all(SAID).is_ok();
            }
            if self.complete && !self.failed && !answered {
                answered = self.engine.write(b"answer");
            }
            if arrived.is_empty() && output.is_empty() && !self.peer.wants_write() {
                break;
            }
        }
        if self.complete && !self.failed {
            self.engine.close();
        }
        // What failed stays so, and gives nothing out.
        self.pieces.takes = true;
        for _ in 0..2 {
            self.process();
        }
    }

    fn deliver(&mut self, bytes: &[u8]) {
        let size = if self.pieces.size == 0 { usize::MAX } else { self.pieces.size };
        for piece in bytes.chunks(size.min(bytes.len().max(1))) {
            if !self.pieces.records {
                self.feed(piece);
                continue;
            }
            let mut rest = piece;
            while !rest.is_empty() {
                let room = self.reader.whole() - self.reader.len();
                let (count, records) = self.reader.take(rest, room);
                rest = &rest[count..];
                if let Some(records) = records {
                    self.feed(&records);
                }
            }
        }
    }

    fn feed(&mut self, bytes: &[u8]) {
        if !self.failed {
            self.engine.feed(bytes);
            self.process();
            assert!(self.engine.held() <= HELD, "the engine holds {} bytes", self.engine.held());
        }
    }

    fn process(&mut self) {
        let mut place = [0; 300];
        let takes = self.pieces.takes || self.complete;
        let mut once = !takes;
        loop {
            let into = if once { &mut place[..0] } else { &mut place[..] };
            let taken = self.engine.process(into);
            self.failed |= taken.is_none();
            if self.engine.is_complete() && !self.complete {
                self.complete = true;
                self.completed();
            }
            let count = taken.unwrap_or(0);
            self.handed.extend(&place[..count]);
            assert!(count == 0 || self.complete, "data before the handshake was complete");
            flight(|flight| {
                assert!(flight.data.starts_with(&self.handed), "data that were not sent");
            });
            if count == 0 && (!once || !self.complete) {
                break;
            }
            once = false;
        }
    }

    /// The handshake is complete now: whether it may be.
    fn completed(&self) {
        let case = self.case;
        assert_eq!(case.who, Who::Right, "complete with a peer that had to be refused");
        assert_eq!(self.engine.peer().as_deref(), Some(case.right().certificate), "another peer");
        assert!(self.engine.has_path(), "a peer without a verified path");
        flight(|flight| {
            let whole = until_finished(&flight.said);
            assert!(whole.is_some(), "complete before the peer's Finished");
            assert!(
                flight.delivered.starts_with(whole.unwrap_or_default()),
                "complete with messages that the peer did not send"
            );
        });
        let delivered = &self.delivered[..self.said.len().min(self.delivered.len())];
        assert!(self.said == delivered, "complete with a peer that did not get the engine's messages");
    }

    /// Changes what the engine sends on its way.
    fn change(&mut self, mut output: &[u8]) -> Vec<u8> {
        let mut wire = Vec::new();
        while let Some(([kind, _, _, high, low], rest)) = output.split_first_chunk() {
            let (content, behind) = rest.split_at(usize::from(u16::from_be_bytes([*high, *low])));
            output = behind;
            if *kind == HANDSHAKE {
                self.said.extend(content);
            }
            wire.extend(self.back.apply(Record::new(*kind, content)).iter().flat_map(bare));
        }
        for (kind, content) in self.wire.records(&wire) {
            if kind == HANDSHAKE {
                self.delivered.extend(content);
            }
        }
        wire
    }
}

/// The messages up to and with Finished; None where it is not there.
fn until_finished(said: &[u8]) -> Option<&[u8]> {
    let mut rest = said;
    while let Some(([kind, high, middle, low], behind)) = rest.split_first_chunk() {
        let length = usize::from(*high) << 16 | usize::from(*middle) << 8 | usize::from(*low);
        rest = behind.get(length..)?;
        if *kind == 20 {
            return Some(&said[..said.len() - rest.len()]);
        }
    }
    None
}
