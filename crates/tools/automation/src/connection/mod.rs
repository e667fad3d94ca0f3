//! How a host is reached: local, ssh, docker; and how privileges are raised there.
