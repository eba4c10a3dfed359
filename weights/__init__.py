"""The table of weights, installed as `nlreid.weights`: read it with `nlreid.hub.table.manifest`."""
