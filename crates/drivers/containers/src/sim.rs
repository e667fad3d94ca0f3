//! Where there is no Linux to run containers: every verb says so.

use oci_spec::runtime::LinuxResources;
use pileus_base::{Error, Result};

use crate::{BoxFuture, ContainerSpec, ContainerState, Containers, ExecSpec, Stream, Wanted, cgroups};

/// A host that runs no containers.
#[derive(Debug, Default)]
pub struct Sim;

fn no<'a, T: Send + 'a>() -> BoxFuture<'a, Result<T>> {
    Box::pin(async { Err(Error::not_implemented("containers need a Linux host, not the simulator")) })
}

impl Containers for Sim {
    fn ensure<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<()>> {
        no()
    }
    fn start<'a>(&'a self, _: &'a ContainerSpec) -> BoxFuture<'a, Result<u32>> {
        no()
    }
    fn attach<'a>(&'a self, _: &'a str, _: Wanted) -> BoxFuture<'a, Result<Box<dyn Stream>>> {
        no()
    }
    fn wait<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<ContainerState>> {
        no()
    }
    fn watch<'a>(
        &'a self,
        _: &'a str,
        _: &'a (dyn Fn() + Send + Sync),
    ) -> BoxFuture<'a, Result<ContainerState>> {
        no()
    }
    fn state<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<ContainerState>> {
        no()
    }
    fn list(&self) -> BoxFuture<'_, Result<Vec<String>>> {
        Box::pin(async { Ok(Vec::new()) })
    }
    fn signal<'a>(&'a self, _: &'a str, _: i32) -> BoxFuture<'a, Result<()>> {
        no()
    }
    fn pause<'a>(&'a self, _: &'a str, _: bool) -> BoxFuture<'a, Result<()>> {
        no()
    }
    fn update<'a>(&'a self, _: &'a str, _: &'a LinuxResources) -> BoxFuture<'a, Result<()>> {
        no()
    }
    fn resize<'a>(&'a self, _: &'a str, _: Option<&'a str>, _: u16, _: u16) -> BoxFuture<'a, Result<()>> {
        no()
    }
    fn exec<'a>(&'a self, _: &'a str, _: &'a ExecSpec) -> BoxFuture<'a, Result<(u32, Box<dyn Stream>)>> {
        no()
    }
    fn exec_exit<'a>(&'a self, _: &'a str, _: &'a str) -> BoxFuture<'a, Result<Option<i32>>> {
        no()
    }
    fn forget_exec<'a>(&'a self, _: &'a str, _: &'a str) -> BoxFuture<'a, Result<()>> {
        no()
    }
    fn pids<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Vec<u32>>> {
        no()
    }
    fn stats<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<cgroups::Stats>> {
        no()
    }
    fn remove<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<()>> {
        no()
    }
    fn leave(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(async { Ok(()) })
    }
}
