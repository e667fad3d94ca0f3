//! The supervisor at work: streams between processes and those attached, the log, and what is asked.
//!
//! A reader that is slow holds its process back: output is read on only when everyone attached has room.
//! Once a process has ended what is left of its output is read at once, so an exit code never waits for a
//! reader; the supervisor itself stays until all have been told everything.

use alloc::{format, string::String, string::ToString, vec, vec::Vec};

use crate::{
    log::{self, Log},
    plan::{Plan, Reply, Request, STDERR, STDIN, STDOUT, Wire, framed},
    program, spawn,
    sys::{
        Doing, Errno, Fd, Result, Sysno, accept, chdir, listen, make_dir, read, rename, send, syscall,
        unlink, wait, write,
    },
    users,
};

/// What may wait for a reader before its process is held back.
const MOST: usize = 64 << 10;

/// Somebody attached to a process, or still to say what is wanted.
struct Client {
    socket: Fd,
    /// The request, until it is whole.
    asking: Option<Vec<u8>>,
    /// Which process; `None` for who waits for the container's end.
    of: Option<usize>,
    wanted: u8,
    out: Vec<u8>,
    /// Whether it may still write.
    writes: bool,
    gone: bool,
}

/// A process with its streams.
struct Process {
    exec: String,
    pid: u32,
    pidfd: Option<Fd>,
    stdin: Option<Fd>,
    /// On its way to standard input.
    input: Vec<u8>,
    close_stdin: bool,
    output: [Option<Fd>; 2],
    tty: bool,
}

/// The supervisor.
pub struct Supervisor {
    plan: Plan,
    listener: Option<Fd>,
    log: Option<Log>,
    processes: Vec<Process>,
    clients: Vec<Client>,
    init: Fd,
    userns: Option<Fd>,
}

/// What a descriptor in the poll list belongs to.
#[derive(Clone, Copy)]
enum Source {
    Listener,
    End,
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
        Ok(Self { plan, listener: Some(listener), log, processes, clients, init, userns })
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
                    Source::End => self.reap(),
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
    fn read(&mut self, at: usize, of: usize) -> bool {
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
            || Reply { code: 125, error: "not a request".into(), ..Reply::default() },
            |request| self.answer(at, request),
        );
        let client = &mut self.clients[at];
        let mut out = framed(&reply);
        out.append(&mut client.out);
        client.out = out;
        client.flush();
        if !rest.is_empty() && client.of.is_some() {
            self.heard(at, &rest);
        }
    }

    fn answer(&mut self, at: usize, request: Request) -> Reply {
        let of = self.processes.iter().position(|p| p.exec == request.exec);
        let refused = |code, error: String| Reply { pid: 0, code, error };
        let client = &mut self.clients[at];
        client.wanted = request.wanted;
        client.writes = true;
        match (request.verb, of) {
            (b'a', Some(of)) if self.processes[of].pidfd.is_some() => client.of = Some(of),
            (b'e', None) => {
                let Some(mut program) = request.program else { return refused(125, "no program".into()) };
                if let Err(failure) = users::known(&self.plan, program.uid, program.gid) {
                    client.writes = false;
                    return refused(failure.code, failure.words);
                }
                // What the container may not do, nobody may who joins it.
                program.seccomp.clone_from(&self.plan.program.seccomp);
                let stdin = request.wanted & STDIN != 0;
                match spawn::exec(&self.plan, &self.init, self.userns.as_ref(), &program, stdin) {
                    Ok(started) => {
                        let of = self.keep(Process::new(request.exec, started, program.tty));
                        self.clients[at].of = Some(of);
                        return Reply { pid: self.processes[of].pid, ..Reply::default() };
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
                return Reply { pid: self.processes[0].pid, ..Reply::default() };
            }
            _ => {
                client.writes = false;
                return refused(125, "no such process".into());
            }
        }
        Reply { pid: of.map_or(0, |of| self.processes[of].pid), ..Reply::default() }
    }

    /// Gives a process a place: that of an exec which has ended, where nobody is still told of it.
    fn keep(&mut self, process: Process) -> usize {
        let free = (1..self.processes.len()).find(|of| {
            self.processes[*of].pidfd.is_none() && !self.clients.iter().any(|c| c.of == Some(*of))
        });
        match free {
            Some(of) => self.processes[of] = process,
            None => self.processes.push(process),
        }
        free.unwrap_or(self.processes.len() - 1)
    }

    /// Reaps what has ended.
    fn reap(&mut self) {
        while let Ok((pid, status)) = wait(-1, libc::WNOHANG) {
            if pid == 0 {
                return;
            }
            let ended = self.processes.iter().position(|p| p.pidfd.is_some() && p.pid == pid);
            let Some(at) = ended else { continue };
            // What a pipe or a terminal holds is little; nobody's slowness keeps the end back. What others
            // who still hold the pipe go on to say is not waited for.
            for of in 0..2 {
                let mut most = 64;
                while most > 0 && self.read(at, of) {
                    most -= 1;
                }
            }
            let process = &mut self.processes[at];
            process.pidfd = None;
            process.stdin = None;
            process.output = [None, None];
            self.tell(at, spawn::code(status));
        }
    }

    /// Writes down how a process has ended.
    fn tell(&mut self, at: usize, code: i32) {
        let keep = |path: &str, text: String| {
            let new = format!("{path}.new");
            // Where even this can't be written, who asks finds no exit code, and says so.
            let _ = write(&new, &text).and_then(|()| rename(&new, path));
        };
        if at != 0 {
            // It is there already, but for the first.
            let _ = make_dir("exec");
            keep(&format!("exec/{}", self.processes[at].exec), code.to_string());
            return;
        }
        if let Some(log) = &mut self.log {
            log.end();
        }
        let killed = self.plan.cgroups.iter().any(|file| {
            let dir = file.rsplit_once('/').map_or("", |(dir, _)| dir);
            ["memory.oom_control", "memory.events"].iter().any(|name| {
                let text = read(&format!("{dir}/{name}")).unwrap_or_default();
                let count = text.lines().find_map(|line| line.strip_prefix("oom_kill "));
                count.is_some_and(|n| n.trim() != "0")
            })
        });
        let (at_ns, _) = log::now();
        keep("exit.json", format!("{{\"code\":{code},\"oom_killed\":{killed},\"at_ns\":{at_ns}}}"));
        self.listener = None;
        let _ = unlink("sup.sock");
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
            !(client.gone || over && client.out.is_empty())
        });
    }
}

impl Client {
    fn new(socket: Fd, asking: Option<Vec<u8>>, of: Option<usize>, wanted: u8) -> Self {
        Self { socket, asking, of, wanted, out: Vec::new(), writes: true, gone: false }
    }

    /// Writes what it has room for.
    fn flush(&mut self) {
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
