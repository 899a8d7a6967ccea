// Sockets of the conversations inside the tunnel: from tunnel address to tunnel address, and no other way.
#pragma once

#include <optional>
#include <string>

#include "base/fd.h"
#include "base/ip.h"
#include "base/result.h"

namespace lt::channel {

/// What is set on every one of them: no delay, little unsent in the kernel, a fixed congestion
/// control. `device` binds it to the tunnel, so that nothing leaves by another way while the tunnel
/// is away; empty: no.
/// @error not_found: the device is not there (the link is down)
[[nodiscard]] Status prepare_socket(int socket, const std::string& device);

/// A connection that has lost packets goes on under a congestion control that keeps its rate.
void bear_losses(int socket);

/// A socket on its way to `peer`. @error as connect(2)
[[nodiscard]] Result<Fd> begin_connecting(const IpAddress& own, const IpAddress& peer, std::uint16_t port,
                                          const std::string& device);
/// A listening socket on an address that need not be there yet, and may vanish and return.
[[nodiscard]] Result<Fd> listen_on(const IpAddress& own, std::uint16_t port);
/// Whom an accepted socket comes from; nothing when the kernel does not tell.
[[nodiscard]] std::optional<IpAddress> peer_of(int socket);

}  // namespace lt::channel
