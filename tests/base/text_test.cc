#include "base/text.h"

#include <catch2/catch.hpp>

namespace lt {
namespace {

TEST_CASE("a text is split at each separator, and joined again", "[base][text]") {
  CHECK(split("a,b,,c", ',') == std::vector<std::string_view>{"a", "b", "", "c"});
  CHECK(split("", ',') == std::vector<std::string_view>{""});
  CHECK(split(",", ',') == std::vector<std::string_view>{"", ""});
  const std::vector<std::string> parts{"a", "b", "c"};
  CHECK(join(parts, ", ") == "a, b, c");
  CHECK(join({}, ", ").empty());
}

TEST_CASE("blanks at both ends go, those within stay", "[base][text]") {
  CHECK(trim(" \t a b \r\n") == "a b");
  CHECK(trim("").empty());
  CHECK(trim(" \n").empty());
  CHECK(trim("x") == "x");
}

TEST_CASE("a number is digits and nothing else", "[base][text]") {
  CHECK(parse_u64("0") == 0);
  CHECK(parse_u64("007") == 7);
  CHECK(parse_u64("18446744073709551615") == 18446744073709551615ULL);
  for (const char* bad :
       {"", " ", "-1", "+1", "1 ", " 1", "1.0", "0x1", "18446744073709551616", "1e3", "1k"}) {
    INFO(bad);
    CHECK_FALSE(parse_u64(bad));
  }
}

TEST_CASE("a misspelt word finds the one it most likely means, a strange one none",
          "[base][text]") {
  const std::vector<std::string> known{"listen", "connect", "congestion_control", "mtu"};
  CHECK(nearest("lisen", known) == "listen");
  CHECK(nearest("conect", known) == "connect");
  CHECK(nearest("congestion-control", known) == "congestion_control");
  CHECK(nearest("mut", known) == "mtu");
  CHECK(nearest("listen", known) == "listen");
  CHECK_FALSE(nearest("zebra", known));
  CHECK_FALSE(nearest("something quite different", known));
  CHECK_FALSE(nearest("listen", {}));
}

TEST_CASE("what is shown is printable ASCII, whatever comes in, and bounded", "[base][text]") {
  CHECK(printable("plain text ~", 100) == "plain text ~");
  CHECK(printable("a\nb\x1b[2J", 100) == "a\\x0ab\\x1b[2J");
  CHECK(printable("back\\slash", 100) == "back\\x5cslash");
  CHECK(printable("\xc3\xa9", 100) == "\\xc3\\xa9");
  CHECK(printable(std::string_view("\0", 1), 100) == "\\x00");
  CHECK(printable(std::string(1000, 'a'), 10) == "aaaaaaaaaa...");
  CHECK(printable(std::string(10, 'a'), 10) == "aaaaaaaaaa");
  std::string all;
  for (int c = 0; c < 256; ++c)
    all += static_cast<char>(c);
  for (const char c : printable(all, 10'000))
    CHECK((c >= ' ' && c <= '~'));
  for (const std::string_view text : {"\\x41", "A"})
    CHECK(printable(text, 100) != printable(text == "A" ? "\\x41" : "A", 100));
}

}  // namespace
}  // namespace lt
