"""What is done with a network, one study a file."""
