//! A rustls connection, by its unbuffered interface, over anything that reads and writes.

use std::error::Error;
use std::io::{ErrorKind, Read, Write};

use rustls::CommonState;
use rustls::client::{ClientConnectionData, UnbufferedClientConnection};
use rustls::server::{ServerConnectionData, UnbufferedServerConnection};
use rustls::unbuffered::{ConnectionState, EncodeError, UnbufferedStatus};

pub type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// How much is encrypted, and read, at once.
pub const BUFFER: usize = 262_144;
const RECORD: usize = 16_384;
const RECORD_OVERHEAD: usize = 64;

/// Either side's connection.
pub trait Engine {
    type Data;
    fn process<'c, 'i>(&'c mut self, incoming: &'i mut [u8]) -> UnbufferedStatus<'c, 'i, Self::Data>;
    fn state(&self) -> &CommonState;
}

macro_rules! engine {
    ($connection:ty, $data:ty) => {
        impl Engine for $connection {
            type Data = $data;
            fn process<'c, 'i>(&'c mut self, incoming: &'i mut [u8]) -> UnbufferedStatus<'c, 'i, $data> {
                self.process_tls_records(incoming)
            }
            fn state(&self) -> &CommonState {
                self
            }
        }
    };
}
engine!(UnbufferedClientConnection, ClientConnectionData);
engine!(UnbufferedServerConnection, ServerConnectionData);

pub struct Tls<E, W> {
    engine: E,
    wire: W,
    /// Received and not yet processed: from `start` to `end`.
    incoming: Vec<u8>,
    start: usize,
    end: usize,
    outgoing: Vec<u8>,
    filled: usize,
    /// Plaintext that came before it was asked for.
    early: Vec<u8>,
}

impl<E: Engine, W: Read + Write> Tls<E, W> {
    pub fn new(engine: E, wire: W) -> Self {
        let (incoming, outgoing) = (Vec::new(), Vec::new());
        Self { engine, wire, incoming, start: 0, end: 0, outgoing, filled: 0, early: Vec::new() }
    }

    pub fn state(&self) -> &CommonState {
        self.engine.state()
    }

    /// Does all that can be done without more from the peer; encrypts `write` once that is possible.
    /// Returns whether it was.
    fn advance(&mut self, write: Option<&[u8]>, sink: &mut dyn FnMut(&[u8])) -> Outcome<bool> {
        loop {
            let Self { engine, wire, incoming, start, end, outgoing, filled, .. } = self;
            let UnbufferedStatus { mut discard, state } = engine.process(&mut incoming[*start..*end]);
            let ended = match state? {
                ConnectionState::EncodeTlsData(mut data) => {
                    loop {
                        match data.encode(&mut outgoing[*filled..]) {
                            Ok(count) => break *filled += count,
                            Err(EncodeError::InsufficientSize(least)) => {
                                outgoing.resize(*filled + least.required_size, 0);
                            }
                            Err(why) => return Err(why.into()),
                        }
                    }
                    None
                }
                ConnectionState::TransmitTlsData(data) => {
                    wire.write_all(&outgoing[..*filled])?;
                    *filled = 0;
                    data.done();
                    None
                }
                ConnectionState::ReadTraffic(mut traffic) => {
                    while let Some(record) = traffic.next_record() {
                        let record = record?;
                        discard += record.discard;
                        sink(record.payload);
                    }
                    None
                }
                ConnectionState::WriteTraffic(mut traffic) => {
                    if let Some(plain) = write {
                        let room = plain.len() + (plain.len() / RECORD + 1) * RECORD_OVERHEAD;
                        if outgoing.len() < room {
                            outgoing.resize(room, 0);
                        }
                        let count = traffic.encrypt(plain, outgoing)?;
                        wire.write_all(&outgoing[..count])?;
                    }
                    Some(write.is_some())
                }
                ConnectionState::BlockedHandshake => Some(false),
                other => return Err(format!("the connection ended: {other:?}").into()),
            };
            *start += discard;
            if *start == *end {
                (*start, *end) = (0, 0);
            }
            if let Some(ended) = ended {
                return Ok(ended);
            }
        }
    }

    /// One read; without a peer that has sent something it waits, or, in memory, gets nothing.
    fn more(&mut self) -> Outcome<()> {
        if self.start > 0 {
            self.incoming.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        if self.end == self.incoming.len() {
            self.incoming.resize(BUFFER.max(2 * self.end), 0);
        }
        self.end += self.wire.read(&mut self.incoming[self.end..])?;
        Ok(())
    }

    fn more_or_end(&mut self) -> Outcome<()> {
        let before = self.end - self.start;
        self.more()?;
        if self.end - self.start == before {
            return Err(std::io::Error::from(ErrorKind::UnexpectedEof).into());
        }
        Ok(())
    }

    pub fn handshake(&mut self) -> Outcome<()> {
        loop {
            let mut early = Vec::new();
            self.advance(None, &mut |payload| early.extend_from_slice(payload))?;
            self.early.append(&mut early);
            if !self.state().is_handshaking() {
                return Ok(());
            }
            self.more_or_end()?;
        }
    }

    /// A step of a handshake in memory. Returns whether it is done.
    pub fn step(&mut self) -> Outcome<bool> {
        self.more()?;
        self.advance(None, &mut |_| {})?;
        Ok(!self.state().is_handshaking())
    }

    pub fn send(&mut self, message: &[u8]) -> Outcome<()> {
        for piece in message.chunks(BUFFER) {
            while !self.advance(Some(piece), &mut |_| {})? {
                self.more_or_end()?;
            }
        }
        Ok(())
    }

    /// Reads exactly `count` bytes, through `buffer`.
    pub fn fill(&mut self, buffer: &mut [u8], count: usize) -> Outcome<()> {
        let mut got = 0;
        let mut surplus = Vec::new();
        let mut take = |payload: &[u8]| {
            let wanted = payload.len().min(count - got);
            for piece in payload[..wanted].chunks(buffer.len()) {
                let place = (got % buffer.len()).min(buffer.len() - piece.len());
                buffer[place..place + piece.len()].copy_from_slice(piece);
                got += piece.len();
            }
            surplus.extend_from_slice(&payload[wanted..]);
            got >= count
        };
        let mut done = take(&std::mem::take(&mut self.early));
        while !done {
            self.advance(None, &mut |payload| done = take(payload))?;
            if !done {
                self.more_or_end()?;
            }
        }
        self.early = surplus;
        Ok(())
    }

    /// Gives back what an idle connection needs no memory for.
    pub fn rest(&mut self) {
        if self.start == self.end {
            (self.incoming, self.start, self.end) = (Vec::new(), 0, 0);
        }
        self.outgoing = Vec::new();
    }
}
