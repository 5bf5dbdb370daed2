"""Media made small, to be looked at: thumbnails, crops, clips."""
