"""Opens thousands of damaged safetensors files with the Python package and with gptlite, and reports where they disagree.

usage: cmake --build build/release --target open_safetensors
       python mutate_safetensors.py build/release/tests/open_safetensors [COUNT=20000] [SEED=1]
                                                                      (safetensors==0.8.0, numpy)
Both must accept and see the same names, dtypes and shapes, or both must reject. What gptlite alone rejects, on purpose, is
counted under its reason; see include/gptlite/io/safetensors.hpp. Exits 1 and keeps the files if there is any other
disagreement.
"""
import collections, json, pathlib, random, re, shutil, struct, subprocess, sys, tempfile
import numpy as np
from safetensors import safe_open
from safetensors.numpy import save

# What gptlite rejects and Python does not: by gptlite's message, and what the file must contain.
ON_PURPOSE = {"a key stands twice": (r"duplicate (tensor|key) ", b""),
              "a shape overflows though a size is 0": (r"shape .* overflows$", rb"[\[,]0[\],]"),
              "an array as description, an object as dtype": (r": expected {\"dtype\"", rb':\[["{]|"dtype":{"')}
DTYPES = ("BOOL F4 F6_E2M3 F6_E3M2 U8 I8 F8_E5M2 F8_E4M3 F8_E8M0 F8_E4M3FNUZ F8_E5M2FNUZ I16 U16 F16 BF16 I32 U32 F32 C64 F64 I64 "
          "U64 F128 f32").split()
NUMBERS = ("0 1 2 3 4 8 12 16 24 -1 -0 1.0 1e0 01 0x1 +1 1e400 -1e400 1e-400 NaN Infinity null true \"1\" [] {} [1] 4294967296 "
           "4611686018427387904 9223372036854775807 9223372036854775808 18446744073709551615 18446744073709551616").split()
TEXTS = ['""', '"a"', '"b"', '"\\u0061"', '"__metadata__"', '"dtype"', '"shape"', '"data_offsets"', '"\\u0000"', '"\\ud800"',
         '"\\udc00"', '"\\ud83d\\ude00"', '"\\ud800\\u0041"', '"\\x"', '"\u20ac"', '"\x7f"', '"\t"', "'a'", 'null', '{"F32":null}']
SPLICES = ['{', '}', '[', ']', ',', ':', '"', ' ', '\n', '\t', '\v', '\x00', '\ufeff', '/**/', '//', '#', '\\', '\u00a0',
           '"e":1,', '"e":[{"f":1,"f":2}],', '"e":{},', '"__metadata__":{},', '"__metadata__":null,', '"dtype":"F32",']
BYTES = [b"\x00", b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe2\x82", b"\x80"]


def file_of(header, data):
    header = header if isinstance(header, bytes) else header.encode()
    return struct.pack("<Q", len(header)) + header + data


def base_files():
    yield save({})
    yield save({"a": np.arange(3, dtype=np.float32)})
    yield save({"b": np.zeros((2, 3), np.float16), "a": np.ones((), np.int64), "c": np.zeros((0, 3), np.float64)}, {"k": "v"})
    yield save({f"h.{i}.w": np.zeros((i, 2), np.uint8) for i in range(4)}, {})
    yield file_of('{"x":{"dtype":"F4","shape":[4],"data_offsets":[0,2]},"y":{"dtype":"BF16","shape":[1,1],"data_offsets":[2,4]}}',
                  b"1234")


def mutated_text(rng, header):
    kind = rng.randrange(8)
    if kind < 4:  # one number or text becomes another
        tokens = list(re.finditer(r'"[^"]*"|-?\d+', header))
        if tokens:
            token = rng.choice(tokens)
            others = DTYPES if token[0].strip('"') in DTYPES and kind else NUMBERS if token[0][0] != '"' else TEXTS
            other = rng.choice(others)
            return header[:token.start()] + (f'"{other}"' if others is DTYPES else other) + header[token.end():]
    if kind == 4:  # nesting
        depth = rng.choice([1, 2, 100, 123, 124, 125, 126, 127, 128, 1000, 100000])
        return header.replace('"dtype"', f'"e":{"[" * depth}{"]" * depth},"dtype"', 1)
    if kind == 5:  # a part stands twice, or not at all
        parts = list(re.finditer(r'"[^"]*":("[^"]*"|\[[^\]]*\]|{[^{}]*})', header))
        if parts:
            part = rng.choice(parts)
            return header[:part.start()] + rng.choice(["", part[0] + "," + part[0]]) + header[part.end():]
    if kind == 6:  # a tensor as an array
        return re.sub(r'{"dtype":("[^"]*"),"shape":(\[[^\]]*\]),"data_offsets":(\[[^\]]*\])}', r"[\1,\2,\3]", header, count=1)
    at = rng.randrange(len(header) + 1)
    return header[:at] + rng.choice(SPLICES) + header[at + rng.randrange(2):]


def mutated(rng, file):
    size = struct.unpack("<Q", file[:8])[0]
    header, data = file[8:8 + size], file[8 + size:]
    kind = rng.randrange(10)
    if kind < 5:
        return file_of(mutated_text(rng, header.decode()), data)
    if kind == 5:  # two changes
        return file_of(mutated_text(rng, mutated_text(rng, header.decode())), data)
    at = rng.randrange(len(file))
    if kind == 6:
        return file[:at] + bytes([file[at] ^ 1 << rng.randrange(8)]) + file[at + 1:]
    if kind == 7:
        return rng.choice([file[:at], file + bytes(rng.randrange(9)), file[:at] + file[at + 1:], file[:rng.randrange(10)]])
    if kind == 8:
        at = rng.randrange(len(header))
        return file_of(header[:at] + rng.choice(BYTES) + header[at:], data)
    length = rng.choice([0, 1, size - 1, size + 1, len(file) - 8, len(file) - 7, 10**8, 10**8 + 1, 2**32, 2**63, 2**64 - 1, 2**64 - 8])
    return struct.pack("<Q", length % 2**64) + file[8:]


def python_opens(path):
    try:
        with safe_open(path, "np") as file:
            slices = {name: file.get_slice(name) for name in file.keys()}
            return "accept", {name: (s.get_dtype(), list(s.get_shape())) for name, s in slices.items()}
    except Exception as error:
        return "reject", str(error)


def shown(holds):
    text = "accept"
    for name in sorted(holds, key=str.encode):
        dtype, shape = holds[name]
        text += f" {json.dumps(name, ensure_ascii=False)} {dtype} ({', '.join(map(str, shape))})"
    return text


def main():
    program, count, seed = sys.argv[1], int((sys.argv[2:] or [20000])[0]), int((sys.argv[3:] or [1])[0])
    rng = random.Random(seed)
    folder = pathlib.Path(tempfile.mkdtemp())
    bases = list(base_files())
    files = bases + [mutated(rng, rng.choice(bases)) for _ in range(count)]
    paths = [folder / f"{i}.safetensors" for i in range(len(files))]
    for path, file in zip(paths, files):
        path.write_bytes(file)
    answers = subprocess.run([program], input="\n".join(map(str, paths)), capture_output=True, text=True, check=True).stdout
    counts, wrong = collections.Counter(), 0
    for path, ours in zip(paths, answers.rstrip("\n").split("\n"), strict=True):
        theirs, detail = python_opens(path)
        reason = next((r for r, (message, content) in ON_PURPOSE.items()
                       if re.search(message, ours) and re.search(content, path.read_bytes())), None)
        if theirs == "accept" and ours.startswith("accept") and re.sub(r"(\(.*?\)) \d+", r"\1", ours) == shown(detail):
            counts["both accept"] += 1
        elif theirs == "reject" and ours.startswith("reject"):
            counts["both reject"] += 1
        elif theirs == "accept" and ours.startswith("reject") and reason:
            counts[f"rejected by gptlite alone: {reason}"] += 1
        else:
            wrong += 1
            print(f"{path}\n  Python:  {shown(detail) if theirs == 'accept' else 'reject ' + detail}\n  gptlite: {ours}")
    for what, n in counts.most_common():
        print(f"{n:7} {what}")
    print(f"{wrong:7} other disagreements in {len(files)} files")
    if not wrong:
        shutil.rmtree(folder)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
