"""PyTorch's side of finetuning.ts, which starts it; prints JSON.

finetuning.py train FOLDER ROWS RATE DECAY: losses, times and test logits of a finetuning.
finetuning.py load FOLDER TEXTS: logits of texts by a folder that was written there.
"""
import json
import sys
import time

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from transformers import AutoModelForSequenceClassification, AutoTokenizer

torch.set_num_threads(1)


def answers(model, given):
    count = len(given["input_ids"])
    with torch.no_grad():
        parts = ({key: value[at : at + 50] for key, value in given.items()} for at in range(0, count, 50))
        return torch.cat([model(**part).logits for part in parts]).tolist()


def train(folder, rows, rate, decay):
    tensors = load_file(rows)

    def batch(prefix):
        ids, types = (tensors[f"{prefix}.{key}"].long() for key in ["ids", "types"])
        given = dict(input_ids=ids, token_type_ids=types, attention_mask=tensors[f"{prefix}.mask"].long())
        return given, tensors[f"{prefix}.labels"]

    count = tensors["out.b"].shape[0]
    model = AutoModelForSequenceClassification.from_pretrained(folder, num_labels=count, dtype=torch.float32).eval()
    with torch.no_grad():
        model.classifier.weight.copy_(tensors["out.w"].t())
        model.classifier.bias.copy_(tensors["out.b"])
    optimizer = torch.optim.AdamW(model.parameters(), lr=float(rate), weight_decay=float(decay))
    steps = sum(name.startswith("batch.") and name.endswith(".ids") for name in tensors)
    losses, wall, cpu = [], [], []
    for step in range(steps):
        given, labels = batch(f"batch.{step}")
        begun = time.perf_counter(), time.process_time()
        logits = model(**given).logits
        loss = F.mse_loss(logits.squeeze(1), labels) if count == 1 else F.cross_entropy(logits, labels.long())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        wall.append(1000 * (time.perf_counter() - begun[0]))
        cpu.append(1000 * (time.process_time() - begun[1]))
    return dict(losses=losses, logits=answers(model, batch("test")[0]), wall=wall, cpu=cpu)


def load(folder, texts):
    with open(texts, encoding="utf-8") as file:
        asked = json.load(file)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model, info = AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.float32, output_loading_info=True)
    assert not any(info.values()), info
    rows = [list(column) for column in zip(*asked["texts"])]
    given = tokenizer(*rows, padding=True, truncation="longest_first", max_length=asked["longest"], return_tensors="pt")
    return answers(model.eval(), dict(given))


print(json.dumps({"train": train, "load": load}[sys.argv[1]](*sys.argv[2:])))
