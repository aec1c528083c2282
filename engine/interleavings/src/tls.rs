//! In the place of the engine's `tls::failure`: the failures of the sources here.

pub mod failure {
    #[derive(Clone, Debug, PartialEq)]
    pub enum Failure {
        WantRead,
        Timeout,
        Interrupted,
        Forked,
        Os(i32),
    }
}
