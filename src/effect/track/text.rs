//! Track effects as text: INFO values and header lines of VCF, columns of tables
//! (track-effects.md B3).

use super::column::{Column, Values};
use super::score::{TrackEffect, TrackScorer};
use crate::effect::outcome::{AlleleOutcome, GeneScore, Outcome, Scores, VariantOutcome};
use crate::effect::text::{Print, SKIP_KEY, WARNING_KEY, skips_and_warnings};

/// Before the names of columns in INFO.
const PREFIX: &str = "atrous_";
/// Where a table has a number that is not defined.
const UNDEFINED: &str = "NA";

/// The numbers of one task: whether each is a position, and what it is, where it is defined.
type Numbers = Vec<(bool, Option<f64>)>;

/// Turns track effects into text.
#[derive(Debug, Clone)]
pub struct TrackText {
    columns: Vec<Column>,
    /// Names of the columns of p-values.
    p: Vec<String>,
    keys: Vec<String>,
    tasks: Vec<String>,
    decimals: Option<usize>,
    /// What decides the scores, for the header.
    scoring: String,
}

impl TrackText {
    /// For what a scorer gives.
    pub fn new(scorer: &TrackScorer<'_>) -> Self {
        let columns = scorer.columns();
        let null = scorer.null();
        let p: Vec<String> =
            null.map_or(Vec::new(), |null| null.tested().iter().map(|t| t.name()).collect());
        let names = columns.iter().map(|column| column.name().to_owned()).chain(p.clone());
        let settings = scorer.settings();
        let tasks: Vec<String> = scorer.reading().tasks().map(str::to_owned).collect();
        let combine = match scorer.reading().members() {
            1 => "one member".to_owned(),
            count => format!("{count} members by {}", settings.combine),
        };
        let read = match scorer.reading().is_windowed() {
            true => format!(
                "window={};indel={};strands={}",
                settings.window, settings.indel, settings.strands
            ),
            false => format!("distance={};strand={}", settings.distance, settings.strand.symbol()),
        };
        let null = null.map_or_else(|| "none".to_owned(), |null| null.size().to_string());
        Self {
            keys: names.map(|name| format!("{PREFIX}{name}")).collect(),
            columns,
            p,
            scoring: format!(
                "scheme=tracks;tasks={};{read};members={combine};null={null}",
                tasks.join(",")
            ),
            tasks,
            decimals: settings.decimals.map(usize::from),
        }
    }

    /// The header lines of all keys, and one that names what decides the scores: `null` is the size
    /// of the pool of shuffled sequences.
    pub fn header(&self, models: &[String]) -> Vec<String> {
        let tasks = self.tasks.join(", ");
        let (number, per) = match self.tasks.len() {
            1 => ("A", String::new()),
            _ => (".", format!("; per ALT the tasks {tasks}")),
        };
        let info = |key: &String, what: &str| {
            format!("##INFO=<ID={key},Number={number},Type=Float,Description=\"{what}{per}\">")
        };
        let own = self.columns.iter().map(|column| column.explain().to_owned());
        let p = self.p.iter().map(|name| {
            let score = name.trim_start_matches("p_");
            format!("p-value of {score} against shuffled sequences, pooled over variants")
        });
        let lines = self.keys.iter().zip(own.chain(p)).map(|(key, what)| info(key, &what));
        let mut lines: Vec<String> = lines.collect();
        for (key, what) in [
            (SKIP_KEY, "Why an ALT has no score, one reason per ALT; . if it has"),
            (
                WARNING_KEY,
                "What to know of the scores, one entry per ALT joined by &; . if nothing",
            ),
        ] {
            lines.push(format!("##INFO=<ID={key},Number=.,Type=String,Description=\"{what}\">"));
        }
        lines.push(format!("##atrousScoring={};model={}", self.scoring, models.join(",")));
        lines
    }

    /// The numbers of one task: columns, then p-values.
    fn numbers(effect: &TrackEffect, columns: &[Column]) -> Numbers {
        let values: &Values = &effect.values;
        let own = columns.iter().map(|&c| (c == Column::MaxAbsPos, values.get(c)));
        own.chain(effect.p.iter().map(|&p| (false, p))).collect()
    }

    /// Every number of an ALT, per task; none for an ALT without scores.
    fn of_allele(&self, allele: &AlleleOutcome<'_>) -> Option<Vec<Numbers>> {
        let Outcome::Scored(tasks) = &allele.outcome else { return None };
        let numbers = |task: &GeneScore<'_>| match task.scores.first() {
            Some(Scores::Effect(effect)) => Some(Self::numbers(effect, &self.columns)),
            _ => None,
        };
        Some(tasks.iter().filter_map(numbers).collect())
    }

    fn number(&self, position: bool, value: f64) -> String {
        match self.decimals {
            Some(decimals) if !position => {
                let text = format!("{value:.decimals$}");
                match text.strip_prefix('-') {
                    Some(size) if !size.contains(|c| c > '0') => size.to_owned(),
                    _ => text,
                }
            }
            _ => exact(value),
        }
    }
}

/// A number as precisely as networks compute. Zero has no sign.
fn exact(value: f64) -> String {
    let value = value as f32;
    if value == 0.0 { "0".into() } else { value.to_string() }
}

impl Print for TrackText {
    fn keys(&self) -> Vec<&str> {
        self.keys.iter().map(String::as_str).chain([SKIP_KEY, WARNING_KEY]).collect()
    }

    fn fields(&self, outcome: &VariantOutcome<'_>) -> Vec<(&str, String)> {
        let alleles: Vec<_> = outcome.alleles.iter().map(|a| self.of_allele(a)).collect();
        let mut fields = Vec::new();
        if alleles.iter().any(Option::is_some) {
            for (index, key) in self.keys.iter().enumerate() {
                let of_allele = |allele: &Option<Vec<Numbers>>| match allele {
                    None => vec![".".to_owned(); self.tasks.len()],
                    Some(tasks) => {
                        let text = |task: &Numbers| match task[index] {
                            (position, Some(value)) => self.number(position, value),
                            _ => ".".to_owned(),
                        };
                        tasks.iter().map(text).collect()
                    }
                };
                let values: Vec<String> = alleles.iter().flat_map(of_allele).collect();
                fields.push((key.as_str(), values.join(",")));
            }
        }
        fields.extend(skips_and_warnings(outcome));
        fields
    }

    fn places(&self) -> Vec<&'static str> {
        vec!["track"]
    }

    fn columns(&self) -> Vec<String> {
        let own = self.columns.iter().map(|column| column.name().to_owned());
        own.chain(self.p.iter().cloned()).collect()
    }

    fn place(&self, score: &GeneScore<'_>) -> Vec<String> {
        let task = match score.scores.first() {
            Some(Scores::Effect(effect)) => effect.task.clone(),
            _ => ".".to_owned(),
        };
        vec![task]
    }

    fn cells(&self, score: &GeneScore<'_>) -> Vec<String> {
        match score.scores.first() {
            Some(Scores::Effect(effect)) => {
                let numbers = Self::numbers(effect, &self.columns).into_iter();
                numbers.map(|(_, value)| value.map_or(UNDEFINED.into(), exact)).collect()
            }
            _ => Vec::new(),
        }
    }
}
