// Theory of operation: the text is scanned for what TOML lets pass and we do not (byte order mark,
// tabs); toml++ makes a tree of it; the tree is held against `schema`, value by value; what came
// out is judged by faults_of(). Each step adds findings with a position; a key that has one already
// gets no second, consequential one.
#include "configs/toml_reader.h"

#include <algorithm>
#include <map>
#include <set>
#include <vector>

#include "base/fd.h"
#include "base/text.h"
#include "configs/knob.h"
#include "configs/toml_door.h"

namespace lt::configs {

namespace {

using Position = TomlPosition;

struct Section {
  std::string_view name;  // empty: above the first section
  std::vector<std::string> keys;
};

std::vector<Section> schema() {
  std::vector<Section> sections{{"", {"site"}},
                                {"identity", {"key", "public_key", "peer_public_key", "psk"}},
                                {"link", {"listen", "connect", "device"}},
                                {"tunnel", {"addresses"}},
                                {"networks", {"local", "peer"}},
                                {"sweep", {"allow", "agent_port", "trial_port", "device", "address", "peer_address"}},
                                {"native", {}}};
  for (const Knob& knob : knobs(Carrier::native))
    sections.back().keys.emplace_back(knob.key());
  return sections;
}

std::string place_of(const Section& section) {
  return section.name.empty() ? "above the first section"
                              : "below [" + std::string(section.name) + "]";
}

std::string quoted(std::string_view text) {
  return "`" + printable(text, 80) + "`";
}

std::string joined(std::string_view section, std::string_view key) {
  return section.empty() ? std::string(key) : std::string(section) + "." + std::string(key);
}

/// Why `text` is not HOST:PORT; the cure differs from case to case.
std::string endpoint_fault(std::string_view text) {
  const auto colon = text.rfind(':');
  if (colon == std::string_view::npos)
    return quoted(text) + " has no port; write ADDRESS:PORT, such as \"192.0.2.1:5198\"";
  const std::string_view port = text.substr(colon + 1);
  const auto number = parse_u64(port);
  const bool bare_v6 = IpAddress::parse(text).has_value();
  if (bare_v6)
    return quoted(text) +
           " has no port; write an IPv6 address in brackets, such as \"[2001:db8::1]:5198\"";
  if (!number || *number == 0 || *number > 65535)
    return quoted(port) + " is not a port; write a number from 1 to 65535";
  if (colon == 0)
    return quoted(text) + " has no host; write ADDRESS:PORT, such as \"192.0.2.1:5198\"";
  return quoted(text) +
         " is not ADDRESS:PORT; write an IPv6 address in brackets, such as \"[2001:db8::1]:5198\"";
}

std::string prefix_fault(std::string_view text) {
  const auto slash = text.find('/');
  if (slash == std::string_view::npos)
    return quoted(text) + " has no prefix length; write ADDRESS/LENGTH, such as 10.1.0.0/16";
  const auto address = IpAddress::parse(text.substr(0, slash));
  if (!address)
    return quoted(text.substr(0, slash)) +
           " is not an address; write ADDRESS/LENGTH, such as 10.1.0.0/16";
  return quoted(text.substr(slash + 1)) + " is not a prefix length; write a number from 0 to " +
         std::to_string(address->bit_length());
}

class ConfigReader {
 public:
  explicit ConfigReader(std::string path) : path_(std::move(path)) {}

  Result<LinkConfig> read(std::string_view text) {
    for (TomlFinding& finding : scan_toml(text, SectionLists::refused))
      add(finding.at, std::move(finding.what));
    if (!findings_.empty()) return refuse();
    try {
      root_ = toml::parse(text, path_);
    } catch (const toml::parse_error& error) {
      add(position_of(error.source()), syntax_fault(error.description()));
      return refuse();
    } catch (const ParserGaveUp&) {
      add(Position{}, "this cannot be read as TOML; compare it with what `linktune init` writes");
      return refuse();
    }
    check_names();
    read_values();
    judge();
    if (!findings_.empty()) return refuse();
    return std::move(config_);
  }

 private:
  // --- findings ---

  void add(Position position, std::string what) { findings_.emplace(position, std::move(what)); }

  void add(const std::string& key, Position position, std::string what) {
    reported_.insert(key);
    add(position, std::move(what));
  }

  tl::unexpected<Error> refuse() const {
    std::vector<std::string> lines;
    for (const auto& [position, what] : findings_) {
      lines.push_back(path_ + ":" + std::to_string(position.line) + ":" +
                      std::to_string(position.column) + ": " + what);
    }
    return fail(Errc::invalid, join(lines, "\n"));
  }

  // --- names ---

  void check_names() {
    for (const auto& [key, node] : root_) {
      const Section* section = find_section(key.str());
      if (section != nullptr && node.is_table()) {
        sections_[std::string(key.str())] = position_of(node.source());
        check_keys(*section, *node.as_table());
      } else if (section != nullptr) {
        add(std::string(key.str()), position_of(key.source()),
            quoted(key.str()) + " is a section; write [" + std::string(key.str()) +
                "] and its keys below");
      } else if (node.is_table() && !is_known_key(schema_.front(), key.str())) {
        add(position_of(node.source()), unknown_section(key.str()));
      } else if (!is_known_key(schema_.front(), key.str())) {
        add(position_of(key.source()), unknown_key(schema_.front(), key.str()));
      }
    }
  }

  void check_keys(const Section& section, const toml::table& table) {
    for (const auto& [key, node] : table) {
      if (!is_known_key(section, key.str()))
        add(position_of(key.source()), unknown_key(section, key.str()));
    }
  }

  const Section* find_section(std::string_view name) const {
    const auto found = std::find_if(schema_.begin(), schema_.end(), [&](const Section& section) {
      return !section.name.empty() && section.name == name;
    });
    return found == schema_.end() ? nullptr : &*found;
  }

  static bool is_known_key(const Section& section, std::string_view key) {
    return std::find(section.keys.begin(), section.keys.end(), key) != section.keys.end();
  }

  // A key that was meant counts as reported: that it is missing now is no second fault.
  std::string unknown_section(std::string_view name) {
    std::vector<std::string> names;
    for (const Section& section : schema_) {
      if (!section.name.empty()) names.emplace_back(section.name);
    }
    const auto meant = nearest(name, names);
    const std::string what = "there is no section " + quoted(name);
    if (!meant) return what + "; the sections are " + join(names, ", ");
    reported_.insert(*meant);
    return what + "; did you mean [" + *meant + "]?";
  }

  std::string unknown_key(const Section& section, std::string_view key) {
    for (const Section& other : schema_) {
      if (!is_known_key(other, key)) continue;
      reported_.insert(joined(other.name, key));
      return quoted(key) + " is in the wrong place; write it " + place_of(other);
    }
    const std::string what = "there is no key " + quoted(key) + " " + place_of(section);
    if (const auto meant = nearest(key, section.keys)) {
      reported_.insert(joined(section.name, *meant));
      return what + "; did you mean `" + *meant + "`?";
    }
    return what + "; the keys there are " + join(section.keys, ", ");
  }

  // --- values ---

  const toml::node* find(std::string_view section, std::string_view key) {
    const toml::table* table = section.empty() ? &root_ : root_[section].as_table();
    const toml::node* node = table == nullptr ? nullptr : table->get(key);
    if (node != nullptr) positions_[joined(section, key)] = position_of(node->source());
    return node;
  }

  std::optional<std::string> text_at(std::string_view section, std::string_view key) {
    const toml::node* node = find(section, key);
    if (node == nullptr) return std::nullopt;
    if (const auto* text = node->as_string()) return text->get();
    add(joined(section, key), position_of(node->source()),
        quoted(key) + " takes text; write it in quotes");
    return std::nullopt;
  }

  void read_path(std::string_view key, std::string& target) {
    const auto text = text_at("identity", key);
    if (text) target = text->empty() || text->front() == '/' ? *text : folder() + *text;
  }

  std::string folder() const {
    const auto slash = path_.rfind('/');
    return slash == std::string::npos ? "" : path_.substr(0, slash + 1);
  }

  std::optional<std::array<Byte, 32>> public_key_at(std::string_view key) {
    const auto text = text_at("identity", key);
    if (!text) return std::nullopt;
    auto parsed = parse_public_key(*text);
    if (parsed) return *parsed;
    const std::string full = joined("identity", key);
    add(full, positions_[full], parsed.error().what);
    return std::nullopt;
  }

  std::optional<Endpoint> endpoint_at(std::string_view key) {
    const auto text = text_at("link", key);
    if (!text) return std::nullopt;
    auto endpoint = Endpoint::parse(*text);
    const std::string full = joined("link", key);
    if (!endpoint) add(full, positions_[full], endpoint_fault(*text));
    return endpoint;
  }

  std::vector<Prefix> prefixes_at(std::string_view section, std::string_view key) {
    const toml::node* node = find(section, key);
    if (node == nullptr) return {};
    const std::string full = joined(section, key);
    const toml::array* array = node->as_array();
    if (array == nullptr) {
      add(full, position_of(node->source()),
          quoted(key) + " takes a list; write [\"10.1.0.0/16\"]");
      return {};
    }
    std::vector<Prefix> prefixes;
    for (const toml::node& element : *array) {
      const Position at = position_of(element.source());
      const auto* text = element.as_string();
      const auto prefix = text == nullptr ? std::nullopt : Prefix::parse(text->get());
      if (text == nullptr) {
        add(full, at, quoted(key) + " takes a list of texts; write [\"10.1.0.0/16\"]");
      } else if (!prefix) {
        add(full, at, prefix_fault(text->get()));
      } else {
        positions_[full + "[" + std::to_string(prefixes.size()) + "]"] = at;
        prefixes.push_back(*prefix);
      }
    }
    return prefixes;
  }

  void read_values() {
    if (const auto site = text_at("", "site")) config_.site = *site;
    read_path("key", config_.key_path);
    if (find("identity", "psk") != nullptr) read_path("psk", config_.psk_path.emplace());
    config_.public_key = public_key_at("public_key");
    if (const auto key = public_key_at("peer_public_key")) config_.peer_public_key = *key;
    config_.listen = endpoint_at("listen");
    config_.connect = endpoint_at("connect");
    if (const auto device = text_at("link", "device")) config_.device = *device;
    config_.tunnel_addresses = prefixes_at("tunnel", "addresses");
    config_.local_prefixes = prefixes_at("networks", "local");
    config_.peer_prefixes = prefixes_at("networks", "peer");
    for (const Knob& knob : knobs(Carrier::native))
      read_knob(knob);
    read_sweep();
  }

  void read_sweep() {
    SweepConfig& sweep = config_.sweep;
    if (const toml::node* node = find("sweep", "allow")) {
      if (const auto* allow = node->as_boolean()) sweep.allow = allow->get();
      else add("sweep.allow", position_of(node->source()), "`allow` takes no such value; write true or false, without quotes");
    }
    if (const auto port = port_at("agent_port")) sweep.port = *port;
    if (const auto port = port_at("trial_port")) sweep.trial_port = *port;
    if (const auto device = text_at("sweep", "device")) sweep.device = *device;
    if (const auto text = text_at("sweep", "address")) {
      sweep.address = Prefix::parse(*text);
      if (!sweep.address) add("sweep.address", positions_["sweep.address"], prefix_fault(*text));
    }
    if (const auto text = text_at("sweep", "peer_address")) {
      sweep.peer_address = IpAddress::parse(*text);
      if (!sweep.peer_address) {
        add("sweep.peer_address", positions_["sweep.peer_address"], quoted(*text) + " is not an address; write the other site's in the tunnel, such as \"10.77.0.2\"");
      }
    }
  }

  std::optional<std::uint16_t> port_at(std::string_view key) {
    const toml::node* node = find("sweep", key);
    if (node == nullptr) return std::nullopt;
    const auto* number = node->as_integer();
    if (number != nullptr && number->get() >= 1 && number->get() <= 65535) return static_cast<std::uint16_t>(number->get());
    add(joined("sweep", key), position_of(node->source()), quoted(key) + " takes a port; write a number from 1 to 65535, without quotes");
    return std::nullopt;
  }

  void read_knob(const Knob& knob) {
    const toml::node* node = find("native", knob.key());
    if (node == nullptr) return;
    const auto text = knob_text(knob, *node);
    const Status status = text ? set_knob(config_.knobs, knob.name, *text)
                               : Status(fail(Errc::invalid, type_fault(knob)));
    if (!status) add(std::string(knob.name), position_of(node->source()), status.error().what);
  }

  // The value as set_knob takes it; nothing when TOML's type is not the knob's.
  static std::optional<std::string> knob_text(const Knob& knob, const toml::node& node) {
    const bool is_number = knob.type == KnobType::integer || knob.type == KnobType::bytes ||
                           knob.type == KnobType::packets;
    if (const auto* integer = node.as_integer()) {
      return is_number ? std::optional(std::to_string(integer->get())) : std::nullopt;
    }
    if (const auto* toggle = node.as_boolean()) {
      return knob.type == KnobType::toggle
                 ? std::optional<std::string>(toggle->get() ? "on" : "off")
                 : std::nullopt;
    }
    const auto* text = node.as_string();
    const bool takes_text = knob.type == KnobType::bytes || knob.type == KnobType::choice ||
                            knob.type == KnobType::name;
    return text != nullptr && takes_text ? std::optional(text->get()) : std::nullopt;
  }

  static std::string type_fault(const Knob& knob) {
    const std::string name = quoted(knob.name);
    switch (knob.type) {
      case KnobType::integer:
      case KnobType::packets:
        return name + " takes a whole number without quotes; write " + range_text(knob);
      case KnobType::bytes:
        return name + " takes bytes, or a text such as \"256KiB\"; write " + range_text(knob);
      case KnobType::toggle:
        return name + " takes no such value; write true or false, without quotes";
      case KnobType::choice:
      case KnobType::name:
        return name + " takes text in quotes; write " + range_text(knob);
    }
    return name;
  }

  // --- the whole ---

  void judge() {
    for (const Fault& fault : faults_of(config_)) {
      if (!is_reported(fault.key)) add(position_at(fault.key), fault.what);
    }
  }

  bool is_reported(const std::string& key) const {
    const bool is_either =
        key == "link" && (reported_.contains("link.listen") || reported_.contains("link.connect"));
    return is_either || reported_.contains(key) ||
           reported_.contains(key.substr(0, key.find('['))) ||
           reported_.contains(key.substr(0, key.find('.')));
  }

  // Where the key stands; else where its list, then its section begins; else the first line.
  Position position_at(const std::string& key) const {
    for (const std::string& place : {key, key.substr(0, key.find('['))}) {
      if (const auto found = positions_.find(place); found != positions_.end())
        return found->second;
    }
    const auto section = sections_.find(key.substr(0, key.find('.')));
    return section == sections_.end() ? Position{} : section->second;
  }

  const std::string path_;
  const std::vector<Section> schema_ = schema();
  toml::table root_;
  LinkConfig config_;
  std::multimap<Position, std::string> findings_;
  std::set<std::string> reported_;             // keys that have a finding
  std::map<std::string, Position> positions_;  // of the values that are there
  std::map<std::string, Position> sections_;
};

}  // namespace

Result<LinkConfig> load_link_config(const std::string& path) {
  LT_TRY(const std::string text, read_file(path, config_bytes_max));
  return parse_link_config(text, path);
}

Result<LinkConfig> parse_link_config(std::string_view text, const std::string& path) {
  if (text.size() > config_bytes_max) {
    return fail(Errc::invalid, path + ":1:1: the file is larger than " +
                                   std::to_string(config_bytes_max) +
                                   " bytes; this is not a site config");
  }
  return ConfigReader(path).read(without_sections(text, mirror_section));
}

}  // namespace lt::configs
