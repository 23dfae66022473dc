"""Compares the tokenizers with the Python package `tokenizers` on random texts and on files.

usage: python compare_tokenizers.py PROGRAM FOLDER [--texts N] [--seed S] [FILE ...]    (tokenizers==0.23.3)
PROGRAM is compare_tokenizers.cpp compiled; FOLDER holds tokenizer.json, or `train` compares training instead.
"""
import argparse, json, random, subprocess
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

parser = argparse.ArgumentParser()
parser.add_argument("program"), parser.add_argument("folder"), parser.add_argument("files", nargs="*")
parser.add_argument("--texts", type=int, default=2000), parser.add_argument("--seed", type=int, default=1)
parser.add_argument("--vocab-size", default="500"), parser.add_argument("--min-frequency", default="0")
options = parser.parse_intermixed_args()
rng = random.Random(options.seed)

RARE = [*"'\n\r\t\v\f\x00\x1c\x1f\x85\xa0\xad", "\u1680", "\u180e", "\u2003", "\u200b", "\u200d", "\u2028", "\u2029", "\u3000",
        "\ufeff", "\u0301", "\u0323", "\u0130", "\u1e9e", "\u03a3", "\uac01", "\U0001f468", "\U0001f3fd", "\ufe0f", "\U000e0001",
        "'s", "'ll", "'RE", "<|endoftext|>", "<unk>", "</w>", "  ", "##", "[MASK]", "[SEP]", "[mask]"]
BLOCKS = [(0x20, 0x7F), (0x61, 0x7B), (0xA0, 0x250), (0x300, 0x600), (0x600, 0x700), (0x900, 0xE00), (0x1E00, 0x2400), (0x3000, 0x3100),
          (0x4E00, 0xA000), (0xAC00, 0xD7A4), (0xF900, 0x10000), (0x1D100, 0x1D800), (0x1F300, 0x1FB00), (0, 0x110000)]


def piece():
    if rng.random() < 0.3:
        return rng.choice(RARE) * rng.choice([1, 1, 1, 2, 3])
    low, high = rng.choice(BLOCKS)
    points = [rng.randrange(low, high) for _ in range(rng.randrange(1, 8))]
    return "".join(chr(p) for p in points if not 0xD800 <= p < 0xE000)


def ask(texts, *arguments):
    done = subprocess.run([options.program, *arguments], input=json.dumps(texts), capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def trained(text):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.train_from_iterator([text], trainers.BpeTrainer(
        vocab_size=int(options.vocab_size), min_frequency=int(options.min_frequency), show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    model = json.loads(tokenizer.to_str())["model"]
    return [sorted(model["vocab"], key=model["vocab"].get), model["merges"]]


texts = [open(f, encoding="utf-8", newline="").read() for f in options.files]
if options.folder == "train":
    for _ in range(options.texts):  # of few letters, so that counts are equal and tokens arise in several ways
        letters = "abc"[:rng.randrange(1, 4)] + " "
        texts.append("".join(rng.choice(letters) for _ in range(rng.randrange(300))))
    got, expected = ask(texts, "train", options.vocab_size, options.min_frequency), map(trained, texts)
else:
    texts += ["".join(piece() for _ in range(rng.randrange(30))) for _ in range(options.texts)]
    tokenizer = Tokenizer.from_file(options.folder + "/tokenizer.json")
    tokenizer.no_truncation(), tokenizer.no_padding()
    got = ask(texts, "encode", options.folder)
    expected = (tokenizer.encode(text, add_special_tokens=False).ids for text in texts)
different = [(text, g, e) for text, g, e in zip(texts, got, expected, strict=True) if g != e]
print(f"{len(texts)} texts, {len(different)} differ")
for text, g, e in sorted(different, key=lambda d: len(d[0]))[:3]:
    print(ascii(text[:300]), g[:40], e[:40], sep="\n")
raise SystemExit(bool(different))
