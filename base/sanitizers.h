// Which sanitizer this is built with: LT_HAS_ADDRESS_SANITIZER and LT_HAS_THREAD_SANITIZER are 1 or 0. GCC says it by macros of
// its own, clang by __has_feature.
#pragma once

#if defined(__SANITIZE_ADDRESS__)
#define LT_HAS_ADDRESS_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define LT_HAS_ADDRESS_SANITIZER 1
#endif
#endif
#ifndef LT_HAS_ADDRESS_SANITIZER
#define LT_HAS_ADDRESS_SANITIZER 0
#endif

#if defined(__SANITIZE_THREAD__)
#define LT_HAS_THREAD_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define LT_HAS_THREAD_SANITIZER 1
#endif
#endif
#ifndef LT_HAS_THREAD_SANITIZER
#define LT_HAS_THREAD_SANITIZER 0
#endif
