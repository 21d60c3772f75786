//! The C++ shim, and the allocator of the C library: the only foreign functions of this room that
//! are not the bindings'.

use crate::error::{Error, Result};
use std::ffi::{CStr, c_char, c_int, c_void};
use std::path::PathBuf;
use std::ptr;
use tch::Tensor;

unsafe extern "C" {
    fn atrous_message() -> *const c_char;
    fn atrous_libtorch_version() -> *const c_char;
    fn atrous_libtorch_path() -> *const c_char;
    fn atrous_set_arithmetic(tf32: c_int) -> c_int;
    fn atrous_pinned(bytes: i64, tensor: *mut *mut c_void) -> c_int;
    fn atrous_cuda_memory(device: c_int, free: *mut u64, total: *mut u64) -> c_int;
    fn atrous_cuda_empty_cache() -> c_int;
    fn atrous_cuda_event(device: c_int, event: *mut *mut c_void) -> c_int;
    fn atrous_cuda_wait(event: *mut c_void) -> c_int;
}

/// The text that a function of the shim returned.
///
/// # Safety
/// `text` ends in a zero and lives until the next call of the shim by this thread.
unsafe fn owned(text: *const c_char) -> String {
    // SAFETY: as the caller promises
    unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned()
}

fn checked(answer: c_int) -> Result<()> {
    if answer == 0 {
        return Ok(());
    }
    // SAFETY: the message is a string of this thread that the next failure replaces
    Err(super::failed(&unsafe { owned(atrous_message()) }))
}

/// The version of libtorch whose headers were compiled: `2.11.0`.
pub fn version() -> String {
    // SAFETY: a string constant
    unsafe { owned(atrous_libtorch_version()) }
}

/// The folder that libtorch was loaded from.
pub fn library_folder() -> Option<PathBuf> {
    // SAFETY: the loader keeps the names of its libraries
    let path = PathBuf::from(unsafe { owned(atrous_libtorch_path()) });
    path.parent().map(PathBuf::from)
}

/// Whether 32-bit convolutions and products on a GPU may round their factors to TF32; for the
/// whole process.
///
/// # Errors
/// What libtorch says.
pub fn set_arithmetic(tf32: bool) -> Result<()> {
    // SAFETY: takes a number, keeps nothing
    checked(unsafe { atrous_set_arithmetic(c_int::from(tf32)) })
}

/// A tensor of page-locked bytes, not initialised.
///
/// # Errors
/// What libtorch says; no memory.
pub fn pinned(bytes: usize) -> Result<Tensor> {
    let bytes = i64::try_from(bytes).map_err(|_| Error::new("a batch is too large"))?;
    let mut tensor = ptr::null_mut();
    // SAFETY: `tensor` is a valid place for the answer
    checked(unsafe { atrous_pinned(bytes, &mut tensor) })?;
    // SAFETY: a new `at::Tensor`, which is what the bindings wrap, and nobody else's
    Ok(unsafe { Tensor::from_ptr(tensor.cast()) })
}

/// Free memory of a card and all of it, in bytes.
///
/// # Errors
/// What libtorch says.
pub fn memory(device: usize) -> Result<(u64, u64)> {
    let (mut free, mut total) = (0, 0);
    // SAFETY: both places are valid for the answer
    checked(unsafe { atrous_cuda_memory(number(device)?, &mut free, &mut total) })?;
    Ok((free, total))
}

/// Gives memory that libtorch keeps for later back to the driver.
///
/// # Errors
/// What libtorch says.
pub fn empty_cache() -> Result<()> {
    // SAFETY: takes nothing
    checked(unsafe { atrous_cuda_empty_cache() })
}

/// A place in the work that was sent to a card.
pub struct Event(*mut c_void);

impl Event {
    /// Behind everything that has been sent so far.
    ///
    /// # Errors
    /// What libtorch says.
    pub fn record(device: usize) -> Result<Self> {
        let mut event = ptr::null_mut();
        // SAFETY: `event` is a valid place for the answer
        checked(unsafe { atrous_cuda_event(number(device)?, &mut event) })?;
        Ok(Self(event))
    }

    /// Waits until the card has come there.
    ///
    /// # Errors
    /// What went wrong on the card until then.
    pub fn wait(mut self) -> Result<()> {
        let event = std::mem::replace(&mut self.0, ptr::null_mut());
        // SAFETY: made by the shim, which takes it back; `drop` sees a null pointer
        checked(unsafe { atrous_cuda_wait(event) })
    }
}

impl Drop for Event {
    fn drop(&mut self) {
        if !self.0.is_null() {
            // SAFETY: made by the shim and not yet given back; its failure was reported elsewhere
            unsafe { atrous_cuda_wait(self.0) };
        }
    }
}

fn number(device: usize) -> Result<c_int> {
    c_int::try_from(device).map_err(|_| Error::new("no such device").found(device))
}

/// Has the C library keep the memory of freed tensors: returned to the system and asked for again,
/// every page of every layer faults (cpu-kernels.md 2).
pub fn keep_freed_memory() {
    #[cfg(target_env = "gnu")]
    {
        unsafe extern "C" {
            fn mallopt(parameter: c_int, value: c_int) -> c_int;
        }
        // malloc.h
        const TRIM_THRESHOLD: c_int = -1;
        const MMAP_MAX: c_int = -4;
        // SAFETY: documented parameters of the C library's own allocator
        unsafe {
            mallopt(MMAP_MAX, 0);
            mallopt(TRIM_THRESHOLD, c_int::MAX);
        }
    }
}
