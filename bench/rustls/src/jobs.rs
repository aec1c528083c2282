//! The jobs that the folder bench/work describes, over blocking sockets and in memory.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::rc::Rc;
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

use rustix::net::sockopt::set_socket_linger;
use rustix::time::{ClockId, clock_gettime};
use rustls::client::UnbufferedClientConnection;
use rustls::pki_types::ServerName;
use rustls::server::UnbufferedServerConnection;
use rustls::{ClientConfig, HandshakeKind, ServerConfig};
use serde_json::{Value, json};

use crate::settings;
use crate::tls::{BUFFER, Engine, Outcome, Tls};

const TIMEOUT: Duration = Duration::from_secs(60);
const BASE: u8 = 64;
const SAW_CERTIFICATE: u8 = 1;
const RESUMED: u8 = 2;
const GO: &[u8] = b"g";
const IDLE_MESSAGE: usize = 16_384;
const PAGE: usize = 4096;

type ServerEnd = Tls<UnbufferedServerConnection, TcpStream>;
type ClientEnd = Tls<UnbufferedClientConnection, TcpStream>;

struct Clock {
    wall: Instant,
    processor: f64,
}

fn processor_seconds() -> f64 {
    let now = clock_gettime(ClockId::ProcessCPUTime);
    now.tv_sec as f64 + now.tv_nsec as f64 / 1e9
}

impl Clock {
    fn start() -> Self {
        Self { wall: Instant::now(), processor: processor_seconds() }
    }

    fn report(&self, amount: usize) -> Value {
        json!({
            "amount": amount,
            "seconds": self.wall.elapsed().as_secs_f64(),
            "cpu": processor_seconds() - self.processor,
        })
    }
}

fn number(job: &Value, name: &str) -> Outcome<usize> {
    Ok(job[name].as_u64().ok_or_else(|| format!("the job has no {name}"))? as usize)
}

fn prepare(socket: &TcpStream) -> Outcome<()> {
    socket.set_nodelay(true)?;
    socket.set_read_timeout(Some(TIMEOUT))?;
    socket.set_write_timeout(Some(TIMEOUT))?;
    Ok(())
}

fn resumed<E: Engine, W: Read + Write>(tls: &Tls<E, W>) -> bool {
    tls.state().handshake_kind() == Some(HandshakeKind::Resumed)
}

fn suite<E: Engine, W: Read + Write>(tls: &Tls<E, W>) -> String {
    let suite = tls.state().negotiated_cipher_suite();
    suite.map(|suite| format!("{:?}", suite.suite()).replace("TLS13_", "TLS_")).unwrap_or_default()
}

struct Server {
    listener: TcpListener,
    config: Arc<ServerConfig>,
}

impl Server {
    fn new(job: &Value, say: &mut dyn FnMut(Value)) -> Outcome<Self> {
        let config = settings::server(&job["recipe"])?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        say(json!({"port": listener.local_addr()?.port()}));
        Ok(Self { listener, config })
    }

    fn accept(&self) -> Outcome<ServerEnd> {
        let (socket, _) = self.listener.accept()?;
        prepare(&socket)?;
        let mut tls = Tls::new(UnbufferedServerConnection::new(self.config.clone())?, socket);
        tls.handshake()?;
        let seen = if tls.state().peer_certificates().is_some() { SAW_CERTIFICATE } else { 0 };
        let again = if resumed(&tls) { RESUMED } else { 0 };
        tls.send(&[BASE + seen + again])?;
        Ok(tls)
    }
}

struct Client {
    config: Arc<ClientConfig>,
    port: u16,
    resume: bool,
    mutual: bool,
}

impl Client {
    fn new(job: &Value) -> Outcome<Self> {
        let resume = job["resume"] == true;
        let config = settings::client(&job["recipe"], resume)?;
        let port = u16::try_from(number(job, "port")?)?;
        Ok(Self {
            config,
            port,
            resume,
            mutual: job["recipe"]["client"].is_string() && job["recipe"]["shows_certificate"] != false,
        })
    }

    /// A connection that both ends say is what was to be measured.
    fn connect(&self, resume: bool) -> Outcome<ClientEnd> {
        let socket = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port))?;
        prepare(&socket)?;
        // A reset at the end leaves no port waiting: a run needs more of them than there are.
        set_socket_linger(&socket, Some(Duration::ZERO))?;
        let name = ServerName::try_from("localhost")?;
        let mut tls = Tls::new(UnbufferedClientConnection::new(self.config.clone(), name)?, socket);
        tls.handshake()?;
        let mut greeting = [0];
        tls.fill(&mut greeting, 1)?;
        let flags = greeting[0] - BASE;
        if self.mutual && flags & SAW_CERTIFICATE == 0 {
            return Err("its server saw no client certificate".into());
        }
        if resumed(&tls) != resume || (flags & RESUMED != 0) != resume {
            return Err(if resume { "does not resume" } else { "resumed where it should not have" }.into());
        }
        Ok(tls)
    }
}

fn phases(job: &Value) -> Outcome<[usize; 2]> {
    Ok([number(job, "warm")?, number(job, "count")?])
}

pub fn serve_handshakes(job: &Value, say: &mut dyn FnMut(Value)) -> Outcome<Value> {
    let server = Server::new(job, say)?;
    let mut clock = Clock::start();
    for count in phases(job)? {
        clock = Clock::start();
        for _ in 0..count {
            server.accept()?;
        }
    }
    Ok(clock.report(number(job, "count")?))
}

pub fn make_handshakes(job: &Value) -> Outcome<Value> {
    let client = Client::new(job)?;
    let mut clock = Clock::start();
    let (mut first, mut used) = (true, String::new());
    for count in phases(job)? {
        clock = Clock::start();
        for _ in 0..count {
            let tls = client.connect(client.resume && !first)?;
            if first {
                (first, used) = (false, suite(&tls));
            }
        }
    }
    let mut report = clock.report(number(job, "count")?);
    report["suite"] = used.into();
    Ok(report)
}

fn send<E: Engine>(tls: &mut Tls<E, TcpStream>, message: &[u8], count: usize) -> Outcome<()> {
    (0..count).try_for_each(|_| tls.send(message))
}

pub fn serve_transfer(job: &Value, say: &mut dyn FnMut(Value)) -> Outcome<Value> {
    let (size, up) = (number(job, "size")?, job["up"] == true);
    let (message, mut buffer) = (vec![0; size], vec![0; BUFFER]);
    let mut tls = Server::new(job, say)?.accept()?;
    let mut clock = Clock::start();
    for count in phases(job)? {
        tls.fill(&mut buffer, 1)?;
        clock = Clock::start();
        if up {
            tls.fill(&mut buffer, count * size)?;
            tls.send(GO)?;
        } else {
            send(&mut tls, &message, count)?;
        }
    }
    Ok(clock.report(number(job, "count")?))
}

pub fn make_transfer(job: &Value) -> Outcome<Value> {
    let (size, up) = (number(job, "size")?, job["up"] == true);
    let (message, mut buffer) = (vec![0; size], vec![0; BUFFER]);
    let mut tls = Client::new(job)?.connect(false)?;
    let mut clock = Clock::start();
    for count in phases(job)? {
        clock = Clock::start();
        tls.send(GO)?;
        if up {
            send(&mut tls, &message, count)?;
            tls.fill(&mut buffer, 1)?;
        } else {
            tls.fill(&mut buffer, count * size)?;
        }
    }
    let mut report = clock.report(number(job, "count")?);
    report["suite"] = suite(&tls).into();
    Ok(report)
}

pub fn serve_echo(job: &Value, say: &mut dyn FnMut(Value)) -> Outcome<Value> {
    let size = number(job, "size")?;
    let mut buffer = vec![0; size];
    let mut tls = Server::new(job, say)?.accept()?;
    let mut clock = Clock::start();
    for count in phases(job)? {
        clock = Clock::start();
        for _ in 0..count {
            tls.fill(&mut buffer, size)?;
            tls.send(&buffer)?;
        }
    }
    Ok(clock.report(number(job, "count")?))
}

pub fn make_echo(job: &Value) -> Outcome<Value> {
    let size = number(job, "size")?;
    let (message, mut buffer) = (vec![0; size], vec![0; size]);
    let mut tls = Client::new(job)?.connect(false)?;
    let mut clock = Clock::start();
    for count in phases(job)? {
        clock = Clock::start();
        for _ in 0..count {
            tls.send(&message)?;
            tls.fill(&mut buffer, size)?;
        }
    }
    let mut report = clock.report(number(job, "count")?);
    report["suite"] = suite(&tls).into();
    Ok(report)
}

fn resident() -> Outcome<usize> {
    let pages = std::fs::read_to_string("/proc/self/statm")?;
    Ok(pages.split(' ').nth(1).ok_or("no resident pages")?.parse::<usize>()? * PAGE)
}

fn hold<T>(job: &Value, mut another: impl FnMut() -> Outcome<T>) -> Outcome<Value> {
    for _ in 0..number(job, "warm")? {
        another()?;
    }
    let (base, mut held, mut each) = (resident()?, Vec::new(), Vec::new());
    for step in job["steps"].as_array().into_iter().flatten() {
        let step = step.as_u64().ok_or("a step is a number")? as usize;
        while held.len() < step {
            held.push(another()?);
        }
        each.push((resident()? as f64 - base as f64) / step as f64);
    }
    Ok(json!({"each": each}))
}

pub fn serve_idle(job: &Value, say: &mut dyn FnMut(Value)) -> Outcome<Value> {
    let (server, mut buffer) = (Server::new(job, say)?, vec![0; BUFFER]);
    hold(job, || {
        let mut tls = server.accept()?;
        tls.fill(&mut buffer, IDLE_MESSAGE)?;
        tls.send(&buffer[..IDLE_MESSAGE])?;
        tls.rest();
        Ok(tls)
    })
}

pub fn make_idle(job: &Value) -> Outcome<Value> {
    let (client, mut buffer) = (Client::new(job)?, vec![0; BUFFER]);
    hold(job, || {
        let mut tls = client.connect(false)?;
        tls.send(&buffer[..IDLE_MESSAGE])?;
        tls.fill(&mut buffer, IDLE_MESSAGE)?;
        tls.rest();
        Ok(tls)
    })
}

/// One end of two queues in memory.
struct Queues {
    incoming: Rc<RefCell<VecDeque<u8>>>,
    outgoing: Rc<RefCell<VecDeque<u8>>>,
}

impl Read for Queues {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        self.incoming.borrow_mut().read(into)
    }
}

impl Write for Queues {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.outgoing.borrow_mut().write(bytes)
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn in_memory(server: &Arc<ServerConfig>, client: &Arc<ClientConfig>) -> Outcome<()> {
    let (up, down) = (Rc::<RefCell<VecDeque<u8>>>::default(), Rc::<RefCell<VecDeque<u8>>>::default());
    let name = ServerName::try_from("localhost")?;
    let queues = Queues { incoming: down.clone(), outgoing: up.clone() };
    let mut theirs = Tls::new(UnbufferedClientConnection::new(client.clone(), name)?, queues);
    let queues = Queues { incoming: up, outgoing: down };
    let mut ours = Tls::new(UnbufferedServerConnection::new(server.clone())?, queues);
    // Not `||`: both ends step, whatever the other's state.
    while !(theirs.step()? & ours.step()?) {}
    ours.send(b"1")?;
    theirs.fill(&mut [0], 1)
}

/// Handshakes of `threads` threads within `limit` seconds, both ends of each in its thread.
pub fn make_threads(job: &Value) -> Outcome<Value> {
    let (server, client) = (settings::server(&job["recipe"])?, settings::client(&job["recipe"], false)?);
    let limit = Duration::from_secs_f64(job["limit"].as_f64().ok_or("the job has no limit")?);
    in_memory(&server, &client)?;
    let threads = number(job, "threads")?;
    let start = Barrier::new(threads + 1);
    thread::scope(|scope| {
        let run = || -> Outcome<usize> {
            start.wait();
            let (began, mut done) = (Instant::now(), 0);
            while began.elapsed() < limit {
                in_memory(&server, &client)?;
                done += 1;
            }
            Ok(done)
        };
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(run)).collect();
        start.wait();
        let clock = Clock::start();
        let mut done = 0;
        for thread in running {
            done += thread.join().map_err(|_| "a thread panicked")??;
        }
        Ok(clock.report(done))
    })
}
