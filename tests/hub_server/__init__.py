"""A Hugging Face Hub on loopback, in memory, for models: what the real client needs to read and write, and faults on demand."""

from hub_server.server import HubServer as HubServer
