#include "mirror/rewind.h"

#include "base/text.h"

namespace lt::mirror {

Pipeline snapshot_question(const std::string& dataset) {
  // Whoever waits for the receive does not wait for this: what is wrong with the dataset, the receive says.
  return {{.argv = {"zfs", "list", "-H", "-d", "1", "-t", "snapshot", "-o", "name", "-s", "createtxg", dataset},
           .errors = OutputTo::nowhere}};
}

std::optional<Pipeline> way_back(const std::string& dataset, std::string_view answer) {
  const std::string_view newest = split(trim(answer), '\n').back();
  if (!newest.starts_with(dataset + "@")) return std::nullopt;
  return Pipeline{{.argv = {"zfs", "rollback", std::string(newest)}}};
}

}  // namespace lt::mirror
