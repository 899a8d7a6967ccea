// A lane that reads several queues of its device.
#include "tests/tunnel/lane_ends.h"

namespace lt::tunnel {
namespace {

using namespace testing;

struct LaneOfQueues {
  std::vector<FakeTun> tuns;
  PeerByHand peer;
  std::unique_ptr<Lane> lane;

  LaneOfQueues(std::size_t queues, IoBackend io) : LaneOfQueues(queues, io, socket_pair(SOCK_STREAM)) {}

 private:
  LaneOfQueues(std::size_t queues, IoBackend io, std::pair<Fd, Fd> sockets) : tuns(queues), peer(std::move(sockets.second)) {
    LaneOptions options{.tun_offload = true, .io = io, .record_bytes_max = 256 * 1024, .times = {.patience = std::chrono::milliseconds(500)}};
    for (const FakeTun& tun : tuns) options.tun_queues.push_back(tun.fd());
    auto started = Lane::start(std::move(sockets.first), established(office_secret, offsite_secret), Admission(office_admission()),
                               std::move(options));
    if (!started) FAIL(started.error().text());
    lane = std::move(*started);
  }
};

LanPacket packet_of(std::size_t queue, std::uint32_t number, std::size_t payload_bytes) {
  PacketSpec spec = to_offsite();
  spec.source_port = static_cast<std::uint16_t>(1000 + queue);
  spec.sequence = number;
  spec.payload = pattern(payload_bytes);
  if (payload_bytes <= 1300) return {VnetHeader{}, build(spec)};
  return {super_vnet(spec, 1400), build_partial(spec)};
}

TEST_CASE("a lane carries what comes on any of its queues, each queue's packets in their order", "[tunnel][lane][flow-turns]") {
  const IoBackend io = GENERATE(from_range(backends()));
  const std::size_t queues = GENERATE(1U, 2U, 64U);
  INFO(testing::name_of(io) << ", " << queues << " queues");
  const unsigned seed = std::random_device{}();
  INFO("seed " << seed);
  std::minstd_rand random(seed);
  LaneOfQueues one(queues, io);
  std::vector<std::uint32_t> sent(queues);
  std::vector<std::uint32_t> arrived(queues);
  constexpr int packets = 3000;
  int under_way = 0;
  for (int total = 0; total < packets || under_way > 0;) {
    while (total < packets && under_way < 20) {
      const std::size_t queue = random() % queues;
      const auto packet = packet_of(queue, sent[queue]++, random() % 3 == 0 ? 40'000 : random() % 1300);
      REQUIRE(one.tuns[queue].put(packet.vnet, packet.bytes));
      ++total;
      ++under_way;
    }
    for (const auto& [meta, bytes] : receive_items(one.peer)) {
      const std::size_t queue = load_be16(bytes.data() + 20) - 1000U;
      REQUIRE(queue < queues);
      REQUIRE(load_be32(bytes.data() + 24) == arrived[queue]);
      ++arrived[queue];
      --under_way;
    }
  }
  CHECK(arrived == sent);
  CHECK(one.lane->outbound_drops().total() == 0);
}

TEST_CASE("what comes on an idle queue does not wait for another queue's backlog", "[tunnel][lane][flow-turns]") {
  const IoBackend io = GENERATE(from_range(backends()));
  INFO(testing::name_of(io));
  LaneOfQueues one(3, io);
  const int sent = fill(one.tuns[0]);  // the peer reads nothing: rounds and socket are full, the rest waits in the queue
  const std::uint64_t taken = one.lane->state().outbound.packets;
  REQUIRE(static_cast<std::uint64_t>(sent) > taken + 20);
  for (const std::size_t queue : {1U, 2U}) {
    const auto packet = packet_of(queue, 0, 1200);
    REQUIRE(one.tuns[queue].put(packet.vnet, packet.bytes));
  }
  std::uint64_t backlog = 0;
  std::uint64_t passed = 0;
  while (passed < 2) {
    for (const auto& [meta, bytes] : receive_items(one.peer)) ++(bytes.size() > 50'000 ? backlog : passed);
  }
  CHECK(backlog <= taken + 10);  // what had left its queue already, and a batch
}

TEST_CASE("a lane that is blocked waits, however many of its queues hold packets", "[tunnel][lane][flow-turns]") {
  const IoBackend io = GENERATE(from_range(backends()));
  INFO(testing::name_of(io));
  LaneOfQueues one(64, io);
  for (int round = 0; round < 3; ++round) {
    for (std::size_t queue = 0; queue < one.tuns.size(); ++queue) {
      for (const std::size_t bytes : {1000U, 60'000U}) {
        const auto packet = packet_of(queue, 0, bytes);
        static_cast<void>(one.tuns[queue].put(packet.vnet, packet.bytes));
      }
    }
  }
  static_cast<void>(fill(one.tuns[0]));
  const auto before = processor_time();
  const Instant start = now();
  CHECK_FALSE(one.tuns[1].take(start + std::chrono::milliseconds(600)));  // nothing comes from the peer
  CHECK(processor_time() - before < (now() - start) / 8);
}

TEST_CASE("a lane that ends leaves what it has not read in each of its queues, and takes back every read", "[tunnel][lane][flow-turns]") {
  const IoBackend io = GENERATE(from_range(backends()));
  INFO(testing::name_of(io));
  LaneOfQueues one(16, io);
  REQUIRE(one.peer.receive(RecordType::ping));
  one.lane->stop(GoodbyeReason::shutdown);
  REQUIRE(one.peer.receive(RecordType::goodbye));
  one.peer.close();
  one.lane->wait();
  // Nobody reads any more: a packet put now stays, and the next to read a queue finds it.
  for (std::size_t queue = 0; queue < one.tuns.size(); ++queue) {
    const auto packet = packet_of(queue, 7, 100);
    REQUIRE(one.tuns[queue].put(packet.vnet, packet.bytes));
    std::array<Byte, 2048> bytes{};
    CHECK(::recv(one.tuns[queue].fd(), bytes.data(), bytes.size(), MSG_DONTWAIT) ==
          static_cast<ssize_t>(vnet_header_bytes + packet.bytes.size()));
  }
}

}  // namespace
}  // namespace lt::tunnel
