#include "tests/mirror/scripted_zfs.h"

#include <filesystem>

#include "base/fd.h"
#include "tests/mirror/scripted_store.h"

namespace lt::mirror::testing {

namespace fs = std::filesystem;

namespace {

const char* name_of(Fault::Act act) {
  switch (act) {
    case Fault::Act::fail: return "fail";
    case Fault::Act::stall: return "stall";
    case Fault::Act::slow: return "slow";
    case Fault::Act::die: return "die";
    case Fault::Act::corrupt: return "corrupt";
    case Fault::Act::report: return "report";
  }
  return "";
}

}  // namespace

Result<ScriptedZfs> ScriptedZfs::create(const std::string& program, const std::string& folder) {
  std::error_code error;
  fs::create_directories(folder + "/bin", error);
  for (const char* name : {"zfs", "zpool"}) {
    // A file of its own, not a symbolic link: the program finds its site by where it lies.
    const fs::path link = fs::path(folder) / "bin" / name;
    fs::create_hard_link(program, link, error);
    if (error) fs::copy_file(program, link, fs::copy_options::overwrite_existing, error);
    if (error) return fail(Errc::io, "cannot make " + link.string() + ": " + error.message());
  }
  return ScriptedZfs(folder);
}

std::string ScriptedZfs::path(const std::string& before) const {
  return bin() + (before.empty() ? "" : ":" + before) + ":/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
}

Argv ScriptedZfs::exec(const Argv& argv) const {
  Argv inside{"env", "PATH=" + path()};
  inside.insert(inside.end(), argv.begin(), argv.end());
  return inside;
}

Result<std::string> ScriptedZfs::zfs(const Argv& arguments) const {
  Argv argv{bin() + "/zfs"};
  argv.insert(argv.end(), arguments.begin(), arguments.end());
  return run_checked(argv);
}

Result<std::string> ScriptedZfs::zpool(const Argv& arguments) const {
  Argv argv{bin() + "/zpool"};
  argv.insert(argv.end(), arguments.begin(), arguments.end());
  return run_checked(argv);
}

Status ScriptedZfs::create_pool(const std::string& pool, std::uint64_t bytes) const {
  LT_TRY(const std::string ignored, zpool({"create", "-o", "size=" + std::to_string(bytes), pool, "scripted"}));
  return {};
}

std::string ScriptedZfs::mount_of(const std::string& dataset) const { return Store(folder_).mount_of(dataset); }

Status ScriptedZfs::add_fault(const Fault& fault) const {
  const Fd held = Store(folder_).lock();
  const std::string path = folder_ + "/faults.json";
  Json faults = Json::array();
  if (const auto text = read_file(path, 1 << 20)) {
    LT_TRY(faults, parse_json(*text, path));
  }
  faults.push_back({{"command", fault.command}, {"dataset", fault.dataset}, {"act", name_of(fault.act)},
                    {"after_bytes", fault.after_bytes}, {"bytes_per_second", fault.bytes_per_second},
                    {"exit_code", fault.exit_code}, {"message", fault.message}, {"times", fault.times}});
  return write_file(path, to_line(faults), 0600);
}

Status ScriptedZfs::clear_faults() const {
  const Fd held = Store(folder_).lock();
  return write_file(folder_ + "/faults.json", "[]", 0600);
}

Result<std::string> ScriptedZfs::history() const {
  const std::string path = folder_ + "/history";
  if (!fs::exists(path)) return std::string();
  return read_file(path, 64 << 20);
}

}  // namespace lt::mirror::testing
