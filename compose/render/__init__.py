"""From a flow to text that starts it somewhere, or draws it: one function a target."""
