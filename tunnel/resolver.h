// Resolver: turns the other site's name into addresses, in a thread of its own, so that a dead name server stops
// nothing else. The last good answer is kept for as long as no better one comes.
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "base/ip.h"
#include "tunnel/tcp_stream.h"

namespace lt::tunnel {

class Resolver {
 public:
  /// @param on_answer  called after each answer, good or bad @thread the resolver's
  Resolver(Endpoint endpoint, std::function<void()> on_answer);
  ~Resolver();
  Resolver(const Resolver&) = delete;
  Resolver& operator=(const Resolver&) = delete;

  /// Asks anew, unless a question is under way. A numeric host is answered at once.
  void ask();
  /// The next of the known addresses: each has its turn.
  /// @error unreachable: none is known yet; the sentence says what the name server said last
  [[nodiscard]] Result<SocketAddress> next_address();
  [[nodiscard]] bool is_asking() const;

 private:
  // Outlives a resolver whose question hangs: getaddrinfo() cannot be called off.
  struct Shared {
    std::mutex mutex;
    std::function<void()> on_answer;
    bool is_asking{false};
    std::vector<SocketAddress> known;
    std::string failure{"the name of the other site is not resolved yet"};
  };

  Endpoint endpoint_;
  std::shared_ptr<Shared> shared_;
  std::size_t turn_{0};
};

}  // namespace lt::tunnel
