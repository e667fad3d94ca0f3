//! Containers: processes in namespaces of their own, each under a supervisor.
