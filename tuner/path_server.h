// The server's half of taking a path's shape: answers to the words of tuner/path_shape.h.
#pragma once

#include <memory>

#include "tuner/path_end.h"

namespace lt::tuner {

class ServedPath {
 public:
  /// Opens the data port. @param said  holds `path`. @param only  the one data address allowed
  /// @error invalid · rejected: not this data address · busy, not_found: the port or the address
  [[nodiscard]] static Result<std::unique_ptr<ServedPath>> open(const Json& said,
                                                                const std::optional<IpAddress>& only);

  /// What to say first.
  [[nodiscard]] Json port() const;
  [[nodiscard]] static bool is_for_path(const Json& said);
  /// Blocks while it sends: at most path_round_max * path_gap_max.
  /// @error invalid, protocol, limit: the client breaks the rules
  [[nodiscard]] Result<Json> answer(const Json& said);

 private:
  ServedPath(Family family, std::uint64_t nonce, std::unique_ptr<PathEnd> end)
      : family_(family), nonce_(nonce), end_(std::move(end)) {}
  [[nodiscard]] Result<Json> send(const Json& wish);

  Family family_;
  std::uint64_t nonce_;
  std::unique_ptr<PathEnd> end_;
};

}  // namespace lt::tuner
