#include "tests/mirror/scripted_stream.h"

#include <algorithm>
#include <array>
#include <fstream>
#include <map>

#include "base/text.h"

namespace lt::mirror::testing {

namespace fs = std::filesystem;

namespace {

constexpr std::size_t sum_bytes = 8;

// FNV-1a, 64 bits.
class Sum {
 public:
  void add(std::string_view bytes) {
    for (const char c : bytes) value_ = (value_ ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
  }
  [[nodiscard]] std::string bytes() const {
    std::string text(sum_bytes, '\0');
    for (std::size_t i = 0; i < sum_bytes; ++i) text[i] = static_cast<char>((value_ >> (8 * i)) & 0xff);
    return text;
  }

 private:
  std::uint64_t value_{0xcbf29ce484222325ULL};
};

struct Change {
  std::string line;       // its description
  std::uint64_t bytes{0};  // contents that follow
  fs::path contents;
};

std::string framed(const Json& json) {
  const std::string text = to_line(json);
  std::string line(4, '\0');
  for (std::size_t i = 0; i < 4; ++i) line[i] = static_cast<char>((text.size() >> (8 * (3 - i))) & 0xff);
  return line + text;
}

std::vector<Change> changes(const fs::path& before, const fs::path& after) {
  std::map<std::string, Entry> known;
  if (!before.empty()) {
    for (const Entry& entry : entries_of(before)) known.emplace(entry.path, entry);
  }
  std::vector<Change> list;
  std::vector<Change> removals;
  for (const Entry& entry : entries_of(after)) {
    const auto old = known.find(entry.path);
    const bool same = old != known.end() && old->second == entry;
    const bool same_kind = old != known.end() && old->second.type == entry.type;
    if (old != known.end() && same_kind) known.erase(old);
    if (same) continue;
    const bool is_file = entry.type == fs::file_type::regular;
    list.push_back({framed({{"path", entry.path}, {"type", static_cast<int>(entry.type)}, {"mode", entry.mode},
                            {"mtime", entry.mtime_ns}, {"bytes", is_file ? entry.bytes : 0}, {"target", entry.target}}),
                    is_file ? entry.bytes : 0, after / entry.path});
  }
  for (const auto& [path, entry] : known) removals.push_back({framed({{"path", path}, {"remove", true}}), 0, {}});
  removals.insert(removals.end(), list.begin(), list.end());
  return removals;
}

}  // namespace

std::uint64_t package_bytes(const fs::path& before, const fs::path& after) {
  std::uint64_t bytes = sum_bytes;
  for (const Change& change : changes(before, after)) bytes += change.line.size() + change.bytes;
  return bytes;
}

void put_package(const fs::path& before, const fs::path& after, std::uint64_t offset, const Put& put) {
  Sum sum;
  std::uint64_t at = 0;
  const auto out = [&](std::string_view bytes) {
    sum.add(bytes);
    const std::uint64_t begin = at;
    at += bytes.size();
    if (at > offset) put(begin >= offset ? bytes : bytes.substr(offset - begin));
  };
  std::vector<char> block(65536);
  for (const Change& change : changes(before, after)) {
    out(change.line);
    std::ifstream file(change.contents, std::ios::binary);
    for (std::uint64_t left = change.bytes; left > 0;) {
      const auto count = std::min<std::uint64_t>(left, block.size());
      if (!file.read(block.data(), static_cast<std::streamsize>(count))) throw Refusal{1, "cannot send: Input/output error"};
      out({block.data(), count});
      left -= count;
    }
  }
  const std::string end = sum.bytes();
  const std::uint64_t begin = at;
  if (begin + sum_bytes > offset) put(begin >= offset ? std::string_view(end) : std::string_view(end).substr(offset - begin));
}

void apply_package(const fs::path& spool, bool is_full, const fs::path& folder) {
  const Refusal broken{1, "invalid stream (checksum mismatch)"};
  const std::uint64_t length = fs::file_size(spool);
  if (length < sum_bytes) throw broken;
  std::vector<char> block(65536);
  {
    Sum sum;
    std::ifstream in(spool, std::ios::binary);
    for (std::uint64_t left = length - sum_bytes; left > 0;) {
      const auto count = std::min<std::uint64_t>(left, block.size());
      in.read(block.data(), static_cast<std::streamsize>(count));
      sum.add({block.data(), count});
      left -= count;
    }
    std::string end(sum_bytes, '\0');
    in.read(end.data(), sum_bytes);
    if (end != sum.bytes()) throw broken;
  }
  if (is_full) {
    for (const auto& item : fs::directory_iterator(folder)) {
      if (item.path().filename() != ".zfs") fs::remove_all(item.path());
    }
  }
  std::ifstream in(spool, std::ios::binary);
  std::vector<std::pair<fs::path, Entry>> made;
  for (std::uint64_t at = 0; at < length - sum_bytes;) {
    std::array<unsigned char, 4> head{};
    in.read(reinterpret_cast<char*>(head.data()), 4);
    std::string text((std::size_t{head[0]} << 24) | (std::size_t{head[1]} << 16) | (std::size_t{head[2]} << 8) | head[3], '\0');
    in.read(text.data(), static_cast<std::streamsize>(text.size()));
    auto line = parse_json(text, "stream");
    if (!line) throw broken;
    at += 4 + text.size();
    const fs::path path = folder / (*line)["path"].get<std::string>();
    if (line->contains("remove")) {
      fs::remove_all(path);
      continue;
    }
    const Entry entry{{}, static_cast<fs::file_type>((*line)["type"].get<int>()), (*line)["mode"].get<unsigned>(),
                      (*line)["mtime"].get<std::int64_t>(), (*line)["bytes"].get<std::uint64_t>(), (*line)["target"].get<std::string>()};
    if (entry.type == fs::file_type::directory) fs::create_directories(path);
    if (entry.type == fs::file_type::symlink) {
      fs::remove(path);
      fs::create_symlink(entry.target, path);
    }
    if (entry.type == fs::file_type::regular) {
      std::ofstream out(path, std::ios::binary | std::ios::trunc);
      for (std::uint64_t left = entry.bytes; left > 0;) {
        const auto count = std::min<std::uint64_t>(left, block.size());
        in.read(block.data(), static_cast<std::streamsize>(count));
        out.write(block.data(), static_cast<std::streamsize>(count));
        left -= count;
      }
      at += entry.bytes;
    }
    made.emplace_back(path, entry);
  }
  for (auto item = made.rbegin(); item != made.rend(); ++item) set_attributes(item->first, item->second);
}

std::string token_of(const Json& content) {
  constexpr std::string_view digits = "0123456789abcdef";
  const std::string text = to_line(content);
  Sum sum;
  sum.add(text);
  std::string hex;
  for (const char c : text) {
    hex += digits[static_cast<unsigned char>(c) >> 4];
    hex += digits[static_cast<unsigned char>(c) & 15];
  }
  std::string check;
  for (const char c : sum.bytes().substr(0, 4)) {
    check += digits[static_cast<unsigned char>(c) >> 4];
    check += digits[static_cast<unsigned char>(c) & 15];
  }
  return "1-" + check + "-" + std::to_string(text.size()) + "-" + hex;
}

Json token_content(const std::string& token) {
  const Refusal corrupt{1, "cannot resume send: resume token is corrupt"};
  const auto parts = split(token, '-');
  if (parts.size() != 4 || parts[3].size() % 2 != 0) throw corrupt;
  std::string text;
  for (std::size_t i = 0; i < parts[3].size(); i += 2) {
    text += static_cast<char>(std::strtoul(std::string(parts[3].substr(i, 2)).c_str(), nullptr, 16));
  }
  auto content = parse_json(text, "token");
  if (!content || token_of(*content) != token) throw corrupt;
  return std::move(*content);
}

}  // namespace lt::mirror::testing
