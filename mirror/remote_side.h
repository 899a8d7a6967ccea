// RemoteSide: the other site by its agent, over the link. The path may come and go under a stream.
#pragma once

#include <stop_token>

#include "mirror/allow_list.h"
#include "mirror/remote.h"
#include "mirror/session.h"
#include "mirror/side.h"

namespace lt::mirror {

/// The name of the typed request that serves the files of a snapshot; its argument is DATASET@NAME.
inline constexpr const char* tree_request = "tree";

class RemoteSide : public Side {
 public:
  RemoteSide(RemoteOptions options, std::stop_token stop) : options_(std::move(options)), stop_(std::move(stop)) {}

  [[nodiscard]] std::string where() const override { return "at the other site"; }
  [[nodiscard]] Result<int> run(const Argv& argv, const SideStreams& streams) override;
  [[nodiscard]] Result<int> serve_tree(const std::string& snapshot, const SideStreams& streams) override;

 private:
  [[nodiscard]] Result<int> carry(const RemoteRequest& request, const SideStreams& streams);
  RemoteOptions options_;
  std::stop_token stop_;
};

/// The agent's handler of tree_request: starts `program` with the snapshot behind it, if the peer may read it.
[[nodiscard]] RequestHandler tree_handler(AllowRules rules, Argv program);

}  // namespace lt::mirror
