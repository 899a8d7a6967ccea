// `./run bench mirror`: how fast one dataset goes over a long, lossy line by the shim and the agent, and by
// stock Syncoid over ssh through the same link, in one run, interleaved. Prints, asserts no speed.
//
// A scripted `zfs` gives noise and counts what arrives, from the first byte to the last: this measures the
// way, not a file system. Everything else is as users run it.
#include <unistd.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstdio>

#include "app/iperf3.h"
#include "tests/mirror/mirror_sites.h"

using namespace lt;
using namespace lt::mirror;
using namespace lt::mirror::testing;
using namespace std::chrono_literals;

namespace {

constexpr double line_mbit = 500;
const std::vector<std::string> long_line{"rate=500mbit", "delay=40ms", "loss=0.1%"};
constexpr std::uint64_t stream_bytes = 600'000'000;
constexpr std::uint64_t stream_bytes_ssh = 150'000'000;  // takes as long: its window, not its start, is what bounds it
constexpr unsigned rounds = 3;
const std::string ssh_port = "5222";

constexpr const char* scripted_zfs = R"sh(#!/bin/bash
case "$1 $2 $3" in
  "get -H name") echo "cannot open '$4': dataset does not exist" >&2; exit 1 ;;
  "get -H syncoid:sync") printf '%s\tsyncoid:sync\t-\t-\n' "$4" ;;
  "get -Hpd 1") name=${@: -1}; printf '%s@s\tguid\t1\t-\n%s@s\tcreation\t1\t-\n' "$name" "$name" ;;
  "send -nvP "*) printf 'size\t%s\n' "$(cat FOLDER/bytes)" ;;
  "send "*) while cat FOLDER/noise; do :; done | head -c "$(cat FOLDER/bytes)" ;;
  "receive "*) head -c 1 >/dev/null; a=$(date +%s%N); n=$(wc -c); b=$(date +%s%N); echo "$n $((b - a))" >FOLDER/result ;;
  *) exit 1 ;;
esac
)sh";

std::string replaced(std::string text, const std::string& word, const std::string& by) {
  for (auto at = text.find(word); at != text.npos; at = text.find(word, at + by.size())) text.replace(at, word.size(), by);
  return text;
}

struct Bench {
  MirrorSites sites{"mirror-bench", long_line, stage_disk_bytes, window_bytes_default};
  std::string folder{require(sites.folder.add("bench"))};
  std::string programs{require(sites.folder.add("programs"))};
  std::string path{programs + ":/usr/sbin:/usr/bin:/sbin:/bin"};
  std::string key{folder + "/key"};
  Child sshd;

  Bench() {
    const std::string script = replaced(scripted_zfs, "FOLDER", folder);
    require(write_file(programs + "/zfs", script, 0755));
    require(write_file(programs + "/zpool", "#!/bin/sh\nexit 1\n", 0755));
    require(write_noise(folder + "/noise", 32 << 20, 5));
    sites.start_all();
    sites.agent.end(5s);
    sites.agent = require(Child::start({.argv = sites.at_offsite({"env", "PATH=" + path, program, "mirror", "agent", "--config", sites.files.offsite.config_path}),
                                        .output_path = sites.folder.path() + "/agent.log"}));
    if (has_sshd()) start_sshd();
  }

  // Not installed by ./run: it would open a door on the machine that measures.
  static bool has_sshd() { return ::access("/usr/sbin/sshd", X_OK) == 0; }

  void start_sshd() {
    std::filesystem::create_directories("/run/sshd");  // sshd wants it, and makes no other use of it here
    require(run_checked({"ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key}));
    require(run_checked({"ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder + "/host"}));
    require(write_file(folder + "/sshd.conf",
                       "Port " + ssh_port + "\nListenAddress 10.77.0.2\nHostKey " + folder + "/host\nAuthorizedKeysFile " + key +
                           ".pub\nPermitRootLogin prohibit-password\nStrictModes no\nUsePAM no\nPidFile none\nSetEnv PATH=" + path + "\n",
                       0600));
    sshd = require(Child::start({.argv = sites.at_offsite({"/usr/sbin/sshd", "-D", "-e", "-f", folder + "/sshd.conf"}), .output_path = folder + "/sshd.log"}));
  }

  double run(const Argv& argv, std::uint64_t bytes) {
    std::filesystem::remove(folder + "/result");
    require(write_file(folder + "/bytes", std::to_string(bytes), 0644));
    const auto ended = require(run_process(argv, {.deadline = 180s}));
    const auto text = read_file(folder + "/result", 1000);
    INFO(ended.out << ended.err << sites.log("agent.log") << sites.log("bench/sshd.log"));
    REQUIRE(ended.exit_code == 0);
    REQUIRE(text);
    const auto words = split(trim(*text), ' ');
    REQUIRE(words.size() == 2);
    return 8e3 * static_cast<double>(*parse_u64(words[0])) / static_cast<double>(*parse_u64(words[1]));
  }
  double by_shim() {
    return run(sites.at_office({"env", "PATH=" + sites.shim_folder + ":" + path, "syncoid", "--compress=none", "--no-sync-snap", "--quiet", "tank/a", "root@peer:tank/backup/a"}), stream_bytes);
  }
  double by_ssh() {
    return run(sites.at_office({"env", "PATH=" + path, "syncoid", "--compress=none", "--no-sync-snap", "--quiet", "--sshport=" + ssh_port, "--sshkey=" + key,
                                "--sshoption=StrictHostKeyChecking=no", "--sshoption=UserKnownHostsFile=/dev/null", "tank/a", "root@10.77.0.2:tank/backup/a"}), stream_bytes_ssh);
  }
  // One TCP connection from gateway to gateway, bbr, without any link: what the line gives.
  double by_line() {
    const auto server = require(app::Iperf3Server::start(sites.sandbox, lab::Host::offsite_gw));
    const auto moved = require(app::run_iperf3(sites.sandbox, lab::Host::office_gw, sites.sandbox.topology().offsite.wan_v4.address,
                                               {.seconds = 12, .omit_seconds = 3, .congestion = "bbr"}));
    return static_cast<double>(moved.goodput.value) / 1e6;
  }
};

void show(const char* name, std::vector<double> figures) {
  std::printf("%-34s", name);
  for (const double figure : figures) std::printf(" %7.1f", figure);
  std::nth_element(figures.begin(), figures.begin() + rounds / 2, figures.end());
  std::printf("   median %7.1f Mbit/s, %5.1f %% of the line's rate\n", figures[rounds / 2], 100 * figures[rounds / 2] / line_mbit);
}

}  // namespace

TEST_CASE("the shim's way and ssh's, side by side", "[.bench]") {
  if (const auto why = ZfsStage::why_not()) {
    WARN("not measured: " << *why);
    return;
  }
  Bench bench;
  std::vector<double> line;
  std::vector<double> shim;
  std::vector<double> ssh;
  for (unsigned round = 0; round < rounds; ++round) {
    line.push_back(bench.by_line());
    shim.push_back(bench.by_shim());
    if (Bench::has_sshd()) ssh.push_back(bench.by_ssh());
    std::printf("round %u: line %.1f, shim %.1f, ssh %.1f Mbit/s\n", round + 1, line.back(), shim.back(), ssh.empty() ? 0.0 : ssh.back());
    std::fflush(stdout);
  }
  std::printf("500 Mbit/s, 80 ms round trip, 0.1 %% loss, seed %llu; %llu MB, by ssh %llu; outer connection bbr\n", static_cast<unsigned long long>(mirror_seed),
              static_cast<unsigned long long>(stream_bytes / 1'000'000), static_cast<unsigned long long>(stream_bytes_ssh / 1'000'000));
  show("the bare line, one connection, bbr", line);
  show("Syncoid by shim and agent", shim);
  if (ssh.empty()) std::printf("Syncoid over ssh: not measured, since there is no /usr/sbin/sshd (apt-get install openssh-server)\n");
  if (!ssh.empty()) show("Syncoid over ssh in the same link", ssh);
}
