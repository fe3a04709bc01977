"""WHAT is competed in: facts, raw files, pixels, backbones, metrics. No training."""
