#include "tuner/line_survey.h"

#include <algorithm>

#include "base/format.h"
#include "tuner/path_shape.h"
#include "tuner/probe_host.h"
#include "tuner/when_free.h"

namespace lt::tuner {

namespace {

constexpr Milliseconds idle_time{1'000};

LineWay way_of(const WayShape& shape, Family family) {
  LineWay way;
  if (shape.payload_bytes > 0) way.mtu = shape.mtu(family);
  way.carries_fragments = shape.carries_fragments();
  return way;
}

class Survey {
 public:
  Survey(const SurveyOptions& options, BareSegments& segments, const std::stop_token& stop)
      : options_(options), segments_(segments), stop_(stop) {}

  Result<Physics> run() {
    physics_.family = options_.data.family;
    physics_.cpus = cpu_count();
    LT_CHECK(shape());
    for (const Load load : {Load::up, Load::down}) {
      LT_CHECK(goodput(load, 1));
      if (options_.flows > 1) LT_CHECK(goodput(load, options_.flows));
    }
    if (const auto most = segments_.bytes_max(); most > 0) {
      physics_.notes.push_back(format(
          "the line drops TCP segments of the usual size and tells nobody: it was measured with {} bytes at most, as "
          "behind a router that clamps the MSS", most));
    }
    return std::move(physics_);
  }

 private:
  Status shape() {
    PathRequest request;
    request.data = options_.data;
    request.source = options_.source;
    const auto shape =
        when_free(stop_, [&] { return probe_path(options_.client, request, stop_); });
    if (!shape && shape.error().code == Errc::unsupported) {
      physics_.notes.push_back("path MTU and fragments are not known: " + shape.error().what);
      return {};
    }
    if (!shape) return fail(shape.error());
    if (shape->path_failure) {
      physics_.notes.push_back("path MTU and fragments are not known: " +
                               shape->path_failure->what);
      return {};
    }
    physics_.up = way_of(shape->up, physics_.family);
    physics_.down = way_of(shape->down, physics_.family);
    for (const auto& [way, name] : {std::pair{&shape->up, "up"}, std::pair{&shape->down, "down"}}) {
      if (!way->is_exact)
        physics_.notes.push_back(format("the path MTU {} may be larger than what was found", name));
      if (way->full_size.loss() > 0) {
        physics_.notes.push_back(format("{} of {} full-size packets were lost {}",
                                        way->full_size.sent - way->full_size.arrived,
                                        way->full_size.sent, name));
      }
    }
    return {};
  }

  Status goodput(Load load, unsigned flows) {
    ProbeRequest request;
    request.data = options_.data;
    request.source = options_.source;
    request.duration = options_.duration;
    request.omit = options_.omit;
    request.idle = physics_.idle.count == 0 ? idle_time : Milliseconds(0);
    request.load = load;
    request.flows = flows;
    request.congestion = options_.congestion;
    LT_TRY(const ProbeResult result, run_bare_probe(options_.client, request, segments_, stop_));
    if (result.idle.latency.count > 0) physics_.idle = result.idle.latency;
    const auto& flow = load == Load::up ? result.up : result.down;
    if (result.path_failure || !flow) {
      physics_.notes.push_back(
          format("the bare line carried no {} TCP connections {}: {}", flows, name_of(load),
                 result.path_failure ? result.path_failure->what : "nothing was measured"));
      return {};
    }
    auto& best = load == Load::up ? physics_.up.goodput : physics_.down.goodput;
    best = std::max(best.value_or(BitsPerSecond{0}), flow->goodput());
    return {};
  }

  const SurveyOptions& options_;
  BareSegments& segments_;
  const std::stop_token& stop_;
  Physics physics_;
};

}  // namespace

Result<Physics> survey_line(const SurveyOptions& options, BareSegments& segments, const std::stop_token& stop) {
  return Survey(options, segments, stop).run();
}

}  // namespace lt::tuner
