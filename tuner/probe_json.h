// The parts of a probe's result as JSON: the control line and the journal carry them one by one.
#pragma once

#include "tuner/probe.h"

namespace lt::tuner {

[[nodiscard]] Json latency_to_json(const Latency& latency);
[[nodiscard]] Result<Latency> latency_from_json(const Json& value);
[[nodiscard]] Json echo_to_json(const EchoResult& echo);
[[nodiscard]] Result<EchoResult> echo_from_json(const Json& value);
[[nodiscard]] Json flow_to_json(const FlowResult& flow);
[[nodiscard]] Result<FlowResult> flow_from_json(const Json& value);
[[nodiscard]] Json cpu_to_json(const CpuUse& cpu);
[[nodiscard]] Result<CpuUse> cpu_from_json(const Json& value);

}  // namespace lt::tuner
