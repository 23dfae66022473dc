// The list of fuzz targets. A new one is a file beside this one, and a line here.

#include "fuzz/fuzz.hpp"

namespace fuzz {

void safetensors(std::string_view bytes);
void checkpoint(std::string_view bytes);
void resume(std::string_view bytes);
void config(std::string_view bytes);
void bert(std::string_view bytes);
void tokenizer_json(std::string_view bytes);
void vocabulary(std::string_view bytes);
void task_set(std::string_view bytes);
void utf8(std::string_view bytes);
void tokenizers(std::string_view bytes);
void json(std::string_view bytes);

const std::vector<Target>& targets() {
  static const std::vector<Target> all{{"safetensors", safetensors},
                                       {"checkpoint", checkpoint},
                                       {"resume", resume},
                                       {"config", config},
                                       {"bert", bert},
                                       {"tokenizer_json", tokenizer_json},
                                       {"vocabulary", vocabulary},
                                       {"task_set", task_set},
                                       {"utf8", utf8},
                                       {"tokenizers", tokenizers},
                                       {"json", json}};
  return all;
}

}  // namespace fuzz
