//! What the NVIDIA driver says about the cards of this machine, without libtorch.

use libloading::{Library, Symbol};
use std::error::Error;
use std::ffi::{CStr, c_char, c_int, c_uint};

const LIBRARY: &str = "libcuda.so.1";

/// A GPU as the driver describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Card {
    /// `NVIDIA H200`.
    pub name: String,
    /// All of its memory, in bytes.
    pub memory: u64,
}

/// The cards that this process may use, in the order of their numbers, or why none can be seen.
///
/// # Errors
/// No driver, or what it says, in words.
pub fn cards() -> Result<Vec<Card>, String> {
    // SAFETY: the driver's library; its initialisers are its own affair
    let library = unsafe { Library::new(LIBRARY) }.map_err(|error| reason(&error))?;
    let driver = Driver { library };
    driver.call(c"cuInit", |function: Symbol<unsafe extern "C" fn(c_uint) -> c_int>| {
        // SAFETY: the signature of the driver's manual; flags must be 0
        unsafe { function(0) }
    })?;
    let mut count = 0;
    type Count = unsafe extern "C" fn(*mut c_int) -> c_int;
    driver.call(c"cuDeviceGetCount", |function: Symbol<Count>| {
        // SAFETY: the signature of the driver's manual; a valid place for the answer
        unsafe { function(&mut count) }
    })?;
    (0..count).map(|index| driver.card(index)).collect()
}

/// Why a library cannot be loaded: the loader's own words.
pub fn reason(error: &libloading::Error) -> String {
    error.source().map_or_else(|| error.to_string(), ToString::to_string)
}

struct Driver {
    library: Library,
}

impl Driver {
    fn card(&self, index: c_int) -> Result<Card, String> {
        type Name = unsafe extern "C" fn(*mut c_char, c_int, c_int) -> c_int;
        type Memory = unsafe extern "C" fn(*mut usize, c_int) -> c_int;
        type Handle = unsafe extern "C" fn(*mut c_int, c_int) -> c_int;
        const LONGEST: usize = 256;
        let (mut device, mut memory, mut name) = (0, 0, [0; LONGEST]);
        self.call(c"cuDeviceGet", |function: Symbol<Handle>| {
            // SAFETY: the signature of the driver's manual; a valid place for the answer
            unsafe { function(&mut device, index) }
        })?;
        self.call(c"cuDeviceGetName", |function: Symbol<Name>| {
            // SAFETY: the signature of the driver's manual; the last byte is never written to
            unsafe { function(name.as_mut_ptr(), LONGEST as c_int - 1, device) }
        })?;
        self.call(c"cuDeviceTotalMem_v2", |function: Symbol<Memory>| {
            // SAFETY: the signature of the driver's manual; a valid place for the answer
            unsafe { function(&mut memory, device) }
        })?;
        // SAFETY: the buffer ends in a zero, whatever the driver wrote before it
        let name = unsafe { CStr::from_ptr(name.as_ptr()) }.to_string_lossy().into_owned();
        Ok(Card { name, memory: memory as u64 })
    }

    /// Calls a function of the driver and turns what it answers into words.
    fn call<F>(&self, name: &CStr, call: impl FnOnce(Symbol<F>) -> c_int) -> Result<(), String> {
        // SAFETY: the callers name functions of the driver's manual with their signatures
        let function = unsafe { self.library.get::<F>(name.to_bytes_with_nul()) };
        match call(function.map_err(|error| reason(&error))?) {
            0 => Ok(()),
            answer => Err(format!("{} answers {}", name.to_string_lossy(), self.words(answer))),
        }
    }

    /// `CUDA_ERROR_NO_DEVICE (100)`.
    fn words(&self, answer: c_int) -> String {
        type Words = unsafe extern "C" fn(c_int, *mut *const c_char) -> c_int;
        let mut text = std::ptr::null();
        // SAFETY: the signature of the driver's manual
        let known = unsafe { self.library.get::<Words>(b"cuGetErrorName\0") }
            // SAFETY: a valid place for the answer
            .is_ok_and(|function| unsafe { function(answer, &mut text) } == 0);
        match known && !text.is_null() {
            // SAFETY: the driver's own string constant
            true => format!("{} ({answer})", unsafe { CStr::from_ptr(text) }.to_string_lossy()),
            false => format!("error {answer}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_driver_is_there_with_cards_of_a_size_or_its_absence_has_a_reason() {
        match cards() {
            Ok(cards) => assert!(cards.iter().all(|card| card.memory > 1 << 28), "{cards:?}"),
            Err(why) => assert!(why.contains("libcuda") || why.contains("answers"), "{why}"),
        }
    }
}
