"""PyTorch's side of lstm_throughput: forward and backward of nn.LSTM, without an optimizer.

usage: torch_lstm.py [--channels 256] [--precision fp32|bf16] [--threads N] [--seconds S] [--bidirectional]
Prints one JSON line: the median of whole passes.
"""
import argparse
import json
import statistics
import time

import torch

p = argparse.ArgumentParser()
p.add_argument("--channels", type=int, default=256)
p.add_argument("--batch-size", type=int, default=16)
p.add_argument("--steps", type=int, default=128)
p.add_argument("--num-layers", type=int, default=2)
p.add_argument("--bidirectional", action="store_true")
p.add_argument("--precision", default="fp32", choices=["fp32", "bf16"])
p.add_argument("--threads", type=int, default=2)
p.add_argument("--seconds", type=float, default=6)
a = p.parse_args()
torch.set_num_threads(a.threads)
torch.manual_seed(1)
model = torch.nn.LSTM(a.channels, a.channels, a.num_layers, batch_first=True, bidirectional=a.bidirectional)
x = torch.rand(a.batch_size, a.steps, a.channels).mul_(2).sub_(1).requires_grad_()
dy = torch.rand(a.batch_size, a.steps, a.channels * (2 if a.bidirectional else 1)).mul_(2).sub_(1)
times, warm_up, start = [], 3, time.perf_counter()
while len(times) < 6 or time.perf_counter() - start < a.seconds:
    model.zero_grad(set_to_none=True)
    x.grad = None
    begin = time.perf_counter()
    with torch.autocast("cpu", torch.bfloat16, enabled=a.precision == "bf16"):
        y, _ = model(x)
    y.backward(dy.to(y.dtype))
    if warm_up == 0:
        times.append(time.perf_counter() - begin)
    elif (warm_up := warm_up - 1) == 0:
        start = time.perf_counter()
seconds, tokens = statistics.median(times), a.batch_size * a.steps
weights = sum(q.numel() for q in model.parameters())
print(json.dumps(dict(what="lstm", peer="torch", channels=a.channels, bidirectional=a.bidirectional, precision=a.precision,
                      threads=a.threads, tokens_s=tokens / seconds, ms=seconds * 1e3,
                      gflops_s=6 * tokens * weights / seconds / 1e9)))
