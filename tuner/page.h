// The sweep's page: its whole report as one self-contained HTML file, the verdict first.
//
// A pure function of the report: the same journal gives the same bytes. Everything that was
// measured, and every word that came from elsewhere (labels, errors, versions), is escaped.
#pragma once

#include <string>

#include "tuner/report.h"

namespace lt::tuner {

[[nodiscard]] std::string page_of(const Report& report);

}  // namespace lt::tuner
