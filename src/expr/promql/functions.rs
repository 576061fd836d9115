//! The functions of `PromQL`: what they take and give.

use super::ast::Type;

/// A function. The words are `PromQL`'s own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Function {
    Abs,
    Absent,
    AbsentOverTime,
    AvgOverTime,
    Calendar(Calendar),
    Ceil,
    Changes,
    Clamp,
    ClampMax,
    ClampMin,
    CountOverTime,
    Delta,
    Deriv,
    Exp,
    Floor,
    HistogramQuantile,
    Idelta,
    Increase,
    Irate,
    LabelJoin,
    LabelReplace,
    LastOverTime,
    Ln,
    Log10,
    Log2,
    MaxOverTime,
    MinOverTime,
    Pi,
    PredictLinear,
    PresentOverTime,
    QuantileOverTime,
    Rate,
    Resets,
    Round,
    Scalar,
    Sgn,
    Sort,
    SortDesc,
    Sqrt,
    StddevOverTime,
    StdvarOverTime,
    SumOverTime,
    Time,
    Timestamp,
    Trigonometric(Trigonometric),
    Vector,
}

/// A function of angles and its kin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trigonometric {
    Acos,
    Acosh,
    Asin,
    Asinh,
    Atan,
    Atanh,
    Cos,
    Cosh,
    Deg,
    Rad,
    Sin,
    Sinh,
    Tan,
    Tanh,
}

/// A part of a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Calendar {
    Minute,
    Hour,
    DayOfWeek,
    DayOfMonth,
    DayOfYear,
    DaysInMonth,
    Month,
    Year,
}

/// What a function takes, and how many of the last arguments may be left out.
pub(super) struct Signature {
    /// Its name.
    pub(super) name: &'static str,
    /// The function.
    pub(super) function: Function,
    /// What it takes.
    pub(super) takes: &'static [Type],
    /// How many of the last may be left out.
    pub(super) optional: usize,
    /// Whether there may be more of the last.
    pub(super) repeats: bool,
}

const V: Type = Type::Vector;
const M: Type = Type::Matrix;
const N: Type = Type::Scalar;
const S: Type = Type::String;

const fn of(name: &'static str, function: Function, takes: &'static [Type]) -> Signature {
    Signature { name, function, takes, optional: 0, repeats: false }
}

const fn calendar(name: &'static str, part: Calendar) -> Signature {
    Signature { optional: 1, ..of(name, Function::Calendar(part), &[V]) }
}

const fn angle(name: &'static str, function: Trigonometric) -> Signature {
    of(name, Function::Trigonometric(function), &[V])
}

/// All functions, by name.
pub(super) const FUNCTIONS: &[Signature] = &[
    of("abs", Function::Abs, &[V]),
    of("absent", Function::Absent, &[V]),
    of("absent_over_time", Function::AbsentOverTime, &[M]),
    angle("acos", Trigonometric::Acos),
    angle("acosh", Trigonometric::Acosh),
    angle("asin", Trigonometric::Asin),
    angle("asinh", Trigonometric::Asinh),
    angle("atan", Trigonometric::Atan),
    angle("atanh", Trigonometric::Atanh),
    of("avg_over_time", Function::AvgOverTime, &[M]),
    of("ceil", Function::Ceil, &[V]),
    of("changes", Function::Changes, &[M]),
    of("clamp", Function::Clamp, &[V, N, N]),
    of("clamp_max", Function::ClampMax, &[V, N]),
    of("clamp_min", Function::ClampMin, &[V, N]),
    angle("cos", Trigonometric::Cos),
    angle("cosh", Trigonometric::Cosh),
    of("count_over_time", Function::CountOverTime, &[M]),
    calendar("day_of_month", Calendar::DayOfMonth),
    calendar("day_of_week", Calendar::DayOfWeek),
    calendar("day_of_year", Calendar::DayOfYear),
    calendar("days_in_month", Calendar::DaysInMonth),
    angle("deg", Trigonometric::Deg),
    of("delta", Function::Delta, &[M]),
    of("deriv", Function::Deriv, &[M]),
    of("exp", Function::Exp, &[V]),
    of("floor", Function::Floor, &[V]),
    of("histogram_quantile", Function::HistogramQuantile, &[N, V]),
    calendar("hour", Calendar::Hour),
    of("idelta", Function::Idelta, &[M]),
    of("increase", Function::Increase, &[M]),
    of("irate", Function::Irate, &[M]),
    Signature { repeats: true, ..of("label_join", Function::LabelJoin, &[V, S, S, S]) },
    of("label_replace", Function::LabelReplace, &[V, S, S, S, S]),
    of("last_over_time", Function::LastOverTime, &[M]),
    of("ln", Function::Ln, &[V]),
    of("log10", Function::Log10, &[V]),
    of("log2", Function::Log2, &[V]),
    of("max_over_time", Function::MaxOverTime, &[M]),
    of("min_over_time", Function::MinOverTime, &[M]),
    calendar("minute", Calendar::Minute),
    calendar("month", Calendar::Month),
    of("pi", Function::Pi, &[]),
    of("predict_linear", Function::PredictLinear, &[M, N]),
    of("present_over_time", Function::PresentOverTime, &[M]),
    of("quantile_over_time", Function::QuantileOverTime, &[N, M]),
    angle("rad", Trigonometric::Rad),
    of("rate", Function::Rate, &[M]),
    of("resets", Function::Resets, &[M]),
    Signature { optional: 1, ..of("round", Function::Round, &[V, N]) },
    of("scalar", Function::Scalar, &[V]),
    of("sgn", Function::Sgn, &[V]),
    angle("sin", Trigonometric::Sin),
    angle("sinh", Trigonometric::Sinh),
    of("sort", Function::Sort, &[V]),
    of("sort_desc", Function::SortDesc, &[V]),
    of("sqrt", Function::Sqrt, &[V]),
    of("stddev_over_time", Function::StddevOverTime, &[M]),
    of("stdvar_over_time", Function::StdvarOverTime, &[M]),
    of("sum_over_time", Function::SumOverTime, &[M]),
    angle("tan", Trigonometric::Tan),
    angle("tanh", Trigonometric::Tanh),
    of("time", Function::Time, &[]),
    of("timestamp", Function::Timestamp, &[V]),
    of("vector", Function::Vector, &[N]),
    calendar("year", Calendar::Year),
];

impl Function {
    /// What it gives.
    pub fn gives(self) -> Type {
        match self {
            Self::Time | Self::Scalar | Self::Pi => Type::Scalar,
            _ => Type::Vector,
        }
    }
}

impl Trigonometric {
    /// What it makes of a value.
    pub(super) fn of(self, value: f64) -> f64 {
        match self {
            Self::Acos => value.acos(),
            Self::Acosh => value.acosh(),
            Self::Asin => value.asin(),
            Self::Asinh => value.asinh(),
            Self::Atan => value.atan(),
            Self::Atanh => value.atanh(),
            Self::Cos => value.cos(),
            Self::Cosh => value.cosh(),
            Self::Deg => value.to_degrees(),
            Self::Rad => value.to_radians(),
            Self::Sin => value.sin(),
            Self::Sinh => value.sinh(),
            Self::Tan => value.tan(),
            Self::Tanh => value.tanh(),
        }
    }
}
