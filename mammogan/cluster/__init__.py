"""The only room that talks to a scheduler: submits a run's job graph, follows it, and enters each job."""
