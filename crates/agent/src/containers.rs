//! Containers: the driver's verbs as the host's.

use oci_spec::runtime::LinuxResources;
use pileus_base::Result;
use pileus_containers as driver;
use pileus_host::{
    BoxFuture, ContainerSpec, ContainerState, ContainerStats, Containers, ExecSpec, LogKind, Rootfs, Stream,
    Wanted,
};

use crate::Agent;

fn spec(spec: &ContainerSpec) -> driver::ContainerSpec {
    driver::ContainerSpec {
        id: spec.id.clone(),
        oci: spec.oci.clone(),
        layers: spec.rootfs.layers.clone(),
        open_stdin: spec.open_stdin,
        stdin_once: spec.stdin_once,
        log: spec.log.as_ref().map(|log| driver::LogSpec {
            path: log.path.clone(),
            kind: match log.kind {
                LogKind::Json => driver::LogKind::Json,
                LogKind::Local => driver::LogKind::Local,
                LogKind::Journal => driver::LogKind::Journal,
            },
            extra: log.extra.clone(),
            max_size_bytes: log.max_size_bytes,
            max_files: log.max_files,
        }),
        init: spec.init,
    }
}

fn wanted(wanted: Wanted) -> driver::Wanted {
    driver::Wanted { stdin: wanted.stdin, stdout: wanted.stdout, stderr: wanted.stderr }
}

fn state(state: driver::ContainerState) -> ContainerState {
    match state {
        driver::ContainerState::Absent => ContainerState::Absent,
        driver::ContainerState::Running { pid, paused } => ContainerState::Running { pid, paused },
        driver::ContainerState::Exited { code, oom_killed, at_ns } => {
            ContainerState::Exited { code, oom_killed, at_ns }
        }
    }
}

/// The counters of the interfaces that a process sees, of `/proc/<pid>/net/dev`.
fn networks(dev: &str) -> Vec<(String, [u64; 8])> {
    let lines = dev.lines().filter_map(|line| line.split_once(':'));
    let parsed = lines.map(|(name, rest)| {
        let all: Vec<u64> = rest.split_whitespace().map(|n| n.parse().unwrap_or(0)).collect();
        let of = |at: usize| all.get(at).copied().unwrap_or(0);
        (name.trim().to_owned(), [of(0), of(1), of(2), of(3), of(8), of(9), of(10), of(11)])
    });
    parsed.filter(|(name, _)| name != "lo").collect()
}

impl Containers for Agent {
    fn ensure_container<'a>(&'a self, id: &'a str, _: &'a Rootfs) -> BoxFuture<'a, Result<()>> {
        self.containers.ensure(id)
    }
    fn start_container<'a>(&'a self, wanted: &'a ContainerSpec) -> BoxFuture<'a, Result<u32>> {
        Box::pin(async move { self.containers.start(&spec(wanted)).await })
    }
    fn attach_container<'a>(
        &'a self,
        id: &'a str,
        streams: Wanted,
    ) -> BoxFuture<'a, Result<Box<dyn Stream>>> {
        Box::pin(async move {
            Ok(Box::new(self.containers.attach(id, wanted(streams)).await?) as Box<dyn Stream>)
        })
    }
    fn wait_container<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<ContainerState>> {
        Box::pin(async move { self.containers.wait(id).await.map(state) })
    }
    fn watch_container<'a>(
        &'a self,
        id: &'a str,
        killed: &'a (dyn Fn() + Send + Sync),
    ) -> BoxFuture<'a, Result<ContainerState>> {
        Box::pin(async move { self.containers.watch(id, killed).await.map(state) })
    }
    fn container<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<ContainerState>> {
        Box::pin(async move { self.containers.state(id).await.map(state) })
    }
    fn containers(&self) -> BoxFuture<'_, Result<Vec<String>>> {
        self.containers.list()
    }
    fn signal_container<'a>(&'a self, id: &'a str, signal: i32) -> BoxFuture<'a, Result<()>> {
        self.containers.signal(id, signal)
    }
    fn pause_container<'a>(&'a self, id: &'a str, pause: bool) -> BoxFuture<'a, Result<()>> {
        self.containers.pause(id, pause)
    }
    fn update_container<'a>(
        &'a self,
        id: &'a str,
        resources: &'a LinuxResources,
    ) -> BoxFuture<'a, Result<()>> {
        self.containers.update(id, resources)
    }
    fn resize_container<'a>(
        &'a self,
        id: &'a str,
        exec: Option<&'a str>,
        rows: u16,
        columns: u16,
    ) -> BoxFuture<'a, Result<()>> {
        self.containers.resize(id, exec, rows, columns)
    }
    fn exec_container<'a>(
        &'a self,
        id: &'a str,
        exec: &'a ExecSpec,
    ) -> BoxFuture<'a, Result<(u32, Box<dyn Stream>)>> {
        Box::pin(async move {
            let exec = driver::ExecSpec {
                id: exec.id.clone(),
                process: exec.process.clone(),
                wanted: wanted(exec.wanted),
            };
            let (pid, stream) = self.containers.exec(id, &exec).await?;
            Ok((pid, Box::new(stream) as Box<dyn Stream>))
        })
    }
    fn exec_exit<'a>(&'a self, id: &'a str, exec: &'a str) -> BoxFuture<'a, Result<Option<i32>>> {
        self.containers.exec_exit(id, exec)
    }
    fn forget_exec<'a>(&'a self, id: &'a str, exec: &'a str) -> BoxFuture<'a, Result<()>> {
        self.containers.forget_exec(id, exec)
    }
    fn container_pids<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<Vec<u32>>> {
        self.containers.pids(id)
    }
    fn container_stats<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<ContainerStats>> {
        Box::pin(async move {
            let stats = self.containers.stats(id).await?;
            let pid = match self.containers.state(id).await? {
                driver::ContainerState::Running { pid, .. } => Some(pid),
                _ => None,
            };
            // One that has just ended has no interfaces.
            let dev = pid.and_then(|pid| std::fs::read_to_string(format!("/proc/{pid}/net/dev")).ok());
            Ok(ContainerStats {
                cpu_ns: stats.cpu_ns,
                percpu_ns: stats.percpu_ns,
                throttling: stats.throttling,
                memory_bytes: stats.memory_bytes,
                memory_failcnt: stats.memory_failcnt,
                memory_stat: stats.memory_stat,
                pids: stats.pids,
                io_bytes: stats.io_bytes,
                io_ops: stats.io_ops,
                networks: networks(&dev.unwrap_or_default()),
                system_cpu_ns: stats.system_cpu_ns,
                online_cpus: stats.online_cpus,
                cgroup_v2: stats.cgroup_v2,
            })
        })
    }
    fn remove_container<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<()>> {
        self.containers.remove(id)
    }
    fn leave_containers(&self) -> BoxFuture<'_, Result<()>> {
        self.containers.leave()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interfaces_are_read_without_the_loopback() {
        let dev = "Inter-| Receive\n face |bytes\n    lo: 1 1 0 0 0 0 0 0 1 1 0 0 0 0 0 0\n  eth0: 5 4 3 2 0 0 0 0 9 8 7 6 0 0 0 0\n";
        assert_eq!(networks(dev), [("eth0".to_owned(), [5, 4, 3, 2, 9, 8, 7, 6])]);
    }
}
