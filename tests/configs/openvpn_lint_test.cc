// The linter: each rule where it holds and where it does not, whole configs of real owners, pairs.
#include "configs/openvpn_lint.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <map>
#include <set>

namespace lt::configs {

namespace {

const std::string server =
    "mode server\ntls-server\nproto tcp-server\ndev tun\ntopology subnet\ndh none\nkeepalive 10 "
    "60\n";
const std::string udp_server =
    "mode server\ntls-server\nproto udp\ndev tun\ntopology subnet\ndh none\nkeepalive 10 "
    "60\nmssfix 1400\n";
const std::string client =
    "client\nproto tcp-client\ndev tun\nremote vpn.example 1194\nremote-cert-tls "
    "server\nconnect-retry 1 10\n";
const std::string udp_client =
    "client\nproto udp\ndev tun\nremote vpn.example 1194\nremote-cert-tls server\nconnect-retry 1 "
    "10\nmssfix 1400\n";

LintSubject subject_of(const std::string& text, const std::string& version,
                       const std::string& path = "x.conf") {
  const auto parsed = parse_lint_version(version);
  REQUIRE(parsed);
  auto lines = parse_openvpn_text(text, path, [](const std::string&) -> Result<std::string> {
    return fail(Errc::not_found, "no such file");
  });
  INFO((lines ? "" : lines.error().what));
  REQUIRE(lines);
  return lint_subject(std::move(*lines), path, *parsed);
}

std::set<std::string> rules_in(const std::vector<LintFinding>& findings) {
  std::set<std::string> names;
  for (const LintFinding& finding : findings)
    names.insert(finding.rule);
  return names;
}

std::set<std::string> found(const std::string& text, const std::string& version) {
  return rules_in(lint(subject_of(text, version)));
}

const LintFinding& finding(const std::vector<LintFinding>& findings, const std::string& rule) {
  const auto at = std::find_if(findings.begin(), findings.end(),
                               [&](const LintFinding& one) { return one.rule == rule; });
  REQUIRE(at != findings.end());
  return *at;
}

// A rule, where it holds, and where it does not.
struct Case {
  std::string rule;
  std::string version;
  std::string bad;
  std::string good;
  std::string version_good{};  // empty: the same
};

const std::vector<Case>& cases() {
  static const std::vector<Case> table{
      {"ncp-disable", "2.6", client + "ncp-disable\n", client},
      {"ncp-disable-ends", "2.5", client + "ncp-disable\n", client + "ncp-disable\n", "2.4"},
      {"keysize", "2.6", client + "keysize 128\n", client + "keysize 128\n", "2.5"},
      {"key-method", "2.6.14", client + "key-method 2\n", client + "key-method 2\n", "2.4"},
      {"no-iv", "2.7", client + "no-iv\n", client + "no-iv\n", "2.5"},
      {"no-iv-weak", "2.4", client + "no-iv\n", client + "no-iv\n", "2.6"},
      {"fragment-tcp", "2.6", client + "fragment 1300\n", udp_client + "fragment 1300\n"},
      {"fragment-small", "2.6", udp_client + "fragment 67\n", udp_client + "fragment 68\n"},
      {"mtu-test-tcp", "2.6", client + "mtu-test\n", udp_client + "mtu-test\n"},
      {"tun-mtu-small", "2.6", client + "tun-mtu 99\n", client + "tun-mtu 100\n"},
      {"tun-mtu-kernel", "2.6", client + "tun-mtu 65536\n", client + "tun-mtu 65535\n"},
      {"secret-refused", "2.7", "secret /k\n",
       "secret /k\nallow-deprecated-insecure-static-crypto\n"},
      {"static-crypto-allowed", "2.7", "secret /k\nallow-deprecated-insecure-static-crypto\n",
       client},
      {"no-dh", "2.6", "mode server\ntls-server\n", "mode server\ntls-server\ndh none\n"},
      {"weak-cipher-refused", "2.6", client + "data-ciphers AES-256-GCM:BF-CBC\n",
       client + "data-ciphers AES-256-GCM\n"},
      {"secret", "2.6", "secret /k\n", client},
      {"tun-mtu-tcp", "2.6", client + "tun-mtu 65512\n", client + "tun-mtu 65511\n"},
      {"tun-mtu-udp", "2.6", udp_client + "tun-mtu 65484\n", udp_client + "tun-mtu 65483\n"},
      {"outer-fragments", "2.6", udp_server + "tun-mtu 1500\nmssfix 0\n",
       udp_server + "tun-mtu 1448\nmssfix 0\n"},
      {"outer-fragments-mtu", "2.6", "client\nproto udp\ntun-mtu 9000\n",
       "client\nproto udp\ntun-mtu 9000\nmssfix 1492 mtu\n"},
      {"small-for-ipv6", "2.6", client + "tun-mtu 1279\nifconfig-ipv6 fd00::1/64 fd00::2\n",
       client + "tun-mtu 1280\nifconfig-ipv6 fd00::1/64 fd00::2\n"},
      {"compress", "2.6", client + "compress lz4\n", client + "compress lz4\n", "2.7"},
      {"comp-lzo", "2.5", client + "comp-lzo\n", client + "comp-lzo no\n"},
      {"allow-compression", "2.6", client + "allow-compression yes\n",
       client + "allow-compression no\n"},
      {"push-compression", "2.6", server + "push \"comp-lzo yes\"\n",
       server + "push \"route 10.0.0.0 255.0.0.0\"\n"},
      {"no-encryption", "2.6", client + "data-ciphers AES-256-GCM:none\n",
       client + "data-ciphers AES-256-GCM\n"},
      {"no-encryption-cipher", "2.4", client + "cipher none\n", client + "cipher none\n", "2.6"},
      {"weak-cipher", "2.5", client + "cipher BF-CBC\n", client + "cipher AES-256-GCM\n"},
      {"weak-cipher-list", "2.5", client + "data-ciphers BF-CBC\n",
       client + "data-ciphers AES-256-GCM\n"},
      {"weak-cipher-fallback", "2.6", client + "data-ciphers-fallback BF-CBC\n",
       client + "data-ciphers-fallback AES-256-CBC\n"},
      {"old-tls", "2.6", client + "tls-version-min 1.1\n", client + "tls-version-min 1.2\n"},
      {"no-replay", "2.6", client + "no-replay\n", client},
      {"script-security", "2.6", client + "script-security 3\n", client + "script-security 2\n"},
      {"management-open", "2.6", client + "management 0.0.0.0 7505\n",
       client + "management 127.0.0.1 7505\nmanagement /run/x.sock unix\n"},
      {"no-server-check", "2.6", "client\nca /ca.crt\n",
       "client\nca /ca.crt\nverify-x509-name office name\n"},
      {"self-signed-usage", "2.6", client + "peer-fingerprint AA\n",
       "client\npeer-fingerprint AA\n"},
      {"tls-crypt-v2-hole", "2.6.13", server + "tls-crypt-v2 /k\n", server + "tls-crypt-v2 /k\n",
       "2.6.14"},
      {"relative-path", "2.6", client + "daemon\nca ca.crt\n", client + "daemon\nca /etc/ca.crt\n"},
      {"buffers-tcp", "2.6", client + "sndbuf 393216\n", udp_client + "sndbuf 393216\n"},
      {"receive-buffers-tcp", "2.6", client + "rcvbuf 393216\n", udp_client + "rcvbuf 393216\n"},
      {"push-buffers", "2.6", server + "push \"sndbuf 393216\"\n",
       udp_server + "push \"sndbuf 393216\"\n"},
      {"long-queue", "2.6", client + "txqueuelen 1001\n", client + "txqueuelen 1000\n"},
      {"short-queue", "2.4", client, client, "2.5"},
      {"slow-cipher", "2.6", client + "data-ciphers AES-256-GCM:?AES-256-CBC\n",
       client + "data-ciphers AES-256-GCM\n"},
      {"slow-cipher-alone", "2.5", client + "cipher AES-256-CBC\n", client + "cipher AES-256-CBC\n",
       "2.6"},
      {"slow-cipher-fallback", "2.6", client + "data-ciphers-fallback AES-256-CBC\n", client},
      {"fragment-udp", "2.6", udp_client + "fragment 1300\n", udp_client},
      {"lzo-framing", "2.6", client + "comp-lzo no\n", client},
      {"max-only", "2.6", client + "tun-mtu-max 9000\n",
       client + "tun-mtu-max 9000\ntun-mtu 9000\n"},
      {"net30", "2.6", "mode server\ndh none\ntopology net30\n", server},
      {"net30-default", "2.6", "server 10.8.0.0 255.255.255.0\ndh none\n",
       "server 10.8.0.0 255.255.255.0\ndh none\n", "2.7"},
      {"talkative", "2.6", client + "verb 5\n", client + "verb 4\n"},
      {"shaper", "2.6", client + "shaper 100000\n", client},
      {"patient-client", "2.6", "client\nremote a\n", client},
      {"push-local", "2.6", server + "push \"txqueuelen 15000\"\n",
       server + "push \"tun-mtu 9000\"\n"},
      {"push-mtu", "2.5", server + "push \"tun-mtu 9000\"\n", server + "push \"tun-mtu 9000\"\n",
       "2.6"},
      {"cipher-ignored", "2.6", client + "cipher AES-256-GCM\n", "secret /k\ncipher AES-256-CBC\n"},
      {"nodelay-always", "2.7", server + "tcp-nodelay\n", server + "tcp-nodelay\n", "2.7.5"},
      {"flags-always", "2.7.6", server + "socket-flags TCP_NODELAY\n",
       server + "socket-flags TCP_NODELAY\n", "2.6"},
      {"fast-io", "2.7", udp_client + "fast-io\n", udp_client + "fast-io\n", "2.6"},
      {"persist-key", "2.7", client + "persist-key\n", client + "persist-key\n", "2.6"},
      {"compress-2-7", "2.7", client + "compress\n", client + "compress\n", "2.6"},
      {"comp-lzo-2-7", "2.7", client + "comp-lzo\n", client + "comp-lzo\n", "2.6"},
      {"exit-notify-tcp", "2.6", client + "explicit-exit-notify 1\n",
       udp_client + "explicit-exit-notify 1\n"},
      {"nodelay-client", "2.6", client + "tcp-nodelay\n", server + "tcp-nodelay\n"},
      {"queue-limit-room", "2.6", server + "tcp-queue-limit 256\n",
       server + "tcp-queue-limit 256\nbcast-buffers 257\n"},
      {"queue-limit-role", "2.6", client + "tcp-queue-limit 128\n",
       server + "tcp-queue-limit 128\n"},
      {"queue-limit-udp", "2.6", udp_server + "tcp-queue-limit 128\n",
       server + "tcp-queue-limit 128\n"},
      {"buffers-role", "2.6", client + "bcast-buffers 512\n", server + "bcast-buffers 512\n"},
      {"nodelay-udp", "2.6", udp_server + "tcp-nodelay\n", server + "tcp-nodelay\n"},
      {"flags-udp", "2.6", udp_server + "socket-flags TCP_NODELAY\n",
       server + "socket-flags TCP_NODELAY\n"},
      {"fast-io-tcp", "2.6", client + "fast-io\n", udp_client + "fast-io\n"},
      {"zero-sndbuf", "2.6", client + "sndbuf 0\n", client + "sndbuf 1\n"},
      {"zero-rcvbuf", "2.6", client + "rcvbuf 0\n", client + "rcvbuf 1\n"},
      {"push-zero-buffers", "2.6", server + "push \"sndbuf 0\"\n", server + "push \"sndbuf 1\"\n"},
      {"ncp-ciphers", "2.5", client + "ncp-ciphers AES-256-GCM\n",
       client + "ncp-ciphers AES-256-GCM\n", "2.4"},
      {"link-mtu", "2.6", client + "link-mtu 1500\n", client + "link-mtu 1500\n", "2.5"},
      {"mssfix-kernel", "2.6", client + "mssfix 1400\n", client + "mssfix 1400\ndisable-dco\n"},
      {"mssfix-default", "2.6", "client\nproto udp\n", "client\nproto udp\nmssfix 1450\n"},
      {"mtu-both-ends", "2.6", server + "tun-mtu 9000\n", server + "tun-mtu 1600\n"},
      {"mtu-test", "2.6", udp_client + "mtu-test\n", udp_client},
      {"no-liveness", "2.6", "mode server\ndh none\n", server},
      {"ns-cert-type", "2.6", "client\nns-cert-type server\n", client},
      {"said-twice", "2.6", client + "verb 3\nverb 4\n", client + "verb 3\n"},
  };
  return table;
}

bool has(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("each rule holds where it should and nowhere else", "[configs][lint]") {
  for (const Case& one : cases()) {
    CAPTURE(one.rule, one.version, one.bad, one.good);
    CHECK(found(one.bad, one.version).contains(one.rule));
    CHECK_FALSE(found(one.good, one.version_good.empty() ? one.version : one.version_good)
                    .contains(one.rule));
  }
}

TEST_CASE("each rule of the table has its case, a name of its own, a reason, a cure and a source",
          "[configs][lint]") {
  std::set<std::string> tested;
  for (const Case& one : cases())
    tested.insert(one.rule);
  std::set<std::string> names;
  for (const LintRule& rule : lint_rules()) {
    CAPTURE(std::string(rule.name));
    CHECK(tested.contains(std::string(rule.name)));
    CHECK(names.insert(std::string(rule.name)).second);
    CHECK_FALSE(rule.reason.empty());
    CHECK_FALSE(rule.cure.empty());
    CHECK_FALSE(rule.source.empty());
    CHECK(rule.since < rule.before);
  }
}

TEST_CASE("a sound config of each version has no finding", "[configs][lint]") {
  for (const std::string version : {"2.5", "2.6", "2.7", "2.6.14", "2.7.6"}) {
    CAPTURE(version);
    CHECK(found(server, version).empty());
    CHECK(found(client, version).empty());
  }
}

TEST_CASE("the jumbo recipe's dead limit, long queue and useless buffers are named",
          "[configs][lint]") {
  const std::string recipe = server +
                             "tun-mtu 9000\nmssfix 0\ntxqueuelen 15000\ntcp-queue-limit 256\n"
                             "tcp-nodelay\ncipher AES-256-GCM\n";
  const auto findings = lint(subject_of(recipe, "2.6.14"));
  CHECK(rules_in(findings) ==
        std::set<std::string>{"queue-limit-room", "long-queue", "cipher-ignored", "mtu-both-ends"});
  CHECK(has(finding(findings, "queue-limit-room").cure, "bcast-buffers 512"));
  CHECK(finding(findings, "long-queue").line == 10);
  CHECK_FALSE(is_harmful(findings));
  // The same over UDP cuts each packet into fragments.
  const std::string over_udp = udp_server + "tun-mtu 9000\nmssfix 0\n";
  CHECK(is_harmful(lint(subject_of(over_udp, "2.6.14"))));
}

TEST_CASE("a config of the old kind is read on and all of it is named", "[configs][lint]") {
  // As many how-to pages print it.
  const std::string text =
      "port 1194\nproto udp\ndev tun\nca ca.crt\ncert server.crt\nkey server.key\ndh dh2048.pem\n"
      "server 10.8.0.0 255.255.255.0\nifconfig-pool-persist ipp.txt\nkeepalive 10 120\n"
      "cipher AES-256-CBC\ncomp-lzo\nuser nobody\ngroup nogroup\npersist-key\npersist-tun\n"
      "sndbuf 0\nrcvbuf 0\npush \"sndbuf 393216\"\nverb 3\nfast-io\ndaemon\n";
  CHECK(found(text, "2.6") == std::set<std::string>{"relative-path", "comp-lzo", "net30-default",
                                                    "cipher-ignored", "zero-sndbuf", "zero-rcvbuf",
                                                    "mssfix-default"});
  CHECK(found(text, "2.7").contains("persist-key"));
  CHECK(found(text, "2.4").contains("slow-cipher-alone"));
}

TEST_CASE("a misspelt option is fatal and its cure names the one that was meant", "[configs][lint]") {
  const auto findings = lint(subject_of(client + "tun-mut 9000\nauth-usr-pass hunter2\nzzzzzzzzzzzz hunter2\n", "2.6"));
  REQUIRE(findings.size() == 3);
  for (const LintFinding& one : findings) {
    CHECK(one.rule == "unknown-option");
    CHECK(one.kind == LintKind::fatal);
    CHECK_FALSE(has(one.found + one.reason + one.cure, "hunter2"));
  }
  CHECK(has(findings[0].cure, "did you mean tun-mtu?"));
  CHECK(has(findings[1].cure, "did you mean auth-user-pass?"));
  CHECK(has(findings[2].cure, "ignore-unknown-option zzzzzzzzzzzz"));
}

TEST_CASE("an option that the config lets OpenVPN not know is no finding", "[configs][lint]") {
  CHECK(found(client + "ignore-unknown-option new-a new-b\nnew-a 1\nnew-b\nsetenv opt new-c 2\n", "2.6").empty());
}

TEST_CASE("an option of Windows alone is noted", "[configs][lint]") {
  const auto findings = lint(subject_of(client + "block-outside-dns\n", "2.6"));
  REQUIRE(findings.size() == 1);
  CHECK(findings[0].rule == "windows-only");
  CHECK(findings[0].kind == LintKind::note);
}

TEST_CASE("findings come worst first and in the order of the file", "[configs][lint]") {
  const auto findings =
      lint(subject_of(client + "sndbuf 5000\nrcvbuf 0\nncp-disable\nno-replay\n", "2.6"));
  REQUIRE(findings.size() >= 4);
  CHECK(findings[0].rule == "ncp-disable");
  CHECK(findings[1].rule == "no-replay");
  CHECK(std::is_sorted(findings.begin(), findings.end(),
                       [](const auto& a, const auto& b) { return a.kind < b.kind; }));
}

TEST_CASE("a finding shows its line without what could trick a terminal", "[configs][lint]") {
  const auto findings = lint(subject_of(client + "cipher \"AES\x1b[31m\"\n", "2.6"));
  const auto& one = finding(findings, "cipher-ignored");
  CHECK_FALSE(has(one.found + one.cure, "\x1b"));
  CHECK(has(one.found, "\\x1b"));
}

TEST_CASE("a connection block is a transport of its own", "[configs][lint]") {
  const std::string both =
      "client\nremote-cert-tls server\nconnect-retry 1 10\nmssfix 1400\n<connection>\nremote a "
      "1194 "
      "udp\n</connection>\n<connection>\nremote a 443 tcp\n</connection>\n";
  const LintSubject subject = subject_of(both, "2.6");
  CHECK(subject.uses_tcp);
  CHECK(subject.uses_udp);
  // Not fatal: one of the two starts.
  CHECK_FALSE(found(both + "fragment 1300\n", "2.6").contains("fragment-tcp"));
}

TEST_CASE("a version that the linter does not know is refused", "[configs][lint]") {
  for (const std::string text :
       {"", "2", "2.3", "2.8", "3.0", "2.6.x", "2.6.14.1", "2.6.1000", "v2.6"}) {
    CAPTURE(text);
    const auto parsed = parse_lint_version(text);
    REQUIRE_FALSE(parsed);
    CHECK(has(parsed.error().what, "2.6.14"));
  }
  CHECK(*parse_lint_version("2.6.14") == OpenVpnVersion{2, 6, 14});
  CHECK(*parse_lint_version("2.7") == OpenVpnVersion{2, 7, latest_patch});
}

namespace {

struct PairCase {
  std::string rule;
  std::string server;
  std::string client;
};

const std::vector<PairCase>& pair_cases() {
  static const std::vector<PairCase> table{
      {"pair-transport", server, udp_client},
      {"pair-mtu", server + "tun-mtu 9000\n", client + "tun-mtu 1500\n"},
      {"pair-mtu-max", server + "tun-mtu 1601\n", client},
      {"pair-ciphers", server + "data-ciphers AES-256-GCM\n",
       client + "data-ciphers AES-128-GCM\n"},
      {"pair-device", server, "client\nproto tcp-client\ndev tap\n"},
      {"pair-fragment", udp_server + "fragment 1300\n", udp_client},
      {"pair-tls-auth", server + "tls-auth /k 0\n", client},
      {"pair-tls-crypt", server, client + "tls-crypt /k\n"},
      {"pair-compression", server, client + "comp-lzo\n"},
      {"pair-static", "secret /k\nproto tcp-server\n", client},
      {"pair-roles", client, client},
      {"pair-auth", server + "auth SHA256\n", client + "auth SHA1\n"},
      {"pair-mssfix", server + "mssfix 0\n", client},
      {"pair-txqueuelen", server + "txqueuelen 1000\n", client},
  };
  return table;
}

std::set<std::string> found_in_pair(const std::string& one, const std::string& other) {
  return rules_in(
      lint_pair(subject_of(one, "2.6", "server.conf"), subject_of(other, "2.6", "client.conf")));
}

}  // namespace

TEST_CASE("two ends that do not agree are told, whichever is named first", "[configs][lint]") {
  CHECK(found_in_pair(server, client).empty());
  CHECK(found_in_pair(udp_server, udp_client).empty());
  std::set<std::string> tested;
  for (const PairCase& one : pair_cases()) {
    CAPTURE(one.rule, one.server, one.client);
    CHECK(found_in_pair(one.server, one.client).contains(one.rule));
    CHECK(found_in_pair(one.client, one.server).contains(one.rule));
    tested.insert(one.rule);
  }
  for (const PairRule& rule : pair_rules()) {
    CAPTURE(std::string(rule.name));
    CHECK(tested.contains(std::string(rule.name)));
  }
}

TEST_CASE("a server's MTU that the client takes over is no finding", "[configs][lint]") {
  CHECK_FALSE(found_in_pair(server + "tun-mtu 1600\n", client).contains("pair-mtu-max"));
  CHECK_FALSE(found_in_pair(server + "tun-mtu 9000\n", client + "tun-mtu-max 9000\n")
                  .contains("pair-mtu-max"));
  CHECK_FALSE(
      found_in_pair(server + "tun-mtu 9000\n", client + "tun-mtu 9000\n").contains("pair-mtu"));
}

}  // namespace lt::configs
