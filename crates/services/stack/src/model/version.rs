//! The versions of HOT, and which functions and sections each of them knows.

use super::{Fault, Json, Result};

/// A version of the template language. Later ones know more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// 2013-05-23, Icehouse.
    V2013_05_23,
    /// 2014-10-16, Juno.
    V2014_10_16,
    /// 2015-04-30, Kilo.
    V2015_04_30,
    /// 2015-10-15, Liberty.
    V2015_10_15,
    /// 2016-04-08, Mitaka.
    V2016_04_08,
    /// 2016-10-14, Newton.
    V2016_10_14,
    /// 2017-02-24, Ocata.
    V2017_02_24,
    /// 2017-09-01, Pike.
    V2017_09_01,
    /// 2018-03-02, Queens.
    V2018_03_02,
    /// 2018-08-31, Rocky.
    V2018_08_31,
    /// 2021-04-16, Wallaby.
    V2021_04_16,
}

use Version::*;

/// Every accepted spelling, sorted as Heat lists them.
pub const SPELLINGS: &[(&str, Version)] = &[
    ("2013-05-23", V2013_05_23),
    ("2014-10-16", V2014_10_16),
    ("2015-04-30", V2015_04_30),
    ("2015-10-15", V2015_10_15),
    ("2016-04-08", V2016_04_08),
    ("2016-10-14", V2016_10_14),
    ("2017-02-24", V2017_02_24),
    ("2017-09-01", V2017_09_01),
    ("2018-03-02", V2018_03_02),
    ("2018-08-31", V2018_08_31),
    ("2021-04-16", V2021_04_16),
    ("newton", V2016_10_14),
    ("ocata", V2017_02_24),
    ("pike", V2017_09_01),
    ("queens", V2018_03_02),
    ("rocky", V2018_08_31),
    ("wallaby", V2021_04_16),
];

/// The key that says which version a template is in.
pub const KEY: &str = "heat_template_version";

fn invalid(explanation: impl std::fmt::Display) -> Fault {
    Fault::new("InvalidTemplateVersion", format!("The template version is invalid: {explanation}"))
}

impl Version {
    /// The version that `template` declares.
    ///
    /// # Errors
    /// Where it declares none, or one that is not known.
    pub fn of(template: &serde_json::Map<String, Json>) -> Result<Version> {
        match template.get(KEY) {
            Some(Json::String(version)) => Self::parse(version),
            _ if template.contains_key("AWSTemplateFormatVersion")
                || template.contains_key("HeatTemplateFormatVersion") =>
            {
                Err(invalid("CloudFormation templates are not supported, use \"heat_template_version\""))
            }
            _ => Err(invalid("Template version was not provided")),
        }
    }

    /// The version spelled `text`.
    ///
    /// # Errors
    /// Where it is not known.
    pub fn parse(text: &str) -> Result<Version> {
        if let Some((_, version)) = SPELLINGS.iter().find(|(s, _)| *s == text) {
            return Ok(*version);
        }
        let known: Vec<_> = SPELLINGS.iter().map(|(s, _)| *s).collect();
        Err(invalid(format!("\"{KEY}: {text}\". \"{KEY}\" should be one of: {}", known.join(", "))))
    }

    /// Whether conditions, `condition` and `external_id` are known.
    pub fn has_conditions(self) -> bool {
        self >= V2016_10_14
    }

    /// The function called `name` outside conditions.
    pub fn function(self, name: &str) -> Option<Func> {
        let since = |version: Version, func: Func| (self >= version).then_some(func);
        let cfn = |func: Func| Some(if self == V2013_05_23 { func } else { Func::Removed });
        match name {
            "get_param" => Some(Func::GetParam),
            "get_resource" => Some(Func::GetResource),
            "get_attr" => Some(Func::GetAttr { all: self >= V2015_10_15 }),
            "get_file" => Some(Func::GetFile),
            "resource_facade" => Some(Func::ResourceFacade),
            "list_join" => Some(Func::ListJoin { multiple: self >= V2015_10_15 }),
            "str_replace" => Some(Func::StrReplace { json: self >= V2015_10_15, strict: false, empty: true }),
            "str_replace_strict" => {
                since(V2017_02_24, Func::StrReplace { json: true, strict: true, empty: true })
            }
            "str_replace_vstrict" => {
                since(V2017_09_01, Func::StrReplace { json: true, strict: true, empty: false })
            }
            "digest" => since(V2015_04_30, Func::Digest),
            "repeat" => since(
                V2015_04_30,
                Func::Repeat { maps: self >= V2016_10_14, permutations: self >= V2017_09_01 },
            ),
            "str_split" => since(V2015_10_15, Func::StrSplit),
            "map_merge" => since(V2016_04_08, Func::MapMerge),
            "map_replace" => since(V2016_10_14, Func::MapReplace),
            "if" => since(V2016_10_14, Func::If { nullable: self >= V2021_04_16 }),
            "yaql" => since(V2016_10_14, Func::Removed),
            "filter" => since(V2017_02_24, Func::Filter),
            "make_url" => since(V2017_09_01, Func::MakeUrl),
            "list_concat" => since(V2017_09_01, Func::ListConcat { unique: false }),
            "list_concat_unique" => since(V2017_09_01, Func::ListConcat { unique: true }),
            "contains" => since(V2017_09_01, Func::Contains),
            "Fn::Select" if self <= V2015_04_30 => Some(Func::Select),
            "Fn::Select" => Some(Func::Removed),
            "Ref" => cfn(Func::Ref),
            "Fn::Join" => cfn(Func::ListJoin { multiple: false }),
            "Fn::Split" => cfn(Func::Split),
            "Fn::Base64" => cfn(Func::Base64),
            "Fn::GetAZs" => cfn(Func::GetAzs),
            "Fn::Replace" => cfn(Func::CfnReplace),
            "Fn::ResourceFacade" | "Fn::MemberListToMap" => Some(Func::Removed),
            _ => None,
        }
    }

    /// The function called `name` inside a condition.
    pub fn condition_function(self, name: &str) -> Option<Func> {
        match name {
            "get_param" => Some(Func::GetParam),
            "equals" => Some(Func::Equals),
            "not" => Some(Func::Not),
            "and" => Some(Func::And),
            "or" => Some(Func::Or),
            "contains" if self >= V2017_09_01 => Some(Func::Contains),
            "yaql" if self >= V2017_09_01 => Some(Func::Removed),
            other => match self.function(other)? {
                Func::Removed if other != "yaql" => Some(Func::Removed),
                _ => Some(Func::Invalid),
            },
        }
    }

    /// The deletion policy called `name`, in Heat's spelling.
    pub fn deletion_policy(self, name: &Json) -> Option<&'static str> {
        let known = ["Delete", "Retain", "Snapshot"];
        let name = name.as_str()?;
        known.into_iter().find(|k| *k == name || (self.has_conditions() && k.to_lowercase() == name))
    }
}

/// A function of the language, with what its versions differ in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Func {
    GetParam,
    GetResource,
    GetAttr {
        all: bool,
    },
    GetFile,
    ResourceFacade,
    ListJoin {
        multiple: bool,
    },
    StrReplace {
        json: bool,
        strict: bool,
        empty: bool,
    },
    Digest,
    Repeat {
        maps: bool,
        permutations: bool,
    },
    StrSplit,
    MapMerge,
    MapReplace,
    If {
        nullable: bool,
    },
    Filter,
    MakeUrl,
    ListConcat {
        unique: bool,
    },
    Contains,
    Equals,
    Not,
    And,
    Or,
    Ref,
    Select,
    Split,
    Base64,
    GetAzs,
    CfnReplace,
    /// Known once, or `yaql`: refused when validated.
    Removed,
    /// Known, but not inside a condition.
    Invalid,
}

/// What validation says of a removed function.
pub fn removed(name: &str) -> Fault {
    invalid(format!("The function {name} is not supported in this version of HOT."))
}

/// The text that [`crate::model::Template::parse`] refuses when there is no version at all.
pub fn not_found() -> Fault {
    Fault::value("Template format version not found.")
}
