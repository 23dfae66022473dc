"""Random models of transformers beside the example programs, and what these save beside transformers and llama.cpp.

usage: python compare_huggingface.py FOLDER [--models N]
FOLDER holds the programs score, generate and convert. Needs torch, transformers, and for GGUF llama-cpp-python.

For each of several shapes of OpenAIGPTLMHeadModel and GPT2LMHeadModel: log-probabilities within 1e-5, greedy text equal
for 100 tokens with and without a draft, the folder that convert writes opened by transformers with equal weights, and
GPT-2's GGUF file in F32 greedily continued by llama.cpp to the same tokens.
"""
import argparse, json, os, subprocess, sys, tempfile
import torch
from transformers import (AutoModelForCausalLM, GPT2Config, GPT2LMHeadModel, GPT2TokenizerFast, OpenAIGPTConfig,
                          OpenAIGPTLMHeadModel)
from tokenizers import Tokenizer, models, pre_tokenizers, decoders
from transformers import PreTrainedTokenizerFast

p = argparse.ArgumentParser()
p.add_argument("programs")
p.add_argument("--models", type=int, default=4)
a = p.parse_args()
try:
    import llama_cpp
except ImportError:
    llama_cpp = None
    print("no llama-cpp-python: GGUF files are not compared")


def run(program, *arguments):
    done = subprocess.run([os.path.join(a.programs, program), *map(str, arguments)], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{program} failed: {done.stderr}")
    return done.stdout


def byte_tokenizer(folder, size):
    """A byte-level tokenizer of `size` tokens: the bytes, then merges of pairs."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokens, merges = list(alphabet), []
    for x in alphabet:
        for y in alphabet:
            if len(tokens) < size and x.isascii() and y.isascii() and x.isalpha() and y.isalpha():
                tokens.append(x + y), merges.append((x, y))
    t = Tokenizer(models.BPE(vocab={t: i for i, t in enumerate(tokens)}, merges=merges))
    t.pre_tokenizer, t.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    PreTrainedTokenizerFast(tokenizer_object=t).save_pretrained(folder)


def greedy(model, tokens, count):
    tokens = list(tokens)
    with torch.no_grad():
        for _ in range(count):
            tokens.append(int(model(torch.tensor([tokens])).logits[0, -1].argmax()))
    return tokens


worst, failed = 0.0, 0
shapes = [(300, 130, 48, 2, 3), (513, 200, 64, 3, 4), (256, 150, 96, 1, 6), (700, 256, 160, 4, 5)]
for n in range(a.models):
    vocab, positions, channels, layers, heads = shapes[n % len(shapes)]
    sizes = dict(vocab_size=vocab, n_positions=positions, n_embd=channels, n_layer=layers, n_head=heads)
    for model_class, config in [(OpenAIGPTLMHeadModel, OpenAIGPTConfig(**sizes)),
                                (GPT2LMHeadModel, GPT2Config(**sizes, bos_token_id=0, eos_token_id=0))]:
        torch.manual_seed(n)
        model = model_class(config).eval()
        with torch.no_grad():
            for name, q in model.named_parameters():
                q.normal_(1.0 if "ln_" in name and name.endswith("weight") else 0.0, 0.15)
        with tempfile.TemporaryDirectory() as folder:
            source, copy = os.path.join(folder, "model"), os.path.join(folder, "copy")
            model.save_pretrained(source)
            byte_tokenizer(source, vocab)
            tokens = torch.randint(0, vocab, (positions,)).tolist()
            with torch.no_grad():
                scores = model(torch.tensor([tokens])).logits[0].double().log_softmax(-1)
            expected = scores[torch.arange(positions - 1), torch.tensor(tokens[1:])]
            got = json.loads(run("score", "--model", source, "--tokens", " ".join(map(str, tokens))))
            error = float((torch.tensor(got["logprobs"], dtype=torch.float64) - expected).abs().max())
            worst = max(worst, error)
            prompt = "ab cd efg"
            out = json.loads(run("generate", "--model", source, "--prompt", prompt, "--max-new-tokens", 100, "--temperature", 0,
                                 "--ignore-eos", "--json"))
            drafted = json.loads(run("generate", "--model", source, "--prompt", prompt, "--max-new-tokens", 100, "--temperature",
                                     0, "--ignore-eos", "--json", "--draft"))
            same_text = (out["prompt_tokens"] + out["tokens"] == greedy(model, out["prompt_tokens"], 100)
                         and drafted["tokens"] == out["tokens"])
            run("convert", "--model", source, "--out", copy)
            again = AutoModelForCausalLM.from_pretrained(copy)
            same_weights = all(torch.equal(x, y) for x, y in zip(model.state_dict().values(), again.state_dict().values()))
            gguf = "-"
            if llama_cpp and model_class is GPT2LMHeadModel:
                gguf = []
                for kind in ("fp32", "fp16", "bf16") + (("int8",) if channels % 32 == 0 else ()):
                    path = os.path.join(folder, kind + ".gguf")
                    run("convert", "--model", source, "--out", path, "--type", kind)
                    llm = llama_cpp.Llama(path, n_ctx=positions, verbose=False, logits_all=False)
                    found = list(out["prompt_tokens"])
                    llm.eval(found)
                    while len(found) < len(out["prompt_tokens"]) + 100:
                        found.append(int(llm.sample(temp=0)))
                        llm.eval(found[-1:])
                    ours = json.loads(run("generate", "--model", source, "--prompt", prompt, "--max-new-tokens", 100, "--temperature",
                                          0, "--ignore-eos", "--json", "--precision", {"fp16": "fp32"}.get(kind, kind)))
                    same = sum(x == y for x, y in zip(found, ours["prompt_tokens"] + ours["tokens"]))
                    gguf.append(f"{kind} {same}/{len(found)}")
            ok = error < 1e-5 and same_text and same_weights
            failed += not ok
            print(f"{model_class.__name__} {sizes}: log-probabilities within {error:.1e}, greedy text "
                  f"{'equal' if same_text else 'DIFFERS'}, weights {'equal' if same_weights else 'DIFFER'}, llama.cpp {gguf}", flush=True)
print(f"{'all agree' if not failed else f'{failed} FAILED'}; largest difference of a log-probability {worst:.1e}")
sys.exit(failed > 0)
