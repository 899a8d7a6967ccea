#include "tunnel/flow_turns.h"

#include <catch2/catch.hpp>
#include <deque>
#include <numeric>
#include <random>

namespace lt::tunnel {
namespace {

using Turn = FlowTurns::Turn;

// Queues of packets, read from as a lane reads them: what would have to wait completes when a packet comes.
class Reader {
 public:
  explicit Reader(std::size_t queues) : turns(queues), packets(queues), waiting(queues), read_bytes(queues) {}

  void put(std::size_t queue, std::size_t bytes) {
    packets[queue].push_back(bytes);
    if (const auto turn = std::exchange(waiting[queue], std::nullopt)) complete(*turn);
  }
  // One batch; @return how many packets it has brought
  std::size_t read(std::size_t reads_most) {
    turns.begin_batch();
    std::vector<Turn> batch;
    while (batch.size() < reads_most) {
      const auto turn = turns.next();
      if (!turn) break;
      batch.push_back(*turn);
    }
    const std::size_t before = count;
    for (const Turn& turn : batch) complete(turn);
    return count - before;
  }

  FlowTurns turns;
  std::vector<std::deque<std::size_t>> packets;
  std::vector<std::optional<Turn>> waiting;  // the read that waits on a queue
  std::vector<std::size_t> read_bytes;
  std::vector<std::size_t> order;  // of queues that packets came from
  std::size_t count{0};

 private:
  void complete(const Turn& turn) {
    auto& queue = packets[turn.queue];
    if (queue.empty() && turn.waits) {
      REQUIRE_FALSE(waiting[turn.queue].has_value());  // never two of them on one queue
      waiting[turn.queue] = turn;
      return;
    }
    if (queue.empty()) return turns.took_nothing(turn);
    turns.took(turn, queue.front());
    read_bytes[turn.queue] += queue.front();
    order.push_back(turn.queue);
    ++count;
    queue.pop_front();
  }
};

TEST_CASE("a queue that is alone in having packets is read from as often as is wanted", "[tunnel][flow-turns]") {
  const std::size_t queues = GENERATE(1U, 2U, 64U);
  Reader reader(queues);
  for (int batch = 0; batch < 100; ++batch) reader.read(8);  // every queue is waited on
  for (int i = 0; i < 100; ++i) reader.put(queues - 1, 65'535);
  CHECK(reader.count == 1);
  for (int i = 0; i < 12; ++i) CHECK(reader.read(8) == 8);
  CHECK(reader.read(8) == 3);
}

TEST_CASE("queues that are never empty are read so many bytes each, whatever their packets' sizes", "[tunnel][flow-turns]") {
  const auto sizes = GENERATE(std::vector<std::size_t>{65'535, 1'500}, std::vector<std::size_t>{64, 64}, std::vector<std::size_t>{65'535, 40, 9'000, 1'280},
                              std::vector<std::size_t>{65'535, 65'535, 65'535});
  const std::size_t reads = GENERATE(1U, 2U, 8U, 32U);
  CAPTURE(sizes, reads);
  Reader reader(sizes.size());
  const std::size_t wanted = 20'000'000;
  const auto all = [&] { return std::accumulate(reader.read_bytes.begin(), reader.read_bytes.end(), std::size_t{0}); };
  for (int batch = 0; all() < wanted && batch < 1'000'000; ++batch) {
    for (std::size_t i = 0; i < sizes.size(); ++i) {
      while (reader.packets[i].size() < 40) reader.put(i, sizes[i]);
    }
    reader.read(reads);
  }
  const double share = static_cast<double>(all()) / static_cast<double>(sizes.size());
  for (const std::size_t bytes : reader.read_bytes) CHECK(static_cast<double>(bytes) == Approx(share).epsilon(0.05));
}

TEST_CASE("a queue that was empty for long has saved up nothing", "[tunnel][flow-turns]") {
  Reader reader(2);
  const auto run = [&](std::size_t batches) {
    for (std::size_t i = 0; i < batches; ++i) {
      while (reader.packets[0].size() < 40) reader.put(0, 65'535);
      reader.read(8);
    }
  };
  run(1000);
  const auto before = reader.read_bytes;
  for (int i = 0; i < 1000; ++i) reader.put(1, 65'535);
  run(100);
  const std::size_t one = reader.read_bytes[0] - before[0];
  const std::size_t other = reader.read_bytes[1] - before[1];
  CHECK(static_cast<double>(other) == Approx(static_cast<double>(one)).epsilon(0.05));
}

TEST_CASE("a packet that comes beside a backlog passes within two batches", "[tunnel][flow-turns]") {
  Reader reader(4);
  for (int i = 0; i < 1000; ++i) reader.put(0, 65'535);
  while (reader.count < 100) reader.read(8);
  for (const std::size_t queue : {1U, 2U, 3U}) {
    reader.put(queue, 1'200);
    if (reader.order.back() == queue) continue;  // a read had waited for it
    reader.read(8);
    reader.read(8);
    CHECK(std::count(reader.order.end() - 16, reader.order.end(), queue) == 1);
  }
}

TEST_CASE("a queue that a batch had no room for is told, and comes first in the next one", "[tunnel][flow-turns]") {
  FlowTurns turns(3);
  turns.begin_batch();
  const auto first = turns.next();
  REQUIRE(first);
  CHECK(first->queue == 0);
  CHECK(first->waits);
  CHECK(turns.has_left_out());
  turns.took(*first, 1000);  // it has more
  turns.begin_batch();
  const auto second = turns.next();
  const auto third = turns.next();
  REQUIRE(second);
  REQUIRE(third);
  CHECK(second->queue == 1);
  CHECK(second->waits);
  CHECK(third->queue == 2);
  CHECK(turns.has_left_out());  // the one that was read from before
}

TEST_CASE("while a read waits on every queue there is none to queue", "[tunnel][flow-turns]") {
  FlowTurns turns(2);
  for (int i = 0; i < 2; ++i) {
    turns.begin_batch();
    while (turns.has_left_out()) REQUIRE(turns.next());
  }
  turns.begin_batch();
  CHECK_FALSE(turns.next());
  CHECK_FALSE(turns.has_left_out());
  turns.took({.queue = 1, .charged = 1, .waits = true}, 100);
  turns.begin_batch();
  const auto turn = turns.next();
  REQUIRE(turn);
  CHECK(turn->queue == 1);
  CHECK(turn->charged == 100);
}

TEST_CASE("whatever comes when, every packet is read, in its queue's order, by reads that never pile up", "[tunnel][flow-turns]") {
  const unsigned seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937 random(seed);
  for (int round = 0; round < 200; ++round) {
    const std::size_t queues = 1 + random() % 64;
    Reader reader(queues);
    std::size_t put = 0;
    for (int step = 0; step < 300; ++step) {
      for (std::size_t i = random() % 8; i > 0; --i, ++put) reader.put(random() % queues, 20 + random() % 65'516);
      reader.read(random() % 33);
    }
    // As a lane does: again at once where a queue was left out or something came, else it waits for a packet.
    int batches = 0;
    for (int idle = 0; idle < 3 && batches < 100'000; ++batches)
      idle = reader.read(1 + random() % 8) > 0 || reader.turns.has_left_out() ? 0 : idle + 1;
    REQUIRE(reader.count == put);
    for (const auto& turn : reader.waiting) REQUIRE(turn.has_value());
  }
}

}  // namespace
}  // namespace lt::tunnel
