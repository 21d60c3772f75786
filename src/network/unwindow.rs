//! The network of a window without its window, for stretches of any length.

use super::graph::{Graph, GraphBuilder, NodeId};
use super::op::{Op, Padding};
use crate::error::{Error, Result};

impl Graph {
    /// The same outputs at each position without a window: nothing is padded, nothing is cut off,
    /// nothing is pooled. Where the window leaves out as many positions on each side as the
    /// network reaches, its outputs are those of the window.
    ///
    /// # Errors
    /// A network that reads control tracks.
    pub fn without_window(&self) -> Result<Self> {
        if self.control().is_some() {
            return Err(Error::usage("a network that reads control tracks needs its window"));
        }
        let mut g = GraphBuilder::new();
        let mut places: Vec<NodeId> = vec![g.input()];
        for (id, node) in self.nodes().iter().enumerate().skip(1) {
            let inputs: Vec<NodeId> = node.inputs.iter().map(|&input| places[input]).collect();
            let place = match &node.op {
                _ if self.is_scalar(id) => g.input(),
                Op::Crop { .. } => inputs[0],
                op => g.add(node.name.as_str(), op.clone().padded(Padding::None), &inputs)?,
            };
            places.push(place);
        }
        g.finish_used_to(places[self.output()])
    }
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
}
