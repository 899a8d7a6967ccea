// Theory of operation: the text becomes a tree (toml_tree.h), the tree is held against one list of
// keys for each section, each value is turned into its type where it stands, and at last what
// belongs together is compared. Each step adds findings with a position; nothing is used before all
// of them passed.
#include "configs/mirror_config.h"

#include <algorithm>
#include <array>
#include <functional>
#include <set>

#include "base/fd.h"
#include "base/text.h"
#include "configs/knob.h"
#include "configs/toml_tree.h"

namespace lt::configs {

namespace {

constexpr std::size_t mirror_config_bytes_max = 1 << 20;
constexpr std::size_t dataset_length_max = 255;  // ZFS_MAX_DATASET_NAME_LEN, without the final zero
constexpr std::size_t name_length_max = 64;
constexpr Bytes window_min = 1_MiB;
constexpr Bytes window_max{4ULL << 30};
constexpr unsigned retries_max = 1000;
constexpr std::uint64_t rate_max = 1'000'000'000'000;  // bit/s: beyond any line
constexpr std::uint64_t rate_min = 8'000;              // bit/s: below it a pause is meant
constexpr std::string_view peer_prefix = "peer:";
constexpr Bytes budget_max{std::uint64_t{1} << 50};
constexpr std::array<std::string_view, 11> compressions{
    "none", "gzip", "pigz-fast", "pigz-slow", "zstd-fast", "zstd-slow", "zstdmt-fast", "zstdmt-slow", "lz4", "xz", "lzo"};

using Keys = std::vector<std::string>;

const Keys& mirror_keys() {
  static const Keys keys{"agent_address", "peer_address", "agent_port", "session_hold",
                         "window",        "read",         "scratch",    "syncoid",
                         "state_folder",  "metrics_path", "yield_delay", "on_done",
                         "on_failed",     "on_stale",     "on_stalled", "receive",
                         "job",           "scrub",       "verify",      "drill"};
  return keys;
}
const Keys& job_keys() {
  static const Keys keys{"name",          "source",      "target",         "recursive",
                         "exclude",       "schedule",    "priority",       "written_threshold",
                         "unchanged_max", "carry_empty_snapshots",         "limits",
                         "yields",        "finish_by",   "stale_after",    "retries",
                         "retry_wait",    "retry_wait_max",                "rollback",
                         "sync_snapshot", "compress",    "identifier",     "send_options",
                         "on_done",       "on_failed",   "on_stale",       "on_stalled"};
  return keys;
}
const Keys& receive_keys() {
  static const Keys keys{"dataset", "append_only"};
  return keys;
}
const Keys& scrub_keys() {
  static const Keys keys{"pool", "schedule", "stale_after"};
  return keys;
}

const Keys& verify_keys() {
  static const Keys keys{"schedule", "budget", "stale_after"};
  return keys;
}
const Keys& drill_keys() {
  static const Keys keys{"schedule", "files", "whole", "stale_after"};
  return keys;
}

std::string quoted(std::string_view text) {
  return "`" + printable(text, 80) + "`";
}

/// A minute of the day in "08:00"; 1440 for "24:00".
std::optional<int> minute_of(std::string_view text) {
  const auto colon = text.find(':');
  if (colon == std::string_view::npos || text.size() - colon != 3 || colon > 2) return std::nullopt;
  const auto hour = parse_u64(text.substr(0, colon));
  const auto minute = parse_u64(text.substr(colon + 1));
  if (!hour || !minute || *minute > 59 || *hour > 24 || (*hour == 24 && *minute != 0))
    return std::nullopt;
  return static_cast<int>(*hour * 60 + *minute);
}

bool is_job_name(std::string_view text) {
  return !text.empty() && text.size() <= name_length_max && text.front() != '-' &&
         text.front() != '.' && std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  c == '-' || c == '_' || c == '.';
         });
}

std::string dataset_fault(std::string_view text) {
  return quoted(text) + " is no dataset; write its whole name without a snapshot, such as tank/data";
}

/// Whether Syncoid hands `text` to zfs send as it stands: letters only, as its own parser takes.
bool is_send_options(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) {
    return std::string_view("DLPRcehpvw").find(c) != std::string_view::npos;
  });
}

class MirrorReader {
 public:
  explicit MirrorReader(std::string path) : path_(std::move(path)) {}

  Result<MirrorConfig> read(std::string_view text) {
    LT_TRY(const TomlNode root, parse_toml_tree(text, path_));
    for (const TomlNode& entry : root.children) {
      if (entry.key == mirror_section && entry.kind == TomlKind::table) {
        read_mirror(entry);
      } else {
        add(entry.key_at, "there is no section " + quoted(entry.key) +
                              " here; the mirror's are [mirror], [[mirror.receive]], "
                              "[[mirror.job]] and [[mirror.scrub]]");
      }
    }
    if (!findings_.empty()) return fail(findings_error(std::move(findings_), path_));
    return std::move(config_);
  }

 private:
  // --- findings ---

  void add(TomlPosition at, std::string what) { findings_.push_back({at, std::move(what)}); }

  void check_keys(const TomlNode& table, const Keys& keys, const std::string& section) {
    for (const TomlNode& entry : table.children) {
      if (std::find(keys.begin(), keys.end(), entry.key) != keys.end()) continue;
      const std::string what = "there is no key " + quoted(entry.key) + " below " + section;
      const auto meant = nearest(entry.key, keys);
      add(entry.key_at, meant ? what + "; did you mean `" + *meant + "`?"
                              : what + "; the keys there are " + join(keys, ", "));
    }
  }

  // --- values of one kind ---

  const TomlNode* typed(const TomlNode& table, std::string_view key, TomlKind kind,
                        std::string_view cure) {
    const TomlNode* node = table.find(key);
    if (node == nullptr || node->kind == kind) return node;
    add(node->at, quoted(key) + " takes " + std::string(cure));
    return nullptr;
  }

  // A text that `take` turns into a value; what it says is reported where the text stands.
  void text(const TomlNode& table, std::string_view key,
            const std::function<Status(const std::string&)>& take) {
    const TomlNode* node = typed(table, key, TomlKind::text, "text; write it in quotes");
    if (node == nullptr) return;
    if (const Status taken = take(node->text); !taken)
      add(node->at, quoted(key) + ": " + taken.error().what);
  }

  void toggle(const TomlNode& table, std::string_view key, bool& target) {
    const TomlNode* node =
        typed(table, key, TomlKind::toggle, "no such value; write true or false, without quotes");
    if (node != nullptr) target = node->toggle;
  }

  void whole_number(const TomlNode& table, std::string_view key, std::int64_t least,
                    std::int64_t most, const std::function<void(std::int64_t)>& take) {
    const std::string cure = "a whole number without quotes; write one from " +
                             std::to_string(least) + " to " + std::to_string(most);
    const TomlNode* node = typed(table, key, TomlKind::integer, cure);
    if (node == nullptr) return;
    if (node->integer < least || node->integer > most) {
      add(node->at, quoted(key) + " takes " + cure);
    } else {
      take(node->integer);
    }
  }

  void texts(const TomlNode& table, std::string_view key,
             const std::function<Status(const std::string&)>& take) {
    const TomlNode* node =
        typed(table, key, TomlKind::list, "a list of texts; write [\"one\", \"two\"]");
    if (node == nullptr) return;
    for (const TomlNode& element : node->children) {
      if (element.kind != TomlKind::text) {
        add(element.at, quoted(key) + " takes a list of texts; write [\"one\", \"two\"]");
      } else if (const Status taken = take(element.text); !taken) {
        add(element.at, quoted(key) + ": " + taken.error().what);
      }
    }
  }

  void seconds(const TomlNode& table, std::string_view key, Seconds least, Seconds& target) {
    text(table, key, [&](const std::string& word) -> Status {
      LT_TRY(const Seconds parsed, parse_duration(word));
      if (parsed < least)
        return fail(Errc::invalid, quoted(word) + " is too short; write at least " +
                                       duration_text(least));
      target = parsed;
      return {};
    });
  }

  // Bytes are a number or a text with a unit, as for the link's knobs.
  void bytes(const TomlNode& table, std::string_view key, Bytes least, Bytes most, Bytes& target) {
    const TomlNode* node = table.find(key);
    if (node == nullptr) return;
    const auto refuse = [&](const std::string& why) {
      add(node->at, quoted(key) + " " + why + "; write bytes, or a text such as \"64MiB\", from " +
                        bytes_text(least) + " to " + bytes_text(most));
    };
    if (node->kind != TomlKind::text && node->kind != TomlKind::integer)
      return refuse("takes a size");
    const auto parsed = parse_bytes(node->kind == TomlKind::text ? node->text
                                                                 : std::to_string(node->integer));
    if (!parsed) return refuse("takes a size");
    if (*parsed < least || *parsed > most) return refuse("is out of its range");
    target = *parsed;
  }

  void address(const TomlNode& table, std::string_view key, std::optional<IpAddress>& target) {
    text(table, key, [&](const std::string& word) -> Status {
      target = IpAddress::parse(word);
      if (target) return {};
      return fail(Errc::invalid, quoted(word) + " is no address; write one such as 10.77.0.1");
    });
  }

  static Status take_dataset(const std::string& word, std::string& target) {
    if (!is_dataset_name(word)) return fail(Errc::invalid, dataset_fault(word));
    target = word;
    return {};
  }

  void place(const TomlNode& table, std::string_view key, DatasetPlace& target) {
    text(table, key, [&](const std::string& word) -> Status {
      target.is_peer = word.starts_with(peer_prefix);
      return take_dataset(target.is_peer ? word.substr(peer_prefix.size()) : word, target.dataset);
    });
  }

  void path(const TomlNode& table, std::string_view key, std::string& target) {
    text(table, key, [&](const std::string& word) -> Status {
      if (word.empty()) return fail(Errc::invalid, "is empty; write a path");
      const auto slash = path_.rfind('/');
      const std::string folder = slash == std::string::npos ? "" : path_.substr(0, slash + 1);
      target = word.front() == '/' ? word : folder + word;
      return {};
    });
  }

  // The program of a hook is run as it stands, so it is named by its whole path.
  void hook(const TomlNode& table, std::string_view key, std::vector<std::string>& target) {
    texts(table, key, [&](const std::string& word) -> Status {
      if (target.empty() && !word.starts_with('/'))
        return fail(Errc::invalid, quoted(word) + " is no whole path; write the program and its "
                                                  "arguments, such as [\"/usr/local/bin/tell\"]");
      target.push_back(word);
      return {};
    });
  }

  void hooks(const TomlNode& table, MirrorHooks& target) {
    hook(table, "on_done", target.on_done);
    hook(table, "on_failed", target.on_failed);
    hook(table, "on_stale", target.on_stale);
    hook(table, "on_stalled", target.on_stalled);
  }

  bool require(const TomlNode& table, std::string_view key, const std::string& section,
               std::string_view cure) {
    if (table.find(key) != nullptr) return true;
    add(table.at, section + " has no " + quoted(key) + "; write " + std::string(cure));
    return false;
  }

  // --- sections ---

  void each(const TomlNode& mirror, std::string_view key,
            const std::function<void(const TomlNode&)>& read_one) {
    const std::string cure = "sections of its own; write [[mirror." + std::string(key) + "]]";
    const TomlNode* list = typed(mirror, key, TomlKind::list, cure);
    if (list == nullptr) return;
    for (const TomlNode& entry : list->children) {
      if (entry.kind == TomlKind::table) {
        read_one(entry);
      } else {
        add(entry.at, quoted(key) + " takes " + cure);
      }
    }
  }

  const TomlNode* one(const TomlNode& mirror, const std::string& key) {
    return typed(mirror, key, TomlKind::table, "a section of its own; write [mirror." + key + "]");
  }

  void read_mirror(const TomlNode& mirror) {
    check_keys(mirror, mirror_keys(), "[mirror]");
    address(mirror, "agent_address", config_.agent_address);
    address(mirror, "peer_address", config_.peer_address);
    whole_number(mirror, "agent_port", 1, 65535, [&](std::int64_t port) {
      config_.agent_port = static_cast<std::uint16_t>(port);
    });
    seconds(mirror, "session_hold", Seconds(1), config_.session_hold);
    bytes(mirror, "window", window_min, window_max, config_.window);
    texts(mirror, "read", [&](const std::string& word) {
      return take_dataset(word, config_.read.emplace_back());
    });
    text(mirror, "scratch", [&](const std::string& word) {
      return take_dataset(word, config_.scratch.emplace());
    });
    text(mirror, "syncoid", [&](const std::string& word) -> Status {
      if (word.empty() || (word.find('/') != std::string::npos && word.front() != '/'))
        return fail(Errc::invalid, "write a name on PATH or a whole path");
      config_.syncoid = word;
      return {};
    });
    path(mirror, "state_folder", config_.state_folder);
    if (mirror.find("metrics_path") != nullptr)
      path(mirror, "metrics_path", config_.metrics_path.emplace());
    text(mirror, "yield_delay", [&](const std::string& word) -> Status {
      const auto number =
          word.ends_with("ms") ? parse_u64(word.substr(0, word.size() - 2)) : std::nullopt;
      if (!number || *number < 1 || *number > 1000)
        return fail(Errc::invalid, "write milliseconds from 1ms to 1000ms, such as \"5ms\"");
      config_.yield_delay = Milliseconds(*number);
      return {};
    });
    hooks(mirror, config_.hooks);
    each(mirror, "receive", [&](const TomlNode& table) { read_receive(table); });
    each(mirror, "job", [&](const TomlNode& table) { read_job(table); });
    each(mirror, "scrub", [&](const TomlNode& table) { read_scrub(table); });
    if (const TomlNode* table = one(mirror, "verify")) read_verify(*table);
    if (const TomlNode* table = one(mirror, "drill")) read_drill(*table);
    compare_jobs();
  }

  void read_receive(const TomlNode& table) {
    const std::string section = "[[mirror.receive]]";
    check_keys(table, receive_keys(), section);
    require(table, "dataset", section, "dataset = \"backup/office\"");
    MirrorReceive& receive = config_.receive.emplace_back();
    text(table, "dataset",
         [&](const std::string& word) { return take_dataset(word, receive.dataset); });
    toggle(table, "append_only", receive.append_only);
  }

  void read_scrub(const TomlNode& table) {
    const std::string section = "[[mirror.scrub]]";
    check_keys(table, scrub_keys(), section);
    require(table, "pool", section, "pool = \"tank\"");
    DatasetPlace pool;
    place(table, "pool", pool);
    if (const TomlNode* node = table.find("pool"); node != nullptr && pool.is_peer) {
      add(node->at, "`pool`: a site scrubs its own pools; write this section in the other site's "
                    "config, without `peer:`");
    } else if (node != nullptr && pool.dataset.find('/') != std::string::npos) {
      add(node->at, "`pool`: " + quoted(pool.dataset) + " is a dataset; write its pool, `" +
                        pool.dataset.substr(0, pool.dataset.find('/')) + "`");
    }
    if (!require(table, "schedule", section, "schedule = \"Sun 03:00\"")) return;
    const auto schedule = schedule_at(table);
    if (!schedule) return;
    MirrorScrub scrub{.pool = pool, .schedule = *schedule};
    seconds(table, "stale_after", Seconds(3600), scrub.stale_after);
    config_.scrubs.push_back(std::move(scrub));
  }

  void read_verify(const TomlNode& table) {
    const std::string section = "[mirror.verify]";
    check_keys(table, verify_keys(), section);
    if (!require(table, "schedule", section, "schedule = \"Sun 02:00\"")) return;
    const auto schedule = schedule_at(table);
    if (!schedule) return;
    MirrorVerify verify{.schedule = *schedule};
    bytes(table, "budget", 1_MiB, budget_max, verify.budget);
    seconds(table, "stale_after", Seconds(3600), verify.stale_after);
    config_.verify = verify;
  }

  void read_drill(const TomlNode& table) {
    const std::string section = "[mirror.drill]";
    check_keys(table, drill_keys(), section);
    if (!require(table, "schedule", section, "schedule = \"*-*-01 04:00\"")) return;
    const auto schedule = schedule_at(table);
    if (!schedule) return;
    MirrorDrill drill{.schedule = *schedule};
    whole_number(table, "files", 1, 10'000, [&](std::int64_t count) { drill.files = static_cast<unsigned>(count); });
    toggle(table, "whole", drill.whole);
    seconds(table, "stale_after", Seconds(3600), drill.stale_after);
    if (drill.whole && !config_.scratch) {
      add(table.at, "a whole drill needs a scratch dataset; write scratch = \"tank/drill\" below [mirror], or leave `whole` out");
    }
    config_.drill = drill;
  }

  std::optional<Calendar> schedule_at(const TomlNode& table) {
    std::optional<Calendar> schedule;
    text(table, "schedule", [&](const std::string& word) -> Status {
      LT_TRY(schedule, Calendar::parse(word));
      return {};
    });
    return schedule;
  }

  void read_job(const TomlNode& table) {
    const std::string section = "[[mirror.job]]";
    check_keys(table, job_keys(), section);
    require(table, "name", section, "name = \"data\"");
    require(table, "source", section, "source = \"tank/data\"");
    require(table, "target", section, "target = \"peer:backup/office/data\"");
    if (config_.jobs.size() >= mirror_jobs_max) {
      add(table.at, "there are more than " + std::to_string(mirror_jobs_max) +
                        " jobs; write one recursive job for datasets of one tree");
      return;
    }
    MirrorJob job;
    text(table, "name", [&](const std::string& word) -> Status {
      job.name = word;
      if (is_job_name(word)) return {};
      return fail(Errc::invalid, quoted(word) + " is no name; write 1 to " +
                                     std::to_string(name_length_max) +
                                     " letters, digits, dots, - and _");
    });
    place(table, "source", job.source);
    place(table, "target", job.target);
    toggle(table, "recursive", job.recursive);
    texts(table, "exclude", [&](const std::string& word) -> Status {
      LT_CHECK(take_dataset(word, job.exclude.emplace_back()));
      if (is_within(word, job.source.dataset) && word != job.source.dataset) return {};
      return fail(Errc::invalid, quoted(word) + " does not lie below the source; write a dataset "
                                                "below " + quoted(job.source.dataset));
    });
    job.schedule = schedule_at(table);
    read_when(table, job);
    read_how(table, job);
    hooks(table, job.hooks);
    config_.jobs.push_back(std::move(job));
    job_tables_.push_back(&table);
  }

  void read_when(const TomlNode& table, MirrorJob& job) {
    whole_number(table, "priority", -1000, 1000,
                 [&](std::int64_t number) { job.priority = static_cast<int>(number); });
    bytes(table, "written_threshold", 0_B, Bytes{1ULL << 40}, job.written_threshold);
    seconds(table, "unchanged_max", Seconds(60), job.unchanged_max);
    toggle(table, "carry_empty_snapshots", job.carry_empty_snapshots);
    texts(table, "limits",
          [&](const std::string& word) { return add_limit_row(job.limits, word); });
    toggle(table, "yields", job.yields);
    text(table, "finish_by", [&](const std::string& word) -> Status {
      const auto minute = minute_of(word);
      if (!minute || *minute == 1440)
        return fail(Errc::invalid,
                    quoted(word) + " is no time of day; write HOUR:MINUTE, such as \"07:00\"");
      job.finish_by = minute;
      return {};
    });
    seconds(table, "stale_after", Seconds(60), job.stale_after);
    whole_number(table, "retries", 0, retries_max,
                 [&](std::int64_t number) { job.retries = static_cast<unsigned>(number); });
    seconds(table, "retry_wait", Seconds(1), job.retry_wait);
    seconds(table, "retry_wait_max", Seconds(1), job.retry_wait_max);
    if (job.retry_wait_max < job.retry_wait && table.find("retry_wait_max") != nullptr) {
      add(table.find("retry_wait_max")->at, "`retry_wait_max` is shorter than `retry_wait`; write "
                                            "at least " + duration_text(job.retry_wait));
    }
    job.retry_wait_max = std::max(job.retry_wait_max, job.retry_wait);
  }

  void read_how(const TomlNode& table, MirrorJob& job) {
    toggle(table, "rollback", job.rollback);
    toggle(table, "sync_snapshot", job.sync_snapshot);
    text(table, "compress", [&](const std::string& word) -> Status {
      job.compress = word;
      if (std::find(compressions.begin(), compressions.end(), word) != compressions.end())
        return {};
      return fail(Errc::invalid,
                  quoted(word) + " is none of Syncoid's; write none, gzip, pigz-fast, pigz-slow, "
                                 "zstd-fast, zstd-slow, lz4, xz, lzo or, since Syncoid 2.3, zstdmt-fast or zstdmt-slow");
    });
    text(table, "identifier", [&](const std::string& word) -> Status {
      job.identifier = word;
      if (is_job_name(word)) return {};
      return fail(Errc::invalid, quoted(word) + " has no place in a snapshot's name; write letters, "
                                                "digits, dots, - and _");
    });
    text(table, "send_options", [&](const std::string& word) -> Status {
      job.send_options = word;
      if (is_send_options(word)) return {};
      return fail(Errc::invalid, quoted(word) + " are no options of zfs send; write letters out of "
                                                "DLPRcehpvw without blanks or dashes, such as \"w\"");
    });
  }

  // --- what belongs together ---

  void compare_jobs() {
    std::set<std::string> names;
    for (std::size_t i = 0; i < config_.jobs.size(); ++i) {
      const MirrorJob& job = config_.jobs[i];
      const TomlNode& table = *job_tables_[i];
      if (!job.name.empty() && !names.insert(job.name).second)
        add(table.find("name")->at,
            "the name " + quoted(job.name) + " is taken by a job above; write another");
      if (job.source.dataset.empty() || job.target.dataset.empty()) continue;
      if (job.source.is_peer && job.target.is_peer)
        add(table.find("target")->at,
            "source and target are both at the peer; write `peer:` before one of them, or run "
            "this job over there");
      if (job.source.is_peer == job.target.is_peer && overlap(job.source, job.target))
        add(table.find("target")->at, "the target " + quoted(job.target.dataset) +
                                          " and its source lie within each other; write a target "
                                          "elsewhere");
      for (std::size_t other = 0; other < i; ++other) {
        if (config_.jobs[other].target.is_peer == job.target.is_peer &&
            overlap(config_.jobs[other].target, job.target))
          add(table.find("target")->at, "the target " + quoted(job.target.dataset) +
                                            " is within reach of job " +
                                            quoted(config_.jobs[other].name) +
                                            "; write a target of its own");
      }
    }
  }

  static bool overlap(const DatasetPlace& a, const DatasetPlace& b) {
    return is_within(a.dataset, b.dataset) || is_within(b.dataset, a.dataset);
  }

  const std::string path_;
  MirrorConfig config_;
  std::vector<TomlFinding> findings_;
  std::vector<const TomlNode*> job_tables_;
};

}  // namespace

RateLimit LimitTable::at(const LocalTime& time) const {
  const int now = time.hour * 60 + time.minute;
  const int yesterday = (time.weekday + 6) % 7;
  for (const LimitRow& row : rows) {
    const bool is_today = (row.weekdays >> time.weekday & 1) != 0;
    const bool was_yesterday = (row.weekdays >> yesterday & 1) != 0;
    const bool is_over_midnight = row.to_minute <= row.from_minute;
    const bool holds = is_over_midnight ? (is_today && now >= row.from_minute) ||
                                              (was_yesterday && now < row.to_minute)
                                        : is_today && now >= row.from_minute && now < row.to_minute;
    if (holds) return row.limit;
  }
  return otherwise;
}

const MirrorJob* MirrorConfig::find_job(std::string_view name) const {
  const auto found = std::find_if(jobs.begin(), jobs.end(),
                                  [&](const MirrorJob& job) { return job.name == name; });
  return found == jobs.end() ? nullptr : &*found;
}

MirrorHooks MirrorConfig::hooks_of(const MirrorJob& job) const {
  const auto either = [](const std::vector<std::string>& own,
                         const std::vector<std::string>& all) { return own.empty() ? all : own; };
  return {.on_done = either(job.hooks.on_done, hooks.on_done),
          .on_failed = either(job.hooks.on_failed, hooks.on_failed),
          .on_stale = either(job.hooks.on_stale, hooks.on_stale),
          .on_stalled = either(job.hooks.on_stalled, hooks.on_stalled)};
}

Result<MirrorConfig> load_mirror_config(const std::string& path) {
  LT_TRY(const std::string text, read_file(path, mirror_config_bytes_max));
  return parse_mirror_config(text, path);
}

Result<MirrorConfig> parse_mirror_config(std::string_view text, const std::string& path) {
  return MirrorReader(path).read(only_sections(text, mirror_section));
}

Result<IpAddress> mirror_peer_address(const MirrorConfig& mirror,
                                      const std::vector<Prefix>& tunnel_addresses) {
  if (mirror.peer_address) return *mirror.peer_address;
  if (const auto other = peer_address(tunnel_addresses)) return *other;
  return fail(Errc::invalid,
              "the peer's tunnel address does not follow from tunnel.addresses; write "
              "peer_address = \"ADDRESS\" below [mirror]");
}

Result<RateLimit> parse_rate_limit(std::string_view text) {
  struct Unit {
    std::string_view name;
    std::uint64_t bits;
  };
  static constexpr std::array<Unit, 8> units{{{"Gbit/s", 1'000'000'000},
                                              {"Mbit/s", 1'000'000},
                                              {"kbit/s", 1'000},
                                              {"bit/s", 1},
                                              {"GB/s", 8'000'000'000},
                                              {"MB/s", 8'000'000},
                                              {"kB/s", 8'000},
                                              {"B/s", 8}}};
  if (text == "unlimited") return RateLimit{};
  if (text == "pause") return RateLimit{BitsPerSecond{0}};
  const auto refuse = [&] {
    return fail(Errc::invalid, quoted(text) + " is no rate; write such as 20Mbit/s, 120MB/s, "
                                              "unlimited or pause");
  };
  for (const Unit& unit : units) {
    if (!text.ends_with(unit.name)) continue;
    const std::string_view number = trim(text.substr(0, text.size() - unit.name.size()));
    const auto dot = number.find('.');
    const auto whole = parse_u64(number.substr(0, dot));
    if (!whole || *whole > rate_max / unit.bits) return refuse();
    std::uint64_t bits = *whole * unit.bits;
    if (dot != std::string_view::npos) {
      const std::string_view digits = number.substr(dot + 1);
      const auto fraction = parse_u64(digits);
      if (!fraction || digits.size() > 3) return refuse();
      std::uint64_t scale = 1;
      for (std::size_t i = 0; i < digits.size(); ++i)
        scale *= 10;
      bits += *fraction * unit.bits / scale;
    }
    if (bits < rate_min || bits > rate_max)
      return fail(Errc::invalid, quoted(text) + " is out of range; write 8kbit/s to 1000Gbit/s, or "
                                                "pause");
    return RateLimit{BitsPerSecond{bits}};
  }
  return refuse();
}

std::string rate_limit_text(const RateLimit& limit) {
  if (!limit.rate) return "unlimited";
  if (limit.is_pause()) return "pause";
  for (const auto& [bits, name] :
       std::array<std::pair<std::uint64_t, std::string_view>, 3>{
           {{1'000'000'000, "Gbit/s"}, {1'000'000, "Mbit/s"}, {1'000, "kbit/s"}}}) {
    if (limit.rate->value % bits == 0)
      return std::to_string(limit.rate->value / bits) + std::string(name);
  }
  return std::to_string(limit.rate->value) + "bit/s";
}

Status add_limit_row(LimitTable& table, std::string_view text) {
  std::vector<std::string_view> words;
  for (const std::string_view word : split(text, ' ')) {
    if (!word.empty()) words.push_back(word);
  }
  if (words.size() == 2 && words[0] == "otherwise") {
    LT_TRY(table.otherwise, parse_rate_limit(words[1]));
    return {};
  }
  const auto refuse = [&](std::string_view what) {
    return fail(Errc::invalid, quoted(what) + " is no row of limits; write \"08:00-18:00 "
                                              "20Mbit/s\", \"Sat,Sun 00:00-24:00 unlimited\" or "
                                              "\"otherwise 200Mbit/s\"");
  };
  LimitRow row;
  if (words.size() == 3) {
    LT_TRY(row.weekdays, parse_weekday_set(words[0]));
    words.erase(words.begin());
  }
  if (words.size() != 2) return refuse(text);
  const auto dash = words[0].find('-');
  if (dash == std::string_view::npos) return refuse(text);
  const auto from = minute_of(words[0].substr(0, dash));
  const auto to = minute_of(words[0].substr(dash + 1));
  if (!from || !to || *from == 1440) return refuse(words[0]);
  if (*from == *to)
    return fail(Errc::invalid, quoted(words[0]) + " is no time at all; write 00:00-24:00 for the "
                                                  "whole day");
  row.from_minute = *from;
  row.to_minute = *to;
  LT_TRY(row.limit, parse_rate_limit(words[1]));
  table.rows.push_back(row);
  return {};
}

bool is_dataset_name(std::string_view text) {
  if (text.empty() || text.size() > dataset_length_max) return false;
  for (const std::string_view part : split(text, '/')) {
    if (part.empty() || part == "." || part == ".." || part.front() == '-' ||
        part.front() == ' ' || part.back() == ' ')
      return false;
    for (const char c : part) {
      const bool is_word = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                           (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.' ||
                           c == ':' || c == ' ';
      if (!is_word) return false;
    }
  }
  const char first = text.front();
  return (first >= 'a' && first <= 'z') || (first >= 'A' && first <= 'Z');  // a pool's name
}

bool is_within(std::string_view dataset, std::string_view top) {
  return dataset == top || (dataset.size() > top.size() && dataset.starts_with(top) &&
                            dataset[top.size()] == '/');
}

}  // namespace lt::configs
