//! The container's first process, from its birth to the program: namespaces, root, hooks, and the wait for
//! `start`.
//!
//! ```text
//! create (parent)                      init (child)
//!   clone ─────────────────────────────► waits
//!   cgroup, maps, oom score
//!   'g'o ──────────────────────────────► joins, mounts, devices
//!   prestart, createRuntime hooks ◄── 'h'
//!   'g'o ──────────────────────────────► createContainer hooks, pivot_root, hiding
//!   state, pid file ◄──────────────── 'r'eady, opens exec.fifo: waits for `start`
//! ```
//! What fails in the child is told as 'e' with the words, and after the wait through the fifo, which closes
//! when the program begins: so `start` knows both.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    os::{
        fd::{AsRawFd, OwnedFd},
        unix::net::UnixStream,
    },
};

use oci_spec::runtime::{LinuxNamespaceType, Spec};
use pileus_base::Result;

use super::{
    Launch, devices, hooks, mounts, options, process,
    record::{FIFO, State, Status, VERSION},
    sys::{c, checked, clone, doing, exit, fail, hear, join, mount, open_in, put, send_fd, tell, unshare},
};

const MOUNT: u64 = libc::CLONE_NEWNS as u64;
const PID: u64 = libc::CLONE_NEWPID as u64;
const USER: u64 = libc::CLONE_NEWUSER as u64;
const CGROUP: u64 = libc::CLONE_NEWCGROUP as u64;
const NET: u64 = libc::CLONE_NEWNET as u64;
const TIME: u64 = 0x80;

/// Namespaces: which are made, and which are joined by what path.
#[derive(Default)]
pub struct Spaces {
    /// `CLONE_NEW…` of those to make.
    pub make: u64,
    /// Those to join, open already.
    pub join: Vec<(u64, File)>,
}

impl Spaces {
    /// Reads them from a configuration and opens those that are joined.
    ///
    /// # Errors
    /// Where one is not there or not of its kind.
    pub fn of(spec: &Spec) -> Result<Self> {
        let mut out = Self::default();
        let list = spec.linux().as_ref().and_then(|l| l.namespaces().as_ref());
        for one in list.into_iter().flatten() {
            let flag = one.typ() as u64;
            let Some(path) = one.path().as_ref().filter(|p| !p.as_os_str().is_empty()) else {
                out.make |= flag;
                continue;
            };
            let file = File::open(path).map_err(doing(format!("open namespace {}", path.display())))?;
            // SAFETY: takes a descriptor and a constant.
            let kind = unsafe { libc::ioctl(file.as_raw_fd(), 0xb703) };
            if kind as u64 != flag {
                let kind: &LinuxNamespaceType = &one.typ();
                return Err(fail(format!("{} is not a {kind} namespace", path.display())));
            }
            out.join.push((flag, file));
        }
        // A user namespace first: what comes after may be its own.
        out.join.sort_by_key(|(flag, _)| *flag != USER);
        Ok(out)
    }

    /// Makes the first process, by way of one in between where a user namespace is joined; the number is as
    /// seen from here. 0 in the child.
    ///
    /// # Errors
    /// Where the kernel refuses it.
    pub fn enter(&self) -> Result<u32> {
        let joins = |flag| self.join.iter().any(|(one, _)| *one == flag);
        let late = CGROUP | TIME;
        if !joins(USER) {
            for (_, file) in self.join.iter().filter(|(flag, _)| *flag == PID) {
                join(file, PID).map_err(doing("join the pid namespace"))?;
            }
            return clone(self.make & !late).map_err(doing("clone"));
        }
        let (mut ours, mut theirs) = UnixStream::pair().map_err(doing("socketpair"))?;
        let between = clone(0).map_err(doing("clone"))?;
        if between == 0 {
            drop(ours);
            let child = (|| {
                for (flag, file) in self.join.iter().filter(|(flag, _)| *flag == USER || *flag == PID) {
                    join(file, *flag).map_err(doing("join a namespace"))?;
                }
                become_root()?;
                unshare(self.make & !late).map_err(doing("unshare"))?;
                clone(libc::CLONE_PARENT as u64).map_err(doing("clone"))
            })();
            match child {
                Ok(0) => return Ok(0),
                Ok(pid) => drop(tell(&mut theirs, b'p', &pid.to_string())),
                Err(e) => drop(tell(&mut theirs, b'e', e.message())),
            }
            exit(0);
        }
        drop(theirs);
        let said = hear(&mut ours);
        super::sys::wait(between).map_err(doing("wait"))?;
        match said {
            Some((b'p', pid)) => pid.parse().map_err(|_| fail("clone: no process")),
            Some((_, words)) => Err(fail(words)),
            None => Err(fail("clone: no process")),
        }
    }
}

/// Root of the user namespace that we are in.
pub fn become_root() -> Result<()> {
    // SAFETY: takes numbers.
    unsafe {
        checked(libc::setresgid(0, 0, 0).into()).map_err(doing("setresgid"))?;
        checked(libc::setresuid(0, 0, 0).into()).map_err(doing("setresuid"))?;
        libc::setgroups(0, std::ptr::null());
    }
    Ok(())
}

/// Signals as a new program expects them.
pub fn calm() {
    // SAFETY: plain calls; what can't be changed stays.
    unsafe {
        for signal in 1..=64 {
            libc::signal(signal, libc::SIG_DFL);
        }
        let mut none = std::mem::zeroed();
        libc::sigemptyset(&raw mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut());
    }
}

/// In the child: everything up to the program. Never comes back.
pub fn run(launch: &Launch, spaces: &Spaces, dir: &File, parent: &mut UnixStream) -> ! {
    let mut fifo = None;
    let failed = match begin(launch, spaces, dir, parent, &mut fifo) {
        Ok(never) => match never {},
        Err(e) => e,
    };
    match &mut fifo {
        Some(fifo) => drop(File::write_all(fifo, failed.message().as_bytes())),
        None => drop(tell(parent, b'e', failed.message())),
    }
    exit(1)
}

fn begin(
    launch: &Launch,
    spaces: &Spaces,
    dir: &File,
    parent: &mut UnixStream,
    fifo: &mut Option<File>,
) -> Result<std::convert::Infallible> {
    let spec = &launch.bundle.spec;
    let (program, linux) = (launch.bundle.process()?, spec.linux().clone().unwrap_or_default());
    let wait = |parent: &mut UnixStream| hear(parent).map(drop).ok_or_else(|| fail("the runtime has gone"));
    calm();
    wait(parent)?;
    // Nobody looks into this process while it is between the host and the container (CVE-2016-9962).
    let _ = super::sys::prctl(libc::PR_SET_DUMPABLE, 0, 0);
    for (flag, file) in spaces.join.iter().filter(|(flag, _)| ![USER, PID, MOUNT].contains(flag)) {
        join(file, *flag).map_err(doing("join a namespace"))?;
    }
    if spaces.make & USER != 0 {
        become_root()?;
    }
    if spaces.make & CGROUP != 0 {
        unshare(CGROUP).map_err(doing("unshare the cgroup namespace"))?;
    }
    // SAFETY: takes nothing, and a number.
    unsafe {
        libc::setsid();
        libc::umask(0);
    }
    if !launch.no_new_keyring {
        process::keyring(&launch.id);
    }
    if spaces.make & NET != 0 {
        loopback().map_err(doing("bring up lo"))?;
    }
    name("sethostname", spec.hostname().as_deref(), libc::sethostname)?;
    name("setdomainname", spec.domainname().as_deref(), libc::setdomainname)?;
    for (_, file) in spaces.join.iter().filter(|(flag, _)| *flag == MOUNT) {
        join(file, MOUNT).map_err(doing("join the mount namespace"))?;
    }
    let root = if spaces.make & MOUNT != 0 { Some(build(launch)?) } else { None };
    let wanted = program.terminal().unwrap_or(false);
    let terminal = wanted.then(|| console(launch, root.as_ref())).transpose()?;
    for (name, value) in linux.sysctl().iter().flatten() {
        let path = format!("/proc/sys/{}", name.replace('.', "/"));
        put(&path, value).map_err(doing(format!("open sysctl {name} file")))?;
    }
    tell(parent, b'h', "").map_err(doing("tell the runtime"))?;
    wait(parent)?;
    if let Some(given) = spec.hooks().as_ref().and_then(|h| h.create_container().as_ref()) {
        hooks::run("createContainer", given, &state(launch, Status::Creating))?;
    }
    if let Some(root) = root {
        let none = Vec::new();
        let (masked, readonly) = (linux.masked_paths(), linux.readonly_paths());
        mounts::hide(&root, masked.as_ref().unwrap_or(&none), readonly.as_ref().unwrap_or(&none))?;
        enter(&root, launch)?;
    } else {
        // Without a mount namespace of its own the root is only this process's.
        chroot(launch)?;
    }
    if let Some(slave) = terminal {
        take(&slave)?;
    }
    process::labels(program)?;
    if let Some(personality) = linux.personality() {
        use oci_spec::runtime::LinuxPersonalityDomain as Domain;
        let domain = match personality.domain() {
            Domain::PerLinux32 => 8,
            _ => 0,
        };
        // SAFETY: takes a number.
        checked(unsafe { libc::personality(domain) }.into()).map_err(doing("personality"))?;
    }
    let seccomp = linux.seccomp().as_ref().map(crate::seccomp::compile).transpose()?.unwrap_or_default();
    process::limits(program)?;
    process::give_streams(program);
    let start_hooks = spec.hooks().as_ref().and_then(|h| h.start_container().clone());
    process::close_rest(launch.preserve_fds);
    // Hooks are run with the rights of the runtime, the program with its own.
    if start_hooks.is_none() {
        process::go(program)?;
        process::become_user(program, &seccomp)?;
    }
    let ready = process::prepare(program)?;
    tell(parent, b'r', "").map_err(doing("tell the runtime"))?;
    // Blocks until `start` opens the other end.
    let opened = open_in_dir(dir, FIFO).map_err(doing("open exec fifo"))?;
    let opened = fifo.insert(File::from(opened));
    opened.write_all(b"0").map_err(doing("write 0 exec fifo"))?;
    if let Some(given) = start_hooks {
        hooks::run("startContainer", &given, &state(launch, Status::Created))?;
        process::go(program)?;
        process::become_user(program, &seccomp)?;
    }
    Err(ready.run())
}

fn open_in_dir(dir: &File, name: &str) -> io::Result<OwnedFd> {
    let name = c(name)?;
    let flags = libc::O_WRONLY | libc::O_CLOEXEC;
    // SAFETY: the name outlives the call.
    super::sys::owned(unsafe { libc::openat(dir.as_raw_fd(), name.as_ptr(), flags) }.into())
}

fn state(launch: &Launch, status: Status) -> State {
    State {
        oci_version: VERSION,
        id: launch.id.clone(),
        status,
        // SAFETY: takes nothing.
        pid: unsafe { libc::getpid() } as u32,
        bundle: launch.bundle.dir.clone(),
        annotations: launch.bundle.spec.annotations().clone().unwrap_or_default(),
    }
}

fn name(
    call: &str,
    is: Option<&str>,
    set: unsafe extern "C" fn(*const libc::c_char, libc::size_t) -> libc::c_int,
) -> Result<()> {
    let Some(is) = is.filter(|is| !is.is_empty()) else { return Ok(()) };
    // SAFETY: the name outlives the call, and its length is given.
    checked(unsafe { set(is.as_ptr().cast(), is.len()) }.into()).map_err(doing(call)).map(drop)
}

/// Brings up the loopback of a new network namespace.
fn loopback() -> io::Result<()> {
    // SAFETY: an ifreq of zeros is valid; it outlives the calls, and the socket is closed by its owner.
    unsafe {
        let socket =
            super::sys::owned(libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0).into())?;
        let mut request: libc::ifreq = std::mem::zeroed();
        request.ifr_name[0] = b'l' as libc::c_char;
        request.ifr_name[1] = b'o' as libc::c_char;
        checked(libc::ioctl(socket.as_raw_fd(), libc::SIOCGIFFLAGS, &raw mut request).into())?;
        request.ifr_ifru.ifru_flags |= libc::IFF_UP as libc::c_short;
        checked(libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &raw const request).into())?;
    }
    Ok(())
}

/// Makes the root in the new mount namespace.
fn build(launch: &Launch) -> Result<OwnedFd> {
    let spec = &launch.bundle.spec;
    let word = spec.linux().as_ref().and_then(|l| l.rootfs_propagation().as_deref()).unwrap_or_default();
    let flag = options::propagation(word).map_or(libc::MS_SLAVE | libc::MS_REC, |f| f | libc::MS_REC);
    // Mounts made here never show on the host, whatever the root's own propagation is to be.
    let early = match flag & !libc::MS_REC {
        libc::MS_UNBINDABLE => libc::MS_PRIVATE | libc::MS_REC,
        libc::MS_SHARED => libc::MS_SLAVE | libc::MS_REC,
        _ => flag,
    };
    mount("", "/", "", early, "").map_err(doing("make / private"))?;
    let path = launch.rootfs.to_string_lossy().into_owned();
    mount(&path, &path, "bind", libc::MS_BIND | libc::MS_REC, "").map_err(doing(format!("bind {path}")))?;
    let root: OwnedFd = fs::File::open(&path).map_err(doing(format!("open {path}")))?.into();
    let mut later = mounts::Later::default();
    for (n, one) in spec.mounts().iter().flatten().enumerate() {
        let idmap = launch.idmaps.get(n).and_then(Option::as_ref);
        mounts::add(&root, one, &launch.cgroups, idmap, &mut later)?;
    }
    devices::make(&root, spec)?;
    mounts::finish(&root, &later)?;
    Ok(root)
}

/// A terminal for the program; its master goes to whoever asked for it.
fn console(launch: &Launch, root: Option<&OwnedFd>) -> Result<OwnedFd> {
    let host = File::open("/").map_err(doing("/"))?;
    let (master, slave) = match root {
        Some(root) => devices::terminal(root),
        None => devices::terminal(&host),
    }
    .map_err(doing("open a terminal"))?;
    size(&master, launch.bundle.process()?);
    if let Some(root) = root {
        devices::console(root, &slave).map_err(doing("mount /dev/console"))?;
    }
    let socket = launch.console.as_ref().ok_or_else(|| fail("no console socket"))?;
    send_fd(socket, "/dev/ptmx", &master).map_err(doing("send the terminal"))?;
    Ok(slave)
}

/// Sets a terminal's size, where one is asked for.
pub fn size(master: &OwnedFd, process: &oci_spec::runtime::Process) {
    if let Some(size) = process.console_size() {
        let (rows, columns) = (size.height() as u16, size.width() as u16);
        let size = libc::winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        // SAFETY: the size outlives the call.
        unsafe { libc::ioctl(master.as_raw_fd(), libc::TIOCSWINSZ, &raw const size) };
    }
}

/// Makes a terminal ours, and our standard streams.
pub fn take(slave: &OwnedFd) -> Result<()> {
    // SAFETY: takes descriptors and numbers.
    unsafe {
        checked(libc::ioctl(slave.as_raw_fd(), libc::TIOCSCTTY, 0).into()).map_err(doing("setctty"))?;
        for n in 0..3 {
            checked(libc::dup2(slave.as_raw_fd(), n).into()).map_err(doing("dup2"))?;
        }
    }
    Ok(())
}

/// Makes it the root of this process, with nothing of the old one left.
fn enter(root: &OwnedFd, launch: &Launch) -> Result<()> {
    let spec = &launch.bundle.spec;
    let old = File::open("/").map_err(doing("/"))?;
    let call = |answer: i64, what: &str| checked(answer).map(drop).map_err(doing(what));
    // SAFETY: the descriptors are open and the strings live for ever.
    unsafe {
        call(libc::fchdir(root.as_raw_fd()).into(), "enter the root")?;
        if launch.no_pivot {
            mount(".", "/", "", libc::MS_MOVE, "").map_err(doing("move the root"))?;
            call(libc::chroot(c".".as_ptr()).into(), "chroot")?;
        } else {
            call(libc::syscall(libc::SYS_pivot_root, c".".as_ptr(), c".".as_ptr()), "pivot_root .")?;
            call(libc::fchdir(old.as_raw_fd()).into(), "enter the old root")?;
            mount("", ".", "", libc::MS_SLAVE | libc::MS_REC, "")
                .map_err(doing("make the old root a slave"))?;
            call(libc::umount2(c".".as_ptr(), libc::MNT_DETACH).into(), "umount the old root")?;
        }
    }
    std::env::set_current_dir("/").map_err(doing("/"))?;
    let word = spec.linux().as_ref().and_then(|l| l.rootfs_propagation().as_deref()).unwrap_or_default();
    if let Some(flag) = options::propagation(word) {
        mount("", "/", "", flag, "").map_err(doing("set the root's propagation"))?;
    }
    if spec.root().as_ref().and_then(|r| r.readonly()).unwrap_or(false) {
        let root =
            open_in(&File::open("/").map_err(doing("/"))?, "/", libc::O_PATH, 0).map_err(doing("/"))?;
        let attr = super::sys::MountAttr { set: 1, ..Default::default() };
        super::sys::set_attributes(&root, false, &attr).map_err(doing("make the root read-only"))?;
    }
    Ok(())
}

fn chroot(launch: &Launch) -> Result<()> {
    let path = c(&launch.rootfs.to_string_lossy()).map_err(doing("the root"))?;
    // SAFETY: the path outlives the call.
    checked(unsafe { libc::chroot(path.as_ptr()) }.into()).map_err(doing("chroot"))?;
    std::env::set_current_dir("/").map_err(doing("/"))
}
