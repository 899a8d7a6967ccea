#include "tests/tidy/layers.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>

namespace lt::tidy {

namespace {

using Names = std::set<std::string_view>;

// Floors: base < {channel, crypto, configs} < {tunnel, tuner, mirror, lab} < app. Siblings never meet.
const std::map<std::string_view, Names>& may_use() {
  static const std::map<std::string_view, Names> table{
      {"base", {}},
      {"channel", {"base"}},
      {"crypto", {"base"}},
      {"configs", {"base"}},
      {"tunnel", {"crypto", "configs", "base"}},
      {"tuner", {"configs", "base"}},
      {"mirror", {"channel", "configs", "base"}},
      {"lab", {"configs", "base"}},
      {"app", {"tunnel", "tuner", "mirror", "lab", "channel", "crypto", "configs", "base"}},
  };
  return table;
}

struct Door {
  std::string_view header;                  // the beginning of the header's name
  std::vector<std::string_view> opened_by;  // who may include it
};

const std::vector<Door>& doors() {
  static const std::vector<Door> table{
      {"tl/", {"base/result.h"}},
      {"spdlog/", {"base/log.cc"}},
      {"fmt/", {"base/format.h", "base/log.cc"}},
      {"nlohmann/", {"base/json.h", "base/json.cc"}},
      {"openssl/", {"crypto/*"}},
      {"intel-ipsec-mb.h", {"crypto/*"}},
      {"toml++/", {"configs/toml_*"}},
      {"toml.hpp", {"configs/toml_*"}},
      {"liburing.h", {"tunnel/uring*"}},
      {"netlink/", {"tunnel/netlink*"}},
      {"boost/math/", {"tuner/distributions.cc"}},
      {"boost/asio", {"tuner/probe*", "app/control*"}},
      {"boost/system", {"tuner/probe*", "app/control*"}},
      {"boost/beast", {"app/http*"}},
      {"sqlite3.h", {"tuner/history.cc", "mirror/ledger.cc"}},
      {"CLI/", {"app/cli*"}},
      {"systemd/", {"app/notify*"}},
      {"cap-ng.h", {"app/privileges*"}},
      {"seccomp.h", {"app/privileges*"}},
      {"nftables/", {"app/firewall*"}},
  };
  return table;
}

// Headers of the C library and the kernel: everybody may use them, but for the exceptions below.
bool is_system(std::string_view header) {
  for (const std::string_view folder :
       {"sys/", "linux/", "net/", "netinet/", "netpacket/", "arpa/", "asm/"}) {
    if (header.starts_with(folder)) return true;
  }
  static const Names known{"dirent.h",  "dlfcn.h",  "endian.h",  "errno.h",    "fcntl.h",
                           "fnmatch.h", "getopt.h", "grp.h",     "glob.h",     "ifaddrs.h",
                           "limits.h",  "locale.h", "netdb.h",    "nss.h",
                             "poll.h",     "pthread.h",
                           "pwd.h",     "sched.h",  "signal.h",  "spawn.h",    "stdio.h",
                           "stdlib.h",  "string.h", "strings.h", "syslog.h",   "termios.h",
                           "time.h",    "unistd.h", "cpuid.h",   "immintrin.h"};
  return known.contains(header);
}

bool is_standard(std::string_view header) {
  return !header.empty() && std::all_of(header.begin(), header.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
  });
}

struct Ban {
  std::string_view who;     // whose files
  std::string_view header;  // shell-style
  std::string_view why;
};

const std::vector<Ban>& bans() {
  static const std::vector<Ban> table{
      {"crypto/*", "sys/socket.h", "crypto takes bytes and gives bytes: it knows no sockets"},
      {"crypto/*", "netinet/*", "crypto takes bytes and gives bytes: it knows no sockets"},
      {"crypto/*", "chrono", "crypto knows no clock: hand the time in"},
      {"crypto/*", "base/clock.h", "crypto knows no clock: hand the time in"},
      {"tunnel/*", "base/json.h", "the data plane formats nothing: app shows what it returns"},
  };
  return table;
}

struct Include {
  std::size_t line;
  std::string_view header;
  bool is_quoted;
};

std::vector<Include> includes_of(std::string_view text) {
  std::vector<Include> found;
  const auto lines = lines_of(text);
  for (std::size_t i = 0; i < lines.size(); ++i) {
    std::string_view line = lines[i];
    line.remove_prefix(std::min(line.find_first_not_of(" \t"), line.size()));
    if (!line.starts_with('#')) continue;
    line.remove_prefix(1);
    line.remove_prefix(std::min(line.find_first_not_of(" \t"), line.size()));
    if (!line.starts_with("include")) continue;
    const std::size_t open = line.find_first_of("<\"");
    if (open == std::string_view::npos) continue;
    const bool is_quoted = line[open] == '"';
    const std::size_t close = line.find(is_quoted ? '"' : '>', open + 1);
    if (close == std::string_view::npos) continue;
    found.push_back({i + 1, line.substr(open + 1, close - open - 1), is_quoted});
  }
  return found;
}

std::string quoted(std::string_view text) {
  return "'" + std::string(text) + "'";
}

std::string joined(const auto& names) {
  std::string text;
  for (const std::string_view name : names)
    text += (text.empty() ? "" : ", ") + std::string(name);
  return text.empty() ? "nothing of ours" : text;
}

const Door* door_of(std::string_view header) {
  const auto found = std::find_if(doors().begin(), doors().end(), [&](const Door& door) {
    return header.starts_with(door.header);
  });
  return found == doors().end() ? nullptr : &*found;
}

std::optional<std::string> fault_of_own(std::string_view path, std::string_view header,
                                        const Names& known) {
  const std::string_view folder = folder_of(path);
  const std::string_view target = folder_of(header);
  if (!may_use().contains(target))
    return quoted(header) + " is not written from the root, as in \"base/result.h\"";
  const Names& allowed = may_use().at(folder);
  if (target != folder && !allowed.contains(target)) {
    return std::string(folder) + " may not include " + std::string(target) + " (" + quoted(header) +
           "); it may use " + joined(allowed);
  }
  if (!known.contains(header)) return quoted(header) + " does not exist";
  return std::nullopt;
}

std::optional<std::string> fault_of_library(std::string_view path, std::string_view header) {
  if (is_standard(header) || is_system(header)) return std::nullopt;
  const Door* const door = door_of(header);
  if (door == nullptr) {
    return quoted(header) +
           " has no door: a new library needs a row in tests/tidy/layers.cc and in "
           "docs/ARCHITECTURE.md";
  }
  const bool is_open =
      std::any_of(door->opened_by.begin(), door->opened_by.end(),
                  [&](std::string_view pattern) { return matches(path, pattern); });
  if (is_open) return std::nullopt;
  return quoted(header) + " outside its door: only " + joined(door->opened_by) + " may include it";
}

}  // namespace

std::vector<Finding> check_layers(std::span<const SourceFile> files) {
  Names known;
  for (const SourceFile& file : files)
    known.insert(file.path);
  std::vector<Finding> findings;
  for (const SourceFile& file : files) {
    if (!is_program_code(file.path)) continue;
    for (const Include& include : includes_of(file.text)) {
      const auto fault = include.is_quoted ? fault_of_own(file.path, include.header, known)
                                           : fault_of_library(file.path, include.header);
      if (fault) findings.push_back({file.path, include.line, *fault});
      for (const Ban& ban : bans()) {
        if (matches(file.path, ban.who) && matches(include.header, ban.header)) {
          findings.push_back(
              {file.path, include.line, quoted(include.header) + ": " + std::string(ban.why)});
        }
      }
    }
  }
  return findings;
}

std::vector<Finding> check_cmake_uses(std::span<const SourceFile> files) {
  constexpr std::string_view prefix = "linktune::";
  std::vector<Finding> findings;
  for (const SourceFile& file : files) {
    const std::string_view folder = folder_of(file.path);
    if (!may_use().contains(folder) || file.path != std::string(folder) + "/CMakeLists.txt")
      continue;
    const auto lines = lines_of(file.text);
    for (std::size_t i = 0; i < lines.size(); ++i) {
      const std::string_view line = lines[i].substr(0, lines[i].find('#'));
      for (std::size_t at = line.find(prefix); at != std::string_view::npos;
           at = line.find(prefix, at + 1)) {
        const std::string_view rest = line.substr(at + prefix.size());
        const std::string_view target = rest.substr(0, rest.find_first_of(" )\t\r"));
        if (target != folder && !may_use().at(folder).contains(target)) {
          findings.push_back(
              {file.path, i + 1, std::string(folder) + " may not use " + std::string(target)});
        }
      }
    }
  }
  return findings;
}

}  // namespace lt::tidy
