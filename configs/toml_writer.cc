#include "configs/toml_writer.h"

#include <cctype>

#include "base/text.h"
#include "configs/knob.h"
#include "configs/toml_scan.h"

namespace lt::configs {

namespace {

/// A TOML basic string. Site, device and addresses need no escapes; a path may.
std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + '"';
}

std::string list(const std::vector<Prefix>& prefixes) {
  std::vector<std::string> texts;
  for (const Prefix& prefix : prefixes)
    texts.push_back(quoted(prefix.text()));
  return "[" + join(texts, ", ") + "]";
}

// The value of a knob as TOML spells it.
std::string knob_toml(const Knob& knob, const std::string& text) {
  switch (knob.type) {
    case KnobType::integer:
    case KnobType::packets:
      return text;
    case KnobType::toggle:
      return text == "on" ? "true" : "false";
    case KnobType::bytes:
    case KnobType::choice:
    case KnobType::name:
      return quoted(text);
  }
  return text;
}

/// The reason above a line, wrapped to `width` columns.
std::string comment(std::string_view text) {
  constexpr std::size_t width = 98;
  std::string out;
  std::string row = "#";
  for (const std::string_view word : split(text, ' ')) {
    if (row.size() + 1 + word.size() > width) {
      out += row + "\n";
      row = "#";
    }
    row += " " + std::string(word);
  }
  return out + row + "\n";
}

/// The values of a knob, in TOML's words.
std::string values_text(const Knob& knob) {
  const bool is_toggle = knob.type == KnobType::toggle;
  const std::string standard = knob_toml(knob, default_text(knob));
  return (is_toggle ? "true or false" : range_text(knob)) + "; default " + standard;
}

class Page {
 public:
  void section(std::string_view name) { text_ += "\n[" + std::string(name) + "]\n"; }
  void line(std::string_view key, const std::string& value, std::string_view why) {
    text_ += comment(why) + std::string(key) + " = " + value + "\n";
  }
  [[nodiscard]] std::string take() { return std::move(text_); }

 private:
  std::string text_;
};

void write_identity(Page& page, const LinkConfig& config) {
  page.section("identity");
  page.line("key", quoted(config.key_path),
            "This site's private key; its mode must be 0600, and it never leaves this machine.");
  if (config.public_key) {
    page.line(
        "public_key", quoted(public_key_text(*config.public_key)),
        "What the other site writes as its peer_public_key; checked against the private key.");
  }
  page.line("peer_public_key", quoted(public_key_text(config.peer_public_key)),
            "Nobody but the holder of this key is let in.");
  if (config.psk_path) {
    page.line(
        "psk", quoted(*config.psk_path),
        "A second secret, the same at both sites, against recording now and decrypting later.");
  }
}

void write_link(Page& page, const LinkConfig& config) {
  page.section("link");
  if (config.listen) {
    page.line("listen", quoted(config.listen->text()),
              "This site waits for the other one; open this TCP port in its firewall.");
  }
  if (config.connect) {
    page.line("connect", quoted(config.connect->text()),
              "This site calls the other one, and again whenever the link breaks.");
  }
  page.line("device", quoted(config.device),
            "The tun device, made at start and removed at the end.");
}

void write_knobs(Page& page, const NativeKnobs& values) {
  page.section("native");
  const KnobTexts texts = describe(values);
  const std::vector<Knob> rows = knobs(Carrier::native);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    std::string why = std::string(rows[i].why) + " (" + values_text(rows[i]) + ").";
    why.front() = static_cast<char>(std::toupper(static_cast<unsigned char>(why.front())));
    page.line(rows[i].key(), knob_toml(rows[i], texts[i].second), why);
  }
}

// Only what somebody has set: a site without trials does not have to hear of them.
void write_sweep(Page& page, const SweepConfig& sweep) {
  if (sweep == SweepConfig{}) return;
  page.section("sweep");
  page.line("allow", sweep.allow ? "true" : "false", "Whether the other site may run trials here, and apply what they find.");
  page.line("agent_port", std::to_string(sweep.port), "TCP, of `linktune sweep agent`, inside the tunnel only.");
  page.line("trial_port", std::to_string(sweep.trial_port), "TCP and UDP, of trials; open it at the site that listens.");
  page.line("device", quoted(sweep.device), "The device of a link under trial.");
  if (sweep.address) page.line("address", quoted(sweep.address->text()), "This site's own address in a link under trial.");
  if (sweep.peer_address) page.line("peer_address", quoted(sweep.peer_address->text()), "The other site's address in the tunnel.");
}

}  // namespace

std::string with_knobs(std::string_view text, const NativeKnobs& knobs) {
  const std::string others = without_sections(text, "native");
  std::string kept;
  for (const std::string_view line : split(others, '\n')) {
    const bool is_second_blank = trim(line).empty() && (kept.empty() || kept.ends_with("\n\n"));
    if (!is_second_blank) kept += std::string(line) + "\n";
  }
  Page page;
  write_knobs(page, knobs);
  return std::string(trim(kept)) + "\n" + page.take();
}

std::string write_link_config(const LinkConfig& config) {
  Page page;
  page.line("site", quoted(config.site),
            "One end of a linktune link. Start it with: linktune up --config THIS_FILE");
  write_identity(page, config);
  write_link(page, config);
  page.section("tunnel");
  page.line("addresses", list(config.tunnel_addresses),
            "This site's own address in the tunnel, with the network that both ends share.");
  page.section("networks");
  page.line("local", list(config.local_prefixes),
            "Networks behind this site; packets from anywhere else are not let into the tunnel.");
  page.line("peer", list(config.peer_prefixes),
            "Networks behind the other site; routed into the tunnel while it is up.");
  write_knobs(page, config.knobs);
  write_sweep(page, config.sweep);
  return page.take();
}

std::string write_native_changes(const NativeKnobs& values) {
  const KnobTexts changed = describe_changes(values);
  if (changed.empty()) return {};
  std::string text = "[native]\n";
  for (const auto& [name, value] : changed) {
    const auto knob = find_knob(Carrier::native, name);
    if (knob) text += std::string(knob->key()) + " = " + knob_toml(*knob, value) + "\n";
  }
  return text;
}

}  // namespace lt::configs
