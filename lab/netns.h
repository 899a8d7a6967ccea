// Network namespaces by name, and what is done inside one: the only file that enters them.
//
// A thread of its own enters and ends there, so that no other thread of the program ever leaves its
// namespace.
#pragma once

#include <sys/types.h>

#include <functional>
#include <span>
#include <string>
#include <string_view>

#include "base/fd.h"
#include "base/process.h"
#include "base/result.h"

namespace lt::lab {

/// Where `ip netns` keeps the namespace's name.
[[nodiscard]] std::string namespace_path(const std::string& name);
[[nodiscard]] bool namespace_exists(const std::string& name);

/// Makes all of `names` with one `ip`.
/// @error not_permitted: the kernel refuses namespaces · io: one exists, or ip failed otherwise
[[nodiscard]] Status add_namespaces(std::span<const std::string> names);

/// Ends the processes inside `name` (SIGTERM, then SIGKILL after a second) and removes the name. An
/// absent one is fine. The namespace of this program is never touched, whatever name it bears.
[[nodiscard]] Status remove_namespace(const std::string& name);

/// Runs `work` in a thread inside the namespace and waits for it; signals are blocked there.
/// @error not_found: no such namespace
[[nodiscard]] Status run_inside(const std::string& name, const std::function<Status()>& work);

// What follows acts on the namespace of the calling thread: call it within run_inside().

/// Runs `ip -batch` over `lines`. @error io: with ip's last words
[[nodiscard]] Status ip_batch(const std::string& lines);
/// Writes a sysctl by its path below /proc/sys ("net/ipv4/ip_forward").
[[nodiscard]] Status set_sysctl(const std::string& path, std::string_view value);
/// A TAP device of that name; it vanishes with the descriptor (non-blocking). @error not_found: no
/// /dev/net/tun
[[nodiscard]] Result<Fd> make_tap(std::string_view device);
/// Generic receive offload on (ETHTOOL_SGRO by ioctl: the program ethtool is not needed).
[[nodiscard]] Status enable_gro(std::string_view device);

}  // namespace lt::lab
