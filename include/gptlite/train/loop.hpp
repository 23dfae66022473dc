#pragma once
// Loop: everything around the forward and backward pass of a training run, so that a program writes only those.

#include <cstdint>
#include <cstdio>
#include <functional>
#include <list>
#include <optional>
#include <string>
#include <utility>

#include "gptlite/autograd/backward.hpp"
#include "gptlite/autograd/ops/arithmetic.hpp"
#include "gptlite/core/error.hpp"
#include "gptlite/core/json_writer.hpp"
#include "gptlite/core/tensor.hpp"
#include "gptlite/train/metrics_log.hpp"
#include "gptlite/train/optimizer.hpp"
#include "gptlite/train/progress.hpp"

namespace gptlite::inline GPTLITE_ABI {
namespace train {

/// Options of a Loop.
struct LoopOptions {
  std::int64_t max_steps = 0;  ///< optimizer steps of the run, 1 or more
  /// Learning rate of each step, counted from 0, such as a Schedule. Empty: the optimizer's own.
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
/// The optimizer must outlive the loop, which knows neither model nor data.
template <Optimizer O>
class Loop {
 public:
  /// Throws ConfigError for options that cannot work, what the optimizer throws for the first learning rate, and
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
    if (options_.learning_rate) optimizer_.set_learning_rate(options_.learning_rate(0));
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
  /// after max_steps, at the time limit, or with stop().
  bool next() {
    // Twice: an action may call stop(), which makes the actions before it due as well.
    for (int pass = 0; pass < 2; ++pass)
      for (Action& action : actions_)
        if (action.last_run != step_ && (ended() || (step_done_ && action.steps > 0 && step_ % action.steps == 0))) {
          action.last_run = step_;
          progress_.pause(action.run);
        }
    step_done_ = false;  // at the end: if an action throws, those after it are still due
    if (ended()) return false;
    if (options_.learning_rate) optimizer_.set_learning_rate(options_.learning_rate(step_));
    return true;
  }

  /// Adds the gradient of loss / grad_accumulation to the parameters; call it grad_accumulation times before step().
  /// loss: a scalar. tokens: number of tokens that the loss was computed from, for tokens per second.
  template <class T>
  void backward(const Tensor<T>& loss, Index tokens) {
    const T share = T(1) / static_cast<T>(options_.grad_accumulation);
    const Tensor<T> part = options_.grad_accumulation == 1 ? loss : loss * share;
    part.backward();
    next_loss_ += static_cast<double>(part.item());
    tokens_ += tokens;
    ++backward_calls_;
  }

  /// Drops the gradients that backward() has added since the last step, such as those of a batch that turned out bad.
  void discard() {
    optimizer_.zero_grad();
    backward_calls_ = 0;
    next_loss_ = 0;
    tokens_ = 0;
  }

  /// Steps the optimizer and writes {"step", "loss", the members of `extra`, "learning_rate", "grad_norm",
  /// "tokens_per_s", "seconds"} to the metrics file. A gradient that is not finite is reported and not applied; five
  /// in a row throw Error. Throws ConfigError if backward() was not called grad_accumulation times.
  StepResult step(const JsonObject& extra = {}) {
    check<ConfigError>(backward_calls_ == options_.grad_accumulation, "Loop",
                       "step() needs grad_accumulation = ", options_.grad_accumulation,
                       " calls of backward() before it, got ", backward_calls_, "; discard() drops them");
    const StepResult result = optimizer_.step();
    ++step_;
    step_done_ = true;
    backward_calls_ = 0;
    loss_ = std::exchange(next_loss_, 0);
    const Index tokens = std::exchange(tokens_, 0);

    skipped_in_a_row_ = result.skipped ? skipped_in_a_row_ + 1 : 0;
    if (result.skipped) print_above("step " + std::to_string(step_) + ": the gradient is not finite, step skipped");
    check<Error>(skipped_in_a_row_ < 5, "Loop", "the loss diverged: five gradients in a row are not finite (loss ",
                 loss_, " at step ", step_, "); try a smaller learning rate or a longer warm-up");

    progress_.update(step_, loss_, static_cast<double>(tokens));
    seconds_ = progress_.seconds();
    tokens_per_second_ = progress_.tokens_per_second();
    JsonObject line;
    line.add("loss", loss_).add_members(extra);
    line.add("learning_rate", optimizer_.learning_rate()).add("grad_norm", result.grad_norm);
    if (options_.log_time) line.add("tokens_per_s", tokens_per_second_).add("seconds", seconds_);
    log(line);
    return result;
  }

  /// Ends training: the next call of next() runs all actions that have not run since the last step and returns false.
  void stop() { stopped_ = true; }

  /// Writes {"step", the members of `object`} to the metrics file, if there is one.
  void log(const JsonObject& object) {
    if (metrics_) metrics_->write(JsonObject().add("step", step_).add_members(object));
  }
  /// Prints text on lines of its own above the progress line.
  void print_above(const std::string& text) { progress_.print_above(text); }

  /// Number of steps done, skipped ones among them.
  std::int64_t step_count() const { return step_; }
  /// Loss of the last step, the mean of its backward() calls.
  double loss() const { return loss_; }
  /// Seconds from the construction of the loop to the end of the last step, without the actions.
  double seconds() const { return seconds_; }
  /// Tokens per second over seconds().
  double tokens_per_second() const { return tokens_per_second_; }
  const LoopOptions& options() const { return options_; }
  O& optimizer() { return optimizer_; }

  /// Calls f(name, state) for the loop's own state, as the visit of an Optimizer does: "step" and "skipped_in_a_row"
  /// (std::int64_t&). A loop and an optimizer that receive the state of others between two steps continue with the same
  /// steps.
  template <class F>
  void visit(F&& f) {
    f(std::string("step"), step_);
    f(std::string("skipped_in_a_row"), skipped_in_a_row_);
  }

 private:
  struct Action {
    std::int64_t steps;
    std::function<void()> run;
    std::int64_t last_run = -1;  // the step after which it ran
  };

  bool ended() const {
    return stopped_ || step_ >= options_.max_steps || (options_.time_limit > 0 && seconds_ >= options_.time_limit);
  }

  O& optimizer_;
  LoopOptions options_;
  Progress progress_;
  std::optional<MetricsLog> metrics_;
  std::list<Action> actions_;                 // a list: an action may register another
  bool stopped_ = false, step_done_ = false;  // step_done_: since the last next()
  std::int64_t step_ = 0, skipped_in_a_row_ = 0;
  Index backward_calls_ = 0, tokens_ = 0;  // of the step in progress
  double next_loss_ = 0, loss_ = 0, seconds_ = 0, tokens_per_second_ = 0;
};

}  // namespace train
}  // namespace gptlite::inline GPTLITE_ABI
