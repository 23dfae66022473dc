"""Opens the adapters that finetune --lora-rank saves in Hugging Face's PEFT, on the same model in transformers.

  python compare_lora.py FOLDER_OF_THE_PROGRAMS

In both norm orders a small model is pre-trained, fine-tuned, and fine-tuned again with adapters on attention and MLP.
PEFT, which gets the model before and the adapters, must compute the scores of the folder that has them merged, within
1e-5, and its labels. Needs torch, transformers and peft. Not part of scripts/test.
"""
import os
import subprocess
import sys
import tempfile

try:
    import torch
    from peft import PeftModel
    from transformers import AutoModelForSequenceClassification, AutoTokenizer
except ImportError as error:
    sys.exit(f"compare_lora.py: {error}; pip install torch transformers peft")


def run(programs, name, *arguments):
    done = subprocess.run([os.path.join(programs, name), *arguments], capture_output=True, text=True, errors="replace")
    if done.returncode != 0:
        sys.exit(f"compare_lora.py: {name} failed: {done.stderr[-500:]}")


def write_examples(path, count):
    with open(path, "w", encoding="utf-8") as file:
        file.write("label\ttext\n")
        for i in range(count):
            colour = ("red", "blue", "green")[i * i % 3 if i % 2 else i % 3]
            file.write(f"{colour}\tthe {colour} box no {i % 7} is here\n")


def compare(programs, norm_order, work):
    join = lambda *names: os.path.join(work, *names)
    with open(join("text"), "w", encoding="utf-8") as file:
        file.writelines(f"the red box no {i % 7} is here and the blue or green one is not\n" for i in range(60))
    write_examples(join("train.tsv"), 60)
    write_examples(join("dev.tsv"), 24)
    run(programs, "pretrain", "--text", join("text"), "--vocab-size", "300", "--n-layer", "2", "--n-head", "2",
        "--n-embd", "32", "--block-size", "32", "--batch-size", "4", "--max-steps", "40", "--eval-interval", "0",
        "--eval-batches", "2", "--sample-every", "0", "--norm-order", norm_order, "--out", join("gpt"))
    task = ["--task", "classification", "--train", join("train.tsv"), "--dev", join("dev.tsv"), "--dropout", "0",
            "--batch-size", "8"]
    # The first run adds the task's tokens, so that the second's adapters are for a model that is in a folder.
    run(programs, "finetune", *task, "--model", join("gpt"), "--epochs", "1", "--out", join("before"))
    run(programs, "finetune", *task, "--model", join("before"), "--epochs", "20", "--learning-rate", "2e-2",
        "--lora-rank", "4", "--lora-alpha", "6", "--lora-targets", "*attn.c_attn,*mlp.c_proj", "--out", join("after"))

    before = AutoModelForSequenceClassification.from_pretrained(join("before")).eval()
    after = AutoModelForSequenceClassification.from_pretrained(join("after")).eval()
    tokenizer = AutoTokenizer.from_pretrained(join("after"))
    with open(join("dev.tsv"), encoding="utf-8") as file:
        texts = [line.rstrip("\n").split("\t")[1] for line in file][1:]
    scores = []
    with_adapters = PeftModel.from_pretrained(before, join("after", "adapters")).eval()
    with torch.no_grad():
        for text in texts:
            ids = torch.tensor([tokenizer.encode(f"<|start|>{text}<|extract|>")])
            scores.append(torch.cat([model(input_ids=ids).logits for model in (with_adapters, after)]))
    scores = torch.stack(scores)  # (texts, 2, labels)
    with open(join("after", "predictions_dev.tsv"), encoding="utf-8") as file:
        answers = [line.split("\t")[2] for line in file][1:]
    difference = (scores[:, 0] - scores[:, 1]).abs().max().item()
    labels = [after.config.id2label[k] for k in scores[:, 0].argmax(-1).tolist()]
    right = labels == answers
    adapters = sum("lora_" in name for name, _ in with_adapters.named_parameters())
    print(f"{norm_order}: {adapters} matrices of adapters, scores of PEFT and of the merged folder differ by "
          f"{difference:.1e}, {'the same' if right else 'OTHER'} labels ({len(set(labels))} different)")
    return difference <= 1e-5 and right and adapters == 8 and len(set(labels)) > 1


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    passed = True
    for norm_order in ("post", "pre"):
        with tempfile.TemporaryDirectory() as work:
            passed = compare(sys.argv[1], norm_order, work) and passed
    sys.exit(0 if passed else "compare_lora.py: FAILED")


if __name__ == "__main__":
    main()
