// The JSON files that describe models: config.json of models and of tasks, adapter_config.json, the index of shards.

#include "fuzz/fuzz.hpp"
#include "gptlite/io/lora_folder.hpp"
#include "gptlite/io/task_folder.hpp"

namespace fuzz {

using namespace gptlite;

void config(std::string_view bytes) {
  MemoryFiles memory;
  for (const char* name : {"m/config.json", "m/adapter_config.json", "m/model.safetensors.index.json"})
    memory.files[name] = std::string(bytes);
  const io::FileCallsScope scope(memory);
  accepted([&] {
    const GPTConfig config = io::detail::read_config(io::detail::ModelConfigFile("m/config.json"));
    always(config.n_head > 0 && config.n_embd % config.n_head == 0);
    // What is read is written so that it is read again.
    memory.files["n/config.json"] = io::detail::config_json(config, "LMHeadModel", {}).dump();
    const GPTConfig again = io::detail::read_config(io::detail::ModelConfigFile("n/config.json"));
    always(io::detail::config_fingerprint(again) == io::detail::config_fingerprint(config));
  });
  always(!accepted([&] { io::load_gpt<float>("m"); }));  // there are no weights
  always(!accepted([&] { io::load_task_model<float>("m"); }));
  accepted([&] { io::detail::PeftConfig("m/adapter_config.json"); });
}

}  // namespace fuzz
