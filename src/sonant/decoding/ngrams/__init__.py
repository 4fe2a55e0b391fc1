"""N-gram language models: their tensors, files and training."""
