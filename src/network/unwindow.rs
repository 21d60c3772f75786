//! The network of a window without its window, for stretches of any length.

use super::graph::{Graph, GraphBuilder, NodeId};
use super::op::{Op, Padding};
use super::ranges::{Reach, Span};
use crate::error::{Error, Result};
use std::ops::Range;

/// A network for stretches of any length that gives what another gives in its windows: the outputs
/// at each position, and the columns that its scalars are means of.
#[derive(Debug, Clone, PartialEq)]
pub struct Stretched {
    /// Its channels are the outputs and, behind them, the columns.
    pub graph: Graph,
    /// Where the window has outputs, in positions of the window.
    pub outputs: Span,
    /// The scalars that are means of columns; all others are computed from these.
    pub means: Vec<MeanOf>,
}

/// A scalar that is the mean of columns over some positions of the window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MeanOf {
    /// The scalar, a node of the network with the window.
    pub node: NodeId,
    /// Its columns among the channels of the network for stretches.
    pub channels: Range<usize>,
    /// The positions, in those of the window.
    pub span: Span,
}

/// A walk over a network that leaves its window behind.
struct Walk {
    g: GraphBuilder,
    /// For each node of the old network what stands for it in the new one; the input for scalars.
    places: Vec<NodeId>,
    /// For each node that is the mean of a value at positions: that value in the new network, and
    /// the positions.
    means: Vec<Option<(NodeId, Span)>>,
}

impl Graph {
    /// The same outputs at each position without a window: nothing is padded, nothing is cut off,
    /// nothing is pooled. Where the window leaves out as many positions on each side as the
    /// network reaches, its outputs are those of the window.
    ///
    /// # Errors
    /// A network that reads control tracks.
    pub fn without_window(&self) -> Result<Self> {
        let Walk { g, places, .. } = self.unwindowed(&[])?;
        g.finish_used_to(places[self.output()])
    }

    /// The network for stretches of any length that gives the outputs of a window over `window`,
    /// and the columns of its scalars. A map of the channels of a mean is the mean of the mapped
    /// channels, so it is moved before the mean: of a log count one column is left.
    ///
    /// # Errors
    /// Outputs or means that see the ends of the window, control tracks, and scalars that read
    /// something else than means (usage).
    pub fn stretched(&self, window: Span) -> Result<Stretched> {
        let domains = self.domains(window);
        let Walk { mut g, places, means } = self.unwindowed(&domains)?;
        let mut parts = vec![places[self.output()]];
        let mut channels = self.output_channels();
        let mut found = Vec::new();
        for (node, mean) in means.iter().enumerate() {
            let Some(&(column, span)) = mean.as_ref().filter(|_| self.is_column(node, &means))
            else {
                continue;
            };
            parts.push(column);
            let end = channels + self.channels(node);
            found.push(MeanOf { node, channels: channels..end, span });
            channels = end;
        }
        let graph = match found.is_empty() {
            true => g.finish_used_to(parts[0])?,
            false => {
                g.add(self.unused_name(), Op::Concat, &parts)?;
                g.finish_used()?
            }
        };
        let outputs = domains[self.output()];
        let spans = std::iter::once(outputs).chain(found.iter().map(|mean| mean.span));
        let ends = match found.is_empty() {
            true => vec![graph.output()],
            false => graph.nodes()[graph.output()].inputs.clone(),
        };
        for (index, (end, span)) in ends.into_iter().zip(spans).enumerate() {
            let what = if index == 0 { "outputs" } else { "counts" };
            refuse_ends(what, graph.reach_of(end), span, window)?;
        }
        Ok(Stretched { graph, outputs, means: found })
    }

    /// The nodes without padding and croppings, up to the means. `domains` are those of the window;
    /// without them scalars are left out, whatever they are.
    fn unwindowed(&self, domains: &[Span]) -> Result<Walk> {
        if self.control().is_some() {
            return Err(Error::usage("a network that reads control tracks needs its window"));
        }
        let mut g = GraphBuilder::new();
        let mut places: Vec<NodeId> = vec![g.input()];
        let mut means = vec![None; self.nodes().len()];
        for (id, node) in self.nodes().iter().enumerate().skip(1) {
            let inputs: Vec<NodeId> = node.inputs.iter().map(|&input| places[input]).collect();
            let add = |g: &mut GraphBuilder, inputs: &[NodeId]| {
                g.add(node.name.as_str(), node.op.clone().padded(Padding::None), inputs)
            };
            let place = match &node.op {
                _ if self.is_scalar(id) => {
                    means[id] = match (&node.op, domains.get(node.inputs[0])) {
                        (_, None) => None,
                        (Op::Mean, Some(&span)) => Some((inputs[0], span)),
                        (Op::LogTotal { .. }, _) => {
                            return Err(Error::usage("a number of the window is no mean")
                                .found(format!("network node {:?}, a sum", node.name))
                                .remedy("run it in its windows"));
                        }
                        (Op::Conv { .. }, _) => match means[node.inputs[0]] {
                            Some((column, span)) => Some((add(&mut g, &[column])?, span)),
                            None => None,
                        },
                        _ => None,
                    };
                    g.input()
                }
                Op::Crop { .. } => inputs[0],
                _ => add(&mut g, &inputs)?,
            };
            places.push(place);
        }
        Ok(Walk { g, places, means })
    }

    /// Whether a mean is read as such: by a node that is none, or by nobody.
    fn is_column(&self, mean: NodeId, means: &[Option<(NodeId, Span)>]) -> bool {
        let mut readers = (0..means.len()).filter(|&id| self.nodes()[id].inputs.contains(&mean));
        self.scalar_head() == Some(mean) || readers.any(|reader| means[reader].is_none())
    }

    /// A name that no node has.
    fn unused_name(&self) -> String {
        let mut name = String::from("columns");
        while self.nodes().iter().any(|node| node.name == name) {
            name.push('_');
        }
        name
    }
}

/// Refuses a value over `span` whose positions see the ends of the window.
fn refuse_ends(what: &str, reach: Reach, span: Span, window: Span) -> Result<()> {
    let seen = span.widen(reach.left, reach.right);
    if seen.intersect(window) == seen {
        return Ok(());
    }
    let [left, right] = [span.start - window.start, window.end - span.end].map(i64::unsigned_abs);
    Err(Error::usage(format!("the {what} of the model see the ends of its window"))
        .found(format!("a reach of {} and {} bases", reach.left, reach.right))
        .expected(format!("at most {left} and {right}"))
        .remedy("run it in its windows"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::Reach;

    #[test]
    fn padding_croppings_and_scalars_go_and_the_profile_stays() {
        let mut g = GraphBuilder::new();
        g.pad_with(Padding::Zero);
        let x = g.add("x", Op::centred(3, 5, 2), &[0]).unwrap();
        let inner = g.add("inner", Op::Crop { left: 4, right: 4 }, &[x]).unwrap();
        let mean = g.add("mean", Op::Mean, &[inner]).unwrap();
        g.add("counts", Op::pointwise(1), &[mean]).unwrap();
        let y = g.add("y", Op::centred(1, 3, 1), &[inner]).unwrap();
        g.add("output", Op::Crop { left: 1, right: 1 }, &[y]).unwrap();
        let graph = g.finish().unwrap().without_window().unwrap();
        let names: Vec<_> = graph.nodes().iter().map(|node| node.name.as_str()).collect();
        assert_eq!(names, ["input", "x", "y"]);
        assert!(!graph.needs_window());
        assert_eq!(graph.reach(), Reach { left: 5, right: 5 });
    }

    #[test]
    fn the_columns_of_means_lie_behind_the_outputs_and_maps_of_them_come_first() {
        let mut g = GraphBuilder::new();
        let x = g.add("x", Op::centred(3, 5, 2), &[0]).unwrap();
        let mean = g.add("mean", Op::Mean, &[x]).unwrap();
        let counts = g.add("counts", Op::pointwise(1), &[mean]).unwrap();
        let inner = g.add("inner", Op::Crop { left: 2, right: 1 }, &[x]).unwrap();
        let other = g.add("other", Op::Mean, &[inner]).unwrap();
        let other = g.add("other.counts", Op::pointwise(1), &[other]).unwrap();
        g.add("both", Op::LogSumExp, &[counts, other]).unwrap();
        g.add("y", Op::centred(2, 3, 1), &[x]).unwrap();
        let graph = g.finish().unwrap();
        let found = graph.stretched(Span::new(0, 20)).unwrap();
        let names: Vec<_> = found.graph.nodes().iter().map(|node| node.name.as_str()).collect();
        assert_eq!(names, ["input", "x", "counts", "other.counts", "y", "columns"]);
        assert!(!found.graph.needs_window());
        // x lies on 4 to 16 of 20 positions
        assert_eq!(found.outputs, Span::new(5, 15));
        let means: Vec<_> =
            found.means.iter().map(|mean| (mean.node, mean.channels.clone(), mean.span)).collect();
        assert_eq!(means, [(counts, 2..3, Span::new(4, 16)), (other, 3..4, Span::new(6, 15))]);
    }

    #[test]
    fn what_sees_the_ends_of_the_window_or_is_no_mean_is_refused() {
        let refusal = |padding: Padding, crop: usize, op: Op| {
            let mut g = GraphBuilder::new();
            g.pad_with(padding);
            let x = g.add("x", Op::centred(3, 5, 1), &[0]).unwrap();
            g.add("number", op, &[x]).unwrap();
            g.add("output", Op::Crop { left: crop, right: crop }, &[x]).unwrap();
            let found = g.finish().unwrap().stretched(Span::new(0, 20));
            found.map_or_else(|error| error.to_string(), |_| "nothing".into())
        };
        assert_eq!(refusal(Padding::None, 0, Op::Mean), "nothing");
        for (padding, crop, op, says) in [
            (Padding::Zero, 1, Op::Mean, "the outputs of the model see the ends"),
            (Padding::Zero, 2, Op::Mean, "the counts of the model see the ends"),
            (Padding::None, 0, Op::LogTotal { offset: 1.0 }, "no mean"),
        ] {
            let said = refusal(padding, crop, op);
            assert!(said.contains(says), "{said:?} should say {says:?}");
        }
    }
}
