// Two sites and the wire between their TLS channels, all in memory.
#pragma once

#include <catch2/catch.hpp>
#include <functional>

#include "crypto/tls_channel.h"
#include "tests/crypto/plain_openssl.h"

namespace lt::test {

struct Site {
  crypto::Identity identity;
  crypto::TlsContext context;

  [[nodiscard]] const crypto::PublicKey& key() const { return identity.public_key(); }
  [[nodiscard]] crypto::TlsChannel channel(crypto::Role role, const crypto::PublicKey& peer) const {
    auto channel = crypto::TlsChannel::create(context, {.role = role, .peer_key = peer});
    REQUIRE(channel);
    return std::move(*channel);
  }
};

inline Site make_site() {
  auto identity = crypto::Identity::generate();
  REQUIRE(identity);
  auto context = crypto::TlsContext::create(*identity);
  REQUIRE(context);
  return {std::move(*identity), std::move(*context)};
}

/// The two sites of most tests; made once, since they are never changed.
inline const Site& office() {
  static const Site site = make_site();
  return site;
}
inline const Site& offsite() {
  static const Site site = make_site();
  return site;
}

/// office is the client, offsite the server, and they know each other.
struct Pair {
  crypto::TlsChannel client = office().channel(crypto::Role::client, offsite().key());
  crypto::TlsChannel server = offsite().channel(crypto::Role::server, office().key());
};

/// How far one end came.
struct End {
  bool is_complete{false};
  std::string error;  // empty: none
  std::optional<Errc> code;

  void take(const Result<bool>& result) {
    if (result) {
      is_complete = *result;
    } else {
      is_complete = false;
      error = result.error().text();
      code = result.error().code;
    }
  }
};

struct Outcome {
  End client;
  End server;
  std::size_t to_server_bytes{0};
  std::size_t to_client_bytes{0};
};

/// May change what is on the wire; `at` is the position of its first byte in that direction.
using Tamper = std::function<void(crypto::Role to, std::size_t at, std::vector<Byte>& bytes)>;

/// Runs both ends until neither has anything to say. An end that failed still gets its alert out.
inline Outcome shake_hands(crypto::TlsChannel& client, crypto::TlsChannel& server,
                           const Tamper& tamper = {}) {
  Outcome outcome;
  const auto step = [&](crypto::TlsChannel& from, End& end, crypto::TlsChannel& to,
                        crypto::Role role, std::size_t& count) {
    if (!end.is_complete && end.error.empty()) end.take(from.handshake());
    std::vector<Byte> bytes = from.take_output();
    if (tamper) tamper(role, count, bytes);
    count += bytes.size();
    const Status ignored = to.feed(bytes);  // an end that has failed takes no more
    static_cast<void>(ignored);
    return !bytes.empty();
  };
  for (bool moved = true; moved;) {
    moved = step(client, outcome.client, server, crypto::Role::server, outcome.to_server_bytes);
    moved |= step(server, outcome.server, client, crypto::Role::client, outcome.to_client_bytes);
  }
  return outcome;
}

/// The same against somebody else's TLS.
struct StrangeOutcome {
  End ours;
  bool is_theirs_complete{false};
};

inline StrangeOutcome shake_hands(crypto::TlsChannel& ours, PlainTls& theirs) {
  StrangeOutcome outcome;
  for (bool moved = true; moved;) {
    if (!outcome.ours.is_complete && outcome.ours.error.empty())
      outcome.ours.take(ours.handshake());
    const auto to_them = ours.take_output();
    theirs.feed(to_them);
    if (!outcome.is_theirs_complete && theirs.failure().empty()) {
      outcome.is_theirs_complete = theirs.handshake();
    }
    const auto to_us = theirs.take_output();
    const Status ignored = ours.feed(to_us);
    static_cast<void>(ignored);
    moved = !to_them.empty() || !to_us.empty();
  }
  return outcome;
}

inline void carry(crypto::TlsChannel& from, crypto::TlsChannel& to) {
  REQUIRE(to.feed(from.take_output()));
}

}  // namespace lt::test
