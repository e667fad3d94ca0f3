//! What is refused, and what fails.

use serde_json::{Value, json};

use crate::bench::start;

#[tokio::test]
async fn bad_requests_are_refused_in_heats_words() {
    let b = start().await;
    let stack = |template: &str| json!({"stack_name": "s", "template": template});
    for (template, wanted) in [
        ("resources: {}", "Template format version not found."),
        (
            "{heat_template_version: 2015-04-30, resources: {a: {type: OS::No::Such}}}",
            "The Resource Type (OS::No::Such) could not be found.",
        ),
        (
            "{heat_template_version: 2015-04-30, resources: {a: {type: 'OS::Heat::Value'}}}",
            "Property error: resources.a.properties: Property value not assigned",
        ),
        (
            "{heat_template_version: 2015-04-30, resources: {a: {type: 'OS::Heat::RandomString', properties: {lengt: 1}}}}",
            "Property error: resources.a.properties: Unknown Property lengt",
        ),
        (
            "{heat_template_version: 2015-04-30, parameters: {p: {type: string}}}",
            "The Parameter (p) was not provided.",
        ),
    ] {
        let refused = b.ask("POST", "/stacks", stack(template)).await.is(400);
        assert_eq!(refused.message(), wanted);
        assert_eq!(refused.body["title"], "Bad Request");
        assert_eq!(refused.body["code"], 400);
    }
    let fine = "{heat_template_version: 2015-04-30}";
    let refused = b.ask("POST", "/stacks", json!({"stack_name": "1s", "template": fine})).await.is(400);
    assert_eq!(refused.body["error"]["type"], "StackValidationFailed");
    b.ask("POST", "/stacks", stack(fine)).await.is(201);
    let taken = b.ask("POST", "/stacks", stack(fine)).await.is(409);
    assert_eq!(taken.message(), "The Stack (s) already exists.");
    assert_eq!(taken.body["error"]["type"], "StackExists");
    // somebody else's
    b.ask_as("q", "GET", "/v1/p/stacks", Value::Null).await.is(403);
    b.ask_as("q", "GET", "/v1/q/stacks/s", Value::Null).await.is(404);
    let listed = b.ask_as("q", "GET", "/v1/q/stacks", Value::Null).await.is(200);
    assert_eq!(listed.body["stacks"], json!([]));
    b.ask_as("p", "GET", "/", Value::Null).await.is(300);
    b.stop().await;
}

const FAILING: &str = "
heat_template_version: 2015-04-30
resources:
  good: {type: OS::Heat::TestResource}
  bad: {type: OS::Heat::TestResource, depends_on: good, properties: {fail: true}}
  never: {type: OS::Heat::TestResource, depends_on: bad}
";

#[tokio::test]
async fn a_failed_creation_says_why_and_goes() {
    let b = start().await;
    let path = b.create("failing", FAILING).await;
    let stack = b.settled(&path).await;
    assert_eq!(stack["stack_status"], "CREATE_FAILED");
    assert_eq!(
        stack["stack_status_reason"],
        "Resource CREATE failed: ValueError: resources.bad: Test Resource failed bad"
    );
    let shown = b.get(&format!("{path}/resources/bad")).await.is(200).body;
    assert_eq!(shown["resource"]["resource_status"], "CREATE_FAILED");
    let never = b.get(&format!("{path}/resources/never")).await.is(200).body;
    assert_eq!(never["resource"]["resource_status"], "INIT_COMPLETE");
    b.ask("DELETE", &path, Value::Null).await.is(204);
    assert_eq!(b.settled(&path).await["stack_status"], "DELETE_COMPLETE");

    let body = json!({"stack_name": "back", "template": FAILING, "disable_rollback": false});
    let made = b.ask("POST", "/stacks", body).await.is(201);
    let path = format!("/stacks/back/{}", made.body["stack"]["id"].as_str().unwrap());
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(10);
    while b.settled(&path).await["stack_status"] != "ROLLBACK_COMPLETE" {
        assert!(tokio::time::Instant::now() < deadline);
    }
    assert_eq!(b.get(&format!("{path}/resources")).await.body["resources"], json!([]));
    b.stop().await;
}

#[tokio::test]
async fn a_deletion_ends_a_creation_under_way() {
    let b = start().await;
    let slow = "{heat_template_version: 2015-04-30, resources: {a: {type: 'OS::Heat::TestResource', properties: {action_wait_secs: {create: 3600}}}}}";
    let path = b.create("slow", slow).await;
    let update = b.ask("PUT", &path, json!({"template": slow})).await.is(409);
    assert_eq!(update.message(), "Stack slow already has an action (CREATE) in progress.");
    b.ask("DELETE", &path, Value::Null).await.is(204);
    assert_eq!(b.settled(&path).await["stack_status"], "DELETE_COMPLETE");
    b.stop().await;
}
