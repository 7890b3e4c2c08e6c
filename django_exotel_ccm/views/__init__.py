"""The pages between a press of the button and a call."""
