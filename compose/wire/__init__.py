"""What travels between processes: names, messages, codec, chords, presence."""
