#include "tuner/page_frame.h"

#include <algorithm>

#include "tuner/chart.h"
#include "tuner/markup.h"

namespace lt::tuner {

namespace {

// Nothing but the style inside the page itself.
constexpr std::string_view policy =
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";

constexpr std::string_view style = R"css(
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body { margin: 0 auto; padding: 1.2rem 1rem 4rem; max-width: 66rem; background: var(--ground); color: var(--ink);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; overflow-wrap: break-word; }
h1 { font-size: clamp(1.35rem, 4vw, 1.9rem); line-height: 1.25; margin: .4rem 0 .8rem; text-wrap: balance; }
h2 { font-size: 1.25rem; margin: 2.6rem 0 .6rem; padding-top: .8rem; border-top: 1px solid var(--edge); }
h3 { font-size: 1rem; margin: 1.6rem 0 .4rem; }
p, ul, ol { margin: .5rem 0; }
.lead, .soft { color: var(--soft); }
.brand { color: var(--soft); font-size: .95rem; letter-spacing: .02em; }
.badge { display: inline-block; padding: .15rem .7rem; border-radius: 1rem; border: 1.5px solid currentColor;
  font-weight: 700; font-size: .85rem; letter-spacing: .04em; }
.badge.good { color: var(--good); } .badge.plain { color: var(--c0); } .badge.warn { color: var(--c1); } .badge.bad { color: var(--bad); }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(9.5rem, 1fr)); gap: .7rem; margin: 1.2rem 0; padding: 0; list-style: none; }
.cards li { background: var(--raised); border: 1px solid var(--edge); border-radius: .6rem; padding: .7rem .9rem; }
.cards b { display: block; font-size: 1.45rem; line-height: 1.2; font-variant-numeric: tabular-nums; }
.cards span { display: block; color: var(--soft); font-size: .85rem; }
.cards i { display: block; font-style: normal; font-size: .85rem; margin-top: .15rem; }
.scroll { overflow-x: auto; margin: .8rem 0; border: 1px solid var(--edge); border-radius: .5rem; }
table { border-collapse: collapse; width: 100%; font-size: .9rem; font-variant-numeric: tabular-nums; }
caption { text-align: left; color: var(--soft); padding: .5rem .7rem; font-size: .85rem; }
th, td { padding: .38rem .6rem; text-align: right; white-space: nowrap; border-top: 1px solid var(--grid); }
th { color: var(--soft); font-weight: 600; vertical-align: bottom; }
th.text, td.text { text-align: left; white-space: normal; min-width: 6.5rem; }
th.text:first-child, td.text:first-child { min-width: 11rem; }
tr.chosen td { background: var(--halo); font-weight: 600; }
tr.muted td { color: var(--soft); }
tr.bad td { color: var(--bad); }
.copy { background: var(--raised); border: 1px solid var(--edge); border-radius: .5rem; padding: .8rem 1rem; overflow-x: auto;
  font: .88rem/1.5 ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace; user-select: all; -webkit-user-select: all; white-space: pre; }
details { margin: .8rem 0; } summary { cursor: pointer; color: var(--soft); }
.path { list-style: none; padding: 0; margin: 1rem 0; border-left: 2px solid var(--edge); }
.path > li { margin: 0 0 1.1rem; padding-left: 1.1rem; position: relative; }
.path > li::before { content: ""; position: absolute; left: -.42rem; top: .5rem; width: .7rem; height: .7rem; border-radius: 50%;
  background: var(--c0); border: 2px solid var(--ground); }
.out { color: var(--soft); } .out b { color: var(--bad); font-weight: 600; }
nav { font-size: .9rem; color: var(--soft); display: flex; flex-wrap: wrap; gap: .2rem 1rem; margin-top: 1rem; }
a { color: var(--c0); }
footer { margin-top: 3rem; color: var(--soft); font-size: .85rem; border-top: 1px solid var(--edge); padding-top: .8rem; }
@media (max-width: 40rem) {
  .scroll thead { display: none; }
  .scroll table, .scroll caption, .scroll tbody, .scroll tr { display: block; }
  .scroll tr { border-top: 1px solid var(--edge); padding: .4rem .7rem; }
  .scroll td, .scroll td.text, .scroll td.text:first-child { display: flex; justify-content: space-between; gap: 1rem; padding: .12rem 0;
    border: 0; min-width: 0; white-space: normal; text-align: right; overflow-wrap: anywhere; }
  .scroll td::before { content: attr(data-head); color: var(--soft); font-weight: 400; text-align: left; flex: none; max-width: 55%; }
  .scroll td.text:first-child { font-weight: 600; text-align: left; }
  .scroll td.text:first-child::before { content: none; }
}
@media print { nav { display: none; } section { break-inside: avoid; } }
)css";

}  // namespace

std::string page_around(std::string_view title, const std::string& body) {
  std::string page = "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n";
  page += "<meta http-equiv=\"Content-Security-Policy\" content=\"" + std::string(policy) + "\">\n";
  page += "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n";
  page += "<meta name=\"referrer\" content=\"no-referrer\">\n";
  page += element("title", title) + "\n<style>";
  page += chart_style();
  page += style;
  page += "</style>\n</head>\n<body>\n" + body + "</body>\n</html>\n";
  return page;
}

std::string element(std::string_view tag, std::string_view text, std::string_view attributes) {
  const std::string name(tag);
  return "<" + name + std::string(attributes) + ">" + escaped(text) + "</" + name + ">";
}

std::string section_of(std::string_view id, std::string_view heading, const std::string& body) {
  if (body.empty()) return {};
  return "<section id=\"" + std::string(id) + "\">\n" + element("h2", heading) + "\n" + body +
         "</section>\n";
}

std::string copy_box(std::string_view text) {
  return element("pre", text, " class=\"copy\" tabindex=\"0\"") + "\n";
}

void PageTable::add(std::vector<std::string> cells, std::string_view css) {
  rows_.push_back({std::move(cells), std::string(css)});
}

std::string PageTable::cell(std::string_view tag, std::size_t column,
                            const std::string& text) const {
  const bool is_text = column == 0 || std::find(text_columns_.begin(), text_columns_.end(),
                                                column) != text_columns_.end();
  std::string attributes = is_text ? " class=\"text\"" : "";
  // On a narrow screen each row is a block of its own, and its cells name their columns.
  if (tag == "td" && column > 0 && column < heads_.size()) attributes += " data-head=\"" + escaped(heads_[column]) + "\"";
  return element(tag, text, attributes);
}

std::string PageTable::html(std::string_view caption) const {
  std::string out = "<div class=\"scroll\" tabindex=\"0\"><table>";
  if (!caption.empty()) out += element("caption", caption);
  out += "<thead><tr>";
  for (std::size_t i = 0; i < heads_.size(); ++i)
    out += cell("th", i, heads_[i]);
  out += "</tr></thead>\n<tbody>\n";
  for (const Row& row : rows_) {
    out += row.css.empty() ? "<tr>" : "<tr class=\"" + row.css + "\">";
    for (std::size_t i = 0; i < row.cells.size(); ++i)
      out += cell("td", i, row.cells[i]);
    out += "</tr>\n";
  }
  return out + "</tbody></table></div>\n";
}

}  // namespace lt::tuner
