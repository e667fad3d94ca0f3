//! `run NAME JSON [check] [diff]`: runs one native module and prints its result; for comparing by hand
//! and for `tests/ansible/modules-side-by-side`.

fn main() {
    let mut args = std::env::args().skip(1);
    let name = args.next().unwrap_or_default();
    let json = args.next().unwrap_or_else(|| "{}".into());
    let modes: Vec<String> = args.collect();
    let args = match serde_json::from_str(&json) {
        Ok(serde_json::Value::Object(map)) => map,
        other => {
            eprintln!("arguments must be a JSON object: {other:?}");
            std::process::exit(2);
        }
    };
    let mut call = pileus_modules::Call::new(&name, args);
    call.check = modes.iter().any(|m| m == "check");
    call.diff = modes.iter().any(|m| m == "diff");
    let result = pileus_modules::run(call);
    println!("{}", serde_json::to_string_pretty(&result).unwrap_or_default());
    std::process::exit(i32::from(result.contains_key("failed")));
}
