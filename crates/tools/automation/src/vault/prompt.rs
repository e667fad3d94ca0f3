//! Questions on the terminal, with or without echo; where there is none, from stdin.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};

use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};

/// Asks `prompt`; the answer without its newline. `None` at the end of input.
///
/// # Errors
/// Where the terminal or stdin cannot be read.
pub fn ask(prompt: &str, hidden: bool) -> io::Result<Option<String>> {
    let Ok(tty) = OpenOptions::new().read(true).write(true).open("/dev/tty") else {
        return ask_stdin(prompt, hidden);
    };
    write!(&tty, "{prompt}")?;
    if !hidden {
        return read_line(&tty);
    }
    let saved = tcgetattr(&tty)?;
    let mut quiet = saved.clone();
    quiet.local_modes.remove(LocalModes::ECHO);
    tcsetattr(&tty, OptionalActions::Flush, &quiet)?;
    let answer = read_line(&tty);
    tcsetattr(&tty, OptionalActions::Flush, &saved)?;
    writeln!(&tty)?;
    answer
}

fn read_line(tty: &File) -> io::Result<Option<String>> {
    let mut line = String::new();
    let read = BufReader::new(tty).read_line(&mut line)?;
    Ok((read > 0).then(|| line.trim_end_matches(['\n', '\r']).to_owned()))
}

fn ask_stdin(prompt: &str, hidden: bool) -> io::Result<Option<String>> {
    let stdin = io::stdin();
    if hidden && rustix::termios::isatty(&stdin) {
        crate::display::warning("Can not control echo on the terminal.");
    }
    if hidden {
        crate::display::err("Warning: Password input may be echoed.", "normal");
        eprint!("{prompt}");
    } else {
        print!("{prompt}");
        io::stdout().flush()?;
    }
    let mut line = String::new();
    let read = stdin.lock().read_line(&mut line)?;
    Ok((read > 0).then(|| line.trim_end_matches(['\n', '\r']).to_owned()))
}
