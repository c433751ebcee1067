"""Tests of what the answers mean."""
