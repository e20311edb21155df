"""The pages for people: over `insights`, with forms that call `control`."""
