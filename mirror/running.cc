#include "mirror/running.h"

#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/pipe.h"
#include "mirror/meter.h"

namespace lt::mirror {

namespace {

// Fewer turns for a stream; the kernel gives less where a user's limit says so.
constexpr int pipe_bytes = 1 << 20;

Result<Pipe> make_wide_pipe() {
  LT_TRY(Pipe pipe, make_pipe());
  ::fcntl(pipe.write_end.get(), F_SETPIPE_SZ, pipe_bytes);
  return pipe;
}

int chosen(OutputTo to, const Fd& next, const Fd& errors, const Fd& nowhere) {
  switch (to) {
    case OutputTo::next: return next.get();
    case OutputTo::errors: return errors.get();
    case OutputTo::nowhere: return nowhere.get();
  }
  return nowhere.get();
}

}  // namespace

Result<Running> Running::start(const Pipeline& pipeline) {
  Running running;
  LT_TRY(Pipe input, make_wide_pipe());
  LT_TRY(Pipe errors, make_wide_pipe());
  const Fd nowhere(::open("/dev/null", O_WRONLY | O_CLOEXEC));
  if (!nowhere.is_open()) return fail_errno(errno, "cannot open /dev/null");
  Fd stage_input = std::move(input.read_end);
  for (const PipelineStage& stage : pipeline) {
    LT_TRY(Pipe next, make_wide_pipe());
    LT_TRY(Child child, Child::start(stage.argv, {stage_input.get(), chosen(stage.output, next.write_end, errors.write_end, nowhere),
                                                  chosen(stage.errors, next.write_end, errors.write_end, nowhere)}));
    Fd end(static_cast<int>(::syscall(SYS_pidfd_open, child.pid(), 0)));
    if (!end.is_open()) return fail_errno(errno, "cannot watch a child");
    running.members_.push_back({std::move(child), std::move(end)});
    stage_input = std::move(next.read_end);
  }
  running.input_ = std::move(input.write_end);
  running.output_ = std::move(stage_input);
  running.errors_ = std::move(errors.read_end);
  for (const Fd* const fd : {&running.input_, &running.output_, &running.errors_}) LT_CHECK(set_nonblocking(fd->get(), true));
  return running;
}

std::vector<int> Running::end_fds() const {
  std::vector<int> fds;
  for (const Member& member : members_) {
    if (member.end.is_open()) fds.push_back(member.end.get());
  }
  return fds;
}

bool Running::has_ended() {
  bool all = true;
  for (Member& member : members_) {
    if (!member.end.is_open()) continue;
    const auto code = member.child.wait(std::chrono::milliseconds(0));
    if (!code) {
      all = false;
      continue;
    }
    member.end.reset();
    if (&member == &members_.back()) exit_status_ = *code;
  }
  return all;
}

bool Running::is_stopped() const {
  return std::any_of(members_.begin(), members_.end(), [](const Member& member) { return member.end.is_open() && is_stopped_by_signal(member.child.pid()); });
}

void Running::signal(int number) {
  for (Member& member : members_) {
    if (member.end.is_open()) member.child.signal(number);
  }
}

}  // namespace lt::mirror
