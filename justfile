# The daily commands, run in the virtual environment that is active. `just` lists them.

set positional-arguments

engine := "--manifest-path engine/Cargo.toml"

# list the commands
default:
    @just --list --unsorted

# build the engine into the environment, after a change in engine/: seconds
build:
    maturin develop --profile daily

# build it as it is released: before measuring
build-release:
    maturin develop --release

# build the wheel for every Linux of this processor into dist/: needs the extra `wheels`
wheels *arguments:
    maturin build --release --locked --zig --compatibility manylinux2014 --out dist "$@"

# run the tests, or those that the arguments name
test *arguments:
    python -m pytest "$@"

# run one test, loudly, and stop where it fails: `just one tests/test_sni.py::test_name`
one test *arguments:
    python -m pytest -x -vv --log-level=DEBUG "$@"

# run the engine's own tests
test-engine *arguments:
    cargo test --profile daily {{ engine }} "$@"

# format Python and Rust
fmt:
    ruff format .
    ruff check --fix .
    cargo fmt {{ engine }}
    cargo fmt --manifest-path engine/fuzz/Cargo.toml

# every hook of .pre-commit-config.yaml on every file, then clippy
lint:
    pre-commit run --all-files
    cargo clippy --profile daily {{ engine }} --all-targets --all-features -- -D warnings

# check the types
types:
    mypy

# show which module imports which; `--check` for the faults alone
house *arguments:
    python -m tests.house "$@"

# draw the pages that are made from the code and its tables
pages:
    python -m tests.house --write
    python -m tests.reports.picture
    python -m tests.resumption

# the documentation site: `just site build`, into build/site/html, or `just site serve`
site *arguments:
    python -m tests.site "$@"

# measure docs/compatibility.md: minutes
compatibility *arguments:
    python -m tests.compatibility "$@"

# run the conformance suites and write docs/conformance.md; `--only limbo|bettertls|pkits|bogo`: needs the data
conformance *arguments:
    python -m tests.conformance --write "$@"

# run libraries' own TLS tests beside `ssl`: `just suites trio`; fetches their sdists
suites *arguments:
    python -m tests.suites "$@"

# the crates in the wheel: `licences`, `newer`, `deny`, `sbom WHEEL`
supply *arguments:
    python -m tests.supply "$@"

# measure docs/limbo.md: needs the corpus
limbo:
    python -m tests.limbo --write

# measure docs/bench.md; `--quick` for a glance, after build-release
bench *arguments:
    python -m bench "$@"

# load, faults and mutants for docs/campaign.md: `just campaign connections --write`; `--list` names the parts
campaign *arguments:
    python -m campaign "$@"

# measure the multiples in docs/decisions/0021
bounds:
    python -m tests.bounds

# fuzz the ways into the engine, each for some seconds, or one by name: `just fuzz 3600 server_handshake`
fuzz seconds="8" *targets:
    .ci/fuzz {{ seconds }} {{ targets }}

# try the schedules of threads that share a descriptor or a turn
interleavings:
    cargo test --release --manifest-path engine/interleavings/Cargo.toml

# everything that must hold, as CI runs it
ci:
    .ci/run
