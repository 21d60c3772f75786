//! The SVG writer: a handful of shapes, short numbers, nothing that a viewer lacks.

use super::INK;
use std::fmt::Write;

/// A place: x to the right and y down, in pixels.
pub type Point = (f64, f64);

/// Which part of a text stands at its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Anchor {
    /// Its beginning.
    Start,
    /// Its middle.
    Middle,
    /// Its end.
    End,
}

/// Average width of a letter as a share of the font size, in common sans-serif fonts.
const LETTER: f64 = 0.53;

/// Width of a text, roughly, in pixels.
pub fn text_width(text: &str, size: f64) -> f64 {
    text.chars().count() as f64 * size * LETTER
}

/// A picture that is being drawn.
#[derive(Debug)]
pub struct Svg {
    width: f64,
    height: f64,
    body: String,
}

impl Svg {
    /// An empty white picture.
    pub fn new(width: f64, height: f64) -> Self {
        Self { width, height, body: String::new() }
    }

    /// The whole file.
    pub fn finish(self) -> String {
        let (width, height) = (short(self.width), short(self.height));
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
             viewBox=\"0 0 {width} {height}\" \
             font-family=\"Helvetica, Arial, 'DejaVu Sans', sans-serif\">\n\
             <rect width=\"100%\" height=\"100%\" fill=\"#FFFFFF\"/>\n{}</svg>\n",
            self.body
        )
    }

    fn put(&mut self, element: std::fmt::Arguments<'_>) {
        writeln!(self.body, "{element}").expect("a string takes everything");
    }

    /// A filled rectangle.
    pub fn rectangle(&mut self, (x, y): Point, width: f64, height: f64, fill: &str) {
        let (x, y, width, height) = (short(x), short(y), short(width), short(height));
        self.put(format_args!(
            "<rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" fill=\"{fill}\"/>"
        ));
    }

    /// Filled rectangles of one colour, each as place, width and height, in one element.
    pub fn rectangles(&mut self, list: impl Iterator<Item = (Point, f64, f64)>, fill: &str) {
        let mut path = String::new();
        for ((x, y), width, height) in list {
            let (w, h) = (short(width), short(height));
            let back = short(-width);
            write!(path, "M{} {}h{w}v{h}h{back}z", short(x), short(y))
                .expect("a string takes everything");
        }
        if !path.is_empty() {
            self.put(format_args!("<path d=\"{path}\" fill=\"{fill}\"/>"));
        }
    }

    /// Straight strokes of one colour, in one element.
    pub fn strokes(
        &mut self,
        list: impl Iterator<Item = (Point, Point)>,
        colour: &str,
        width: f64,
    ) {
        let mut path = String::new();
        for ((x1, y1), (x2, y2)) in list {
            write!(path, "M{} {}L{} {}", short(x1), short(y1), short(x2), short(y2))
                .expect("a string takes everything");
        }
        if !path.is_empty() {
            let width = short(width);
            self.put(format_args!(
                "<path d=\"{path}\" stroke=\"{colour}\" stroke-width=\"{width}\" fill=\"none\"/>"
            ));
        }
    }

    /// A dashed stroke.
    pub fn dashes(&mut self, (x1, y1): Point, (x2, y2): Point, colour: &str) {
        let (x1, y1, x2, y2) = (short(x1), short(y1), short(x2), short(y2));
        self.put(format_args!(
            "<path d=\"M{x1} {y1}L{x2} {y2}\" stroke=\"{colour}\" stroke-dasharray=\"4 3\"/>"
        ));
    }

    /// A curve through points.
    pub fn curve(&mut self, points: &[Point], colour: &str, width: f64) {
        if !points.is_empty() {
            let (path, width) = (joined(points), short(width));
            self.put(format_args!(
                "<path d=\"{path}\" stroke=\"{colour}\" stroke-width=\"{width}\" fill=\"none\" \
                 stroke-linejoin=\"round\"/>"
            ));
        }
    }

    /// A filled outline.
    pub fn area(&mut self, points: &[Point], fill: &str) {
        if !points.is_empty() {
            let path = joined(points);
            self.put(format_args!("<path d=\"{path}z\" fill=\"{fill}\"/>"));
        }
    }

    /// Filled outlines of one colour, in one element.
    pub fn areas(&mut self, outlines: &[Vec<Point>], fill: &str) {
        let closed = outlines.iter().filter(|points| !points.is_empty());
        let path: String = closed.map(|points| joined(points) + "z").collect();
        if !path.is_empty() {
            self.put(format_args!("<path d=\"{path}\" fill=\"{fill}\"/>"));
        }
    }

    /// A dot, filled with one colour and edged with another.
    pub fn dot(&mut self, (x, y): Point, radius: f64, fill: &str, edge: &str) {
        let (x, y, radius) = (short(x), short(y), short(radius));
        self.put(format_args!(
            "<circle cx=\"{x}\" cy=\"{y}\" r=\"{radius}\" fill=\"{fill}\" stroke=\"{edge}\"/>"
        ));
    }

    /// A line of text; `y` is its baseline.
    pub fn text(&mut self, (x, y): Point, size: f64, anchor: Anchor, text: &str) {
        self.write_text((x, y), size, anchor, "", INK, text);
    }

    /// A line of text in a colour of its own.
    pub fn coloured_text(&mut self, at: Point, size: f64, anchor: Anchor, fill: &str, text: &str) {
        self.write_text(at, size, anchor, "", fill, text);
    }

    /// One capital letter of a bold font that fills a box; nothing where the box is too flat to see.
    pub fn letter(&mut self, (x, y): Point, width: f64, height: f64, fill: &str, letter: u8) {
        if height < 0.3 || width < 0.3 {
            return;
        }
        let letter = char::from(letter).to_ascii_uppercase();
        // Of a 10-pixel bold sans-serif font: height of a capital, and widths of the four.
        let tall = 7.2;
        let wide = match letter {
            'A' | 'C' => 7.2,
            'G' => 7.8,
            _ => 6.1,
        };
        let (across, up) = (width / wide, height / tall);
        let (x, bottom, letter) =
            (short(x), short(y + height), escape(letter.encode_utf8(&mut [0; 4])));
        self.put(format_args!(
            "<text transform=\"translate({x} {bottom}) scale({across:.3} {up:.4})\" \
             font-size=\"10\" font-weight=\"bold\" fill=\"{fill}\">{letter}</text>"
        ));
    }

    /// A bold line of text.
    pub fn heading(&mut self, at: Point, size: f64, text: &str) {
        self.write_text(at, size, Anchor::Start, " font-weight=\"bold\"", INK, text);
    }

    /// Text that runs upward, centred on its place.
    pub fn upward_text(&mut self, (x, y): Point, size: f64, text: &str) {
        let turn = format!(" transform=\"rotate(-90 {} {})\"", short(x), short(y));
        self.write_text((x, y), size, Anchor::Middle, &turn, INK, text);
    }

    fn write_text(
        &mut self,
        (x, y): Point,
        size: f64,
        anchor: Anchor,
        more: &str,
        fill: &str,
        text: &str,
    ) {
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        let (x, y, size, text) = (short(x), short(y), short(size), escape(text));
        self.put(format_args!(
            "<text x=\"{x}\" y=\"{y}\" font-size=\"{size}\" text-anchor=\"{anchor}\" \
             fill=\"{fill}\"{more}>{text}</text>"
        ));
    }
}

fn joined(points: &[Point]) -> String {
    let mut path = String::new();
    for (i, &(x, y)) in points.iter().enumerate() {
        let letter = if i == 0 { 'M' } else { 'L' };
        write!(path, "{letter}{} {}", short(x), short(y)).expect("a string takes everything");
    }
    path
}

/// A tenth of a pixel is finer than anyone sees.
fn short(number: f64) -> String {
    let text = format!("{number:.1}");
    match text.strip_suffix(".0") {
        Some("-0") => "0".into(),
        Some(whole) => whole.into(),
        None => text,
    }
}

/// Text that is no markup and holds no control characters.
fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars().filter(|c| !c.is_control()) {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            c => safe.push(c),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_names_cannot_break_the_picture() {
        let mut svg = Svg::new(10.0, 10.0);
        svg.text((1.0, 2.25), 12.0, Anchor::End, "a<b & \"c\"\u{1b}");
        let text = svg.finish();
        assert!(text.contains("x=\"1\" y=\"2.2\""), "{text}");
        assert!(text.contains(">a&lt;b &amp; &quot;c&quot;</text>"), "{text}");
    }

    #[test]
    fn many_shapes_are_one_element_and_no_shape_is_none() {
        let mut svg = Svg::new(10.0, 10.0);
        svg.rectangles([((0.0, 0.0), 1.0, 2.0), ((3.0, 0.0), 1.0, 2.0)].into_iter(), "#000000");
        svg.rectangles(std::iter::empty(), "#111111");
        svg.strokes(std::iter::empty(), "#111111", 1.0);
        let text = svg.finish();
        assert!(text.contains("d=\"M0 0h1v2h-1zM3 0h1v2h-1z\""), "{text}");
        assert!(!text.contains("#111111"), "{text}");
    }
}
