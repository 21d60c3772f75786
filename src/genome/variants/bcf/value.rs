//! Typed values of BCF: a byte of type and length, then so many numbers or letters.

/// Types of values, by their number in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// No value: a flag, or nothing at all.
    Nothing,
    Int8,
    Int16,
    Int32,
    Float,
    Char,
}

/// Lengths from here on do not fit beside the type and follow as a number of their own.
pub(super) const LONG: u8 = 15;

/// A missing float and the end of a short list of floats are two special NaNs.
pub(super) const MISSING_FLOAT: u32 = 0x7f80_0001;
pub(super) const END_FLOAT: u32 = 0x7f80_0002;

/// An element of a list.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Item<T> {
    Value(T),
    Missing,
    /// The list is shorter than the place for it.
    End,
}

impl Kind {
    pub(super) fn of(number: u8) -> Option<Self> {
        match number {
            0 => Some(Self::Nothing),
            1 => Some(Self::Int8),
            2 => Some(Self::Int16),
            3 => Some(Self::Int32),
            5 => Some(Self::Float),
            7 => Some(Self::Char),
            _ => None,
        }
    }

    pub(super) fn number(self) -> u8 {
        match self {
            Self::Nothing => 0,
            Self::Int8 => 1,
            Self::Int16 => 2,
            Self::Int32 => 3,
            Self::Float => 5,
            Self::Char => 7,
        }
    }

    /// Bytes of one element.
    pub(super) fn size(self) -> usize {
        match self {
            Self::Nothing => 0,
            Self::Int8 | Self::Char => 1,
            Self::Int16 => 2,
            Self::Int32 | Self::Float => 4,
        }
    }

    /// The smallest type that holds all numbers; the lowest eight of each type are reserved.
    pub(super) fn of_integers(numbers: impl Iterator<Item = i32>) -> Self {
        let (mut low, mut high) = (0, 0);
        for number in numbers {
            low = low.min(number);
            high = high.max(number);
        }
        let fits = |least: i32, most: i32| low >= least + 8 && high <= most;
        if fits(i8::MIN.into(), i8::MAX.into()) {
            Self::Int8
        } else if fits(i16::MIN.into(), i16::MAX.into()) {
            Self::Int16
        } else {
            Self::Int32
        }
    }

    /// Adds one whole number, which fits.
    pub(super) fn put_integer(self, item: Item<i32>, bytes: &mut Vec<u8>) {
        let number = |least: i32| match item {
            Item::Value(number) => number,
            Item::Missing => least,
            Item::End => least + 1,
        };
        match self {
            Self::Int8 => bytes.push(number(i8::MIN.into()).to_le_bytes()[0]),
            Self::Int16 => bytes.extend(&number(i16::MIN.into()).to_le_bytes()[..2]),
            _ => bytes.extend(number(i32::MIN).to_le_bytes()),
        }
    }
}

/// The whole numbers of a list of one of the three types.
pub(super) fn integers(kind: Kind, bytes: &[u8]) -> impl Iterator<Item = Item<i32>> {
    let number = move |bytes: &[u8]| match *bytes {
        [a] => i32::from(i8::from_le_bytes([a])),
        [a, b] => i32::from(i16::from_le_bytes([a, b])),
        [a, b, c, d] => i32::from_le_bytes([a, b, c, d]),
        _ => i32::MIN,
    };
    let least = match kind {
        Kind::Int8 => i8::MIN.into(),
        Kind::Int16 => i16::MIN.into(),
        _ => i32::MIN,
    };
    bytes.chunks_exact(kind.size().max(1)).map(move |bytes| match number(bytes) {
        number if number == least => Item::Missing,
        number if number == least + 1 => Item::End,
        number => Item::Value(number),
    })
}

/// The numbers of a list of floats.
pub(super) fn floats(bytes: &[u8]) -> impl Iterator<Item = Item<f32>> {
    bytes.chunks_exact(4).map(|bytes| {
        let bits = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
        match bits {
            MISSING_FLOAT => Item::Missing,
            END_FLOAT => Item::End,
            bits => Item::Value(f32::from_bits(bits)),
        }
    })
}
