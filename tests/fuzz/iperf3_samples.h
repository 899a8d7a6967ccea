// What an honest end of an iperf3 test says.
#pragma once

#include "tuner/iperf3_wire.h"

namespace lt::fuzz {

inline Json a_parameters_text() {
  tuner::Iperf3Test test;
  test.is_udp = true;
  test.streams = 2;
  test.seconds = 10;
  test.omit_seconds = 1;
  test.block_bytes = 1400;
  test.rate = {50'000'000};
  test.window_bytes = 200'000;
  test.mss_bytes = 1400;
  test.type_of_service = 16;
  test.wants_server_output = true;
  return tuner::iperf3_parameters_json(test);
}

inline Json a_report_text() {
  tuner::Iperf3Report report;
  report.cpu_percent = 12.5;
  report.has_retransmits = 1;
  report.congestion = "cubic";
  report.output = "Server listening on 5201\nAccepted connection\n";
  report.streams = {{.id = 1, .bytes = 1'000'000, .retransmits = 3, .packets = 100, .seconds = 1},
                    {.id = 3, .bytes = 2'000'000, .jitter_seconds = 0.001, .errors = 2, .packets = 90, .seconds = 1}};
  return tuner::iperf3_report_json(report);
}

}  // namespace lt::fuzz
