"""From disk to clips: tracklets, which frames of them, transforms, samplers."""
