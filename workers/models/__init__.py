"""Pretrained models: folders, weights, tokenizers, and the engines that run them."""
