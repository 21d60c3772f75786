//! Figures of one or more networks on one sheet: a column per network, a row per figure.

use super::axis::grouped;
use super::response::Band;
use super::svg::{Anchor, Svg};
use super::{Frame, comb, cone, effect, response};
use crate::engine::Effective;
use crate::network::blocks::Dilated;
use crate::network::{Coverage, Graph, spectrum};

/// What is drawn of one network.
#[derive(Debug)]
pub struct Subject<'a> {
    /// Its name, as a heading.
    pub name: String,
    /// Its layers that look, in a row, from input to output.
    pub layers: Vec<Dilated>,
    /// Which bases it sees.
    pub coverage: &'a Coverage,
    /// Responses of its layers, where they are wanted.
    pub bands: Vec<Band>,
    /// The network, where the response of all its layers together, as boxes, is wanted.
    pub boxes: Option<&'a Graph>,
    /// What was measured, where it was.
    pub effect: Option<&'a Effective>,
}

/// A sheet of figures.
#[derive(Debug)]
pub struct Sheet<'a> {
    /// The columns.
    pub subjects: Vec<Subject<'a>>,
}

/// Width of a plotting area, and what is kept free around it, in pixels.
const PLOT: f64 = 600.0;
const LEFT: f64 = 100.0;
const RIGHT: f64 = 30.0;
const HEADING: f64 = 62.0;
const TITLE: f64 = 34.0;
const BELOW: f64 = 58.0;

/// One row of figures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Figure {
    Cone,
    Comb,
    Response,
    Effect,
}

impl Sheet<'_> {
    /// The whole picture.
    pub fn draw(&self) -> String {
        let rows: Vec<(Figure, f64)> =
            [Figure::Cone, Figure::Comb, Figure::Response, Figure::Effect]
                .into_iter()
                .filter_map(|figure| Some((figure, self.height(figure)?)))
                .collect();
        let height = HEADING + rows.iter().map(|(_, height)| TITLE + height + BELOW).sum::<f64>();
        let column = LEFT + PLOT + RIGHT;
        let mut svg = Svg::new(column * self.subjects.len() as f64, height);
        for (number, subject) in self.subjects.iter().enumerate() {
            let x = number as f64 * column;
            svg.heading((x + 24.0, 30.0), 18.0, &subject.name);
            svg.text((x + 24.0, 50.0), 13.0, Anchor::Start, &subject.summary());
            let mut y = HEADING;
            for &(figure, height) in &rows {
                let frame = Frame { x: x + LEFT, y: y + TITLE, width: PLOT, height };
                if subject.height(figure).is_some() {
                    svg.heading((x + 24.0, y + 14.0), 13.0, figure.title());
                    subject.draw(&mut svg, figure, frame);
                }
                y += TITLE + height + BELOW;
            }
        }
        svg.finish()
    }

    /// What the tallest figure of a row needs; none if no network has it.
    fn height(&self, figure: Figure) -> Option<f64> {
        self.subjects.iter().filter_map(|subject| subject.height(figure)).reduce(f64::max)
    }
}

impl Figure {
    fn title(self) -> &'static str {
        match self {
            Figure::Cone => "What one output looks at, layer by layer",
            Figure::Comb => "Paths from one output to each base",
            Figure::Response => "Which periods each layer passes",
            Figure::Effect => "What a substitution changes, by distance",
        }
    }
}

impl Subject<'_> {
    fn summary(&self) -> String {
        let Coverage { hull, unseen, .. } = self.coverage;
        let blind = match *unseen {
            0 => "no blind spot".into(),
            n => format!("{} of them never seen", grouped(n)),
        };
        format!("receptive field {} bases, {blind}", grouped(*hull))
    }

    fn height(&self, figure: Figure) -> Option<f64> {
        match figure {
            Figure::Cone => {
                cone::fits(&self.layers, self.coverage).then(|| cone::height(&self.layers))
            }
            Figure::Comb => Some(150.0),
            Figure::Response => (!self.bands.is_empty())
                .then(|| response::height(self.bands.len(), self.boxes.is_some())),
            Figure::Effect => self.effect.map(|_| 220.0),
        }
    }

    fn draw(&self, svg: &mut Svg, figure: Figure, frame: Frame) {
        match figure {
            Figure::Cone => {
                let height = cone::height(&self.layers);
                cone::draw(svg, Frame { height, ..frame }, &self.layers, self.coverage);
            }
            Figure::Comb => comb::draw(svg, frame, self.coverage),
            Figure::Response => {
                let longest = self.coverage.hull as f64;
                let network = self.boxes.map(|graph| |w: f64| spectrum::path_response(graph, w));
                let network = network.as_ref().map(|f| f as &dyn Fn(f64) -> f64);
                response::draw(svg, frame, &self.bands, longest, network);
            }
            Figure::Effect => {
                if let Some(measured) = self.effect {
                    effect::draw(svg, frame, measured);
                }
            }
        }
    }
}
