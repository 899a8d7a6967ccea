// MirrorConfig: what a site's mirror lives by: `[mirror]` with its `[[mirror.receive]]`,
// `[[mirror.job]]`, `[[mirror.scrub]]`, `[mirror.verify]` and `[mirror.drill]` sections, in SITE.toml or in a file of their own.
//
// Nothing is applied partly: either a config that can be used, or every fault of the file at once,
// as "FILE:LINE:COLUMN: what is wrong; what to write instead". The link's own sections of the same
// file are left to toml_reader.h, and the link's reader leaves these to this one.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ip.h"
#include "base/result.h"
#include "base/units.h"
#include "configs/calendar.h"

namespace lt::configs {

inline constexpr std::uint16_t mirror_port_default = 5197;
inline constexpr std::size_t mirror_jobs_max = 1000;

/// A dataset at this site, or at the other one ("peer:backup/office").
struct DatasetPlace {
  bool is_peer{false};
  std::string dataset;

  [[nodiscard]] std::string text() const { return (is_peer ? "peer:" : "") + dataset; }
  friend bool operator==(const DatasetPlace&, const DatasetPlace&) = default;
};

/// How fast a mirror may go. No rate: as fast as the line gives; a rate of 0: not at all.
struct RateLimit {
  std::optional<BitsPerSecond> rate;

  [[nodiscard]] bool is_pause() const { return rate && rate->value == 0; }
  friend bool operator==(const RateLimit&, const RateLimit&) = default;
};

/// One row of a day/night table: "Mon..Fri 08:00-18:00 20Mbit/s". Rows that end before they begin
/// run over midnight, and belong to the day on which they begin.
struct LimitRow {
  std::uint8_t weekdays{0x7f};  // bit 0 is Monday
  int from_minute{0};           // of the day, 0 to 1439
  int to_minute{0};             // of the day, 1 to 1440, not part of the row
  RateLimit limit;

  friend bool operator==(const LimitRow&, const LimitRow&) = default;
};

/// The first row that holds the time counts; outside all rows it is `otherwise`.
struct LimitTable {
  std::vector<LimitRow> rows;
  RateLimit otherwise;

  [[nodiscard]] RateLimit at(const LocalTime& time) const;
  friend bool operator==(const LimitTable&, const LimitTable&) = default;
};

/// Programs that are told what happened: argument vectors, never shell text. Each is called with
/// the event in its environment (LINKTUNE_EVENT, LINKTUNE_JOB, LINKTUNE_DATASET, LINKTUNE_TEXT).
struct MirrorHooks {
  std::vector<std::string> on_done;    // a job has ended well
  std::vector<std::string> on_failed;  // a job has failed after its retries
  std::vector<std::string> on_stale;   // a dataset is older than `stale_after`
  std::vector<std::string> on_stalled; // a transfer stands still; once for each stall

  friend bool operator==(const MirrorHooks&, const MirrorHooks&) = default;
};

struct MirrorJob {
  std::string name;
  DatasetPlace source;
  DatasetPlace target;
  bool recursive{true};
  std::vector<std::string> exclude;  // datasets below the source that are left out, whole names
  std::optional<Calendar> schedule;  // nothing: runs only when asked for
  int priority{0};                   // the higher one goes first

  // A dataset is mirrored when at least this much was written to it since its last mirrored
  // snapshot. With atime=on, reading writes a little; `unchanged_max` bounds how long that is
  // ignored. Datasets with atime=off are mirrored when anything was written.
  Bytes written_threshold{64_KiB};
  Seconds unchanged_max{std::chrono::hours(24)};
  bool carry_empty_snapshots{false};  // send snapshots that hold nothing new, too

  LimitTable limits;
  bool yields{true};                  // gives way to other traffic on the line
  std::optional<int> finish_by;       // minute of the day by which a run has to be done: forecasts
  Seconds stale_after{std::chrono::hours(3)};

  unsigned retries{5};                // further attempts after the first
  Seconds retry_wait{10};             // before the first further attempt; doubles each time
  Seconds retry_wait_max{std::chrono::minutes(10)};

  bool rollback{false};               // let receive roll back what was changed at the target
  bool sync_snapshot{true};           // Syncoid makes a snapshot; off: the newest one is carried
  std::string compress{"none"};       // Syncoid's --compress; the link does not compress
  std::string identifier;             // Syncoid's --identifier, for several jobs of one source
  std::string send_options;           // Syncoid's --sendoptions, such as "w" for raw
  MirrorHooks hooks;                  // empty ones: those of [mirror]

  friend bool operator==(const MirrorJob&, const MirrorJob&) = default;
};

/// A tree of datasets that the other site may write into.
struct MirrorReceive {
  std::string dataset;      // itself and everything below it
  bool append_only{true};   // no destroy, no rollback beyond the newest snapshot

  friend bool operator==(const MirrorReceive&, const MirrorReceive&) = default;
};

/// A pool of this site that is scrubbed on schedule; its result is kept. The other site's config
/// holds those of its own.
struct MirrorScrub {
  DatasetPlace pool;
  Calendar schedule;
  Seconds stale_after{std::chrono::hours(24 * 14)};  // without a good result this is an alert

  friend bool operator==(const MirrorScrub&, const MirrorScrub&) = default;
};

/// When copies are compared with their sources without being asked for; at the site that runs the jobs.
struct MirrorVerify {
  Calendar schedule;
  Bytes budget{};  // of each dataset's contents; the next one goes on there. 0: all of it
  Seconds stale_after{std::chrono::hours(24 * 35)};  // without a good result this is an alert

  friend bool operator==(const MirrorVerify&, const MirrorVerify&) = default;
};

/// When restores are practised; at the site whose datasets are mirrored.
struct MirrorDrill {
  Calendar schedule;
  unsigned files{20};  // drawn at random from each dataset
  bool whole{false};   // whole datasets instead, below `scratch`
  Seconds stale_after{std::chrono::hours(24 * 100)};

  friend bool operator==(const MirrorDrill&, const MirrorDrill&) = default;
};

struct MirrorConfig {
  // The agent. Addresses are those of the tunnel; without them: the own tunnel address, and the
  // other host of its network where that is a pair (/30, /31, /126, /127).
  std::optional<IpAddress> agent_address;
  std::optional<IpAddress> peer_address;
  std::uint16_t agent_port{mirror_port_default};
  Seconds session_hold{std::chrono::minutes(10)};  // a pipe outlives the link for so long
  Bytes window{64_MiB};                            // bytes kept until the other side has them

  std::vector<MirrorReceive> receive;  // what the peer may write into
  std::vector<std::string> read;       // what the peer may read: verify, restore, pulling jobs
  std::optional<std::string> scratch;  // a dataset for restore drills, made and destroyed below it

  std::string syncoid{"syncoid"};                   // the program: a name on PATH, or a path
  std::string state_folder{"/var/lib/linktune/mirror"};
  std::optional<std::string> metrics_path;          // a text file for Prometheus' node exporter
  Milliseconds yield_delay{5};                      // most delay added to others on the line
  MirrorHooks hooks;

  std::vector<MirrorJob> jobs;
  std::vector<MirrorScrub> scrubs;
  std::optional<MirrorVerify> verify;
  std::optional<MirrorDrill> drill;

  [[nodiscard]] const MirrorJob* find_job(std::string_view name) const;
  /// The hooks of `job`, those of [mirror] where it has none.
  [[nodiscard]] MirrorHooks hooks_of(const MirrorJob& job) const;

  friend bool operator==(const MirrorConfig&, const MirrorConfig&) = default;
};

/// Reads the mirror's sections of `path`: a site's config or a file of its own. A file without any
/// is a config without jobs.
/// @error invalid: the faults, one a line · not_found, not_permitted: the file · limit: too large
[[nodiscard]] Result<MirrorConfig> load_mirror_config(const std::string& path);

/// As above for a text at hand; `path` names it in messages and is the base of its relative paths.
/// @error invalid
[[nodiscard]] Result<MirrorConfig> parse_mirror_config(std::string_view text,
                                                       const std::string& path);

/// The other end of the tunnel: `peer_address` where it is set, else the other host of a network of
/// two. @error invalid: says that `[mirror] peer_address` is needed
[[nodiscard]] Result<IpAddress> mirror_peer_address(const MirrorConfig& mirror,
                                                    const std::vector<Prefix>& tunnel_addresses);

/// A rate such as "20Mbit/s", "120MB/s", "1.5Gbit/s", "unlimited" or "pause". @error invalid
[[nodiscard]] Result<RateLimit> parse_rate_limit(std::string_view text);
[[nodiscard]] std::string rate_limit_text(const RateLimit& limit);

/// A row of a limit table; `otherwise RATE` is the one without times. @error invalid
[[nodiscard]] Status add_limit_row(LimitTable& table, std::string_view text);

/// Whether `text` is a dataset's whole name ("tank/data"), not a snapshot's or bookmark's: letters,
/// digits and -_.: between slashes, as ZFS takes them, and none of it looks like an option.
[[nodiscard]] bool is_dataset_name(std::string_view text);
/// Whether `dataset` is `top` or lies below it.
[[nodiscard]] bool is_within(std::string_view dataset, std::string_view top);

}  // namespace lt::configs
