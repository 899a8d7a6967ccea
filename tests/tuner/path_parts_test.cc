// The parts of taking a path's shape that need no line: datagrams, JSON, answers to a client.
#include <catch2/catch.hpp>

#include "tuner/path_end.h"
#include "tuner/path_server.h"
#include "tuner/path_shape.h"

using namespace lt;
using namespace lt::tuner;

namespace {

std::vector<Byte> a_datagram(std::uint32_t size) {
  std::vector<Byte> raw(size);
  PathDatagram{0x0102030405060708, 3, 5, size}.encode(raw);
  return raw;
}

PathShape a_shape() {
  PathShape shape;
  shape.request.data = *IpAddress::parse("10.99.0.2");
  shape.request.source = IpAddress::parse("10.99.0.1");
  shape.up = {1464, true, {100, 99}, {20, 0}};
  shape.down = {1472, true, {100, 100}, {20, 20}};
  return shape;
}

Json plan(const char* data) {
  return {{"path", {{"data", data}, {"data_port", 0}}}};
}

}  // namespace

TEST_CASE("a datagram of the path is read only whole and with its magic", "[tuner][path]") {
  const auto raw = a_datagram(100);
  const auto read = PathDatagram::decode(raw);
  REQUIRE(read);
  CHECK(read->nonce == 0x0102030405060708);
  CHECK(read->round == 3);
  CHECK(read->number == 5);
  CHECK(read->size == 100);
  for (std::size_t length = 0; length < raw.size(); ++length)
    CHECK_FALSE(PathDatagram::decode(ByteView(raw).first(length)));
  for (std::size_t at = 0; at < 4; ++at) {
    auto bent = raw;
    bent[at] ^= 1;
    CHECK_FALSE(PathDatagram::decode(bent));
  }
  auto longer = raw;
  longer.push_back(0);
  CHECK_FALSE(PathDatagram::decode(longer));
}

TEST_CASE("a shape comes back from its own JSON, and says what it means", "[tuner][path]") {
  const PathShape shape = a_shape();
  CHECK(shape.mtu() == 1492);
  CHECK(shape.up.mtu(Family::v4) == 1492);
  CHECK(shape.down.mtu(Family::v6) == 1520);
  CHECK(shape.up.carries_fragments() == std::optional(false));
  CHECK(shape.down.carries_fragments() == std::optional(true));
  CHECK_FALSE(WayShape{65507, true, {}, {}}.carries_fragments());
  const auto again = path_shape_from_json(to_json(shape));
  REQUIRE(again);
  CHECK(to_line(to_json(*again)) == to_line(to_json(shape)));
  CHECK(text_of(shape).find("MTU 1492") != std::string::npos);
  CHECK(text_of(shape).find("are lost (0 of 20)") != std::string::npos);
  CHECK(text_of(shape).find("lost 1.0% of 100 full-size") != std::string::npos);
}

TEST_CASE("a shape that cannot be is refused with the field's name", "[tuner][path]") {
  const auto wrong = [](auto bend) {
    Json value = to_json(a_shape());
    bend(value);
    const auto read = path_shape_from_json(value);
    REQUIRE_FALSE(read);
    CHECK(read.error().code == Errc::invalid);
    return read.error().what;
  };
  using Catch::Matchers::Contains;
  CHECK_THAT(wrong([](Json& v) { v["schema"] = "other/1"; }), Contains("schema"));
  CHECK_THAT(wrong([](Json& v) { v["data"] = "gateway"; }), Contains("data"));
  CHECK_THAT(wrong([](Json& v) { v["source"] = "fd00::1"; }), Contains("family"));
  CHECK_THAT(wrong([](Json& v) { v["up"] = 1; }), Contains("up"));
  CHECK_THAT(wrong([](Json& v) { v["up"]["payload_bytes"] = 65508; }), Contains("payload_bytes"));
  CHECK_THAT(wrong([](Json& v) { v["up"]["is_exact"] = 1; }), Contains("is_exact"));
  CHECK_THAT(wrong([](Json& v) { v["down"]["full_size"]["arrived"] = 101; }), Contains("arrived"));
  CHECK_THAT(wrong([](Json& v) { v["down"]["fragmented"]["sent"] = -1; }), Contains("sent"));
  CHECK_THAT(wrong([](Json& v) { v["loss_packets"] = 129; }), Contains("loss_packets"));
}

TEST_CASE("a server takes a path's words only in order and within their limits", "[tuner][path]") {
  const auto refused = [](const auto& result, Errc code) {
    return !result && result.error().code == code;
  };
  CHECK(refused(ServedPath::open(Json{{"path", 1}}, {}), Errc::invalid));
  CHECK(refused(ServedPath::open(plan("gateway"), {}), Errc::invalid));
  CHECK(refused(ServedPath::open(plan("0.0.0.0"), {}), Errc::invalid));
  CHECK(refused(ServedPath::open(plan("224.0.0.1"), {}), Errc::invalid));
  CHECK(refused(ServedPath::open(plan("127.0.0.1"), IpAddress::parse("127.0.0.2")), Errc::rejected));
  CHECK(refused(ServedPath::open(plan("192.0.2.1"), {}), Errc::not_found));

  auto opened = ServedPath::open(plan("127.0.0.1"), {});
  REQUIRE(opened);
  ServedPath& path = **opened;
  CHECK(path.port()["path_port"]["udp"].get<unsigned>() > 0);
  const Json wish{{"round", 0}, {"sizes", {100}}, {"gap_ms", 1}, {"fragmented", false}, {"fragment_bytes", 0}};
  // Nobody has sent anything yet: there is nobody whom it may send to.
  CHECK(refused(path.answer({{"path_send", wish}}), Errc::protocol));
  CHECK(refused(path.answer({{"path_seen", 256}}), Errc::invalid));
  CHECK(path.answer({{"path_seen", 255}}).has_value());

  // A stranger's datagram, of another nonce, changes nothing.
  auto stranger = PathEnd::open(Family::v4, IpAddress::parse("127.0.0.1"), 0, 1);
  REQUIRE(stranger);
  const auto port = static_cast<std::uint16_t>(path.port()["path_port"]["udp"].get<unsigned>());
  REQUIRE((*stranger)->send(SocketAddress::of(*IpAddress::parse("127.0.0.1"), port), {0, {100}}));
  CHECK(refused(path.answer({{"path_send", wish}}), Errc::protocol));

  const std::string hex = path.port()["path_port"]["nonce"].get<std::string>();
  const auto nonce = from_hex(hex);
  REQUIRE(nonce);
  auto end = PathEnd::open(Family::v4, IpAddress::parse("127.0.0.1"), 0, load_be64(nonce->data()));
  REQUIRE(end);
  REQUIRE((*end)->send(SocketAddress::of(*IpAddress::parse("127.0.0.1"), port), {7, {100, 50}}));
  for (int tries = 0; tries < 1'000'000; ++tries) {
    const auto said = path.answer({{"path_seen", 7}});
    REQUIRE(said);
    if ((*said)["path_arrived"] == Json{0, 1}) break;
  }
  CHECK((*path.answer({{"path_seen", 7}}))["path_arrived"] == Json{0, 1});
  CHECK(path.answer({{"path_send", wish}}).has_value());
  for (const char* field : {"round", "sizes", "gap_ms", "fragmented", "fragment_bytes"}) {
    Json bent = wish;
    bent[field] = "x";
    CHECK(refused(path.answer({{"path_send", bent}}), Errc::invalid));
    bent.erase(field);
    CHECK(refused(path.answer({{"path_send", bent}}), Errc::invalid));
  }
  for (const unsigned size : {0U, 19U, 65508U}) {
    Json bent = wish;
    bent["sizes"] = {size};
    CHECK(refused(path.answer({{"path_send", bent}}), Errc::invalid));
  }
  Json slow = wish;
  slow["gap_ms"] = 11;
  CHECK(refused(path.answer({{"path_send", slow}}), Errc::invalid));
}

TEST_CASE("an end of a path sends so many datagrams and no more", "[tuner][path]") {
  const auto loopback = IpAddress::parse("127.0.0.1");
  auto end = PathEnd::open(Family::v4, loopback, 0, 1);
  REQUIRE(end);
  const SocketAddress to = SocketAddress::of(*loopback, (*end)->port());
  PathRound round{0, std::vector<unsigned>(path_round_max, 20), 0ms};
  for (unsigned sent = 0; sent < path_datagrams_max; sent += path_round_max)
    REQUIRE((*end)->send(to, round));
  const auto more = (*end)->send(to, round);
  REQUIRE_FALSE(more);
  CHECK(more.error().code == Errc::limit);
}
