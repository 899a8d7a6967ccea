// Lane: one TCP connection of a session, with two threads of its own, one a direction.
//
// Life: start() -> both walks run -> one of them ends, or stop() is called -> GOODBYE, end of stream both ways, at
// most two seconds, or as long as a lane that hands over drains (P-76) -> `on_end` is called, once, from the lane's own
// thread. The owner then destroys it.
//
// A lane may hand over to another one, fresh from its handshake, on the same TUN queue: each direction of the successor
// begins when the same direction of this lane has ended. Not a packet is lost, none overtakes another.
#pragma once

#include <functional>
#include <latch>
#include <memory>
#include <optional>
#include <thread>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "crypto/aead.h"
#include "tunnel/admission.h"
#include "tunnel/drop_reason.h"
#include "tunnel/handshake.h"
#include "tunnel/lane_life.h"
#include "tunnel/sealing.h"

namespace lt::tunnel {

enum class IoBackend : std::uint8_t { io_uring, epoll };

struct LaneOptions {
  std::vector<int> tun_queues;  // at least one; all are read, the first is written. They stay open until the lane is gone
  bool tun_offload{false};
  IoBackend io{IoBackend::epoll};
  std::size_t record_bytes_max{0};  // plaintext that packing puts together (unit: B)
  std::chrono::nanoseconds queue_target{0};  // as OutboundOptions
  bool waits_with_reno{false};              // as OutboundOptions
  bool thins_acks{false};                    // as OutboundOptions
  std::size_t unsent_most{0};                // as OutboundOptions
  RatchetLimits ratchet{};
  crypto::AeadBackend aead{crypto::AeadBackend::automatic};
  LaneTimes times{};
  bool waits_for_turn{false};       // it is the successor of a lane that will hand_over_to() it
  std::function<void()> on_end;     // @thread the lane's; must not destroy the lane
};

class Lane {
 public:
  static Result<std::unique_ptr<Lane>> start(Fd socket, Established established, Admission admission, LaneOptions options);
  ~Lane();  // stops it and waits for its threads
  Lane(const Lane&) = delete;
  Lane& operator=(const Lane&) = delete;

  /// Asks it to end with GOODBYE(`reason`); returns at once. @thread any
  void stop(GoodbyeReason reason);
  /// Ends it without a word: the path is known to be gone, and GOODBYE would only cost time. @thread any
  void abort();
  /// Ends it, with GOODBYE(`reason`) or without a word; each direction of `successor` then takes its turn.
  /// @pre `successor` was started with waits_for_turn and lives until this lane has ended, or until forget_successor()
  /// @thread the owner's
  void hand_over_to(Lane& successor, std::optional<GoodbyeReason> reason);
  void forget_successor(const Lane& successor);
  /// Waits for its end, which stop() brings within LaneTimes::patience. @thread the owner's
  void wait();

  /// @thread any
  [[nodiscard]] bool has_ended() const { return has_ended_.load(std::memory_order_acquire); }
  /// @pre has_ended()
  [[nodiscard]] const LaneReport& report() const { return report_; }

  [[nodiscard]] const LaneState& state() const { return life_.state(); }
  [[nodiscard]] const DropCounters& outbound_drops() const { return outbound_drops_; }
  [[nodiscard]] const DropCounters& inbound_drops() const { return inbound_drops_; }
  [[nodiscard]] std::uint32_t tun_mtu() const { return tun_mtu_; }
  [[nodiscard]] int socket_fd() const { return socket_.get(); }
  [[nodiscard]] bool waits_with_reno() const { return options_.waits_with_reno; }

 private:
  Lane(Fd socket, Admission admission, LaneOptions options, Instant now);
  template <class Io>
  void run_outbound(Sealer sealer);
  template <class Io>
  void run_inbound(Opener opener, std::vector<Byte> early_records);
  void conclude(LaneEnd outbound_end);

  Fd socket_;
  Admission admission_;
  LaneOptions options_;
  std::uint32_t tun_mtu_{0};
  std::size_t record_limit_{0};
  LaneLife life_;
  DropCounters outbound_drops_;
  DropCounters inbound_drops_;

  LaneReport report_;  // written before has_ended_
  std::atomic<bool> has_ended_{false};
  std::latch ports_made_{2};
  std::thread outbound_;
  std::thread inbound_;
};

}  // namespace lt::tunnel
