#include "crypto/identity.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>

#include "base/defer.h"
#include "base/fd.h"
#include "crypto/key_file.h"
#include "tests/crypto/witness.h"

namespace lt::crypto {
namespace {

using Catch::Contains;

// RFC 8032 7.1, tests 1 and 2
const std::string seed_1 = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
const std::string public_1 = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
const std::string seed_2 = "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb";
const std::string public_2 = "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c";

const std::string header = "linktune-private-key-1\n";
const std::string psk_header = "linktune-pre-shared-key-1\n";

std::string base64_of(const std::string& hex) {
  return to_base64(from_hex(hex).value_or(std::vector<Byte>()));
}

const std::string good_line = base64_of(seed_1) + "\n";

/// The sentence with which a file is refused; empty when it is taken.
std::string refusal(const std::string& path) {
  const auto identity = Identity::load(path);
  return identity ? "" : identity.error().text();
}

std::string refusal_of(const std::string& text) {
  const test::TemporaryDirectory directory;
  return refusal(directory.write("key", text));
}

TEST_CASE("a private key file gives the public key of RFC 8032", "[crypto][identity][vectors]") {
  const test::TemporaryDirectory directory;
  const auto first = Identity::load(directory.write("first", header + base64_of(seed_1) + "\n"));
  REQUIRE(first);
  CHECK(to_hex(first->public_key()) == public_1);
  const auto second = Identity::load(directory.write("second", header + base64_of(seed_2)));
  REQUIRE(second);
  CHECK(to_hex(second->public_key()) == public_2);
}

TEST_CASE("a saved identity loads as itself, from a file only its owner can read",
          "[crypto][identity]") {
  const test::TemporaryDirectory directory;
  const auto path = directory.path("key");
  const mode_t mask = GENERATE(mode_t{0}, mode_t{022}, mode_t{0777});
  const mode_t old_mask = ::umask(mask);
  LT_DEFER(::umask(old_mask));
  const auto identity = Identity::generate();
  REQUIRE(identity);
  REQUIRE(identity->save(path));
  struct stat status {};
  REQUIRE(::stat(path.c_str(), &status) == 0);
  CHECK((status.st_mode & 07777) == 0600);
  const auto loaded = Identity::load(path);
  REQUIRE(loaded);
  CHECK(loaded->public_key() == identity->public_key());
  const auto text = read_file(path, 4096);
  REQUIRE(text);
  CHECK(text->size() == header.size() + key_text_chars + 1);
  CHECK(text->starts_with(header));
}

TEST_CASE("two generated identities differ", "[crypto][identity]") {
  const auto first = Identity::generate();
  const auto second = Identity::generate();
  REQUIRE((first && second));
  CHECK(first->public_key() != second->public_key());
}

TEST_CASE("saving never overwrites what is there", "[crypto][identity]") {
  const test::TemporaryDirectory directory;
  const auto identity = Identity::generate();
  REQUIRE(identity);
  const auto path = directory.write("key", "precious");
  const auto status = identity->save(path);
  REQUIRE_FALSE(status);
  CHECK(status.error().code == Errc::exists);
  CHECK_THAT(status.error().what, Contains("exists already"));
  CHECK(read_file(path, 100).value_or("") == "precious");

  REQUIRE(::symlink(directory.path("elsewhere").c_str(), directory.path("link").c_str()) == 0);
  CHECK_FALSE(identity->save(directory.path("link")));
  CHECK_FALSE(std::filesystem::exists(directory.path("elsewhere")));
}

TEST_CASE("saving where nothing can be written says so and leaves nothing", "[crypto][identity]") {
  const test::TemporaryDirectory directory;
  const auto identity = Identity::generate();
  REQUIRE(identity);
  const auto nowhere = identity->save(directory.path("absent/key"));
  REQUIRE_FALSE(nowhere);
  CHECK(nowhere.error().code == Errc::not_found);
  // A device that takes no byte stands for a full disk.
  const auto full = identity->save("/dev/full");
  REQUIRE_FALSE(full);
  CHECK(full.error().code == Errc::exists);
}

TEST_CASE(
    "a key file that others can read, change or run is refused with the command that mends it",
    "[crypto][identity]") {
  const test::TemporaryDirectory directory;
  for (unsigned bit = 0; bit < 6; ++bit) {
    const auto path = directory.write("key", header + good_line, 0600U | 1U << bit);
    const auto identity = Identity::load(path);
    REQUIRE_FALSE(identity);
    CHECK(identity.error().code == Errc::not_permitted);
    CHECK_THAT(identity.error().what, Contains("run: chmod 600 " + path));
  }
  CHECK(refusal(directory.write("key", header + good_line, 0600)).empty());
  CHECK(refusal(directory.write("key", header + good_line, 0400)).empty());
}

TEST_CASE("a key file of another user is refused", "[crypto][identity]") {
  if (::geteuid() != 0) {
    WARN("only root can give a file to another user");
    return;
  }
  const test::TemporaryDirectory directory;
  const auto path = directory.write("key", header + good_line);
  REQUIRE(::chown(path.c_str(), 12345, 0) == 0);
  const auto identity = Identity::load(path);
  REQUIRE_FALSE(identity);
  CHECK(identity.error().code == Errc::not_permitted);
  CHECK_THAT(identity.error().what, Contains("uid 12345") && Contains("run: chown 0 " + path));
}

TEST_CASE("what is not a regular file is refused at once, without waiting", "[crypto][identity]") {
  const test::TemporaryDirectory directory;
  const auto key = directory.write("key", header + good_line);
  REQUIRE(::symlink(key.c_str(), directory.path("link").c_str()) == 0);
  CHECK_THAT(refusal(directory.path("link")), Contains("symbolic link"));
  REQUIRE(::mkfifo(directory.path("fifo").c_str(), 0600) == 0);
  CHECK_THAT(refusal(directory.path("fifo")), Contains("not a regular file"));
  CHECK_THAT(refusal(directory.path()), Contains("not a regular file"));
  CHECK_THAT(refusal(directory.path() + "/"), Contains("names no file"));
  CHECK_THAT(refusal("/dev/zero"), Contains("not a regular file"));
  CHECK_THAT(refusal(""), Contains("names no file"));
}

TEST_CASE("a missing key file names the command that makes one", "[crypto][identity]") {
  const test::TemporaryDirectory directory;
  const auto identity = Identity::load(directory.path("absent"));
  REQUIRE_FALSE(identity);
  CHECK(identity.error().code == Errc::not_found);
  CHECK_THAT(identity.error().what, Contains("linktune keygen"));
  CHECK_THAT(refusal(directory.path("absent/key")), Contains("cannot open directory"));
}

TEST_CASE("a directory in which others can replace the key is refused, a sticky one is not",
          "[crypto][identity]") {
  const test::TemporaryDirectory directory;
  const auto path = directory.write("key", header + good_line);
  for (const mode_t mode : {0720U, 0702U, 0777U}) {
    REQUIRE(::chmod(directory.path().c_str(), mode) == 0);
    CHECK_THAT(refusal(path), Contains("run: chmod go-w " + directory.path()));
  }
  for (const mode_t mode : {0700U, 0755U, 01777U}) {
    REQUIRE(::chmod(directory.path().c_str(), mode) == 0);
    CHECK(refusal(path).empty());
  }
}

TEST_CASE("only in the service manager's credentials directory may a group read the key",
          "[crypto][identity]") {
  const test::TemporaryDirectory directory;
  REQUIRE(std::filesystem::create_directory(directory.path("credentials")));
  REQUIRE(::chmod(directory.path("credentials").c_str(), 0700) == 0);
  REQUIRE(::setenv("CREDENTIALS_DIRECTORY", directory.path("credentials").c_str(), 1) == 0);
  LT_DEFER(::unsetenv("CREDENTIALS_DIRECTORY"));
  CHECK(refusal(directory.write("credentials/key", header + good_line, 0440)).empty());
  CHECK_THAT(refusal(directory.write("credentials/key", header + good_line, 0444)),
             Contains("chmod 600"));
  CHECK_THAT(refusal(directory.write("credentials/key", header + good_line, 0460)),
             Contains("chmod 600"));
  CHECK_THAT(refusal(directory.write("key", header + good_line, 0440)), Contains("chmod 600"));
}

TEST_CASE("every damaged key file is refused in words that say what it is", "[crypto][identity]") {
  CHECK(refusal_of(header + good_line).empty());
  CHECK_THAT(refusal_of(""), Contains("is empty"));
  CHECK_THAT(refusal_of(" \n\n"), Contains("is empty"));
  CHECK_THAT(refusal_of("ltpub-" + base64_of(public_1) + "\n"), Contains("this is the public key"));
  CHECK_THAT(refusal_of("linktune-private-key-1\r\n" + base64_of(seed_1) + "\r\n"),
             Contains("Windows line ends") && Contains("sed -i"));
  CHECK_THAT(refusal_of(header + base64_of(seed_1) + "\r\n"), Contains("Windows line ends"));
  CHECK_THAT(refusal_of("\xEF\xBB\xBF" + header + good_line), Contains("byte order mark"));
  CHECK_THAT(refusal_of("-----BEGIN PRIVATE KEY-----\nMC4CAQ\n"), Contains("PEM file"));
  CHECK_THAT(refusal_of(psk_header + good_line), Contains("of another kind"));
  CHECK_THAT(refusal_of("linktune-private-key-2\n" + good_line), Contains("of another kind"));
  CHECK_THAT(refusal_of(good_line), Contains("its first line is not linktune-private-key-1"));
  CHECK_THAT(refusal_of("hello\n"), Contains("its first line is not linktune-private-key-1"));
  CHECK_THAT(refusal_of(header + header + good_line), Contains("cut short or damaged"));
  CHECK_THAT(refusal_of(header + good_line + good_line), Contains("cut short or damaged"));
  CHECK_THAT(refusal_of(header + good_line + "\n"), Contains("cut short or damaged"));
  CHECK_THAT(refusal_of(header + " " + good_line), Contains("cut short or damaged"));
  CHECK_THAT(refusal_of(header + "ltpub-" + base64_of(public_1)), Contains("cut short or damaged"));
  CHECK_THAT(refusal_of(header + std::string(43, 'A') + "=\n"), Contains("only zeros"));
  CHECK_THAT(refusal_of(header + std::string(4, '\0') + good_line),
             Contains("cut short or damaged"));
}

TEST_CASE("a key file cut at any byte but the last line end is refused", "[crypto][identity]") {
  const test::TemporaryDirectory directory;
  const std::string whole = header + good_line;
  for (std::size_t size = 0; size < whole.size() - 1; ++size) {
    CHECK_FALSE(refusal(directory.write("key", whole.substr(0, size))).empty());
  }
  CHECK(refusal(directory.write("key", whole.substr(0, whole.size() - 1))).empty());
}

TEST_CASE("base64 that is not the one spelling of 32 bytes is refused", "[crypto][identity]") {
  const std::string line = base64_of(seed_1);
  const test::TemporaryDirectory directory;
  for (std::size_t at = 0; at < line.size(); ++at) {
    for (const char wrong : {'\n', ' ', '-', '_', '=', '\x80', '\0'}) {
      if (line[at] == wrong) continue;
      std::string damaged = line;
      damaged[at] = wrong;
      CHECK_FALSE(refusal(directory.write("key", header + damaged + "\n")).empty());
    }
  }
  // The last character before the padding carries two unused bits, which must be zero.
  std::string loose = line;
  ++loose[42];
  CHECK_FALSE(refusal(directory.write("key", header + loose + "\n")).empty());
}

TEST_CASE("no refusal repeats the secret", "[crypto][identity]") {
  for (const std::string& text :
       {good_line, header + good_line + "x", "linktune-private-key-1\r\n" + good_line,
        "linktune-" + good_line.substr(0, 4)}) {
    CHECK_THAT(refusal_of(text), !Contains(good_line.substr(0, 12)));
  }
}

TEST_CASE("a file of 4096 bytes is read and judged, one of 4097 or a gigabyte is not read",
          "[crypto][identity]") {
  CHECK_THAT(refusal_of(header + std::string(4096 - header.size(), 'a')), Contains("damaged"));
  CHECK_THAT(refusal_of(header + std::string(4097 - header.size(), 'a')),
             Contains("larger than 4096"));
  const test::TemporaryDirectory directory;
  const auto path = directory.write("key", header);
  REQUIRE(::truncate(path.c_str(), off_t{1} << 30) == 0);
  CHECK_THAT(refusal(path), Contains("larger than 4096"));
}

TEST_CASE("a path with control characters is shown escaped", "[crypto][identity]") {
  const test::TemporaryDirectory directory;
  CHECK_THAT(refusal(directory.write("ke\x1b[31my\n", "x")), Contains("ke\\x1b[31my\\x0a"));
}

TEST_CASE("a public key's text reads back as the key, with white space around it",
          "[crypto][identity]") {
  const auto identity = Identity::generate();
  REQUIRE(identity);
  const std::string text = public_key_text(identity->public_key());
  CHECK(text.size() == public_key_prefix.size() + key_text_chars);
  for (const std::string& spelt : {text, " " + text, text + "\n", "\t" + text + " \r\n"}) {
    const auto parsed = parse_public_key(spelt);
    REQUIRE(parsed);
    CHECK(*parsed == identity->public_key());
  }
}

TEST_CASE("text that is no public key is refused in words that say why", "[crypto][identity]") {
  const auto refusal_of_text = [](const std::string& text) {
    const auto parsed = parse_public_key(text);
    return parsed ? std::string() : parsed.error().what;
  };
  const std::string good = "ltpub-" + base64_of(public_1);
  CHECK(refusal_of_text(good).empty());
  CHECK_THAT(refusal_of_text(""), Contains("begins with ltpub-"));
  CHECK_THAT(refusal_of_text(header + good_line),
             Contains("private key") && Contains("never leave"));
  CHECK_THAT(refusal_of_text("LTPUB-" + base64_of(public_1)), Contains("begins with ltpub-"));
  CHECK_THAT(refusal_of_text(base64_of(seed_1)),
             Contains("begins with ltpub-") && !Contains(base64_of(seed_1).substr(0, 12)));
  for (std::size_t size = public_key_prefix.size(); size < good.size(); ++size) {
    CHECK_THAT(refusal_of_text(good.substr(0, size)), Contains("not a whole public key"));
  }
  CHECK_THAT(refusal_of_text(good + "A"), Contains("not a whole public key"));
  CHECK_THAT(refusal_of_text(good + "AAAA"), Contains("not a whole public key"));
  CHECK_THAT(refusal_of_text("ltpub-" + std::string(44, '\x1b')), Contains("\\x1b"));
}

TEST_CASE("keys for which anybody could sign are refused, their neighbours are not",
          "[crypto][identity]") {
  // The points of order 1, 2, 4 and 8 in every spelling, found by adding each to itself in Python.
  const std::string weak[] = {"0000000000000000000000000000000000000000000000000000000000000000",
                              "0100000000000000000000000000000000000000000000000000000000000000",
                              "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
                              "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
                              "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
                              "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
                              "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"};
  for (const std::string& hex : weak) {
    const auto bytes = from_hex(hex);
    REQUIRE(bytes);
    PublicKey key{};
    std::copy(bytes->begin(), bytes->end(), key.begin());
    INFO(hex);
    CHECK(is_weak_public_key(key));
    CHECK_FALSE(parse_public_key(public_key_text(key)));
    key[31] ^= 0x80;
    CHECK(is_weak_public_key(key));
    for (std::size_t at = 0; at < 32; ++at) {
      PublicKey near = key;
      near[at] ^= 0x10;
      CHECK_FALSE(is_weak_public_key(near));
    }
  }
}

TEST_CASE("a pre-shared key is saved and loaded, and a bare line of base64 is one too",
          "[crypto][identity]") {
  const test::TemporaryDirectory directory;
  const auto psk = Secret<32>::random();
  REQUIRE(save_psk(directory.path("psk"), psk));
  CHECK_FALSE(save_psk(directory.path("psk"), psk));
  const auto loaded = load_psk(directory.path("psk"));
  REQUIRE(loaded);
  CHECK(to_hex(loaded->reveal()) == to_hex(psk.reveal()));
  const auto bare = load_psk(directory.write("bare", good_line));
  REQUIRE(bare);
  CHECK(to_hex(bare->reveal()) == seed_1);
}

TEST_CASE("a pre-shared key file is guarded as a private key is", "[crypto][identity]") {
  const test::TemporaryDirectory directory;
  const auto psk_refusal = [&](const std::string& text, unsigned mode = 0600) {
    const auto psk = load_psk(directory.write("psk", text, mode));
    return psk ? std::string() : psk.error().what;
  };
  CHECK_THAT(psk_refusal(psk_header + good_line, 0640), Contains("chmod 600"));
  CHECK_THAT(psk_refusal(header + good_line), Contains("of another kind"));
  CHECK_THAT(psk_refusal(""), Contains("is empty"));
  CHECK_THAT(psk_refusal("hello"), Contains("openssl rand -base64 32"));
  CHECK_THAT(psk_refusal(psk_header), Contains("cut short"));
  CHECK_THAT(psk_refusal(base64_of(seed_1) + "\r\n"), Contains("Windows line ends"));
  CHECK_THAT(psk_refusal("ltpub-" + base64_of(public_1)), Contains("this is the public key"));
  CHECK_THAT(psk_refusal(psk_header + std::string(43, 'A') + "="), Contains("only zeros"));
}

}  // namespace
}  // namespace lt::crypto
