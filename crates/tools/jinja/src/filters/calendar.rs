//! Python's `date` and `time`, and the three kinds of value that YAML's and TOML's timestamps become.

use std::cmp::Ordering;

use jiff::civil::{Date as Civil, DateTime, Time};
use jiff::tz::Offset;

use super::time::{Date, Delta, format, number, zone_repr, zone_text};
use crate::{Args, Error, Object, State, Value};

/// Python's `datetime.date`.
#[derive(Debug, Clone)]
pub(crate) struct Day(pub Civil);

/// Python's `datetime.time`, with its zone where it has one.
#[derive(Debug, Clone)]
pub(crate) struct Clock(pub Time, pub Option<Offset>);

/// `hh:mm`, `-h` or `Z` of a timestamp.
fn zone(text: &str) -> Option<Offset> {
    if matches!(text, "Z" | "z") {
        return Some(Offset::UTC);
    }
    let (sign, rest) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+')?),
    };
    let (hours, minutes) = rest.split_once(':').unwrap_or((rest, "0"));
    let seconds = hours.parse::<i32>().ok()? * 3600 + minutes.parse::<i32>().ok()? * 60;
    Offset::from_seconds(sign * seconds).ok()
}

/// `hh:mm:ss`, with a fraction of any length.
fn clock(text: &str) -> Option<Time> {
    let (clock, fraction) = text.split_once('.').unwrap_or((text, ""));
    let mut parts = clock.split(':').map(|n| n.parse::<i8>().ok());
    let (h, m, s) = (parts.next()??, parts.next()??, parts.next()??);
    if parts.next().is_some() || !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let micros: i32 = if fraction.is_empty() { 0 } else { format!("{fraction:0<6.6}").parse().ok()? };
    Time::new(h, m, s, micros * 1000).ok()
}

/// A timestamp of YAML or TOML: a date, a time, or both with blanks or `T` between and a zone or none.
pub(crate) fn moment(text: &str) -> Option<Value> {
    let Some(at) = text.find(|c: char| !c.is_ascii_digit() && c != '-') else {
        let date = text.parse::<Civil>().ok().filter(|_| text.len() == 10)?;
        return Some(Value::object(Day(date)));
    };
    let (date, time) = text.split_at(at);
    if time.starts_with(':') {
        return Some(Value::object(Clock(clock(text)?, None)));
    }
    let mut days = date.splitn(3, '-');
    let (y, mo, d) = (days.next()?, days.next()?, days.next()?);
    let date = Civil::new(y.parse().ok()?, mo.parse().ok()?, d.parse().ok()?).ok()?;
    let time = time.trim_start_matches(['T', 't', ' ', '\t']);
    let end = time.find(|c: char| !c.is_ascii_digit() && !":.".contains(c)).unwrap_or(time.len());
    let (time, rest) = time.split_at(end);
    let rest = rest.trim_start_matches([' ', '\t']);
    let offset = if rest.is_empty() { None } else { Some(zone(rest)?) };
    Some(Value::object(Date(DateTime::from_parts(date, clock(time)?), offset)))
}

/// `year`, `month` or `day`.
pub(super) fn day_part(day: Civil, name: &str) -> Option<Value> {
    match name {
        "year" => number(day.year()),
        "month" => number(day.month()),
        "day" => number(day.day()),
        _ => None,
    }
}

/// What `weekday()` and `isoweekday()` answer.
pub(super) fn weekday(day: Civil, name: &str) -> Option<Value> {
    match name {
        "weekday" => number(day.weekday().to_monday_zero_offset()),
        "isoweekday" => number(day.weekday().to_monday_one_offset()),
        _ => None,
    }
}

/// `hour`, `minute`, `second` or `microsecond`.
pub(super) fn clock_part(time: Time, name: &str) -> Option<Value> {
    match name {
        "hour" => number(time.hour()),
        "minute" => number(time.minute()),
        "second" => number(time.second()),
        "microsecond" => number(time.subsec_nanosecond() / 1000),
        _ => None,
    }
}

/// A time as arguments of a constructor: those that are zero at the end stay away.
pub(super) fn clock_repr(time: Time) -> String {
    let (second, micro) = (time.second(), time.subsec_nanosecond() / 1000);
    let tail = match (second, micro) {
        (0, 0) => String::new(),
        (_, 0) => format!(", {second}"),
        _ => format!(", {second}, {micro}"),
    };
    format!("{}, {}{tail}", time.hour(), time.minute())
}

/// `hh:mm:ss`, with microseconds where there are some.
pub(super) fn clock_text(time: Time) -> String {
    let micro = time.subsec_nanosecond() / 1000;
    let tail = if micro == 0 { String::new() } else { format!(".{micro:06}") };
    format!("{}{tail}", time.strftime("%H:%M:%S"))
}

impl Object for Day {
    fn type_name(&self) -> &str {
        "date"
    }
    fn is_storable(&self) -> bool {
        true
    }
    fn attr(&self, name: &str) -> Result<Option<Value>, Error> {
        Ok(day_part(self.0, name))
    }
    fn call_method(&self, _: &State<'_>, name: &str, args: &Args) -> Option<Result<Value, Error>> {
        Some(match name {
            "strftime" => {
                args.first().to_text().and_then(|f| format(&f, &self.0.to_datetime(Time::midnight())))
            }
            "isoformat" => Ok(Value::str(self.text())),
            _ => return weekday(self.0, name).map(Ok),
        })
    }
    fn repr(&self) -> String {
        format!("datetime.date({}, {}, {})", self.0.year(), self.0.month(), self.0.day())
    }
    fn text(&self) -> String {
        self.0.to_string()
    }
    fn equals(&self, other: &Value) -> Option<bool> {
        Some(other.type_name() == "date" && self.compare(other) == Some(Ordering::Equal))
    }
    fn compare(&self, other: &Value) -> Option<Ordering> {
        let Value::Object(o) = other else { return None };
        // a moment has its day
        let day = o.downcast::<Day>().map(|d| d.0).or_else(|| o.downcast::<Date>().map(|d| d.0.date()));
        day.map(|d| self.0.cmp(&d))
    }
    fn binary(&self, op: &str, other: &Value, swapped: bool) -> Option<Result<Value, Error>> {
        let Value::Object(o) = other else { return None };
        let midnight = |d: Civil| d.to_datetime(Time::midnight());
        if let (Some(d), "-") = (o.downcast::<Day>(), op) {
            let (a, b) = if swapped { (d.0, self.0) } else { (self.0, d.0) };
            return Some(Ok(Value::object(Delta(midnight(a).duration_since(midnight(b))))));
        }
        // only whole days count
        let days = jiff::Span::new().try_days(o.downcast::<Delta>()?.days()).ok()?;
        let moved = match op {
            "+" => self.0.checked_add(days),
            "-" if !swapped => self.0.checked_sub(days),
            _ => return None,
        };
        Some(moved.map(|d| Value::object(Day(d))).map_err(|_| Error::value_error("date value out of range")))
    }
    fn hash_key(&self) -> Option<u64> {
        let d = self.0;
        Some((i64::from(d.year()) * 10_000 + i64::from(d.month()) * 100 + i64::from(d.day())).unsigned_abs())
    }
}

impl Object for Clock {
    fn type_name(&self) -> &str {
        "time"
    }
    fn is_storable(&self) -> bool {
        true
    }
    fn attr(&self, name: &str) -> Result<Option<Value>, Error> {
        Ok(clock_part(self.0, name))
    }
    fn call_method(&self, _: &State<'_>, name: &str, args: &Args) -> Option<Result<Value, Error>> {
        Some(match name {
            "strftime" => {
                let first = jiff::civil::date(1900, 1, 1).to_datetime(self.0);
                args.first().to_text().and_then(|f| format(&f, &first))
            }
            "isoformat" => Ok(Value::str(self.text())),
            _ => return None,
        })
    }
    fn repr(&self) -> String {
        format!("datetime.time({}{})", clock_repr(self.0), zone_repr(self.1))
    }
    fn text(&self) -> String {
        clock_text(self.0) + &zone_text(self.1)
    }
    fn equals(&self, other: &Value) -> Option<bool> {
        Some(self.compare(other) == Some(Ordering::Equal))
    }
    fn compare(&self, other: &Value) -> Option<Ordering> {
        let Value::Object(o) = other else { return None };
        let other = o.downcast::<Clock>()?;
        (self.1 == other.1).then(|| self.0.cmp(&other.0))
    }
}

#[cfg(test)]
mod tests {
    use super::moment;

    #[test]
    fn timestamps_of_every_kind() {
        for (text, kind, shown) in [
            ("2020-01-02", "date", "2020-01-02"),
            ("03:04:05.25", "time", "03:04:05.250000"),
            ("2020-01-02T03:04:05", "datetime", "2020-01-02 03:04:05"),
            ("2020-1-2 3:04:05.5", "datetime", "2020-01-02 03:04:05.500000"),
            ("2020-01-02T03:04:05-07:00", "datetime", "2020-01-02 03:04:05-07:00"),
            ("2020-01-02 03:04:05 +5", "datetime", "2020-01-02 03:04:05+05:00"),
            ("2020-01-02T03:04:05Z", "datetime", "2020-01-02 03:04:05+00:00"),
        ] {
            let v = moment(text).unwrap();
            assert_eq!((v.type_name(), v.to_text().unwrap().as_str()), (kind, shown), "{text}");
        }
        for wrong in ["2020-13-01", "x", "2020-01-02T", "25:00:00", "2020-01-02T03:04:05 CET"] {
            assert!(moment(wrong).is_none(), "{wrong}");
        }
        assert_eq!(moment("2020-01-02T03:04:05Z"), moment("2020-01-02T05:04:05+02:00"));
        assert_ne!(moment("2020-01-02T03:04:05Z"), moment("2020-01-02T03:04:05"));
    }
}
