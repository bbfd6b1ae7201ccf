//! Figures of measurements, and their medians.

use serde::Serialize;

/// A figure: its name, with its unit, and its value.
pub type Figure = (&'static str, f64);

/// The figures of one server under one workload: one value for each round.
#[derive(Debug, Serialize)]
pub struct Series {
    pub name: &'static str,
    pub rounds: Vec<f64>,
    pub median: f64,
    /// The same divided by that of the server that all are compared with, in the same round.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ratio: Option<Ratio>,
}

/// A comparison, round by round.
#[derive(Debug, Serialize)]
pub struct Ratio {
    pub to: &'static str,
    pub median: f64,
    pub min: f64,
    pub max: f64,
}

/// Sorts the figures of all rounds into series. `base`: the rounds of the server to compare with, and its name.
pub fn series(rounds: &[Vec<Figure>], base: Option<(&'static str, &[Vec<Figure>])>) -> Vec<Series> {
    let Some(first) = rounds.first() else { return Vec::new() };
    let of = |rounds: &[Vec<Figure>], name| -> Vec<f64> {
        rounds.iter().flatten().filter(|figure| figure.0 == name).map(|figure| figure.1).collect()
    };
    first
        .iter()
        .map(|&(name, _)| {
            let values = of(rounds, name);
            // Not all figures are those of all servers.
            let base =
                base.map(|(to, base)| (to, of(base, name))).filter(|base| !base.1.is_empty());
            let ratio = base.map(|(to, base)| {
                let pairs = values.iter().zip(base);
                let ratios: Vec<f64> = pairs.map(|(value, base)| value / base).collect();
                let min = ratios.iter().copied().fold(f64::INFINITY, f64::min);
                let max = ratios.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                Ratio { to, median: median(ratios), min, max }
            });
            Series { name, median: median(values.clone()), rounds: values, ratio }
        })
        .collect()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_is_that_of_the_same_round() {
        let rounds = |values: &[f64]| values.iter().map(|&v| vec![("x", v)]).collect::<Vec<_>>();
        let (mut slow, fast) = (rounds(&[1.0, 30.0, 5.0]), rounds(&[2.0, 40.0, 10.0]));
        slow.iter_mut().for_each(|round| round.push(("its own", 7.0)));
        let series = series(&slow, Some(("fast", &fast)));
        assert_eq!((series[0].median, series.len()), (5.0, 2));
        assert!(series[1].ratio.is_none());
        let ratio = series[0].ratio.as_ref().unwrap();
        assert_eq!((ratio.median, ratio.min, ratio.max), (0.5, 0.5, 0.75));
    }
}
