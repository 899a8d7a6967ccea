// InnerConnections: TCP connections between the two LANs of a lab, as programs there have them. Each says a numbered message
// twice a second and is answered with the same; what comes back altered, and whatever ends one of them, is counted.
#pragma once

#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "base/fd.h"
#include "base/result.h"
#include "lab/sandbox.h"

namespace lt::soak {

/// How long a connection of the kernel may say nothing though its path is there: its waits double with each retransmission
/// that is lost, up to 120 s (TCP_RTO_MAX), and begin anew only with an answer. Many short faults in a row add up likewise.
inline constexpr auto tcp_silence_longest = std::chrono::seconds(120 + 10);

class InnerConnections {
 public:
  /// @pre the LANs reach each other
  static Result<std::unique_ptr<InnerConnections>> start(const lab::Sandbox& sandbox, std::size_t count);
  ~InnerConnections();

  [[nodiscard]] std::uint64_t answers() const { return answers_; }
  [[nodiscard]] unsigned ended() const { return ended_; }
  [[nodiscard]] unsigned altered() const { return altered_; }
  /// Connections that were answered since `when`.
  [[nodiscard]] std::size_t alive_since(Instant when) const;
  /// What the kernels know of all of them: timers, waits, what is unacknowledged.
  [[nodiscard]] std::string kernel_view(const lab::Sandbox& sandbox) const;
  [[nodiscard]] std::size_t count() const { return clients_.size(); }

 private:
  struct Client {
    Fd socket;
    std::uint64_t said{0};
    std::uint64_t heard{0};      // of the message under way (unit: B)
    bool has_ended{false};
    Instant next_message{};
    std::atomic<Instant::rep> answered_at{0};
  };
  void serve();
  void talk();
  void speak(Client& client, Instant now);
  void listen(Client& client, Instant now);

  Fd listener_;
  std::vector<std::unique_ptr<Client>> clients_;
  std::atomic<std::uint64_t> answers_{0};
  std::atomic<unsigned> ended_{0};
  std::atomic<unsigned> altered_{0};
  std::atomic<bool> stopping_{false};
  std::thread server_;
  std::thread talker_;
};

}  // namespace lt::soak
