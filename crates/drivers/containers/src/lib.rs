//! Containers: processes in namespaces of their own, each under a supervisor.

pub mod caps;
pub mod cgroups;
pub mod seccomp;
