// World: two hosts, their daemons, the network between them, the traffic of two LANs, and all that must hold whatever
// befalls them. One seed determines everything.
//
// What must hold, always
//   a packet that comes out is one that went in, byte for byte, once, and in the order of its flow
//   each lane: taken from the device = sealed + dropped + held; sealed = delivered + dropped + lost
//   lost is 0 where the receiver has heard GOODBYE, and wherever nothing has befallen the link
//   no nonce is used twice under one key
//   nobody spins, nothing piles up, no lane joins a session that was replaced
// and, once the network is good again
//   both ends are up with the agreed number of lanes, and every queue carries packets
#pragma once

#include <array>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "tests/sim/daemon.h"
#include "tests/sim/dice.h"
#include "tests/sim/network.h"
#include "tests/sim/schedule.h"

namespace lt::sim {

struct WorldOptions {
  std::uint64_t seed{1};
  std::uint8_t lanes{1};
  std::uint8_t server_lanes{0};  // 0: as many
  std::uint32_t tun_mtu{1500};
  tunnel::LinkTimes times{};
  tunnel::RatchetLimits ratchet{};
  nanoseconds round_trip{std::chrono::milliseconds(20)};
  nanoseconds jitter{0};
  double bytes_per_second{125e6};
  double loss{0};
  double device_full_chance{0};
  double stall_chance{0};
};

struct Flow {
  std::size_t side{0};
  std::size_t queue{0};
  std::size_t packet_bytes{200};
  nanoseconds interval{std::chrono::milliseconds(20)};  // 0: its queue is never empty
  bool is_steered{true};  // goes to another queue where its own is not read
};

struct WorldStats {
  std::uint64_t packets_sent{0};
  std::uint64_t packets_delivered{0};
  std::uint64_t bytes_delivered{0};
  std::uint64_t packets_lost{0};      // with lanes that ended without hand-over
  std::uint64_t packets_refused{0};   // by a device queue that was full
  std::uint64_t lanes_over{0};
  std::uint64_t take_overs{0};        // of them: moved
  std::uint64_t ratchets{0};
  std::uint64_t sessions{0};
  std::uint64_t lies{0};
};

class World : public Onlooker {
 public:
  explicit World(const WorldOptions& options);
  ~World() override;

  // --- what is done to it ---
  void start(std::size_t side);
  void kill(std::size_t side);       // -9: the kernel closes its sockets
  void cut_power(std::size_t side);  // nobody closes anything
  void stop(std::size_t side) { if (daemons_[side]) daemons_[side]->stop(); }
  void pause(std::size_t side) { if (daemons_[side]) daemons_[side]->pause(); }
  void go_on(std::size_t side) { if (daemons_[side] && daemons_[side]->is_paused()) daemons_[side]->go_on(); }
  void change_client_address();
  void set_paths(bool is_up) {
    network_.set_path(0, is_up);
    network_.set_path(1, is_up);
  }
  /// From here on losses are nobody's fault but the network's.
  void note_fault(nanoseconds lasting = {}) {
    has_fault_ = true;
    faults_end_ = std::max(faults_end_, schedule_.now() + lasting);
  }
  [[nodiscard]] Instant faults_end() const { return faults_end_; }
  /// Everything is well again, and what is down is started.
  void heal();
  std::uint32_t add_flow(const Flow& flow);
  void stop_flows() { are_flows_on_ = false; }

  // --- time passes ---
  /// @return false: something that must hold does not
  bool run_for(nanoseconds span) { return run_until(schedule_.now() + span, [] { return false; }); }
  /// Until `done`, at most for `span`. @return whether it came to that
  template <class Done>
  bool run_until_true(nanoseconds span, Done done) {
    run_until(schedule_.now() + span, done);
    return !failure_ && done();
  }

  // --- what it is like ---
  [[nodiscard]] bool is_joined() const;
  /// The network has been good for a while: is the link? Fails where it is not.
  bool check_alive(nanoseconds patience);
  /// Both daemons end in good order, and everything is counted.
  bool check_end();
  [[nodiscard]] const std::optional<std::string>& failure() const { return failure_; }
  [[nodiscard]] Daemon* daemon(std::size_t side) { return daemons_[side].get(); }
  [[nodiscard]] Network& network() { return network_; }
  [[nodiscard]] Schedule& schedule() { return schedule_; }
  [[nodiscard]] Dice& dice() { return dice_; }
  [[nodiscard]] const WorldOptions& options() const { return options_; }
  [[nodiscard]] WorldStats stats() const;
  [[nodiscard]] Instant last_delivery(std::uint32_t flow) const { return flows_[flow].last_at; }
  /// Of the clocks of the two daemons.
  [[nodiscard]] nanoseconds clock_distance() const {
    return std::chrono::abs(pace_of_[0]->clock_offset - pace_of_[1]->clock_offset);
  }
  /// When a packet came out at a site last.
  [[nodiscard]] Instant last_arrival(std::size_t side) const { return last_arrival_[side]; }
  /// So far, of the daemon that runs at a site.
  [[nodiscard]] std::uint64_t ratchets_of(std::size_t side) const { return daemons_[side] ? daemons_[side]->ratchets() : 0; }
  [[nodiscard]] std::uint64_t take_overs_of(std::size_t side) const { return daemons_[side] ? daemons_[side]->take_overs() : 0; }
  /// One packet of a flow, at once.
  void send_now(std::uint32_t flow) { send_packet(newest(flow)); }
  /// Called with the flow, as it was added, of every packet that comes out.
  std::function<void(std::uint32_t)> on_delivery;
  [[nodiscard]] std::uint64_t sent(std::uint32_t flow) const { return flows_[flow].number; }
  [[nodiscard]] std::uint64_t delivered(std::uint32_t flow) const { return flows_[flow].delivered; }
  [[nodiscard]] const std::deque<std::string>& log() const { return log_; }
  void keep_log(std::size_t lines) { log_lines_ = lines; }
  /// Called with every event of a daemon.
  std::function<void(std::size_t side, const tunnel::LinkEvent&)> on_link_event;
  void say(const std::string& line);
  void fail(const std::string& what) override;

 private:
  class Device;
  struct FlowState {
    Flow flow;
    std::uint64_t number{0};          // of packets sent; the last one's number
    std::uint64_t last_delivered{0};
    std::uint64_t delivered{0};
    Instant last_at{};
    std::uint32_t origin{0};          // the flow it was added as
    std::uint32_t newest{0};          // of an origin: what it goes on as
    bool is_over{false};
  };
  struct LaneRecord {
    std::array<LaneDeeds, 2> deeds;
    std::array<bool, 2> is_over{};
    std::array<std::uint64_t, 2> taken{};
    std::array<std::uint64_t, 2> delivered{};
  };

  template <class Done>
  bool run_until(Instant until, Done done) {
    while (!failure_ && !done() && schedule_.step(until)) {
      if ((schedule_.steps() & 0xfff) == 0) check_now();
    }
    check_now();
    return !failure_;
  }
  void check_now();
  void check_connects();
  void emit(std::uint32_t id);
  void send_packet(std::uint32_t id);
  [[nodiscard]] std::uint32_t newest(std::uint32_t flow) const { return flows_[flow].newest; }
  void refill(std::size_t side, std::size_t queue);
  void retire_lane(Network::Id id, LaneRecord& record);
  void check_sender(Network::Id id, const LaneRecord& record, std::size_t side);
  void steer(std::size_t side);

  void on_event(std::size_t side, const tunnel::LinkEvent& event) override;
  void on_lanes(std::size_t side) override { steer(side); }
  void on_lane_over(std::size_t side, Network::Id id, const LaneDeeds& deeds) override;

  WorldOptions options_;
  Dice dice_;
  Dice thread_dice_;
  Schedule schedule_;
  Network network_;
  std::array<std::unique_ptr<Device>, 2> devices_;
  std::deque<Pace> paces_;
  std::deque<Thread> threads_;
  std::array<std::unique_ptr<Daemon>, 2> daemons_;
  std::array<Pace*, 2> pace_of_{};
  std::vector<FlowState> flows_;
  std::map<Network::Id, LaneRecord> lanes_;
  IpAddress client_address_;
  std::array<Instant, 2> last_arrival_{};
  bool are_flows_on_{true};
  bool has_fault_{false};
  Instant faults_end_{};
  std::deque<std::pair<Instant, std::size_t>> connects_seen_;
  WorldStats stats_;
  std::optional<std::string> failure_;
  std::deque<std::string> log_;
  std::size_t log_lines_{200};
};

}  // namespace lt::sim
