"""Random folders as transformers and PEFT write them: they compute the same here, or are refused by name.

usage: python compare_folders.py FOLDER [--models 300] [--adapters 100] [--seed 1]

FOLDER holds the example programs; for adapters also score_adapters beside it, in ../tests (cmake --build ... --target
score_adapters). Needs torch, transformers, tokenizers, safetensors and peft, and for GGUF files llama-cpp-python; takes some
minutes. Not part of scripts/test.

Each folder is a GPT-1 or GPT-2 with random settings of docs/compatibility.md, tied or not, in shards or not, in F32, F16 or
BF16, with a tokenizer of random settings, and more, fewer or as many tokens as rows. Compared with transformers: log-probabilities
within 1e-5, ids of texts. Then convert writes the folder, and once more what it wrote: transformers computes the same of it, and
the second is equal to the first, key by key and weight by weight. Of the GGUF file llama.cpp gives the same ids, special tokens
and, within 0.002, log-probabilities.
"""
import argparse
import collections
import json
import os
import pathlib
import random
import re
import shutil
import subprocess
import sys
import tempfile

os.environ["TOKENIZERS_PARALLELISM"] = "false"
import peft
import safetensors.torch
import torch
import transformers
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import (AutoModelForCausalLM, AutoTokenizer, GPT2Config, GPT2LMHeadModel, OpenAIGPTConfig, OpenAIGPTLMHeadModel,
                          PreTrainedTokenizerFast)

try:
    import llama_cpp
except ImportError:
    llama_cpp = None
    print("no llama-cpp-python: GGUF files are not compared")

parser = argparse.ArgumentParser()
parser.add_argument("programs", type=pathlib.Path)
parser.add_argument("--models", type=int, default=300)
parser.add_argument("--adapters", type=int, default=100)
parser.add_argument("--seed", type=int, default=1)
options = parser.parse_args()
transformers.utils.logging.set_verbosity_error()
transformers.utils.logging.disable_progress_bar()

# What a refusal must say: the file and the setting, or the tensors.
BY_NAME = re.compile(r'"[^"]+" (is|names|must|has)|is not known|not supported|missing, \d+ unexpected|outside the vocabulary|check_vocabulary'
                     r"|has no activation|openai-gpt has|cannot|holds no|llama\.cpp")
SAMPLES = ["The quick brown fox's 12 words,  don't\n", "low lower lowest ", "Größe naïve", "中文 テスト", "👩‍👧 e\u0301", "<|endoftext|>", "[PAD]",
           "word", "\t x", "tHe THE the", "a  b", "it's we'll"]


def run(program, *arguments):
    return subprocess.run([program, *map(str, arguments)], capture_output=True, text=True, errors="replace")


def chance(p):
    return random.random() < p


def tokenizer_into(folder, gpt2):
    """Writes a tokenizer of random settings; returns its number of tokens."""
    words = ["the low lower lowest quick brown fox", "a b c d word 12 's 'll don't"] * 3
    special = ["<|endoftext|>"] if gpt2 else ["<unk>"]
    if gpt2:
        tokenizer = Tokenizer(models.BPE())
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=chance(0.1))
        tokenizer.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(vocab_size=290, special_tokens=special, show_progress=False,
                                      initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    else:
        tokenizer = Tokenizer(models.BPE(unk_token="<unk>", end_of_word_suffix="</w>"))
        tokenizer.normalizer = normalizers.BertNormalizer(lowercase=not chance(0.1))
        tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        tokenizer.decoder = decoders.BPEDecoder(suffix="</w>")
        trainer = trainers.BpeTrainer(vocab_size=120, special_tokens=special, end_of_word_suffix="</w>", show_progress=False)
    tokenizer.train_from_iterator(words, trainer)
    settings = dict(eos_token=special[0]) if gpt2 else dict(unk_token="<unk>")
    if chance(0.2):
        settings["pad_token"] = random.choice([special[0], "[PAD]"])
    if chance(0.1):
        settings["clean_up_tokenization_spaces"] = True
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, **settings)
    if chance(0.2):
        fast.add_tokens(["word"], special_tokens=chance(0.5))
    fast.save_pretrained(folder)
    count = len(fast)
    path = folder / "tokenizer_config.json"
    config = json.loads(path.read_text())
    if gpt2 and chance(0.4):
        config |= {"tokenizer_class": "GPT2Tokenizer", "add_prefix_space": chance(0.1)}
    if chance(0.1):
        config["add_bos_token"] = True
    path.write_text(json.dumps(config))
    if chance(0.2) and not fast.get_added_vocab().keys() - set(special):  # as before tokenizer.json
        model = json.loads((folder / "tokenizer.json").read_text())["model"]
        (folder / "vocab.json").write_text(json.dumps(model["vocab"]))
        (folder / "merges.txt").write_text("#version: 0.2\n" + "".join(
            (" ".join(merge) if isinstance(merge, list) else merge) + "\n" for merge in model["merges"]))
        if config.get("pad_token") != "[PAD]":
            (folder / "tokenizer.json").unlink()
            path.write_text(json.dumps(config | {"tokenizer_class": "GPT2Tokenizer" if gpt2 else "OpenAIGPTTokenizer"}))
    return count


def random_model(gpt2, rows):
    settings = dict(vocab_size=rows, n_positions=32, n_layer=random.choice([1, 2, 3]), n_head=random.choice([1, 2, 4]),
                    n_embd=random.choice([16, 24, 48]), tie_word_embeddings=chance(0.7), initializer_range=0.1,
                    layer_norm_epsilon=random.choice([1e-5, 1e-3]))
    if chance(0.3):
        settings |= dict(bos_token_id=random.choice([None, 1]), eos_token_id=random.choice([None, 2, [2, 3]]), pad_token_id=0)
    if not gpt2:
        return OpenAIGPTLMHeadModel(OpenAIGPTConfig(**settings, afn=random.choice(["gelu", "relu", "silu", "swish"])))
    return GPT2LMHeadModel(GPT2Config(
        **settings, n_inner=random.choice([None, None, 8, 100]), scale_attn_weights=chance(0.7), reorder_and_upcast_attn=chance(0.2),
        scale_attn_by_inverse_layer_idx=chance(0.3), activation_function=random.choice(
            ["gelu_new", "gelu_new", "gelu", "relu", "silu", "tanh", "gelu_fast", "gelu_pytorch_tanh", "swish", "gelu_python", "relu2", "mish"])))


def save_model(model, folder):
    kind = random.choice(["whole", "whole", "shards", "half", "bfloat16", "without_head", "save_model"])
    if kind == "half" or kind == "bfloat16":
        model = model.to(getattr(torch, kind))
    if kind == "without_head" and model.config.tie_word_embeddings:
        model.transformer.save_pretrained(folder)
    else:
        model.save_pretrained(folder, max_shard_size="20KB" if kind == "shards" else "5GB")
    if kind == "save_model" and model.config.tie_word_embeddings:
        safetensors.torch.save_model(model, str(folder / "model.safetensors"))
    if chance(0.2):
        path = folder / "config.json"
        extra = random.choice([{"n_ctx": 32}, {"do_sample": True, "max_length": 50}, {"add_cross_attention": True},
                               {"task_specific_params": {"a": 1}}, {"quantization_config": {"bits": 4}}, {"n_experts": 2}])
        path.write_text(json.dumps(json.loads(path.read_text()) | extra))
        return extra
    return {}


def log_probabilities(model, tokens):
    with torch.no_grad():
        scores = torch.log_softmax(model(torch.tensor([tokens])).logits[0].double(), -1)
    return [scores[i, token].item() for i, token in enumerate(tokens[1:])]


class Comparison:
    def __init__(self):
        self.worst, self.equal, self.refused, self.failed = 0.0, 0, collections.Counter(), []
        self.gguf_worst, self.gguf = 0.0, 0

    def refuse(self, n, done):
        message = " ".join(done.stderr.split("\n")[-2:]).strip() if "shape mismatches" not in done.stderr else done.stderr
        short = re.sub(r"/[^ ]*/", "", message)[:110]
        if done.returncode == 1 and BY_NAME.search(done.stderr):
            self.refused[short] += 1
        else:
            self.fail(n, f"exit code {done.returncode}: {short}")

    def fail(self, n, what):
        self.failed.append(n)
        print(f"{n}: {what}", flush=True)

    def compare(self, n, got, want, what, limit=1e-5):
        error = max(abs(x - y) for x, y in zip(got, want, strict=True))
        if "llama.cpp" in what:
            self.gguf_worst = max(self.gguf_worst, error)
        else:
            self.worst = max(self.worst, error)
        if not error <= limit:
            self.fail(n, f"{what} differ by {error}")
        return error <= limit


def compare_model(n, work, found):
    folder, gpt2 = work / "model", chance(0.7)
    folder.mkdir()
    count = tokenizer_into(folder, gpt2)
    save_model(random_model(gpt2, max(8, count + random.choice([0, 0, 0, 0, 8, 8, 8, 40, -3]))), folder)
    tokens = None
    try:
        model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
        tokens = [random.randrange(model.config.vocab_size) for _ in range(20)]
        want = log_probabilities(model, tokens)
    except Exception:
        model = None  # refused by transformers too, such as cross-attention without its weights
    done = run(options.programs / "score", "--model", folder, "--tokens", " ".join(map(str, tokens or [1, 2, 3])))
    if done.returncode != 0 or model is None:
        return found.refuse(n, done)
    if not found.compare(n, json.loads(done.stdout)["logprobs"], want, "log-probabilities"):
        return
    tokenizer = AutoTokenizer.from_pretrained(folder)
    lines = ["".join(random.choices(SAMPLES, k=3)).replace("\n", " ") for _ in range(20)]
    (work / "text").write_text("\n".join(lines) + "\n", encoding="utf-8")
    ids = lambda path: run(options.programs / "tokenize", "--model", path, "--text", work / "text")
    done = ids(folder)
    if done.returncode != 0:
        return found.refuse(n, done)
    for line, got in zip(lines, done.stdout.splitlines(), strict=True):
        if list(map(int, got.split())) != tokenizer(line).input_ids:
            return found.fail(n, f"ids of {line!r}: {got}, transformers {tokenizer(line).input_ids}")
    for source, target in ((folder, work / "once"), (work / "once", work / "twice")):
        converted = run(options.programs / "convert", "--model", source, "--out", target)
        if converted.returncode != 0:
            return found.refuse(n, converted)
    again = AutoModelForCausalLM.from_pretrained(work / "once", dtype=torch.float32).eval()
    if not found.compare(n, log_probabilities(again, tokens), want, "log-probabilities after convert"):
        return
    special = lambda path: {key: json.loads((path / "config.json").read_text()).get(key) for key in (
        "bos_token_id", "eos_token_id", "pad_token_id")}
    generation = folder / "generation_config.json"
    before = special(folder) | ({} if not generation.exists() else {
        key: value for key, value in json.loads(generation.read_text()).items() if key in special(folder)})
    before = {key: value[0] if isinstance(value, list) and len(value) == 1 else value for key, value in before.items()}
    if special(work / "once") != before:
        return found.fail(n, f"special tokens {before} became {special(work / 'once')}")
    for name in sorted(os.listdir(work / "once")):
        if (work / "once" / name).read_bytes() != (work / "twice" / name).read_bytes():
            return found.fail(n, f"{name} differs when it is converted again")
    if AutoTokenizer.from_pretrained(work / "once")(lines).input_ids != tokenizer(lines).input_ids:
        return found.fail(n, "other ids after convert")
    if llama_cpp and gpt2 and not compare_gguf(n, folder, work, tokens, want, lines, tokenizer, found):
        return
    found.equal += 1


def compare_gguf(n, folder, work, tokens, want, lines, tokenizer, found):
    """True unless llama.cpp and the library disagree."""
    path = work / "model.gguf"
    done = run(options.programs / "convert", "--model", folder, "--out", path)
    if done.returncode != 0:
        if not BY_NAME.search(done.stderr):
            found.fail(n, f"GGUF: {done.stderr}")
        return bool(BY_NAME.search(done.stderr))
    llm = llama_cpp.Llama(str(path), n_ctx=32, logits_all=True, verbose=False)
    llm.eval(tokens)
    scores = torch.log_softmax(torch.tensor(llm.scores[:len(tokens)]).double(), -1)
    got = [scores[i, token].item() for i, token in enumerate(tokens[1:])]
    if not found.compare(n, got, want, "llama.cpp's log-probabilities", 2e-3):
        return False
    for line in lines:
        ids = llm.tokenize(line.encode(), add_bos=False, special=True)
        if ids != tokenizer(line).input_ids:
            found.fail(n, f"llama.cpp's ids of {line!r}: {ids}, transformers {tokenizer(line).input_ids}")
            return False
    config = json.loads((work / "once" / "config.json").read_text())
    eos = config["eos_token_id"]
    eos = eos[0] if isinstance(eos, list) else eos
    if eos is not None and eos < config["vocab_size"] and llm.token_eos() != eos:
        found.fail(n, f"llama.cpp ends texts at {llm.token_eos()}, not at {eos}")
        return False
    found.gguf += 1
    return True


def compare_adapters(n, work, found):
    gpt2 = chance(0.7)
    model = random_model(gpt2, 61)
    if gpt2 and model.config.activation_function == "mish":
        model.config.activation_function = "gelu_new"
        model = GPT2LMHeadModel(model.config)
    model.save_pretrained(work / "model")
    embedding = "wte" if gpt2 else "tokens_embed"
    settings = dict(
        r=random.choice([2, 4, 8]), lora_alpha=random.choice([1, 3, 16]), use_rslora=chance(0.4), fan_in_fan_out=True,
        target_modules=random.choice([["c_attn"], ["c_attn", "c_proj"], ["attn.c_proj", "mlp.c_fc"], "all-linear", [embedding, "c_fc"]]),
        rank_pattern={r"h\.0.*c_attn": 6} if chance(0.05) else random.choice(
            [{}, {}, {"c_attn": 3}, {"h.0.attn.c_attn": 1, "c_proj": 5}]),
        alpha_pattern=random.choice([{}, {}, {"c_proj": 7}, {"h.0.attn.c_attn": 2}]), use_dora=chance(0.05), lora_bias=chance(0.05),
        modules_to_save=random.choice([None, None, ["lm_head"], [embedding], [embedding, "lm_head"], ["ln_1"]]),
        bias=random.choice(["none"] * 18 + ["lora_only", "all"]), lora_dropout=random.choice([0, 0.1]), ensure_weight_tying=chance(0.2),
        init_lora_weights=random.choice([True] * 8 + ["gaussian", "orthogonal", "pissa", "olora", "pissa_niter_4"]))
    try:
        adapted = peft.get_peft_model(model, peft.LoraConfig(task_type="CAUSAL_LM", **settings))
        with torch.no_grad():
            for parameter in adapted.parameters():
                if parameter.requires_grad:
                    parameter.add_(torch.randn_like(parameter) * 0.05)
        adapted.save_pretrained(work / "adapters")
        base = AutoModelForCausalLM.from_pretrained(work / "model").eval()
        loaded = peft.PeftModel.from_pretrained(base, work / "adapters").eval()
        tokens = [random.randrange(61) for _ in range(20)]
        want = log_probabilities(loaded, tokens)
    except Exception:
        return False  # PEFT itself cannot
    done = run(options.programs.parent / "tests" / "score_adapters", work / "model", work / "adapters", *tokens)
    if done.returncode != 0:
        found.refuse(n, done)
    elif found.compare(n, list(map(float, done.stdout.split())), want, "log-probabilities with adapters"):
        found.equal += 1
    return True


def main():
    failed = False
    for what, count, compare in (("folders", options.models, compare_model), ("adapters", options.adapters, compare_adapters)):
        found, n, seed = Comparison(), 0, options.seed * 100_000
        while n < count:
            random.seed(seed)
            torch.manual_seed(seed)
            with tempfile.TemporaryDirectory() as work:
                n += compare(seed, pathlib.Path(work), found) is not False
            seed += 1
        print(f"{what}, seeds from {options.seed * 100_000}: {found.equal} equal (log-probabilities within {found.worst:.1e}), "
              f"{sum(found.refused.values())} refused by name, {len(found.failed)} failed")
        if found.gguf:
            print(f"  {found.gguf} as GGUF files equal in llama.cpp (log-probabilities within {found.gguf_worst:.1e})")
        for message, times in found.refused.most_common():
            print(f"  {times} x {message}")
        failed = failed or bool(found.failed)
    sys.exit("compare_folders.py: FAILED" if failed else 0)


main()
