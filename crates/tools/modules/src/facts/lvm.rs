//! Logical volumes, by the tools of LVM where they are installed.

use serde_json::{Value, json};

use super::{Facts, output};
use crate::cx::Cx;

const FORMAT: [&str; 5] = ["--noheadings", "--nosuffix", "--units", "g", "--separator"];

/// lvm: groups, volumes, physical volumes; `N/A` without the tools or the right to use them.
pub fn collect(cx: &mut Cx<'_>, facts: &mut Facts) {
    let tool = cx.find_bin("vgs").filter(|_| crate::sys::euid() == 0);
    let Some(vgs) = tool else {
        facts.insert("lvm".into(), "N/A".into());
        return;
    };
    let mut rows = |program: Option<String>| -> Vec<Vec<String>> {
        let Some(program) = program else { return Vec::new() };
        let mut argv = vec![program.as_str()];
        argv.extend(FORMAT);
        argv.push(",");
        let text = output(cx, &argv).unwrap_or_default();
        text.lines().map(|line| line.trim().split(',').map(str::to_string).collect()).collect()
    };
    let (groups, dir) = (rows(Some(vgs.clone())), crate::sys::path::dirname(&vgs).to_string());
    let (volumes, physical) = (rows(Some(format!("{dir}/lvs"))), rows(Some(format!("{dir}/pvs"))));
    let (mut vg_map, mut lv_map, mut pv_map) = (Facts::new(), Facts::new(), Facts::new());
    for row in groups.iter().filter(|r| r.len() >= 7) {
        vg_map.insert(
            row[0].clone(),
            json!({"size_g": row[row.len() - 2], "free_g": row[row.len() - 1], "num_lvs": row[2], "num_pvs": row[1], "lvs": {}}),
        );
    }
    for row in volumes.iter().filter(|r| r.len() >= 4) {
        lv_map.insert(row[0].clone(), json!({"size_g": row[3], "vg": row[1]}));
        if let Some(group) =
            vg_map.get_mut(&row[1]).and_then(|g| g.get_mut("lvs")).and_then(Value::as_object_mut)
        {
            group.insert(row[0].clone(), json!({"size_g": row[3]}));
        }
    }
    for row in physical.iter().filter(|r| r.len() >= 6) {
        pv_map.insert(row[0].clone(), json!({"size_g": row[4], "free_g": row[5], "vg": row[1]}));
    }
    facts.insert("lvm".into(), json!({"lvs": lv_map, "vgs": vg_map, "pvs": pv_map}));
}
