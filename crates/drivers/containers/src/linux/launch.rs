//! Runs supervisors and talks to them. The program is embedded and run from sealed memory, so that it is
//! always this build's and nothing on disk can replace it.

use std::{
    fs::File,
    io::{self, Read, Write},
    os::{
        fd::{AsRawFd, FromRawFd, OwnedFd},
        unix::{net::UnixStream as StdStream, process::CommandExt},
    },
    path::Path,
    process::{Command, Stdio},
};

use pileus_base::{Error, Result};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
};

use super::plan::{Plan, Reply, Request, Wire, framed};
use crate::bundle::sys::send_fd;

static PROGRAM: &[u8] = include_bytes!(env!("PILEUS_SUPERVISOR"));

/// The longest reply that is believed.
const LONGEST: u64 = 1 << 20;

/// The supervisor's program, in sealed memory.
///
/// # Errors
/// Where the kernel gives no such memory.
pub fn program() -> Result<File> {
    let failed = |e| Error::wrap("failed to prepare the supervisor", e);
    // SAFETY: the name is a string with an end; the descriptor is checked before it is used.
    let fd = unsafe {
        libc::memfd_create(c"pileus-supervisor".as_ptr(), libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING)
    };
    if fd < 0 {
        return Err(failed(io::Error::last_os_error()));
    }
    // SAFETY: the kernel has just given it to us.
    let mut file = File::from(unsafe { OwnedFd::from_raw_fd(fd) });
    file.write_all(PROGRAM).map_err(failed)?;
    let seals = libc::F_SEAL_SEAL | libc::F_SEAL_SHRINK | libc::F_SEAL_GROW | libc::F_SEAL_WRITE;
    // SAFETY: takes a descriptor and numbers.
    if unsafe { libc::fcntl(file.as_raw_fd(), libc::F_ADD_SEALS, seals) } < 0 {
        return Err(failed(io::Error::last_os_error()));
    }
    Ok(file)
}

/// Runs a supervisor with `plan`; `attached` are the sockets that the plan speaks of. Blocks until the
/// container runs or can't.
///
/// # Errors
/// Where the supervisor can't be run; what it says is in its reply.
pub fn run(program: &File, plan: &Plan, attached: &[OwnedFd]) -> Result<Reply> {
    let failed = |e| Error::wrap("failed to run the supervisor", e);
    let (ours, theirs) = StdStream::pair().map_err(failed)?;
    let mut command = Command::new(format!("/proc/self/fd/{}", program.as_raw_fd()));
    command.arg0("pileus-supervisor").env_clear().current_dir("/");
    command.stdin(OwnedFd::from(theirs)).stdout(Stdio::null()).stderr(Stdio::null());
    // Nothing is asked for that keeps this from `posix_spawn`, which doesn't copy the daemon's page tables.
    let mut child = command.spawn().map_err(failed)?;
    // The command holds the other end of the socket.
    drop(command);
    // What was run forks and ends at once.
    child.wait().map_err(failed)?;
    let mut ours = ours;
    ours.write_all(&framed(plan)).map_err(failed)?;
    for socket in attached {
        // One byte carries each.
        send_fd(&ours, "-", socket).map_err(failed)?;
    }
    let mut length = [0; 8];
    ours.read_exact(&mut length).map_err(failed)?;
    let mut body = Vec::new();
    ours.take(u64::from_le_bytes(length).min(LONGEST)).read_to_end(&mut body).map_err(failed)?;
    Reply::take(&mut &body[..]).ok_or_else(|| Error::internal("the supervisor's answer makes no sense"))
}

/// Asks the supervisor of the container whose directory is `dir`; `None` where there is none any more.
///
/// # Errors
/// Where it doesn't answer.
pub async fn ask(dir: &Path, request: &Request) -> Result<Option<(Reply, UnixStream)>> {
    // The address of a socket has room for a short path only: the directory goes in as a descriptor.
    let Ok(at) = File::open(dir) else { return Ok(None) };
    let path = format!("/proc/self/fd/{}/sup.sock", at.as_raw_fd());
    let Ok(mut stream) = UnixStream::connect(path).await else { return Ok(None) };
    let talk = async {
        stream.write_all(&framed(request)).await?;
        let mut length = [0; 8];
        stream.read_exact(&mut length).await?;
        let mut body = vec![0; u64::from_le_bytes(length).min(LONGEST) as usize];
        stream.read_exact(&mut body).await?;
        io::Result::Ok(body)
    };
    // One that ends while it is asked is as good as gone.
    let Ok(body) = talk.await else { return Ok(None) };
    let reply = Reply::take(&mut &body[..]);
    let reply = reply.ok_or_else(|| Error::internal("the supervisor's answer makes no sense"))?;
    Ok(Some((reply, stream)))
}
