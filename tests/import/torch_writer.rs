//! Writes PyTorch checkpoints as `torch.save` lays them out (weight-files.md 3): a zip archive of
//! stored entries with zeroed local headers, and a pickle of protocol 2.

use flate2::Crc;

/// A tensor to be written: one storage of its own unless `storage` names another.
#[derive(Debug, Clone)]
pub struct Saved {
    pub name: String,
    pub shape: Vec<usize>,
    pub strides: Vec<usize>,
    pub offset: usize,
    /// `FloatStorage`, …
    pub class: &'static str,
    /// Bytes of the storage.
    pub data: Vec<u8>,
    pub width: usize,
}

impl Saved {
    /// A contiguous float tensor.
    pub fn floats(name: &str, shape: &[usize], values: &[f32]) -> Self {
        let data = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        Self::raw(name, shape, "FloatStorage", 4, data)
    }

    /// A scalar counter.
    pub fn counter(name: &str) -> Self {
        Self::raw(name, &[], "LongStorage", 8, 7i64.to_le_bytes().to_vec())
    }

    pub fn raw(
        name: &str,
        shape: &[usize],
        class: &'static str,
        width: usize,
        data: Vec<u8>,
    ) -> Self {
        let mut strides = vec![1; shape.len()];
        for axis in (1..shape.len()).rev() {
            strides[axis - 1] = strides[axis] * shape[axis];
        }
        let (name, shape) = (name.to_string(), shape.to_vec());
        Self { name, shape, strides, offset: 0, class, data, width }
    }
}

/// Bytes of a pickle, built operation by operation.
#[derive(Default)]
pub struct Pickler(pub Vec<u8>);

impl Pickler {
    pub fn new() -> Self {
        Self(vec![0x80, 2])
    }

    pub fn op(&mut self, op: u8) -> &mut Self {
        self.0.push(op);
        self
    }

    pub fn global(&mut self, module: &str, name: &str) -> &mut Self {
        self.0.extend(format!("c{module}\n{name}\n").bytes());
        self
    }

    pub fn text(&mut self, text: &str) -> &mut Self {
        self.0.push(b'X');
        self.0.extend(u32::try_from(text.len()).unwrap().to_le_bytes());
        self.0.extend(text.bytes());
        self
    }

    /// LONG1 of eight bytes.
    pub fn int(&mut self, value: usize) -> &mut Self {
        self.0.extend([0x8a, 8]);
        self.0.extend((value as u64).to_le_bytes());
        self
    }

    pub fn ints(&mut self, values: &[usize]) -> &mut Self {
        self.op(b'(');
        values.iter().for_each(|&value| {
            self.int(value);
        });
        self.op(b't')
    }

    pub fn ordered_dict(&mut self) -> &mut Self {
        self.global("collections", "OrderedDict").op(b')').op(b'R')
    }

    pub fn storage(&mut self, class: &str, key: &str, count: usize) -> &mut Self {
        self.op(b'(').text("storage").global("torch", class).text(key).text("cuda:0");
        self.int(count).op(b't').op(b'Q')
    }

    pub fn tensor(&mut self, saved: &Saved, key: &str) -> &mut Self {
        self.global("torch._utils", "_rebuild_tensor_v2").op(b'(');
        self.storage(saved.class, key, saved.data.len() / saved.width).int(saved.offset);
        self.ints(&saved.shape).ints(&saved.strides).op(0x89).ordered_dict().op(b't').op(b'R')
    }

    /// A `state_dict` with the `_metadata` that PyTorch attaches. Storages are `FIRST`, `FIRST+1`, …
    pub fn state(&mut self, tensors: &[Saved], first: usize) -> &mut Self {
        self.ordered_dict().op(b'(');
        for (index, saved) in tensors.iter().enumerate() {
            self.text(&saved.name).tensor(saved, &(first + index).to_string());
        }
        self.op(b'u').op(b'}').text("_metadata").ordered_dict().op(b's').op(b'b')
    }
}

/// Entries of a checkpoint whose pickle is given; storages are numbered from 0.
pub fn entries(pickle: Vec<u8>, tensors: &[Saved]) -> Vec<(String, Vec<u8>)> {
    let mut entries = vec![("weights/data.pkl".to_string(), pickle)];
    for (index, saved) in tensors.iter().enumerate() {
        entries.push((format!("weights/data/{index}"), saved.data.clone()));
    }
    entries.push(("weights/version".to_string(), b"3\n".to_vec()));
    entries
}

/// A `state_dict` file.
pub fn checkpoint(tensors: &[Saved]) -> Vec<u8> {
    let mut pickler = Pickler::new();
    pickler.state(tensors, 0).op(b'.');
    zip(&entries(pickler.0, tensors))
}

/// Stored entries; local headers hold no sizes and pad the data to 64 bytes, as PyTorch does.
pub fn zip(entries: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut out: Vec<u8> = Vec::new();
    let mut central: Vec<u8> = Vec::new();
    let u16 = |n: usize| u16::try_from(n).unwrap().to_le_bytes();
    let u32 = |n: usize| u32::try_from(n).unwrap().to_le_bytes();
    for (name, data) in entries {
        let start = out.len();
        let mut crc = Crc::new();
        crc.update(data);
        let pad = (64 - (start + 30 + name.len() + 4) % 64) % 64;
        out.extend(b"PK\x03\x04\x00\x00\x08\x08\x00\x00\x00\x00\x00\x00");
        out.extend([0; 12]);
        out.extend(u16(name.len()));
        out.extend(u16(pad + 4));
        out.extend(name.bytes());
        out.extend(b"FB");
        out.extend(u16(pad));
        out.extend(vec![b'Z'; pad]);
        out.extend(data);
        out.extend(b"PK\x07\x08");
        out.extend(crc.sum().to_le_bytes());
        out.extend(u32(data.len()));
        out.extend(u32(data.len()));
        central.extend(b"PK\x01\x02\x00\x00\x00\x00\x08\x08\x00\x00\x00\x00\x00\x00");
        central.extend(crc.sum().to_le_bytes());
        central.extend(u32(data.len()));
        central.extend(u32(data.len()));
        central.extend(u16(name.len()));
        central.extend([0; 12]);
        central.extend(u32(start));
        central.extend(name.bytes());
    }
    let start = out.len();
    out.extend(&central);
    out.extend(b"PK\x05\x06\x00\x00\x00\x00");
    out.extend(u16(entries.len()));
    out.extend(u16(entries.len()));
    out.extend(u32(central.len()));
    out.extend(u32(start));
    out.extend([0; 2]);
    out
}
