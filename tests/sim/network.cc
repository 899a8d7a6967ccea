#include "tests/sim/network.h"

#include <cerrno>
#include <utility>

namespace lt::sim {

namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr auto user_timeout = seconds(20);     // what the product sets as TCP_USER_TIMEOUT
constexpr auto patience_least = milliseconds(200);  // Linux: TCP_RTO_MIN
constexpr auto patience_most = seconds(120);        // Linux: TCP_RTO_MAX
constexpr std::size_t backlog_max = 128;

nanoseconds time_of(std::size_t bytes, double bytes_per_second) {
  return nanoseconds(static_cast<std::int64_t>(static_cast<double>(bytes) / bytes_per_second * 1e9));
}

}  // namespace

std::size_t Network::chunk_max(const Path& path) const {
  return static_cast<std::size_t>(std::clamp(path.bytes_per_second * 0.005, 1500.0, 65536.0));
}

std::uint64_t Network::window_of(const Path& path, const Connection& connection) const {
  const double slowest = connection.bytes_per_second > 0 ? std::min(path.bytes_per_second, connection.bytes_per_second)
                                                         : path.bytes_per_second;
  const double seconds_of_path = std::chrono::duration<double>(round_trip()).count();
  return static_cast<std::uint64_t>(std::clamp(2 * slowest * seconds_of_path, 16384.0, 4e6));
}

void Network::set_path(std::size_t from, bool is_up) {
  Path& path = paths_[from];
  if (path.is_up && !is_up) ++path.generation;
  path.is_up = is_up;
}

// Whether something sent now gets out of its host and through the NAT.
bool Network::leaves(Id id, std::size_t from) {
  const Connection& connection = *connections_[id];
  if (connection.nat == Nat::forgot_with_reset && from == 0 && connection.ends[0].error == 0) {
    schedule_.after(round_trip(), [this, id] { break_end(id, 0, ECONNRESET); });
  }
  return paths_[from].is_up && connection.nat == Nat::knows && !dice_.chance(paths_[from].loss);
}

// --- connecting ---

Network::Id Network::connect(Watcher* watcher, const IpAddress& from) {
  const Id id = static_cast<Id>(connections_.size());
  connections_.push_back(std::make_unique<Connection>());
  Connection& connection = *connections_.back();
  connection.client = from;
  connection.ends[0].watcher = watcher;
  connection.ends[0].is_held = true;
  knock_at_port(id, 0);
  return id;
}

// The kernel's own tries: at once, after 1 s, 3 s, 7 s ...
void Network::knock_at_port(Id id, unsigned attempt) {
  const End& client = connections_[id]->ends[0];
  if (client.is_established || !client.is_held || client.error != 0 || attempt > 5) return;
  if (leaves(id, 0)) {
    const auto generation = paths_[0].generation;
    schedule_.after(paths_[0].latency, [this, id, generation] {
      if (generation == paths_[0].generation) answer_knock(id);
    });
  }
  schedule_.after(seconds(1) * (1 << attempt), [this, id, attempt] { knock_at_port(id, attempt + 1); });
}

void Network::answer_knock(Id id) {
  if (connections_[id]->ends[1].is_gone) return;
  const bool is_taken = listener_ != nullptr && backlog_.size() < backlog_max;
  if (listener_ != nullptr && !is_taken) return;  // a full backlog stays silent
  if (!leaves(id, 1)) return;
  const auto generation = paths_[1].generation;
  schedule_.after(paths_[1].latency, [this, id, generation, is_taken] {
    if (generation != paths_[1].generation) return;
    End& client = connections_[id]->ends[0];
    if (client.is_established || !client.is_held || client.error != 0) return;
    if (!is_taken) return break_end(id, 0, ECONNREFUSED);
    client.is_established = true;
    notify(client);
    if (!leaves(id, 0)) return;
    schedule_.after(paths_[0].latency, [this, id, flown = paths_[0].generation] {
      if (flown == paths_[0].generation) establish_server(id);
    });
  });
}

void Network::establish_server(Id id) {
  Connection& connection = *connections_[id];
  if (connection.is_accepted || connection.ends[1].is_gone) return;
  if (listener_ == nullptr) return send_reset(id, 0);
  connection.is_accepted = true;
  connection.ends[1].is_established = true;
  backlog_.push_back(id);
  listener_->on_socket();
}

void Network::listen(Watcher* watcher) { listener_ = watcher; }

void Network::stop_listening() {
  listener_ = nullptr;
  for (const Id id : std::exchange(backlog_, {})) {
    connections_[id]->ends[1].is_gone = true;
    send_reset(id, 0);
  }
}

Network::Id Network::accept() {
  if (backlog_.empty()) return 0;
  const Id id = backlog_.front();
  backlog_.pop_front();
  connections_[id]->ends[1].is_held = true;
  return id;
}

void Network::watch(Id id, std::size_t side, Watcher* watcher) { connections_[id]->ends[side].watcher = watcher; }

// --- the daemon's side of a socket ---

int Network::send(Id id, std::size_t side, ByteView bytes) {
  End& end = connections_[id]->ends[side];
  if (end.error != 0) return -end.error;
  if (end.wants_end) return -EPIPE;
  const std::size_t room = send_room - (end.written - end.acked);
  const std::size_t count = std::min(room, bytes.size());
  if (count == 0) return -EAGAIN;
  end.outbox.insert(end.outbox.end(), bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(count));
  if (end.written == end.acked) end.unacked_since = schedule_.now();
  end.written += count;
  pump(id, side);
  return static_cast<int>(count);
}

int Network::receive(Id id, std::size_t side, ByteSpan into) {
  End& end = connections_[id]->ends[side];
  const std::size_t there = end.inbox.size() - end.inbox_read;
  if (there == 0 && end.error != 0) return -end.error;
  if (there == 0) return end.has_end ? 0 : -EAGAIN;
  const std::size_t count = std::min(there, into.size());
  std::copy_n(end.inbox.begin() + static_cast<std::ptrdiff_t>(end.inbox_read), count, into.begin());
  end.inbox_read += count;
  if (end.inbox_read == end.inbox.size()) {
    end.inbox.clear();
    end.inbox_read = 0;
  } else if (end.inbox_read > receive_room / 2) {
    end.inbox.erase(end.inbox.begin(), end.inbox.begin() + static_cast<std::ptrdiff_t>(end.inbox_read));
    end.inbox_read = 0;
  }
  const std::uint64_t window_end = end.received + receive_room - (end.inbox.size() - end.inbox_read);
  if (window_end >= end.window_told + receive_room / 4) acknowledge(id, side, false);
  return static_cast<int>(count);
}

bool Network::is_readable(Id id, std::size_t side) const {
  const End& end = connections_[id]->ends[side];
  return end.inbox.size() > end.inbox_read || end.has_end || end.error != 0;
}

// What nobody holds and nobody waits for needs no memory.
void Network::bury(Id id) {
  auto& ends = connections_[id]->ends;
  const auto is_done = [](const End& end) {
    return !end.is_held && (end.is_gone || end.error != 0 || !end.is_established || end.acked > end.written);
  };
  if (!is_done(ends[0]) || !is_done(ends[1])) return;
  for (End& end : ends) {
    end.is_gone = true;
    std::vector<Byte>().swap(end.inbox);
    std::vector<Byte>().swap(end.outbox);
    end.inbox_read = end.outbox_gone = 0;
  }
}

tunnel::PathSample Network::sample(Id id, std::size_t side) const {
  const End& end = connections_[id]->ends[side];
  return {.rtt = round_trip(), .delivered = end.acked, .retransmitted = 0, .is_backlogged = end.written > end.sent};
}

void Network::shut(Id id, std::size_t side) {
  End& end = connections_[id]->ends[side];
  if (end.error != 0 || end.wants_end) return;
  end.wants_end = true;
  if (end.written == end.acked) end.unacked_since = schedule_.now();
  pump(id, side);
}

void Network::close(Id id, std::size_t side) {
  End& end = connections_[id]->ends[side];
  if (!end.is_held) return;
  end.is_held = false;
  end.watcher = nullptr;
  if (!end.is_established || end.error != 0) return bury(id);
  if (end.inbox.size() > end.inbox_read) {  // what nobody has read makes the kernel send a reset
    end.is_gone = true;
    return send_reset(id, 1 - side);
  }
  shut(id, side);
}

// --- segments ---

void Network::pump(Id id, std::size_t from) {
  Connection& connection = *connections_[id];
  End& end = connection.ends[from];
  if (end.error != 0 || end.is_gone || !end.is_established) return;
  const Path& path = paths_[from];
  const std::uint64_t window = end.backs_off ? chunk_max(path) : window_of(path, connection);
  const std::uint64_t limit = std::min({end.written, end.window_end, end.acked + window});
  while (end.sent < limit) {
    const auto bytes = static_cast<std::uint32_t>(std::min<std::uint64_t>(limit - end.sent, chunk_max(path)));
    const bool is_last = end.wants_end && end.sent + bytes == end.written;
    fly(id, from, {end.sent, bytes, is_last});
    end.sent += bytes + (is_last ? 1U : 0U);
  }
  if (end.wants_end && end.sent == end.written) {
    fly(id, from, {end.sent, 0, true});
    ++end.sent;
  }
  const bool owes = end.sent > end.acked || end.written > end.sent;
  if (owes && !end.is_timed) arm(id, from);
}

void Network::fly(Id id, std::size_t from, Segment segment) {
  Connection& connection = *connections_[id];
  Path& path = paths_[from];
  End& end = connection.ends[from];
  path.free_at = std::max(path.free_at, schedule_.now()) + time_of(segment.bytes + 60, path.bytes_per_second);
  Instant out = path.free_at;
  if (connection.bytes_per_second > 0) {
    end.free_at = std::max(end.free_at, schedule_.now()) + time_of(segment.bytes + 60, connection.bytes_per_second);
    out = std::max(out, end.free_at);
  }
  if (!leaves(id, from)) return;
  const nanoseconds late = path.jitter.count() > 0 ? dice_.between(nanoseconds(0), path.jitter) : nanoseconds(0);
  end.last_arrival = std::max(end.last_arrival, out + path.latency + late);
  schedule_.at(end.last_arrival, [this, id, to = static_cast<std::uint32_t>(1 - from), segment, generation = path.generation] {
    if (generation == paths_[1 - to].generation) arrive(id, to, segment);
  });
}

void Network::arrive(Id id, std::size_t to, Segment segment) {
  Connection& connection = *connections_[id];
  End& end = connection.ends[to];
  End& sender = connection.ends[1 - to];
  if (sender.is_gone) return;
  if (to == 1 && !end.is_established) establish_server(id);
  if (end.is_gone || end.error != 0 || !end.is_established) return send_reset(id, 1 - to);
  const std::uint64_t until = segment.offset + segment.bytes;
  if (segment.offset > end.received) return acknowledge(id, to, true);
  if (until > end.received && !end.has_end) {
    if (!end.is_held && connection.is_accepted && to == 0) {  // closed: nobody will read this
      end.is_gone = true;
      return send_reset(id, 1 - to);
    }
    const std::size_t room = receive_room - std::min<std::size_t>(receive_room, end.inbox.size() - end.inbox_read);
    const std::size_t count = std::min<std::size_t>(room, until - end.received);
    take_bytes(connection, to, end.received, count);
    if (end.received < until) return acknowledge(id, to, false);
  }
  if (segment.is_last && end.received == until && !end.has_end) {
    end.has_end = true;
    ++end.received;
  }
  acknowledge(id, to, false);
  notify(end);
}

// Bytes come out of the sender's memory: what is on its way is not yet acknowledged, so it is still there.
void Network::take_bytes(Connection& connection, std::size_t to, std::uint64_t from, std::size_t count) {
  End& end = connection.ends[to];
  const End& sender = connection.ends[1 - to];
  const auto begin = sender.outbox.begin() + static_cast<std::ptrdiff_t>(sender.outbox_gone + (from - sender.acked));
  const std::size_t at = end.inbox.size();
  end.inbox.insert(end.inbox.end(), begin, begin + static_cast<std::ptrdiff_t>(count));
  end.received += count;
  bytes_delivered_ += count;
  if (count == 0 || !(end.lie_next || (paths_[1 - to].lies > 0 && dice_.chance(paths_[1 - to].lies)))) return;
  end.lie_next = false;
  ++lies_told_;
  const auto place = end.inbox.begin() + static_cast<std::ptrdiff_t>(at + dice_.between(0, count - 1));
  switch (dice_.between(0, 3)) {
    case 0:
      *place ^= static_cast<Byte>(1U << dice_.between(0, 7));
      break;
    case 1:
      end.inbox.erase(place, place + std::min<std::ptrdiff_t>(end.inbox.end() - place,
                                                             static_cast<std::ptrdiff_t>(dice_.between(1, 64))));
      break;
    case 2:
      end.inbox.insert(place, dice_.between(1, 64), static_cast<Byte>(dice_.next()));
      break;
    default: {  // a piece comes twice
      const std::vector<Byte> again(place, end.inbox.end());
      end.inbox.insert(end.inbox.end(), again.begin(), again.end());
      break;
    }
  }
}

void Network::acknowledge(Id id, std::size_t from, bool has_gap) {
  End& end = connections_[id]->ends[from];
  if (end.error != 0 || end.is_gone) return;
  const std::uint64_t window_end = end.received + receive_room - std::min(receive_room, end.inbox.size() - end.inbox_read);
  end.window_told = window_end;
  if (!leaves(id, from)) return;
  struct Word {
    Network* network;
    std::uint64_t received;
    std::uint64_t window_end;
    std::uint64_t generation;
    Id id;
    std::uint8_t from;
    bool has_gap;
    void operator()() const {
      if (generation != network->paths_[from].generation) return;
      network->on_acknowledged(id, 1U - from, received, window_end, has_gap);
    }
  };
  schedule_.after(paths_[from].latency,
                  Word{this, end.received, window_end, paths_[from].generation, id, static_cast<std::uint8_t>(from), has_gap});
}

void Network::on_acknowledged(Id id, std::size_t at, std::uint64_t received, std::uint64_t window_end, bool has_gap) {
  End& end = connections_[id]->ends[at];
  if (end.is_gone || end.error != 0) return;
  end.window_end = std::max(end.window_end, window_end);
  end.unacked_since = schedule_.now();  // somebody is there, even if his window is closed
  if (received > end.acked) {
    const std::uint64_t bytes = std::min(received, end.written) - std::min(end.acked, end.written);
    end.outbox_gone += static_cast<std::size_t>(bytes);
    end.acked = received;
    end.sent = std::max(end.sent, end.acked);
    end.patience = nanoseconds(0);
    end.is_timed = false;
    end.backs_off = false;
    if (end.outbox_gone > end.outbox.size() / 2) {
      end.outbox.erase(end.outbox.begin(), end.outbox.begin() + static_cast<std::ptrdiff_t>(end.outbox_gone));
      end.outbox_gone = 0;
    }
    notify(end);
    bury(id);
  }
  if (has_gap && end.recover <= end.acked) {
    end.recover = end.sent;
    end.sent = std::min(end.acked, end.written);
  }
  pump(id, at);
}

// --- time-outs and ends ---

void Network::arm(Id id, std::size_t side) {
  End& end = connections_[id]->ends[side];
  if (end.patience.count() == 0) {
    const nanoseconds queued = std::max(nanoseconds(0), std::max(paths_[side].free_at, end.free_at) - schedule_.now());
    end.patience = patience_least + 2 * round_trip() + 2 * queued;
  }
  end.is_timed = true;
  const std::uint64_t timer = ++end.timer;
  schedule_.after(end.patience, [this, id, side, timer] { on_timer(id, side, timer); });
}

void Network::on_timer(Id id, std::size_t side, std::uint64_t timer) {
  End& end = connections_[id]->ends[side];
  if (timer != end.timer || !end.is_timed || end.error != 0 || end.is_gone) return;
  end.is_timed = false;
  if (end.acked >= end.written + (end.wants_end ? 1U : 0U)) return;
  if (schedule_.now() - end.unacked_since > user_timeout) {
    if (!end.is_held) end.is_gone = true;
    return break_end(id, side, ETIMEDOUT);
  }
  end.patience = std::min<nanoseconds>(2 * end.patience, patience_most);
  end.backs_off = true;
  end.sent = std::min(end.acked, end.written);
  if (end.window_end <= end.sent && end.sent < end.written) fly(id, side, {end.sent, 0, false});  // is the window open?
  const nanoseconds doubled = end.patience;
  pump(id, side);
  end.patience = doubled;
  if (!end.is_timed) arm(id, side);
}

void Network::send_reset(Id id, std::size_t to) {
  if (!leaves(id, 1 - to)) return;
  const auto generation = paths_[1 - to].generation;
  schedule_.after(paths_[1 - to].latency, [this, id, to, generation] {
    if (generation == paths_[1 - to].generation) break_end(id, to, ECONNRESET);
  });
}

void Network::break_end(Id id, std::size_t side, int error) {
  End& end = connections_[id]->ends[side];
  if (end.error != 0 || end.is_gone) return;
  end.error = error;
  end.inbox.clear();
  end.inbox_read = 0;
  notify(end);
}

// --- what befalls it ---

void Network::forget(std::size_t side) {
  for (std::size_t id = 1; id < connections_.size(); ++id) {
    End& end = connections_[id]->ends[side];
    if (!end.is_established && side == 1) continue;
    end.is_gone = true;
    end.is_held = false;
    end.watcher = nullptr;
  }
  if (side == 1) backlog_.clear();
}

void Network::forget_in_nat(Nat how) {
  for (std::size_t id = 1; id < connections_.size(); ++id) connections_[id]->nat = how;
}

void Network::reset(Id id) {
  for (const std::size_t side : {0U, 1U}) {
    if (paths_[1 - side].is_up) break_end(id, side, ECONNRESET);
  }
}

void Network::reset_all() {
  for (Id id = 1; id < connections_.size(); ++id) reset(id);
}

}  // namespace lt::sim
