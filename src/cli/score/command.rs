//! The command line of a run for the header of its output: what decides the content, and nothing
//! that only says how it was computed, so that the same scores come with the same header.

use super::ScoreArgs;
use super::track::{CompareFlags, TrackFlags};
use std::path::Path;

impl ScoreArgs {
    /// The command, as it would be typed with every default spelled out.
    pub(super) fn command(&self) -> String {
        let mut words = Words(vec!["atrous".into(), "score".into()]);
        for model in &self.model.model {
            words.path("--model", model);
        }
        words.optional("--member", self.model.member.as_ref());
        words.flag("--n-uniform", self.model.n_uniform);
        words.path("--reference", &self.reference.reference);
        if let Some(aliases) = &self.reference.aliases {
            words.path("--aliases", aliases);
        }
        match &self.genes.annotation {
            Some(annotation) => {
                words.path("--annotation", annotation);
                words.value("--transcripts", &self.genes.transcripts);
                words.flag("--per-transcript", self.genes.per_transcript);
            }
            None => words.value("--strand", &self.genes.strand),
        }
        words.optional("--scheme", self.scores.scheme.as_ref());
        words.value("--distance", &self.scores.distance);
        if !self.scores.mask.is_empty() {
            let masks: Vec<&str> = self.scores.mask.iter().map(|mask| mask.name()).collect();
            words.value("--mask", &masks.join(","));
        }
        words.flag("--mask-tss", self.scores.mask_tss);
        words.value("--rules", &self.scores.rules);
        words.optional("--decimals", self.scores.decimals.as_ref());
        words.optional("--schema", self.variants.schema.as_ref());
        words.value("--ref-mismatch", &self.variants.ref_mismatch);
        words.value("--max-alt", &self.variants.max_alt);
        self.tracks.command(&mut words);
        self.compare.command(&mut words);
        words.flag("--overwrite-info", self.output.overwrite_info);
        for variant in &self.variants.variant {
            words.value("--variant", variant);
        }
        words.0.extend(self.variants.input.iter().map(|path| path.display().to_string()));
        words.line()
    }
}

impl TrackFlags {
    /// Those that are given.
    fn command(&self, words: &mut Words) {
        if !self.track.is_empty() {
            words.value("--track", &self.track.join(","));
        }
        words.flag("--without-bias", self.without_bias);
        words.unless("--rc-average", self.rc_average);
        words.unless("--ensemble", self.ensemble);
    }
}

impl CompareFlags {
    /// Those that are given.
    fn command(&self, words: &mut Words) {
        words.unless("--indel", self.indel);
        words.unless("--window-rule", self.window_rule);
        words.unless("--pseudocount", self.pseudocount);
        words.flag("--basenji-scores", self.basenji_scores);
        for (name, path) in [
            ("--features", &self.features),
            ("--background-counts", &self.background_counts),
            ("--peaks", &self.peaks),
        ] {
            if let Some(path) = path {
                words.path(name, path);
            }
        }
        if let Some(null) = &self.null {
            words.value("--null", null);
            words.value("--seed", &self.seed);
        }
    }
}

/// Words of a command line.
struct Words(Vec<String>);

impl Words {
    fn flag(&mut self, name: &str, given: bool) {
        if given {
            self.0.push(name.into());
        }
    }

    fn value(&mut self, name: &str, value: &impl ToString) {
        self.0.extend([name.into(), value.to_string()]);
    }

    fn optional(&mut self, name: &str, value: Option<&impl ToString>) {
        if let Some(value) = value {
            self.value(name, value);
        }
    }

    /// What is not its default.
    fn unless<T: ToString + Default + PartialEq>(&mut self, name: &str, value: T) {
        if value != T::default() {
            self.value(name, &value);
        }
    }

    fn path(&mut self, name: &str, path: &Path) {
        self.0.extend([name.into(), path.display().to_string()]);
    }

    /// All words; those with white space or quotes are quoted, and nothing ends the line.
    fn line(self) -> String {
        let quoted = |word: String| {
            let plain = !word.is_empty()
                && !word.contains(|c: char| c.is_whitespace() || c.is_control() || c == '"');
            if plain {
                return word;
            }
            let inside: String = word
                .chars()
                .flat_map(|c| match c {
                    '"' | '\\' => vec!['\\', c],
                    c if c.is_control() => vec![' '],
                    c => vec![c],
                })
                .collect();
            format!("\"{inside}\"")
        };
        self.0.into_iter().map(quoted).collect::<Vec<_>>().join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::Words;

    #[test]
    fn words_with_blanks_or_quotes_are_quoted() {
        let words = ["a", "b c", "d\"e\\", "", "f\ng"].map(String::from);
        assert_eq!(Words(words.into()).line(), r#"a "b c" "d\"e\\" "" "f g""#);
    }
}
