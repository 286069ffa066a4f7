"""What medicine does with images besides making them: parts of its tasks, each on known truth."""
