// The command line as a person meets it: exit codes, and sentences that say what to do.
#include <catch2/catch.hpp>

#include "base/json.h"
#include "base/process.h"

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
      {{"sweep"}, 1, "--lab"},
      {{"sweep", "--lab", "wan", "--arm", "native mtu=9"}, 2, "576"},
      {{"sweep", "--lab", "wan", "--arm", "native mut=1500"}, 2, "mtu"},
      {{"sweep", "--lab", "wan", "--arm", "wireguard"}, 2, "native"},
      {{"sweep", "--lab", "wan", "--blocks", "0"}, 2, "--blocks"},
      {{"lab", "up", "--profile", "wam"}, 2, "did you mean wan?"},
      {{"lab", "set", "rat=5mbit"}, 1, "lab up"},
      {{"lab", "exec", "office", "--", "true"}, 2, "office-"},
      {{"replay", "/nonexistent.jsonl"}, 1, "/nonexistent.jsonl"},
      {{"openvpn", "export", "--out", "/nonexistent/x/y", "--endpoint", "192.0.2.1:1194", "--lan", "192.168.1.0/24", "--peer-lan", "192.168.2.0/24", "--knob", "tun_mtu=65536"}, 2, "tun_mtu"},
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

TEST_CASE("every command teaches its options", "[app][cli]") {
  const auto words = GENERATE(values<std::vector<std::string>>({{"init"}, {"keygen"}, {"pubkey"}, {"up"}, {"status"}, {"down"}, {"probe"}, {"sweep"},
                                                               {"replay"}, {"openvpn", "export"}, {"lab", "up"}, {"lab", "down"}, {"lab", "exec"},
                                                               {"lab", "set"}, {"lab", "status"}, {"lab", "demo"}, {"lab", "bench"}}));
  auto asked = words;
  asked.push_back("--help");
  const auto output = linktune(asked);
  CHECK(output.exit_code == 0);
  CHECK(output.out.find("Usage:") != std::string::npos);
}
