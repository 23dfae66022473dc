"""Writes include/gptlite/text/unicode_tables.hpp and unicode_mappings.hpp: what the Python package `tokenizers` knows of each
code point.

usage: python scripts/make_unicode_tables.py             (tokenizers==0.23.3)
The package is asked, not Python's unicodedata: its regular expressions, its normalizer and its punctuation each follow another
version of Unicode, and equal ids need the same answers.
"""
import pathlib
import textwrap

import tokenizers
from tokenizers import normalizers, pre_tokenizers

HANGUL = range(0xAC00, 0xD7A4)  # syllables decompose by a formula, not by a table
byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False)
bert_words = pre_tokenizers.BertPreTokenizer()
bert_normalizer = normalizers.BertNormalizer(lowercase=True)
bert_cleaner = normalizers.BertNormalizer(lowercase=False, strip_accents=False)

letters, numbers, spaces, punctuation, removed, controls, spaced = [], [], [], [], [], [], []
mapped, expanded = [], []
for point in range(0x110000):
    if 0xD800 <= point < 0xE000:
        continue
    c = chr(point)
    # GPT-2's pattern does not cut between two of one kind.
    cuts = {begin for _, (begin, _) in byte_level.pre_tokenize_str(f"a{c}1{c}.{c}")}
    if 1 not in cuts:
        letters.append(point)
    elif 3 not in cuts:
        numbers.append(point)
    elif 5 in cuts:
        spaces.append(point)
    if len(bert_words.pre_tokenize_str(f"a{c}a")) == 3:
        punctuation.append(point)
    if bert_cleaner.normalize_str(c) == "":
        controls.append(point)
    normal = bert_normalizer.normalize_str(c)
    if normal == "":
        removed.append(point)
        continue
    if normal[0] == normal[-1] == " " and len(normal) == 3:
        spaced.append(point)
        normal = normal[1]
    if normal != c and point not in HANGUL:
        (mapped if len(normal) == 1 else expanded).append((point, normal))


def ranges(points):
    found = []
    for point in points:
        if found and found[-1][1] == point - 1:
            found[-1][1] = point
        else:
            found.append([point, point])
    return found


def mappings():
    """[first, to, count, shift, step]: first + i step becomes to + i shift."""
    found = []
    for point, normal in mapped:
        to = ord(normal)
        if found:
            first, first_to, count, shift, step = last = found[-1]
            if count == 1 and point - first <= 2 and 0 <= to - first_to <= 2:
                last[3:] = shift, step = to - first_to, point - first
            if point == first + count * step and to == first_to + count * shift:
                last[2] += 1
                continue
        found.append([point, to, 1, 1, 1])
    return found


def mapping(first, to, *rest):
    while rest and rest[-1] == 1:  # as by default
        rest = rest[:-1]
    return "{" + ", ".join([f"0x{first:X}", f"0x{to:X}", *map(str, rest)]) + "}"


def array(comment, declaration, items):
    lines = textwrap.fill(", ".join(item.replace(" ", "~") for item in items), 114).replace("~", " ")
    return f"/// {comment}\ninline constexpr {declaration} = {{\n{textwrap.indent(lines, '    ')}}};\n"


def range_array(comment, name, points):
    return array(comment, f"CodePointRange {name}[]", [f"{{0x{a:X}, 0x{b:X}}}" for a, b in ranges(points)])


def header(name, purpose, includes, body):
    lines = ["#pragma once", f"// {purpose}", f"// Made by scripts/make_unicode_tables.py from tokenizers {tokenizers.__version__}.",
             "// clang-format off", "", *[f"#include <{i}>" for i in includes], "", '#include "gptlite/config.hpp"', "",
             "namespace gptlite::inline GPTLITE_ABI {", "namespace text::unicode {", "", body, "}  // namespace text::unicode",
             "}  // namespace gptlite::inline GPTLITE_ABI", ""]
    path = pathlib.Path(__file__).parent.parent / "include/gptlite/text" / name
    path.write_text("\n".join(lines))


header("unicode_tables.hpp", "Which code points are letters, numbers, white space, punctuation ...: sorted ranges.", ["cstdint"], "\n".join([
    "struct CodePointRange {\n  char32_t first, last;\n};\n",
    range_array(r"\p{L}", "letters", letters),
    range_array(r"\p{N}", "numbers", numbers),
    range_array(r"\s", "white_space", spaces),
    range_array("What BERT's pre-tokenizer cuts out: \\p{P}, and the symbols of ASCII.", "punctuation", punctuation),
    range_array("What BERT's normalizer drops: control, format and private characters, accents (\\p{Mn}).", "removed", removed),
    range_array("Of these, what the normalizer of a cased model drops: all but accents.", "controls", controls),
    range_array("What BERT's normalizer puts between spaces: Chinese characters.", "spaced", spaced)]))
header("unicode_mappings.hpp", "What BERT's normalizer makes of a code point: decomposed, without accents, in lower case.",
       ["string_view"], "\n".join([
    "/// first + i step becomes to + i shift, for i below count.\n"
    "struct CodePointMapping {\n  char32_t first, to;\n  char32_t count = 1, shift = 1, step = 1;\n};\n",
    array("Sorted. Syllables of Hangul are left out.", "CodePointMapping mappings[]", [mapping(*m) for m in mappings()]),
    "struct CodePointExpansion {\n  char32_t first;\n  std::u32string_view to;\n};\n",
    array("Sorted: those that become several.", "CodePointExpansion expansions[]",
          [f'{{0x{point:X}, U"' + "".join(f"\\U{ord(c):08X}" for c in normal) + '"}' for point, normal in expanded])]))
