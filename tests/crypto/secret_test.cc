#include "crypto/secret.h"

#include <catch2/catch.hpp>
#include <new>
#include <sstream>
#include <type_traits>

#include "crypto/random.h"

namespace lt::crypto {
namespace {

template <class T>
concept Printable = requires(std::ostream& out, const T& value) {
  out << value;
};
template <class T>
concept Comparable = requires(const T& left, const T& right) {
  left == right;
};

static_assert(!std::is_copy_constructible_v<Secret<32>>);
static_assert(!std::is_copy_assignable_v<Secret<32>>);
static_assert(std::is_nothrow_move_constructible_v<Secret<32>>);
static_assert(std::is_nothrow_move_assignable_v<Secret<32>>);
static_assert(!Printable<Secret<32>>);
static_assert(!Comparable<Secret<32>>);
static_assert(sizeof(Secret<32>) == 32);

/// Room for one Secret whose bytes can be looked at after its death.
struct Grave {
  alignas(Secret<32>) std::array<Byte, sizeof(Secret<32>)> bytes;

  Secret<32>* bury() { return new (bytes.data()) Secret<32>(Secret<32>::copy_of(filled())); }
  [[nodiscard]] int count_left() const {
    const Byte* at = bytes.data();
    asm volatile("" : "+r"(at) : : "memory");  // the compiler may not reason about dead objects
    int count = 0;
    for (std::size_t i = 0; i < bytes.size(); ++i)
      count += at[i] == 0xa5 ? 1 : 0;
    return count;
  }
  static std::array<Byte, 32> filled() {
    std::array<Byte, 32> all{};
    all.fill(0xa5);
    return all;
  }
};

TEST_CASE("a secret is wiped when it dies", "[crypto][secret]") {
  Grave grave{};
  Secret<32>* const secret = grave.bury();
  REQUIRE(grave.count_left() == 32);
  secret->~Secret();
  CHECK(grave.count_left() == 0);
}

TEST_CASE("a secret that was moved from is wiped at once", "[crypto][secret]") {
  Grave grave{};
  Secret<32>* const secret = grave.bury();
  const Secret<32> taken(std::move(*secret));
  CHECK(grave.count_left() == 0);
  CHECK(taken.reveal()[31] == 0xa5);
  secret->~Secret();

  Secret<32>* const second = grave.bury();
  Secret<32> assigned;
  assigned = std::move(*second);
  CHECK(grave.count_left() == 0);
  CHECK(assigned.reveal()[0] == 0xa5);
  second->~Secret();
}

TEST_CASE("assigning a secret to itself keeps it", "[crypto][secret]") {
  Secret<32> secret = Secret<32>::copy_of(Grave::filled());
  Secret<32>& same = secret;
  secret = std::move(same);
  CHECK(secret.reveal()[0] == 0xa5);
}

TEST_CASE("a new secret is zero, a random one is not, and no two are alike", "[crypto][secret]") {
  const auto is_zero = [](const Secret<32>& secret) {
    return std::all_of(secret.reveal().begin(), secret.reveal().end(),
                       [](Byte b) { return b == 0; });
  };
  CHECK(is_zero(Secret<32>()));
  const auto first = Secret<32>::random();
  const auto second = Secret<32>::random();
  CHECK_FALSE(is_zero(first));
  CHECK_FALSE(std::equal(first.reveal().begin(), first.reveal().end(), second.reveal().begin()));
}

TEST_CASE("randomness fills every byte of what is asked, and nothing beside it",
          "[crypto][random]") {
  // In 64 rounds a byte stays zero throughout with probability 256^-64.
  for (const std::size_t size : {0U, 1U, 31U, 32U, 33U, 1000U}) {
    std::vector<Byte> seen(size + 2, 0);
    for (int round = 0; round < 64; ++round) {
      std::vector<Byte> bytes(size + 2, 0);
      fill_random(ByteSpan(bytes).subspan(1, size));
      for (std::size_t i = 0; i < bytes.size(); ++i)
        seen[i] = static_cast<Byte>(seen[i] | bytes[i]);
    }
    CHECK(seen.front() == 0);
    CHECK(seen.back() == 0);
    CHECK(std::count(seen.begin(), seen.end(), 0) == 2);
  }
}

}  // namespace
}  // namespace lt::crypto
