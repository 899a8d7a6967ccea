#include "tests/sim/sim_port.h"

#include <cstring>

namespace lt::sim {

Result<std::span<const tunnel::Completion>> SimPort::wait(Instant until) {
  completions_.clear();
  work();
  // A thread may lose its processor between what the kernel did for it and its looking at that.
  if (!completions_.empty()) thread_.maybe_preempt();
  while (completions_.empty() && !is_woken_ && now() < until) {
    thread_.wait(until);
    work();
  }
  if (completions_.empty() && !is_woken_) thread_.note_idle_return();
  is_woken_ = false;
  return std::span<const tunnel::Completion>(completions_);
}

void SimPort::work() {
  for (const Packets& each : writes_) {
    const ByteView packet(static_cast<const Byte*>(each.vectors[1].iov_base), each.vectors[1].iov_len);
    completions_.push_back({each.tag, tun_.put(packet, id_)});
  }
  writes_.clear();
  if (send_) work_send();
  work_reads();
  if (receive_) {
    const int got = network_.receive(id_, side_, receive_->into);
    if (got != -EAGAIN) {
      completions_.push_back({receive_->tag, got});
      receive_.reset();
    }
  }
}

void SimPort::work_send() {
  for (Send& send = *send_; send.done < send.vectors.size();) {
    const iovec& vector = send.vectors[send.done];
    const ByteView rest(static_cast<const Byte*>(vector.iov_base) + send_offset_, vector.iov_len - send_offset_);
    const int sent = network_.send(id_, side_, rest);
    if (sent == -EAGAIN) return;
    if (sent < 0) {
      completions_.push_back({send.tag, send.bytes > 0 ? static_cast<int>(send.bytes) : sent});
      send_.reset();
      send_offset_ = 0;
      return;
    }
    send.bytes += static_cast<std::size_t>(sent);
    send_offset_ += static_cast<std::size_t>(sent);
    if (send_offset_ == vector.iov_len) {
      ++send.done;
      send_offset_ = 0;
    }
  }
  completions_.push_back({send_->tag, static_cast<int>(send_->bytes)});
  send_.reset();
}

void SimPort::work_reads() {
  while (!reads_.empty()) {
    const Packets& read = reads_.front();
    if (auto packet = tun_.take(queue_, id_)) {
      std::memcpy(read.vectors[0].iov_base, &packet->vnet, sizeof packet->vnet);
      std::memcpy(read.vectors[1].iov_base, packet->bytes.data(), packet->bytes.size());
      completions_.push_back({read.tag, static_cast<int>(sizeof packet->vnet + packet->bytes.size())});
    } else if (is_cancelling_) {
      completions_.push_back({read.tag, -ECANCELED});
    } else if (read.mode == tunnel::ReadMode::now) {
      completions_.push_back({read.tag, -EAGAIN});
    } else {
      tun_.wait_for_packet(queue_, this);
      return;
    }
    reads_.pop_front();
  }
  is_cancelling_ = false;
}

}  // namespace lt::sim
