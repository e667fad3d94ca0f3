//! The table of modules: names, argument spec, function.
//!
//! `"name" => run` covers every argument of its spec; `"name" => run where covers` says by the checked parameters
//! which calls it covers. What it does not is the reference's module in Python's to do ([`crate::covers`]).

use crate::cx::Cx;
use crate::modules as m;
use crate::result::{Map, Reply};

/// A native module.
pub struct Entry {
    /// The name as it is looked up: short for builtin ones, full for collections.
    pub name: &'static str,
    /// The key of its spec; none for modules that take anything.
    pub spec: &'static str,
    /// The module.
    pub run: fn(&mut Cx<'_>) -> Reply,
    /// Whether it covers these checked parameters.
    pub covers: fn(&Map) -> bool,
}

/// A module that covers all its parameters.
fn everything(_: &Map) -> bool {
    true
}

macro_rules! table {
    ($($name:literal => $run:path $(where $covers:path)?),* $(,)?) => {
        &[$(Entry { name: $name, spec: $name, run: $run, covers: table!(@ $($covers)?) }),*]
    };
    (@) => { everything };
    (@ $covers:path) => { $covers };
}

static TABLE: &[Entry] = table! {
    "ansible.posix.sysctl" => m::sysctl::run,
    "apt" => m::apt::run where m::apt::covers,
    "assemble" => m::assemble::run,
    "async_status" => m::async_status::run,
    "blockinfile" => m::blockinfile::run,
    "command" => m::command::run,
    "community.docker.docker_container" => m::docker::container::run where m::docker::container::covers,
    "community.docker.docker_container_exec" => m::docker::exec::run where m::docker::client::covers,
    "community.docker.docker_container_info" => m::docker::info::container where m::docker::client::covers,
    "community.docker.docker_host_info" => m::docker::info::host where m::docker::client::covers,
    "community.docker.docker_image_info" => m::docker::info::image where m::docker::client::covers,
    "community.docker.docker_image_pull" => m::docker::image_pull::run where m::docker::image_pull::covers,
    "community.docker.docker_network" => m::docker::network::run where m::docker::network::covers,
    "community.docker.docker_network_info" => m::docker::info::network where m::docker::client::covers,
    "community.docker.docker_volume" => m::docker::volume::run where m::docker::client::covers,
    "community.docker.docker_volume_info" => m::docker::info::volume where m::docker::client::covers,
    "community.general.ini_file" => m::ini_file::run where m::ini_file::covers,
    "copy" => m::copy::run,
    "cron" => m::cron::run,
    "file" => m::file::run,
    "find" => m::find::run,
    "getent" => m::getent::run,
    "get_url" => m::get_url::run where m::get_url::covers,
    "git" => m::git::run where m::git::covers,
    "group" => m::group::run,
    "lineinfile" => m::lineinfile::run,
    "ping" => m::ping::run,
    "replace" => m::replace::run,
    "setup" => m::setup::run,
    "shell" => m::command::shell,
    "slurp" => m::slurp::run,
    "stat" => m::stat::run,
    "systemd" => m::systemd::run,
    "systemd_service" => m::systemd::run,
    "tempfile" => m::tempfile::run,
    "unarchive" => m::unarchive::run,
    "uri" => m::uri::run where m::uri::covers,
    "user" => m::user::run,
    "wait_for" => m::wait_for::run,
};

/// The module of that name: `file`, `ansible.builtin.file`, `ansible.posix.mount`, `mount`.
pub fn find(name: &str) -> Option<&'static Entry> {
    let short = name.strip_prefix("ansible.builtin.").or_else(|| name.strip_prefix("ansible.legacy."));
    let wanted = short.unwrap_or(name);
    let exact = TABLE.iter().find(|entry| entry.name == wanted);
    if exact.is_some() || wanted.contains('.') || short.is_some() {
        return exact;
    }
    // A collection's module under the short name it had before 2.10.
    TABLE.iter().find(|entry| entry.name.rsplit_once('.').is_some_and(|(_, last)| last == wanted))
}

/// All names, sorted.
pub fn names() -> Vec<&'static str> {
    let mut names: Vec<_> = TABLE.iter().map(|entry| entry.name).collect();
    names.sort_unstable();
    names
}

#[cfg(test)]
mod tests {
    use crate::result::Fail;
    use crate::{Map, covers, handed_over};

    #[test]
    fn what_a_module_covers() {
        let wrong = crate::map! { "nosuch" => 1 };
        assert!(covers("ansible.builtin.file", &wrong), "it says itself what is wrong");
        assert!(!covers("ansible.builtin.nosuch", &Map::new()));
        assert!(handed_over(&Fail::hand_over("no systemd here").into_map()));
        assert!(!handed_over(&Fail::msg("no systemd here").into_map()));
    }
}
