// A port whose wire is the fuzzer's: bytes come in the portions it was told, and what the walk writes into the TUN is
// kept. The walk of tunnel/inbound.h runs on it without a thread, a socket or a device.
#pragma once

#include <deque>

#include "tests/fuzz/fuzz.h"
#include "tunnel/inbound.h"

namespace lt::fuzz {

struct DeliveredPacket {
  tunnel::VnetHeader vnet;
  std::vector<Byte> bytes;
};

class ScriptedPort {
 public:
  /// What is received next; behind the last portion the stream ends.
  void add_portion(ByteView bytes) {
    if (!bytes.empty()) portions_.emplace_back(bytes.begin(), bytes.end());
  }
  /// Writes stay under way while more bytes come in, as a kernel may let them: their memory is read late.
  void let_writes_lag() { writes_lag_ = true; }

  [[nodiscard]] const std::vector<DeliveredPacket>& delivered() const { return delivered_; }

  // --- the contract of tunnel/io_port.h, as far as the way in needs it ---

  Status adopt(int) { return {}; }
  void read(std::uint64_t, int, std::span<iovec>, tunnel::ReadMode) { expect(false, "the way in reads no device"); }
  void send(std::uint64_t, int, std::span<iovec>) { expect(false, "the way in sends nothing"); }
  [[nodiscard]] std::optional<tunnel::PathSample> path(int) const { return std::nullopt; }
  void cancel_reads(int) { expect(false, "the way in reads no device"); }
  void wake() {}
  [[nodiscard]] Instant now() const { return Instant(std::chrono::hours(1)); }  // its time stands still

  void receive(std::uint64_t tag, int, ByteSpan into) {
    expect(!receiving_, "one receive waits at a time");
    expect(!into.empty(), "a receive has room");
    receiving_ = true;
    receive_tag_ = tag;
    into_ = into;
  }

  void write(std::uint64_t tag, int, std::span<iovec> vectors) {
    expect(vectors.size() == 2 && vectors[0].iov_len == tunnel::vnet_header_bytes, "a packet is written behind its offload header");
    under_way_.push_back({tag, {vectors.begin(), vectors.end()}});
  }

  Result<std::span<const tunnel::Completion>> wait(Instant) {
    handed_over_.clear();
    const bool has_writes = !under_way_.empty();
    if (!has_writes || (writes_lag_ && receiving_ && !has_lagged_)) {
      expect(receiving_, "the walk waits for something");
      handed_over_.push_back({receive_tag_, next_portion()});
      receiving_ = false;
      has_lagged_ = has_writes;
      return std::span<const tunnel::Completion>(handed_over_);
    }
    has_lagged_ = false;
    for (const Write& write : under_way_) handed_over_.push_back({write.tag, carry_out(write)});
    under_way_.clear();
    return std::span<const tunnel::Completion>(handed_over_);
  }

 private:
  struct Write {
    std::uint64_t tag;
    std::vector<iovec> vectors;
  };

  // Only now the memory is read.
  int carry_out(const Write& write) {
    const auto* const bytes = static_cast<const Byte*>(write.vectors[1].iov_base);
    delivered_.push_back({tunnel::load_vnet(static_cast<const Byte*>(write.vectors[0].iov_base)),
                          {bytes, bytes + write.vectors[1].iov_len}});
    return static_cast<int>(write.vectors[0].iov_len + write.vectors[1].iov_len);
  }

  int next_portion() {
    if (portions_.empty()) return 0;
    std::vector<Byte>& portion = portions_.front();
    const std::size_t count = std::min(portion.size(), into_.size());
    std::copy_n(portion.begin(), count, into_.begin());
    portion.erase(portion.begin(), portion.begin() + static_cast<std::ptrdiff_t>(count));
    if (portion.empty()) portions_.pop_front();
    return static_cast<int>(count);
  }

  std::deque<std::vector<Byte>> portions_;
  std::vector<DeliveredPacket> delivered_;
  std::vector<Write> under_way_;
  std::vector<tunnel::Completion> handed_over_;
  bool writes_lag_{false};
  bool has_lagged_{false};
  bool receiving_{false};
  std::uint64_t receive_tag_{0};
  ByteSpan into_;
};
static_assert(tunnel::IoPort<ScriptedPort>);

}  // namespace lt::fuzz
