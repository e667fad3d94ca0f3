//! SSH in this process, by russh: one connection per host, a channel per command.
//!
//! The protocol runs on one background thread for all hosts; callers' threads wait for their own answers only.

use std::borrow::Cow;
use std::io;
use std::path::PathBuf;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use parking_lot::Mutex;
use russh::client::{self, Handle, Handler};
use russh::keys::{Algorithm, PublicKeyBase64, PublicKeyOrCertificate};
use russh::{ChannelMsg, ChannelReadHalf, ChannelWriteHalf, Preferred};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::auth::authenticate;
use super::config::{Wanted, home, path};
use super::known_hosts::{self, Verdict};
use super::program::Program;
use crate::connection::spawn::{Event, Input, Spawned, Transport};
use crate::connection::{Error, Options};

/// How many pieces of output wait to be read before the host does.
const BACKLOG: usize = 256;

/// The most bytes of a large input that are handed to the protocol at once.
const PART_BYTES: usize = 32 * 1024;

/// One host.
pub struct Native {
    options: Options,
    wanted: Arc<Wanted>,
    handle: Mutex<Option<Arc<Handle<Client>>>>,
    /// Once the program had to take over (a question about an unknown host's key), it stays so.
    program: Mutex<Option<Arc<Program>>>,
}

/// Why a connection isn't there.
enum Failure {
    Error(Error),
    /// Only the program can ask the user on his terminal.
    Ask,
}

impl Native {
    /// For a host; nothing is opened yet.
    pub fn new(options: &Options, wanted: Wanted) -> Self {
        Native {
            options: options.clone(),
            wanted: Arc::new(wanted),
            handle: Mutex::new(None),
            program: Mutex::new(None),
        }
    }

    fn handle(&self) -> Result<Arc<Handle<Client>>, Failure> {
        // Held while connecting: one connection per host, others wait for it.
        let mut slot = self.handle.lock();
        if let Some(handle) = slot.as_ref().filter(|h| !h.is_closed()) {
            return Ok(handle.clone());
        }
        let mut attempt = 0;
        loop {
            let (options, wanted) = (self.options.clone(), self.wanted.clone());
            match wait(async move { connect(&options, &wanted).await })? {
                Ok(handle) => {
                    let handle = Arc::new(handle);
                    *slot = Some(handle.clone());
                    return Ok(handle);
                }
                Err(Failure::Error(Error::Unreachable(_))) if attempt < self.options.retries => attempt += 1,
                Err(failure) => return Err(failure),
            }
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Failure::Error(error)
    }
}

/// The protocol's thread.
fn runtime() -> Result<&'static Runtime, Error> {
    static RUNTIME: OnceLock<Result<Runtime, String>> = OnceLock::new();
    let build = || {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        builder
            .worker_threads(1)
            .max_blocking_threads(4)
            .thread_name("ssh")
            .enable_all()
            .build()
            .map_err(|e| e.to_string())
    };
    RUNTIME.get_or_init(build).as_ref().map_err(|e| Error::Failed(format!("no thread for SSH: {e}")))
}

/// Runs a future on the protocol's thread and waits for it on ours, which may belong to another runtime.
fn wait<T: Send + 'static>(future: impl Future<Output = T> + Send + 'static) -> Result<T, Error> {
    let (sender, receiver) = sync_channel(1);
    runtime()?.spawn(async move {
        // The receiver waits below.
        let _ = sender.send(future.await);
    });
    receiver.recv().map_err(|_| Error::Failed("the SSH client broke off".into()))
}

fn unreachable(text: impl std::fmt::Display) -> Failure {
    Failure::Error(Error::Unreachable(super::failure(text.to_string().as_bytes())))
}

async fn connect(options: &Options, wanted: &Wanted) -> Result<Handle<Client>, Failure> {
    let host = wanted.host_name.as_deref().unwrap_or(&options.host).replace("%h", &options.host);
    let port = wanted.port.unwrap_or(22);
    let limit = Duration::from_secs(wanted.connect_timeout_s.unwrap_or(10).max(1));
    let socket = match tokio::time::timeout(limit, dial(&host, port, wanted.family)).await {
        Ok(socket) => socket?,
        Err(_) => {
            return Err(unreachable(format!(
                "ssh: connect to host {host} port {port}: Connection timed out"
            )));
        }
    };
    let known = known_hosts::name(
        wanted.host_key_alias.as_deref().unwrap_or(&host),
        if wanted.host_key_alias.is_some() { 22 } else { port },
    );
    let verdict = Arc::new(Mutex::new(None));
    let client = Client::new(known, wanted, verdict.clone());
    let mut config = client::Config {
        keepalive_interval: wanted.alive_interval_s.filter(|s| *s > 0).map(Duration::from_secs),
        nodelay: true,
        window_size: 8 << 20,
        preferred: preferred(&client),
        ..client::Config::default()
    };
    config.limits.rekey_time_limit = Duration::from_secs(24 * 3600);
    let opened = tokio::time::timeout(
        limit.max(Duration::from_secs(10)),
        client::connect_stream(Arc::new(config), socket, client),
    )
    .await;
    let mut handle = match opened {
        Ok(Ok(handle)) => handle,
        Ok(Err(error)) => {
            return Err(match verdict.lock().take() {
                Some(Refusal::Ask) => Failure::Ask,
                Some(Refusal::Text(text)) => unreachable(text),
                None => unreachable(format!("{host} port {port}: {error}")),
            });
        }
        Err(_) => {
            return Err(unreachable(format!(
                "Connection timed out during banner exchange\nConnection to {host} port {port} timed out"
            )));
        }
    };
    let user = match &wanted.user {
        Some(user) => user.clone(),
        None => login(),
    };
    authenticate(&mut handle, &user, options, wanted).await.map_err(|text| {
        let text = super::failure(text.as_bytes());
        Failure::Error(if options.password.is_some() {
            Error::Authentication(format!(
                "Invalid/incorrect password: {}",
                text.trim_start_matches("Failed to connect to the host via ssh: ")
            ))
        } else {
            Error::Authentication(text)
        })
    })?;
    Ok(handle)
}

/// Tries the host's addresses in turn.
async fn dial(host: &str, port: u16, family: Option<char>) -> Result<TcpStream, Failure> {
    let literal = host.trim_start_matches('[').trim_end_matches(']');
    let addresses = tokio::net::lookup_host((literal, port)).await.map_err(|_| {
        unreachable(format!("ssh: Could not resolve hostname {host}: Name or service not known"))
    })?;
    let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for address in addresses.filter(|a| family.is_none_or(|f| (f == '4') == a.is_ipv4())) {
        match TcpStream::connect(address).await {
            Ok(socket) => {
                // Frames are small and wait for answers.
                let _ = socket.set_nodelay(true);
                return Ok(socket);
            }
            Err(error) => last = error,
        }
    }
    let text = last.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    Err(unreachable(format!("ssh: connect to host {host} port {port}: {text}")))
}

fn login() -> String {
    // SAFETY: getuid has no preconditions and cannot fail.
    let uid = unsafe { libc::getuid() };
    let passwd = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let entry = passwd
        .lines()
        .map(|l| l.split(':').collect::<Vec<_>>())
        .find(|f| f.get(2) == Some(&uid.to_string().as_str()));
    entry
        .and_then(|f| f.first().map(|n| n.to_string()))
        .or_else(|| std::env::var("USER").ok())
        .unwrap_or_else(|| "root".into())
}

/// Kinds of host keys that are known come first, so that the host shows one that we can check.
fn preferred(client: &Client) -> Preferred {
    let kinds = known_hosts::kinds(&client.files, &client.name);
    let known = |a: &Algorithm| {
        kinds.iter().any(|k| a.as_str() == k || (k == "ssh-rsa" && matches!(a, Algorithm::Rsa { .. })))
    };
    let mut algorithms = Preferred::DEFAULT.key.to_vec();
    algorithms.sort_by_key(|a| !known(a));
    let mut ciphers = Preferred::DEFAULT.cipher.to_vec();
    if has_aes() {
        // Sealing the helper's 2 MB costs less with it on both sides.
        ciphers.sort_by_key(|cipher| *cipher != russh::cipher::AES_256_GCM);
    }
    Preferred { key: algorithms.into(), cipher: ciphers.into(), ..Preferred::DEFAULT }
}

/// Whether this machine has instructions for AES; its hosts are taken to be alike.
fn has_aes() -> bool {
    #[cfg(target_arch = "x86_64")]
    return std::arch::is_x86_feature_detected!("aes");
    #[cfg(target_arch = "aarch64")]
    return std::arch::is_aarch64_feature_detected!("aes");
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    false
}

enum Refusal {
    Ask,
    Text(String),
}

/// Checks the host's key.
pub struct Client {
    name: String,
    strict: String,
    files: Vec<PathBuf>,
    hashed: bool,
    refusal: Arc<Mutex<Option<Refusal>>>,
}

impl Client {
    fn new(name: String, wanted: &Wanted, refusal: Arc<Mutex<Option<Refusal>>>) -> Self {
        let of_user = wanted.user_known_hosts.clone().map_or_else(
            || vec![home().join(".ssh/known_hosts"), home().join(".ssh/known_hosts2")],
            |names| names.iter().filter(|n| *n != "none").map(|n| path(n)).collect(),
        );
        let of_system = wanted.global_known_hosts.clone().map_or_else(
            || vec!["/etc/ssh/ssh_known_hosts".into(), "/etc/ssh/ssh_known_hosts2".into()],
            |names| names.iter().filter(|n| *n != "none").map(|n| path(n)).collect(),
        );
        Client {
            name,
            strict: wanted.strict.clone().unwrap_or_else(|| "ask".into()),
            files: [of_user, of_system].concat(),
            hashed: wanted.hash_known_hosts.unwrap_or(false),
            refusal,
        }
    }

    fn refuse(&self, why: Refusal) -> bool {
        *self.refusal.lock() = Some(why);
        false
    }
}

impl Handler for Client {
    type Error = russh::Error;

    async fn check_server_key(&mut self, shown: &PublicKeyOrCertificate) -> Result<bool, russh::Error> {
        let PublicKeyOrCertificate::PublicKey { key, .. } = shown else {
            return Ok(self.refuse(Refusal::Text("Host key verification failed.".into())));
        };
        let kind = match key.algorithm() {
            Algorithm::Rsa { .. } => "ssh-rsa".to_string(),
            other => other.as_str().to_string(),
        };
        let bytes = key.public_key_base64();
        let learn = || match self.files.first() {
            // A key that can't be written down is asked about again next time.
            Some(file) if file.as_os_str() != "/dev/null" => {
                drop(known_hosts::learn(file, &self.name, &kind, &bytes, self.hashed))
            }
            _ => {}
        };
        Ok(match (known_hosts::check(&self.files, &self.name, &kind, &bytes), self.strict.as_str()) {
            (Verdict::Known, _) => true,
            (Verdict::Revoked, _) => self.refuse(Refusal::Text("Host key verification failed.".into())),
            (Verdict::Changed, "no") => true,
            (Verdict::Changed, _) => self.refuse(Refusal::Text(format!(
                "WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!\nHost key for {} has changed and you have requested strict checking.\n\
                 Host key verification failed.",
                self.name
            ))),
            (Verdict::Unknown, "no" | "accept-new") => {
                learn();
                true
            }
            (Verdict::Unknown | Verdict::Authority, "ask") if has_terminal() => self.refuse(Refusal::Ask),
            (Verdict::Authority, _) => self.refuse(Refusal::Ask),
            (Verdict::Unknown, "yes") => self.refuse(Refusal::Text(format!(
                "No {kind} host key is known for {} and you have requested strict checking.\nHost key verification failed.",
                self.name
            ))),
            (Verdict::Unknown, _) => self.refuse(Refusal::Text("Host key verification failed.".into())),
        })
    }
}

/// Whether somebody could be asked.
fn has_terminal() -> bool {
    std::fs::File::open("/dev/tty").is_ok()
}

impl Transport for Native {
    fn name(&self) -> &'static str {
        "ssh"
    }

    fn spawn(&self, command: &str, tty: bool) -> Result<Spawned, Error> {
        let program = self.program.lock().clone();
        if let Some(program) = program {
            return program.spawn(command, tty);
        }
        let handle = match self.handle() {
            Ok(handle) => handle,
            Err(Failure::Error(error)) => return Err(error),
            Err(Failure::Ask) => {
                let program = Arc::new(Program::new(&self.options));
                *self.program.lock() = Some(program.clone());
                return program.spawn(command, tty);
            }
        };
        let environment = sent_environment(&self.wanted.send_env);
        let line = command.to_string();
        let lost = self.options.host.clone();
        wait(async move { start(&handle, line, tty, environment).await })?
            .map_err(|e| Error::Unreachable(super::failure(format!("{lost}: {e}").as_bytes())))
    }

    fn close(&self) {
        if let Some(program) = self.program.lock().take() {
            program.close();
        }
        if let Some(handle) = self.handle.lock().take() {
            // The host sees the end of the connection in any case.
            let _ = wait(async move { handle.disconnect(russh::Disconnect::ByApplication, "", "en").await });
        }
    }
}

/// Our variables that the configuration's SendEnv names.
fn sent_environment(patterns: &[String]) -> Vec<(String, String)> {
    if patterns.is_empty() {
        return Vec::new();
    }
    std::env::vars()
        .filter(|(name, _)| patterns.iter().any(|p| super::config::glob(p.as_bytes(), name.as_bytes())))
        .collect()
}

async fn start(
    handle: &Handle<Client>,
    command: String,
    tty: bool,
    environment: Vec<(String, String)>,
) -> Result<Spawned, russh::Error> {
    let channel = handle.channel_open_session().await?;
    if tty {
        channel.request_pty(false, "xterm", 80, 24, 0, 0, &[(russh::Pty::ECHO, 0)]).await?;
    }
    for (name, value) in environment {
        channel.set_env(false, name, value).await?;
    }
    channel.exec(false, command).await?;
    let (read, write) = channel.split();
    let (sender, events) = sync_channel(BACKLOG);
    let (bytes, pieces) = unbounded_channel();
    tokio::spawn(forward(read, sender));
    tokio::spawn(send(write, pieces));
    Ok(Spawned { input: Some(Box::new(Writer(bytes))), events })
}

/// What goes to a command.
enum Piece {
    Bytes(Cow<'static, [u8]>),
    /// The signal that ends it.
    Term,
}

struct Writer(UnboundedSender<Piece>);

impl Input for Writer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.send(Piece::Bytes(Cow::Owned(bytes.to_vec()))).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }

    fn write_static(&mut self, bytes: &'static [u8]) -> io::Result<()> {
        self.0.send(Piece::Bytes(Cow::Borrowed(bytes))).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }

    fn end(&mut self) {
        // Without a channel there is no command any more.
        let _ = self.0.send(Piece::Term);
    }
}

/// Writes what comes; then the input's end.
async fn send(write: ChannelWriteHalf<client::Msg>, mut pieces: UnboundedReceiver<Piece>) {
    while let Some(piece) = pieces.recv().await {
        let sent = match piece {
            Piece::Term => write.signal(russh::Sig::TERM).await,
            Piece::Bytes(Cow::Owned(bytes)) => write.data_bytes(bytes).await,
            // In parts, so that what waits to be sent is never the whole of it for every host.
            Piece::Bytes(Cow::Borrowed(bytes)) => {
                let mut sent = Ok(());
                for part in bytes.chunks(PART_BYTES) {
                    sent = write.data_bytes(part).await;
                    if sent.is_err() {
                        break;
                    }
                }
                sent
            }
        };
        if sent.is_err() {
            return;
        }
    }
    // The channel may be closed already.
    let _ = write.eof().await;
}

/// Passes on what the host says.
async fn forward(mut read: ChannelReadHalf, sender: SyncSender<Event>) {
    let mut code = None;
    while let Some(message) = read.wait().await {
        let event = match message {
            ChannelMsg::Data { data } => Event::Out(data.to_vec()),
            ChannelMsg::ExtendedData { data, .. } => Event::Err(data.to_vec()),
            ChannelMsg::ExitStatus { exit_status } => {
                code = Some(exit_status as i32);
                continue;
            }
            ChannelMsg::ExitSignal { .. } => {
                code = Some(255);
                continue;
            }
            _ => continue,
        };
        if !pass(&sender, event).await {
            return;
        }
    }
    if let Some(code) = code {
        pass(&sender, Event::Exit(code)).await;
    }
}

/// Passes an event on; a full queue is waited for off the protocol's thread.
async fn pass(sender: &SyncSender<Event>, event: Event) -> bool {
    use std::sync::mpsc::TrySendError;
    match sender.try_send(event) {
        Ok(()) => true,
        Err(TrySendError::Disconnected(_)) => false,
        Err(TrySendError::Full(event)) => {
            let sender = sender.clone();
            tokio::task::spawn_blocking(move || sender.send(event).is_ok()).await.unwrap_or(false)
        }
    }
}
