"""Training: the loop, what it carries, what it writes, and what it says of its health."""
