//! One vector register of each instruction set, so that a kernel is written once.
//!
//! Every function is `#[inline(always)]`: a kernel becomes vector code when the function with the
//! matching `#[target_feature]` inlines it (see [`run`]).

use super::Isa;

/// A kernel with its arguments, written once for registers of any instruction set.
pub trait Work {
    /// Does it. Implementations are `#[inline(always)]`.
    ///
    /// # Safety
    /// The processor has the instruction set of `V`.
    unsafe fn run<V: Lanes>(self);
}

/// Does work with the registers of an instruction set.
///
/// # Panics
/// When the processor lacks it.
pub fn run(isa: Isa, work: impl Work) {
    assert!(isa.is_available());
    // SAFETY: the processor has the instruction set.
    unsafe {
        match isa {
            Isa::Portable => work.run::<Portable>(),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => x86::on_avx2(work),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => x86::on_avx512(work),
            #[cfg(not(target_arch = "x86_64"))]
            Isa::Avx2 | Isa::Avx512 => unreachable!("not available"),
        }
    }
}

/// A register of [`Lanes::WIDTH`] numbers.
///
/// # Safety
/// All functions need the instruction set of the type; `load` and `store` touch `WIDTH` numbers.
#[allow(clippy::missing_safety_doc)]
pub trait Lanes: Copy {
    /// Numbers per register; divides 16.
    const WIDTH: usize;
    /// Reads `WIDTH` numbers.
    unsafe fn load(from: *const f32) -> Self;
    /// Writes `WIDTH` numbers.
    unsafe fn store(self, to: *mut f32);
    /// The same number in each lane.
    unsafe fn splat(x: f32) -> Self;
    /// `self + other`
    unsafe fn plus(self, other: Self) -> Self;
    /// `self − other`
    unsafe fn minus(self, other: Self) -> Self;
    /// `self · other`
    unsafe fn times(self, other: Self) -> Self;
    /// `self + a · b`, fused where the instruction set fuses.
    unsafe fn add_product(self, a: Self, b: Self) -> Self;
    /// `self − a · b`, fused where the instruction set fuses.
    unsafe fn sub_product(self, a: Self, b: Self) -> Self;
    /// `self` where it is not below zero (a NaN is not), `other` where it is.
    unsafe fn or_if_negative(self, other: Self) -> Self;
}

/// Four numbers in plain Rust: SSE2 or NEON code on the processors that have them.
#[derive(Clone, Copy)]
pub struct Portable([f32; 4]);

impl Portable {
    #[inline(always)]
    fn with(self, other: Self, f: impl Fn(f32, f32) -> f32) -> Self {
        Self(std::array::from_fn(|i| f(self.0[i], other.0[i])))
    }
}

impl Lanes for Portable {
    const WIDTH: usize = 4;
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: the caller vouches for four numbers; arrays need no more alignment than f32.
        Self(unsafe { *from.cast() })
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: as for `load`.
        unsafe { *to.cast() = self.0 }
    }
    #[inline(always)]
    unsafe fn splat(x: f32) -> Self {
        Self([x; 4])
    }
    #[inline(always)]
    unsafe fn plus(self, other: Self) -> Self {
        self.with(other, |a, b| a + b)
    }
    #[inline(always)]
    unsafe fn minus(self, other: Self) -> Self {
        self.with(other, |a, b| a - b)
    }
    #[inline(always)]
    unsafe fn times(self, other: Self) -> Self {
        self.with(other, |a, b| a * b)
    }
    #[inline(always)]
    unsafe fn add_product(self, a: Self, b: Self) -> Self {
        self.with(a.with(b, |a, b| a * b), |x, product| x + product)
    }
    #[inline(always)]
    unsafe fn sub_product(self, a: Self, b: Self) -> Self {
        self.with(a.with(b, |a, b| a * b), |x, product| x - product)
    }
    #[inline(always)]
    unsafe fn or_if_negative(self, other: Self) -> Self {
        self.with(other, |x, other| if x < 0.0 { other } else { x })
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::{Lanes, Work};
    use std::arch::x86_64::*;

    /// # Safety
    /// The processor has AVX2 and FMA.
    #[target_feature(enable = "avx2,fma")]
    pub unsafe fn on_avx2(work: impl Work) {
        // SAFETY: passed on.
        unsafe { work.run::<__m256>() }
    }

    /// # Safety
    /// The processor has AVX-512F.
    #[target_feature(enable = "avx512f,avx2,fma")]
    pub unsafe fn on_avx512(work: impl Work) {
        // SAFETY: passed on.
        unsafe { work.run::<__m512>() }
    }

    /// # Safety
    /// The processor has AVX-512F.
    #[inline(always)]
    unsafe fn or_if_negative_512(x: __m512, other: __m512) -> __m512 {
        // SAFETY: the caller vouches for the instruction set.
        unsafe {
            _mm512_mask_mov_ps(x, _mm512_cmp_ps_mask::<_CMP_LT_OQ>(x, _mm512_setzero_ps()), other)
        }
    }

    /// # Safety
    /// The processor has AVX2.
    #[inline(always)]
    unsafe fn or_if_negative_256(x: __m256, other: __m256) -> __m256 {
        // SAFETY: the caller vouches for the instruction set.
        unsafe { _mm256_blendv_ps(x, other, _mm256_cmp_ps::<_CMP_LT_OQ>(x, _mm256_setzero_ps())) }
    }

    /// The body of [`Lanes`] in the intrinsics of one register type.
    macro_rules! lanes {
        ($register:ty, $width:literal, $load:ident, $store:ident, $splat:ident, $add:ident,
         $sub:ident, $mul:ident, $fma:ident, $fnma:ident, $or_if_negative:ident) => {
            impl Lanes for $register {
                const WIDTH: usize = $width;
                #[inline(always)]
                unsafe fn load(from: *const f32) -> Self {
                    // SAFETY: the caller vouches for the instruction set and the memory.
                    unsafe { $load(from) }
                }
                #[inline(always)]
                unsafe fn store(self, to: *mut f32) {
                    // SAFETY: as for `load`.
                    unsafe { $store(to, self) }
                }
                #[inline(always)]
                unsafe fn splat(x: f32) -> Self {
                    // SAFETY: the caller vouches for the instruction set; so in all that follow.
                    unsafe { $splat(x) }
                }
                #[inline(always)]
                unsafe fn plus(self, other: Self) -> Self {
                    // SAFETY: see `splat`.
                    unsafe { $add(self, other) }
                }
                #[inline(always)]
                unsafe fn minus(self, other: Self) -> Self {
                    // SAFETY: see `splat`.
                    unsafe { $sub(self, other) }
                }
                #[inline(always)]
                unsafe fn times(self, other: Self) -> Self {
                    // SAFETY: see `splat`.
                    unsafe { $mul(self, other) }
                }
                #[inline(always)]
                unsafe fn add_product(self, a: Self, b: Self) -> Self {
                    // SAFETY: see `splat`.
                    unsafe { $fma(a, b, self) }
                }
                #[inline(always)]
                unsafe fn sub_product(self, a: Self, b: Self) -> Self {
                    // SAFETY: see `splat`.
                    unsafe { $fnma(a, b, self) }
                }
                #[inline(always)]
                unsafe fn or_if_negative(self, other: Self) -> Self {
                    // SAFETY: see `splat`.
                    unsafe { $or_if_negative(self, other) }
                }
            }
        };
    }

    lanes!(
        __m512,
        16,
        _mm512_loadu_ps,
        _mm512_storeu_ps,
        _mm512_set1_ps,
        _mm512_add_ps,
        _mm512_sub_ps,
        _mm512_mul_ps,
        _mm512_fmadd_ps,
        _mm512_fnmadd_ps,
        or_if_negative_512
    );
    lanes!(
        __m256,
        8,
        _mm256_loadu_ps,
        _mm256_storeu_ps,
        _mm256_set1_ps,
        _mm256_add_ps,
        _mm256_sub_ps,
        _mm256_mul_ps,
        _mm256_fmadd_ps,
        _mm256_fnmadd_ps,
        or_if_negative_256
    );
}
