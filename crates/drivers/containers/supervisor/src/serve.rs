//! The supervisor at work: streams between processes and those attached, the log, and what is asked.
//!
//! A reader that is slow holds its process back: output is read on only when everyone attached has room.
//! Once a process has ended what is left of its output is read at once, so an exit code never waits for a
//! reader; the supervisor itself stays until all have been told everything.

use alloc::{boxed::Box, string::String, string::ToString, vec, vec::Vec};

use crate::{
    client::{Begins, Client},
    log::Log,
    oom::Oom,
    plan::{OUT_OF_MEMORY, Plan, Reply, Request, STDERR, STDIN, STDOUT, Wire, framed},
    program, spawn,
    sys::{Doing, Errno, Fd, Result, Sysno, accept, chdir, listen, syscall, unlink},
    users,
};

/// What may wait for a reader before its process is held back.
const MOST: usize = 64 << 10;

/// A process with its streams.
pub struct Process {
    pub exec: String,
    pub pid: u32,
    pub pidfd: Option<Fd>,
    pub stdin: Option<Fd>,
    /// On its way to standard input.
    input: Vec<u8>,
    close_stdin: bool,
    pub output: [Option<Fd>; 2],
    tty: bool,
}

/// The supervisor.
pub struct Supervisor {
    pub(crate) plan: Plan,
    pub(crate) listener: Option<Fd>,
    pub(crate) log: Option<Log>,
    pub(crate) processes: Vec<Process>,
    pub(crate) clients: Vec<Client>,
    init: Fd,
    userns: Option<Fd>,
    oom: Option<Oom>,
}

/// What a descriptor in the poll list belongs to.
#[derive(Clone, Copy)]
enum Source {
    Listener,
    Oom,
    End,
    Begins(usize),
    Output(usize, usize),
    Input(usize),
    Client(usize),
}

impl Process {
    fn new(exec: String, started: spawn::Started, tty: bool) -> Self {
        let file = |fd: Fd| {
            // Should that fail, a slow reader is waited for.
            let _ = fd.nonblocking();
            fd
        };
        Self {
            exec,
            pid: started.pid,
            pidfd: Some(started.pidfd),
            stdin: started.stdin.map(file),
            input: Vec::new(),
            close_stdin: false,
            output: started.output.map(|fd| fd.map(file)),
            tty,
        }
    }
}

impl Supervisor {
    /// Starts the container; `attached` are the sockets of those whom the plan speaks of.
    pub fn start(mut plan: Plan, attached: Vec<Fd>) -> Result<Self> {
        let tty = plan.program.tty;
        // The address of a socket has room for a short path only.
        chdir(&plan.dir).doing(|| "the container's directory".to_string())?;
        for old in ["sup.sock", "exit.json"] {
            match unlink(old) {
                Err(e) if e != Errno::ENOENT => return Err(e).doing(|| old.to_string()),
                _ => {}
            }
        }
        let listener = listen("sup.sock").doing(|| "listen".to_string())?;
        let log = match &*plan.log {
            "" => None,
            path => {
                let kept = (plan.log_size, plan.log_files);
                let log = Log::open(path, plan.log_kind, &plan.log_extra, kept);
                Some(log.doing(|| "open the log".to_string())?)
            }
        };
        let mut clients = Vec::new();
        for (socket, wanted) in attached.into_iter().zip(core::mem::take(&mut plan.attached)) {
            // Should that fail, a slow reader is waited for.
            let _ = socket.nonblocking();
            clients.push(Client::new(socket, None, Some(0), wanted));
        }
        let userns = users::namespace(&plan)?;
        let started = spawn::container(&plan, userns.as_ref())?;
        let init = started.pidfd.again().doing(|| "pidfd".to_string())?;
        let processes = vec![Process::new(String::new(), started, tty)];
        plan.forget();
        let oom = Oom::watch(&plan.cgroups);
        Ok(Self { plan, listener: Some(listener), log, processes, clients, init, userns, oom })
    }

    /// The container's first process.
    pub fn pid(&self) -> u32 {
        self.processes[0].pid
    }

    /// Serves until all has ended and everyone knows.
    pub fn run(&mut self) {
        while self.listener.is_some()
            || !self.clients.is_empty()
            || self.processes.iter().any(|p| p.pidfd.is_some())
        {
            let (mut polls, sources) = self.interests();
            // SAFETY: the list outlives the call, and its length is given.
            if unsafe { syscall!(Sysno::ppoll, polls.as_mut_ptr(), polls.len(), 0, 0, 8) }.is_err() {
                continue;
            }
            for (poll, source) in polls.iter().zip(sources).filter(|(poll, _)| poll.revents != 0) {
                match source {
                    Source::Listener => self.accept(),
                    Source::Oom => self.short_of_memory(),
                    Source::End => self.reap(),
                    Source::Begins(at) => self.begun(at),
                    Source::Output(at, of) => drop(self.read(at, of)),
                    Source::Input(at) => self.feed(at),
                    Source::Client(at) => self.client(at, poll.revents),
                }
            }
            self.tidy();
        }
    }

    fn interests(&self) -> (Vec<libc::pollfd>, Vec<Source>) {
        let (mut polls, mut sources) = (Vec::new(), Vec::new());
        let mut add = |fd: &Fd, events, source| {
            polls.push(libc::pollfd { fd: fd.raw(), events, revents: 0 });
            sources.push(source);
        };
        if let Some(listener) = &self.listener {
            add(listener, libc::POLLIN, Source::Listener);
            // Before ends: what it killed is told of first.
            if let Some(oom) = &self.oom {
                add(oom.file(), oom.events(), Source::Oom);
            }
        }
        for (at, process) in self.processes.iter().enumerate() {
            if let Some(fd) = &process.pidfd {
                add(fd, libc::POLLIN, Source::End);
            }
            let full = self.clients.iter().any(|c| c.of == Some(at) && c.out.len() >= MOST);
            for (of, file) in process.output.iter().enumerate() {
                if let (Some(file), false) = (file, full) {
                    add(file, libc::POLLIN, Source::Output(at, of));
                }
            }
            if let (Some(stdin), false) = (&process.stdin, process.input.is_empty()) {
                add(stdin, libc::POLLOUT, Source::Input(at));
            }
        }
        for (at, client) in self.clients.iter().enumerate() {
            if let Some(begins) = &client.begins {
                add(begins.process.says(), libc::POLLIN, Source::Begins(at));
                continue;
            }
            let mut events = if client.out.is_empty() { 0 } else { libc::POLLOUT };
            let room = client.of.is_none_or(|of| self.processes[of].input.is_empty());
            if client.asking.is_some() || client.writes && room {
                events |= libc::POLLIN;
            }
            add(&client.socket, events, Source::Client(at));
        }
        (polls, sources)
    }

    fn accept(&mut self) {
        while let Some(Ok(socket)) = self.listener.as_ref().map(accept) {
            self.clients.push(Client::new(socket, Some(Vec::new()), None, 0));
        }
    }

    /// Reads what a process has said; whether there may be more.
    pub(crate) fn read(&mut self, at: usize, of: usize) -> bool {
        let process = &mut self.processes[at];
        let Some(file) = &mut process.output[of] else { return false };
        let mut said = [0; 32 << 10];
        match file.read(&mut said) {
            Err(e) if e == Errno::EAGAIN => false,
            Err(e) if e == Errno::EINTR => true,
            Ok(0) | Err(_) => {
                process.output[of] = None;
                false
            }
            Ok(n) => {
                let said = &said[..n];
                if let (0, Some(log)) = (at, &mut self.log) {
                    log.add(of, said);
                }
                let stream = if of == 0 { STDOUT } else { STDERR };
                for client in self.clients.iter_mut().filter(|c| c.of == Some(at)) {
                    if process.tty {
                        if client.wanted & (STDOUT | STDERR) != 0 {
                            client.out.extend_from_slice(said);
                        }
                    } else if client.wanted & stream != 0 {
                        client.out.extend_from_slice(&[of as u8 + 1, 0, 0, 0]);
                        client.out.extend_from_slice(&(n as u32).to_be_bytes());
                        client.out.extend_from_slice(said);
                    }
                    client.flush();
                }
                true
            }
        }
    }

    /// Writes to a process's standard input.
    fn feed(&mut self, at: usize) {
        let process = &mut self.processes[at];
        if let Some(stdin) = &mut process.stdin {
            match stdin.write(&process.input) {
                Ok(n) => drop(process.input.drain(..n)),
                Err(e) if matches!(e, Errno::EAGAIN | Errno::EINTR) => return,
                Err(_) => {
                    process.input.clear();
                    process.stdin = None;
                }
            }
        }
        if process.input.is_empty() && process.close_stdin {
            process.stdin = None;
        }
    }

    fn client(&mut self, at: usize, happened: i16) {
        let client = &mut self.clients[at];
        if happened & libc::POLLOUT != 0 {
            client.flush();
        }
        let mut bytes = [0; 16 << 10];
        let ended = if happened & (libc::POLLIN | libc::POLLHUP | libc::POLLERR) == 0 {
            false
        } else if !client.writes && client.asking.is_none() {
            happened & (libc::POLLHUP | libc::POLLERR) != 0
        } else {
            match client.socket.read(&mut bytes) {
                Err(e) if matches!(e, Errno::EAGAIN | Errno::EINTR) => false,
                Ok(0) | Err(_) => {
                    self.no_more(at);
                    let client = &self.clients[at];
                    client.asking.is_some() || happened & (libc::POLLHUP | libc::POLLERR) != 0
                }
                Ok(n) => {
                    self.heard(at, &bytes[..n]);
                    false
                }
            }
        };
        if ended {
            self.no_more(at);
            self.clients[at].gone = true;
        }
    }

    /// A client writes no more.
    fn no_more(&mut self, at: usize) {
        let client = &mut self.clients[at];
        if core::mem::take(&mut client.writes)
            && client.wanted & STDIN != 0
            && let Some(of) = client.of
            && (of != 0 || self.plan.stdin_once)
            && !self.processes[of].tty
        {
            self.processes[of].close_stdin = true;
            self.feed(of);
        }
    }

    fn heard(&mut self, at: usize, bytes: &[u8]) {
        let client = &mut self.clients[at];
        let Some(asking) = &mut client.asking else {
            if let (Some(of), true) = (client.of, client.wanted & STDIN != 0) {
                self.processes[of].input.extend_from_slice(bytes);
                self.feed(of);
            }
            return;
        };
        asking.extend_from_slice(bytes);
        let Some((length, body)) = asking.split_first_chunk::<8>() else { return };
        let length = u64::from_le_bytes(*length) as usize;
        let Some((mut body, rest)) = body.split_at_checked(length) else { return };
        let (request, rest) = (Request::take(&mut body), rest.to_vec());
        client.asking = None;
        let reply = request.map_or_else(
            || Some(Reply { code: 125, error: "not a request".into(), ..Reply::default() }),
            |request| self.answer(at, request),
        );
        match (reply, &mut self.clients[at].begins) {
            (Some(reply), _) => self.reply(at, &reply, &rest),
            (None, Some(begins)) => begins.rest = rest,
            (None, None) => {}
        }
    }

    /// Answers a client, and takes what it said after its request.
    fn reply(&mut self, at: usize, reply: &Reply, rest: &[u8]) {
        let client = &mut self.clients[at];
        let mut out = framed(reply);
        out.append(&mut client.out);
        client.out = out;
        client.flush();
        if !rest.is_empty() && client.of.is_some() {
            self.heard(at, rest);
        }
    }

    /// What is answered at once; `None` where a process has to begin first.
    fn answer(&mut self, at: usize, request: Request) -> Option<Reply> {
        let of = self.processes.iter().position(|p| p.exec == request.exec);
        let begins = |c: &Client| c.begins.as_ref().is_some_and(|b| b.exec == request.exec);
        let taken = self.clients.iter().any(begins);
        let refused = |code, error: String| Some(Reply { pid: 0, code, error });
        let client = &mut self.clients[at];
        client.wanted = request.wanted;
        client.writes = true;
        match (request.verb, of) {
            (b'a', Some(of)) if self.processes[of].pidfd.is_some() => client.of = Some(of),
            (b'e', None) if !taken => {
                let Some(mut program) = request.program else { return refused(125, "no program".into()) };
                if let Err(failure) = users::known(&self.plan, program.uid, program.gid) {
                    client.writes = false;
                    return refused(failure.code, failure.words);
                }
                // What the container may not do, nobody may who joins it.
                program.seccomp.clone_from(&self.plan.program.seccomp);
                let stdin = request.wanted & STDIN != 0;
                match spawn::exec(&self.plan, &self.init, self.userns.as_ref(), &program, stdin) {
                    Ok(process) => {
                        let begins = Begins { exec: request.exec, process, rest: Vec::new() };
                        client.begins = Some(Box::new(begins));
                        return None;
                    }
                    Err(failure) => {
                        client.writes = false;
                        return refused(failure.code, failure.words);
                    }
                }
            }
            (b'r', Some(of)) => {
                if let (true, Some(file)) = (self.processes[of].tty, &self.processes[of].output[0]) {
                    program::resize(file, request.rows, request.columns);
                }
                client.writes = false;
            }
            (b's', Some(0)) => client.writes = false,
            (b'w', Some(0)) => {
                client.wanted = u8::MAX;
                return Some(Reply { pid: self.processes[0].pid, ..Reply::default() });
            }
            _ => {
                client.writes = false;
                return refused(125, "no such process".into());
            }
        }
        Some(Reply { pid: of.map_or(0, |of| self.processes[of].pid), ..Reply::default() })
    }

    /// A process that was to begin has become its program, or has said why it couldn't.
    fn begun(&mut self, at: usize) {
        let client = &mut self.clients[at];
        let Some(mut begins) = client.begins.take() else { return };
        if !begins.process.settled() {
            client.begins = Some(begins);
            return;
        }
        let tty = begins.process.tty;
        let reply = match begins.process.finish() {
            Ok(started) => {
                let of = self.keep(Process::new(begins.exec, started, tty));
                self.clients[at].of = Some(of);
                Reply { pid: self.processes[of].pid, ..Reply::default() }
            }
            Err(failure) => {
                client.writes = false;
                Reply { pid: 0, code: failure.code, error: failure.words }
            }
        };
        self.reply(at, &reply, &begins.rest);
    }

    /// Tells those who wait for the end that memory has run out.
    fn short_of_memory(&mut self) {
        if self.oom.as_mut().is_some_and(Oom::happened) {
            let waits = |c: &&mut Client| c.wanted == u8::MAX && c.asking.is_none();
            for client in self.clients.iter_mut().filter(waits) {
                client.out.push(OUT_OF_MEMORY);
                client.flush();
            }
        }
    }

    /// Lets go of clients that have everything.
    fn tidy(&mut self) {
        let processes = &self.processes;
        self.clients.retain(|client| {
            let over = match client.of {
                Some(of) => processes[of].pidfd.is_none(),
                None => {
                    client.asking.is_none() && (client.wanted != u8::MAX || processes[0].pidfd.is_none())
                        || client.asking.is_some() && processes[0].pidfd.is_none()
                }
            };
            client.begins.is_some() || !(client.gone || over && client.out.is_empty())
        });
    }
}
