// A name server of one answer, for daemons that are told a name: every name is the address that is set; none: silence.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <string>
#include <thread>

#include "base/bytes.h"
#include "base/fd.h"
#include "base/result.h"
#include "lab/netns.h"

namespace lt::app::test {

class NameServer {
 public:
  /// Listens at `address`, port 53, within the namespace.
  static Result<std::unique_ptr<NameServer>> start(const std::string& name_space, const std::string& address) {
    std::unique_ptr<NameServer> server(new NameServer());
    LT_CHECK(lab::run_inside(name_space, [&]() -> Status {
      server->socket_ = Fd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
      sockaddr_in local{};
      local.sin_family = AF_INET;
      local.sin_port = htons(53);
      ::inet_pton(AF_INET, address.c_str(), &local.sin_addr);
      if (::bind(server->socket_.get(), reinterpret_cast<const sockaddr*>(&local), sizeof local) != 0) return fail_errno(errno, "cannot serve names");
      return {};
    }));
    server->thread_ = std::thread([raw = server.get()] { raw->run(); });
    return server;
  }
  ~NameServer() {
    stopping_ = true;
    thread_.join();
  }
  /// 0: it says nothing.
  void answer_with(const std::string& address) {
    in_addr parsed{};
    if (!address.empty()) ::inet_pton(AF_INET, address.c_str(), &parsed);
    answer_ = parsed.s_addr;
  }
  [[nodiscard]] unsigned questions() const { return questions_; }

 private:
  void run() {
    while (!stopping_) {
      pollfd polled{socket_.get(), POLLIN, 0};
      if (::poll(&polled, 1, 20) <= 0) continue;
      std::array<Byte, 512> packet{};
      sockaddr_in from{};
      socklen_t length = sizeof from;
      const auto count = ::recvfrom(socket_.get(), packet.data(), packet.size() - 16, 0, reinterpret_cast<sockaddr*>(&from), &length);
      if (count < 17) continue;
      ++questions_;
      const std::uint32_t address = answer_;
      if (address == 0) continue;
      // RFC 1035 4.1: the question comes back, and behind it one answer whose name points to it. None for AAAA.
      std::size_t end = 12;
      while (end < static_cast<std::size_t>(count) && packet[end] != 0) end += packet[end] + std::size_t{1};
      const bool is_a = packet[end + 2] == 1;
      std::size_t size = end + 5;
      packet[2] = 0x81;
      packet[3] = 0x80;
      std::memset(&packet[6], 0, 6);
      if (is_a) {
        packet[7] = 1;
        const std::array<Byte, 12> header{0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 1, 0, 4};
        std::memcpy(&packet[size], header.data(), header.size());
        std::memcpy(&packet[size + header.size()], &address, 4);
        size += header.size() + 4;
      }
      ::sendto(socket_.get(), packet.data(), size, 0, reinterpret_cast<const sockaddr*>(&from), length);
    }
  }

  Fd socket_;
  std::atomic<std::uint32_t> answer_{0};
  std::atomic<unsigned> questions_{0};
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

}  // namespace lt::app::test
