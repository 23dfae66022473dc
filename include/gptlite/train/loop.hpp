#pragma once
// Loop: everything around the forward and backward pass of a training run, so that a program writes only those.

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <limits>
#include <list>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "gptlite/autograd/backward.hpp"
#include "gptlite/autograd/ops/arithmetic.hpp"
#include "gptlite/core/count.hpp"
#include "gptlite/core/error.hpp"
#include "gptlite/core/finite.hpp"
#include "gptlite/core/json_writer.hpp"
#include "gptlite/core/tensor.hpp"
#include "gptlite/train/metrics_log.hpp"
#include "gptlite/train/optimizer.hpp"
#include "gptlite/train/progress.hpp"
#include "gptlite/train/run_keeper.hpp"

namespace gptlite::inline GPTLITE_ABI {
namespace train {

/// Options of a Loop.
struct LoopOptions {
  std::int64_t max_steps = 0;  ///< optimizer steps of the run, 1 or more
  /// Learning rate of each step, counted from 0, such as a Schedule. Empty: the optimizer's own.
  /// It is tried for all steps before the first one.
  std::function<double(std::int64_t step)> learning_rate = {};
  Index grad_accumulation = 1;  ///< backward() calls per step; each loss is divided by it
  double time_limit = 0;        ///< seconds() after which training ends; 0: no limit
  std::string metrics = {};     ///< path of the metrics file, which is overwritten; empty: none
  bool log_time = true;        ///< tokens_per_s and seconds in the metrics file; if false, equal runs write equal files
  std::FILE* stream = stderr;  ///< for the progress line and print_above(); null: nothing is shown
};

/// Training loop around a user's forward pass: learning rate, gradient accumulation, optimizer step, progress line,
/// metrics, and actions every n steps.
///   train::Loop loop(optimizer, {.max_steps = 2000, .learning_rate = schedule, .metrics = "metrics.jsonl"});
///   loop.every(500, [&] { loop.log(JsonObject().add("val_loss", train::evaluate(model, validation, 200))); });
///   while (loop.next()) {
///     const auto [inputs, targets] = batches.next();
///     loop.backward(model.loss(inputs, targets), inputs.numel());
///     loop.step();
///   }
/// The optimizer must outlive the loop, which knows neither model nor data. An io::TrainingRun keeps the run on disk.
template <Optimizer O>
class Loop {
 public:
  /// Throws ConfigError for options that cannot work, what the optimizer throws for the learning rate of any step, and
  /// IoError if the metrics file cannot be written; the file is touched last.
  Loop(O& optimizer, LoopOptions options)
      : optimizer_(optimizer),
        options_(std::move(options)),
        progress_({.total_steps = options_.max_steps, .stream = options_.stream}) {
    check<ConfigError>(options_.max_steps > 0, "Loop", "max_steps must be positive, got ", options_.max_steps);
    check<ConfigError>(options_.grad_accumulation > 0, "Loop", "grad_accumulation must be positive, got ",
                       options_.grad_accumulation);
    check<ConfigError>(options_.time_limit >= 0, "Loop", "time_limit must be 0 (no limit) or positive, got ",
                       options_.time_limit);
    if (options_.learning_rate) {
      // Of a very long run, a million steps spread over it.
      const std::int64_t stride = std::max<std::int64_t>(1, options_.max_steps / 1'000'000);
      for (std::int64_t step = 0; step < options_.max_steps; step += stride)
        optimizer_.set_learning_rate(options_.learning_rate(step));
      optimizer_.set_learning_rate(options_.learning_rate(options_.max_steps - 1));
      optimizer_.set_learning_rate(options_.learning_rate(0));
    }
    if (!options_.metrics.empty()) metrics_.emplace(options_.metrics);
  }
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  /// Registers an action to be run after every `steps` steps and once training ends; with 0 only then. next() runs the
  /// actions in the order of registration, each at most once per step. Their time counts neither in seconds() nor in
  /// tokens_per_second(). Throws ConfigError if `steps` is negative.
  void every(std::int64_t steps, std::function<void()> action) {
    check<ConfigError>(steps >= 0, "Loop", "every() takes a positive number of steps, or 0 for the end, got ", steps);
    actions_.push_back({steps, std::move(action)});
  }

  /// Runs the actions that are due. Returns true if another step follows, and sets its learning rate. Training ends
  /// after max_steps, at the time limit, with stop() or with interrupt().
  bool next() {
    if (keeper_ != nullptr && !std::exchange(begun_, true)) keeper_->begin();
    try {
      // Twice: an action may call stop(), which makes the actions before it due as well.
      for (int pass = 0; pass < 2; ++pass)
        for (Action& action : actions_)
          if (!interrupted() && action.last_run != step_ && is_due(action)) {
            action.last_run = step_;
            progress_.pause(action.run);
          }
      if (!interrupted()) step_done_ = 0;  // at the end: if an action throws, those after it are still due
    } catch (const Interrupted&) {         // all actions of this step are due when the run is resumed
    }
    const bool over = ended() || interrupted();
    if (keeper_ != nullptr) {
      // If actions are still due, the state to save is that before them: they run again when the run is resumed.
      if (step_done_ == 0) keeper_->mark();
      if (over || (save_interval_ > 0 && step_ > 0 && step_ % save_interval_ == 0))
        progress_.pause([&] { keeper_->save_marked(); });
    }
    if (over) return false;
    if (options_.learning_rate) optimizer_.set_learning_rate(options_.learning_rate(step_));
    return true;
  }

  /// True while backward() is to be called again before step(): `while (loop.needs_batch()) { ... loop.backward(...);
  /// }` With grad_accumulation = 1, one call of backward() without asking is the same.
  bool needs_batch() const { return backward_calls_ < options_.grad_accumulation; }

  /// Adds the gradient of loss / grad_accumulation to the parameters; call it grad_accumulation times before step().
  /// loss: a scalar. tokens: number of tokens that the loss was computed from, for tokens per second.
  template <class T>
  void backward(const Tensor<T>& loss, Index tokens) {
    const T share = T(1) / static_cast<T>(options_.grad_accumulation);
    const Tensor<T> part = options_.grad_accumulation == 1 ? loss : loss * share;
    part.backward();
    next_loss_ += static_cast<double>(part.item());
    next_tokens_ += tokens;
    ++backward_calls_;
  }

  /// Drops the gradients that backward() has added since the last step, such as those of a batch that turned out bad.
  void discard() {
    optimizer_.zero_grad();
    backward_calls_ = 0;
    next_loss_ = 0;
    next_tokens_ = 0;
  }

  /// Steps the optimizer and writes {"step", "loss", the members of `extra`, "learning_rate", "grad_norm",
  /// "tokens_per_s", "seconds"} to the metrics file. A loss or gradient that is not finite is reported, counted and not
  /// applied; five in a row throw Error. Throws ConfigError if backward() was not called grad_accumulation times.
  StepResult step(const JsonObject& extra = {}) {
    check<ConfigError>(backward_calls_ == options_.grad_accumulation, "Loop",
                       "step() needs grad_accumulation = ", options_.grad_accumulation,
                       " calls of backward() before it, got ", backward_calls_, "; discard() drops them");
    // A loss can be infinite while its gradient is not.
    const bool finite = is_finite(next_loss_);
    if (!finite) optimizer_.zero_grad();
    const StepResult result = finite ? optimizer_.step() : StepResult{std::numeric_limits<double>::quiet_NaN(), true};
    ++step_;
    step_done_ = 1;
    backward_calls_ = 0;
    loss_ = std::exchange(next_loss_, 0);
    const std::int64_t tokens = std::exchange(next_tokens_, 0);

    skipped_in_a_row_ = result.skipped ? skipped_in_a_row_ + 1 : 0;
    skipped_ += result.skipped ? 1 : 0;
    try {
      progress_.update(step_, loss_, static_cast<double>(tokens));
      seconds_ = progress_.seconds();
      tokens_per_second_ = progress_.tokens_per_second();
      JsonObject line;
      line.add("loss", loss_).add_members(extra);
      line.add("learning_rate", optimizer_.learning_rate()).add("grad_norm", result.grad_norm);
      if (options_.log_time) line.add("tokens_per_s", tokens_per_second_).add("seconds", seconds_);
      log(line);
    } catch (...) {  // the line is lost, the step is not
      if (keeper_ != nullptr) keeper_->mark();
      throw;
    }
    if (keeper_ != nullptr) keeper_->mark();
    if (result.skipped) {
      print_above("step " + std::to_string(step_) + ": the " + (finite ? "gradient" : "loss") +
                  " is not finite, step skipped (" + std::to_string(skipped_) + " so far)");
      check<Error>(skipped_in_a_row_ < 5, "Loop", "the loss diverged: five gradients in a row are not finite (loss ",
                   loss_, " at step ", step_,
                   "); try a smaller learning rate or a longer warm-up, or see which "
                   "operation it begins in with AnomalyMode");
    }
    return result;
  }

  /// Ends training: the next call of next() runs all actions that have not run since the last step and returns false.
  void stop() { stopped_ = 1; }
  /// Breaks training off, to be resumed later: the next call of next() returns false and runs no action. May be called
  /// by another thread or a signal handler.
  void interrupt() noexcept { interrupted_.store(true, std::memory_order_relaxed); }
  /// True after interrupt().
  bool interrupted() const noexcept { return interrupted_.load(std::memory_order_relaxed); }
  /// Throws Interrupted after interrupt(). A long action calls it now and then, to end early; next() catches it.
  void throw_if_interrupted() const {
    if (interrupted()) raise<Interrupted>("Loop", "training was interrupted at step ", step_);
  }

  /// Writes {"step", the members of `object`} to the metrics file, if there is one.
  void log(const JsonObject& object) {
    if (metrics_) metrics_->write(JsonObject().add("step", step_).add_members(object));
  }
  /// Prints text on lines of its own above the progress line.
  void print_above(const std::string& text) { progress_.print_above(text); }

  /// Writes {"step", the members of `values`} to the metrics file and prints them above the progress line, as
  /// "step 500: val_loss 1.8943" and then `note`.
  void report(const std::vector<std::pair<std::string, double>>& values, const std::string& note = "") {
    JsonObject object;
    std::string line = "step " + std::to_string(step_) + ": ";
    for (const auto& [name, value] : values) {
      char number[32];
      std::snprintf(number, sizeof number, " %.4f", value);
      object.add(name, value);
      line.append(line.ends_with(": ") ? "" : ", ").append(name).append(number);
    }
    log(object);
    print_above(line + note);
  }

  /// Number of steps done, skipped ones among them.
  std::int64_t step_count() const { return step_; }
  /// Number of steps that were skipped since their gradient was not finite.
  std::int64_t skipped_count() const { return skipped_; }
  /// Loss of the last step, the mean of its backward() calls.
  double loss() const { return loss_; }
  /// Seconds from the construction of the loop to the end of the last step, without the actions.
  double seconds() const { return seconds_; }
  /// Tokens per second over seconds().
  double tokens_per_second() const { return tokens_per_second_; }
  const LoopOptions& options() const { return options_; }
  O& optimizer() { return optimizer_; }

  /// Lets `keeper` keep the run on disk. It must outlive the loop's calls. save_interval: steps between two saves; 0:
  /// only once training ends or is interrupted.
  void set_keeper(RunKeeper* keeper, std::int64_t save_interval) {
    keeper_ = keeper;
    save_interval_ = save_interval;
  }
  /// Writes metrics to another file: continues the one at `path` after its first `keep` bytes.
  MetricsLog& set_metrics(const std::string& path, std::uint64_t keep) { return metrics_.emplace(path, keep); }

  /// Calls f(name, state) for the loop's own state, std::int64_t& or double&, as the visit of an Optimizer does. A loop
  /// and an optimizer that receive the state of others continue with the same steps. Throws DataError for counts
  /// outside 0..2^62 and seconds outside 0..1e9.
  template <class F>
  void visit(F&& f) {
    double seconds = progress_.seconds(), tokens = progress_.tokens();
    const std::int64_t step_before = step_, calls_before = backward_calls_;
    f(std::string("step"), step_);
    f(std::string("skipped"), skipped_);
    f(std::string("skipped_in_a_row"), skipped_in_a_row_);
    f(std::string("stopped"), stopped_);
    f(std::string("actions_due"), step_done_);
    f(std::string("backward_calls"), backward_calls_);
    f(std::string("next_tokens"), next_tokens_);
    f(std::string("next_loss"), next_loss_);
    f(std::string("loss"), loss_);
    f(std::string("tokens"), tokens);
    f(std::string("seconds"), seconds);
    for (const std::int64_t count : {step_, skipped_, skipped_in_a_row_, backward_calls_, next_tokens_})
      check<DataError>(is_count(count), "Loop", "a saved count must be in 0..2^62, got ", count);
    check<DataError>(is_finite(seconds) && seconds >= 0 && seconds < 1e9, "Loop",
                     "the saved seconds must be in 0..1e9, got ", seconds);
    if (step_ == step_before && calls_before == backward_calls_) return;
    progress_.resume(seconds, tokens);
    seconds_ = seconds;
    tokens_per_second_ = progress_.tokens_per_second();
    for (Action& action : actions_) action.last_run = step_done_ != 0 ? -1 : step_;
  }

 private:
  struct Action {
    std::int64_t steps;
    std::function<void()> run;
    std::int64_t last_run = -1;  // the step after which it ran
  };

  bool ended() const {
    return stopped_ != 0 || step_ >= options_.max_steps || (options_.time_limit > 0 && seconds_ >= options_.time_limit);
  }
  bool is_due(const Action& action) const {
    return ended() || (step_done_ != 0 && action.steps > 0 && step_ % action.steps == 0);
  }

  O& optimizer_;
  LoopOptions options_;
  Progress progress_;
  std::optional<MetricsLog> metrics_;
  std::list<Action> actions_;  // a list: an action may register another
  RunKeeper* keeper_ = nullptr;
  std::int64_t save_interval_ = 0;
  bool begun_ = false;
  std::atomic<bool> interrupted_{false};
  static_assert(std::atomic<bool>::is_always_lock_free, "a signal handler may call interrupt()");
  // What visit() gives out. step_done_: actions may be due since the last step; next_: of the step in progress.
  std::int64_t step_ = 0, skipped_ = 0, skipped_in_a_row_ = 0, stopped_ = 0, step_done_ = 0;
  std::int64_t backward_calls_ = 0, next_tokens_ = 0;
  double next_loss_ = 0, loss_ = 0, seconds_ = 0, tokens_per_second_ = 0;
};

}  // namespace train
}  // namespace gptlite::inline GPTLITE_ABI
