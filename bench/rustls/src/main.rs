//! rustls without Python: does the jobs that come as lines of JSON on its input, as bench/worker.py does.

mod jobs;
mod settings;
mod tls;

use std::io::{self, BufRead, Write};

use serde_json::{Value, json};
use tls::Outcome;

fn say(answer: Value) {
    let mut output = io::stdout().lock();
    // The parent is gone where this fails.
    let _ = writeln!(output, "{answer}").and_then(|()| output.flush());
}

fn answer(line: &str) -> Outcome<Value> {
    let job: Value = serde_json::from_str(line)?;
    let side = job["side"].as_str().unwrap_or_default();
    match (job["do"].as_str().unwrap_or_default(), side) {
        ("handshakes", "server") => jobs::serve_handshakes(&job, &mut say),
        ("handshakes", "client") => jobs::make_handshakes(&job),
        ("transfer", "server") => jobs::serve_transfer(&job, &mut say),
        ("transfer", "client") => jobs::make_transfer(&job),
        ("echo", "server") => jobs::serve_echo(&job, &mut say),
        ("echo", "client") => jobs::make_echo(&job),
        ("idle", "server") => jobs::serve_idle(&job, &mut say),
        ("idle", "client") => jobs::make_idle(&job),
        ("threads", "client") => jobs::make_threads(&job),
        (job, side) => Err(format!("not written for {job}, {side}").into()),
    }
}

fn main() {
    say(json!({"ready": true}));
    for line in io::stdin().lock().lines().map_while(Result::ok) {
        say(match answer(&line) {
            Ok(result) => json!({"result": result}),
            Err(why) => json!({"error": why.to_string()}),
        });
    }
}
