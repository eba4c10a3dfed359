"""Reading files of weights without running anything in them."""
