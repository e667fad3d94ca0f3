//! Lists of servers: order, pages, filters.

use serde_json::{Value, json};

use crate::bench::{each, start};

#[tokio::test]
async fn servers_are_listed_in_pages_and_in_order() {
    let b = start().await;
    b.make("alice", "b", json!({})).await;
    b.make("alice", "c", json!({"metadata": {"m": "1"}})).await;
    let last = b.make("alice", "a", json!({"flavorRef": "2"})).await;
    let names = async |query: &str| {
        let list = b.get("alice", &format!("/servers{query}")).await.is(200).json();
        each(&list["servers"], "name").concat()
    };
    assert_eq!(names("").await, "acb", "newest first");
    assert_eq!(names("/detail").await, "acb");
    assert_eq!(names("?sort_key=display_name&sort_dir=asc").await, "abc");
    assert_eq!(names("?sort_key=created_at&sort_dir=asc").await, "bca");
    assert_eq!(names("/detail?name=^[ab]$").await, "ab");
    assert_eq!(names("?flavor=2").await, "a");
    assert_eq!(names("?status=build").await, "acb");
    assert_eq!(names("?status=ACTIVE").await, "");
    assert_eq!(names("?status=nonsense").await, "");
    assert_eq!(names(&format!("?image={}", b.image)).await, "acb");
    assert_eq!(names("?image=other").await, "");
    assert_eq!(names("?changes-since=2001-01-01T00:00:00Z").await, "acb");
    assert_eq!(names("?changes-before=2001-01-01T00:00:00Z").await, "");
    assert_eq!(names("?limit=0").await, "");
    assert_eq!(names(&format!("?marker={last}")).await, "cb");
    for path in ["/servers", "/servers/detail"] {
        // Pages by the links that are given, to the end.
        let (mut seen, mut next) = (String::new(), format!("{path}?limit=2"));
        loop {
            let page = b.get("alice", &next).await.is(200).json();
            seen += &each(&page["servers"], "name").concat();
            let Some(link) = page.get("servers_links") else { break };
            assert_eq!(link[0]["rel"], "next");
            let href = link[0]["href"].as_str().unwrap();
            next = href.strip_prefix("http://cloud:1/compute/v2.1").unwrap().to_owned();
        }
        assert_eq!(seen, "acb", "{path}");
    }
    for (query, said) in [
        (
            "?marker=00000000-0000-4000-8000-000000000000",
            "marker [00000000-0000-4000-8000-000000000000] not found",
        ),
        ("?limit=-1", "limit param must be a non-negative integer, got '-1'."),
        ("?limit=x", "limit param must be a non-negative integer, got 'x'."),
        ("?changes-since=yesterday", "'yesterday' is not a 'date-time'"),
        ("?name=*", "Invalid input for query parameters name."),
    ] {
        let refused = b.get("alice", &format!("/servers{query}")).await.is(400);
        assert!(refused.message().contains(said), "{query}: {}", refused.body);
    }
    b.get("alice", "/servers?sort_key=nonsense").await.is(400);
    b.stop().await;
}

#[tokio::test]
async fn a_page_in_the_middle_of_many_is_the_same_however_it_is_found() {
    let b = start().await;
    for n in 0..6 {
        b.make("alice", &format!("s{n}"), json!({"networks": "none"})).await;
    }
    let of = async |query: String| {
        let list = b.get("alice", &format!("/servers?{query}")).await.is(200).json();
        (list["servers"].clone(), list.get("servers_links").is_some())
    };
    let (all, _) = of(String::new()).await;
    let marker = all[1]["id"].as_str().unwrap();
    // The store's order, and the one made in memory because of the filter.
    for filter in ["", "&name=s"] {
        let (page, more) = of(format!("limit=2&marker={marker}{filter}")).await;
        assert_eq!((&page[0], &page[1], more), (&all[2], &all[3], true));
        let (page, more) = of(format!("limit=2&marker={}{filter}", all[3]["id"].as_str().unwrap())).await;
        assert_eq!((&page[1], more), (&all[5], false));
    }
    // Bob's list has none of them, and no use for her marker.
    assert_eq!(b.get("bob", "/servers").await.is(200).json(), json!({"servers": []}));
    let refused = b.get("bob", &format!("/servers?marker={marker}")).await.is(400);
    assert_eq!(refused.message(), format!("marker [{marker}] not found"));
    b.stop().await;
}

#[tokio::test]
async fn only_administrators_see_all_tenants() {
    let b = start().await;
    b.make("alice", "hers", json!({})).await;
    b.make("bob", "his", json!({})).await;
    let list = async |token: &str, query: &str| {
        let list = b.get(token, &format!("/servers/detail{query}")).await.is(200).json();
        let mut names: Vec<String> = list["servers"]
            .as_array()
            .unwrap()
            .iter()
            .map(|s| s["name"].as_str().unwrap().to_owned())
            .collect();
        names.sort();
        names.join(" ")
    };
    assert_eq!(list("alice", "").await, "hers");
    assert_eq!(list("admin", "").await, "");
    assert_eq!(list("admin", "?all_tenants=1").await, "hers his");
    assert_eq!(list("admin", "?all_tenants").await, "hers his");
    assert_eq!(list("admin", "?all_tenants=True&project_id=bob").await, "his");
    assert_eq!(list("admin", "?all_tenants=0").await, "");
    let refused = b.get("alice", "/servers?all_tenants=1").await.is(403);
    assert_eq!(
        refused.message(),
        "Policy doesn't allow os_compute_api:servers:index:get_all_tenants to be performed."
    );
    b.ask("alice", "2.79", "GET", "/servers?all_tenants=perhaps", Value::Null).await.is(400);
    b.stop().await;
}
