#include "mirror/scrub.h"

#include "base/text.h"

namespace lt::mirror {

namespace {

/// The words behind "name:" up to the next line that begins a name, joined.
std::string field(std::string_view text, std::string_view name) {
  std::string value;
  bool is_inside = false;
  for (const std::string_view row : split(text, '\n')) {
    const std::string_view line = trim(row);
    if (line.starts_with(name)) {
      is_inside = true;
      value = std::string(trim(line.substr(name.size())));
    } else if (is_inside) {
      const auto colon = line.find(':');
      const bool is_name = colon != std::string_view::npos &&
                           line.substr(0, colon).find(' ') == std::string_view::npos &&
                           !row.starts_with("\t") && colon < 8;
      if (is_name || line.empty()) break;
      value += " " + std::string(line);
    }
  }
  return value;
}

std::optional<std::uint64_t> number_before(std::string_view text, std::string_view word) {
  const auto at = text.find(word);
  if (at == std::string_view::npos) return std::nullopt;
  std::string_view before = trim(text.substr(0, at));
  const auto blank = before.rfind(' ');
  if (blank != std::string_view::npos) before = before.substr(blank + 1);
  return parse_u64(before);
}

}  // namespace

PoolState parse_pool_status(std::string_view text) {
  PoolState state;
  state.scan = field(text, "scan:");
  if (state.scan.empty()) state.scan = field(text, "scrub:");  // zfs-fuse's name for it
  state.is_scrubbing = state.scan.find("in progress") != std::string::npos;
  state.was_scrubbed = state.scan.find("scrub repaired") != std::string::npos ||
                       state.scan.find("scrub completed") != std::string::npos;
  state.errors = number_before(state.scan, " errors");
  const std::string health = field(text, "state:");
  state.is_healthy = health == "ONLINE" &&
                     field(text, "errors:").find("No known data errors") != std::string::npos;
  return state;
}

Result<ProofRecord> tend_scrub(const Reach& reach, Ledger& ledger, const std::string& pool,
                               bool begins, WallTime now) {
  const auto ask_pool = [&](const Argv& argv) -> Result<std::string> {
    LT_TRY(const auto output, ask(reach, false, argv));
    if (output.exit_code == 0) return output.out;
    const bool is_missing = output.err.find("no such pool") != std::string::npos;
    return fail(is_missing ? Errc::not_found : Errc::io,
                is_missing ? "there is no pool " + pool + "; correct `pool` in [[mirror.scrub]]"
                           : argv[0] + " " + argv[1] + " " + pool + ": " +
                                 printable(trim(output.err), 200));
  };
  LT_TRY(const auto last, ledger.proofs(ProofKind::scrub, pool, 1));
  const bool is_running = !last.empty() && last.front().result == ProofResult::running;
  if (!is_running) {
    ProofRecord begun{.kind = ProofKind::scrub, .dataset = pool, .started = now, .ended = now};
    if (!begins) return last.empty() ? begun : last.front();
    LT_TRY(const std::string before, ask_pool({"zpool", "status", pool}));
    if (!parse_pool_status(before).is_scrubbing) {
      LT_TRY([[maybe_unused]] const std::string said, ask_pool({"zpool", "scrub", pool}));
    }
    LT_TRY(begun.id, ledger.record(begun));
    return begun;
  }
  ProofRecord proof = last.front();
  LT_TRY(const std::string text, ask_pool({"zpool", "status", pool}));
  const PoolState state = parse_pool_status(text);
  if (state.is_scrubbing) return proof;
  proof.ended = now;
  proof.took = now - proof.started;
  if (!state.was_scrubbed) {
    proof.result = ProofResult::interrupted;
    proof.what = "the scrub of " + pool + " did not come to its end; begin it again with `zpool scrub " +
                 pool + "`";
  } else if (state.is_healthy && state.errors.value_or(1) == 0) {
    proof.result = ProofResult::good;
    proof.what = printable(state.scan, 200);
  } else {
    proof.result = ProofResult::bad;
    proof.what = "the scrub of " + pool + " found errors (" + printable(state.scan, 200) +
                 "); look at `zpool status -v " + pool + "` and restore what it names";
  }
  LT_CHECK(ledger.update(proof));
  return proof;
}

}  // namespace lt::mirror
