#include "mirror/tree_service.h"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <deque>

#include "base/text.h"

namespace lt::mirror {

namespace {

enum Kind : std::uint8_t {
  // questions
  kind_hello = 1,   // version (4 B), nonce (32 B)
  kind_hash = 2,    // two places
  kind_details = 3, // two places
  kind_read = 4,    // path, offset (8 B), count (4 B)
  kind_list = 5,    // place, count (4 B)
  kind_sample = 6,  // count (4 B), seed (8 B)
  kind_extent = 7,  // nothing
  kind_advance = 8, // place
  // answers bear the number of their question, or
  kind_error = 255, // code (1 B), a sentence
};

constexpr std::size_t remembered_ranges = 4;  // what a question for details is likely to be about
constexpr std::size_t list_entries_max = 1000;
constexpr std::size_t sentence_bytes_max = 2000;

void put_text(Writer& out, std::string_view text) { out.u32(static_cast<std::uint32_t>(text.size())).append(text); }

std::optional<std::string> text_from(Reader& in, std::size_t bytes_max) {
  const auto length = in.u32();
  if (!length || *length > bytes_max) return std::nullopt;
  const auto bytes = in.take(*length);
  return bytes ? std::optional(std::string(as_text(*bytes))) : std::nullopt;
}

void put_place(Writer& out, const TreePlace& place) {
  out.u8(place.is_end ? 1 : 0).u64(place.block);
  put_text(out, place.path);
}

std::optional<TreePlace> place_from(Reader& in) {
  const auto end = in.u8();
  const auto block = in.u64();
  auto path = text_from(in, tree_path_bytes_max);
  if (!end || *end > 1 || !block || !path) return std::nullopt;
  if (!path->empty() && !is_inside_path(*path)) return std::nullopt;
  return TreePlace{std::move(*path), *block, *end == 1};
}

void put_entry(Writer& out, const TreeEntry& entry) {
  put_text(out, entry.path);
  out.u32(entry.mode).u32(entry.owner).u32(entry.group).u64(entry.bytes).u64(static_cast<std::uint64_t>(entry.changed_ns));
  out.u64(entry.device).u32(static_cast<std::uint32_t>(entry.fault));
  put_text(out, entry.target);
  put_text(out, entry.attributes);
}

std::optional<TreeEntry> entry_from(Reader& in) {
  auto path = text_from(in, tree_path_bytes_max);
  const auto mode = in.u32();
  const auto owner = in.u32();
  const auto group = in.u32();
  const auto bytes = in.u64();
  const auto changed = in.u64();
  const auto device = in.u64();
  const auto fault = in.u32();
  auto target = text_from(in, tree_path_bytes_max);
  auto attributes = text_from(in, tree_path_bytes_max);
  if (!path || !is_inside_path(*path) || !mode || !owner || !group || !bytes || !changed || !device || !fault || !target || !attributes) return std::nullopt;
  return TreeEntry{std::move(*path), *mode, *owner, *group, *bytes, static_cast<std::int64_t>(*changed), *device, std::move(*target), std::move(*attributes), static_cast<int>(*fault)};
}

// --- messages on descriptors ---

Status write_all(int fd, ByteView bytes) {
  while (!bytes.empty()) {
    // A socket's own way tells of an end without a signal; a pipe knows only write().
    auto count = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (count < 0 && errno == ENOTSOCK) count = ::write(fd, bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return fail_errno(errno, "the other end of a verification is gone");
    bytes = bytes.subspan(static_cast<std::size_t>(count));
  }
  return {};
}

// @return false at a clean end
Result<bool> read_all(int fd, ByteSpan bytes) {
  std::size_t filled = 0;
  while (filled < bytes.size()) {
    const auto count = ::read(fd, bytes.data() + filled, bytes.size() - filled);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return fail_errno(errno, "cannot hear the other end of a verification");
    if (count == 0 && filled == 0) return false;
    if (count == 0) return fail(Errc::closed, "the other end of a verification ended within a message");
    filled += static_cast<std::size_t>(count);
  }
  return true;
}

Status write_message(int fd, std::uint8_t kind, ByteView body) {
  Writer out;
  out.u32(static_cast<std::uint32_t>(body.size() + 1)).u8(kind).append(body);
  return write_all(fd, out.view());
}

struct Message {
  std::uint8_t kind{0};
  std::vector<Byte> body;
};

Result<std::optional<Message>> read_message(int fd) {
  std::array<Byte, 5> head{};
  LT_TRY(const bool more, read_all(fd, head));
  if (!more) return std::optional<Message>();
  const std::size_t length = load_be32(head.data());
  if (length == 0 || length > tree_message_bytes_max) return fail(Errc::protocol, "the other end of a verification sent a message of an impossible length");
  Message message{head[4], std::vector<Byte>(length - 1)};
  if (!message.body.empty()) {
    LT_TRY(const bool whole, read_all(fd, message.body));
    if (!whole) return fail(Errc::closed, "the other end of a verification ended within a message");
  }
  return std::optional(std::move(message));
}

Error nonsense() { return {Errc::protocol, "the other end of a verification asked or answered what makes no sense"}; }

class Server {
 public:
  Server(Tree& tree, const HashMaker& make_hash, const RangeLimits& limits) : tree_(tree), make_hash_(make_hash), limits_(limits) {}

  // @return the answer's body @error protocol: ends the service; others are told, and it goes on
  Result<std::vector<Byte>> answer(const Message& message) {
    Reader in(message.body);
    Writer out;
    if (!hash_ && message.kind != kind_hello) return fail(nonsense());
    switch (message.kind) {
      case kind_hello: LT_CHECK(hello(in, out)); break;
      case kind_hash: LT_CHECK(hash(in, out)); break;
      case kind_advance: LT_CHECK(advance(in, out)); break;
      case kind_details: LT_CHECK(details(in, out)); break;
      case kind_read: LT_CHECK(read(in, out)); break;
      case kind_list: LT_CHECK(list(in, out)); break;
      case kind_sample: LT_CHECK(sample(in, out)); break;
      case kind_extent: {
        LT_TRY(const auto extent, tree_.extent());
        out.u64(extent.files).u64(extent.bytes);
        break;
      }
      default: return fail(nonsense());
    }
    if (in.left() != 0) return fail(nonsense());
    return out.take();
  }

 private:
  Status hello(Reader& in, Writer& out) {
    const auto version = in.u32();
    const auto nonce = in.array<32>();
    if (!version || !nonce) return fail(nonsense());
    if (*version != tree_service_version) return fail(Errc::unsupported, "the sites run different versions of linktune: bring both to the same one");
    hash_ = make_hash_(*nonce);
    out.u32(tree_service_version);
    return {};
  }
  Result<const HashedRange*> range(Reader& in) {
    auto from = place_from(in);
    auto to = place_from(in);
    if (!from || !to || compare_places(*from, *to) > 0) return fail(nonsense());
    for (const HashedRange& known : known_) {
      if (known.from == *from && known.to == *to) return &known;
    }
    LT_TRY(auto made, tree_.hash(*from, *to, limits_, hash_));
    return remember(std::move(made));
  }
  const HashedRange* remember(HashedRange made) {
    known_.push_front(std::move(made));
    if (known_.size() > remembered_ranges) known_.pop_back();
    return &known_.front();
  }
  Status advance(Reader& in, Writer& out) {
    const auto from = place_from(in);
    if (!from) return fail(nonsense());
    LT_TRY(auto made, tree_.hash(*from, std::nullopt, limits_, hash_));
    const HashedRange* const range = remember(std::move(made));
    put_place(out, range->to);
    out.append(range->digest).u64(range->entries.size()).u64(range->bytes);
    return {};
  }
  Status hash(Reader& in, Writer& out) {
    LT_TRY(const HashedRange* made, range(in));
    out.append(made->digest).u64(made->entries.size()).u64(made->bytes);
    return {};
  }
  Status details(Reader& in, Writer& out) {
    LT_TRY(const HashedRange* made, range(in));
    out.u32(static_cast<std::uint32_t>(made->entries.size()));
    for (const HashedEntry& hashed : made->entries) {
      put_entry(out, hashed.entry);
      out.u64(hashed.first_block).u32(static_cast<std::uint32_t>(hashed.blocks.size()));
      for (const Digest& digest : hashed.blocks) out.append(digest);
      if (out.view().size() >= tree_message_bytes_max) return fail(Errc::limit, "too many files differ between two places of the tree");
    }
    return {};
  }
  Status read(Reader& in, Writer& out) {
    const auto path = text_from(in, tree_path_bytes_max);
    const auto offset = in.u64();
    const auto count = in.u32();
    if (!path || !offset || *offset > (std::uint64_t{1} << 62) || !count || *count > tree_read_bytes_max) return fail(nonsense());
    LT_TRY(const auto bytes, tree_.read(*path, *offset, *count));
    out.append(bytes);
    return {};
  }
  Status list(Reader& in, Writer& out) {
    auto place = place_from(in);
    const auto count = in.u32();
    if (!place || !count || *count > list_entries_max) return fail(nonsense());
    for (std::uint32_t i = 0; i < *count; ++i) {
      LT_TRY(const auto entry, tree_.next(*place));
      if (!entry) break;
      put_entry(out, *entry);
      *place = {entry->path, std::max<std::uint64_t>(1, entry->blocks())};
    }
    return {};
  }
  Status sample(Reader& in, Writer& out) {
    const auto count = in.u32();
    const auto seed = in.u64();
    if (!count || *count > tree_sample_max || !seed) return fail(nonsense());
    LT_TRY(const auto drawn, tree_.sample(*count, *seed));
    for (const TreeEntry& entry : drawn) put_entry(out, entry);
    return {};
  }

  Tree& tree_;
  const HashMaker& make_hash_;
  const RangeLimits& limits_;
  HashFunction hash_;
  std::deque<HashedRange> known_;
};

}  // namespace

Status serve_tree(Tree& tree, int in, int out, const HashMaker& make_hash, const RangeLimits& limits) {
  Server server(tree, make_hash, limits);
  while (true) {
    LT_TRY(const auto message, read_message(in));
    if (!message) return {};
    const auto answer = server.answer(*message);
    if (answer) {
      LT_CHECK(write_message(out, message->kind, *answer));
      continue;
    }
    Writer words;
    words.u8(static_cast<std::uint8_t>(answer.error().code)).append(std::string_view(answer.error().text()).substr(0, sentence_bytes_max));
    const Status told = write_message(out, kind_error, words.view());
    if (answer.error().code == Errc::protocol) return fail(answer.error());
    LT_CHECK(told);
  }
}

Result<TreeClient> TreeClient::greet(int in, int out, const Digest& nonce) {
  TreeClient client(in, out);
  Writer hello;
  hello.u32(tree_service_version).append(nonce);
  LT_CHECK(client.ask(kind_hello, hello.view()));
  LT_TRY(const auto body, client.answer(kind_hello));
  if (body.size() != 4 || load_be32(body.data()) != tree_service_version) return fail(nonsense());
  return client;
}

Status TreeClient::ask(std::uint8_t kind, ByteView body) {
  wire_bytes_ += body.size() + 5;
  return write_message(out_, kind, body);
}

Result<std::vector<Byte>> TreeClient::answer(std::uint8_t kind) {
  LT_TRY(auto message, read_message(in_));
  if (!message) return fail(Errc::closed, "the other end of a verification has ended");
  wire_bytes_ += message->body.size() + 5;
  if (message->kind == kind) return std::move(message->body);
  if (message->kind != kind_error || message->body.empty() || message->body[0] > static_cast<Byte>(Errc::io)) return fail(nonsense());
  return fail(static_cast<Errc>(message->body[0]), printable(as_text(ByteView(message->body).subspan(1)), sentence_bytes_max));
}

Status TreeClient::ask_hash(const TreePlace& from, const TreePlace& to) {
  Writer question;
  put_place(question, from);
  put_place(question, to);
  return ask(kind_hash, question.view());
}

Result<TreeClient::RangeAnswer> TreeClient::hash_answer() {
  LT_TRY(const auto body, answer(kind_hash));
  Reader in(body);
  const auto digest = in.array<32>();
  const auto entries = in.u64();
  const auto bytes = in.u64();
  if (!digest || !entries || !bytes || in.left() != 0) return fail(nonsense());
  return RangeAnswer{*digest, *entries, *bytes};
}

Status TreeClient::ask_advance(const TreePlace& from) {
  Writer question;
  put_place(question, from);
  return ask(kind_advance, question.view());
}

Result<TreeClient::Advance> TreeClient::advance_answer() {
  LT_TRY(const auto body, answer(kind_advance));
  Reader in(body);
  auto to = place_from(in);
  const auto digest = in.array<32>();
  const auto entries = in.u64();
  const auto bytes = in.u64();
  if (!to || !digest || !entries || !bytes || in.left() != 0) return fail(nonsense());
  return Advance{std::move(*to), {*digest, *entries, *bytes}};
}

Result<std::vector<HashedEntry>> TreeClient::details(const TreePlace& from, const TreePlace& to) {
  Writer question;
  put_place(question, from);
  put_place(question, to);
  LT_CHECK(ask(kind_details, question.view()));
  LT_TRY(const auto body, answer(kind_details));
  Reader in(body);
  const auto count = in.u32();
  if (!count) return fail(nonsense());
  std::vector<HashedEntry> entries;
  for (std::uint32_t i = 0; i < *count; ++i) {
    auto entry = entry_from(in);
    const auto first = in.u64();
    const auto blocks = in.u32();
    if (!entry || !first || !blocks || in.left() / sizeof(Digest) < *blocks) return fail(nonsense());
    HashedEntry hashed{std::move(*entry), *first, {}};
    for (std::uint32_t j = 0; j < *blocks; ++j) hashed.blocks.push_back(*in.array<32>());
    entries.push_back(std::move(hashed));
  }
  if (in.left() != 0) return fail(nonsense());
  return entries;
}

Result<std::vector<Byte>> TreeClient::read(const std::string& path, std::uint64_t offset, std::size_t count) {
  Writer question;
  put_text(question, path);
  question.u64(offset).u32(static_cast<std::uint32_t>(count));
  LT_CHECK(ask(kind_read, question.view()));
  LT_TRY(auto bytes, answer(kind_read));
  if (bytes.size() > count) return fail(nonsense());
  return bytes;
}

namespace {

Result<std::vector<TreeEntry>> entries_from(ByteView body, std::size_t count_max) {
  Reader in(body);
  std::vector<TreeEntry> entries;
  while (in.left() > 0) {
    auto entry = entry_from(in);
    if (!entry || entries.size() >= count_max) return fail(nonsense());
    entries.push_back(std::move(*entry));
  }
  return entries;
}

}  // namespace

Result<std::vector<TreeEntry>> TreeClient::list(const TreePlace& place, std::size_t count) {
  Writer question;
  put_place(question, place);
  question.u32(static_cast<std::uint32_t>(std::min(count, list_entries_max)));
  LT_CHECK(ask(kind_list, question.view()));
  LT_TRY(const auto body, answer(kind_list));
  return entries_from(body, list_entries_max);
}

Result<std::vector<TreeEntry>> TreeClient::sample(std::size_t count, std::uint64_t seed) {
  Writer question;
  question.u32(static_cast<std::uint32_t>(std::min(count, tree_sample_max))).u64(seed);
  LT_CHECK(ask(kind_sample, question.view()));
  LT_TRY(const auto body, answer(kind_sample));
  return entries_from(body, tree_sample_max);
}

Result<Tree::Extent> TreeClient::extent() {
  LT_CHECK(ask(kind_extent, {}));
  LT_TRY(const auto body, answer(kind_extent));
  Reader in(body);
  const auto files = in.u64();
  const auto bytes = in.u64();
  if (!files || !bytes || in.left() != 0) return fail(nonsense());
  return Tree::Extent{*files, *bytes};
}

}  // namespace lt::mirror
