#include "tests/sim/world.h"

#include "base/assert.h"
#include "tests/sim/crypto_seams.h"

namespace lt::sim {

using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {

constexpr std::size_t device_queue_max = 1000;  // txqueuelen
constexpr std::size_t greedy_packets = 16;      // that a flow without a pause keeps in its queue

struct Site {
  crypto::Identity identity;
  crypto::TlsContext tls;
};

Site make_site() {
  auto identity = crypto::Identity::generate();
  LT_ASSERT(identity.has_value());
  auto tls = crypto::TlsContext::create(*identity);
  LT_ASSERT(tls.has_value());
  return {std::move(*identity), std::move(*tls)};
}

// Made once: keys of their own would make no difference to what happens.
const Site& site(std::size_t side) {
  static const std::array<Site, 2> sites = [] {
    seed_randomness(1);
    return std::array<Site, 2>{make_site(), make_site()};
  }();
  return sites[side];
}

}  // namespace

// --- the device of a host, as long as its daemon lives ---

class World::Device : public TunSide {
 public:
  Device(World& world, std::size_t side, std::size_t queues)
      : world_(world), side_(side), queues_(queues), watchers_(queues) {}

  bool add(std::size_t queue, TunPacket packet) {
    if (queues_[queue].size() >= device_queue_max) return false;
    queues_[queue].push_back(std::move(packet));
    for (Watcher* const watcher : std::exchange(watchers_[queue], {})) watcher->on_socket();
    return true;
  }
  [[nodiscard]] std::size_t count(std::size_t queue) const { return queues_[queue].size(); }
  [[nodiscard]] std::size_t bytes() const {
    std::size_t sum = 0;
    for (const auto& queue : queues_) {
      for (const TunPacket& packet : queue) sum += packet.bytes.size();
    }
    return sum;
  }
  void clear() {
    for (auto& queue : queues_) queue.clear();
  }

  std::optional<TunPacket> take(std::size_t queue, Network::Id carrier) override {
    auto& waiting = queues_[queue];
    if (waiting.empty()) return std::nullopt;
    TunPacket packet = std::move(waiting.front());
    waiting.pop_front();
    set_carrier(packet.bytes, carrier);
    ++world_.lanes_[carrier].taken[side_];
    world_.refill(side_, queue);
    return packet;
  }

  int put(ByteView packet, Network::Id carrier) override {
    const auto label = read_packet(1 - side_, packet);
    if (!label || label->flow >= world_.flows_.size()) {
      world_.fail("a packet comes out that was never sent, or was altered");
      return -EINVAL;
    }
    if (label->carrier != carrier) world_.fail("a packet comes out of another lane than it went into");
    if (world_.options_.device_full_chance > 0 && world_.dice_.chance(world_.options_.device_full_chance)) return -EAGAIN;
    FlowState& flow = world_.flows_[label->flow];
    if (flow.flow.side == side_) world_.fail("a packet comes back to where it was sent");
    if (label->number <= flow.last_delivered) {
      world_.fail("flow " + std::to_string(label->flow) + ": packet " + std::to_string(label->number) + " comes after " +
                  std::to_string(flow.last_delivered));
    }
    flow.last_delivered = label->number;
    flow.last_at = world_.last_arrival_[side_] = world_.schedule_.now();
    ++flow.delivered;
    ++world_.lanes_[carrier].delivered[side_];
    ++world_.stats_.packets_delivered;
    world_.stats_.bytes_delivered += packet.size();
    if (world_.on_delivery) world_.on_delivery(world_.flows_[label->flow].origin);
    return static_cast<int>(packet.size());
  }

  void wait_for_packet(std::size_t queue, Watcher* watcher) override {
    auto& watchers = watchers_[queue];
    if (std::find(watchers.begin(), watchers.end(), watcher) == watchers.end()) watchers.push_back(watcher);
  }
  void forget(Watcher* watcher) override {
    for (auto& watchers : watchers_) std::erase(watchers, watcher);
  }

 private:
  World& world_;
  std::size_t side_;
  std::vector<std::deque<TunPacket>> queues_;
  std::vector<std::vector<Watcher*>> watchers_;
};

World::World(const WorldOptions& options)
    : options_(options),
      dice_(options.seed),
      thread_dice_(dice_.fork()),
      network_(schedule_, dice_.fork()),
      client_address_(*IpAddress::parse("192.0.2.10")) {
  static_cast<void>(site(0));
  seed_randomness(options.seed);
  forget_seals();
  has_fault_ = options.loss > 0;  // a segment that is lost twice holds a lane up until it is taken for dead
  flows_.emplace_back();  // ids begin at 1
  for (std::size_t side : {0U, 1U}) {
    devices_[side] = std::make_unique<Device>(*this, side, 16);
    Path& path = network_.path(side);
    path.latency = options.round_trip / 2;
    path.jitter = options.jitter;
    path.bytes_per_second = options.bytes_per_second;
    path.loss = options.loss;
  }
}

World::~World() {
  for (auto& daemon : daemons_) daemon.reset();
}

// --- what is done to it ---

void World::start(std::size_t side) {
  if (daemons_[side]) return;
  Pace& pace = paces_.emplace_back();
  pace.schedule = &schedule_;
  pace.dice = &thread_dice_;
  pace.stall_chance = options_.stall_chance;
  // Each start on a clock of its own: nothing that crosses the wire may depend on it.
  pace.clock_offset = std::chrono::hours(dice_.between(0, 87600));
  pace_of_[side] = &pace;
  const std::uint8_t server_lanes = options_.server_lanes == 0 ? options_.lanes : options_.server_lanes;
  DaemonOptions daemon;
  daemon.side = side;
  daemon.tls = &site(side).tls;
  daemon.own_key = site(side).identity.public_key();
  daemon.peer_key = site(1 - side).identity.public_key();
  daemon.lanes = side == 0 ? options_.lanes : server_lanes;
  daemon.tun_mtu = options_.tun_mtu;
  daemon.times = options_.times;
  daemon.ratchet = options_.ratchet;
  daemon.address = client_address_;
  say(std::string(side == 0 ? "client" : "server") + " starts");
  daemons_[side] = std::make_unique<Daemon>(daemon, schedule_, network_, *devices_[side], pace, threads_, *this);
}

void World::kill(std::size_t side) {
  if (!daemons_[side]) return;
  say(std::string(side == 0 ? "client" : "server") + " is killed");
  daemons_[side].reset();
  devices_[side]->clear();
}

void World::cut_power(std::size_t side) {
  say(std::string(side == 0 ? "client" : "server") + " loses power");
  network_.forget(side);
  daemons_[side].reset();
  devices_[side]->clear();
}

void World::change_client_address() {
  for (int i = 12; i < 16; ++i) client_address_.bytes[3] = static_cast<Byte>(dice_.between(1, 250));
  network_.forget_in_nat(Nat::forgot_silently);
  if (daemons_[0]) daemons_[0]->set_address(client_address_);
}

void World::heal() {
  say("all is well again");
  network_.end_throttling();
  for (std::size_t side : {0U, 1U}) {
    Path& path = network_.path(side);
    network_.set_path(side, true);
    path.latency = options_.round_trip / 2;
    path.jitter = options_.jitter;
    path.bytes_per_second = options_.bytes_per_second;
    path.loss = 0;
    path.lies = 0;
    go_on(side);
    if (daemons_[side] && daemons_[side]->is_stopping()) kill(side);
    start(side);
  }
}

// --- traffic ---

std::uint32_t World::add_flow(const Flow& flow) {
  const auto id = static_cast<std::uint32_t>(flows_.size());
  flows_.push_back({.flow = flow, .origin = id, .newest = id});
  if (flow.interval.count() > 0) {
    schedule_.after(dice_.between(nanoseconds(0), flow.interval), [this, id] { emit(id); });
  } else {
    refill(flow.side, flow.queue);
  }
  return id;
}

void World::emit(std::uint32_t id) {
  if (!are_flows_on_ || flows_[id].is_over) return;
  send_packet(id);
  schedule_.after(flows_[id].flow.interval, [this, id] { emit(id); });
}

void World::send_packet(std::uint32_t id) {
  FlowState& state = flows_[id];
  const Flow& flow = state.flow;
  if (!daemons_[flow.side] || daemons_[flow.side]->has_ended()) return;  // no device
  const std::size_t bytes = std::min<std::size_t>(flow.packet_bytes, 65535);
  TunPacket packet = make_packet(flow.side, {id, 0, state.number + 1}, bytes, options_.tun_mtu);
  if (!devices_[flow.side]->add(flow.queue, std::move(packet))) {
    ++stats_.packets_refused;
    return;
  }
  ++state.number;
  ++stats_.packets_sent;
}

void World::refill(std::size_t side, std::size_t queue) {
  if (!are_flows_on_) return;
  for (std::uint32_t id = 1; id < flows_.size(); ++id) {
    const FlowState& state = flows_[id];
    if (state.is_over || state.flow.interval.count() > 0 || state.flow.side != side || state.flow.queue != queue) continue;
    while (daemons_[side] && !daemons_[side]->has_ended() && devices_[side]->count(queue) < greedy_packets) send_packet(id);
  }
}

// What steers in the kernel, does so here: a queue that nobody reads gets no new packets. From then on it is another flow,
// since lanes do not wait for each other.
void World::steer(std::size_t side) {
  const std::vector<bool> read = daemons_[side]->queues_read();
  std::vector<std::size_t> choices;
  for (std::size_t i = 0; i < read.size(); ++i) {
    if (read[i]) choices.push_back(i);
  }
  if (choices.empty()) return;
  const std::size_t count = flows_.size();
  for (std::uint32_t id = 1; id < count; ++id) {
    FlowState& state = flows_[id];
    if (state.is_over || !state.flow.is_steered || state.flow.side != side) continue;
    if (state.flow.queue < read.size() && read[state.flow.queue]) continue;
    state.is_over = true;
    Flow moved = state.flow;
    moved.queue = choices[id % choices.size()];
    const std::uint32_t origin = state.origin;  // add_flow() moves them all
    const std::uint32_t heir = add_flow(moved);
    flows_[heir].origin = origin;
    flows_[origin].newest = heir;
  }
}

// --- what must hold ---

void World::fail(const std::string& what) {
  if (failure_) return;
  say("FAILED: " + what);
  failure_ = what;
}

void World::say(const std::string& line) {
  if (log_lines_ == 0) return;
  const auto since = std::chrono::duration<double>(schedule_.now().time_since_epoch() - std::chrono::hours(24));
  log_.push_back(std::to_string(since.count()) + " " + line);
  if (log_.size() > log_lines_) log_.pop_front();
}

void World::on_event(std::size_t side, const tunnel::LinkEvent& event) {
  if (event.kind == tunnel::LinkEventKind::session_up && side == 0) ++stats_.sessions;
  if (log_lines_ > 0) {
    static constexpr std::array names{"listening", "connect_failed", "handshake_failed", "stranger", "session_up", "lane_up", "lane_ended", "path_narrow"};
    say(std::string(side == 0 ? "client " : "server ") + names.at(static_cast<std::size_t>(event.kind)) + " " + event.peer + " " + event.detail);
  }
  if (on_link_event) on_link_event(side, event);
}

void World::on_lane_over(std::size_t side, Network::Id id, const LaneDeeds& deeds) {
  LaneRecord& record = lanes_[id];
  record.deeds[side] = deeds;
  record.is_over[side] = true;
  ++stats_.lanes_over;
  stats_.ratchets += deeds.ratchets;
  if (deeds.end == tunnel::LaneEnd::moved) ++stats_.take_overs;
  check_sender(id, record, side);
  if (record.is_over[0] && record.is_over[1]) {
    retire_lane(id, record);
    lanes_.erase(id);
  }
}

// W-3 at the sending end.
void World::check_sender(Network::Id id, const LaneRecord& record, std::size_t side) {
  const LaneDeeds& deeds = record.deeds[side];
  const std::uint64_t known = deeds.admitted + deeds.outbound_drops;
  if (known > record.taken[side]) fail("lane " + std::to_string(id) + " has sealed more packets than it took");
  if (deeds.has_ended && deeds.has_said_goodbye && known < record.taken[side]) {
    fail("lane " + std::to_string(id) + " took " + std::to_string(record.taken[side]) + " packets, and knows of " + std::to_string(known));
  }
}

// W-3 across the wire.
void World::retire_lane(Network::Id id, LaneRecord& record) {
  for (const std::size_t from : {0U, 1U}) {
    const LaneDeeds& sender = record.deeds[from];
    const LaneDeeds& receiver = record.deeds[1 - from];
    const std::uint64_t arrived = record.delivered[1 - from] + receiver.inbound_drops;
    if (arrived > sender.admitted) fail("lane " + std::to_string(id) + " has delivered more packets than were sealed");
    const std::uint64_t lost = sender.admitted - std::min(arrived, sender.admitted);
    stats_.packets_lost += lost;
    if (lost > 0 && receiver.has_ended && receiver.has_heard_goodbye) {
      fail("lane " + std::to_string(id) + " has lost " + std::to_string(lost) + " packets that came before GOODBYE");
    }
    if (lost > 0 && !has_fault_) fail("lane " + std::to_string(id) + " has lost " + std::to_string(lost) + " packets, and nothing befell it");
  }
}

void World::check_now() {
  if (seals().repeated > 0) fail("a nonce was used that is not the next of its key");
  for (const Pace& pace : paces_) {
    if (pace.spins > 0) fail("a thread spins");
  }
  check_connects();
  if (schedule_.planned() > 200'000) fail("events pile up");
}

// A site that calls does so in measure, whatever it is answered: P-51, C-6.
void World::check_connects() {
  const std::size_t count = network_.connection_count();
  connects_seen_.emplace_back(schedule_.now(), count);
  while (schedule_.now() - connects_seen_.front().first > seconds(5)) connects_seen_.pop_front();
  const std::size_t recent = count - connects_seen_.front().second;
  if (recent > 60 + 20U * options_.lanes) fail("the client has called " + std::to_string(recent) + " times within 5 s");
}

bool World::is_joined() const {
  if (!daemons_[0] || !daemons_[1]) return false;
  const auto& client = daemons_[0]->machine();
  const auto& server = daemons_[1]->machine();
  if (client.terms() == nullptr || server.terms() == nullptr) return false;
  const std::size_t lanes = client.terms()->lane_count;
  if (server.terms()->lane_count != lanes || client.lanes_up() != lanes || server.lanes_up() != lanes) return false;
  for (std::size_t i = 0; i < lanes; ++i) {
    const auto ours = daemons_[0]->lane_connection(i);
    if (!ours || ours != daemons_[1]->lane_connection(i)) return false;
  }
  return true;
}

bool World::check_alive(nanoseconds patience) {
  if (!run_for(patience)) return false;
  if (!run_until_true(seconds(6), [this] { return is_joined(); })) {
    fail("the network has been good for long, and the link is not up with all its lanes");
    return false;
  }
  const std::size_t lanes = daemons_[0]->machine().terms()->lane_count;
  std::vector<std::uint32_t> probes;
  for (std::size_t side : {0U, 1U}) {
    for (std::size_t queue = 0; queue < lanes; ++queue) {
      const auto id = static_cast<std::uint32_t>(flows_.size());
      flows_.push_back({.flow = {.side = side, .queue = queue, .packet_bytes = 300, .interval = {}, .is_steered = false}});
      flows_.back().is_over = true;
      send_packet(id);
      probes.push_back(id);
    }
  }
  const double device_full = std::exchange(options_.device_full_chance, 0);
  stop_flows();  // they may be more than the path bears; what waits already goes first
  const auto drains_within = [this](std::size_t side) {
    const std::size_t waiting = devices_[side]->bytes() + 2 * Network::send_room;
    return nanoseconds(static_cast<std::int64_t>(1e9 * static_cast<double>(waiting) / network_.path(side).bytes_per_second));
  };
  const nanoseconds drained = std::max(drains_within(0), drains_within(1));
  const auto all_there = [&] {
    return std::all_of(probes.begin(), probes.end(), [&](std::uint32_t id) { return flows_[id].delivered == 1; });
  };
  if (!run_until_true(seconds(3) + 6 * options_.round_trip + drained, all_there)) fail("the link is up, and a queue does not carry packets");
  options_.device_full_chance = device_full;
  return !failure_;
}

bool World::check_end() {
  stop_flows();
  run_for(seconds(1) + 4 * options_.round_trip);
  stop(0);
  run_for(seconds(3) + 4 * options_.round_trip);
  stop(1);
  if (!run_until_true(seconds(10), [this] { return daemons_[0]->has_ended() && daemons_[1]->has_ended(); })) {
    fail("a daemon that was told to stop does not");
  }
  return !failure_;
}

WorldStats World::stats() const {
  WorldStats stats = stats_;
  stats.lies = network_.lies_told();
  return stats;
}

}  // namespace lt::sim
