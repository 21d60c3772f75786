//! What the channels of the families are called.

use crate::model::TrackStrand;

/// One output of a member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Output {
    pub name: String,
    pub unit: &'static str,
    pub description: String,
    pub strand: TrackStrand,
    pub default: bool,
    /// Channel of the member's network.
    pub channel: usize,
    /// Place among the tracks of the model.
    pub rank: usize,
}

/// One track per class. Three classes have the names given, if any: the first means that nothing is
/// there, and is not written unless asked for. Others are numbered.
pub(super) fn class_outputs(classes: usize, names: Option<[&str; 3]>) -> Vec<Output> {
    let names = names.filter(|names| names.len() == classes);
    let class = |channel: usize| {
        let name = names.map_or(format!("class{channel}"), |names| names[channel].to_string());
        Output {
            description: match names {
                Some(_) if channel == 0 => "Probability of none of the other tracks".to_string(),
                Some(_) => format!("Probability of {name}"),
                None => {
                    format!("Probability of class {channel}, whose meaning the file does not say")
                }
            },
            name,
            unit: "probability",
            strand: TrackStrand::Read,
            default: names.is_none() || channel > 0,
            channel,
            rank: channel,
        }
    };
    (0..classes).map(class).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_classes_have_names_and_others_numbers() {
        let of = |classes| -> Vec<(String, bool)> {
            class_outputs(classes, Some(["none", "acceptor", "donor"]))
                .into_iter()
                .map(|output| (output.name, output.default))
                .collect()
        };
        let pair = |name: &str, default| (name.to_string(), default);
        assert_eq!(of(3), [pair("none", false), pair("acceptor", true), pair("donor", true)]);
        assert_eq!(of(2), [pair("class0", true), pair("class1", true)]);
    }
}
