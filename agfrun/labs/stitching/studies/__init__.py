"""What is done with networks that are stitched, one study a file."""
