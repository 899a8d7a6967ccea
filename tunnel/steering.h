// Steering: tells the kernel onto which queue of the device, and so onto which lane, a packet goes.
//
// A small program of ours (eBPF, socket filter) is attached to the device; the kernel runs it for
// each packet that it hands to the device. It decides as classify() does (flow_class.h), then looks
// into a table that lies in memory of this process:
//
//   packet -> express            -> table.express -> queue
//          -> bulk, hash -> slot -> table.slots[slot] -> queue
//
// Lanes come and go by plain writes into that table: no system call, no privilege, at any time. A
// slot that changes its queue may reorder its flows once; so no more slots change than must.
//
// Threads: one thread writes. Each entry is an aligned 32-bit word, written and read at once, and
// entries do not depend on each other, so the kernel may look at any moment.
//
// Needs Linux >= 5.5 and, at attach only, CAP_BPF (or root). ADR docs/adr/0016-steering-by-ebpf.md.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "tunnel/flow_class.h"

namespace lt::tunnel {

/// The queue of each slot.
using SlotTable = std::array<std::uint32_t, flow_slots>;

/// Shares the slots of `table` among `queues`, as evenly as can be, moving as few as can be.
/// @pre queues is not empty and names each queue once
[[nodiscard]] SlotTable spread(const SlotTable& table, std::span<const std::uint32_t> queues);

class Steering {
 public:
  /// Loads the program and attaches it to the device; every packet goes to queue 0 at first. It
  /// stays with the device until that goes, and keeps to the last table.
  ///
  /// @param tun_fd         any queue of the device
  /// @error not_permitted  neither root nor CAP_BPF
  /// @error unsupported    a kernel that refuses the program, its table, or to attach it: the
  ///                       device should have one queue only
  [[nodiscard]] static Result<Steering> attach(int tun_fd);

  Steering(Steering&& other) noexcept;
  Steering& operator=(Steering&& other) noexcept;
  Steering(const Steering&) = delete;
  Steering& operator=(const Steering&) = delete;
  ~Steering();

  /// The kernel takes a queue modulo the number of queues that the device has.
  void steer_express_to(std::uint32_t queue) noexcept;
  /// @pre slot < flow_slots
  void steer_slot(std::size_t slot, std::uint32_t queue) noexcept;
  /// All slots onto `queues`, as spread() says.
  /// @pre queues is not empty and names each queue once
  void spread_over(std::span<const std::uint32_t> queues);

  [[nodiscard]] std::uint32_t express_queue() const noexcept;
  [[nodiscard]] SlotTable slots() const noexcept;
  /// Where a packet of this class goes now.
  [[nodiscard]] std::uint32_t queue_of(FlowClass flow) const noexcept;

  /// For tests, which let the kernel run the program on packets of theirs.
  [[nodiscard]] int program_fd() const { return program_.get(); }

 private:
  // What the program reads. Entries are written by one thread, read by the kernel.
  struct Table {
    std::uint32_t express;
    SlotTable slots;
  };
  Steering(Fd program, Fd map, Table* table)
      : program_(std::move(program)), map_(std::move(map)), table_(table) {}

  Fd program_;
  Fd map_;
  Table* table_;  // shared with the kernel; unmapped at the end
};

}  // namespace lt::tunnel
