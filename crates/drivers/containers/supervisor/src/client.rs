//! Those who talk to the supervisor: attached to a process, waiting for one to begin, or for the end.

use alloc::{boxed::Box, string::String, vec::Vec};

use crate::{
    spawn::Beginning,
    sys::{Errno, Fd, send},
};

/// Somebody attached to a process, or still to say what is wanted.
pub struct Client {
    pub socket: Fd,
    /// The request, until it is whole.
    pub asking: Option<Vec<u8>>,
    /// The process that it has asked for, until that has begun. It is answered then; nothing is read of it
    /// before.
    pub begins: Option<Box<Begins>>,
    /// Which process; `None` for who waits for the container's end.
    pub of: Option<usize>,
    pub wanted: u8,
    pub out: Vec<u8>,
    /// Whether it may still write.
    pub writes: bool,
    pub gone: bool,
}

/// An exec that has been asked for and is no program yet: a frozen container keeps it so for as long as it
/// likes.
pub struct Begins {
    /// Its name.
    pub exec: String,
    pub process: Beginning,
    /// What followed the request.
    pub rest: Vec<u8>,
}

impl Client {
    pub fn new(socket: Fd, asking: Option<Vec<u8>>, of: Option<usize>, wanted: u8) -> Self {
        Self { socket, asking, begins: None, of, wanted, out: Vec::new(), writes: true, gone: false }
    }

    /// Writes what it has room for.
    pub fn flush(&mut self) {
        if self.asking.is_some() {
            return;
        }
        while !self.out.is_empty() {
            match send(&self.socket, &self.out) {
                Ok(n) => drop(self.out.drain(..n)),
                Err(e) if e == Errno::EAGAIN => return,
                Err(e) if e == Errno::EINTR => {}
                Err(_) => {
                    self.out.clear();
                    self.gone = true;
                    break;
                }
            }
        }
        // Its room goes back to the kernel.
        self.out = Vec::new();
    }
}
