// Published vectors: origin, licence and sums in tests/vectors/README.md.
#include <catch2/catch.hpp>
#include <fstream>
#include <map>
#include <sstream>

#include "base/fd.h"
#include "base/json.h"
#include "base/text.h"
#include "crypto/aead.h"
#include "crypto/kdf.h"
#include "tests/crypto/aead_backends.h"
#include "tests/crypto/plain_openssl.h"

namespace lt::crypto {
namespace {

constexpr std::size_t vector_file_bytes_max = 8 << 20;
const std::string vectors = LINKTUNE_SOURCE_DIR "/tests/vectors/";
const std::string debian_vectors =
    "/usr/lib/python3/dist-packages/cryptography_vectors/ciphers/AES/GCM/";

std::string text_of(const std::string& path, const std::string& sha256) {
  const auto text = read_file(path, vector_file_bytes_max);
  INFO(path);
  REQUIRE(text);
  CHECK(test::sha256_hex(as_bytes(*text)) == sha256);
  return *text;
}

std::string debian_text(const std::string& name, const std::string& sha256) {
  const auto text = read_file(debian_vectors + name, vector_file_bytes_max);
  if (!text) FAIL(text.error().text() << "; run: apt-get install python3-cryptography-vectors");
  // A later release of the package may word its comments otherwise; counts and answers must still
  // hold.
  if (test::sha256_hex(as_bytes(*text)) != sha256) WARN(name << " is not the file of Debian 12");
  return *text;
}

std::vector<Byte> bytes_of(const std::string& hex) {
  const auto bytes = from_hex(hex);
  REQUIRE(bytes);
  return *bytes;
}

struct GcmCase {
  std::vector<Byte> key, iv, aad, plain, sealed, tag;
  bool must_fail = false;
  AeadBackend backend = AeadBackend::openssl;
};

/// NIST's "response" format: name = value lines, a blank line ends a case, [name = value] lines
/// head a group.
std::vector<GcmCase> parse_rsp(const std::string& text, AeadBackend backend) {
  std::vector<GcmCase> cases;
  std::map<std::string, std::string> fields;
  bool must_fail = false;
  const auto end_case = [&] {
    if (fields.contains("Count")) {
      cases.push_back({.key = bytes_of(fields.at("Key")),
                       .iv = bytes_of(fields.at("IV")),
                       .aad = bytes_of(fields.at("AAD")),
                       .plain = bytes_of(fields["PT"]),
                       .sealed = bytes_of(fields.at("CT")),
                       .tag = bytes_of(fields.at("Tag")),
                       .must_fail = must_fail,
                       .backend = backend});
    }
    fields.clear();
    must_fail = false;
  };
  for (const std::string_view raw : split(text, '\n')) {
    const std::string_view line = trim(raw);
    if (line.empty()) end_case();
    if (line == "FAIL") must_fail = true;
    const auto equals = line.find('=');
    if (line.empty() || line.front() == '#' || line.front() == '[' || equals == line.npos) continue;
    fields[std::string(trim(line.substr(0, equals)))] = std::string(trim(line.substr(equals + 1)));
  }
  end_case();
  return cases;
}

Aead aead_of(const GcmCase& one) {
  auto aead = Aead::create(
      Secret<32>::copy_of(std::span<const Byte, 32>(one.key.data(), aead_key_bytes)), one.backend);
  REQUIRE(aead);
  return std::move(*aead);
}

std::span<const Byte, aead_nonce_bytes> nonce_of(const GcmCase& one) {
  return std::span<const Byte, aead_nonce_bytes>(one.iv.data(), aead_nonce_bytes);
}

/// Seals the plaintext and compares ciphertext and the tag's first bytes.
bool seals_as_given(const GcmCase& one) {
  auto text = one.plain;
  std::array<Byte, aead_tag_bytes> tag{};
  aead_of(one).seal(nonce_of(one), one.aad, text, tag);
  return text == one.sealed && std::equal(one.tag.begin(), one.tag.end(), tag.begin());
}

/// Opens, or refuses to; a whole tag is needed.
bool opens_as_given(const GcmCase& one) {
  auto text = one.sealed;
  const bool opened =
      aead_of(one).open(nonce_of(one), one.aad, text,
                        std::span<const Byte, aead_tag_bytes>(one.tag.data(), aead_tag_bytes));
  if (one.must_fail) return !opened && text == std::vector<Byte>(text.size(), 0);
  return opened && text == one.plain;
}

/// Whether a short tag is the beginning of the whole one. GCM encrypts by XOR with a stream, so
/// sealing the ciphertext gives the plaintext, also where the file has none.
bool judges_short_tag_as_given(const GcmCase& one) {
  Aead aead = aead_of(one);
  auto text = one.sealed;
  std::array<Byte, aead_tag_bytes> tag{};
  aead.seal(nonce_of(one), one.aad, text, tag);
  const auto plain = text;
  aead.seal(nonce_of(one), one.aad, text, tag);
  const bool is_right = std::equal(one.tag.begin(), one.tag.end(), tag.begin());
  return one.must_fail ? !is_right : is_right && plain == one.plain;
}

TEST_CASE("NIST's 375 decryption cases with our lengths open or fail as they must",
          "[crypto][aead][vectors]") {
  const AeadBackend backend = GENERATE(from_range(test::aead_backends()));
  CAPTURE(name_of(backend));
  const auto cases =
      parse_rsp(text_of(vectors + "nist_gcmDecrypt256_iv96_tag128.rsp",
                        "ed303646dfdf1adca0df239d2b3841454fa2db1f3d426bc3e7561c0492aadbe9"),
                backend);
  REQUIRE(cases.size() == 375);
  CHECK(std::count_if(cases.begin(), cases.end(), [](auto& one) { return one.must_fail; }) == 191);
  CHECK(std::count_if(cases.begin(), cases.end(), opens_as_given) == 375);
}

TEST_CASE("NIST's 375 encryption cases with our lengths seal to the given bytes",
          "[crypto][aead][vectors]") {
  const AeadBackend backend = GENERATE(from_range(test::aead_backends()));
  CAPTURE(name_of(backend));
  const auto cases =
      parse_rsp(text_of(vectors + "nist_gcmEncryptExtIV256_iv96_tag128.rsp",
                        "89f0739b071e50f0258b23e38b29052e87e081479e591f95567426a9a80facfc"),
                backend);
  REQUIRE(cases.size() == 375);
  CHECK(std::count_if(cases.begin(), cases.end(), seals_as_given) == 375);
  CHECK(std::count_if(cases.begin(), cases.end(), opens_as_given) == 375);
}

TEST_CASE("all cases of NIST's full files that have a 96-bit IV come out right",
          "[crypto][aead][vectors]") {
  const AeadBackend backend = GENERATE(from_range(test::aead_backends()));
  CAPTURE(name_of(backend));
  const auto opening =
      parse_rsp(debian_text("gcmDecrypt256.rsp",
                            "ed318735a517d5a85c82d2846c23dcf56e57a352fb0f0a163d9e7617a7bd12ad"),
                backend);
  const auto sealing =
      parse_rsp(debian_text("gcmEncryptExtIV256.rsp",
                            "4448b4998c3f58cd9f5542ddf7c573189a721ff3d3ac24cd5177bb4910a787f8"),
                backend);
  REQUIRE(opening.size() == 7875);
  REQUIRE(sealing.size() == 7875);
  CHECK(std::count_if(opening.begin(), opening.end(), [](auto& one) { return one.must_fail; }) ==
        3919);
  std::size_t opened = 0;
  std::size_t sealed = 0;
  std::size_t wrong = 0;
  for (const GcmCase& one : opening) {
    if (one.iv.size() != aead_nonce_bytes) continue;
    ++opened;
    const bool is_whole = one.tag.size() == aead_tag_bytes;
    if (!(is_whole ? opens_as_given(one) : judges_short_tag_as_given(one))) ++wrong;
  }
  for (const GcmCase& one : sealing) {
    if (one.iv.size() != aead_nonce_bytes) continue;
    ++sealed;
    if (!seals_as_given(one)) ++wrong;
  }
  CHECK(opened == 2625);
  CHECK(sealed == 2625);
  CHECK(wrong == 0);
}

TEST_CASE("Wycheproof's 66 AES-GCM cases with our lengths come out right",
          "[crypto][aead][vectors]") {
  const AeadBackend backend = GENERATE(from_range(test::aead_backends()));
  CAPTURE(name_of(backend));
  const auto file =
      parse_json(text_of(vectors + "wycheproof_v1_aes_gcm_test.json",
                         "985e5ecc172e181eaf49e89508b9470dcf478002eb7e8559c707eb42dc97dfe7"),
                 "the Wycheproof file");
  REQUIRE(file);
  std::size_t valid = 0;
  std::size_t invalid = 0;
  for (const Json& group : (*file)["testGroups"]) {
    if (group["keySize"] != 256 || group["ivSize"] != 96 || group["tagSize"] != 128) continue;
    for (const Json& one : group["tests"]) {
      const GcmCase gcm{.key = bytes_of(one["key"]),
                        .iv = bytes_of(one["iv"]),
                        .aad = bytes_of(one["aad"]),
                        .plain = bytes_of(one["msg"]),
                        .sealed = bytes_of(one["ct"]),
                        .tag = bytes_of(one["tag"]),
                        .must_fail = one["result"] == "invalid",
                        .backend = backend};
      INFO("tcId " << one["tcId"]);
      CHECK(opens_as_given(gcm));
      CHECK((gcm.must_fail || seals_as_given(gcm)));
      ++(gcm.must_fail ? invalid : valid);
    }
  }
  CHECK(valid == 39);
  CHECK(invalid == 27);
}

TEST_CASE("the three vectors of RFC 5869 for SHA-256 come out right", "[crypto][kdf][vectors]") {
  const auto file =
      parse_json(text_of(vectors + "rfc5869_hkdf_sha256.json",
                         "2c7fee4b0d34230d0025e41fd373ca157d47723bd996a635987937f80e515ab2"),
                 "the RFC 5869 file");
  REQUIRE(file);
  REQUIRE((*file)["vectors"].size() == 3);
  for (const Json& one : (*file)["vectors"]) {
    INFO(one["name"]);
    const auto prk = hkdf_extract(bytes_of(one["salt"]), bytes_of(one["ikm"]));
    CHECK(to_hex(prk.reveal()) == one["prk"]);
    std::vector<Byte> okm(one["L"].get<std::size_t>());
    hkdf_expand(prk.reveal(), bytes_of(one["info"]), okm);
    CHECK(to_hex(okm) == one["okm"]);
  }
}

TEST_CASE("Wycheproof's 83 possible HKDF cases come out right, and the 3 others ask too much",
          "[crypto][kdf][vectors]") {
  const auto file =
      parse_json(text_of(vectors + "wycheproof_v1_hkdf_sha256_test.json",
                         "bb2b462a38b251cb52a2aede706d6d4b62b26864f4e80c95497507ddb07c5f1e"),
                 "the Wycheproof file");
  REQUIRE(file);
  std::size_t valid = 0;
  std::size_t too_large = 0;
  for (const Json& group : (*file)["testGroups"]) {
    for (const Json& one : group["tests"]) {
      INFO("tcId " << one["tcId"]);
      const auto size = one["size"].get<std::size_t>();
      if (one["result"] == "invalid") {
        CHECK(size > hkdf_bytes_max);
        ++too_large;
        continue;
      }
      const auto prk = hkdf_extract(bytes_of(one["salt"]), bytes_of(one["ikm"]));
      std::vector<Byte> okm(size);
      hkdf_expand(prk.reveal(), bytes_of(one["info"]), okm);
      CHECK(to_hex(okm) == one["okm"]);
      ++valid;
    }
  }
  CHECK(valid == 83);
  CHECK(too_large == 3);
}

}  // namespace
}  // namespace lt::crypto
