//! Filters on numbers.

use crate::expr::call::{Call, Callable};
use minijinja::Error;
use minijinja::value::Value;

pub(super) const TABLE: &[Callable] = &[
    Callable::new(
        &["float"],
        "default=0.0",
        |call| {
            let otherwise = || call.given.get("default").cloned().unwrap_or_else(|| 0.0.into());
            Ok(as_float(&call.value).map_or_else(otherwise, Value::from))
        },
        "A number with a fraction; `default` where the value is none.",
        "'1.5' | float → 1.5",
    ),
    Callable::new(
        &["log"],
        "base=2.718281828459045",
        |call| {
            let x = number(call)?;
            Ok(match parameter(call, "base")? {
                None => x.ln(),
                Some(10.0) => x.log10(),
                Some(base) => x.ln() / base.ln(),
            }
            .into())
        },
        "The logarithm, natural or to a base.",
        "8 | log(2) → 3.0",
    ),
    Callable::new(
        &["pow"],
        "y",
        |call| Ok(number(call)?.powf(parameter(call, "y")?.unwrap_or(1.0)).into()),
        "The number to a power.",
        "2 | pow(5) → 32.0",
    ),
    Callable::new(
        &["root"],
        "base=2",
        |call| {
            let x = number(call)?;
            let base = parameter(call, "base")?.unwrap_or(2.0);
            #[expect(clippy::float_cmp, reason = "a written 2 is exactly 2")]
            let root = if base == 2.0 { x.sqrt() } else { x.powf(1.0 / base) };
            Ok(root.into())
        },
        "The square root, or another root.",
        "9 | root → 3.0",
    ),
    Callable::new(
        &["human_readable"],
        "isbits=false, unit=none",
        human_readable,
        "A size for people.",
        "1048576 | human_readable → '1.00 MB'",
    ),
    Callable::new(
        &["human_to_bytes"],
        "default_unit=none, isbits=false",
        human_to_bytes,
        "A size as people write it, in bytes.",
        "'10 MB' | human_to_bytes → 10485760",
    ),
    Callable::new(
        &["filesizeformat"],
        "binary=false",
        file_size,
        "A size for people, as Jinja writes it.",
        "1000 | filesizeformat → '1.0 kB'",
    ),
];

fn as_float(value: &Value) -> Option<f64> {
    f64::try_from(value.clone()).ok().or_else(|| value.as_str()?.trim().parse().ok())
}

fn number(call: &Call<'_, '_, '_>) -> Result<f64, Error> {
    match call.value.as_str() {
        Some(_) => Err(call.expected("a number")),
        None => as_float(&call.value).ok_or_else(|| call.expected("a number")),
    }
}

fn parameter(call: &Call<'_, '_, '_>, name: &str) -> Result<Option<f64>, Error> {
    let Some(value) = call.get(name) else { return Ok(None) };
    let number = as_float(value);
    number.map(Some).ok_or_else(|| call.wrong(format!("takes a number as `{name}`")))
}

/// Units and how many bytes (or bits) they are.
const UNITS: [(char, f64); 9] = [
    ('Y', 1_208_925_819_614_629_174_706_176.0),
    ('Z', 1_180_591_620_717_411_303_424.0),
    ('E', 1_152_921_504_606_846_976.0),
    ('P', 1_125_899_906_842_624.0),
    ('T', 1_099_511_627_776.0),
    ('G', 1_073_741_824.0),
    ('M', 1_048_576.0),
    ('K', 1024.0),
    ('B', 1.0),
];

fn human_readable(call: &mut Call<'_, '_, '_>) -> Result<Value, Error> {
    let size = as_float(&call.value).ok_or_else(|| call.expected("a number"))?;
    let base = if call.flag("isbits", false) { "bits" } else { "Bytes" };
    let wanted = call.text("unit").and_then(|unit| unit.to_uppercase().chars().next());
    let fits = |(name, least): &&(char, f64)| match wanted {
        Some(wanted) => *name == wanted,
        None => size >= *least,
    };
    let (name, unit) = UNITS.iter().find(fits).unwrap_or(&('B', 1.0));
    let suffix = match name {
        'B' => base.to_owned(),
        name => format!("{name}{}", &base[..1]),
    };
    Ok(format!("{:.2} {suffix}", size / unit).into())
}

fn human_to_bytes(call: &mut Call<'_, '_, '_>) -> Result<Value, Error> {
    let text = call.value.to_string();
    let bits = call.flag("isbits", false);
    let unfit = || call.wrong(format!("takes a size such as `10M`, and this is `{text}`"));
    let trimmed = text.trim();
    let end = trimmed.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(trimmed.len());
    let (digits, unit) = trimmed.split_at(end);
    let number: f64 = digits.parse().map_err(|_| unfit())?;
    let unit = unit.trim();
    let unit = if unit.is_empty() {
        call.text("default_unit").unwrap_or_default()
    } else {
        unit.to_owned()
    };
    let Some(first) = unit.to_uppercase().chars().next() else {
        return Ok(whole(number.round()));
    };
    let (_, factor) = UNITS.iter().find(|(name, _)| *name == first).ok_or_else(unfit)?;
    let rest = unit.get(1..).unwrap_or_default();
    let (letter, word) = if bits { ("b", "bit") } else { ("B", "byte") };
    let fits = match first {
        'B' => {
            unit == letter || unit.len() == 1 || unit.to_lowercase().trim_end_matches('s') == word
        }
        _ => rest.is_empty() || rest == letter || rest.to_lowercase().trim_end_matches('s') == word,
    };
    if fits { Ok(whole((number * factor).round())) } else { Err(unfit()) }
}

#[expect(clippy::cast_possible_truncation, reason = "sizes past 2^63 become the greatest one")]
fn whole(number: f64) -> Value {
    Value::from(number as i64)
}

fn file_size(call: &mut Call<'_, '_, '_>) -> Result<Value, Error> {
    let size = as_float(&call.value).ok_or_else(|| call.expected("a number"))?;
    let (base, units): (f64, _) = match call.flag("binary", false) {
        true => (1024.0, ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB", "YiB"]),
        false => (1000.0, ["kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB"]),
    };
    #[expect(clippy::float_cmp, reason = "a written 1 is exactly 1")]
    if size == 1.0 {
        return Ok("1 Byte".into());
    }
    if size < base {
        return Ok(format!("{size:.0} Bytes").into());
    }
    let mut unit = base;
    for name in units {
        if size < unit * base || name.starts_with('Y') {
            return Ok(format!("{:.1} {name}", size / unit).into());
        }
        unit *= base;
    }
    Ok(format!("{size:.0} Bytes").into())
}
