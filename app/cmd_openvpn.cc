#include "app/cmd_openvpn.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <thread>

#include "app/cmd_init.h"
#include "app/new_files.h"
#include "base/fd.h"
#include "base/process.h"
#include "base/text.h"
#include "configs/openvpn_output.h"
#include "configs/knob.h"
#include "configs/toml_reader.h"
#include "crypto/certificate.h"

namespace lt::app {

namespace {

using configs::OpenVpnKnobs;
using configs::OpenVpnPair;
using configs::OpenVpnProto;
using configs::OpenVpnSite;
using configs::OpenVpnVersion;
using SteadyTime = std::chrono::steady_clock::time_point;
using std::chrono::milliseconds;

constexpr unsigned secret_mode = 0600;
constexpr std::uint16_t openvpn_port = 1194;  // IANA
constexpr std::string_view completed = "Initialization Sequence Completed";
constexpr std::string_view bound_udp = "link local (bound)";
constexpr std::string_view bound_tcp = "Listening for incoming TCP";
constexpr std::string_view how_to_install = "openvpn is not installed; run apt-get install openvpn";

// A secret as a file that never reaches a disk, for children that take nothing else.
class MemoryFile {
 public:
  static Result<MemoryFile> create(std::string_view text) {
    Fd fd(::memfd_create("linktune", MFD_CLOEXEC));
    if (!fd.is_open()) return fail_errno(errno, "cannot make a file in memory");
    if (::write(fd.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size())) {
      return fail_errno(errno, "cannot write a file in memory");
    }
    return MemoryFile(std::move(fd));
  }
  /// @pre for processes of this user, while this object lives
  [[nodiscard]] std::string path() const {
    return "/proc/" + std::to_string(::getpid()) + "/fd/" + std::to_string(fd_.get());
  }

 private:
  explicit MemoryFile(Fd fd) : fd_(std::move(fd)) {}
  Fd fd_;
};

// --- the test bed ---

// A network namespace without a name, and a /tmp of its own in memory. Both live as long as a child
// of ours, which the kernel ends with us: nothing is left, whatever ends this program.
class Room {
 public:
  static Result<Room> create(SteadyTime deadline) {
    Room made;
    LT_TRY(made.holder_, Child::start({.argv = {"unshare", "--net", "--mount", "--propagation",
                                                "private", "--", "sleep", "infinity"},
                                       .output_path = {}}));
    // Only once it sleeps, all of it is private: a mount before that could reach the machine's own.
    while (trim(read_file("/proc/" + made.pid() + "/comm", 64).value_or("")) != "sleep") {
      if (!made.holder_.is_running()) {
        return fail(Errc::not_permitted,
                    "this machine does not let us make network namespaces; use --no-check");
      }
      if (std::chrono::steady_clock::now() > deadline) {
        return fail(Errc::timed_out, "no network namespace came up");
      }
      std::this_thread::sleep_for(milliseconds(1));
    }
    auto mounted = run_checked(made.inside(
        {"mount", "-t", "tmpfs", "-o", "mode=0700,size=16m", "linktune", made.path_inside("")}));
    if (!mounted) return fail(std::move(mounted).error());
    return made;
  }

  [[nodiscard]] std::string pid() const { return std::to_string(holder_.pid()); }
  /// A file of the room, as those inside and as we name it.
  [[nodiscard]] std::string path_inside(const std::string& name) const { return "/tmp/" + name; }
  [[nodiscard]] std::string path_outside(const std::string& name) const {
    return "/proc/" + pid() + "/root" + path_inside(name);
  }
  [[nodiscard]] Argv inside(const Argv& argv) const {
    Argv whole{"nsenter", "--target", pid(), "--net", "--mount", "--"};
    whole.insert(whole.end(), argv.begin(), argv.end());
    return whole;
  }
  /// "addr add ..." and the like, as words of one text.
  [[nodiscard]] Status ip(const std::string& words) const {
    Argv argv{"ip"};
    for (const std::string_view word : split(words, ' ')) {
      argv.emplace_back(word);
    }
    auto done = run_checked(inside(argv));
    if (!done) return fail(std::move(done).error());
    return {};
  }

 private:
  Child holder_;
};

/// The networks that an address of the test bed must not lie in.
bool is_free(const Prefix& prefix, const OpenVpnSites& sites) {
  for (const OpenVpnSite* site : {&sites.server, &sites.client}) {
    for (const auto* list : {&site->tunnel_addresses, &site->local_prefixes}) {
      for (const Prefix& taken : *list) {
        if (taken.overlaps(prefix)) return false;
      }
    }
  }
  return true;
}

/// A /30 (or /126) for the veth pair, from the ranges that are set aside for tests (RFC 5737, RFC
/// 2544, RFC 3849).
Result<Prefix> choose_outer(const OpenVpnSites& sites, Family family) {
  const std::vector<std::string> candidates =
      family == Family::v4 ? std::vector<std::string>{"192.0.2.0/30", "198.51.100.0/30",
                                                      "203.0.113.0/30", "198.18.0.0/30"}
                           : std::vector<std::string>{"2001:db8:6c74::/126", "2001:db8:1::/126"};
  for (const std::string& text : candidates) {
    const auto prefix = Prefix::parse(text);
    if (is_free(*prefix, sites)) return *prefix;
  }
  return fail(Errc::invalid,
              "the networks of the sites take in every range that is set aside for tests");
}

IpAddress nth(const Prefix& prefix, unsigned n) {
  IpAddress address = prefix.network().address;
  Byte& last = address.bytes[address.raw().size() - 1];
  last = static_cast<Byte>(last + n);
  return address;
}

/// An address inside `prefix`, as a host there would have it.
IpAddress host_of(const Prefix& prefix) {
  return prefix.length + 1 >= prefix.address.bit_length() ? prefix.network().address
                                                          : nth(prefix, 1);
}

bool has_line(std::string_view text, std::string_view words) {
  return text.find(words) != std::string_view::npos;
}

/// `text` with each line that begins with `option` replaced.
std::string replaced(std::string_view text, std::string_view option, const std::string& line) {
  std::string out;
  for (const std::string_view row : split(text, '\n')) {
    const bool is_meant = row.starts_with(std::string(option) + " ");
    out += is_meant ? line : std::string(row);
    out += '\n';
  }
  return out;
}

// One end while it runs.
struct End {
  std::string role;
  Room room;
  Child openvpn;
};

class PairCheck {
 public:
  PairCheck(const OpenVpnPair& pair, const OpenVpnSites& sites, const OpenVpnKnobs& knobs,
            SteadyTime deadline)
      : pair_(pair), sites_(sites), knobs_(knobs), deadline_(deadline) {}

  Status run() {
    LT_TRY(End server, make_end("server"));
    LT_TRY(End client, make_end("client"));
    LT_CHECK(join_ends(server, client));
    LT_CHECK(write_server(server.room));
    LT_CHECK(write_client(client.room));
    LT_CHECK(start(server));
    // A point-to-point server is complete only when its client is.
    const std::string_view bound = knobs_.proto == OpenVpnProto::tcp ? bound_tcp : bound_udp;
    const bool is_server_mode = knobs_.mode == configs::OpenVpnMode::server;
    LT_CHECK(wait_for(server, is_server_mode ? completed : bound, {&server}));
    LT_CHECK(start(client));
    LT_CHECK(wait_for(client, completed, {&client, &server}));
    LT_CHECK(wait_for(server, completed, {&client, &server}));
    LT_CHECK(ping_all(server, client));
    client.openvpn.signal(SIGTERM);  // both at once: each takes its time to tell the other
    server.openvpn.signal(SIGTERM);
    LT_CHECK(end(client));
    return end(server);
  }

 private:
  Result<End> make_end(const std::string& role) const {
    LT_TRY(Room room, Room::create(deadline_));
    return End{role, std::move(room), {}};
  }

  Family outer_family() const {
    const auto address = IpAddress::parse(sites_.client.endpoint.host);
    return address ? address->family : Family::v4;
  }

  Status join_ends(const End& server, const End& client) {
    LT_TRY(const Prefix outer, choose_outer(sites_, outer_family()));
    server_address_ = nth(outer, 1).text();
    LT_CHECK(server.room.ip("link add wan type veth peer name wan netns " + client.room.pid()));
    const std::string tail = "/" + std::to_string(outer.length) + " dev wan" +
                             (outer.address.family == Family::v6 ? " nodad" : "");
    LT_CHECK(server.room.ip("addr add " + server_address_ + tail));
    LT_CHECK(client.room.ip("addr add " + nth(outer, 2).text() + tail));
    for (const End* here : {&server, &client}) {
      LT_CHECK(here->room.ip("link set lo up"));
      LT_CHECK(here->room.ip("link set wan up"));
    }
    LT_CHECK(add_hosts(server, sites_.server));
    return add_hosts(client, sites_.client);
  }

  static Status add_hosts(const End& here, const OpenVpnSite& site) {
    for (const Prefix& prefix : site.local_prefixes) {
      const IpAddress host = host_of(prefix);
      LT_CHECK(here.room.ip("addr add " + host.text() + "/" + std::to_string(host.bit_length()) +
                            " dev lo"));
    }
    return {};
  }

  Status write_server(const Room& room) const {
    std::string text = replaced(pair_.server, "local", "local " + server_address_);
    text = replaced(text, "client-config-dir", "client-config-dir " + room.path_inside("ccd"));
    LT_CHECK(write_file(room.path_outside("pair.conf"), text, secret_mode));
    if (!pair_.client_config) return {};
    const std::string folder = room.path_outside("ccd");
    if (::mkdir(folder.c_str(), 0700) != 0) return fail_errno(errno, "cannot make " + folder);
    return write_file(folder + "/" + sites_.client.name, *pair_.client_config, secret_mode);
  }

  Status write_client(const Room& room) const {
    const std::string port = std::to_string(sites_.server.endpoint.port);
    const std::string remote = "remote " + server_address_ + " " + port;
    return write_file(room.path_outside("pair.conf"), replaced(pair_.client, "remote", remote),
                      secret_mode);
  }

  static Status start(End& here) {
    const Argv argv = here.room.inside({"openvpn", "--config", here.room.path_inside("pair.conf")});
    LT_TRY(here.openvpn,
           Child::start({.argv = argv, .output_path = here.room.path_outside("log")}));
    return {};
  }

  static std::string log_of(const End& here) {
    return read_file(here.room.path_outside("log"), 4 << 20).value_or("");
  }

  tl::unexpected<Error> complain(Errc code, const End& here, const std::string& what) const {
    return fail(code, "the OpenVPN " + here.role + " " + what + "; " + configs::openvpn_last_words(log_of(here)));
  }

  /// Waits for the log of `here`, while all of `running` run.
  Status wait_for(const End& here, std::string_view words, std::initializer_list<End*> running) {
    for (;;) {
      const SteadyTime now = std::chrono::steady_clock::now();
      for (End* one : running) {
        if (!one->openvpn.is_running()) return complain(Errc::closed, *one, "ended by itself");
      }
      if (has_line(log_of(here), words)) return {};
      if (now > deadline_) return complain(Errc::timed_out, here, "did not come up in time");
      std::this_thread::sleep_for(milliseconds(10));
    }
  }

  Status ping_all(const End& server, const End& client) {
    for (const Prefix& at_server : sites_.server.tunnel_addresses) {
      for (const Prefix& at_client : sites_.client.tunnel_addresses) {
        if (at_server.address.family != at_client.address.family) continue;
        LT_CHECK(ping_both_ways(server, client, at_server.address, at_client.address,
                                "through the tunnel"));
      }
    }
    for (const Prefix& behind_server : sites_.server.local_prefixes) {
      for (const Prefix& behind_client : sites_.client.local_prefixes) {
        if (behind_server.address.family != behind_client.address.family) continue;
        LT_CHECK(ping_both_ways(server, client, host_of(behind_server), host_of(behind_client),
                                "between the networks behind it"));
      }
    }
    return {};
  }

  // Small packets first, since the far end may still be a second behind; then packets that fill
  // tun-mtu.
  Status ping_both_ways(const End& server, const End& client, const IpAddress& at_server,
                        const IpAddress& at_client, const std::string& where) {
    const std::size_t headers = at_server.family == Family::v4 ? 20 + 8 : 40 + 8;
    for (const std::size_t payload : {std::size_t{56}, knobs_.tun_mtu - headers}) {
      LT_CHECK(ping(client, at_client, at_server, payload, where));
      LT_CHECK(ping(server, at_server, at_client, payload, where));
    }
    return {};
  }

  Status ping(const End& from, const IpAddress& source, const IpAddress& target,
              std::size_t payload, const std::string& where) {
    const auto left =
        std::chrono::ceil<std::chrono::seconds>(deadline_ - std::chrono::steady_clock::now());
    const std::string seconds = std::to_string(std::max<std::int64_t>(1, left.count()));
    const Argv argv{"ping",
                    "-n",
                    "-q",
                    "-M",
                    "do",
                    "-c",
                    "1",
                    "-i",
                    "0.2",
                    "-w",
                    seconds,
                    "-s",
                    std::to_string(payload),
                    "-I",
                    source.text(),
                    target.text()};
    LT_TRY(const ProcessOutput done,
           run_process(from.room.inside(argv), {.deadline = left + std::chrono::seconds(5)}));
    if (done.exit_code == 0) return {};
    return complain(Errc::timed_out, from,
                    "gets no echo of " + std::to_string(payload) + " bytes " + where + " from " +
                        target.text());
  }

  Status end(End& here) {
    const int code = here.openvpn.end(std::chrono::seconds(5));
    if (code != 0)
      return complain(Errc::io, here, "did not end cleanly (" + std::to_string(code) + ")");
    return {};
  }

  const OpenVpnPair& pair_;
  const OpenVpnSites& sites_;
  const OpenVpnKnobs& knobs_;
  const SteadyTime deadline_;
  std::string server_address_;
};

// --- where the sites of an export come from ---

Result<SitePair> pair_from_configs(const OpenVpnExportOptions& options) {
  if (options.config.empty() || options.peer_config.empty()) {
    return fail(Errc::invalid, "a pair needs both configs; write --config FILE --peer-config FILE");
  }
  LT_TRY(auto first, configs::load_link_config(options.config));
  LT_TRY(auto second, configs::load_link_config(options.peer_config));
  if (first.listen.has_value() == second.listen.has_value()) {
    return fail(Errc::invalid, options.config + " and " + options.peer_config +
                                   " are no pair; give one that listens and one that connects");
  }
  if (!first.listen) std::swap(first, second);
  if (first.local_prefixes != second.peer_prefixes ||
      first.peer_prefixes != second.local_prefixes) {
    return fail(Errc::invalid,
                options.config + " and " + options.peer_config +
                    " are no pair; [networks] local of one has to be peer of the other");
  }
  SitePair pair{std::move(first), std::move(second)};
  // OpenVPN listens beside the native link: on its own port, unless told otherwise.
  pair.office.listen->port = pair.offsite.connect->port = openvpn_port;
  return pair;
}

Result<SitePair> pair_from_addresses(const OpenVpnExportOptions& options) {
  if (options.endpoint.empty()) {
    return fail(Errc::invalid,
                "the sites are missing; write --config FILE --peer-config FILE, or --endpoint "
                "ADDR:PORT --lan CIDR --peer-lan CIDR");
  }
  InitPairOptions init;
  init.endpoint = options.endpoint;
  init.lan = options.lan;
  init.peer_lan = options.peer_lan;
  init.tunnel = options.tunnel;
  init.peer_tunnel = options.peer_tunnel;
  LT_TRY(SitePair pair, plan_pair(init));
  SitePair keyed = pair;  // what is checked needs some key; OpenVPN has certificates
  keyed.office.peer_public_key.fill(1);
  keyed.offsite.peer_public_key.fill(2);
  LT_CHECK(check_pair(keyed));
  return pair;
}

Result<OpenVpnSites> sites_of(const OpenVpnExportOptions& options) {
  const bool by_configs = !options.config.empty() || !options.peer_config.empty();
  if (by_configs && !options.endpoint.empty()) {
    return fail(Errc::invalid,
                "the sites are named twice; write --config and --peer-config, or --endpoint");
  }
  LT_TRY(SitePair pair, by_configs ? pair_from_configs(options) : pair_from_addresses(options));
  if (options.port) {
    if (*options.port == 0 || *options.port > 65535) {
      return fail(Errc::invalid,
                  "--port: " + std::to_string(*options.port) + " is not a port; write 1 to 65535");
    }
    pair.office.listen->port = pair.offsite.connect->port =
        static_cast<std::uint16_t>(*options.port);
  }
  const auto site_of = [](const configs::LinkConfig& config, const Endpoint& endpoint) {
    OpenVpnSite site;
    site.name = config.site;
    site.tunnel_addresses = config.tunnel_addresses;
    site.local_prefixes = config.local_prefixes;
    site.endpoint = endpoint;
    return site;
  };
  return OpenVpnSites{site_of(pair.office, *pair.office.listen),
                      site_of(pair.offsite, *pair.offsite.connect)};
}

Result<OpenVpnKnobs> knobs_of(const OpenVpnExportOptions& options) {
  OpenVpnKnobs knobs = options.recipe ? OpenVpnKnobs::owner_recipe() : OpenVpnKnobs{};
  for (const auto& [name, text] : options.knobs)
    LT_CHECK(configs::set_knob(knobs, name, text));
  LT_CHECK(configs::validate(knobs));
  return knobs;
}

/// The versions the files are for, and why they cannot be run here, if they cannot.
struct Target {
  OpenVpnVersion server;
  OpenVpnVersion client;
  std::string unchecked_because;
};

bool is_like(const OpenVpnVersion& a, const OpenVpnVersion& b) {
  return a.major == b.major && a.minor == b.minor;
}

// What a sweep found at this site; else what it found where it ran; else nothing.
std::string found_version(const OpenVpnExportOptions& options, const std::string& site) {
  std::string found;
  for (const auto& [name, version] : options.found_versions) {
    if (name == site) return version;
    if (name.empty()) found = version;
  }
  return found;
}

Result<OpenVpnVersion> version_for(const OpenVpnExportOptions& options, const std::string& site,
                                   const Result<OpenVpnVersion>& installed) {
  const bool is_asked = !options.target_version.empty();
  const std::string text = is_asked ? options.target_version : found_version(options, site);
  if (text.empty()) return installed;
  auto parsed = configs::parse_openvpn_version("OpenVPN " + text);
  if (parsed) return parsed;
  return fail(Errc::invalid, std::string(is_asked ? "--target-version" : "the sweep's result") + ": `" +
                                 printable(text, 40) + "` is no version; write 2.6.14");
}

Result<Target> target_of(const OpenVpnExportOptions& options, const OpenVpnSites& sites) {
  const auto installed = installed_openvpn_version();
  Target target;
  LT_TRY(target.server, version_for(options, sites.server.name, installed));
  LT_TRY(target.client, version_for(options, sites.client.name, installed));
  const bool is_same =
      installed && is_like(*installed, target.server) && is_like(*installed, target.client);
  if (!options.check) {
    target.unchecked_because = "it was not asked for";
  } else if (!is_same) {
    const std::string both = target.server == target.client
                                 ? target.server.text()
                                 : target.server.text() + " and " + target.client.text();
    target.unchecked_because =
        "the files are for OpenVPN " + both + ", and " +
        (installed ? "version " + installed->text() + " is installed" : "none is installed");
  }
  return target;
}

// Each end's file for its own version.
Result<OpenVpnPair> pair_for(const OpenVpnSites& sites, const OpenVpnKnobs& knobs, const Target& target) {
  LT_TRY(OpenVpnPair pair, configs::write_openvpn_pair(sites.server, sites.client, knobs, target.server));
  if (target.client == target.server) return pair;
  LT_TRY(OpenVpnPair other, configs::write_openvpn_pair(sites.server, sites.client, knobs, target.client));
  pair.client = std::move(other.client);
  return pair;
}

Result<std::string> make_folder_path(const std::string& folder) {
  std::error_code error;
  const auto path = std::filesystem::absolute(folder, error).lexically_normal();
  if (error) return fail(Errc::invalid, "--out: " + folder + " cannot be a folder");
  std::string text = path.string();
  while (text.size() > 1 && text.back() == '/')
    text.pop_back();
  return text;
}

}  // namespace

Result<OpenVpnVersion> installed_openvpn_version() {
  if (!find_program("openvpn")) return fail(Errc::not_found, std::string(how_to_install));
  LT_TRY(const ProcessOutput output,
         run_process({"openvpn", "--version"}));  // its exit code is 1 before 2.6
  return configs::parse_openvpn_version(output.out);
}

Status give_openvpn_keys(OpenVpnSites& sites, unsigned days, bool with_tls_crypt) {
  for (OpenVpnSite* site : {&sites.server, &sites.client}) {
    LT_TRY(auto made, crypto::make_self_signed(site->name, days));
    site->certificate = std::move(made.certificate);
    site->private_key = std::move(made.private_key);
    site->fingerprint = std::move(made.fingerprint_sha256);
  }
  if (!with_tls_crypt) return {};
  if (!find_program("openvpn")) return fail(Errc::not_found, std::string(how_to_install));
  LT_TRY(sites.server.tls_crypt_v2, run_checked({"openvpn", "--genkey", "tls-crypt-v2-server"}));
  LT_TRY(const MemoryFile key, MemoryFile::create(*sites.server.tls_crypt_v2));
  LT_TRY(sites.client.tls_crypt_v2,
         run_checked({"openvpn", "--tls-crypt-v2", key.path(), "--genkey", "tls-crypt-v2-client"}));
  return {};
}

Status check_openvpn_pair(const OpenVpnPair& pair, const OpenVpnSites& sites,
                          const OpenVpnKnobs& knobs, milliseconds deadline) {
  if (::geteuid() != 0) {
    return fail(Errc::not_permitted,
                "running the pair in network namespaces needs root; use sudo, or --no-check");
  }
  if (!find_program("openvpn")) return fail(Errc::not_found, std::string(how_to_install));
  if (::access("/dev/net/tun", R_OK | W_OK) != 0) {
    return fail(Errc::not_found,
                "/dev/net/tun is missing; run modprobe tun, or give the container this device");
  }
  return PairCheck(pair, sites, knobs, std::chrono::steady_clock::now() + deadline).run();
}

Result<OpenVpnExportReport> export_openvpn(const OpenVpnExportOptions& options) {
  if (options.out.empty()) return fail(Errc::invalid, "--out: there is no folder; write --out DIR");
  LT_TRY(const std::string out, make_folder_path(options.out));
  LT_TRY(OpenVpnSites sites, sites_of(options));
  LT_TRY(const OpenVpnKnobs knobs, knobs_of(options));
  LT_TRY(const Target target, target_of(options, sites));
  const bool needs_folder = knobs.mode == configs::OpenVpnMode::server;
  if (needs_folder) {
    const std::string install_dir = options.install_dir.empty() ? out : options.install_dir;
    sites.server.client_config_dir = install_dir + "/ccd";
  }
  const std::string server_path = out + "/server.conf";
  const std::string client_path = out + "/client.conf";
  const std::string ccd_path = out + "/ccd/" + sites.client.name;
  LT_CHECK(NewFiles::refuse_existing({server_path, client_path, ccd_path}));

  LT_CHECK(give_openvpn_keys(sites, options.days, options.tls_crypt));
  LT_TRY(const OpenVpnPair pair, pair_for(sites, knobs, target));
  if (target.unchecked_because.empty()) LT_CHECK(check_openvpn_pair(pair, sites, knobs));

  OpenVpnExportReport report{{server_path, client_path},
                             target.server,
                             target.client,
                             knobs,
                             options.basis,
                             target.unchecked_because.empty(),
                             target.unchecked_because};
  NewFiles made;
  LT_CHECK(made.add_folder(out));
  LT_CHECK(made.add_file(server_path, pair.server, secret_mode));
  LT_CHECK(made.add_file(client_path, pair.client, secret_mode));
  if (pair.client_config) {
    LT_CHECK(made.add_folder(out + "/ccd"));
    LT_CHECK(made.add_file(ccd_path, *pair.client_config, secret_mode));
    report.files.push_back(ccd_path);
  }
  made.keep();
  return report;
}

std::string export_text(const OpenVpnExportReport& report) {
  const bool is_mixed = report.version != report.client_version;
  std::string text = "An OpenVPN " + report.version.text() +
                     (is_mixed ? " server with a " + report.client_version.text() + " client" : " pair") +
                     " is ready.\n";
  if (!report.basis.empty()) text += "Settings: " + report.basis + "\n";
  for (const std::string& file : report.files)
    text += "  " + file + "\n";
  for (const auto& [name, value] : configs::describe_changes(report.knobs))
    text += "  " + name + " = " + value + "\n";
  if (report.is_checked) {
    text +=
        "Checked: both files ran in network namespaces of their own, and full-size packets went "
        "both ways.\n";
  } else {
    text += "Not checked: " + report.unchecked_because + ".\n";
  }
  text +=
      "Move client.conf to the other machine by a safe way (mode 0600), then on each:\n  openvpn "
      "--config FILE\n";
  return text;
}

Json export_json(const OpenVpnExportReport& report) {
  Json knobs = Json::object();
  for (const auto& [name, value] : configs::describe(report.knobs))
    knobs[name] = value;
  return {{"schema", "linktune.openvpn_export.1"}, {"files", report.files},
          {"version", report.version.text()},      {"knobs", knobs},
          {"client_version", report.client_version.text()}, {"basis", report.basis},
          {"checked", report.is_checked},          {"unchecked_because", report.unchecked_because}};
}

}  // namespace lt::app
