//! Microversions: what a client asked for, and whether it is served.
//!
//! See <https://specs.openstack.org/openstack/api-sig/guidelines/microversion_specification.html>.

use std::fmt;

use http::{HeaderMap, HeaderValue, header::HeaderName};
use pileus_base::{Error, Kind, Result};

/// A microversion, as `2.79`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(pub u16, pub u16);

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0, self.1)
    }
}

impl Version {
    fn parse(text: &str) -> Option<Self> {
        let (major, minor) = text.split_once('.')?;
        let number = |t: &str| -> Option<u16> {
            let plain = t == "0" || (!t.starts_with('0') && t.bytes().all(|b| b.is_ascii_digit()));
            if plain { t.parse().ok() } else { None }
        };
        Some(Self(number(major)?, number(minor)?))
    }
}

/// What an API serves.
#[derive(Debug)]
pub struct Microversions {
    /// The first word of `OpenStack-API-Version`: `compute`.
    pub service: &'static str,
    /// The oldest, also what a client gets that names none.
    pub min: Version,
    /// The newest.
    pub max: Version,
    /// An older header that carries a bare version.
    pub legacy_header: Option<HeaderName>,
}

static STANDARD: HeaderName = HeaderName::from_static("openstack-api-version");

impl Microversions {
    /// The version that `headers` ask for.
    ///
    /// # Errors
    /// 400 where it is no version, 406 where it isn't served.
    pub fn negotiate(&self, headers: &HeaderMap) -> Result<Version> {
        let Some(asked) = self.asked(headers) else { return Ok(self.min) };
        if asked.eq_ignore_ascii_case("latest") {
            return Ok(self.max);
        }
        let version = Version::parse(&asked).ok_or_else(|| {
            Error::bad_request(format!(
                "API Version String {asked} is of invalid format. Must be of format MajorNum.MinorNum."
            ))
        })?;
        if version < self.min || version > self.max {
            return Err(Error::new(
                Kind::NotAcceptable,
                format!(
                    "Version {version} is not supported by the API. Minimum is {} and maximum is {}.",
                    self.min, self.max
                ),
            ));
        }
        Ok(version)
    }

    fn asked(&self, headers: &HeaderMap) -> Option<String> {
        for value in headers.get_all(&STANDARD) {
            for part in value.to_str().unwrap_or("").split(',') {
                let mut words = part.split_whitespace();
                if words.next() == Some(self.service) {
                    return Some(words.next().unwrap_or("").to_owned());
                }
            }
        }
        let legacy = headers.get(self.legacy_header.as_ref()?)?;
        Some(legacy.to_str().unwrap_or("").trim().to_owned())
    }

    /// Writes the served version into an answer's headers.
    pub fn echo(&self, version: Version, headers: &mut HeaderMap) {
        let both = format!("{} {version}", self.service);
        if let Ok(value) = HeaderValue::from_str(&both) {
            headers.insert(STANDARD.clone(), value);
        }
        headers.append(http::header::VARY, HeaderValue::from_static("OpenStack-API-Version"));
        if let Some(legacy) = &self.legacy_header {
            if let Ok(value) = HeaderValue::from_str(&version.to_string()) {
                headers.insert(legacy.clone(), value);
            }
            if let Ok(value) = HeaderValue::from_str(legacy.as_str()) {
                headers.append(http::header::VARY, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMPUTE: Microversions = Microversions {
        service: "compute",
        min: Version(2, 1),
        max: Version(2, 79),
        legacy_header: Some(HeaderName::from_static("x-openstack-nova-api-version")),
    };

    fn ask(name: &'static str, value: &'static str) -> Result<Version> {
        let mut headers = HeaderMap::new();
        headers.insert(name, HeaderValue::from_static(value));
        COMPUTE.negotiate(&headers)
    }

    #[test]
    fn negotiation() {
        assert_eq!(COMPUTE.negotiate(&HeaderMap::new()).unwrap(), Version(2, 1));
        assert_eq!(ask("openstack-api-version", "compute 2.53").unwrap(), Version(2, 53));
        assert_eq!(ask("openstack-api-version", "volume 3.1, compute latest").unwrap(), Version(2, 79));
        assert_eq!(ask("openstack-api-version", "volume 3.1").unwrap(), Version(2, 1));
        assert_eq!(ask("x-openstack-nova-api-version", "2.2").unwrap(), Version(2, 2));
        let high = ask("openstack-api-version", "compute 2.999").unwrap_err();
        assert_eq!(high.kind(), Kind::NotAcceptable);
        for bad in ["compute 2", "compute 2.01", "compute a.b", "compute 2.1.1", "compute"] {
            assert_eq!(ask("openstack-api-version", bad).unwrap_err().kind(), Kind::BadRequest, "{bad}");
        }
    }
}
