//! Standard output, shared by all requests: whole frames, one at a time; and the answers to our own questions.

use std::collections::HashMap;
use std::io::{self, Write};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, PoisonError};

use pileus_modules::frame::{Frame, HELLO};

/// Where frames go.
pub struct Output {
    stdout: Mutex<io::Stdout>,
    waiting: Mutex<HashMap<u64, Sender<Frame>>>,
}

impl Output {
    /// Over standard output.
    pub fn new() -> Self {
        Output { stdout: Mutex::new(io::stdout()), waiting: Mutex::default() }
    }

    /// Says that frames begin, and the first one.
    pub fn hello(&self, frame: &Frame) -> io::Result<()> {
        let mut stdout = self.stdout.lock().unwrap_or_else(PoisonError::into_inner);
        stdout.write_all(HELLO)?;
        frame.write(&mut *stdout)
    }

    /// Sends a frame.
    pub fn send(&self, frame: &Frame) -> io::Result<()> {
        frame.write(&mut *self.stdout.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Sends a question of a request's and gives where its answer comes.
    pub fn ask(&self, frame: &Frame) -> io::Result<Receiver<Frame>> {
        let (sender, receiver) = channel();
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).insert(frame.id(), sender);
        self.send(frame)?;
        Ok(receiver)
    }

    /// Hands an answer to who asked.
    pub fn answer(&self, frame: Frame) {
        let asked = self.waiting.lock().unwrap_or_else(PoisonError::into_inner).remove(&frame.id());
        if let Some(sender) = asked {
            // Who asked may have given up.
            let _ = sender.send(frame);
        }
    }
}
