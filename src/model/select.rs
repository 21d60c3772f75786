//! Which tracks a user asks for, of which members.

use super::validate::list;
use super::{Model, Track, WITHOUT_BIAS};
use crate::error::{Error, Result};

impl Model {
    /// The tracks called `names`, in that order without repeats; without names those that the model
    /// marks as default. With `member` (a name, or an index from 0) each keeps only that member's
    /// sources, and a default track that has none is left out.
    ///
    /// # Errors
    /// A usage error: an unknown track or member (with the known ones), or a track that was asked
    /// for by name and does not come from that member, or no track left.
    pub fn select_tracks(&self, names: &[String], member: Option<&str>) -> Result<Vec<Track>> {
        let mut tracks: Vec<Track> = if names.is_empty() {
            self.tracks.iter().filter(|track| track.default).cloned().collect()
        } else {
            let mut chosen: Vec<Track> = Vec::new();
            for name in names {
                let track = self.track(name)?;
                if !chosen.contains(track) {
                    chosen.push(track.clone());
                }
            }
            chosen
        };
        let Some(member) = member else { return Ok(tracks) };
        let index = self.member_index(member)?;
        for track in &mut tracks {
            track.sources.retain(|source| source.member == index);
            if track.sources.is_empty() && !names.is_empty() {
                let name = &self.members[index].name;
                return Err(Error::usage(format!(
                    "track {:?} does not come from member {name:?}",
                    track.name
                ))
                .remedy(format!("choose from: {}", self.tracks_of(index))));
            }
        }
        tracks.retain(|track| !track.sources.is_empty());
        if tracks.is_empty() {
            let name = &self.members[index].name;
            return Err(Error::usage(format!("no default track comes from member {name:?}"))
                .remedy(format!("name one with --track: {}", self.tracks_of(index))));
        }
        Ok(tracks)
    }

    /// The tracks without the bias of the assay in place of those with it; with `member` as in
    /// [`Model::select_tracks`].
    ///
    /// # Errors
    /// A usage error: a track that has no such counterpart.
    pub fn without_bias(&self, tracks: &[Track], member: Option<&str>) -> Result<Vec<Track>> {
        let name = |track: &Track| match track.name.ends_with(WITHOUT_BIAS) {
            true => track.name.clone(),
            false => format!("{}{WITHOUT_BIAS}", track.name),
        };
        let names: Vec<String> = tracks.iter().map(name).collect();
        let known = |name: &String| self.tracks.iter().any(|track| track.name == *name);
        if let Some(absent) = names.iter().find(|name| !known(name)) {
            return Err(Error::usage("the model has no bias of the assay to leave out")
                .found(format!("no track {absent:?}"))
                .remedy("leave out --without-bias"));
        }
        self.select_tracks(&names, member)
    }

    /// The first of some tracks that has the bias of the assay in it, where the model gives it
    /// without, too.
    pub fn with_bias<'t>(&self, tracks: &'t [Track]) -> Option<&'t Track> {
        tracks.iter().find(|track| {
            let without = format!("{}{WITHOUT_BIAS}", track.name);
            self.tracks.iter().any(|other| other.name == without)
        })
    }

    fn track(&self, name: &str) -> Result<&Track> {
        self.tracks.iter().find(|track| track.name == name).ok_or_else(|| {
            let known: Vec<&str> = self.tracks.iter().map(|track| track.name.as_str()).collect();
            Error::usage("the model has no such track")
                .found(format!("{name:?}"))
                .expected(format!("one of {}", list(&known)))
        })
    }

    /// A name wins over an index, so that a member called `2` can be chosen.
    fn member_index(&self, member: &str) -> Result<usize> {
        let named = self.members.iter().position(|m| m.name == member);
        let numbered = || member.parse().ok().filter(|&index: &usize| index < self.members.len());
        named.or_else(numbered).ok_or_else(|| {
            let known: Vec<&str> = self.members.iter().map(|m| m.name.as_str()).collect();
            Error::usage("the model has no such member").found(format!("{member:?}")).expected(
                format!(
                    "one of {}, or 0 to {}",
                    list(&known),
                    self.members.len().saturating_sub(1)
                ),
            )
        })
    }

    fn tracks_of(&self, member: usize) -> String {
        let has = |track: &&Track| track.sources.iter().any(|source| source.member == member);
        let names: Vec<&str> =
            self.tracks.iter().filter(has).map(|track| track.name.as_str()).collect();
        list(&names)
    }
}

#[cfg(test)]
mod tests {
    use crate::model::testing::tiny_model;

    fn names(tracks: &[&str], member: Option<&str>) -> Result<Vec<String>, String> {
        let tracks: Vec<String> = tracks.iter().map(ToString::to_string).collect();
        let chosen = tiny_model(1).select_tracks(&tracks, member);
        let show = |track: super::Track| format!("{}:{}", track.name, track.sources.len());
        chosen.map(|t| t.into_iter().map(show).collect()).map_err(|e| {
            assert_eq!(e.exit_code(), 2, "{e}");
            e.to_string()
        })
    }

    #[test]
    fn without_names_the_default_tracks_are_chosen() {
        assert_eq!(names(&[], None).unwrap(), ["acceptor:2", "donor:1"]);
    }

    #[test]
    fn names_choose_in_their_order_and_once() {
        assert_eq!(names(&["donor", "none", "donor"], None).unwrap(), ["donor:1", "none:2"]);
    }

    #[test]
    fn a_member_is_chosen_by_name_or_index_and_keeps_its_own_sources() {
        for member in ["a", "0"] {
            assert_eq!(names(&[], Some(member)).unwrap(), ["acceptor:1"]);
        }
        assert_eq!(names(&[], Some("b")).unwrap(), ["acceptor:1", "donor:1"]);
    }

    #[test]
    fn unknown_names_are_refused_with_the_known_ones() {
        assert!(names(&["Donor"], None).unwrap_err().contains("none, acceptor, donor"));
        for member in ["c", "2", "-1", ""] {
            assert!(names(&[], Some(member)).unwrap_err().contains("one of a, b, or 0 to 1"));
        }
    }

    #[test]
    fn a_track_that_the_member_does_not_give_is_refused() {
        let error = names(&["donor"], Some("a")).unwrap_err();
        assert!(error.contains("choose from: none, acceptor"), "{error}");
    }
}
