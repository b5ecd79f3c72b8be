"""What is done with a group: one file a study."""
