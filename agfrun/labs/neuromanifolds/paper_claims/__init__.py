"""Claims of papers about neuromanifolds, each decided in exact arithmetic."""
