"""What a study is, and what every study may use."""
