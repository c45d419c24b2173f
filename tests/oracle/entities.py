#!/usr/bin/env python3
"""A slow second opinion on the F1 of entities, by the rule of the shared tasks CoNLL-2000 and CoNLL-2003 (Tjong Kim Sang and
Buchholz 2000, Tjong Kim Sang and De Meulder 2003): a chunk is a longest run of tags of one type that no B, E or S cuts, and is
right where the other file has the same chunk: same tokens, same type.

    entities.py perturb GOLD.conll SEED OUT.conll    changes some tags
    entities.py score GOLD.conll FILE.conll          prints a line of precision, recall and F1 and one for each type
"""
import random
import sys


def read(path):
    sentences = [[]]
    with open(path, encoding="utf-8", newline="\n") as file:
        for line in file:
            columns = line.strip("\ufeff \t\n").split()
            if not columns or columns[0] == "-DOCSTART-":
                sentences.append([])
            else:
                sentences[-1].append((columns[0], columns[-1]))
    return [sentence for sentence in sentences if sentence]


def split(tag):
    mark, _, kind = tag.partition("-")
    return mark, kind


def chunks(tags):
    """Sets of (begin, end, type): a chunk goes on where the next tag is of its type and begins nothing."""
    found, begin = set(), None
    for i, tag in enumerate(tags + ["O"]):
        mark, kind = split(tag)
        if begin is not None:
            last_mark, last_kind = split(tags[i - 1])
            if mark == "O" or kind != last_kind or mark in "BS" or last_mark in "ES":
                found.add((begin, i, last_kind))
                begin = None
        if begin is None and mark != "O":
            begin = i
    return found


def ratio(a, b):
    return a / b if b else 0.0


def show(name, right, gold, said):
    p, r = ratio(right, said), ratio(right, gold)
    print(name, repr(p), repr(r), repr(ratio(2 * right, gold + said)), right, gold, said)


def score(gold_path, path):
    counts = {}
    for gold, said in zip(read(gold_path), read(path), strict=True):
        a, b = chunks([t for _, t in gold]), chunks([t for _, t in said])
        for kind in {c[2] for c in a | b}:
            of = [{c for c in s if c[2] == kind} for s in (a, b)]
            old = counts.get(kind, (0, 0, 0))
            counts[kind] = (old[0] + len(of[0] & of[1]), old[1] + len(of[0]), old[2] + len(of[1]))
    show("all", *(sum(c[i] for c in counts.values()) for i in range(3)))
    for kind in sorted(counts):
        show(kind, *counts[kind])


def perturb(path, seed, out):
    draw = random.Random(int(seed))
    sentences = read(path)
    kinds = sorted({split(t)[1] for s in sentences for _, t in s if t != "O"})
    tags = ["O"] + [mark + "-" + kind for mark in "BI" for kind in kinds]
    with open(out, "w", encoding="utf-8", newline="\n") as file:
        for sentence in sentences:
            for token, tag in sentence:
                chance = 0.3 if tag != "O" else 0.02
                file.write(token + "\t" + (draw.choice(tags) if draw.random() < chance else tag) + "\n")
            file.write("\n")


if __name__ == "__main__":
    {"perturb": perturb, "score": score}[sys.argv[1]](*sys.argv[2:])
