// Converts a model from a Hugging Face folder: to GGUF, which llama.cpp runs, or to a folder in another number format.
//
//   convert --model gpt2 --out gpt2.gguf --type int8
//   convert --model gpt2 --out gpt2-bf16 --type bf16

#include <gptlite/gptlite.hpp>
#include <gptlite/io.hpp>
#include <iostream>
#include <map>
#include <span>

#include "support/command_line.hpp"
#include "support/other_heads.hpp"

namespace {

using namespace gptlite;

template <class Model>
void check_finite(const std::string& folder, const Model& model) {
  visit_parameters(model, [&](const std::string& name, const Tensor<float>& weights) {
    check<DataError>(all_finite(std::span(weights.data(), static_cast<std::size_t>(weights.numel()))), "convert",
                     folder, ": ", name, " has numbers that are not finite: has the model diverged?");
  });
}

io::DType dtype_of(const std::string& type) {
  check<ConfigError>(type != "int8", "convert", "a folder is written as fp32, bf16 or fp16; int8 needs a .gguf file");
  static const std::map<std::string, io::DType> dtypes = {
      {"fp32", io::DType::F32}, {"bf16", io::DType::BF16}, {"fp16", io::DType::F16}};
  return dtypes.at(type);
}

void convert(const std::string& folder, const std::string& out, const std::string& type) {
  if (!out.ends_with(".gguf") && io::is_task_folder(folder)) {  // a fine-tuned model keeps its head and its labels
    const io::TaskFolder<float> task = io::load_task_model(folder);
    check_finite(folder, task.model);
    return io::save_task_model(out, task, dtype_of(type));
  }
  const auto [model, tokenizer] = io::load_model(folder);
  examples::note_other_heads("convert", folder);
  check_finite(folder, model);
  if (out.ends_with(".gguf")) {
    // A file without a tokenizer: llama.cpp takes and gives ids.
    const bool supported = io::gguf_supports(tokenizer);
    if (!supported) std::cerr << "convert: llama.cpp's gpt2 has byte-level BPE only: written without a tokenizer\n";
    if (supported && model.config.special_tokens->eos.empty())
      std::cerr << "convert: the model has no eos token: llama.cpp will end texts at token 11\n";
    io::save_gguf(out, model, parse<io::GgufType>(type), supported ? &tokenizer : nullptr);
  } else {
    io::save_model(out, model, tokenizer, dtype_of(type));
  }
}

int run(const std::string& folder, const std::string& out, const std::string& type) {
  convert(folder, out, type);
  std::cerr << out << " written\n";
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  return examples::guarded("convert", [&] {
    std::string model, out, type = "fp32";
    CLI::App app("Converts a model to GGUF, or to a folder in another number format.", "convert");
    app.option_defaults()->take_last();
    app.add_option("--model", model, "folder with config.json, model.safetensors and a tokenizer")
        ->type_name("PATH")
        ->required();
    app.add_option("--out", out, "a file that ends in .gguf, or a folder")->type_name("PATH")->required();
    app.add_option("--type", type, "of the weights: fp32, bf16, fp16, int8 (Q8_0 of GGUF)")
        ->check(CLI::IsMember({"fp32", "bf16", "fp16", "int8"}))
        ->capture_default_str();
    const int exit_code = examples::parse(app, argc, argv);
    return exit_code >= 0 ? exit_code : run(model, out, type);
  });
}
