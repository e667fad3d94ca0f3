//! Types that are stacks themselves: a template's address, `OS::Heat::Stack`, `OS::Heat::ResourceGroup`.
//!
//! The nested stack is one of its own, with its own run; its end wakes the job of the resource.

use std::time::Duration;

use pileus_base::{Error, Result};
use pileus_store::Read;
use serde_json::{Map, json};

use super::{At, Kind, Registry, View};
use crate::{
    engine::{begin, context},
    model::{
        Constraint, Json, Property, Template,
        constraints::ValueType,
        schema::{Schema, schema},
    },
    store::{
        resources,
        stacks::{self, Parent, Source, Status},
    },
};

/// Adds them.
pub fn register(registry: &mut Registry) {
    registry.add(StackResource);
    registry.add(Group);
}

/// A resource whose type is a template.
pub struct Facade;
struct StackResource;
struct Group;

/// The parameters of a template as properties of the type that it is.
///
/// # Errors
/// Where it is no template.
pub fn parameters_schema(template: &Template) -> Result<Schema> {
    let mut out = Schema::new();
    for (name, param) in template.param_schemas()? {
        let mut property =
            Property::new(if param.kind == ValueType::Integer { ValueType::Number } else { param.kind });
        property.required = param.default.is_none();
        property.update_allowed = true;
        property.description = param.description.unwrap_or_default();
        out.insert(name, property);
    }
    Ok(out)
}

/// What a resource's nested stack is made from.
fn make(at: &mut At<'_, '_>, source: Source, timeout: Option<u32>) -> Result<()> {
    let parent = Parent { stack: at.stack.id, resource: at.item.id, name: at.item.name.clone() };
    let new = begin::NewStack {
        name: at.physical_name(255),
        source,
        owner: at.stack.owner.clone(),
        project_id: at.stack.project_id.clone(),
        disable_rollback: true,
        timeout_mins: timeout.or(at.stack.timeout_mins),
        tags: Vec::new(),
        parent: Some(parent),
        base: at.stack.base.clone(),
    };
    if begin::depth(at.tx, at.stack)? >= begin::MAX_DEPTH {
        return Err(Error::bad_request(format!("Recursion depth exceeds {}.", begin::MAX_DEPTH))
            .code("RequestLimitExceeded"));
    }
    let made = begin::create(at.stacks, at.tx, at.ctx, new)?;
    at.item.physical_id = Some(made.id.to_string());
    Ok(())
}

fn settled(at: &mut At<'_, '_>) -> Result<bool> {
    let Some(nested) = stacks::nested(at.tx, at.item.id)? else {
        return Err(Error::not_found("The nested stack is gone.").code("NotFound"));
    };
    match nested.status {
        Status::InProgress => Ok(false),
        Status::Complete => Ok(true),
        Status::Failed => Err(Error::bad_request(nested.reason.clone()).code("nested")),
    }
}

fn change(at: &mut At<'_, '_>, source: Source) -> Result<()> {
    let Some(nested) = stacks::nested(at.tx, at.item.id)? else { return Ok(()) };
    begin::update(at.stacks, at.tx, at.ctx, nested, begin::Change { source, ..begin::Change::default() })
        .map(drop)
}

fn remove(at: &mut At<'_, '_>) -> Result<()> {
    match stacks::nested(at.tx, at.item.id)? {
        Some(nested) => begin::delete(at.stacks, at.tx, nested).map(drop),
        None => Ok(()),
    }
}

fn removed(at: &mut At<'_, '_>) -> Result<bool> {
    match stacks::nested(at.tx, at.item.id)? {
        None => Ok(true),
        Some(nested) if nested.status == Status::Failed => {
            Err(Error::bad_request(nested.reason.clone()).code("nested"))
        }
        Some(_) => Ok(false),
    }
}

fn outputs(rd: &mut Read<'_>, view: &View<'_>) -> Result<Map<String, Json>> {
    match stacks::nested(rd, view.item.id)? {
        Some(nested) => context::outputs(view.stacks, rd, &nested),
        None => Ok(Map::new()),
    }
}

fn properties(at: &At<'_, '_>) -> Map<String, Json> {
    let given = at.item.properties.iter().filter(|(_, v)| !v.is_null());
    given.map(|(k, v)| (k.clone(), v.clone())).collect()
}

fn facade_source(at: &At<'_, '_>) -> Result<Source> {
    let missing = || {
        Error::bad_request(format!("Could not fetch remote template \"{}\"", at.item.engine))
            .code("StackValidationFailed")
    };
    let text = at.stack.source.files.get(&at.item.engine).and_then(Json::as_str).ok_or_else(missing)?;
    let template = Template::parse(text)?;
    Ok(Source {
        template: Json::Object(template.raw),
        files: at.stack.source.files.clone(),
        environment: at.stack.source.environment()?.child(properties(at)).to_json(),
    })
}

macro_rules! nested_stack {
    () => {
        fn created(&self, at: &mut At<'_, '_>) -> Result<bool> {
            settled(at)
        }
        fn updated(&self, at: &mut At<'_, '_>) -> Result<bool> {
            settled(at)
        }
        fn delete(&self, at: &mut At<'_, '_>) -> Result<()> {
            remove(at)
        }
        fn deleted(&self, at: &mut At<'_, '_>) -> Result<bool> {
            removed(at)
        }
        fn pace(&self) -> Duration {
            Duration::from_secs(5)
        }
    };
}

impl Kind for Facade {
    fn name(&self) -> &'static str {
        "OS::Heat::Template"
    }
    fn about(&self) -> &'static str {
        "A template as a resource."
    }
    fn schema(&self) -> Schema {
        Schema::new()
    }
    fn create(&self, at: &mut At<'_, '_>) -> Result<()> {
        let source = facade_source(at)?;
        make(at, source, None)
    }
    fn update(&self, at: &mut At<'_, '_>, _: &Map<String, Json>, _: &[String]) -> Result<()> {
        let source = facade_source(at)?;
        change(at, source)
    }
    nested_stack!();
    fn attribute(&self, rd: &mut Read<'_>, view: &View<'_>, name: &str) -> Result<Option<Json>> {
        if name == "outputs" {
            return Ok(Some(Json::Object(outputs(rd, view)?)));
        }
        Ok(outputs(rd, view)?.remove(name))
    }
    fn is_hidden(&self) -> bool {
        true
    }
}

fn stack_source(at: &At<'_, '_>) -> Result<Source> {
    let template = Template::parse(at.property("template").as_str().unwrap_or_default())?;
    let parameters = super::heat::object(at.property("parameters"));
    Ok(Source {
        template: Json::Object(template.raw),
        files: at.stack.source.files.clone(),
        environment: at.stack.source.environment()?.child(parameters).to_json(),
    })
}

impl Kind for StackResource {
    fn name(&self) -> &'static str {
        "OS::Heat::Stack"
    }
    fn about(&self) -> &'static str {
        "A Resource representing a stack."
    }
    fn schema(&self) -> Schema {
        schema([
            (
                "context",
                Property::entries([
                    ("region_name", Property::string()),
                    ("credential_secret_id", Property::string().unimplemented()),
                    ("ca_cert", Property::string().unimplemented()),
                    ("insecure", Property::boolean().default(false)),
                ]),
            ),
            ("template", Property::string().required().updatable()),
            ("timeout", Property::integer().updatable()),
            ("parameters", Property::map().default(json!({})).updatable()),
        ])
    }
    fn attributes(&self) -> &'static [(&'static str, &'static str)] {
        &[
            ("stack_name", "Name of the stack."),
            ("outputs", "A dict of key-value pairs output from the stack."),
        ]
    }
    fn create(&self, at: &mut At<'_, '_>) -> Result<()> {
        let source = stack_source(at)?;
        let timeout = at.property("timeout").as_u64().and_then(|t| u32::try_from(t).ok());
        make(at, source, timeout)
    }
    fn update(&self, at: &mut At<'_, '_>, _: &Map<String, Json>, _: &[String]) -> Result<()> {
        let source = stack_source(at)?;
        change(at, source)
    }
    nested_stack!();
    fn attribute(&self, rd: &mut Read<'_>, view: &View<'_>, name: &str) -> Result<Option<Json>> {
        Ok(match name {
            "stack_name" => stacks::nested(rd, view.item.id)?.map(|s| s.name.clone().into()),
            "outputs" => Some(Json::Object(outputs(rd, view)?)),
            _ => None,
        })
    }
}

/// `value` with `var` replaced by `index` in every text.
fn indexed(value: &Json, var: &str, index: usize) -> Json {
    match value {
        Json::String(s) if !var.is_empty() => s.replace(var, &index.to_string()).into(),
        Json::Array(a) => a.iter().map(|v| indexed(v, var, index)).collect(),
        Json::Object(o) => Json::Object(o.iter().map(|(k, v)| (k.clone(), indexed(v, var, index))).collect()),
        other => other.clone(),
    }
}

fn group_source(at: &At<'_, '_>) -> Result<Source> {
    let count = at.property("count").as_u64().unwrap_or(1) as usize;
    let var = at.property("index_var").as_str().unwrap_or("%index%").to_owned();
    let def = at.property("resource_def");
    let mut resources = Map::new();
    for index in 0..count {
        let mut one = Map::new();
        one.insert("type".into(), def["type"].clone());
        for key in ["properties", "metadata"] {
            // What is null was not given.
            let mut value = super::heat::object(&indexed(&def[key], &var, index));
            value.retain(|_, v| !v.is_null());
            if !value.is_empty() {
                one.insert(key.into(), Json::Object(value));
            }
        }
        resources.insert(index.to_string(), Json::Object(one));
    }
    let template = json!({"heat_template_version": "2015-04-30", "resources": resources});
    let environment = at.stack.source.environment()?.child(Map::new()).to_json();
    Ok(Source { template, files: at.stack.source.files.clone(), environment })
}

impl Kind for Group {
    fn name(&self) -> &'static str {
        "OS::Heat::ResourceGroup"
    }
    fn about(&self) -> &'static str {
        "Creates one or more identically configured nested resources."
    }
    fn schema(&self) -> Schema {
        schema([
            (
                "count",
                Property::integer().default(1).updatable().constraint(Constraint::range(Some(0), Some(1000))),
            ),
            (
                "index_var",
                Property::string().default("%index%").constraint(Constraint::length(Some(3), None)),
            ),
            (
                "resource_def",
                Property::entries([
                    ("type", Property::string().required()),
                    ("properties", Property::map()),
                    ("metadata", Property::map()),
                ])
                .required()
                .updatable(),
            ),
            ("removal_policies", Property::list().default(json!([])).unimplemented()),
            ("removal_policies_mode", Property::string().default("append").unimplemented()),
        ])
    }
    fn attributes(&self) -> &'static [(&'static str, &'static str)] {
        &[
            ("refs", "A list of resource IDs for the resources in the group."),
            ("refs_map", "A map of resource names to IDs for the resources in the group."),
            ("attributes", "A map of resource names to the specified attribute of each individual resource."),
            ("removed_rsrc_list", "A list of removed resource names."),
        ]
    }
    fn create(&self, at: &mut At<'_, '_>) -> Result<()> {
        let source = group_source(at)?;
        make(at, source, None)
    }
    fn update(&self, at: &mut At<'_, '_>, _: &Map<String, Json>, _: &[String]) -> Result<()> {
        let source = group_source(at)?;
        change(at, source)
    }
    nested_stack!();
    fn attribute(&self, rd: &mut Read<'_>, view: &View<'_>, name: &str) -> Result<Option<Json>> {
        let Some(nested) = stacks::nested(rd, view.item.id)? else { return Ok(Some(Json::Null)) };
        let mut members = resources::current(rd, nested.id)?;
        members.sort_by_key(|m| m.name.parse::<usize>().unwrap_or(usize::MAX));
        let reference =
            |i: &crate::Item| view.stacks.registry.kind(&i.engine).map_or(Json::Null, |k| k.reference(i));
        if let Some(rest) = name.strip_prefix("resource.") {
            let (index, attribute) = rest.split_once('.').map_or((rest, None), |(i, a)| (i, Some(a)));
            let Some(member) = members.iter().find(|m| m.name == index) else { return Ok(None) };
            return match attribute {
                None => Ok(Some(reference(member))),
                Some(attribute) => context::attribute(view.stacks, rd, &nested, member, attribute),
            };
        }
        let all = |rd: &mut Read<'_>, attribute: &str| -> Result<Option<Vec<Json>>> {
            members.iter().map(|m| context::attribute(view.stacks, rd, &nested, m, attribute)).collect()
        };
        Ok(match name {
            "refs" => Some(members.iter().map(|m| reference(m)).collect()),
            "refs_map" => {
                Some(Json::Object(members.iter().map(|m| (m.name.clone(), reference(m))).collect()))
            }
            "removed_rsrc_list" => Some(json!([])),
            attribute => all(rd, attribute)?.map(Json::Array),
        })
    }
}
