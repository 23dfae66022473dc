"""Writes the seeds of the fuzz targets, corpus/TARGET/seed-*, and their dictionaries.

    python tests/fuzz/make_corpus.py

What fuzzing found beyond them, scripts/fuzz adds.
"""
import json
import pathlib
import struct

HERE = pathlib.Path(__file__).parent
FIXTURES = HERE.parent / "fixtures"


def seed(target, name, content):
    folder = HERE / "corpus" / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"seed-{name}").write_bytes(content if isinstance(content, bytes) else content.encode())


def dictionary(target, words):
    folder = HERE / "dictionaries"
    folder.mkdir(exist_ok=True)
    quoted = [word.encode().decode("latin-1").replace("\\", "\\\\").replace('"', '\\"') for word in words]
    escaped = ["".join(c if " " <= c <= "~" else f"\\x{ord(c):02x}" for c in word) for word in quoted]
    (folder / f"{target}.dict").write_text("".join(f'"{word}"\n' for word in escaped))


def file_of(header, data):
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + data


# safetensors
seed("safetensors", "two", file_of({"__metadata__": {"format": "pt"},
                                    "a": {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]},
                                    "b": {"dtype": "I64", "shape": [1], "data_offsets": [16, 24]}}, bytes(24)))
seed("safetensors", "types", file_of({name: {"dtype": name, "shape": [2], "data_offsets": [2 * at, 2 * at + 2 * size]}
                                      for name, at, size in (("F64", 0, 8), ("BF16", 8, 2), ("F16", 10, 2), ("U8", 12, 1), ("BOOL", 13, 1))},
                                     bytes(28)))
seed("safetensors", "empty", file_of({}, b""))
seed("safetensors", "no-numbers", file_of({"a": {"dtype": "F32", "shape": [0, 3], "data_offsets": [0, 0]}}, b""))
def raw(header, data=b"", length=None):
    return struct.pack("<Q", len(header) if length is None else length) + header + data


ONE = '{"x":{"dtype":"F32","shape":[%s],"data_offsets":[%s]}}'
for name, content in (("seven-bytes", b"1234567"), ("huge-length", raw(b"{}", length=2**64 - 1)), ("truncated", raw(b"{}", length=100)),
                      ("mark", raw(b"\xef\xbb\xbf{}")), ("zero", raw(b"{}\0")), ("surrogate", raw(b'{"\\ud800":1}')),
                      ("deep", raw(b"[" * 200)), ("array", raw(b"[]")), ("metadata", raw(b'{"__metadata__":{"a":1}}')),
                      ("name", raw(b'{"a\\u0000\xe2\x82\xac":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}', b"x")),
                      ("duplicate", raw(b'{"x":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"\\u0078":{}}')),
                      ("overflow", raw((ONE % ("0,4294967296,4294967296", "0,0")).encode())),
                      ("size", raw((ONE % ("2", "0,4")).encode(), b"1234")), ("gap", raw((ONE % ("1", "1,5")).encode(), b"12345")),
                      ("tail", raw((ONE % ("1", "0,4")).encode(), b"12345")), ("short", raw((ONE % ("1", "0,4")).encode(), b"123")),
                      ("real-size", raw((ONE % ("1.5", "0,4")).encode(), b"1234")), ("minus", raw((ONE % ("-0", "0,0")).encode())),
                      ("infinite", raw((ONE % ("1e999", "0,4")).encode(), b"1234")),
                      ("bits", raw(b'{"x":{"dtype":"F4","shape":[3],"data_offsets":[0,1]}}', b"x"))):
    seed("safetensors", name, content)
JSON = ["{", "}", "[", "]", ":", ",", "\"", "null", "true", "1e999", "-0", "18446744073709551615", "9223372036854775808", "\\ud800",
        "\\u0000", "\ufeff"]
dictionary("safetensors", JSON + ["\"__metadata__\"", "\"dtype\"", "\"shape\"", "\"data_offsets\"", "F32", "F64", "F16", "BF16", "I64",
                                  "I32", "U8", "BOOL", "F8_E4M3", "F4", "[0,0]"])

# checkpoints: those of tests/io/checkpoint_test.cpp, without checksums, which the target sets
seed("checkpoint", "small", file_of({"__metadata__": {"format": "gptlite checkpoint 1", "integer:step": "7", "real:loss": "0.1",
                                                      "text:config": "{}"},
                                     "a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}, bytes(8)))
dictionary("checkpoint", JSON + ["\"__metadata__\"", "\"format\"", "gptlite checkpoint 1", "crc32c:", "integer:", "real:", "text:", "nan",
                                 "inf", "F32", "F64", "\"dtype\"", "\"shape\"", "\"data_offsets\""])

# The run of resume.cpp in its second step; the target sets the checksums here too.
state = {"integer:" + name: str(value) for name, value in {
    "batches.position": 3, "loop.actions_due": 1, "loop.backward_calls": 1, "loop.next_tokens": 2, "loop.skipped": 0,
    "loop.skipped_in_a_row": 0, "loop.step": 1, "loop.stopped": 0, "model.dropout.position": 3, "optimizer.step": 1,
    "stopping.best_step": 1, "stopping.without": 0}.items()}
state |= {"real:" + name: value for name, value in {
    "loop.loss": "1.1", "loop.next_loss": "0.5", "loop.seconds": "0.1", "loop.tokens": "4", "stopping.best": "1.1"}.items()}
weights = ["model.grad.next.weight", "model.next.weight", "optimizer.m.next.weight", "optimizer.v.next.weight"]
for name, tensors in (("in-a-step", weights), ("between-steps", weights[1:])):
    seed("resume", name, file_of(
        {"__metadata__": {"format": "gptlite checkpoint 1"} | state | ({} if tensors == weights else {"integer:loop.backward_calls": "0"}),
         **{tensor: {"dtype": "F32", "shape": [3, 3], "data_offsets": [36 * i, 36 * i + 36]} for i, tensor in enumerate(tensors)}},
        bytes(36 * len(tensors))))
dictionary("resume", JSON + [name for name in (*state, *weights)] + ["4611686018427387903", "4611686018427387904", "9223372036854775807", "nan", "inf", "F64",
                                                                    "1e999", "2147483647"])

# JSON that describes models
gpt2 = {"model_type": "gpt2", "vocab_size": 11, "n_positions": 8, "n_embd": 4, "n_layer": 1, "n_head": 2,
        "activation_function": "gelu_new", "layer_norm_epsilon": 1e-5, "tie_word_embeddings": True}
gpt1 = {"model_type": "openai-gpt", "vocab_size": 11, "n_positions": 8, "n_embd": 4, "n_layer": 1, "n_head": 2, "afn": "gelu",
        "gptlite_window": 3, "gptlite_task": {"task": "entailment", "labels": ["a", "b"], "max_part_length": 3}}
own = gpt2 | {"model_type": "gptlite", "gptlite_norm_order": "pre", "gptlite_rotary": False, "gptlite_rope_theta": 100.0,
              "gptlite_norm_type": "layer_norm", "gptlite_qk_norm": True, "gptlite_n_kv_head": 2, "gptlite_gated_mlp": False,
              "gptlite_bias": True, "gptlite_logit_softcap": 2.5}
adapter = {"peft_type": "LORA", "r": 2, "lora_alpha": 4, "lora_dropout": 0.0, "target_modules": ["c_attn"],
           "modules_to_save": ["score"], "fan_in_fan_out": True, "bias": "none", "init_lora_weights": True}
for name, value in (("gpt2", gpt2), ("gpt1", gpt1), ("gptlite", own), ("adapter", adapter),
                    ("index", {"metadata": {}, "weight_map": {"a": "shard", "b": "shard"}}),
                    ("layers", gpt2 | {"n_embd": 1, "n_head": 1, "n_layer": 39000})):
    seed("config", name, json.dumps(value))
dictionary("config", JSON + sorted({f'"{key}"' for value in (own, gpt1, adapter) for key in value}) +
           ["\"gpt2\"", "\"openai-gpt\"", "\"weight_map\"", "\"task\"", "\"labels\"", "\"use_rslora\"", "\"rank_pattern\"", "\"all-linear\"",
            "\"n_inner\"", "\"gelu_pytorch_tanh\"", "\"shard\"", "\"scale_attn_weights\"", "\"scale_attn_by_inverse_layer_idx\"", "\"silu\"", "\"relu\"", "\"eos_token_id\"", "\"bos_token_id\"",
            "\"pad_token_id\"", "\"alpha_pattern\"", "\"do_sample\"", "\"metadata\"", "1073741824", "39000", "\"classification\"", "\"multiple-choice\"",
            "\"gptlite\"", "\"rms_norm\"", "\"post\""])

# JSON that describes BERTs and sentence encoders
bert = {"model_type": "bert", "vocab_size": 8, "hidden_size": 4, "num_hidden_layers": 1, "num_attention_heads": 2,
        "intermediate_size": 6, "hidden_act": "gelu", "max_position_embeddings": 6, "type_vocab_size": 2, "layer_norm_eps": 1e-12,
        "hidden_dropout_prob": 0.1, "initializer_range": 0.02, "sep_token_id": 3, "position_embedding_type": "absolute"}
modules = [{"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
           {"idx": 1, "name": "1", "path": "1", "type": "sentence_transformers.models.Pooling"},
           {"idx": 2, "name": "2", "path": "2_Normalize", "type": "sentence_transformers.models.Normalize"}]
for name, value in (("config", bert), ("layers", bert | {"num_hidden_layers": 39000, "hidden_size": 1, "num_attention_heads": 1}),
                    ("modules", modules), ("pooling", {"pooling_mode_mean_tokens": False, "pooling_mode_max_tokens": True}),
                    ("pooling-6", {"embedding_dimension": 4, "pooling_mode": "cls", "include_prompt": True}),
                    ("sentence", {"max_seq_length": 4, "do_lower_case": False}), ("prompts", {"prompts": {}, "default_prompt_name": None}),
                    ("length", {"model_max_length": 1e30, "do_lower_case": True, "strip_accents": None})):
    seed("bert", name, json.dumps(value))
seed("bert", "words", "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nlow\n##er\n")
dictionary("bert", JSON + sorted({f'"{key}"' for key in bert}) +
           ["\"path\"", "\"type\"", "Pooling", "Normalize", "Transformer", "..", "\"pooling_mode\"", "\"mean\"", "\"max\"", "\"cls\"",
            "\"pooling_mode_mean_tokens\"", "\"pooling_mode_cls_token\"", "\"max_seq_length\"", "\"model_max_length\"", "\"is_decoder\"",
            "[UNK]\n", "[SEP]\n", "##", "1073741824", "\"gelu_new\""])

# tokenizers
byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
alphabet = [chr(i) for i in (*range(33, 127), *range(161, 173), *range(174, 256))] + [chr(256 + i) for i in range(68)]
vocabulary = {token: i for i, token in enumerate(alphabet + ["lo", "low", "<|endoftext|>"])}
tokenizer = {"version": "1.0", "added_tokens": [{"id": vocabulary["<|endoftext|>"], "content": "<|endoftext|>", "special": True,
                                                  "single_word": False, "lstrip": False, "rstrip": False, "normalized": False}],
             "normalizer": None, "pre_tokenizer": byte_level, "post_processor": byte_level, "decoder": byte_level,
             "model": {"type": "BPE", "vocab": vocabulary, "merges": [["l", "o"], ["lo", "w"]]}}
seed("tokenizer_json", "gpt2", json.dumps(tokenizer, ensure_ascii=False, separators=(",", ":")))
seed("tokenizer_json", "characters", json.dumps({"added_tokens": [], "pre_tokenizer": None, "model": {
    "type": "BPE", "vocab": {"\n": 0, " ": 1, "a": 2, "b": 3}, "merges": []}}))
seed("tokenizer_json", "gpt1", json.dumps({
    "added_tokens": [], "normalizer": {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True,
                                       "strip_accents": None, "lowercase": True},
    "pre_tokenizer": {"type": "BertPreTokenizer"}, "decoder": {"type": "BPEDecoder", "suffix": "</w>"},
    "model": {"type": "BPE", "unk_token": "<unk>", "end_of_word_suffix": "</w>", "merges": ["l o", "lo w</w>"],
              "vocab": {token: i for i, token in enumerate(["<unk>", "l", "o", "w", "l</w>", "o</w>", "w</w>", "lo", "low</w>"])}}}))
# Special tokens that other text is encoded to, a template of a task's tokens, merges of older files.
seed("tokenizer_json", "ambiguous", json.dumps(
    tokenizer | {"added_tokens": [{"id": vocabulary[token], "content": token} for token in ("\u0120", "low", "<|endoftext|>")],
                 "model": tokenizer["model"] | {"merges": ["l o", "lo w"]}}, ensure_ascii=False, separators=(",", ":")))
task_tokens = ["<|start|>", "<|delimiter|>", "<|extract|>"]
seed("tokenizer_json", "task", json.dumps({
    "added_tokens": [{"id": i, "content": token} for i, token in enumerate(["<unk>"] + task_tokens)],
    "normalizer": {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True, "lowercase": True},
    "pre_tokenizer": {"type": "BertPreTokenizer"},
    "post_processor": {"type": "TemplateProcessing", "special_tokens": {
        token: {"id": token, "ids": [i + 1], "tokens": [token]} for i, token in enumerate(task_tokens)}},
    "model": {"type": "BPE", "unk_token": "<unk>", "end_of_word_suffix": "</w>", "merges": [],
              "vocab": {token: i for i, token in enumerate(["<unk>"] + task_tokens + ["a", "a</w>"])}}}))
pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "low", "##er", "un", "'", "\u4e2d"]
seed("tokenizer_json", "word-piece", json.dumps({
    "added_tokens": [{"id": i, "content": token} for i, token in enumerate(pieces[:5])],
    "normalizer": {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True, "strip_accents": None, "lowercase": True},
    "pre_tokenizer": {"type": "BertPreTokenizer"}, "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True},
    "post_processor": {"type": "TemplateProcessing", "single": [
        {"SpecialToken": {"id": "[CLS]", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}, {"SpecialToken": {"id": "[SEP]", "type_id": 0}}],
        "special_tokens": {token: {"id": token, "ids": [i], "tokens": [token]} for i, token in enumerate(pieces[:4]) if i > 1}},
    "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": 100,
              "vocab": {token: i for i, token in enumerate(pieces)}}}))
dictionary("tokenizer_json", JSON + ["\"WordPiece\"", "[UNK]", "[CLS]", "[SEP]", "##", "\"lowercase\"", "\"single\"", "\"SpecialToken\"", "\"model\"", "\"vocab\"", "\"merges\"", "\"added_tokens\"", "\"content\"", "\"id\"", "\"type\"",
                                     "\"BPE\"", "\"ByteLevel\"", "\"BertPreTokenizer\"", "\"BertNormalizer\"", "\"TemplateProcessing\"",
                                     "\"post_processor\"", "\"special_tokens\"", "</w>", "<unk>", "<|endoftext|>", "\"end_of_word_suffix\"", "\u0120", "<|start|>", "<|delimiter|>", "<|extract|>"])
seed("vocabulary", "gpt2", json.dumps(vocabulary, ensure_ascii=False, separators=(",", ":")) + "\0#version: 0.2\nl o\nlo w\n")
seed("vocabulary", "gpt1", json.dumps({token: i for i, token in enumerate(["<unk>", "l", "o</w>", "lo</w>"])}) +
     "\0l o</w>\n\0{\"<start>\": 4}")
dictionary("vocabulary", JSON + ["\u0120", "<|start|>", "#version: 0.2\n", "</w>", "<unk>", "<|endoftext|>", "l o\n", "\0", "\r\n"])

# tables of tasks
seed("task_set", "classification", "label\ttext\na\tone\nb\ttwo\n")
seed("task_set", "entailment", "label\tpremise\thypothesis\nyes\ta man\ta person\nno\ta\tb\n")
seed("task_set", "similarity", "score\tsentence1\tsentence2\n4.5\ta\tb\n0\tc\td\n")
seed("task_set", "choice", "label\tcontext\tchoice0\tchoice1\n1\tc\tx\ty\n")
seed("task_set", "columns", "\xef\xbb\xbfc\tb\ta\r\n1\tone\tx\r\n\r\n2\ttwo\ty\r\n".encode("latin-1"))
seed("task_set", "wrong", b"label\ttext\na\t\0\nb\t\xed\xa0\x80\nc\n")
dictionary("task_set", ["label", "text", "premise", "hypothesis", "score", "sentence1", "sentence2", "context", "choice0", "choice1", "\t",
                        "\r\n", "\ufeff", "5.000001", "1e999", "nan", "-0"])

# text
for name, text in (("words", "The quick brown fox's 12 words,  don't\n\tend  "),
                   ("languages", "Größe, naïve, 中文 テスト, Ελλάς, русский, العربية, 👩‍👩‍👧, e\u0301, \u00a0"),
                   ("broken", b"good \xff \xc0\x80 \xed\xa0\x80 \xf4\x90\x80\x80 \xe2\x82")):
    seed("utf8", name, text)
    seed("tokenizers", name, text)
seed("utf8", "number", "-1.7976931348623157e308")
seed("utf8", "name", "multiple-choice")
seed("tokenizers", "special", "a<|endoftext|>b<unk></w>low")
seed("tokenizers", "trained", "low lower lowest\n\n")
letters = ["\u00e9", "\u4e2d", "\U0001f469", "\u0130", "\u1e9e", "\u0301", "\u200d", "\u00a0", "12", "  "]
dictionary("utf8", letters + ["-", "e308", "inf", "nan", "9223372036854775808", "entailment", "similarity", "\u0000", "\ufeff"])
dictionary("tokenizers", letters + ["<|endoftext|>", "</w>", "<unk>", "'s", "'ll", "low"])

# JSON
seed("json", "all", "{\"a\": [1, -2.5e3, true, false, null, \"x\\u00e9\\n\\ud83d\\ude00\"], \"b\": {\"c\": {}}}")
seed("json", "deep", "[" * 126 + "]" * 126)
seed("json", "too-deep", "[" * 128 + "]" * 128)
seed("json", "numbers", "[-0, 0.0, -0.0, 1e999, 1E-400, 18446744073709551615, 18446744073709551616, -9223372036854775809]")
seed("json", "large", "[-0, 0.0, -0.0, 1E-400, 18446744073709551615, 18446744073709551616, -9223372036854775809, 5e-324]")
seed("json", "mark", b"\xef\xbb\xbf{}")
seed("json", "zero", b"[1]\0[2]")
seed("json", "surrogate", "[\"\\ud800\"]")
seed("json", "duplicate", "{\"a\": 1, \"a\": 2}")
dictionary("json", JSON + ["\\n", "\\ud83d\\ude00", "1.5e-3", "[[[[[[[[", "]]]]]]]]", "{\"a\":"])
