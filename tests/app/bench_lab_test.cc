// A short bench as users run it: a lab, real programs, a journal that goes on.
#include <unistd.h>

#include <catch2/catch.hpp>

#include "app/bench_journal.h"
#include "base/process.h"
#include "base/text.h"

using namespace lt;
using namespace lt::app;

namespace {

const std::string program = std::string(LINKTUNE_BINARY_DIR) + "/app/linktune";

Argv bench(const std::string& journal_option, const std::string& journal, const std::string& rounds) {
  return {program, "lab", "bench", "--json", "--name", "lttestbench", "--scene", "LAN to LAN", "--row", "bare",
          "--row", "linktune", "--seconds", "1", "--rounds", rounds, journal_option, journal};
}

Json run(const Argv& argv) {
  const auto output = run_process(argv, {.deadline = std::chrono::seconds(90)});
  REQUIRE(output);
  CAPTURE(output->err);
  REQUIRE(output->exit_code == 0);
  return *parse_json(output->out, "the bench");
}

}  // namespace

TEST_CASE("a bench measures what it was asked, keeps it, and goes on where it ended", "[app][bench][netns]") {
  const std::string journal = std::string(LINKTUNE_BINARY_DIR) + "/bench_lab_test.jsonl";
  ::unlink(journal.c_str());
  const Json first = run(bench("--journal", journal, "1"));
  CHECK(first["schema"] == "linktune.bench.2");
  REQUIRE(first["scenes"].size() == 1);
  const Json rows = first["scenes"][0]["rows"];
  REQUIRE(rows.size() == 3);  // bare, linktune, linktune without offload
  for (const Json& row : rows) {
    CAPTURE(row.dump());
    CHECK(row["failures"].empty());
    CHECK(row["mbps"]["median"].get<double>() > 1);
    CHECK(row["cpu_s_per_gb"]["median"].get<double>() > 0);
    CHECK(row.contains("resident_mib") == (row["carrier"] == "linktune"));
  }
  const auto before = read_bench_journal(journal);
  REQUIRE(before);
  CHECK(before->units.size() == 3);

  const auto existing = run_process(bench("--journal", journal, "1"));
  REQUIRE(existing);
  CHECK(existing->exit_code == 1);
  CHECK(existing->out.find("--resume") != std::string::npos);

  // What is there is not measured again.
  CHECK(run(bench("--resume", journal, "1"))["units"] == 3);
  CHECK(read_bench_journal(journal)->bytes == before->bytes);
}

TEST_CASE("64-byte packets are counted through a link, and a wrong word starts nothing", "[app][bench][netns]") {
  const std::string journal = std::string(LINKTUNE_BINARY_DIR) + "/bench_packets_test.jsonl";
  ::unlink(journal.c_str());
  const Json report = run({program, "lab", "bench", "--json", "--name", "lttestbench", "--suite", "small-packets", "--scene", "LAN to LAN",
                           "--row", "linktune", "--rounds", "1", "--journal", journal});
  REQUIRE(report["scenes"].size() == 1);
  const Json row = report["scenes"][0]["rows"][0];
  CAPTURE(row.dump());
  CHECK(row["packets_per_s"]["median"].get<double>() > 1000);
  CHECK(row["packets_per_s_max"]["median"].get<double>() >= row["packets_per_s"]["median"].get<double>());

  ::unlink(journal.c_str());
  const auto wrong = run_process({program, "lab", "bench", "--suite", "small", "--journal", journal});
  REQUIRE(wrong);
  CHECK(wrong->exit_code == 2);
  CHECK(wrong->err.find("small") != std::string::npos);
  CHECK(::access(journal.c_str(), F_OK) != 0);
}
