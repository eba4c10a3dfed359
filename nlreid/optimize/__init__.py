"""Making a trained network fast: the same answers from fewer and larger steps."""

from nlreid.optimize.inference import optimize_for_inference as optimize_for_inference
