"""Claims of papers that this laboratory decides."""
