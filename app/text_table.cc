#include "app/text_table.h"

#include <algorithm>

#include "base/format.h"
#include "base/text.h"

namespace lt::app {

std::string TextTable::text() const {
  std::vector<std::size_t> widths(header.size(), 0);
  const auto widen = [&](const std::vector<std::string>& cells) {
    for (std::size_t i = 0; i < std::min(cells.size(), widths.size()); ++i) widths[i] = std::max(widths[i], cells[i].size());
  };
  widen(header);
  for (const auto& row : rows) widen(row);
  std::string whole;
  const auto add = [&](const std::vector<std::string>& cells) {
    std::string line;
    for (std::size_t i = 0; i < std::min(cells.size(), widths.size()); ++i) {
      line += i == 0 ? format("{:<{}}", cells[i], widths[i]) : format("  {:>{}}", cells[i], widths[i]);
    }
    whole += line.substr(0, line.find_last_not_of(' ') + 1) + "\n";
  };
  add(header);
  for (const auto& row : rows) add(row);
  return whole;
}

std::string TextTable::markdown() const {
  std::string whole = "| " + join(header, " | ") + " |\n|";
  for (std::size_t i = 0; i < header.size(); ++i) whole += i == 0 ? " --- |" : " ---: |";
  whole += "\n";
  for (const auto& row : rows) whole += "| " + join(row, " | ") + " |\n";
  return whole;
}

}  // namespace lt::app
