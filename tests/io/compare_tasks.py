"""Runs the Python of the README.md that finetune writes, for each task, and compares its answers with those of classify.

  python compare_tasks.py FOLDER_OF_THE_PROGRAMS

Both norm orders; texts one at a time, and for classification all at once, in a batch. Probabilities and scores must agree
within 1e-4. Needs torch and transformers. Not part of scripts/test.
"""
import json
import os
import re
import subprocess
import sys
import tempfile

try:
    import torch
    import transformers
except ImportError as error:
    sys.exit(f"compare_tasks.py: {error}; pip install torch transformers")

TASKS = {
    "classification": ("label\ttext", lambda c, o, i: f"{c}\tthe {c} box no {i % 7} is here"),
    "entailment": ("label\tpremise\thypothesis", lambda c, o, i: f"{c}\tthe box no {i % 7}\tis {c}"),
    "similarity": ("score\tsentence1\tsentence2", lambda c, o, i: f"{4.5 if c == 'red' else 0.5}\tthe {c} box\ta red box no {i % 7}"),
    "multiple-choice": ("label\tcontext\tchoice0\tchoice1", lambda c, o, i: f"{int(c == 'red')}\tthe box {i % 7}\tis {o}\tis red"),
}


def run(programs, name, *arguments, stdin=""):
    done = subprocess.run([os.path.join(programs, name), *arguments], capture_output=True, text=True, errors="replace",
                          input=stdin)
    if done.returncode != 0:
        sys.exit(f"compare_tasks.py: {name} failed: {done.stderr[-500:]}")
    return done.stdout


def compare(programs, norm_order, task, work):
    join = lambda *names: os.path.join(work, *names)
    head, row = TASKS[task]
    with open(join("text"), "w", encoding="utf-8") as file:
        file.writelines(f"the red box no {i % 7} is here and the blue one is not\n" for i in range(60))
    rows = [row(*(("red", "blue") if i % 3 else ("blue", "red")), i) for i in range(24)]
    with open(join("rows.tsv"), "w", encoding="utf-8") as file:
        file.write("\n".join([head, *rows]) + "\n")
    run(programs, "pretrain", "--text", join("text"), "--vocab-size", "300", "--n-layer", "2", "--n-head", "2", "--n-embd", "32",
        "--block-size", "32", "--batch-size", "4", "--max-steps", "20", "--warmup-steps", "2", "--eval-interval", "0",
        "--eval-batches", "2", "--sample-every", "0", "--norm-order", norm_order, "--out", join("gpt"))
    run(programs, "finetune", "--task", task, "--model", join("gpt"), "--train", join("rows.tsv"), "--dev", join("rows.tsv"),
        "--epochs", "6", "--learning-rate", "3e-3", "--dropout", "0", "--out", join("tuned"))
    texts = [row.split("\t")[1:] for row in rows]
    answers = [json.loads(line) for line in run(programs, "classify", "--model", join("tuned"), "--json",
                                                stdin="".join("\t".join(each) + "\n" for each in texts)).splitlines()]
    with open(join("tuned", "README.md"), encoding="utf-8") as file:
        code = re.search(r"```python\n(.*?)```", file.read(), re.S).group(1)
    setup, _, last = code.rstrip("\n").rpartition("\n")
    worst, names = 0, {"folder": join("tuned")}
    if task in ("classification", "entailment"):
        exec(setup, names)
        asked = [each[0] if task == "classification" else dict(text=each[0], text_pair=each[1]) for each in texts]
        one_by_one = [names["classify"](each) for each in asked]
        one_by_one = [each[0] if isinstance(each, list) else each for each in one_by_one]
        for found in (one_by_one, names["classify"](asked, batch_size=5)):
            for answer, each in zip(answers, found):
                if each["label"] != answer["label"]:
                    return None
                worst = max(worst, abs(each["score"] - max(answer["probabilities"].values())))
        return worst
    for answer, each in zip(answers, texts):
        names |= dict(a=each[0], b=each[1], context=each[0], choices=each[1:])
        with torch.no_grad():
            exec(code, names)
        if task == "similarity":
            worst = max(worst, abs(names["score"].item() - answer["score"]))
        else:
            worst = max(worst, max(abs(x - y) for x, y in zip(names["probabilities"].tolist(), answer["probabilities"].values())))
    return worst


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    transformers.utils.logging.set_verbosity_error()
    passed = True
    for norm_order in ("post", "pre"):
        for task in TASKS:
            with tempfile.TemporaryDirectory() as work:
                worst = compare(sys.argv[1], norm_order, task, work)
            print(f"{norm_order}, {task}: " + ("OTHER labels" if worst is None else f"differs by {worst:.1e}"))
            passed = passed and worst is not None and worst <= 1e-4
    sys.exit(0 if passed else "compare_tasks.py: FAILED")


main()
