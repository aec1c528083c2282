//! The beginning of a server's handshake, where `sni_callback` says what to go on with.

use std::mem;
use std::sync::Arc;

use crate::tls::client_hello::Seen;
use crate::tls::connection::{Connection, side_of};
use crate::tls::failure::{Evidence, Failure, alert_of, failure_of};
use crate::tls::fatal_alert::plain_alert;
use crate::tls::handshake::Handshake;
use crate::tls::hello_callback::{Greeting, Switched, ask};
use crate::verify::callback::Callback;

impl Connection {
    /// Looks at the client's hello as far as it has come: whether it is accepted, and the handshake goes on.
    pub(super) fn greet(&mut self) -> Result<bool, Failure> {
        let preview = match &mut self.greeting {
            Greeting::Incomplete(preview, _) => preview,
            Greeting::CallbackRunning => return Err(Failure::CallbackRunning(Callback::Hello)),
            Greeting::Accepted => return Ok(true),
        };
        let started_with = self.incoming.bytes().first_chunk().copied();
        match preview.look(self.incoming.bytes()) {
            Seen::More => Ok(false),
            Seen::Hello(name) => self.ask_about(name).map(|()| true),
            Seen::Unreadable(error, alert) => {
                self.outgoing.append(&alert);
                let evidence = Evidence { early: true, started_with, ..Evidence::default() };
                if let Some(missing) = alert_of(&error, &evidence).filter(|_| alert.is_empty()) {
                    self.outgoing.append(&plain_alert(missing));
                }
                let failure = failure_of(error, evidence);
                Err(self.fail(failure))
            }
        }
    }

    /// Asks what to go on with. Whatever comes in between, the hello is not accepted.
    fn ask_about(&mut self, name: Option<String>) -> Result<(), Failure> {
        let before = mem::replace(&mut self.greeting, Greeting::CallbackRunning);
        let Greeting::Incomplete(_, callback) = before else {
            return Err(Failure::CallbackRunning(Callback::Hello));
        };
        let answer = ask(&callback, name, self.callback_state.clone());
        if self.callback_state.cancelled() {
            return Err(self.fail_as_cancelled());
        }
        match answer {
            Ok(switched) => self.accept_hello(switched),
            Err(refusal) => {
                self.outgoing.append(&[21, 3, 3, 0, 2, 2, refusal.alert]);
                let failure = Failure::HelloRefused(refusal.cause);
                self.fail(failure.without_cause());
                Err(failure)
            }
        }
    }

    /// Goes on from a hello that was accepted.
    fn accept_hello(&mut self, switched: Switched) -> Result<(), Failure> {
        if !matches!(self.greeting, Greeting::CallbackRunning) {
            return Err(self.fail(Failure::Internal("no hello waits to be accepted".to_owned())));
        }
        if let Some((config, callback)) = switched {
            (self.side, self.fresh) = side_of(&config, None, None).map_err(|failure| self.fail(failure))?;
            self.verifier = config.verifier.clone();
            // Nothing of the handshake was done yet.
            self.handshake =
                Some(Arc::new(Handshake::new(self.callback_state.clone(), callback, None, None)));
        }
        self.greeting = Greeting::Accepted;
        Ok(())
    }
}
