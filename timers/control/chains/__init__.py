"""Operations of people and programs on chains, their steps and their orders."""
