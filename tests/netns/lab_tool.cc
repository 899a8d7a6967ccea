// The lab's commands as a program, for the tests of its life as a process. The product's own
// command line is app/cli.cc.
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string>

#include "app/cmd_lab.h"
#include "lab/sandbox.h"

using namespace lt;

namespace {

int answer(const Status& status) {
  if (status) return 0;
  std::fprintf(stderr, "%s\n", status.error().text().c_str());
  return 10 + static_cast<int>(status.error().code);
}

int answer(const Result<Json>& result) {
  if (!result) return answer(Status(fail(result.error())));
  std::printf("%s\n", to_line(*result).c_str());
  return 0;
}

// A Sandbox that stands until standard input ends.
int hold(const std::string& name) {
  const auto sandbox = lab::Sandbox::build({.name = name});
  if (!sandbox) return answer(Status(fail(sandbox.error())));
  std::printf("ready\n");
  std::fflush(stdout);
  char ignored = 0;
  while (::read(0, &ignored, 1) > 0) {
  }
  return 0;
}

}  // namespace

// lab_tool up NAME PROFILE [WORD...] | down NAME | status NAME | set NAME DIRECTION WORD... | exec
// NAME HOST COMMAND... | hold NAME | lab emulate --name NAME --ready-fd N
int main(int argc, char** argv) {
  const Argv words(argv + 1, argv + argc);
  if (words.size() < 2) return 2;
  const std::string& command = words[0];
  const std::string& name = words[1];
  const Argv rest(words.begin() + (words.size() > 3 ? 3 : static_cast<long>(words.size())),
                  words.end());
  if (command == "up")
    return answer(app::lab_up({.name = name, .profile = words.at(2), .settings = rest}));
  if (command == "down") return answer(app::lab_down(name));
  if (command == "status") return answer(app::lab_status(name));
  if (command == "set") return answer(app::lab_set(name, words.at(2), rest));
  if (command == "exec") return answer(app::lab_exec(name, words.at(2), rest));
  if (command == "hold") return hold(name);
  if (command == "lab")
    return answer(app::lab_emulate(words.at(3), std::atoi(words.at(5).c_str())));
  return 2;
}
