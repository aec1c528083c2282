//! Schedules of threads that use, close and wait for what the engine shares between them. A thread that waits and is
//! never woken is a deadlock, which shuttle reports: nothing here times out.

use std::os::fd::RawFd;
use std::sync::{Mutex, PoisonError};

use modelled::kernel;
use modelled::os::fd::AsRawFd;
use shuttle::sync::Arc;
use shuttle::thread;
use veritls_interleavings::driving::bell;
use veritls_interleavings::driving::descriptor::Descriptor;
use veritls_interleavings::driving::turn_lock::TurnLock;
use veritls_interleavings::driving::wait::Wait;
use veritls_interleavings::tls::failure::Failure;

const RANDOM: usize = 30_000;
const SYSTEMATIC: usize = 30_000;
const CLOSED: Failure = Failure::Os(9);

/// Runs `scenario` under schedules chosen at random, then those with few switches, then one after the other.
fn explore(scenario: impl Fn() + Send + Sync + Copy + 'static) {
    // The bell and the generation are the process's.
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _one = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let fresh = move || {
        kernel::reset();
        scenario();
        // It would outlast the schedule.
        bell::ring();
    };
    shuttle::check_random(fresh, RANDOM);
    shuttle::check_pct(fresh, RANDOM, 3);
    shuttle::check_dfs(fresh, Some(SYSTEMATIC));
}

/// As `driving::transport` does it: a system call, then a wait for the descriptor or the bell.
fn receive(descriptor: &Descriptor) -> Result<(), Failure> {
    loop {
        let used = descriptor.enter()?;
        let number = used.fd().as_raw_fd();
        if kernel::read(number, "the socket") {
            return Ok(());
        }
        let bell = bell::hear().expect("a bell");
        used.check()?;
        kernel::poll(&[number, bell.numbers()[0]]);
    }
}

/// As Python's side and `api::Stream::close_descriptor` do it.
fn close(descriptor: &Descriptor, number: RawFd) {
    match descriptor.retire() {
        true => kernel::close(number),
        false => descriptor.leave_to_the_last_user(number),
    }
}

/// Another part of the program, whose file may get the number that was closed, and has something to read.
fn open_another() -> RawFd {
    let number = kernel::open("another");
    kernel::write(number);
    number
}

fn socket() -> (Arc<Descriptor>, RawFd) {
    let number = kernel::open("the socket");
    (Arc::new(Descriptor::new(Some(number))), number)
}

#[test]
fn closing_wakes_the_thread_that_waits_and_nobody_uses_the_number_afterwards() {
    explore(|| {
        let (descriptor, number) = socket();
        let reader = {
            let descriptor = descriptor.clone();
            thread::spawn(move || receive(&descriptor))
        };
        close(&descriptor, number);
        open_another();
        assert_eq!(reader.join().unwrap(), Err(CLOSED));
        assert_eq!(kernel::closed("the socket"), 1);
        assert_eq!(kernel::closed("another"), 0);
    });
}

#[test]
fn of_several_users_the_last_one_closes_the_number_once() {
    explore(|| {
        let (descriptor, number) = socket();
        let readers: Vec<_> = (0..2)
            .map(|_| {
                let descriptor = descriptor.clone();
                thread::spawn(move || receive(&descriptor))
            })
            .collect();
        let other = thread::spawn(open_another);
        close(&descriptor, number);
        for reader in readers {
            assert_eq!(reader.join().unwrap(), Err(CLOSED));
        }
        other.join().unwrap();
        assert_eq!(kernel::closed("the socket"), 1);
        assert_eq!(kernel::closed("another"), 0);
        assert_eq!(descriptor.enter().err(), Some(CLOSED));
    });
}

#[test]
fn what_has_come_is_read_or_the_reader_learns_of_the_end() {
    explore(|| {
        let (descriptor, number) = socket();
        let reader = {
            let descriptor = descriptor.clone();
            thread::spawn(move || receive(&descriptor))
        };
        kernel::write(number);
        close(&descriptor, number);
        assert!(matches!(reader.join().unwrap(), Ok(()) | Err(CLOSED)));
        assert_eq!(kernel::closed("the socket"), 1);
    });
}

#[test]
fn two_sockets_closed_at_once_wake_their_own_threads() {
    explore(|| {
        let ends: Vec<_> = (0..2)
            .map(|_| {
                let (descriptor, number) = socket();
                let reader = {
                    let descriptor = descriptor.clone();
                    thread::spawn(move || receive(&descriptor))
                };
                let closer = thread::spawn(move || close(&descriptor, number));
                (reader, closer)
            })
            .collect();
        for (reader, closer) in ends {
            assert_eq!(reader.join().unwrap(), Err(CLOSED));
            closer.join().unwrap();
        }
        assert_eq!(kernel::closed("the socket"), 2);
    });
}

#[test]
fn no_turn_is_lost_and_no_two_threads_have_it() {
    explore(|| {
        let turn = Arc::new(TurnLock::new(0));
        let threads: Vec<_> = (0..3)
            .map(|_| {
                let turn = turn.clone();
                thread::spawn(move || {
                    let mut held = turn.take(Wait::Forever, Failure::WantRead).expect("a turn");
                    let before = *held.get();
                    thread::yield_now();
                    *held.get() = before + 1;
                })
            })
            .collect();
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!(turn.peek(|count| *count), Some(3));
    });
}

#[test]
fn a_thread_that_only_tries_takes_no_turn_from_one_that_waits_for_ever() {
    explore(|| {
        let turn = Arc::new(TurnLock::new(0));
        let tries = {
            let turn = turn.clone();
            thread::spawn(move || {
                for _ in 0..2 {
                    if let Some(mut held) = turn.try_take() {
                        *held.get() += 1;
                    }
                }
            })
        };
        let waits: Vec<_> = (0..2)
            .map(|_| {
                let turn = turn.clone();
                thread::spawn(move || drop(turn.take(Wait::Forever, Failure::WantRead).expect("a turn")))
            })
            .collect();
        tries.join().unwrap();
        for wait in waits {
            wait.join().unwrap();
        }
        assert!(turn.try_take().is_some());
    });
}
