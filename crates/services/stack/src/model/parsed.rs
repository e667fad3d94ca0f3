//! A template parsed for a stack: who needs whom, and what functions see before anything is made.

use indexmap::IndexMap;
use serde_json::Map;

use super::{
    Context, Definition, Environment, Fault, Graph, Json, Output, Parameters, Result, environment::Mapped,
    python, schema::Schema,
};

/// A template parsed for a stack's parameters: conditions decided, functions waiting for values.
#[derive(Debug, Clone, PartialEq)]
pub struct Parsed {
    /// The enabled resources.
    pub resources: IndexMap<String, Definition>,
    /// All resources, enabled or not.
    pub all_names: Vec<String>,
    /// The outputs.
    pub outputs: IndexMap<String, Output>,
}

/// What the service knows of resource types.
pub trait Types {
    /// The properties of a type, or `None` where there is no such type.
    fn properties(&self, kind: &str) -> Option<Schema>;
    /// The attributes of a type; `None` where any may be asked for.
    fn attributes(&self, kind: &str) -> Option<Vec<String>>;
}

impl Parsed {
    /// Who needs whom: by `depends_on`, by `get_resource` and `get_attr`, and by `implicit` edges
    /// (requirer, required) that resource types add.
    ///
    /// # Errors
    /// Where something refers to what is not there.
    pub fn graph(&self, parameters: &Parameters, implicit: &[(String, String)]) -> Result<Graph> {
        let mut graph = Graph::new();
        for (name, definition) in &self.resources {
            graph.add(name);
            if let Some(id) = &definition.external_id {
                if !definition.depends_on.is_empty() {
                    let (kind, id) = (&definition.kind, python::str(&id.to_json()));
                    let message = format!("Invalid dependency with external {kind} resource: {id}");
                    return Err(Fault::new("InvalidExternalResourceDependency", message));
                }
                continue;
            }
            for needed in &definition.depends_on {
                if self.resources.contains_key(needed) {
                    graph.edge(name, needed);
                } else if !self.all_names.contains(needed) {
                    return Err(Fault::reference(needed, name));
                }
            }
            let mut found = |needed: &str, path: &str| {
                if self.resources.contains_key(needed) {
                    graph.edge(name, needed);
                } else if !parameters.contains(needed) {
                    return Err(Fault::reference(needed, path));
                }
                Ok(())
            };
            definition.properties.references(&format!("{name}.Properties"), &mut found)?;
            definition.metadata.references(&format!("{name}.Metadata"), &mut found)?;
        }
        for (requirer, required) in implicit {
            if self.resources.contains_key(requirer) && self.resources.contains_key(required) {
                graph.edge(requirer, required);
            }
        }
        Ok(graph)
    }

    /// How Heat names a resource in a cycle: `Server "a"`.
    pub fn label(&self, name: &str) -> String {
        let kind =
            self.resources.get(name).map_or("Resource", |d| d.kind.rsplit("::").next().unwrap_or(&d.kind));
        format!("{kind} \"{name}\"")
    }

    /// The attributes of `resource` that other resources and the outputs take.
    pub fn attributes_used(&self, resource: &str) -> Vec<String> {
        let mut used = Vec::new();
        let mut found = |name: &str, attribute: &str| {
            if name == resource && !used.iter().any(|u| u == attribute) {
                used.push(attribute.to_owned());
            }
        };
        for definition in self.resources.values() {
            definition.properties.attributes(&mut found);
            definition.metadata.attributes(&mut found);
        }
        self.outputs.values().for_each(|output| output.value.attributes(&mut found));
        used
    }
}

/// A stack before any of its resources is made: names for ids, null for attributes.
pub struct Unmade<'a> {
    /// The template.
    pub parsed: &'a Parsed,
    /// The stack's parameters.
    pub parameters: &'a Parameters,
    /// What came with the template.
    pub files: &'a Map<String, Json>,
    /// For types that mean others.
    pub environment: &'a Environment,
    /// What types there are.
    pub types: &'a dyn Types,
}

impl Unmade<'_> {
    /// The type that a definition means after the registry was asked.
    pub fn kind(&self, definition: &Definition) -> String {
        match self.environment.map_type(&definition.kind, &definition.name) {
            Mapped::Type(kind) | Mapped::Template(kind) => kind,
        }
    }
}

impl Context for Unmade<'_> {
    fn param(&self, name: &str) -> Result<Json> {
        self.parameters.get(name)
    }
    fn resource_id(&self, name: &str) -> Option<Json> {
        self.parsed.resources.contains_key(name).then(|| Json::from(name))
    }
    fn attribute(&self, resource: &str, _: &str) -> Option<Result<Json>> {
        self.parsed.resources.contains_key(resource).then_some(Ok(Json::Null))
    }
    fn attributes(&self, resource: &str) -> Option<Json> {
        self.parsed.resources.contains_key(resource).then_some(Json::Null)
    }
    fn pending(&self, _: &str) -> bool {
        true
    }
    fn attribute_names(&self, resource: &str) -> Option<Vec<String>> {
        self.types.attributes(&self.kind(self.parsed.resources.get(resource)?))
    }
    fn file(&self, key: &str) -> Option<&str> {
        self.files.get(key).and_then(Json::as_str)
    }
    fn facade(&self, _: &str) -> Json {
        Json::Null
    }
    fn condition(&self, name: &Json) -> Result<bool> {
        Err(Fault::value(format!("Invalid condition \"{}\"", python::str(name))))
    }
}
