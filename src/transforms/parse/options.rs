//! Settings with a form of their own: types of fields, and where a record's time comes from.

use super::timestamp::TimeFormat;
use super::zone::Timezone;
use schemars::JsonSchema;
use serde::de::value::MapAccessDeserializer;
use serde::{Deserialize, Deserializer, de};
use std::borrow::Cow;
use std::fmt;

/// What the text of a field stands for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum FieldType {
    /// Text.
    #[default]
    Text,
    /// A whole number.
    Int,
    /// A number.
    Float,
    /// `true` or `false`.
    Bool,
}

/// Where a record's time comes from: a field's name alone is short for a mapping with `field`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timestamp(pub TimestampSettings);

/// Where a record's time comes from.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TimestampSettings {
    /// The field that holds the time, by the name that the format gives it (without `prefix`).
    pub field: String,
    /// How the time may be written; the first form that fits counts. `rfc3339`, `unix`,
    /// `unix_ms`, `unix_us`, `unix_ns` (numbers since 1970), `clf` (`10/Oct/2000:13:55:36
    /// -0700`), `syslog` (`Oct 11 22:14:15`), `asctime`, or strftime codes such as
    /// `%Y-%m-%d %H:%M:%S%.f %z`. Where a year is missing it is the latest one that is not in the
    /// future. Without this: RFC 3339, or a number whose size tells its unit.
    #[serde(default)]
    pub formats: Vec<TimeFormat>,
    /// The zone of times that do not say theirs; the transform's `timezone` unless set.
    #[serde(default)]
    pub timezone: Option<Timezone>,
    /// What becomes of a record whose field holds no such time, or that has no such field.
    #[serde(default)]
    pub on_error: OnBadTime,
}

/// What becomes of a record whose time cannot be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OnBadTime {
    /// The time of the format's own counts, or else when the record was read.
    #[default]
    Ignore,
    /// The record counts as not being of the format.
    Fail,
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;

        impl<'de> de::Visitor<'de> for Either {
            type Value = TimestampSettings;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a field's name, or a mapping with `field`")
            }

            fn visit_str<E: de::Error>(self, field: &str) -> Result<Self::Value, E> {
                let (field, formats, on_error) =
                    (field.to_owned(), Vec::new(), OnBadTime::default());
                Ok(TimestampSettings { field, formats, timezone: None, on_error })
            }

            fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                TimestampSettings::deserialize(MapAccessDeserializer::new(map))
            }
        }

        deserializer.deserialize_any(Either).map(Self)
    }
}

impl JsonSchema for Timestamp {
    fn schema_name() -> Cow<'static, str> {
        "Timestamp".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let full = generator.subschema_for::<TimestampSettings>();
        schemars::json_schema!({"anyOf": [{"type": "string"}, full]})
    }
}

/// One ASCII character, as a delimiter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Character(pub(super) u8);

impl<'de> Deserialize<'de> for Character {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'_, str>::deserialize(deserializer)?;
        match *text.as_bytes() {
            [byte] if byte != b'\n' && byte.is_ascii() => Ok(Self(byte)),
            _ => Err(de::Error::custom(format!("`{text}` is not one ASCII character"))),
        }
    }
}

impl JsonSchema for Character {
    fn schema_name() -> Cow<'static, str> {
        "Character".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"type": "string", "minLength": 1, "maxLength": 1})
    }
}
