#include "tuner/bare_segments.h"

#include "tuner/when_free.h"

namespace lt::tuner {

Result<ProbeResult> run_bare_probe(const ProbeClientOptions& client, ProbeRequest request, BareSegments& segments, const std::stop_token& stop) {
  for (;;) {
    request.segment_bytes_max = segments.bytes_max();
    auto result = when_free(stop, [&] { return run_probe(client, request, stop); });
    if (!result) return result;
    if (!result->path_failure) segments.carried();
    if (!result->is_starved || !segments.starved()) return result;
  }
}

}  // namespace lt::tuner
