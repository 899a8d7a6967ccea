// The keeper: a small process that keeps the one privilege the daemon gives up, CAP_NET_ADMIN.
//
// Forked before the daemon reads a key, so it has never held one. It knows the link's config from that moment and takes
// nothing else: what the daemon may ask is one of six fixed requests of eight bytes, a verb and a number in a checked
// range; no name, path, address or device of the daemon's choosing. It reads no packet and speaks to no peer.
//
//   daemon  ── SOCK_SEQPACKET ──  keeper
//     install         addresses, routes, rules of the config
//     make_socket     an outer socket of one family, with the config's mark and congestion control
//     set_mtu         of the link's device, within the config's
//     set_queue       of the link's device
//     put_back        whatever of the link is missing
//     finish          everything away, the control socket last, and end
//
// When the daemon goes without a word (killed, crashed) the keeper goes too and leaves rules and unreachable routes
// standing: nothing leaves in clear, and the next start takes them over. docs/adr/0015-keeper-and-sandbox.md
#pragma once

#include <cstdint>
#include <mutex>
#include <string>

#include "app/privileges.h"
#include "base/fd.h"
#include "base/ip.h"
#include "base/units.h"
#include "tunnel/netlink.h"
#include "tunnel/tcp_stream.h"

namespace lt::app {

enum class KeeperVerb : std::uint8_t { install = 1, make_socket, set_mtu, set_queue, put_back, finish };

/// Both ways over the socket pair, one a datagram.
struct KeeperRequest {
  KeeperVerb verb;
  std::uint8_t reserved[3];
  std::uint32_t value;  // make_socket: 4 or 6 · set_mtu: bytes · set_queue: packets · else 0
};
static_assert(sizeof(KeeperRequest) == 8);

struct KeeperOptions {
  tunnel::SiteRoutesOptions routes;
  tunnel::StreamOptions stream;    // mark and congestion control
  std::uint32_t mtu_max{1500};     // (unit: B)
  std::string control_path;        // removed at the end
  SandboxMode sandbox{SandboxMode::enforce};
};

/// The daemon's end. @thread any; one request at a time
class Keeper {
 public:
  /// Forks. @pre one thread, no key in memory
  [[nodiscard]] static Result<std::unique_ptr<Keeper>> start(const KeeperOptions& options);

  // Errors of all: what the keeper met; closed: it is gone; timed_out: it does not answer.
  [[nodiscard]] Status install();
  [[nodiscard]] Result<Fd> make_socket(Family family);
  [[nodiscard]] Status set_mtu(std::uint32_t mtu);
  [[nodiscard]] Status set_queue(Packets packets);
  [[nodiscard]] Result<tunnel::PutBack> put_back();
  /// Takes everything of the link away again, and ends the keeper.
  void finish();

  /// Readable once the keeper is gone.
  [[nodiscard]] int fd() const { return socket_.get(); }
  [[nodiscard]] pid_t pid() const { return pid_; }

 private:
  Keeper(Fd socket, pid_t pid) : socket_(std::move(socket)), pid_(pid) {}

  std::mutex mutex_;  // one question and its answer at a time
  Fd socket_;
  pid_t pid_;
};

/// What the keeper does with one datagram of the daemon: for tests. @return the answer; and a socket in `passed`
struct KeeperAnswer {
  bool is_good{false};
  Errc code{};
  std::uint8_t reserved[2]{};
  std::int32_t sys_errno{0};
  tunnel::PutBack put_back{};
  char text[240]{};  // the error's sentence, ends with a zero
};

class KeeperWork {
 public:
  explicit KeeperWork(KeeperOptions options) : options_(std::move(options)) {}
  KeeperAnswer carry_out(ByteView datagram, Fd& passed);
  [[nodiscard]] bool is_finished() const { return is_finished_; }
  /// Leaves everything as it stands.
  void abandon();

 private:
  Status act(const KeeperRequest& request, Fd& passed, tunnel::PutBack& put_back);
  Status set_mtu(std::uint32_t mtu);
  Status set_queue(std::uint32_t packets);

  KeeperOptions options_;
  std::optional<tunnel::SiteRoutes> routes_;
  bool is_finished_{false};
};

}  // namespace lt::app
