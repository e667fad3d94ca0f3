//! Dates: `strftime`, `to_datetime` and the objects that come of them.

use jiff::civil::DateTime;
use jiff::tz::{Offset, TimeZone};
use jiff::{SignedDuration, Timestamp};

use super::Plain;
use super::calendar::{Clock, Day, clock_part, clock_repr, clock_text, day_part, weekday};
use crate::{Args, Error, ErrorKind, Object, State, Value};

pub(super) const FILTERS: &[(&str, Plain)] = &[("strftime", strftime), ("to_datetime", to_datetime)];

/// Python's `datetime.datetime`, with its zone where it has one.
#[derive(Debug, Clone)]
pub(crate) struct Date(pub DateTime, pub Option<Offset>);

/// Python's `datetime.timedelta`.
#[derive(Debug, Clone)]
pub(crate) struct Delta(pub SignedDuration);

pub(super) fn number(n: impl Into<i64>) -> Option<Value> {
    Some(Value::Int(n.into()))
}

impl Object for Date {
    fn type_name(&self) -> &str {
        "datetime"
    }
    fn is_storable(&self) -> bool {
        true
    }
    fn attr(&self, name: &str) -> Result<Option<Value>, Error> {
        Ok(day_part(self.0.date(), name).or_else(|| clock_part(self.0.time(), name)))
    }
    fn call_method(&self, _: &State<'_>, name: &str, args: &Args) -> Option<Result<Value, Error>> {
        Some(match name {
            "strftime" => args.first().to_text().and_then(|f| format(&f, &self.0)),
            "isoformat" => Ok(Value::str(self.json())),
            "timestamp" => self
                .0
                .to_zoned_datetime(self.1.map_or_else(TimeZone::system, TimeZone::fixed))
                .map(|z| Value::Float(z.timestamp().as_microsecond() as f64 / 1e6))
                .map_err(|e| Error::value_error(e.to_string())),
            "date" => Ok(Value::object(Day(self.0.date()))),
            "time" => Ok(Value::object(Clock(self.0.time(), None))),
            "timetz" => Ok(Value::object(Clock(self.0.time(), self.1))),
            "utcoffset" => Ok(self.1.map_or(Value::None, |o| {
                Value::object(Delta(SignedDuration::from_secs(i64::from(o.seconds()))))
            })),
            _ => return weekday(self.0.date(), name).map(Ok),
        })
    }
    fn repr(&self) -> String {
        let (d, clock) = (&self.0, clock_repr(self.0.time()));
        let zone = zone_repr(self.1);
        format!("datetime.datetime({}, {}, {}, {clock}{zone})", d.year(), d.month(), d.day())
    }
    fn text(&self) -> String {
        format!("{} {}{}", self.0.date(), clock_text(self.0.time()), zone_text(self.1))
    }
    fn json(&self) -> String {
        self.text().replacen(' ', "T", 1)
    }
    fn equals(&self, other: &Value) -> Option<bool> {
        Some(self.compare(other) == Some(std::cmp::Ordering::Equal))
    }
    fn compare(&self, other: &Value) -> Option<std::cmp::Ordering> {
        match other {
            Value::Object(o) => {
                let other = o.downcast::<Date>()?;
                (self.1.is_some() == other.1.is_some()).then(|| self.instant().cmp(&other.instant()))
            }
            _ => None,
        }
    }
    fn binary(&self, op: &str, other: &Value, swapped: bool) -> Option<Result<Value, Error>> {
        let Value::Object(o) = other else { return None };
        if let (Some(d), "-") = (o.downcast::<Date>(), op) {
            if d.1.is_some() != self.1.is_some() {
                return Some(Err(Error::type_error(
                    "can't subtract offset-naive and offset-aware datetimes",
                )));
            }
            let (a, b) = if swapped { (d, self) } else { (self, d) };
            return Some(Ok(Value::object(Delta(a.instant().duration_since(b.instant())))));
        }
        let delta = o.downcast::<Delta>()?;
        let moved = match op {
            "+" => self.0.checked_add(delta.0),
            "-" if !swapped => self.0.checked_sub(delta.0),
            _ => return None,
        };
        Some(
            moved
                .map(|d| Value::object(Date(d, self.1)))
                .map_err(|_| Error::value_error("date value out of range")),
        )
    }
}

impl Date {
    /// In UTC where there is a zone.
    fn instant(&self) -> DateTime {
        let ahead = self.1.map_or(0, |o| i64::from(o.seconds()));
        self.0.checked_sub(SignedDuration::from_secs(ahead)).unwrap_or(self.0)
    }
}

/// `+hh:mm` of a zone, nothing where there is none.
pub(super) fn zone_text(zone: Option<Offset>) -> String {
    let Some(zone) = zone else { return String::new() };
    let (sign, seconds) = (if zone.seconds() < 0 { '-' } else { '+' }, zone.seconds().abs());
    format!("{sign}{:02}:{:02}", seconds / 3600, seconds / 60 % 60)
}

/// A zone as the last argument of a constructor.
pub(super) fn zone_repr(zone: Option<Offset>) -> String {
    let Some(zone) = zone else { return String::new() };
    if zone.is_zero() {
        return ", tzinfo=datetime.timezone.utc".into();
    }
    let (days, seconds) = (zone.seconds().div_euclid(86_400), zone.seconds().rem_euclid(86_400));
    let days = if days == 0 { String::new() } else { format!("days={days}, ") };
    format!(", tzinfo=datetime.timezone(datetime.timedelta({days}seconds={seconds}))")
}

impl Delta {
    /// Its whole days, rounded down.
    pub(super) fn days(&self) -> i64 {
        self.parts().0
    }
    fn parts(&self) -> (i64, i64, i64) {
        let micros = self.0.as_micros();
        let day = 86_400_000_000i128;
        let (days, rest) = (micros.div_euclid(day), micros.rem_euclid(day));
        (days as i64, (rest / 1_000_000) as i64, (rest % 1_000_000) as i64)
    }
}

impl Object for Delta {
    fn type_name(&self) -> &str {
        "timedelta"
    }
    fn attr(&self, name: &str) -> Result<Option<Value>, Error> {
        let (days, seconds, micros) = self.parts();
        Ok(match name {
            "days" => number(days),
            "seconds" => number(seconds),
            "microseconds" => number(micros),
            _ => None,
        })
    }
    fn call_method(&self, _: &State<'_>, name: &str, _: &Args) -> Option<Result<Value, Error>> {
        (name == "total_seconds").then(|| Ok(Value::Float(self.0.as_micros() as f64 / 1e6)))
    }
    fn truth(&self) -> Result<bool, Error> {
        Ok(!self.0.is_zero())
    }
    fn text(&self) -> String {
        let (days, s, micros) = self.parts();
        let mut out = match days {
            0 => String::new(),
            d => format!("{d} day{}, ", if d.abs() == 1 { "" } else { "s" }),
        };
        out.push_str(&format!("{}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60));
        if micros != 0 {
            out.push_str(&format!(".{micros:06}"));
        }
        out
    }
    fn compare(&self, other: &Value) -> Option<std::cmp::Ordering> {
        match other {
            Value::Object(o) => o.downcast::<Delta>().map(|d| self.0.cmp(&d.0)),
            _ => None,
        }
    }
    fn equals(&self, other: &Value) -> Option<bool> {
        self.compare(other).map(std::cmp::Ordering::is_eq)
    }
}

/// `date` by C's `strftime`.
pub(super) fn format(f: &str, date: &DateTime) -> Result<Value, Error> {
    let zoned = date.to_zoned_datetime(TimeZone::system()).map_err(|e| Error::value_error(e.to_string()))?;
    let text = jiff::fmt::strtime::format(f, &zoned).map_err(|e| Error::value_error(e.to_string()))?;
    Ok(Value::str(text))
}

/// ansible.builtin.strftime(string_format, second=None, utc=False).
fn strftime(_: &State<'_>, a: Args) -> Result<Value, Error> {
    let b = a.bind("strftime", &["string_format", "second", "utc"], 1)?;
    let seconds = match b.opt(1) {
        None | Some(Value::None) => None,
        Some(v) => Some(v.as_float().or_else(|| v.as_str()?.trim().parse().ok()).ok_or_else(|| {
            Error::new(
                ErrorKind::Plugin,
                format!("Invalid value for epoch value ({})", v.to_text().unwrap_or_default()),
            )
        })?),
    };
    let stamp = match seconds {
        None => Timestamp::now(),
        Some(s) => {
            Timestamp::from_microsecond((s * 1e6) as i64).map_err(|e| Error::value_error(e.to_string()))?
        }
    };
    let zone = if b.truth(2, false)? { TimeZone::UTC } else { TimeZone::system() };
    let text = jiff::fmt::strtime::format(b.text(0, "")?, &stamp.to_zoned_datetime(zone))
        .map_err(|e| Error::value_error(e.to_string()))?;
    Ok(Value::str(text))
}

fn to_datetime(_: &State<'_>, a: Args) -> Result<Value, Error> {
    let b = a.bind("to_datetime", &["string", "format"], 1)?;
    let (text, f) = (b.text(0, "")?, b.text(1, "%Y-%m-%d %H:%M:%S")?);
    let bad = || {
        Error::value_error(format!(
            "time data {} does not match format {}",
            crate::value::repr_str(&text),
            crate::value::repr_str(&f)
        ))
    };
    let parsed = jiff::fmt::strtime::parse(&f, &text).map_err(|_| bad())?;
    let date = parsed
        .to_datetime()
        .or_else(|_| parsed.to_date().map(|d| d.to_datetime(jiff::civil::Time::midnight())));
    Ok(Value::object(Date(date.map_err(|_| bad())?, None)))
}
