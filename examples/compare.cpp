// Puts GPT, an LSTM language model, BERT and ELMo side by side; scripts/reproduce_comparison runs it.
//
//   compare --stage tokenizer --folder DIR --text a.txt      learns the tokenizer of all models
//   compare --stage pretrain --model bert --folder DIR ...   trains a language model, DIR/bert.safetensors
//   compare --stage task --model bert --folder DIR ...       fine-tunes it
//   compare --stage middle --folder DIR --text a.txt         masked tokens, from the left and from both sides
//   compare --stage recall --model lstm                      a key's value, at a distance
//
// The last line on stdout is one JSON object with the results. CPU seconds are those of all threads.

#include <gptlite/gptlite.hpp>
#include <gptlite/io.hpp>
#include <iostream>

#include "support/command_line.hpp"
#include "support/compare/probes.hpp"
#include "support/compare/stages.hpp"

namespace {

using namespace gptlite;
using namespace gptlite::compare;

int run(const Options& o) {
  set_num_threads(o.threads);
  const JsonObject result = o.stage == "tokenizer"  ? learn_tokenizer(o)
                            : o.stage == "pretrain" ? pretrain(o)
                            : o.stage == "task"     ? learn_task(o)
                            : o.stage == "middle"   ? middle(o)
                                                    : recall(o);
  std::cout << result.text() << '\n';
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  return examples::guarded("compare", [&] {
    Options o;
    CLI::App app("Puts GPT, an LSTM language model, BERT and ELMo side by side.", "compare");
    app.option_defaults()->take_last();
    app.add_option("--stage", o.stage, "tokenizer, pretrain, task, middle or recall")
        ->check(CLI::IsMember({"tokenizer", "pretrain", "task", "middle", "recall"}))
        ->required();
    app.add_option("--model", o.model)->check(CLI::IsMember({"gpt", "lstm", "bert", "elmo"}))->capture_default_str();
    app.add_option("--folder", o.folder, "of the tokenizer and the weights")->type_name("PATH")->capture_default_str();
    app.add_option("--weights", o.weights, "name of the weights in the folder, without it the model's");
    app.add_option("--text", o.texts, "UTF-8 texts; the last 1% of their tokens is held out")
        ->take_all()
        ->type_name("PATH");
    app.add_option("--vocab-size", o.vocab_size, "of the tokenizer")->capture_default_str();
    app.add_option("--n-layer", o.n_layer)->capture_default_str();
    app.add_option("--n-head", o.n_head)->capture_default_str();
    app.add_option("--n-embd", o.n_embd)->capture_default_str();
    app.add_option("--block-size", o.block_size, "tokens a sequence; of recall the longest distance")
        ->capture_default_str();
    app.add_option("--batch-size", o.batch_size)->capture_default_str();
    app.add_option("--max-steps", o.max_steps, "of pretrain and recall")->capture_default_str();
    app.add_option("--max-cpu-seconds", o.max_cpu_seconds, "in place of --max-steps")->capture_default_str();
    app.add_option("--learning-rate", o.learning_rate)->capture_default_str();
    app.add_option("--dropout", o.dropout)->capture_default_str();
    app.add_option("--initializer-range", o.initializer_range,
                   "standard deviation of GPT's and BERT's initial weights (0.02, in recall 1 / sqrt(n_embd))");
    app.add_option("--task", o.task, "classification, entailment, similarity or multiple-choice");
    app.add_option("--train", o.train)->type_name("PATH");
    app.add_option("--dev", o.dev, "TSV file that the best weights are chosen by")->type_name("PATH");
    app.add_option("--test", o.test)->type_name("PATH");
    app.add_option("--epochs", o.epochs)->capture_default_str();
    app.add_option("--evaluations", o.evaluations, "on --dev")->capture_default_str();
    app.add_option("--lambda", o.lambda, "weight of the language model's loss")->capture_default_str();
    app.add_flag("--frozen", o.frozen, "ELMo's weights stay as they are");
    app.add_flag("--random-weights", o.random_weights, "no pre-training");
    app.add_option("--windows", o.windows, "of middle")->capture_default_str();
    app.add_option("--precision", o.precision)->check(CLI::IsMember({"fp32", "bf16"}))->capture_default_str();
    app.add_option("--threads", o.threads, "0 for all processors")->capture_default_str();
    app.add_option("--seed", o.seed)->capture_default_str();
    const int exit_code = examples::parse(app, argc, argv);
    return exit_code >= 0 ? exit_code : run(o);
  });
}
