"""The results of scripts/bench: what programs print, as lines of one form, and medians over them.

Used by scripts/bench_report.py.
"""
import json
import os
import platform
import statistics


def cpu_name():
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            return next(line.split(":", 1)[1].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def google_benchmarks(report):
    """One dict a case of Google Benchmark's JSON: attention_forward/fp32/B:16/T:256 has what, precision, B and T."""
    unit_ms = {"ns": 1e-6, "us": 1e-3, "ms": 1, "s": 1e3}
    for case in report["benchmarks"]:
        if case.get("error_occurred"):
            raise SystemExit(f"{case['name']}: {case.get('error_message')}")
        what, *parts = case["name"].split("/")
        line = {"what": what, "ms": case["real_time"] * unit_ms[case["time_unit"]]}
        if parts[0] in ("fp32", "fp64", "bf16"):
            line["precision"] = parts[0]
        for part in parts:
            key, colon, value = part.partition(":")
            if colon and key != "iterations":
                line[key] = int(value)
        line["transposed"] = "A" if "A^T" in parts else "B" if "B^T" in parts else ""
        line.update((key, case[key]) for key in ("FLOP/s", "bytes/s", "share_of_peak", "bytes") if key in case)
        yield line


def printed_lines(text):
    """What a program printed, as dicts: Google Benchmark's report, or JSON lines among other lines."""
    if text.lstrip().startswith("{") and '"benchmarks"' in text:
        return list(google_benchmarks(json.loads(text)))
    lines = []
    for printed in text.splitlines():
        if not printed.startswith("{"):
            continue
        line = json.loads(printed)
        if "mode" in line:  # PyTorch's: fp32, bf16, and with c compiled
            line["precision"], line["compiled"] = line["mode"][:4], line["mode"].endswith("c")
        if "forward_ms" in line:  # one line for forward and forward + backward
            sizes = {key: line[key] for key in ("B", "H", "T", "D")}
            sizes["precision"] = {"float32": "fp32", "bfloat16": "bf16"}[line["dtype"]]
            lines.append({"what": "attention_forward", "ms": line["forward_ms"], **sizes})
            line = {"what": "attention_forward_backward", "ms": line["both_ms"], **sizes}
        lines.append(line)
    return lines


def read(path):
    if not os.path.exists(path):
        return []
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file if line.strip()]


def append(path, lines):
    os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
    with open(path, "a", encoding="utf-8") as file:
        file.writelines(json.dumps(line) + "\n" for line in lines)


class Section:
    """The results of one section."""

    def __init__(self, lines, name):
        self.lines = [line for line in lines if line["section"] == name and line["peer"] != "machine"]
        self.machine = next((line for line in lines if line["section"] == name and line["peer"] == "machine"), {})
        self.rounds = max((line["round"] for line in self.lines), default=0)

    def find(self, **wanted):
        return [line for line in self.lines if all(line.get(key) == value for key, value in wanted.items())]

    def median(self, key, **wanted):
        values = [line[key] for line in self.find(**wanted) if key in line]
        return statistics.median(values) if values else None

    def values(self, *keys, **wanted):
        """Each combination of the keys once, in the order measured."""
        return list(dict.fromkeys(tuple(line.get(key) for key in keys) for line in self.find(**wanted)))

    def conditions(self):
        m = self.machine
        parts = [m["date"], f"{m['cpu']}, {m['cores']} processors, {m['threads']} threads",
                 f"{m['compiler']} and Eigen {m['eigen']}"]
        if m.get("torch") and self.find(peer="torch"):
            parts.append(f"PyTorch {m['torch']}")
        return "; ".join(parts) + f"; {'one round' if self.rounds == 1 else f'medians of {self.rounds} rounds'}"
