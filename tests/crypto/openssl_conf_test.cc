// A system configuration must not reach into the link (security.md 3 and D-15). OpenSSL reads it
// once per process, so each case runs this program again with OPENSSL_CONF set.
#include <catch2/catch.hpp>
#include <filesystem>

#include "base/process.h"
#include "crypto/tls_channel.h"
#include "tests/crypto/plain_openssl.h"
#include "tests/crypto/witness.h"

namespace lt::crypto {
namespace {

// What an administrator may have set for everybody else on the machine.
constexpr std::string_view hostile_conf =
    "openssl_conf = all\n"
    "[all]\nssl_conf = tls\n"
    "[tls]\nsystem_default = everybody\n"
    "[everybody]\n"
    "Options = KTLS\nMinProtocol = TLSv1\nMaxProtocol = TLSv1.2\nNumTickets = 2\n"
    "Ciphersuites = TLS_CHACHA20_POLY1305_SHA256\nGroups = P-521\nSignatureAlgorithms = RSA+SHA1\n"
    "VerifyMode = None\n";

constexpr TlsSettings our_settings{.is_tls_1_3_only = true};

TlsSettings settings_of_a_new_context() {
  const auto identity = Identity::generate();
  REQUIRE(identity);
  const auto context = TlsContext::create(*identity);
  REQUIRE(context);
  TlsSettings settings = context->settings();
  settings.has_post_quantum_group = false;  // depends on the OpenSSL, not on its configuration
  return settings;
}

void run_again_with_conf(const std::string& tag) {
  const test::TemporaryDirectory directory;
  const auto conf = directory.write("openssl.cnf", hostile_conf);
  const auto self = std::filesystem::read_symlink("/proc/self/exe").string();
  const auto output = run_process({"/usr/bin/env", "OPENSSL_CONF=" + conf, self, tag});
  REQUIRE(output);
  INFO(output->out << output->err);
  CHECK(output->exit_code == 0);
  CHECK(output->out.find("All tests passed") != std::string::npos);
}

TEST_CASE("our TLS settings are what they must be", "[crypto][tls][P-5][P-9]") {
  CHECK(settings_of_a_new_context() == our_settings);
}

TEST_CASE("OPENSSL_CONF with Options = KTLS changes nothing", "[crypto][tls]") {
  run_again_with_conf("[openssl_conf_first]");
}

TEST_CASE("an OPENSSL_CONF that somebody else in the process has loaded changes nothing",
          "[crypto][tls]") {
  run_again_with_conf("[openssl_conf_late]");
}

TEST_CASE("inner run: linktune comes first", "[.][openssl_conf_first]") {
  CHECK(settings_of_a_new_context() == our_settings);
  CHECK_FALSE(test::default_context_allows_kernel_tls());
}

TEST_CASE("inner run: another user of OpenSSL comes first", "[.][openssl_conf_late]") {
  REQUIRE(test::default_context_allows_kernel_tls());  // the file does what it says
  CHECK(settings_of_a_new_context() == our_settings);
}

}  // namespace
}  // namespace lt::crypto
