//! What validation asks of the service: which types there are, and whether named things exist.

use std::{cell::RefCell, net::IpAddr};

use pileus_base::Ctx;
use pileus_store::Read;
use serde_json::Map;

use super::context;
use crate::{
    Stacks,
    model::{Json, Template, Types, constraints::Custom, python, schema::Schema},
    types,
};

/// The types that a stack may use.
pub struct KnownTypes<'a> {
    /// The service.
    pub stacks: &'a Stacks,
    /// Templates that are types.
    pub files: &'a Map<String, Json>,
}

impl Types for KnownTypes<'_> {
    fn properties(&self, kind: &str) -> Option<Schema> {
        if types::is_template(kind) {
            let template = Template::parse(self.files.get(kind)?.as_str()?).ok()?;
            return types::parameters_schema(&template).ok();
        }
        Some(self.stacks.registry.kind(kind)?.schema())
    }
    fn attributes(&self, kind: &str) -> Option<Vec<String>> {
        context::names(self.stacks, kind)
    }
}

/// Answers custom constraints as the stack's owner sees things.
pub struct Checks<'a, 'r, 's> {
    /// The service.
    pub stacks: &'a Stacks,
    /// The owner.
    pub ctx: &'a Ctx,
    /// Where things are looked up.
    pub rd: &'a RefCell<&'r mut Read<'s>>,
}

impl Custom for Checks<'_, '_, '_> {
    fn check(&self, name: &str, value: &Json) -> Result<(), String> {
        let text = python::str(value);
        let wrong = |message: String| Err(format!("Error validating value '{text}': {message}"));
        // An empty value is none.
        if text.is_empty() || value.is_null() {
            return Ok(());
        }
        if let Some(lookup) = self.stacks.registry.lookup(name) {
            let found = lookup(&mut self.rd.borrow_mut(), self.ctx, &text);
            return found.or_else(wrong);
        }
        match name {
            "ip_addr" if text.parse::<IpAddr>().is_ok() => Ok(()),
            "ip_addr" => wrong("Invalid IP address".into()),
            "net_cidr" if is_cidr(&text) => Ok(()),
            "net_cidr" => wrong(format!("Invalid net cidr invalid IPNetwork {text} ")),
            "mac_addr" if is_mac(&text) => Ok(()),
            "mac_addr" => wrong("Invalid MAC address.".into()),
            _ => Err(format!("\"{text}\" does not validate {name} (constraint not found)")),
        }
    }
}

fn is_cidr(text: &str) -> bool {
    let (address, length) = text.split_once('/').unwrap_or((text, ""));
    let most = match address.parse::<IpAddr>() {
        Ok(IpAddr::V4(_)) => 32,
        Ok(IpAddr::V6(_)) => 128,
        Err(_) => return false,
    };
    length.parse::<u8>().is_ok_and(|l| l <= most)
}

fn is_mac(text: &str) -> bool {
    let parts: Vec<&str> = text.split(':').collect();
    parts.len() == 6 && parts.iter().all(|p| p.len() == 2 && p.bytes().all(|b| b.is_ascii_hexdigit()))
}
