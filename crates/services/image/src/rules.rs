//! Glance's rules, under its own names.

use pileus_policy::Rule;

macro_rules! rules {
    ($($name:ident = $check:ident $text:literal;)*) => { $(#[doc = $text] pub const $name: Rule = Rule::$check($text);)* };
}

rules! {
    VERSIONS = anyone "versions";
    GET_IMAGES = reader "get_images";
    GET_IMAGE = reader "get_image";
    ADD_IMAGE = member "add_image";
    MODIFY_IMAGE = member "modify_image";
    DELETE_IMAGE = member "delete_image";
    UPLOAD_IMAGE = member "upload_image";
    DOWNLOAD_IMAGE = reader "download_image";
    DEACTIVATE = member "deactivate";
    REACTIVATE = member "reactivate";
    GET_MEMBERS = reader "get_members";
    ADD_MEMBER = member "add_member";
    MODIFY_MEMBER = member "modify_member";
    DELETE_MEMBER = member "delete_member";
    SCHEMAS = authenticated "schemas";
    TASKS = admin "tasks_api_access";
    STORES = reader "stores_info";
}
