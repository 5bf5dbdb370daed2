"""What a newcomer to Python might ask."""

QUESTIONS = (
    "how do I join two paths",
    "compress bytes",
    "run a shell command and get its output",
    "parse command line arguments",
    "remove a folder and everything in it",
    "words that are spelled almost alike",
    "keep the results of a function so that it is not computed twice",
    "wait until several threads have come to the same point",
    "turn an object into JSON text",
    "make a temporary file that is deleted by itself",
    "check whether two floating point numbers are nearly equal",
    "find the most common elements of a list",
)
