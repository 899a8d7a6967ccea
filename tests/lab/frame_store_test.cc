#include "lab/frame_store.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <deque>

#include "base/random.h"

using namespace lt;
using namespace lt::lab;

namespace {

void put(FrameStore& store, std::size_t bytes, Byte mark) {
  const ByteSpan room = store.room();
  REQUIRE(room.size() == FrameStore::frame_bytes_max);
  std::fill_n(room.begin(), bytes, mark);
  store.push(bytes);
}

bool holds(ByteView frame, std::size_t bytes, Byte mark) {
  return frame.size() == bytes &&
         std::all_of(frame.begin(), frame.end(), [&](Byte byte) { return byte == mark; });
}

}  // namespace

TEST_CASE("frames leave the store in order and unchanged, over many blocks", "[lab][store]") {
  const auto seed = GENERATE(1U, 2U, 3U);
  INFO("seed " << seed);
  Random random(seed);
  auto store = FrameStore::create(1_MiB);
  REQUIRE(store);
  struct Kept {
    std::size_t bytes;
    Byte mark;
  };
  std::deque<Kept> kept;
  for (int i = 0; i < 5'000; ++i) {
    // First more come than go, then the other way round: the store fills and runs empty.
    const bool filling = (i / 250) % 2 == 0;
    if (kept.empty() || random.chance(filling ? 0.8 : 0.2)) {
      const Kept frame{1 + random.next() % FrameStore::frame_bytes_max,
                       static_cast<Byte>(random.next())};
      put(*store, frame.bytes, frame.mark);
      kept.push_back(frame);
    } else {
      REQUIRE(holds(store->front(), kept.front().bytes, kept.front().mark));
      store->pop();
      kept.pop_front();
    }
  }
  for (; !kept.empty(); kept.pop_front()) {
    REQUIRE(holds(store->front(), kept.front().bytes, kept.front().mark));
    store->pop();
  }
}

TEST_CASE("a full store has no room, and has room again for what left", "[lab][store]") {
  auto store = FrameStore::create(256_KiB);
  REQUIRE(store);
  std::size_t count = 0;
  while (!store->room().empty()) {
    store->push(FrameStore::frame_bytes_max);
    ++count;
  }
  CHECK(count * FrameStore::frame_bytes_max >= 256 * 1024);
  for (int round = 0; round < 3; ++round) {
    for (std::size_t i = 0; i < count; ++i) {
      CHECK(store->front().size() == FrameStore::frame_bytes_max);
      store->pop();
    }
    std::size_t again = 0;
    for (; !store->room().empty(); ++again)
      store->push(FrameStore::frame_bytes_max);
    CHECK(again >= count - FrameStore::block_bytes / FrameStore::frame_bytes_max);
    count = again;
  }
}

TEST_CASE("room that is not used is offered again", "[lab][store]") {
  auto store = FrameStore::create(128_KiB);
  REQUIRE(store);
  const Byte* const place = store->room().data();
  CHECK(store->room().data() == place);
  put(*store, 100, 7);
  CHECK(store->room().data() != place);
  CHECK(holds(store->front(), 100, 7));
}
