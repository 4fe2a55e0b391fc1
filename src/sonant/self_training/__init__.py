"""Self-training: a fine-tuned model labels recordings without transcripts, from which final models learn."""

from sonant.self_training.run import SelfTrained, carry_out_self_training, self_train

__all__ = ["SelfTrained", "carry_out_self_training", "self_train"]
