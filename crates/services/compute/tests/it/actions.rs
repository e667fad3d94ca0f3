//! Power actions: what is shown meanwhile, what comes of them, what is refused.

use serde_json::{Value, json};

use crate::bench::{Bench, each, start};

/// A server that runs, on a cloud whose jobs run.
async fn running() -> (Bench, String) {
    let mut b = start().await;
    let server = b.make("alice", "s", json!({"networks": "none"})).await;
    b.go();
    assert_eq!(b.settled("alice", &server).await["status"], "ACTIVE");
    (b, server)
}

#[tokio::test]
async fn every_action_has_its_states() {
    let (mut b, server) = running().await;
    for (action, meanwhile, task, status, vm_state, power) in [
        (json!({"pause": null}), "ACTIVE", "pausing", "PAUSED", "paused", 3),
        (json!({"unpause": null}), "PAUSED", "unpausing", "ACTIVE", "active", 1),
        (json!({"suspend": null}), "ACTIVE", "suspending", "SUSPENDED", "suspended", 4),
        (json!({"resume": null}), "SUSPENDED", "resuming", "ACTIVE", "active", 1),
        (json!({"os-stop": null}), "ACTIVE", "powering-off", "SHUTOFF", "stopped", 4),
        (json!({"os-start": null}), "SHUTOFF", "powering-on", "ACTIVE", "active", 1),
        (json!({"reboot": {"type": "SOFT"}}), "REBOOT", "rebooting", "ACTIVE", "active", 1),
        (json!({"reboot": {"type": "HARD"}}), "HARD_REBOOT", "rebooting_hard", "ACTIVE", "active", 1),
        (json!({"suspend": null}), "ACTIVE", "suspending", "SUSPENDED", "suspended", 4),
        (json!({"reboot": {"type": "hard"}}), "SUSPENDED", "rebooting_hard", "ACTIVE", "active", 1),
    ] {
        b.hold().await;
        b.act("alice", &server, action.clone()).await.is(202);
        let shown = b.show("alice", &server).await;
        assert_eq!(
            (&shown["status"], &shown["OS-EXT-STS:task_state"]),
            (&json!(meanwhile), &json!(task)),
            "{action}"
        );
        b.go();
        let shown = b.settled("alice", &server).await;
        assert_eq!(shown["status"], status, "{action}");
        assert_eq!(shown["OS-EXT-STS:vm_state"], vm_state, "{action}");
        assert_eq!(shown["OS-EXT-STS:power_state"], power, "{action}");
    }
    let actions = b.get("alice", &format!("/servers/{server}/os-instance-actions")).await.is(200).json();
    let actions = &actions["instanceActions"];
    assert_eq!(
        each(actions, "action"),
        [
            "reboot", "suspend", "reboot", "reboot", "start", "stop", "resume", "suspend", "unpause",
            "pause", "create"
        ]
    );
    let request = actions[0]["request_id"].as_str().unwrap();
    let one =
        b.get("alice", &format!("/servers/{server}/os-instance-actions/{request}")).await.is(200).json();
    assert_eq!(one["instanceAction"]["events"][0]["result"], "Success");
    b.stop().await;
}

#[tokio::test]
async fn an_action_that_does_not_fit_the_state_is_refused() {
    let (mut b, server) = running().await;
    let cannot = |action: &str, what: &str, state: &str| {
        format!("Cannot '{action}' instance {server} while it is in {what} {state}")
    };
    for (body, action) in [
        (json!({"os-start": null}), "start"),
        (json!({"unpause": null}), "unpause"),
        (json!({"resume": null}), "resume"),
    ] {
        let refused = b.act("alice", &server, body).await.is(409);
        assert_eq!(refused.message(), cannot(action, "vm_state", "active"));
    }
    b.hold().await;
    b.act("alice", &server, json!({"os-stop": null})).await.is(202);
    let refused = b.act("alice", &server, json!({"reboot": {"type": "SOFT"}})).await.is(409);
    assert_eq!(refused.message(), cannot("reboot", "task_state", "powering-off"));
    b.go();
    b.settled("alice", &server).await;
    let refused = b.act("alice", &server, json!({"pause": null})).await.is(409);
    assert_eq!(refused.message(), cannot("pause", "vm_state", "stopped"));

    b.act("alice", &server, json!({"lock": {"locked_reason": "mine"}})).await.is(202);
    assert_eq!(b.show("alice", &server).await["locked_reason"], "mine");
    let refused = b.act("alice", &server, json!({"os-start": null})).await.is(409);
    assert_eq!(refused.message(), format!("Instance {server} is locked"));
    b.delete("alice", &format!("/servers/{server}")).await.is(409);
    b.act("admin", &server, json!({"lock": null})).await.is(202);
    b.act("alice", &server, json!({"unlock": null})).await.is(403);
    b.act("admin", &server, json!({"unlock": null})).await.is(202);
    b.act("alice", &server, json!({"os-start": null})).await.is(202);
    b.settled("alice", &server).await;

    b.act("alice", &server, json!({"os-resetState": {"state": "error"}})).await.is(403);
    b.act("admin", &server, json!({"os-resetState": {"state": "error"}})).await.is(202);
    assert_eq!(b.show("alice", &server).await["status"], "ERROR");
    b.act("alice", &server, json!({"os-stop": null})).await.is(202);
    assert_eq!(b.settled("alice", &server).await["status"], "SHUTOFF");
    b.stop().await;
}

#[tokio::test]
async fn actions_of_the_wrong_shape_are_refused() {
    let (b, server) = running().await;
    for (body, status, said) in [
        (json!({}), 400, "Malformed request body"),
        (json!([]), 400, "Malformed request body"),
        (json!({"os-start": null, "os-stop": null}), 400, "Malformed request body"),
        (json!({"dance": null}), 400, "There is no such action: dance"),
        (
            json!({"reboot": {}}),
            400,
            "Invalid input for field/attribute reboot. Value: {}. 'type' is a required property",
        ),
        (
            json!({"reboot": {"type": "warm"}}),
            400,
            "Invalid input for field/attribute type. Value: warm. 'warm' is not one of ['HARD', 'Hard', 'hard', 'SOFT', 'Soft', 'soft']",
        ),
        (
            json!({"reboot": {"type": "SOFT", "now": 1}}),
            400,
            "Invalid input for field/attribute reboot. Value: {'type': 'SOFT', 'now': 1}. Additional properties are not allowed ('now' was unexpected)",
        ),
        (json!({"os-getConsoleOutput": {"length": "x"}}), 400, "'x' does not match '^-?[0-9]+$'"),
        (json!({"os-getConsoleOutput": {"length": -2}}), 400, "-2 is less than the minimum of -1"),
    ] {
        let refused = b.act("alice", &server, body.clone()).await;
        assert_eq!(refused.status, status, "{body}: {}", refused.body);
        assert!(refused.message().ends_with(said), "{body}: {}", refused.body);
    }
    let log = b.act("alice", &server, json!({"os-getConsoleOutput": {"length": 10}})).await.is(200).json();
    assert!(log["output"].as_str().unwrap().contains("simulated"), "{log}");
    let nobody = "00000000-0000-4000-8000-000000000000";
    let refused = b.act("alice", nobody, json!({"os-start": null})).await.is(404);
    assert_eq!(refused.message(), format!("Instance {nobody} could not be found."));
    b.ask("alice", "2.1", "POST", "/servers/x/action", Value::Null).await.is(400);
    b.stop().await;
}
