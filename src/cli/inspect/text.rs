//! The report as text: one subject with its layers, or several side by side.

use super::super::args::{count, grouped};
use super::report::{EffectiveReport, HdcReport, ModelReport, NetworkReport, Report, Spectrum};
use atrous::engine::cpu::Planned;
use atrous::network::Coverage;
use std::fmt::{self, Write as _};

/// A fact: its name and its lines.
type Row = (&'static str, Vec<String>);

/// Width of the names of facts.
const NAMES: usize = 17;
/// Rates of a group that are spelled out before the rest is left out.
const MOST_RATES: usize = 6;
/// Runs of unseen bases that are spelled out.
const MOST_RUNS: usize = 6;

/// The text of one report or of several, side by side.
pub fn of(reports: &[Report], all: bool) -> Result<String, fmt::Error> {
    let mut text = String::new();
    if let [report] = reports {
        report.header(&mut text)?;
        for (number, network) in report.networks.iter().enumerate() {
            if report.networks.len() > 1 {
                writeln!(text, "\nnetwork {number}")?;
            }
            let rows = network.rows(report.effective.as_ref().filter(|_| number == 0));
            side_by_side(&mut text, &[rows])?;
            network.tables(&mut text)?;
            network.layer_table(&mut text, all)?;
        }
        return Ok(text);
    }
    let mut columns = Vec::new();
    for report in reports {
        for (number, network) in report.networks.iter().enumerate() {
            let mut rows = network.rows(report.effective.as_ref().filter(|_| number == 0));
            rows.insert(0, ("", vec![report.name.clone(), String::new()]));
            columns.push(rows);
        }
    }
    side_by_side(&mut text, &columns)?;
    for report in reports {
        for network in &report.networks {
            let asked = network.spectrum.is_some() || network.paths_by_offset.is_some();
            if all || asked || network.plan.is_some() {
                writeln!(text, "\n{}", report.name)?;
                network.tables(&mut text)?;
                if all {
                    network.layer_table(&mut text, all)?;
                }
            }
        }
    }
    Ok(text)
}

/// Facts of the same name beside each other; a subject that lacks one has an empty place.
fn side_by_side(text: &mut String, columns: &[Vec<Row>]) -> fmt::Result {
    let mut names: Vec<&str> = Vec::new();
    for (name, _) in columns.iter().flatten() {
        if !names.contains(name) {
            names.push(name);
        }
    }
    let length = |line: &String| line.chars().count();
    let width = |rows: &Vec<Row>| {
        rows.iter().flat_map(|(_, lines)| lines).map(length).max().unwrap_or(0) + 3
    };
    let widths: Vec<usize> = columns.iter().map(width).collect();
    for name in names {
        let lines = |rows: &'_ Vec<Row>| -> Vec<String> {
            let found = rows.iter().find(|(other, _)| *other == name);
            found.map_or(vec![], |(_, lines)| lines.clone())
        };
        let cells: Vec<Vec<String>> = columns.iter().map(lines).collect();
        for line in 0..cells.iter().map(Vec::len).max().unwrap_or(0) {
            let mut row = format!("{:NAMES$}", if line == 0 { name } else { "" });
            for (cell, &width) in cells.iter().zip(&widths) {
                write!(row, "{:width$}", cell.get(line).map_or("", String::as_str))?;
            }
            writeln!(text, "{}", row.trim_end())?;
        }
    }
    Ok(())
}

impl Report {
    fn header(&self, text: &mut String) -> fmt::Result {
        writeln!(text, "{}", self.name)?;
        if let Some(description) = &self.description {
            writeln!(text, "{description}")?;
        }
        self.model.as_ref().map_or(Ok(()), |model| model.text(text))
    }
}

impl ModelReport {
    fn text(&self, text: &mut String) -> fmt::Result {
        let provenance = &self.provenance;
        writeln!(text, "family           {}", provenance.family)?;
        writeln!(text, "licence          {}", provenance.licence)?;
        writeln!(text, "sha256           {}", self.sha256)?;
        writeln!(text, "members          {} ({})", self.members.len(), self.members.join(", "))?;
        if let Some(window) = &self.window {
            let (input, output) = (window.input as u64, window.output as u64);
            writeln!(
                text,
                "window           {} bases, {} outputs",
                grouped(input),
                grouped(output)
            )?;
            for scalar in &self.scalars {
                writeln!(text, "per window       {} ({})", scalar.name, scalar.unit)?;
            }
        }
        for track in &self.tracks {
            let default = if track.default { "" } else { ", only with --track" };
            let of = match track.sources.len() {
                1 => String::new(),
                n => format!(", mean of {n}"),
            };
            writeln!(text, "track            {} ({}{of}{default})", track.name, track.unit)?;
        }
        for source in &provenance.sources {
            writeln!(text, "source           {} {}", source.sha256, source.name)?;
        }
        if !provenance.unread.is_empty() {
            writeln!(text, "unread tensors   {}", provenance.unread.len())?;
        }
        Ok(())
    }
}

impl NetworkReport {
    fn rows(&self, effective: Option<&EffectiveReport>) -> Vec<Row> {
        let facts = &self.facts;
        let mut rows: Vec<Row> = vec![
            (
                "receptive field",
                vec![format!(
                    "{} bases ({} left, {} right)",
                    grouped(facts.receptive_field),
                    grouped(facts.reach.left),
                    grouped(facts.reach.right)
                )],
            ),
            ("blind spots", self.coverage.as_ref().map_or(vec![], blind_spots)),
            ("hole test", vec![self.hole_test()]),
            ("HDC condition", self.hdc.iter().map(HdcReport::line).collect()),
            ("paths", self.coverage.as_ref().map_or(vec![], paths)),
            ("parameters", vec![grouped(facts.parameters)]),
            ("work", vec![format!("{} FLOP per base", grouped(facts.flops_per_base))]),
            (
                "memory",
                vec![
                    format!("{} bytes per base and thread to run", grouped(self.bytes_per_base)),
                    format!("{} bytes per base to train", grouped(self.training_bytes_per_base)),
                ],
            ),
            (
                "shortest contig",
                vec![format!("{} bases without padding", grouped(self.shortest_contig))],
            ),
        ];
        let tile = |tile: &super::report::TileReport| {
            format!(
                "{:>9} bases: {:.3} x that work, {:.1} MB per thread",
                grouped(tile.bases),
                tile.work_ratio,
                tile.memory_bytes as f64 / 1e6
            )
        };
        rows.push(("tiles", self.tiles.iter().map(tile).collect()));
        if let Some(effective) = effective {
            rows.push(("effective", effective.lines()));
        }
        rows
    }

    fn hole_test(&self) -> String {
        match self.hole_test.gap {
            None => format!("passes: {} layers, no rate too large", self.hole_test.layers),
            Some(gap) => format!(
                "fails: rate {} is more than the {} that smaller rates cover",
                grouped(gap.layer.dilation as u64),
                count(gap.width, "base")
            ),
        }
    }

    /// What was asked for and does not fit beside another network.
    fn tables(&self, text: &mut String) -> fmt::Result {
        if let (Some(counts), Some(coverage)) = (&self.paths_by_offset, &self.coverage) {
            writeln!(text, "\n{:>9}  paths", "offset")?;
            for (offset, count) in (coverage.first..).zip(counts) {
                writeln!(text, "{offset:>9}  {}", amount(*count))?;
            }
        }
        if let Some(plan) = &self.plan {
            plan_table(text, plan)?;
        }
        self.spectrum.as_ref().map_or(Ok(()), |spectrum| spectrum.table(text))
    }

    fn layer_table(&self, text: &mut String, all: bool) -> fmt::Result {
        let names = self.facts.layers.iter().map(|layer| layer.name.len()).max().unwrap_or(0);
        writeln!(
            text,
            "\n{:names$}  {:11} {:>8} {:>6} {:>8} {:>12} {:>10} {:>11}",
            "layer",
            "operation",
            "channels",
            "kernel",
            "dilation",
            "sees",
            "parameters",
            "FLOP/base"
        )?;
        for layer in self.facts.layers.iter().filter(|layer| all || layer.parameters > 0) {
            writeln!(
                text,
                "{:names$}  {:11} {:>8} {:>6} {:>8} {:>12} {:>10} {:>11}",
                layer.name,
                layer.operation,
                layer.channels,
                layer.kernel,
                layer.dilation,
                grouped(layer.reach.receptive_field()),
                grouped(layer.parameters),
                grouped(layer.flops_per_base)
            )?;
        }
        Ok(())
    }
}

/// Which kernel computes each convolution, and what that costs.
fn plan_table(text: &mut String, plan: &[Planned]) -> fmt::Result {
    let names = plan.iter().map(|conv| conv.name.len()).max().unwrap_or(0).max("convolution".len());
    writeln!(
        text,
        "\n{:names$}  {:>6} {:>8} {:>9}  {:12} {:>9} {:>15} {:>15}",
        "convolution",
        "kernel",
        "dilation",
        "channels",
        "computed by",
        "block",
        "FLOP as written",
        "FLOP computed"
    )?;
    for conv in plan {
        let points = conv.points.map_or(String::new(), |points| format!(" {points}"));
        writeln!(
            text,
            "{:names$}  {:>6} {:>8} {:>9}  {:12} {:>9} {:>15} {:>15}",
            conv.name,
            conv.taps,
            conv.dilation,
            format!("{} > {}", conv.inputs, conv.outputs),
            format!("{}{points}", conv.kernel),
            grouped(conv.block as u64),
            grouped(conv.direct_flops),
            grouped(conv.flops)
        )?;
    }
    let sum = |flops: fn(&Planned) -> u64| grouped(plan.iter().map(flops).sum());
    let (written, computed) = (sum(|conv| conv.direct_flops), sum(|conv| conv.flops));
    writeln!(text, "{:names$}  {:48} {written:>15} {computed:>15}", "all", "")
}

fn blind_spots(coverage: &Coverage) -> Vec<String> {
    if coverage.unseen == 0 {
        return vec![format!("none: all {} bases are seen", grouped(coverage.hull))];
    }
    let run = |&[from, to]: &[i64; 2]| match from == to {
        true => from.to_string(),
        false => format!("{from}..{to}"),
    };
    // the side of the output where the holes begin
    let first = coverage.blind_runs.iter().position(|[_, to]| *to > 0).unwrap_or(0);
    let runs: Vec<String> = coverage.blind_runs[first..].iter().take(MOST_RUNS).map(run).collect();
    let rest = if coverage.blind_runs.len() > MOST_RUNS { ", …" } else { "" };
    vec![
        format!("{} of {} bases are never seen", grouped(coverage.unseen), grouped(coverage.hull)),
        format!("offsets {}{rest}", runs.join(", ")),
    ]
}

fn paths(coverage: &Coverage) -> Vec<String> {
    vec![format!(
        "{} in all, {} to the centre, median {}",
        amount(coverage.paths),
        amount(coverage.paths_to_centre),
        amount(coverage.median_paths)
    )]
}

impl HdcReport {
    fn line(&self) -> String {
        let hdc = &self.condition;
        let shown: Vec<String> = hdc.rates.iter().take(MOST_RATES).map(usize::to_string).collect();
        let rest = if hdc.rates.len() > MOST_RATES { ", …" } else { "" };
        let verdict = if self.passes { "holds" } else { "fails" };
        let sign = if hdc.distance <= hdc.kernel as i64 { "<=" } else { ">" };
        let factor = match hdc.common_factor {
            1 => String::new(),
            factor => format!(", common factor {}", grouped(factor as u64)),
        };
        format!(
            "{verdict} for kernel {} ({}{rest}): M2 = {} {sign} {}{factor}",
            hdc.kernel,
            shown.join(", "),
            hdc.distance,
            hdc.kernel
        )
    }
}

impl Spectrum {
    fn table(&self, text: &mut String) -> fmt::Result {
        let title = match self.of {
            "weights" => "response of the weights, strongest pair of channels",
            _ => "response of equal taps, relative to a constant",
        };
        let names = self.layers.iter().map(|layer| layer.name.len()).max().unwrap_or(0).max(7);
        writeln!(text, "\n{title}, by period in bases")?;
        write!(text, "{:names$}  {:>6} {:>8}", "layer", "kernel", "dilation")?;
        for period in &self.periods {
            write!(text, " {period:>9}")?;
        }
        writeln!(text)?;
        for layer in &self.layers {
            write!(text, "{:names$}  {:>6} {:>8}", layer.name, layer.kernel, layer.dilation)?;
            values(text, &layer.response)?;
        }
        if let Some(network) = &self.network {
            write!(text, "{:names$}  {:>6} {:>8}", "network", "", "")?;
            values(text, network)?;
        }
        Ok(())
    }
}

fn values(text: &mut String, values: &[f64]) -> fmt::Result {
    for value in values {
        write!(text, " {value:>9.4}")?;
    }
    writeln!(text)
}

impl EffectiveReport {
    fn lines(&self) -> Vec<String> {
        let measured = &self.measured;
        let skipped = match measured.unknown {
            0 => String::new(),
            n => format!(", {n} places of unknown base left out"),
        };
        let mut lines = vec![format!("{} substitutions{skipped}", measured.substitutions)];
        let within = self.energy_within.iter();
        let within: Vec<String> = within
            .map(|(share, distance)| {
                format!("{:.0} % within {}", share * 100.0, grouped(*distance))
            })
            .collect();
        lines.push(format!("energy {}", within.join(", ")));
        let beyond = self.changes_beyond.iter();
        let beyond: Vec<String> = beyond
            .filter_map(|(size, distance)| {
                Some(format!("over {size:.0e} up to {}", grouped((*distance)?)))
            })
            .collect();
        lines.push(format!("changes {}", beyond.join(", ")));
        lines.push(format!("{:>15}  {:>9}  {:>9}", "rms at distance", "left", "right"));
        for row in &self.by_distance {
            let distance = match row.from == row.to {
                true => grouped(row.from),
                false => format!("{}-{}", grouped(row.from), grouped(row.to)),
            };
            let rms = |side: Option<f64>| side.map_or("-".into(), |rms| format!("{rms:.1e}"));
            lines.push(format!("{distance:>15}  {:>9}  {:>9}", rms(row.left), rms(row.right)));
        }
        lines
    }
}

/// A count, whole while it is short.
fn amount(count: f64) -> String {
    if count < 1e7 { grouped(count as u64) } else { format!("{count:.2e}") }
}
