"""The proof that a gateway works: real completions and embeddings, and what is wrong where they fail."""
