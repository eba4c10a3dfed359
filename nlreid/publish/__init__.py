"""Checkpoints for others: saved with everything that is needed to load them, and pushed to the Hub."""

from nlreid.publish.card import ModelCard as ModelCard
from nlreid.publish.push import push_to_hub as push_to_hub
from nlreid.publish.save import save_pretrained as save_pretrained
