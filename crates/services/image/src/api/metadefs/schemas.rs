//! `/v2/schemas/metadefs/…`: what each of them looks like.

use pileus_base::Result;
use pileus_http::Reply;
use serde_json::{Value, json};

use super::Call;

fn one(word: &str) -> Value {
    let text = || json!({"type": "string"});
    let name = || json!({"type": "string", "maxLength": 80, "minLength": 1});
    let time = || json!({"type": "string", "format": "date-time", "readOnly": true});
    let properties =
        json!({"type": "object", "additionalProperties": {"type": "object", "required": ["title", "type"]}});
    match word {
        "namespace" => json!({
            "name": "namespace", "additionalProperties": false, "required": ["namespace"],
            "properties": {
                "namespace": name(), "display_name": {"type": "string", "maxLength": 80},
                "description": {"type": "string", "maxLength": 500},
                "visibility": {"type": "string", "enum": ["public", "private"]},
                "protected": {"type": "boolean"}, "owner": {"type": "string", "maxLength": 255},
                "created_at": time(), "updated_at": time(), "self": text(), "schema": text(),
                "resource_type_associations": {"type": "array", "items": {"type": "object"}},
                "properties": properties, "objects": {"type": "array", "items": {"type": "object"}},
                "tags": {"type": "array", "items": {"type": "object"}},
            },
        }),
        "object" => json!({
            "name": "object", "additionalProperties": false, "required": ["name"],
            "properties": {
                "name": name(), "description": text(), "required": {"type": "array", "items": text()},
                "properties": properties, "created_at": time(), "updated_at": time(), "self": text(), "schema": text(),
            },
        }),
        "property" => json!({
            "name": "property", "additionalProperties": false, "required": ["name", "title", "type"],
            "properties": {
                "name": name(), "title": text(), "description": text(),
                "type": {"type": "string", "enum": ["array", "boolean", "integer", "number", "object", "string", null]},
                "operators": {"type": "array", "items": text()}, "enum": {"type": "array"}, "default": {},
                "readonly": {"type": "boolean"}, "minimum": {"type": "number"}, "maximum": {"type": "number"},
                "minLength": {"type": "integer"}, "maxLength": {"type": "integer"}, "pattern": text(),
                "minItems": {"type": "integer"}, "maxItems": {"type": "integer"},
                "uniqueItems": {"type": "boolean"}, "additionalItems": {"type": "boolean"},
                "items": {"type": "object"},
            },
        }),
        "tag" => json!({
            "name": "tag", "additionalProperties": false, "required": ["name"],
            "properties": {"name": name(), "created_at": time(), "updated_at": time()},
        }),
        _ => json!({
            "name": "resource_type_association", "additionalProperties": false, "required": ["name"],
            "properties": {
                "name": name(), "prefix": {"type": "string", "maxLength": 80},
                "properties_target": {"type": "string", "maxLength": 80},
                "created_at": time(), "updated_at": time(),
            },
        }),
    }
}

/// The schema that the path ends in.
pub fn show(call: &Call) -> Result<Reply> {
    let word = call.path.rsplit('/').next().unwrap_or_default();
    let (plural, key) = match word {
        "namespaces" => ("namespace", "namespaces"),
        "objects" => ("object", "objects"),
        "properties" => ("property", "properties"),
        "tags" => ("tag", "tags"),
        "resource_types" => ("resource_type", "resource_type_associations"),
        word => return Reply::ok(&one(word)),
    };
    let all = match key {
        "properties" => json!({"type": "object", "additionalProperties": one(plural)}),
        _ => json!({"type": "array", "items": one(plural)}),
    };
    let text = json!({"type": "string"});
    Reply::ok(&json!({"name": key, "properties": {key: all, "first": text, "next": text, "schema": text}}))
}
