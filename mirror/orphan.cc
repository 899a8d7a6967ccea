#include "mirror/orphan.h"

#include <dirent.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>

#include "base/defer.h"
#include "base/fd.h"
#include "base/text.h"
#include "mirror/meter.h"

namespace lt::mirror {

namespace {

std::vector<std::string_view> words_of(std::string_view command_line) {
  auto words = split(command_line, '\0');
  if (!words.empty() && words.back().empty()) words.pop_back();
  return words;
}

/// The first word that is `zfs` by its file's name: an interpreter may stand before it.
std::size_t zfs_at(const std::vector<std::string_view>& words) {
  for (std::size_t i = 0; i < words.size() && i < 2; ++i) {
    if (words[i] == "zfs" || words[i].ends_with("/zfs")) return i;
  }
  return words.size();
}

std::vector<std::string> numbered_folders(const std::string& path) {
  std::vector<std::string> names;
  DIR* folder = ::opendir(path.c_str());
  if (folder == nullptr) return names;
  LT_DEFER(::closedir(folder));
  while (const dirent* entry = ::readdir(folder)) {
    if (parse_u64(entry->d_name)) names.emplace_back(entry->d_name);
  }
  return names;
}

std::string link_of(const std::string& path) {
  std::array<char, 256> text{};
  const auto size = ::readlink(path.c_str(), text.data(), text.size());
  return size > 0 ? std::string(text.data(), static_cast<std::size_t>(size)) : std::string();
}

/// Whether a process holds the writing end of `pipe` ("pipe:[12345]").
bool has_writer(const std::string& pipe, const std::string& reader) {
  for (const std::string& pid : numbered_folders("/proc")) {
    const std::string folder = "/proc/" + pid + "/fd";
    for (const std::string& fd : numbered_folders(folder)) {
      if (link_of(folder + "/" + fd) != pipe || (pid == reader && fd == "0")) continue;
      const auto info = read_file("/proc/" + pid + "/fdinfo/" + fd, 4096);
      // flags: octal, its last digit 0 for an end that only reads.
      const auto flags = info ? info->find("flags:") : std::string::npos;
      if (flags == std::string::npos) continue;
      const auto line = info->substr(flags, info->find('\n', flags) - flags);
      if (!line.empty() && line.back() != '0' && line.back() != '4') return true;
    }
  }
  return false;
}

/// Whether a run of ours started it, and that run's Syncoid, which led its session, is gone.
bool has_lost_its_run(const std::string& pid) {
  const auto environment = read_file("/proc/" + pid + "/environ", 1 << 20);
  if (!environment || environment->find(std::string(meter_variable) + "=") == std::string::npos)
    return false;
  const pid_t session = ::getsid(static_cast<pid_t>(*parse_u64(pid)));
  return session > 0 && ::kill(session, 0) != 0;
}

}  // namespace

bool is_zfs_stream(std::string_view command_line) {
  const auto words = words_of(command_line);
  const std::size_t zfs = zfs_at(words);
  return zfs + 1 < words.size() && (words[zfs + 1] == "send" || words[zfs + 1] == "receive" ||
                                    words[zfs + 1] == "recv");
}

bool is_receive_into(std::string_view command_line, std::string_view dataset) {
  const auto words = words_of(command_line);
  const std::size_t zfs = zfs_at(words);
  return zfs + 2 < words.size() && (words[zfs + 1] == "receive" || words[zfs + 1] == "recv") &&
         words.back() == dataset;
}

std::vector<int> find_orphan_receives(std::string_view dataset) {
  std::vector<int> orphans;
  for (const std::string& pid : numbered_folders("/proc")) {
    const auto line = read_file("/proc/" + pid + "/cmdline", 64 << 10);
    if (!line || !is_receive_into(*line, dataset)) continue;
    const std::string input = link_of("/proc/" + pid + "/fd/0");
    const bool has_no_writer = input.starts_with("pipe:") && !has_writer(input, pid);
    if (has_no_writer || has_lost_its_run(pid))
      orphans.push_back(static_cast<int>(*parse_u64(pid)));
  }
  return orphans;
}

unsigned end_orphan_receives(std::string_view dataset) {
  unsigned ended = 0;
  for (const int pid : find_orphan_receives(dataset)) {
    if (::kill(pid, SIGTERM) == 0) ++ended;
  }
  return ended;
}

}  // namespace lt::mirror
