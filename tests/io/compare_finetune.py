"""Fine-tunes in PyTorch what gptlite fine-tuned, from the same weights on the same batches, and compares.

usage: cmake --build build/release --target finetune_reference
       python compare_finetune.py build/release/tests/finetune_reference [--task TASK] [--keep FOLDER]
                                                          (torch==2.13.0, transformers==5.24.0, safetensors==0.8.0)
For each of the four tasks and both norm orders, 100 steps in fp32. The backbone is transformers' OpenAIGPTModel or GPT2Model;
input layouts, batches, heads, losses and schedule are written here from the formulas of Radford et al. 2018, sections 3.2 and
3.3; the optimizer is torch.optim.AdamW after clip_grad_norm_. L2, L1 and L3 of every step must be equal within 1e-3, the
weights after the last within 1e-3 of how far training moved them, and the predictions on 64 other examples must be the same:
classes and answers equal, expected grades within 1e-3. Of classification and entailment, the saved folder opened by
transformers as ...ForSequenceClassification must name the same labels. Exits 1 if anything differs.
"""
import argparse, json, os, subprocess, sys, tempfile
try:
    import torch
    import torch.nn.functional as F
    from safetensors.torch import load_file
    from transformers import (AutoModelForSequenceClassification, GPT2Config, GPT2Model, OpenAIGPTConfig, OpenAIGPTModel,
                              logging)
except ImportError as error:
    sys.exit(f"compare_finetune.py: {error}; it needs the Python packages torch, transformers and safetensors: install them with pip")

TASKS = ["classification", "entailment", "similarity", "multiple-choice"]
TOLERANCE, WEIGHT_TOLERANCE = 1e-3, 1e-3


def shortened(parts, limit):
    """The longest part, of several the last, loses its last token until all fit."""
    parts = [list(part) for part in parts]
    while sum(map(len, parts)) > limit:
        longest = max(map(len, parts))
        [part for part in parts if len(part) == longest][-1].pop()
    return parts


def sequences_of(example, run, positions):
    """What the backbone reads of an example: a list of lists of tokens."""
    def laid_out(*texts):
        texts = shortened(texts, positions - len(texts) - 1)
        joined = texts[0] if len(texts) == 1 else texts[0] + [run["delimiter"]] + texts[1]
        return [run["start"]] + joined + [run["extract"]]

    first, *others = [[int(token) for token in text.split()] for text in example["texts"]]
    if run["task"] == "similarity":
        return [laid_out(first, others[0]), laid_out(others[0], first)]
    if run["task"] == "multiple-choice":
        return [laid_out(first, answer) for answer in others]
    return [laid_out(first, *others)]


def grades(score, n):
    """A score between two whole grades is shared between them."""
    return [max(0.0, 1 - abs(score - grade)) for grade in range(n)]


class FineTuned(torch.nn.Module):
    def __init__(self, folder, run):
        super().__init__()
        with open(os.path.join(folder, "config.json")) as file:
            about = json.load(file)
        sizes = {key: about[key] for key in ("vocab_size", "n_positions", "n_embd", "n_layer", "n_head")}
        sizes |= dict(resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0)
        gpt2 = about["model_type"] == "gpt2"
        if gpt2:
            self.backbone = GPT2Model(GPT2Config(**sizes, bos_token_id=None, eos_token_id=None))
        else:
            self.backbone = OpenAIGPTModel(OpenAIGPTConfig(**sizes))
        weights = load_file(os.path.join(folder, "model.safetensors"))
        self.score = torch.nn.Linear(sizes["n_embd"], weights["score.weight"].shape[0], bias=False)
        self.load_state_dict({name.replace("transformer.", "backbone."): weight for name, weight in weights.items()})
        self.run, self.positions = run, sizes["n_positions"]

    def forward(self, examples):
        """The head's scores (B, n), and L1."""
        sequences = [s for example in examples for s in sequences_of(example, self.run, self.positions)]
        lengths = [len(s) for s in sequences]
        padding = 7  # any token: those before it do not see it
        tokens = torch.tensor([s + [padding] * (max(lengths) - len(s)) for s in sequences])
        h = self.backbone(tokens).last_hidden_state
        extract = h[torch.arange(len(lengths)), torch.tensor(lengths) - 1].view(len(examples), -1, h.shape[-1])
        if self.run["task"] == "multiple-choice":
            scores = self.score(extract).squeeze(-1)
        else:
            scores = self.score(extract.sum(1))  # similarity: of both orders
        logp = (h @ self.backbone.get_input_embeddings().weight.T).log_softmax(-1)
        l1 = [-logp[i, torch.arange(len(s) - 1), torch.tensor(s[1:])].mean() for i, s in enumerate(sequences)]
        return scores, torch.stack(l1).mean()

    def losses(self, examples):
        scores, l1 = self(examples)
        if self.run["task"] == "similarity":
            target = torch.tensor([grades(e["score"], self.run["n_class"]) for e in examples])
            l2 = -(target * scores.log_softmax(-1)).sum(-1).mean()
        else:
            l2 = F.cross_entropy(scores, torch.tensor([e["label"] for e in examples]))
        return l2, l1, l2 + self.run["lambda"] * l1


def learning_rate(step, run):
    """Up in a line over warmup_steps, down in a line to 0 at max_steps."""
    warmup, end = run["warmup_steps"], run["max_steps"]
    share = (step + 1) / (warmup + 1) if step < warmup else (end - step) / (end - warmup)
    return run["learning_rate"] * share


def train(model, run):
    matrices = [p for p in model.parameters() if p.dim() >= 2]
    others = [p for p in model.parameters() if p.dim() < 2]
    groups = [dict(params=matrices, weight_decay=run["weight_decay"]), dict(params=others, weight_decay=0)]
    optimizer = torch.optim.AdamW(groups, betas=run["betas"], eps=run["eps"])
    curves = {"l2": [], "l1": [], "l3": [], "grad_norms": []}
    for step, members in enumerate(run["batches"]):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, run)
        losses = model.losses([run["train"][i] for i in members])
        optimizer.zero_grad()
        losses[2].backward()
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), run["max_grad_norm"])
        optimizer.step()
        for name, value in zip(curves, (*losses, norm)):
            curves[name].append(value.item())
    return curves


def weights_of(model):
    """All weights, less the biases of the keys: they add the same to all scores of a query, so their gradient is rounding
    alone, which Adam scales up to visible steps. They change no output."""
    weights = {name: p.detach().clone() for name, p in model.named_parameters()}
    for name, weight in weights.items():
        if name.endswith("attn.c_attn.bias"):
            channels = weight.shape[0] // 3
            weight[channels:2 * channels] = 0
    return weights


def predictions_of(scores, task):
    if task != "similarity":
        return scores.argmax(-1).double()
    return (scores.double().softmax(-1) * torch.arange(scores.shape[1])).sum(-1)


def transformers_labels(folder, run, positions):
    """The names that transformers' own class gives the held-out examples."""
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    sequences = [sequences_of(example, run, positions)[0] for example in run["held_out"]]
    longest = max(map(len, sequences))
    with torch.no_grad():
        scores = model(torch.tensor([s + [model.config.pad_token_id] * (longest - len(s)) for s in sequences])).logits
    return type(model).__name__, [model.config.id2label[i] for i in scores.argmax(-1).tolist()]


def largest(a, b):
    """The largest difference of two lists of numbers or of tensors; not a number if one of them is none."""
    return torch.stack([torch.as_tensor(x - y, dtype=torch.float64).abs().max() for x, y in zip(a, b, strict=True)]).max().item()


def compare(program, task, order, folder):
    done = subprocess.run([program, task, order, folder], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{program} failed: {done.stderr}")
    with open(os.path.join(folder, "run.json")) as file:
        run = json.load(file)
    model = FineTuned(os.path.join(folder, "initial"), run).train()
    before = weights_of(model)
    curves = train(model, run)
    after, ours = weights_of(model), weights_of(FineTuned(os.path.join(folder, "final"), run))
    moved, apart = largest(after.values(), before.values()), largest(after.values(), ours.values())

    model.eval()
    with torch.no_grad():
        predictions = predictions_of(model(run["held_out"])[0], task).tolist()
    expected = [e["score" if task == "similarity" else "label"] for e in run["held_out"]]
    if task == "similarity":
        same = largest(predictions, run["predictions"]) <= TOLERANCE
        quality = f"correlation {float(torch.corrcoef(torch.tensor([predictions, expected]))[0, 1]):.2f}"
    else:
        same = predictions == run["predictions"]
        quality = f"{sum(p == e for p, e in zip(predictions, expected))} of {len(expected)} right"
    differences = {name: largest(curves[name], run[name]) for name in ("l2", "l1", "l3")}
    ok = len(run["l3"]) == 100 and all(d <= TOLERANCE for d in differences.values()) and apart <= WEIGHT_TOLERANCE * moved and same
    clipped = sum(norm > run["max_grad_norm"] for norm in curves["grad_norms"])
    line = (f"{task} {order}: " + ", ".join(f"{name} {value:.1e}" for name, value in differences.items()) +
            f"; weights {apart:.1e}, moved {moved:.1e}; L3 {curves['l3'][0]:.2f} to {curves['l3'][-1]:.2f}, "
            f"clipped {clipped} times; predictions {'equal' if same else 'DIFFER'}, {quality}")
    if task in ("classification", "entailment"):
        class_name, theirs = transformers_labels(os.path.join(folder, "final"), run, model.positions)
        named = theirs == [run["labels"][int(i)] for i in run["predictions"]]
        line += f"; {class_name} {'equal' if named else 'DIFFERS'}"
        ok = ok and named
    print(f"{line}: {'agrees' if ok else 'FAILED'}", flush=True)
    return ok, max(differences.values())


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("--task", choices=TASKS, help="only this one")
    parser.add_argument("--keep", metavar="FOLDER", help="write the models and runs here, and keep them")
    options = parser.parse_args()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    torch.set_num_threads(1)  # the model is too small for more
    results = []
    with tempfile.TemporaryDirectory() as temporary:
        for task in [options.task] if options.task else TASKS:
            for order in ("post", "pre"):
                folder = os.path.join(options.keep or temporary, f"{task}-{order}")
                os.makedirs(folder, exist_ok=True)
                results.append(compare(options.program, task, order, folder))
    failed = sum(not ok for ok, _ in results)
    print(f"{f'{failed} FAILED' if failed else 'all agree'}; largest difference of a loss {max(d for _, d in results):.1e}")
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
