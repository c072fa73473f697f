"""What bench/sentences.ts measures, by transformers: python3 experiments/bench/sentences.py FOLDER STS-B/dev.tsv.gz"""
import gzip
import sys
import time

import torch
from scipy.stats import spearmanr
from transformers import AutoModel, AutoTokenizer

folder, file = sys.argv[1:3]
torch.set_num_threads(2)
tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder, dtype=torch.float32).eval()
lines = [line.rstrip("\n").split("\t") for line in gzip.open(file, "rt", encoding="utf-8")][1:]


def embed(texts):
    out = []
    with torch.no_grad():
        for at in range(0, len(texts), 64):
            given = tokenizer(texts[at : at + 64], padding=True, truncation=True, max_length=128, return_tensors="pt")
            states, mask = model(**given).last_hidden_state, given["attention_mask"].unsqueeze(-1)
            out.append((states * mask).sum(1) / mask.sum(1))
    return torch.cat(out).double()


begun = time.time()
first, second = embed([line[7] for line in lines]), embed([line[8] for line in lines])
scores = torch.nn.functional.cosine_similarity(first, second).numpy()
print(f"{len(lines)} pairs, Spearman {spearmanr(scores, [float(line[9]) for line in lines])[0]:.6f}, {time.time() - begun:.1f} s")
for i in range(3):
    print(f"{scores[i]:.6f}", lines[i][7])
