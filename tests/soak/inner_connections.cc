#include "tests/soak/inner_connections.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "lab/netns.h"

namespace lt::soak {

namespace {

using namespace std::chrono_literals;

constexpr std::uint16_t port = 7000;
constexpr std::size_t message_bytes = 4000;  // more than a segment
constexpr auto pause = 500ms;
using Message = std::array<Byte, message_bytes>;

Message message_of(std::uint64_t number) {
  Message message;
  for (std::size_t i = 0; i < message.size(); ++i) message[i] = static_cast<Byte>(number * 131 + i * 7 + i / 251);
  return message;
}

sockaddr_in address_of(const std::string& host) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  ::inet_pton(AF_INET, host.c_str(), &address.sin_addr);
  return address;
}

}  // namespace

Result<std::unique_ptr<InnerConnections>> InnerConnections::start(const lab::Sandbox& sandbox, std::size_t count) {
  std::unique_ptr<InnerConnections> all(new InnerConnections);
  const lab::Topology& topology = sandbox.topology();
  const std::string server_host = topology.offsite.lan_host_v4.address.text();
  LT_CHECK(lab::run_inside(topology.namespace_of(lab::Host::offsite_lan), [&]() -> Status {
    all->listener_ = Fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    const sockaddr_in here = address_of("0.0.0.0");
    if (::bind(all->listener_.get(), reinterpret_cast<const sockaddr*>(&here), sizeof here) != 0 ||
        ::listen(all->listener_.get(), 256) != 0) {
      return fail_errno(errno, "cannot listen on the far LAN");
    }
    return {};
  }));
  all->server_ = std::thread([self = all.get()] { self->serve(); });
  LT_CHECK(lab::run_inside(topology.namespace_of(lab::Host::office_lan), [&]() -> Status {
    for (std::size_t i = 0; i < count; ++i) {
      auto client = std::make_unique<Client>();
      client->socket = Fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
      const sockaddr_in there = address_of(server_host);
      if (::connect(client->socket.get(), reinterpret_cast<const sockaddr*>(&there), sizeof there) != 0) {
        return fail_errno(errno, "cannot connect to the far LAN");
      }
      all->clients_.push_back(std::move(client));
    }
    return {};
  }));
  all->talker_ = std::thread([self = all.get()] { self->talk(); });
  return all;
}

InnerConnections::~InnerConnections() {
  stopping_ = true;
  if (server_.joinable()) server_.join();
  if (talker_.joinable()) talker_.join();
}

std::size_t InnerConnections::alive_since(Instant when) const {
  return static_cast<std::size_t>(std::count_if(clients_.begin(), clients_.end(), [&](const auto& client) {
    return client->answered_at.load() >= when.time_since_epoch().count();
  }));
}

std::string InnerConnections::kernel_view(const lab::Sandbox& sandbox) const {
  std::string text;
  for (const lab::Host host : {lab::Host::office_lan, lab::Host::offsite_lan}) {
    text += std::string(name_of(host)) + ":\n" + run_checked(sandbox.exec(host, {"ss", "-Htnoi"})).value_or("no ss\n");
  }
  return text;
}

// Gives back what comes.
void InnerConnections::serve() {
  std::vector<Fd> peers;
  while (!stopping_) {
    std::vector<pollfd> polled{{listener_.get(), POLLIN, 0}};
    for (const Fd& peer : peers) polled.push_back({peer.get(), POLLIN, 0});
    if (::poll(polled.data(), polled.size(), 100) <= 0) continue;
    for (std::size_t i = peers.size(); i > 0; --i) {
      if (polled[i].revents == 0) continue;
      std::array<Byte, 65536> bytes;
      const auto got = ::recv(peers[i - 1].get(), bytes.data(), bytes.size(), 0);
      if (got > 0) [[maybe_unused]] const auto sent = ::send(peers[i - 1].get(), bytes.data(), static_cast<std::size_t>(got), MSG_NOSIGNAL);
      if (got <= 0) peers.erase(peers.begin() + static_cast<std::ptrdiff_t>(i - 1));
    }
    if (polled[0].revents != 0) {
      Fd peer(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
      if (peer.is_open()) peers.push_back(std::move(peer));
    }
  }
}

void InnerConnections::talk() {
  while (!stopping_) {
    std::vector<pollfd> polled;
    for (const auto& client : clients_) polled.push_back({client->has_ended ? -1 : client->socket.get(), POLLIN, 0});
    ::poll(polled.data(), polled.size(), 50);
    const Instant now = std::chrono::steady_clock::now();
    for (std::size_t i = 0; i < clients_.size(); ++i) {
      if (polled[i].revents != 0) listen(*clients_[i], now);
      speak(*clients_[i], now);
    }
  }
}

void InnerConnections::speak(Client& client, Instant now) {
  if (client.has_ended || now < client.next_message || client.heard < client.said * message_bytes) return;
  const Message message = message_of(++client.said);
  client.next_message = now + pause;
  if (::send(client.socket.get(), message.data(), message.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(message.size())) {
    client.has_ended = true;
    ++ended_;
  }
}

void InnerConnections::listen(Client& client, Instant now) {
  Message bytes;
  const auto got = ::recv(client.socket.get(), bytes.data(), bytes.size(), MSG_DONTWAIT);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (got <= 0) {
    client.has_ended = true;
    ++ended_;
    return;
  }
  const Message wanted = message_of(client.said);
  const std::size_t at = client.heard % message_bytes;
  const std::size_t count = static_cast<std::size_t>(got);
  if (at + count > message_bytes || std::memcmp(wanted.data() + at, bytes.data(), count) != 0) ++altered_;
  client.heard += count;
  if (client.heard < client.said * message_bytes) return;
  ++answers_;
  client.answered_at = now.time_since_epoch().count();
}

}  // namespace lt::soak
