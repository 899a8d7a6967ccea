// Faults: what befalls two daemons and the line between them, drawn from one seed. Each ends by itself, within `fault_longest`.
//
//   path     cut both ways, cut one way, lossy, slow, corrupting below TCP
//   peer     killed, told to end, stopped, and started again, some under a wall clock that jumps ten years each second
//   network  connections reset by a firewall, the client's address changed
//   people   strangers by the hundred
#pragma once

#include <array>
#include <chrono>
#include <functional>
#include <map>
#include <random>
#include <string>

#include "base/clock.h"
#include "base/process.h"
#include "lab/sandbox.h"

namespace lt::soak {

inline constexpr auto fault_longest = std::chrono::seconds(20);

/// What the faults may do to the daemons; both by the index of a site: 0 office, 1 off-site.
struct DaemonControl {
  std::function<pid_t(std::size_t)> pid;
  /// Ends it by a signal, waits, and starts it again after `pause`.
  std::function<void(std::size_t, int signal, std::chrono::milliseconds pause, bool jumping_clock)> restart;
};

class Faults {
 public:
  Faults(lab::Sandbox& sandbox, DaemonControl daemons, std::uint64_t seed) : sandbox_(sandbox), daemons_(std::move(daemons)), random_(seed) {}

  /// One fault from its beginning to its end. @param may_end  the site whose daemon may be ended
  /// @error the lab's: it is no longer what it was
  [[nodiscard]] Status befall(std::size_t may_end);
  /// Nothing befalls the line any more.
  [[nodiscard]] Status heal();
  [[nodiscard]] const std::map<std::string, unsigned>& counts() const { return counts_; }
  [[nodiscard]] const std::string& last() const { return last_; }

 private:
  Status path_words(const std::vector<std::string>& words, std::chrono::milliseconds span);
  Status cut_one_way(std::chrono::milliseconds span);
  Status stop(std::chrono::milliseconds span);
  Status reset(std::chrono::milliseconds span);
  Status move_client();
  Status flood();
  Status run(lab::Host host, const Argv& argv);
  [[nodiscard]] std::uint64_t draw(std::uint64_t least, std::uint64_t most) {
    return std::uniform_int_distribution<std::uint64_t>(least, most)(random_);
  }

  lab::Sandbox& sandbox_;
  DaemonControl daemons_;
  std::mt19937_64 random_;
  std::map<std::string, unsigned> counts_;
  std::string last_;
  std::string client_address_;  // the one it was moved to
};

}  // namespace lt::soak
