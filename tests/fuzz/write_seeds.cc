// Writes the first seeds of each target into FOLDER/TARGET: texts that the product's own writers and real programs have
// made, and the scripts of honest exchanges. `./run fuzz --seeds` calls it; what the fuzzer found beyond them came later.
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/iperf3_samples.h"
#include "tests/fuzz/probe_samples.h"
#include "tuner/journal.h"
#include "tuner/probe.h"

namespace lt::fuzz {

namespace {

std::filesystem::path folder;

void write_seed(const std::string& target, const std::string& name, const std::string& text) {
  std::filesystem::create_directories(folder / target);
  std::ofstream(folder / target / name, std::ios::binary) << text;
}

std::string script(std::initializer_list<int> bytes) {
  std::string text;
  for (const int byte : bytes) text += static_cast<char>(byte);
  return text;
}

std::string a_journal() {
  tuner::SweepHeader header;
  header.id = "0123456789abcdef";
  header.seed = 7;
  header.blocks = 2;
  header.started = "2026-01-31T12:00:00Z";
  header.facts = {{"kernel", "Linux 6.1"}};
  header.arms = {*tuner::parse_arm("bare"), *tuner::parse_arm("native mtu=9000")};
  std::string text = to_line(to_json(header)) + "\n";
  const tuner::Block block{.number = 0, .units = {{0, false}, {1, false}}};
  text += to_line(to_json(block, header)) + "\n";
  for (std::size_t i = 0; i < 2; ++i) {
    const tuner::ProbeResult result = a_result();
    tuner::Unit unit{.block = 0, .position = i, .arm = i};
    unit.sample = tuner::sample_of(std::span(&result, 1));
    text += to_line(to_json(unit, header)) + "\n";
  }
  return text;
}

// A seed is a text that its reader takes, else the fuzzer never comes to what lies behind.
void expect_taken() {
  const auto request = tuner::probe_request_from_json(to_json(a_result().request));
  if (!request) std::fprintf(stderr, "%s\n", request.error().what.c_str());
  const auto result = tuner::probe_result_from_json(to_json(a_result()));
  if (!result) std::fprintf(stderr, "%s\n", result.error().what.c_str());
  const auto journal = tuner::parse_journal(a_journal(), "journal");
  if (!journal) std::fprintf(stderr, "%s\n", journal.error().what.c_str());
  expect(request && result && journal, "the seeds are taken by their readers");
}

void write_all() {
  expect_taken();
  write_seed("config", "letters.toml", "# f\xc3\xbcr\nsite = \"b\xc3\xbcro\"\n[identity]\nkey = 'k\xc3\xb6' # \xc3\xa4\n");
  // The first byte chooses the reader.
  write_seed("probe", "request", script({0}) + to_line(to_json(a_result().request)));
  write_seed("probe", "result", script({1}) + to_line(to_json(a_result())));
  write_seed("probe", "bent_result", script({3, 0, 0, 3, 40, 4, 0, 0, 0, 99}));
  write_seed("probe", "bent_request", script({4, 0, 0, 1, 3, 0, 0, 0, 0, 7}));
  write_seed("probe", "journal", script({2}) + a_journal());
  write_seed("foreign", "iperf3_short",
             script({0}) + R"({"end":{"sum_sent":{"retransmits":3},"sum_received":{"bytes":118000000,"bits_per_second":943000000.5}}})");
  write_seed("foreign", "openvpn", script({1}) + "OpenVPN 2.6.14 x86_64-pc-linux-gnu [SSL (OpenSSL)] [LZO] [EPOLL]\n");
  write_seed("foreign", "proc_stat", script({2}) + "cpu  10132153 290696 3084719 46828483 16683 0 25195 4 175628 0\ncpu0 1 2\n");
  write_seed("foreign", "arm", script({3}) + "openvpn mssfix=0 proto=tcp tun_mtu=9000");
  for (const char* knob : {"native.mtu=9000", "openvpn.proto=tcp", "native.notsent_lowat=256KiB", "native.offload=true"}) {
    write_seed("foreign", std::string("knob_") + std::string(knob).substr(0, 10), script({4}) + knob);
  }
  write_seed("foreign", "wan", script({5}) + "rate 100mbit delay 20ms loss 0.1% queue 1MB");
  write_seed("foreign", "prefix4", script({6}) + "10.77.0.1/30");
  write_seed("foreign", "endpoint6", script({6}) + "[2001:db8::1]:5198");
  write_seed("foreign", "control", script({6}) + "unix:/run/linktune/probe.sock");
  write_seed("foreign", "key", script({7}) + "ltpub-BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=");
  write_seed("foreign", "size", script({7}) + "256KiB");
  const std::string parameters = to_line(a_parameters_text());
  const std::string results = to_line(a_report_text());
  write_seed("iperf3", "parameters", script({0}) + parameters);
  write_seed("iperf3", "results", script({1}) + results);
  write_seed("iperf3", "bent_parameters", script({2, 0, 3, 0, 0, 0, 0, 7}));
  write_seed("iperf3", "bent_results", script({3, 0, 5, 40, 0, 0, 0, 9}));
  write_seed("iperf3", "client", script({4}) + std::string(36, 'a') + script({0, 0, 0, static_cast<int>(parameters.size() >> 8), static_cast<int>(parameters.size() & 255)}) + parameters + script({4, 16}));
  write_seed("iperf3", "server", script({5, 9, 10, 1, 2, 13, 0, 0, static_cast<int>(results.size() >> 8), static_cast<int>(results.size() & 255)}) + results + script({14}));
  write_seed("iperf3", "server_error", script({5, 9, 254, 0, 0, 0, 121, 0, 0, 0, 0}));
  write_seed("iperf3", "datagrams", script({6, 0, 0, 0, 1, 15, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}));
  write_seed("openvpn_output", "version", script({1}) + "OpenVPN 2.6.14 x86_64-pc-linux-gnu [SSL (OpenSSL)] [LZO] [EPOLL]\n");
  write_seed("openvpn_output", "log", script({0}) + "2026-01-31 12:00:00 TUN/TAP device tun0 opened\n2026-01-31 12:00:01 Initialization Sequence Completed\n");
  // The first two bytes are the version's, the third lets the file include itself.
  write_seed("openvpn_config", "server", script({2, 3, 0}) + "mode server\ntls-server\nproto tcp-server\ndev tun\ntopology subnet\ndh none\nkeepalive 10 60\n"
             "cipher BF-CBC\ncomp-lzo\nfragment 1200\nsndbuf 65536\npush \"txqueuelen 1000\"\n");
  write_seed("openvpn_config", "client", script({0, 12, 0}) + "client\nproto udp\ndev tun\nremote vpn.example 1194\nremote-cert-tls server\nmssfix 1400\ntun-mtu 1500\n"
             "<ca>\nMIIB\n</ca>\n");
  write_seed("openvpn_config", "connections", script({3, 0, 0}) + "client\ndev tun\n<connection>\nremote a.example 1194 udp\n</connection>\n<connection>\n"
             "remote 'b.example' 443 tcp\n</connection>\n");
  write_seed("openvpn_config", "includes_itself", script({2, 0, 1}) + "dev tun # a \\ and \"words in quotes\"\nconfig site.conf\n");
  write_seed("control_socket", "status", script({255, 255}) + "{\"request\":\"status\"}\n");
  write_seed("control_socket", "drops", script({0, 3}) + "{\"request\":\"stop\"}\n");
  write_seed("control_socket", "no_request", script({255, 255}) + "[1,{}]\n");
  write_seed("command_text", "receive", " mbuffer  -q -s 128k -m 16M 2>/dev/null | lzop -dfc |  zfs receive  -s -F 'backup/office/data' 2>&1");
  write_seed("command_text", "prune", "zfs destroy 'a'@x; zfs destroy 'a'@y; ");
  write_seed("command_text", "quotes", R"(zfs get name 'it'"'"'s' "a b" >/dev/null 2>&1)");

  // Scripts: see the first lines of each target's run().
  write_seed("session", "two_honest_ends", script({0, 16, 12, 40, 14, 90, 12, 250, 12, 3, 4, 6, 4, 6}));
  write_seed("session", "two_sessions", script({2, 16, 17, 12, 40, 13, 41, 20, 1, 0, 4, 5, 4, 6}));
  write_seed("session", "one_flipped_bit", script({0, 16, 12, 8, 22, 0, 0, 1, 40, 0, 0, 1, 6}));
  write_seed("session", "psk", script({1, 16, 12, 40, 4}));
  write_seed("handshake", "honest_client", script({1, 0, 0}));
  write_seed("handshake", "bent_hello", script({1, 2, 1, 3, 9, 1, 100, 1}));
  write_seed("handshake", "bent_mac", script({1, 2, 0, 1, 119, 1}));
  write_seed("handshake", "honest_server", script({0, 0, 0}));
  write_seed("handshake", "reject", script({0, 1}) + "the networks differ");
  write_seed("knock", "right", script({4, 0}));
  write_seed("knock", "last_byte", script({4, 1, 39, 1}));
  write_seed("knock", "at_the_door", script({20, 0, 9, 30}));
  write_seed("control_records", "one_of_each", script({0, 0, 0, 1, 0, 0, 2, 0, 0, 3, 0, 0}));
  write_seed("control_records", "floods", script({0, 0xff, 0, 2, 0x8f, 0}));
  write_seed("items", "two_items", script({1, 0, 0x10, 0, 0, 0x24, 4, 0, 0}));
  write_seed("items", "cut_off", script({1, 3, 5, 0x10, 0, 0, 0x24, 4, 0, 0}));
  write_seed("records", "tcp", script({0, 1, 1, 0, 0, 16, 80}));
  write_seed("records", "super_packets", script({0, 2, 1, 1, 0x30, 16, 20, 0, 5, 0x78, 0x33, 16, 9, 0, 5, 0x78}));
  write_seed("records", "writes_lag", script({6, 3, 0, 0, 0, 16, 80, 0, 0, 0, 0, 16, 90, 0, 0, 0, 0, 16, 70, 0}));
  write_seed("packets", "super_packet", script({0, 0x30, 16, 20, 0, 5, 0x78}));
  write_seed("packets", "peer_claims", script({1, 2, 5, 0x78, 0x30, 16, 20, 0, 5, 0x78}));
  write_seed("hello", "sound_hello", script({0, 0}));
  write_seed("hello", "sound_accept", script({1, 0}));
  write_seed("hello", "reject", script({2, 3, 5, 0, 19}) + "the networks differ");
}

}  // namespace

}  // namespace lt::fuzz

int main(int count, char** words) {
  if (count != 2) {
    std::fputs("usage: write_seeds FOLDER\n", stderr);
    return 2;
  }
  lt::fuzz::folder = words[1];
  lt::fuzz::write_all();
}
