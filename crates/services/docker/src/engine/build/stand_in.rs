//! Stands in for `engine/containers.rs` and `engine/life.rs` until they are merged: delete this file (and its
//! `mod` line) then.

use std::sync::Arc;

use pileus_base::{Error, Result};
use serde_json::Value;

use crate::{Container, Docker};

impl Docker {
    pub(crate) async fn create_container(&self, _name: &str, _body: &Value) -> Result<Container> {
        Err(Error::not_implemented("RUN is not supported"))
    }
    pub(crate) async fn start_container(self: &Arc<Self>, _name: &str) -> Result<bool> {
        Err(Error::not_implemented("RUN is not supported"))
    }
    pub(crate) async fn remove_container(
        self: &Arc<Self>,
        _name: &str,
        _force: bool,
        _volumes: bool,
    ) -> Result<()> {
        Err(Error::not_implemented("RUN is not supported"))
    }
}
