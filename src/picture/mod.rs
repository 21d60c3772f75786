//! Pictures for talks and papers: what a network looks at, as SVG.
//!
//! One small writer ([`svg`]), one axis ([`axis`]), one function per figure, and a [`sheet`] that
//! puts figures of one or two networks under and beside each other. Colours are those of Okabe and
//! Ito, which people without red-green vision can tell apart; what colour says, shape or place says
//! too.

pub mod axis;
pub mod comb;
pub mod cone;
pub mod effect;
pub mod letters;
pub mod locus;
pub mod panel;
pub mod response;
pub mod sheet;
pub mod svg;
pub mod variant;

pub use letters::Letters;
pub use sheet::{Sheet, Subject};
pub use variant::VariantPlot;

/// What is there: paths, taps, curves.
const BLUE: &str = "#0072B2";
/// What is missing: bases that no path reaches.
const VERMILLION: &str = "#D55E00";
/// A second curve.
const ORANGE: &str = "#E69F00";
/// Axes and text.
const INK: &str = "#333333";
/// Grids, and what is only context.
const PALE: &str = "#D9D9D9";

/// Where a figure goes: its plotting area, in pixels. Axis labels hang outside it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Frame {
    /// Left edge.
    pub x: f64,
    /// Upper edge.
    pub y: f64,
    /// From left to right.
    pub width: f64,
    /// From top to bottom.
    pub height: f64,
}

impl Frame {
    fn right(self) -> f64 {
        self.x + self.width
    }

    fn bottom(self) -> f64 {
        self.y + self.height
    }
}
