"""How this project writes dates and times: a folder for each language that differs from Django."""
