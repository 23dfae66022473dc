// FolderUpdate: the files of a model are replaced together or not at all, whatever fails and wherever the process dies.

#include "gptlite/io/folder_update.hpp"

#include <doctest/doctest.h>

#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "gptlite/core/text_file.hpp"
#include "gptlite/io/model_folder.hpp"
#include "support/recorded_calls.hpp"
#include "support/temporary_folder.hpp"
#include "support/throws.hpp"
#include "support/tokenizers.hpp"

#if !defined(_WIN32)
#include <sys/wait.h>
#include <unistd.h>
#endif

using namespace gptlite;

namespace {

using Files = std::map<std::string, std::string>;
const std::vector<std::string> names{"merges.txt", "tokenizer.json", "model.safetensors", "config.json"};

void update_folder(const std::string& folder, const Files& files) {
  io::FolderUpdate update(folder, names);
  for (const auto& [name, text] : files) io::write_text(update.staging() + '/' + name, text);
  update.commit();
}

// All files below a folder, by their path in it, but locks.
Files files_in(const std::string& folder) {
  Files files;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder))
    if (entry.is_regular_file() && entry.path().filename() != ".lock")
      files[std::filesystem::relative(entry.path(), folder).string()] = bytes_of(entry.path().string());
  return files;
}

// Those that a reader of a model looks for.
Files model_in(const std::string& folder) {
  Files model;
  for (const std::string& name : names)
    if (std::filesystem::exists(folder + '/' + name)) model[name] = bytes_of(folder + '/' + name);
  return model;
}

#if !defined(_WIN32)
// Runs `work` in a process of its own that ends, as if it were killed, before file call number `call`. Returns false if
// the work was done before.
template <class F>
bool killed_at(int call, F&& work) {
  const pid_t child = fork();
  if (child == 0) {
    RecordedCalls made;
    made.before = [&](const std::string&) {
      if (static_cast<int>(made.made.size()) == call) _exit(1);
    };
    const io::FileCallsScope scope(made);
    work();
    _exit(0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return status != 0;
}
#endif

const Files before{{"merges.txt", "m1"}, {"tokenizer.json", "t1"}, {"model.safetensors", "w1"}, {"config.json", "c1"}};
const Files after{{"tokenizer.json", "t2"}, {"model.safetensors", "w2"}, {"config.json", "c2"}};
const Files others{{"best/config.json", "b"}, {"metrics.jsonl", "lines"}, {"checkpoints/step-1", "s"}};

// Puts a run with a model into a folder.
void fill(const std::string& folder, const Files& model) {
  for (const char* inner : {"/best", "/checkpoints"}) std::filesystem::create_directories(folder + inner);
  for (const Files* files : {&model, &others})
    for (const auto& [name, text] : *files) io::write_text(folder + '/' + name, text);
}

Files joined(const Files& a, const Files& b) {
  Files all = a;
  all.insert(b.begin(), b.end());
  return all;
}

}  // namespace

TEST_CASE("a new folder appears whole; a model in a folder is replaced, stale files go, everything else stays") {
  const TemporaryFolder temporary;
  const std::string folder = temporary.file("new/model");
  update_folder(folder, before);
  CHECK(files_in(folder) == before);
  fill(folder, before);
  const auto metrics = std::filesystem::hard_link_count(folder + "/metrics.jsonl");
  update_folder(folder, after);
  CHECK(files_in(folder) == joined(after, others));
  CHECK(std::filesystem::hard_link_count(folder + "/metrics.jsonl") == metrics);
  CHECK(std::distance(std::filesystem::directory_iterator(temporary.path / "new"), {}) == 1);
  { const io::FolderUpdate given_up(folder, names); }
  CHECK(files_in(folder) == joined(after, others));
}

#if !defined(_WIN32)
TEST_CASE("killed at any call, or with any call failing, the folder holds the old files or the new ones") {
  UnsyncedCalls unsynced;
  const io::FileCallsScope without_disk(unsynced);
  const TemporaryFolder two;
  std::filesystem::create_directory(two.path / "a");
  std::filesystem::create_directory(two.path / "b");
  if (io::FileCalls().exchange(two.file("a").c_str(), two.file("b").c_str()) < 0) {
    MESSAGE("skipped: this file system cannot exchange folders");
    return;
  }
  Files new_weights = before;
  new_weights["model.safetensors"] = "w2";
  struct Case {
    Files from, to;
    bool exists;
  };
  // From a model to one with other files, to one with other weights alone, and into a folder without a model.
  for (const Case& each :
       {Case{before, after, true}, {before, new_weights, true}, {{}, after, true}, {{}, after, false}}) {
    bool finished = false;
    for (int call = 0; !finished; ++call) {
      for (const bool kill : {true, false}) {
        CAPTURE(call);
        CAPTURE(kill);
        const TemporaryFolder temporary;
        const std::string folder = temporary.file("run");
        if (each.exists) fill(folder, each.from);
        std::string message = "killed";
        if (kill) {
          finished = !killed_at(call, [&] { update_folder(folder, each.to); });
        } else {
          RecordedCalls made;
          made.fail(call, EIO);
          const io::FileCallsScope scope(made);
          message = message_of<IoError>([&] { update_folder(folder, each.to); });
        }
        const Files found = std::filesystem::exists(folder) ? model_in(folder) : Files{};
        // A reader looks for config.json: without it, there is no model.
        const bool none = each.from.empty() && !found.contains("config.json");
        CHECK((found == each.from || found == each.to || none));
        if (message == "no exception" || (kill && finished)) CHECK(found == each.to);
        if (each.exists)
          for (const auto& [name, text] : others) CHECK(bytes_of(folder + '/' + name) == text);
        // The next update works, and removes what the one before left.
        update_folder(folder, each.to);
        CHECK(files_in(folder) == (each.exists ? joined(each.to, others) : each.to));
        CHECK(std::distance(std::filesystem::directory_iterator(temporary.path), {}) == 1);
      }
    }
    CHECK(finished);
  }
}
#endif

TEST_CASE("where folders cannot be exchanged, files are replaced one by one, config.json last") {
  struct NoExchange : RecordedCalls {
    std::vector<std::string> renamed;
    int exchange(const char*, const char*) override {
      errno = EINVAL;
      return -1;
    }
    int rename(const char* from, const char* to) override {
      renamed.push_back(std::filesystem::path(to).filename().string());
      return RecordedCalls::rename(from, to);
    }
  } calls;
  const TemporaryFolder temporary;
  const std::string folder = temporary.file("run");
  fill(folder, before);
  {
    const io::FileCallsScope scope(calls);
    update_folder(folder, after);
  }
  CHECK(files_in(folder) == joined(after, others));
  REQUIRE(calls.renamed.size() >= 3);
  CHECK(calls.renamed.back() == "config.json");
  CHECK(calls.renamed[calls.renamed.size() - 2] == "model.safetensors");
}

TEST_CASE("two updates of one folder do not meet") {
  const TemporaryFolder temporary;
  const std::string folder = temporary.file("run");
  fill(folder, before);
  io::FolderUpdate one(folder, names), other(folder, names);
  CHECK(one.staging() != other.staging());
  for (const auto& [name, text] : after) io::write_text(one.staging() + '/' + name, text);
  for (const auto& [name, text] : before) io::write_text(other.staging() + '/' + name, text);
  one.commit();
  CHECK(model_in(folder) == after);
}

#if !defined(_WIN32)
TEST_CASE("a folder behind a link is updated behind the link") {
  const TemporaryFolder temporary;
  fill(temporary.file("real"), before);
  std::filesystem::create_directory_symlink("real", temporary.file("link"));
  update_folder(temporary.file("link"), after);
  CHECK(std::filesystem::is_symlink(temporary.file("link")));
  CHECK(model_in(temporary.file("real")) == after);
}
#endif

TEST_CASE("a folder with files of two models is recognized") {
  const TemporaryFolder temporary;
  const GPTConfig config{.vocab_size = 300, .block_size = 8, .n_layer = 1, .n_head = 2, .n_embd = 8};
  GPTConfig other_heads = config;
  other_heads.n_head = 4;
  const text::Tokenizer one = text::CharTokenizer("abc"), other = text::CharTokenizer("xyz");
  const std::string a = temporary.file("a"), b = temporary.file("b");
  io::save_model(a, GPT<float>(config), one);
  io::save_model(b, GPT<float>(other_heads), other);
  CHECK_NOTHROW(io::load_model(a));
  const auto mixed = [&](const std::string& name) {
    const std::string folder = temporary.file("mixed");
    std::filesystem::remove_all(folder);
    std::filesystem::copy(a, folder);
    std::filesystem::copy_file(b + '/' + name, folder + '/' + name, std::filesystem::copy_options::overwrite_existing);
    return message_of<DataError>([&] { io::load_model(folder); });
  };
  CHECK(mixed("tokenizer.json") == "[load_model] " + temporary.file("mixed") +
                                       ": model.safetensors was saved with another tokenizer than the one beside it: "
                                       "the folder holds files of two models");
  CHECK(mixed("config.json") ==
        "[load_gpt] " + temporary.file("mixed") +
            ": config.json says post norm, n_head 4, window 0, layer_norm_epsilon 1e-05, model.safetensors was saved "
            "with post norm, n_head 2, window 0, layer_norm_epsilon 1e-05: the folder holds files of two models");
  CHECK(mixed("tokenizer_config.json") == "no exception");
}
