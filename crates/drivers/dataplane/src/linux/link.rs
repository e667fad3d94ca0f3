//! Links and addresses, by `ip -batch` with a script of typed values on its standard input; sysctls by
//! /proc/sys, which shows the namespace of the thread that looks.

use std::{
    fs::OpenOptions,
    io::Write,
    os::fd::{AsRawFd, OwnedFd},
    process::{Command, Stdio},
};

use pileus_base::{Error, Result};

use crate::NetworkSpec;

/// The metadata service's address.
pub const METADATA: &str = "169.254.169.254";

/// What `ip` says of what is there already.
const FINE: [&str; 2] = ["File exists", "Device or resource busy"];

/// Runs a script of `ip` commands; those that find their work done are no failure.
pub fn ip(script: &str) -> Result<()> {
    let said = feed("ip", &["-force", "-batch", "-"], "iproute2", script)?;
    let bad = |l: &&str| {
        !l.trim().is_empty() && !l.starts_with("Command failed") && !FINE.iter().any(|f| l.contains(f))
    };
    match said.lines().find(bad) {
        None => Ok(()),
        Some(line) => Err(Error::internal(format!("ip: {}", line.trim()))),
    }
}

/// Runs `program` with `input`; what it said on standard error.
pub fn feed(program: &str, args: &[&str], package: &str, input: &str) -> Result<String> {
    let failed = |e: std::io::Error| match e.kind() {
        std::io::ErrorKind::NotFound => {
            Error::unavailable(format!("{program} is not installed: install the package {package}"))
                .caused_by(e)
        }
        _ => Error::wrap(format!("failed to run {program}"), e),
    };
    let mut command = Command::new(program);
    command.args(args).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(failed)?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(input.as_bytes()).map_err(failed)?;
    }
    let output = child.wait_with_output().map_err(failed)?;
    Ok(String::from_utf8_lossy(&output.stderr).into_owned())
}

fn sysctl(name: &str, value: &str) {
    let path = format!("/proc/sys/{name}");
    if let Err(e) = std::fs::write(&path, value) {
        // A kernel without IPv6 has none of its switches.
        tracing::debug!(path, error = %e, "a sysctl was not set");
    }
}

/// The network's bridge with its addresses.
pub fn ensure_bridge(bridge: &str, spec: &NetworkSpec) -> Result<()> {
    sysctl("net/ipv4/ip_forward", "0");
    sysctl("net/ipv6/conf/all/forwarding", "0");
    sysctl("net/ipv6/conf/default/accept_ra", "0");
    sysctl("net/ipv6/conf/default/accept_dad", "0");
    let mut script = format!(
        "link set dev lo up\n\
         link add name {bridge} type bridge stp_state 0 forward_delay 0 mcast_snooping 0\n\
         link set dev {bridge} address {} mtu {} up\n\
         addr replace {METADATA}/32 dev {bridge}\n",
        spec.service_mac, spec.mtu
    );
    for subnet in &spec.subnets {
        if let Some(ip) = subnet.service_ip {
            let nodad = if ip.is_ipv6() { " nodad" } else { "" };
            script += &format!("addr replace {ip}/{} dev {bridge}{nodad}\n", subnet.cidr.prefix_len());
        }
    }
    ip(&script)?;
    drop_strangers(bridge, spec)
}

/// Removes addresses that the network no longer has.
fn drop_strangers(bridge: &str, spec: &NetworkSpec) -> Result<()> {
    let output = Command::new("ip")
        .args(["-j", "addr", "show", "dev", bridge])
        .output()
        .map_err(|e| Error::wrap("failed to run ip", e))?;
    let links: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
    let wanted = |ip: &str| {
        ip == METADATA
            || ip.starts_with("fe80:")
            || spec.subnets.iter().filter_map(|s| s.service_ip).any(|own| own.to_string() == ip)
    };
    let mut script = String::new();
    for address in links[0]["addr_info"].as_array().into_iter().flatten() {
        let (Some(ip), Some(len)) = (address["local"].as_str(), address["prefixlen"].as_u64()) else {
            continue;
        };
        if !wanted(ip) {
            script += &format!("addr del {ip}/{len} dev {bridge}\n");
        }
    }
    if script.is_empty() { Ok(()) } else { ip(&script) }
}

/// A tap on the bridge. A link of that name that is there already is taken as it is.
pub fn ensure_tap(bridge: &str, tap: &str, mtu: u32, up: bool) -> Result<()> {
    let exists = std::fs::exists(format!("/proc/sys/net/ipv4/conf/{tap}")).unwrap_or(false);
    let mut script = String::new();
    if !exists {
        script += &format!("tuntap add dev {tap} mode tap vnet_hdr\n");
    }
    let state = if up { "up" } else { "down" };
    script += &format!("link set dev {tap} mtu {mtu} master {bridge} {state}\n");
    ip(&script)?;
    // The tap's own end of the wire is the guest's: the host has no address there.
    sysctl(&format!("net/ipv6/conf/{tap}/disable_ipv6"), "1");
    Ok(())
}

/// Removes a tap.
pub fn remove_tap(tap: &str) -> Result<()> {
    if std::fs::exists(format!("/proc/sys/net/ipv4/conf/{tap}")).unwrap_or(false) {
        ip(&format!("link del dev {tap}\n"))?;
    }
    Ok(())
}

/// Opens a tap that exists in this thread's namespace.
///
/// # Errors
/// 409 where another holds it.
pub fn open_tap(tap: &str) -> Result<OwnedFd> {
    const TUNSETIFF: libc::c_ulong = 0x4004_54ca;
    let failed = |e: std::io::Error| match e.raw_os_error() {
        Some(libc::EBUSY) => {
            Error::conflict(format!("the tap {tap} is in use by another guest")).caused_by(e)
        }
        _ => Error::wrap(format!("failed to open the tap {tap}"), e),
    };
    let file = OpenOptions::new().read(true).write(true).open("/dev/net/tun").map_err(failed)?;
    // struct ifreq: the name, then the flags.
    let mut request = [0u8; 40];
    let name = tap.as_bytes();
    request[..name.len().min(15)].copy_from_slice(&name[..name.len().min(15)]);
    let flags = (libc::IFF_TAP | libc::IFF_NO_PI | libc::IFF_VNET_HDR) as u16;
    request[16..18].copy_from_slice(&flags.to_ne_bytes());
    // SAFETY: the request is as long as struct ifreq and lives through the call.
    let rc = unsafe { libc::ioctl(file.as_raw_fd(), TUNSETIFF, request.as_mut_ptr()) };
    if rc < 0 {
        return Err(failed(std::io::Error::last_os_error()));
    }
    Ok(file.into())
}
