// ModelWeights: the tensors of one file or of several with an index, and an index that does not fit.

#include "gptlite/io/model_weights.hpp"

#include <doctest/doctest.h>

#include "gptlite/io/gpt_folder.hpp"
#include "support/temporary_folder.hpp"
#include "support/throws.hpp"

using namespace gptlite;

namespace {
struct Shards : TemporaryFolder {
  std::string folder = path.string();
  void index(const nlohmann::json& weight_map) const {
    io::write_text(folder + "/model.safetensors.index.json", nlohmann::json{{"weight_map", weight_map}}.dump());
  }
  std::string refusal() const {
    std::string message = message_of<DataError>([&] { io::ModelWeights(folder, "load_gpt"); });
    for (std::size_t at; (at = message.find(folder)) != message.npos;) message.replace(at, folder.size(), "F");
    return message;
  }
};
const std::string index_name = "F/model.safetensors.index.json: ";
}  // namespace

TEST_CASE("a model in several files is the one in a single file") {
  const std::string fixture = std::string(GPTLITE_FIXTURES) + "/gpt2";
  const Shards shards;
  std::filesystem::copy(fixture + "/config.json", shards.folder + "/config.json");
  io::SafetensorsFile whole(fixture + "/model.safetensors");
  io::NamedTensors parts[2];
  nlohmann::json weight_map;
  for (const auto& [name, entry] : whole.tensors()) {
    const std::size_t part = weight_map.size() % 2;
    parts[part].emplace(name, whole.read<float>(name));
    weight_map[name] = part == 0 ? "a.safetensors" : "b.safetensors";
  }
  io::save_safetensors(shards.folder + "/a.safetensors", parts[0]);
  io::save_safetensors(shards.folder + "/b.safetensors", parts[1]);
  shards.index(weight_map);
  const io::ModelWeights weights(shards.folder);
  CHECK(weights.names().size() == whole.tensors().size());
  CHECK(weights.path() == shards.folder + "/model.safetensors.index.json");
  CHECK_FALSE(weights.contains("none"));
  GPT<float> one = io::load_gpt(fixture), several = io::load_gpt(shards.folder);
  const auto expected = named_parameters<float>(one), got = named_parameters<float>(several);
  REQUIRE(got.size() == expected.size());
  for (std::size_t i = 0; i < got.size(); ++i) CHECK(got[i].second.to_vector() == expected[i].second.to_vector());
  // A single file is what transformers takes too where there are both.
  std::filesystem::copy(fixture + "/model.safetensors", shards.folder + "/model.safetensors");
  CHECK(io::ModelWeights(shards.folder).path() == shards.folder + "/model.safetensors");
}

TEST_CASE("an index that does not fit its files is refused") {
  const Shards shards;
  CHECK(shards.refusal() == "[safetensors] F/model.safetensors: cannot read: No such file or directory");
  shards.index(nullptr);
  CHECK(shards.refusal() == "[load_gpt] " + index_name + "\"weight_map\" must be an object of file names by tensor");
  for (const nlohmann::json& name : {nlohmann::json("../a.safetensors"), nlohmann::json(""), nlohmann::json(3)}) {
    shards.index({{"x", name}});
    CHECK(shards.refusal() ==
          "[load_gpt] " + index_name + "the file of \"x\" must be a name in the same folder, not " + name.dump());
  }
  shards.index({{"x", "a.safetensors"}});
  CHECK(shards.refusal() == "[safetensors] F/a.safetensors: cannot read: No such file or directory");
  io::save_safetensors(shards.folder + "/a.safetensors", {{"y", Tensor<float>::ones({1})}});
  CHECK(shards.refusal() == "[load_gpt] " + index_name + "a.safetensors holds no tensor \"x\"");
  shards.index({{"y", "a.safetensors"}});
  CHECK(message_of<DataError>([&] { io::ModelWeights(shards.folder).entry("x"); }).find("holds no tensor \"x\"") !=
        std::string::npos);
}
