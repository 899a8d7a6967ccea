#include "tunnel/queue_plan.h"

#include <catch2/catch.hpp>
#include <set>

#include "tunnel/tun_device.h"

namespace lt::tunnel {
namespace {

TEST_CASE("every lane has queues of its own, and each queue of a bulk lane a slot of the steering", "[tunnel][queue-plan]") {
  for (std::size_t lanes = 1; lanes <= 15; ++lanes) {
    for (const bool has_express : {false, true}) {
      for (std::size_t wanted = 1; wanted <= flow_slots; ++wanted) {
        CAPTURE(lanes, has_express, wanted);
        const QueuePlan plan = plan_queues(lanes, has_express, wanted);
        CHECK(plan.lanes() == lanes + (has_express ? 1 : 0));
        std::set<std::uint32_t> all;
        std::size_t bulk = 0;
        for (std::size_t lane = 0; lane < plan.lanes(); ++lane) {
          const auto queues = plan.of_lane(lane);
          CHECK_FALSE(queues.empty());
          if (lane < lanes) bulk += queues.size();
          all.insert(queues.begin(), queues.end());
        }
        CHECK(all.size() == plan.total());
        CHECK(*all.rbegin() == plan.total() - 1);
        CHECK(bulk <= flow_slots);
        CHECK(bulk <= std::max(wanted, lanes));
        CHECK(plan.total() <= tun_queues_max);
      }
    }
  }
}

TEST_CASE("the express lane has one queue, which is the last", "[tunnel][queue-plan]") {
  const QueuePlan plan = plan_queues(2, true, 64);
  CHECK(plan.of_lane(0).size() == 32);
  CHECK(plan.of_lane(1).front() == 32);
  CHECK(plan.of_lane(2) == std::vector<std::uint32_t>{64});
}

}  // namespace
}  // namespace lt::tunnel
