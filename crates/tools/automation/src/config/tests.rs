use super::*;

fn with_env(pairs: &[(&str, &str)]) -> Result<Config, Error> {
    let env = pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    Config::read(None, env, Vec::new())
}

#[test]
fn defaults_are_made_of_home() {
    let config = with_env(&[("ANSIBLE_HOME", "/h")]).unwrap();
    assert_eq!(
        config.list("DEFAULT_ROLES_PATH"),
        ["/h/roles", "/usr/share/ansible/roles", "/etc/ansible/roles"]
    );
    assert_eq!(config.int("DEFAULT_FORKS"), 5);
    assert!(config.list("INVENTORY_IGNORE_EXTS").contains(&".retry".to_owned()));
    assert!(config.list("INVENTORY_IGNORE_EXTS").contains(&".pyc".to_owned()));
}

#[test]
fn environment_wins_and_is_typed() {
    let config =
        with_env(&[("ANSIBLE_FORKS", "7"), ("ANSIBLE_PIPELINING", "yes"), ("ANSIBLE_TIMEOUT", "")]).unwrap();
    assert_eq!(config.int("DEFAULT_FORKS"), 7);
    assert_eq!(config.get("DEFAULT_FORKS").unwrap().origin, "env: ANSIBLE_FORKS");
    assert!(config.bool("ANSIBLE_PIPELINING"));
    assert_eq!(config.int("DEFAULT_TIMEOUT"), 10);
}

#[test]
fn wrong_values_are_refused() {
    let e = with_env(&[("ANSIBLE_FORKS", "x")]).unwrap_err();
    assert_eq!(
        e.brief(),
        "Config 'DEFAULT_FORKS' from 'env: ANSIBLE_FORKS' has an invalid value: Invalid value provided for \
         'integer': 'x'"
    );
    assert_eq!(e.exit_code(), 5);
    let e = with_env(&[("ANSIBLE_DUPLICATE_YAML_DICT_KEY", "q")]).unwrap_err();
    assert_eq!(e.brief(), "Invalid value 'q' for config 'DUPLICATE_YAML_DICT_KEY'.");
}

#[test]
fn every_option_is_there() {
    assert_eq!(options::base().len(), 220);
    assert!(options::plugin("connection", "ssh").is_some());
}
