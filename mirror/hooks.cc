#include "mirror/hooks.h"

#include "base/process.h"
#include "base/text.h"

namespace lt::mirror {

Status call_hook(const std::vector<std::string>& argv, const HookEvent& event) {
  if (argv.empty()) return {};
  Argv whole{"env", "LINKTUNE_EVENT=" + event.event, "LINKTUNE_JOB=" + event.job,
             "LINKTUNE_DATASET=" + event.dataset,
             "LINKTUNE_TEXT=" + printable(event.text, 1000)};
  whole.insert(whole.end(), argv.begin(), argv.end());
  const auto output = run_process(whole);
  if (!output) return fail(with_context(output.error(), "the hook " + argv.front() + ": "));
  if (output->exit_code == 0) return {};
  return fail(Errc::io, "the hook " + argv.front() + " ended with " +
                            std::to_string(output->exit_code) + ": " +
                            printable(trim(output->err), 200));
}

}  // namespace lt::mirror
