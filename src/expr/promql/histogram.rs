//! `histogram_quantile`: the value below which a part of what was counted in buckets lies.

use super::ast::Grouping;
use super::labels::Labels;
use super::value::Element;
use super::window::sum;
use std::collections::BTreeMap;

/// The label that holds a bucket's upper bound.
const BOUND: &str = "le";

/// For each histogram among `elements`, whose series are its buckets. What has no bound is left
/// out.
pub(super) fn quantiles(part: f64, elements: &[Element]) -> Vec<Element> {
    let but_bound = Grouping::Without(vec![BOUND.into()]);
    let mut histograms: BTreeMap<Labels, Vec<(f64, f64)>> = BTreeMap::new();
    for Element { labels, value } in elements {
        if let Some(bound) = bound(labels.get(BOUND)) {
            histograms.entry(but_bound.of(labels)).or_default().push((bound, *value));
        }
    }
    let element = |(labels, buckets)| Element { labels, value: quantile(part, buckets) };
    histograms.into_iter().map(element).collect()
}

fn bound(text: &str) -> Option<f64> {
    match text {
        "+Inf" | "Inf" | "inf" => Some(f64::INFINITY),
        text => text.parse().ok(),
    }
}

/// Buckets are upper bound and how many are below it. Between bounds the values are taken to lie
/// evenly; above the last bound that is a number nothing is known.
fn quantile(part: f64, mut buckets: Vec<(f64, f64)>) -> f64 {
    if part.is_nan() {
        return f64::NAN;
    }
    if !(0.0..=1.0).contains(&part) {
        return if part < 0.0 { f64::NEG_INFINITY } else { f64::INFINITY };
    }
    buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
    // Several of one bound are one, as where `0.5` and `0.50` are two series.
    let mut merged: Vec<(f64, f64)> = Vec::new();
    for (bound, count) in buckets {
        match merged.last_mut() {
            Some((last, counted)) if *last == bound => {
                *counted = sum([*counted, count].into_iter());
            }
            _ => merged.push((bound, count)),
        }
    }
    // Buckets that were scraped at different moments may fall; counts never do.
    let mut most = f64::NEG_INFINITY;
    for (_, count) in &mut merged {
        most = most.max(*count);
        *count = most;
    }
    let Some((last, total)) = merged.last().copied() else { return f64::NAN };
    if last != f64::INFINITY || merged.len() < 2 || total == 0.0 || total.is_nan() {
        return f64::NAN;
    }
    let rank = part * total;
    let at = merged.iter().position(|(_, count)| *count >= rank).unwrap_or(merged.len() - 1);
    if at == merged.len() - 1 {
        return merged[at - 1].0;
    }
    let (end, count) = merged[at];
    if at == 0 && end <= 0.0 {
        return end;
    }
    let (start, below) = if at == 0 { (0.0, 0.0) } else { merged[at - 1] };
    start + (end - start) * ((rank - below) / (count - below))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_lies_between_the_bounds_of_its_bucket() {
        let buckets = || vec![(f64::INFINITY, 10.0), (0.1, 2.0), (0.2, 8.0)];
        assert!((quantile(0.5, buckets()) - 0.15).abs() < 1e-12);
        assert!((quantile(0.1, buckets()) - 0.05).abs() < 1e-12);
        assert_eq!(quantile(0.9, buckets()), 0.2, "nothing is known above the last bound");
        assert_eq!(quantile(2.0, buckets()), f64::INFINITY);
        assert_eq!(quantile(-1.0, buckets()), f64::NEG_INFINITY);
        assert!(quantile(f64::NAN, buckets()).is_nan());
        assert!(quantile(0.5, vec![(0.1, 2.0), (0.2, 8.0)]).is_nan(), "no bucket for all");
        assert!(quantile(0.5, vec![(0.1, 0.0), (f64::INFINITY, 0.0)]).is_nan(), "nothing counted");
    }
}
