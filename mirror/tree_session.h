// TreeSession: the files of one snapshot at one side, ready to be asked about.
//
// The server is a process of its own beside the snapshot (Side::serve_tree), and ends with this object.
#pragma once

#include <memory>
#include <string>

#include "mirror/side.h"
#include "mirror/tree_service.h"

namespace lt::mirror {

class TreeSession {
 public:
  /// @param snapshot  "tank/home@name" at that side  @param nonce  of both sessions of a comparison
  /// @error not_found: no such snapshot · what the server said last
  [[nodiscard]] static Result<TreeSession> open(Side& side, const std::string& snapshot, const Digest& nonce);
  TreeSession(TreeSession&&) noexcept;
  TreeSession& operator=(TreeSession&&) noexcept;
  ~TreeSession();

  [[nodiscard]] TreeClient& client();
  [[nodiscard]] const std::string& snapshot() const;
  /// Lets the server end, which also takes away what it had mounted. @error io: its last words
  [[nodiscard]] Status close();

 private:
  struct Inner;
  explicit TreeSession(std::unique_ptr<Inner> inner);
  std::unique_ptr<Inner> inner_;
};

}  // namespace lt::mirror
