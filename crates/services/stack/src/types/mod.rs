//! What stacks are made of: a [`Kind`] per resource type, and the [`Registry`] that knows them.
//!
//! A kind works inside transactions: `create` asks another service for a thing and notes its id, and
//! `created` says later whether the thing is there. So a crash between the two loses nothing.

mod cloud;
mod glance;
pub mod heat;
mod nested;
mod neutron;
mod nova;
pub mod signals;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use pileus_base::{Ctx, Error, Result};
use pileus_store::{Read, Tx};
use serde_json::Map;

use crate::{
    Stacks,
    model::{Json, schema::Schema},
    store::{resources::Item, stacks::Stack},
};

/// Where a kind works: one resource of one stack, in one transaction.
pub struct At<'a, 't> {
    /// The transaction.
    pub tx: &'a mut Tx<'t>,
    /// The service.
    pub stacks: &'a Stacks,
    /// The stack's owner.
    pub ctx: &'a Ctx,
    /// The stack.
    pub stack: &'a Stack,
    /// The resource; what a kind changes in it is kept.
    pub item: &'a mut Item,
}

impl At<'_, '_> {
    /// The property `name`; null where it was not given.
    pub fn property(&self, name: &str) -> &Json {
        self.item.properties.get(name).unwrap_or(&Json::Null)
    }
    /// The property `name` as a text.
    pub fn text(&self, name: &str) -> Option<String> {
        self.property(name).as_str().filter(|s| !s.is_empty()).map(str::to_owned)
    }
    /// The name for the thing where the template gives none.
    pub fn physical_name(&self, limit: usize) -> String {
        crate::model::names::physical(&self.stack.name, &self.item.name, self.item.id, limit)
    }
    /// The property `name`, or the physical name.
    pub fn name_or_physical(&self, property: &str) -> String {
        self.text(property).unwrap_or_else(|| self.physical_name(255))
    }
    /// The id of the thing.
    ///
    /// # Errors
    /// 404 where it was never made.
    pub fn physical_id(&self) -> Result<String> {
        let missing = || Error::not_found(format!("The resource {} has no physical id.", self.item.name));
        self.item.physical_id.clone().ok_or_else(missing)
    }
}

/// Where an attribute is read.
pub struct View<'a> {
    /// The service.
    pub stacks: &'a Stacks,
    /// The stack's owner.
    pub ctx: &'a Ctx,
    /// The stack.
    pub stack: &'a Stack,
    /// The resource.
    pub item: &'a Item,
}

/// A resource type.
pub trait Kind: Send + Sync + 'static {
    /// `OS::Nova::Server`.
    fn name(&self) -> &'static str;
    /// What it is for.
    fn about(&self) -> &'static str;
    /// Its properties.
    fn schema(&self) -> Schema;
    /// Its attributes and what they say.
    fn attributes(&self) -> &'static [(&'static str, &'static str)] {
        &[]
    }
    /// Asks for the thing, and notes its id in the item.
    ///
    /// # Errors
    /// Those of the thing's service; nothing of it stands then.
    fn create(&self, at: &mut At<'_, '_>) -> Result<()>;
    /// Whether the thing is there now.
    ///
    /// # Errors
    /// Where it never will be.
    fn created(&self, _at: &mut At<'_, '_>) -> Result<bool> {
        Ok(true)
    }
    /// Changes the thing. The item has the new properties; `old` are those before, `changed` the names.
    ///
    /// # Errors
    /// Those of the thing's service.
    fn update(&self, _at: &mut At<'_, '_>, _old: &Map<String, Json>, _changed: &[String]) -> Result<()> {
        Ok(())
    }
    /// Whether the change is through.
    ///
    /// # Errors
    /// Where it never will be.
    fn updated(&self, _at: &mut At<'_, '_>) -> Result<bool> {
        Ok(true)
    }
    /// Asks for the thing's removal. What is gone already is fine.
    ///
    /// # Errors
    /// Those of the thing's service.
    fn delete(&self, _at: &mut At<'_, '_>) -> Result<()> {
        Ok(())
    }
    /// Whether it is gone.
    ///
    /// # Errors
    /// Where it never will be.
    fn deleted(&self, _at: &mut At<'_, '_>) -> Result<bool> {
        Ok(true)
    }
    /// Lets go of what a successor needs, before that is made: the addresses of a server.
    ///
    /// # Errors
    /// Those of the thing's service.
    fn replaced(&self, _at: &mut At<'_, '_>) -> Result<()> {
        Ok(())
    }
    /// Whether the thing is as it should be.
    ///
    /// # Errors
    /// Where it is not.
    fn check(&self, _at: &mut At<'_, '_>) -> Result<()> {
        Ok(())
    }
    /// The attribute `name`; `None` where there is none of that name.
    ///
    /// # Errors
    /// Those of the thing's service.
    fn attribute(&self, _rd: &mut Read<'_>, _view: &View<'_>, _name: &str) -> Result<Option<Json>> {
        Ok(None)
    }
    /// What `get_resource` gives.
    fn reference(&self, item: &Item) -> Json {
        item.physical_id.clone().map_or(Json::Null, Json::from)
    }
    /// Takes a signal; the reason that its event shows.
    ///
    /// # Errors
    /// 400 where the type takes none.
    fn signal(&self, at: &mut At<'_, '_>, _details: &Json) -> Result<String> {
        Err(Error::bad_request(format!("Resource {} is not able to receive a signal", at.item.name))
            .code("ResourceActionNotSupported"))
    }
    /// Types whose resources come first where both need the same other one: a network's subnets before
    /// its ports.
    fn after_siblings(&self) -> &'static [&'static str] {
        &[]
    }
    /// How often to look whether the thing is there, where nothing wakes the job sooner.
    fn pace(&self) -> Duration {
        Duration::from_millis(250)
    }
    /// Whether the type is shown nowhere: templates' addresses have one.
    fn is_hidden(&self) -> bool {
        false
    }
}

/// Answers a custom constraint: `Ok` where `value` is what the constraint asks for.
pub type Lookup = Box<dyn Fn(&mut Read<'_>, &Ctx, &str) -> Result<(), String> + Send + Sync>;

/// The kinds and custom constraints that a service knows.
#[derive(Default)]
pub struct Registry {
    kinds: BTreeMap<&'static str, Arc<dyn Kind>>,
    lookups: BTreeMap<&'static str, Lookup>,
}

impl Registry {
    /// The types that need no other service: `OS::Heat::*`.
    pub fn new() -> Self {
        let mut registry = Self::default();
        heat::register(&mut registry);
        signals::register(&mut registry);
        nested::register(&mut registry);
        registry
    }
    /// Adds a kind.
    pub fn add(&mut self, kind: impl Kind) {
        self.kinds.insert(kind.name(), Arc::new(kind));
    }
    /// Adds a custom constraint.
    pub fn constraint(
        &mut self,
        name: &'static str,
        lookup: impl Fn(&mut Read<'_>, &Ctx, &str) -> Result<(), String> + Send + Sync + 'static,
    ) {
        self.lookups.insert(name, Box::new(lookup));
    }
    /// The kind `name`; a template's address is a nested stack.
    pub fn kind(&self, name: &str) -> Option<Arc<dyn Kind>> {
        if is_template(name) {
            return Some(Arc::new(nested::Facade));
        }
        self.kinds.get(name).cloned()
    }
    /// All that are shown, by name.
    pub fn kinds(&self) -> impl Iterator<Item = &Arc<dyn Kind>> {
        self.kinds.values().filter(|k| !k.is_hidden())
    }
    /// The answer of a custom constraint; `None` where there is none of that name.
    pub fn lookup(&self, name: &str) -> Option<&Lookup> {
        self.lookups.get(name)
    }
}

/// Whether a type is a template's address.
pub fn is_template(kind: &str) -> bool {
    kind.ends_with(".yaml") || kind.ends_with(".template")
}

pub use nested::parameters_schema;
