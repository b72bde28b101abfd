"""The first hour on a GPU: one run that says what holds there, what doesn't, and how fast it is.

Every check is by itself: what fails is told, and the rest goes on. The outcomes are lines of JSON, written as
they come. A process that dies in a check, or comes to no end, is told of too, and another one takes over.
"""
