"""What people and programs do to chains, their steps and their orders."""
