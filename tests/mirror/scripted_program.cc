// The program behind ScriptedZfs: `zfs` and `zpool` as OpenZFS 2.x answers, as far as linktune, Syncoid and
// Sanoid ask. Options and sentences: zfs(8), zpool(8) of OpenZFS 2.1; what it does not know it refuses.
#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <ctime>
#include <functional>
#include <map>
#include <set>
#include <thread>

#include "base/fd.h"
#include "base/text.h"
#include "tests/mirror/scripted_stream.h"

namespace lt::mirror::testing {

namespace {

namespace fs = std::filesystem;
using Words = std::vector<std::string>;

[[noreturn]] void refuse(const std::string& text, int exit_code = 1) { throw Refusal{exit_code, text}; }

void say(const std::string& text) { std::fwrite(text.data(), 1, text.size(), stdout); }

std::string number(std::uint64_t value) { return std::to_string(value); }

// 1536 -> "1.50K", as zfs_nicenum.
std::string nice(std::uint64_t value) {
  constexpr std::string_view units = "BKMGTPE";
  double amount = static_cast<double>(value);
  std::size_t unit = 0;
  while (amount >= 1024 && unit + 1 < units.size()) {
    amount /= 1024;
    ++unit;
  }
  std::array<char, 32> text;
  std::snprintf(text.data(), text.size(), unit == 0 ? "%.0f%c" : (amount < 10 ? "%.2f%c" : (amount < 100 ? "%.1f%c" : "%.0f%c")), amount, units[unit]);
  return text.data();
}

std::string date_text(std::int64_t seconds) {
  const std::time_t time = seconds;
  std::tm parts{};
  ::gmtime_r(&time, &parts);
  std::array<char, 64> text;
  std::strftime(text.data(), text.size(), "%a %b %e %H:%M %Y", &parts);
  return text.data();
}

// --- arguments: single letters, some with a value; "-Hpd 1" is H, p, d=1 ---

struct Arguments {
  std::map<char, Words> options;
  Words rest;
  [[nodiscard]] bool has(char letter) const { return options.contains(letter); }
  [[nodiscard]] std::string value(char letter, const std::string& otherwise = {}) const {
    return has(letter) ? options.at(letter).back() : otherwise;
  }
};

Arguments parse(const Words& words, std::string_view flags, std::string_view valued) {
  Arguments arguments;
  for (std::size_t i = 0; i < words.size(); ++i) {
    // As getopt of glibc: options may stand behind operands, where Syncoid 2.2 puts them.
    if (words[i].size() < 2 || words[i][0] != '-') {
      arguments.rest.push_back(words[i]);
      continue;
    }
    for (std::size_t at = 1; at < words[i].size(); ++at) {
      const char letter = words[i][at];
      if (flags.find(letter) != flags.npos) {
        arguments.options[letter].emplace_back();
      } else if (valued.find(letter) != valued.npos) {
        if (at + 1 < words[i].size()) {
          arguments.options[letter].push_back(words[i].substr(at + 1));
        } else if (i + 1 < words.size()) {
          arguments.options[letter].push_back(words[++i]);
        } else {
          refuse("missing argument for '" + std::string(1, letter) + "' option", 2);
        }
        break;
      } else {
        refuse("invalid option '" + std::string(1, letter) + "'", 2);
      }
    }
  }
  return arguments;
}

struct Named {
  std::string dataset;
  char mark{0};  // '@', '#' or none
  std::string name;
};

Named named(const std::string& text) {
  const auto at = text.find_first_of("@#");
  if (at == text.npos) return {text, 0, {}};
  return {text.substr(0, at), text[at], text.substr(at + 1)};
}

std::string parent_of(const std::string& dataset) {
  const auto slash = dataset.rfind('/');
  return slash == dataset.npos ? std::string() : dataset.substr(0, slash);
}

std::string pool_of(const std::string& dataset) { return dataset.substr(0, dataset.find_first_of("/@#")); }

// --- what is to go wrong ---

class Faults {
 public:
  Faults(const Store& store, std::string command) : store_(store), command_(std::move(command)) {}

  // At byte `at` of a stream, or before anything when `at` is 0; `bytes` are about to flow.
  void strike(const std::string& dataset, std::uint64_t at, std::string* bytes = nullptr) {
    const std::size_t count = bytes == nullptr ? 0 : bytes->size();
    for (std::size_t i = 0;; ++i) {
      Json faults = load();
      if (i >= faults.size()) return;
      const Json fault = faults[i];
      const std::uint64_t after = fault["after_bytes"].get<std::uint64_t>();
      if (fault["command"] != command_ || (fault["dataset"] != "*" && fault["dataset"] != dataset)) continue;
      const std::string act = fault["act"];
      if (act == "report") continue;
      if (act == "slow") {
        if (count > 0) pace(count, fault["bytes_per_second"].get<std::uint64_t>());
        continue;
      }
      if (struck_.contains(i) || at + count < after || (after > 0 && count == 0) || !use(i)) continue;
      struck_.insert(i);
      const std::string message = fault["message"];
      if (act == "fail") refuse(message, fault["exit_code"].get<int>());
      if (act == "die") ::raise(SIGKILL);
      if (act == "corrupt" && bytes != nullptr) {
        char& byte = (*bytes)[std::min<std::size_t>(count - 1, after > at ? after - at : 0)];
        byte = static_cast<char>(byte ^ 0x10);
      }
      if (act == "stall") {
        while (load().size() > i) std::this_thread::sleep_for(std::chrono::milliseconds(10));
      }
    }
  }

  [[nodiscard]] std::optional<std::string> reported(const std::string& dataset, const std::string& property) const {
    for (const Json& fault : load()) {
      const std::string message = fault["message"];
      if (fault["act"] == "report" && (fault["dataset"] == "*" || fault["dataset"] == dataset) && message.starts_with(property + "=")) {
        return message.substr(property.size() + 1);
      }
    }
    return std::nullopt;
  }

 private:
  [[nodiscard]] Json load() const {
    const auto text = read_file((store_.root() / "faults.json").string(), 1 << 20);
    if (!text) return Json::array();
    auto faults = parse_json(*text, "faults.json");
    return faults ? std::move(*faults) : Json::array();
  }
  bool use(std::size_t i) const {
    const Fd held = store_.lock();
    Json faults = load();
    if (i >= faults.size() || faults[i]["times"].get<unsigned>() == 0) return false;
    faults[i]["times"] = faults[i]["times"].get<unsigned>() - 1;
    (void)write_file((store_.root() / "faults.json").string(), to_line(faults), 0600);
    return true;
  }
  static void pace(std::size_t count, std::uint64_t bytes_per_second) {
    std::this_thread::sleep_for(std::chrono::microseconds(count * 1'000'000 / std::max<std::uint64_t>(1, bytes_per_second)));
  }

  const Store& store_;
  std::string command_;
  std::set<std::size_t> struck_;
};

// --- properties ---

struct Value {
  std::string text;
  std::string source{"-"};
};

const std::map<std::string, std::string>& defaults() {
  static const std::map<std::string, std::string> table{
      {"readonly", "off"}, {"compression", "off"}, {"recordsize", "131072"}, {"atime", "on"}, {"relatime", "off"},
      {"canmount", "on"}, {"snapdir", "hidden"}, {"quota", "0"}, {"reservation", "0"}, {"refquota", "0"}, {"copies", "1"},
      {"sync", "standard"}, {"xattr", "on"}, {"exec", "on"}, {"setuid", "on"}, {"devices", "on"}, {"checksum", "on"},
      {"encryption", "off"}, {"keystatus", "-"}, {"dedup", "off"}};
  return table;
}

bool is_native_number(const std::string& property) {
  static const std::set<std::string> names{"used", "available", "avail", "referenced", "refer", "usedbysnapshots", "usedbydataset",
                                           "usedbychildren", "volsize", "logicalused", "logicalreferenced", "recordsize"};
  return names.contains(property) || property == "written" || property.starts_with("written@");
}

bool is_known(const std::string& property) {
  static const std::set<std::string> names{"name", "type", "guid", "createtxg", "creation", "mounted", "mountpoint", "origin",
                                           "receive_resume_token", "userrefs", "defer_destroy", "clones", "objsetid", "compressratio",
                                           "snapshot_count", "redact_snaps", "encryptionroot"};
  return names.contains(property) || defaults().contains(property) || is_native_number(property) || property.find(':') != property.npos;
}

class Datasets {
 public:
  Datasets(const Store& store, const Faults& faults) : store_(store), faults_(faults) {}

  [[nodiscard]] Value get(const std::string& full, const std::string& property) const {
    const Named which = named(full);
    Json dataset = store_.load(which.dataset);
    if (const auto told = faults_.reported(full, property)) return {*told};
    if (property == "name") return {full};
    if (which.mark == '@') return of_snapshot(dataset, which, property);
    if (which.mark == '#') return of_bookmark(dataset, which, property);
    return of_dataset(dataset, property);
  }

  [[nodiscard]] std::uint64_t pool_free(const std::string& pool) const {
    const Json pools = store_.pools();
    const std::uint64_t size = pools.contains(pool) ? pools[pool]["size"].get<std::uint64_t>() : 0;
    const std::uint64_t used = used_below(pool);
    return size > used ? size - used : 0;
  }
  [[nodiscard]] std::uint64_t used_below(const std::string& dataset) const {
    std::uint64_t bytes = 0;
    for (const std::string& name : store_.datasets_below(dataset, std::nullopt)) {
      bytes += Store::bytes_in(store_.mount_of(name)) + snapshots_bytes(store_.load(name));
    }
    return bytes;
  }

  // The token of an unfinished receive; nothing while one is still running.
  [[nodiscard]] std::optional<std::string> token(const Json& dataset) const {
    if (!dataset["partial"].is_object()) return std::nullopt;
    const fs::path spool = store_.spool_of(dataset["name"]);
    const Fd fd(::open(spool.c_str(), O_RDONLY | O_CLOEXEC));
    if (!fd.is_open() || ::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) return std::nullopt;
    Json content = dataset["partial"];
    content["offset"] = fs::file_size(spool);
    return token_of(content);
  }

 private:
  // What snapshots alone hold: each one's difference from the next.
  [[nodiscard]] std::uint64_t snapshots_bytes(const Json& dataset) const {
    std::uint64_t bytes = 0;
    const auto& list = dataset["snapshots"];
    const std::string own = dataset["name"];
    for (std::size_t i = 0; i < list.size(); ++i) {
      const fs::path next = i + 1 < list.size() ? store_.snapshot_folder(own, list[i + 1]["name"]) : store_.mount_of(own);
      bytes += Store::bytes_changed(next, store_.snapshot_folder(own, list[i]["name"]));
    }
    return bytes;
  }

  [[nodiscard]] Value inherited(const std::string& dataset, const std::string& property, bool is_own) const {
    const Json record = store_.load(dataset);
    const auto source = [&](const char* own) { return is_own ? std::string(own) : "inherited from " + dataset; };
    if (record["properties"].contains(property)) return {record["properties"][property].get<std::string>(), source("local")};
    if (record["received"].contains(property)) return {record["received"][property].get<std::string>(), source("received")};
    const std::string parent = parent_of(dataset);
    if (!parent.empty() && property != "canmount" && !property.ends_with("quota") && !property.ends_with("reservation")) {
      return inherited(parent, property, false);
    }
    if (defaults().contains(property)) return {defaults().at(property), "default"};
    return {"-", "-"};
  }

  [[nodiscard]] std::uint64_t written(const Json& dataset, const std::string& since) const {
    const std::string own = dataset["name"];
    if (since.empty()) return Store::bytes_in(store_.mount_of(own));
    return Store::bytes_changed(store_.snapshot_folder(own, since), store_.mount_of(own));
  }

  [[nodiscard]] Value of_dataset(Json& dataset, const std::string& property) const {
    const std::string own = dataset["name"];
    if (property == "type" || property == "origin") return {dataset[property].get<std::string>()};
    if (property == "guid" || property == "createtxg") return {number(dataset[property].get<std::uint64_t>())};
    if (property == "creation") return {number(dataset[property].get<std::uint64_t>())};
    if (property == "used") return {number(used_below(own))};
    if (property == "available" || property == "avail") return {number(pool_free(pool_of(own)))};
    if (property == "referenced" || property == "refer" || property == "usedbydataset" || property.starts_with("logical")) {
      return {number(Store::bytes_in(store_.mount_of(own)))};
    }
    if (property == "usedbysnapshots") return {number(snapshots_bytes(dataset))};
    if (property == "usedbychildren") return {"0"};
    if (property == "written") {
      const auto& list = dataset["snapshots"];
      return {number(written(dataset, list.empty() ? "" : list.back()["name"].get<std::string>()))};
    }
    if (property.starts_with("written@")) {
      const std::string since = property.substr(8);
      if (find_named(dataset["snapshots"], since) == nullptr) return {"-"};
      return {number(written(dataset, since))};
    }
    if (property == "mounted") return {"yes"};
    if (property == "compressratio") return {"1.00x"};
    if (property == "snapshot_count") return {number(dataset["snapshots"].size())};
    if (property == "mountpoint") {
      if (dataset["properties"].contains(property)) return {dataset["properties"][property].get<std::string>(), "local"};
      return {store_.mount_of(own).string(), "default"};
    }
    if (property == "receive_resume_token") return {token(dataset).value_or("-")};
    if (property == "volsize" && dataset["type"] != "volume") return {"-"};
    if (property == "userrefs" || property == "defer_destroy" || property == "clones" || property == "objsetid" ||
        property == "redact_snaps" || property == "encryptionroot") {
      return {"-"};
    }
    return inherited(own, property, true);
  }

  [[nodiscard]] Value of_snapshot(Json& dataset, const Named& which, const std::string& property) const {
    const Json* snapshot = find_named(dataset["snapshots"], which.name);
    if (snapshot == nullptr) refuse("cannot open '" + which.dataset + "@" + which.name + "': dataset does not exist");
    const fs::path folder = store_.snapshot_folder(which.dataset, which.name);
    if (property == "type") return {"snapshot"};
    if (property == "guid" || property == "createtxg" || property == "creation") return {number((*snapshot)[property].get<std::uint64_t>())};
    if (property == "referenced" || property == "refer") return {number(Store::bytes_in(folder))};
    if (property == "used") return {"0"};
    if (property == "written") {
      const auto& list = dataset["snapshots"];
      for (std::size_t i = 1; i < list.size(); ++i) {
        if (list[i]["name"] == which.name) {
          return {number(Store::bytes_changed(store_.snapshot_folder(which.dataset, list[i - 1]["name"]), folder))};
        }
      }
      return {number(Store::bytes_in(folder))};
    }
    if (property == "userrefs") return {number((*snapshot)["holds"].size())};
    if (property == "defer_destroy") return {"off"};
    if (property == "clones") return {""};
    if ((*snapshot)["properties"].contains(property)) return {(*snapshot)["properties"][property].get<std::string>(), "local"};
    if (property.find(':') != property.npos) {
      Value value = inherited(which.dataset, property, false);
      return value;
    }
    return {"-"};
  }

  [[nodiscard]] Value of_bookmark(Json& dataset, const Named& which, const std::string& property) const {
    const Json* bookmark = find_named(dataset["bookmarks"], which.name);
    if (bookmark == nullptr) refuse("cannot open '" + which.dataset + "#" + which.name + "': dataset does not exist");
    if (property == "type") return {"bookmark"};
    if (property == "guid" || property == "createtxg" || property == "creation") return {number((*bookmark)[property].get<std::uint64_t>())};
    return {"-"};
  }

  const Store& store_;
  const Faults& faults_;
};

// --- zfs: the commands ---

class Zfs {
 public:
  Zfs(const Store& store, const std::string& command) : store_(store), faults_(store, command), datasets_(store, faults_) {}

  int run(const std::string& command, const Words& words) {
    static const std::map<std::string, void (Zfs::*)(const Words&)> table{
        {"create", &Zfs::create}, {"destroy", &Zfs::destroy}, {"snapshot", &Zfs::snapshot}, {"rollback", &Zfs::rollback},
        {"clone", &Zfs::clone}, {"list", &Zfs::list}, {"get", &Zfs::get}, {"set", &Zfs::set}, {"inherit", &Zfs::inherit},
        {"send", &Zfs::send}, {"receive", &Zfs::receive}, {"bookmark", &Zfs::bookmark}, {"hold", &Zfs::hold},
        {"holds", &Zfs::holds}, {"release", &Zfs::release}, {"mount", &Zfs::nothing}, {"unmount", &Zfs::nothing},
        {"rename", &Zfs::rename}, {"version", &Zfs::version}};
    const auto found = table.find(command);
    if (found == table.end()) refuse("unrecognized command '" + command + "'", 2);
    (this->*found->second)(words);
    return exit_code_;
  }

 private:
  void version(const Words&) { say("zfs-2.1.11-1\nzfs-kmod-2.1.11-1\n"); }
  void nothing(const Words&) {}

  void create(const Words& words) {
    const Arguments a = parse(words, "pu", "oV");
    if (a.rest.size() != 1) refuse("missing filesystem argument", 2);
    const Fd held = store_.lock();
    faults_.strike(a.rest[0], 0);
    make(a.rest[0], a.has('p'), a);
  }
  void make(const std::string& dataset, bool with_parents, const Arguments& a) {
    if (store_.exists(dataset)) {
      if (with_parents) return;
      refuse("cannot create '" + dataset + "': dataset already exists");
    }
    const std::string parent = parent_of(dataset);
    if (parent.empty()) refuse("cannot create '" + dataset + "': missing dataset name");
    if (!store_.exists(parent)) {
      if (!with_parents) refuse("cannot create '" + dataset + "': parent does not exist");
      make(parent, true, {});
    }
    Json properties = Json::object();
    assign(properties, a);
    if (a.has('V')) properties["volsize"] = a.value('V');
    store_.create(dataset, a.has('V') ? "volume" : "filesystem", properties);
  }
  static void assign(Json& properties, const Arguments& a) {
    if (!a.has('o')) return;
    for (const std::string& word : a.options.at('o')) {
      const auto equals = word.find('=');
      if (equals == word.npos) refuse("missing '=' for property=value argument", 2);
      if (!is_known(word.substr(0, equals))) refuse("cannot set property: invalid property '" + word.substr(0, equals) + "'");
      properties[word.substr(0, equals)] = word.substr(equals + 1);
    }
  }

  void destroy(const Words& words) {
    const Arguments a = parse(words, "rRfdnvp", "");
    if (a.rest.size() != 1) refuse("missing dataset argument", 2);
    const Fd held = store_.lock();
    faults_.strike(a.rest[0], 0);
    const Named which = named(a.rest[0]);
    if (which.mark == '#') return destroy_bookmark(which);
    if (which.mark == '@') return destroy_snapshots(which, a);
    const Json dataset = store_.load(which.dataset);
    const auto below = store_.datasets_below(which.dataset, std::nullopt);
    const bool recursive = a.has('r') || a.has('R');
    if (!recursive && (below.size() > 1 || !dataset["snapshots"].empty())) {
      refuse("cannot destroy '" + which.dataset + "': filesystem has children\nuse '-r' to destroy the following datasets:\n" +
             (below.size() > 1 ? below[1] : which.dataset + "@" + dataset["snapshots"][0]["name"].get<std::string>()));
    }
    for (const std::string& name : below) {
      const Json record = store_.load(name);
      for (const Json& snapshot : record["snapshots"]) free_of_holds(name, snapshot);
      free_of_clones(name, {}, below, a.has('R'));
    }
    if (parent_of(which.dataset).empty()) refuse("cannot destroy '" + which.dataset + "': operation does not apply to pools");
    if (a.has('n')) return;
    for (auto name = below.rbegin(); name != below.rend(); ++name) store_.remove(*name);
  }
  static void free_of_holds(const std::string& dataset, const Json& snapshot) {
    if (!snapshot["holds"].empty()) {
      refuse("cannot destroy snapshot " + dataset + "@" + snapshot["name"].get<std::string>() + ": dataset is busy");
    }
  }
  void free_of_clones(const std::string& dataset, const std::string& snapshot, const Words& going, bool with_clones) const {
    for (const std::string& name : store_.all_datasets()) {
      const std::string origin = store_.load(name)["origin"];
      const bool depends = snapshot.empty() ? origin.starts_with(dataset + "@") : origin == dataset + "@" + snapshot;
      if (!depends || std::find(going.begin(), going.end(), name) != going.end()) continue;
      if (!with_clones) {
        refuse("cannot destroy '" + dataset + (snapshot.empty() ? "" : "@" + snapshot) +
               "': snapshot has dependent clones\nuse '-R' to destroy the following datasets:\n" + name);
      }
      store_.remove(name);
    }
  }
  void destroy_bookmark(const Named& which) {
    Json dataset = store_.load(which.dataset);
    auto& list = dataset["bookmarks"];
    for (std::size_t i = 0; i < list.size(); ++i) {
      if (list[i]["name"] == which.name) {
        list.erase(i);
        return store_.save(dataset);
      }
    }
    refuse("bookmark '" + which.dataset + "#" + which.name + "' does not exist.");
  }
  void destroy_snapshots(const Named& which, const Arguments& a) {
    bool found = false;
    for (const std::string& name : store_.datasets_below(which.dataset, a.has('r') ? std::nullopt : std::optional(0U))) {
      Json dataset = store_.load(name);
      for (const std::string_view one : split(which.name, ',')) {
        const Json* snapshot = find_named(dataset["snapshots"], one);
        if (snapshot == nullptr) continue;
        found = true;
        free_of_holds(name, *snapshot);
        free_of_clones(name, std::string(one), {}, a.has('R'));
        if (!a.has('n')) store_.drop_snapshot(dataset, std::string(one));
      }
      store_.save(dataset);
    }
    if (!found) refuse("could not find any snapshots to destroy; check snapshot names.");
  }

  void snapshot(const Words& words) {
    const Arguments a = parse(words, "r", "o");
    if (a.rest.empty()) refuse("missing snapshot argument", 2);
    const Fd held = store_.lock();
    for (const std::string& text : a.rest) {
      const Named which = named(text);
      faults_.strike(which.dataset, 0);
      if (which.mark != '@' || which.name.empty()) refuse("cannot create snapshot '" + text + "': missing '@' delimiter in snapshot name, did you mean to use -r?");
      (void)store_.load(which.dataset);
      for (const std::string& name : store_.datasets_below(which.dataset, a.has('r') ? std::nullopt : std::optional(0U))) {
        Json dataset = store_.load(name);
        if (find_named(dataset["snapshots"], which.name) != nullptr) {
          refuse("cannot create snapshot '" + name + "@" + which.name + "': dataset already exists");
        }
        store_.take_snapshot(dataset, which.name, Store::new_guid(), now_seconds());
        assign(dataset["snapshots"].back()["properties"], a);
        store_.save(dataset);
      }
    }
  }

  void rollback(const Words& words) {
    const Arguments a = parse(words, "rRf", "");
    if (a.rest.size() != 1) refuse("missing dataset argument", 2);
    const Fd held = store_.lock();
    const Named which = named(a.rest[0]);
    faults_.strike(which.dataset, 0);
    Json dataset = store_.load(which.dataset);
    if (find_named(dataset["snapshots"], which.name) == nullptr) refuse("cannot open '" + a.rest[0] + "': dataset does not exist");
    if (dataset["snapshots"].back()["name"] != which.name && !a.has('r') && !a.has('R')) {
      refuse("cannot rollback to '" + a.rest[0] + "': more recent snapshots or bookmarks exist\nuse '-r' to force deletion of the following snapshots and bookmarks:\n" +
             which.dataset + "@" + dataset["snapshots"].back()["name"].get<std::string>());
    }
    store_.roll_back(dataset, which.name);
    store_.save(dataset);
  }

  void clone(const Words& words) {
    const Arguments a = parse(words, "pu", "o");
    if (a.rest.size() != 2) refuse("missing source dataset argument", 2);
    const Fd held = store_.lock();
    faults_.strike(a.rest[0], 0);
    const Named which = named(a.rest[0]);
    Json origin = store_.load(which.dataset);
    if (find_named(origin["snapshots"], which.name) == nullptr) refuse("cannot open '" + a.rest[0] + "': dataset does not exist");
    make(a.rest[1], false, a);
    Json dataset = store_.load(a.rest[1]);
    dataset["origin"] = a.rest[0];
    store_.save(dataset);
    copy_tree(store_.snapshot_folder(which.dataset, which.name), store_.mount_of(a.rest[1]));
  }

  // --- list and get ---

  // What is meant by the arguments of list and get, in zfs's order.
  Words chosen(const Arguments& a, const std::string& default_types) {
    std::set<std::string> types;
    const std::string asked = a.value('t', default_types);
    for (const std::string_view type : split(asked, ',')) {
      static const std::map<std::string_view, std::string> names{{"filesystem", "filesystem"}, {"fs", "filesystem"}, {"volume", "volume"},
                                                                 {"vol", "volume"}, {"snapshot", "snapshot"}, {"snap", "snapshot"},
                                                                 {"bookmark", "bookmark"}};
      if (type == "all") {
        types = {"filesystem", "volume", "snapshot", "bookmark"};
      } else if (names.contains(type)) {
        types.insert(names.at(type));
      } else {
        refuse("invalid type '" + std::string(type) + "'", 2);
      }
    }
    std::optional<unsigned> depth = 0U;
    if (a.has('r') || a.rest.empty()) depth = std::nullopt;
    if (a.has('d')) depth = static_cast<unsigned>(parse_u64(a.value('d')).value_or(0));
    Words names;
    Words roots = a.rest;
    if (roots.empty()) {
      const Json pools = store_.pools();
      for (const auto& pool : pools.items()) roots.push_back(pool.key());
    }
    for (const std::string& root : roots) {
      const Named which = named(root);
      if (!store_.exists(which.dataset)) {
        std::fputs(("cannot open '" + root + "': dataset does not exist\n").c_str(), stderr);
        exit_code_ = 1;
        continue;
      }
      if (which.mark != 0) {
        (void)datasets_.get(root, "guid");
        names.push_back(root);
        continue;
      }
      // -d N counts a dataset's snapshots as one floor below it.
      const bool named_types = a.has('t');
      for (const std::string& name : store_.datasets_below(root, depth)) {
        const Json dataset = store_.load(name);
        if (types.contains(dataset["type"])) names.push_back(name);
        const auto floors = static_cast<unsigned>(std::count(name.begin() + static_cast<std::ptrdiff_t>(root.size()), name.end(), '/'));
        const bool deep_enough = !depth || floors < *depth || (named_types && *depth == 0U);
        if (!deep_enough) continue;
        for (const Json& snapshot : dataset["snapshots"]) {
          if (types.contains("snapshot")) names.push_back(name + "@" + snapshot["name"].get<std::string>());
        }
        for (const Json& bookmark : dataset["bookmarks"]) {
          if (types.contains("bookmark")) names.push_back(name + "#" + bookmark["name"].get<std::string>());
        }
      }
    }
    return names;
  }
  void check_properties(const std::vector<std::string_view>& properties) const {
    for (const std::string_view property : properties) {
      if (!is_known(std::string(property))) refuse("bad property list: invalid property '" + std::string(property) + "'", 2);
    }
  }
  std::string shown(const Value& value, const std::string& property, bool exact) const {
    if (exact || value.text == "-") return value.text;
    const auto amount = parse_u64(value.text);
    if (amount && is_native_number(property)) return nice(*amount);
    if (amount && property == "creation") return date_text(static_cast<std::int64_t>(*amount));
    return value.text;
  }

  void list(const Words& words) {
    const Arguments a = parse(words, "Hpr", "dotsS");
    faults_.strike(a.rest.empty() ? "*" : a.rest[0], 0);
    const std::string columns_text = a.value('o', "name,used,avail,refer,mountpoint");
    const auto columns = split(columns_text, ',');
    check_properties(columns);
    Words names = chosen(a, a.rest.size() == 1 && named(a.rest[0]).mark == '@' ? "snapshot" : "filesystem,volume");
    if (a.has('s') || a.has('S')) {
      const std::string key = a.value(a.has('s') ? 's' : 'S');
      std::stable_sort(names.begin(), names.end(), [&](const std::string& x, const std::string& y) {
        const std::string left = datasets_.get(x, key).text;
        const std::string right = datasets_.get(y, key).text;
        const auto l = parse_u64(left);
        const auto r = parse_u64(right);
        return l && r ? *l < *r : left < right;
      });
      if (a.has('S')) std::reverse(names.begin(), names.end());
    }
    std::string text;
    if (!a.has('H')) {
      for (const std::string_view column : columns) text += std::string(column) + "  ";
      text += "\n";
    }
    for (const std::string& name : names) {
      for (std::size_t i = 0; i < columns.size(); ++i) {
        const std::string column(columns[i]);
        text += (i == 0 ? "" : (a.has('H') ? "\t" : "  ")) + shown(datasets_.get(name, column), column, a.has('p'));
      }
      text += "\n";
    }
    say(text);
  }

  void get(const Words& words) {
    const Arguments a = parse(words, "Hpr", "dots");
    if (a.rest.empty()) refuse("missing property argument", 2);
    Arguments places = a;
    places.rest.erase(places.rest.begin());
    faults_.strike(places.rest.empty() ? "*" : places.rest[0], 0);
    const std::string asked = a.rest[0] == "all" ? "type,creation,used,available,referenced,mounted,mountpoint,readonly,guid,createtxg,written,receive_resume_token" : a.rest[0];
    const auto listed = split(asked, ',');
    check_properties(listed);
    const std::string fields_text = a.value('o', "name,property,value,source");
    std::string text = a.has('H') ? "" : "NAME  PROPERTY  VALUE  SOURCE\n";
    for (const std::string& name : chosen(places, "filesystem,volume,snapshot,bookmark")) {
      Words properties(listed.begin(), listed.end());
      if (a.rest[0] == "all") add_set(name, properties);
      for (const std::string& property : properties) {
        const Value value = datasets_.get(name, property);
        if (a.has('s') && (value.source == "-" ? "none" : value.source.substr(0, value.source.find(' '))) != a.value('s')) continue;
        bool is_first = true;
        for (const std::string_view field : split(fields_text, ',')) {
          if (!is_first) text += a.has('H') ? "\t" : "  ";
          is_first = false;
          if (field == "name") text += name;
          if (field == "property") text += property;
          if (field == "value") text += shown(value, property, a.has('p'));
          if (field == "source") text += value.source;
        }
        text += "\n";
      }
    }
    say(text);
  }

  // What somebody has set belongs to `all`, too.
  void add_set(const std::string& name, Words& properties) const {
    const Named which = named(name);
    if (which.mark != 0) return;
    const Json dataset = store_.load(which.dataset);
    for (const auto& [property, value] : dataset["properties"].items()) {
      if (std::find(properties.begin(), properties.end(), property) == properties.end()) properties.push_back(property);
    }
  }

  void set(const Words& words) {
    const Arguments a = parse(words, "u", "");
    Arguments values;
    Words places;
    for (const std::string& word : a.rest) (word.find('=') != word.npos ? values.options['o'] : places).push_back(word);
    if (places.empty()) refuse("missing dataset name", 2);
    const Fd held = store_.lock();
    for (const std::string& place : places) {
      faults_.strike(place, 0);
      const Named which = named(place);
      Json dataset = store_.load(which.dataset);
      if (which.mark == '@') {
        Json* snapshot = find_named(dataset["snapshots"], which.name);
        if (snapshot == nullptr) refuse("cannot open '" + place + "': dataset does not exist");
        assign((*snapshot)["properties"], values);
      } else {
        assign(dataset["properties"], values);
      }
      store_.save(dataset);
    }
  }
  void inherit(const Words& words) {
    const Arguments a = parse(words, "rS", "");
    if (a.rest.size() < 2) refuse("missing dataset argument", 2);
    const Fd held = store_.lock();
    for (std::size_t i = 1; i < a.rest.size(); ++i) {
      Json dataset = store_.load(a.rest[i]);
      dataset["properties"].erase(a.rest[0]);
      store_.save(dataset);
    }
  }

  // --- bookmarks and holds ---

  void bookmark(const Words& words) {
    if (words.size() != 2) refuse("missing snapshot argument", 2);
    const Fd held = store_.lock();
    const Named from = named(words[0]);
    Named to = named(words[1]);
    faults_.strike(from.dataset, 0);
    Json dataset = store_.load(from.dataset);
    const Json* snapshot = find_named(dataset["snapshots"], from.name);
    if (snapshot == nullptr) refuse("cannot create bookmark '" + words[1] + "': dataset does not exist");
    if (to.mark != '#') refuse("invalid bookmark name '" + words[1] + "': must contain a '#'", 2);
    if (find_named(dataset["bookmarks"], to.name) != nullptr) refuse("cannot create bookmark '" + words[1] + "': bookmark exists");
    dataset["bookmarks"].push_back({{"name", to.name}, {"guid", (*snapshot)["guid"]}, {"createtxg", (*snapshot)["createtxg"]}, {"creation", (*snapshot)["creation"]}});
    store_.save(dataset);
  }
  void each_held(const Words& words, const std::function<void(const std::string&, Json&, const std::string&)>& act) {
    const Arguments a = parse(words, "rH", "");
    if (a.rest.size() < 2) refuse("missing snapshot argument", 2);
    const Fd held = store_.lock();
    for (std::size_t i = 1; i < a.rest.size(); ++i) {
      const Named which = named(a.rest[i]);
      for (const std::string& name : store_.datasets_below(which.dataset, a.has('r') ? std::nullopt : std::optional(0U))) {
        Json dataset = store_.load(name);
        Json* snapshot = find_named(dataset["snapshots"], which.name);
        if (snapshot == nullptr && name == which.dataset) refuse("cannot open '" + a.rest[i] + "': dataset does not exist");
        if (snapshot == nullptr) continue;
        act(name + "@" + which.name, *snapshot, a.rest[0]);
        store_.save(dataset);
      }
    }
  }
  void hold(const Words& words) {
    each_held(words, [](const std::string& full, Json& snapshot, const std::string& tag) {
      for (const Json& held : snapshot["holds"]) {
        if (held == tag) refuse("cannot hold snapshot '" + full + "': tag already exists on this dataset");
      }
      snapshot["holds"].push_back(tag);
    });
  }
  void release(const Words& words) {
    each_held(words, [](const std::string& full, Json& snapshot, const std::string& tag) {
      auto& list = snapshot["holds"];
      for (std::size_t i = 0; i < list.size(); ++i) {
        if (list[i] == tag) {
          list.erase(i);
          return;
        }
      }
      refuse("cannot release '" + full + "': no such tag on this dataset");
    });
  }
  void holds(const Words& words) {
    const Arguments a = parse(words, "rHp", "");
    if (a.rest.empty()) refuse("missing snapshot argument", 2);
    std::string text = a.has('H') ? "" : "NAME  TAG  TIMESTAMP\n";
    for (const std::string& full : a.rest) {
      const Named which = named(full);
      Json dataset = store_.load(which.dataset);
      const Json* snapshot = find_named(dataset["snapshots"], which.name);
      if (snapshot == nullptr) refuse("cannot open '" + full + "': dataset does not exist");
      for (const Json& tag : (*snapshot)["holds"]) text += full + "\t" + tag.get<std::string>() + "\t" + date_text((*snapshot)["creation"].get<std::int64_t>()) + "\n";
    }
    say(text);
  }
  void rename(const Words& words) {
    const Arguments a = parse(words, "fpur", "");
    if (a.rest.size() != 2) refuse("missing source dataset argument", 2);
    const Fd held = store_.lock();
    if (store_.exists(a.rest[1])) refuse("cannot rename '" + a.rest[0] + "': dataset already exists");
    for (const std::string& name : store_.datasets_below(a.rest[0], std::nullopt)) {
      Json dataset = store_.load(name);
      const std::string to = a.rest[1] + name.substr(a.rest[0].size());
      dataset["name"] = to;
      store_.save(dataset);
      fs::rename(store_.mount_of(name), store_.mount_of(to));
      store_.remove(name);
    }
  }

  // --- send ---

  struct Step {
    std::string dataset;  // at the source
    std::string below;    // of the first: "" or "/child"
    std::string from;     // snapshot or bookmark; empty: a full stream
    std::uint64_t from_guid{0};
    Json to;
  };

  void send(const Words& words) {
    const Arguments a = parse(words, "DLPRbcehnpsVvw", "tiIX");
    if (::isatty(1) != 0 && !a.has('n')) refuse("Error: Stream can not be written to a terminal.\nYou must redirect standard output.");
    if (a.has('t')) return send_rest(a);
    if (a.rest.size() != 1) refuse("missing snapshot argument", 2);
    const Named which = named(a.rest[0]);
    faults_.strike(which.dataset, 0);
    Json dataset = store_.load(which.dataset);
    if (which.mark != '@' || find_named(dataset["snapshots"], which.name) == nullptr) {
      refuse("cannot open '" + a.rest[0] + "': dataset does not exist");
    }
    std::vector<Step> steps;
    for (const std::string& name : store_.datasets_below(which.dataset, a.has('R') ? std::nullopt : std::optional(0U))) {
      add_steps(a, name, name.substr(which.dataset.size()), which.name, steps);
    }
    if (a.has('n')) return estimate(a, steps);
    put(stream_magic);
    for (const Step& step : steps) put_step(step, a, 0);
    put(std::string(4, '\0'));
  }

  void add_steps(const Arguments& a, const std::string& name, const std::string& below, const std::string& last, std::vector<Step>& steps) {
    Json dataset = store_.load(name);
    auto& list = dataset["snapshots"];
    if (find_named(list, last) == nullptr) {
      std::fputs(("WARNING: could not send " + name + "@" + last + ":\nincremental source (" + name + "@" + last + ") does not exist\n").c_str(), stderr);
      return;
    }
    const bool incremental = a.has('i') || a.has('I');
    const std::string word = incremental ? a.value(a.has('I') ? 'I' : 'i') : std::string();
    const bool is_bookmark = word.find('#') != word.npos;
    const std::string from = word.empty() ? word : word.substr(word.find_first_of("@#") + 1);
    const bool all_between = a.has('I') || (a.has('R') && !a.has('i'));
    bool begun = !incremental;
    Step step{name, below, {}, 0, {}};
    if (incremental) {
      const Json* base = find_named(is_bookmark ? dataset["bookmarks"] : list, from);
      if (base == nullptr && !a.has('R')) refuse("cannot send '" + name + "@" + last + "': incremental source (" + name + (is_bookmark ? "#" : "@") + from + ") does not exist");
      if (base == nullptr) begun = true;  // a dataset that is newer than the base: in full
      else {
        step.from = is_bookmark ? "#" + from : from;
        step.from_guid = (*base)["guid"].get<std::uint64_t>();
      }
    }
    for (const Json& snapshot : list) {
      const bool is_last = snapshot["name"] == last;
      if (begun || is_bookmark) {
        if ((all_between && !is_bookmark) || is_last) {
          step.to = snapshot;
          steps.push_back(step);
          step.from = snapshot["name"];
          step.from_guid = snapshot["guid"].get<std::uint64_t>();
        }
      }
      if (snapshot["guid"] == step.from_guid) begun = true;
      if (is_last) break;
    }
  }
  // A bookmark keeps no files: its stream is what a full one would be, applied over what is there.
  fs::path base_of(const Step& step) const {
    if (step.from.empty() || step.from[0] == '#') return {};
    return store_.snapshot_folder(step.dataset, step.from);
  }

  void estimate(const Arguments& a, const std::vector<Step>& steps) {
    std::uint64_t total = 0;
    std::string text;
    for (const Step& step : steps) {
      const std::uint64_t bytes = package_bytes(base_of(step), store_.snapshot_folder(step.dataset, step.to["name"]));
      total += bytes;
      const std::string to = step.dataset + "@" + step.to["name"].get<std::string>();
      if (a.has('P')) text += step.from.empty() ? "full\t" + to + "\t" + number(bytes) + "\n" : "incremental\t" + step.from + "\t" + to + "\t" + number(bytes) + "\n";
      else text += (step.from.empty() ? "full send of " + to : "send from @" + step.from + " to " + to) + " estimated size is " + nice(bytes) + "\n";
    }
    text += a.has('P') ? "size\t" + number(total) + "\n" : "total estimated size is " + nice(total) + "\n";
    if (a.has('v') || a.has('P')) say(text);
  }

  void put_step(const Step& step, const Arguments& a, std::uint64_t offset) {
    const std::string to = step.to["name"];
    const fs::path folder = store_.snapshot_folder(step.dataset, to);
    if (!fs::exists(folder)) refuse("cannot send '" + step.dataset + "@" + to + "': snapshot does not exist");
    const std::uint64_t bytes = package_bytes(base_of(step), folder);
    const Json record = store_.load(step.dataset);
    Json header{{"source", step.dataset}, {"below", step.below}, {"type", record["type"]}, {"full", step.from.empty()},
                {"from_guid", step.from_guid}, {"from", step.from}, {"snapshot", to}, {"guid", step.to["guid"]},
                {"creation", step.to["creation"]}, {"bytes", bytes}, {"offset", offset}, {"properties", Json::object()},
                {"embedded", a.has('e')}, {"raw", a.has('w')}};
    if (a.has('p') || a.has('R')) header["properties"] = record["properties"];
    const std::string text = to_line(header);
    std::string length(4, '\0');
    for (std::size_t i = 0; i < 4; ++i) length[i] = static_cast<char>((text.size() >> (8 * (3 - i))) & 0xff);
    put(length + text);
    if (a.has('v') || a.has('P')) {
      const std::string full = step.dataset + "@" + to;
      std::fputs((step.from.empty() ? "full\t" + full + "\t" + number(bytes) + "\n" : "incremental\t" + step.from + "\t" + full + "\t" + number(bytes) + "\n").c_str(), stderr);
    }
    std::uint64_t sent = offset;
    put_package(base_of(step), folder, offset, [&](std::string_view piece) {
      std::string copy(piece);
      faults_.strike(step.dataset, sent, &copy);
      put(copy);
      sent += piece.size();
    });
  }

  void send_rest(const Arguments& a) {
    const Json token = token_content(a.value('t'));
    const std::string source = token["source"];
    const std::string to_name = token["snapshot"];
    faults_.strike(source, 0);
    const std::string to_text = source + "@" + to_name;
    Json dataset = store_.exists(source) ? store_.load(source) : Json{{"snapshots", Json::array()}, {"bookmarks", Json::array()}};
    const Json* to = find_named(dataset["snapshots"], to_name);
    if (to == nullptr || (*to)["guid"] != token["guid"]) refuse("cannot resume send: '" + to_text + "' used in the initial send no longer exists");
    Step step{source, {}, {}, 0, *to};
    if (!token["full"].get<bool>()) {
      step.from = token["from"];
      step.from_guid = token["from_guid"].get<std::uint64_t>();
      const bool is_bookmark = step.from[0] == '#';
      const Json* base = find_named(dataset[is_bookmark ? "bookmarks" : "snapshots"], is_bookmark ? step.from.substr(1) : step.from);
      if (base == nullptr || (*base)["guid"] != step.from_guid) refuse("cannot resume send: incremental source 0x" + number(step.from_guid) + " no longer exists");
    }
    const std::uint64_t offset = token["offset"].get<std::uint64_t>();
    if (a.has('n')) {
      const std::uint64_t whole = package_bytes(base_of(step), store_.snapshot_folder(source, to_name));
      const std::string left = number(whole - std::min(whole, offset));
      std::string text = "resume token contents:\nnvlist version: 0\n\tobject = 0x2\n\toffset = 0x0\n\tbytes = " + number(offset) + "\n\ttoguid = " +
                         number(step.to["guid"].get<std::uint64_t>()) + "\n\ttoname = " + to_text + "\n";
      text += step.from.empty() ? "full\t" + to_text + "\t" + left + "\n" : "incremental\t" + step.from + "\t" + to_text + "\t" + left + "\n";
      return say(text);
    }
    put(stream_magic);
    put_step(step, a, offset);
    put(std::string(4, '\0'));
  }

  void put(std::string_view bytes) {
    while (!bytes.empty()) {
      const auto count = ::write(1, bytes.data(), bytes.size());
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) refuse("warning: cannot send: " + std::string(errno == EPIPE ? "Broken pipe" : "I/O error"));
      bytes.remove_prefix(static_cast<std::size_t>(count));
    }
  }

  // --- receive ---

  static bool take(char* to, std::size_t count) {
    while (count > 0) {
      const auto got = ::read(0, to, count);
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0) return false;
      to += got;
      count -= static_cast<std::size_t>(got);
    }
    return true;
  }

  void receive(const Words& words) {
    const Arguments a = parse(words, "vMnsFdeuhA", "ox");
    if (a.rest.size() != 1) refuse("missing snapshot argument", 2);
    const Named target = named(a.rest[0]);
    if (a.has('A')) return abort_partial(target.dataset);
    faults_.strike(target.dataset, 0);
    std::string magic(stream_magic.size(), '\0');
    if (!take(magic.data(), magic.size())) refuse("cannot receive: failed to read from stream");
    if (magic != stream_magic) refuse("cannot receive: invalid stream (bad magic number)");
    while (true) {
      std::array<unsigned char, 4> head{};
      if (!take(reinterpret_cast<char*>(head.data()), 4)) refuse("cannot receive: failed to read from stream");
      const std::size_t length = (std::size_t{head[0]} << 24) | (std::size_t{head[1]} << 16) | (std::size_t{head[2]} << 8) | head[3];
      if (length == 0) return;
      if (length > (1 << 20)) refuse("cannot receive: invalid stream (checksum mismatch)");
      std::string text(length, '\0');
      if (!take(text.data(), length)) refuse("cannot receive: failed to read from stream");
      auto header = parse_json(text, "stream");
      if (!header) refuse("cannot receive: invalid stream (checksum mismatch)");
      std::string dataset = target.dataset + (*header)["below"].get<std::string>();
      const std::string source = (*header)["source"];
      if (a.has('d')) dataset = target.dataset + source.substr(std::min(source.size(), source.find('/')));
      if (a.has('e')) dataset = target.dataset + "/" + source.substr(source.rfind('/') + 1);
      receive_package(a, dataset, *header);
    }
  }

  void abort_partial(const std::string& name) {
    const Fd held = store_.lock();
    Json dataset = store_.load(name);
    if (!dataset["partial"].is_object()) refuse("'" + name + "' does not have any resumable receive state to abort");
    if (dataset["partial"]["full"].get<bool>()) return store_.remove(name);
    fs::remove(store_.spool_of(name));
    dataset["partial"] = nullptr;
    store_.save(dataset);
  }

  void receive_package(const Arguments& a, const std::string& name, const Json& header) {
    const bool is_full = header["full"].get<bool>();
    const std::uint64_t offset = header["offset"].get<std::uint64_t>();
    const std::uint64_t bytes = header["bytes"].get<std::uint64_t>();
    const std::string kind = is_full ? "new filesystem" : "incremental";
    bool skip = false;
    {
      const Fd held = store_.lock();
      skip = offset > 0 ? check_resumed(name, header) : check_target(a, name, header);
      if (!skip && datasets_.pool_free(pool_of(name)) < bytes) refuse("cannot receive " + kind + " stream: out of space");
      if (!skip && a.has('n')) skip = true;
    }
    const fs::path spool_path = store_.spool_of(name);
    const Fd spool(skip ? ::open("/dev/null", O_WRONLY | O_CLOEXEC)
                        : ::open(spool_path.c_str(), O_WRONLY | O_CREAT | O_APPEND | (offset == 0 ? O_TRUNC : 0) | O_CLOEXEC, 0600));
    if (!skip && ::flock(spool.get(), LOCK_EX | LOCK_NB) != 0) refuse("cannot receive " + kind + " stream: dataset is busy");
    if (!skip) remember_partial(a, name, header);
    if (a.has('v')) say("receiving " + std::string(is_full ? "full" : "incremental") + " stream of " + header["source"].get<std::string>() + "@" + header["snapshot"].get<std::string>() + " into " + name + "@" + header["snapshot"].get<std::string>() + "\n");
    std::string block(65536, '\0');
    for (std::uint64_t at = offset; at < bytes;) {
      block.resize(std::min<std::uint64_t>(65536, bytes - at));
      std::string* const piece = &block;
      const auto got = ::read(0, block.data(), block.size());
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0) return interrupted(a, name, kind);
      block.resize(static_cast<std::size_t>(got));
      faults_.strike(name, at, piece);
      if (::write(spool.get(), block.data(), block.size()) != got) refuse("cannot receive " + kind + " stream: out of space");
      at += static_cast<std::uint64_t>(got);
    }
    if (skip) return;
    commit(a, name, header, kind);
  }

  bool check_resumed(const std::string& name, const Json& header) const {
    const Json dataset = store_.load(name);
    if (!dataset["partial"].is_object() || dataset["partial"]["guid"] != header["guid"] ||
        fs::file_size(store_.spool_of(name)) != header["offset"].get<std::uint64_t>()) {
      refuse("cannot receive resume stream: kernel modules must be upgraded to receive this stream.");
    }
    return false;
  }

  // @return whether the target holds this snapshot already
  bool check_target(const Arguments& a, const std::string& name, const Json& header) const {
    const bool force = a.has('F');
    if (!store_.exists(name)) {
      if (!header["full"].get<bool>()) refuse("cannot receive incremental stream: destination '" + name + "' does not exist");
      const std::string parent = parent_of(name);
      if (parent.empty() || !store_.exists(parent)) refuse("cannot open '" + parent + "': dataset does not exist\ncannot receive new filesystem stream: unable to restore to destination");
      return false;
    }
    Json dataset = store_.load(name);
    if (dataset["partial"].is_object() && datasets_.token(dataset)) {
      refuse("cannot receive " + std::string(header["full"].get<bool>() ? "new filesystem" : "incremental") + " stream: destination " + name +
             " contains partially-complete state from \"zfs receive -s\".");
    }
    for (const Json& snapshot : dataset["snapshots"]) {
      if (snapshot["guid"] == header["guid"]) return true;
    }
    if (header["full"].get<bool>()) {
      if (!force) refuse("cannot receive new filesystem stream: destination '" + name + "' exists\nmust specify -F to overwrite it");
      if (!dataset["snapshots"].empty()) {
        refuse("cannot receive new filesystem stream: destination has snapshots (eg. " + name + "@" +
               dataset["snapshots"][0]["name"].get<std::string>() + ")\nmust destroy them to overwrite it");
      }
      return false;
    }
    const auto& list = dataset["snapshots"];
    bool known = false;
    for (const Json& snapshot : list) known = known || snapshot["guid"] == header["from_guid"];
    const bool is_newest = !list.empty() && list.back()["guid"] == header["from_guid"];
    if (!known || (!is_newest && !force)) {
      refuse("cannot receive incremental stream: most recent snapshot of " + name + " does not\nmatch incremental source");
    }
    if (!force && Store::bytes_changed(store_.snapshot_folder(name, list.back()["name"]), store_.mount_of(name)) > 0) {
      refuse("cannot receive incremental stream: destination " + name + " has been modified\nsince most recent snapshot");
    }
    return false;
  }

  void remember_partial(const Arguments& a, const std::string& name, const Json& header) const {
    const Fd held = store_.lock();
    if (!store_.exists(name)) store_.create(name, header["type"], Json::object());
    Json dataset = store_.load(name);
    dataset["partial"] = a.has('s') ? Json{{"source", header["source"]}, {"snapshot", header["snapshot"]}, {"guid", header["guid"]}, {"full", header["full"]},
                                           {"from", header["from"]}, {"from_guid", header["from_guid"]}}
                                    : Json(nullptr);
    store_.save(dataset);
  }

  void interrupted(const Arguments& a, const std::string& name, const std::string& kind) const {
    const Fd held = store_.lock();
    Json dataset = store_.load(name);
    if (!a.has('s')) {
      if (kind == "new filesystem" && dataset["snapshots"].empty()) store_.remove(name);
      fs::remove(store_.spool_of(name));
      refuse("cannot receive " + kind + " stream: checksum mismatch or incomplete stream");
    }
    Json content = dataset["partial"];
    content["offset"] = fs::file_size(store_.spool_of(name));
    refuse("cannot receive " + kind + " stream: checksum mismatch or incomplete stream.\nPartially received snapshot is saved.\n"
           "A resuming stream can be generated on the sending system by running:\n    zfs send -t " + token_of(content));
  }

  void commit(const Arguments& a, const std::string& name, const Json& header, const std::string& kind) const {
    const Fd held = store_.lock();
    Json dataset = store_.load(name);
    const bool is_full = header["full"].get<bool>();
    try {
      if (!is_full) {
        const Json before = dataset["snapshots"];
        for (const Json& snapshot : before) {
          if (snapshot["guid"] == header["from_guid"]) store_.roll_back(dataset, snapshot["name"]);
        }
      }
      const bool replaces_all = is_full || header["from"].get<std::string>().starts_with('#');
      apply_package(store_.spool_of(name), replaces_all, store_.mount_of(name));
    } catch (const Refusal& refusal) {
      fs::remove(store_.spool_of(name));
      dataset["partial"] = nullptr;
      store_.save(dataset);
      if (is_full && dataset["snapshots"].empty()) store_.remove(name);
      refuse("cannot receive " + kind + " stream: " + refusal.text);
    }
    for (const auto& [property, value] : header["properties"].items()) {
      if (property != "mountpoint") dataset["received"][property] = value;
    }
    assign(dataset["properties"], a);
    dataset["partial"] = nullptr;
    fs::remove(store_.spool_of(name));
    store_.take_snapshot(dataset, header["snapshot"], header["guid"].get<std::uint64_t>(), header["creation"].get<std::int64_t>());
    store_.save(dataset);
  }

  const Store& store_;
  Faults faults_;
  Datasets datasets_;
  int exit_code_{0};
};

// --- zpool ---

class Zpool {
 public:
  Zpool(const Store& store, const std::string& command) : store_(store), faults_(store, "zpool " + command), datasets_(store, faults_) {}

  int run(const std::string& command, const Words& words) {
    if (command == "create") return create(words);
    if (command == "destroy") return destroy(words);
    if (command == "list") return list(words);
    if (command == "get") return get(words);
    if (command == "status") return status(words);
    if (command == "scrub") return scrub(words);
    if (command == "sync" || command == "export" || command == "import" || command == "version") return 0;
    refuse("unrecognized command '" + command + "'", 2);
  }

 private:
  Json pool(const std::string& name) const {
    const Json pools = store_.pools();
    if (!pools.contains(name)) refuse("cannot open '" + name + "': no such pool");
    return pools[name];
  }
  int create(const Words& words) {
    const Arguments a = parse(words, "fn", "omO");
    if (a.rest.empty()) refuse("missing pool name argument", 2);
    const Fd held = store_.lock();
    Json pools = store_.pools();
    if (pools.contains(a.rest[0])) refuse("cannot create '" + a.rest[0] + "': pool already exists");
    std::uint64_t bytes = 1ULL << 40;
    if (a.has('o')) {
      for (const std::string& word : a.options.at('o')) {
        if (word.starts_with("size=")) bytes = parse_u64(word.substr(5)).value_or(bytes);
      }
    }
    pools[a.rest[0]] = {{"size", bytes}, {"guid", Store::new_guid()}, {"scan", "none requested"}, {"health", "ONLINE"}};
    store_.save_pools(pools);
    store_.create(a.rest[0], "filesystem", Json::object());
    return 0;
  }
  int destroy(const Words& words) {
    const Arguments a = parse(words, "f", "");
    if (a.rest.empty()) refuse("missing pool argument", 2);
    const Fd held = store_.lock();
    (void)pool(a.rest[0]);
    for (const std::string& name : store_.datasets_below(a.rest[0], std::nullopt)) store_.remove(name);
    Json pools = store_.pools();
    pools.erase(a.rest[0]);
    store_.save_pools(pools);
    return 0;
  }
  std::string value(const std::string& name, const std::string& property, bool exact) const {
    const Json one = pool(name);
    if (const auto told = faults_.reported(name, property)) return *told;
    const std::uint64_t size = one["size"].get<std::uint64_t>();
    const std::uint64_t free = datasets_.pool_free(name);
    const auto amount = [&](std::uint64_t bytes) { return exact ? number(bytes) : nice(bytes); };
    if (property == "name") return name;
    if (property == "size") return amount(size);
    if (property == "free") return amount(free);
    if (property == "alloc" || property == "allocated") return amount(size - free);
    if (property == "cap" || property == "capacity") return number(size == 0 ? 0 : (size - free) * 100 / size) + (exact ? "" : "%");
    if (property == "health") return one["health"];
    if (property == "guid") return number(one["guid"].get<std::uint64_t>());
    if (property == "feature@extensible_dataset" || property == "feature@bookmarks") return "active";
    if (property.starts_with("feature@")) return "enabled";
    if (property == "frag" || property == "fragmentation") return "0";
    if (property == "readonly" || property == "autotrim") return "off";
    refuse("bad property list: invalid property '" + property + "'", 2);
  }
  Words all() const {
    Words names;
    const Json pools = store_.pools();
    for (const auto& item : pools.items()) names.push_back(item.key());
    return names;
  }
  int list(const Words& words) {
    const Arguments a = parse(words, "HpPLv", "oT");
    faults_.strike("*", 0);
    const std::string columns = a.value('o', "name,size,alloc,free,cap,health");
    if (!a.has('H')) say("NAME  SIZE  ALLOC  FREE  CAP  HEALTH\n");
    for (const std::string& name : a.rest.empty() ? all() : a.rest) {
      std::string line;
      for (const std::string_view column : split(columns, ',')) line += (line.empty() ? "" : "\t") + value(name, std::string(column), a.has('p'));
      say(line + "\n");
    }
    return 0;
  }
  int get(const Words& words) {
    const Arguments a = parse(words, "Hp", "o");
    if (a.rest.empty()) refuse("missing property argument", 2);
    faults_.strike("*", 0);
    const std::string fields = a.value('o', "name,property,value,source");
    if (!a.has('H')) say("NAME  PROPERTY  VALUE  SOURCE\n");
    for (const std::string& name : a.rest.size() > 1 ? Words(a.rest.begin() + 1, a.rest.end()) : all()) {
      for (const std::string_view property : split(a.rest[0], ',')) {
        std::string line;
        for (const std::string_view field : split(fields, ',')) {
          const std::string text = field == "name" ? name : field == "property" ? std::string(property) : field == "value" ? value(name, std::string(property), a.has('p')) : "-";
          line += (line.empty() ? "" : "\t") + text;
        }
        say(line + "\n");
      }
    }
    return 0;
  }
  int status(const Words& words) {
    const Arguments a = parse(words, "xvPLpgi", "");
    for (const std::string& name : a.rest.empty() ? all() : a.rest) {
      faults_.strike(name, 0);
      const Json one = pool(name);
      const std::string scan = faults_.reported(name, "scan").value_or(one["scan"].get<std::string>());
      const std::string errors = faults_.reported(name, "errors").value_or("No known data errors");
      const std::string health = value(name, "health", true);
      say("  pool: " + name + "\n state: " + health + "\n  scan: " + scan + "\nconfig:\n\n\tNAME        STATE     READ WRITE CKSUM\n\t" + name +
          "        " + health + "       0     0     0\n\t  scripted  " + health + "       0     0     0\n\nerrors: " + errors + "\n");
    }
    return 0;
  }
  int scrub(const Words& words) {
    const Arguments a = parse(words, "spw", "");
    if (a.rest.empty()) refuse("missing pool name argument", 2);
    faults_.strike(a.rest[0], 0);
    const Fd held = store_.lock();
    (void)pool(a.rest[0]);
    Json pools = store_.pools();
    pools[a.rest[0]]["scan"] = "scrub repaired 0B in 00:00:01 with 0 errors on " + date_text(now_seconds());
    store_.save_pools(pools);
    return 0;
  }

  const Store& store_;
  Faults faults_;
  Datasets datasets_;
};

int answer(const Words& words) {
  const fs::path self = fs::read_symlink("/proc/self/exe");
  const Store store(self.parent_path().parent_path());
  {
    const Fd history(::open((store.root() / "history").c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
    const std::string line = self.filename().string() + " " + join(words, " ") + "\n";
    (void)!::write(history.get(), line.data(), line.size());
  }
  if (words.empty()) refuse("missing command", 2);
  static const std::map<std::string, std::string> aliases{{"recv", "receive"}, {"snap", "snapshot"}, {"umount", "unmount"}};
  const std::string command = aliases.contains(words[0]) ? aliases.at(words[0]) : words[0];
  const Words rest(words.begin() + 1, words.end());
  if (self.filename() == "zpool") return Zpool(store, command).run(command, rest);
  return Zfs(store, command).run(command, rest);
}

}  // namespace

}  // namespace lt::mirror::testing

int main(int count, char** arguments) {
  ::signal(SIGPIPE, SIG_IGN);
  try {
    return lt::mirror::testing::answer({arguments + 1, arguments + count});
  } catch (const lt::mirror::testing::Refusal& refusal) {
    std::fputs((refusal.text + "\n").c_str(), stderr);
    return refusal.exit_code;
  } catch (const std::exception& error) {
    std::fputs((std::string("scripted zfs: ") + error.what() + "\n").c_str(), stderr);
    return 1;
  }
}
