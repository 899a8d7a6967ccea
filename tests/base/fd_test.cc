#include "base/fd.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <cerrno>
#include <filesystem>
#include <thread>

namespace lt {
namespace {

// A folder of the test's own, removed with all that is in it.
struct Folder {
  std::string path = (std::filesystem::temp_directory_path() / "linktune-fd-XXXXXX").string();
  Folder() { REQUIRE(::mkdtemp(path.data()) != nullptr); }
  ~Folder() { std::filesystem::remove_all(path); }
  [[nodiscard]] std::string file(const std::string& name) const { return path + "/" + name; }
  [[nodiscard]] std::size_t count() const {
    return static_cast<std::size_t>(std::distance(std::filesystem::directory_iterator(path), {}));
  }
};

bool is_open(int raw) {
  return ::fcntl(raw, F_GETFD) >= 0;
}

TEST_CASE("a descriptor is closed once, by its last owner", "[base][fd]") {
  int raw = -1;
  {
    Fd first(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    raw = first.get();
    Fd second(std::move(first));
    CHECK_FALSE(first.is_open());
    CHECK(second.get() == raw);
    Fd third;
    third = std::move(second);
    CHECK(is_open(raw));
    third = Fd(::dup(raw));
    CHECK_FALSE(is_open(raw));  // assignment closes what it replaces
    raw = third.get();
  }
  CHECK_FALSE(is_open(raw));
}

TEST_CASE("a descriptor assigned to itself stays, a released one is nobody's", "[base][fd]") {
  Fd fd(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  Fd& same = fd;
  fd = std::move(same);
  CHECK(fd.is_open());
  const int raw = fd.release();
  CHECK_FALSE(fd.is_open());
  CHECK(is_open(raw));
  ::close(raw);
}

TEST_CASE("a file is read whole, up to its bound", "[base][fd]") {
  const Folder folder;
  const std::string text(100'000, 'x');
  REQUIRE(write_file(folder.file("a"), text, 0600));
  CHECK(read_file(folder.file("a"), 100'000) == text);
  const auto larger = read_file(folder.file("a"), 99'999);
  REQUIRE_FALSE(larger);
  CHECK(larger.error().code == Errc::limit);
  CHECK(larger.error().what == folder.file("a") + " is larger than 99999 bytes");
  CHECK(read_file(folder.file("b"), 1).error().code == Errc::not_found);
  CHECK_FALSE(read_file(folder.path, 1));
}

TEST_CASE("reading a FIFO that nobody writes waits for nobody", "[base][fd]") {
  const Folder folder;
  REQUIRE(::mkfifo(folder.file("fifo").c_str(), 0600) == 0);
  CHECK(read_file(folder.file("fifo"), 10) == "");
}

TEST_CASE("a written file has its mode from the beginning and replaces the old one", "[base][fd]") {
  const Folder folder;
  const auto mode_of = [](const std::string& path) {
    struct stat status {};
    REQUIRE(::stat(path.c_str(), &status) == 0);
    return status.st_mode & 07777U;
  };
  REQUIRE(write_file(folder.file("key"), "one", 0600));
  CHECK(mode_of(folder.file("key")) == 0600);
  REQUIRE(write_file(folder.file("key"), "two", 0644));
  CHECK(mode_of(folder.file("key")) == 0644);
  CHECK(read_file(folder.file("key"), 10) == "two");
  CHECK(folder.count() == 1);  // nothing is left beside it
}

TEST_CASE("a file that cannot be written leaves the old one and nothing beside it", "[base][fd]") {
  const Folder folder;
  std::filesystem::create_directory(folder.file("taken"));
  const auto status = write_file(folder.file("taken"), "text", 0600);
  REQUIRE_FALSE(status);
  CHECK(status.error().what == "cannot create " + folder.file("taken"));
  CHECK(std::filesystem::is_directory(folder.file("taken")));
  CHECK(folder.count() == 1);
  CHECK(write_file(folder.file("none/file"), "text", 0600).error().code == Errc::not_found);
}

TEST_CASE("a device or a pipe is written into and never replaced", "[base][fd]") {
  const Folder folder;
  REQUIRE(::mkfifo(folder.file("fifo").c_str(), 0600) == 0);
  const Fd reader(::open(folder.file("fifo").c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  REQUIRE(reader.is_open());
  REQUIRE(write_file(folder.file("fifo"), "text", 0600));
  std::filesystem::create_symlink("fifo", folder.file("to_fifo"));
  REQUIRE(write_file(folder.file("to_fifo"), "more", 0600));
  char read[9]{};
  CHECK(::read(reader.get(), read, sizeof read) == 8);
  CHECK(std::string(read) == "textmore");
  CHECK(std::filesystem::is_fifo(std::filesystem::symlink_status(folder.file("fifo"))));
  CHECK(std::filesystem::is_symlink(folder.file("to_fifo")));
  std::filesystem::create_symlink("/dev/full", folder.file("full"));
  const auto full = write_file(folder.file("full"), "text", 0600);
  REQUIRE_FALSE(full);
  CHECK(full.error().what == "cannot write " + folder.file("full"));
}

TEST_CASE("a symbolic link to a file, or to nothing, is left as it is", "[base][fd]") {
  const Folder folder;
  REQUIRE(write_file(folder.file("file"), "text", 0600));
  for (const char* target : {"file", "nothing"}) {
    const std::string link = folder.file(std::string("to_") + target);
    std::filesystem::create_symlink(target, link);
    const auto status = write_file(link, "other", 0600);
    REQUIRE_FALSE(status);
    CHECK(status.error().what == link + " is a symbolic link; name the file it points to");
    CHECK(std::filesystem::is_symlink(link));
  }
  CHECK(read_file(folder.file("file"), 10) == "text");
  CHECK_FALSE(std::filesystem::exists(folder.file("nothing")));
}

TEST_CASE("a link to the standard output is written into, wherever the shell has sent it", "[base][fd]") {
  const Folder folder;
  const Fd output(::open(folder.file("output").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
  REQUIRE(output.is_open());
  const Fd before(::dup(STDOUT_FILENO));
  REQUIRE(::dup2(output.get(), STDOUT_FILENO) == STDOUT_FILENO);
  const auto written = write_file("/dev/stdout", "text", 0600);
  const auto more = write_file("/dev/stdout", "more", 0600);
  REQUIRE(::dup2(before.get(), STDOUT_FILENO) == STDOUT_FILENO);
  CHECK(written);
  CHECK(more);
  CHECK(read_file(folder.file("output"), 100) == "textmore");
}

TEST_CASE("a reader never sees half of a file that is being replaced", "[base][fd]") {
  const Folder folder;
  const std::string path = folder.file("state");
  const std::string texts[] = {std::string(200'000, 'a'), std::string(300'000, 'b')};
  REQUIRE(write_file(path, texts[0], 0600));
  std::atomic<bool> is_over{false};
  std::atomic<int> written{0};
  std::thread writer([&] {
    for (int i = 0; i < 40; ++i) {
      if (write_file(path, texts[static_cast<std::size_t>(i) % 2], 0600)) ++written;
    }
    is_over = true;
  });
  int reads = 0;
  bool is_whole = true;
  while (!is_over) {
    const auto text = read_file(path, 1 << 20);
    is_whole = is_whole && text && (*text == texts[0] || *text == texts[1]);
    ++reads;
  }
  writer.join();
  CHECK(is_whole);
  CHECK(reads > 0);
  CHECK(written == 40);
}

TEST_CASE("a descriptor is made to wait or not to wait", "[base][fd]") {
  int ends[2];
  REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
  const Fd out(ends[0]);
  const Fd in(ends[1]);
  REQUIRE(set_nonblocking(out.get(), true));
  char byte = 0;
  CHECK(::read(out.get(), &byte, 1) == -1);
  CHECK(errno == EAGAIN);
  REQUIRE(set_nonblocking(out.get(), false));
  CHECK((::fcntl(out.get(), F_GETFL) & O_NONBLOCK) == 0);
  CHECK_FALSE(set_nonblocking(-1, true));
}

}  // namespace
}  // namespace lt
