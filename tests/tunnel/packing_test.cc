#include "tunnel/packing.h"

#include <catch2/catch.hpp>

#include "tunnel/ip_packet.h"

namespace lt::tunnel {
namespace {

std::vector<Byte> item(PacketMeta meta, std::size_t packet_bytes, Byte fill = 0x45) {
  std::vector<Byte> bytes(item_header_bytes + packet_bytes, fill);
  pack_item_header(std::span<Byte, item_header_bytes>(bytes.data(), item_header_bytes), meta,
                   packet_bytes);
  return bytes;
}

struct Walk {
  std::vector<std::pair<PacketMeta, std::vector<Byte>>> items;
  bool is_fatal{false};
};

Walk walk(std::vector<Byte> payload) {
  Walk walked;
  for (ItemCursor cursor(payload); !cursor.at_end();) {
    const auto found = cursor.next();
    if (!found) {
      CHECK(found.error().code == Errc::protocol);
      walked.is_fatal = true;
      break;
    }
    walked.items.emplace_back(found->meta,
                              std::vector<Byte>(found->packet.begin(), found->packet.end()));
  }
  return walked;
}

TEST_CASE("an item has its length, kind and gso_size where the protocol says",
          "[tunnel][packing][P-33]") {
  const auto bytes = item({PacketKind::udp6, 0x0218}, 20);
  CHECK(to_hex(ByteView(bytes).first(7)) == "00000017050218");
}

TEST_CASE("items come out as they were packed, one behind the other", "[tunnel][packing][P-33]") {
  std::vector<Byte> payload;
  const std::vector<std::pair<PacketMeta, std::size_t>> packed{
      {{PacketKind::plain, 0}, 20},       {{PacketKind::partial_checksum, 0}, 1500},
      {{PacketKind::tcp4, 1448}, 65'535}, {{PacketKind::tcp6, 65'535}, 21},
      {{PacketKind::udp4, 536}, 4096},    {{PacketKind::udp6, 1}, 100}};
  for (std::size_t i = 0; i < packed.size(); ++i) {
    const auto bytes = item(packed[i].first, packed[i].second, static_cast<Byte>(i));
    payload.insert(payload.end(), bytes.begin(), bytes.end());
  }
  const Walk walked = walk(payload);
  CHECK_FALSE(walked.is_fatal);
  REQUIRE(walked.items.size() == packed.size());
  for (std::size_t i = 0; i < packed.size(); ++i) {
    CHECK(walked.items[i].first == packed[i].first);
    CHECK(walked.items[i].second == std::vector<Byte>(packed[i].second, static_cast<Byte>(i)));
  }
}

TEST_CASE("a payload cut at any byte but an item's end is fatal", "[tunnel][packing][P-33]") {
  std::vector<Byte> payload = item({}, 20);
  const std::size_t first = payload.size();
  const auto second = item({}, 33);
  payload.insert(payload.end(), second.begin(), second.end());
  for (std::size_t size = 1; size < payload.size(); ++size) {
    const Walk walked =
        walk({payload.begin(), payload.begin() + static_cast<std::ptrdiff_t>(size)});
    INFO("cut to " << size);
    CHECK(walked.is_fatal == (size != first));
    CHECK(walked.items.size() == (size >= first ? 1 : 0));
  }
}

TEST_CASE("a length that is not that of a packet is fatal, however much is there",
          "[tunnel][packing][P-33][P-34]") {
  struct Case {
    std::uint32_t length;
    bool is_taken;
  };
  const Case one = GENERATE(values<Case>({{0, false},
                                          {3, false},
                                          {22, false},
                                          {23, true},
                                          {24, true},
                                          {65'537, true},
                                          {65'538, true},
                                          {65'539, false},
                                          {0x7fffffff, false},
                                          {0xffffffff, false}}));
  INFO(one.length);
  std::vector<Byte> payload(item_header_bytes + 70'000);
  store_be32(payload.data(), one.length);
  ItemCursor cursor(payload);
  const auto found = cursor.next();
  CHECK(found.has_value() == one.is_taken);
  if (found) CHECK(found->packet.size() == one.length - 3);
}

TEST_CASE("an item that is one byte longer than its record is fatal", "[tunnel][packing][P-33]") {
  std::vector<Byte> payload = item({}, 100);
  store_be32(payload.data(), 104);
  CHECK(walk(payload).is_fatal);
  store_be32(payload.data(), 102);  // one shorter: the last byte is no item
  const Walk walked = walk(payload);
  CHECK(walked.is_fatal);
  CHECK(walked.items.size() == 1);
}

TEST_CASE("kinds 0 to 5 are taken, every other is fatal", "[tunnel][packing][P-34]") {
  for (unsigned kind = 0; kind < 256; ++kind) {
    std::vector<Byte> payload = item({}, 40);
    payload[4] = static_cast<Byte>(kind);
    const Walk walked = walk(payload);
    INFO("kind " << kind);
    CHECK(walked.is_fatal == (kind > 5));
    CHECK(walked.items.size() == (kind <= 5 ? 1 : 0));
  }
}

}  // namespace
}  // namespace lt::tunnel
