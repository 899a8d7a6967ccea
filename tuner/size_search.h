// The search for the largest size that gets through: which sizes to send next, given which arrived.
// Pure: no sockets, no clock.
//
// It takes for granted that a smaller packet gets through where a larger one does, and nothing about
// loss: a size counts as too large only after `tries` datagrams of it were lost, and the end is
// confirmed by as many again.
#pragma once

#include <span>
#include <vector>

namespace lt::tuner {

class SizeSearch {
 public:
  static constexpr unsigned sizes_max = 16;  // of one batch
  // Of one batch, so that none is lost for its neighbours: what overflows a router's queue or a socket's (Linux: 208 KiB)
  // is the end of the batch, each time, and would count as too large. Two of the largest packets.
  static constexpr unsigned bytes_max = 128 * 1024;
  static constexpr unsigned tries = 4;       // datagrams lost before a size counts as too large

  /// @param smallest, largest  payloads (unit: B). @param likely  rising sizes that paths often have
  SizeSearch(unsigned smallest, unsigned largest, std::span<const unsigned> likely);

  /// The sizes to send next, rising; empty when it is over.
  [[nodiscard]] std::vector<unsigned> next() const;
  void arrived(unsigned size);
  /// The sender's own kernel refused it: no second try is needed.
  void refused(unsigned size);
  /// Sent once, and gone for as long as a packet may take.
  void lost(unsigned size);

  [[nodiscard]] bool is_over() const;
  /// 0 until anything has arrived.
  [[nodiscard]] unsigned largest_arrived() const { return arrived_; }

 private:
  [[nodiscard]] std::vector<unsigned> untried() const;

  unsigned smallest_;
  std::vector<unsigned> likely_;
  unsigned arrived_{0};    // the largest
  unsigned too_large_;     // the smallest that is known to be
  struct Doubtful {
    unsigned size;
    unsigned losses;
  };
  std::vector<Doubtful> doubtful_;  // between the two: lost, but not often enough. Rising
};

}  // namespace lt::tuner
