"""Claims of papers about relative representations and densification, each put to the test."""
