// What a link's config must keep, apart from how it is written down (toml_reader.cc).
#include "configs/link_config.h"

#include <algorithm>

#include "base/text.h"
#include "configs/knob.h"

namespace lt::configs {

namespace {

constexpr std::string_view public_key_prefix = "ltpub-";
constexpr std::size_t site_length_max = 32;
constexpr std::size_t device_length_max = 15;  // IFNAMSIZ is 16, with the final zero
constexpr std::size_t host_length_max = 253;   // RFC 1035
constexpr std::size_t path_length_max = 4095;  // PATH_MAX, with the final zero
constexpr unsigned length_min = 8;             // of a prefix: no site owns more than a /8
constexpr std::uint32_t ipv6_mtu_min = 1280;   // RFC 8200

bool is_letter_or_digit(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

std::string quoted(std::string_view text) {
  return "`" + printable(text, 80) + "`";
}

std::string item(std::string_view key, std::size_t index) {
  return std::string(key) + "[" + std::to_string(index) + "]";
}

/// What makes an address unfit to be a site's, or empty.
std::string_view special_kind(const IpAddress& address) {
  const auto within = [&](std::string_view prefix) {
    return Prefix::parse(prefix)->contains(address);
  };
  if (within("0.0.0.0/8") || within("::/128")) return "the unspecified address";
  if (within("127.0.0.0/8") || within("::1/128")) return "a loopback address";
  if (within("224.0.0.0/4") || within("ff00::/8")) return "a multicast address";
  if (within("169.254.0.0/16") || within("fe80::/10")) return "a link-local address";
  if (within("240.0.0.0/4")) return "a reserved address";
  return {};
}

bool is_host_name(std::string_view host) {
  if (host.size() > host_length_max) return false;
  bool letters = false;
  for (const std::string_view label : split(host, '.')) {
    if (label.empty() || label.size() > 63 || label.front() == '-' || label.back() == '-')
      return false;
    for (const char c : label) {
      if (!is_letter_or_digit(c) && c != '-' && c != '_') return false;
      letters = letters || (c < '0' || c > '9');
    }
  }
  return letters;  // digits and dots only: a mistyped address, not a name
}

// One class per walk over the config: it collects, in the order of the file's keys.
class FaultFinder {
 public:
  explicit FaultFinder(const LinkConfig& config) : config_(config) {}

  std::vector<Fault> run() {
    check_site();
    check_identity();
    check_link();
    check_tunnel();
    check_networks();
    check_overlaps();
    check_knobs();
    check_sweep();
    return std::move(faults_);
  }

 private:
  void add(std::string key, std::string what) {
    faults_.push_back({std::move(key), std::move(what)});
  }

  void check_site() {
    if (config_.site.empty()) {
      add("site", "the site has no name; write site = \"office\"");
    } else if (!is_site_name(config_.site)) {
      add("site",
          quoted(config_.site) +
              " cannot name a site; write at most 32 letters, digits, dashes and underscores");
    }
  }

  void check_path(const std::string& key, const std::string& path) {
    if (path.size() > path_length_max || std::any_of(path.begin(), path.end(), [](char c) {
          return static_cast<unsigned char>(c) < ' ' || c == '\x7f';
        })) {
      add(key, quoted(path) + " cannot be a path; write the name of a file");
    }
  }

  void check_identity() {
    if (config_.key_path.empty()) {
      add("identity.key",
          "there is no private key; write key = \"SITE.key\" below [identity] and make the file "
          "with "
          "`linktune keygen`");
    }
    check_path("identity.key", config_.key_path);
    if (config_.peer_public_key == std::array<Byte, 32>{}) {
      add("identity.peer_public_key",
          "the other site's public key is missing; write peer_public_key = \"ltpub-...\" below "
          "[identity], as "
          "`linktune pubkey` prints it there");
    } else if (config_.public_key == config_.peer_public_key) {
      add("identity.peer_public_key",
          "the same public key stands for both sites; write the one that `linktune pubkey` prints "
          "at the other site");
    }
    if (!config_.psk_path) return;
    if (config_.psk_path->empty())
      add("identity.psk", "the path is empty; write the name of a file, or leave psk out");
    check_path("identity.psk", *config_.psk_path);
    if (!config_.psk_path->empty() && *config_.psk_path == config_.key_path) {
      add("identity.psk", "the private key is no pre-shared key; write the name of another file");
    }
  }

  void check_link() {
    if (config_.listen && config_.connect) {
      add("link.connect", "a site either listens or connects; remove `listen` or `connect`");
    } else if (!config_.listen && !config_.connect) {
      add("link",
          "the site neither listens nor connects; write listen = \"0.0.0.0:5198\" or connect = "
          "\"HOST:5198\" below [link]");
    }
    if (config_.listen) check_listen(*config_.listen);
    if (config_.connect) check_connect(*config_.connect);
    check_device();
  }

  void check_listen(const Endpoint& listen) {
    const auto address = IpAddress::parse(listen.host);
    if (!address) {
      add("link.listen",
          quoted(listen.host) +
              " is not a numeric address; write \"0.0.0.0:PORT\", \"[::]:PORT\" or an "
              "address of this machine");
    } else if (special_kind(*address) == "a multicast address") {
      add("link.listen",
          quoted(listen.host) + " is a multicast address; write an address of this machine");
    }
    if (listen.port == 0) add("link.listen", "port 0 is not a port; write 1 to 65535");
  }

  void check_connect(const Endpoint& connect) {
    if (connect.port == 0) add("link.connect", "port 0 is not a port; write 1 to 65535");
    const auto address = IpAddress::parse(connect.host);
    if (!address && !is_host_name(connect.host)) {
      add("link.connect",
          quoted(connect.host) + " is neither an address nor a host name; write HOST:PORT");
      return;
    }
    if (!address) return;
    const std::string_view kind = special_kind(*address);
    if (kind == "the unspecified address" || kind == "a multicast address") {
      add("link.connect", quoted(connect.host) + " is " + std::string(kind) +
                              "; write the other site's public address");
    }
  }

  static bool is_plain(const std::string& device) {
    return std::all_of(device.begin(), device.end(), [](char c) {
      return is_letter_or_digit(c) || c == '-' || c == '_' || c == '.';
    });
  }
  static bool is_device_name(const std::string& device) {
    return !device.empty() && device.size() <= device_length_max && is_plain(device) && device != "." && device != ".." &&
           device != "lo" && device != "all" && device != "default";
  }

  void check_device() {
    const std::string& device = config_.device;
    if (device.empty() || device.size() > device_length_max) {
      add("link.device",
          quoted(device) + " cannot name a device; write 1 to 15 characters, such as \"lt0\"");
    } else if (!is_device_name(device)) {
      add("link.device",
          quoted(device) +
              " cannot name a device; write letters, digits, dashes and dots, such as \"lt0\"");
    }
  }

  void check_tunnel() {
    if (config_.tunnel_addresses.empty()) {
      add("tunnel.addresses",
          "the tunnel has no address; write addresses = [\"10.77.0.1/30\"] below [tunnel]");
    }
    for (std::size_t i = 0; i < config_.tunnel_addresses.size(); ++i) {
      check_tunnel_address(item("tunnel.addresses", i), config_.tunnel_addresses[i]);
    }
  }

  void check_tunnel_address(const std::string& key, const Prefix& prefix) {
    const unsigned bits = prefix.address.bit_length();
    const std::string_view kind = special_kind(prefix.address);
    if (!kind.empty()) {
      add(key, prefix.text() + " is " + std::string(kind) +
                   "; write a private address, such as 10.77.0.1/30");
    } else if (prefix.length == bits) {
      add(key, prefix.text() +
                   " leaves no room for the other site; write a shorter prefix, such as /" +
                   std::to_string(bits - 2));
    } else if (prefix.length < length_min) {
      add(key, prefix.text() + " takes in half the world; write a longer prefix, such as /" +
                   std::to_string(bits - 2));
    } else if (prefix.length < bits - 1 && !prefix.has_host_bits()) {
      add(key, prefix.text() + " is the network itself; write an address in it");
    } else if (prefix.address.family == Family::v4 && prefix.length < 31 && is_broadcast(prefix)) {
      add(key, prefix.text() + " is the broadcast address; write another address of that network");
    }
  }

  static bool is_broadcast(const Prefix& prefix) {
    const std::uint32_t host_mask = UINT32_MAX >> prefix.length;
    return (load_be32(prefix.address.bytes.data()) & host_mask) == host_mask;
  }

  void check_networks() {
    check_list("networks.local", config_.local_prefixes);
    check_list("networks.peer", config_.peer_prefixes);
  }

  void check_list(std::string_view list, const std::vector<Prefix>& prefixes) {
    for (std::size_t i = 0; i < prefixes.size(); ++i) {
      const Prefix& prefix = prefixes[i];
      const std::string_view kind = prefix.length < length_min ? "" : special_kind(prefix.address);
      if (prefix.length < length_min) {
        add(item(list, i),
            prefix.text() + " takes in half the world; write the networks behind the site");
      } else if (prefix.has_host_bits()) {
        add(item(list, i),
            prefix.text() + " has bits set behind its length; write " + prefix.network().text());
      } else if (!kind.empty()) {
        add(item(list, i),
            prefix.text() + " is " + std::string(kind) + "; write a network of the site");
      }
    }
  }

  // --- what may not share an address ---

  struct Area {
    std::string key;
    Prefix prefix;
    bool is_routed;  // into the tunnel
  };

  // What takes in half the world is refused for that alone.
  std::vector<Area> areas() const {
    std::vector<Area> all;
    const auto append = [&](std::string_view list, const std::vector<Prefix>& prefixes,
                            bool is_routed) {
      for (std::size_t i = 0; i < prefixes.size(); ++i) {
        if (prefixes[i].length >= length_min)
          all.push_back({item(list, i), prefixes[i].network(), is_routed});
      }
    };
    append("tunnel.addresses", config_.tunnel_addresses, true);
    append("networks.local", config_.local_prefixes, false);
    append("networks.peer", config_.peer_prefixes, true);
    return all;
  }

  void check_overlaps() {
    const std::vector<Area> all = areas();
    for (std::size_t late = 0; late < all.size(); ++late) {
      for (std::size_t early = 0; early < late; ++early) {
        if (!all[late].prefix.overlaps(all[early].prefix)) continue;
        add(all[late].key, all[late].prefix.text() + " overlaps " + all[early].prefix.text() +
                               " of " + all[early].key + "; write networks that share no address");
        break;
      }
    }
    if (config_.connect) check_endpoint("link.connect", config_.connect->host, all);
    if (config_.listen) check_endpoint("link.listen", config_.listen->host, all);
  }

  void check_endpoint(const std::string& key, const std::string& host,
                      const std::vector<Area>& all) {
    const auto address = IpAddress::parse(host);
    if (!address) return;
    for (const Area& area : all) {
      if (!area.is_routed || !area.prefix.contains(*address)) continue;
      add(key, host + " lies in " + area.prefix.text() + " of " + area.key +
                   ", so the tunnel would be routed into itself; write an address outside of it");
      return;
    }
  }

  void check_knobs() {
    for (const auto& [name, text] : describe(config_.knobs)) {
      NativeKnobs ignored;
      const Status status = set_knob(ignored, name, text);
      if (!status) add("native." + name, status.error().what);
    }
    const std::vector<Area> all = areas();
    const bool any_v6 = std::any_of(all.begin(), all.end(), [](const Area& area) {
      return area.prefix.address.family == Family::v6;
    });
    if (any_v6 && config_.knobs.mtu < ipv6_mtu_min) {
      add("native.mtu",
          std::to_string(config_.knobs.mtu) + " is too small for IPv6; write 1280 or more");
    }
  }

  // --- trials ---

  void check_sweep() {
    const SweepConfig& sweep = config_.sweep;
    for (const auto& [key, port] : {std::pair{"sweep.agent_port", sweep.port}, std::pair{"sweep.trial_port", sweep.trial_port}}) {
      if (port == 0) add(key, "port 0 is not a port; write 1 to 65535");
    }
    // A link without trials may have their place; one that asks for a sweep itself finds it taken when it tries.
    if (sweep.allow && config_.listen && config_.listen->port == sweep.trial_port) {
      add("sweep.trial_port", "the link itself listens on port " + std::to_string(sweep.trial_port) +
                                  "; write another one for trials, such as 5298");
    }
    if (sweep.port == sweep.trial_port) {
      add("sweep.trial_port", "agent and trials share port " + std::to_string(sweep.port) + "; write two ports, such as 5297 and 5298");
    }
    if (!is_device_name(sweep.device) || (sweep.allow && sweep.device == config_.device)) {
      add("sweep.device", quoted(sweep.device) +
                              " cannot name the device of trials; write 1 to 15 letters and digits, unlike link.device, such as \"lttrial\"");
    }
    if (!sweep.address) return;
    if (sweep.address->address.family != Family::v4 || sweep.address->length > 30) {
      add("sweep.address", sweep.address->text() + " is no IPv4 address with room for the other site; write 10.78.0.1/24");
      return;
    }
    check_tunnel_address("sweep.address", *sweep.address);
    if (const auto address = trial_address(config_); !address) add("sweep.address", address.error().what);
  }

  const LinkConfig& config_;
  std::vector<Fault> faults_;
};

}  // namespace

bool is_site_name(std::string_view text) {
  return !text.empty() && text.size() <= site_length_max && text.front() != '-' &&
         std::all_of(text.begin(), text.end(),
                     [](char c) { return is_letter_or_digit(c) || c == '-' || c == '_'; });
}

std::vector<Fault> faults_of(const LinkConfig& config) {
  return FaultFinder(config).run();
}

Status validate(const LinkConfig& config) {
  std::vector<std::string> lines;
  for (const Fault& fault : faults_of(config))
    lines.push_back(fault.key + ": " + fault.what);
  if (lines.empty()) return {};
  return fail(Errc::invalid, join(lines, "\n"));
}

std::optional<IpAddress> peer_address(const std::vector<Prefix>& tunnel_addresses) {
  for (const Prefix& own : tunnel_addresses) {
    const unsigned bits = own.address.bit_length();
    if (own.length + 2 < bits || own.length == bits) continue;
    // Networks of four hold two hosts, 1 and 2; networks of two hold 0 and 1.
    IpAddress other = own.address;
    other.bytes[bits / 8 - 1] ^= own.length + 2 == bits ? Byte{3} : Byte{1};
    return other;
  }
  return std::nullopt;
}

Result<Prefix> trial_address(const LinkConfig& config) {
  const Prefix own = config.sweep.address.value_or(*Prefix::parse(config.listen ? "10.78.0.1/24" : "10.78.0.2/24"));
  for (const auto& list : {config.tunnel_addresses, config.local_prefixes, config.peer_prefixes}) {
    for (const Prefix& taken : list) {
      if (!taken.network().overlaps(own.network())) continue;
      return fail(Errc::invalid, own.text() + ", the address of trials, lies in " + taken.network().text() +
                                     "; write address = \"ADDRESS/24\" of a free network below [sweep], at both sites");
    }
  }
  return own;
}

Result<std::array<Byte, 32>> parse_public_key(std::string_view text) {
  constexpr std::string_view cure =
      "; write ltpub- and 44 characters, as `linktune pubkey` prints them";
  if (!text.starts_with(public_key_prefix)) {
    return fail(Errc::invalid, "this is not a public key" + std::string(cure));
  }
  const auto raw = from_base64(text.substr(public_key_prefix.size()));
  if (!raw || raw->size() != 32) {
    return fail(Errc::invalid, quoted(text) + " is not a whole public key" + std::string(cure));
  }
  std::array<Byte, 32> key{};
  std::copy(raw->begin(), raw->end(), key.begin());
  if (key == std::array<Byte, 32>{})
    return fail(Errc::invalid, "a public key of zeros is nobody's" + std::string(cure));
  return key;
}

std::string public_key_text(const std::array<Byte, 32>& key) {
  return std::string(public_key_prefix) + to_base64(key);
}

}  // namespace lt::configs
