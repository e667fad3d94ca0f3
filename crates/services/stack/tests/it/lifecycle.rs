//! Stacks made, looked at, changed, removed.

use serde_json::{Value, json};

use crate::bench::start;

const TWO: &str = "
heat_template_version: 2018-08-31
description: two things
parameters:
  word: {type: string, default: hello}
resources:
  secret: {type: OS::Heat::RandomString, properties: {length: 12}}
  copy:
    type: OS::Heat::Value
    properties:
      value: {str_replace: {template: 'W-S', params: {W: {get_param: word}, S: {get_attr: [secret, value]}}}}
outputs:
  copied: {description: the copy, value: {get_attr: [copy, value]}}
  secret: {value: {get_resource: secret}}
";

#[tokio::test]
async fn a_stack_lives_and_goes() {
    let b = start().await;
    let path = b.create("teststack", TWO).await;
    let stack = b.settled(&path).await;
    assert_eq!(stack["stack_status"], "CREATE_COMPLETE", "{stack}");
    assert_eq!(stack["stack_status_reason"], "Stack CREATE completed successfully");
    assert_eq!(stack["stack_owner"], "bob");
    assert_eq!(stack["description"], "two things");
    assert_eq!(stack["parameters"]["word"], "hello");
    assert_eq!(stack["parameters"]["OS::stack_name"], "teststack");
    assert_eq!(stack["outputs"][0]["output_key"], "copied");
    let copied = stack["outputs"][0]["output_value"].as_str().unwrap().to_owned();
    assert!(copied.starts_with("hello-") && copied.len() == 18, "{copied}");

    let found = b.get("/stacks/teststack?x=1").await.is(302);
    let location = found.head.lines().find_map(|l| l.strip_prefix("location: ")).unwrap();
    assert_eq!(location, format!("http://cloud:1/heat-api/v1/p{path}?x=1"));
    b.get("/stacks/teststack/resources").await.is(302);
    b.get("/stacks/nobody").await.is(404);

    let listed = b.get("/stacks").await.is(200);
    assert_eq!(listed.body["stacks"][0]["stack_name"], "teststack");
    assert!(listed.body["stacks"][0].get("parameters").is_none());
    let resources = b.get(&format!("{path}/resources")).await.is(200).body;
    let all = resources["resources"].as_array().unwrap();
    assert_eq!(all.len(), 2);
    assert!(all.iter().all(|r| r["resource_status"] == "CREATE_COMPLETE"), "{resources}");
    let secret = b.get(&format!("{path}/resources/secret")).await.is(200).body;
    assert_eq!(secret["resource"]["attributes"]["value"].as_str().unwrap().len(), 12);
    assert_eq!(secret["resource"]["required_by"], json!(["copy"]));
    let events = b.get(&format!("{path}/events")).await.is(200).body;
    let events: Vec<String> = events["events"]
        .as_array()
        .unwrap()
        .iter()
        .map(|e| {
            format!("{} {}", e["resource_name"].as_str().unwrap(), e["resource_status"].as_str().unwrap())
        })
        .collect();
    assert_eq!(
        events,
        [
            "teststack CREATE_IN_PROGRESS",
            "secret CREATE_IN_PROGRESS",
            "secret CREATE_COMPLETE",
            "copy CREATE_IN_PROGRESS",
            "copy CREATE_COMPLETE",
            "teststack CREATE_COMPLETE"
        ]
    );
    let output = b.get(&format!("{path}/outputs/copied")).await.is(200);
    assert_eq!(output.body["output"]["output_value"], copied);
    assert_eq!(b.get(&format!("{path}/template")).await.is(200).body["description"], "two things");

    // a change in place, then one that replaces
    let patch = json!({"parameters": {"word": "bye"}});
    b.ask("PATCH", &path, patch).await.is(202);
    let stack = b.settled(&path).await;
    assert_eq!(stack["stack_status"], "UPDATE_COMPLETE", "{stack}");
    assert!(stack["outputs"][0]["output_value"].as_str().unwrap().starts_with("bye-"));
    let longer = TWO.replace("length: 12", "length: 20");
    b.ask("PUT", &path, json!({"template": longer})).await.is(202);
    let stack = b.settled(&path).await;
    assert_eq!(stack["stack_status"], "UPDATE_COMPLETE", "{stack}");
    assert_eq!(stack["outputs"][0]["output_value"].as_str().unwrap().len(), 26, "{stack}");
    assert_eq!(b.get(&format!("{path}/resources")).await.body["resources"].as_array().unwrap().len(), 2);
    let less = "heat_template_version: 2018-08-31\nresources: {secret: {type: OS::Heat::RandomString, properties: {length: 20}}}";
    b.ask("PUT", &path, json!({"template": less})).await.is(202);
    assert_eq!(b.settled(&path).await["stack_status"], "UPDATE_COMPLETE");
    assert_eq!(b.get(&format!("{path}/resources")).await.body["resources"].as_array().unwrap().len(), 1);

    b.ask("POST", &format!("{path}/actions"), json!({"check": null})).await.is(200);
    assert_eq!(b.settled(&path).await["stack_status"], "CHECK_COMPLETE");
    b.ask("DELETE", &path, Value::Null).await.is(204);
    assert_eq!(b.settled(&path).await["stack_status"], "DELETE_COMPLETE");
    assert_eq!(b.get("/stacks").await.body["stacks"], json!([]));
    b.get("/stacks/teststack").await.is(404);
    let again = b.create("teststack", TWO).await;
    b.settled(&again).await;
    b.stop().await;
}

#[tokio::test]
async fn what_is_replaced_is_removed() {
    let b = start().await;
    let template = "{heat_template_version: 2015-04-30, resources: {a: {type: 'OS::Heat::SoftwareConfig', properties: {config: one}}}}";
    let path = b.create("replacing", template).await;
    b.settled(&path).await;
    let before = b.get("/software_configs").await.is(200).body;
    b.ask("PUT", &path, json!({"template": template.replace("one", "two")})).await.is(202);
    assert_eq!(b.settled(&path).await["stack_status"], "UPDATE_COMPLETE");
    let after = b.get("/software_configs").await.is(200).body;
    assert_eq!(after["software_configs"].as_array().unwrap().len(), 1, "{after}");
    assert_ne!(before, after);
    b.ask("DELETE", &path, Value::Null).await.is(204);
    b.settled(&path).await;
    assert_eq!(b.get("/software_configs").await.body["software_configs"], json!([]));
    b.stop().await;
}

#[tokio::test]
async fn groups_and_nested_stacks() {
    let b = start().await;
    let template = "
heat_template_version: 2018-08-31
resources:
  group:
    type: OS::Heat::ResourceGroup
    properties:
      count: 3
      resource_def: {type: OS::Heat::Value, properties: {value: 'n%index%'}}
  inner: {type: child.yaml, properties: {word: x}}
outputs:
  values: {value: {get_attr: [group, value]}}
  inner: {value: {get_attr: [inner, shouted]}}
";
    let child = "
heat_template_version: 2018-08-31
parameters: {word: {type: string}}
resources: {v: {type: OS::Heat::Value, properties: {value: {get_param: word}}}}
outputs: {shouted: {value: {list_join: ['', [{get_attr: [v, value]}, '!']]}}}
";
    let body = json!({"stack_name": "outer", "template": template, "files": {"child.yaml": child}});
    let made = b.ask("POST", "/stacks", body).await.is(201);
    let path = format!("/stacks/outer/{}", made.body["stack"]["id"].as_str().unwrap());
    let stack = b.settled(&path).await;
    assert_eq!(stack["stack_status"], "CREATE_COMPLETE", "{stack}");
    assert_eq!(stack["outputs"][0]["output_value"], json!(["n0", "n1", "n2"]));
    assert_eq!(stack["outputs"][1]["output_value"], "x!");
    assert_eq!(b.get("/stacks").await.body["stacks"].as_array().unwrap().len(), 1);
    assert_eq!(b.get("/stacks?show_nested=true").await.body["stacks"].as_array().unwrap().len(), 3);
    let deep = b.get(&format!("{path}/resources?nested_depth=2")).await.body;
    assert_eq!(deep["resources"].as_array().unwrap().len(), 6, "{deep}");
    b.ask(
        "PUT",
        &path,
        json!({"template": template.replace("count: 3", "count: 2"), "files": {"child.yaml": child}}),
    )
    .await
    .is(202);
    let stack = b.settled(&path).await;
    assert_eq!(stack["outputs"][0]["output_value"], json!(["n0", "n1"]), "{stack}");
    b.ask("DELETE", &path, Value::Null).await.is(204);
    assert_eq!(b.settled(&path).await["stack_status"], "DELETE_COMPLETE");
    assert_eq!(b.get("/stacks?show_nested=true").await.body["stacks"], json!([]));
    b.stop().await;
}

#[tokio::test]
async fn a_wait_condition_waits_for_its_signal() {
    let b = start().await;
    let template = "
heat_template_version: 2015-04-30
resources:
  handle: {type: OS::Heat::WaitConditionHandle}
  wait: {type: OS::Heat::WaitCondition, properties: {handle: {get_resource: handle}, timeout: 60}}
outputs: {data: {value: {get_attr: [wait, data]}}}
";
    let path = b.create("waiting", template).await;
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(10);
    let signal = json!({"status": "SUCCESS", "data": "done", "id": "a"});
    loop {
        let wait = b.get(&format!("{path}/resources/wait")).await.is(200).body;
        if wait["resource"]["resource_status"] == "CREATE_IN_PROGRESS" {
            break;
        }
        assert!(tokio::time::Instant::now() < deadline, "{wait}");
        tokio::task::yield_now().await;
    }
    b.ask("POST", &format!("{path}/resources/handle/signal"), signal).await.is(200);
    let stack = b.settled(&path).await;
    assert_eq!(stack["stack_status"], "CREATE_COMPLETE", "{stack}");
    assert_eq!(stack["outputs"][0]["output_value"], "{\"a\":\"done\"}");
    b.stop().await;
}
