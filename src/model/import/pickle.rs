//! Python pickles of tensors as plain data (weight-files.md 3).
//!
//! Objects live in one list and refer to each other by index, so that neither depth nor cycles in
//! the input cause recursion here.

use super::pickle_machine::Machine;
use crate::error::Result;

/// Index of an object in [`Pickle`].
pub(super) type Id = usize;

/// A value of the pickle.
#[derive(Debug)]
pub(super) enum Object {
    None,
    Bool,
    Int(i64),
    Float,
    Text(String),
    Tuple(Vec<Id>),
    List(Vec<Id>),
    Dict(Dict),
    Label(Label),
    Storage(Box<Storage>),
    Tensor(Box<TensorView>),
    Record(Record),
}

/// An object of a class from a closed list: a label and a dict, never an object that does anything
/// (weight-files.md 3.2).
#[derive(Debug)]
pub(super) struct Record {
    /// Module and name of the class.
    pub class: &'static str,
    /// The dict of its attributes.
    pub state: Option<Id>,
}

/// Keys and values in file order.
#[derive(Debug, Default)]
pub(super) struct Dict {
    pub entries: Vec<(Id, Id)>,
    /// An `OrderedDict`, which may be given attributes that we do not need.
    pub ordered: bool,
}

/// The globals that may occur.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Label {
    OrderedDict,
    RebuildTensor,
    RebuildParameter,
    Storage(Element),
    Set,
    Class(&'static str),
}

/// Type of the numbers of a storage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Element {
    F64,
    F32,
    F16,
    BF16,
    I64,
    I32,
    Bool,
}

impl Element {
    /// Bytes per number.
    pub fn width(self) -> usize {
        match self {
            Self::F64 | Self::I64 => 8,
            Self::F32 | Self::I32 => 4,
            Self::F16 | Self::BF16 => 2,
            Self::Bool => 1,
        }
    }
}

/// A run of numbers that lies in an entry of the archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Storage {
    pub element: Element,
    /// Name of the entry under `data/`.
    pub key: String,
    /// How many numbers it holds.
    pub count: usize,
}

/// A tensor as a view into a storage; offset and strides in numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TensorView {
    pub storage: Storage,
    pub offset: usize,
    pub shape: Vec<usize>,
    pub strides: Vec<usize>,
}

/// What a pickle holds.
#[derive(Debug)]
pub(super) struct Pickle {
    objects: Vec<Object>,
    root: Id,
}

impl Pickle {
    /// Reads one pickle, which must fill `bytes`.
    ///
    /// # Errors
    /// Damaged, beyond a limit, or with an operation or global that is not plain data.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let (objects, root) = Machine::run(bytes)?;
        Ok(Self { objects, root })
    }

    /// The value that was pickled.
    pub fn root(&self) -> &Object {
        &self.objects[self.root]
    }

    /// The index of the value that was pickled.
    pub fn root_id(&self) -> Id {
        self.root
    }

    /// The value of a key of a dict.
    pub fn entry<'a>(&'a self, dict: &'a Dict, name: &str) -> Option<&'a Object> {
        let named = |key: Id| matches!(self.get(key), Object::Text(text) if text == name);
        dict.entries.iter().rev().find(|&&(key, _)| named(key)).map(|&(_, value)| self.get(value))
    }

    /// The object at an index that another object holds.
    pub fn get(&self, id: Id) -> &Object {
        &self.objects[id]
    }
}
