//! Dates: `strftime`, `to_datetime` and the objects that come of them.

use jiff::civil::DateTime;
use jiff::{SignedDuration, Timestamp, tz::TimeZone};

use super::Plain;
use crate::{Args, Error, ErrorKind, Object, State, Value};

pub(super) const FILTERS: &[(&str, Plain)] = &[("strftime", strftime), ("to_datetime", to_datetime)];

/// Python's `datetime.datetime`, without a zone.
#[derive(Debug, Clone)]
pub(crate) struct Date(pub DateTime);

/// Python's `datetime.timedelta`.
#[derive(Debug, Clone)]
pub(crate) struct Delta(pub SignedDuration);

/// A YAML timestamp with a time and no zone: blanks or `T` between, a fraction of any length.
pub(crate) fn moment(text: &str) -> Option<Date> {
    let at = text.find(|c: char| !c.is_ascii_digit() && c != '-')?;
    let (date, time) = text.split_at(at);
    let time = time.trim_start_matches(['T', 't', ' ', '\t']);
    let (clock, fraction) = time.split_once('.').unwrap_or((time, ""));
    let numbers = |s: &str, by: char| -> Option<Vec<i16>> { s.split(by).map(|n| n.parse().ok()).collect() };
    let (days, clock) = (numbers(date, '-')?, numbers(clock, ':')?);
    let ([y, mo, d], [h, mi, s]) = (days.as_slice(), clock.as_slice()) else { return None };
    let micros: i32 = if fraction.is_empty() { 0 } else { format!("{fraction:0<6.6}").parse().ok()? };
    let small = |n: &i16| i8::try_from(*n).ok();
    let at = DateTime::new(*y, small(mo)?, small(d)?, small(h)?, small(mi)?, small(s)?, micros * 1000);
    at.ok().map(Date)
}

fn number(n: impl Into<i64>) -> Option<Value> {
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
        Ok(match name {
            "year" => number(self.0.year()),
            "month" => number(self.0.month()),
            "day" => number(self.0.day()),
            "hour" => number(self.0.hour()),
            "minute" => number(self.0.minute()),
            "second" => number(self.0.second()),
            "microsecond" => number(self.0.subsec_nanosecond() / 1000),
            _ => None,
        })
    }
    fn call_method(&self, _: &State<'_>, name: &str, args: &Args) -> Option<Result<Value, Error>> {
        Some(match name {
            "strftime" => args.first().to_text().and_then(|f| format(&f, &self.0)),
            "isoformat" => Ok(Value::str(self.text().replacen(' ', "T", 1))),
            "timestamp" => self
                .0
                .to_zoned_datetime(TimeZone::system())
                .map(|z| Value::Float(z.timestamp().as_microsecond() as f64 / 1e6))
                .map_err(|e| Error::value_error(e.to_string())),
            "weekday" => Ok(Value::Int(i64::from(self.0.weekday().to_monday_zero_offset()))),
            "isoweekday" => Ok(Value::Int(i64::from(self.0.weekday().to_monday_one_offset()))),
            "date" => Ok(Value::object(Date(self.0.date().to_datetime(jiff::civil::Time::midnight())))),
            _ => return None,
        })
    }
    fn repr(&self) -> String {
        let d = &self.0;
        let mut out = format!(
            "datetime.datetime({}, {}, {}, {}, {}",
            d.year(),
            d.month(),
            d.day(),
            d.hour(),
            d.minute()
        );
        let micro = d.subsec_nanosecond() / 1000;
        if d.second() != 0 || micro != 0 {
            out.push_str(&format!(", {}", d.second()));
        }
        if micro != 0 {
            out.push_str(&format!(", {micro}"));
        }
        out + ")"
    }
    fn text(&self) -> String {
        let micro = self.0.subsec_nanosecond() / 1000;
        let tail = if micro == 0 { String::new() } else { format!(".{micro:06}") };
        format!("{}{tail}", self.0.strftime("%Y-%m-%d %H:%M:%S"))
    }
    fn json(&self) -> String {
        self.text().replacen(' ', "T", 1)
    }
    fn equals(&self, other: &Value) -> Option<bool> {
        self.compare(other).map(std::cmp::Ordering::is_eq)
    }
    fn compare(&self, other: &Value) -> Option<std::cmp::Ordering> {
        match other {
            Value::Object(o) => o.downcast::<Date>().map(|d| self.0.cmp(&d.0)),
            _ => None,
        }
    }
    fn binary(&self, op: &str, other: &Value, swapped: bool) -> Option<Result<Value, Error>> {
        let Value::Object(o) = other else { return None };
        if let (Some(d), "-") = (o.downcast::<Date>(), op) {
            let (a, b) = if swapped { (&d.0, &self.0) } else { (&self.0, &d.0) };
            return Some(Ok(Value::object(Delta(a.duration_since(*b)))));
        }
        let delta = o.downcast::<Delta>()?;
        let moved = match op {
            "+" => self.0.checked_add(delta.0),
            "-" if !swapped => self.0.checked_sub(delta.0),
            _ => return None,
        };
        Some(moved.map(|d| Value::object(Date(d))).map_err(|_| Error::value_error("date value out of range")))
    }
}

impl Delta {
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
fn format(f: &str, date: &DateTime) -> Result<Value, Error> {
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
    Ok(Value::object(Date(date.map_err(|_| bad())?)))
}
