// IoPort: how a data thread does its I/O. Operations are queued, then carried out together by wait().
//
// Two ports keep the same contract: UringPort hands a whole round (send this record, read the next packets) to the
// kernel in one system call; EpollPort makes one call each and runs everywhere. A thread owns its port alone.
//
// Contract
//   1. Operations on one descriptor and one direction are carried out in the order they were queued; at most one of
//      them waits at a time, and at most one send is under way.
//   2. Each operation completes exactly once: with a byte count, or with a negative errno.
//   3. A `read` marked `now` completes at once with -EAGAIN where it would have to wait.
//   4. `send` completes when every byte is handed to the kernel; stopped before, with the error or with less.
//   5. Memory named by an operation stays untouched by its owner until the operation completes or the port is gone.
//      A port that goes takes back what is under way before it is gone.
//   6. wait() may end for nothing, before its time.
//   7. cancel_reads() takes back the reads that wait on a descriptor: each completes, with -ECANCELED or with the packet
//      that has come meanwhile.
//   8. Completions are collected, then handed over; nothing runs inside the reaping (W-7).
#pragma once

#include <sys/uio.h>

#include <concepts>
#include <cstdint>
#include <optional>
#include <span>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/result.h"
#include "tunnel/path_sample.h"

namespace lt::tunnel {

struct Completion {
  std::uint64_t tag;  // what the operation was queued with
  int result;         // bytes (unit: B), or a negative errno
};

enum class ReadMode : std::uint8_t { waiting, now };

template <class T>
concept IoPort = requires(T port, int fd, std::uint64_t tag, std::span<iovec> vectors, ByteSpan into, Instant until) {
  // Makes `fd` fit for this port (blocking or not). Before the first operation on it.
  { port.adopt(fd) } -> std::same_as<Status>;
  { port.read(tag, fd, vectors, ReadMode::waiting) } -> std::same_as<void>;
  { port.write(tag, fd, vectors) } -> std::same_as<void>;
  { port.receive(tag, fd, into) } -> std::same_as<void>;
  { port.send(tag, fd, vectors) } -> std::same_as<void>;
  // Carries out what is queued and waits until something completes, wake() is called, or `until` has come.
  // The completions stay valid until the next call.
  { port.wait(until) } -> std::same_as<Result<std::span<const Completion>>>;
  { port.cancel_reads(fd) } -> std::same_as<void>;
  // What a connection tells about its path; nothing where it is none that could.
  { port.path(fd) } -> std::same_as<std::optional<PathSample>>;
  // The time by which `until` is meant.
  { port.now() } -> std::same_as<Instant>;
  // Ends a wait(), now or the next one. @thread any
  { port.wake() } -> std::same_as<void>;
};

}  // namespace lt::tunnel
