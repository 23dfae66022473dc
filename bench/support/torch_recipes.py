"""PyTorch's side of scripts/reproduce_recipes: a character-level GPT trained with torch.optim.AdamW or torch.optim.Muon.

usage: torch_recipes.py --text FILE [the options of train_char_gpt below, with the same names] [--compile]

The model, its initial weights, the batches (epochs of windows at a random offset), the schedule, clipping and weight decay are
those of train_char_gpt. Muon orthogonalizes the matrices of the blocks, q, k and v each by itself; AdamW updates the rest. Prints
one JSON line: steps, train_loss, val_loss, train_seconds, step_seconds (the median without the first tenth of the steps, which warm
up), parameters, evaluations ([step, val_loss] pairs).
"""
import argparse
import json
import math
import statistics
import sys
import time

import torch
import torch.nn as nn
import torch.nn.functional as F


class Block(nn.Module):
    def __init__(self, channels, heads, dropout, split):
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.ln_1, self.ln_2 = nn.LayerNorm(channels), nn.LayerNorm(channels)
        # Three parameters for Muon, still one product.
        self.qkv = nn.ModuleList(nn.Linear(channels, channels) for _ in range(3)) if split else nn.Linear(channels, 3 * channels)
        self.out = nn.Linear(channels, channels)
        self.up, self.down = nn.Linear(channels, 4 * channels), nn.Linear(4 * channels, channels)

    def project(self, x):
        if isinstance(self.qkv, nn.Linear):
            return self.qkv(x)
        return F.linear(x, torch.cat([part.weight for part in self.qkv]), torch.cat([part.bias for part in self.qkv]))

    def forward(self, x):
        b, t, c = x.shape
        q, k, v = (z.view(b, t, self.heads, c // self.heads).transpose(1, 2) for z in self.project(self.ln_1(x)).split(c, 2))
        p = self.dropout if self.training else 0.0
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True, dropout_p=p)
        x = x + F.dropout(self.out(y.transpose(1, 2).reshape(b, t, c)), p)
        return x + F.dropout(self.down(F.gelu(self.up(self.ln_2(x)), approximate="tanh")), p)


class GPT(nn.Module):
    def __init__(self, o, vocabulary):
        super().__init__()
        self.dropout = o.dropout
        self.tokens, self.positions = nn.Embedding(vocabulary, o.n_embd), nn.Embedding(o.block_size, o.n_embd)
        self.blocks = nn.ModuleList(Block(o.n_embd, o.n_head, o.dropout, o.optimizer == "muon") for _ in range(o.n_layer))
        self.ln_f = nn.LayerNorm(o.n_embd)
        for module in self.modules():
            if isinstance(module, (nn.Linear, nn.Embedding)):
                nn.init.normal_(module.weight, 0, 0.02)
            if isinstance(module, nn.Linear):
                nn.init.zeros_(module.bias)

    def forward(self, x, y):
        h = self.tokens(x) + self.positions.weight[:x.shape[1]]
        h = F.dropout(h, self.dropout if self.training else 0.0)
        for block in self.blocks:
            h = block(h)
        logits = F.linear(self.ln_f(h), self.tokens.weight)
        return F.cross_entropy(logits.view(-1, logits.shape[-1]).float(), y.reshape(-1))


def batches(ids, o, seed):
    """Epochs of windows: each cuts the text at a new random offset and visits every window once."""
    generator = torch.Generator().manual_seed(seed)
    windows = ids.unfold(0, o.block_size + 1, 1)
    while True:
        offset = int(torch.randint(o.block_size, (1,), generator=generator))
        starts = torch.arange(offset, len(windows), o.block_size)
        for chosen in starts[torch.randperm(len(starts), generator=generator)].split(o.batch_size):
            if len(chosen) == o.batch_size:
                batch = windows[chosen]
                yield batch[:, :-1].contiguous(), batch[:, 1:].contiguous()


def optimizers(model, o):
    """Each beside its learning rate after the warm-up."""
    parameters = list(model.named_parameters())
    matrices = [p for name, p in parameters if o.optimizer == "muon" and name.startswith("blocks.") and p.dim() == 2]
    others = [p for _, p in parameters if not any(p is matrix for matrix in matrices)]
    groups = [{"params": [p for p in others if p.dim() >= 2], "weight_decay": o.weight_decay},
              {"params": [p for p in others if p.dim() < 2], "weight_decay": 0.0}]
    rate = o.adamw_learning_rate if matrices else o.learning_rate
    found = [(torch.optim.AdamW(groups, rate, betas=(0.9, o.beta2), fused=True), rate)]
    if matrices:
        found.append((torch.optim.Muon(matrices, lr=o.learning_rate, weight_decay=o.weight_decay, adjust_lr_fn="original"),
                      o.learning_rate))
    return found


def schedule(step, o):
    """Factor of the learning rate: linear warm-up, then a cosine down to a tenth."""
    if step < o.warmup_steps:
        return (step + 1) / (o.warmup_steps + 1)
    x = (step - o.warmup_steps) / max(1, o.max_steps - o.warmup_steps)
    return 0.1 + 0.45 * (1 + math.cos(math.pi * x))


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--text", required=True)
    p.add_argument("--optimizer", default="adamw", choices=["adamw", "muon"])
    p.add_argument("--precision", default="fp32", choices=["fp32", "bf16"])
    p.add_argument("--compile", action="store_true")
    for name, default in (("n-layer", 4), ("n-head", 4), ("n-embd", 128), ("block-size", 64), ("batch-size", 12), ("max-steps", 2000),
                          ("warmup-steps", 100), ("eval-interval", 500), ("eval-batches", 200), ("threads", 2), ("seed", 1337)):
        p.add_argument("--" + name, type=int, default=default)
    for name, default in (("learning-rate", 1e-3), ("adamw-learning-rate", 3e-3), ("weight-decay", 0.1), ("beta2", 0.99),
                          ("grad-clip", 1.0), ("dropout", 0.0)):
        p.add_argument("--" + name, type=float, default=default)
    o = p.parse_args()
    torch.set_num_threads(o.threads)
    torch.manual_seed(o.seed)
    with open(o.text, encoding="utf-8", newline="") as file:
        text = file.read()
    index = {character: i for i, character in enumerate(sorted(set(text)))}
    ids = torch.tensor([index[character] for character in text])
    cut = int(0.9 * len(ids))
    model = GPT(o, len(index))
    loss_of = torch.compile(model) if o.compile else model
    chosen = optimizers(model, o)
    autocast = lambda: torch.autocast("cpu", torch.bfloat16, enabled=o.precision == "bf16")

    def evaluate():
        model.eval()
        validation = batches(ids[cut:], o, o.seed)  # the same batches every time
        with torch.no_grad(), autocast():
            loss = sum(model(*next(validation)).item() for _ in range(o.eval_batches)) / o.eval_batches
        model.train()
        return loss

    evaluations, seconds, train = [], [], batches(ids[:cut], o, o.seed)
    for step in range(o.max_steps):
        begin = time.perf_counter()
        factor = schedule(step, o)
        for optimizer, rate in chosen:
            for group in optimizer.param_groups:
                group["lr"] = rate * factor
        x, y = next(train)
        with autocast():
            loss = loss_of(x, y)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), o.grad_clip)
        for optimizer, _ in chosen:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        last = loss.item()
        seconds.append(time.perf_counter() - begin)
        if not math.isfinite(last):
            sys.exit(f"torch_recipes: the loss diverged at step {step + 1}")
        if step + 1 == o.max_steps or (o.eval_interval and (step + 1) % o.eval_interval == 0):
            evaluations.append([step + 1, evaluate()])
    print(json.dumps({"steps": o.max_steps, "train_loss": last, "val_loss": evaluations[-1][1], "train_seconds": sum(seconds),
                      "step_seconds": statistics.median(seconds[o.max_steps // 10:]),
                      "parameters": sum(q.numel() for q in model.parameters()), "evaluations": evaluations}))


if __name__ == "__main__":
    main()
