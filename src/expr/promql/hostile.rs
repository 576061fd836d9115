//! Any text as an expression, over series that are there.

use super::{Labels, Ring, evaluate, parse};

/// A name, labels and a value.
type Series = (&'static str, &'static [(&'static str, &'static str)], f64);

/// What is read has a value or a reason why not; what is not is told with its place.
pub(crate) fn promql(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let expr = match parse(&text) {
        Ok(expr) => expr,
        Err(problem) => {
            assert!(problem.at <= text.len(), "{problem}");
            return;
        }
    };
    let mut ring = Ring::new([&expr], 1 << 20);
    let series: [Series; 6] = [
        ("x", &[("job", "a"), ("le", "0.5")], 1.0),
        ("x", &[("job", "a"), ("le", "+Inf")], 7.0),
        ("x", &[("job", "b")], f64::NAN),
        ("y", &[("job", "a")], f64::INFINITY),
        ("y", &[("job", "b"), ("z", "c")], -1e308),
        ("z", &[], 0.0),
    ];
    for step in 0..20_i32 {
        let at_ms = i64::from(step) * 15_000;
        for (name, labels, value) in series {
            let labels = Labels::of(name, labels.iter().copied());
            ring.push(labels, at_ms, value * f64::from(step % 7));
        }
    }
    for at_ms in [0, 300_000, i64::MAX] {
        // The reason why there is no value is for who asked.
        evaluate(&expr, &ring, at_ms).ok();
    }
}

/// What people write.
pub(crate) fn promqls() -> Vec<Vec<u8>> {
    let texts = [
        "sum by (job) (rate(x{job=~\"a|b\"}[5m])) / ignoring(z) group_left y > bool 0.5",
        "histogram_quantile(0.9, sum without (job) (increase(x[2m] offset 1m)))",
        "predict_linear(y[1h], 4 * 3600) < 0 or absent(x{job=\"none\"}) unless z",
        "label_replace(topk(2, x), \"a\", \"$1-é\", \"job\", \"(.*)\") ^ -2 % 1e3",
        "quantile_over_time(0.5, x[1m30s]) atan2 count_values(\"v\", y) == +Inf",
    ];
    texts.map(|text| text.as_bytes().to_vec()).into()
}
