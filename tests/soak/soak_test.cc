// Both daemons as users run them, under load, while faults come at random from a printed seed: nobody crashes, nobody grows,
// the link comes back each time, and no inner connection ends or is altered.
#include <catch2/catch.hpp>
#include <cstdlib>
#include <random>

#include "app/iperf3.h"
#include "tests/app/link_sites.h"
#include "tests/soak/faults.h"
#include "tests/soak/inner_connections.h"
#include "tests/soak/vitals.h"

using namespace lt;
using namespace lt::app;
using namespace lt::app::test;
using namespace lt::soak;

namespace {

std::uint64_t number_from(const char* name, std::uint64_t otherwise) {
  const char* const text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

constexpr std::size_t samples_for_growth = 100;  // some five minutes of one life: what is made once is there

class Soak {
 public:
  explicit Soak(std::uint64_t soak_seed)
      : sites_("lan", "soak"),
        faults_(sites_.sandbox,
                {.pid = [this](std::size_t site) { return daemon(site).pid(); },
                 .restart = [this](std::size_t site, int number, std::chrono::milliseconds pause, bool jumps) { restart(site, number, pause, jumps); }},
                soak_seed) {
    require(faults_.heal());
    for (const std::size_t site : {0U, 1U}) start(site, false);
    sites_.wait_until_up();
    REQUIRE(comes_true([this] { return sites_.ping(offsite_v4); }, 5s));
    inner_ = require(InnerConnections::start(sites_.sandbox, 100));
    server_.emplace(require(Iperf3Server::start(sites_.sandbox, lab::Host::offsite_lan)));
  }

  void run(std::chrono::seconds length) {
    const auto begin = std::chrono::steady_clock::now();
    const auto end = begin + length;
    auto next_word = begin + 60s;
    for (auto now = begin; now < end; now = std::chrono::steady_clock::now()) {
      keep_load();
      const std::size_t may_end = now < begin + length / 2 ? 1 : 0;
      require(faults_.befall(may_end));
      INFO("after " << faults_.last() << "\n" << tails());
      check_alive();
      const auto ended_at = std::chrono::steady_clock::now();
      const bool is_up = comes_true([this] { return sites_.state("office") == "up" && sites_.state("offsite") == "up"; }, 20s);
      REQUIRE(is_up);
      slowest_return_ = std::max(slowest_return_, std::chrono::duration<double>(std::chrono::steady_clock::now() - ended_at).count());
      take_vitals();
      if (std::chrono::steady_clock::now() >= next_word) {
        say(std::chrono::steady_clock::now() - begin);
        next_word += 60s;
      }
      learn_growth();
    }
    learn_growth();
  }

  void finish() {
    const Instant quiet = std::chrono::steady_clock::now();
    require(faults_.heal());
    const bool all_answered = comes_true([&] { return inner_->alive_since(quiet) == inner_->count(); }, tcp_silence_longest);
    const std::string waits = all_answered ? "" : inner_->kernel_view(sites_.sandbox);
    INFO(waits);
    CHECK(all_answered);
    std::printf("all inner connections answered %.1f s after the last fault\n", std::chrono::duration<double>(std::chrono::steady_clock::now() - quiet).count());
    CHECK(inner_->ended() == 0);
    CHECK(inner_->altered() == 0);
    for (const std::size_t site : {0U, 1U}) {
      INFO((site == 0 ? "office" : "offsite") << ": " << growth_[site].samples << " samples of one life");
      if (growth_[site].samples < samples_for_growth) continue;
      CHECK(growth_[site].descriptors <= 8);  // a lane that still drains has five
      CHECK(growth_[site].resident_kib <= 1024);
    }
    say({});
    transfer_.end(2s);
    for (const std::size_t site : {0U, 1U}) CHECK(daemon(site).end(5s) == 0);
  }

 private:
  struct Growth {
    std::size_t samples{0};
    std::int64_t resident_kib{0};
    std::int64_t descriptors{0};
  };

  Child& daemon(std::size_t site) { return site == 0 ? sites_.office : sites_.offsite; }
  void start(std::size_t site, bool jumping_clock) {
    Argv argv;
    if (jumping_clock) argv = {"env", "LD_PRELOAD=" + std::string(LINKTUNE_CLOCK_JUMPS)};
    const auto& files = site == 0 ? sites_.files.office.config_path : sites_.files.offsite.config_path;
    for (const std::string& word : {program, std::string("up"), std::string("--config"), files, std::string("--run-dir"), sites_.folder.path()}) {
      argv.push_back(word);
    }
    const lab::Host host = site == 0 ? lab::Host::office_gw : lab::Host::offsite_gw;
    daemon(site) = require(Child::start({.argv = sites_.sandbox.exec(host, argv),
                                         .output_path = sites_.folder.path() + (site == 0 ? "/office.log" : "/offsite.log")}));
    vitals_[site].begin_life();
  }
  void restart(std::size_t site, int number, std::chrono::milliseconds pause, bool jumping_clock) {
    check_alive();
    daemon(site).signal(number);
    const auto ended = daemon(site).wait(10s);
    REQUIRE(ended);
    CHECK(*ended == (number == SIGKILL ? 128 + SIGKILL : 0));
    std::this_thread::sleep_for(pause);  // it stays away for so long
    start(site, jumping_clock);
  }
  void check_alive() {
    for (const std::size_t site : {0U, 1U}) {
      INFO(tails());
      REQUIRE(daemon(site).is_running());
    }
  }
  // With all lanes there, so that two samples mean the same.
  void take_vitals() {
    const auto is_whole = [this](const std::string& site) {
      const Json status = sites_.status(site);
      return status["lanes"].size() == status["lanes_agreed"].get<std::size_t>();
    };
    if (!comes_true([&] { return is_whole("office") && is_whole("offsite"); }, 3s)) return;
    for (const std::size_t site : {0U, 1U}) vitals_[site].take(daemon(site).pid());
  }
  // Some 10 Mbit/s each way, beside the inner connections.
  void keep_load() {
    if (transfer_.pid() > 0 && transfer_.is_running()) return;
    transfer_ = require(Child::start({.argv = sites_.sandbox.exec(lab::Host::office_lan, {"iperf3", "-c", offsite_v4, "-t", "86400", "-P", "2", "-b", "5M", "--bidir", "-C", "cubic"}),
                                      .output_path = {}}));
  }
  // Of the longest life of each.
  void learn_growth() {
    for (const std::size_t site : {0U, 1U}) {
      if (vitals_[site].samples() < 8 || vitals_[site].samples() <= growth_[site].samples) continue;
      const auto grown = vitals_[site].growth();
      growth_[site] = {vitals_[site].samples(), grown.resident_kib, grown.descriptors};
    }
  }
  void say(std::chrono::nanoseconds since) {
    learn_growth();
    std::string faults;
    for (const auto& [name, count] : faults_.counts()) faults += (faults.empty() ? "" : ", ") + name + " " + std::to_string(count);
    std::printf("%s%.1f min: %s; inner connections %zu, answers %llu, ended %u, altered %u; slowest return %.1f s;",
                since.count() == 0 ? "at the end after " : "", std::chrono::duration<double>(since).count() / 60, faults.c_str(), inner_->count(),
                static_cast<unsigned long long>(inner_->answers()), inner_->ended(), inner_->altered(), slowest_return_);
    for (const std::size_t site : {0U, 1U}) {
      std::printf(" %s: RSS %lld KiB, %lld descriptors, longest life %zu samples: %+lld KiB, %+lld descriptors;", site == 0 ? "office" : "offsite",
                  static_cast<long long>(vitals_[site].last().resident_kib), static_cast<long long>(vitals_[site].last().descriptors),
                  growth_[site].samples, static_cast<long long>(growth_[site].resident_kib), static_cast<long long>(growth_[site].descriptors));
    }
    std::printf("\n");
    std::fflush(stdout);
  }
  [[nodiscard]] std::string tails() const {
    std::string text;
    for (const char* const name : {"office.log", "offsite.log"}) {
      const std::string log = read_file(sites_.folder.path() + "/" + name, 64 << 20).value_or("");
      text += std::string(name) + ": " + log.substr(log.size() - std::min<std::size_t>(log.size(), 1500)) + "\n";
    }
    return text;
  }

  Sites sites_;
  Faults faults_;
  std::unique_ptr<InnerConnections> inner_;
  std::optional<Iperf3Server> server_;
  Child transfer_;
  std::array<Vitals, 2> vitals_;
  std::array<Growth, 2> growth_;
  double slowest_return_{0};
};

}  // namespace

TEST_CASE("R25: whatever befalls two daemons, none crashes or grows, and no inner connection ends", "[soak][app][netns]") {
  const std::uint64_t soak_seed = number_from("LINKTUNE_SOAK_SEED", std::random_device()());
  const std::chrono::seconds length(number_from("LINKTUNE_SOAK_SECONDS", 40));
  std::printf("soak of %lld s, LINKTUNE_SOAK_SEED=%llu\n", static_cast<long long>(length.count()), static_cast<unsigned long long>(soak_seed));
  std::fflush(stdout);
  INFO("LINKTUNE_SOAK_SEED=" << soak_seed);
  Soak soak(soak_seed);
  soak.run(length);
  soak.finish();
}
