// The command line as a person meets it: exit codes, and sentences that say what to do.
#include <catch2/catch.hpp>

#include "base/fd.h"
#include "base/json.h"
#include "base/process.h"
#include "tests/schema.h"

using namespace lt;

namespace {

const std::string program = std::string(LINKTUNE_BINARY_DIR) + "/app/linktune";

ProcessOutput linktune(std::vector<std::string> words) {
  words.insert(words.begin(), program);
  auto output = run_process(words);
  if (!output) FAIL(output.error().text());
  return std::move(*output);
}

struct Wrong {
  std::vector<std::string> words;
  int exit_code;
  std::string cure;  // stands in the message
};

}  // namespace

TEST_CASE("wrong input gets its exit code and a sentence with the cure", "[app][cli]") {
  const auto wrong = GENERATE(values<Wrong>({
      {{}, 2, "subcommand"},
      {{"upp"}, 2, "did you mean up?"},
      {{"lab", "statsu"}, 2, "did you mean status?"},
      {{"up"}, 2, "--config is required"},
      {{"up", "--config", "/nonexistent/office.toml"}, 2, "linktune init"},
      {{"status", "--run-dir", "/nonexistent"}, 1, "linktune up"},
      {{"down", "--run-dir", "/nonexistent"}, 1, "linktune up"},
      {{"init", "--out", "x"}, 2, "--pair is required"},
      {{"init", "--pair", "--out", "/nonexistent/x/y", "--endpoint", "192.0.2.1", "--lan", "192.168.1.0/24", "--peer-lan", "192.168.2.0/24"}, 2, "endpoint"},
      {{"init", "--pair", "--out", "/nonexistent/x/y", "--endpoint", "192.0.2.1:5198", "--lan", "192.168.1.1/24", "--peer-lan", "192.168.2.0/24"}, 2, "192.168.1.0/24"},
      {{"sweep"}, 2, "--config"},
      {{"sweep", "--lab", "wan", "--arm", "native mtu=9"}, 2, "576"},
      {{"sweep", "--lab", "wan", "--arm", "native mut=1500"}, 2, "mtu"},
      {{"sweep", "--lab", "wan", "--arm", "wiregard"}, 2, "native"},
      {{"sweep", "--lab", "wan", "--blocks", "0"}, 2, "--blocks"},
      {{"sweep", "--lab", "wan", "--seconds", "0"}, 2, "--seconds"},
      {{"sweep", "--lab", "wan", "--seed", "-1"}, 2, "--seed"},
      {{"sweep", "--lab", "wan", "--congestion", "cubik"}, 1, "choose one of: "},
      {{"sweep", "--config", "/nonexistent.toml"}, 1, "/nonexistent.toml"},
      {{"lab", "up", "--profile", "wam"}, 2, "did you mean wan?"},
      {{"lab", "set", "rat=5mbit"}, 1, "lab up"},
      {{"lab", "exec", "office", "--", "true"}, 2, "office-"},
      {{"replay", "/nonexistent.jsonl"}, 1, "/nonexistent.jsonl"},
      {{"replay", "/etc/hostname"}, 2, "/etc/hostname is not a sweep's journal"},
      {{"status", "--site", "none", "--run-dir", "/nonexistent"}, 1, "linktune up"},
      {{"mirror", "plan", "--config", "/nonexistent.toml", "--jobs", "/nonexistent.toml"}, 2, "--"},
      {{"openvpn", "export", "--out", "/nonexistent/x/y", "--endpoint", "192.0.2.1:1194", "--lan", "192.168.1.0/24", "--peer-lan", "192.168.2.0/24", "--knob", "tun_mtu=65536"}, 2, "tun_mtu"},
      {{"openvpn", "lint"}, 2, "FILE is required"},
      {{"openvpn", "lint", "/nonexistent.conf", "--version", "2.6"}, 1, "/nonexistent.conf"},
      {{"openvpn", "lint", "/etc/hostname", "--version", "2.3"}, 2, "2.6.14"},
      {{"openvpn", "export", "/nonexistent.jsonl", "--out", "/nonexistent/x/y"}, 1, "/nonexistent.jsonl"},
      {{"openvpn", "export", "x.jsonl", "--recipe", "--out", "/nonexistent/x/y"}, 2, "choose one"},
      {{"probe", "--control", "nowhere"}, 2, "control"},
      {{"probe"}, 2, "--iperf3"},
      {{"probe", "--path", "--control", "127.0.0.1:1", "--data", "gateway"}, 2, "--data"},
      {{"probe", "--path", "--control", "127.0.0.1:1", "--data", "127.0.0.1", "--source", "::1"}, 2, "family"},
      {{"probe", "--path", "--control", "127.0.0.1:1", "--data", "127.0.0.1"}, 4, "127.0.0.1"},
      {{"probe", "--iperf3", "h", "--control", "127.0.0.1:1"}, 2, "excludes"},
      {{"probe", "--iperf3", "h", "--path"}, 2, "excludes"},
      {{"probe", "--iperf3", "h", "--serve-iperf3"}, 2, "excludes"},
      {{"probe", "--udp", "--control", "127.0.0.1:1"}, 2, "--iperf3"},
      {{"probe", "--iperf3", ""}, 2, "HOST"},
      {{"probe", "--iperf3", "h:0"}, 2, "HOST"},
      {{"probe", "--iperf3", "h:70000"}, 2, "HOST"},
      {{"probe", "--iperf3", "a b"}, 2, "HOST"},
      {{"probe", "--iperf3", "127.0.0.1", "--rate", "fast"}, 2, "500mbit"},
      {{"probe", "--iperf3", "127.0.0.1", "--rate", "0"}, 2, "500mbit"},
      {{"probe", "--iperf3", "127.0.0.1", "--rate", "5 mbit"}, 2, "500mbit"},
      {{"probe", "--iperf3", "127.0.0.1", "--seconds", "0"}, 2, "--seconds"},
      {{"probe", "--iperf3", "127.0.0.1", "--seconds", "1.5"}, 2, "--seconds"},
      {{"probe", "--iperf3", "127.0.0.1", "--seconds", "90000"}, 2, "86400"},
      {{"probe", "--iperf3", "127.0.0.1", "--omit", "601"}, 2, "600"},
      {{"probe", "--iperf3", "127.0.0.1", "--flows", "0"}, 2, "128"},
      {{"probe", "--iperf3", "127.0.0.1", "--flows", "129"}, 2, "128"},
      {{"probe", "--iperf3", "127.0.0.1", "--udp", "--block-bytes", "15"}, 2, "65507"},
      {{"probe", "--iperf3", "127.0.0.1", "--block-bytes", "2000000"}, 2, "1048576"},
      {{"probe", "--iperf3", "127.0.0.1", "--mss", "10"}, 2, "MSS"},
      {{"probe", "--iperf3", "127.0.0.1", "--congestion", "A;b"}, 2, "cubic"},
      {{"probe", "--iperf3", "127.0.0.1", "--source", "eth0"}, 2, "--source"},
      {{"probe", "--iperf3", "127.0.0.1", "--family", "5"}, 2, "--family"},
      {{"probe", "--iperf3", "127.0.0.1:1"}, 4, "127.0.0.1:1"},
      {{"probe", "--iperf3", "127.0.0.1:1", "--congestion", "nosuchcc"}, 4, "127.0.0.1:1"},
      {{"probe", "--serve-iperf3", "gateway:5201"}, 2, "numeric"},
      {{"probe", "--serve-iperf3", "192.0.2.1:5201"}, 1, "192.0.2.1"},
      {{"--log-level", "loud", "status"}, 2, "loud"},
  }));
  std::string line;
  for (const std::string& word : wrong.words) line += " " + word;
  INFO("linktune" << line);
  const auto output = linktune(wrong.words);
  INFO(output.out << output.err);
  CHECK(output.exit_code == wrong.exit_code);
  CHECK(output.err.find(wrong.cure) != std::string::npos);
}

TEST_CASE("an error is one JSON object when JSON was asked for", "[app][cli]") {
  for (const std::vector<std::string>& words : {std::vector<std::string>{"--json", "status", "--run-dir", "/nonexistent"},
                                                {"status", "--json", "--run-dir", "/nonexistent"}}) {
    const auto output = linktune(words);
    CHECK(output.exit_code == 1);
    const auto json = parse_json(output.out, "the output");
    REQUIRE(json);
    CHECK((*json)["schema"] == "linktune.error.1");
    CHECK((*json)["code"] == "not_found");
  }
}

TEST_CASE("a report that cannot be written is no success", "[app][cli]") {
  const auto output = run_process({"sh", "-c", "exec \"$0\" openvpn lint /dev/null --version 2.6 >/dev/full", program});
  REQUIRE(output);
  CHECK(output->exit_code == 1);
  CHECK(output->err == "linktune: cannot write to standard output: No space left on device\n");
}

TEST_CASE("every command teaches its options", "[app][cli]") {
  const auto words = GENERATE(values<std::vector<std::string>>({{"init"}, {"keygen"}, {"pubkey"}, {"up"}, {"status"}, {"down"}, {"probe"}, {"sweep"},
                                                               {"replay"}, {"openvpn", "export"}, {"openvpn", "lint"}, {"lab", "up"}, {"lab", "down"}, {"lab", "exec"},
                                                               {"lab", "set"}, {"lab", "status"}, {"lab", "demo"}, {"lab", "bench"}}));
  auto asked = words;
  asked.push_back("--help");
  const auto output = linktune(asked);
  CHECK(output.exit_code == 0);
  CHECK(output.out.find("Usage:") != std::string::npos);
}

TEST_CASE("a linted config is told line by line, by exit code and by JSON that fits its schema", "[app][cli][lint]") {
  const std::string folder = std::string(LINKTUNE_BINARY_DIR);
  const std::string server = folder + "/lint_server.conf";
  const std::string client = folder + "/lint_client.conf";
  REQUIRE(write_file(server,
                     "server 10.8.0.0 255.255.255.0\nproto tcp\ndev tun\ndh none\ntopology subnet\nkeepalive 10 60\n"
                     "tun-mtu 9000\nmssfix 0\ntcp-queue-limit 256\n<key>\nnot to be shown\n</key>\n",
                     0644));
  REQUIRE(write_file(client, "client\nproto tcp\ndev tun\nremote a 1194\nremote-cert-tls server\nconnect-retry 1 10\n", 0644));
  const auto alone = linktune({"openvpn", "lint", server, "--version", "2.6"});
  CHECK(alone.exit_code == 0);
  CHECK(alone.out.find(server + ":9: tcp-queue-limit 256") != std::string::npos);
  CHECK(alone.out.find("bcast-buffers 512") != std::string::npos);
  CHECK(alone.out.find("not to be shown") == std::string::npos);
  const auto pair = linktune({"openvpn", "lint", client, server, "--version", "2.6", "--json"});
  CHECK(pair.exit_code == 1);  // the client stays at 1600 bytes
  const auto json = parse_json(pair.out, "the output");
  REQUIRE(json);
  CHECK((*json)["is_harmful"] == true);
  const auto text = read_file(std::string(LINKTUNE_SOURCE_DIR) + "/docs/schemas/openvpn_lint.json", 1 << 20);
  REQUIRE(text);
  for (const std::string& fault : schema::faults(*json, *parse_json(*text, "the schema"))) FAIL(fault);
}
