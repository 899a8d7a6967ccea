// The stream of the scripted ZFS: packages, one a snapshot, each bounded, summed and resumable at any byte.
//
//   "LTSCRIPTED1\n", then for each snapshot: length of header (4 bytes), header (JSON), package; then a zero length.
// A package is the same bytes whenever it is made from the same two snapshots, so a token needs only an offset.
#pragma once

#include <functional>
#include <string>

#include "tests/mirror/scripted_store.h"

namespace lt::mirror::testing {

/// Where bytes go to or come from; may fail, stall or slow down by what the site's faults say.
using Put = std::function<void(std::string_view)>;
using Take = std::function<bool(char* to, std::size_t count)>;  // false: the stream has ended before

inline constexpr std::string_view stream_magic = "LTSCRIPTED1\n";

/// The package from `before` (empty: a full one) to `after`, its length, and its bytes from `offset` on.
[[nodiscard]] std::uint64_t package_bytes(const std::filesystem::path& before, const std::filesystem::path& after);
void put_package(const std::filesystem::path& before, const std::filesystem::path& after, std::uint64_t offset, const Put& put);

/// Applies a whole package to the folder of a dataset. @throws Refusal "invalid stream (checksum mismatch)"
void apply_package(const std::filesystem::path& spool, bool is_full, const std::filesystem::path& folder);

/// A token holds what is needed to go on; letters of [0-9a-f-] only, as OpenZFS's.
[[nodiscard]] std::string token_of(const Json& content);
/// @throws Refusal "resume token is corrupt"
[[nodiscard]] Json token_content(const std::string& token);

}  // namespace lt::mirror::testing
