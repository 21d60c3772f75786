//! The stack machine that reads a pickle: the operations that a `state_dict` and the whole objects
//! of known networks need, and no others (weight-files.md 3). Globals are labels from a closed list; nothing is looked up, nothing is
//! called.

use super::pickle::{Dict, Element, Id, Label, Object, Record, Storage, TensorView};
use crate::error::{Error, Result};
use std::collections::HashMap;

/// Limits of weight-files.md 6.
const MAX_BYTES: usize = 16 << 20;
const MAX_OPERATIONS: usize = 5_000_000;
const MAX_MEMO: usize = 1_000_000;
const MAX_STACK: usize = 100_000;
const MAX_DEPTH: u8 = 64;
const MAX_TEXT: usize = 64 << 10;

fn limit(what: &str, most: usize) -> Error {
    Error::new(format!("the pickle has too many {what}")).expected(format!("at most {most}"))
}

fn refuse_label(name: &str) -> Error {
    Error::new("the file refers to Python code, which is never run")
        .found(name)
        .expected("a state_dict: tensors by name and nothing else")
        .remedy(
            "if you trust the file, open it in Python and save the weights alone: \
             torch.save(model.state_dict(), \"weights.pt\")",
        )
}

fn label(module: &str, name: &str) -> Result<Label> {
    Ok(match (module, name) {
        ("collections", "OrderedDict") => Label::OrderedDict,
        ("torch._utils", "_rebuild_tensor_v2") => Label::RebuildTensor,
        ("torch._utils", "_rebuild_parameter") => Label::RebuildParameter,
        ("torch", "DoubleStorage") => Label::Storage(Element::F64),
        ("torch", "FloatStorage") => Label::Storage(Element::F32),
        ("torch", "HalfStorage") => Label::Storage(Element::F16),
        ("torch", "BFloat16Storage") => Label::Storage(Element::BF16),
        ("torch", "LongStorage") => Label::Storage(Element::I64),
        ("torch", "IntStorage") => Label::Storage(Element::I32),
        ("torch", "BoolStorage") => Label::Storage(Element::Bool),
        ("__builtin__" | "builtins", "set") => Label::Set,
        _ => {
            let full = format!("{module} {name}");
            let known = CLASSES.into_iter().find(|class| *class == full);
            Label::Class(known.ok_or_else(|| refuse_label(&full))?)
        }
    })
}

/// The classes of the networks that are saved as whole objects, and of their parts
/// (weight-files.md 3.2).
const CLASSES: [&str; 11] = [
    "bpnetlite.bpnet BPNet",
    "bpnetlite.bpnet BasePairNet",
    "bpnetlite.chrombpnet ChromBPNet",
    "bpnetlite.chrombpnet _Exp",
    "bpnetlite.chrombpnet _Log",
    "bpnetlite.logging Logger",
    "BPNet_strand_merged_umap Model",
    "torch.nn.modules.conv Conv1d",
    "torch.nn.modules.linear Linear",
    "torch.nn.modules.activation ReLU",
    "torch.nn.modules.container ModuleList",
];

/// The state of the interpreter.
#[derive(Default)]
pub(super) struct Machine<'a> {
    bytes: &'a [u8],
    at: usize,
    objects: Vec<Object>,
    /// Nesting of each object when it was last filled.
    depths: Vec<u8>,
    stack: Vec<Id>,
    /// Lengths of the stack at each open mark.
    marks: Vec<usize>,
    memo: HashMap<u32, Id>,
}

impl<'a> Machine<'a> {
    /// All objects of the pickle and the index of its value. The pickle must fill `bytes`.
    pub fn run(bytes: &'a [u8]) -> Result<(Vec<Object>, Id)> {
        if bytes.len() > MAX_BYTES {
            return Err(limit("bytes", MAX_BYTES));
        }
        let mut machine = Self { bytes, ..Self::default() };
        for _ in 0..MAX_OPERATIONS {
            let start = machine.at;
            let operation = machine.byte()?;
            if operation == b'.' {
                return machine.stop();
            }
            machine.step(operation, start)?;
            if machine.stack.len() > MAX_STACK || machine.marks.len() > MAX_STACK {
                return Err(limit("open values", MAX_STACK));
            }
            if machine.memo.len() > MAX_MEMO {
                return Err(limit("remembered values", MAX_MEMO));
            }
        }
        Err(limit("operations", MAX_OPERATIONS))
    }

    fn stop(mut self) -> Result<(Vec<Object>, Id)> {
        let root = self.pop()?;
        if !self.stack.is_empty() || !self.marks.is_empty() {
            return Err(self.damaged("values are left over at its end"));
        }
        if self.at != self.bytes.len() {
            return Err(Error::new("the pickle goes on after its end")
                .found(format!("{} more bytes", self.bytes.len() - self.at)));
        }
        Ok((self.objects, root))
    }

    /// One operation. Letters are those of Python's pickle protocol.
    fn step(&mut self, operation: u8, start: usize) -> Result<()> {
        match operation {
            // PROTO
            0x80 => match self.byte()? {
                2..=5 => Ok(()),
                version => Err(Error::new("the pickle protocol is not supported")
                    .found(version)
                    .expected("2 to 5")),
            },
            // FRAME: a hint for readers that prefetch
            0x95 => self.take(8).map(|_| ()),
            // GLOBAL, STACK_GLOBAL
            b'c' => {
                let module = self.line()?;
                let name = self.line()?;
                self.push(Object::Label(label(&module, &name)?), &[])
            }
            0x93 => {
                let name = self.pop_text()?;
                let module = self.pop_text()?;
                self.push(Object::Label(label(&module, &name)?), &[])
            }
            // BINPUT, LONG_BINPUT, MEMOIZE
            b'q' => {
                let key = u32::from(self.byte()?);
                self.remember(key)
            }
            b'r' => {
                let key = self.u32()?;
                self.remember(key)
            }
            0x94 => {
                let key = u32::try_from(self.memo.len()).map_err(|_| limit("memo", MAX_MEMO))?;
                self.remember(key)
            }
            // BINGET, LONG_BINGET
            b'h' => {
                let key = u32::from(self.byte()?);
                self.recall(key)
            }
            b'j' => {
                let key = self.u32()?;
                self.recall(key)
            }
            // NONE, NEWTRUE, NEWFALSE
            b'N' => self.push(Object::None, &[]),
            0x88 | 0x89 => self.push(Object::Bool, &[]),
            // BININT, BININT1, BININT2, LONG1, BINFLOAT
            b'J' => {
                let value = self.array().map(i32::from_le_bytes)?;
                self.push(Object::Int(value.into()), &[])
            }
            b'K' => {
                let value = self.byte()?;
                self.push(Object::Int(value.into()), &[])
            }
            b'M' => {
                let value = self.array().map(u16::from_le_bytes)?;
                self.push(Object::Int(value.into()), &[])
            }
            0x8a => {
                let value = self.long()?;
                self.push(Object::Int(value), &[])
            }
            b'G' => {
                self.take(8)?;
                self.push(Object::Float, &[])
            }
            // BINUNICODE, SHORT_BINUNICODE
            b'X' => {
                let length = self.u32()?;
                self.text(usize::try_from(length).unwrap_or(usize::MAX))
            }
            0x8c => {
                let length = self.byte()?;
                self.text(length.into())
            }
            // MARK
            b'(' => {
                self.marks.push(self.stack.len());
                Ok(())
            }
            // EMPTY_TUPLE, TUPLE1, TUPLE2, TUPLE3, TUPLE
            b')' => self.push(Object::Tuple(Vec::new()), &[]),
            0x85..=0x87 => {
                let mut items = Vec::with_capacity(3);
                for _ in 0x85..=operation {
                    items.push(self.pop()?);
                }
                items.reverse();
                self.push(Object::Tuple(items.clone()), &items)
            }
            b't' => {
                let items = self.pop_to_mark()?;
                self.push(Object::Tuple(items.clone()), &items)
            }
            // EMPTY_LIST, APPEND, APPENDS
            b']' => self.push(Object::List(Vec::new()), &[]),
            b'a' => {
                let item = self.pop()?;
                self.append(vec![item])
            }
            b'e' => {
                let items = self.pop_to_mark()?;
                self.append(items)
            }
            // EMPTY_DICT, SETITEM, SETITEMS
            b'}' => self.push(Object::Dict(Dict::default()), &[]),
            b's' => {
                let value = self.pop()?;
                let key = self.pop()?;
                self.set_items(&[key, value])
            }
            b'u' => {
                let items = self.pop_to_mark()?;
                self.set_items(&items)
            }
            // REDUCE, BUILD, BINPERSID
            b'R' => self.reduce(),
            b'b' => self.build(),
            b'Q' => {
                let id = self.pop()?;
                let storage = self.storage(id)?;
                self.push(Object::Storage(Box::new(storage)), &[])
            }
            // NEWOBJ: a record of a known class
            0x81 => {
                let arguments = self.pop()?;
                let class = self.pop()?;
                match (&self.objects[class], &self.objects[arguments]) {
                    (&Object::Label(Label::Class(class)), Object::Tuple(none))
                        if none.is_empty() =>
                    {
                        self.push(Object::Record(Record { class, state: None }), &[])
                    }
                    _ => Err(refuse_label("an object of a Python class")),
                }
            }
            // the relatives of NEWOBJ
            b'i' | b'o' | 0x92 => Err(refuse_label("an object of a Python class")),
            _ => Err(Error::new("the pickle holds an operation that plain tensors do not need")
                .found(format!("operation {operation:#04x} at byte {start}"))
                .remedy("save a state_dict with torch.save and import that")),
        }
    }

    fn damaged(&self, what: &str) -> Error {
        Error::new(format!("the pickle is damaged: {what}")).found(format!("byte {}", self.at))
    }

    fn take(&mut self, count: usize) -> Result<&[u8]> {
        let end = self.at.checked_add(count).filter(|&end| end <= self.bytes.len());
        let Some(end) = end else { return Err(self.damaged("it ends too early")) };
        let taken = &self.bytes[self.at..end];
        self.at = end;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    fn byte(&mut self) -> Result<u8> {
        self.array().map(|[byte]| byte)
    }

    fn u32(&mut self) -> Result<u32> {
        self.array().map(u32::from_le_bytes)
    }

    /// Two's complement of up to 8 bytes.
    fn long(&mut self) -> Result<i64> {
        let length = usize::from(self.byte()?);
        if length > 8 {
            return Err(self.damaged("a number is longer than 64 bits"));
        }
        let bytes = self.take(length)?;
        let sign = bytes.last().is_some_and(|byte| byte & 0x80 != 0);
        let mut wide = [if sign { 0xff } else { 0 }; 8];
        wide[..length].copy_from_slice(bytes);
        Ok(i64::from_le_bytes(wide))
    }

    fn line(&mut self) -> Result<String> {
        let rest = &self.bytes[self.at..];
        let length = rest.iter().take(MAX_TEXT).position(|&byte| byte == b'\n');
        let Some(length) = length else { return Err(self.damaged("a name has no end")) };
        let text = String::from_utf8_lossy(&rest[..length]).into_owned();
        self.at += length + 1;
        Ok(text)
    }

    fn text(&mut self, length: usize) -> Result<()> {
        if length > MAX_TEXT {
            return Err(limit("letters in one text", MAX_TEXT));
        }
        let Ok(text) = std::str::from_utf8(self.take(length)?).map(str::to_string) else {
            return Err(self.damaged("a text is not UTF-8"));
        };
        self.push(Object::Text(text), &[])
    }

    /// Pushes a new object that holds `children`.
    fn push(&mut self, object: Object, children: &[Id]) -> Result<()> {
        self.objects.push(object);
        self.depths.push(0);
        let id = self.objects.len() - 1;
        self.stack.push(id);
        self.deepen(id, children)
    }

    fn deepen(&mut self, id: Id, children: &[Id]) -> Result<()> {
        let deepest = children.iter().map(|&child| self.depths[child].saturating_add(1)).max();
        let depth = self.depths[id].max(deepest.unwrap_or(0));
        if depth > MAX_DEPTH {
            return Err(limit("levels of nesting", MAX_DEPTH.into()));
        }
        self.depths[id] = depth;
        Ok(())
    }

    /// The topmost value above the last mark.
    fn pop(&mut self) -> Result<Id> {
        let floor = self.marks.last().copied().unwrap_or(0);
        if self.stack.len() <= floor {
            return Err(self.damaged("an operation lacks its values"));
        }
        self.stack.pop().ok_or_else(|| self.damaged("an operation lacks its values"))
    }

    fn top(&self) -> Result<Id> {
        let floor = self.marks.last().copied().unwrap_or(0);
        let top = self.stack.last().filter(|_| self.stack.len() > floor);
        top.copied().ok_or_else(|| self.damaged("an operation lacks its values"))
    }

    fn pop_to_mark(&mut self) -> Result<Vec<Id>> {
        let Some(mark) = self.marks.pop() else { return Err(self.damaged("a mark is missing")) };
        Ok(self.stack.split_off(mark))
    }

    fn pop_text(&mut self) -> Result<String> {
        let id = self.pop()?;
        match &self.objects[id] {
            Object::Text(text) => Ok(text.clone()),
            _ => Err(self.damaged("a name is not a text")),
        }
    }

    fn remember(&mut self, key: u32) -> Result<()> {
        let id = self.top()?;
        self.memo.insert(key, id);
        Ok(())
    }

    fn recall(&mut self, key: u32) -> Result<()> {
        let Some(&id) = self.memo.get(&key) else {
            return Err(self.damaged("a remembered value is missing"));
        };
        self.stack.push(id);
        Ok(())
    }

    fn append(&mut self, items: Vec<Id>) -> Result<()> {
        let id = self.top()?;
        self.deepen(id, &items)?;
        match &mut self.objects[id] {
            Object::List(list) => {
                list.extend(items);
                Ok(())
            }
            _ => Err(self.damaged("something is appended to what is not a list")),
        }
    }

    fn set_items(&mut self, items: &[Id]) -> Result<()> {
        let id = self.top()?;
        let (pairs, odd) = items.as_chunks::<2>();
        if !odd.is_empty() {
            return Err(self.damaged("a key has no value"));
        }
        self.deepen(id, items)?;
        match &mut self.objects[id] {
            Object::Dict(dict) => {
                dict.entries.extend(pairs.iter().map(|&[key, value]| (key, value)));
                Ok(())
            }
            _ => Err(self.damaged("an item is set in what is not a dict")),
        }
    }

    /// The calls that saved networks make, as data.
    fn reduce(&mut self) -> Result<()> {
        let arguments = self.pop()?;
        let callee = self.pop()?;
        let Object::Tuple(arguments) = &self.objects[arguments] else {
            return Err(self.damaged("a call has no arguments"));
        };
        let object = match (&self.objects[callee], arguments.as_slice()) {
            (Object::Label(Label::OrderedDict), []) => {
                Object::Dict(Dict { ordered: true, ..Dict::default() })
            }
            (Object::Label(Label::Set), [] | [_]) => Object::None,
            (Object::Label(Label::RebuildTensor), [storage, offset, shape, strides, ..])
                if (6..=7).contains(&arguments.len()) =>
            {
                Object::Tensor(Box::new(self.tensor(*storage, *offset, *shape, *strides)?))
            }
            (Object::Label(Label::RebuildParameter), &[tensor, _, _]) => {
                match &self.objects[tensor] {
                    Object::Tensor(tensor) => Object::Tensor(tensor.clone()),
                    _ => return Err(self.damaged("a parameter is not a tensor")),
                }
            }
            _ => return Err(self.damaged("a call is not one that makes a tensor or a dict")),
        };
        self.push(object, &[])
    }

    /// Attributes of an `OrderedDict` (`_metadata`): taken off and left unused. Those of a record:
    /// kept.
    fn build(&mut self) -> Result<()> {
        let state = self.pop()?;
        let target = self.top()?;
        match (&self.objects[target], &self.objects[state]) {
            (Object::Dict(Dict { ordered: true, .. }), Object::Dict(_)) => Ok(()),
            (&Object::Record(Record { class, state: None }), Object::Dict(_)) => {
                self.deepen(target, &[state])?;
                self.objects[target] = Object::Record(Record { class, state: Some(state) });
                Ok(())
            }
            _ => Err(refuse_label("an object with a state of its own")),
        }
    }

    /// `("storage", CLASS, KEY, DEVICE, COUNT)`; the device does not matter.
    fn storage(&self, id: Id) -> Result<Storage> {
        let wrong = || self.damaged("a storage is not described as PyTorch does");
        let Object::Tuple(parts) = &self.objects[id] else { return Err(wrong()) };
        let &[tag, class, key, device, count] = parts.as_slice() else { return Err(wrong()) };
        let object = |id: Id| &self.objects[id];
        match (object(tag), object(class), object(key), object(device), object(count)) {
            (
                Object::Text(tag),
                Object::Label(Label::Storage(element)),
                Object::Text(key),
                Object::Text(_),
                Object::Int(count),
            ) if tag == "storage" => Ok(Storage {
                element: *element,
                key: key.clone(),
                count: usize::try_from(*count).map_err(|_| wrong())?,
            }),
            _ => Err(wrong()),
        }
    }

    fn tensor(&self, storage: Id, offset: Id, shape: Id, strides: Id) -> Result<TensorView> {
        let wrong = || self.damaged("a tensor is not described as PyTorch does");
        let size = |id: &Id| match self.objects[*id] {
            Object::Int(n) => usize::try_from(n).map_err(|_| wrong()),
            _ => Err(wrong()),
        };
        let sizes = |id: Id| match &self.objects[id] {
            Object::Tuple(items) => items.iter().map(size).collect::<Result<Vec<usize>>>(),
            _ => Err(wrong()),
        };
        let Object::Storage(storage) = &self.objects[storage] else { return Err(wrong()) };
        let view = TensorView {
            storage: storage.as_ref().clone(),
            offset: size(&offset)?,
            shape: sizes(shape)?,
            strides: sizes(strides)?,
        };
        if view.shape.len() != view.strides.len() {
            return Err(wrong());
        }
        Ok(view)
    }
}
