"""Speed of the Python package `tokenizers` on one thread: the other side of bench/tokenize_throughput.cpp.

usage: python tokenize_throughput.py FOLDER TEXT [SECONDS]             (FOLDER holds tokenizer.json)
"""
import json, os, statistics, sys, time

os.environ["RAYON_NUM_THREADS"], os.environ["TOKENIZERS_PARALLELISM"] = "1", "false"
from tokenizers import Tokenizer

tokenizer = Tokenizer.from_file(sys.argv[1] + "/tokenizer.json")
text = open(sys.argv[2], encoding="utf-8", newline="").read()
seconds = float(sys.argv[3]) if len(sys.argv) > 3 else 5
times, begin = [], time.perf_counter()
while len(times) < 3 or time.perf_counter() - begin < seconds:
    start = time.perf_counter()
    tokens = len(tokenizer.encode(text))
    times.append(time.perf_counter() - start)
print(json.dumps({"what": "tokenize", "tokens": tokens, "mb_s": len(text.encode()) / 1e6 / statistics.median(times)}))
