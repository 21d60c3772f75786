//! Whether there is a GPU that libtorch can use. Nothing of CUDA is linked: the driver and
//! libtorch's CUDA library are loaded when a GPU is asked for.

use super::driver::{self, Card};
use super::shim;
use libloading::os::unix::{Library, RTLD_GLOBAL, RTLD_NOW};
use std::fmt;
use std::path::PathBuf;
use std::sync::OnceLock;

const LIBRARY: &str = "libtorch_cuda.so";

/// Where `setup/libtorch.sh --cuda` puts it, below the folder of libtorch's other libraries.
const BESIDE: &str = "cuda/torch/lib";

/// Why no GPU can be used: what was looked for, and what was found.
#[derive(Debug, Clone)]
pub struct Missing {
    /// What the driver knows.
    cards: Result<Vec<Card>, String>,
    /// What became of libtorch's CUDA library; `None` where there was no reason to load it.
    library: Option<String>,
}

impl Missing {
    /// Whether there is a card at all.
    pub fn has_cards(&self) -> bool {
        self.cards.as_ref().is_ok_and(|cards| !cards.is_empty())
    }
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.cards {
            Err(why) => write!(f, "driver: {why}")?,
            Ok(cards) => write!(f, "devices: {}", cards.len())?,
        }
        match std::env::var_os("CUDA_VISIBLE_DEVICES") {
            Some(value) => write!(f, "; CUDA_VISIBLE_DEVICES: {:?}", value.to_string_lossy())?,
            None => write!(f, "; CUDA_VISIBLE_DEVICES: not set")?,
        }
        match &self.library {
            Some(why) => write!(f, "; {why}"),
            None => Ok(()),
        }
    }
}

/// The card of this number, ready for libtorch. The driver is asked first: it answers at once,
/// and without a card there is no reason to load the libraries.
///
/// # Errors
/// What was looked for and not found.
pub fn find(index: usize) -> Result<Card, Missing> {
    let cards = driver::cards();
    let card = cards.as_ref().ok().and_then(|cards| cards.get(index)).cloned();
    let Some(card) = card else { return Err(Missing { cards, library: None }) };
    let usable = loaded().clone().and_then(|()| match tch::Cuda::device_count() {
        seen if usize::try_from(seen).is_ok_and(|seen| index < seen) => Ok(()),
        seen => Err(format!("libtorch can use {seen} of them: the driver may be too old for it")),
    });
    usable.map(|()| card).map_err(|why| Missing { cards, library: Some(why) })
}

/// Loads libtorch's CUDA library, once. This must come before the first question to libtorch about
/// CUDA: what it has not found then it never finds.
fn loaded() -> &'static Result<(), String> {
    static LOADED: OnceLock<Result<(), String>> = OnceLock::new();
    LOADED.get_or_init(|| {
        let folder = shim::library_folder().unwrap_or_default();
        let beside = [folder.clone(), folder.join(BESIDE)];
        let mut why = format!(
            "{LIBRARY} is neither on LD_LIBRARY_PATH nor in {0} or {0}/{BESIDE}",
            folder.display()
        );
        for path in std::iter::once(PathBuf::new()).chain(beside).map(|at| at.join(LIBRARY)) {
            // SAFETY: libtorch's own library, made to be loaded into a process with libtorch; its
            // initialisers register its kernels
            match unsafe { Library::open(Some(&path), RTLD_NOW | RTLD_GLOBAL) } {
                Ok(library) => {
                    tracing::debug!("loaded {}", path.display());
                    // registered kernels must never go away
                    std::mem::forget(library);
                    return Ok(());
                }
                Err(error) => {
                    let reason = driver::reason(&error);
                    // one that is there lacks another library, which is worth naming
                    if !reason.starts_with(&*path.to_string_lossy()) {
                        why = reason;
                    }
                }
            }
        }
        Err(why)
    })
}
