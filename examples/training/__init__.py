"""What `examples/train.py` is made of: the command line, the data, the network, and what keeps a run alive."""
