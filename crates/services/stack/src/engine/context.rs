//! What functions see of a stack whose resources exist: ids and attributes, read where they live.

use std::{cell::RefCell, collections::HashMap};

use pileus_base::{Ctx, Result};
use pileus_store::Read;
use serde_json::{Map, json};

use crate::{
    Stacks,
    model::{Context, Fault, Json, Result as ModelResult},
    store::{
        resources::{self, Item},
        stacks::{Loaded, Stack},
    },
    types::View,
};

/// A stack with all that its functions may ask for.
pub struct World {
    /// Its source, read.
    pub loaded: Loaded,
    /// Its resources by name.
    pub items: HashMap<String, Item>,
    /// On whose behalf it looks.
    pub ctx: Ctx,
    /// The resource that it stands for, where it is nested.
    pub facade: Option<Item>,
}

impl World {
    /// The world of `stack`.
    ///
    /// # Errors
    /// Those of the store.
    pub fn of(rd: &mut Read<'_>, stack: &Stack) -> Result<Self> {
        let items =
            resources::current(rd, stack.id)?.into_iter().map(|i| (i.name.clone(), i.value)).collect();
        let facade = match &stack.parent {
            Some(parent) => rd.find::<Item>(&pileus_base::Scope::All, parent.resource)?.map(|i| i.value),
            None => None,
        };
        Ok(Self { loaded: stack.load()?, items, ctx: stack.owner.ctx(), facade })
    }
}

/// The world of a stack, seen by functions.
pub struct Live<'a, 'r, 's> {
    /// The service.
    pub stacks: &'a Stacks,
    /// The stack.
    pub stack: &'a Stack,
    /// Its world.
    pub world: &'a World,
    /// Where attributes are read.
    pub rd: &'a RefCell<&'r mut Read<'s>>,
}

impl Live<'_, '_, '_> {
    fn read(&self, item: &Item, name: &str) -> ModelResult<Json> {
        let mut rd = self.rd.borrow_mut();
        let view = View { stacks: self.stacks, ctx: &self.world.ctx, stack: self.stack, item };
        let found = one(&mut rd, &view, name).map_err(|e| Fault::value(e.message().to_owned()))?;
        found.ok_or_else(|| Fault::attribute(&item.name, name))
    }
}

fn one(rd: &mut Read<'_>, view: &View<'_>, name: &str) -> Result<Option<Json>> {
    let Some(kind) = view.stacks.registry.kind(&view.item.engine) else { return Ok(None) };
    match kind.attribute(rd, view, name) {
        Ok(None) if name == "show" => Ok(Some(Json::Null)),
        // A thing that somebody removed has no attributes any more.
        Err(e) if e.is_not_found() => Ok(Some(Json::Null)),
        other => other,
    }
}

impl Context for Live<'_, '_, '_> {
    fn param(&self, name: &str) -> ModelResult<Json> {
        self.world.loaded.parameters.get(name)
    }
    fn resource_id(&self, name: &str) -> Option<Json> {
        self.world.loaded.parsed.resources.get(name)?;
        let item = self.world.items.get(name).filter(|i| i.physical_id.is_some());
        Some(match item.and_then(|i| Some((i, self.stacks.registry.kind(&i.engine)?))) {
            Some((item, kind)) => kind.reference(item),
            None => name.into(),
        })
    }
    fn attribute(&self, resource: &str, attribute: &str) -> Option<ModelResult<Json>> {
        self.world.loaded.parsed.resources.get(resource)?;
        match self.world.items.get(resource).filter(|i| i.is_made()) {
            Some(item) => Some(self.read(item, attribute)),
            None => Some(Ok(Json::Null)),
        }
    }
    fn attributes(&self, resource: &str) -> Option<Json> {
        self.world.loaded.parsed.resources.get(resource)?;
        let Some(item) = self.world.items.get(resource).filter(|i| i.is_made()) else {
            return Some(Json::Null);
        };
        let kind = self.stacks.registry.kind(&item.engine)?;
        let each = kind
            .attributes()
            .iter()
            .map(|(n, _)| ((*n).to_owned(), self.read(item, n).unwrap_or(Json::Null)));
        Some(Json::Object(each.collect()))
    }
    fn pending(&self, resource: &str) -> bool {
        !self.world.items.get(resource).is_some_and(Item::is_made)
    }
    fn attribute_names(&self, resource: &str) -> Option<Vec<String>> {
        let item = self.world.items.get(resource)?;
        names(self.stacks, &item.engine)
    }
    fn file(&self, key: &str) -> Option<&str> {
        self.world.loaded.files.get(key).and_then(Json::as_str)
    }
    fn facade(&self, what: &str) -> Json {
        let Some(facade) = &self.world.facade else { return Json::Null };
        match what {
            "metadata" => facade.metadata.clone(),
            "deletion_policy" => facade.definition.get("deletion_policy").cloned().unwrap_or("Delete".into()),
            _ => facade.definition.get("update_policy").cloned().unwrap_or(json!({})),
        }
    }
    fn condition(&self, name: &Json) -> ModelResult<bool> {
        self.world.loaded.template.conditions(&self.world.loaded.parameters)?.is_enabled(name)
    }
}

/// The names of a type's attributes; `None` where any may be asked for.
pub fn names(stacks: &Stacks, kind: &str) -> Option<Vec<String>> {
    if crate::types::is_template(kind) || kind == "OS::Heat::ResourceGroup" || kind == "OS::Heat::None" {
        return None;
    }
    let kind = stacks.registry.kind(kind)?;
    Some(kind.attributes().iter().map(|(n, _)| (*n).to_owned()).chain(["show".to_owned()]).collect())
}

/// The outputs of a stack; null where one cannot be worked out yet.
///
/// # Errors
/// Those of the store.
pub fn outputs(stacks: &Stacks, rd: &mut Read<'_>, stack: &Stack) -> Result<Map<String, Json>> {
    let described = described_outputs(stacks, rd, stack)?;
    Ok(described.into_iter().map(|o| (o.key, o.value)).collect())
}

/// An output with what the API shows of it.
pub struct Shown {
    /// Its name.
    pub key: String,
    /// What it is for.
    pub description: String,
    /// Its value.
    pub value: Json,
    /// Why it has none.
    pub error: Option<String>,
}

/// The outputs of a stack, as the API shows them.
///
/// # Errors
/// Those of the store.
pub fn described_outputs(stacks: &Stacks, rd: &mut Read<'_>, stack: &Stack) -> Result<Vec<Shown>> {
    let world = World::of(rd, stack)?;
    let rd = RefCell::new(rd);
    let live = Live { stacks, stack, world: &world, rd: &rd };
    let show = |(key, output): (&String, &crate::model::Output)| {
        let (value, error) = match output.value.resolve(&live) {
            Ok(value) => (value, None),
            Err(fault) => (Json::Null, Some(fault.message)),
        };
        let description = output.description.clone().unwrap_or_else(|| "No description given".into());
        Shown { key: key.clone(), description, value, error }
    };
    Ok(world.loaded.parsed.outputs.iter().map(show).collect())
}

/// The attribute `name` of a resource; null while it is not there, `None` where its type has none such.
///
/// # Errors
/// Those of the thing's service.
pub fn attribute(
    stacks: &Stacks,
    rd: &mut Read<'_>,
    stack: &Stack,
    item: &Item,
    name: &str,
) -> Result<Option<Json>> {
    if !item.is_made() {
        return Ok(Some(Json::Null));
    }
    let ctx = stack.owner.ctx();
    one(rd, &View { stacks, ctx: &ctx, stack, item }, name)
}

/// Every attribute of a resource, as `resource show` shows them.
///
/// # Errors
/// Those of the thing's service.
pub fn attributes(
    stacks: &Stacks,
    rd: &mut Read<'_>,
    stack: &Stack,
    item: &Item,
    with: &[&str],
) -> Result<Map<String, Json>> {
    let mut out = Map::new();
    let Some(kind) = stacks.registry.kind(&item.engine) else { return Ok(out) };
    for name in kind.attributes().iter().map(|(n, _)| *n).chain(with.iter().copied()) {
        let value = attribute(stacks, rd, stack, item, name)?;
        out.insert(name.to_owned(), value.unwrap_or(Json::Null));
    }
    if crate::types::is_template(&item.engine) && item.is_made() {
        let ctx = stack.owner.ctx();
        let view = View { stacks, ctx: &ctx, stack, item };
        if let Some(Json::Object(all)) = kind.attribute(rd, &view, "outputs")? {
            out.extend(all);
        }
    }
    Ok(out)
}
