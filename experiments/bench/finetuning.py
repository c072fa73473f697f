"""PyTorch's side of finetuning.ts, which starts it: finetuning.py FOLDER ROWS RATE DECAY; prints JSON."""
import json
import sys
import time

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from transformers import AutoModelForSequenceClassification

folder, rows, rate, decay = sys.argv[1:5]
torch.set_num_threads(1)
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
with torch.no_grad():
    given, _ = batch("test")
    logits = torch.cat([model(**{key: value[at : at + 50] for key, value in given.items()}).logits for at in range(0, len(given["input_ids"]), 50)])
print(json.dumps(dict(losses=losses, logits=logits.tolist(), wall=wall, cpu=cpu)))
