//! The metadata definitions catalog: namespaces that say what properties mean, with their objects, properties,
//! tags and the resource types that they are for. A namespace is one document.

use pileus_base::{Ctx, Error, Result, Scope, Time, ids::ProjectId};
use pileus_store::{Read, Resource, Stored};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Something inside a namespace: what the client gave, under its name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Item {
    /// Unique in its section.
    pub name: String,
    /// Everything else.
    pub fields: Map<String, Value>,
    /// When it was made.
    pub created_at: Time,
    /// When it last changed.
    pub updated_at: Time,
}

/// A namespace.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Namespace {
    /// Its name, unique in the cloud.
    pub namespace: String,
    /// The project that made it.
    pub owner: Option<ProjectId>,
    /// Whether everybody sees it.
    pub public: bool,
    /// Whether it can't be deleted.
    pub protected: bool,
    /// For people.
    pub display_name: Option<String>,
    /// For people.
    pub description: Option<String>,
    /// Sets of properties.
    pub objects: Vec<Item>,
    /// Properties.
    pub properties: Vec<Item>,
    /// Tags.
    pub tags: Vec<Item>,
    /// What it is for.
    pub resource_types: Vec<Item>,
    /// When it was made.
    pub created_at: Time,
    /// When it last changed.
    pub updated_at: Time,
}

/// What a namespace has many of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Section {
    /// Sets of properties.
    Objects,
    /// Properties.
    Properties,
    /// Tags.
    Tags,
    /// What it is for.
    Types,
}

impl Section {
    /// Glance's word for one.
    pub fn word(self) -> &'static str {
        match self {
            Section::Objects => "object",
            Section::Properties => "property",
            Section::Tags => "tag",
            Section::Types => "resource_type_association",
        }
    }
}

impl Resource for Namespace {
    const KIND: &'static str = "image.metadef_namespace";
    fn id(&self) -> String {
        self.namespace.clone()
    }
    fn project(&self) -> Option<&ProjectId> {
        self.owner.as_ref()
    }
    fn not_found(id: &str) -> Error {
        Error::not_found(format!("Metadata definition namespace={id} was not found."))
    }
}

impl Namespace {
    /// Those of one kind.
    pub fn section(&self, section: Section) -> &Vec<Item> {
        match section {
            Section::Objects => &self.objects,
            Section::Properties => &self.properties,
            Section::Tags => &self.tags,
            Section::Types => &self.resource_types,
        }
    }
    /// The same, to be changed.
    pub fn section_mut(&mut self, section: Section) -> &mut Vec<Item> {
        match section {
            Section::Objects => &mut self.objects,
            Section::Properties => &mut self.properties,
            Section::Tags => &mut self.tags,
            Section::Types => &mut self.resource_types,
        }
    }
    /// Where the one of this name stands.
    ///
    /// # Errors
    /// 404 in Glance's words.
    pub fn position(&self, section: Section, name: &str) -> Result<usize> {
        self.section(section).iter().position(|i| i.name == name).ok_or_else(|| {
            Error::not_found(format!(
                "The metadata definition {} with name={name} was not found in namespace={}.",
                section.word(),
                self.namespace
            ))
        })
    }
    /// Adds one.
    ///
    /// # Errors
    /// 409 where the name is taken.
    pub fn add(&mut self, section: Section, item: Item) -> Result<()> {
        if self.section(section).iter().any(|i| i.name == item.name) {
            return Err(Error::conflict(format!(
                "A metadata definition {} with name={} in namespace={} already exists.",
                section.word(),
                item.name,
                self.namespace
            )));
        }
        self.section_mut(section).push(item);
        Ok(())
    }
    /// Whether the caller sees it.
    pub fn visible_to(&self, ctx: &Ctx) -> bool {
        let own = ctx.caller.project.as_ref().map(|p| &p.id);
        self.public || ctx.is_admin() || (own.is_some() && self.owner.as_ref() == own)
    }
}

/// The namespace of this name, if the caller sees it.
///
/// # Errors
/// 404 in Glance's words.
pub fn get(rd: &mut Read<'_>, ctx: &Ctx, name: &str) -> Result<Stored<Namespace>> {
    let found = rd.get::<Namespace>(&Scope::All, name)?;
    if found.visible_to(ctx) { Ok(found) } else { Err(Namespace::not_found(name)) }
}
