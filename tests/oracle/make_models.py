#!/usr/bin/env python3
"""Tiny random checkpoints of every architecture and what they compute, for tests/models/test_architectures.c.

    make_models.py [tests/goldens/models]

Each folder gets config.json, model.safetensors and expected.json: variants of the configuration, each with every fourth
logit at some positions. They share tokenizer.json, of single bytes. The forward passes are written here from the architectures' papers and Hugging Face's
configurations, in PyTorch (Debian: python3-torch) and float64, from the weights as they are stored, in float16.
"""
import json
import math
import struct
import sys
from pathlib import Path

import torch
import torch.nn.functional as F

WIDTH, LAYERS, VOCAB, CONTEXT, N = 32, 2, 256, 64, 24
POSITIONS, STEP = [5, 23], 4
D = torch.float64


# --- weights ---


class Maker:
    """Random tensors under the folder's names, rounded to what the file will hold."""

    def __init__(self, seed):
        self.random = torch.Generator().manual_seed(seed)
        self.tensors = {}

    def add(self, name, shape, scale, mean=0.0):
        t = torch.randn(*shape, generator=self.random, dtype=D) * scale + mean
        self.tensors[name] = t.to(torch.float16)

    def matrix(self, name, rows, cols):
        self.add(name, (rows, cols), 1.3 / math.sqrt(cols))

    def linear(self, name, rows, cols, bias=False):
        self.matrix(name + ".weight", rows, cols)
        if bias:
            self.add(name + ".bias", (rows,), 0.3)

    def norm(self, name, n=WIDTH, mean=1.0, bias=False):
        self.add(name + ".weight", (n,), 0.2, mean)
        if bias:
            self.add(name + ".bias", (n,), 0.2)


def write_safetensors(path, tensors):
    header, at = {"__metadata__": {"format": "pt"}}, 0
    for name, t in tensors.items():
        size = t.numel() * 2
        header[name] = {"dtype": "F16", "shape": list(t.shape), "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    body = b"".join(t.contiguous().numpy().tobytes() for t in tensors.values())
    path.write_bytes(struct.pack("<Q", len(text)) + text + body)


def tokenizer():
    """The 256 bytes as byte-level vocabularies spell them: those that do not print as characters from U+0100 on."""
    prints = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    hidden = [b for b in range(256) if b not in prints]
    pieces = [chr(b) if b in prints else chr(256 + hidden.index(b)) for b in range(256)]
    level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    return {
        "version": "1.0", "added_tokens": [], "normalizer": None, "pre_tokenizer": level, "post_processor": None,
        "decoder": level, "model": {"type": "BPE", "vocab": {p: i for i, p in enumerate(pieces)}, "merges": []},
    }


# --- steps ---


def rms_norm(x, w, eps):
    return x / torch.sqrt((x * x).mean(-1, keepdim=True) + eps) * w


def layer_norm(x, w, b, eps):
    mean = x.mean(-1, keepdim=True)
    var = ((x - mean) ** 2).mean(-1, keepdim=True)
    return (x - mean) / torch.sqrt(var + eps) * w + b


def speeds(dims, base, scaling, c):
    """Radians per position for each pair, and the factor of cosines and sines."""
    plain = base ** (-torch.arange(0, dims, 2, dtype=D) / dims)
    kind = scaling.get("rope_type", scaling.get("type", "default")) if scaling else "default"
    context = c["max_position_embeddings"]
    if kind in ("default", "dynamic"):  # dynamic: nothing changes up to the context
        return plain, 1.0
    if kind == "linear":
        return plain / scaling["factor"], 1.0
    if kind == "longrope":
        original = c["original_max_position_embeddings"]
        factor = math.sqrt(1 + math.log(context / original) / math.log(original))
        which = "long_factor" if c.get("in use", 0) > original else "short_factor"
        return plain / torch.tensor(scaling[which], dtype=D), factor
    factor, original = scaling["factor"], scaling.get("original_max_position_embeddings", context)
    if kind == "llama3":
        low, high = scaling["low_freq_factor"], scaling["high_freq_factor"]
        out = []
        for f in plain.tolist():
            wave = 2 * math.pi / f
            if wave < original / high:
                out.append(f)
            elif wave > original / low:
                out.append(f / factor)
            else:
                smooth = (original / wave - low) / (high - low)
                out.append((1 - smooth) * f / factor + smooth * f)
        return torch.tensor(out, dtype=D), 1.0
    assert kind == "yarn"

    def dimension(rotations):
        return dims * math.log(original / (rotations * 2 * math.pi)) / (2 * math.log(base))

    low, high = dimension(scaling.get("beta_fast", 32)), dimension(scaling.get("beta_slow", 1))
    if scaling.get("truncate", True):
        low, high = math.floor(low), math.ceil(high)
    low, high = max(low, 0), min(high, dims - 1)
    if low == high:
        high += 0.001
    ramp = ((torch.arange(dims // 2, dtype=D) - low) / (high - low)).clamp(0, 1)
    mixed = plain / factor * ramp + plain * (1 - ramp)
    return mixed, scaling.get("attention_factor", 0.1 * math.log(factor) + 1)


def rotate(x, turns):
    """x: [n, heads, head]; the first dims of a head turn, pairs are (i, i + dims / 2)."""
    freq, factor = turns
    half = len(freq)
    angle = torch.arange(x.shape[0], dtype=D)[:, None, None] * freq
    cos, sin = angle.cos() * factor, angle.sin() * factor
    a, b, rest = x[..., :half], x[..., half : 2 * half], x[..., 2 * half :]
    return torch.cat([a * cos - b * sin, a * sin + b * cos, rest], -1)


def attend(q, k, v, scale, window=None, cap=None):
    n, heads, _ = q.shape
    group = heads // k.shape[1]
    k, v = k.repeat_interleave(group, 1), v.repeat_interleave(group, 1)
    scores = torch.einsum("ihd,jhd->hij", q, k) * scale
    if cap:
        scores = cap * torch.tanh(scores / cap)
    i, j = torch.arange(n)[:, None], torch.arange(n)[None, :]
    seen = (j <= i) & (j > i - window if window else j <= i)
    weights = scores.masked_fill(~seen, float("-inf")).softmax(-1)
    return torch.einsum("hij,jhd->ihd", weights, v).reshape(n, -1)


def window_of(c, layer):
    """What Hugging Face's configurations make of their settings, for each family."""
    kind, window = c["model_type"], c.get("sliding_window")
    if kind == "llama" or (kind.startswith("qwen") and not c.get("use_sliding_window")):
        return None
    if c.get("layer_types"):
        return window if c["layer_types"][layer] == "sliding_attention" else None
    if kind == "gemma2":
        return window if layer % 2 == 0 else None
    return None if kind.startswith("qwen") and layer < c["max_window_layers"] else window


def mixture(x, w, prefix, router, names, c, normed):
    """Every token's best experts, weighed by the router's softmax over all."""
    shares = (x @ w[router].T).softmax(-1)
    best, chosen = shares.topk(c["num_experts_per_tok"], -1)
    if normed:
        best = best / best.sum(-1, keepdim=True)
    out = torch.zeros_like(x)
    gate, up, down = names
    for t in range(x.shape[0]):
        for share, e in zip(best[t], chosen[t].tolist()):
            g, u, d = (w[f"{prefix}experts.{e}.{m}.weight"] for m in (gate, up, down))
            out[t] += share * (d @ (F.silu(g @ x[t]) * (u @ x[t])))
    return out


# --- architectures: what a family shares by itself, in what they differ by configuration ---


def config(kind, **more):
    c = {
        "architectures": [kind], "model_type": kind, "hidden_size": WIDTH, "num_hidden_layers": LAYERS,
        "vocab_size": VOCAB, "max_position_embeddings": CONTEXT, "num_attention_heads": 4, "num_key_value_heads": 2,
        "intermediate_size": 32, "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "hidden_act": "silu",
        "tie_word_embeddings": False, "bos_token_id": 0, "eos_token_id": 0,
    }
    c.update(more)
    return c


def head_of(c):
    return c.get("head_dim") or c["hidden_size"] // c["num_attention_heads"]


def attention_weights(m, p, c, bias=False, norms=None, out_bias=False):
    q, kv = c["num_attention_heads"] * head_of(c), c["num_key_value_heads"] * head_of(c)
    for name, rows in (("q", q), ("k", kv), ("v", kv)):
        m.linear(f"{p}self_attn.{name}_proj", rows, WIDTH, bias)
    m.linear(f"{p}self_attn.o_proj", WIDTH, q, out_bias)
    if norms:
        m.norm(f"{p}self_attn.q_norm", q if norms == "whole" else head_of(c))
        m.norm(f"{p}self_attn.k_norm", kv if norms == "whole" else head_of(c))


def mlp_weights(m, p, ffn, bias=False):
    for name, rows, cols in (("gate", ffn, WIDTH), ("up", ffn, WIDTH), ("down", WIDTH, ffn)):
        m.linear(f"{p}.{name}_proj", rows, cols, bias)


def frame_weights(m, c, mean=1.0):
    m.add("model.embed_tokens.weight", (VOCAB, WIDTH), 1.0)
    m.norm("model.norm", mean=mean)
    if not c["tie_word_embeddings"]:
        m.matrix("lm_head.weight", VOCAB, WIDTH)


def llama_weights(m, c):
    kind, frame = c["model_type"], frame_weights(m, c)
    for i in range(LAYERS):
        p = f"model.layers.{i}."
        if kind != "olmo2":
            m.norm(p + "input_layernorm")
        else:
            m.norm(p + "post_feedforward_layernorm")
        m.norm(p + "post_attention_layernorm")
        norms = {"qwen3": "head", "qwen3_moe": "head", "olmo2": "whole"}.get(kind)
        if kind == "phi3":
            q, kv = c["num_attention_heads"] * head_of(c), c["num_key_value_heads"] * head_of(c)
            m.linear(p + "self_attn.qkv_proj", q + 2 * kv, WIDTH)
            m.linear(p + "self_attn.o_proj", WIDTH, q)
            m.linear(p + "mlp.gate_up_proj", 2 * c["intermediate_size"], WIDTH)
            m.linear(p + "mlp.down_proj", WIDTH, c["intermediate_size"])
            continue
        all_biases = c.get("attention_bias", False)
        attention_weights(m, p, c, bias=kind.startswith("qwen2") or all_biases, norms=norms, out_bias=all_biases)
        if kind == "mixtral":
            m.matrix(p + "block_sparse_moe.gate.weight", c["num_local_experts"], WIDTH)
            for e in range(c["num_local_experts"]):
                x = f"{p}block_sparse_moe.experts.{e}."
                m.matrix(x + "w1.weight", c["intermediate_size"], WIDTH)
                m.matrix(x + "w2.weight", WIDTH, c["intermediate_size"])
                m.matrix(x + "w3.weight", c["intermediate_size"], WIDTH)
        elif kind.endswith("_moe"):
            m.matrix(p + "mlp.gate.weight", c["num_experts"], WIDTH)
            for e in range(c["num_experts"]):
                mlp_weights(m, f"{p}mlp.experts.{e}", c["moe_intermediate_size"])
            if "shared_expert_intermediate_size" in c:
                mlp_weights(m, p + "mlp.shared_expert", c["shared_expert_intermediate_size"])
                m.matrix(p + "mlp.shared_expert_gate.weight", 1, WIDTH)
        else:
            mlp_weights(m, p + "mlp", c["intermediate_size"], c.get("mlp_bias", False))
    return frame


def llama_attention(x, w, p, c, turns, window):
    heads, kv, head, n = c["num_attention_heads"], c["num_key_value_heads"], head_of(c), x.shape[0]
    p += "self_attn."
    if p + "qkv_proj.weight" in w:
        q, k, v = (x @ w[p + "qkv_proj.weight"].T).split([heads * head, kv * head, kv * head], -1)
    else:
        q, k, v = (x @ w[f"{p}{m}_proj.weight"].T + w.get(f"{p}{m}_proj.bias", 0) for m in "qkv")
    eps = c["rms_norm_eps"]
    if c["model_type"] == "olmo2":
        q, k = rms_norm(q, w[p + "q_norm.weight"], eps), rms_norm(k, w[p + "k_norm.weight"], eps)
    q, k, v = q.view(n, heads, head), k.view(n, kv, head), v.view(n, kv, head)
    if c["model_type"].startswith("qwen3"):
        q, k = rms_norm(q, w[p + "q_norm.weight"], eps), rms_norm(k, w[p + "k_norm.weight"], eps)
    y = attend(rotate(q, turns), rotate(k, turns), v, head**-0.5, window)
    return y @ w[p + "o_proj.weight"].T + w.get(p + "o_proj.bias", 0)


def swiglu(x, w, p):
    def linear(x, name):
        return x @ w[f"{p}.{name}_proj.weight"].T + w.get(f"{p}.{name}_proj.bias", 0)

    return linear(F.silu(linear(x, "gate")) * linear(x, "up"), "down")


def llama_ffn(x, w, p, c):
    kind = c["model_type"]
    if kind == "phi3":
        gate, up = (x @ w[p + "mlp.gate_up_proj.weight"].T).chunk(2, -1)
        return (F.silu(gate) * up) @ w[p + "mlp.down_proj.weight"].T
    if kind == "mixtral":
        p += "block_sparse_moe."
        return mixture(x, w, p, p + "gate.weight", ("w1", "w3", "w2"), c, True)
    p += "mlp"
    if not kind.endswith("_moe"):
        return swiglu(x, w, p)
    names = ("gate_proj", "up_proj", "down_proj")
    y = mixture(x, w, p + ".", p + ".gate.weight", names, c, c["norm_topk_prob"])
    if p + ".shared_expert_gate.weight" in w:
        y = y + torch.sigmoid(x @ w[p + ".shared_expert_gate.weight"].T) * swiglu(x, w, p + ".shared_expert")
    return y


def llama_forward(w, c, ids):
    eps = c["rms_norm_eps"]
    theta, scaling = c["rope_theta"], c.get("rope_scaling")
    if c.get("rope_parameters"):
        scaling = c["rope_parameters"]
        theta = scaling["rope_theta"]
    dims = int(head_of(c) * (c.get("partial_rotary_factor") or 1.0))
    turns = speeds(dims, theta, scaling, c)
    x = w["model.embed_tokens.weight"][ids]
    for i in range(LAYERS):
        p = f"model.layers.{i}."
        behind = w[p + "post_attention_layernorm.weight"]
        if c["model_type"] == "olmo2":
            x = x + rms_norm(llama_attention(x, w, p, c, turns, None), behind, eps)
            x = x + rms_norm(llama_ffn(x, w, p, c), w[p + "post_feedforward_layernorm.weight"], eps)
        else:
            y = rms_norm(x, w[p + "input_layernorm.weight"], eps)
            x = x + llama_attention(y, w, p, c, turns, window_of(c, i))
            x = x + llama_ffn(rms_norm(x, behind, eps), w, p, c)
    x = rms_norm(x, w["model.norm.weight"], eps)
    return x @ w["model.embed_tokens.weight" if c["tie_word_embeddings"] else "lm_head.weight"].T


def gemma_weights(m, c):
    frame_weights(m, c, mean=0.0)
    for i in range(LAYERS):
        p = f"model.layers.{i}."
        names = ["input_layernorm", "post_attention_layernorm"]
        if c["model_type"] == "gemma2":
            names += ["pre_feedforward_layernorm", "post_feedforward_layernorm"]
        for name in names:
            m.norm(p + name, mean=0.0)
        attention_weights(m, p, c)
        mlp_weights(m, p + "mlp", c["intermediate_size"])


def gemma_forward(w, c, ids):
    two = c["model_type"] == "gemma2"
    heads, kv, head, n = c["num_attention_heads"], c["num_key_value_heads"], c["head_dim"], len(ids)
    scale = (c["query_pre_attn_scalar"] if two else head) ** -0.5
    turns = speeds(head, c["rope_theta"], None, c)
    x = w["model.embed_tokens.weight"][ids] * math.sqrt(WIDTH)

    def norm(x, name):
        return rms_norm(x, 1 + w[name + ".weight"], c["rms_norm_eps"])

    for i in range(LAYERS):
        p = f"model.layers.{i}."
        y = norm(x, p + "input_layernorm")
        q, k, v = (y @ w[f"{p}self_attn.{m}_proj.weight"].T for m in "qkv")
        q, k = rotate(q.view(n, heads, head), turns), rotate(k.view(n, kv, head), turns)
        window = window_of(c, i) if two else None
        y = attend(q, k, v.view(n, kv, head), scale, window, c["attn_logit_softcapping"] if two else None)
        y = y @ w[p + "self_attn.o_proj.weight"].T
        x = x + (norm(y, p + "post_attention_layernorm") if two else y)
        y = norm(x, p + ("pre_feedforward_layernorm" if two else "post_attention_layernorm"))
        gate, up = y @ w[p + "mlp.gate_proj.weight"].T, y @ w[p + "mlp.up_proj.weight"].T
        y = (F.gelu(gate, approximate="tanh") * up) @ w[p + "mlp.down_proj.weight"].T
        x = x + (norm(y, p + "post_feedforward_layernorm") if two else y)
    logits = norm(x, "model.norm") @ w["model.embed_tokens.weight"].T
    cap = c["final_logit_softcapping"] if two else None
    return cap * torch.tanh(logits / cap) if cap else logits


def neox_weights(m, c):
    m.add("gpt_neox.embed_in.weight", (VOCAB, WIDTH), 1.0)
    for i in range(LAYERS):
        p = f"gpt_neox.layers.{i}."
        m.norm(p + "input_layernorm", bias=True)
        m.norm(p + "post_attention_layernorm", bias=True)
        m.linear(p + "attention.query_key_value", 3 * WIDTH, WIDTH, True)
        m.linear(p + "attention.dense", WIDTH, WIDTH, True)
        m.linear(p + "mlp.dense_h_to_4h", c["intermediate_size"], WIDTH, True)
        m.linear(p + "mlp.dense_4h_to_h", WIDTH, c["intermediate_size"], True)
    m.norm("gpt_neox.final_layer_norm", bias=True)
    m.matrix("embed_out.weight", VOCAB, WIDTH)


def fast_gelu(x):
    """0.7978845608 = sqrt(2 / pi); Hugging Face's gelu_fast, gelu_new and gelu_pytorch_tanh are all this."""
    return 0.5 * x * (1 + torch.tanh(x * 0.7978845608 * (1 + 0.044715 * x * x)))


def neox_forward(w, c, ids):
    heads, n, eps = c["num_attention_heads"], len(ids), c["layer_norm_eps"]
    head = WIDTH // heads
    turns = speeds(int(head * c["rotary_pct"]), c["rotary_emb_base"], c.get("rope_scaling"), c)
    x = w["gpt_neox.embed_in.weight"][ids]
    gelu = {"gelu": F.gelu, "gelu_fast": fast_gelu}

    def norm(x, name):
        return layer_norm(x, w[name + ".weight"], w[name + ".bias"], eps)

    def linear(x, name):
        return x @ w[name + ".weight"].T + w[name + ".bias"]

    for i in range(LAYERS):
        p = f"gpt_neox.layers.{i}."
        qkv = linear(norm(x, p + "input_layernorm"), p + "attention.query_key_value").view(n, heads, 3 * head)
        q, k, v = qkv[..., :head], qkv[..., head : 2 * head], qkv[..., 2 * head :]
        a = linear(attend(rotate(q, turns), rotate(k, turns), v, head**-0.5), p + "attention.dense")
        y = norm(x if c["use_parallel_residual"] else x + a, p + "post_attention_layernorm")
        y = gelu[c["hidden_act"]](linear(y, p + "mlp.dense_h_to_4h"))
        y = linear(y, p + "mlp.dense_4h_to_h")
        x = x + a + y
    return norm(x, "gpt_neox.final_layer_norm") @ w["embed_out.weight"].T


# --- what is made: folder, configuration, variants (settings that replace the configuration's; "in use": none, but the
# context that the model is opened for) ---

NULLS = {k: None for k in ("rope_scaling", "rope_parameters", "sliding_window", "head_dim", "quantization_config",
                           "pad_token_id", "attention_bias", "mlp_bias", "rope_interleaved", "partial_rotary_factor",
                           "layer_types")}

YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 16}
LLAMA3 = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
          "original_max_position_embeddings": 16}
LONG = {"type": "longrope", "short_factor": [1.0, 1.5, 2.0, 3.0], "long_factor": [1.0, 2.0, 4.0, 8.0]}
MOE2 = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 32, "norm_topk_prob": False, "tie_word_embeddings": True,
        "shared_expert_intermediate_size": 64}
MOE3 = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 32, "norm_topk_prob": True,
        "head_dim": 16, "tie_word_embeddings": True}
GEMMA = {"head_dim": 16, "tie_word_embeddings": True, "rms_norm_eps": 1e-6, "hidden_act": "gelu",
         "hidden_activation": "gelu_pytorch_tanh"}
GEMMA2 = GEMMA | {"query_pre_attn_scalar": 24, "attn_logit_softcapping": 5.0, "final_logit_softcapping": 6.0,
                  "sliding_window": 7}
NEOX = {"architectures": ["gpt_neox"], "model_type": "gpt_neox", "hidden_size": WIDTH, "num_hidden_layers": LAYERS,
        "vocab_size": VOCAB, "max_position_embeddings": CONTEXT, "num_attention_heads": 4, "intermediate_size": 64,
        "layer_norm_eps": 1e-5, "rotary_pct": 0.5, "rotary_emb_base": 10000, "hidden_act": "gelu",
        "use_parallel_residual": True, "tie_word_embeddings": False, "bos_token_id": 0, "eos_token_id": 0}
MODELS = [
    ("llama", config("llama"), llama_weights, llama_forward, {
        "plain": {},
        "tied": {"tie_word_embeddings": True},
        "nulls": NULLS,
        "mistral": {"model_type": "mistral", "sliding_window": 5},
        "mistral, layers": {"model_type": "mistral", "sliding_window": 5,
                            "layer_types": ["full_attention", "sliding_attention"]},
        "not mistral": {"sliding_window": 5},
        "linear": {"rope_scaling": {"type": "linear", "factor": 2.5}},
        "dynamic": {"rope_scaling": {"rope_type": "dynamic", "factor": 2.0}},
        "yarn": {"rope_theta": 10.0, "rope_scaling": YARN},
        "yarn, finer": {"rope_theta": 10.0,
                        "rope_scaling": YARN | {"beta_fast": 2, "beta_slow": 0.5, "attention_factor": 1.25}},
        "yarn, not truncated": {"rope_theta": 10.0,
                                "rope_scaling": YARN | {"beta_fast": 2, "beta_slow": 0.5, "truncate": False}},
        "llama3": {"rope_scaling": LLAMA3},
        "rope_parameters": {"rope_theta": None, "rope_parameters": LLAMA3 | {"rope_theta": 500.0}},
    }),
    ("qwen2", config("qwen2", tie_word_embeddings=True), llama_weights, llama_forward, {
        "plain": {},
        "unused window": {"use_sliding_window": False, "sliding_window": 5, "max_window_layers": 0},
        "window": {"use_sliding_window": True, "sliding_window": 5, "max_window_layers": 1},
        "null window": {"use_sliding_window": True, "sliding_window": None, "max_window_layers": 0},
    }),
    ("qwen3", config("qwen3", head_dim=16), llama_weights, llama_forward, {
        "plain": {},
        "window": {"use_sliding_window": True, "sliding_window": 6, "max_window_layers": 0},
        "layers": {"use_sliding_window": True, "sliding_window": 6, "max_window_layers": 28,
                   "layer_types": ["sliding_attention", "full_attention"]},
    }),
    ("phi3", config("phi3", tie_word_embeddings=True), llama_weights, llama_forward, {
        "plain": {},
        "window": {"sliding_window": 6},
        "partial": {"partial_rotary_factor": 0.5},
        "longrope": {"rope_scaling": LONG, "original_max_position_embeddings": 32},
        "longrope, short": {"rope_scaling": LONG, "original_max_position_embeddings": 32, "in use": 32},
        "longrope, long": {"rope_scaling": LONG, "original_max_position_embeddings": 32, "in use": 33},
    }),
    ("gemma", config("gemma", **GEMMA), gemma_weights, gemma_forward, {"plain": {}}),
    ("gemma2", config("gemma2", **GEMMA2), gemma_weights, gemma_forward, {
        "plain": {},
        "no caps": {"attn_logit_softcapping": None, "final_logit_softcapping": None},
        "null window": {"sliding_window": None},
        "no layers": {"layer_types": ["full_attention", "full_attention"]},
        "layers": {"layer_types": ["sliding_attention", "full_attention"]},
        "other layers": {"layer_types": ["full_attention", "sliding_attention"]},
    }),
    ("olmo2", config("olmo2", tie_word_embeddings=True), llama_weights, llama_forward, {"plain": {}}),
    ("gptneox", NEOX, neox_weights, neox_forward, {
        "plain": {}, "in series": {"use_parallel_residual": False}, "gelu_fast": {"hidden_act": "gelu_fast"}}),
    ("mixtral", config("mixtral", num_local_experts=4, num_experts_per_tok=2,
                       tie_word_embeddings=True), llama_weights, llama_forward,
     {"plain": {}, "one": {"num_experts_per_tok": 1}}),
    ("qwen2moe", config("qwen2_moe", **MOE2), llama_weights, llama_forward, {
        "plain": {}, "window": {"use_sliding_window": True, "sliding_window": 5, "max_window_layers": 1}}),
    ("qwen3moe", config("qwen3_moe", **MOE3), llama_weights, llama_forward,
     {"plain": {}, "not normalised": {"norm_topk_prob": False}}),
    ("biased", config("llama", head_dim=16, attention_bias=True, mlp_bias=True, tie_word_embeddings=True), llama_weights,
     llama_forward, {"plain": {}, "mistral": {"model_type": "mistral", "sliding_window": None}}),
]


def main():
    root = Path(sys.argv[1] if len(sys.argv) > 1 else "tests/goldens/models")
    ids = [(7 * i * i + 3 * i + 1) % VOCAB for i in range(N)]
    root.mkdir(parents=True, exist_ok=True)
    (root / "tokenizer.json").write_text(json.dumps(tokenizer(), ensure_ascii=False) + "\n")
    for seed, (name, c, weights, forward, variants) in enumerate(MODELS):
        m = Maker(seed + 1)
        weights(m, c)
        w = {k: t.to(D) for k, t in m.tensors.items()}
        folder = root / name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "config.json").write_text(json.dumps(c, indent=1) + "\n")
        write_safetensors(folder / "model.safetensors", m.tensors)
        made = []
        for variant, patch in variants.items():
            logits = forward(w, c | patch, ids)
            rows = [[float(f"{v:.7g}") for v in logits[p].tolist()[::STEP]] for p in POSITIONS]
            settings = {k: v for k, v in patch.items() if k != "in use"}
            made.append({"name": variant, "config": settings, "context": patch.get("in use", 0), "logits": rows})
        lines = ",\n  ".join(json.dumps(v) for v in made)
        text = f'{{"ids": {ids}, "positions": {POSITIONS}, "step": {STEP},\n "variants": [\n  {lines}]}}\n'
        (folder / "expected.json").write_text(text)


main()
