// Two folders of files as the two ends of a verification, their servers in threads of this program.
#pragma once

#include <sys/socket.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "app/scratch_folder.h"
#include "base/fd.h"
#include "base/process.h"
#include "mirror/tree_service.h"

namespace lt::mirror::testing {

/// Any function that tells texts apart will do for a test: FNV-1a four times over.
[[nodiscard]] inline HashFunction test_hash(const Digest& nonce) {
  return [nonce](ByteView bytes) {
    Digest digest{};
    for (std::size_t lane = 0; lane < 4; ++lane) {
      std::uint64_t value = 0xcbf29ce484222325ULL + lane + nonce[lane];
      for (const Byte byte : bytes) value = (value ^ byte) * 0x100000001b3ULL;
      store_be64(digest.data() + 8 * lane, value);
    }
    return digest;
  };
}

/// A server over `folder`, and its client.
class ServedFolder {
 public:
  explicit ServedFolder(const std::string& folder, const RangeLimits& limits = {}) {
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) std::abort();
    ours_ = Fd(ends[0]);
    server_ = std::jthread([folder, limits, theirs = Fd(ends[1]), this] {
      auto tree = Tree::open(folder);
      if (!tree) return;
      ended_ = serve_tree(*tree, theirs.get(), theirs.get(), test_hash, limits);
    });
    client.emplace(std::move(*TreeClient::greet(ours_.get(), ours_.get(), Digest{7})));
  }
  ~ServedFolder() { (void)end(); }
  Status end() {
    ours_.reset();
    if (server_.joinable()) server_.join();
    return ended_;
  }
  [[nodiscard]] int raw() const { return ours_.get(); }
  std::optional<TreeClient> client;

 private:
  Fd ours_;
  Status ended_;
  std::jthread server_;
};

inline void write_text(const std::string& path, const std::string& text) {
  std::filesystem::create_directories(std::filesystem::path(path).parent_path());
  std::ofstream(path, std::ios::binary) << text;
}

/// A tree with what trees have: folders, empty files, large ones, links, names that sort oddly.
inline void make_tree(const std::string& folder) {
  write_text(folder + "/a/one", "1");
  write_text(folder + "/a.b", "beside a folder whose name begins the same");
  write_text(folder + "/a/deep/er/file", std::string(300'000, 'x'));
  write_text(folder + "/empty", "");
  write_text(folder + "/large", std::string(1'000'000, 'y'));
  write_text(folder + "/\xff\xfe not UTF-8", "z");
  write_text(folder + "/.zfs/snapshot/s/old", "never told");
  std::filesystem::create_directories(folder + "/nothing in here");
  std::filesystem::create_symlink("/etc/passwd", folder + "/link");
  for (int i = 0; i < 40; ++i) write_text(folder + "/many/" + std::to_string(i), std::to_string(i));
}

/// A copy with times, as replication makes it.
inline void copy_exactly(const std::string& from, const std::string& to) {
  if (const auto copied = run_checked({"cp", "-a", from, to}); !copied) std::abort();
}

}  // namespace lt::mirror::testing
