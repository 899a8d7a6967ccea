// Daemon: one site's process in the simulation. What `Link` and `Lane` do with sockets, threads and the clock is done
// here with the simulation's; LinkMachine, LaneLife, Outbound and Inbound are the product's own.
#pragma once

#include <deque>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <optional>

#include "tests/sim/network.h"
#include "tests/sim/sim_port.h"
#include "tests/sim/thread.h"
#include "tunnel/inbound.h"
#include "tunnel/lane_life.h"
#include "tunnel/link_machine.h"
#include "tunnel/outbound.h"

namespace lt::sim {

struct DaemonOptions {
  std::size_t side{0};  // 0 connects
  const crypto::TlsContext* tls{nullptr};
  crypto::PublicKey own_key{};
  crypto::PublicKey peer_key{};
  std::uint8_t lanes{1};
  bool express{false};
  std::uint32_t tun_mtu{1500};
  std::uint32_t record_limit{256 * 1024};
  tunnel::LinkTimes times{};
  tunnel::RatchetLimits ratchet{};
  tunnel::DoorLimits door{};
  IpAddress address{};  // it connects from
};

/// What one end of a lane has done, told when it has ended, or as far as it came.
struct LaneDeeds {
  std::uint64_t admitted{0};      // packets sealed, or on their way to it
  std::uint64_t outbound_drops{0};
  std::uint64_t delivered{0};     // handed to the device
  std::uint64_t inbound_drops{0};
  bool has_ended{false};          // in good order, not with its process
  bool has_said_goodbye{false};
  bool has_heard_goodbye{false};
  tunnel::LaneEnd end{tunnel::LaneEnd::running};
  std::uint64_t ratchets{0};
};

/// What the simulation wants to know of a daemon.
class Onlooker {
 public:
  virtual ~Onlooker() = default;
  virtual void on_event(std::size_t side, const tunnel::LinkEvent& event) = 0;
  virtual void on_lanes(std::size_t side) = 0;  // which queues are read has changed
  virtual void on_lane_over(std::size_t side, Network::Id id, const LaneDeeds& deeds) = 0;
  virtual void fail(const std::string& what) = 0;
};

class Daemon : public Watcher {
 public:
  Daemon(const DaemonOptions& options, Schedule& schedule, Network& network, TunSide& tun, Pace& pace,
         std::deque<Thread>& threads, Onlooker& onlooker);
  ~Daemon() override;  // kill -9
  Daemon(const Daemon&) = delete;
  Daemon& operator=(const Daemon&) = delete;

  void on_socket() override { link_->ready(); }
  void stop();      // SIGINT
  void pause();     // SIGSTOP
  void go_on();     // SIGCONT
  [[nodiscard]] bool is_paused() const { return pace_.is_stopped; }
  [[nodiscard]] bool is_stopping() const { return is_stopping_; }
  [[nodiscard]] bool has_ended() const { return has_ended_; }
  void set_address(const IpAddress& address) { options_.address = address; }

  [[nodiscard]] const tunnel::LinkMachine& machine() const { return *machine_; }
  /// The connection of the lane that runs on an index.
  [[nodiscard]] std::optional<Network::Id> lane_connection(std::size_t index) const;
  /// As Link::snapshot() says it.
  [[nodiscard]] bool is_proven() const;
  [[nodiscard]] std::vector<bool> queues_read() const;
  [[nodiscard]] std::uint64_t turns() const { return turns_; }
  [[nodiscard]] std::uint64_t ratchets() const;
  [[nodiscard]] std::uint64_t take_overs() const { return take_overs_; }

 private:
  struct Connection {
    tunnel::ConnectionId id;
    Network::Id socket;
    bool is_connecting{false};
    bool is_over{false};
    std::vector<Byte> unsent;
    std::optional<tunnel::DoStartLane> becomes;
  };
  struct Lane;

  void run();
  void turn();
  void accept_all();
  void serve(Connection& connection);
  void receive(Connection& connection);
  void flush(Connection& connection);
  void carry_out();
  void carry_out(tunnel::DoConnect& wish);
  void carry_out(tunnel::DoSend& wish);
  void carry_out(tunnel::DoClose& wish);
  void carry_out(tunnel::DoStartLane& wish);
  void carry_out(tunnel::DoStopLane& wish);
  void carry_out(tunnel::DoTell& wish);
  void launch(Connection& connection);
  void run_inbound(Lane& lane, ByteView early);
  void run_outbound(Lane& lane);
  [[nodiscard]] Connection* find_connection(tunnel::ConnectionId id);
  [[nodiscard]] LaneDeeds deeds_of(const Lane& lane) const;
  void hear_lanes();
  void bury_ended_lanes();
  void check_bounds();
  [[nodiscard]] Instant now() const { return pace_.now(); }

  DaemonOptions options_;
  Schedule& schedule_;
  Network& network_;
  TunSide& tun_;
  Pace& pace_;
  std::deque<Thread>& threads_;
  Onlooker& onlooker_;
  tunnel::AdmissionOptions admission_;
  std::unique_ptr<tunnel::LinkMachine> machine_;
  Thread* link_{nullptr};
  std::list<Connection> connections_;
  std::list<Lane> lanes_;
  std::vector<bool> queues_read_;
  tunnel::SessionId session_id_{};  // of the newest
  bool is_stopping_{false};
  bool has_ended_{false};
  std::uint64_t turns_{0};
  std::uint64_t ratchets_{0};  // of lanes that have ended
  std::uint64_t take_overs_{0};
  Instant idle_turn_at_{};
  unsigned idle_turns_{0};
};

}  // namespace lt::sim
