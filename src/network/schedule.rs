//! Schedules: rules that give a stack its dilations, one per layer (dilation.md 5).

use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use std::fmt;

/// Most layers of one stack.
pub const MOST_LAYERS: usize = 10_000;

/// The dilations of a stack.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Dilations {
    /// One number per layer.
    List(Vec<usize>),
    /// A rule.
    Schedule(Schedule),
}

/// A rule that gives one dilation per layer. Layers of the next cycle begin again with the first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "schedule", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Schedule {
    /// `first · base^i`; beyond `cap` the run begins again at `first` (WaveNet: base 2, cap 512).
    Exponential {
        /// Factor from layer to layer.
        base: usize,
        /// Layers of one cycle; without it, one run up to `cap`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        layers: Option<usize>,
        /// No dilation is larger than this.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cap: Option<usize>,
        /// Dilation of the first layer.
        #[serde(default = "one", skip_serializing_if = "is_one")]
        first: usize,
        /// How often the whole is repeated.
        #[serde(default = "one", skip_serializing_if = "is_one")]
        cycles: usize,
    },
    /// A short pattern such as 1, 2, 5 again and again (hybrid dilated convolution, Wang et al.,
    /// arXiv 1702.08502).
    Hdc {
        /// The dilations of one cycle.
        pattern: Vec<usize>,
        /// How often it is repeated.
        #[serde(default = "one", skip_serializing_if = "is_one")]
        cycles: usize,
    },
    /// From 1 on, each dilation is the one before times `factor`, rounded half to even, and at
    /// least one more than before.
    Growth {
        /// Factor from layer to layer, above 1, such as 1.5.
        factor: f64,
        /// Number of layers.
        layers: usize,
    },
    /// 1, 2, 3, 5, 8, …: each dilation is the sum of the two before.
    Fibonacci {
        /// Number of layers.
        layers: usize,
    },
    /// A base of small dilations, then multiples of a period, rounded half to even: taps that meet
    /// the helix (10.5 bases) or the nucleosome in phase.
    Periodic {
        /// Bases per turn.
        period: f64,
        /// Which multiples of the period follow the base.
        multiples: Vec<usize>,
        /// Dilations that come before them and leave no hole, such as 1, 3, 9.
        base: Vec<usize>,
    },
}

/// For keys that are 1 unless said otherwise.
pub(super) fn one() -> usize {
    1
}

/// Whether such a key need not be written.
pub(super) fn is_one(number: &usize) -> bool {
    *number == 1
}

impl Dilations {
    /// One dilation per layer.
    ///
    /// # Errors
    /// What is wrong, in one clause.
    pub fn list(&self) -> Result<Vec<usize>, String> {
        match self {
            Dilations::List(list) => Ok(list.clone()),
            Dilations::Schedule(schedule) => schedule.list(),
        }
    }
}

impl Schedule {
    /// One dilation per layer.
    ///
    /// # Errors
    /// What is wrong, in one clause.
    pub fn list(&self) -> Result<Vec<usize>, String> {
        match *self {
            Schedule::Exponential { base, layers, cap, first, cycles } => {
                repeat(&exponential(base, layers, cap, first)?, cycles)
            }
            Schedule::Hdc { ref pattern, cycles } => repeat(pattern, cycles),
            Schedule::Growth { factor, layers } => growth(factor, layers),
            Schedule::Fibonacci { layers } => {
                let mut pair = (1usize, 2usize);
                up_to(layers, || {
                    let dilation = pair.0;
                    pair = (pair.1, pair.0.checked_add(pair.1)?);
                    Some(dilation)
                })
            }
            Schedule::Periodic { period, ref multiples, ref base } => {
                if !(period.is_finite() && period >= 1.0) {
                    return Err(format!("period {period}, expected a number of 1 or more"));
                }
                let tuned = multiples.iter().map(|&multiple| rounded(multiple as f64 * period));
                base.iter().map(|&dilation| Ok(dilation)).chain(tuned).collect()
            }
        }
    }
}

/// One cycle of an exponential schedule.
fn exponential(
    base: usize,
    layers: Option<usize>,
    cap: Option<usize>,
    first: usize,
) -> Result<Vec<usize>, String> {
    if base < 2 {
        return Err(format!("base {base}, expected 2 or more"));
    }
    if cap.is_some_and(|cap| cap < first) {
        return Err("the cap is below the first dilation".into());
    }
    let layers = match (layers, cap) {
        (Some(layers), _) => layers,
        (None, Some(cap)) => {
            let run = std::iter::successors(Some(first), |d| d.checked_mul(base));
            run.take_while(|&dilation| 0 < dilation && dilation <= cap).count()
        }
        (None, None) => return Err("an exponential schedule needs `layers` or `cap`".into()),
    };
    let mut next = Some(first);
    up_to(layers, || {
        let dilation = match (next, cap) {
            (Some(dilation), Some(cap)) if dilation > cap => first,
            (None, Some(_)) => first,
            (dilation, _) => dilation?,
        };
        next = dilation.checked_mul(base);
        Some(dilation)
    })
}

fn growth(factor: f64, layers: usize) -> Result<Vec<usize>, String> {
    if !(factor.is_finite() && factor > 1.0) {
        return Err(format!("factor {factor}, expected a number above 1"));
    }
    let mut next = Some(1);
    up_to(layers, || {
        let dilation = next?;
        // 1 · 1.2 rounds to 1 and would stand still for ever
        next = rounded(dilation as f64 * factor).ok().map(|grown| grown.max(dilation + 1));
        Some(dilation)
    })
}

/// `layers` dilations of a generator that ends where numbers do.
fn up_to(layers: usize, next: impl FnMut() -> Option<usize>) -> Result<Vec<usize>, String> {
    if layers > MOST_LAYERS {
        return Err(format!("{layers} layers, expected at most {MOST_LAYERS}"));
    }
    let list: Vec<usize> = std::iter::from_fn(next).take(layers).collect();
    if list.len() < layers { Err("dilations beyond all bounds".into()) } else { Ok(list) }
}

fn repeat(pattern: &[usize], cycles: usize) -> Result<Vec<usize>, String> {
    let layers = pattern.len().saturating_mul(cycles);
    if layers > MOST_LAYERS {
        return Err(format!("{layers} layers, expected at most {MOST_LAYERS}"));
    }
    Ok(pattern.repeat(cycles))
}

/// Rounded half to even, as Python's `round` does.
fn rounded(value: f64) -> Result<usize, String> {
    const MOST: f64 = 1e15;
    if value > MOST {
        return Err("dilations beyond all bounds".into());
    }
    Ok(value.round_ties_even() as usize)
}

/// A list or a table, told apart by their form, so that a mistake inside names its key.
impl<'de> Deserialize<'de> for Dilations {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = Dilations;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of dilations or a schedule")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Dilations, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(list)).map(Dilations::List)
            }

            fn visit_map<A: MapAccess<'de>>(self, table: A) -> Result<Dilations, A::Error> {
                Schedule::deserialize(MapAccessDeserializer::new(table)).map(Dilations::Schedule)
            }
        }
        deserializer.deserialize_any(Either)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(text: &str) -> Result<Vec<usize>, String> {
        #[derive(Deserialize)]
        struct Holder {
            dilations: Dilations,
        }
        toml::from_str::<Holder>(&format!("dilations = {text}"))
            .map_err(|error| error.message().to_string())?
            .dilations
            .list()
    }

    #[test]
    fn every_schedule_gives_the_rates_of_its_definition() {
        // dilation.md 5
        for (text, expected) in [
            ("[3, 1, 2]", &[3, 1, 2][..]),
            ("{ schedule = 'exponential', base = 2, layers = 4 }", &[1, 2, 4, 8]),
            ("{ schedule = 'exponential', base = 3, layers = 4 }", &[1, 3, 9, 27]),
            ("{ schedule = 'exponential', base = 2, layers = 3, first = 2 }", &[2, 4, 8]),
            ("{ schedule = 'exponential', base = 2, cap = 4 }", &[1, 2, 4]),
            ("{ schedule = 'exponential', base = 2, cap = 5 }", &[1, 2, 4]),
            ("{ schedule = 'exponential', base = 2, cap = 4, cycles = 2 }", &[1, 2, 4, 1, 2, 4]),
            ("{ schedule = 'exponential', base = 2, cap = 4, layers = 7 }", &[1, 2, 4, 1, 2, 4, 1]),
            ("{ schedule = 'hdc', pattern = [1, 2, 5], cycles = 2 }", &[1, 2, 5, 1, 2, 5]),
            (
                "{ schedule = 'growth', factor = 1.5, layers = 11 }",
                &[1, 2, 3, 4, 6, 9, 14, 21, 32, 48, 72],
            ),
            ("{ schedule = 'fibonacci', layers = 5 }", &[1, 2, 3, 5, 8]),
            (
                "{ schedule = 'periodic', period = 10.5, multiples = [2, 4, 8, 14], base = [1, 3, 9] }",
                &[1, 3, 9, 21, 42, 84, 147],
            ),
            // 10.5 rounds to the even 10
            (
                "{ schedule = 'periodic', period = 10.5, multiples = [1, 2, 4, 8, 14], base = [1, 2, 5] }",
                &[1, 2, 5, 10, 21, 42, 84, 147],
            ),
        ] {
            assert_eq!(list(text).as_deref(), Ok(expected), "{text}");
        }
        let growth = list("{ schedule = 'growth', factor = 1.5, layers = 11 }").unwrap();
        assert_eq!(growth.iter().sum::<usize>(), 212);
    }

    #[test]
    fn a_bad_schedule_says_what_is_wrong() {
        for (text, expected) in [
            ("{ schedule = 'exponential', base = 2 }", "needs `layers` or `cap`"),
            ("{ schedule = 'exponential', base = 1, layers = 3 }", "base 1"),
            ("{ schedule = 'exponential', layers = 3 }", "missing field `base`"),
            ("{ schedule = 'exponential', base = 2, layers = 3, speed = 1 }", "unknown field"),
            ("{ schedule = 'exponential', base = 2, cap = 0 }", "cap is below"),
            ("{ schedule = 'exponential', base = 2, layers = 90 }", "beyond all bounds"),
            ("{ schedule = 'exponential', base = 2, layers = 10001 }", "expected at most 10000"),
            ("{ schedule = 'hdc', pattern = [1, 2], cycles = 9999999 }", "expected at most 10000"),
            ("{ schedule = 'hdc' }", "missing field `pattern`"),
            ("{ schedule = 'growth', factor = 1.0, layers = 2 }", "factor 1"),
            ("{ schedule = 'growth', factor = nan, layers = 2 }", "factor NaN"),
            ("{ schedule = 'growth', factor = 2.5, layers = 99 }", "beyond all bounds"),
            ("{ schedule = 'fibonacci', layers = 99 }", "beyond all bounds"),
            ("{ schedule = 'periodic', period = 0, multiples = [1], base = [1] }", "period 0"),
            (
                "{ schedule = 'periodic', period = 1e14, multiples = [99], base = [1] }",
                "beyond all bounds",
            ),
            ("{ schedule = 'linear' }", "unknown variant `linear`"),
            ("3", "expected a list of dilations or a schedule"),
            ("[1, 'two']", "invalid type"),
        ] {
            let error = list(text).unwrap_err();
            assert!(error.contains(expected), "{text}: {error:?} should say {expected:?}");
        }
    }
}
