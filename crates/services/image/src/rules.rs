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
    GET_METADEF_NAMESPACE = reader "get_metadef_namespace";
    GET_METADEF_NAMESPACES = reader "get_metadef_namespaces";
    MODIFY_METADEF_NAMESPACE = admin "modify_metadef_namespace";
    ADD_METADEF_NAMESPACE = admin "add_metadef_namespace";
    DELETE_METADEF_NAMESPACE = admin "delete_metadef_namespace";
    GET_METADEF_OBJECT = reader "get_metadef_object";
    GET_METADEF_OBJECTS = reader "get_metadef_objects";
    MODIFY_METADEF_OBJECT = admin "modify_metadef_object";
    ADD_METADEF_OBJECT = admin "add_metadef_object";
    DELETE_METADEF_OBJECT = admin "delete_metadef_object";
    LIST_METADEF_TYPES = reader "list_metadef_resource_types";
    GET_METADEF_TYPE = reader "get_metadef_resource_type";
    ADD_METADEF_TYPE = admin "add_metadef_resource_type_association";
    REMOVE_METADEF_TYPE = admin "remove_metadef_resource_type_association";
    GET_METADEF_PROPERTY = reader "get_metadef_property";
    GET_METADEF_PROPERTIES = reader "get_metadef_properties";
    MODIFY_METADEF_PROPERTY = admin "modify_metadef_property";
    ADD_METADEF_PROPERTY = admin "add_metadef_property";
    REMOVE_METADEF_PROPERTY = admin "remove_metadef_property";
    GET_METADEF_TAG = reader "get_metadef_tag";
    GET_METADEF_TAGS = reader "get_metadef_tags";
    MODIFY_METADEF_TAG = admin "modify_metadef_tag";
    ADD_METADEF_TAG = admin "add_metadef_tag";
    ADD_METADEF_TAGS = admin "add_metadef_tags";
    DELETE_METADEF_TAG = admin "delete_metadef_tag";
    DELETE_METADEF_TAGS = admin "delete_metadef_tags";
    STORES = reader "stores_info";
}
