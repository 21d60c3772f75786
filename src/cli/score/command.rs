//! The command line of a run for the header of its output: what decides the content, and nothing
//! that only says how it was computed, so that the same scores come with the same header.

use super::ScoreArgs;
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
        words.value("--ref-mismatch", &self.variants.ref_mismatch);
        words.value("--max-alt", &self.variants.max_alt);
        words.flag("--overwrite-info", self.output.overwrite_info);
        for variant in &self.variants.variant {
            words.value("--variant", variant);
        }
        words.0.extend(self.variants.input.iter().map(|path| path.display().to_string()));
        words.line()
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
