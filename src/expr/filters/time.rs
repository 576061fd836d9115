//! Times: `strftime`, `to_datetime`, and what they make.

use crate::expr::call::{Call, Callable, wrong};
use crate::expr::host;
use chrono::{DateTime, Local, NaiveDate, NaiveDateTime, TimeDelta, Utc};
use minijinja::value::{DynObject, Object, ObjectRepr, Value, from_args};
use minijinja::{Error, ErrorKind, State};
use std::cmp::Ordering;
use std::fmt;
use std::fmt::Write as _;
use std::sync::Arc;

pub(super) const TABLE: &[Callable] = &[
    Callable::new(
        &["strftime"],
        "second=none, utc=false",
        strftime,
        "A time, in seconds since the epoch or now, in the form that the value describes.",
        "'%Y-%m-%d' | strftime(0, utc=true) → '1970-01-01'",
    ),
    Callable::new(
        &["to_datetime"],
        "format='%Y-%m-%d %H:%M:%S'",
        |call| {
            let format = call.text("format").unwrap_or_else(|| "%Y-%m-%d %H:%M:%S".into());
            let text = call.value.to_string();
            let parsed = NaiveDateTime::parse_from_str(&text, &format)
                .ok()
                .or_else(|| NaiveDate::parse_from_str(&text, &format).ok()?.and_hms_opt(0, 0, 0));
            let told = || call.wrong(format!("finds no time of the form `{format}` in `{text}`"));
            Ok(Value::from_object(Time(parsed.ok_or_else(told)?)))
        },
        "The time that a text names. Times can be compared and subtracted.",
        "('2026-01-02' | to_datetime('%Y-%m-%d')).day → 2",
    ),
];

fn strftime(call: &mut Call<'_, '_, '_>) -> Result<Value, Error> {
    let seconds = match call.get("second") {
        Some(value) => {
            let number = f64::try_from(value.clone()).ok().or_else(|| value.as_str()?.parse().ok());
            number.ok_or_else(|| {
                call.wrong(format!("takes seconds since the epoch, not `{value}`"))
            })?
        }
        None => host::of(call.state, "strftime")?.now(),
    };
    let form = call.value.to_string();
    let moment = moment(seconds).ok_or_else(|| call.wrong("takes a time within 262,000 years"))?;
    let text = match call.flag("utc", false) {
        true => written(moment.format(&form)),
        false => written(moment.with_timezone(&Local).format(&form)),
    };
    Ok(text.ok_or_else(|| call.wrong(format!("knows no such form as `{form}`")))?.into())
}

/// A time since the epoch.
fn moment(seconds: f64) -> Option<DateTime<Utc>> {
    if !seconds.is_finite() || seconds.abs() > 8e12 {
        return None;
    }
    #[expect(clippy::cast_possible_truncation, reason = "bounded above")]
    let micros = (seconds * 1e6).round() as i64;
    DateTime::from_timestamp_micros(micros)
}

fn written(form: impl fmt::Display) -> Option<String> {
    let mut text = String::new();
    write!(text, "{form}").ok()?;
    Some(text)
}

/// The time that it is, as Python's `datetime`.
pub(in crate::expr) fn now(seconds: f64, utc: bool) -> Option<Value> {
    let moment = moment(seconds)?;
    let naive = if utc { moment.naive_utc() } else { moment.with_timezone(&Local).naive_local() };
    Some(Value::from_object(Time(naive)))
}

/// A time without a zone.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::expr) struct Time(NaiveDateTime);

impl Object for Time {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let form = match key.as_str()? {
            "year" => "%Y",
            "month" => "%m",
            "day" => "%d",
            "hour" => "%H",
            "minute" => "%M",
            "second" => "%S",
            "microsecond" => return Some((self.0.and_utc().timestamp_subsec_micros()).into()),
            _ => return None,
        };
        self.0.format(form).to_string().parse::<i64>().ok().map(Value::from)
    }

    fn call_method(
        self: &Arc<Self>,
        _: &mut State<'_, '_>,
        method: &str,
        args: &[Value],
    ) -> Result<Value, Error> {
        Ok(match method {
            "strftime" => {
                let (form,): (&str,) = from_args(args)?;
                let text = written(self.0.format(form));
                text.ok_or_else(|| wrong(format!("there is no form of times such as `{form}`")))?
                    .into()
            }
            "isoformat" => self.0.format("%Y-%m-%dT%H:%M:%S%.f").to_string().into(),
            "timestamp" => {
                let local = self.0.and_local_timezone(Local).earliest();
                let micros = local
                    .map_or_else(|| self.0.and_utc().timestamp_micros(), |t| t.timestamp_micros());
                seconds(micros).into()
            }
            "weekday" => {
                self.0.format("%u").to_string().parse::<i64>().map_or(0, |day| day - 1).into()
            }
            "isoweekday" => self.0.format("%u").to_string().parse::<i64>().unwrap_or(1).into(),
            "date" => self.0.format("%Y-%m-%d").to_string().into(),
            "time" => self.0.format("%H:%M:%S%.f").to_string().into(),
            _ => return Err(ErrorKind::UnknownMethod.into()),
        })
    }

    fn custom_cmp(self: &Arc<Self>, other: &DynObject) -> Option<Ordering> {
        Some(self.0.cmp(&other.downcast_ref::<Self>()?.0))
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}",
            self.0.format("%Y-%m-%d %H:%M:%S%.6f").to_string().trim_end_matches(".000000")
        )
    }
}

/// How long it is from one time to another, as Python's `timedelta`.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Span(TimeDelta);

#[expect(clippy::cast_precision_loss, reason = "microseconds of 285 years fit exactly")]
fn seconds(micros: i64) -> f64 {
    micros as f64 / 1e6
}

impl Span {
    fn micros(&self) -> i64 {
        self.0.num_microseconds().unwrap_or(i64::MAX)
    }
}

const DAY_MICROS: i64 = 86_400_000_000;

impl Object for Span {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let (micros, rest) = (self.micros(), self.micros().rem_euclid(DAY_MICROS));
        Some(match key.as_str()? {
            "days" => micros.div_euclid(DAY_MICROS).into(),
            "seconds" => (rest / 1_000_000).into(),
            "microseconds" => (rest % 1_000_000).into(),
            _ => return None,
        })
    }

    fn call_method(
        self: &Arc<Self>,
        _: &mut State<'_, '_>,
        method: &str,
        args: &[Value],
    ) -> Result<Value, Error> {
        let () = from_args(args)?;
        match method {
            "total_seconds" => Ok(seconds(self.micros()).into()),
            _ => Err(ErrorKind::UnknownMethod.into()),
        }
    }

    fn custom_cmp(self: &Arc<Self>, other: &DynObject) -> Option<Ordering> {
        Some(self.0.cmp(&other.downcast_ref::<Self>()?.0))
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (days, rest) =
            (self.micros().div_euclid(DAY_MICROS), self.micros().rem_euclid(DAY_MICROS));
        match days {
            0 => {}
            1 | -1 => write!(f, "{days} day, ")?,
            days => write!(f, "{days} days, ")?,
        }
        let seconds = rest / 1_000_000;
        write!(f, "{}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)?;
        match rest % 1_000_000 {
            0 => Ok(()),
            micros => write!(f, ".{micros:06}"),
        }
    }
}

/// What `a - b` is where one of them is a time; `None` where none is.
pub(in crate::expr) fn minus(a: &Value, b: &Value) -> Option<Value> {
    let time = a.downcast_object_ref::<Time>();
    match (time, b.downcast_object_ref::<Time>(), b.downcast_object_ref::<Span>()) {
        (Some(a), Some(b), _) => Some(Value::from_object(Span(a.0 - b.0))),
        (Some(a), _, Some(b)) => Some(Value::from_object(Time(a.0.checked_sub_signed(b.0)?))),
        _ => None,
    }
}
