// `./run bench mirror`: how fast one dataset goes over a long, lossy line by the shim and the agent, and by
// stock Syncoid over ssh through the same link, in one run, interleaved. Prints, asserts no speed.
//
// `./run bench mirror --yield`: what people on the line notice of a mirror's run, and what the run gets of it.
//
// A scripted `zfs` gives noise and counts what arrives, from the first byte to the last: this measures the
// way, not a file system. Everything else is as users run it.
#include <unistd.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstdio>
#include <cstdlib>
#include <future>
#include <numeric>
#include <thread>

#include "app/iperf3.h"
#include "tests/mirror/mirror_sites.h"

using namespace lt;
using namespace lt::mirror;
using namespace lt::mirror::testing;
using namespace std::chrono_literals;

namespace {

constexpr double line_mbit = 500;
const std::vector<std::string> long_line{"rate=500mbit", "delay=40ms", "loss=0.1%"};
// LINKTUNE_MIRROR_MEGABYTES: a larger one shows the way without its start.
const std::uint64_t stream_bytes = [] {
  const char* const asked = std::getenv("LINKTUNE_MIRROR_MEGABYTES");
  return (asked == nullptr ? 600 : std::strtoull(asked, nullptr, 10)) * 1'000'000;
}();
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
    return run(sites.at_office({"env", "PATH=" + sites.shim_folder + ":" + path, syncoid_program(), "--compress=none", "--no-sync-snap", "--quiet", "tank/a", "root@peer:tank/backup/a"}), stream_bytes);
  }
  double by_ssh() {
    return run(sites.at_office({"env", "PATH=" + path, syncoid_program(), "--compress=none", "--no-sync-snap", "--quiet", "--sshport=" + ssh_port, "--sshkey=" + key,
                                "--sshoption=StrictHostKeyChecking=no", "--sshoption=UserKnownHostsFile=/dev/null", "tank/a", "root@10.77.0.2:tank/backup/a"}), stream_bytes_ssh);
  }
  // One TCP connection from gateway to gateway, bbr, without any link: what the line gives once it runs, or
  // for as long as the shim's stream takes, its start included.
  double by_line(unsigned seconds, unsigned omit_seconds) {
    const auto server = require(app::Iperf3Server::start(sites.sandbox, lab::Host::offsite_gw));
    const auto moved = require(app::run_iperf3(sites.sandbox, lab::Host::office_gw, sites.sandbox.topology().offsite.wan_v4.address,
                                               {.seconds = seconds, .omit_seconds = omit_seconds, .congestion = "bbr"}));
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
  std::vector<double> start;
  std::vector<double> shim;
  std::vector<double> ssh;
  for (unsigned round = 0; round < rounds; ++round) {
    line.push_back(bench.by_line(12, 3));
    start.push_back(bench.by_line(11, 0));
    shim.push_back(bench.by_shim());
    if (Bench::has_sshd()) ssh.push_back(bench.by_ssh());
    std::printf("round %u: line %.1f, with its start %.1f, shim %.1f, ssh %.1f Mbit/s\n", round + 1, line.back(), start.back(), shim.back(), ssh.empty() ? 0.0 : ssh.back());
    std::fflush(stdout);
  }
  std::printf("500 Mbit/s, 80 ms round trip, 0.1 %% loss, seed %llu; %llu MB, by ssh %llu; outer connection bbr\n", static_cast<unsigned long long>(mirror_seed),
              static_cast<unsigned long long>(stream_bytes / 1'000'000), static_cast<unsigned long long>(stream_bytes_ssh / 1'000'000));
  show("the bare line, one connection, bbr", line);
  show("the same, from its first byte on", start);
  show("Syncoid by shim and agent", shim);
  if (ssh.empty()) std::printf("Syncoid over ssh: not measured, since there is no /usr/sbin/sshd (apt-get install openssh-server)\n");
  if (!ssh.empty()) show("Syncoid over ssh in the same link", ssh);
}

namespace {

const std::vector<std::string> people_line{"rate=500mbit", "delay=10ms"};
constexpr unsigned ping_every_ms = 20;

// Noise for ever where data is sent, nowhere to go where it is received; all else is the site's real ZFS.
constexpr const char* endless_zfs = R"sh(#!/bin/bash
case "$1 $2" in
  "send -n"*) exec REAL "$@" ;;
  "send "*) while cat FOLDER/noise; do :; done ;;
  "receive "*) exec cat >/dev/null ;;
  *) exec REAL "$@" ;;
esac
)sh";

double part_of(std::vector<double> values, double part) {
  REQUIRE_FALSE(values.empty());
  std::sort(values.begin(), values.end());
  return values[static_cast<std::size_t>(part * static_cast<double>(values.size() - 1))];
}

// A run whose job yields, with nothing but the line to hold it up; and people beside it.
struct Yielding {
  MirrorSites sites{"mirror-yield", people_line, stage_disk_bytes, window_bytes_default, "cubic"};
  std::string folder{require(sites.folder.add("yield"))};
  std::string path{folder + ":/usr/sbin:/usr/bin:/sbin:/bin"};
  std::string jobs{folder + "/jobs.toml"};
  std::string meter_path{folder + "/state/run/home.meter"};
  const lab::Topology& topology{sites.sandbox.topology()};

  Yielding() {
    require(write_file(folder + "/zfs", replaced(replaced(endless_zfs, "REAL", *find_program("zfs")), "FOLDER", folder), 0755));
    require(write_noise(folder + "/noise", 32 << 20, 5));
    require(write_file(jobs, "[mirror]\nwindow = \"64MiB\"\nstate_folder = \"" + folder + "/state\"\n\n[[mirror.job]]\nname = \"home\"\nsource = \"tank/home\"\ntarget = \"peer:tank/backup/home\"\n", 0600));
    sites.start_all();
    sites.agent.end(5s);
    sites.agent = require(Child::start({.argv = sites.at_offsite({"env", "PATH=" + path, program, "mirror", "agent", "--config", sites.files.offsite.config_path}),
                                        .output_path = sites.folder.path() + "/agent.log"}));
    require(sites.zfs.office.zfs({"create", "tank/home"}));
  }
  [[nodiscard]] Child start_run() const {
    return require(Child::start({.argv = sites.at_office({"env", "PATH=" + sites.shim_folder + ":" + path, program, "mirror", "run", "--config", sites.files.office.config_path, "--jobs", jobs}),
                                 .output_path = sites.folder.path() + "/run.log"}));
  }
  // Mbit/s that the mirror carries to the other site during `time`.
  [[nodiscard]] double carried(Milliseconds time) const {
    const Meter meter = require(Meter::open(meter_path));
    const Instant begin = SteadyClock().now();
    const std::uint64_t before = meter.read().received.value;
    std::this_thread::sleep_for(time);
    return static_cast<double>(meter.read().received.value - before) * 8 / std::chrono::duration<double>(SteadyClock().now() - begin).count() / 1e6;
  }
  // Round trips of a person's ping over the bare line (unit: ms).
  [[nodiscard]] std::vector<double> ping(Seconds time) const {
    const std::string count = std::to_string(time.count() * 1000 / ping_every_ms);
    const auto output = require(run_process(sites.sandbox.exec(lab::Host::office_gw, {"ping", "-n", "-i", "0.02", "-W", "2", "-c", count, topology.offsite.wan_v4.address.text()}), {.deadline = time + 20s}));
    std::vector<double> times;
    for (const std::string_view line : split(output.out, '\n')) {
      const auto at = line.find("time=");
      if (at != line.npos) times.push_back(std::stod(std::string(line.substr(at + 5))));
    }
    return times;
  }
  // Mbit/s of a person's own transfer beside the link.
  [[nodiscard]] double person(lab::Host from, lab::Host to, unsigned seconds) const {
    const auto server = require(app::Iperf3Server::start(sites.sandbox, to));
    const auto address = (to == lab::Host::office_gw ? topology.office : topology.offsite).wan_v4.address;
    const auto moved = require(app::run_iperf3(sites.sandbox, from, address, {.seconds = seconds, .omit_seconds = 3, .congestion = "cubic"}));
    return static_cast<double>(moved.goodput.value) / 1e6;
  }
};

}  // namespace

TEST_CASE("what people on the line notice of a mirror's run", "[.yield]") {
  if (const auto why = ZfsStage::why_not()) {
    WARN("not measured: " << *why);
    return;
  }
  using lab::Host;
  Yielding stage;
  const auto idle = stage.ping(5s);
  const double line = stage.person(Host::office_gw, Host::offsite_gw, 8);
  Child run = stage.start_run();
  INFO(stage.sites.log("run.log") << stage.sites.log("agent.log"));
  REQUIRE(comes_true([&] {
    const auto meter = Meter::open(stage.meter_path);
    return meter && meter->read().received.value > 10'000'000;
  }, 60s));
  std::this_thread::sleep_for(15s);  // it finds the line's rate

  auto beside = std::async(std::launch::async, [&] { return stage.ping(20s); });
  const double alone = stage.carried(20s);
  const auto pinged = beside.get();
  auto downloading = std::async(std::launch::async, [&] { return stage.person(Host::offsite_gw, Host::office_gw, 8); });
  const double beside_download = stage.carried(10s);
  const double download = downloading.get();
  auto uploading = std::async(std::launch::async, [&] { return stage.person(Host::office_gw, Host::offsite_gw, 10); });
  std::this_thread::sleep_for(4s);
  const double beside_upload = stage.carried(8s);
  const double upload = uploading.get();
  const Instant free = SteadyClock().now();
  while (stage.carried(500ms) < 0.9 * alone && SteadyClock().now() - free < 60s) {}
  const double back = std::chrono::duration<double>(SteadyClock().now() - free).count();
  run.end(10s);

  const double base = part_of(idle, 0.5);
  std::printf("500 Mbit/s, 20 ms round trip, seed %llu, outer connection cubic, yield_delay 5 ms; people beside the link on the bare line\n", static_cast<unsigned long long>(mirror_seed));
  std::printf("idle ping                        median %.2f ms, p95 %.2f ms, of %zu\n", base, part_of(idle, 0.95), idle.size());
  std::printf("ping beside the mirror alone     added: median %.2f ms, p95 %.2f ms, p99 %.2f ms, of %zu\n", part_of(pinged, 0.5) - base, part_of(pinged, 0.95) - base, part_of(pinged, 0.99) - base, pinged.size());
  std::printf("mirror alone                     %.1f Mbit/s: %.1f %% of 500, %.1f %% of what one TCP connection gets (%.1f)\n", alone, alone / 5, 100 * alone / line, line);
  std::printf("a person's download beside it    %.1f Mbit/s (%.1f %% of %.1f); mirror %.1f Mbit/s\n", download, 100 * download / line, line, beside_download);
  std::printf("a person's upload beside it      %.1f Mbit/s (%.1f %% of %.1f); mirror %.1f Mbit/s\n", upload, 100 * upload / line, line, beside_upload);
  std::printf("after the upload                 mirror at 90 %% of its rate again within %.1f s\n", back);
}
