/// What each compiler and processor family says in its own way, under one name: attributes, builtins,
/// pragmas, assembly. No other file of csrc may hold such a construct (tests/build/test_compilers.py). Macros
/// alone, so it may be included first inside the namespace of an ISA too.
#pragma once

#if defined(_MSC_VER)
#include <intrin.h>
#include <math.h>
#include <string.h>
#endif

// ---- the processor family ---------------------------------------------------------------------------

#if defined(__x86_64__) || defined(_M_X64)
#define TIMELOOM_X86_64 1
#elif defined(__aarch64__) || defined(_M_ARM64)
#define TIMELOOM_AARCH64 1
#endif

// ---- functions and loops ----------------------------------------------------------------------------

#if defined(__GNUC__) || defined(__clang__)
#define TIMELOOM_INLINE inline __attribute__((always_inline))
#define TIMELOOM_NOINLINE __attribute__((noinline))
#elif defined(_MSC_VER)
#define TIMELOOM_INLINE __forceinline
#define TIMELOOM_NOINLINE __declspec(noinline)
#else
#define TIMELOOM_INLINE inline
#define TIMELOOM_NOINLINE
#endif

// The same for a lambda, between its parameters and its body.
#if defined(__GNUC__) || defined(__clang__)
#define TIMELOOM_INLINE_LAMBDA __attribute__((always_inline))
#elif defined(_MSC_VER)
#define TIMELOOM_INLINE_LAMBDA [[msvc::forceinline]]
#else
#define TIMELOOM_INLINE_LAMBDA
#endif

// Before a short loop whose trip count is a constant: its arrays of accumulators must become registers.
#if defined(__clang__)
#define TIMELOOM_UNROLL _Pragma("clang loop unroll(full)")
#elif defined(__GNUC__)
#define TIMELOOM_UNROLL _Pragma("GCC unroll 16")
#else
#define TIMELOOM_UNROLL
#endif

// Before the loop over the summed index: with other work on the second thread of a core the tiles are bound
// by the number of instructions, and counting takes three of 22.
#if defined(__clang__)
#define TIMELOOM_UNROLL_BY_4 _Pragma("clang loop unroll_count(4)")
#elif defined(__GNUC__)
#define TIMELOOM_UNROLL_BY_4 _Pragma("GCC unroll 4")
#else
#define TIMELOOM_UNROLL_BY_4
#endif

// Asks for the cache line of an address, which need not exist.
#if defined(__GNUC__) || defined(__clang__)
#define TIMELOOM_PREFETCH(address) __builtin_prefetch(address)
#elif defined(_M_X64)
#define TIMELOOM_PREFETCH(address) _mm_prefetch(reinterpret_cast<const char*>(address), _MM_HINT_T0)
#else
#define TIMELOOM_PREFETCH(address) static_cast<void>(address)
#endif

// ---- mathematics without a header -------------------------------------------------------------------

// TIMELOOM_C_FUNCTION(sqrtf)(x): a function of the C library that the compiler knows; nothing is linked.
#if defined(__GNUC__) || defined(__clang__)
#define TIMELOOM_C_FUNCTION(name) __builtin_##name
#define TIMELOOM_INFINITY __builtin_huge_val()
#define TIMELOOM_NAN __builtin_nan("")
#else
#define TIMELOOM_C_FUNCTION(name) ::name
#define TIMELOOM_INFINITY HUGE_VAL
#define TIMELOOM_NAN NAN
#endif

// Contraction to fma is off by a flag where there is one. Visual Studio 2019 contracts unless told so here.
#if defined(_MSC_VER) && !defined(__clang__)
#pragma fp_contract(off)
#endif

// ---- registers of the processor ---------------------------------------------------------------------

#if defined(TIMELOOM_X86_64)
// words[4] = eax, ebx, ecx, edx of CPUID; low and high 32 bits of XCR0. All of std::uint32_t.
#if defined(__GNUC__) || defined(__clang__)
#define TIMELOOM_READ_CPUID(leaf, words)                                                    \
  __asm__ volatile("cpuid"                                                                  \
                   : "=a"((words)[0]), "=b"((words)[1]), "=c"((words)[2]), "=d"((words)[3]) \
                   : "a"(leaf), "c"(0))
#define TIMELOOM_READ_XCR0(low, high) __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0))
#elif defined(_MSC_VER)
#define TIMELOOM_READ_CPUID(leaf, words) __cpuidex(reinterpret_cast<int*>(words), static_cast<int>(leaf), 0)
#define TIMELOOM_READ_XCR0(low, high) \
  ((low) = static_cast<std::uint32_t>(_xgetbv(0)), (high) = static_cast<std::uint32_t>(_xgetbv(0) >> 32))
#endif
#elif defined(TIMELOOM_AARCH64)
// The floating-point mode as std::uint64_t, and the hint of a thread that spins.
#if defined(__GNUC__) || defined(__clang__)
#define TIMELOOM_READ_FPCR(value) __asm__ volatile("mrs %0, fpcr" : "=r"(value))
#define TIMELOOM_WRITE_FPCR(value) __asm__ volatile("msr fpcr, %0" : : "r"(value))
#define TIMELOOM_YIELD() __asm__ volatile("isb")  // yield is over in a cycle; this takes some ten nanoseconds
#elif defined(_MSC_VER)
// 0x5a20 encodes FPCR: op0 3, op1 3, CRn 4, CRm 4, op2 0.
#define TIMELOOM_READ_FPCR(value) ((value) = static_cast<std::uint64_t>(_ReadStatusReg(0x5a20)))
#define TIMELOOM_WRITE_FPCR(value) _WriteStatusReg(0x5a20, static_cast<__int64>(value))
#define TIMELOOM_YIELD() __yield()
#endif
#endif
