"""What is known about checkpoints, as data: the manifest of those that have a name, and the config that travels with each."""
