//! YAML files read into values that know where they came from.
