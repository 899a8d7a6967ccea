#include "mirror/running.h"

#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

namespace lt::mirror {

namespace {

// Fewer turns for a stream; the kernel gives less where a user's limit says so.
constexpr int pipe_bytes = 1 << 20;

struct Ends {
  Fd read;
  Fd write;
};

Result<Ends> make_pipe() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return fail_errno(errno, "cannot make a pipe");
  ::fcntl(ends[1], F_SETPIPE_SZ, pipe_bytes);
  return Ends{Fd(ends[0]), Fd(ends[1])};
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
  LT_TRY(Ends input, make_pipe());
  LT_TRY(Ends errors, make_pipe());
  const Fd nowhere(::open("/dev/null", O_WRONLY | O_CLOEXEC));
  if (!nowhere.is_open()) return fail_errno(errno, "cannot open /dev/null");
  Fd stage_input = std::move(input.read);
  for (const PipelineStage& stage : pipeline) {
    LT_TRY(Ends next, make_pipe());
    LT_TRY(Child child, Child::start(stage.argv, {stage_input.get(), chosen(stage.output, next.write, errors.write, nowhere),
                                                  chosen(stage.errors, next.write, errors.write, nowhere)}));
    Fd end(static_cast<int>(::syscall(SYS_pidfd_open, child.pid(), 0)));
    if (!end.is_open()) return fail_errno(errno, "cannot watch a child");
    running.members_.push_back({std::move(child), std::move(end)});
    stage_input = std::move(next.read);
  }
  running.input_ = std::move(input.write);
  running.output_ = std::move(stage_input);
  running.errors_ = std::move(errors.read);
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

void Running::signal(int number) {
  for (Member& member : members_) {
    if (member.end.is_open()) member.child.signal(number);
  }
}

}  // namespace lt::mirror
