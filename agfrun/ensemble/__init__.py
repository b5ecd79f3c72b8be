"""Many members - seeds and initialization scales of one network - trained as one tensor program."""
