#include "tunnel/resolver.h"

#include <catch2/catch.hpp>
#include <condition_variable>
#include <mutex>
#include <set>
#include <thread>

namespace lt::tunnel {
namespace {

using namespace std::chrono_literals;

// The answers a resolver gives, to be waited for.
struct Answers {
  std::mutex mutex;
  std::condition_variable changed;
  int count{0};
  std::thread::id from;

  void take() {
    const std::lock_guard lock(mutex);
    ++count;
    from = std::this_thread::get_id();
    changed.notify_all();
  }
  [[nodiscard]] bool wait_for(int wanted) {
    std::unique_lock lock(mutex);
    return changed.wait_for(lock, 60s, [&] { return count >= wanted; });
  }
};

TEST_CASE("a numeric host is answered at once, without a question", "[tunnel][resolver]") {
  const std::string host = GENERATE("192.0.2.7", "2001:db8::7");
  Answers answers;
  Resolver resolver({host, 5198}, [&] { answers.take(); });
  for (int i = 0; i < 3; ++i) {
    resolver.ask();
    CHECK_FALSE(resolver.is_asking());
    const auto address = resolver.next_address();
    REQUIRE(address);
    CHECK(address->address() == *IpAddress::parse(host));
    CHECK(address->port() == 5198);
  }
  CHECK(answers.count == 0);
}

TEST_CASE("a name is resolved in a thread of its own, and each of its addresses has its turn",
          "[tunnel][resolver]") {
  Answers answers;
  Resolver resolver({"localhost", 5198}, [&] { answers.take(); });
  const auto before = resolver.next_address();
  REQUIRE_FALSE(before);
  CHECK(before.error().code == Errc::unreachable);
  CHECK(before.error().what == "the name of the other site is not resolved yet");
  resolver.ask();
  REQUIRE(answers.wait_for(1));
  CHECK(answers.from != std::this_thread::get_id());
  std::set<std::string> seen;
  std::vector<std::string> turns;
  for (int i = 0; i < 8; ++i) {
    const auto address = resolver.next_address();
    REQUIRE(address);
    CHECK(address->port() == 5198);
    turns.push_back(address->text());
    seen.insert(address->text());
  }
  CHECK((seen.contains("127.0.0.1:5198") || seen.contains("[::1]:5198")));
  for (std::size_t i = seen.size(); i < turns.size(); ++i)
    CHECK(turns[i] == turns[i - seen.size()]);
  // Asked again, it is answered again.
  resolver.ask();
  CHECK(answers.wait_for(2));
  CHECK(resolver.next_address());
}

TEST_CASE("a name that does not exist is an error that says so, and can be asked again",
          "[tunnel][resolver]") {
  Answers answers;
  // RFC 6761: this name never exists.
  Resolver resolver({"office.invalid", 5198}, [&] { answers.take(); });
  for (int turn = 1; turn <= 2; ++turn) {
    resolver.ask();
    REQUIRE(answers.wait_for(turn));
    const auto address = resolver.next_address();
    REQUIRE_FALSE(address);
    CHECK(address.error().code == Errc::unreachable);
    CHECK(address.error().what.find("office.invalid") != std::string::npos);
  }
}

TEST_CASE("a resolver may go while its question is under way", "[tunnel][resolver]") {
  for (int i = 0; i < 100; ++i) {
    Answers answers;
    {
      Resolver resolver({"localhost", 5198}, [&] { answers.take(); });
      resolver.ask();
      resolver.ask();  // one question at a time: this is another one only where the first is answered already
    }
    const int count = answers.count;  // whoever has gone is not called again
    CHECK(count <= 2);
    std::this_thread::yield();
    CHECK(answers.count == count);
  }
}

}  // namespace
}  // namespace lt::tunnel
