//! What the firmware says of the machine (SMBIOS), through /sys or `dmidecode`.

use std::path::Path;

use super::{Facts, output, read};
use crate::cx::Cx;

/// fact, file of /sys/devices/virtual/dmi/id, keyword of dmidecode
const FIELDS: &[(&str, &str, &str)] = &[
    ("bios_date", "bios_date", "bios-release-date"),
    ("bios_vendor", "bios_vendor", "bios-vendor"),
    ("bios_version", "bios_version", "bios-version"),
    ("board_asset_tag", "board_asset_tag", "baseboard-asset-tag"),
    ("board_name", "board_name", "baseboard-product-name"),
    ("board_serial", "board_serial", "baseboard-serial-number"),
    ("board_vendor", "board_vendor", "baseboard-manufacturer"),
    ("board_version", "board_version", "baseboard-version"),
    ("chassis_asset_tag", "chassis_asset_tag", "chassis-asset-tag"),
    ("chassis_serial", "chassis_serial", "chassis-serial-number"),
    ("chassis_vendor", "chassis_vendor", "chassis-manufacturer"),
    ("chassis_version", "chassis_version", "chassis-version"),
    ("form_factor", "chassis_type", "chassis-type"),
    ("product_name", "product_name", "system-product-name"),
    ("product_serial", "product_serial", "system-serial-number"),
    ("product_uuid", "product_uuid", "system-uuid"),
    ("product_version", "product_version", "system-version"),
    ("system_vendor", "sys_vendor", "system-manufacturer"),
];

/// Chassis types of the SMBIOS specification (7.4.1), by number.
const CHASSIS: &[&str] = &[
    "Unknown",
    "Other",
    "Unknown",
    "Desktop",
    "Low Profile Desktop",
    "Pizza Box",
    "Mini Tower",
    "Tower",
    "Portable",
    "Laptop",
    "Notebook",
    "Hand Held",
    "Docking Station",
    "All In One",
    "Sub Notebook",
    "Space-saving",
    "Lunch Box",
    "Main Server Chassis",
    "Expansion Chassis",
    "Sub Chassis",
    "Bus Expansion Chassis",
    "Peripheral Chassis",
    "RAID Chassis",
    "Rack Mount Chassis",
    "Sealed-case PC",
    "Multi-system",
    "CompactPCI",
    "AdvancedTCA",
    "Blade",
    "Blade Enclosure",
    "Tablet",
    "Convertible",
    "Detachable",
    "IoT Gateway",
    "Embedded PC",
    "Mini PC",
    "Stick PC",
];

/// bios_*, board_*, chassis_*, product_*, form_factor, system_vendor.
pub fn collect(cx: &mut Cx<'_>, facts: &mut Facts) {
    let dir = "/sys/devices/virtual/dmi/id";
    let kernel = Path::new(&format!("{dir}/product_name")).exists();
    let program = if kernel { None } else { cx.find_bin("dmidecode") };
    for (fact, file, keyword) in FIELDS {
        let value = if kernel {
            read(&format!("{dir}/{file}"))
        } else if let Some(program) = &program {
            output(cx, &[program, "-s", keyword]).map(|text| {
                text.lines().filter(|l| !l.starts_with('#')).collect::<Vec<_>>().join("").trim().to_string()
            })
        } else {
            None
        };
        let value = value.unwrap_or_else(|| "NA".into());
        let value = match (*fact, value.parse::<usize>()) {
            ("form_factor", Ok(number)) if kernel => {
                CHASSIS.get(number).map_or_else(|| format!("unknown ({number})"), |name| (*name).to_string())
            }
            _ => value,
        };
        facts.insert((*fact).into(), value.into());
    }
}
