"""Writes encoders/: tiny random encoders of four families as transformers saves them, and what they compute.

    python3 test/support/oracles/encoders.py            # writes test/support/oracles/encoders/
    python3 test/support/oracles/encoders.py check DIR  # folders written by the tests, against what transformers loads from them

Needs torch, transformers and safetensors (transformers 5.24.0 wrote what is here).
"""
import json
import os
import shutil
import sys

import torch
import transformers
from safetensors.torch import load_file, save_file

here = os.path.join(os.path.dirname(os.path.abspath(__file__)), "encoders")
sizes = dict(
    vocab_size=24, hidden_size=8, num_hidden_layers=2, num_attention_heads=2, intermediate_size=12,
    initializer_range=0.4, attn_implementation="eager",
)
relative = dict(
    relative_attention=True, position_biased_input=False, type_vocab_size=0, layer_norm_eps=1e-7, pad_token_id=0,
    max_position_embeddings=512, max_relative_positions=-1,
)
v2 = dict(relative, pos_att_type=["p2c", "c2p"], norm_rel_ebd="layer_norm")
families = {
    # Rows of 12 tokens, and of 150, beyond the 129 up to which DeBERTa v2 has a row for each distance.
    "bert": ("Bert", dict(max_position_embeddings=12, type_vocab_size=2), 12),
    "bert-untied": ("Bert", dict(max_position_embeddings=12, tie_word_embeddings=False, hidden_act="gelu_new", layer_norm_eps=1e-5), 12),
    "roberta": ("Roberta", dict(max_position_embeddings=14, type_vocab_size=1, layer_norm_eps=1e-5, pad_token_id=1), 12),
    "deberta": ("Deberta", dict(relative, pos_att_type=["c2p", "p2c"], legacy=False, max_relative_positions=16), 24),
    "deberta-biased": ("Deberta", dict(relative, pos_att_type=["p2c"], position_biased_input=True, type_vocab_size=2, max_position_embeddings=12, embedding_size=6), 12),
    "deberta-v2": ("DebertaV2", dict(v2, share_att_key=True, position_buckets=256, legacy=False), 150),
    "deberta-v2-conv": ("DebertaV2", dict(v2, share_att_key=False, position_buckets=8, max_position_embeddings=40, conv_kernel_size=3, conv_act="gelu"), 30),
}


def inputs(length, padding, types, generator):
    """Three rows: one full, a pair, and one that is mostly padding."""
    ids = torch.randint(3, sizes["vocab_size"], (3, length), generator=generator)
    mask = torch.ones(3, length, dtype=torch.long)
    for row, real in [(1, length - 2), (2, max(4, length // 3))]:
        mask[row, real:] = 0
    ids[mask == 0] = padding
    kinds = torch.zeros(3, length, dtype=torch.long)
    kinds[1, length // 2: length - 2] = 1
    hidden = (torch.rand(3, length, generator=generator) < 0.2) & (mask == 1)
    hidden[:, 2] = True
    targets = torch.where(hidden, torch.randint(3, sizes["vocab_size"], (3, length), generator=generator), torch.tensor(-100))
    return ids, mask, (kinds if types > 1 else torch.zeros_like(kinds)), targets


def computed(masked, classifier, ids, mask, kinds, targets):
    given = dict(input_ids=ids, attention_mask=mask, token_type_ids=kinds)
    out = masked(**given, labels=targets, output_hidden_states=True)
    masked.zero_grad()
    out.loss.backward()
    gradients = {f"gradient.{name}": p.grad for name, p in masked.named_parameters() if p.grad is not None}
    return {
        "hidden": out.hidden_states[-1], "logits": out.logits, "loss": out.loss,
        "classes": classifier(**given).logits, **gradients,
    }


def write():
    shutil.rmtree(here, ignore_errors=True)
    for i, (name, (family, habits, length)) in enumerate(families.items()):
        torch.manual_seed(i)
        config = getattr(transformers, f"{family}Config")(**{**sizes, **habits})
        config._attn_implementation = "eager"
        folder = os.path.join(here, name)
        masked = getattr(transformers, f"{family}ForMaskedLM")(config).eval()
        with torch.no_grad():
            for parameter in masked.parameters():
                parameter.add_(0.1 * torch.randn(parameter.shape))
        masked.save_pretrained(folder)
        classed = getattr(transformers, f"{family}Config")(**{**sizes, **habits}, num_labels=3)
        classifier = getattr(transformers, f"{family}ForSequenceClassification")(classed).eval()
        classifier.save_pretrained(os.path.join(folder, "classifier"))
        given = inputs(length, config.pad_token_id, config.type_vocab_size, torch.Generator().manual_seed(i))
        values = computed(masked, classifier, *given)
        tensors = dict(zip(["ids", "mask", "types", "targets"], [x.to(torch.int32) for x in given]))
        tensors.update({key: value.detach().to(torch.float32).contiguous() for key, value in values.items()})
        save_file(tensors, os.path.join(folder, "expected.safetensors"))
    # One encoder in the other forms that folders have.
    roberta = transformers.RobertaForMaskedLM.from_pretrained(os.path.join(here, "roberta"))
    forms = os.path.join(here, "roberta-forms")
    for form in ["shards", "torch", "torch-shards"]:
        roberta.save_pretrained(os.path.join(forms, form), max_shard_size="4KB" if form == "shards" else "1GB")
    for form, dtype in [("half", torch.float16), ("brain", torch.bfloat16)]:
        roberta.to(dtype).save_pretrained(os.path.join(forms, form))
    state = load_file(os.path.join(forms, "torch", "model.safetensors"))
    for form in ["torch", "torch-shards"]:
        os.remove(os.path.join(forms, form, "model.safetensors"))
    torch.save(state, os.path.join(forms, "torch", "pytorch_model.bin"))
    names = list(state)
    parts = {f"pytorch_model-0000{i + 1}-of-00002.bin": part for i, part in enumerate([names[:20], names[20:]])}
    for file, part in parts.items():
        torch.save({name: state[name] for name in part}, os.path.join(forms, "torch-shards", file))
    with open(os.path.join(forms, "torch-shards", "pytorch_model.bin.index.json"), "w") as file:
        json.dump({"metadata": {}, "weight_map": {name: at for at, part in parts.items() for name in part}}, file)
    # The buckets of transformers, of distances up to 700.
    from transformers.models.deberta_v2.modeling_deberta_v2 import make_log_bucket_position
    distances = torch.arange(-700, 701)
    rows = {f"{b}-{f}": make_log_bucket_position(distances, b, f).long().tolist() for b, f in [(256, 512), (8, 40), (32, 128)]}
    with open(os.path.join(here, "buckets.json"), "w") as file:
        json.dump({"from": -700, **rows}, file)


def check(root):
    """Folders written by the tests hold what these hold: transformers loads them whole and computes the same."""
    worst = 0.0
    for name, (family, _, _) in families.items():
        expected = load_file(os.path.join(here, name, "expected.safetensors"))
        given = [expected[key].long() for key in ["ids", "mask", "types"]]
        for head, part in [("ForMaskedLM", "masked"), ("ForSequenceClassification", "classifier")]:
            folder = os.path.join(root, name, part)
            model, info = getattr(transformers, f"{family}{head}").from_pretrained(
                folder, output_loading_info=True, attn_implementation="eager")
            wrong = {key: value for key, value in info.items() if value}
            assert not wrong, (folder, wrong)
            with torch.no_grad():
                out = model.eval()(**dict(zip(["input_ids", "attention_mask", "token_type_ids"], given))).logits
            want = expected["logits" if part == "masked" else "classes"]
            if part == "masked":
                real = expected["mask"].bool()
                out, want = out[real], want[real]
            worst = max(worst, (out - want).abs().max().item())
    print(f"{len(families)} families, two folders each: loaded whole; logits differ by at most {worst:.1e}")
    assert worst < 1e-5


if __name__ == "__main__":
    check(sys.argv[2]) if sys.argv[1:2] == ["check"] else write()
