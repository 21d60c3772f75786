//! What a run has seen so far: a row per validation, as a table and as a picture.

use crate::error::Result;
use crate::job::OutputFile;
use crate::picture::panel::{self, Panel, Series};
use serde::{Deserialize, Serialize};
use std::io::Write;
use std::path::Path;

/// A validation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// Steps done.
    pub step: u64,
    /// Learning rate of the last of them.
    pub rate: f64,
    /// Mean loss of the steps since the row before.
    pub train_loss: f64,
    /// Mean length of their gradients, before clipping.
    pub gradient: f64,
    /// Loss on the validation split.
    pub valid_loss: f64,
    /// Whether it is the lowest so far.
    pub best: bool,
    /// Metrics on the validation split.
    pub metrics: Vec<(String, f64)>,
    /// CPU seconds since the start of the run, those of killed tries included.
    pub cpu_seconds: f64,
}

/// Writes the table: tab-separated, a header, a row per validation.
///
/// # Errors
/// Any failure to write.
pub fn write_table(rows: &[Row], path: &Path) -> Result<()> {
    let mut file = OutputFile::create(path)?;
    let mut text = String::from("step\trate\ttrain_loss\tgradient\tvalid_loss\tbest\tcpu_seconds");
    for (name, _) in rows.first().iter().flat_map(|row| &row.metrics) {
        text += &format!("\tvalid_{name}");
    }
    text.push('\n');
    for row in rows {
        text += &format!(
            "{}\t{:.3e}\t{:.6}\t{:.4}\t{:.6}\t{}\t{:.1}",
            row.step,
            row.rate,
            row.train_loss,
            row.gradient,
            row.valid_loss,
            u8::from(row.best),
            row.cpu_seconds
        );
        for (_, value) in &row.metrics {
            text += &format!("\t{value:.4}");
        }
        text.push('\n');
    }
    file.write_all(text.as_bytes()).map_err(|e| file.error(e))?;
    file.commit()
}

/// Draws losses and metrics over the steps.
///
/// # Errors
/// Any failure to write.
pub fn draw(rows: &[Row], name: &str, path: &Path) -> Result<()> {
    let points = |value: &dyn Fn(&Row) -> f64| -> Vec<(f64, f64)> {
        rows.iter().map(|row| (row.step as f64, value(row))).collect()
    };
    let losses = vec![
        Series::line("training", points(&|row| row.train_loss)),
        Series::line("validation", points(&|row| row.valid_loss)),
    ];
    let names: Vec<String> = rows
        .first()
        .map(|row| row.metrics.iter().map(|(name, _)| name.clone()).collect())
        .unwrap_or_default();
    let metrics = names.iter().enumerate().map(|(index, name)| {
        let value = move |row: &Row| row.metrics.get(index).map_or(f64::NAN, |(_, value)| *value);
        Series::line(name, points(&value))
    });
    let panels = [
        Panel { title: "loss".into(), across: "step".into(), up: "loss".into(), series: losses },
        Panel {
            title: "on the validation split".into(),
            across: "step".into(),
            up: "metric".into(),
            series: metrics.collect(),
        },
    ];
    let mut file = OutputFile::create(path)?;
    let picture = panel::draw(name, &panels);
    file.write_all(picture.as_bytes()).map_err(|e| file.error(e))?;
    file.commit()
}
