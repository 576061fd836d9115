//! The functions of `PromQL`: what they take and give.

use super::ast::Type;

/// A function. The words are `PromQL`'s own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Function {
    Abs,
    Absent,
    AbsentOverTime,
    AvgOverTime,
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
    LabelReplace,
    LastOverTime,
    Ln,
    Log10,
    Log2,
    MaxOverTime,
    MinOverTime,
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
    Vector,
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
}

const V: Type = Type::Vector;
const M: Type = Type::Matrix;
const N: Type = Type::Scalar;
const S: Type = Type::String;

const fn of(name: &'static str, function: Function, takes: &'static [Type]) -> Signature {
    Signature { name, function, takes, optional: 0 }
}

/// All functions, by name.
pub(super) const FUNCTIONS: &[Signature] = &[
    of("abs", Function::Abs, &[V]),
    of("absent", Function::Absent, &[V]),
    of("absent_over_time", Function::AbsentOverTime, &[M]),
    of("avg_over_time", Function::AvgOverTime, &[M]),
    of("ceil", Function::Ceil, &[V]),
    of("changes", Function::Changes, &[M]),
    of("clamp", Function::Clamp, &[V, N, N]),
    of("clamp_max", Function::ClampMax, &[V, N]),
    of("clamp_min", Function::ClampMin, &[V, N]),
    of("count_over_time", Function::CountOverTime, &[M]),
    of("delta", Function::Delta, &[M]),
    of("deriv", Function::Deriv, &[M]),
    of("exp", Function::Exp, &[V]),
    of("floor", Function::Floor, &[V]),
    of("histogram_quantile", Function::HistogramQuantile, &[N, V]),
    of("idelta", Function::Idelta, &[M]),
    of("increase", Function::Increase, &[M]),
    of("irate", Function::Irate, &[M]),
    of("label_replace", Function::LabelReplace, &[V, S, S, S, S]),
    of("last_over_time", Function::LastOverTime, &[M]),
    of("ln", Function::Ln, &[V]),
    of("log10", Function::Log10, &[V]),
    of("log2", Function::Log2, &[V]),
    of("max_over_time", Function::MaxOverTime, &[M]),
    of("min_over_time", Function::MinOverTime, &[M]),
    of("predict_linear", Function::PredictLinear, &[M, N]),
    of("present_over_time", Function::PresentOverTime, &[M]),
    of("quantile_over_time", Function::QuantileOverTime, &[N, M]),
    of("rate", Function::Rate, &[M]),
    of("resets", Function::Resets, &[M]),
    Signature { name: "round", function: Function::Round, takes: &[V, N], optional: 1 },
    of("scalar", Function::Scalar, &[V]),
    of("sgn", Function::Sgn, &[V]),
    of("sort", Function::Sort, &[V]),
    of("sort_desc", Function::SortDesc, &[V]),
    of("sqrt", Function::Sqrt, &[V]),
    of("stddev_over_time", Function::StddevOverTime, &[M]),
    of("stdvar_over_time", Function::StdvarOverTime, &[M]),
    of("sum_over_time", Function::SumOverTime, &[M]),
    of("time", Function::Time, &[]),
    of("vector", Function::Vector, &[N]),
];

impl Function {
    /// What it gives.
    pub fn gives(self) -> Type {
        match self {
            Self::Time | Self::Scalar => Type::Scalar,
            _ => Type::Vector,
        }
    }
}
