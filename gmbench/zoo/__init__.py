"""The zoo: a population of trained agents with labels, to be made, packed, checked and installed.

What it consists of is a sweep, :data:`gmbench.zoo.recipe.SMALL`. Packed, it is a sealed folder
(:mod:`gmbench.zoo.packed`) that is a results folder too, so that any question can be asked of it.
"""
