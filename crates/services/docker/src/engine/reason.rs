//! Why something failed, as Go's programs write it.

use std::io;

/// The system's reason as Go writes it: `connection refused`.
pub fn reason(e: &io::Error) -> String {
    match e.raw_os_error() {
        Some(number) => {
            let text = io::Error::from_raw_os_error(number).to_string();
            let text = text.split(" (os error").next().unwrap_or_default().to_owned();
            if text.starts_with("Protocol wrong type") {
                "protocol wrong type for socket".into()
            } else {
                text.to_lowercase()
            }
        }
        None if e.kind() == io::ErrorKind::TimedOut => "i/o timeout".into(),
        None => e.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_left_out() {
        let refused = io::Error::from(rustix::io::Errno::CONNREFUSED);
        assert_eq!(reason(&refused), "connection refused");
        assert_eq!(reason(&io::Error::from(rustix::io::Errno::PROTOTYPE)), "protocol wrong type for socket");
        assert_eq!(reason(&io::ErrorKind::TimedOut.into()), "i/o timeout");
    }
}
