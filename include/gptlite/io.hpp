#pragma once
// gptlite's files, all of them: safetensors, models and tokenizers in the folders of Hugging Face, GGUF. They need
// nlohmann-json, which is why gptlite.hpp leaves them out. This header includes everything in io/ and defines nothing.

#include "gptlite/io/checkpoint.hpp"
#include "gptlite/io/differences.hpp"
#include "gptlite/io/dtype.hpp"
#include "gptlite/io/float16.hpp"
#include "gptlite/io/folder_update.hpp"
#include "gptlite/io/gguf.hpp"
#include "gptlite/io/gpt_config_json.hpp"
#include "gptlite/io/gpt_folder.hpp"
#include "gptlite/io/json.hpp"
#include "gptlite/io/lora_folder.hpp"
#include "gptlite/io/model_folder.hpp"
#include "gptlite/io/model_weights.hpp"
#include "gptlite/io/peft_config.hpp"
#include "gptlite/io/run_state.hpp"
#include "gptlite/io/safetensors.hpp"
#include "gptlite/io/task_folder.hpp"
#include "gptlite/io/tokenizer_folder.hpp"
#include "gptlite/io/tokenizer_json.hpp"
#include "gptlite/io/training_run.hpp"
