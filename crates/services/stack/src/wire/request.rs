//! What a request for a stack says: template, environment, files, parameters, and how to act.

use pileus_base::{Error, Result};
use serde::Deserialize;
use serde_json::Map;

use crate::{
    model::{Environment, Json, Template},
    store::stacks::Source,
};

/// The body of create, update, preview and validate.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Body {
    /// The stack's name.
    pub stack_name: Option<Json>,
    /// The template, text or map.
    pub template: Json,
    /// Where to fetch it instead.
    pub template_url: Option<String>,
    /// The environment, text or map.
    pub environment: Json,
    /// Names of further environments among the files.
    pub environment_files: Option<Vec<String>>,
    /// What comes with the template.
    pub files: Option<Map<String, Json>>,
    /// A container with files.
    pub files_container: Option<String>,
    /// Values of parameters.
    pub parameters: Option<Map<String, Json>>,
    /// Parameters to go back to their defaults.
    pub clear_parameters: Option<Vec<String>>,
    /// How long an action may take.
    pub timeout_mins: Json,
    /// Whether what was made stays after a failure.
    pub disable_rollback: Json,
    /// Tags, separated by commas.
    pub tags: Json,
    /// A stack abandoned elsewhere.
    pub adopt_stack_data: Json,
}

impl Body {
    /// The name.
    ///
    /// # Errors
    /// 400 where there is none.
    pub fn name(&self) -> Result<&str> {
        match &self.stack_name {
            Some(Json::String(name)) => Ok(name),
            Some(Json::Null) | None => Err(Error::bad_request("No stack name specified")),
            Some(_) => {
                Err(Error::bad_request("Invalid stack name, must be a string").code("StackValidationFailed"))
            }
        }
    }

    /// The template, where one was sent.
    ///
    /// # Errors
    /// 400 in Heat's words; 501 for one to be fetched.
    pub fn template(&self) -> Result<Option<Template>> {
        match &self.template {
            Json::String(text) => Ok(Some(Template::parse(text)?)),
            map @ Json::Object(_) => Ok(Some(Template::from_json(map.clone())?)),
            Json::Null if self.template_url.is_some() => Err(super::fault::unbuilt("template_url")),
            Json::Null => Ok(None),
            _ => Err(Error::bad_request("Template must be a string or a map")),
        }
    }

    /// What the stack is to be made from.
    ///
    /// # Errors
    /// 400 in Heat's words.
    pub fn source(&self) -> Result<Source> {
        let template = self.template()?.ok_or_else(|| Error::bad_request("No template specified"))?;
        self.source_of(&template)
    }

    fn source_of(&self, template: &Template) -> Result<Source> {
        if self.files_container.is_some() {
            return Err(super::fault::unbuilt("files_container"));
        }
        let files = self.files.clone().unwrap_or_default();
        let environment = Environment::of_request(
            &self.environment,
            self.environment_files.as_deref().unwrap_or_default(),
            &files,
            &self.parameters.clone().unwrap_or_default(),
            &|name| template.param_schemas().ok()?.shift_remove(name),
        )?;
        Ok(Source { template: Json::Object(template.raw.clone()), files, environment: environment.to_json() })
    }

    /// What a stack made from `old` is to be made from: what is not sent stays.
    ///
    /// # Errors
    /// 400 in Heat's words.
    pub fn patched(&self, old: &Source) -> Result<Source> {
        let template = match self.template()? {
            Some(template) => template,
            None => Template::from_json(old.template.clone())?,
        };
        let mut files = old.files.clone();
        files.extend(self.files.clone().unwrap_or_default());
        let sent = Body { files: Some(files.clone()), ..self.clone() }.source_of(&template)?.environment()?;
        let mut environment = old.environment()?;
        for name in self.clear_parameters.iter().flatten() {
            environment.parameters.remove(name);
        }
        environment.parameters.extend(sent.parameters);
        environment.parameter_defaults.extend(sent.parameter_defaults);
        environment.resource_registry.extend(sent.resource_registry);
        // A parameter that the new template lacks goes with the old one.
        let known = template.param_schemas()?;
        environment.parameters.retain(|name, _| known.contains_key(name) || self.mentions(name));
        Ok(Source { template: Json::Object(template.raw), files, environment: environment.to_json() })
    }

    fn mentions(&self, name: &str) -> bool {
        self.parameters.as_ref().is_some_and(|p| p.contains_key(name))
    }

    /// `disable_rollback`, where it was said.
    ///
    /// # Errors
    /// 400 where it is no truth value.
    pub fn disable_rollback(&self) -> Result<Option<bool>> {
        flag("disable_rollback", &self.disable_rollback)
    }

    /// `timeout_mins`, where it was said.
    ///
    /// # Errors
    /// 400 where it is no number.
    pub fn timeout_mins(&self) -> Result<Option<u32>> {
        let bad = |shown: &str| {
            Error::bad_request(format!("Only integer is allowed by timeout_mins, got '{shown}'"))
        };
        match &self.timeout_mins {
            Json::Null => Ok(None),
            Json::Number(n) => {
                n.as_u64().and_then(|n| u32::try_from(n).ok()).map(Some).ok_or_else(|| bad(&n.to_string()))
            }
            Json::String(s) => s.trim().parse().map(Some).map_err(|_| bad(s)),
            other => Err(bad(&other.to_string())),
        }
    }

    /// The tags, where they were said.
    ///
    /// # Errors
    /// 400 where one is empty or too long.
    pub fn tags(&self) -> Result<Option<Vec<String>>> {
        let tags: Vec<String> = match &self.tags {
            Json::Null => return Ok(None),
            Json::String(text) if text.is_empty() => Vec::new(),
            Json::String(text) => text.split(',').map(str::to_owned).collect(),
            Json::Array(all) => all.iter().filter_map(Json::as_str).map(str::to_owned).collect(),
            _ => return Err(Error::bad_request("Invalid tags, not a string or a list")),
        };
        if let Some(long) = tags.iter().find(|t| t.is_empty() || t.chars().count() > 80) {
            return Err(Error::bad_request(format!(
                "Invalid tag, \"{long}\" is empty or longer than 80 characters"
            )));
        }
        Ok(Some(tags))
    }
}

fn flag(name: &str, value: &Json) -> Result<Option<bool>> {
    let text = match value {
        Json::Null => return Ok(None),
        Json::Bool(b) => return Ok(Some(*b)),
        other => other.as_str().map_or_else(|| other.to_string(), str::to_owned),
    };
    match text.to_lowercase().as_str() {
        "true" | "1" | "yes" | "on" | "t" | "y" => Ok(Some(true)),
        "false" | "0" | "no" | "off" | "f" | "n" => Ok(Some(false)),
        _ => Err(Error::bad_request(format!(
            "Unrecognized value \"{text}\" for \"{name}\", acceptable values are: true, false"
        ))),
    }
}
